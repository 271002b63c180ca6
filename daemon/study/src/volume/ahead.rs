//! Decoding ahead: slices are decoded while their series still arrives, within a limit of memory, so that after the last
//! slice only the ordering is left. Nothing depends on it: what was not decoded ahead is decoded when it is needed.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use custody::instance::Instance;
use custody::series::SeriesKey;
use custody::spool::Spool;
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use hal::urgency;
use models::Volume;
use rayon::prelude::*;

use super::Slice;
use super::build::{self, VolumeError};

type Decode = dyn Fn(&Instance) -> Result<Vec<Slice>, DecodeError> + Send + Sync;

/// Slices decoded before their series is complete. Cheap to clone.
#[derive(Clone)]
pub struct DecodeAhead {
    inner: Arc<Inner>,
}

struct Inner {
    limit_bytes: u64,
    decode: Box<Decode>,
    /// Threads of our own: a slice must not wait behind the analysis of another study, nor hinder reception.
    pool: rayon::ThreadPool,
    state: Mutex<AheadState>,
    /// An instance went from pending to done.
    settled: Condvar,
}

#[derive(Default)]
struct AheadState {
    /// Bytes held, and reserved by instances that are being decoded.
    bytes: u64,
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

/// Reception comes first: slices are decoded in its pauses. A scanner that reconstructs leaves many; what an archive
/// sends in one rush is decoded after it, still before quiet time or release grace are over.
const PAUSE: Duration = Duration::from_millis(10);

/// What became of an instance offered for decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Taken,
    /// It was taken before.
    AlreadySo,
    /// The limit is reached; it will be decoded when its series is complete.
    Full,
}

impl DecodeAhead {
    /// Decodes what is in the spool and holds up to `limit_mib`; on threads that step back behind live work, if so wanted.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(spool: Spool, limit_mib: u64, step_back: bool) -> Result<Self, rayon::ThreadPoolBuildError> {
        Self::with(limit_mib << 20, step_back, move |instance| build::decode(&spool, instance))
    }

    fn with(
        limit_bytes: u64,
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
        Ok(Self { inner: Arc::new(Inner { limit_bytes, decode: Box::new(decode), pool, state, settled }) })
    }

    /// Starts to decode `instance` in the background, if there is room. Returns at once.
    pub fn offer(&self, series: &SeriesKey, instance: Arc<Instance>) -> Offered {
        let bytes = decoded_bytes(&instance);
        {
            let mut state = self.inner.lock();
            state.last_offer = Some(Instant::now());
            if state.series.get(series).is_some_and(|entries| entries.contains_key(&instance.id)) {
                return Offered::AlreadySo;
            }
            if state.bytes.saturating_add(bytes) > self.inner.limit_bytes {
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
            // The series may have been taken or forgotten while this one waited its turn.
            if inner.begin(&series, instance.id) {
                let decoded = inner.decode(&instance);
                inner.settle(&series, instance.id, decoded);
            }
        });
        Offered::Taken
    }

    /// The volume of a complete series: what was decoded ahead, and the rest now. The series is forgotten here.
    /// Blocks; never call it from a thread of an async runtime.
    ///
    /// # Errors
    /// When an instance cannot be decoded, or the slices make no volume.
    pub fn volume(
        &self,
        series: &SeriesKey,
        instances: &[Arc<Instance>],
    ) -> Result<(Volume, Vec<SliceRef>), VolumeError> {
        let mut ahead = self.inner.take(series);
        let parts: Vec<_> = instances.iter().map(|instance| (instance, ahead.remove(&instance.id))).collect();
        let decode = |(instance, ahead): (&Arc<Instance>, Option<_>)| {
            let decoded = ahead.unwrap_or_else(|| self.inner.decode(instance));
            decoded.map_err(|source| VolumeError::decode(instance, source))
        };
        let decoded: Vec<_> = parts.into_par_iter().map(decode).collect();
        let mut slices = Vec::with_capacity(instances.len());
        for part in decoded {
            slices.extend(part?);
        }
        build::assemble(slices).map_err(VolumeError::Refused)
    }

    /// Drops what was decoded of a series that will not be analysed.
    pub fn forget(&self, series: &SeriesKey) {
        let mut state = self.inner.lock();
        state.remove(series);
        self.inner.settled.notify_all();
    }

    /// Bytes held and reserved.
    pub fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, AheadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decode(&self, instance: &Instance) -> Result<Vec<Slice>, DecodeError> {
        // Whatever goes wrong, the instance must be settled: `take` waits for it.
        catch_unwind(AssertUnwindSafe(|| (self.decode)(instance)))
            .unwrap_or_else(|_| Err(DecodeError::DataSet { reason: "decoding failed unexpectedly".into() }))
    }

    fn wait_for_a_pause(&self) {
        let left = || self.lock().last_offer.and_then(|last| PAUSE.checked_sub(last.elapsed()));
        while let Some(left) = left().filter(|left| !left.is_zero()) {
            std::thread::sleep(left);
        }
    }

    /// False when it is no longer wanted.
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

    /// Everything decoded of a series, once what was begun is done. What still waits is left to the caller.
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

/// Two bytes per pixel, whatever is stored.
fn decoded_bytes(instance: &Instance) -> u64 {
    let header = &instance.header;
    let pixels = u64::from(header.rows) * u64::from(header.columns);
    pixels.saturating_mul(2).saturating_mul(u64::from(header.number_of_frames.max(1)))
}

impl fmt::Debug for DecodeAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeAhead").field("limit_bytes", &self.inner.limit_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
