//! Hands one value from thread to thread: a new value replaces one that was not taken yet.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Clones share the same slot.
#[derive(Debug)]
pub struct Newest<T>(Arc<(Mutex<Slot<T>>, Condvar)>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    closed: bool,
}

impl<T> Clone for Newest<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Slot { value: None, closed: false }), Condvar::new())))
    }
}

impl<T> Newest<T> {
    /// Never waits. A value that was not taken is dropped.
    pub fn put(&self, value: T) {
        let old = self.slot().value.replace(value);
        self.0.1.notify_one();
        // After the lock is released: dropping a picture returns its buffer to the driver.
        drop(old);
    }

    /// Waits for the next value; `None` once the slot is closed.
    pub fn take(&self) -> Option<T> {
        let mut slot = self.slot();
        loop {
            if slot.closed {
                return None;
            }
            if let Some(value) = slot.value.take() {
                return Some(value);
            }
            slot = self.0.1.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waiting; from now on nothing can be taken.
    pub fn close(&self) {
        self.slot().closed = true;
        self.0.1.notify_all();
    }

    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins() {
        let place = Newest::default();
        (1..=3).for_each(|n| place.put(n));
        assert_eq!(place.take(), Some(3));
        place.put(4);
        place.close();
        assert_eq!(place.take(), None, "closed, whatever lies there");
    }

    #[test]
    fn whoever_waits_is_woken_by_a_value_and_by_the_end() {
        let place = Newest::default();
        let taker = {
            let place = place.clone();
            std::thread::spawn(move || (place.take(), place.take()))
        };
        place.put(7);
        while place.slot().value.is_some() {
            std::thread::yield_now();
        }
        place.close();
        assert_eq!(taker.join().unwrap(), (Some(7), None));
    }
}
