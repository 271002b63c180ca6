//! Study networks on other machines (`[inference_host.NAME]`), with the one on this box behind them: whatever a host does, the run
//! is made, and it is said who made it.
//!
//! A host is used for a package once it states the hash of its network, declares the same names, shapes and types, and gives the
//! golden answer; all of that again after each failure. Only [`crate::analyze::engine::Engine`] gets hosts. The live path loads its
//! network from the [`super::Shelf`], which knows none, so no live picture can leave the box.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hal::accel::{self, AccelFault, Description};
use hal::backoff::Backoff;
use hal::{LoadedModel, Tensor};
use models::golden;
use models::manifest::Variant;
use models::package::Package;
use models::registry::Entry;
use models::task::Watch;
use node::inference::host::PROVIDER;
use node::inference::law::Example;
use node::inference::{HostError, HostFault, InferenceHost, Remote, RemoteModel};
use node::probe::Probe;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Loaded, Shelf};
use crate::settings::Settings;

/// What answers may hold: probabilities, of which a sigmoid may round to a hair above 1.
const PROBABILITY: std::ops::RangeInclusive<f32> = -1e-3..=1.001;
/// Characters of a reason in a result.
const REASON: usize = 160;

/// The machines that may run networks of studies.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<BTreeMap<String, InferenceHost>>);

impl Hosts {
    pub fn new(settings: &BTreeMap<String, InferenceHost>) -> Self {
        Self(Arc::new(settings.clone()))
    }

    /// Puts the hosts before the network of a loaded package; none is asked yet.
    pub fn before(&self, loaded: Loaded) -> Loaded {
        if self.0.is_empty() {
            return loaded;
        }
        let variant = loaded.variant.clone();
        let signature = loaded.model.signature();
        let example = example(&loaded.package, &variant);
        let stations: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, settings)| {
                let remote = Remote::new(name, settings, &loaded.package.manifest.id);
                let remote =
                    remote.inspect_err(|error| tracing::warn!(host = name, %error, "no way to the host")).ok()?;
                let remote = remote.knowing(signature.clone(), example.clone());
                Some(Station {
                    name: name.clone(),
                    remote,
                    model: None,
                    sha256: String::new(),
                    is_to_be_asked: false,
                    backoff: Backoff::new(settings.pauses()),
                    slowest: settings.slowest,
                    pace: Pace::default(),
                })
            })
            .collect();
        let tally = Tally::default();
        let Loaded { key, device, package, variant, model: own, steps, .. } = loaded;
        let shared = Shared {
            own,
            stations,
            package: package.clone(),
            variant: variant.clone(),
            tally: tally.clone(),
            job: 0,
            pace: Pace::default(),
            begun: Instant::now(),
        };
        Loaded { key, device, package, variant, model: Box::new(shared), steps, tally }
    }
}

/// The shapes of the golden files, which tell the shape of every other answer.
fn example(package: &Package, variant: &Variant) -> Option<Example> {
    let (input, output) = golden::pair(package, variant).ok()?;
    Some(Example { input: input.shape, output: output.shape })
}

/// Who made the runs since it was last taken, and why a host made none. Clones are the same.
#[derive(Clone, Default)]
pub struct Tally {
    counted: Arc<Mutex<Counted>>,
    job: Arc<Mutex<Job>>,
}

/// Which job it is, and whether nobody waits for it any more.
#[derive(Clone, Default)]
struct Job {
    number: u64,
    stopped: Option<Watch>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tally").field(&*self.counted()).finish()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counted {
    here: u32,
    /// By the words for the host.
    away: BTreeMap<String, u32>,
    /// The last reason of each host.
    reasons: BTreeMap<String, String>,
}

impl Tally {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew, for the next job.
    pub(super) fn begin(&self, stopped: Option<Watch>) {
        *self.counted() = Counted::default();
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        *job = Job { number: job.number + 1, stopped };
    }

