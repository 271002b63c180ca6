//! Tries an answer of `setup`: each check does what the box will do later.

use std::net::{IpAddr, SocketAddr};

use config::Settings;
use dicom::check::Checker;
use node::probe::{self, Cause, Probe, Step};
use node::send::{Target, Way};
use report::words::Language as ReportLanguage;
use serde::Serialize;

use super::answers::{Answers, NONE, Question, dicom_destination, dicom_destinations, peer};
use super::{room, zone};
use crate::ctl::examine::{self, machine::Machine};
use crate::ctl::peers::PATIENCE;
use crate::doctor::facts::Port;
use crate::doctor::text::{Text, both};
use crate::doctor::{network, sandbox};

/// The name of the check of the box itself.
pub const OWN: &str = "self";

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// The question, `disk` or `self`.
    pub check: &'static str,
    pub answer: String,
    pub passed: bool,
    /// False: the configuration would be wrong with it.
    pub may_be_kept: bool,
    pub seen: Text,
    pub remedy: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

impl Checked {
    pub(super) fn good(check: &'static str, answer: &str, seen: Text) -> Self {
        let answer = answer.to_owned();
        Self { check, answer, passed: true, may_be_kept: true, seen, remedy: Text::default(), probe: None }
    }

    /// It may be right all the same: the peer is not connected yet.
    pub(super) fn doubtful(check: &'static str, answer: &str, seen: Text, remedy: Text) -> Self {
        Self { passed: false, remedy, ..Self::good(check, answer, seen) }
    }

    pub(super) fn wrong(check: &'static str, answer: &str, seen: Text, remedy: Text) -> Self {
        Self { may_be_kept: false, ..Self::doubtful(check, answer, seen, remedy) }
    }
}

/// Where an answer is tried.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub settings: &'a Settings,
    pub machine: Machine<'a>,
    /// Port of the daemon that answers on the bus.
    pub running: Option<u16>,
    /// False: nobody is there to be asked.
    pub asks: bool,
}

pub async fn check(question: Question, answers: &mut Answers, site: Site<'_>) -> Checked {
    match question {
        Question::AeTitle => ae_title("ae_title", &answers.ae_title, &answers.ae_title),
        Question::Port => port(answers, site).await,
        Question::Sender => sender(&answers.sender).await,
        Question::Destination => destination(answers, site.settings).await,
        Question::Language => language(answers),
        Question::TimeZone => zone::check(answers, site),
    }
}

fn ae_title(check: &'static str, answer: &str, title: &str) -> Checked {
    let mut checker = Checker::default();
    checker.ae_title(check, title);
    let Some((_, why)) = checker.into_found().into_iter().next() else {
        return Checked::good(check, answer, both!("is an AE title", "符合 AE Title 规则"));
    };
    let rule = both!(
        "An AE title has 1 to 16 letters, digits, spaces or signs of ASCII, and no backslash (DICOM PS3.5, AE).",
        "AE Title 为 1 至 16 个 ASCII 字母、数字、空格或符号，不含反斜杠（DICOM PS3.5，AE）。"
    );
    Checked::wrong(check, answer, both!("is no AE title: {why}", "不是有效的 AE Title：{why}"), rule)
}

async fn port(answers: &Answers, site: Site<'_>) -> Checked {
    let answer = answers.port.as_str();
    let Some(number) = answer.parse::<u16>().ok().filter(|number| *number > 0) else {
        let remedy = both!(
            "A port is a number from 1 to 65535; DICOM uses 104 or 11112.",
            "端口为 1 至 65535 的数字；DICOM 常用 104 或 11112。"
        );
        return Checked::wrong("port", answer, both!("is no port", "不是端口号"), remedy);
    };
    let listen = answers.listen(site.settings);
    let choose = both!(
        "Choose another port, and set it on the scanners too; or stop that program (`ss -ltnp` shows it).",
        "请换一个端口，并在设备上同步修改；或停止占用端口的程序（用 `ss -ltnp` 查看）。"
    );
    match examine::bound(listen, site.machine).await {
        Some(Port::Free) | None => Checked::good("port", answer, both!("{listen} is free", "{listen} 空闲")),
        Some(Port::Taken(owner)) => {
            let is_ours =
                owner.as_ref().is_some_and(|owner| owner.starts_with("scansided ")) || site.running == Some(number);
            let owner = owner.unwrap_or_else(|| "another program".into());
            if is_ours {
                return Checked::good(
                    "port",
                    answer,
                    both!("{listen} is in use by this box itself", "{listen} 由本机 scansided 使用"),
                );
            }
            Checked::doubtful(
                "port",
                answer,
                both!("{listen} is taken by {owner}", "{listen} 已被占用（{owner}）"),
                choose,
            )
        }
        Some(Port::NotAllowed) => Checked::doubtful(
            "port",
            answer,
            both!(
                "you may not open {listen}; the service may, from port 104 on",
                "当前用户无权打开 {listen}；服务可使用 104 及以上端口"
            ),
            both!("Run this with sudo, or choose a port from 1024 on.", "请用 sudo 运行，或选择 1024 以上的端口。"),
        ),
        Some(Port::NoSuchAddress) => Checked::wrong(
            "port",
            answer,
            both!("{listen} is not an address of this box", "{listen} 不是本机地址"),
            both!(
                "Correct dicom.listen: `scansidectl config set dicom.listen 0.0.0.0:{number}`.",
                "请修改 dicom.listen：`scansidectl config set dicom.listen 0.0.0.0:{number}`。"
            ),
        ),
    }
}

