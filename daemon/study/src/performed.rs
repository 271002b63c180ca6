//! What a scanner says of a series (MPPS) and what it means for it. Pure.

use custody::store::steps::Performed;
use models::remark::Remark;

/// Whether the scanner has ended and everything that it declared is here: then nothing more comes.
pub fn is_whole(performed: &Performed) -> bool {
    performed.ended && performed.declared > 0 && performed.missing.is_empty()
}

/// Whether something that the scanner declared is still to come: then a released association says nothing.
pub fn is_awaited(performed: &Performed) -> bool {
    !performed.missing.is_empty()
}

/// What a reader should know.
pub fn remarks(performed: &Performed) -> Vec<Remark> {
    let missing = performed.missing.len();
    let lacks = (performed.ended && missing > 0)
        .then(|| Remark::NotReceived { missing, declared: usize::try_from(performed.declared).unwrap_or(missing) });
    let stopped = performed.discontinued.then_some(Remark::Discontinued);
    stopped.into_iter().chain(lacks).collect()
}

/// A verdict with what it does not say yet of this.
pub fn verdict(verdict: &str, performed: Option<&Performed>) -> String {
    let mut all = verdict.to_owned();
    for remark in performed.map(remarks).unwrap_or_default() {
        let said = remark.to_string();
        if !all.contains(&said) {
            all.push_str("; ");
            all.push_str(&said);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn performed(ended: bool, declared: u32, missing: &[&str]) -> Performed {
        let missing = missing.iter().map(|uid| (*uid).to_owned()).collect();
        Performed { ended, discontinued: false, declared, missing }
    }

    #[test]
    fn a_series_is_whole_when_its_step_has_ended_and_all_that_it_declares_is_here() {
        assert!(is_whole(&performed(true, 2, &[])));
        assert!(!is_whole(&performed(false, 2, &[])), "more may be declared");
        assert!(!is_whole(&performed(true, 2, &["1.1"])));
        assert!(!is_whole(&performed(true, 0, &[])), "many scanners declare no image");
    }

    #[test]
    fn the_verdict_says_once_how_many_are_missing_and_that_the_exam_was_discontinued() {
        let lacks = performed(true, 30, &["1.1", "1.2"]);
        let said = verdict("nothing found", Some(&lacks));
        assert_eq!(
            said,
            "nothing found; the scanner says that it made 30 images of this series, 2 of them did not arrive"
        );
        assert_eq!(verdict(&said, Some(&lacks)), said);
        let stopped = Performed { discontinued: true, ..performed(true, 0, &[]) };
        assert_eq!(verdict("x", Some(&stopped)), "x; the scanner says that the exam was discontinued");
        assert_eq!(verdict("x", Some(&performed(false, 30, &["1.1"]))), "x", "they may still come");
        assert_eq!(verdict("x", None), "x");
    }
}
