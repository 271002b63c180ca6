//! Who is no patient: the objects of this box's own acceptance test. Their Patient ID says so on every object that is made of
//! them, because patient data are copied to results byte by byte.

/// Patient's Name of a test object (PS3.3 section C.7.1.1).
pub const NAME: &str = "TEST^ACCEPTANCE^NOT A PATIENT";
/// Patient ID of a test object whose results go where results go.
pub const SENT: &str = "TEST-ACCEPTANCE";
/// Patient ID of a test object whose results stay on the box.
pub const STAYS: &str = "TEST-ACCEPTANCE-NOT-SENT";

/// The Patient ID of a test object.
pub fn patient_id(sent: bool) -> &'static str {
    if sent { SENT } else { STAYS }
}

/// Whether results of this Patient ID stay on the box, whatever its destinations are. It is in the objects, so that it counts after
/// a restart and when the study is analysed again.
pub fn stays(patient_id: &str) -> bool {
    patient_id.trim() == STAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_test_object_that_says_so_stays_and_both_say_that_they_are_a_test() {
        assert!(stays(patient_id(false)) && stays(&format!("{STAYS} ")));
        for other in [patient_id(true), "", "test-acceptance-not-sent", "TEST-ACCEPTANCE-NOT-SENT-1", "P1"] {
            assert!(!stays(other), "{other:?}");
        }
        assert!([NAME, SENT, STAYS].iter().all(|text| text.starts_with("TEST")));
    }
}
