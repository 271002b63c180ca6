//! Threads that a card does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that a card has not answered and that were left to themselves. Clones are the same. While there is one, nothing else is
/// begun on the card: it would hang as well.
#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Left(Arc<AtomicUsize>);

impl Left {
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    /// For a thread that begins.
    pub fn ticket(&self) -> Ticket {
        Ticket { left: self.clone(), state: Arc::default() }
    }
}

/// Of one thread: who waits for it, and the thread itself, have one each.
#[derive(Debug, Clone)]
pub(in crate::model) struct Ticket {
    left: Left,
    state: Arc<Mutex<Wait>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wait {
    #[default]
    Waiting,
    GivenUp,
    Answered,
}

impl Ticket {
    fn change(&self, to: Wait) {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match (*now, to) {
            (Wait::Waiting, Wait::GivenUp) => {
                self.left.0.fetch_add(1, Ordering::SeqCst);
            }
            (Wait::GivenUp, Wait::Answered) => {
                self.left.0.fetch_sub(1, Ordering::SeqCst);
            }
            // It answered just before it was given up.
            (Wait::Answered, Wait::GivenUp) => return,
            _ => {}
        }
        *now = to;
    }

    /// Nobody waits any more.
    pub fn give_up(&self) {
        self.change(Wait::GivenUp);
    }

    /// The thread has come back from the card.
    pub fn answered(&self) {
        self.change(Wait::Answered);
    }

    /// The thread goes to the card again.
    pub(super) fn again(&self) {
        self.change(Wait::Waiting);
    }
}
