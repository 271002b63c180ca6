//! What the stages of the study path share.

use std::sync::Arc;

use custody::event::Event;
use custody::spool::Spool;
use custody::store::Store;
use hal::urgency::Precedence;
use tokio::sync::{Notify, broadcast};

use crate::model::Shelf;
use crate::settings::Settings;
use crate::volume::ahead::DecodeAhead;

/// What a stage needs to work; cheap to clone.
#[derive(Debug, Clone)]
pub struct StudyParts {
    pub settings: Arc<Settings>,
    pub store: Store,
    pub spool: Spool,
    pub ahead: DecodeAhead,
    pub shelf: Shelf,
    pub events: broadcast::Sender<Event>,
    /// Notified when a job was queued.
    pub wake: Arc<Notify>,
    /// Notified when deliveries were queued.
    pub outbox_wake: Arc<Notify>,
    /// Notified when the manager of performed procedure steps may have to be told something.
    pub steps_bell: Arc<Notify>,
    /// Notified when a study asks for an earlier one.
    pub priors_bell: Arc<Notify>,
    /// Gives live work precedence over CT inference.
    pub precedence: Precedence,
    /// Gives the box's own studies precedence over the work of neighbours.
    pub own_studies: Precedence,
}

impl StudyParts {
    /// The same, working on the rows of `store`.
    #[must_use]
    pub fn on(&self, store: Store) -> Self {
        Self { store, ..self.clone() }
    }
}
