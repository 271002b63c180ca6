//! The DICOM node and the outbox over real sockets. One binary, so that the engine is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accept;
mod corpus;
mod dcmtk;
mod fixtures;
mod hostile;
mod outbox;
mod pacs;
mod peer;
mod sending;
