//! Blocking work for whoever asks over HTTP, so many pieces at a time: it bounds memory and leaves the processor to studies.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct AtOnce(Arc<Semaphore>);

impl AtOnce {
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// # Errors
    /// Those of the work, and when it did not come to its end.
    pub async fn work<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<JoinError> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        // Closed never. The work keeps its place to its end, also when nobody waits for it any more.
        let place = self.0.clone().acquire_owned().await;
        let work = move || {
            let _place = place;
            work()
        };
        spawn_blocking(work).await?
    }
}
