//! The bus at the edge: signals and reads become facts. It finds the daemon again by itself, and asks nothing of a daemon that is
//! not there, because asking would start it (D-Bus activation).

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use zbus::Connection;
use zbus::fdo::{DBusProxy, PropertiesChangedStream, PropertiesProxy};
use zbus::names::{BusName, InterfaceName};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::properties::Entries;
use super::reads::{FIRST, Read, Schedule};
use super::state::Fact;
use crate::ctl::failure::Failure;
use crate::ctl::watch::{Happening, Watcher};
use crate::{ManagerProxy, Options};

/// After a loss.
const AGAIN: Duration = Duration::from_secs(1);
/// A daemon that takes longer to answer counts as gone.
const ANSWER: Duration = Duration::from_secs(10);

const MANAGER: &str = "org.scanside.Appliance1.Manager1";
const LIVE: &str = "org.scanside.Appliance1.Live1";

/// Rows of the lists that are read.
const MOST_STUDIES: u32 = 50;
const MOST_EVENTS: u32 = 100;
const MOST_OTHERS: u32 = 20;

/// Where the session reads and what it tells.
struct Session {
    manager: ManagerProxy<'static>,
    appliance: PropertiesProxy<'static>,
    live: PropertiesProxy<'static>,
    facts: mpsc::Sender<Fact>,
    schedule: Schedule,
    begun: Instant,
}

/// Why a session has ended.
enum End {
    /// The dashboard has.
    Unheard,
    Lost(String),
}

impl From<zbus::Error> for End {
    fn from(error: zbus::Error) -> Self {
        Self::Lost(Failure::from(error).message().to_owned())
    }
}

