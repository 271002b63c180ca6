//! Figures of the box as text for Prometheus (its text format 0.0.4). Nothing in them is about a patient.
//!
//! `console` serves them at `/metrics`, behind its login.

use std::fmt::Write as _;

use custody::level::{Gate, Level};
use custody::store::lists::{self, Counts};
use hal::clock::Wall;
use hal::sensors::condition::Condition;
use live::view::{Stats, View};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::health::Report;
use crate::health::heat;
use crate::inference::Figures;
use crate::reader::{Lost, Reader};

/// Where the figures come from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    reader: Reader,
    gate: Gate,
    health: watch::Receiver<Report>,
    view: Option<View>,
    heat: heat::Told,
    neighbours: Option<Figures>,
}

impl Metrics {
    pub fn new(reader: Reader, gate: Gate, health: watch::Receiver<Report>, view: Option<View>) -> Self {
        Self { reader, gate, health, view, heat: heat::channel().1, neighbours: None }
    }

    /// With the sensors of the machine.
    #[must_use]
    pub fn and_heat(self, heat: heat::Told) -> Self {
        Self { heat, ..self }
    }

    /// With what is done for neighbours, where they may ask.
    #[must_use]
    pub fn and_neighbours(self, neighbours: Option<Figures>) -> Self {
        Self { neighbours, ..self }
    }

