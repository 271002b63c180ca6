//! What people ask of the live path, the same from the page and over the bus: checked at the edge, answered once.

use std::time::Duration;

use dicom::patient::Patient;
use tokio::sync::oneshot;

use crate::exam::identity::is_nobody;
use crate::view::{Command, Order, Reply, View};
use crate::worklist::matching;

/// Longer than the live path may take to turn a recording over; then something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was typed is to blame.
    #[error("{0}")]
    Invalid(String),
    /// The live path's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the live path does not answer")]
    Silent,
}

/// What changed, in words, or that it was already so.
///
/// # Errors
/// What the live path refuses; [`Refusal::Silent`] when it is stuck or gone.
pub async fn ask(view: &View, command: impl FnOnce(Reply) -> Command) -> Result<String, Refusal> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        view.commands.send(command(reply)).await.map_err(|_| Refusal::Silent)?;
        answer.await.map_err(|_| Refusal::Silent)
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answered) => answered?.map_err(Refusal::Refused),
        Err(_) => Err(Refusal::Silent),
    }
}

/// The patient without blanks around what was typed.
///
/// # Errors
/// [`Refusal::Invalid`] when results could not carry it (PS3.5 6.2: LO, PN, DA, SH).
pub fn patient(typed: Patient) -> Result<Patient, Refusal> {
    let patient = Patient {
        id: text("patient id", &typed.id, 64)?,
        name: name(&typed.name)?,
        birth_date: text("birth date", &typed.birth_date, 8)?,
        accession_number: text("accession number", &typed.accession_number, 16)?,
    };
    for (what, value) in [("patient id", &patient.id), ("patient name", &patient.name)] {
        if value.is_empty() {
            return Err(Refusal::Invalid(format!("the {what} is missing")));
        }
    }
    if is_nobody(&patient) {
        return Err(Refusal::Invalid("this number is for exams of nobody: which patient is it?".into()));
    }
    let date = &patient.birth_date;
    if !date.is_empty() && (date.len() != 8 || jiff::civil::Date::strptime("%Y%m%d", date).is_err()) {
        return Err(Refusal::Invalid(format!("the birth date {date:?} is no date YYYYMMDD")));
    }
    Ok(patient)
}

/// Who is meant: what was typed, checked against the worklist and completed from it. `chosen` is the accession number of
/// its entry, or empty.
///
/// # Errors
/// As [`patient`], and when the worklist knows the patient, or the order, otherwise.
pub async fn order(view: &View, typed: Patient, chosen: &str) -> Result<Order, Refusal> {
    let mut wanted = Patient {
        id: text("patient id", &typed.id, 64)?,
        name: name(&typed.name)?,
        birth_date: text("birth date", &typed.birth_date, 8)?,
        accession_number: text("accession number", &typed.accession_number, 16)?,
    };
    let chosen = text("accession number", chosen, 16)?;
    if !chosen.is_empty() {
        if !wanted.accession_number.is_empty() && wanted.accession_number != chosen {
            return Err(Refusal::Invalid("two accession numbers are given".into()));
        }
        wanted.accession_number.clone_from(&chosen);
    }
    // With a number and not all of the patient, its entry is meant.
    let whole = !wanted.id.is_empty() && !wanted.name.is_empty();
    let must = !chosen.is_empty() || (!whole && !wanted.accession_number.is_empty());
    if !must {
        wanted = patient(wanted)?;
    }
    let listed = match view.worklist.read().await {
        Ok(listing) => listing.entries,
        Err(reason) if must => return Err(Refusal::Refused(reason)),
        // Whoever is typed need not be listed.
        Err(reason) => {
            tracing::debug!(reason, "an exam without the worklist");
            Vec::new()
        }
    };
    let order = matching::resolve(wanted, must, &listed).map_err(Refusal::Refused)?;
    Ok(Order { patient: patient(order.patient)?, ..order })
}

/// Up to three ways of writing it (PS3.5 6.2.1), 64 characters each.
fn name(typed: &str) -> Result<String, Refusal> {
    for group in typed.splitn(3, '=') {
        text("patient name", group, 64)?;
    }
    text("patient name", typed, 3 * 64 + 2)
}

fn text(what: &str, typed: &str, most: usize) -> Result<String, Refusal> {
    let typed = typed.trim();
    if typed.chars().count() > most {
        return Err(Refusal::Invalid(format!("the {what} has more than {most} characters")));
    }
    if typed.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(Refusal::Invalid(format!("the {what} has a backslash or a control character")));
    }
    Ok(typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::channel;

    fn typed(id: &str, name: &str, birth_date: &str) -> Patient {
        Patient { id: id.into(), name: name.into(), birth_date: birth_date.into(), ..Patient::default() }
    }

    #[test]
    fn a_patient_that_results_could_not_carry_is_refused_with_the_reason() {
        assert_eq!(patient(typed(" P1 ", "DOE^JANE", "")).unwrap(), typed("P1", "DOE^JANE", ""));
        assert!(patient(typed("P1", "DOE^JANE", "19700229")).is_err(), "not a leap year");
        assert!(patient(typed("P1", "DOE^JANE", "20000229")).is_ok());
        for (id, name, date, reason) in [
            ("", "DOE", "", "the patient id is missing"),
            ("P1", "  ", "", "the patient name is missing"),
            ("P\\1", "DOE", "", "the patient id has a backslash or a control character"),
            ("P1", "DOE", "1970", "the birth date \"1970\" is no date YYYYMMDD"),
        ] {
            assert_eq!(patient(typed(id, name, date)), Err(Refusal::Invalid(reason.into())));
        }
        assert!(patient(typed(&"x".repeat(65), "DOE", "")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_path_that_is_stuck_or_gone_is_an_answer() {
        let (mut stage, view) = channel();
        let answering = tokio::spawn(async move {
            let Some(Command::Mark(reply)) = stage.commands.recv().await else { panic!("another command") };
            reply.send(Err("no exam runs".into())).unwrap();
            stage
        });
        assert_eq!(ask(&view, Command::Mark).await, Err(Refusal::Refused("no exam runs".into())));
        let stage = answering.await.unwrap();
        assert_eq!(ask(&view, Command::Mark).await, Err(Refusal::Silent), "nobody answers");
        drop(stage);
        assert_eq!(ask(&view, Command::StopExam).await, Err(Refusal::Silent), "nobody is there");
    }
}
