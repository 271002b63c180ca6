//! Is the clock to be believed? By what the box itself wrote down, by its time server, by what the scanners say.

use jiff::civil::Date;

use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, age, looked, many, not_looked};
use crate::Sender;

/// A clock may be that much behind what was written before: seconds.
const TOLERANCE: f64 = 120.0;

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let wrong = behind(facts).or_else(|| scanners_disagree(facts));
    let area = both!("clock", "时钟");
    match (&wrong, facts.clock.synchronised) {
        (Some(_), _) => looked(checked, area, both!("wrong", "不准")),
        (None, Some(true)) => looked(checked, area, both!("set by a time server", "由时间服务器校准")),
        (None, Some(false)) => {
            looked(checked, area, both!("plausible; no time server sets it", "合理；未与时间服务器同步"))
        }
        (None, None) => {
            not_looked(checked, area, both!("nothing on this box says whether it is set", "本机无法得知是否已校准"))
        }
    }
    let mut found: Vec<Finding> = wrong.into_iter().collect();
    if found.is_empty() {
        found.extend(no_source(facts));
        found.extend(rows_ahead(facts));
    }
    found.extend(zone_unsaid(facts));
    found.extend(super::certificates::judge(facts, checked, trust(facts)));
    found
}

fn remedy() -> Text {
    both!(
        "Set it (`timedatectl set-time`), name a time server in /etc/systemd/timesyncd.conf, and replace the clock battery if it comes again.",
        "用 `timedatectl set-time` 校正，在 /etc/systemd/timesyncd.conf 中指定时间服务器；若再次出现请更换时钟电池。"
    )
}

/// Whether dates of certificates can be judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Trusted,
    /// Nothing says that it is right, and nothing that it is wrong.
    Unknown,
    Wrong,
}

/// By a time server, or because the site says so, as for the daemon (`dicom.tls.judge_dates`).
pub fn trust(facts: &Facts) -> Trust {
    if behind(facts).or_else(|| scanners_disagree(facts)).is_some() {
        Trust::Wrong
    } else if facts.clock.synchronised == Some(true) || facts.config.judges_dates {
        Trust::Trusted
    } else {
        Trust::Unknown
    }
}

fn behind(facts: &Facts) -> Option<Finding> {
    let now = &facts.now_utc;
    let clock = &facts.clock;
    // A time server knows better than what was written while the clock was ahead.
    if clock.synchronised == Some(true) {
        return None;
    }
    for (then, what) in [
        (&clock.newest_row_utc, both!("something was written down", "已有记录")),
        (&clock.program_utc, both!("the software was installed", "软件安装")),
    ] {
        let Some(then) = then else { continue };
        let Some(by) = age(facts, then).map(|age| -age).filter(|by| *by > TOLERANCE) else { continue };
        let (by, Text { en, zh }) = (super::span(by), what);
        let (by_en, by_zh) = (by.en, by.zh);
        return Some(
            Finding::new(
                "clock-behind",
                Gravity::Broken,
                both!("The clock is behind by at least {by_en}", "时钟至少慢了 {by_zh}"),
                remedy(),
            )
            .seen(both!("it says {now}, but {en} at {then}", "当前显示 {now}，但{zh}时间为 {then}"))
            .blocks(both!(
                "Results carry wrong times; certificates cannot be judged.",
                "结果中的时间不正确，也无法判断证书是否过期。"
            )),
        );
    }
    None
}

