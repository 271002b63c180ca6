//! Modality performed procedure steps (PS3.4 annex F): N-CREATE and N-SET. Only what completeness needs is read; the bytes
//! are kept as they came.

use custody::store::steps::{self, Made, Message, StepState};
use custody::store::{self, Durability, Store, now_utc};
use dicom::uid::{is_uid, of_moment};
use rusqlite::{Transaction, TransactionBehavior};
use tracing::info;

use crate::Arrival;
use crate::elements::{Elements, Tag};
use crate::operation::{Done, Whole, malformed, refuse};
use crate::settings;
use crate::status::{Answer, Refusal};

const STATUS: Tag = (0x0040, 0x0252);
const SCHEDULED: Tag = (0x0040, 0x0270);
const STUDY: Tag = (0x0020, 0x000d);
const PERFORMED_SERIES: Tag = (0x0040, 0x0340);
const SERIES: Tag = (0x0020, 0x000e);
/// Referenced Image Sequence, Referenced Non-Image Composite SOP Instance Sequence.
const REFERENCES: [Tag; 2] = [(0x0008, 0x1140), (0x0040, 0x0220)];
const UID: Tag = (0x0008, 0x1155);
/// Performed Procedure Step Object may no longer be updated (PS3.4 table F.7.2-2).
const NO_LONGER: u16 = 0xa710;
/// PS3.5 section 9.1.
const LONGEST_UID: usize = 64;
/// Steps that are remembered.
const REMEMBERED: u32 = 2000;

/// Answers an N-CREATE. Blocks; the step is on the disk when it says success.
pub(super) fn begun(store: &Store, settings: &settings::Mpps, request: &Whole) -> Done {
    create(store, settings, request).unwrap_or_else(Done::from)
}

fn create(store: &Store, settings: &settings::Mpps, request: &Whole) -> Result<Done, Answer> {
    let elements = request.elements()?;
    let given = request.command.sop_instance_uid.as_str();
    if !is_good(given) && !given.is_empty() {
        return Err(refuse(Refusal::NoInstanceUid, "the SOP Instance UID is no UID"));
    }
    if elements.value(STATUS).is_none() {
        return Err(refuse(Refusal::MissingAttribute, "Performed Procedure Step Status (0040,0252)"));
    }
    let state = said(&elements)?;
    if state != Some(StepState::InProgress) {
        return Err(refuse(Refusal::InvalidValue, "a step begins IN PROGRESS"));
    }
    let studies = studies(&elements)?;
    let series = series(&elements, settings)?;
    let created =
        given.is_empty().then(|| of_moment(&format!("mpps {:?} {}", request.origin, request.command.message_id)));
    let sop_uid = created.as_deref().unwrap_or(given);
    let message = message(request, StepState::InProgress, series.as_deref());
    let who = (request.origin.calling_ae.trim(), request.origin.peer_address.as_str());
    let id = written(store, |transaction, now| {
        let id = steps::create(transaction, sop_uid, who, &studies, &message, now)?;
        steps::forget(transaction, REMEMBERED)?;
        Ok(id)
    })?;
    let Some(id) = id else {
        return Err(refuse(Refusal::Duplicate, "there is a step with this SOP Instance UID"));
    };
    info!(association = request.origin.association, step = id, studies = studies.len(), "a step was begun");
    let arrival = series.map(|series| told(id, &series));
    Ok(Done { answer: Answer::success(), created, arrival, ..Done::default() })
}

/// Answers an N-SET. Blocks; the change is on the disk when it says success.
pub(super) fn changed(store: &Store, settings: &settings::Mpps, request: &Whole) -> Done {
    set(store, settings, request).unwrap_or_else(Done::from)
}

/// What an N-SET came to.
enum Set {
    Unknown,
    Ended(steps::Ended),
    Repeated,
    Done(i64, StepState),
}

