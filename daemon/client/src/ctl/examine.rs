//! Collects the doctor's facts: from the daemon where it answers, from systemd, the configuration, and the kernel's files. Each
//! part takes what it can get; none waits longer than a few seconds, and none fails the others.

mod ask;
pub mod machine;
mod unit;

pub use unit::{output_within, read as unit};

use std::path::PathBuf;
use std::time::Duration;

use config::Settings;
use hal::root::Root;
use hal::sensors::Source;
use node::probe;
use node::send::Way;
use node::tls::expiry::{self, User};
use node::tls::settings::JudgeDates;
use study::model::hosts::{self, Look};
use zbus::fdo::DBusProxy;

use super::peers::{MANAGER, PATIENCE, PRIOR, TASKS, WORKLIST};
use crate::doctor::Facts;
use crate::doctor::Text;
use crate::doctor::facts::{Bus, Certificate, Config, Destination, Page, Port, Problem};
use crate::doctor::text::both;
use crate::{BUS_NAME, Live, LiveProxy, ManagerProxy, Status};

/// How long the daemon may take for one answer.
const ANSWER: Duration = Duration::from_secs(15);

/// Where and how to look.
#[derive(Debug, Clone)]
pub struct Place {
    pub bus: String,
    pub config: Vec<PathBuf>,
    /// `/`, but for tests.
    pub root: Root,
}

pub async fn facts(place: &Place) -> Facts {
    let mut facts = Facts { now_utc: hal::clock::now_utc(), ..Facts::default() };
    // Only the system bus belongs to the unit.
    if place.bus == "system" {
        facts.unit = unit::read().await;
    }
    let settings = configuration(place, &mut facts.config);
    let (bus, started) = talk(place, &mut facts).await;
    facts.bus = bus;
    facts.config.newer_than_daemon = started.and_then(|started| newer(place, started));
    let machine = machine::Machine { root: &place.root, system: place.bus == "system" };
    facts.clock = machine.clock(&facts.sent, facts.clock.newest_row_utc.take()).await;
    let sensors = settings.as_ref().and_then(|settings| settings.sensors.source().ok());
    facts.heat = machine.heat(&sensors.unwrap_or(Source::Sysfs));
    facts.memory = machine.memory(facts.status.as_ref(), facts.unit.is_some());
    if let Some(settings) = &settings {
        (facts.certificates, facts.unread_certificates) = certificates(settings);
        facts.storage = machine.storage(&settings.spool.directory);
        facts.accelerator = Some(machine.accelerator(&settings.accelerator, facts.bus == Bus::Answers));
        facts.capture = machine.capture(&settings.live.device);
        if facts.bus == Bus::Answers {
            facts.page = page(settings).await;
        } else if facts.bus != Bus::Denied {
            facts.port = port(settings, machine, &facts).await;
            facts.ports_from = machine.ports_from();
        }
        facts.inference_hosts = hosts(settings).await;
        (facts.destinations, facts.worklist_server, facts.step_manager, facts.prior_archive, facts.task_manager) = tokio::join!(
            destinations(settings),
            worklist_server(settings),
            step_manager(settings),
            prior_archive(settings),
            task_manager(settings)
        );
    }
    facts
}

/// Only what the clock is judged by; nobody else is asked.
pub async fn clock(place: &Place) -> Facts {
    let mut facts = Facts { now_utc: hal::clock::now_utc(), ..Facts::default() };
    configuration(place, &mut facts.config);
    (facts.bus, _) = talk(place, &mut facts).await;
    let machine = machine::Machine { root: &place.root, system: place.bus == "system" };
    facts.clock = machine.clock(&facts.sent, facts.clock.newest_row_utc.take()).await;
    facts
}

fn configuration(place: &Place, known: &mut Config) -> Option<Settings> {
    match config::load(&place.config) {
        Ok(settings) => {
            known.live_device.clone_from(&settings.live.device);
            known.provider.clone_from(&settings.accelerator.provider);
            known.min_free_bytes = settings.spool.min_free_mib << 20;
            known.listen = settings.dicom.listen.to_string();
            known.utc_is_right = settings.device.utc_is_right;
            known.judges_dates = settings.dicom.tls.judge_dates == JudgeDates::Always;
            Some(settings)
        }
        Err(error) => {
            known.problems = error.problems.iter().map(problem).collect();
            None
        }
    }
}

