//! One answer of an archive to a question for studies or series (PS3.4 annex C): who it is about, and which study or series it is.

use dicom_dictionary_std::tags;

use super::collect::Values;
use super::text::{Charset, integer, trimmed};
use crate::header::Header;
use crate::uid::is_uid;

/// The values that are used; empty where the answer has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// STUDY or SERIES; (0008,0052).
    pub level: String,
    /// Modalities in Study (0008,0061).
    pub modalities: Vec<String>,
    /// Patient, study and series, read as those of an instance are, so that both can be compared. A UID that is none is empty.
    pub header: Header,
}

impl Values {
    pub(super) fn into_answer(self) -> Answer {
        let charset = Charset::of(self.bytes(tags::SPECIFIC_CHARACTER_SET));
        let text = |tag| charset.decode_or_guess(self.bytes(tag)).0;
        let uid = |tag| Some(trimmed(self.bytes(tag))).filter(|uid| uid.len() <= 64 && is_uid(uid)).unwrap_or_default();
        let (patient_name, guessed) = charset.decode_or_guess(self.bytes(tags::PATIENT_NAME));
        Answer {
            level: text(tags::QUERY_RETRIEVE_LEVEL),
            modalities: text(tags::MODALITIES_IN_STUDY)
                .split('\\')
                .map(|one| one.trim().to_uppercase())
                .filter(|one| !one.is_empty())
                .collect(),
            header: Header {
                study_instance_uid: uid(tags::STUDY_INSTANCE_UID),
                series_instance_uid: uid(tags::SERIES_INSTANCE_UID),
                modality: text(tags::MODALITY),
                body_part: text(tags::BODY_PART_EXAMINED),
                study_description: text(tags::STUDY_DESCRIPTION),
                series_description: text(tags::SERIES_DESCRIPTION),
                protocol_name: text(tags::PROTOCOL_NAME),
                study_date: text(tags::STUDY_DATE),
                patient_name,
                guessed_character_set: guessed.unwrap_or_default().to_owned(),
                patient_id: text(tags::PATIENT_ID),
                issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
                birth_date: text(tags::PATIENT_BIRTH_DATE),
                sex: text(tags::PATIENT_SEX),
                series_number: integer(self.bytes(tags::SERIES_NUMBER)),
                number_of_series_related_instances: integer(self.bytes(tags::NUMBER_OF_SERIES_RELATED_INSTANCES)),
                ..Header::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::patient::Identity;
    use crate::scan::answer_of_data_set;

    fn element(group: u16, element: u16, vr: &str, value: &[u8]) -> Vec<u8> {
        let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
        bytes.extend(vr.as_bytes());
        let odd = value.len() % 2;
        bytes.extend(u16::try_from(value.len() + odd).unwrap().to_le_bytes());
        bytes.extend(value);
        bytes.extend(vec![b' '; odd]);
        bytes
    }

    /// Promise: the person of an answer is the person of its images, in the character sets of the sites.
    #[test]
    fn the_same_person_in_gb18030_iso_2022_and_utf_8_is_one_person() {
        let gb = [0xd5, 0xc5, b'^', 0xc8, 0xfd];
        let iso_2022 = [b"Zhang^San=".as_slice(), b"\x1b$)A", &gb[..2], b"^\x1b$)A", &gb[3..]].concat();
        let answer = |charset: &[u8], name: &[u8]| {
            let bytes = [
                element(8, 0x05, "CS", charset),
                element(8, 0x52, "CS", b"STUDY"),
                element(8, 0x61, "CS", b"ct\\SR"),
                element(0x10, 0x10, "PN", name),
                element(0x10, 0x20, "LO", b"P1"),
                element(0x10, 0x30, "DA", b"19700101"),
                element(0x20, 0x0d, "UI", b"1.2.3"),
            ];
            answer_of_data_set(&bytes.concat(), "1.2.840.10008.1.2.1").unwrap()
        };
        let utf_8 = answer(b"ISO_IR 192", "Zhang^San=张^三".as_bytes());
        assert_eq!(utf_8.modalities, ["CT", "SR"]);
        assert_eq!((utf_8.level.as_str(), utf_8.header.study_instance_uid.as_str()), ("STUDY", "1.2.3"));
        let others =
            [answer(b"GB18030", &[b"Zhang^San=".as_slice(), &gb].concat()), answer(b"\\ISO 2022 IR 58", &iso_2022)];
        for other in others {
            assert!(Identity::of(&utf_8.header).is_same_person(&Identity::of(&other.header)), "{:?}", other.header);
        }
        let another = answer(b"ISO_IR 192", "Li^San=李^三".as_bytes());
        assert!(!Identity::of(&utf_8.header).is_same_person(&Identity::of(&another.header)));
    }

    #[test]
    fn what_is_no_uid_is_empty_and_cut_bytes_are_an_error_and_never_a_panic() {
        let bytes = [element(0x10, 0x20, "LO", b"P1"), element(0x20, 0x0d, "UI", b"../../etc")].concat();
        let read = answer_of_data_set(&bytes, "1.2.840.10008.1.2.1").unwrap();
        assert_eq!((read.header.patient_id.as_str(), read.header.study_instance_uid.as_str()), ("P1", ""));
        for cut in 1..bytes.len() {
            let _ = answer_of_data_set(&bytes[..cut], "1.2.840.10008.1.2.1");
        }
    }
}
