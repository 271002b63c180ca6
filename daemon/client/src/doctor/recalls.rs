//! Who was to come again and has not: numbers only, since a finding must not name a patient.

use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, clock, looked, many, not_looked};

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    if let Some(why) = &facts.unread_recalls {
        not_looked(
            checked,
            both!("recalls", "复查"),
            both!("the list could not be read: {why}", "无法读取列表：{why}"),
        );
    }
    // A box without lesions has nothing to look at.
    let Some(recalls) = facts.recalls.as_ref().filter(|recalls| recalls.open > 0) else { return Vec::new() };
    let (open, overdue) = (recalls.open, recalls.overdue);
    let mut findings: Vec<Finding> = moved(recalls.moved).into_iter().collect();
    if overdue == 0 {
        looked(checked, both!("recalls", "复查"), both!("{open} open, none overdue", "{open} 项待复查，无逾期"));
        return findings;
    }
    looked(checked, both!("recalls", "复查"), both!("{overdue} of {open} overdue", "{open} 项中 {overdue} 项逾期"));
    let n = many(overdue, "recall");
    let are = if overdue == 1 { "is" } else { "are" };
    let longest = if overdue == 1 { "" } else { "the longest " };
    let days = many(recalls.longest_days, "day");
    let d = recalls.longest_days;
    let doubt = match clock::distrust(facts) {
        None => Text::default(),
        Some(_) => both!("by this box's clock, which is not to be trusted", "按本机时钟计算，但本机时钟不可信"),
    };
    findings.push(
        Finding::new(
            "recalls-overdue",
            Gravity::Warning,
            both!("{n} {are} overdue, {longest}by {days}", "有 {overdue} 项复查已逾期，最长逾期 {d} 天"),
            both!(
                "`scansidectl recalls list --overdue` or the page /recalls: call who is listed, or enter that the exam was done elsewhere (`recalls done`).",
                "查看 `scansidectl recalls list --overdue` 或页面 /recalls：联系名单中的患者；若已在别处检查，用 `recalls done` 登记。"
            ),
        )
        .seen(doubt)
        .blocks(both!("Somebody who was to come again has not come.", "应复查的患者尚未前来。")),
    );
    findings
}

/// Who was meant is on no list: only a person can enter it.
fn moved(count: u32) -> Option<Finding> {
    let n = many(count, "recall");
    let finding = Finding::new(
        "recalls-moved",
        Gravity::Warning,
        both!(
            "{n} of an exam that has another name or Patient ID now",
            "有 {count} 项复查所依据的检查现属于另一姓名或病历号"
        ),
        both!(
            "`scansidectl recalls list --overdue` or the page /recalls: enter it for the patient whose exam it is, and cancel the one that is there.",
            "查看 `scansidectl recalls list --overdue` 或页面 /recalls：为该检查现在所属的患者登记复查，并取消原有的一项。"
        ),
    );
    let blocks = both!("The patient who is to come again is on no list.", "应复查的患者不在任何名单上。");
    (count > 0).then(|| finding.blocks(blocks))
}
