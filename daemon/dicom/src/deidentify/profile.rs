//! What becomes of each attribute: the table of the standard's basic profile as data, and what is done with attributes that it does
//! not name. Those stay only when their form cannot hold a name (numbers, codes) or when they are listed here.

use std::collections::HashMap;
use std::sync::LazyLock;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// PS3.15 table E.1-1.
const TABLE: &str = include_str!("basic_profile.tsv");

/// Texts that are not in the table and stay: codes, what the scanner is, how the picture was made, what segments are called.
pub(super) const KEPT: [Tag; 24] = [
    tags::CODE_VALUE,
    tags::CODING_SCHEME_DESIGNATOR,
    tags::CODING_SCHEME_VERSION,
    tags::CODE_MEANING,
    tags::LONG_CODE_VALUE,
    tags::URN_CODE_VALUE,
    tags::MANUFACTURER,
    tags::MANUFACTURER_MODEL_NAME,
    tags::SOFTWARE_VERSIONS,
    tags::CONVOLUTION_KERNEL,
    tags::FILTER_TYPE,
    tags::SEQUENCE_NAME,
    tags::PULSE_SEQUENCE_NAME,
    tags::RECEIVE_COIL_NAME,
    tags::TRANSMIT_COIL_NAME,
    tags::IMAGED_NUCLEUS,
    tags::RESCALE_TYPE,
    tags::MODALITY_LUT_TYPE,
    tags::DIMENSION_DESCRIPTION_LABEL,
    tags::SEGMENT_LABEL,
    tags::SEGMENT_ALGORITHM_NAME,
    tags::ALGORITHM_NAME,
    tags::ALGORITHM_VERSION,
    tags::RADIOPHARMACEUTICAL,
];

/// A text that is not in the table, must have a value, and may be any.
const NEEDED: [Tag; 1] = [tags::TRACKING_ID];

/// Bytes that are not in the table and stay: palettes and tables of grey levels. Pixels are put in anew.
const KEPT_BYTES: [Tag; 7] = [
    tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags::LUT_DATA,
];

/// What is done with one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Remove,
    /// Kept without a value, since the kind of object may need it.
    Empty,
    Dummy,
    /// Another UID, the same for the same; those of the standard stay.
    Uid,
    /// The items are cleaned in turn.
    Walk,
    /// Kept if it is a code or a number, as its VR says; else emptied.
    IfPlain,
    Keep,
}

struct Row {
    action: &'static str,
    identifies: bool,
}

static ROWS: LazyLock<HashMap<Tag, Row>> = LazyLock::new(|| TABLE.lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<(Tag, Row)> {
    let mut parts = line.split('\t');
    let (group, element) = parts.next()?.split_once(',')?;
    let hex = |text| u16::from_str_radix(text, 16).ok();
    let (action, who) = (parts.next()?, parts.next()?);
    Some((Tag(hex(group)?, hex(element)?), Row { action, identifies: who == "id" }))
}

/// Whether the value of an attribute may tell who, where or which order it is: then it is searched for in what was written.
pub(super) fn identifies(tag: Tag) -> bool {
    ROWS.get(&tag).is_some_and(|row| row.identifies)
}

pub(super) fn fate(tag: Tag, vr: VR) -> Fate {
    // Private attributes, lengths of groups, curves and overlays: rows of the table without a tag of their own.
    let (private, overlay) = (tag.group() % 2 == 1, matches!(tag.group() >> 8, 0x50 | 0x60));
    if private || overlay || tag.element() == 0 || tag.group() < 0x0008 || tag == tags::PIXEL_DATA {
        return Fate::Remove;
    }
    // One character set for the whole copy.
    if tag == tags::SPECIFIC_CHARACTER_SET {
        return Fate::Remove;
    }
    match ROWS.get(&tag) {
        // X-ray images must have it (type 2).
        Some(_) if tag == tags::ACQUISITION_CONTEXT_SEQUENCE => Fate::Empty,
        Some(row) => by_action(row.action, vr),
        None => by_form(tag, vr),
    }
}

/// Where the standard leaves a choice by the attribute's type, that which suits every type.
fn by_action(action: &str, vr: VR) -> Fate {
    match (action, vr) {
        ("U", _) => Fate::Uid,
        ("X/Z/U*", _) | ("D" | "Z/D", VR::SQ) => Fate::Walk,
        // A sequence that may be absent may mostly not be empty.
        ("X/Z", VR::SQ) => Fate::Remove,
        ("Z" | "X/Z", _) => Fate::Empty,
        ("D" | "X/D" | "Z/D" | "X/Z/D", vr) if vr != VR::SQ => Fate::Dummy,
        _ => Fate::Remove,
    }
}

fn by_form(tag: Tag, vr: VR) -> Fate {
    // What the dictionary does not know, or what is not in the table and yet about the patient.
    if StandardDataDictionary.by_tag(tag).is_none_or(|entry| entry.tag() != tag) || tag.group() == 0x0010 {
        return Fate::Remove;
    }
    match vr {
        VR::SQ => Fate::Walk,
        VR::UI => Fate::Uid,
        VR::CS | VR::IS | VR::DS => Fate::IfPlain,
        VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD | VR::AT => Fate::Keep,
        VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV if KEPT_BYTES.contains(&tag) => Fate::Keep,
        VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN => Fate::Remove,
        _ if KEPT.contains(&tag) => Fate::Keep,
        _ if NEEDED.contains(&tag) => Fate::Dummy,
        _ => Fate::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_has_only_actions_that_are_understood() {
        assert_eq!(ROWS.len(), 617);
        let known = ["X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"];
        assert!(ROWS.values().all(|row| known.contains(&row.action)));
        assert!(
            [
                tags::PATIENT_NAME,
                tags::PATIENT_ID,
                tags::ACCESSION_NUMBER,
                tags::INSTITUTION_NAME,
                tags::OPERATORS_NAME
            ]
            .into_iter()
            .all(identifies)
        );
    }

    #[test]
    fn what_nobody_has_listed_does_not_stay() {
        for (tag, vr, fate_of_it) in [
            (Tag(0x0009, 0x1001), VR::LO, Fate::Remove),
            (Tag(0x6000, 0x3000), VR::OW, Fate::Remove),
            (Tag(0x0008, 0x0000), VR::UL, Fate::Remove),
            (Tag(0x0010, 0x9999), VR::LO, Fate::Remove),
            (Tag(0x0018, 0xfff1), VR::LO, Fate::Remove),
            (tags::TRANSDUCER_DATA, VR::LO, Fate::Empty),
            (tags::TRACKING_ID, VR::UT, Fate::Dummy),
            (tags::PATIENT_NAME, VR::PN, Fate::Empty),
            (tags::STUDY_INSTANCE_UID, VR::UI, Fate::Uid),
            (tags::SERIES_DESCRIPTION, VR::LO, Fate::Remove),
            (tags::CONTENT_DATE, VR::DA, Fate::Dummy),
            (tags::SOURCE_IMAGE_SEQUENCE, VR::SQ, Fate::Walk),
            (tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, Fate::Remove),
            (tags::REFERENCED_STUDY_SEQUENCE, VR::SQ, Fate::Remove),
            (tags::ACQUISITION_CONTEXT_SEQUENCE, VR::SQ, Fate::Empty),
            (tags::KVP, VR::DS, Fate::IfPlain),
            (tags::ICC_PROFILE, VR::OB, Fate::Remove),
            (tags::PIXEL_SPACING, VR::UN, Fate::Remove),
        ] {
            assert_eq!(fate(tag, vr), fate_of_it, "{tag}");
        }
    }
}