    /// The figures now. Without the database those that it would give are missing, and `scanside_database_up` is 0.
    pub async fn text(&self) -> String {
        let read = |connection: &Connection| Ok::<_, Error>(lists::counts(connection)?);
        let counts = self.reader.read(read).await;
        if let Err(error) = &counts {
            tracing::debug!(%error, "metrics without the database");
        }
        let live = self.view.as_ref().map(|view| Live {
            stats: (**view.stats.borrow()).clone(),
            sign: view.status.borrow().sign.as_str().to_owned(),
            in_exam: view.status.borrow().exam.is_some(),
        });
        text(&Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            level: self.gate.get().0,
            health: self.health.borrow().clone(),
            heat: self.heat.borrow().clone(),
            resident_bytes: hal::memory::resident_bytes(),
            oldest_step_secs: counts.as_ref().map_or(0.0, |counts| waited_secs(&counts.steps.oldest_utc)),
            oldest_task_secs: counts.as_ref().map_or(0.0, |counts| waited_secs(&counts.tasks.oldest_utc)),
            oldest_notice_secs: counts.as_ref().map_or(0.0, |counts| waited_secs(&counts.notices.oldest_utc)),
            oldest_secs: counts.as_ref().ok().map(|counts| waited_secs(&counts.oldest_pending_utc)),
            counts: counts.ok(),
            live,
            neighbours: self.neighbours.as_ref().map(|figures| (figures.served(), figures.refused())),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Store(#[from] custody::store::Error),
}

/// Since then; 0 when nothing waits.
fn waited_secs(utc: &str) -> f64 {
    if utc.is_empty() { 0.0 } else { Wall::default().since(utc).as_secs_f64() }
}

#[derive(Debug)]
struct Snapshot {
    version: &'static str,
    level: Level,
    health: Report,
    heat: heat::Report,
    resident_bytes: u64,
    counts: Option<Counts>,
    oldest_secs: Option<f64>,
    oldest_step_secs: f64,
    oldest_task_secs: f64,
    oldest_notice_secs: f64,
    /// On a box with live video.
    live: Option<Live>,
    /// Runs for neighbours, and requests that were refused.
    neighbours: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Live {
    stats: Stats,
    sign: String,
    in_exam: bool,
}

/// Pure.
fn text(now: &Snapshot) -> String {
    let mut page = Page(String::new());
    page.family("build_info", "Version of the software.");
    page.value("build_info", &[("version", now.version)], 1.0);
    page.one(
        "level",
        "0: full; 0.5: reduced, the last good configuration is in effect; 1: no new studies; 2: no new studies and nothing is sent.",
        match now.level {
            Level::Full => 0.0,
            // Below 1: a rule that asks for studies that are refused is not met.
            Level::Reduced => 0.5,
            Level::NoNewStudies => 1.0,
            Level::NoOutput => 2.0,
        },
    );
    page.one("free_bytes", "Free space on the disk of the spool.", now.health.free_bytes as f64);
    if let Some(left) = now.health.studies_left {
        page.one("studies_left", "Studies of recent size that still fit on the disk.", left as f64);
    }
    page.heat(&now.heat);
    page.one("resident_bytes", "Memory of the daemon.", now.resident_bytes as f64);
    page.one("database_up", "Could the database be read?", f64::from(u8::from(now.counts.is_some())));
    if let Some(counts) = &now.counts {
        page.counts(counts, now.oldest_secs.unwrap_or_default());
        page.steps(counts, now.oldest_step_secs);
        page.tasks(counts, now.oldest_task_secs);
        page.notices(counts, now.oldest_notice_secs);
    }
    if let Some(live) = &now.live {
        page.live(live);
    }
    if let Some((served, refused)) = now.neighbours {
        page.one("neighbour_runs", "Runs of networks for neighbours since the start.", served as f64);
        page.one(
            "neighbour_refusals",
            "Requests for them that were refused or failed since the start.",
            refused as f64,
        );
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP scanside_{name} {help}\n# TYPE scanside_{name} gauge");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "scanside_{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help);
        self.value(name, &[], value);
    }

    fn heat(&mut self, heat: &heat::Report) {
        self.family("heat", "Heat of the machine: 1 for the present condition; unknown: no sensor can be read.");
        for condition in Condition::ALL {
            let is = f64::from(u8::from(condition == heat.condition));
            self.value("heat", &[("condition", condition.as_str())], is);
        }
        let readings = &heat.readings;
        self.family("temperature_celsius", "Temperature of each sensor.");
        for zone in &readings.zones {
            self.value("temperature_celsius", &[("sensor", &zone.name)], zone.celsius);
        }
        self.family("hot_from_celsius", "From where on the sensor is hot.");
        for zone in &readings.zones {
            self.value("hot_from_celsius", &[("sensor", &zone.name)], zone.hot_from());
        }
        self.family("power_watts", "What each power rail draws; some boards have one that feeds the others.");
        for rail in &readings.rails {
            self.value("power_watts", &[("rail", &rail.name)], rail.watts);
        }
        self.family("fan_rpm", "Turns of each fan a minute.");
        for fan in &readings.fans {
            self.value("fan_rpm", &[("fan", &fan.name)], fan.rpm.into());
        }
        self.family("throttled_times", "How often the machine slowed itself down since its start, by who counts it.");
        for throttle in &readings.throttles {
            if let Some(times) = throttle.times {
                self.value("throttled_times", &[("by", &throttle.name)], times as f64);
            }
        }
    }

    fn counts(&mut self, counts: &Counts, oldest_secs: f64) {
        self.one("studies", "Studies that the box has rows of.", counts.studies.into());
        self.one("instances", "Received instances that belong to series.", counts.instances as f64);
        self.one("series_receiving", "Series that are being received.", counts.series_receiving.into());
        self.family("jobs", "Jobs that are not done, by state.");
        for (state, count) in
            [("queued", counts.jobs_queued), ("running", counts.jobs_running), ("parked", counts.jobs_parked)]
        {
            self.value("jobs", &[("state", state)], count.into());
        }
        self.family("deliveries", "Results that have not reached a destination, by state.");
        for (state, count) in [
            ("pending", counts.deliveries_pending),
            ("held", counts.deliveries_held),
            ("parked", counts.deliveries_parked),
        ] {
            self.value("deliveries", &[("state", state)], count.into());
        }
        self.one("oldest_delivery_seconds", "How long the oldest result has waited to be delivered.", oldest_secs);
        self.one("set_aside", "Instances that are kept and not used, by whatever reason.", counts.quarantined.into());
    }

    fn steps(&mut self, counts: &Counts, oldest_secs: f64) {
        self.family("steps", "Exams that the manager (MPPS) has not been told of, by state.");
        for (state, count) in [("waiting", counts.steps.waiting), ("parked", counts.steps.parked)] {
            self.value("steps", &[("state", state)], count.into());
        }
        self.one("oldest_step_seconds", "How long the manager has not been told of the oldest of them.", oldest_secs);
    }

    fn tasks(&mut self, counts: &Counts, oldest_secs: f64) {
        let tasks = &counts.tasks;
        self.family("tasks", "Tasks of the manager (UPS) that have not ended there, by state.");
        for (state, count) in [("claiming", tasks.claiming), ("working", tasks.working), ("ending", tasks.ending)] {
            self.value("tasks", &[("state", state)], count.into());
        }
        self.one("oldest_task_seconds", "How long ago the oldest of them was taken.", oldest_secs);
    }

    fn notices(&mut self, counts: &Counts, oldest_secs: f64) {
        self.family(
            "notices",
            "Notices that results are available, or are not any more, which were not taken, by state.",
        );
        for (state, count) in [("waiting", counts.notices.waiting), ("parked", counts.notices.parked)] {
            self.value("notices", &[("state", state)], count.into());
        }
        self.one("oldest_notice_seconds", "How long the oldest notice has waited to be told.", oldest_secs);
    }

    fn live(&mut self, Live { stats, sign, in_exam }: &Live) {
        self.family("live_sign", "State of the live path: 1 for the present one.");
        self.value("live_sign", &[("sign", sign)], 1.0);
        self.one("live_exam", "Is an exam running?", f64::from(u8::from(*in_exam)));
        self.family("live_pictures", "Pictures of the running exam, or since it began to run without one.");
        for (what, count) in [("came", stats.pictures), ("lost", stats.lost), ("analysed", stats.inferred)] {
            self.value("live_pictures", &[("what", what)], count as f64);
        }
        self.family("live_latency_seconds", "Time of each stage of the live path; overlay: from capture.");
        for (stage, latency) in &stats.stages {
            for (quantile, ms) in
                [("0.5", latency.p50), ("0.99", latency.p99), ("0.999", latency.p999), ("1", latency.max)]
            {
                self.value("live_latency_seconds", &[("stage", stage), ("quantile", quantile)], ms / 1e3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hal::sensors::{Fan, Rail, Readings, Throttle, Zone};
    use live::view::Latency;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            version: "1.2.3",
            level: Level::NoNewStudies,
            health: Report { free_bytes: 5_000_000_000, studies_left: Some(40), ..Report::default() },
            heat: heat::Report {
                condition: Condition::Hot,
                readings: Arc::new(Readings {
                    zones: vec![Zone {
                        name: "cpu".into(),
                        celsius: 93.5,
                        limit_celsius: Some(95.0),
                        ..Zone::default()
                    }],
                    rails: vec![Rail { name: "VDD_IN".into(), watts: 7.25 }],
                    fans: vec![Fan { name: "fan1".into(), rpm: 2140 }],
                    throttles: vec![Throttle { name: "oc2".into(), times: Some(15), ..Throttle::default() }],
                }),
                ..heat::Report::default()
            },
            resident_bytes: 17_600_000,
            counts: Some(Counts {
                studies: 3,
                jobs_parked: 1,
                deliveries_pending: 7,
                tasks: custody::store::ups::Standing { working: 2, ..Default::default() },
                notices: custody::store::standing::Standing { parked: 3, ..Default::default() },
                ..Counts::default()
            }),
            oldest_secs: Some(61.5),
            oldest_step_secs: 7.0,
            oldest_task_secs: 9.0,
            oldest_notice_secs: 11.0,
            neighbours: Some((7, 2)),
            live: Some(Live {
                stats: Stats {
                    pictures: 9,
                    stages: vec![(
                        "overlay \"x\"\n".into(),
                        Latency { count: 9, p50: 14.0, p99: 20.0, p999: 25.0, max: 31.0 },
                    )],
                    ..Stats::default()
                },
                sign: "ready".into(),
                in_exam: true,
            }),
        }
    }

    #[test]
    fn every_figure_has_its_help_its_kind_and_one_value_for_each_label() {
        let said = text(&snapshot());
        for line in [
            "scanside_build_info{version=\"1.2.3\"} 1",
            "scanside_level 1",
            "scanside_free_bytes 5000000000",
            "scanside_studies_left 40",
            "scanside_database_up 1",
            "scanside_heat{condition=\"hot\"} 1",
            "scanside_heat{condition=\"normal\"} 0",
            "scanside_temperature_celsius{sensor=\"cpu\"} 93.5",
            "scanside_hot_from_celsius{sensor=\"cpu\"} 92",
            "scanside_power_watts{rail=\"VDD_IN\"} 7.25",
            "scanside_fan_rpm{fan=\"fan1\"} 2140",
            "scanside_throttled_times{by=\"oc2\"} 15",
            "scanside_jobs{state=\"parked\"} 1",
            "scanside_deliveries{state=\"pending\"} 7",
            "scanside_oldest_delivery_seconds 61.5",
            "scanside_steps{state=\"parked\"} 0",
            "scanside_oldest_step_seconds 7",
            "scanside_tasks{state=\"working\"} 2",
            "scanside_oldest_task_seconds 9",
            "scanside_notices{state=\"parked\"} 3",
            "scanside_oldest_notice_seconds 11",
            "scanside_live_sign{sign=\"ready\"} 1",
            "scanside_live_latency_seconds{stage=\"overlay \\\"x\\\"\\n\",quantile=\"0.99\"} 0.02",
        ] {
            assert!(said.lines().any(|said| said == line), "{line}\n{said}");
        }
        let mut seen = std::collections::BTreeSet::new();
        let (mut helped, mut typed) = (String::new(), String::new());
        for line in said.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split(' ').next().unwrap().into();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                typed = kind.split(' ').next().unwrap().into();
                assert_eq!(helped, typed);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(series.split('{').next().unwrap() == typed, "{line} after {typed}");
                assert!(seen.insert(series.to_owned()) && value.parse::<f64>().unwrap().is_finite(), "{line}");
            }
        }
    }

    #[test]
    fn without_the_database_it_says_so_and_gives_the_rest() {
        let said = text(&Snapshot { counts: None, oldest_secs: None, live: None, ..snapshot() });
        assert!(said.contains("scanside_database_up 0\n") && said.contains("scanside_level 1\n"));
        assert!(!said.contains("scanside_jobs") && !said.contains("scanside_live"));
    }
}
