//! The words of the dashboard in both languages. What the daemon says (verdicts, reasons, events) stays as it said it.

use custody::retention::{Because, Forecast};
use jiff::Timestamp;

use super::layout::Panel;
use crate::ctl::{output, time};
use crate::doctor::text::{Language, bytes};

#[derive(Debug, Clone, Copy)]
pub struct Words(pub Language);

impl Words {
    pub fn pick(self, english: &str, chinese: &str) -> String {
        self.0.pick(english, chinese)
    }

    /// `1 study`, `2 studies`; in Chinese number and noun with its measure word.
    pub fn count(self, number: u64, one: &str, many: &str, chinese: &str) -> String {
        match self.0 {
            Language::English => output::count(number, one, many),
            Language::Chinese => format!("{number} {chinese}"),
        }
    }

    pub fn images(self, number: u32) -> String {
        self.count(u64::from(number), "image", "images", "幅图像")
    }

    pub fn title(self, panel: Panel) -> String {
        match panel {
            Panel::Work => self.pick("Receiving and analysing", "接收与分析"),
            Panel::Studies => self.pick("Studies, the newest first", "检查（最新在前）"),
            Panel::Destinations => self.pick("Destinations", "结果接收方"),
            Panel::Live => self.pick("Live video", "实时视频"),
            Panel::Machine => self.pick("Disk, accelerator, memory", "磁盘、加速器、内存"),
            Panel::Events => self.pick("Events, the newest first", "事件（最新在前）"),
        }
    }

    /// Of the panels that are left out.
    pub fn short(self, panel: Panel) -> String {
        match panel {
            Panel::Work => self.pick("work", "分析"),
            Panel::Studies => self.pick("studies", "检查"),
            Panel::Destinations => self.pick("destinations", "接收方"),
            Panel::Live => self.pick("live video", "实时视频"),
            Panel::Machine => self.pick("disk", "磁盘"),
            Panel::Events => self.pick("events", "事件"),
        }
    }

    /// A state of the bus in words; one that is not known as it is.
    pub fn state(self, state: &str) -> String {
        let english = || state.replace('_', " ");
        if self.0 == Language::English {
            return english();
        }
        let chinese = match state {
            "receiving" => "接收中",
            "complete" => "已收齐",
            "analyzing" => "分析中",
            "running" => "运行中",
            "queued" => "排队",
            "processed" => "已完成",
            "refused" => "未分析",
            "evicted" => "已清理",
            "parked" => "已搁置",
            "pending" => "待发送",
            "held" => "保留",
            "delivered" => "已送达",
            "done" => "完成",
            "off" => "关闭",
            "ready" => "就绪",
            "paused" => "暂停",
            "no_overlay" => "无叠加",
            "no_signal" => "无信号",
            "failed" => "故障",
            "on" => "开启",
            "full" => "正常",
            "reduced" => "受限",
            "no_new_studies" => "不接收新检查",
            "no_output" => "不发送结果",
            "hot" => "温度偏高",
            "throttled" => "正在降频",
            _ => return english(),
        };
        chinese.to_owned()
    }

    /// `40 s`, `12 min`, `3 h`, `5 days`.
    pub fn span(self, seconds: f64) -> String {
        time::span(seconds, self.0)
    }

    /// How long ago that was; `None` when it is no time.
    pub fn age(self, utc: &str, now: Timestamp) -> Option<String> {
        seconds_since(utc, now).map(|seconds| self.span(seconds))
    }

    /// Free space, and how far it goes.
    pub fn room(self, free: u64, total: Option<u64>, studies_left: Option<u64>, brief: bool) -> String {
        let total = total.filter(|total| *total > 0);
        let of = total.filter(|_| !brief).map(|total| self.pick(" of ", " / ") + &bytes(total)).unwrap_or_default();
        let used = total.map(|total| total.saturating_sub(free) as f64 * 100.0 / total as f64);
        let used = used.map(|used| self.pick(&format!("{used:.0} % used, "), &format!("已用 {used:.0} %，")));
        let free = self.pick(&format!("{} free{of}", bytes(free)), &format!("剩余 {}{of}", bytes(free)));
        let left = studies_left.map(|left| {
            let studies = if left == 1 { "study" } else { "studies" };
            self.pick(&format!(", room for ~{left} {studies}"), &format!("，约可再存 {left} 个检查"))
        });
        used.unwrap_or_default() + &free + &left.unwrap_or_default()
    }

