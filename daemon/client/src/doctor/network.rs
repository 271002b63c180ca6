//! Who was turned away and why; destinations, and what waits for them.

use node::probe::{Cause, Probe};
use node::send::{Target, Way};

use super::asked::{List, given};
use super::text::{Text, both, shell};
use super::{Checked, DAY, Facts, Finding, Gravity, age, looked, many, not_looked, span};
use crate::{Caller, Delivery};

/// A refusal is broken while it is this fresh, then a note, then nothing.
const FRESH: f64 = 2.0 * DAY;
const OLD: f64 = 14.0 * DAY;
/// What waits longer is told even if who waits for it answers now.
pub(super) const LATE: f64 = 3600.0;

/// How this box is configured, as far as callers are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub ae_titles: &'a [String],
    pub senders: &'a [(String, String)],
    pub address: &'a str,
}

pub(super) fn judge(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found = callers(facts, checked);
    found.extend(destinations(facts, checked));
    found.extend(expected(facts, checked));
    found
}

fn expected(facts: &Facts, checked: &mut Vec<Checked>) -> Option<Finding> {
    let server = facts.worklist_server.as_ref()?;
    let of_daemon = facts.live.as_ref().and_then(|live| live.worklist_server.as_ref());
    let trouble = of_daemon.and_then(|server| server.trouble.as_deref());
    let Way::Dimse(target) = &server.way else { return None };
    let found = server.probe.as_ref().and_then(|probe| worklist_server(target, probe));
    let found = match (found, trouble) {
        (Some(found), Some(trouble)) => Some(found.seen(Text::same(trouble))),
        (None, Some(trouble)) => Some(no_worklist(target).seen(Text::same(trouble))),
        (found, None) => found,
    };
    let seen = if found.is_some() { both!("trouble", "有问题") } else { both!("answers", "有响应") };
    looked(checked, both!("worklist server", "工作列表服务器"), seen);
    found
}

/// What a test of the worklist server found; `None` when all is well.
pub fn worklist_server(target: &Target, probe: &Probe) -> Option<Finding> {
    trouble(probe).map(|seen| no_worklist(target).seen(seen))
}

/// What failed in a test of a peer, or what it did not take.
pub(super) fn trouble(probe: &Probe) -> Option<Text> {
    let failed = probe.failed.as_ref().map(|failed| Text::same(format!("{}: {}", failed.step, failed.what)));
    let not_offered = probe.not_taken.first().map(|(name, why)| Text::same(format!("{name}: {why}")));
    failed.or(not_offered)
}

fn no_worklist(target: &Target) -> Finding {
    let (address, called, calling) = (&target.address, target.called_ae.trim(), target.calling_ae.trim());
    Finding::new(
        "worklist-server",
        Gravity::Warning,
        both!("The worklist server {called} at {address} gives no list", "工作列表服务器 {called}（{address}）不提供列表"),
        both!(
            "What failed is below. Compare address, ae_title, calling_ae_title and tls of [worklist] with the RIS, and have {calling} with this box's address entered there.",
            "失败原因见下。请与 RIS 核对 [worklist] 中的 address、ae_title、calling_ae_title 和 tls，并在 RIS 中登记 {calling} 及本机地址。"
        ),
    )
    .blocks(both!(
        "The last list is used, without what is over; patients who are not on it are typed in.",
        "目前使用上一次的列表（已过期的除外）；不在列表中的患者需手工输入。"
    ))
}

fn callers(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let Some(status) = &facts.status else { return Vec::new() };
    let lists = [List::AeTitles, List::Senders, List::Callers];
    if !given(facts, &lists, both!("senders", "发送方"), checked) {
        return Vec::new();
    }
    let site = Site { ae_titles: &facts.ae_titles, senders: &facts.senders, address: &status.dicom_address };
    let refused: Vec<&Caller> = facts.callers.iter().filter(|caller| caller.outcome != "accepted").collect();
    let found: Vec<Finding> = refused.iter().filter_map(|caller| turned_away(facts, caller, &site)).collect();
    let n = facts.callers.len() - refused.len();
    let seen = if found.is_empty() {
        both!("{n} known, nobody was turned away lately", "已知 {n} 个，近期没有被拒绝的")
    } else {
        both!("{n} known, some were turned away", "已知 {n} 个，有设备被拒绝")
    };
    looked(checked, both!("senders", "发送方"), seen);
    found
}

