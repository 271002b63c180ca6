//! Where a buffer of a capture device lies for as long as the device has it, and what a card keeps with it.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use super::mapping_ffi::Mapping;

/// One buffer that a device fills again and again. It is made in this crate only: what a card registers must stay mapped.
#[derive(Debug)]
pub struct Berth {
    mapping: Arc<Mapping>,
    /// Goes with the buffer, so that nothing is left of a device that has gone.
    attached: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

impl Berth {
    pub(super) fn new(mapping: Mapping) -> Self {
        Self { mapping: Arc::new(mapping), attached: Mutex::default() }
    }

    /// All of the buffer, also what the device has not written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.mapping.bytes()
    }

    /// Keeps the memory mapped, also when the device has gone.
    pub(crate) fn mapping(&self) -> Arc<Mapping> {
        self.mapping.clone()
    }

    /// What was attached, if it is of this type and `fits`; otherwise what `make` makes takes its place.
    ///
    /// # Errors
    /// Of `make`; nothing is attached then.
    pub(crate) fn attached<T: Any + Send + Sync, E>(
        &self,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(there)) = attached.take().map(Arc::downcast::<T>)
            && fits(&there)
        {
            *attached = Some(there.clone());
            return Ok(there);
        }
        let made = Arc::new(make()?);
        *attached = Some(made.clone());
        Ok(made)
    }
}
