//! The DICOM node over real sockets. One binary, so that the engine is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accept;
#[allow(dead_code, reason = "shared with the tests of the box")]
mod archive;
mod commitment;
mod corpus;
mod crowd;
mod dcmtk;
mod expected;
#[allow(dead_code, reason = "shared with the tests of the outbox")]
mod fixtures;
mod hostile;
mod identity;
mod manager;
mod mpps;
#[allow(dead_code, reason = "shared with the tests of the outbox")]
mod orthanc;
mod orthanc_peer;
mod other_peers;
#[allow(dead_code, reason = "shared with the tests of the outbox")]
mod pacs;
mod peer;
mod probing;
#[allow(dead_code, reason = "shared with the tests of the outbox")]
mod pynetdicom;
mod retrieving;
mod sending;
mod stow;
mod tls;
mod tls_sending;
mod tls_speed;
mod tls_support;
#[allow(dead_code, reason = "shared with the tests of the outbox")]
mod web_pacs;
mod worklist;
