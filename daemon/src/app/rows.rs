//! Tasks that work on rows: they run while database and custody log are open, end when these must be opened again, and are
//! begun anew after that, like after a start.

use std::sync::Arc;

use ::custody::store::Store;
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;

use crate::health::Custody;

/// Waits until custody is open, or is not. `false`: the daemon stops.
pub async fn becomes(custody: &mut watch::Receiver<Custody>, open: bool) -> bool {
    custody.wait_for(|now| now.is_open() == open).await.is_ok()
}

/// Waits until custody is closed. Of a closing that is over already, seen too late, only the new database is left.
async fn ends(custody: &mut watch::Receiver<Custody>, store: &Store, era: u64) -> bool {
    custody.wait_for(|now| !now.is_open() || store.era() != era).await.is_ok()
}

/// Knows whether any of them still works.
#[derive(Debug, Clone, Default)]
pub struct AtWork(Arc<RwLock<()>>);

impl AtWork {
    /// Waits until none of them works.
    pub async fn ended(&self) {
        drop(self.0.write().await);
    }
}

/// Runs the task that `begin` makes, as often as database and custody log are opened, until shutdown. The token that `begin`
/// gets ends the task; the store that it gets is of the present database only.
///
/// # Errors
/// Those of the task.
pub async fn while_open<E, F: Future<Output = Result<(), E>> + Send>(
    (mut custody, at_work): (watch::Receiver<Custody>, AtWork),
    store: Store,
    shutdown: CancellationToken,
    mut begin: impl FnMut(Store, CancellationToken) -> F,
) -> Result<(), E> {
    loop {
        tokio::select! {
            // A closed channel means that the daemon stops.
            true = becomes(&mut custody, true) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let _works = at_work.0.read().await;
        if !custody.borrow_and_update().is_open() {
            continue;
        }
        let end = shutdown.child_token();
        let (here, era) = (store.of_this_era(), store.era());
        let running = begin(here, end.clone());
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => return ended,
            true = ends(&mut custody, &store, era) => {
                end.cancel();
                running.await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Says for each run of a task which database it worked on, and that it was ended before another began.
    #[tokio::test]
    async fn a_task_ends_before_the_database_is_built_again_and_begins_anew_on_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let (told, custody) = watch::channel(Custody::Checking);
        let (at_work, shutdown, runs) = (AtWork::default(), CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let noted = runs.clone();
        let task = while_open(
            (custody, at_work.clone()),
            store.clone(),
            shutdown.clone(),
            move |here: Store, end: CancellationToken| {
                noted.lock().unwrap().push(here.era());
                async move {
                    end.cancelled().await;
                    Ok::<_, std::convert::Infallible>(())
                }
            },
        );
        let task = tokio::spawn(task);
        let until = async |count: usize| {
            while runs.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        told.send_replace(Custody::Open { notice: None });
        until(1).await;
        assert!(at_work.0.try_write().is_err(), "it works");
        told.send_replace(Custody::Failed { reason: "damaged".into() });
        at_work.ended().await;
        std::fs::remove_file(folder.path().join("db")).unwrap();
        store.prepare().unwrap();
        told.send_replace(Custody::Open { notice: None });
        until(2).await;
        let eras = runs.lock().unwrap().clone();
        assert!(eras[0] < eras[1], "{eras:?}");
        // Nobody looked in between.
        told.send_replace(Custody::Failed { reason: "damaged".into() });
        std::fs::remove_file(folder.path().join("db")).unwrap();
        store.prepare().unwrap();
        told.send_replace(Custody::Open { notice: None });
        until(3).await;
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }
}
