//! Commands to the live path (start and stop an exam, freeze, mark), shared by the web page and D-Bus. Checks the
//! input, forwards it and waits for the answer.

use std::time::Duration;

use dicom::patient::Patient;
use hal::clock::Wall;
use tokio::sync::oneshot;

use crate::identity::{self, PatientError};
use crate::view::{Command, CommandError, Reply, View};
use crate::worklist::matching::{self, Mismatch, Wanted};
use crate::worklist::{Order, WorklistError};

/// Longer than the live path may take to hand a recording over; then something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Patient(#[from] PatientError),
    #[error("two accession numbers are given")]
    TwoAccessionNumbers,
    #[error(transparent)]
    Worklist(#[from] WorklistError),
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The live path says no.
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("the live path does not answer")]
    Silent,
}

/// What the page and the bus answer with: each has a status code and an error name for these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What was typed cannot be used.
    Invalid,
    /// It is not possible now, or not for this patient.
    NotPossible,
    /// The live path is stuck or gone.
    Silent,
}

impl Refusal {
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::Patient(_) | Self::TwoAccessionNumbers => RefusalKind::Invalid,
            Self::Worklist(_) | Self::Mismatch(_) | Self::Command(_) => RefusalKind::NotPossible,
            Self::Silent => RefusalKind::Silent,
        }
    }
}

/// Sends a command; returns what changed, in words, or that it was already so.
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
        Ok(answered) => Ok(answered??),
        Err(_) => Err(Refusal::Silent),
    }
}

/// The entry of the worklist that was chosen; empty where none was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    pub accession_number: String,
    /// The one that is told apart from all others.
    pub study_uid: String,
}

/// The order that is meant: what was typed, checked against the worklist and completed from it.
///
/// # Errors
/// As [`identity::identified`], and when the worklist has another patient for this patient ID or accession number.
pub async fn order(view: &View, typed: Patient, chosen: &Chosen) -> Result<Order, Refusal> {
    let mut wanted = identity::trimmed(&typed)?;
    let study_uid = identity::text("study UID", &chosen.study_uid, 64)?;
    let chosen = identity::text("accession number", &chosen.accession_number, 16)?;
    if !chosen.is_empty() {
        if !wanted.accession_number.is_empty() && wanted.accession_number != chosen {
            return Err(Refusal::TwoAccessionNumbers);
        }
        wanted.accession_number.clone_from(&chosen);
    }
    // An accession number without patient ID or name stands for its worklist entry.
    let whole = !wanted.id.is_empty() && !wanted.name.is_empty();
    let must_be_listed = !study_uid.is_empty() || !chosen.is_empty() || (!whole && !wanted.accession_number.is_empty());
    if !must_be_listed {
        wanted = identity::identified(&wanted)?;
    }
    let listed = match view.worklist.read().await {
        Ok(listing) => listing.entries,
        Err(error) if must_be_listed => return Err(error.into()),
        // A patient who was typed need not be listed.
        Err(reason) => {
            tracing::debug!(%reason, "the worklist cannot be read; the exam begins without it");
            Vec::new()
        }
    };
    let wanted = Wanted { patient: wanted, listed: must_be_listed, study_uid };
    let order = matching::resolve(wanted, &Wall::default().local_date(0), &listed)?;
    Ok(Order { patient: identity::identified(&order.patient)?, ..order })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{ExamError, channel};

    #[tokio::test(start_paused = true)]
    async fn a_live_path_that_is_stuck_or_gone_is_an_answer() {
        let (mut stage, view) = channel();
        let answering = tokio::spawn(async move {
            let Some(Command::Mark(reply)) = stage.commands.recv().await else { panic!("another command") };
            reply.send(Err(ExamError::NoExam.into())).unwrap();
            stage
        });
        let refused = ask(&view, Command::Mark).await.unwrap_err();
        assert!(matches!(refused, Refusal::Command(CommandError::Exam(ExamError::NoExam))), "{refused:?}");
        assert_eq!(refused.kind(), RefusalKind::NotPossible);
        let stage = answering.await.unwrap();
        let silent = ask(&view, Command::Mark).await.unwrap_err();
        assert_eq!(silent.kind(), RefusalKind::Silent, "nobody answers");
        drop(stage);
        let silent = ask(&view, Command::StopExam).await.unwrap_err();
        assert_eq!(silent.kind(), RefusalKind::Silent, "nobody is there");
    }
}
