//! The manager of tasks (Unified Procedure Steps) that this box performs.

use node::probe::Probe;
use node::send::{Target, Way};

use super::network::trouble;
use super::text::both;
use super::{Checked, Facts, Finding, Gravity, looked};

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let Some(manager) = &facts.task_manager else { return Vec::new() };
    let Way::Dimse(target) = &manager.way else { return Vec::new() };
    let trouble = manager.probe.as_ref().and_then(|probe| probed(target, probe));
    let seen = if trouble.is_some() { both!("trouble", "有问题") } else { both!("answers", "有响应") };
    looked(checked, both!("manager of tasks (UPS)", "任务管理器（UPS）"), seen);
    trouble.into_iter().collect()
}

/// What a test of the manager found; `None` when all is well.
pub fn probed(target: &Target, probe: &Probe) -> Option<Finding> {
    let seen = trouble(probe)?;
    let (address, called, calling) = (&target.address, target.called_ae.trim(), target.calling_ae.trim());
    let finding = Finding::new(
        "ups-manager",
        Gravity::Warning,
        both!(
            "The manager {called} at {address} gives no tasks (UPS)",
            "任务管理器 {called}（{address}）无法提供任务（UPS）"
        ),
        both!(
            "What failed is below. Compare address, ae_title, calling_ae_title and tls of [ups] with the manager, and have {calling} with this box's address entered there.",
            "失败原因见下。请与任务管理器核对 [ups] 中的 address、ae_title、calling_ae_title 和 tls，并在其中登记 {calling} 及本机地址。"
        ),
    );
    let effect = both!(
        "What is received is read all the same; tasks that were claimed are ended when the manager answers again.",
        "收到的检查照常分析；已认领的任务在恢复后结束。"
    );
    Some(finding.blocks(effect).seen(seen))
}

/// What a test of a receiver of notices found; `None` when all is well.
pub fn receiver(name: &str, target: &Target, probe: &Probe) -> Option<Finding> {
    let seen = trouble(probe)?;
    let (address, called, calling) = (&target.address, target.called_ae.trim(), target.calling_ae.trim());
    let finding = Finding::new(
        "availability-receiver",
        Gravity::Warning,
        both!(
            "{called} at {address} cannot be told that results are available",
            "无法通知 {called}（{address}）结果已可用"
        ),
        both!(
            "What failed is below. Compare address, ae_title, calling_ae_title and tls of [availability.{name}] with it, and have {calling} with this box's address entered there.",
            "失败原因见下。请核对 [availability.{name}] 中的 address、ae_title、calling_ae_title 和 tls，并在对方登记 {calling} 及本机地址。"
        ),
    );
    Some(finding.seen(seen))
}
