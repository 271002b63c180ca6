//! Does the daemon run, and if not, why: configuration, port, rights, disk, systemd.

use config::good::{CANNOT_BE_USED, FILE_CANNOT_BE_USED};

use super::facts::{Bus, Port, Problem, Unit};
use super::text::{Text, both};
use super::{Checked, Facts, Finding, Gravity, looked, not_looked};

/// `EX_CONFIG`: the daemon ends with it when the configuration is wrong.
const WRONG_CONFIGURATION: i64 = 78;
const RESTARTS: u64 = 3;

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found = Vec::new();
    match facts.bus {
        Bus::Answers => {
            let version = facts.status.as_ref().map_or("", |status| status.version.as_str());
            looked(
                checked,
                both!("service", "服务"),
                both!("scansided {version} answers", "scansided {version} 有响应"),
            );
        }
        _ => not_looked(checked, both!("service", "服务"), both!("scansided does not answer", "scansided 没有响应")),
    }
    found.extend(denied(facts));
    found.extend(configuration(facts, checked));
    if !matches!(facts.bus, Bus::Answers | Bus::Denied) {
        let why: Vec<Finding> = [port(facts), bus(facts)].into_iter().flatten().collect();
        let known = facts.config.problems.is_empty() && why.is_empty() && !storage_explains(facts);
        found.extend(why);
        found.extend(known.then(|| stopped(facts)).flatten());
    }
    found.extend(file_unusable(facts));
    found.extend(facts.unit.as_ref().and_then(restarts));
    found.extend(facts.unit.as_ref().and_then(not_enabled));
    found
}

fn storage_explains(facts: &Facts) -> bool {
    facts.storage.as_ref().is_some_and(super::storage::keeps_from_starting)
}

fn denied(facts: &Facts) -> Option<Finding> {
    (facts.bus == Bus::Denied).then(|| {
        Finding::new(
            "not-allowed",
            Gravity::Broken,
            both!("You may not ask scansided: the doctor sees only half", "当前用户无权访问 scansided，只能检查一部分"),
            both!(
                "Run it with sudo, or be a member of group scanside (`sudo usermod -aG scanside $USER`, then log in again).",
                "请用 sudo 运行，或把当前用户加入 scanside 组（`sudo usermod -aG scanside $USER`，然后重新登录）。"
            ),
        )
    })
}

/// The daemon started with the last good configuration.
fn last_good(facts: &Facts, reason: &str) -> Finding {
    let remedy = facts.config.problems.first().map_or_else(
        || {
            both!(
                "The files are right now: `systemctl restart scansided`, when no study is arriving.",
                "配置文件现已正确：在没有检查正在传输时执行 `systemctl restart scansided`。"
            )
        },
        |first| {
            let (place, key) = (&first.place, &first.key);
            let gap = if place.is_empty() || key.is_empty() { "" } else { ": " };
            both!(
                "Correct {place}{gap}{key}, or take the last change back with `scansidectl config revert`; check with `scansidectl config check`, then `systemctl restart scansided`.",
                "请修改 {place}{gap}{key}，或用 `scansidectl config revert` 撤销最近一次修改；用 `scansidectl config check` 检查，然后执行 `systemctl restart scansided`。"
            )
        },
    );
    let cause = both!(
        "The configuration could not be used at the start: scansided runs with the last good one",
        "启动时配置无法使用：scansided 正按上一份有效配置运行"
    );
    let finding =
        Finding::new("last-good-configuration", Gravity::Broken, cause, remedy).seen(Text::same(reason)).blocks(both!(
            "What was changed since is not in effect; senders and destinations that the files no longer name stay out.",
            "之后的修改均未生效；配置文件中已不再列出的发送方和接收方不会被启用。"
        ));
    let problems = facts.config.problems.iter().take(5);
    problems.fold(finding, |finding, problem| finding.seen(Text::same(line(problem))))
}

/// Whoever asks may be able to read what the daemon cannot.
fn file_unusable(facts: &Facts) -> Option<Finding> {
    let reason = &facts.status.as_ref()?.level_reason;
    let at = reason.find(FILE_CANNOT_BE_USED)?;
    let finding = Finding::new(
        "configuration-file",
        Gravity::Broken,
        both!(
            "scansided cannot use a certificate, key or token that the configuration names: what needs it does not work, all else does",
            "scansided 无法使用配置中指定的证书、密钥或令牌文件：依赖它的功能不可用，其余功能正常"
        ),
        both!(
            "Let the user scanside read the file (`sudo chown scanside FILE; sudo chmod 0400 FILE`), or put the right one there; no restart is needed.",
            "请让用户 scanside 能够读取该文件（`sudo chown scanside 文件; sudo chmod 0400 文件`），或放入正确的文件；无需重启。"
        ),
    );
    Some(finding.seen(Text::same(&reason[at..])))
}

