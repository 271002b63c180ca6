//! Unified Procedure Steps (PS3.4 annex CC, UPS Pull) as SCU: asks a manager for tasks that are scheduled for this box, claims one, tells how far
//! it is, and ends it. Which task is taken, and when it has ended, is decided by whoever calls.

pub mod answer;
pub mod settings;
pub mod task;
pub mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use dicom_dictionary_std::uids;

use self::answer::Fate;
use self::task::Task;
use self::told::{Ended, State};
use crate::association::Timers;
use crate::elements::Syntax;
use crate::message;
use crate::open::{Limit, Proposed};
use crate::send::{Association, Error, Next, Target};

/// Unified Procedure Step - Pull: the class of the presentation context.
pub const PULL: &str = "1.2.840.10008.5.1.4.34.6.3";
/// Unified Procedure Step - Push: the class of which every instance is, whatever the context (PS3.4 section CC.3.1.3).
pub const PUSH: &str = "1.2.840.10008.5.1.4.34.6.1";
/// Change UPS State, an action type.
const CHANGE_STATE: u16 = 1;

/// Tasks of one question that are looked at.
const MOST_TASKS: usize = 200;
/// Bytes of one task: its inputs may name thousands of objects.
const MOST_BYTES: usize = 4 << 20;
/// So long a manager may take for all that is done over one association.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub fate: Fate,
    /// In plain words, for the log and for people; without what the manager has written, which may name patients.
    pub words: String,
}

/// What a manager offers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offered {
    pub tasks: Vec<Task>,
    /// How many answers were left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    count: usize,
}

impl Offered {
    fn take(&mut self, identifier: Option<&[u8]>, syntax: &str) -> Next {
        self.count += 1;
        if self.count > MOST_TASKS {
            *self.left_out.entry("everything after the first 200 tasks").or_default() += 1;
            return Next::Enough;
        }
        let read = identifier.ok_or("tasks larger than 4 MiB").and_then(|bytes| Task::read(bytes, syntax));
        match read {
            Ok(task) => self.tasks.push(task),
            Err(reason) => *self.left_out.entry(reason).or_default() += 1,
        }
        Next::More
    }
}

/// An association with a manager.
#[derive(Debug)]
pub struct Line<'a> {
    association: Association,
    limit: Limit<'a>,
}

impl<'a> Line<'a> {
    /// # Errors
    /// When there is no association on which the manager offers UPS Pull.
    pub async fn open(target: &'a Target) -> Result<Self, Error> {
        let limit = Limit::of(target, PATIENCE);
        let proposed = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
        let proposed = proposed.map(|syntax| Proposed::new(PULL, syntax)).into();
        // The limit is what ends it.
        let timers = Timers { stall: PATIENCE * 2, idle: PATIENCE * 2 };
        let association = Association::on(limit.open(target, proposed, timers).await?);
        if let Some(error) = association.refuses(PULL) {
            association.release().await;
            return Err(error);
        }
        Ok(Self { association, limit })
    }

    /// The tasks that are scheduled for this station, or for any where it is empty.
    ///
    /// # Errors
    /// When not all answers could be had.
    pub async fn scheduled(&mut self, station: &str) -> Result<Offered, Error> {
        let mut offered = Offered::default();
        let take = |bytes: Option<&[u8]>, syntax: &str| offered.take(bytes, syntax);
        self.association.find(PULL, |syntax| task::question(station, syntax), MOST_BYTES, self.limit, take).await?;
        Ok(offered)
    }

    /// The task as it stands at the manager (N-GET). The outer error: the association has failed.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn look(&mut self, sop_uid: &str) -> Result<Result<Task, Outcome>, Error> {
        let command = |id| message::get_attributes_request(id, PUSH, sop_uid, &task::LOOKED_AT);
        let asked = self.association.attributes(PULL, command, MOST_BYTES);
        let (answer, bytes, syntax) = self.limit.hold("tell how the task stands", asked).await?;
        if answer::fate(answer.status) != Fate::Taken {
            return Ok(Err(outcome(answer.status)));
        }
        let read = bytes.ok_or("it is larger than 4 MiB").and_then(|bytes| Task::read_part(&bytes, &syntax, sop_uid));
        Ok(read.map_err(|reason| Outcome { fate: Fate::Again, words: format!("the task cannot be read: {reason}") }))
    }

    /// Change UPS State (N-ACTION).
    pub async fn change(&mut self, sop_uid: &str, transaction_uid: &str, state: State) -> Outcome {
        let command = |id| message::action_request(id, PUSH, sop_uid, CHANGE_STATE);
        self.tell(command, |syntax| told::state(transaction_uid, state, syntax)).await
    }

    /// Says how far it is (N-SET), per cent.
    pub async fn progress(&mut self, sop_uid: &str, transaction_uid: &str, percent: u8, words: &str) -> Outcome {
        let command = |id| message::set_request(id, PUSH, sop_uid);
        self.tell(command, |syntax| told::progress(transaction_uid, percent, words, syntax)).await
    }

    /// Says what came of it (N-SET): what must be there before the final state (PS3.4 table CC.2.5-3).
    pub async fn result(&mut self, sop_uid: &str, transaction_uid: &str, ended: &Ended) -> Outcome {
        let command = |id| message::set_request(id, PUSH, sop_uid);
        self.tell(command, |syntax| ended.data_set(transaction_uid, syntax)).await
    }

    async fn tell(
        &mut self,
        command: impl FnOnce(u16) -> Vec<u8>,
        data_set: impl FnOnce(Syntax) -> Vec<u8>,
    ) -> Outcome {
        let asked = self.association.request_in_full(PULL, command, data_set);
        match self.limit.hold("answer", asked).await {
            Ok(answer) => outcome(answer.status),
            Err(error) => Outcome { fate: Fate::Again, words: error.to_string() },
        }
    }

    /// Whether the association has ended.
    pub fn is_over(&self) -> bool {
        self.association.is_over()
    }

    pub async fn release(self) {
        if !self.association.is_over() {
            self.association.release().await;
        }
    }
}

fn outcome(status: u16) -> Outcome {
    Outcome { fate: answer::fate(status), words: answer::words(status) }
}
