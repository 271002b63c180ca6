//! Blocking work for whoever asks over HTTP, so many pieces at a time: it bounds memory and leaves the processor to studies.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct AtOnce(Arc<Semaphore>);

/// All places are taken, and none became free in time.
#[derive(Debug, thiserror::Error)]
#[error("others that were asked for before are not done, perhaps because a medium does not answer: remove it")]
pub struct Busy;

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
        // Closed never.
        let place = self.0.clone().acquire_owned().await;
        Self::at(place, work).await
    }

    /// The same, for work that may never end, such as that on a medium that hangs: others wait no longer than `patience`.
    ///
    /// # Errors
    /// `Busy`, too.
    pub async fn work_within<T, E, F>(&self, patience: Duration, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<JoinError> + From<Busy> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let place = tokio::time::timeout(patience, self.0.clone().acquire_owned()).await.map_err(|_| Busy)?;
        Self::at(place, work).await
    }

    /// The work keeps its place to its end, also when nobody waits for it any more.
    async fn at<P, T, E, F>(place: P, work: F) -> Result<T, E>
    where
        P: Send + 'static,
        T: Send + 'static,
        E: From<JoinError> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let work = move || {
            let _place = place;
            work()
        };
        spawn_blocking(work).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Error {
        #[error(transparent)]
        Busy(#[from] Busy),
        #[error(transparent)]
        Task(#[from] JoinError),
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_that_hangs_is_told_to_whoever_comes_next() {
        let at_once = AtOnce::new(1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, hangs) = std::sync::mpsc::channel::<()>();
        let work = move || {
            begun.send(()).unwrap();
            Ok::<_, Error>(hangs.recv().is_ok())
        };
        let first = tokio::spawn({
            let at_once = at_once.clone();
            async move { at_once.work(work).await }
        });
        has_begun.await.unwrap();
        let next = at_once.work_within(Duration::ZERO, || Ok::<_, Error>(())).await;
        assert!(matches!(next, Err(Error::Busy(_))), "{next:?}");
        end.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        at_once.work_within(Duration::from_secs(60), || Ok::<_, Error>(())).await.unwrap();
    }
}
