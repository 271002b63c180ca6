//! The DICOM node. This file lists what it accepts; `docs/dicom-conformance.md` is the statement.
//!
//! As SCP: Verification; every storage SOP class in every transfer syntax that can be stored, bytes kept as they came,
//! decodable or not; Storage Commitment Push Model; Modality Performed Procedure Step; where it is on, C-FIND of the Modality
//! Worklist. As SCU: C-STORE of Part 10 files as
//! they are or, for a peer that takes nothing else, in Implicit VR Little Endian; C-ECHO; Storage Commitment Push Model;
//! C-FIND of the Modality Worklist; Modality Performed Procedure Step; C-FIND, C-GET and C-MOVE of the Study Root, for earlier
//! studies (`retrieve`); Unified Procedure Step - Pull, for tasks that others schedule (`ups`);
//! Instance Availability Notification (`availability`).
//! Both roles with TLS or without. To archives with a URL: STOW-RS.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod asked;
pub mod association;
mod at_once;
pub mod availability;
pub mod certificates;
mod commitment;
#[doc(hidden)]
pub mod doors;
pub mod callers;
mod echo;
mod elements;
pub mod expected;
pub mod identity;
pub mod inference;
pub mod listener;
pub mod manager;
mod message;
mod mpps;
mod negotiate;
mod normalized;
mod open;
mod operation;
pub mod outcome;
mod peer;
mod places;
pub mod policy;
pub mod probe;
mod receive;
pub mod reporter;
pub mod retrieve;
pub mod send;
mod serve;
pub mod services;
pub mod settings;
mod status;
pub mod stow;
pub mod tls;
pub mod ups;
pub mod wanted;
mod web;
mod wire;
pub mod worklist;

use std::sync::Arc;

use custody::instance::Instance;
use custody::level::Gate;
use custody::spool::Spool;
use dicom::uid::is_uid;
use dicom_dictionary_std::uids;
use tokio::sync::mpsc;

pub use crate::commitment::Reported;
pub use crate::places::subscriber;

pub const VERIFICATION: &str = uids::VERIFICATION;
/// Storage Commitment Push Model.
pub const COMMITMENT: &str = "1.2.840.10008.1.20.1";
/// Modality Performed Procedure Step.
pub const MPPS: &str = "1.2.840.10008.3.1.2.3.3";
/// Modality Worklist Information Model - FIND.
pub const WORKLIST: &str = uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND;
/// Study Root Query/Retrieve Information Model: FIND, MOVE, GET.
pub const STUDY_FIND: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND;
pub const STUDY_MOVE: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE;
pub const STUDY_GET: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET;
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// What the node reports to the engine, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// A new instance is durable. Not sent when the same bytes arrive again, nor for different bytes with a known SOP
    /// Instance UID: that conflict is kept in custody but changes no series.
    Kept(Arc<Instance>),
    /// Data arrived on this association within the last second, so its series are not complete yet.
    InFlight { association: u64 },
    /// An association ended. `clean`: it was released, not aborted or disconnected.
    Released { association: u64, clean: bool },
    /// A scanner has told of a performed procedure step; its rows are durable (`custody::store::steps`). Of these series
    /// (Series Instance UIDs) it declared the instances or changed what it declared.
    Performed { step: i64, series: Vec<String> },
}

/// What every incoming association needs.
#[derive(Debug, Clone)]
pub struct Intake {
    pub spool: Spool,
    pub settings: Arc<settings::Dicom>,
    pub gate: Gate,
    /// Bounded: when the engine falls behind, senders wait.
    pub arrivals: mpsc::Sender<Arrival>,
    pub services: services::Services,
    /// Who called and what became of it.
    pub callers: callers::Callers,
    pub identities: identity::Judge,
}

/// Transfer syntaxes in which an instance can be stored. Left out: JPIP (the pixels are on another server), SMPTE
/// streams, and the retired MIME, XML and Papyrus encodings.
const TRANSFER_SYNTAXES: &[&str] = &[
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.2", // Explicit VR Big Endian (retired)
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.52", // 52 to 56, 58 to 66: retired JPEG processes
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.54",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.56",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.58",
    "1.2.840.10008.1.2.4.59",
    "1.2.840.10008.1.2.4.60",
    "1.2.840.10008.1.2.4.61",
    "1.2.840.10008.1.2.4.62",
    "1.2.840.10008.1.2.4.63",
    "1.2.840.10008.1.2.4.64",
    "1.2.840.10008.1.2.4.65",
    "1.2.840.10008.1.2.4.66",
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::JPEG2000MC_LOSSLESS,
    uids::JPEG2000MC,
    uids::MPEG2MPML,
    uids::MPEG2MPMLF,
    uids::MPEG2MPHL,
    uids::MPEG2MPHLF,
    uids::MPEG4HP41,
    uids::MPEG4HP41F,
    uids::MPEG4HP41BD,
    uids::MPEG4HP41BDF,
    uids::MPEG4HP422D,
    uids::MPEG4HP422DF,
    uids::MPEG4HP423D,
    uids::MPEG4HP423DF,
    uids::MPEG4HP42STEREO,
    uids::MPEG4HP42STEREOF,
    uids::HEVCMP51,
    uids::HEVCM10P51,
    uids::JPEGXL_LOSSLESS,
    uids::JPEGXLJPEG_RECOMPRESSION,
    uids::JPEGXL,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
    uids::RLE_LOSSLESS,
    uids::DEFLATED_IMAGE_FRAME_COMPRESSION,
];

