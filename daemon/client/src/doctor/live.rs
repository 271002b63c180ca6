//! The live path: capture device, signal, page.

use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, looked};

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found: Vec<Finding> = [simulated(facts), capture(facts)].into_iter().flatten().collect();
    if found.iter().all(|finding| finding.code != "capture-missing") {
        found.extend(sign(facts, checked));
    }
    found.extend(page(facts));
    found
}

fn simulated(facts: &Facts) -> Option<Finding> {
    facts.status.as_ref().is_some_and(|status| status.simulated).then(|| {
        Finding::new(
            "simulated",
            Gravity::Note,
            both!(
                "A simulated device is in use: nothing that this box says is for patients",
                "正在使用模拟设备：本机的任何结果都不得用于患者"
            ),
            both!(
                "On a box for patients correct accelerator.provider and live.device.",
                "临床使用时请修正 accelerator.provider 和 live.device。"
            ),
        )
    })
}

fn capture(facts: &Facts) -> Option<Finding> {
    let capture = facts.capture.as_ref().filter(|capture| !capture.exists)?;
    let device = &capture.device;
    let others = capture.others.join(", ");
    let remedy = if others.is_empty() {
        both!(
            "Plug the capture card in again and look at `dmesg | tail`; another USB port may help.",
            "重新插好采集卡并查看 `dmesg | tail`，必要时换一个 USB 口。"
        )
    } else {
        both!("Set live.device to the one that is there: {others}.", "请把 live.device 改为现有的设备：{others}。")
    };
    Some(
        Finding::new(
            "capture-missing",
            Gravity::Broken,
            both!("The capture device is not there: {device}", "找不到视频采集设备：{device}"),
            remedy,
        )
        .seen(if others.is_empty() {
            both!("there is no video device at all", "本机没有任何视频设备")
        } else {
            both!("there are: {others}", "现有设备：{others}")
        })
        .blocks(both!("No live pictures; studies are not affected.", "没有实时图像；检查分析不受影响。")),
    )
}

fn sign(facts: &Facts, checked: &mut Vec<Checked>) -> Option<Finding> {
    let live = facts.live.as_ref().filter(|live| live.sign != "off")?;
    let sign = &live.sign;
    looked(checked, both!("live path", "实时通道"), both!("{sign}", "{sign}"));
    let reason = live.reason.clone().map(Text::same).unwrap_or_default();
    let source = &live.source;
    let (code, gravity, cause, remedy) = match sign.as_str() {
        "no_signal" => (
            "no-signal",
            Gravity::Broken,
            both!("No video signal comes from the scanner", "没有来自设备的视频信号"),
            both!(
                "Is the scanner on, its video output switched on, the cable seated at both ends? Try the other output of the scanner.",
                "设备是否开机、视频输出是否打开、两端线缆是否插好？可换用设备的另一路视频输出。"
            ),
        ),
        "failed" => (
            "live-failed",
            Gravity::Broken,
            both!("The live path does not work", "实时通道无法工作"),
            both!(
                "`scansidectl live status`, then `journalctl -u scansided -e`.",
                "先看 `scansidectl live status`，再看 `journalctl -u scansided -e`。"
            ),
        ),
        "no_overlay" => (
            "no-overlay",
            Gravity::Warning,
            both!("Live pictures have no overlay", "实时图像没有标注"),
            both!(
                "`scansidectl models list`; for an unknown screen `scansidectl live profile learn`.",
                "检查 `scansidectl models list`；若设备界面未识别，执行 `scansidectl live profile learn`。"
            ),
        ),
        _ if live.recording == "failed" => (
            "not-recorded",
            Gravity::Broken,
            both!("Live exams are not recorded", "实时检查没有被记录"),
            both!("Most often the disk is full; see above.", "多数情况是磁盘已满，参见上文。"),
        ),
        _ => return None,
    };
    let recording =
        live.recording_reason.clone().filter(|_| code == "not-recorded").map(Text::same).unwrap_or_default();
    Some(
        Finding::new(code, gravity, cause, remedy)
            .seen(both!("source: {source}", "来源：{source}"))
            .seen(reason)
            .seen(recording),
    )
}

fn page(facts: &Facts) -> Option<Finding> {
    let page = facts.page.as_ref()?;
    let failure = page.failure.as_ref()?;
    let address = &page.address;
    facts.status.as_ref()?;
    Some(
        Finding::new(
            "page-unreachable",
            Gravity::Warning,
            both!("The live page cannot be opened at {address}", "无法打开实时页面 {address}"),
            both!("Another program may have the port (`ss -ltnp`), or the address is not this box's: see console.address, then restart scansided.", "端口可能被其他程序占用（`ss -ltnp`），或该地址不属于本机：请检查 console.address 后重启 scansided。"),
        )
        .seen(Text::same(failure)),
    )
}
