//! Whether two say the same patient, and the patient that nobody is. Pure.

use dicom::patient::Patient;

/// What the number of an exam that belongs to nobody begins with; no patient may have it.
const NOBODY: &str = "UNIDENTIFIED-";

/// For an exam that begins before anyone says whose it is: plainly no patient. `utc`: RFC 3339, when it begins.
pub fn nobody(utc: &str) -> Patient {
    let seconds = utc.split('.').next().unwrap_or_default();
    let stamp: String = seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    Patient { id: format!("{NOBODY}{stamp}Z"), name: "UNIDENTIFIED^EXAM".into(), ..Patient::default() }
}

pub fn is_nobody(patient: &Patient) -> bool {
    patient.id.trim().get(..NOBODY.len()).is_some_and(|start| start.eq_ignore_ascii_case(NOBODY))
}

/// Names are the same when one way of writing them is (PS3.5 6.2.1: alphabetic, ideographic, phonetic, parted by `=`),
/// whatever the case, and whether components that are empty at the end are written out.
pub fn same_name(a: &str, b: &str) -> bool {
    let groups = |name: &str| name.split('=').map(plain).filter(|group| !group.is_empty()).collect::<Vec<_>>();
    let (a, b) = (groups(a), groups(b));
    a == b || a.iter().any(|group| b.contains(group))
}

fn plain(group: &str) -> String {
    let components = group.split('^').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let joined = components.collect::<Vec<_>>().join("^");
    joined.trim_end_matches('^').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_plainly_nobody_and_fits_into_dicom() {
        let patient = nobody("2026-01-31T09:30:05.123Z");
        assert_eq!(
            (patient.id.as_str(), patient.name.as_str()),
            ("UNIDENTIFIED-20260131T093005Z", "UNIDENTIFIED^EXAM")
        );
        assert!(is_nobody(&patient));
        for (id, is) in
            [("unidentified-1", true), (" UNIDENTIFIED-", true), ("P1", false), ("", false), ("未知", false)]
        {
            assert_eq!(is_nobody(&Patient { id: id.into(), ..Patient::default() }), is, "{id}");
        }
    }

    #[test]
    fn a_name_is_the_same_in_any_way_of_writing() {
        for (a, b) in [
            ("DOE^JANE", "Doe^Jane"),
            ("DOE^JANE^^", "DOE^JANE"),
            ("Wang^XiaoDong=王^小东", "wang^xiaodong"),
            ("=王^小东", "Wang^XiaoDong=王^小东"),
            ("DOE ^ JANE  ANN", "Doe^Jane Ann"),
            ("MÜLLER^EVA", "Müller^Eva"),
        ] {
            assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
        }
        for (a, b) in [("DOE^JANE", "DOE^JOHN"), ("DOE^JANE", "DOE JANE"), ("", "DOE"), ("=", "DOE"), ("A=B", "C=D")] {
            assert!(!same_name(a, b), "{a} {b}");
        }
    }
}
