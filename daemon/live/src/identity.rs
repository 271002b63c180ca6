//! What results can carry of a patient, and the stand-in for a patient who is not known yet. Whether two entries name the
//! same patient is judged by `dicom::patient`. Pure.

use dicom::patient::Patient;
pub use dicom::patient::same_name;

/// Why an exam cannot be of this patient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatientError {
    #[error("the {0} is missing")]
    Missing(&'static str),
    #[error("the {what} has more than {most} characters")]
    TooLong { what: &'static str, most: usize },
    #[error("the {0} has a backslash or a control character")]
    Characters(&'static str),
    #[error("the birth date {0:?} is not a date as YYYYMMDD")]
    BirthDate(String),
    #[error("this patient ID is reserved for unidentified exams; enter the patient's ID")]
    Reserved,
}

/// The patient without blanks around what was typed; anything may be missing.
///
/// # Errors
/// When DICOM could not carry it, PS3.5 6.2: LO and each group of a PN have at most 64 characters, DA 8, SH 16.
pub fn trimmed(typed: &Patient) -> Result<Patient, PatientError> {
    Ok(Patient {
        id: text("patient ID", &typed.id, 64)?,
        name: name(&typed.name)?,
        birth_date: text("birth date", &typed.birth_date, 8)?,
        accession_number: text("accession number", &typed.accession_number, 16)?,
    })
}

/// As [`trimmed`], of a patient who is identified: ID and name are there, and the birth date, if there is one, is a
/// date.
///
/// # Errors
/// What is missing or cannot be used.
pub fn checked(typed: &Patient) -> Result<Patient, PatientError> {
    let patient = trimmed(typed)?;
    for (what, value) in [("patient ID", &patient.id), ("patient name", &patient.name)] {
        if value.is_empty() {
            return Err(PatientError::Missing(what));
        }
    }
    let date = &patient.birth_date;
    if !date.is_empty() && (date.len() != 8 || jiff::civil::Date::strptime("%Y%m%d", date).is_err()) {
        return Err(PatientError::BirthDate(date.clone()));
    }
    Ok(patient)
}

/// Up to three ways of writing it (PS3.5 6.2.1), 64 characters each.
fn name(typed: &str) -> Result<String, PatientError> {
    for group in typed.splitn(3, '=') {
        text("patient name", group, 64)?;
    }
    text("patient name", typed, 3 * 64 + 2)
}

/// Without blanks at its ends; at most `most` characters.
pub fn text(what: &'static str, typed: &str, most: usize) -> Result<String, PatientError> {
    let typed = typed.trim();
    if typed.chars().count() > most {
        return Err(PatientError::TooLong { what, most });
    }
    if typed.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PatientError::Characters(what));
    }
    Ok(typed.to_owned())
}

/// The patient ID of an exam without a patient begins with this; no patient may have such an ID.
const NOBODY: &str = "UNIDENTIFIED-";

/// Stands in for the patient of an exam that begins before the patient is known. `utc`: when the exam begins, RFC 3339.
pub fn nobody(utc: &str) -> Patient {
    let seconds = utc.split('.').next().unwrap_or_default();
    let stamp: String = seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    Patient { id: format!("{NOBODY}{stamp}Z"), name: "UNIDENTIFIED^EXAM".into(), ..Patient::default() }
}

/// Whether `patient` is such a stand-in.
pub fn is_nobody(patient: &Patient) -> bool {
    patient.id.trim().get(..NOBODY.len()).is_some_and(|start| start.eq_ignore_ascii_case(NOBODY))
}

/// The patient without blanks around what was typed.
///
/// # Errors
/// When results could not carry it, or the patient ID is one of those that stand for nobody.
pub fn identified(typed: &Patient) -> Result<Patient, PatientError> {
    let patient = checked(typed)?;
    if is_nobody(&patient) { Err(PatientError::Reserved) } else { Ok(patient) }
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

    fn typed(id: &str, name: &str, birth_date: &str) -> Patient {
        Patient { id: id.into(), name: name.into(), birth_date: birth_date.into(), ..Patient::default() }
    }

    #[test]
    fn a_patient_that_results_could_not_carry_is_refused_with_the_reason() {
        assert_eq!(identified(&typed(" P1 ", "DOE^JANE", "")).unwrap(), typed("P1", "DOE^JANE", ""));
        assert!(identified(&typed("P1", "DOE^JANE", "19700229")).is_err(), "not a leap year");
        assert!(identified(&typed("P1", "DOE^JANE", "20000229")).is_ok());
        for (id, name, date, reason) in [
            ("", "DOE", "", "the patient ID is missing"),
            ("P1", "  ", "", "the patient name is missing"),
            ("P\\1", "DOE", "", "the patient ID has a backslash or a control character"),
            ("P1", "DOE", "1970", "the birth date \"1970\" is not a date as YYYYMMDD"),
        ] {
            assert_eq!(identified(&typed(id, name, date)).unwrap_err().to_string(), reason);
        }
        assert!(identified(&typed(&"x".repeat(65), "DOE", "")).is_err());
        assert_eq!(identified(&typed("unidentified-7", "DOE", "")), Err(PatientError::Reserved));
    }
}