fn configuration(facts: &Facts, checked: &mut Vec<Checked>) -> Option<Finding> {
    let problems = &facts.config.problems;
    if let Some(status) = facts.status.as_ref().filter(|status| status.level_reason.starts_with(CANNOT_BE_USED)) {
        looked(checked, both!("configuration", "配置"), both!("the last good one", "上一份有效配置"));
        return Some(last_good(facts, &status.level_reason));
    }
    let Some(first) = problems.first() else {
        looked(checked, both!("configuration", "配置"), both!("valid", "有效"));
        if let Some(file) = &facts.config.newer_than_daemon {
            let file = file.display();
            return Some(
                Finding::new(
                    "configuration-not-loaded",
                    Gravity::Warning,
                    both!(
                        "The configuration was changed after scansided started",
                        "scansided 启动之后配置又被修改，新配置尚未生效"
                    ),
                    both!(
                        "`systemctl restart scansided`, when no study is arriving.",
                        "在没有检查正在传输时执行 `systemctl restart scansided`。"
                    ),
                )
                .seen(both!("{file} is newer than the process", "{file} 比当前进程新")),
            );
        }
        return None;
    };
    looked(checked, both!("configuration", "配置"), both!("wrong", "有错误"));
    let running = facts.bus == Bus::Answers;
    let place = if first.place.is_empty() { String::new() } else { format!("{}: ", first.place) };
    let key = &first.key;
    let gravity = if running { Gravity::Warning } else { Gravity::Broken };
    let cause = if running {
        both!(
            "The configuration is wrong: scansided runs with what it read before; after a restart the last good one, or none, would be in effect",
            "配置有错误：scansided 仍按启动时读到的配置运行；重启后将使用上一份有效配置，或无法启动"
        )
    } else {
        both!("scansided does not start, because the configuration is wrong", "配置有错误，scansided 无法启动")
    };
    let mut finding = Finding::new(
        "configuration-wrong",
        gravity,
        cause,
        both!(
            "Correct {place}{key}, check with `scansidectl config check`, then `systemctl restart scansided`.",
            "请修改 {place}{key}，用 `scansidectl config check` 检查，然后执行 `systemctl restart scansided`。"
        ),
    );
    for problem in problems.iter().take(5) {
        finding = finding.seen(Text::same(line(problem)));
    }
    Some(finding)
}

fn line(problem: &Problem) -> String {
    let parts = [&problem.place, &problem.key, &problem.reason];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(": ")
}

fn port(facts: &Facts) -> Option<Finding> {
    let listen = &facts.config.listen;
    let (code, cause, remedy, seen) = match facts.port.as_ref()? {
        Port::Free => return None,
        Port::Taken(Some(owner)) if owner.starts_with("scansided ") => (
            "not-on-bus",
            both!("scansided runs, and is not on this bus", "scansided 在运行，但不在当前总线上"),
            both!(
                "Compare bus.address in the configuration with --bus here; then `systemctl restart scansided`.",
                "请核对配置中的 bus.address 与此处的 --bus，然后执行 `systemctl restart scansided`。"
            ),
            Some(both!("{listen} belongs to {owner}", "{listen} 由 {owner} 占用")),
        ),
        Port::Taken(owner) => (
            "port-in-use",
            both!(
                "scansided does not start: its DICOM port is taken by another program",
                "scansided 无法启动：DICOM 端口已被其他程序占用"
            ),
            both!(
                "Stop that program (`ss -ltnp` shows it), or choose another port with dicom.listen and set it on the scanners too.",
                "停止占用端口的程序（用 `ss -ltnp` 查看），或修改 dicom.listen 换一个端口，并在设备上同步修改。"
            ),
            owner.as_ref().map(|owner| both!("{listen} belongs to {owner}", "{listen} 由 {owner} 占用")),
        ),
        Port::NotAllowed => (
            "port-not-allowed",
            both!("scansided may not open its DICOM port", "scansided 无权打开 DICOM 端口"),
            both!(
                "The package opens ports from 104 on by /usr/lib/sysctl.d/50-scanside.conf: `sudo sysctl --system` applies it, unless a file in /etc/sysctl.d says otherwise. Or choose 11112.",
                "安装包通过 /usr/lib/sysctl.d/50-scanside.conf 开放 104 及以上端口：执行 `sudo sysctl --system` 使其生效（除非 /etc/sysctl.d 中另有设置）。或改用 11112。"
            ),
            facts.ports_from.map(|from| {
                both!(
                    "dicom.listen = {listen}; ports from {from} on are free for all (net.ipv4.ip_unprivileged_port_start)",
                    "dicom.listen = {listen}；{from} 及以上端口无需特权（net.ipv4.ip_unprivileged_port_start）"
                )
            }),
        ),
        Port::NoSuchAddress => (
            "address-not-ours",
            both!(
                "scansided does not start: dicom.listen is not an address of this box",
                "scansided 无法启动：dicom.listen 不是本机的地址"
            ),
            both!(
                "Correct dicom.listen (`ip address` shows the box's addresses), or use 0.0.0.0.",
                "请修改 dicom.listen（用 `ip address` 查看本机地址），或使用 0.0.0.0。"
            ),
            None,
        ),
    };
    let seen = seen.unwrap_or_else(|| both!("dicom.listen = {listen}", "dicom.listen = {listen}"));
    Some(Finding::new(code, Gravity::Broken, cause, remedy).seen(seen))
}