fn turned_away(facts: &Facts, caller: &Caller, site: &Site<'_>) -> Option<Finding> {
    let age = age(facts, &caller.last_utc).filter(|age| *age < OLD)?;
    // Somebody corrected it: the same machine was let in since.
    let since = |other: &&Caller| {
        other.outcome == "accepted" && other.address == caller.address && other.last_utc > caller.last_utc
    };
    if caller.outcome != "no-context-accepted" && facts.callers.iter().any(|other| since(&other)) {
        return None;
    }
    let gravity = match caller.outcome.as_str() {
        _ if age > FRESH => Gravity::Note,
        "called-ae-wrong" | "calling-ae-unknown" | "address-unknown" | "tls-on-plain-port" | "needs-tls"
        | "certificate-wrong" | "identity-refused" => Gravity::Broken,
        "not-dicom" => Gravity::Note,
        _ => Gravity::Warning,
    };
    let (cause, remedy) = refused(caller, site);
    let (times, ago) = (caller.times, span(age));
    let often = if times == 1 { "once".to_owned() } else { format!("{times} times") };
    let (ago_en, ago_zh) = (ago.en, ago.zh);
    let came = came(caller);
    let configured = configured(caller, site);
    Some(
        Finding::new(code(&caller.outcome), gravity, cause, remedy)
            .seen(both!("{often}, the last time {ago_en} ago; {came}", "共 {times} 次，最近一次在 {ago_zh}前；{came}"))
            .seen(configured),
    )
}

fn code(outcome: &str) -> &'static str {
    [
        "called-ae-wrong",
        "calling-ae-unknown",
        "address-unknown",
        "tls-on-plain-port",
        "needs-tls",
        "certificate-wrong",
        "identity-refused",
        "tls-failed",
        "not-dicom",
        "no-context-accepted",
        "too-many-associations",
        "protocol-version",
        "application-context",
    ]
    .into_iter()
    .find(|known| *known == outcome)
    .unwrap_or("caller-refused")
}

fn came(caller: &Caller) -> String {
    let Caller { calling_ae, called_ae, address, .. } = caller;
    if calling_ae.is_empty() && called_ae.is_empty() {
        address.clone()
    } else {
        format!("{calling_ae} -> {called_ae}, {address}")
    }
}

