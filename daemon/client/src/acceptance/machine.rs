//! Disk, heat, power, clock, certificates.

use hal::sensors::{Cause, Zone};

use super::drift::{Figure, Unit, Worse};
use super::judge::found;
use super::measured::{Disk, Measured};
use super::{Group, Line, Outcome};
use crate::doctor::clock::{self, Trust};
use crate::doctor::retained::STUDY;
use crate::doctor::text::{Text, both, bytes};
use crate::doctor::{self, Finding, Gravity};

/// A study is to be safe within so many seconds, and so many are to fit.
const WITHIN_SECS: u64 = 60;
const FEWEST_STUDIES: u64 = 50;

pub(super) fn lines(measured: &Measured) -> Vec<Line> {
    let findings = doctor::judge(&measured.facts).findings;
    let of = |codes: &[&str]| -> Vec<&Finding> {
        findings.iter().filter(|finding| codes.iter().any(|code| finding.code.starts_with(code))).collect()
    };
    vec![
        speed(measured),
        room(measured, &of(&["disk-", "storage-"])),
        heat(measured, &of(&["too-hot"])),
        throttling(measured),
        power(measured),
        trust(measured, &of(&["clock-"])),
        certificates(measured, &of(&["certificate-"])),
    ]
}

fn not_tested(code: &str, name: Text, why: Text, remedy: Text) -> Line {
    Line::new(code, Group::Machine, name, Outcome::NotTested, why).remedy(remedy)
}

/// What nothing on this machine tells.
fn not_known(code: &str, name: Text) -> Line {
    not_tested(code, name, both!("not known on this machine", "本机无法得知"), Text::default())
}

fn speed(measured: &Measured) -> Line {
    let name = both!("Disk speed", "磁盘速度");
    let Disk { bytes_per_second, .. } = match &measured.disk {
        Some(Ok(disk)) => *disk,
        Some(Err(not)) => return not_tested("disk-speed", name, not.why.clone(), not.remedy.clone()),
        None => return not_known("disk-speed", name),
    };
    let (speed, seconds) = (bytes(bytes_per_second), STUDY as f64 / bytes_per_second.max(1) as f64);
    let seen = both!(
        "{speed}/s, each slice safe before the next: a CT study of 500 slices is safe after {seconds:.1} s",
        "{speed}/s，逐层落盘：一个 500 层的 CT 检查约 {seconds:.1} 秒可安全保存"
    );
    if STUDY / bytes_per_second.max(1) > WITHIN_SECS {
        let remedy = both!(
            "Scanners wait for this disk. Mount a solid state disk at /var/lib/scanside, or look for its errors in `dmesg`.",
            "扫描设备会等待该磁盘。请在 /var/lib/scanside 挂载固态硬盘，或用 `dmesg` 查看磁盘错误。"
        );
        return Line::new("disk-speed", Group::Machine, name, Outcome::Fail, seen).remedy(remedy);
    }
    Line::new("disk-speed", Group::Machine, name, Outcome::Pass, seen)
}

fn room(measured: &Measured, findings: &[&Finding]) -> Line {
    let name = both!("Disk room", "磁盘空间");
    let free = measured.facts.status.as_ref().map(|status| status.free_bytes);
    let Some(free) = free.or_else(|| measured.facts.storage.as_ref().map(|storage| storage.free_bytes)) else {
        return not_known("disk-room", name);
    };
    // What may be evicted is room as well: the oldest of it goes as new studies come.
    let evictable = measured.facts.retention.map_or(0, |retained| retained.evictable_bytes);
    let room = free.saturating_sub(measured.facts.config.min_free_bytes).saturating_add(evictable);
    let (left, studies) = (bytes(free), room / STUDY);
    let seen = if evictable > 0 {
        let evictable = bytes(evictable);
        both!(
            "{left} free, {evictable} can be evicted: about {studies} CT studies",
            "剩余 {left}，可清理 {evictable}：约 {studies} 个 CT 检查"
        )
    } else {
        both!("{left} free: about {studies} CT studies", "剩余 {left}：约 {studies} 个 CT 检查")
    };
    // A warning fails nothing by itself; too little room does, whatever else is to be said of the disk.
    let broken = findings.iter().any(|finding| finding.gravity == Gravity::Broken);
    if broken || (studies >= FEWEST_STUDIES && !findings.is_empty()) {
        return found("disk-room", Group::Machine, name, findings, false, seen);
    }
    if studies < FEWEST_STUDIES {
        let remedy = both!(
            "Mount a larger disk at /var/lib/scanside: studies are evicted after delivery, the oldest first, and soon here.",
            "请在 /var/lib/scanside 挂载更大的磁盘：已发送的检查会从最早的开始清除，此处很快就会发生。"
        );
        return Line::new("disk-room", Group::Machine, name, Outcome::Fail, seen).remedy(remedy);
    }
    Line::new("disk-room", Group::Machine, name, Outcome::Pass, seen)
}

fn heat(measured: &Measured, findings: &[&Finding]) -> Line {
    let name = both!("Heat", "温度");
    let Some(Zone { name: zone, celsius, limit_celsius: limit, .. }) = hottest(measured) else {
        return not_known("heat", name);
    };
    let limit = limit.map(|limit| both!("; its limit is {limit:.0} °C", "，上限 {limit:.0} °C")).unwrap_or_default();
    let (en, zh) = (limit.en, limit.zh);
    let well = both!("{zone}: {celsius:.0} °C{en}", "{zone}：{celsius:.0} °C{zh}");
    // What the doctor then has is that of the nights before.
    let is_cool = measured.facts.heat.iter().flat_map(|heat| &heat.zones).all(|zone| zone.celsius < zone.hot_from())
        && measured.facts.status.as_ref().is_some_and(|status| status.heat == "normal");
    let is_old = is_cool && measured.is_throttling_old();
    found("heat", Group::Machine, name, findings, !is_old, well)
}

