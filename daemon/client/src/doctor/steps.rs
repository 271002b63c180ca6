//! The manager (RIS) that is told of the box's own exams by MPPS, and what it was not told.

use node::probe::Probe;
use node::send::{Target, Way};

use super::network::{LATE, trouble};
use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, age, looked, many, span};

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(manager) = &facts.step_manager
        && let Way::Dimse(target) = &manager.way
    {
        let trouble = manager.probe.as_ref().and_then(|probe| probed(target, probe));
        let seen = if trouble.is_some() { both!("trouble", "有问题") } else { both!("answers", "有响应") };
        looked(checked, both!("manager of exams (MPPS)", "检查状态接收方（MPPS）"), seen);
        match trouble {
            Some(trouble) => found.push(trouble.seen(waiting(facts))),
            None => found.extend(late(facts)),
        }
    }
    found.extend(refused(facts));
    found
}

/// What a test of the manager found; `None` when all is well.
pub fn probed(target: &Target, probe: &Probe) -> Option<Finding> {
    let seen = trouble(probe)?;
    let (address, called, calling) = (&target.address, target.called_ae.trim(), target.calling_ae.trim());
    let finding = Finding::new(
        "mpps-manager",
        Gravity::Warning,
        both!(
            "The manager {called} at {address} cannot be told of exams (MPPS)",
            "无法向 {called}（{address}）报告检查状态（MPPS）"
        ),
        both!(
            "What failed is below. Compare address, ae_title, calling_ae_title and tls of [mpps] with the RIS, and have {calling} with this box's address entered there.",
            "失败原因见下。请与 RIS 核对 [mpps] 中的 address、ae_title、calling_ae_title 和 tls，并在 RIS 中登记 {calling} 及本机地址。"
        ),
    );
    let effect = both!(
        "Exams go on; what happened to them is told when it can be, in order.",
        "检查照常进行；恢复后会按顺序补报。"
    );
    Some(finding.blocks(effect).seen(seen))
}

fn waiting(facts: &Facts) -> Text {
    let Some(status) = facts.status.as_ref().filter(|status| status.steps_waiting > 0) else { return Text::default() };
    let (n, exams) = (status.steps_waiting, many(status.steps_waiting, "exam"));
    both!("{exams} to be told", "{n} 次检查待报告")
}

fn late(facts: &Facts) -> Option<Finding> {
    let status = facts.status.as_ref().filter(|status| status.steps_waiting > 0)?;
    let oldest = age(facts, status.oldest_step_utc.as_deref()?).filter(|oldest| *oldest >= LATE)?;
    let Text { en: waits_en, zh: waits_zh } = span(oldest);
    let said = status.steps_reason.clone().map(Text::same).unwrap_or_default();
    let finding = Finding::new(
        "mpps-late",
        Gravity::Warning,
        both!("The manager of exams was not told, although it answers now", "检查状态尚未报告，但接收方现在有响应"),
        both!(
            "What it said last is below; it is told again soon. If it refuses everything, compare [mpps] with the RIS.",
            "对方最近的回复见下，稍后会自动重试。若始终拒绝，请与 RIS 核对 [mpps]。"
        ),
    );
    Some(finding.seen(waiting(facts)).seen(both!("the oldest for {waits_en}", "最久已 {waits_zh}")).seen(said))
}

fn refused(facts: &Facts) -> Option<Finding> {
    let status = facts.status.as_ref().filter(|status| status.steps_parked > 0)?;
    let (n, exams) = (status.steps_parked, many(status.steps_parked, "exam"));
    let said = status.steps_reason.clone().map(Text::same).unwrap_or_default();
    let finding = Finding::new(
        "mpps-refused",
        Gravity::Warning,
        both!("The manager refuses to be told of {exams} (MPPS)", "接收方拒绝 {n} 次检查的状态报告（MPPS）"),
        both!(
            "Have the reason looked at in the RIS, and close these orders there by hand. The box tells it again when it starts the next time.",
            "请在 RIS 中查明原因，并手工关闭这些医嘱。本机下次启动时会重试。"
        ),
    );
    let effect = both!("The RIS goes on expecting these exams.", "RIS 会一直等待这些检查。");
    Some(finding.blocks(effect).seen(said))
}