fn problem(problem: &config::Problem) -> Problem {
    let place = match (&problem.file, problem.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        (Some(file), None) => file.display().to_string(),
        (None, _) => String::new(),
    };
    Problem { place, key: problem.key.clone().unwrap_or_default(), reason: problem.reason.clone() }
}

/// A file that was written after the daemon started.
fn newer(place: &Place, started: std::time::SystemTime) -> Option<PathBuf> {
    let files = config::edit::files(&place.config).ok()?;
    let written = |file: &PathBuf| std::fs::metadata(file).and_then(|facts| facts.modified()).ok();
    // The start is known to a second.
    files.into_iter().find(|file| written(file).is_some_and(|written| written > started + Duration::from_secs(2)))
}

/// What the daemon says; and when it started.
async fn talk(place: &Place, facts: &mut Facts) -> (Bus, Option<std::time::SystemTime>) {
    let connection = match tokio::time::timeout(ANSWER, crate::connect(&place.bus)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return (Bus::NoBus(error.to_string()), None),
        Err(_) => return (Bus::NoBus("it does not answer".into()), None),
    };
    let Ok(Ok(owner)) = tokio::time::timeout(ANSWER, super::owner(&connection)).await else {
        return (Bus::NotThere, None);
    };
    let no = zbus::proxy::CacheProperties::No;
    let built = ManagerProxy::builder(&connection).destination(owner.as_str()).cache_properties(no).build().await;
    let Ok(manager) = built else { return (Bus::NotThere, None) };
    match tokio::time::timeout(ANSWER, Status::read(&manager)).await {
        Ok(Ok(status)) => facts.status = Some(status),
        Ok(Err(error)) => return (why(&error), None),
        Err(_) => return (Bus::NotThere, None),
    }
    ask::all(&manager, facts).await;
    let live = LiveProxy::builder(&connection).destination(owner.as_str()).cache_properties(no).build().await;
    if let Ok(live) = live {
        facts.live = Live::read(&live).await.ok();
    }
    (Bus::Answers, started(&connection, place).await)
}

fn why(error: &zbus::Error) -> Bus {
    match crate::error_parts(error) {
        Some((name, _)) if name.ends_with(".AccessDenied") => Bus::Denied,
        _ => Bus::NotThere,
    }
}

async fn started(connection: &zbus::Connection, place: &Place) -> Option<std::time::SystemTime> {
    let bus = DBusProxy::new(connection).await.ok()?;
    let pid = bus.get_connection_unix_process_id(zbus::names::BusName::try_from(BUS_NAME).ok()?).await.ok()?;
    machine::started(&place.root, pid)
}

/// Asks every inference host for the networks of the active packages.
pub async fn hosts(settings: &Settings) -> Vec<Look> {
    if settings.inference_host.is_empty() {
        return Vec::new();
    }
    let of_study = settings.study();
    // Blocks, and has deadlines of its own.
    tokio::task::spawn_blocking(move || hosts::look(&of_study)).await.unwrap_or_default()
}

async fn page(settings: &Settings) -> Option<Page> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut address = settings.console.listen().filter(|address| address.port() != 0 && settings.live.is_on())?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let get = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut head = [0; 5];
        stream.read_exact(&mut head).await?;
        if &head == b"HTTP/" { Ok(()) } else { Err(std::io::Error::other("what answers is no web server")) }
    };
    let failure = match tokio::time::timeout(PATIENCE, get).await {
        Ok(outcome) => outcome.err().map(|error| error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let scheme = if settings.console.certificate.is_some() { "https" } else { "http" };
    Some(Page { address: format!("{scheme}://{address}/"), failure })
}

/// Whether a daemon that starts now would get its port.
async fn port(settings: &Settings, machine: machine::Machine<'_>, facts: &Facts) -> Option<Port> {
    let failed = facts.unit.as_ref().is_some_and(|unit| unit.result == "exit-code");
    // Who asks may have fewer rights than the daemon: only together with its own failure this says something.
    bound(settings.dicom.listen, machine).await.filter(|port| failed || *port != Port::NotAllowed)
}

/// Whether whoever asks can have this port.
pub async fn bound(listen: std::net::SocketAddr, machine: machine::Machine<'_>) -> Option<Port> {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    match tokio::net::TcpListener::bind(listen).await.map_err(|error| error.kind()) {
        Ok(_) => Some(Port::Free),
        Err(AddrInUse) => Some(Port::Taken(machine.who_listens(listen.port()))),
        Err(AddrNotAvailable) => Some(Port::NoSuchAddress),
        Err(PermissionDenied) => Some(Port::NotAllowed),
        Err(_) => None,
    }
}