fn hottest(measured: &Measured) -> Option<&Zone> {
    measured.facts.heat.as_ref()?.hottest()
}

fn throttling(measured: &Measured) -> Line {
    let name = both!("Throttling", "降频");
    let Some(readings) = measured.facts.heat.as_ref().filter(|readings| !readings.throttles.is_empty()) else {
        return not_known("throttling", name);
    };
    let by_heat = (readings.times(Cause::Heat), readings.active(Cause::Heat).is_some());
    let by_power = (readings.times(Cause::Power), readings.active(Cause::Power).is_some());
    let old = by_heat.0.saturating_add(by_power.0);
    if old > 0 && measured.is_throttling_old() {
        let seen =
            both!("none since the test before; {old} times since the start", "自上次测试以来没有；自启动以来 {old} 次");
        return Line::new("throttling", Group::Machine, name, Outcome::Pass, seen);
    }
    let remedy = match (by_heat, by_power) {
        ((0, false), (0, false)) => {
            let seen = both!("none since the start, as far as the machine counts", "自启动以来没有（以本机计数为准）");
            return Line::new("throttling", Group::Machine, name, Outcome::Pass, seen);
        }
        ((0, false), _) => both!(
            "Use the power supply that belongs to the box, and check its plug; then restart it and test again.",
            "请使用本机原配电源并检查插头，重启后重新测试。"
        ),
        _ => both!(
            "Clean filter and fan, leave a hand's breadth of air around the box, then restart it and test again.",
            "清洁滤网和风扇，机箱四周保留约 10 厘米的通风空间，重启后重新测试。"
        ),
    };
    let times = by_heat.0.saturating_add(by_power.0);
    let seen = if by_heat.1 || by_power.1 {
        both!("the box slows itself down now, {times} times since the start", "本机正在降频，自启动以来 {times} 次")
    } else {
        both!("the box slowed itself down {times} times since the start", "自启动以来本机已降频 {times} 次")
    };
    Line::new("throttling", Group::Machine, name, Outcome::Fail, seen).remedy(remedy)
}

fn power(measured: &Measured) -> Line {
    let name = both!("Power", "功耗");
    let Some(watts) = measured.watts else { return not_known("power", name) };
    Line::new(
        "power",
        Group::Machine,
        name,
        Outcome::Pass,
        both!("{watts:.1} W, as the board says", "{watts:.1} 瓦（主板读数）"),
    )
}

fn trust(measured: &Measured, findings: &[&Finding]) -> Line {
    let name = both!("Clock", "时钟");
    let now = &measured.facts.now_utc;
    if findings.is_empty()
        && let Some(Text { en, zh }) = clock::distrust(&measured.facts)
    {
        let why = both!("{en}; it says {now}", "{zh}；当前显示 {now}");
        let remedy = both!(
            "Compare it with a watch (`scansidectl clock`). Name a time server in /etc/systemd/timesyncd.conf where there is one.",
            "请与手表核对（`scansidectl clock`）。如有时间服务器，请在 /etc/systemd/timesyncd.conf 中指定。"
        );
        return not_tested("clock", name, why, remedy);
    }
    found(
        "clock",
        Group::Machine,
        name,
        findings,
        true,
        both!("set by a time server: {now}", "由时间服务器校准：{now}"),
    )
}

fn certificates(measured: &Measured, findings: &[&Finding]) -> Line {
    let name = both!("Certificates", "证书");
    let files = measured.facts.certificates.len();
    let Some(first) = measured.facts.certificates.iter().map(|one| one.expires_utc.as_str()).min() else {
        let why = both!("no TLS is configured", "未配置 TLS");
        return not_tested("certificates", name, why, Text::default());
    };
    let trust = clock::trust(&measured.facts);
    if findings.is_empty() && trust != Trust::Trusted {
        let why =
            both!("the clock is not to be trusted; the first ends {first}", "本机时钟不可信；最早于 {first} 到期");
        let remedy = if trust == Trust::Wrong {
            both!("Set the clock first.", "请先校正时钟。")
        } else {
            both!(
                "Compare the clock with a watch (`scansidectl clock`); if it is right, dicom.tls.judge_dates = \"always\" says so.",
                "请与手表核对时钟（`scansidectl clock`）；若时钟正确，可设置 dicom.tls.judge_dates = \"always\"。"
            )
        };
        return not_tested("certificates", name, why, remedy);
    }
    let well = both!("{files} files, the first ends {first}", "{files} 个文件，最早于 {first} 到期");
    found("certificates", Group::Machine, name, findings, false, well)
}

pub(super) fn figures(measured: &Measured) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(Ok(disk)) = &measured.disk {
        figures.push(Figure {
            code: "disk:speed".into(),
            name: both!("disk, each slice safe before the next", "磁盘逐层落盘速度"),
            value: disk.bytes_per_second as f64,
            unit: Unit::BytesPerSecond,
            worse: Worse::Lower,
            factor: 2.0,
            least: f64::from(5 << 20),
        });
    }
    if let Some(celsius) = hottest(measured).map(|zone| zone.celsius) {
        let name = both!("hottest sensor", "最高温度");
        let (unit, worse) = (Unit::Celsius, Worse::Higher);
        figures.push(Figure { code: "heat".into(), name, value: celsius, unit, worse, factor: 1.15, least: 5.0 });
    }
    if let Some(watts) = measured.watts {
        let name = both!("power", "功耗");
        let (unit, worse) = (Unit::Watts, Worse::Higher);
        figures.push(Figure { code: "power".into(), name, value: watts, unit, worse, factor: 1.5, least: 5.0 });
    }
    figures
}