fn configured(caller: &Caller, site: &Site<'_>) -> Text {
    let list = |senders: Vec<&(String, String)>| {
        let one = |(ae, address): &&(String, String)| {
            if address.is_empty() { ae.clone() } else { format!("{ae} ({address})") }
        };
        senders.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match caller.outcome.as_str() {
        "called-ae-wrong" => {
            let ours = site.ae_titles.join(", ");
            both!("this box answers to {ours}", "本机的 AE Title 为 {ours}")
        }
        "calling-ae-unknown" => {
            let here: Vec<_> = site.senders.iter().filter(|(_, address)| *address == caller.address).collect();
            if here.is_empty() {
                let all = list(site.senders.iter().collect());
                both!("configured senders: {all}", "已配置的发送方：{all}")
            } else {
                let here = list(here);
                both!("configured for this address: {here}", "该地址已配置的是：{here}")
            }
        }
        "address-unknown" => {
            let known = list(site.senders.iter().filter(|(ae, _)| *ae == caller.calling_ae).collect());
            both!("configured: {known}", "已配置：{known}")
        }
        _ => Text::default(),
    }
}

/// What happened to a caller, and what would let it in.
pub fn refused(caller: &Caller, site: &Site<'_>) -> (Text, Text) {
    let Caller { calling_ae, called_ae, address, .. } = caller;
    let ours = site.ae_titles.first().map_or("SCANSIDE", String::as_str);
    let word = shell(calling_ae);
    // What begins like an option is none.
    let word = if word.starts_with('-') { format!("--write -- {word}") } else { format!("{word} --write") };
    let learn = both!(
        "`scansidectl peers learn {word}`, then `systemctl restart scansided`.",
        "执行 `scansidectl peers learn {word}`，然后 `systemctl restart scansided`。"
    );
    match caller.outcome.as_str() {
        "called-ae-wrong" => (
            both!(
                "{calling_ae} ({address}) is turned away: it calls {called_ae}, which is not this box's AE title",
                "{calling_ae}（{address}）被拒绝：它呼叫的 AE Title 是 {called_ae}，与本机不符"
            ),
            both!(
                "On the scanner set the called AE title to {ours}; or add {called_ae} to dicom.ae_titles here.",
                "在设备上把被叫（Called）AE Title 改为 {ours}；或在本机 dicom.ae_titles 中加入 {called_ae}。"
            ),
        ),
        "calling-ae-unknown" => {
            let alike = site.senders.iter().find(|(ae, _)| ae.eq_ignore_ascii_case(calling_ae)).map(|(ae, _)| ae);
            let remedy = match alike {
                Some(known) => both!(
                    "Upper and lower case count: {known} is configured. Correct it on the scanner or here.",
                    "AE Title 区分大小写：已配置的是 {known}，请在设备或本机上改为一致。"
                ),
                None => Text {
                    en: format!("If it is one of yours: {}", learn.en),
                    zh: format!("如果是本院设备：{}", learn.zh),
                },
            };
            (
                both!(
                    "{calling_ae} ({address}) is turned away: it is not in the list of senders",
                    "{calling_ae}（{address}）被拒绝：不在允许发送的设备列表中"
                ),
                remedy,
            )
        }
        "address-unknown" => (
            both!(
                "{calling_ae} is turned away: it comes from {address}, which is not its address",
                "{calling_ae} 被拒绝：它来自 {address}，与配置的地址不符"
            ),
            Text {
                en: format!("If the scanner has a new address: {}", learn.en),
                zh: format!("如果设备换了地址：{}", learn.zh),
            },
        ),
        "tls-on-plain-port" => (
            both!(
                "{address} is turned away: it speaks TLS, and this port does not",
                "{address} 被拒绝：对方使用 TLS 加密，而本端口不使用"
            ),
            both!(
                "Switch TLS off for this destination on the scanner, or give it the TLS port of this box.",
                "在设备上关闭该目的地的 TLS，或改用本机的 TLS 端口。"
            ),
        ),
        "needs-tls" => (
            both!(
                "{calling_ae} ({address}) is turned away: it comes without TLS, and may come by TLS only",
                "{calling_ae}（{address}）被拒绝：它未使用 TLS，而本机只允许它使用 TLS"
            ),
            both!(
                "Switch TLS on at the scanner, with the TLS port of this box; or set plain = true in its [[dicom.sender]] here.",
                "在设备上启用 TLS 并使用本机的 TLS 端口；或在本机该设备的 [[dicom.sender]] 中设置 plain = true。"
            ),
        ),
        "certificate-wrong" => (
            both!(
                "{calling_ae} ({address}) is turned away: it shows another certificate than this box expects of it",
                "{calling_ae}（{address}）被拒绝：它出示的证书与本机要求的不符"
            ),
            both!(
                "If its certificate was renewed, set the new one in the certificate of its [[dicom.sender]] (`scansidectl cert show FILE`).",
                "若该设备更换了证书，请在其 [[dicom.sender]] 的 certificate 中填写新证书（`scansidectl cert show 文件`）。"
            ),
        ),
        "identity-refused" => {
            let reason = &caller.reason;
            (
                both!(
                    "{calling_ae} ({address}) is turned away: {reason}",
                    "{calling_ae}（{address}）被拒绝：用户身份未通过验证（{reason}）"
                ),
                both!(
                    "Set user name and passcode at the scanner as in [[dicom.user]] here (`scansidectl peers user NAME` makes a new one); or set user_identity = \"ignore\" in its [[dicom.sender]] (where there is none yet, the first one shuts out everybody who has none).",
                    "请在设备上设置与本机 [[dicom.user]] 一致的用户名和密码（`scansidectl peers user 名称` 可新建）；或在其 [[dicom.sender]] 中设置 user_identity = \"ignore\"（若尚无任何条目，添加第一个后未登记的设备将无法发送）。"
                ),
            )
        }
        "tls-failed" => {
            let reason = &caller.reason;
            (
                both!("No TLS connection with {address}: {reason}", "与 {address} 的 TLS 连接失败：{reason}"),
                both!(
                    "Each side must trust the other's certificate: compare dicom.tls.ca here with the CA that the scanner trusts.",
                    "双方必须互相信任证书：请核对本机的 dicom.tls.ca 与设备所信任的 CA。"
                ),
            )
        }
        "no-context-accepted" => (
            both!(
                "{calling_ae} ({address}) asks for services that this box does not have",
                "{calling_ae}（{address}）请求了本机不提供的服务"
            ),
            both!(
                "On the scanner use this box for storage, its commitment, MPPS and, where dicom.worklist is on, the worklist; not for query or print. Studies are not affected.",
                "在设备上本机可用于存储（Storage）、存储确认、MPPS，以及在 dicom.worklist 开启时的工作列表；不要设为查询、打印等。检查接收不受影响。"
            ),
        ),
        "too-many-associations" => (
            both!(
                "{calling_ae} ({address}) was told to come back: too many connections were open",
                "{calling_ae}（{address}）被要求稍后重试：同时打开的连接过多"
            ),
            both!(
                "Scanners come back by themselves. If it is often so, raise dicom.max_associations.",
                "设备会自动重试。若经常出现，请调高 dicom.max_associations。"
            ),
        ),
        "not-dicom" => {
            let port = site.address;
            (
                both!(
                    "{address} connected to the DICOM port and spoke something else",
                    "{address} 连接了 DICOM 端口，但使用的不是 DICOM 协议"
                ),
                both!(
                    "If it is a scanner, check that {port} is set as a DICOM destination. Else it is a port scan: nothing to do.",
                    "若是影像设备，请确认 {port} 被设为 DICOM 目的地；否则是端口扫描，无需处理。"
                ),
            )
        }
        _ => (
            Text {
                en: format!("{calling_ae} ({address}) is turned away: {}", caller.reason),
                zh: format!("{calling_ae}（{address}）被拒绝：{}", caller.reason),
            },
            both!(
                "Its DICOM software does not follow the standard: tell its service.",
                "对方的 DICOM 软件不符合标准，请联系其厂家服务。"
            ),
        ),
    }
}

fn destinations(facts: &Facts, checked: &mut Vec<Checked>) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.status.is_some() {
        given(facts, &[List::Deliveries], both!("outbox", "发送队列"), checked);
    }
    let area = both!("destinations", "接收方");
    if facts.destinations.is_empty() && facts.config.problems.is_empty() {
        looked(checked, area, both!("none configured: results stay on the box", "未配置：结果只保存在本机"));
    }
    for destination in &facts.destinations {
        let name = &destination.name;
        let waiting: Vec<&Delivery> = facts.deliveries.iter().filter(|d| d.destination == *name).collect();
        let Some(probe) = &destination.probe else {
            not_looked(checked, both!("{name}", "{name}"), both!("not tested", "未测试"));
            found.extend(refused_results(facts, name, &waiting));
            continue;
        };
        let mut of_it = probed(name, &destination.way, probe);
        if of_it.is_empty() {
            let took: f64 = probe.passed.iter().map(|step| step.milliseconds).sum();
            looked(checked, both!("{name}", "{name}"), both!("answers ({took:.0} ms)", "有响应（{took:.0} 毫秒）"));
        } else {
            looked(checked, both!("{name}", "{name}"), both!("trouble", "有问题"));
        }
        let late = late(facts, name, &waiting);
        match (of_it.first_mut(), late) {
            // One cause, one finding: that results wait is what it does.
            (Some(first), Some(late)) => first.evidence.extend(late.evidence),
            (None, Some(late)) => of_it.push(late),
            _ => {}
        }
        if !of_it.iter().any(|finding| finding.code == "archive-refuses-class") {
            of_it.extend(refused_results(facts, name, &waiting));
        }
        found.extend(of_it);
    }
    found.extend(unknown_destinations(facts));
    found.extend(held(facts));
    found
}

