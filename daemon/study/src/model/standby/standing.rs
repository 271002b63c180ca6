//! Which networks do not run where they are configured to: what the level of the box says of its accelerator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which networks do not run where they are configured to, and why. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Standing(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// By the number of the loaded network.
    places: BTreeMap<u64, Fault>,
}

#[derive(Debug, Clone)]
struct Fault {
    task: String,
    /// For people: `studies`, `live pictures`.
    work: &'static str,
    why: String,
    /// Another GPU provider than the configured one is used, not the CPU.
    on_gpu: bool,
    /// It was unloaded since. What is known of the card is the last that it said, until a network runs on the card.
    is_over: bool,
}

impl Standing {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a network that is loaded now.
    pub(in crate::model) fn of(&self, task: &str, work: &'static str) -> Place {
        let mut places = self.lock();
        places.next += 1;
        Place { standing: self.clone(), number: places.next, task: task.to_owned(), work }
    }

    /// The reason, of tasks that `is_used`; `None` when every network runs where it should.
    pub(in crate::model) fn reason(&self, is_used: impl Fn(&str) -> bool) -> Option<String> {
        let places = self.lock();
        let faults: Vec<_> = places.places.values().filter(|fault| is_used(&fault.task)).collect();
        let first = faults.iter().find(|fault| !fault.on_gpu).or_else(|| faults.first())?;
        let alike = || faults.iter().filter(|fault| fault.on_gpu == first.on_gpu);
        let work = if alike().any(|fault| fault.work != first.work) { "studies and live pictures" } else { first.work };
        Some(match first.on_gpu {
            false => format!("the GPU is not used for {work}: {}", first.why),
            true => format!("another library than the configured one is used for {work}: {}", first.why),
        })
    }
}

/// One loaded network.
#[derive(Debug)]
pub(in crate::model) struct Place {
    standing: Standing,
    number: u64,
    task: String,
    work: &'static str,
}

impl Place {
    pub(super) fn say(&self, why: String, on_gpu: bool) {
        let fault = Fault { task: self.task.clone(), work: self.work, why, on_gpu, is_over: false };
        let mut places = self.standing.lock();
        // What an unloaded network of this kind said last is answered now.
        places.places.retain(|_, other| !(other.is_over && other.task == self.task && other.work == self.work));
        places.places.insert(self.number, fault);
    }

    pub(super) fn back(&self) {
        let mut places = self.standing.lock();
        places.places.remove(&self.number);
        // The card works: of those that are not loaded nothing else is known.
        places.places.retain(|_, other| !other.is_over);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(fault) = self.standing.lock().places.get_mut(&self.number) {
            fault.is_over = true;
        }
    }
}