/// The first address of a host.
pub async fn resolve(host: &str) -> Option<IpAddr> {
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await;
    found.ok()?.ok()?.next().map(|address: SocketAddr| address.ip())
}

async fn sender(answer: &str) -> Checked {
    if answer == NONE {
        let open = both!(
            "nobody is added; without any sender in the configuration everyone may send",
            "不添加发送方；配置中没有任何发送方时，任何设备都可发送"
        );
        return Checked::good("sender", answer, open);
    }
    let (title, host) = peer(answer);
    let named = ae_title("sender", answer, title);
    if !named.passed {
        return named;
    }
    let Some(host) = host else {
        return Checked::good("sender", answer, both!("{title} may send from any address", "{title} 可从任意地址发送"));
    };
    match resolve(host).await {
        Some(address) => {
            Checked::good("sender", answer, both!("{title} may send from {address}", "{title} 可从 {address} 发送"))
        }
        // The configuration holds an address, no name.
        None => Checked::wrong(
            "sender",
            answer,
            both!("the name {host} has no address", "无法解析主机名 {host}"),
            both!(
                "Give the scanner's IP address, or AE alone for any address.",
                "请填写设备的 IP 地址，或只填 AE Title 表示任意地址。"
            ),
        ),
    }
}

async fn destination(answers: &Answers, settings: &Settings) -> Checked {
    let answer = answers.destination.as_str();
    if answer == NONE {
        return nowhere(settings);
    }
    let (title, host) = peer(answer);
    let named = ae_title("destination", answer, title);
    if !named.passed {
        return named;
    }
    let port = host.and_then(|host| host.rsplit_once(':')).filter(|(name, _)| !name.is_empty());
    let Some(host) = host.filter(|_| port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)))
    else {
        return Checked::wrong(
            "destination",
            answer,
            both!("is not AE@HOST:PORT", "格式不是 AE@主机:端口"),
            both!("For example PACS@192.0.2.20:104; `-` for none.", "例如 PACS@192.0.2.20:104；填 `-` 表示没有。"),
        );
    };
    let known = dicom_destination(settings);
    let tls = known.and_then(|(_, one)| Target::from(one).tls);
    let name = known.map_or("pacs", |(name, _)| name.as_str());
    let target =
        Target { address: host.to_owned(), called_ae: title.to_owned(), calling_ae: answers.calling(settings), tls };
    let probe = probe::run(&target, PATIENCE).await;
    let checked = match network::probed(name, &Way::Dimse(target), &probe).into_iter().next() {
        None => Checked::good(
            "destination",
            answer,
            both!("answers the C-ECHO and takes all kinds of results", "C-ECHO 有应答，并接受所有类型的结果"),
        ),
        Some(finding) => Checked::doubtful("destination", answer, finding.cause, finding.remedy),
    };
    Checked { probe: Some(probe), ..checked }
}

/// What the answer for nowhere does: the one destination of DICOM goes. Of several it is not known which is meant.
fn nowhere(settings: &Settings) -> Checked {
    let (dicom, mut web) = (dicom_destinations(settings), Vec::new());
    web.extend(settings.destination.keys().filter(|name| !dicom.contains(name)).map(String::as_str));
    let names = dicom.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if let [_, _, ..] = dicom[..] {
        let first = dicom[0];
        return Checked::wrong(
            "destination",
            NONE,
            both!("does not say which of {names} is to go", "未指明要删除 {names} 中的哪一个"),
            both!(
                "`scansidectl config unset destination.{first}` takes one out; here answer with one that stays.",
                "用 `scansidectl config unset destination.{first}` 删除一个；此处请填写保留的接收方。"
            ),
        );
    }
    let (gone, gone_zh) = match dicom.first() {
        Some(name) => (format!("destination.{name} is taken out: "), format!("将删除 destination.{name}：")),
        None => Default::default(),
    };
    let seen = if web.is_empty() {
        both!("{gone}results stay on the box", "{gone_zh}结果只保存在本机")
    } else {
        let web = web.join(", ");
        both!("{gone}results go by URL only, to {web}", "{gone_zh}结果仅通过 URL 发送到 {web}")
    };
    Checked::good("destination", NONE, seen)
}

