//! The archive that is asked for earlier studies, and whether it is asked in vain.

use node::probe::Probe;
use node::send::{Target, Way};

use super::network::trouble;
use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, looked};

/// So many questions, one after the other, came to nothing: no chance.
const OFTEN: u32 = 3;

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let Some(archive) = &facts.prior_archive else { return Vec::new() };
    let Way::Dimse(target) = &archive.way else { return Vec::new() };
    let trouble = archive.probe.as_ref().and_then(|probe| probed(target, probe));
    let seen = if trouble.is_some() { both!("trouble", "有问题") } else { both!("answers", "有响应") };
    looked(checked, both!("archive of earlier studies", "既往检查归档服务器"), seen);
    trouble.map_or_else(|| in_vain(facts, target), Some).into_iter().collect()
}

/// What a test of the archive found; `None` when all is well.
pub fn probed(target: &Target, probe: &Probe) -> Option<Finding> {
    let seen = trouble(probe)?;
    let (address, called, calling) = (&target.address, target.called_ae.trim(), target.calling_ae.trim());
    let finding = Finding::new(
        "prior-archive",
        Gravity::Warning,
        both!(
            "The archive {called} at {address} gives no earlier studies",
            "归档服务器 {called}（{address}）无法提供既往检查"
        ),
        both!(
            "What failed is below. Compare address, ae_title, calling_ae_title and tls of [prior] with the archive, and have {calling} allowed there to query and retrieve (C-FIND, and C-GET or C-MOVE).",
            "失败原因见下。请与归档服务器核对 [prior] 中的 address、ae_title、calling_ae_title 和 tls，并允许 {calling} 查询和调取（C-FIND，以及 C-GET 或 C-MOVE）。"
        ),
    );
    Some(finding.blocks(effect()).seen(seen))
}

fn effect() -> Text {
    both!(
        "New studies wait for their budget of time and are read without a comparison, unless the earlier study is here.",
        "新检查等待限定时间后直接分析；除非本机已有既往检查，否则不作对比。"
    )
}

fn in_vain(facts: &Facts, target: &Target) -> Option<Finding> {
    let status = facts.status.as_ref().filter(|status| status.priors_in_vain >= OFTEN)?;
    let (n, called, calling) = (status.priors_in_vain, target.called_ae.trim(), target.calling_ae.trim());
    let said = status.priors_reason.clone().map(Text::same).unwrap_or_default();
    let finding = Finding::new(
        "prior-in-vain",
        Gravity::Warning,
        both!(
            "The last {n} questions for an earlier study came to nothing, although {called} answers now",
            "最近 {n} 次调取既往检查均未成功，但 {called} 现在有响应"
        ),
        both!(
            "What it said last is below. For C-MOVE the archive must know {calling} with this box's address and DICOM port; a slow archive needs a longer prior.budget_secs.",
            "最近一次的原因见下。使用 C-MOVE 时，归档服务器须登记 {calling} 及本机地址和 DICOM 端口；若归档较慢，请增大 prior.budget_secs。"
        ),
    );
    Some(finding.blocks(effect()).seen(said))
}