    fn job(&self) -> Job {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the accelerator of a result is named: `own` where no host had to do with it.
    pub fn describe(&self, own: Description) -> Description {
        self.counted().describe(own)
    }

    /// For the journal of the study: which host did what, and what became of one that failed.
    pub fn told(&self) -> Option<String> {
        self.counted().told()
    }
}

impl Counted {
    fn reasons(&self) -> Option<String> {
        let reasons: Vec<_> = self.reasons.iter().map(|(host, why)| format!("{host}: {why}")).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    fn describe(&self, own: Description) -> Description {
        let reasons = self.reasons();
        let cut = |text: &str| text.chars().take(REASON).collect::<String>();
        let hosts = self.away.keys().cloned().collect::<Vec<_>>().join(" and ");
        let why = reasons.as_deref().map(|why| format!("; {}", cut(why))).unwrap_or_default();
        let (provider, library) = match (self.away.is_empty(), self.here) {
            (true, _) if reasons.is_none() => return own,
            (true, _) => (own.provider, format!("{}{why}", own.library)),
            (false, 0) => (PROVIDER.to_owned(), hosts),
            (false, _) => {
                let library = format!("made partly at {hosts}, partly here ({}, {}){why}", own.provider, own.library);
                (format!("{PROVIDER} and {}", own.provider), library)
            }
        };
        let fallback = [own.fallback, reasons].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let fallback = Some(fallback).filter(|text| !text.is_empty());
        Description { provider, library, fallback, simulated: own.simulated }
    }

    fn told(&self) -> Option<String> {
        let away = self.away.iter().map(|(host, runs)| format!("{runs} runs at {host}"));
        let here = (self.here > 0).then(|| format!("{} here", self.here));
        let mut said = away.chain(here).collect::<Vec<_>>().join(", ");
        let reasons = self.reasons();
        if self.away.is_empty() && reasons.is_none() {
            return None;
        }
        if let Some(why) = reasons {
            said = format!("{said}; {why}");
        }
        Some(said)
    }
}

/// What a look at one host found for one package.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    pub host: String,
    /// Its URL.
    pub place: String,
    /// Id and version.
    pub package: String,
    /// Or what is wrong, by kind and in words.
    pub outcome: Result<Seen, (HostFault, String)>,
}

impl Look {
    /// As a test of a peer tells it.
    pub fn probe(&self) -> Probe {
        match &self.outcome {
            Ok(seen) => Probe::of_host(format!("{} runs {} as it should", seen.server, self.package), seen.run_secs),
            Err((_, why)) => Probe::of_failed_host(format!("{}: {why}", self.package)),
        }
    }
}

/// A host that could be used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Name and version of its software.
    pub server: String,
    /// Of the golden run.
    pub run_secs: f64,
    pub deadline_secs: f64,
    /// The run took more than half of the deadline, and others are larger.
    pub is_slow: bool,
}

impl Seen {
    pub fn new(server: &str, run_secs: f64, deadline_secs: f64) -> Self {
        Self { server: server.to_owned(), run_secs, deadline_secs, is_slow: run_secs > deadline_secs / 2.0 }
    }
}

/// Looks at every host for the active package of every task, golden run included: nothing of a patient is sent. Blocks. A network is
/// not loaded here, so what only that would tell (names and shapes) is not compared.
pub fn look(settings: &Settings) -> Vec<Look> {
    let shelf = Shelf::view(settings);
    let active: Vec<_> = models::task::ALL.into_iter().filter_map(|task| shelf.active(task).ok()).collect();
    let mut looks = Vec::new();
    for (host, of_host) in &settings.inference_host {
        for entry in &active {
            let outcome = look_for(&shelf, entry, host, of_host, &settings.accelerator.provider);
            let outcome = outcome.map_err(|error| (error.kind(), error.to_string()));
            let is_of_host = matches!(
                outcome,
                Err((
                    HostFault::NotReachable | HostFault::NotTheProtocol | HostFault::NotReady | HostFault::TooLate,
                    _
                ))
            );
            let (place, package) = (of_host.url.to_string(), entry.key.to_string());
            looks.push(Look { host: host.clone(), place, package, outcome });
            // It would say the same of every package.
            if is_of_host {
                break;
            }
        }
    }
    worth_telling(looks)
}

