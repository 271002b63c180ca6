//! Live goes first: study work waits a little, between two patches of its network, while a live picture is looked at. And
//! it runs at a lower priority of the scheduler, live work at a higher one. It never waits for long, so a study still
//! finishes.
//!
//! On a GPU only the waiting helps with ONNX Runtime, which makes no stream with a priority; TensorRT itself runs live work on one that
//! goes first (`accel::tensorrt`).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest wait before one patch.
pub const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// How much nicer the threads of study work are (`nice(2)`): with the kernel's fair scheduler a thread of nice 10 gets
/// about a tenth of the time of one of nice 0 when both want the same core.
const NICER: i32 = 10;

/// Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Precedence(Arc<(Mutex<usize>, Condvar)>);

/// Live work that goes on; ends when dropped.
#[derive(Debug)]
pub struct Claim(Precedence);

impl Precedence {
    /// Live work begins.
    #[must_use]
    pub fn claim(&self) -> Claim {
        *self.running() += 1;
        Claim(self.clone())
    }

    /// Waits while live work goes on, at most `longest`; says whether there was any.
    pub fn give_way(&self, longest: Duration) -> bool {
        let running = self.running();
        if *running == 0 {
            return false;
        }
        let waited = self.0.1.wait_timeout_while(running, longest, |running| *running > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        true
    }

    fn running(&self) -> MutexGuard<'_, usize> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        *self.0.running() -= 1;
        self.0.0.1.notify_all();
    }
}

/// From now on this thread, and every thread that it starts, runs after those of live work. For ever: a process may only
/// become nicer.
pub fn step_back() {
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::warn!(%error, "study work keeps its priority");
    }
}

/// How much less nice the threads of live work are, where the box may do that (`LimitNICE` of the unit).
const KEENER: i32 = -10;

/// From now on this thread runs before those of all else, the page's browser included.
pub fn step_forward() {
    if let Err(error) = rustix::process::nice(KEENER) {
        tracing::debug!(%error, "live work has the usual priority");
    }
}

/// The same for the thread that brings pictures to the page, which works for a fraction of a millisecond and waits: it runs
/// at once, where the box may do that (`LimitRTPRIO` of the unit). A scheduler that is fair lets it wait for
/// the turn of another one to end, a few milliseconds.
pub fn step_to_the_front() {
    if let Err(error) = crate::urgency_ffi::run_at_once() {
        tracing::debug!(%error, "pictures have no real-time priority");
        step_forward();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(3600);

    #[test]
    fn without_live_work_nobody_waits() {
        let gate = Precedence::default();
        assert!(!gate.give_way(FOR_EVER));
        drop(gate.claim());
        assert!(!gate.give_way(FOR_EVER));
    }

    #[test]
    fn study_work_goes_on_when_live_work_ends() {
        let gate = Precedence::default();
        let (first, second) = (gate.claim(), gate.claim());
        let study = {
            let gate = gate.clone();
            std::thread::spawn(move || gate.give_way(FOR_EVER))
        };
        drop(first);
        assert!(!study.is_finished(), "one claim is left");
        drop(second);
        // Either it waited, or it came when all was over.
        study.join().unwrap();
        assert!(!gate.give_way(FOR_EVER));
    }

    #[test]
    fn study_work_never_waits_longer_than_allowed() {
        let gate = Precedence::default();
        let _claim = gate.claim();
        assert!(gate.give_way(Duration::ZERO));
        assert!(gate.give_way(Duration::from_millis(1)), "live work goes on, and so does the study");
    }

    #[test]
    fn live_work_without_a_pause_never_starves_a_study() {
        const PATCHES: u32 = 12;
        let gate = Precedence::default();
        let ended = Arc::new(AtomicBool::new(false));
        let live = {
            let (gate, ended) = (gate.clone(), ended.clone());
            std::thread::spawn(move || {
                // One claim begins before the other ends: the gate is never seen open.
                let mut claim = gate.claim();
                while !ended.load(Ordering::Relaxed) {
                    let next = gate.claim();
                    drop(std::mem::replace(&mut claim, next));
                    std::thread::yield_now();
                }
            })
        };
        // Nothing but the live path's end, or the study's, ends this.
        while *gate.running() == 0 {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        for _ in 0..PATCHES {
            assert!(gate.give_way(LONGEST_WAIT), "each patch meets live work");
        }
        let took = begun.elapsed();
        ended.store(true, Ordering::Relaxed);
        live.join().unwrap();
        assert!(took >= LONGEST_WAIT * PATCHES, "each patch let live work go first: {took:?}");
        assert!(took < LONGEST_WAIT * PATCHES * 20, "and then went on: {took:?}");
    }
}