/// Those that can be read, and why others cannot: the user of the command may have fewer rights than the daemon.
fn certificates(settings: &Settings) -> (Vec<Certificate>, Vec<String>) {
    let utc = |secs: i64| jiff::Timestamp::from_second(secs).map(|moment| moment.to_string()).unwrap_or_default();
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    let configured = settings.certificates();
    for one in configured {
        match expiry::ends(&one) {
            Ok(ends) => read.push(Certificate {
                users: one.users.iter().map(user).collect(),
                expires_utc: utc(ends.first),
                all_expire_utc: utc(ends.last),
                file: one.file,
                is_ca: one.is_ca,
            }),
            Err(unusable) => unread.push(unusable.to_string()),
        }
    }
    (read, unread)
}

fn user(user: &User) -> Text {
    match user {
        User::Listener => both!("the DICOM port", "DICOM 端口"),
        User::Sender(ae) => both!("sender {ae}", "发送设备 {ae}"),
        User::Destination(name) => both!("destination {name}", "目的地 {name}"),
        User::WorklistServer => both!("the worklist server", "工作列表服务器"),
        User::StepManager => both!("the manager of exams (MPPS)", "检查状态接收方（MPPS）"),
        User::Availability(name) => both!("{name}, who is told of results", "结果可用通知接收方 {name}"),
        User::TaskManager => both!("the manager of tasks (UPS)", "任务管理器（UPS）"),
        User::PriorArchive => both!("the archive of earlier studies", "既往检查归档服务器"),
        User::InferenceHost(name) => both!("inference host {name}", "推理主机 {name}"),
        User::InferenceService => both!("the networks for neighbours", "供邻机使用的网络服务"),
        User::Page => both!("the page", "网页"),
    }
}

async fn worklist_server(settings: &Settings) -> Option<Destination> {
    let target = settings.worklist.target()?;
    let probe = Some(probe::run_for(&target, &probe::EXPECTED, PATIENCE).await);
    Some(Destination { name: WORKLIST.into(), way: Way::Dimse(target), probe })
}

async fn step_manager(settings: &Settings) -> Option<Destination> {
    let target = settings.mpps.target()?;
    let probe = Some(probe::run_for(&target, &probe::PERFORMED, PATIENCE).await);
    Some(Destination { name: MANAGER.into(), way: Way::Dimse(target), probe })
}

async fn task_manager(settings: &Settings) -> Option<Destination> {
    let target = settings.ups.target()?;
    let probe = Some(probe::run_for(&target, &probe::TASKS, PATIENCE).await);
    Some(Destination { name: TASKS.into(), way: Way::Dimse(target), probe })
}

async fn prior_archive(settings: &Settings) -> Option<Destination> {
    let target = settings.prior.target()?;
    let probe = Some(probe::archive_of_priors(&target, settings.prior.fetch, PATIENCE).await);
    Some(Destination { name: PRIOR.into(), way: Way::Dimse(target), probe })
}

/// All at once: one that is dead must not make the others wait.
async fn destinations(settings: &Settings) -> Vec<Destination> {
    let tests = settings.destination.iter().map(|(name, destination)| async move {
        let way = Way::from(destination);
        let probe = Some(probe::destination(destination, PATIENCE).await);
        Destination { name: name.clone(), way, probe }
    });
    futures_util::future::join_all(tests).await
}
