//! What DICOMweb says, without a connection: the address of a service, a login, the answers.

pub(crate) mod login;
pub mod reply;
pub(crate) mod url;
mod xml;
