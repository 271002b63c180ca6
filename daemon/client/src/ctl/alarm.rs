//! `alarm`: shows with a light, and a buzzer, how the box is, for whoever walks by. It is a program of its own beside the daemon, so that
//! it tells also that the daemon is gone or hangs; it only reads the bus.

use std::time::Duration;

use custody::retention::Retention;
use hal::indicator::{Indicator, Rhythm, Source};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::dashboard::health::{self, Health};
use super::dashboard::state::{Link, Now, State};
use super::dashboard::words::Words;
use super::examine::Place;
use super::failure::Failure;
use super::output::Output;
use super::owner;
use crate::doctor::retained::FEW_STUDIES;
use crate::doctor::text::Language;
use crate::{Live, LiveProxy, ManagerProxy, Options, Status};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A daemon that has not answered by then does not work.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Somebody else may have switched the light meanwhile.
const SHOW_AGAIN: Duration = Duration::from_secs(30);
/// How often the daemon counts what may be evicted, while the disk is short.
const COUNT_EVERY: Duration = Duration::from_secs(300);

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// All is well.
    Steady,
    /// It works, and somebody should look.
    Slow,
    /// Studies are not taken, or video is lost.
    Fast,
}

impl Pattern {
    fn light(self) -> Rhythm {
        match self {
            Self::Steady => Rhythm::On,
            Self::Slow => Rhythm::Blink { on_ms: 1000, off_ms: 1000 },
            Self::Fast => Rhythm::Blink { on_ms: 150, off_ms: 150 },
        }
    }

    /// Only of what cannot wait: a sound that comes each day is switched off.
    fn buzzer(self) -> Rhythm {
        match self {
            Self::Steady | Self::Slow => Rhythm::Off,
            Self::Fast => Rhythm::Blink { on_ms: 200, off_ms: 9800 },
        }
    }
}

/// What the daemon said; `None`: it did not answer.
type Seen = Option<(Status, Option<Live>)>;

/// Pure: as the dashboard judges, and an exam whose pictures do not come is worse than a scanner that is switched off.
fn judge(seen: Seen, retention: Option<Retention>, now: Now) -> (Pattern, Vec<String>) {
    let mut state = State { retention, ..State::new() };
    let mut without_picture = false;
    match seen {
        Some((status, live)) => {
            without_picture = live.as_ref().is_some_and(|live| live.exam.is_some() && live.sign == "no_signal");
            (state.link, state.appliance, state.live) = (Link::Up, Some(status), live);
        }
        None => state.link = Link::Lost { since_ms: now.ms, why: "no answer".into() },
    }
    let (health, reasons) = health::judge(&state, Words(Language::English), now);
    let pattern = match health {
        Health::Well => Pattern::Steady,
        Health::Attention if !without_picture => Pattern::Slow,
        Health::Attention | Health::Unwell | Health::Unknown => Pattern::Fast,
    };
    (pattern, reasons)
}

#[derive(Serialize)]
struct Shown<'a> {
    pattern: Pattern,
    reasons: &'a [String],
}

type OfPattern = fn(Pattern) -> Rhythm;

/// The indicators that are configured, and the rhythm of each for a pattern.
struct Indicators(Vec<(Box<dyn Indicator>, OfPattern)>);

impl Indicators {
    fn open(place: &Place) -> Result<Self, Failure> {
        // Nothing else of the configuration: what is wrong there is a reason to blink, not to go dark.
        let alarm = config::load_alarm(&place.config)
            .map_err(|error| Failure::new(error.to_string(), "correct what is named above"))?;
        let open = |source: Result<Source, _>| source.ok().and_then(|source: Source| source.open(&place.root));
        let light = open(alarm.light()).map(|one| (one, Pattern::light as OfPattern));
        let buzzer = open(alarm.buzzer()).map(|one| (one, Pattern::buzzer as OfPattern));
        let all: Vec<_> = light.into_iter().chain(buzzer).collect();
        if all.is_empty() {
            return Err(Failure::not_configured(
                "neither a light nor a buzzer is configured",
                "name one of /sys/class/leds: `scansidectl config set alarm.light NAME`",
            ));
        }
        Ok(Self(all))
    }

