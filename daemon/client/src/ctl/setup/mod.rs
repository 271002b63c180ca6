//! `setup`: asks what a site needs, tries each answer, shows what would change, and writes it in one step.

mod answers;
mod check;
pub mod room;
mod zone;

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::Duration;

use config::edit::{self, Plan};
use hal::root::Root;
use serde::Serialize;

use self::answers::{Answers, Given, NONE, Question, peer};
use self::check::{Checked, Site};
use super::args::SetupOptions;
use super::config::{RESTART, broken, not_written, show};
use super::examine::machine::Machine;
use super::failure::Failure;
use super::output::{Output, Tone};
use crate::ManagerProxy;
use crate::doctor::text::Language;

/// A start after a power cut may take minutes; whoever waits here is told before that.
const RESTARTED: Duration = Duration::from_secs(90);

/// The JSON of it.
#[derive(Serialize)]
struct Answer<'a> {
    checks: &'a [Checked],
    differs: Vec<config::diff::Differs>,
    written: bool,
    restarted: bool,
    /// The machine was put into another time zone.
    zone_set: bool,
}

/// What to do with an answer that did not pass.
enum Then {
    Again,
    Keep,
}

struct Talk<'a> {
    language: Language,
    output: &'a Output,
    /// False: nobody is there to be asked.
    asks: bool,
}

pub async fn run(bus: &str, options: &SetupOptions, output: &Output) -> Result<(), Failure> {
    let paths = &options.change.config;
    let settings = config::load(paths).map_err(|error| broken(&error))?;
    let given = Given::of(options)?;
    let wanted = options
        .language
        .as_deref()
        .map(|tag| if tag.starts_with("zh") { Language::Chinese } else { Language::English });
    let language = wanted.unwrap_or_else(Language::of_environment);
    let talk = Talk { language, output, asks: !options.yes && options.answers.is_none() };
    let root = Root::at(&options.root);
    let machine = Machine { root: &root, system: paths.is_empty() };
    let site = Site { settings: &settings, machine, running: running(bus).await, asks: talk.asks };
    let (answers, mut checks) = talk.questions(&given, site).await?;
    let failed: Vec<&str> = checks.iter().filter(|checked| !checked.passed).map(|checked| checked.check).collect();
    // No answer makes it larger: it is told, and keeps nobody from writing.
    let disk = check::disk(site).await;
    talk.tell(&disk)?;
    checks.push(disk);

    let address = match peer(&answers.sender) {
        (_, Some(host)) => check::resolve(host).await,
        (_, None) => None,
    };
    let changes = answers.changes(&settings, address);
    let plan = edit::plan(paths, &changes).map_err(|error| not_written(&error))?;
    let refused = !talk.asks && !options.keep_anyway && !failed.is_empty();
    let zone = zone::command(&answers, site);
    let changes_nothing = plan.changes_nothing() && zone.is_none();
    let may_write = !options.change.dry_run && !refused && !changes_nothing;
    if !output.is_json() {
        output.line("")?;
        show(&plan.differs(), output)?;
        if let Some(command) = &zone {
            output.line(&format!("  {command}"))?;
        }
    }
    let written = may_write && (options.yes || talk.agrees("Write this?", "写入以上修改？")?);
    if written && !plan.changes_nothing() {
        edit::apply(paths, "setup", &changes).map_err(|error| not_written(&error))?;
    }
    // Another configuration than the usual one is not the machine's.
    let has_systemd = paths.is_empty() && options.root.join("run/systemd/system").is_dir();
    let zone_set = match zone.as_deref().filter(|_| written && has_systemd) {
        Some(command) => zone::set(command).await,
        None => false,
    };
    let restarted = written && talk.restart(options, &plan).await?;
    // A box that runs shows it; one that does not is no news where nothing was started.
    if restarted || (!written && site.running.is_some()) {
        let own = check::own(if restarted { &plan.after } else { &settings }).await;
        talk.tell(&own)?;
        checks.push(own);
    }
    if output.is_json() {
        output.json(&Answer { checks: &checks, differs: plan.differs(), written, restarted, zone_set })?;
    }
    if refused {
        return Err(Failure::new(
            format!("not written: {} did not pass", failed.join(", ")),
            "correct the answers, or write them all the same with --keep-anyway",
        ));
    }
    if !output.is_json() {
        output.note(&outcome(language, changes_nothing, written, restarted));
        if let Some(command) = zone.as_deref().filter(|_| written && !zone_set) {
            output.note(&language.pick(
                &format!("The time zone of the machine was not changed: `sudo {command}`."),
                &format!("未修改本机时区：请执行 `sudo {command}`。"),
            ));
        }
    }
    let silent = checks.iter().any(|checked| checked.check == check::OWN && !checked.passed);
    let remedy = "`scansidectl doctor` says why; `scansidectl config revert` takes the change back";
    if silent { Err(Failure::new("the box does not answer", remedy)) } else { Ok(()) }
}