/// A host need not have every package: that one is missing is told where it has none.
fn worth_telling(looks: Vec<Look>) -> Vec<Look> {
    let lacks = |look: &Look| matches!(look.outcome, Err((HostFault::NoModel, _)));
    let of_use: Vec<String> = looks.iter().filter(|look| !lacks(look)).map(|look| look.host.clone()).collect();
    looks.into_iter().filter(|look| !lacks(look) || !of_use.contains(&look.host)).collect()
}

fn look_for(
    shelf: &Shelf,
    entry: &Entry,
    host: &str,
    settings: &InferenceHost,
    provider: &str,
) -> Result<Seen, HostError> {
    let unfit = |why: String| HostError::new(HostFault::BadInput, why);
    let package = entry.open(&shelf.registry().trust()).map_err(|error| unfit(error.to_string()))?;
    let (variant, network) = package.network(provider).map_err(|error| unfit(error.to_string()))?;
    let remote = Remote::new(host, settings, &entry.key.id)?.knowing(None, example(&package, variant));
    let mut model = remote.load_hashed(&hex::encode(Sha256::digest(&network)))?;
    let begun = Instant::now();
    let passed = golden::run(&package, variant, &mut model);
    passed.map_err(|error| HostError::new(HostFault::BadAnswer, error.to_string()))?;
    Ok(Seen::new(&remote.words(), begun.elapsed().as_secs_f64(), settings.deadline().as_secs_f64()))
}

#[derive(Debug)]
struct Station {
    name: String,
    remote: Remote,
    model: Option<RemoteModel>,
    /// Of the network of that.
    sha256: String,
    /// Whether it still has that: at the first run of each job.
    is_to_be_asked: bool,
    backoff: Backoff,
    /// Times as long as this box takes.
    slowest: f64,
    pace: Pace,
}

/// Runs of which the median counts.
const PACE: usize = 9;
/// Fewer say nothing of a host.
const LEAST: usize = 5;

/// How long the last runs took, in seconds for one value of the input.
#[derive(Debug, Default)]
struct Pace(VecDeque<f64>);

impl Pace {
    #[allow(clippy::cast_precision_loss)] // far below 2^52 values
    fn took(&mut self, time: Duration, inputs: &[Tensor]) {
        let values: usize = inputs.iter().map(|tensor| tensor.data.len()).sum();
        self.0.push_back(time.as_secs_f64() / values.max(1) as f64);
        if self.0.len() > PACE {
            self.0.pop_front();
        }
    }

    fn median(&self, least: usize) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() >= least)
    }

    fn is_known(&self) -> bool {
        self.0.len() >= LEAST
    }

    /// Why a host of this pace is not worth asking. Pure.
    fn too_slow(&self, here: &Self, slowest: f64) -> Option<String> {
        let times = self.median(LEAST)? / here.median(1)?.max(f64::MIN_POSITIVE);
        (times > slowest).then(|| format!("it takes {times:.1} times as long as this box, {slowest} are allowed"))
    }
}

/// A network here and at hosts.
#[derive(Debug)]
struct Shared {
    own: Box<dyn LoadedModel>,
    /// In the order of their names.
    stations: Vec<Station>,
    package: Package,
    variant: Variant,
    tally: Tally,
    /// The last that it has run for.
    job: u64,
    /// Of this box.
    pace: Pace,
    /// Zero of the clock of the pauses.
    begun: Instant,
}

impl Shared {
    /// A job that is new: every host is asked once more whether it has the network.
    fn look_up_job(&mut self) {
        let job = self.tally.job();
        if self.job == job.number {
            return;
        }
        self.job = job.number;
        for station in &mut self.stations {
            station.is_to_be_asked = true;
            station.remote.give_up_when(job.stopped.clone());
        }
    }

