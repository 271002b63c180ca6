//! Gives the live path its model: the package that is active for breast ultrasound.

use hal::cuda::Urgency;
use live::supply::{Ready, RunsOn, Supply, SupplyError};
use models::steps;
use models::task::US_BREAST;

use super::{Error, Shelf};

/// Supplies the package that is active for breast ultrasound.
#[derive(Debug)]
pub struct FromShelf(pub Shelf);

fn why(error: &Error) -> SupplyError {
    let text = error.to_string();
    match error {
        Error::NoPackage(_) => SupplyError::NoPackage(text),
        Error::Refused { .. } => SupplyError::Refused(text),
        Error::Accelerator(_) => SupplyError::Accelerator(text),
        Error::Registry(_) | Error::Restricted(_) | Error::Cancelled | Error::Internal(_) => SupplyError::Other(text),
    }
}

impl Supply for FromShelf {
    fn load(&mut self) -> Result<Ready, SupplyError> {
        let loaded = self.0.load_active(US_BREAST).map_err(|error| why(&error))?;
        let device = loaded.device;
        let now = device.now();
        Ok(Ready {
            manifest: loaded.package.manifest,
            sha256: loaded.package.sha256,
            simulated: now.simulated,
            accelerator: RunsOn::new(move || {
                let on = device.now();
                format!("{}, {}", on.provider, on.library)
            }),
            model: loaded.model,
            steps: steps::beside(&now, Urgency::Live),
        })
    }

    fn is_outdated(&self, loaded: &Ready) -> bool {
        self.0.active(US_BREAST).map_or(true, |active| active.sha256 != loaded.sha256)
    }
}
