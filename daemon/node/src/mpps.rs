//! Placeholder
use crate::normalized::{Done, Whole, refuse};
use crate::settings;
use crate::status::Refusal;
use custody::store::Store;
pub(super) fn begun(_store: &Store, _settings: &settings::Mpps, _request: &Whole) -> Done {
    refuse(Refusal::Processing, "").into()
}
pub(super) fn changed(_store: &Store, _settings: &settings::Mpps, _request: &Whole) -> Done {
    refuse(Refusal::Processing, "").into()
}