    /// All of them, also when one fails; says of each failure.
    fn show(&mut self, rhythm: impl Fn(OfPattern) -> Rhythm) -> Vec<String> {
        let shown =
            self.0.iter_mut().map(|(one, of)| one.show(rhythm(*of)).map_err(|e| format!("{}: {e}", one.name())));
        shown.filter_map(Result::err).collect()
    }
}

/// Shows until it is ended, or once.
pub async fn run(place: &Place, once: bool, output: &Output) -> Result<(), Failure> {
    let mut indicators = Indicators::open(place)?;
    let ends = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [mut terminate, mut interrupt] = match ends {
        [Ok(terminate), Ok(interrupt)] => [terminate, interrupt],
        [Err(error), _] | [_, Err(error)] => return Err(Failure::output(&error)),
    };
    let (started, mut ticks) = (Instant::now(), interval(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut bus, mut kept) = (None, Kept::default());
    let mut told: Option<(Pattern, Vec<String>, Vec<String>)> = None;
    let mut shown_at = started;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        let seen = tokio::select! {
            seen = look(&place.bus, &mut bus, &mut kept) => seen,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (pattern, reasons) = judge(seen, kept.told.clone(), Now { ms, utc: jiff::Timestamp::now() });
        let same = told.as_ref().is_some_and(|(told, ..)| *told == pattern);
        let had_failed = told.as_ref().is_some_and(|(_, _, failures)| !failures.is_empty());
        if same && !had_failed && shown_at.elapsed() < SHOW_AGAIN {
            continue;
        }
        let failures = indicators.show(|of| of(pattern));
        shown_at = Instant::now();
        let now = (pattern, reasons, failures);
        if !same || told.as_ref().map(|(_, _, failures)| failures) != Some(&now.2) {
            tell(&now, output)?;
        }
        if once {
            return match now.2.first() {
                None => Ok(()),
                Some(failure) => Err(Failure::new(failure, "see the names in /sys/class/leds; use sudo")),
            };
        }
        told = Some(now);
    }
    indicators.show(|_| Rhythm::Off);
    Ok(())
}

fn tell((pattern, reasons, failures): &(Pattern, Vec<String>, Vec<String>), output: &Output) -> Result<(), Failure> {
    for failure in failures {
        output.note(failure);
    }
    if output.is_json() {
        return output.json(&Shown { pattern: *pattern, reasons });
    }
    let word = match pattern {
        Pattern::Steady => "steady",
        Pattern::Slow => "slow",
        Pattern::Fast => "fast",
    };
    output.line(&format!("{word}: {}", reasons.join("; ")))
}

/// What may be evicted, asked only when the disk is short, and seldom: the daemon has to count for it.
#[derive(Default)]
struct Kept {
    told: Option<Retention>,
    asked: Option<Instant>,
}

impl Kept {
    async fn ask(&mut self, bus: &zbus::Connection, studies_left: Option<u64>) {
        if studies_left.is_none_or(|left| left >= FEW_STUDIES) {
            *self = Self::default();
            return;
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < COUNT_EVERY) {
            return;
        }
        self.asked = Some(Instant::now());
        let asked = timeout(ANSWER_WITHIN, async {
            let (owner, no) = (owner(bus).await?, zbus::proxy::CacheProperties::No);
            let manager = ManagerProxy::builder(bus).destination(owner.as_str()).cache_properties(no).build().await?;
            let json = manager.show_retention(Options::from([("limit", 1u32.into())])).await?;
            Ok::<_, zbus::Error>(serde_json::from_str(&json).ok())
        });
        self.told = asked.await.ok().and_then(Result::ok).flatten();
    }
}

/// What the daemon says now. `bus` is kept while it answers.
async fn look(address: &str, bus: &mut Option<zbus::Connection>, kept: &mut Kept) -> Seen {
    let asked = timeout(ANSWER_WITHIN, ask(address, bus)).await;
    let seen = asked.ok().and_then(Result::ok);
    match (&seen, &*bus) {
        (Some((status, _)), Some(bus)) => kept.ask(bus, status.studies_left).await,
        _ => *bus = None,
    }
    seen
}

async fn ask(address: &str, bus: &mut Option<zbus::Connection>) -> zbus::Result<(Status, Option<Live>)> {
    let connection = match bus {
        Some(connection) => connection.clone(),
        None => bus.insert(crate::connect(address).await?).clone(),
    };
    let no = zbus::proxy::CacheProperties::No;
    let owner = owner(&connection).await?;
    let manager = ManagerProxy::builder(&connection).destination(owner.as_str()).cache_properties(no).build().await?;
    let status = Status::read(&manager).await?;
    let live = LiveProxy::builder(&connection).destination(owner.as_str()).cache_properties(no).build().await?;
    // A box without live video has none.
    Ok((status, Live::read(&live).await.ok().filter(|live| live.sign != "off")))
}

#[cfg(test)]
mod tests {
    use super::super::dashboard::fixture::{busy, now, quiet};
    use super::*;

    fn seen(state: State) -> (Status, Option<Live>) {
        (state.appliance.unwrap(), state.live)
    }

    fn pattern(seen: Seen) -> Pattern {
        judge(seen, None, now(60_000)).0
    }

    #[test]
    fn the_light_is_found_where_the_rest_of_the_configuration_is_wrong_or_names_files_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site.toml");
        let rest = "[console]\ncertificate = \"/nowhere/page.pem\"\nkey = \"/nowhere/page.key\"\n";
        for wrong in ["", "[spool]\nkeep_dayss = 3\n", "[spool]\nkeep_days = = 3\n"] {
            std::fs::write(&site, format!("[alarm]\nlight = \"red\"\n{rest}{wrong}")).unwrap();
            let alarm = config::load_alarm(std::slice::from_ref(&site)).unwrap();
            assert_eq!((alarm.light.as_str(), alarm.buzzer.as_str()), ("red", "off"), "{wrong}");
        }
        std::fs::write(&site, "[alarm]\nlight = 3\n").unwrap();
        let said = config::load_alarm(&[site]).unwrap_err().to_string();
        assert!(said.contains("alarm"), "{said}");
    }

    #[test]
    fn a_box_that_is_well_shines_steadily_and_one_that_does_not_answer_blinks_fast() {
        assert_eq!(pattern(Some(seen(quiet()))), Pattern::Steady);
        assert_eq!(pattern(None), Pattern::Fast);
    }

    #[test]
    fn what_can_wait_blinks_slowly_and_what_cannot_fast_and_only_that_sounds() {
        let with = |change: fn(&mut Status)| {
            let mut seen = seen(quiet());
            change(&mut seen.0);
            pattern(Some(seen))
        };
        assert_eq!(with(|status| status.level = "reduced".into()), Pattern::Slow);
        assert_eq!(with(|status| status.heat_reason = Some("hot".into())), Pattern::Slow);
        assert_eq!(with(|status| status.jobs_parked = 1), Pattern::Slow);
        assert_eq!(with(|status| status.level = "no_new_studies".into()), Pattern::Fast);
        assert_eq!(with(|status| status.level = "no_output".into()), Pattern::Fast);
        let rhythms = [Pattern::Steady, Pattern::Slow, Pattern::Fast].map(Pattern::light);
        assert!(rhythms[0] == Rhythm::On && rhythms[1] != rhythms[2], "{rhythms:?}");
        assert_eq!([Pattern::Steady, Pattern::Slow].map(Pattern::buzzer), [Rhythm::Off; 2]);
        assert_ne!(Pattern::Fast.buzzer(), Rhythm::Off);
    }

    #[test]
    fn video_that_is_lost_in_an_exam_is_told_at_once_and_a_scanner_that_is_off_is_not() {
        let with = |sign: &str, exam: bool| {
            let (status, live) = seen(busy());
            let live = live.map(|live| Live { sign: sign.into(), exam: live.exam.filter(|_| exam), ..live });
            assert_eq!(live.as_ref().unwrap().exam.is_some(), exam);
            let status = Status { level: "full".into(), level_reason: String::new(), ..status };
            pattern(Some((status, live)))
        };
        assert_eq!(with("no_signal", true), Pattern::Fast);
        assert_eq!(with("no_signal", false), Pattern::Slow);
        assert_eq!(with("failed", false), Pattern::Fast);
    }
}
