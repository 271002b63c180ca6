//! The live path: is there a picture, at which rate, is any lost, and how late is the overlay?

use super::drift::{Figure, Unit, Worse};
use super::judge::time;
use super::measured::{Measured, Video};
use super::overlay::Overlays;
use super::{Group, Line, Outcome};
use crate::doctor::text::{Text, both};

/// Fewer are no video, pictures a second.
const SLOWEST: f64 = 5.0;
/// Of a thousand pictures one may be lost.
const MOST_LOST: f64 = 0.001;
/// Of fewer overlays a second 99 % say nothing.
const FEWEST: f64 = 1.0;

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
    if video.began_anew() {
        let seen = both!(
            "exams began or ended meanwhile, and with each the counters begin anew",
            "期间有检查开始或结束，计数器随之重新计数"
        );
        let remedy = both!("Test again while nobody scans.", "请在无人扫查时重新测试。");
        let off = |code: &str, name| {
            Line::new(code, Group::Live, name, Outcome::NotTested, seen.clone()).remedy(remedy.clone())
        };
        return vec![off("video", picture), off("overlay", overlay)];
    }
    vec![pictures(video, picture), latency(video, measured.deadline_ms, overlay)]
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
    let overlays = Overlays::of(video);
    let Overlays { shown, late, half_ms, .. } = overlays;
    let sign = video.live.sign.as_str();
    if sign == "paused" && shown + late == 0 {
        let seen = both!(
            "the page or the scanner's picture is frozen: no overlay is made",
            "页面或设备图像处于冻结状态：不生成标注"
        );
        let remedy = both!("Unfreeze both, then test again.", "解除两者的冻结后重新测试。");
        return Line::new("overlay", Group::Live, name, Outcome::NotTested, seen).remedy(remedy);
    }
    if sign == "no_overlay" || shown + late == 0 {
        let reason = video.live.reason.clone().unwrap_or_else(|| sign.to_owned());
        let seconds = video.seconds;
        let seen = both!(
            "no overlay: {reason}; {shown} in {seconds:.0} s",
            "没有标注：{reason}；{seconds:.0} 秒内 {shown} 个"
        );
        let remedy = both!(
            "`scansidectl models list`; for an unknown screen `scansidectl live profile learn`.",
            "检查 `scansidectl models list`；若设备界面未识别，执行 `scansidectl live profile learn`。"
        );
        return Line::new("overlay", Group::Live, name, Outcome::Fail, seen).remedy(remedy);
    }
    let Some(most) = overlays.most_ms.filter(|most| deadline.is_none_or(|deadline| *most <= deadline)) else {
        return slow(&overlays, deadline, name);
    };
    let seconds = video.seconds;
    let seen = both!(
        "{shown} overlays in {seconds:.0} s, {late} more too late; capture to overlay {half_ms:.1} ms (half), {most:.1} ms (99 %)",
        "{seconds:.0} 秒内 {shown} 个标注，另有 {late} 个过晚；采集到标注：中位 {half_ms:.1} 毫秒，99% 在 {most:.1} 毫秒内"
    );
    if ((shown + late) as f64) < seconds * FEWEST {
        let remedy = both!(
            "Too few to judge. Test again while the scanner's picture moves and nothing is frozen.",
            "数量过少，无法判断。请在设备图像变化且未冻结时重新测试。"
        );
        return Line::new("overlay", Group::Live, name, Outcome::NotTested, seen).remedy(remedy);
    }
    Line::new("overlay", Group::Live, name, Outcome::Pass, seen)
}

/// More than one in a hundred came after the deadline.
fn slow(overlays: &Overlays, deadline: Option<f64>, name: Text) -> Line {
    let Overlays { shown, late, most_ms, .. } = *overlays;
    let seen = most_ms.map_or_else(
        || {
            both!(
                "{late} overlays came too late and were not shown, {shown} were shown",
                "{late} 个标注过晚而未显示，显示了 {shown} 个"
            )
        },
        |most| {
            both!(
                "capture to overlay {most:.1} ms (99 %) of {shown}, {late} more too late",
                "采集到标注 {most:.1} 毫秒（99%），共 {shown} 个，另有 {late} 个过晚"
            )
        },
    );
    let allowed = deadline.map_or_else(|| "?".to_owned(), |deadline| format!("{deadline:.0}"));
    let remedy = both!(
        "{allowed} ms are allowed (live.deadline_ms): later overlays are not shown. Is the GPU used (`scansidectl status`)? Is the box hot?",
        "允许 {allowed} 毫秒（live.deadline_ms），更晚的标注不会显示。是否使用了 GPU（`scansidectl status`）？本机是否过热？"
    );
    Line::new("overlay", Group::Live, name, Outcome::Fail, seen).remedy(remedy)
}

pub(super) fn figures(measured: &Measured) -> Vec<Figure> {
    let video = measured.video.as_ref().filter(|video| video.live.sign != "off" && !video.began_anew());
    let Some(video) = video else { return Vec::new() };
    let mut figures = vec![Figure {
        code: "video:rate".into(),
        name: both!("pictures a second", "每秒图像数"),
        value: rate(video),
        unit: Unit::PicturesPerSecond,
        worse: Worse::Lower,
        factor: 1.1,
        least: 1.0,
    }];
    let overlays = Overlays::of(video);
    figures.extend(
        overlays.most_ms.filter(|_| overlays.shown > 0).map(|most| {
            time("video:overlay".into(), both!("capture to overlay, 99 %", "采集到标注（99%）"), most, 5.0)
        }),
    );
    figures
}