/// Storage SOP classes whose UIDs do not start with the storage root.
const STORAGE_ELSEWHERE: &[&str] = &[
    "1.2.840.10008.5.1.1.27",   // stored print (retired)
    "1.2.840.10008.5.1.1.29",   // hardcopy grayscale image (retired)
    "1.2.840.10008.5.1.1.30",   // hardcopy color image (retired)
    "1.2.840.10008.5.1.4.34.1", // RT beams delivery instruction, trial (retired)
    uids::RT_BRACHY_APPLICATION_SETUP_DELIVERY_INSTRUCTION_STORAGE,
    uids::RT_BEAMS_DELIVERY_INSTRUCTION_STORAGE,
    uids::HANGING_PROTOCOL_STORAGE,
    uids::COLOR_PALETTE_STORAGE,
    uids::GENERIC_IMPLANT_TEMPLATE_STORAGE,
    uids::IMPLANT_ASSEMBLY_TEMPLATE_STORAGE,
    uids::IMPLANT_TEMPLATE_GROUP_STORAGE,
];

/// Whether a data set in this transfer syntax can be stored.
pub fn accepts_transfer_syntax(uid: &str) -> bool {
    TRANSFER_SYNTAXES.contains(&uid)
}

/// Whether C-STORE of this SOP class is accepted: the storage classes of the standard (future ones have the same
/// prefix) and all private ones, because a device may store raw data in a class that only its vendor knows.
pub fn is_storage(sop_class_uid: &str) -> bool {
    const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";
    const STANDARD_ROOT: &str = "1.2.840.10008.";
    /// PS3.5 section 9.1.
    const LONGEST_UID: usize = 64;
    if sop_class_uid.len() > LONGEST_UID || !is_uid(sop_class_uid) {
        return false;
    }
    if sop_class_uid.starts_with(STORAGE_ROOT) {
        return true;
    }
    if !sop_class_uid.starts_with(STANDARD_ROOT) {
        return !sop_class_uid.is_empty();
    }
    STORAGE_ELSEWHERE.contains(&sop_class_uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_class_is_accepted_and_no_other_service() {
        for uid in [
            "1.2.840.10008.5.1.4.1.1.2",
            "1.2.840.10008.5.1.4.1.1.6",     // retired ultrasound
            "1.2.840.10008.5.1.4.1.1.66.4",  // segmentation
            "1.2.840.10008.5.1.4.1.1.999.1", // not yet in our dictionary
            "1.2.840.10008.5.1.4.34.7",      // RT beams delivery instruction
            "1.3.12.2.1107.5.9.1",           // Siemens CSA non-image
        ] {
            assert!(is_storage(uid), "{uid}");
        }
        for uid in [
            "",
            "../../../etc/passwd",
            "<script>alert(1)</script>",
            "1.2.840.10008.5.1.4.1.1.2\n",
            &format!("1.2.840.10008.5.1.4.1.1.{}", "1".repeat(60_000)),
            VERIFICATION,
            "1.2.840.10008.1.3.10",        // media storage directory
            "1.2.840.10008.1.20.1",        // storage commitment
            "1.2.840.10008.5.1.4.1.2.1.1", // patient root find
            "1.2.840.10008.5.1.4.31",      // modality worklist
        ] {
            assert!(!is_storage(uid), "{uid}");
        }
    }

    #[test]
    fn every_transfer_syntax_of_the_standard_is_accepted_but_for_those_that_cannot_be_stored() {
        assert!(accepts_transfer_syntax("1.2.840.10008.1.2.2"), "big endian");
        assert!(accepts_transfer_syntax("1.2.840.10008.1.2.1.99"), "deflated");
        for jpip in ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204"] {
            assert!(!accepts_transfer_syntax(jpip));
        }
    }
}
