//! The study path with its real parts: sockets, database, spool, accelerator. One program, so that the crate is linked
//! once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod cancelled;
mod commitment;
mod corrected;
mod engines;
mod exam;
mod exam_support;
mod golden_pixels;
mod identity;
mod inference;
mod inference_host;
mod mammography;
mod mammography_support;
mod models;
mod orthanc_archive;
mod outbox;
mod outbox_support;
mod places;
mod standby;
mod stow;
mod variants;

#[path = "../../../dicom/tests/support/same.rs"]
mod same;

#[path = "../../../report/tests/it/support/mod.rs"]
mod report_support;

#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/fixtures.rs"]
mod fixtures;
#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/pacs.rs"]
mod pacs;
#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/pynetdicom.rs"]
mod pynetdicom;
#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/orthanc.rs"]
mod orthanc;
#[allow(dead_code, reason = "shared with the tests of the node")]
#[path = "../../../node/tests/it/web_pacs.rs"]
mod web_pacs;
