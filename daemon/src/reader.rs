//! Reads the database for whoever shows what is in it: bus and pages.

use std::sync::{Arc, Mutex, PoisonError};

use custody::store::{self, Durability, Store};
use rusqlite::Connection;

/// A database connection that is opened on first use and used only on blocking threads.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Store,
    /// With the era of the database that it reads.
    connection: Arc<Mutex<Option<(u64, Connection)>>>,
}

/// Why there was no connection to ask.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the question to the database was not answered: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Reader {
    pub fn new(store: Store) -> Self {
        Self { store, connection: Arc::default() }
    }

    /// # Errors
    /// Those of the query, and [`Lost`].
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Lost> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let reader = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let mut slot = reader.connection.lock().unwrap_or_else(PoisonError::into_inner);
            // One to a database that was set aside since would show what is not so any more.
            let opened = match slot.take().filter(|(era, _)| *era == reader.store.era()) {
                Some(opened) => opened,
                None => reader.open().map_err(Lost::from)?,
            };
            query(&slot.insert(opened).1)
        });
        answer.await.map_err(Lost::from)?
    }

    fn open(&self) -> store::Result<(u64, Connection)> {
        // Asked first: if another era begins in between, it is opened once more.
        let era = self.store.era();
        let connection = self.store.connect(Durability::Rebuildable)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok((era, connection))
    }
}
