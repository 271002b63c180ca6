//! Rows that nobody waits for: a bounded queue to a thread that writes them. What does not fit is counted, and the next row
//! says how many are missing.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::locked;
use super::trail::{Note, Trail};

/// Rows that may wait: those of minutes, as people press buttons.
pub(super) const MOST: usize = 256;

/// Its thread runs from the first row on. Dropping it waits until all rows are written.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    rows: SyncSender<Note>,
    thread: JoinHandle<()>,
}

impl Queue {
    pub(super) fn push(&self, trail: &Arc<Trail>, note: Note) {
        let mut slot = locked(&self.0);
        let running = match slot.take() {
            Some(running) => running,
            None => match Running::start(trail.clone()) {
                Ok(running) => running,
                Err(error) => return trail.lost(&note, &error),
            },
        };
        match running.rows.try_send(note) {
            Ok(()) => {}
            Err(TrySendError::Full(note)) => trail.lost(&note, &"too many rows wait for the disk"),
            Err(TrySendError::Disconnected(note)) => return trail.lost(&note, &"its thread has ended"),
        }
        *slot = Some(running);
    }
}

impl Running {
    fn start(trail: Arc<Trail>) -> std::io::Result<Self> {
        let (rows, queued) = sync_channel(MOST);
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || write(&trail, &queued))?;
        Ok(Self { rows, thread })
    }
}

fn write(trail: &Trail, queued: &Receiver<Note>) {
    for note in queued {
        trail.note(&note);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(Running { rows, thread }) = locked(&self.0).take() {
            drop(rows);
            // It has ended by a panic or in order; nobody can be told.
            let _ = thread.join();
        }
    }
}
