//! The package that the live path uses: the one that is active for breast ultrasound.

use live::infer::supply::{Ready, Supply};
use models::task::US_BREAST;

use super::Shelf;

/// The package that is active for breast ultrasound.
#[derive(Debug)]
pub struct FromShelf(pub Shelf);

impl Supply for FromShelf {
    fn load(&mut self) -> Result<Ready, String> {
        let loaded = self.0.load_active(US_BREAST).map_err(|error| error.to_string())?;
        let on = loaded.accelerator.describe();
        Ok(Ready {
            manifest: loaded.package.manifest,
            sha256: loaded.package.sha256,
            simulated: on.simulated,
            accelerator: format!("{}, {}", on.provider, on.library),
            model: loaded.model,
        })
    }

    fn is_outdated(&self, loaded: &Ready) -> bool {
        self.0.active(US_BREAST).map_or(true, |active| active.sha256 != loaded.sha256)
    }
}
