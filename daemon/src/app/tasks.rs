//! The long-running tasks. Each has a name and a future that ends after a shutdown request.

use std::fmt::Display;
use std::future::Future;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tasks that run until `shutdown`. If one ends earlier, for any reason, all are ended.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<(&'static str, anyhow::Result<()>)>,
    shutdown: CancellationToken,
}

impl Tasks {
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { running: JoinSet::new(), shutdown }
    }

    /// Starts a task that may fail.
    pub fn start<T, E>(&mut self, name: &'static str, task: T)
    where
        T: Future<Output = Result<(), E>> + Send + 'static,
        Result<(), E>: Context<(), E>,
        E: Display + 'static,
    {
        self.running.spawn(async move { (name, task.await.context(name)) });
    }

    /// Starts a task that cannot fail.
    pub fn start_steady(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(async move {
            task.await;
            (name, Ok(()))
        });
    }

    /// Waits until all tasks have ended. If one ends early, requests the shutdown of all.
    ///
    /// # Errors
    /// The first failure. A task that ends without a shutdown request counts as a failure.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let failure = match ended {
                Ok((name, Ok(()))) if self.shutdown.is_cancelled() => {
                    tracing::debug!(name, "task ended");
                    continue;
                }
                Ok((name, Ok(()))) => anyhow::anyhow!("task {name} ended unexpectedly"),
                Ok((_, Err(error))) => error,
                Err(panicked) => anyhow::Error::from(panicked),
            };
            tracing::error!("{failure:#}");
            outcome = outcome.and(Err(failure));
            self.shutdown.cancel();
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(shutdown: &CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        shutdown.clone().cancelled_owned()
    }

    #[tokio::test]
    async fn all_end_well_when_asked() {
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.start_steady("one", until(&shutdown));
        tasks.start_steady("two", until(&shutdown));
        shutdown.cancel();
        assert!(tasks.ended().await.is_ok());
    }

    #[tokio::test]
    async fn one_that_fails_ends_the_others_and_is_named() {
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::new(shutdown.clone());
        tasks.start_steady("one", until(&shutdown));
        tasks.start("two", async { Err(std::io::Error::other("no disk")) });
        assert_eq!(format!("{:#}", tasks.ended().await.unwrap_err()), "two: no disk");
        assert!(shutdown.is_cancelled());
    }

    #[tokio::test]
    async fn one_that_ends_unasked_is_a_failure() {
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.start_steady("one", async {});
        assert_eq!(tasks.ended().await.unwrap_err().to_string(), "task one ended unexpectedly");
    }
}
