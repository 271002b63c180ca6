//! Decoding ahead: decodes slices while their series still arrives, within a memory limit, so that after the last slice
//! they only have to be ordered. Slices that were not decoded ahead are decoded when the volume is needed.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custody::instance::Instance;
use custody::series::SeriesKey;
use custody::spool::Spool;
use dicom::pixels::error::DecodeError;
use hal::urgency;
use models::Refusal;
use rayon::prelude::*;

use super::Slice;
use super::build::{self, Built, Decoded, VolumeError};
use super::memory::{self, Need};

type Decode = dyn Fn(&Instance) -> Result<Vec<Slice>, DecodeError> + Send + Sync;

/// Slices decoded before their series is complete. Cheap to clone.
#[derive(Clone)]
pub struct DecodeAhead {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    decode: Box<Decode>,
    /// Own threads: a slice must neither wait for the analysis of another study nor delay reception.
    pool: rayon::ThreadPool,
    state: Mutex<AheadState>,
    /// Notified when the decoding of an instance has finished.
    settled: Condvar,
}

#[derive(Default)]
struct AheadState {
    /// Bytes of decoded slices, and bytes reserved for instances that are being decoded.
    bytes: u64,
    /// What the series in work needs. Nothing is decoded ahead in its room.
    in_work: u64,
    series: HashMap<SeriesKey, HashMap<i64, Entry>>,
    last_offer: Option<Instant>,
}

/// One instance, with the bytes reserved for it.
struct Entry {
    bytes: u64,
    progress: Progress,
}

enum Progress {
    Waiting,
    Decoding,
    Done(Result<Vec<Slice>, DecodeError>),
}

/// How much memory decoding and analysis may use, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For slices that are decoded ahead; a part of `all`.
    pub ahead: u64,
    /// For everything: slices decoded ahead, the series in work, what decoding and analysing it needs.
    pub all: u64,
}

impl Limits {
    /// From MiB; what is decoded ahead never takes more than half of all.
    pub fn of_mib(ahead: u64, all: u64) -> Self {
        Self { ahead: ahead.min(all / 2) << 20, all: all << 20 }
    }
}

/// What needs more than this beside its own slices is not decoded ahead: bytes for each thread are not in the limit.
const MOST_BESIDE: u64 = 64 << 20;

/// Decoding waits until no instance has arrived for this long, because reception has precedence. A scanner pauses while
/// it reconstructs. An archive sends without pauses; its slices are decoded afterwards, during the quiet time.
const PAUSE: Duration = Duration::from_millis(10);

/// What happens to an instance that is offered for decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Taken,
    /// It was offered and taken before.
    AlreadySo,
    /// The memory limit is reached; it will be decoded when its series is complete.
    Full,
}

