//! Which earlier study, and which one series of it, is fetched: by what an archive says of them, before any image is here. Pure. The
//! rules of `choose` need the headers of all images; they decide once it is here.

use std::cmp::Reverse;

use dicom::header::Header;
use dicom::patient::Identity;
use dicom::scan::Answer;

/// The answers that are surely of the person of the new study, the newest first; and how many others came under the same ID. `most`:
/// how many are looked at.
pub fn studies(new: &Header, answers: Vec<Answer>, most: usize) -> (Vec<Answer>, usize) {
    let person = Identity::of(new);
    let all = answers.len();
    let mut same: Vec<Answer> =
        answers.into_iter().filter(|answer| person.is_same_person(&Identity::of(&answer.header))).collect();
    let others = all - same.len();
    same.sort_by(|a, b| {
        let key =
            |answer: &Answer| (Reverse(answer.header.study_date.clone()), answer.header.study_instance_uid.clone());
        key(a).cmp(&key(b))
    });
    same.dedup_by(|a, b| a.header.study_instance_uid == b.header.study_instance_uid);
    same.truncate(most);
    (same, others)
}

/// Words in descriptions of series that are no axial slices of a chest as they were acquired. As words: `COR` is not in `CORE`.
const NO_SLICES: [&str; 24] = [
    "LOCALIZER",
    "LOCALISER",
    "SCOUT",
    "TOPO",
    "TOPOGRAM",
    "SURVIEW",
    "SCANOGRAM",
    "PILOT",
    "DOSE",
    "REPORT",
    "MPR",
    "MIP",
    "MINIP",
    "VR",
    "VRT",
    "COR",
    "CORONAL",
    "SAG",
    "SAGITTAL",
    "BOLUS",
    "MONITORING",
    "PREMONITORING",
    "PERFUSION",
    "3D",
];

/// What the lungs are on.
const CHEST: [&str; 8] = ["CHEST", "THORAX", "THORACIC", "LUNG", "LUNGS", "PULMONARY", "TORSO", "CAP"];

/// Other parts of the body, where a body part is said.
const ELSEWHERE: [&str; 16] = [
    "HEAD", "BRAIN", "SKULL", "NECK", "SPINE", "CSPINE", "LSPINE", "PELVIS", "KNEE", "HIP", "ANKLE", "FOOT", "HAND",
    "WRIST", "SHOULDER", "SINUS",
];

/// A volume has no fewer slices.
const FEWEST: i64 = 10;

/// The series that is fetched: thin slices of the chest, whatever else there is. `None`: none can be compared.
pub fn series(answers: &[Answer], most_images: usize) -> Option<&Answer> {
    let fits = |answer: &&Answer| {
        let header = &answer.header;
        let words = words(header);
        let count = header.number_of_series_related_instances;
        let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        // Enhanced CT has one object for all slices, and its archive says so.
        let enough = count.is_none_or(|count| count == 1 || count >= FEWEST);
        let few = count.is_none_or(|count| usize::try_from(count).is_ok_and(|count| count <= most_images));
        enough && few && !is(&NO_SLICES) && (is(&CHEST) || !is(&ELSEWHERE))
    };
    let rank = |answer: &&Answer| {
        let header = &answer.header;
        let is_chest = words(header).iter().any(|word| CHEST.contains(&word.as_str()));
        let count = header.number_of_series_related_instances.unwrap_or(0);
        (is_chest, count, Reverse(header.series_instance_uid.clone()))
    };
    answers.iter().filter(fits).max_by_key(rank)
}

/// Of body part, description and protocol, in capitals.
fn words(header: &Header) -> Vec<String> {
    let all = [&header.body_part, &header.series_description, &header.protocol_name]
        .map(|text| text.to_uppercase())
        .join(" ");
    all.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(name: &str, birth_date: &str, date: &str, uid: &str) -> Answer {
        Answer {
            header: Header {
                patient_id: "P1".into(),
                patient_name: name.into(),
                birth_date: birth_date.into(),
                study_date: date.into(),
                study_instance_uid: uid.into(),
                ..Header::default()
            },
            ..Answer::default()
        }
    }

    /// Promise: another person under the same ID is never fetched.
    #[test]
    fn only_studies_that_are_surely_of_the_person_are_looked_at_the_newest_first() {
        let new = study("Zhang^San", "19700101", "20260101", "1.9").header;
        let answers = vec![
            study("ZHANG^SAN", "19700101", "20240101", "1.1"),
            study("Li^Si", "19700101", "20251001", "1.2"),
            study("Zhang^San", "19900101", "20251002", "1.3"),
            study("Zhang^San", "", "20251003", "1.4"),
            study("Zhang^San", "19700101", "20250101", "1.5"),
            study("Zhang^San", "19700101", "20250101", "1.5"),
        ];
        let (same, others) = studies(&new, answers.clone(), 9);
        let uids: Vec<_> = same.iter().map(|answer| answer.header.study_instance_uid.as_str()).collect();
        assert_eq!((uids, others), (vec!["1.5", "1.1"], 3));
        assert_eq!(studies(&new, answers, 1).0.len(), 1);
    }

    #[test]
    fn of_a_study_the_thin_slices_of_the_chest_are_fetched() {
        let one = |uid: &str, description: &str, part: &str, count: Option<i64>| Answer {
            header: Header {
                series_instance_uid: uid.into(),
                series_description: description.into(),
                body_part: part.into(),
                number_of_series_related_instances: count,
                ..Header::default()
            },
            ..Answer::default()
        };
        let all = vec![
            one("1", "Topogram 0.6 T20f", "CHEST", Some(1)),
            one("2", "Thorax 5.0 B30f", "CHEST", Some(60)),
            one("3", "Thorax 1.0 B70f", "CHEST", Some(300)),
            one("4", "Thorax MPR cor", "CHEST", Some(400)),
            one("5", "Head 0.6", "HEAD", Some(500)),
            one("6", "Lung 0.5 dynamic", "CHEST", Some(9000)),
            one("7", "Abdomen 1.0", "ABDOMEN", Some(350)),
        ];
        let picked = |answers: &[Answer]| series(answers, 2000).map(|one| one.header.series_instance_uid.clone());
        assert_eq!(picked(&all).as_deref(), Some("3"));
        assert_eq!(picked(&all[..1]).as_deref(), None, "a topogram");
        assert_eq!(picked(&all[4..6]).as_deref(), None, "a head, and more images than are fetched");
        assert_eq!(picked(&[one("8", "", "", None)]).as_deref(), Some("8"), "an archive that says nothing");
        assert_eq!(picked(&[one("9", "CORE 1.0", "", Some(100))]).as_deref(), Some("9"));
    }
}
