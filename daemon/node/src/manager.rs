//! Tells a manager (RIS) of the box's own exams: Modality Performed Procedure Step as SCU (PS3.4 annex F), N-CREATE when an exam
//! begins and N-SET when it has ended. What is to be told, and when, is decided by whoever calls.

pub mod answer;
pub mod settings;
pub mod step;

use dicom_dictionary_std::uids;

use self::answer::{Fate, Heard, Operation};
use self::step::{Begun, Ended};
use crate::association::Timers;
use crate::elements::Syntax;
use crate::open::{self, Proposed};
use crate::send::{Association, Error, Target};
use crate::{MPPS, message};

/// Idle: how long a manager may take to answer a message.
const TIMERS: Timers = Timers { stall: std::time::Duration::from_secs(30), idle: std::time::Duration::from_secs(60) };

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub fate: Fate,
    /// In plain words, for the log and for people; without what the manager has written, which may name patients.
    pub words: String,
}

/// An association with a manager.
#[derive(Debug)]
pub struct Line(Association);

impl Line {
    /// # Errors
    /// When there is no association on which the manager takes performed procedure steps.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let proposed = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
        let proposed = proposed.map(|syntax| Proposed::new(MPPS, syntax)).into();
        let association = Association::on(open::open(target, proposed, TIMERS).await?);
        if let Some(error) = association.refuses(MPPS) {
            association.release().await;
            return Err(error);
        }
        Ok(Self(association))
    }

    /// N-CREATE.
    pub async fn begin(&mut self, sop_uid: &str, begun: &Begun) -> Outcome {
        let command = |id| message::create_request(id, MPPS, sop_uid);
        self.tell(Operation::Create, command, |syntax| begun.data_set(syntax)).await
    }

    /// N-SET.
    pub async fn end(&mut self, sop_uid: &str, ended: &Ended) -> Outcome {
        let command = |id| message::set_request(id, MPPS, sop_uid);
        self.tell(Operation::Set, command, |syntax| ended.data_set(syntax)).await
    }

    async fn tell(
        &mut self,
        operation: Operation,
        command: impl FnOnce(u16) -> Vec<u8>,
        data_set: impl FnOnce(Syntax) -> Vec<u8>,
    ) -> Outcome {
        let answered = self.0.request_in_full(MPPS, command, data_set).await;
        let heard = match &answered {
            Ok(answer) => Heard::Answer { status: answer.status, error_id: answer.error_id, comment: &answer.comment },
            Err(error) => Heard::Broken { reason: error.to_string() },
        };
        Outcome { fate: answer::fate(operation, &heard), words: answer::words(operation, &heard) }
    }

    /// Whether the association has ended.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    pub async fn release(self) {
        if !self.0.is_over() {
            self.0.release().await;
        }
    }
}