fn bus(facts: &Facts) -> Option<Finding> {
    let Bus::NoBus(why) = &facts.bus else { return None };
    let runs = facts.unit.as_ref().is_some_and(|unit| unit.active == "active");
    let cause = if runs {
        both!("D-Bus does not work: scansided runs, and cannot be asked", "D-Bus 不可用：scansided 在运行，但无法查询")
    } else {
        both!("D-Bus does not work", "D-Bus 不可用")
    };
    Some(
        Finding::new(
            "bus-missing",
            Gravity::Broken,
            cause,
            both!(
                "`systemctl restart dbus`, or give another bus with --bus.",
                "执行 `systemctl restart dbus`，或用 --bus 指定其他总线。"
            ),
        )
        .seen(Text::same(why)),
    )
}

/// When nothing else explains why it does not answer.
fn stopped(facts: &Facts) -> Option<Finding> {
    let start = both!("`systemctl start scansided`", "执行 `systemctl start scansided`");
    let log =
        both!("`journalctl -u scansided -e` shows its last words.", "用 `journalctl -u scansided -e` 查看最后的日志。");
    let Some(unit) = &facts.unit else {
        let cause = both!("scansided does not run", "scansided 没有运行");
        return Some(Finding::new("service-not-running", Gravity::Broken, cause, both!("Start it.", "请启动它。")));
    };
    let state = format!("{} ({}, {})", unit.active, unit.sub, unit.result);
    let seen = both!("systemd: {state}", "systemd：{state}");
    let last = unit.last_error.clone().map(Text::same).unwrap_or_default();
    let finding = match unit.active.as_str() {
        "activating" if unit.sub != "auto-restart" => Finding::new(
            "service-starting",
            Gravity::Warning,
            both!("scansided is starting", "scansided 正在启动"),
            both!(
                "Wait: after a power cut it compares its log with the database, which may take minutes.",
                "请稍候：断电后需要核对日志与数据库，可能需要几分钟。"
            ),
        ),
        "inactive" if unit.result == "success" => Finding::new(
            "service-stopped",
            Gravity::Broken,
            both!("scansided is stopped", "scansided 已停止"),
            Text { en: format!("{}.", start.en), zh: format!("{}。", start.zh) },
        ),
        _ if unit.result == "oom-kill" => Finding::new(
            "service-out-of-memory",
            Gravity::Broken,
            both!("scansided was ended by the kernel, because memory ran out", "内存不足，scansided 被内核终止"),
            both!(
                "Lower analyze.memory_mib, or give the box more memory. It starts again by itself.",
                "请调低 analyze.memory_mib，或增加内存。服务会自动重新启动。"
            ),
        ),
        _ if unit.exit_status == WRONG_CONFIGURATION => Finding::new(
            "configuration-wrong",
            Gravity::Broken,
            both!(
                "scansided ended because of its configuration, which is right by now",
                "scansided 曾因配置错误退出，现在配置已正确"
            ),
            Text { en: format!("{}.", start.en), zh: format!("{}。", start.zh) },
        ),
        _ => Finding::new(
            "service-failed",
            Gravity::Broken,
            both!("scansided does not stay up", "scansided 无法保持运行"),
            log,
        ),
    };
    Some(finding.seen(seen).seen(last))
}

fn restarts(unit: &Unit) -> Option<Finding> {
    let n = unit.restarts;
    (unit.active == "active" && n >= RESTARTS).then(|| {
        Finding::new(
            "service-restarts",
            Gravity::Warning,
            both!("scansided had to be started again {n} times", "scansided 已被自动重启 {n} 次"),
            both!(
                "`journalctl -u scansided -p err` tells why; send it with `scansidectl bundle`.",
                "用 `journalctl -u scansided -p err` 查看原因，并用 `scansidectl bundle` 打包发送。"
            ),
        )
        .seen(unit.last_error.clone().map(Text::same).unwrap_or_default())
    })
}

fn not_enabled(unit: &Unit) -> Option<Finding> {
    let state = &unit.enabled;
    matches!(state.as_str(), "disabled" | "masked").then(|| {
        Finding::new(
            "service-not-enabled",
            Gravity::Warning,
            both!("scansided will not start when the box is switched on", "开机后 scansided 不会自动启动"),
            both!(
                "`systemctl enable scansided` (if masked: `systemctl unmask scansided` first).",
                "执行 `systemctl enable scansided`（若已 masked，先执行 `systemctl unmask scansided`）。"
            ),
        )
        .seen(both!("systemd: {state}", "systemd：{state}"))
    })
}