impl DecodeAhead {
    /// Decodes instances from `spool` within `limits`. With `step_back`, its threads run at lower priority than live work.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(spool: Spool, limits: Limits, step_back: bool) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::with(limits, step_back, move |instance| build::decode(&spool, instance))
    }

    fn with(
        limits: Limits,
        step_back: bool,
        decode: impl Fn(&Instance) -> Result<Vec<Slice>, DecodeError> + Send + Sync + 'static,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let start = move |_| {
            if step_back {
                urgency::step_back()
            }
        };
        let pool =
            rayon::ThreadPoolBuilder::new().thread_name(|i| format!("decode-{i}")).start_handler(start).build()?;
        let (state, settled) = (Mutex::default(), Condvar::new());
        Ok(Self { inner: Arc::new(Inner { limits, decode: Box::new(decode), pool, state, settled }) })
    }

    /// Starts to decode `instance` in the background if the memory limit allows it. Does not block.
    pub fn offer(&self, series: &SeriesKey, instance: Arc<Instance>) -> Offered {
        let need = Need::of(&instance, self.inner.pool.current_num_threads());
        let bytes = need.planes;
        {
            let mut state = self.inner.lock();
            state.last_offer = Some(Instant::now());
            if state.series.get(series).is_some_and(|entries| entries.contains_key(&instance.id)) {
                return Offered::AlreadySo;
            }
            let limits = self.inner.limits;
            let room = limits.ahead.min(limits.all.saturating_sub(state.in_work));
            if need.beside > MOST_BESIDE || state.bytes.saturating_add(bytes) > room {
                return Offered::Full;
            }
            state.bytes += bytes;
            state
                .series
                .entry(series.clone())
                .or_default()
                .insert(instance.id, Entry { bytes, progress: Progress::Waiting });
        }
        let (inner, series) = (self.inner.clone(), series.clone());
        self.inner.pool.spawn(move || {
            inner.wait_for_a_pause();
            // The series may have been taken or forgotten while this instance was waiting.
            if inner.begin(&series, instance.id) {
                let decoded = inner.decode(&instance);
                inner.settle(&series, instance.id, decoded);
            }
        });
        Offered::Taken
    }

    /// Builds the volume of a complete series from the slices decoded ahead; decodes the others now. Frees the series. What it needs
    /// counts until [`DecodeAhead::done`]. Blocks; must not be called from a thread of an async runtime.
    ///
    /// # Errors
    /// When the series does not fit into the memory that is allowed, an instance cannot be decoded, or the slices do not
    /// form a volume.
    pub fn volume(&self, series: &SeriesKey, instances: &[Arc<Instance>]) -> Result<Built, VolumeError> {
        let mut ahead = self.inner.take(series);
        let threads = rayon::current_num_threads();
        let at_once = match self.plan(instances, threads).map_err(VolumeError::Refused)? {
            // Nothing has to wait for the slowest of a few.
            all if all == threads => instances.len(),
            few => few,
        };
        let parts: Vec<_> = instances.iter().map(|instance| (instance, ahead.remove(&instance.id))).collect();
        let decode = |(instance, ahead): (&Arc<Instance>, Option<_>)| {
            Decoded::new(&instance.header, ahead.unwrap_or_else(|| self.inner.decode(instance)))
        };
        let mut decoded: Vec<Decoded> = Vec::with_capacity(instances.len());
        let mut parts = parts.into_iter().peekable();
        while parts.peek().is_some() {
            let some: Vec<_> = parts.by_ref().take(at_once).collect();
            decoded.par_extend(some.into_par_iter().map(decode));
        }
        build::volume(decoded)
    }

    /// As [`memory::plan`]. The other series keep what is decoded ahead of them, unless it takes the room of this one: whether a study is
    /// read must not depend on what arrives beside it.
    fn plan(&self, instances: &[Arc<Instance>], threads: usize) -> Result<usize, Refusal> {
        let all = self.inner.limits.all;
        memory::plan(instances, all, threads)?;
        let needed = memory::needed(instances, threads);
        self.inner.lock().in_work = needed;
        if needed > all.saturating_sub(self.bytes()) {
            self.make_room();
        }
        memory::plan(instances, all.saturating_sub(self.bytes()), threads)
    }

    /// Frees the decoded slices of all series, once what is being decoded is done: they are decoded again when they are needed. Blocks.
    pub fn make_room(&self) {
        let mut state = self.inner.lock();
        for entries in state.series.values_mut() {
            entries.retain(|_, entry| matches!(entry.progress, Progress::Decoding));
        }
        let decoding = |state: &mut AheadState| {
            let is_decoding = |entry: &Entry| matches!(entry.progress, Progress::Decoding);
            state.series.values().any(|entries| entries.values().any(is_decoding))
        };
        let mut state = self.inner.settled.wait_while(state, decoding).unwrap_or_else(PoisonError::into_inner);
        state.series.clear();
        state.bytes = 0;
    }

    /// The series of the last volume is not in work any more.
    pub fn done(&self) {
        self.inner.lock().in_work = 0;
    }

    /// Frees the decoded slices of a series that will not be analysed.
    pub fn forget(&self, series: &SeriesKey) {
        let mut state = self.inner.lock();
        state.remove(series);
        self.inner.settled.notify_all();
    }

    /// Frees everything: the ids of instances may be those of others from now on.
    pub fn forget_all(&self) {
        let mut state = self.inner.lock();
        state.series.clear();
        state.bytes = 0;
        self.inner.settled.notify_all();
    }

    /// Bytes of decoded slices plus reserved bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, AheadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode(&self, instance: &Instance) -> Result<Vec<Slice>, DecodeError> {
        // Decoding must always end with `settle`, even after a panic, because `take` waits for it.
        catch_unwind(AssertUnwindSafe(|| (self.decode)(instance)))
            .unwrap_or_else(|_| Err(DecodeError::DataSet { reason: "decoding failed unexpectedly".into() }))
    }

    fn wait_for_a_pause(&self) {
        let left = || self.lock().last_offer.and_then(|last| PAUSE.checked_sub(last.elapsed()));
        while let Some(left) = left().filter(|left| !left.is_zero()) {
            std::thread::sleep(left);
        }
    }

    /// Marks an instance as being decoded. Returns false when it is no longer needed.
    fn begin(&self, series: &SeriesKey, id: i64) -> bool {
        let mut state = self.lock();
        let entry = state.series.get_mut(series).and_then(|entries| entries.get_mut(&id));
        entry.map(|entry| entry.progress = Progress::Decoding).is_some()
    }

    fn settle(&self, series: &SeriesKey, id: i64, decoded: Result<Vec<Slice>, DecodeError>) {
        let mut state = self.lock();
        if let Some(entry) = state.series.get_mut(series).and_then(|entries| entries.get_mut(&id)) {
            entry.progress = Progress::Done(decoded);
        }
        self.settled.notify_all();
    }

    /// Waits for decoding that has begun, then removes and returns all decoded slices of a series. The caller decodes
    /// the instances that are still waiting.
    fn take(&self, series: &SeriesKey) -> HashMap<i64, Result<Vec<Slice>, DecodeError>> {
        let mut state = self.lock();
        let mut waiting = Vec::new();
        if let Some(entries) = state.series.get_mut(series) {
            waiting.extend(entries.extract_if(|_, entry| matches!(entry.progress, Progress::Waiting)));
        }
        state.bytes -= waiting.iter().map(|(_, entry)| entry.bytes).sum::<u64>();
        let begun = |state: &mut AheadState| {
            let undone = |entry: &Entry| !matches!(entry.progress, Progress::Done(_));
            state.series.get(series).is_some_and(|entries| entries.values().any(undone))
        };
        let mut state = self.settled.wait_while(state, begun).unwrap_or_else(PoisonError::into_inner);
        let done = |(id, entry): (i64, Entry)| match entry.progress {
            Progress::Done(decoded) => Some((id, decoded)),
            Progress::Waiting | Progress::Decoding => None,
        };
        state.remove(series).into_iter().filter_map(done).collect()
    }
}

impl AheadState {
    fn remove(&mut self, series: &SeriesKey) -> HashMap<i64, Entry> {
        let entries = self.series.remove(series).unwrap_or_default();
        self.bytes -= entries.values().map(|entry| entry.bytes).sum::<u64>();
        entries
    }
}

impl fmt::Debug for DecodeAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeAhead").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
