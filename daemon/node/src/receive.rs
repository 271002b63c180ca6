//! Answers C-STORE requests: streams the data set to the spool and answers success only once it is durable there.

use std::sync::Arc;

use custody::instance::{Instance, Origin};
use custody::level::Level;
use custody::spool::{self, Incoming, Outcome};
use dicom::header::Header;

use crate::message::Command;
use crate::negotiate::Context;
use crate::status::{self, Answer, Refusal};
use crate::wanted::Wanted;
use crate::{Intake, accepts_transfer_syntax, is_storage};

/// A request whose data set is being received.
#[derive(Debug)]
pub(super) struct Reception {
    request: Command,
    context: Context,
    state: Progress,
    /// What was asked for, of an object that comes, or may come, because of that.
    wanted: Option<For>,
    /// Of its data set, so far.
    bytes: u64,
}

#[derive(Debug)]
struct For {
    wanted: Arc<Wanted>,
    /// Another one is not kept.
    only: bool,
}

#[derive(Debug)]
enum Progress {
    Keeping(Box<Incoming>),
    /// The answer is known already. The rest of the data set is read and discarded, because the answer may be sent only
    /// after it.
    Answered(Answer),
}

/// The result of a request.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) request: Command,
    pub(super) context: Context,
    pub(super) answer: Answer,
    /// The instance to report to the engine; `None` after a refusal, a repetition or a conflict.
    pub(super) kept: Option<Arc<Instance>>,
}

impl Reception {
    pub(super) fn begin(intake: &Intake, origin: &Origin, request: Command, context: Context) -> Self {
        let state = match admit(intake, origin, &request, &context) {
            Ok(incoming) => Progress::Keeping(Box::new(incoming)),
            Err(answer) => Progress::Answered(answer),
        };
        Self { request, context, state, wanted: None, bytes: 0 }
    }

    /// From a peer that may send anything, and of which something was asked for.
    pub(super) fn perhaps_wanted(self, wanted: Arc<Wanted>) -> Self {
        Self { wanted: Some(For { wanted, only: false }), ..self }
    }

    /// As [`Reception::begin`], of an object that is to be what was asked for.
    pub(super) fn begin_wanted(
        intake: &Intake,
        origin: &Origin,
        request: Command,
        context: Context,
        wanted: Arc<Wanted>,
    ) -> Self {
        match wanted.has_room() {
            Ok(()) => {
                Self { wanted: Some(For { wanted, only: true }), ..Self::begin(intake, origin, request, context) }
            }
            Err(reason) => Self::answered(say(Refusal::NotAuthorised, &reason), request, context),
        }
    }

    /// A request whose answer does not depend on its data set.
    pub(super) fn answered(answer: Answer, request: Command, context: Context) -> Self {
        Self { request, context, state: Progress::Answered(answer), wanted: None, bytes: 0 }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        let Progress::Keeping(incoming) = &mut self.state else { return };
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let only = self.wanted.as_ref().filter(|asked| asked.only);
        let has_room = only.map_or(Ok(()), |asked| asked.wanted.has_room_for(self.bytes));
        let answer = match has_room {
            Err(reason) => say(Refusal::NotAuthorised, &reason),
            Ok(()) => match incoming.write(bytes).await {
                Ok(()) => return,
                Err(error) => refused(&error),
            },
        };
        self.state = Progress::Answered(answer);
    }

    pub(super) async fn finish(self) -> Received {
        let Self { request, context, state, wanted, bytes } = self;
        let (answer, kept) = match state {
            Progress::Answered(answer) => (answer, None),
            Progress::Keeping(incoming) => match commit(*incoming, wanted, bytes).await {
                Ok(Outcome::New(instance)) => (Answer::success(), Some(instance)),
                Ok(Outcome::AlreadySo(_) | Outcome::Conflict(_)) => (Answer::success(), None),
                Ok(Outcome::Quarantined { reason }) => (say(Refusal::Quarantined, &reason), None),
                Err(error) => (refused(&error), None),
            },
        };
        Received { request, context, answer, kept }
    }
}

/// What was asked for counts once it is durable.
async fn commit(incoming: Incoming, asked: Option<For>, bytes: u64) -> spool::Result<Outcome> {
    let Some(For { wanted, only }) = asked else { return incoming.commit().await };
    let judge = wanted.clone();
    let judge = move |header: Result<&Header, &str>| match header {
        Ok(header) if only => judge.judge(header).map(|()| !judge.is_ordered()),
        Ok(header) => judge.may_be(header).map(|is| is && !judge.is_ordered()),
        Err(reason) if only => Err(reason.to_owned()),
        Err(_) => Ok(false),
    };
    let outcome = incoming.commit_if(Box::new(judge)).await;
    if let Ok(Outcome::New(instance) | Outcome::AlreadySo(instance)) = &outcome
        && wanted.is_of(&instance.header)
    {
        wanted.has_come(&instance.header.sop_instance_uid, bytes);
    }
    outcome
}

/// Refuses what can be refused before any byte is written.
fn admit(intake: &Intake, origin: &Origin, request: &Command, context: &Context) -> Result<Incoming, Answer> {
    let class = &request.sop_class_uid;
    if !is_storage(class) || !accepts_transfer_syntax(&context.transfer_syntax) {
        return Err(say(Refusal::NotStorage, "this SOP class is not a storage SOP class"));
    }
    // Many send one storage class in the context of another. A peer to which no storage class was offered must not send at all.
    if !is_storage(&context.abstract_syntax) {
        return Err(say(Refusal::NotStorage, "this presentation context is not one for storage"));
    }
    let instance = &request.sop_instance_uid;
    if instance.is_empty() || instance.len() > 64 {
        return Err(say(Refusal::NoInstanceUid, "the command has no valid SOP Instance UID"));
    }
    if !request.has_data_set {
        return Err(say(Refusal::NoDataSet, "the command came without a data set"));
    }
    let (level, reason) = intake.gate.get();
    if level >= Level::NoNewStudies {
        return Err(say(Refusal::Restricted, &reason));
    }
    intake.spool.begin(origin.clone(), class, instance, &context.transfer_syntax).map_err(|error| refused(&error))
}

fn say(refusal: Refusal, reason: &str) -> Answer {
    Answer::new(status::of(refusal), reason)
}

fn refused(error: &spool::Error) -> Answer {
    say(Refusal::Spool(error.kind()), &error.to_string())
}
