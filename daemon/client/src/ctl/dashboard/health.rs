//! Is the box well: one word, and the reasons, the worst first. Pure.

use super::state::{Link, Now, State};
use super::words::{Words, seconds_since};
use crate::ctl::output::Tone;
use crate::doctor::retained::{FEW_STUDIES, Retained};

/// The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    Well,
    /// It works, and somebody should look.
    Attention,
    /// It does not do what it is for.
    Unwell,
    /// Nothing is known.
    Unknown,
}

impl Health {
    pub fn word(self, words: Words) -> String {
        match self {
            Self::Well => words.pick("WELL", "正常"),
            Self::Attention => words.pick("ATTENTION", "注意"),
            Self::Unwell => words.pick("NOT WELL", "异常"),
            Self::Unknown => words.pick("NO CONNECTION", "无连接"),
        }
    }

    pub fn tone(self) -> Tone {
        match self {
            Self::Well => Tone::Good,
            Self::Attention => Tone::Busy,
            Self::Unwell | Self::Unknown => Tone::Bad,
        }
    }
}

/// A result that has waited for longer is worth a look.
const LONG_WAIT_SECS: f64 = 3600.0;

pub fn judge(state: &State, words: Words, now: Now) -> (Health, Vec<String>) {
    if let Link::Lost { since_ms, why } = &state.link {
        let since = words.span(now.ms.saturating_sub(*since_ms) as f64 / 1000.0);
        let said = words.pick(
            &format!("no connection to the daemon; trying again (for {since}): {why}"),
            &format!("与守护进程没有连接，正在重试（{since}）：{why}"),
        );
        return (Health::Unknown, vec![said]);
    }
    if state.appliance.is_none() {
        return (Health::Unknown, vec![words.pick("asking the daemon", "正在查询守护进程")]);
    }
    let mut found = Vec::new();
    level(state, words, &mut found);
    live(state, words, &mut found);
    work(state, words, now, &mut found);
    found.sort_by_key(|(health, _)| std::cmp::Reverse(*health));
    let worst = found.first().map_or(Health::Well, |(health, _)| *health);
    if found.is_empty() {
        return (worst, vec![words.pick("everything works", "一切工作正常")]);
    }
    (worst, found.into_iter().map(|(_, reason)| reason).collect())
}

type Found = Vec<(Health, String)>;

fn level(state: &State, words: Words, found: &mut Found) {
    let Some(status) = &state.appliance else { return };
    let level = words.state(&status.level);
    match (status.level.as_str(), status.level_reason.as_str()) {
        ("full", "") => {}
        ("full", reason) => found.push((Health::Attention, reason.to_owned())),
        (of, reason) => {
            let health = if of == "reduced" { Health::Attention } else { Health::Unwell };
            found.push((health, if reason.is_empty() { level } else { format!("{level}: {reason}") }));
        }
    }
    if let Some(reason) = &status.heat_reason {
        let heat = words.state(&status.heat);
        found.push((Health::Attention, format!("{heat}: {reason}")));
    }
    if let Some(left) = status.studies_left.filter(|left| *left < FEW_STUDIES)
        && !state.retention.as_ref().is_some_and(|told| Retained::from(told).lasts(status.free_bytes, left))
    {
        found.push((Health::Attention, words.room(status.free_bytes, None, status.studies_left, true)));
    }
}

fn live(state: &State, words: Words, found: &mut Found) {
    let Some(live) = &state.live else { return };
    let health = match live.sign.as_str() {
        "failed" => Health::Unwell,
        "no_signal" | "no_overlay" => Health::Attention,
        _ => Health::Well,
    };
    if health != Health::Well {
        let reason = live.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let video = words.pick("live video", "实时视频");
        found.push((health, format!("{video} {}{reason}", words.state(&live.sign))));
    }
    if live.recording == "failed" {
        let reason = live.recording_reason.as_deref().unwrap_or_default();
        found.push((
            Health::Unwell,
            words.pick(&format!("the exam is not recorded: {reason}"), &format!("本次检查未录制：{reason}")),
        ));
    }
    if live.exam.as_ref().is_some_and(|exam| exam.on_screen.as_deref() == Some("differs")) {
        found.push((
            Health::Attention,
            words.pick("the scanner's screen shows another patient", "设备屏幕显示的是另一位患者"),
        ));
    }
}

