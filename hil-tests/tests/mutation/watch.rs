//! Runs a target once and says whether anything panicked: itself, or a task that it began.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::targets::Target;

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn panics() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From now on panics are noted instead of printed.
pub fn note_panics() {
    std::panic::set_hook(Box::new(|info| {
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        // What a decoder caught need not be kept for ever.
        panics.truncate(7);
        panics.push(info.to_string());
    }));
}

/// # Errors
/// What panicked.
pub fn run(target: &Target, bytes: &[u8]) -> Result<(), String> {
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let panics = panics();
    if ended.is_ok() && (target.may_panic_inside || panics.is_empty()) { Ok(()) } else { Err(panics.join("\n")) }
}
