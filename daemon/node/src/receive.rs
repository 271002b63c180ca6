//! C-STORE in: the data set streams to the spool, and success is answered only when it is durable there.

use std::sync::Arc;

use custody::instance::{Instance, Origin};
use custody::level::Level;
use custody::spool::{self, Incoming, Outcome};

use crate::message::Command;
use crate::negotiate::Context;
use crate::status::{self, Answer, Refusal};
use crate::{Intake, accepts_transfer_syntax, is_storage};

/// One request whose data set is arriving.
#[derive(Debug)]
pub(super) struct Reception {
    request: Command,
    context: Context,
    state: InstanceState,
}

#[derive(Debug)]
enum InstanceState {
    Keeping(Box<Incoming>),
    /// The answer is known; what still comes is read and dropped, because only then may we give it.
    Answered(Answer),
}

/// How a request ended.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) request: Command,
    pub(super) context: Context,
    pub(super) answer: Answer,
    /// What the engine has to hear of: nothing, when it was refused, a resend or a conflict.
    pub(super) kept: Option<Arc<Instance>>,
}

impl Reception {
    pub(super) fn begin(intake: &Intake, origin: &Origin, request: Command, context: Context) -> Self {
        let state = match admit(intake, origin, &request, &context) {
            Ok(incoming) => InstanceState::Keeping(Box::new(incoming)),
            Err(answer) => InstanceState::Answered(answer),
        };
        Self { request, context, state }
    }

    /// A request whose answer needs no look at its data set.
    pub(super) fn answered(answer: Answer, request: Command, context: Context) -> Self {
        Self { request, context, state: InstanceState::Answered(answer) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        if let InstanceState::Keeping(incoming) = &mut self.state
            && let Err(error) = incoming.write(bytes).await
        {
            self.state = InstanceState::Answered(refused(&error));
        }
    }

    pub(super) async fn finish(self) -> Received {
        let Self { request, context, state } = self;
        let (answer, kept) = match state {
            InstanceState::Answered(answer) => (answer, None),
            InstanceState::Keeping(incoming) => match incoming.commit().await {
                Ok(Outcome::New(instance)) => (Answer::success(), Some(instance)),
                Ok(Outcome::AlreadySo(_) | Outcome::Conflict(_)) => (Answer::success(), None),
                Ok(Outcome::Quarantined { reason }) => (say(Refusal::Quarantined, &reason), None),
                Err(error) => (refused(&error), None),
            },
        };
        Received { request, context, answer, kept }
    }
}

/// What can be refused before any byte is kept.
fn admit(intake: &Intake, origin: &Origin, request: &Command, context: &Context) -> Result<Incoming, Answer> {
    let class = &request.sop_class_uid;
    if !is_storage(class) || !accepts_transfer_syntax(&context.transfer_syntax) {
        return Err(say(Refusal::NotStorage, "this SOP class is not for storage"));
    }
    let instance = &request.sop_instance_uid;
    if instance.is_empty() || instance.len() > 64 {
        return Err(say(Refusal::NoInstanceUid, "the command has no usable SOP Instance UID"));
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
