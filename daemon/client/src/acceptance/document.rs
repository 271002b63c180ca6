//! The report for people, in one language: a web page that needs nothing but itself, and a PDF.

use std::fmt::Write as _;

use report::protocol::{self, Protocol, Tone};

use super::drift::{Drift, Figure};
use super::{Group, Line, Outcome, Report};
use crate::doctor::text::{Language, Text, both};

/// The page's style, with everything that it needs.
const STYLE: &str = include_str!("report.css");

/// Values of the figures' habits, by code.
pub type Habits = Vec<(String, f64)>;

/// What the report says to a person, before it is a page or a PDF.
struct Words {
    language: Language,
}

impl Words {
    fn pick(&self, text: &Text) -> String {
        text.in_language(self.language)
    }

    fn say(&self, english: &str, chinese: &str) -> String {
        self.language.pick(english, chinese)
    }

    fn tag(&self) -> &'static str {
        match self.language {
            Language::English => "en",
            Language::Chinese => "zh-CN",
        }
    }

    fn title(&self) -> String {
        self.say("Acceptance test of a Scanside box", "Scanside 设备验收测试报告")
    }

    fn outcome(&self, outcome: Outcome) -> String {
        match outcome {
            Outcome::Pass => self.say("pass", "通过"),
            Outcome::Fail => self.say("FAIL", "不通过"),
            Outcome::NotTested => self.say("not tested", "未测试"),
        }
    }

    fn verdict(&self, report: &Report) -> String {
        match report.outcome {
            Outcome::Fail => self.say("Failed", "不通过"),
            Outcome::Pass | Outcome::NotTested => self.say("Passed", "通过"),
        }
    }

    fn summary(&self, report: &Report) -> String {
        let [pass, fail, not] = [Outcome::Pass, Outcome::Fail, Outcome::NotTested].map(|outcome| report.count(outcome));
        let drifts = report.drifts.len();
        let mut text = self.say(
            &format!("{pass} passed, {fail} failed, {not} not tested."),
            &format!("通过 {pass} 项，不通过 {fail} 项，未测试 {not} 项。"),
        );
        if fail > 0 {
            text += &self.say(" The first that failed is the first to solve.", "请从第一项不通过处开始处理。");
        }
        if drifts > 0 {
            text += &self.say(
                &format!(" {drifts} of the figures are beyond their habit."),
                &format!("有 {drifts} 项数值偏离平时水平。"),
            );
        }
        text
    }

    fn group(&self, group: Group) -> String {
        match group {
            Group::Box => self.say("The box", "本机"),
            Group::Models => self.say("Golden answers of the active models", "已启用模型的标准答案自检"),
            Group::Study => self.say("A test study through the real path", "测试检查走完真实路径"),
            Group::Live => self.say("Live video", "实时视频"),
            Group::Network => self.say("Peers", "对端"),
            Group::Machine => self.say("Machine", "硬件"),
        }
    }

    fn facts(&self, report: &Report) -> Vec<(String, String)> {
        let identity = &report.identity;
        let or = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let clock = if report.clock_trusted {
            self.say("trusted", "可信")
        } else {
            self.say("not proved to be right", "未经证实")
        };
        let delivered = if report.delivered {
            self.say("results are delivered", "结果照常发送")
        } else {
            self.say("results stay on the box", "结果留在本机")
        };
        vec![
            (self.say("Serial number", "序列号"), or(&identity.serial_number)),
            (self.say("Station", "设备名"), or(&identity.station_name)),
            (self.say("Institution", "机构"), or(&identity.institution)),
            (self.say("Software", "软件版本"), format!("scansided {}", identity.version)),
            ("DICOM".into(), format!("{} ({})", identity.dicom_address, identity.ae_titles.join(", "))),
            (self.say("Models run on", "模型运行于"), or(&identity.accelerator)),
            (self.say("Begun", "开始"), utc(&report.begun_utc)),
            (self.say("Ended", "结束"), utc(&report.ended_utc)),
            (self.say("Clock of the box", "本机时钟"), clock),
            (self.say("Test study", "测试检查"), delivered),
            (self.say("Done by", "测试人"), or(report.by.as_deref().unwrap_or_default())),
        ]
    }

    fn notes(&self) -> Vec<(String, String)> {
        vec![
            (
                self.say("What was tested", "测试内容"),
                self.say(
                    "A computed chest CT of the patient TEST^ACCEPTANCE was sent to the box's own DICOM port by C-STORE and followed until its results were where results go. It tests the way, not the findings: those have the golden answers of each model package. Not for diagnosis.",
                    "以 C-STORE 将计算生成的胸部 CT（患者 TEST^ACCEPTANCE）发送到本机 DICOM 端口，并跟踪到结果送达接收方为止。此测试检验的是路径，而非诊断发现；后者由各模型包的标准答案检验。不得用于诊断。",
                ),
            ),
            (
                self.say("Signature", "签名"),
                self.say(
                    "The file with the ending .minisig beside this one is signed by the key of this box (Ed25519). `scansidectl acceptance verify FILE` checks that this file is byte for byte what a box with this key signed, when by its clock, and at whose request. It does not prove that the clock was right, nor that nobody with the rights to operate the box had something else signed.",
                    "同名的 .minisig 文件由本机密钥（Ed25519）签名。`scansidectl acceptance verify 文件` 可检验本文件与持有该密钥的设备所签内容逐字节一致，以及签名时的本机时间和请求者。签名不能证明时钟准确，也不能排除有权操作本机的人让其签署其他内容。",
                ),
            ),
        ]
    }

    fn figures(&self, report: &Report, habits: &Habits) -> Vec<[String; 3]> {
        let habit = |figure: &Figure| habits.iter().find(|(code, _)| *code == figure.code).map(|(_, value)| *value);
        let row = |figure: &Figure| {
            let usual = habit(figure).map_or_else(|| "-".to_owned(), |value| figure.unit.words(value));
            [self.pick(&figure.name), figure.unit.words(figure.value), usual]
        };
        report.figures.iter().map(row).collect()
    }

    fn head(&self) -> [String; 3] {
        [self.say("Figure", "项目"), self.say("Now", "本次"), self.say("Median of the last 30", "近 30 次中位数")]
    }
}

