//! The senders: those that are configured and those that came; which is silent against its habit.

use serde::Serialize;

use super::asked::{List, given};
use super::text::both;
use super::{Checked, DAY, Facts, Finding, Gravity, age, looked, span};
use crate::{Caller, Sender};

/// A sender has a habit when it sent in at least so many different hours of the last 28 days.
const HABIT_HOURS: usize = 6;
/// It is silent after twice its longest pause, and not before.
const LEAST_SILENCE: f64 = DAY;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownSender {
    pub ae_title: String,
    /// `None`: any.
    pub address: Option<String>,
    pub configured: bool,
    /// Last association or instance.
    pub last_utc: Option<String>,
    pub studies: u64,
    pub instances: u64,
}

/// Configured senders first, then others that were accepted or sent.
pub fn known(configured: &[(String, String)], callers: &[Caller], sent: &[Sender]) -> Vec<KnownSender> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut all: Vec<KnownSender> = configured
        .iter()
        .map(|(ae, address)| KnownSender {
            ae_title: ae.clone(),
            address: some(address),
            configured: true,
            last_utc: None,
            studies: 0,
            instances: 0,
        })
        .collect();
    let mut add = |ae: &str, address: &str, utc: &str, studies: u64, instances: u64| {
        let same = |known: &&mut KnownSender| {
            known.ae_title == ae && known.address.as_deref().is_none_or(|own| own == address)
        };
        match all.iter_mut().find(same) {
            Some(known) => {
                known.last_utc = known.last_utc.take().max(some(utc));
                known.studies += studies;
                known.instances += instances;
            }
            None => all.push(KnownSender {
                ae_title: ae.to_owned(),
                address: some(address),
                configured: false,
                last_utc: some(utc),
                studies,
                instances,
            }),
        }
    };
    for sender in sent {
        add(&sender.calling_ae, &sender.address, &sender.last_utc, sender.studies, sender.instances);
    }
    for caller in callers.iter().filter(|caller| caller.outcome == "accepted") {
        add(&caller.calling_ae, &caller.address, &caller.last_utc, 0, 0);
    }
    all
}

/// The configuration entry that admits a caller.
pub fn entry(caller: &Caller, any_address: bool) -> String {
    let day = caller.last_utc.get(..10).unwrap_or_default();
    let text = |value: &str| serde_json::to_string(value).unwrap_or_default();
    let address = if any_address { String::new() } else { format!("address = {}\n", text(&caller.address)) };
    format!("# Learnt from its call of {day}.\n[[dicom.sender]]\nae_title = {}\n{address}", text(&caller.calling_ae))
}

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let lists = [List::Callers, List::Sent];
    if facts.status.is_none() || !given(facts, &lists, both!("habits", "发送习惯"), checked) {
        return Vec::new();
    }
    let found: Vec<Finding> = facts.sent.iter().filter_map(|sender| silent(facts, sender)).collect();
    let n = facts.sent.iter().filter(|sender| sender.hours.len() >= HABIT_HOURS).count();
    if found.is_empty() && n > 0 {
        looked(checked, both!("habits", "发送习惯"), both!("{n} scanners send as they use to", "{n} 台设备发送正常"));
    }
    found
}

/// Seconds of the longest pause between two hours in which it sent.
fn longest_pause(hours: &[String]) -> Option<f64> {
    let times: Vec<jiff::Timestamp> = hours.iter().filter_map(|hour| format!("{hour}:00:00Z").parse().ok()).collect();
    times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).reduce(f64::max)
}

fn silent(facts: &Facts, sender: &Sender) -> Option<Finding> {
    if sender.hours.len() < HABIT_HOURS {
        return None;
    }
    let usual = longest_pause(&sender.hours)?;
    let last_call = facts
        .callers
        .iter()
        .filter(|caller| caller.outcome == "accepted" && caller.calling_ae == sender.calling_ae)
        .map(|caller| caller.last_utc.as_str())
        .max();
    let quiet = age(facts, &sender.last_utc)?;
    if quiet < (2.0 * usual).max(LEAST_SILENCE) {
        return None;
    }
    let (ae, address) = (&sender.calling_ae, &sender.address);
    let (quiet, usual) = (span(quiet), span(usual));
    let (quiet_en, quiet_zh, usual_en, usual_zh) = (quiet.en, quiet.zh, usual.en, usual.zh);
    let mut finding = Finding::new(
        "scanner-silent",
        Gravity::Warning,
        both!("{ae} ({address}) has sent nothing for {quiet_en}", "{ae}（{address}）已有 {quiet_zh} 没有发送检查"),
        both!("Is it in service? On the scanner look at its network queue and run its \"verify\"; check that this box is still among its destinations.", "设备是否在使用？请在设备上查看发送队列并做一次连通性测试（Verify），确认本机仍在其目的地列表中。"),
    )
    .seen(both!("its longest pause in 28 days was {usual_en}", "近 28 天内最长间隔为 {usual_zh}"));
    if let Some(utc) = last_call {
        finding = finding.seen(both!("its last connection: {utc}", "最近一次连接：{utc}"));
    }
    Some(finding)
}
