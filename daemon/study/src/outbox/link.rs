//! The connection to one destination while a batch goes over it: an association, or requests by HTTP.

use custody::store::deliveries::Delivery;
use node::send::{Association, Error, File, Way};
use node::stow::{Object, Session, Taken};

#[derive(Debug)]
pub(super) enum Link {
    Dimse(Box<Association>),
    Web(Box<Session>),
}

impl Link {
    /// Opens it for `files`; `asking` for storage commitment, too.
    pub(super) async fn open(way: &Way, files: &[File], asking: bool) -> Result<Self, Error> {
        match way {
            Way::Dimse(target) => Ok(Self::Dimse(Box::new(Association::open_asking(target, files, asking).await?))),
            Way::Web(service) => Ok(Self::Web(Box::new(Session::open(service).await?))),
        }
    }

    pub(super) async fn store(&mut self, file: &File, delivery: &Delivery) -> Result<Taken, Error> {
        match self {
            Self::Dimse(association) => association.store(file).await.map(Taken::of),
            Self::Web(session) => session.store(file, &object(delivery)).await,
        }
    }

    /// Nothing more can be sent over it.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Dimse(association) => association.is_over(),
            Self::Web(_) => false,
        }
    }

    pub(super) async fn release(self) {
        match self {
            Self::Dimse(association) => association.release().await,
            Self::Web(_) => {}
        }
    }
}

/// By which UIDs the destination has it.
pub(super) fn object(delivery: &Delivery) -> Object<'_> {
    Object { study_uid: &delivery.study_uid, series_uid: &delivery.series_uid, sop_uid: &delivery.sop_uid }
}
