//! The live path: is there a picture, at which rate, is any lost, and how late is the overlay?

use super::drift::{Figure, Unit, Worse};
use super::judge::time;
use super::measured::{Measured, Video};
use super::{Group, Line, Outcome};
use crate::doctor::text::{Text, both};

/// Fewer are no video, pictures a second.
const SLOWEST: f64 = 5.0;
/// Of a thousand pictures one may be lost.
const MOST_LOST: f64 = 0.001;

pub(super) fn lines(measured: &Measured) -> Vec<Line> {
    let (picture, overlay) = (both!("Video", "视频"), both!("Overlay", "标注"));
    let Some(video) = measured.video.as_ref().filter(|video| video.live.sign != "off") else {
        let seen = both!("the live path is off (live.device is not set)", "实时通道未启用（未设置 live.device）");
        let off = |code: &str, name| Line::new(code, Group::Live, name, Outcome::NotTested, seen.clone());
        return vec![off("video", picture), off("overlay", overlay)];
    };
    // At night nobody scans. In an exam a signal that is gone is a fault.
    if measured.daily && video.live.sign == "no_signal" && video.live.exam.is_none() {
        let seen = both!("the scanner sends no picture; it may be off", "设备没有输出图像，可能已关机");
        let off = |code: &str, name| Line::new(code, Group::Live, name, Outcome::NotTested, seen.clone());
        return vec![off("video", picture), off("overlay", overlay)];
    }
    vec![pictures(video, picture), latency(video, measured.deadline_ms, overlay)]
}

/// Pictures that the model looked at meanwhile: the latencies are of all since the start or of the exam, and would also be there
/// when it does nothing any more.
fn looked_at(video: &Video) -> u64 {
    video.after.inferred.saturating_sub(video.before.inferred)
}

fn rate(video: &Video) -> f64 {
    video.after.pictures.saturating_sub(video.before.pictures) as f64 / video.seconds.max(0.001)
}

fn pictures(video: &Video, name: Text) -> Line {
    let (width, height) = video.live.size;
    let came = video.after.pictures.saturating_sub(video.before.pictures);
    let lost = video.after.lost.saturating_sub(video.before.lost);
    let (rate, seconds, source) = (rate(video), video.seconds, &video.live.source);
    let sign = video.live.sign.as_str();
    if ["no_signal", "failed"].contains(&sign) || rate < SLOWEST {
        let reason = video.live.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let seen = both!(
            "{source}: {sign}{reason}; {rate:.1} pictures a second in {seconds:.0} s",
            "{source}：{sign}{reason}；{seconds:.0} 秒内每秒 {rate:.1} 幅"
        );
        let remedy = both!(
            "Is the scanner on, its video output switched on, the cable seated at both ends? Then `scansidectl live status`.",
            "设备是否开机、视频输出是否打开、两端线缆是否插好？然后查看 `scansidectl live status`。"
        );
        return Line::new("video", Group::Live, name, Outcome::Fail, seen).remedy(remedy);
    }
    let seen = both!(
        "{source}, {width}x{height}, {rate:.1} pictures a second in {seconds:.0} s; {lost} of {came} lost",
        "{source}，{width}x{height}，{seconds:.0} 秒内每秒 {rate:.1} 幅；{came} 幅中丢失 {lost} 幅"
    );
    if lost as f64 > came as f64 * MOST_LOST {
        let remedy = both!(
            "Another USB port or a shorter cable; is something else working on this box (`top`)?",
            "更换 USB 口或更短的线缆；并检查本机是否有其他程序占用资源（`top`）。"
        );
        return Line::new("video", Group::Live, name, Outcome::Fail, seen).remedy(remedy);
    }
    Line::new("video", Group::Live, name, Outcome::Pass, seen)
}

fn latency(video: &Video, deadline: Option<f64>, name: Text) -> Line {
    if video.live.sign == "paused" && looked_at(video) == 0 {
        let seen = both!(
            "the page or the scanner's picture is frozen: no overlay is made",
            "页面或设备图像处于冻结状态：不生成标注"
        );
        let remedy = both!("Unfreeze both, then test again.", "解除两者的冻结后重新测试。");
        return Line::new("overlay", Group::Live, name, Outcome::NotTested, seen).remedy(remedy);
    }
    let stage = video.after.stages.iter().find(|stage| stage.stage == "overlay").filter(|stage| stage.count > 0);
    let sign = video.live.sign.as_str();
    let Some(stage) = stage.filter(|_| sign != "no_overlay" && looked_at(video) > 0) else {
        let reason = video.live.reason.clone().unwrap_or_else(|| sign.to_owned());
        let seen = both!("no overlay: {reason}", "没有标注：{reason}");
        let remedy = both!(
            "`scansidectl models list`; for an unknown screen `scansidectl live profile learn`.",
            "检查 `scansidectl models list`；若设备界面未识别，执行 `scansidectl live profile learn`。"
        );
        return Line::new("overlay", Group::Live, name, Outcome::Fail, seen).remedy(remedy);
    };
    let (half, most, count, looked) = (stage.p50, stage.p99, stage.count, looked_at(video));
    let seen = both!(
        "{looked} pictures got an overlay meanwhile; capture to overlay {half:.1} ms (half), {most:.1} ms (99 %) of all {count} of this exam, or since the start of the daemon",
        "期间 {looked} 幅图像生成了标注；采集到标注：中位 {half:.1} 毫秒，99% 在 {most:.1} 毫秒内（本次检查或服务启动以来共 {count} 幅）"
    );
    let Some(deadline) = deadline.filter(|deadline| most > *deadline) else {
        return Line::new("overlay", Group::Live, name, Outcome::Pass, seen);
    };
    let remedy = both!(
        "{deadline:.0} ms are allowed (live.deadline_ms): later overlays are not shown. Is the GPU used (`scansidectl status`)? Is the box hot?",
        "允许 {deadline:.0} 毫秒（live.deadline_ms），更晚的标注不会显示。是否使用了 GPU（`scansidectl status`）？本机是否过热？"
    );
    Line::new("overlay", Group::Live, name, Outcome::Fail, seen).remedy(remedy)
}

pub(super) fn figures(measured: &Measured) -> Vec<Figure> {
    let Some(video) = measured.video.as_ref().filter(|video| video.live.sign != "off") else { return Vec::new() };
    let mut figures = vec![Figure {
        code: "video:rate".into(),
        name: both!("pictures a second", "每秒图像数"),
        value: rate(video),
        unit: Unit::PicturesPerSecond,
        worse: Worse::Lower,
        factor: 1.1,
        least: 1.0,
    }];
    let overlay = video.after.stages.iter().find(|stage| stage.stage == "overlay");
    let overlay = overlay.filter(|stage| stage.count > 0 && looked_at(video) > 0);
    figures.extend(overlay.map(|stage| {
        time("video:overlay".into(), both!("capture to overlay, 99 %", "采集到标注（99%）"), stage.p99, 5.0)
    }));
    figures
}