    /// How long this box takes is first known by its golden run, which nobody waits for twice.
    fn measure(&mut self) {
        if self.pace.0.is_empty()
            && let Ok((input, _)) = golden::pair(&self.package, &self.variant)
        {
            // The first run is slower than others.
            for _ in 0..2 {
                let (begun, input) = (Instant::now(), std::slice::from_ref(&input));
                if self.own.run(input).is_ok() {
                    self.pace.0.clear();
                    self.pace.took(begun.elapsed(), input);
                }
            }
        }
    }
}

impl Station {
    /// One run there; the host is proved before, where that is to be done.
    fn run(&mut self, package: &Package, variant: &Variant, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        if std::mem::take(&mut self.is_to_be_asked)
            && let Some(model) = &self.model
        {
            self.remote.still_has(&self.sha256, model)?;
        }
        let model = match &mut self.model {
            Some(model) => model,
            none => {
                let network = package.read(&variant.network);
                let network = network.map_err(|error| accel::Error::new(AccelFault::NotPresent, error.to_string()))?;
                self.sha256 = hex::encode(Sha256::digest(&network));
                let mut model = self.remote.load_hashed(&self.sha256)?;
                let passed = golden::run(package, variant, &mut model);
                let passed = passed.map_err(|error| match error {
                    // Nobody waits any more: not the host's fault.
                    golden::Error::Run(error) if error.kind() == AccelFault::BadInput => error,
                    error => accel::Error::new(AccelFault::Device, error.to_string()),
                })?;
                tracing::info!(host = self.name, difference = passed.difference, "a host runs the network of studies");
                none.insert(model)
            }
        };
        let answer = model.run(inputs)?;
        let values = || answer.iter().flat_map(|tensor| &tensor.data);
        match values().find(|value| !PROBABILITY.contains(*value)) {
            Some(odd) => {
                Err(accel::Error::new(AccelFault::Device, format!("it answered {odd}, which is no probability")))
            }
            None => Ok(answer),
        }
    }
}

impl Station {
    /// It is not asked again before a pause is over, and then proved anew. `now`: of the clock of the pauses.
    fn fails(&mut self, why: &str, now: Duration, tally: &Tally) {
        self.model = None;
        let (host, again_secs) = (&self.name, self.backoff.failed(now).as_secs_f64());
        tracing::warn!(host, why, again_secs, "an inference host is not used: this box does it itself");
        tally.counted().reasons.insert(host.clone(), why.to_owned());
    }
}

impl LoadedModel for Shared {
    fn inputs(&self) -> &[String] {
        self.own.inputs()
    }

    fn outputs(&self) -> &[String] {
        self.own.outputs()
    }