/// Results for a destination that was renamed or removed: nobody sends them, and they keep their studies on the disk.
fn unknown_destinations(facts: &Facts) -> Vec<Finding> {
    if !facts.config.problems.is_empty() {
        return Vec::new();
    }
    let mut waiting = std::collections::BTreeMap::<&str, usize>::new();
    for delivery in &facts.deliveries {
        if facts.destinations.iter().all(|known| known.name != delivery.destination) {
            *waiting.entry(&delivery.destination).or_default() += 1;
        }
    }
    let found = waiting.into_iter().map(|(name, n)| {
        let (results, word) = (many(n, "result"), shell(name));
        Finding::new(
            "destination-not-configured",
            Gravity::Warning,
            both!(
                "Nobody sends {results} for {name}: no such destination is configured",
                "未配置接收方 {name}，发往它的 {n} 个结果无法发送"
            ),
            both!(
                "Give the destination its old name again, or give them up: `scansidectl outbox drop --destination {word}`.",
                "请恢复该接收方原来的名称；若不再需要，执行 `scansidectl outbox drop --destination {word}` 放弃发送。"
            ),
        )
    });
    found.collect()
}

/// What a test of a destination found; empty when all is well.
pub fn probed(name: &str, way: &Way, probe: &Probe) -> Vec<Finding> {
    let (address, word) = (&way.place(), shell(name));
    // Which settings say where it is, and as whom we go there.
    let (key, called, calling) = match way {
        Way::Dimse(target) => ("address", target.called_ae.trim(), target.calling_ae.trim()),
        Way::Web(_) => ("url", "", ""),
    };
    let mut found = Vec::new();
    if let Some(failed) = &probe.failed {
        let (cause, remedy) = match failed.cause {
            Cause::NameUnknown => (
                both!("The name of {name} has no address: {address}", "无法解析接收方 {name} 的主机名：{address}"),
                both!(
                    "Correct destination.{name}.{key}, or use an IP address; on a network without a name server only that works.",
                    "请修改 destination.{name}.{key}，或直接填写 IP 地址；没有域名服务器的网络只能用 IP。"
                ),
            ),
            Cause::NoRoute => (
                both!("There is no way to {name}: {address}", "到接收方 {name} 的网络不通：{address}"),
                both!(
                    "Check cable, address and gateway of this box: `ip address`, `ip route`.",
                    "检查网线、本机地址和网关：`ip address`、`ip route`。"
                ),
            ),
            Cause::PortClosed => (
                both!(
                    "The machine of {name} is there, but no program listens at {address}",
                    "接收方 {name} 的主机在线，但 {address} 端口没有服务"
                ),
                both!(
                    "Start the archive's service, or correct the port in destination.{name}.{key}.",
                    "启动对方的服务，或修改 destination.{name}.{key} 中的端口。"
                ),
            ),
            Cause::NoAnswer => (
                both!("{name} does not answer: {address}", "接收方 {name} 无应答：{address}"),
                both!(
                    "Is it switched on, is the address right, does a firewall stand between? (`ping`, then `scansidectl peers echo {word}`)",
                    "对方是否开机、地址是否正确、中间是否有防火墙？（先 `ping`，再 `scansidectl peers echo {word}`）"
                ),
            ),
            Cause::Silent => (
                both!("{name} takes the connection and then says nothing", "接收方 {name} 接受连接后没有任何应答"),
                both!(
                    "Its service hangs or waits for TLS: have it restarted, or compare the TLS settings.",
                    "对方的服务可能挂起或在等待 TLS：请重启该服务，或核对 TLS 设置。"
                ),
            ),
            Cause::NotDicom => (
                both!("At {address} is no DICOM service, but something else", "{address} 上运行的不是 DICOM 服务"),
                both!(
                    "Correct the port in destination.{name}.address (104 and 11112 are usual; 80, 8042 and 443 are web pages).",
                    "请修改 destination.{name}.address 中的端口（DICOM 常用 104、11112；80、8042、443 是网页端口）。"
                ),
            ),
            Cause::Tls => (
                both!("No TLS connection with {name} at {address}", "与接收方 {name}（{address}）无法建立 TLS 连接"),
                both!(
                    "What failed is below. Compare destination.{name}.tls with the archive: does it use TLS at this port, and does each side trust the other's certificate? (`scansidectl cert show FILE`)",
                    "失败原因见下。请与对方核对 destination.{name}.tls：该端口是否启用 TLS，双方是否信任对方证书？（`scansidectl cert show 文件`）"
                ),
            ),
            Cause::CalledAe => (
                both!("{name} does not answer to the AE title {called}", "接收方 {name} 的 AE Title 不是 {called}"),
                both!(
                    "Ask for the archive's AE title and set destination.{name}.ae_title.",
                    "向对方确认其 AE Title，并修改 destination.{name}.ae_title。"
                ),
            ),
            Cause::CallingAe => (
                both!(
                    "{name} does not know this box: the AE title {calling} is not registered there",
                    "接收方 {name} 不认识本机：AE Title {calling} 未在对方登记"
                ),
                both!(
                    "Have {calling} with this box's address entered at the archive; or set destination.{name}.calling_ae_title to the title that is.",
                    "请在对方系统中登记 {calling} 及本机地址；或把 destination.{name}.calling_ae_title 改为已登记的名称。"
                ),
            ),
            Cause::Rejected => (
                both!("{name} rejects the connection", "接收方 {name} 拒绝关联"),
                both!("What it said is below; its log says more.", "对方的答复见下；详情请查看对方日志。"),
            ),
            Cause::Aborted if matches!(way, Way::Web(_)) => (
                both!("{name} breaks the connection off", "接收方 {name} 中断了连接"),
                both!(
                    "What was seen is below; its log says more. Perhaps it wants TLS at {address}, or a certificate of this box.",
                    "现象见下；详情请查看对方日志。{address} 可能要求 TLS 或本机证书。"
                ),
            ),
            Cause::Aborted => (
                both!("{name} breaks the connection off", "接收方 {name} 中断了连接"),
                both!(
                    "Archives do this when they do not know the AE title or the address of a peer: have {calling} registered there.",
                    "归档系统不认识对方的 AE Title 或地址时常会如此：请在对方登记 {calling}。"
                ),
            ),
            Cause::EchoRefused => (
                both!("{name} accepts the connection and refuses the C-ECHO", "接收方 {name} 接受关联，但拒绝 C-ECHO"),
                both!("Its log says why.", "原因请查看对方日志。"),
            ),
            Cause::NotHttp => (
                both!("At {address} is no web service, but something else", "{address} 上运行的不是网页服务"),
                both!(
                    "Correct destination.{name}.url: the port of the DICOMweb service, and https or http as it is there.",
                    "请修改 destination.{name}.url：使用 DICOMweb 服务的端口，并按对方设置选择 https 或 http。"
                ),
            ),
            Cause::LoginUnreadable => (
                both!("The login for {name} cannot be used", "接收方 {name} 的登录信息无法使用"),
                both!(
                    "Correct the file of destination.{name}.token_file or password_file; scansided must be able to read it, and nobody else.",
                    "请修正 destination.{name}.token_file 或 password_file 所指的文件；该文件只允许 scansided 读取。"
                ),
            ),
            Cause::LoginRefused => (
                both!("{name} does not let this box in", "接收方 {name} 拒绝本机登录"),
                both!(
                    "Ask for a token, or for a user with its password, that may store at {address}, and set destination.{name}.token_file, or user and password_file.",
                    "请向对方索取可在 {address} 存储的令牌或用户名与密码，并设置 destination.{name}.token_file，或 user 与 password_file。"
                ),
            ),
            Cause::NoStow => (
                both!(
                    "{address} takes no objects: there is no STOW-RS there",
                    "{address} 不提供 STOW-RS，无法接收对象"
                ),
                both!(
                    "Correct the path in destination.{name}.url (often /dicom-web, without /studies), or have STOW-RS switched on.",
                    "请修改 destination.{name}.url 中的路径（常为 /dicom-web，不含 /studies），或请对方启用 STOW-RS。"
                ),
            ),
            Cause::NotReady => (
                both!("{name} answers that it cannot work now", "接收方 {name} 答复当前无法工作"),
                both!("What it said is below; its log says more.", "对方的答复见下；详情请查看对方日志。"),
            ),
        };
        found.push(Finding::new(failed.cause.code(), Gravity::Broken, cause, remedy).seen(Text::same(&failed.what)));
    }
    if !probe.not_taken.is_empty() {
        let all = probe.not_taken.len() == probe.asked;
        let names = probe.not_taken.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let (gravity, cause) = if all {
            (Gravity::Broken, both!("{name} takes none of the results", "接收方 {name} 不接收任何一种结果"))
        } else {
            (Gravity::Warning, both!("{name} does not take: {names}", "接收方 {name} 不接收：{names}"))
        };
        let mut finding = Finding::new(
            "archive-refuses-class",
            gravity,
            cause,
            both!(
                "Have these SOP classes switched on at the archive, then `scansidectl outbox retry {word}`.",
                "请在对方启用这些 SOP 类，然后执行 `scansidectl outbox retry {word}`。"
            ),
        )
        .blocks(both!("Such results are parked, the others are sent.", "这些结果会被搁置，其余照常发送。"));
        for (name, why) in &probe.not_taken {
            finding = finding.seen(both!("{name}: {why}", "{name}：{why}"));
        }
        found.push(finding);
    }
    found
}