fn outcome(language: Language, changes_nothing: bool, written: bool, restarted: bool) -> String {
    if changes_nothing {
        language.pick("Everything is so already: nothing was changed.", "配置已是如此，未作修改。")
    } else if !written {
        language.pick("Nothing was written.", "未写入任何修改。")
    } else if restarted {
        language.pick(
            "Written, and the service was restarted. Now send a study from the scanner.",
            "已写入并重启服务。请从设备发送一个检查。",
        )
    } else {
        language.pick(&format!("Written. `{RESTART}` makes it count."), &format!("已写入。执行 `{RESTART}` 后生效。"))
    }
}

/// The port of the daemon that is on the bus.
async fn running(bus: &str) -> Option<u16> {
    let ask = async {
        let connection = crate::connect(bus).await.ok()?;
        // Before the call: it would start a daemon that somebody has stopped.
        crate::ctl::owner(&connection).await.ok()?;
        let manager = ManagerProxy::new(&connection).await.ok()?;
        manager.dicom_address().await.ok()?.rsplit_once(':')?.1.parse().ok()
    };
    tokio::time::timeout(super::peers::PATIENCE, ask).await.ok().flatten()
}

impl Talk<'_> {
    async fn questions(&self, given: &Given, site: Site<'_>) -> Result<(Answers, Vec<Checked>), Failure> {
        let mut answers = Answers::present(site.settings).in_zone(site.machine.zone().as_deref());
        let mut checks = Vec::new();
        for question in Question::ALL {
            checks.push(self.settle(question, given.get(question), &mut answers, site).await?);
        }
        Ok((answers, checks))
    }

    /// One question until its answer passes, is kept all the same, or there is nobody to ask.
    async fn settle(
        &self,
        question: Question,
        given: Option<String>,
        answers: &mut Answers,
        site: Site<'_>,
    ) -> Result<Checked, Failure> {
        let mut given = given;
        let before = answers.get(question).to_owned();
        loop {
            match given.take() {
                Some(answer) => answers.put(question, answer.trim().to_owned()),
                None if self.asks => {
                    let typed = Self::ask(&format!("{} [{}]: ", self.words(question), answers.get(question)))?;
                    if !typed.is_empty() {
                        answers.put(question, typed);
                    }
                }
                None => {}
            }
            if answers.get(question).is_empty() {
                answers.put(question, NONE.into());
            }
            let checked = check::check(question, answers, site).await;
            self.tell(&checked)?;
            if checked.passed || !self.asks {
                if !checked.may_be_kept {
                    let why =
                        format!("{}: {} {}", question.code(), checked.answer, checked.seen.in_language(self.language));
                    return Err(Failure::new(why, checked.remedy.in_language(self.language)));
                }
                return Ok(checked);
            }
            if let Then::Keep = self.then(&checked)? {
                return Ok(checked);
            }
            if !checked.may_be_kept {
                answers.put(question, before.clone());
            }
        }
    }

    fn words(&self, question: Question) -> String {
        let (en, zh) = match question {
            Question::AeTitle => ("AE title of this box", "本机的 AE Title"),
            Question::Port => ("Port for DICOM", "DICOM 端口"),
            Question::Sender => (
                "Who sends: AE@ADDRESS, AE alone for any address, - for no entry",
                "发送方：AE@地址；只填 AE 表示任意地址；- 表示不填",
            ),
            Question::Destination => {
                ("Where results go: AE@HOST:PORT, - for nowhere", "结果接收方：AE@主机:端口；- 表示没有")
            }
            Question::Language => ("Language of key images: en, zh-CN", "关键图像的语言：en、zh-CN"),
            Question::TimeZone => (
                "Time zone of the clinic, as Asia/Shanghai; UTC where that is right",
                "所在地时区，如 Asia/Shanghai；确实使用 UTC 时填 UTC",
            ),
        };
        self.language.pick(en, zh)
    }

    fn tell(&self, checked: &Checked) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        let (sign, tone) = if checked.passed { ("ok", Tone::Good) } else { ("no", Tone::Bad) };
        let seen = checked.seen.in_language(self.language);
        self.output.line(&format!(
            "  {} {}  {}: {seen}",
            self.output.paint(sign, tone),
            checked.check,
            checked.answer
        ))?;
        for step in checked.probe.iter().filter(|_| !checked.passed).flat_map(|probe| &probe.passed) {
            self.output.line(&format!("       ok {}: {}", step.step, step.what))?;
        }
        if let Some(failed) = checked.probe.as_ref().and_then(|probe| probe.failed.as_ref()).filter(|_| !checked.passed)
        {
            self.output.line(&format!("       no {}: {}", failed.step, failed.what))?;
        }
        let remedy = checked.remedy.in_language(self.language);
        if remedy.is_empty() {
            return Ok(());
        }
        self.output.line(&format!("     {} {remedy}", self.language.pick("remedy:", "处理办法：")))
    }

    fn then(&self, checked: &Checked) -> Result<Then, Failure> {
        let keep = if checked.may_be_kept {
            self.language.pick(", k to keep it all the same", "，k 仍然保留")
        } else {
            String::new()
        };
        let question = self
            .language
            .pick(&format!("Enter to answer again{keep}, q to leave: "), &format!("回车重新填写{keep}，q 退出："));
        match Self::ask(&question)?.as_str() {
            "k" | "K" if checked.may_be_kept => Ok(Then::Keep),
            "q" | "Q" => Err(left()),
            _ => Ok(Then::Again),
        }
    }

    fn agrees(&self, en: &str, zh: &str) -> Result<bool, Failure> {
        let typed = Self::ask(&format!("{} [y/N]: ", self.language.pick(en, zh)))?;
        Ok(matches!(typed.to_lowercase().as_str(), "y" | "yes" | "是"))
    }

    /// One line. The question goes to standard error, so that standard output stays the answer.
    fn ask(question: &str) -> Result<String, Failure> {
        let mut error = std::io::stderr();
        let _ = error.write_all(super::output::harmless(question, false).as_bytes()).and_then(|()| error.flush());
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Err(left()),
            Ok(_) => Ok(line.trim().to_owned()),
        }
    }

    /// Whether the service was restarted. Another configuration than the usual one is not the service's.
    async fn restart(&self, options: &SetupOptions, plan: &Plan) -> Result<bool, Failure> {
        let has_systemd = options.change.config.is_empty() && options.root.join("run/systemd/system").is_dir();
        if options.no_restart || !has_systemd || plan.differs().is_empty() {
            return Ok(false);
        }
        let question = "Restart the service now? What is being received is sent again by the scanner.";
        if !options.yes && !self.agrees(question, "现在重启服务？正在接收的检查会由设备重新发送。")?
        {
            return Ok(false);
        }
        let ran =
            tokio::process::Command::new("systemctl").args(["restart", "scansided"]).stdin(Stdio::null()).status();
        match tokio::time::timeout(RESTARTED, ran).await {
            Ok(Ok(status)) if status.success() => Ok(true),
            _ => Err(Failure::new(
                "written, and the service did not restart",
                "`systemctl status scansided` says why; `scansidectl config revert` takes the change back",
            )),
        }
    }
}

fn left() -> Failure {
    Failure::new(
        "left: nothing was changed",
        "run `scansidectl setup` again; `--help` shows how to give the answers as options",
    )
}