/// `2026-01-31 10:05:09 UTC`.
fn utc(text: &str) -> String {
    let short: String = text.chars().take(19).collect();
    format!("{} UTC", short.replace('T', " "))
}

fn groups(report: &Report) -> Vec<(Group, Vec<&Line>)> {
    let mut groups: Vec<(Group, Vec<&Line>)> = Vec::new();
    for line in &report.lines {
        match groups.iter_mut().find(|(group, _)| *group == line.group) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((line.group, vec![line])),
        }
    }
    groups.sort_by_key(|(group, _)| *group);
    groups
}

/// As one line of its own in each document, so that nobody overlooks it.
fn drift_lines(words: &Words, drifts: &[Drift]) -> Vec<String> {
    drifts.iter().map(|drift| words.pick(&drift.words)).collect()
}

/// The PDF.
///
/// # Errors
/// When the font cannot be embedded.
pub fn pdf(report: &Report, habits: &Habits, language: Language) -> Result<Vec<u8>, report::PdfError> {
    let words = Words { language };
    let tone = |line: &Line| match line.outcome {
        Outcome::Pass if line.remedy.en.is_empty() => Tone::Good,
        Outcome::Pass => Tone::Look,
        Outcome::Fail => Tone::Bad,
        Outcome::NotTested => Tone::Open,
    };
    let line = |line: &&Line| protocol::Line {
        tone: tone(line),
        outcome: words.outcome(line.outcome),
        name: words.pick(&line.name),
        seen: words.pick(&line.seen),
        remedy: words.pick(&line.remedy),
    };
    let mut sections: Vec<protocol::Section> = groups(report)
        .into_iter()
        .map(|(group, lines)| protocol::Section { title: words.group(group), lines: lines.iter().map(line).collect() })
        .collect();
    let drifts = drift_lines(&words, &report.drifts);
    if !drifts.is_empty() {
        let line = |seen: String| protocol::Line {
            tone: Tone::Look,
            outcome: words.say("look", "留意"),
            name: words.say("drift", "偏离"),
            seen,
            remedy: String::new(),
        };
        let title = words.say("Beyond their habit", "偏离平时水平");
        sections.insert(0, protocol::Section { title, lines: drifts.into_iter().map(line).collect() });
    }
    let figures = protocol::Figures {
        title: words.say("Figures", "数值"),
        head: words.head(),
        rows: words.figures(report, habits),
    };
    let fine = report.outcome != Outcome::Fail;
    let document = Protocol {
        title: words.title(),
        tag: words.tag().into(),
        facts: words.facts(report),
        verdict: (if fine { Tone::Good } else { Tone::Bad }, words.verdict(report)),
        summary: words.summary(report),
        sections,
        figures: Some(figures).filter(|figures| !figures.rows.is_empty()),
        notes: words.notes(),
        by_hand: vec![
            words.say("Field engineer", "工程师"),
            words.say("For the site", "机构代表"),
            words.say("Date", "日期"),
        ],
        mark: words.say(
            "TEST OF EQUIPMENT - no patient was examined - not for diagnosis",
            "设备测试，未检查任何患者，不得用于诊断",
        ),
        foot: format!("{}   {}", report.identity.serial_number, utc(&report.begun_utc)),
    };
    protocol::write(&document)
}