fn late(facts: &Facts, name: &str, waiting: &[&Delivery]) -> Option<Finding> {
    let pending: Vec<_> = waiting.iter().filter(|delivery| delivery.state == "pending").collect();
    let tried: Vec<_> = pending.iter().filter(|delivery| delivery.attempts > 0).collect();
    // Not that of the status: the oldest of all may wait for another archive.
    let queue = facts.queues.iter().find(|queue| queue.name == name)?;
    let oldest = queue.oldest_pending_utc.as_deref().and_then(|utc| age(facts, utc))?;
    if pending.is_empty() || (tried.is_empty() && oldest < LATE) {
        return None;
    }
    let (n, waits, word) = (pending.len(), span(oldest), shell(name));
    let (results, verb) = (many(n, "result"), if n == 1 { "waits" } else { "wait" });
    let (waits_en, waits_zh) = (waits.en, waits.zh);
    let said = tried.first().and_then(|delivery| delivery.reason.clone()).map(Text::same).unwrap_or_default();
    let gravity = if oldest < LATE { Gravity::Note } else { Gravity::Warning };
    Some(
        Finding::new(
            "results-late",
            gravity,
            both!("Results for {name} wait, although it answers now", "发往 {name} 的结果仍在等待，但对方现在有响应"),
            both!(
                "`scansidectl outbox retry {word}` sends them now.",
                "执行 `scansidectl outbox retry {word}` 立即发送。"
            ),
        )
        .seen(both!("{results} {verb}, the oldest for {waits_en}", "{n} 个结果在等待，最久已 {waits_zh}"))
        .seen(said),
    )
}