/// Whether days in this zone are those of UTC.
pub fn is_utc(zone: &str) -> bool {
    let name = zone.rsplit('/').next().unwrap_or(zone);
    ["UTC", "UCT", "Universal", "Zulu", "GMT", "GMT0", "Greenwich"].iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Images and servers come in UTC: nobody may have chosen it.
fn zone_unsaid(facts: &Facts) -> Option<Finding> {
    let zone = facts.clock.zone.as_ref().filter(|zone| is_utc(zone) && !facts.config.utc_is_right)?;
    let finding = Finding::new(
        "zone-not-confirmed",
        Gravity::Note,
        both!(
            "The time zone of this box is {zone}, and nobody has said that this is right",
            "本机时区为 {zone}，且尚未有人确认"
        ),
        both!(
            "`sudo scansidectl setup --time-zone Asia/Shanghai` with the zone of the clinic, or `--time-zone UTC` where UTC is right.",
            "用 `sudo scansidectl setup --time-zone Asia/Shanghai` 指定所在地时区；若确实使用 UTC，则用 `--time-zone UTC`。"
        ),
    );
    Some(finding.blocks(both!(
        "For hours of each day \"today\" is another day than that of the clinic: entries are refused as of the future, recalls are overdue early or late, exams get another date.",
        "每天有数小时本机的“今天”与当地日期不同：登记会被视为未来日期而拒绝，复查逾期提前或推迟，检查日期不符。"
    )))
}

/// What came while the clock was ahead keeps the time of then.
fn rows_ahead(facts: &Facts) -> Option<Finding> {
    let ahead = |utc: &&String| age(facts, utc).is_some_and(|age| age < -TOLERANCE);
    let studies = facts.studies_utc.iter().filter(ahead).count();
    let senders = facts.sent.iter().filter(|sender| ahead(&&sender.last_utc)).count();
    if studies + senders == 0 {
        return None;
    }
    let (cause, n) = if studies > 0 {
        let noun = if studies == 1 { "study" } else { "studies" };
        (format!("Dated in the future: {studies} {noun}"), studies)
    } else {
        (format!("Dated in the future: the newest image of {}", many(senders, "scanner")), senders)
    };
    let cause = Text { en: cause, zh: format!("有 {n} 条记录的时间晚于本机时间") };
    let remedy = if facts.clock.synchronised == Some(true) {
        both!(
            "Nothing: the clock was ahead when they came, and is right now. They are evicted in the order of arrival.",
            "无需处理：当时本机时钟偏快，现在已正确。清理仍按到达顺序进行。"
        )
    } else {
        both!(
            "Compare the clock with a watch (`scansidectl clock`): it was ahead when they came, or it is behind now.",
            "请与手表核对（`scansidectl clock`）：可能当时时钟偏快，也可能现在偏慢。"
        )
    };
    Some(Finding::new("rows-in-the-future", Gravity::Note, cause, remedy))
}

/// A scanner makes no study in the future. One that is a day off may be a time zone; two are not.
fn scanners_disagree(facts: &Facts) -> Option<Finding> {
    let days: Vec<(i32, &str, &str)> = facts
        .sent
        .iter()
        .filter_map(|sender| {
            let ahead = days_ahead(sender)?;
            (ahead >= 2).then_some((ahead, sender.calling_ae.as_str(), sender.last_study_date.as_str()))
        })
        .collect();
    let (ahead, scanner, made) = *days.first()?;
    let all = days.len() == facts.sent.len() && days.len() > 1;
    let cause = if all {
        both!("This box's clock is behind: all scanners are ahead of it", "本机时钟偏慢：所有设备的日期都在本机之后")
    } else {
        both!(
            "This box and {scanner} disagree about the date by {ahead} days",
            "本机与 {scanner} 的日期相差 {ahead} 天"
        )
    };
    Some(
        Finding::new("clock-offset", if all { Gravity::Broken } else { Gravity::Warning }, cause, {
            let own = remedy();
            Text {
                en: format!("Look which of the two is right. The box: {}", own.en),
                zh: format!("先确认哪一方正确。本机：{}", own.zh),
            }
        })
        .seen(both!(
            "{scanner} sent a study of {made} that lies {ahead} days in the future",
            "{scanner} 发来的检查日期为 {made}，比本机日期晚 {ahead} 天"
        )),
    )
}

/// Days by which the date of a scanner's last study is ahead of the day on which it came: all that is known of its clock.
/// `None` where it gives no date. An old study that is sent again has many days less than nothing.
pub fn days_ahead(sender: &Sender) -> Option<i32> {
    let made = date(&sender.last_study_date)?;
    // Scanners write local dates.
    let came = hal::clock::local_day_of(&sender.last_utc)?;
    Some(came.until(made).ok()?.get_days())
}

/// Why the clock is not to be believed, if it is not: what is wrong with it, or that nothing says that it is right.
pub fn distrust(facts: &Facts) -> Option<Text> {
    let wrong = behind(facts).or_else(|| scanners_disagree(facts)).or_else(|| no_source(facts));
    match (wrong, facts.clock.synchronised) {
        (Some(finding), _) => Some(finding.cause),
        (None, Some(true)) => None,
        (None, Some(false)) => Some(both!("No time server sets it", "未与时间服务器同步")),
        (None, None) => Some(both!("Nothing on this box says whether it is set", "本机无法得知是否已校准")),
    }
}

fn no_source(facts: &Facts) -> Option<Finding> {
    let clock = &facts.clock;
    (clock.synchronised == Some(false) && clock.has_rtc == Some(false)).then(|| {
        Finding::new(
            "clock-not-trusted",
            Gravity::Warning,
            both!(
                "Nothing keeps the clock right: no time server, and no clock that runs without power",
                "时钟没有可靠来源：没有时间服务器，也没有断电后继续走时的硬件时钟"
            ),
            remedy(),
        )
        .blocks(both!(
            "After a power cut times may be wrong. Studies are received all the same.",
            "断电后时间可能不准，但仍可正常接收检查。"
        ))
    })
}

fn date(dicom: &str) -> Option<Date> {
    if dicom.len() != 8 {
        return None;
    }
    Date::new(dicom.get(..4)?.parse().ok()?, dicom.get(4..6)?.parse().ok()?, dicom.get(6..)?.parse().ok()?).ok()
}