    fn signature(&self) -> Option<accel::Signature> {
        self.own.signature()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        self.look_up_job();
        if self.stations.iter().any(|station| station.model.is_some()) {
            self.measure();
        }
        for station in &mut self.stations {
            if !station.backoff.is_due(self.begun.elapsed()) {
                continue;
            }
            let was_proved = station.model.is_some();
            let begun = Instant::now();
            match station.run(&self.package, &self.variant, inputs) {
                Ok(answer) => {
                    *self.tally.counted().away.entry(station.remote.words()).or_default() += 1;
                    if was_proved {
                        station.pace.took(begun.elapsed(), inputs);
                    }
                    if let Some(why) = station.pace.too_slow(&self.pace, station.slowest) {
                        station.pace = Pace::default();
                        station.fails(&why, self.begun.elapsed(), &self.tally);
                    } else if station.pace.is_known() {
                        // Not before: a host that is slow each time would be tried again after the first pause each time.
                        station.backoff.succeeded();
                    }
                    return Ok(answer);
                }
                // Not the host's fault: it is said here in the same way. Nor that nobody waits any more.
                Err(error) if error.kind() == AccelFault::BadInput => break,
                Err(error) => station.fails(&error.to_string(), self.begun.elapsed(), &self.tally),
            }
        }
        let begun = Instant::now();
        let answer = self.own.run(inputs)?;
        self.pace.took(begun.elapsed(), inputs);
        self.tally.counted().here += 1;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Description {
        Description { provider: "cpu".into(), library: "ONNX Runtime 1.32.0".into(), fallback: None, simulated: false }
    }

    fn counted(here: u32, away: u32, reason: Option<&str>) -> Counted {
        let mut counted = Counted { here, ..Counted::default() };
        if away > 0 {
            counted.away.insert("gpu1 (http://gpu1:8000, triton 2.59)".into(), away);
        }
        if let Some(reason) = reason {
            counted.reasons.insert("gpu1".into(), reason.into());
        }
        counted
    }

    #[test]
    fn every_result_names_who_made_it_and_why_a_host_did_not() {
        let words = |counted: Counted| {
            let on = counted.describe(own());
            format!("{}, {} | {}", on.provider, on.library, on.fallback.unwrap_or_default())
        };
        assert_eq!(words(counted(5, 0, None)), "cpu, ONNX Runtime 1.32.0 | ");
        assert_eq!(words(counted(0, 5, None)), "inference host, gpu1 (http://gpu1:8000, triton 2.59) | ");
        assert_eq!(words(counted(5, 0, Some("away"))), "cpu, ONNX Runtime 1.32.0; gpu1: away | gpu1: away");
        let both = words(counted(3, 2, Some("away")));
        let whole = "inference host and cpu, made partly at gpu1 (http://gpu1:8000, triton 2.59), partly here \
                     (cpu, ONNX Runtime 1.32.0); gpu1: away | gpu1: away";
        assert_eq!(both, whole);
    }

    /// Promise: a host that is slower than allowed makes no study slower than that; one slow answer is no reason.
    #[test]
    fn a_slow_host_is_judged_by_its_median_against_this_box() {
        let run = |secs: u64| (Duration::from_secs(secs), [Tensor { shape: vec![2], data: vec![0.0; 2] }]);
        let of = |times: &[u64]| {
            let mut pace = Pace::default();
            for (time, input) in times.iter().map(|secs| run(*secs)) {
                pace.took(time, &input);
            }
            pace
        };
        let here = of(&[2]);
        assert_eq!(of(&[1, 90, 1, 1, 1, 90]).too_slow(&here, 3.0), None, "most are quick");
        assert_eq!(of(&[90, 90, 90]).too_slow(&here, 3.0), None, "too few");
        assert_eq!(of(&[6; 5]).too_slow(&here, 3.0), None, "just as slow as it may be");
        assert!(of(&[7; 5]).too_slow(&here, 3.0).unwrap().contains("3.5 times"));
        assert_eq!(of(&[90, 90, 90, 90, 90, 1, 1, 1, 1, 1, 1]).too_slow(&here, 3.0), None, "it was slow once");
        assert_eq!(of(&[90; 5]).too_slow(&Pace::default(), 3.0), None, "nothing to compare with");
    }

    #[test]
    fn a_host_need_not_have_every_package() {
        let look = |host: &str, kind: Option<HostFault>| Look {
            host: host.into(),
            place: String::new(),
            package: String::new(),
            outcome: kind.map_or_else(|| Ok(Seen::new("", 0.1, 30.0)), |kind| Err((kind, String::new()))),
        };
        let (good, lacks) = (look("gpu1", None), look("gpu1", Some(HostFault::NoModel)));
        assert_eq!(worth_telling(vec![good.clone(), lacks.clone()]), std::slice::from_ref(&good));
        let all = vec![good, look("gpu2", Some(HostFault::NoModel)), look("gpu2", Some(HostFault::NoModel))];
        assert_eq!(worth_telling(all.clone()), all);
    }

    #[test]
    fn the_journal_is_told_of_hosts_only_where_there_was_one() {
        assert_eq!(counted(9, 0, None).told(), None);
        assert_eq!(counted(9, 0, Some("away")).told().unwrap(), "9 here; gpu1: away");
        let both = counted(3, 2, Some("away")).told().unwrap();
        assert_eq!(both, "2 runs at gpu1 (http://gpu1:8000, triton 2.59), 3 here; gpu1: away");
    }
}
