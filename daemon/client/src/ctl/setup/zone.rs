//! The question of the time zone: "today" is that of the machine, and a machine that nobody has asked is in UTC.

use std::process::Stdio;

use super::answers::{Answers, NONE};
use super::check::{Checked, Site};
use crate::doctor::clock::is_utc;
use crate::doctor::text::{Text, both};

pub const UTC: &str = "UTC";
const CHECK: &str = "time_zone";

/// `Asia/shanghai` becomes `Asia/Shanghai`.
pub(super) fn check(answers: &mut Answers, site: Site<'_>) -> Checked {
    let now = site.machine.zone();
    if answers.time_zone == NONE {
        return unsaid(now.as_deref(), site.asks);
    }
    let Some(zone) = known(&answers.time_zone) else {
        let seen = both!("is no time zone that this machine knows", "本机没有该时区");
        return Checked::wrong(CHECK, &answers.time_zone, seen, examples());
    };
    answers.time_zone.clone_from(&zone);
    let today = jiff::tz::TimeZone::get(&zone).map_or_else(
        |_| String::new(),
        |zone| jiff::Timestamp::now().to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
    );
    let seen = match (now, command(answers, site)) {
        (Some(now), Some(command)) => both!(
            "it is {today} there; the machine is in {now}: `{command}` changes that",
            "当地时间 {today}；本机时区为 {now}，由 `{command}` 修改"
        ),
        (None, Some(command)) => {
            both!(
                "it is {today} there; the zone of the machine is not known: `{command}` sets it",
                "当地时间 {today}；本机时区未知，由 `{command}` 设置"
            )
        }
        (_, None) => both!("it is {today} there, as on this machine", "当地时间 {today}，与本机一致"),
    };
    Checked::good(CHECK, &zone, seen)
}

/// Who is asked and says nothing has not confirmed UTC; where nobody is asked the doctor goes on remarking on it.
fn unsaid(now: Option<&str>, asks: bool) -> Checked {
    match now.filter(|zone| is_utc(zone)) {
        Some(_) if asks => {
            let seen = both!(
                "this box counts days in UTC, and nobody has said that this is right",
                "本机按 UTC 计算日期，且尚未有人确认"
            );
            Checked::doubtful(CHECK, NONE, seen, examples())
        }
        Some(_) => {
            Checked::good(CHECK, NONE, both!("stays UTC; the doctor goes on remarking on it", "保持 UTC；自检仍会提示"))
        }
        None => Checked::good(CHECK, NONE, both!("stays as it is", "保持不变")),
    }
}

fn examples() -> Text {
    both!(
        "The zone of the clinic, as Asia/Shanghai or Europe/Berlin (`timedatectl list-timezones`); UTC where that is right.",
        "填写所在地时区，如 Asia/Shanghai（见 `timedatectl list-timezones`）；确实使用 UTC 时填 UTC。"
    )
}

fn known(typed: &str) -> Option<String> {
    if is_utc(typed) {
        return Some(UTC.into());
    }
    let zone = jiff::tz::TimeZone::get(typed).ok()?;
    zone.iana_name().map(str::to_owned)
}

/// What puts the machine into the zone of the answer; `None` where it is in it, or nothing was said.
pub(super) fn command(answers: &Answers, site: Site<'_>) -> Option<String> {
    let wanted = answers.time_zone.as_str();
    let same = |now: &str| now == wanted || (is_utc(now) && is_utc(wanted));
    let is_there = wanted == NONE || site.machine.zone().is_some_and(|now| same(&now));
    (!is_there).then(|| format!("timedatectl set-timezone {wanted}"))
}

/// Runs it; `false`: it did not succeed.
pub(super) async fn set(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else { return false };
    let run = tokio::process::Command::new(program).args(words).stdin(Stdio::null()).status();
    matches!(tokio::time::timeout(crate::ctl::peers::PATIENCE, run).await, Ok(Ok(status)) if status.success())
}
