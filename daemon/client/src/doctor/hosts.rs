//! The machines that may run networks of studies: whether each is there, is ready, has the network of the package, and is quick.

use node::inference::HostFault;
use study::model::hosts::Look;

use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, looked};

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    if facts.inference_hosts.is_empty() {
        return Vec::new();
    }
    let found: Vec<Finding> = facts.inference_hosts.iter().filter_map(probed).collect();
    let seen = match found.is_empty() {
        true => both!("answer with the right networks", "响应正常，网络一致"),
        false => both!("trouble", "有问题"),
    };
    looked(checked, both!("inference hosts", "推理主机"), seen);
    found
}

/// What a look at a host found; `None` when all is well.
pub fn probed(look: &Look) -> Option<Finding> {
    let Look { host, place, package, .. } = look;
    let (kind, why) = match &look.outcome {
        Ok(seen) if seen.is_slow => {
            let (run, deadline) = (seen.run_secs, seen.deadline_secs);
            let finding = Finding::new(
                "host-slow",
                Gravity::Warning,
                both!(
                    "Inference host {host} is slow: {run:.1} s for a small run of {package}",
                    "推理主机 {host} 很慢：{package} 的一次小推理用了 {run:.1} 秒"
                ),
                both!(
                    "Look at its load and at the network. A run that takes longer than inference_host.{host}.deadline_secs ({deadline} s) is made here.",
                    "请检查其负载和网络。超过 inference_host.{host}.deadline_secs（{deadline} 秒）的推理由本机完成。"
                ),
            );
            return Some(finding.blocks(effect()));
        }
        Ok(_) => return None,
        Err((kind, why)) => (*kind, why),
    };
    let (code, cause, remedy) = match kind {
        HostFault::NotReachable => (
            "host-not-reachable",
            both!("Inference host {host} cannot be reached: {place}", "无法连接推理主机 {host}：{place}"),
            both!(
                "Compare url, tls and token_file of [inference_host.{host}] with that machine; on another box this one must be in inference.neighbours.",
                "请核对 [inference_host.{host}] 中的 url、tls 和 token_file；对方若是 Scanside，须在其 inference.neighbours 中登记本机地址。"
            ),
        ),
        HostFault::NotTheProtocol => (
            "host-not-the-protocol",
            both!(
                "What answers at {place} is no inference server (Open Inference Protocol)",
                "{place} 处不是推理服务器（Open Inference Protocol）"
            ),
            both!(
                "Correct inference_host.{host}.url: the address below which its /v2 is.",
                "请修改 inference_host.{host}.url：应为其 /v2 的上一级地址。"
            ),
        ),
        HostFault::NotReady => (
            "host-not-ready",
            both!("Inference host {host} is there and not ready", "推理主机 {host} 在线但未就绪"),
            both!("Wait, or look at that machine's log.", "请稍候，或查看该机器的日志。"),
        ),
        HostFault::NoModel => (
            "host-has-no-model",
            both!("Inference host {host} has no network of {package}", "推理主机 {host} 没有 {package} 的网络"),
            both!(
                "Install the package's network there under the name that is below, or name it in [inference_host.{host}.models].",
                "请在该机器上以下列名称安装该模型包的网络，或在 [inference_host.{host}.models] 中写明其名称。"
            ),
        ),
        HostFault::AnotherHash | HostFault::AnotherSignature => (
            "host-has-another-model",
            both!(
                "Inference host {host} has another network than {package}",
                "推理主机 {host} 上的网络与 {package} 不一致"
            ),
            both!(
                "Install there the very file of the package that is active here, and state its SHA-256 (operator guide, inference hosts).",
                "请在该机器上安装与本机启用的模型包完全相同的文件，并写明其 SHA-256（见操作手册“推理主机”）。"
            ),
        ),
        HostFault::TooLate | HostFault::BadAnswer | HostFault::BadInput | HostFault::GivenUp => (
            "host-answers-wrongly",
            both!(
                "Inference host {host} does not give the known answer of {package}",
                "推理主机 {host} 未给出 {package} 的已知答案"
            ),
            both!(
                "Look at that machine's log and load; compare its precision (it must be that of the package's file).",
                "请查看该机器的日志和负载，并核对其运算精度（须与模型包文件一致）。"
            ),
        ),
    };
    Some(Finding::new(code, Gravity::Warning, cause, remedy).blocks(effect()).seen(Text::same(why)))
}

fn effect() -> Text {
    both!("Studies are analysed here; nothing is lost, it takes longer.", "检查由本机分析；不会丢失，只是更慢。")
}