fn set(store: &Store, settings: &settings::Mpps, request: &Whole) -> Result<Done, Answer> {
    let elements = request.elements()?;
    let said = said(&elements)?;
    let series = series(&elements, settings)?;
    let outcome = written(store, |transaction, now| {
        let Some(step) = steps::find(transaction, &request.command.sop_instance_uid)? else { return Ok(Set::Unknown) };
        // Our answer was lost: the same words again are no change.
        if steps::is_repeated(transaction, step.id, "set", &request.bytes)? {
            return Ok(Set::Repeated);
        }
        match step.state.after(said) {
            Err(ended) => Ok(Set::Ended(ended)),
            Ok(state) => {
                steps::set(transaction, step.id, &message(request, state, series.as_deref()), now)?;
                Ok(Set::Done(step.id, state))
            }
        }
    })?;
    let (id, state) = match outcome {
        Set::Unknown => return Err(refuse(Refusal::NoSuchInstance, "no step has this SOP Instance UID")),
        Set::Ended(ended) => {
            let answer = refuse(Refusal::Processing, &ended.to_string());
            return Err(Answer { error_id: Some(NO_LONGER), ..answer });
        }
        Set::Repeated => return Ok(Answer::success().into()),
        Set::Done(id, state) => (id, state),
    };
    info!(association = request.origin.association, step = id, state = state.as_str(), "a step was changed");
    let series = match series {
        Some(series) => series,
        // An earlier message named them.
        None => {
            let known = store.connect(Durability::Rebuildable).and_then(|rows| steps::series_of(&rows, id));
            let named = known.unwrap_or_default().into_iter();
            named.map(|series_uid| Made { series_uid, instances: Vec::new() }).collect()
        }
    };
    Ok(Done { arrival: Some(told(id, &series)), ..Done::default() })
}

fn told(step: i64, series: &[Made]) -> Arrival {
    Arrival::Performed { step, series: series.iter().map(|made| made.series_uid.clone()).collect() }
}

fn message<'a>(request: &'a Whole, state: StepState, series: Option<&'a [Made]>) -> Message<'a> {
    Message { state, series, transfer_syntax: request.syntax.uid(), bytes: &request.bytes }
}

/// One transaction that is on the disk afterwards.
fn written<T>(store: &Store, work: impl FnOnce(&Transaction<'_>, &str) -> store::Result<T>) -> Result<T, Answer> {
    let store = store.of_this_era();
    let done = store.connect(Durability::Full).and_then(|mut connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction, &now_utc())?;
        transaction.commit()?;
        Ok(done)
    });
    done.map_err(|error| {
        store.failed(&error);
        refuse(Refusal::Processing, &error.to_string())
    })
}

fn is_good(uid: &str) -> bool {
    !uid.is_empty() && uid.len() <= LONGEST_UID && is_uid(uid)
}

/// Performed Procedure Step Status; `None` when the message does not have it.
fn said(elements: &Elements<'_>) -> Result<Option<StepState>, Answer> {
    if elements.value(STATUS).is_none() {
        return Ok(None);
    }
    match elements.text(STATUS).as_str() {
        "IN PROGRESS" => Ok(Some(StepState::InProgress)),
        "COMPLETED" => Ok(Some(StepState::Completed)),
        "DISCONTINUED" => Ok(Some(StepState::Discontinued)),
        "" => Err(refuse(Refusal::MissingValue, "Performed Procedure Step Status (0040,0252)")),
        _ => Err(refuse(Refusal::InvalidValue, "Performed Procedure Step Status (0040,0252)")),
    }
}

/// Study Instance UIDs: one step may be performed for several scheduled steps, also of several studies.
fn studies(elements: &Elements<'_>) -> Result<Vec<String>, Answer> {
    let scheduled = elements.items(SCHEDULED).map_err(malformed)?;
    if scheduled.is_empty() {
        return Err(refuse(Refusal::MissingAttribute, "Scheduled Step Attributes Sequence (0040,0270)"));
    }
    let studies: Vec<String> = scheduled.iter().map(|step| step.text(STUDY)).collect();
    if studies.iter().any(|study| !is_good(study)) {
        return Err(refuse(Refusal::MissingValue, "Study Instance UID (0020,000D) of a scheduled step"));
    }
    Ok(studies)
}

/// Performed Series Sequence; `None` when the message does not have it. Items without a UID are passed over: a step in
/// progress may name a series before it has one.
fn series(elements: &Elements<'_>, settings: &settings::Mpps) -> Result<Option<Vec<Made>>, Answer> {
    if elements.value(PERFORMED_SERIES).is_none() {
        return Ok(None);
    }
    let mut all = Vec::new();
    let mut count = 0;
    for item in elements.items(PERFORMED_SERIES).map_err(malformed)? {
        let series_uid = item.text(SERIES);
        if !is_good(&series_uid) {
            continue;
        }
        let mut instances = Vec::new();
        for tag in REFERENCES {
            let uids = item.items(tag).map_err(malformed)?.into_iter().map(|reference| reference.text(UID));
            instances.extend(uids.filter(|uid| is_good(uid)));
        }
        count += 1 + instances.len();
        if count > settings.max_instances {
            let reason = format!("more than {} objects in one step", settings.max_instances);
            return Err(refuse(Refusal::TooMuch, &reason));
        }
        all.push(Made { series_uid, instances });
    }
    Ok(Some(all))
}
