//! An indicator that only remembers what it was told: the simulated twin of `led`.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, Indicator, IndicatorFault, Rhythm};

/// Clones share what they show.
#[derive(Debug, Clone, Default)]
pub struct Scripted(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    shown: Rhythm,
    fault: Option<IndicatorFault>,
}

impl Scripted {
    pub fn shown(&self) -> Rhythm {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shown
    }

    /// Fails so from now on; `None`: works again.
    pub fn fail(&self, fault: Option<IndicatorFault>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fault = fault;
    }
}

impl Indicator for Scripted {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn show(&mut self, rhythm: Rhythm) -> Result<(), Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = state.fault {
            return Err(Error::new(fault, format!("simulated: {fault:?}")));
        }
        state.shown = rhythm;
        Ok(())
    }
}