/// The web page.
pub fn html(report: &Report, habits: &Habits, language: Language) -> String {
    let words = Words { language };
    let title = words.title();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{}</h1>\n</header>\n",
        words.tag(),
        escaped(&title),
        escaped(&title)
    );
    let class = if report.outcome == Outcome::Fail { "fail" } else { "pass" };
    let _ = write!(
        page,
        "<section class=\"verdict {class}\"><p class=\"word\">{}</p><p>{}</p></section>\n<dl class=\"facts\">\n",
        escaped(&words.verdict(report)),
        escaped(&words.summary(report))
    );
    for (name, value) in words.facts(report) {
        let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(&name), escaped(&value));
    }
    page.push_str("</dl>\n");
    let drifts = drift_lines(&words, &report.drifts);
    if !drifts.is_empty() {
        let _ = writeln!(page, "<h2>{}</h2>\n<ul class=\"drift\">", words.say("Beyond their habit", "偏离平时水平"));
        for drift in drifts {
            let _ = writeln!(page, "<li>{}</li>", escaped(&drift));
        }
        page.push_str("</ul>\n");
    }
    for (group, lines) in groups(report) {
        let _ = writeln!(page, "<h2>{}</h2>\n<table class=\"lines\">", escaped(&words.group(group)));
        lines.into_iter().for_each(|line| row(&mut page, &words, line));
        page.push_str("</table>\n");
    }
    figures(&mut page, &words, &words.figures(report, habits));
    page.push_str("<footer>\n");
    for (title, text) in words.notes() {
        let _ = writeln!(page, "<h2>{}</h2>\n<p>{}</p>", escaped(&title), escaped(&text));
    }
    page.push_str("</footer>\n</main>\n</body>\n</html>\n");
    page
}

fn row(page: &mut String, words: &Words, line: &Line) {
    let class = match line.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::NotTested => "open",
    };
    let remedy = words.pick(&line.remedy);
    let remedy =
        if remedy.is_empty() { String::new() } else { format!("<p class=\"remedy\">{}</p>", escaped(&remedy)) };
    let _ = writeln!(
        page,
        "<tr class=\"{class}\" id=\"{}\"><td class=\"outcome\"><span>{}</span></td><th scope=\"row\">{}</th><td><p>{}</p>{remedy}</td></tr>",
        escaped(&line.code),
        escaped(&words.outcome(line.outcome)),
        escaped(&words.pick(&line.name)),
        escaped(&words.pick(&line.seen))
    );
}

fn figures(page: &mut String, words: &Words, rows: &[[String; 3]]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(page, "<h2>{}</h2>\n<table class=\"figures\">\n<tr>", words.say("Figures", "数值"));
    for head in words.head() {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(&head));
    }
    page.push_str("</tr>\n");
    for [name, value, usual] in rows {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escaped(name),
            escaped(value),
            escaped(usual)
        );
    }
    page.push_str("</table>\n");
}

/// Text from peers and files steers neither a page nor whoever reads it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other if dicom::text::steers(other) => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// For the headline in a terminal.
pub fn headline(report: &Report) -> Text {
    let of = |language| {
        let words = Words { language };
        format!("{}: {}", words.verdict(report), words.summary(report))
    };
    let (en, zh) = (of(Language::English), of(Language::Chinese));
    both!("{en}", "{zh}")
}

/// The word for an outcome.
pub fn word(outcome: Outcome, language: Language) -> String {
    Words { language }.outcome(outcome)
}

/// The name of a group.
pub fn group(group: Group, language: Language) -> String {
    Words { language }.group(group)
}
