//! What was measured -> lines of the report, stages and figures. Pure. The areas stand in the order in which things go through the
//! box, so that of several failures the first is the first to look at.

use super::drift::{Figure, Unit, Worse};
use super::measured::Measured;
use super::{Group, Line, Outcome, Stage, compute, machine, network, study, video};
use crate::doctor::facts::Bus;
use crate::doctor::text::{Text, both};
use crate::doctor::{Finding, Gravity};

/// All lines, in the order of the report.
pub fn judge(measured: &Measured) -> Vec<Line> {
    let mut lines = vec![configuration(measured), service(measured), devices(measured)];
    lines.extend(compute::lines(measured));
    lines.extend(study::lines(measured));
    lines.extend(video::lines(measured));
    lines.extend(network::lines(measured));
    lines.extend(machine::lines(measured));
    lines
}

/// Of the test study.
pub fn stages(measured: &Measured) -> Vec<Stage> {
    measured.study.as_ref().map(study::stages).unwrap_or_default()
}

/// What may drift.
pub fn figures(measured: &Measured) -> Vec<Figure> {
    let mut figures = Vec::new();
    for stage in stages(measured) {
        figures.push(time(format!("stage:{}", stage.code), stage.name, stage.milliseconds, 500.0));
    }
    figures.extend(compute::figures(measured));
    figures.extend(video::figures(measured));
    figures.extend(network::figures(measured));
    figures.extend(machine::figures(measured));
    figures
}

/// A time: half again as long as usual is beyond its habit, when that is `least` milliseconds or more.
pub(super) fn time(code: String, name: Text, value: f64, least: f64) -> Figure {
    Figure { code, name, value, unit: Unit::Milliseconds, worse: Worse::Higher, factor: 1.5, least }
}

/// A line that fails for what the doctor found.
pub(super) fn failed(code: impl Into<String>, group: Group, name: Text, finding: &Finding) -> Line {
    let mut seen = finding.cause.clone();
    for evidence in finding.evidence.iter().filter(|evidence| !evidence.en.is_empty()) {
        seen = Text { en: format!("{}; {}", seen.en, evidence.en), zh: format!("{}；{}", seen.zh, evidence.zh) };
    }
    Line::new(code, group, name, Outcome::Fail, seen).remedy(finding.remedy.clone())
}

/// A line of which the doctor found something, or nothing: warnings are seen and fail nothing, unless `strict`.
pub(super) fn found(code: &str, group: Group, name: Text, findings: &[&Finding], strict: bool, well: Text) -> Line {
    let fails = |finding: &&&Finding| finding.gravity == Gravity::Broken || strict;
    if let Some(finding) = findings.iter().find(fails) {
        return failed(code, group, name, finding);
    }
    match findings.first() {
        None => Line::new(code, group, name, Outcome::Pass, well),
        Some(warning) => Line { outcome: Outcome::Pass, ..failed(code, group, name, warning) },
    }
}

fn configuration(measured: &Measured) -> Line {
    let name = both!("Configuration", "配置");
    let config = &measured.facts.config;
    if let Some(problem) = config.problems.first() {
        let (place, key, reason) = (&problem.place, &problem.key, &problem.reason);
        let more = config.problems.len() - 1;
        let (others, others_zh) =
            if more == 0 { Default::default() } else { (format!("; {more} more"), format!("；另有 {more} 处")) };
        let seen = both!("{place}: {key}: {reason}{others}", "{place}：{key}：{reason}{others_zh}");
        let remedy = both!(
            "Correct that line; `scansidectl config check` names them all.",
            "请修正该行；`scansidectl config check` 会列出全部问题。"
        );
        return Line::new("configuration", Group::Box, name, Outcome::Fail, seen).remedy(remedy);
    }
    if let Some(file) = &config.newer_than_daemon {
        let file = file.display();
        let seen = both!(
            "{file} was changed after the daemon started: what was tested is not what it says",
            "{file} 在服务启动后被修改：实际测试的不是该文件的内容"
        );
        let remedy =
            both!("`systemctl restart scansided`, then test again.", "执行 `systemctl restart scansided` 后重新测试。");
        return Line::new("configuration", Group::Box, name, Outcome::Fail, seen).remedy(remedy);
    }
    let seen = both!("valid, and what the daemon runs with", "有效，且与正在运行的一致");
    Line::new("configuration", Group::Box, name, Outcome::Pass, seen)
}

fn service(measured: &Measured) -> Line {
    let name = both!("Daemon", "服务");
    let Some(status) = measured.facts.status.as_ref().filter(|_| measured.facts.bus == Bus::Answers) else {
        let seen = both!("scansided does not answer", "scansided 没有响应");
        let remedy = both!("`scansidectl doctor` says why.", "请运行 `scansidectl doctor` 查看原因。");
        return Line::new("daemon", Group::Box, name, Outcome::Fail, seen).remedy(remedy);
    };
    let (version, level, reason) = (&status.version, &status.level, &status.level_reason);
    if level != "full" {
        let seen = both!("restricted ({level}): {reason}", "受限（{level}）：{reason}");
        let remedy = both!("`scansidectl doctor` says what helps.", "请运行 `scansidectl doctor` 查看处理办法。");
        return Line::new("daemon", Group::Box, name, Outcome::Fail, seen).remedy(remedy);
    }
    let restarts = measured.facts.unit.as_ref().map_or(0, |unit| unit.restarts);
    let seen = if restarts == 0 {
        both!("version {version}, without restriction", "版本 {version}，无任何限制")
    } else {
        both!(
            "version {version}, without restriction; restarted by itself {restarts} times",
            "版本 {version}，无任何限制；曾自动重启 {restarts} 次"
        )
    };
    Line::new("daemon", Group::Box, name, Outcome::Pass, seen)
}

fn devices(measured: &Measured) -> Line {
    let name = both!("Devices", "设备");
    let Some(status) = &measured.facts.status else {
        let seen = both!("the daemon does not answer", "服务没有响应");
        return Line::new("devices", Group::Box, name, Outcome::NotTested, seen);
    };
    let accelerator = &status.accelerator;
    if status.simulated {
        let seen = both!(
            "a simulated device is in use: nothing that this box says is for patients",
            "正在使用模拟设备：本机的任何结果都不得用于患者"
        );
        let remedy = both!(
            "Correct accelerator.provider and live.device, then `systemctl restart scansided`.",
            "请修正 accelerator.provider 和 live.device，然后执行 `systemctl restart scansided`。"
        );
        return Line::new("devices", Group::Box, name, Outcome::Fail, seen).remedy(remedy);
    }
    Line::new(
        "devices",
        Group::Box,
        name,
        Outcome::Pass,
        both!("real; models run on: {accelerator}", "均为真实设备；模型运行于：{accelerator}"),
    )
}