fn work(state: &State, words: Words, now: Now, found: &mut Found) {
    let Some(status) = &state.appliance else { return };
    let mut tell = |reason: String| found.push((Health::Attention, reason));
    if status.deliveries_parked > 0 {
        let n = u64::from(status.deliveries_parked);
        tell(words.count(n, "result is parked", "results are parked", "个结果已搁置"));
    }
    if status.steps_parked > 0 {
        let n = status.steps_parked;
        let exams = if n == 1 { "exam was" } else { "exams were" };
        tell(words.pick(&format!("{n} {exams} refused by the RIS"), &format!("RIS 拒绝了 {n} 次检查的通知")));
    }
    if status.jobs_parked > 0 {
        let n = u64::from(status.jobs_parked);
        tell(words.count(n, "job is parked", "jobs are parked", "个任务已搁置"));
    }
    let waited = status.oldest_pending_utc.as_deref().and_then(|utc| seconds_since(utc, now.utc));
    if let Some(waited) = waited.filter(|waited| *waited > LONG_WAIT_SECS && status.deliveries_pending > 0) {
        let waited = words.span(waited);
        tell(words.pick(&format!("the oldest result has waited for {waited}"), &format!("最早的结果已等待 {waited}")));
    }
    if status.quarantined > 0 {
        let n = u64::from(status.quarantined);
        tell(words.count(n, "object is quarantined", "objects are quarantined", "个对象已隔离"));
    }
}

#[cfg(test)]
mod tests {
    use custody::retention::{Kept, What, Why};

    use super::super::fixture::{ENGLISH, busy, now, quiet};
    use super::super::state::Fact;
    use super::*;

    fn judged(state: &State) -> (Health, String) {
        let (health, reasons) = judge(state, ENGLISH, now(60_000));
        (health, reasons.join("; "))
    }

    #[test]
    fn a_box_without_trouble_is_well_and_one_that_is_not_heard_is_not() {
        let mut state = quiet();
        assert_eq!(judged(&state), (Health::Well, "everything works".into()));
        state.learn(Fact::Lost("scansided is not on this bus".into()), now(50_000));
        let told = "no connection to the daemon; trying again (for 10 s): scansided is not on this bus";
        assert_eq!(judged(&state), (Health::Unknown, told.into()));
        assert_eq!(judged(&State::new()).0, Health::Unknown);
    }

    #[test]
    fn the_worst_reason_comes_first() {
        let mut state = busy();
        assert_eq!(judged(&state).0, Health::Attention);
        if let Some(status) = &mut state.appliance {
            (status.level, status.level_reason) = ("no_output".into(), "the disk is full".into());
        }
        let (health, reasons) = judged(&state);
        assert_eq!(health, Health::Unwell);
        assert!(reasons.starts_with("no output: the disk is full; "), "{reasons}");
    }

    #[test]
    fn a_disk_that_eviction_keeps_in_order_is_no_trouble_and_one_of_which_nothing_may_go_is() {
        let mut state = quiet();
        if let Some(status) = &mut state.appliance {
            (status.free_bytes, status.studies_left) = (10 << 30, Some(16));
        }
        assert_eq!(judged(&state).0, Health::Attention, "nothing that came was delivered");
        let mut kept = kept(Why::Evictable, 80 << 30);
        state.retention.as_mut().unwrap().kept = vec![kept];
        assert_eq!(judged(&state), (Health::Well, "everything works".into()));
        kept.why = Why::Undelivered;
        state.retention.as_mut().unwrap().kept = vec![kept];
        assert_eq!(judged(&state).0, Health::Attention);
    }

    fn kept(why: Why, bytes: u64) -> Kept {
        Kept { what: What::Objects, why, count: 1, bytes }
    }

    #[test]
    fn a_hot_box_wants_attention_and_says_what_to_do() {
        let mut state = quiet();
        if let Some(status) = &mut state.appliance {
            (status.heat, status.heat_reason) = ("hot".into(), Some("Clean filter and fan.".into()));
        }
        assert_eq!(judged(&state), (Health::Attention, "hot: Clean filter and fan.".into()));
    }

    #[test]
    fn a_live_path_that_is_off_is_no_trouble_and_one_that_failed_is() {
        let mut state = quiet();
        let sign = |state: &mut State, sign: &str| {
            let live = state.live.get_or_insert_default();
            (live.sign, live.reason) = (sign.to_owned(), Some("the device is gone".into()));
        };
        for (word, health) in [
            ("off", Health::Well),
            ("ready", Health::Well),
            ("paused", Health::Well),
            ("no_signal", Health::Attention),
            ("no_overlay", Health::Attention),
            ("failed", Health::Unwell),
        ] {
            sign(&mut state, word);
            assert_eq!(judged(&state).0, health, "{word}");
        }
    }
}
