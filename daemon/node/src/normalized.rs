//! Answers DIMSE-N requests and the C-FIND of the worklist: collects the data set within its limit, hands it to the service of the SOP class, and answers
//! once the service has written down what it promises.

use std::time::Duration;

use custody::instance::Origin;
use custody::level::Level;

use crate::elements::Syntax;
use crate::message::{self, Command};
use crate::negotiate::Context;
use crate::operation::{Done, Found, Whole, refuse};
use crate::status::{Answer, Refusal};
use crate::worklist::offer;
use crate::{COMMITMENT, Intake, MPPS, WORKLIST, commitment, mpps};

/// For a list of who is expected.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request whose data set is being received.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) context: Context,
    bytes: Vec<u8>,
    /// The answer that is known already; the rest of the data set is read and discarded.
    answered: Option<Answer>,
}

/// The service that answers this operation in this presentation context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Commit,
    ArchiveReported,
    StepBegun,
    StepChanged,
    WhoIsExpected,
}

fn service(field: u16, class: &str) -> Option<Service> {
    match (class, field) {
        (COMMITMENT, message::N_ACTION) => Some(Service::Commit),
        (COMMITMENT, message::N_EVENT_REPORT) => Some(Service::ArchiveReported),
        (MPPS, message::N_CREATE) => Some(Service::StepBegun),
        (MPPS, message::N_SET) => Some(Service::StepChanged),
        (WORKLIST, message::C_FIND) => Some(Service::WhoIsExpected),
        _ => None,
    }
}

impl Request {
    pub(super) fn begin(command: Command, context: Context) -> Self {
        let answered = if service(command.field, &context.abstract_syntax).is_none() {
            let reason = format!("DIMSE operation {:#06x} is not supported in this context", command.field);
            Some(refuse(Refusal::UnknownOperation, &reason))
        } else if command.sop_class_uid != context.abstract_syntax {
            Some(refuse(Refusal::NoSuchClass, "the SOP class is not that of the presentation context"))
        } else if !command.has_data_set {
            Some(refuse(Refusal::InvalidArgument, "the command came without a data set"))
        } else {
            None
        };
        Self { command, context, bytes: Vec::new(), answered }
    }

    pub(super) fn write(&mut self, bytes: &[u8], limit: usize) {
        if self.answered.is_some() {
            return;
        }
        if self.bytes.len() + bytes.len() > limit {
            self.bytes = Vec::new();
            let reason = format!("the data set is larger than {} KiB", limit / 1024);
            self.answered = Some(refuse(Refusal::TooMuch, &reason));
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Does what is asked. What it promises is durable when this returns.
    pub(super) async fn finish(self, intake: &Intake, origin: &Origin) -> (Command, Context, Done) {
        let Self { command, context, bytes, answered } = self;
        let done = match answered {
            Some(answer) => answer.into(),
            None => serve(intake, origin, command.clone(), &context, bytes).await,
        };
        (command, context, done)
    }
}

async fn serve(intake: &Intake, origin: &Origin, command: Command, context: &Context, bytes: Vec<u8>) -> Done {
    let Some(service) = service(command.field, &context.abstract_syntax) else {
        return refuse(Refusal::UnknownOperation, "").into();
    };
    let Some(syntax) = Syntax::of(&context.transfer_syntax) else {
        return refuse(Refusal::InvalidArgument, "a transfer syntax that was not agreed").into();
    };
    // Rows of the same database as the instances: while those are refused, so are these, and the peer tries again.
    let (level, reason) = intake.gate.get();
    let needs_rows = !matches!(service, Service::ArchiveReported | Service::WhoIsExpected);
    if level >= Level::NoNewStudies && needs_rows {
        return refuse(Refusal::Processing, &reason).into();
    }
    let whole = Whole { command, syntax, bytes, origin: origin.clone() };
    let (services, settings) = (intake.services.clone(), intake.settings.clone());
    let work = move || match service {
        Service::Commit => commitment::asked(&services, &settings.commitment, &whole).into(),
        Service::ArchiveReported => commitment::archive_reported(&services, &whole).into(),
        Service::StepBegun => mpps::begun(&services.store, &settings.mpps, &whole),
        Service::StepChanged => mpps::changed(&services.store, &settings.mpps, &whole),
        Service::WhoIsExpected => match &services.expected {
            Some(expected) => offer::answer(&expected.0, &whole).map_or_else(Done::from, listed),
            None => refuse(Refusal::UnknownOperation, "").into(),
        },
    };
    let work = tokio::task::spawn_blocking(work);
    let done = if service == Service::WhoIsExpected {
        // The list may be on a drive of the network.
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => return refuse(Refusal::CannotList, "the list cannot be read in time").into(),
        }
    } else {
        work.await
    };
    done.unwrap_or_else(|_| refuse(Refusal::Processing, "an error in this software").into())
}

/// What does not fit in one answer is said, since who is missing would not be missed.
fn listed(found: Found) -> Done {
    let answer = if found.has_more {
        refuse(Refusal::TooManyMatches, "more than 1000 are expected: ask for a day or a patient")
    } else {
        Answer::success()
    };
    Done { found, answer, ..Done::default() }
}