/// `zh` is enough for `zh-CN`.
fn language(answers: &mut Answers) -> Checked {
    let tags: Vec<&str> = ReportLanguage::ALL.iter().map(|language| language.words().tag()).collect();
    let typed = answers.language.clone();
    let is = |tag: &&&str| tag.eq_ignore_ascii_case(&typed) || tag.split('-').next() == Some(typed.as_str());
    match tags.iter().find(is) {
        Some(tag) => {
            answers.language = (*tag).to_owned();
            Checked::good(
                "language",
                tag,
                both!(
                    "of the words on key images; PDFs come in every language",
                    "关键图像上的文字所用语言；PDF 包含所有语言"
                ),
            )
        }
        None => {
            let known = tags.join(", ");
            Checked::wrong(
                "language",
                &typed,
                both!("is not known", "不支持"),
                both!("One of {known}.", "可选：{known}。"),
            )
        }
    }
}

/// The disk of the spool. Not a question: what it can do is told, and doubted when it is not enough.
pub async fn disk(site: Site<'_>) -> Checked {
    let directory = site.settings.spool.directory.clone();
    let answer = directory.display().to_string();
    // Who runs this may write there all the same: it is the unit that may not.
    let unit = if site.machine.system { examine::unit().await } else { None };
    if let Some(finding) = unit.and_then(|unit| sandbox::outside(&unit, &directory)) {
        return Checked::doubtful("disk", &answer, finding.cause, finding.remedy);
    }
    let free = site.machine.storage(&directory).map_or(0, |storage| storage.free_bytes);
    let reserve = site.settings.spool.min_free_mib << 20;
    let measured = tokio::task::spawn_blocking(move || room::measure(&directory, free, reserve)).await;
    match measured.map_err(std::io::Error::other).and_then(|measured| measured) {
        Ok(measured) => {
            let (enough, seen) = room::words(measured);
            let remedy = both!("Mount a faster or larger disk at {answer}.", "请在 {answer} 挂载更快或更大的磁盘。");
            if enough { Checked::good("disk", &answer, seen) } else { Checked::doubtful("disk", &answer, seen, remedy) }
        }
        // Who runs this may not write there, or it is made at the first start.
        Err(error) => Checked::good("disk", &answer, both!("not measured: {error}", "未测量：{error}")),
    }
}

/// Whether the box answers as a scanner would see it.
pub async fn own(settings: &Settings) -> Checked {
    let mut address = settings.dicom.listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv6() {
            std::net::Ipv6Addr::LOCALHOST.into()
        } else {
            std::net::Ipv4Addr::LOCALHOST.into()
        });
    }
    let called = settings.dicom.ae_titles.first().cloned().unwrap_or_else(|| "SCANSIDE".into());
    let calling = settings.dicom.sender.first().map_or_else(|| called.clone(), |sender| sender.ae_title.clone());
    let target = Target { address: address.to_string(), called_ae: called, calling_ae: calling.clone(), tls: None };
    let answer = format!("{}@{address}", target.called_ae.trim());
    let probe = probe::run_for(&target, &[], PATIENCE).await;
    let checked = match &probe.failed {
        None => Checked::good(OWN, &answer, both!("the box answers the C-ECHO", "本机应答 C-ECHO")),
        // The test does not come from the sender's address: that it is turned away shows that the box runs.
        Some(failed)
            if failed.step == Step::Association && matches!(failed.cause, Cause::CallingAe | Cause::Rejected) =>
        {
            Checked::good(
                OWN,
                &answer,
                both!(
                    "the box answers, and turns away {calling} from this address, as configured",
                    "本机有应答，并按配置拒绝来自此地址的 {calling}"
                ),
            )
        }
        Some(failed) => {
            let (step, what) = (failed.step, &failed.what);
            Checked::doubtful(
                OWN,
                &answer,
                both!("the box does not answer: {step}: {what}", "本机无应答：{step}：{what}"),
                both!(
                    "`systemctl status scansided`, then `scansidectl doctor`.",
                    "请执行 `systemctl status scansided`，然后执行 `scansidectl doctor`。"
                ),
            )
        }
    };
    Checked { probe: Some(probe), ..checked }
}

#[cfg(test)]
mod tests {
    use node::settings::Destination;

    use super::*;

    fn destination(text: &str) -> Destination {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn nowhere_is_said_to_be_nowhere_only_when_no_destination_is_left() {
        let mut settings = Settings::default();
        let pacs = destination("address = \"192.0.2.20:104\"\nae_title = \"PACS\"");
        assert_eq!(nowhere(&settings).seen.en, "results stay on the box");
        settings.destination.insert("pacs".into(), pacs.clone());
        assert_eq!(nowhere(&settings).seen.en, "destination.pacs is taken out: results stay on the box");
        let web = destination("url = \"https://192.0.2.20/dicom-web\"");
        settings.destination.insert("web".into(), web);
        assert_eq!(nowhere(&settings).seen.en, "destination.pacs is taken out: results go by URL only, to web");
        settings.destination.insert("viewer".into(), pacs);
        let two = nowhere(&settings);
        assert!(!two.may_be_kept && two.remedy.en.contains("config unset destination.pacs"), "{two:?}");
    }
}