/// For as long as somebody listens. `study`: the one whose journal is looked at.
pub async fn follow(bus: String, facts: mpsc::Sender<Fact>, mut study: watch::Receiver<Option<String>>) {
    loop {
        match session(&bus, &facts, &mut study).await {
            End::Unheard => return,
            End::Lost(why) => {
                if facts.send(Fact::Lost(why)).await.is_err() {
                    return;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

async fn session(bus: &str, facts: &mpsc::Sender<Fact>, study: &mut watch::Receiver<Option<String>>) -> End {
    match follow_once(bus, facts, study).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn follow_once(
    bus: &str,
    facts: &mpsc::Sender<Fact>,
    study: &mut watch::Receiver<Option<String>>,
) -> Result<std::convert::Infallible, End> {
    let connection = match timeout(ANSWER, crate::connect(bus)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(End::Lost(format!("no D-Bus at {bus:?}: {error}"))),
        Err(_) => return Err(End::Lost(format!("no answer from the D-Bus at {bus:?}"))),
    };
    if !is_there(&connection).await? {
        return Err(End::Lost("scansided is not on this bus".into()));
    }
    let manager = ManagerProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await?;
    let properties = async |path: &'static str| {
        PropertiesProxy::builder(&connection).destination(crate::BUS_NAME).path(path).build().await
    };
    let (appliance, live) = (properties(crate::ROOT).await?, properties(crate::LIVE).await?);
    // Listening before reading, so that nothing is missed.
    let mut watcher = Watcher::listen(&manager).await.map_err(|failure| End::Lost(failure.message().to_owned()))?;
    let mut changes = appliance.receive_properties_changed().await?;
    let mut pictures = live.receive_properties_changed().await?;
    let (facts, schedule) = (facts.clone(), Schedule::default());
    let mut session = Session { manager, appliance, live, facts, schedule, begun: Instant::now() };
    session.tell(Fact::Connected).await?;
    for read in FIRST {
        session.read(read, None).await?;
    }
    if study.borrow_and_update().is_some() {
        session.want(Read::Journal);
    }
    // A tick at which nothing is due costs nothing.
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            happening = watcher.next() => match happening {
                Ok(happening) => session.hear(happening).await?,
                Err(failure) => return Err(End::Lost(failure.message().to_owned())),
            },
            entries = next(&mut changes, MANAGER) => session.hear_appliance(entries).await?,
            entries = next(&mut pictures, LIVE) => session.tell(Fact::Live(entries)).await?,
            changed = study.changed() => {
                changed.map_err(|_| End::Unheard)?;
                session.want(Read::Journal);
            }
            _ = tick.tick() => {
                if let Some(read) = session.schedule.next(session.now()) {
                    let of = study.borrow().clone();
                    session.read(read, of.as_deref()).await?;
                }
            }
        }
    }
}

/// Whether a daemon owns the name now. Does not start one.
async fn is_there(connection: &Connection) -> Result<bool, End> {
    let bus = DBusProxy::new(connection).await?;
    let name = BusName::try_from(crate::BUS_NAME).map_err(|error| End::Lost(error.to_string()))?;
    bus.name_has_owner(name).await.map_err(|error| End::Lost(error.to_string()))
}

/// The next change of an interface's properties; never when there will be none.
async fn next(changes: &mut PropertiesChangedStream, interface: &str) -> Entries {
    while let Some(change) = changes.next().await {
        let Ok(arguments) = change.args() else { continue };
        if arguments.interface_name != interface {
            continue;
        }
        let owned = arguments.changed_properties.iter().filter_map(|(name, value)| {
            let value = value.try_clone().ok()?;
            Some((name.to_string(), zbus::OwnedVariant::try_from(value).ok()?))
        });
        return owned.collect();
    }
    std::future::pending().await
}

impl Session {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn want(&mut self, read: Read) {
        let now = self.now();
        self.schedule.want(read, now);
    }

    async fn tell(&self, fact: Fact) -> Result<(), End> {
        self.facts.send(fact).await.map_err(|_| End::Unheard)
    }

    /// What a signal says is told at once; the lists that it may have changed are read when it is their turn.
    async fn hear(&mut self, happening: Happening) -> Result<(), End> {
        let lists: &[Read] = match &happening {
            Happening::Series { state, .. } if state == "receiving" => &[Read::Studies, Read::Receiving],
            Happening::Series { .. } => &[Read::Studies, Read::Receiving, Read::Queued, Read::Events, Read::Journal],
            Happening::Job { state, fraction, .. } if state == "running" && *fraction > 0.0 => &[],
            Happening::Job { .. } => {
                &[Read::Running, Read::Queued, Read::Parked, Read::Studies, Read::Events, Read::Journal]
            }
            Happening::Delivery { .. } => &[Read::Destinations, Read::Events, Read::Journal],
        };
        for read in lists {
            self.want(*read);
        }
        self.tell(Fact::Happening(happening)).await
    }

    async fn hear_appliance(&mut self, entries: Entries) -> Result<(), End> {
        for (name, read) in [
            ("JobsParked", Read::Parked),
            ("JobsQueued", Read::Queued),
            ("JobsRunning", Read::Running),
            ("DeliveriesParked", Read::Destinations),
            ("DeliveriesPending", Read::Destinations),
            ("DeliveriesHeld", Read::Destinations),
            ("Level", Read::Events),
            ("Quarantined", Read::Events),
        ] {
            if entries.contains_key(name) {
                self.want(read);
            }
        }
        self.tell(Fact::Appliance(entries)).await
    }

    /// One call. A list that the daemon does not have (it is of another version, or its database is being rebuilt) is left as it was.
    async fn read(&mut self, read: Read, study: Option<&str>) -> Result<(), End> {
        let fact = match timeout(ANSWER, self.ask(read, study)).await {
            Err(_) => return Err(End::Lost("the daemon does not answer".into())),
            Ok(Ok(fact)) => fact,
            Ok(Err(error)) if crate::error_parts(&error).is_some_and(|(name, _)| is_of_this_list(&name)) => None,
            Ok(Err(error)) => return Err(End::from(error)),
        };
        let now = self.now();
        self.schedule.done(read, now);
        match fact {
            Some(fact) => self.tell(fact).await,
            None => Ok(()),
        }
    }

    async fn ask(&self, read: Read, study: Option<&str>) -> zbus::Result<Option<Fact>> {
        let most = |limit: u32| Options::from([("limit", limit.into())]);
        let state = |state: &'static str| Options::from([("limit", MOST_OTHERS.into()), ("state", state.into())]);
        Ok(Some(match read {
            Read::Appliance => Fact::Appliance(all(&self.appliance, MANAGER).await?),
            Read::Live => Fact::Live(all(&self.live, LIVE).await?),
            Read::Studies => Fact::Studies(self.manager.list_studies(most(MOST_STUDIES)).await?),
            Read::Receiving => Fact::Receiving(self.manager.list_series(state("receiving")).await?),
            Read::Running => Fact::Running(self.manager.list_jobs(state("running")).await?),
            Read::Queued => Fact::Queued(self.manager.list_jobs(state("queued")).await?),
            Read::Parked => Fact::Parked(self.manager.list_jobs(state("parked")).await?),
            Read::Destinations => Fact::Destinations(self.manager.list_destinations(Options::new()).await?),
            Read::Events => Fact::Events(self.manager.list_events(most(MOST_EVENTS)).await?),
            Read::Retention => {
                let json = self.manager.show_retention(most(1)).await?;
                match serde_json::from_str(&json) {
                    Ok(told) => Fact::Retention(Box::new(told)),
                    Err(_) => return Ok(None),
                }
            }
            Read::Journal => match study {
                None => return Ok(None),
                Some(uid) => {
                    let events = self.manager.list_events(Options::from([("study_uid", uid.into())])).await?;
                    Fact::Journal(uid.to_owned(), events)
                }
            },
        }))
    }
}

/// One call for all properties of an interface.
async fn all(proxy: &PropertiesProxy<'static>, interface: &'static str) -> zbus::Result<Entries> {
    let interface = InterfaceName::try_from(interface)?;
    Ok(proxy.get_all(interface).await?)
}

/// Errors of one list; any other is of the connection.
fn is_of_this_list(name: &str) -> bool {
    name.starts_with(crate::ERROR_PREFIX)
        || ["UnknownMethod", "UnknownInterface", "UnknownObject", "UnknownProperty", "InvalidArgs"]
            .iter()
            .any(|kind| name.strip_prefix("org.freedesktop.DBus.Error.") == Some(*kind))
}