fn refused_results(facts: &Facts, name: &str, waiting: &[&Delivery]) -> Option<Finding> {
    let _ = facts;
    let parked: Vec<_> = waiting.iter().filter(|delivery| delivery.state == "parked").collect();
    let first = parked.first()?;
    let (n, kind, word) = (parked.len(), &first.kind, shell(name));
    let results = many(n, "result");
    let status = first.status.map(|status| format!("{status:#06x}")).unwrap_or_default();
    let reason = first.reason.clone().unwrap_or_default();
    Some(
        Finding::new(
            "results-refused",
            Gravity::Broken,
            both!("{name} refused {results} for good", "接收方 {name} 永久拒收了 {n} 个结果"),
            both!(
                "Correct the archive by what it said, then `scansidectl outbox retry {word}`.",
                "按对方的答复修正其设置，然后执行 `scansidectl outbox retry {word}`。"
            ),
        )
        .seen(both!("{kind} {status}: {reason}", "{kind} {status}：{reason}")),
    )
}

fn held(facts: &Facts) -> Option<Finding> {
    let n = facts.status.as_ref()?.deliveries_held;
    let results = many(n, "result");
    (n > 0).then(|| {
        Finding::new(
            "results-held",
            Gravity::Warning,
            both!("Held, because a simulated device made them: {results}", "{n} 个结果由模拟设备产生，已暂停发送"),
            both!("On a box for patients correct live.device or accelerator.provider. On a bench set accepts_simulated for the destination.", "临床使用时请修正 live.device 或 accelerator.provider；测试环境可为接收方设置 accepts_simulated。"),
        )
    })
}
