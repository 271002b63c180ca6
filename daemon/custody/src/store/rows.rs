//! Work on rows for tasks that must not block.

use rusqlite::{Connection, Transaction};

use super::{Durability, Result, Store};

impl Store {
    /// Does `work` on a connection of its own, on a thread that may block. A panic of `work` goes on in whoever waits.
    ///
    /// # Errors
    /// As [`Store::connect`], and those of `work`.
    pub async fn rows<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut store.connect(Durability::Full)?)).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// The same in one transaction.
    ///
    /// # Errors
    /// As [`Store::rows`].
    pub async fn written<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        self.rows(move |rows| {
            let transaction = rows.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }
}