    /// Empty when it is far away or not known.
    pub fn forecast(self, forecast: &Forecast) -> String {
        let because = match forecast.because {
            Some(Because::Age) => self.pick(" (by age)", "（到期）"),
            Some(Because::Space) | None => String::new(),
        };
        let begins = match forecast.days_left {
            Some(days) if days <= 0.0 => self.pick("eviction has begun", "已开始清理"),
            Some(days) if days < 1.0 => self.pick("eviction within a day", "一天内开始清理"),
            Some(days) if days <= 3650.0 => {
                let unit = if days < 1.5 { "day" } else { "days" };
                self.pick(&format!("eviction in ~{days:.0} {unit}"), &format!("约 {days:.0} 天后开始清理"))
            }
            Some(_) | None => return String::new(),
        };
        begins + &because
    }
}

pub fn seconds_since(utc: &str, now: Timestamp) -> Option<f64> {
    let then = utc.parse::<Timestamp>().ok()?;
    Some(now.duration_since(then).as_secs_f64())
}

/// Page of help, one paragraph an entry; those that begin with a blank are not wrapped as text.
pub fn help(words: Words) -> Vec<(String, String)> {
    let rows: [(&str, &str, &str); 15] = [
        ("q, Ctrl-C", "end", "退出"),
        ("?, h", "this page; the same key or Esc goes back", "本页；再按一次或按 Esc 返回"),
        ("Up, Down, j, k", "choose a study; in a page: scroll", "选择检查；在页面中滚动"),
        ("PgUp, PgDn, Home, End", "ten rows, first, last", "十行、第一行、最后一行"),
        ("Enter", "verdicts, reasons and journal of the chosen study", "所选检查的结论、原因和记录"),
        ("Esc, Backspace, Left", "go back; in the overview: choose none", "返回；在总览中取消选择"),
        ("p, Space", "lists of studies and events stand still, and go on", "检查和事件列表暂停或继续"),
        ("n", "show or hide names of patients (hidden at the start)", "显示或隐藏患者姓名（开始时隐藏）"),
        ("Ctrl-L, Ctrl-Z", "draw anew; suspend", "重新绘制；挂起"),
        ("", "", ""),
        (
            "WELL",
            "the box does all it should. ATTENTION: it works, and somebody should look. NOT WELL: it does not do what it is for. The reasons stand behind.",
            "正常：一切工作正常。注意：能工作，但需要有人查看。异常：不能完成任务。原因列在后面。",
        ),
        (
            "small windows",
            "What does not fit is left out in this order: events; disk; live video; destinations; receiving and analysing; studies. What is wrong is always told at the top.",
            "窗口太小时依次省略：事件、磁盘、实时视频、接收方、接收与分析、检查。异常总是显示在顶部。",
        ),
        (
            "live video",
            "pictures a second over the last five seconds; lost: by the device, in this exam or since the start; overlay: from capture to the overlay, median and 99 %.",
            "每秒画面数为最近五秒平均；丢失：设备在本次检查或启动以来丢失的画面；叠加：从采集到叠加显示的延迟，中位数和 99 %。",
        ),
        (
            "parked, held",
            "parked: not tried again until somebody asks (`scansidectl outbox retry`). held: made with a simulated device; not sent.",
            "搁置：有人要求前不再尝试（scansidectl outbox retry）。保留：由模拟设备产生，不发送。",
        ),
        (
            "lines instead",
            "`scansidectl watch --plain` or `--json`, or a pipe.",
            "scansidectl watch --plain 或 --json，或用管道输出。",
        ),
    ];
    rows.map(|(key, english, chinese)| {
        let key = match (words.0, key) {
            (Language::Chinese, "WELL") => "正常",
            (Language::Chinese, "small windows") => "小窗口",
            (Language::Chinese, "live video") => "实时视频",
            (Language::Chinese, "parked, held") => "搁置、保留",
            (Language::Chinese, "lines instead") => "逐行输出",
            (_, key) => key,
        };
        (key.to_owned(), words.pick(english, chinese))
    })
    .to_vec()
}
