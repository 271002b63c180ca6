//! Storage commitment, Push Model (PS3.4 annex J): what peers ask of us, and what archives report to us. The report to a
//! peer is sent by `reporter`.

use custody::spool::{self, Spool};
use custody::store::commitments::{self, Asked, Item, New};
use custody::store::instances::{self, InstanceState};
use custody::store::{Durability, Store, asks, now_utc};
use dicom::text::shown;
use dicom::uid::is_uid;
use rusqlite::TransactionBehavior;
use tracing::{info, warn};

use crate::elements::{Elements, Syntax, Tag, Writer};
use crate::operation::{Whole, malformed, refuse};
use crate::services::Services;
use crate::settings;
use crate::status::{Answer, Refusal};

/// The one instance of the class.
pub(super) const INSTANCE: &str = "1.2.840.10008.1.20.1.1";
/// Request Storage Commitment.
pub(super) const ASK: u16 = 1;
/// Storage Commitment Request Successful.
pub(super) const ALL_KEPT: u16 = 1;
/// Storage Commitment Request Complete - Failures Exist.
pub(super) const SOME_NOT_KEPT: u16 = 2;

const TRANSACTION: Tag = (0x0008, 0x1195);
const REFERENCED: Tag = (0x0008, 0x1199);
const FAILED: Tag = (0x0008, 0x1198);
const CLASS: Tag = (0x0008, 0x1150);
const UID: Tag = (0x0008, 0x1155);
const REASON: Tag = (0x0008, 0x1197);
/// PS3.5 section 9.1.
const LONGEST_UID: usize = 64;

/// Answers an N-ACTION. Blocks; the transaction is on the disk when it says success.
pub(super) fn asked(services: &Services, settings: &settings::Commitment, request: &Whole) -> Answer {
    let (transaction_uid, items) = match read_request(settings, request) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let new = New {
        transaction_uid: &transaction_uid,
        calling_ae: request.origin.calling_ae.trim(),
        called_ae: request.origin.called_ae.trim(),
        peer_address: &request.origin.peer_address,
        items: &items,
    };
    let store = services.store.of_this_era();
    let written = store.connect(Durability::Full).and_then(|mut connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let asked = commitments::ask(&transaction, &new, settings.max_open, &now_utc())?;
        transaction.commit()?;
        Ok(asked)
    });
    match written {
        Ok(asked @ (Asked::New | Asked::Again)) => {
            let (association, again) = (request.origin.association, asked == Asked::Again);
            info!(association, objects = items.len(), again, "storage commitment asked");
            services.report.notify_one();
            Answer::success()
        }
        Ok(Asked::OtherItems) => {
            refuse(Refusal::InvalidArgument, "this transaction UID was used for other objects before")
        }
        Ok(Asked::TooMany) => {
            let reason = format!("{} transactions of this peer wait for their report", settings.max_open);
            refuse(Refusal::TooMuch, &reason)
        }
        Err(error) => {
            store.failed(&error);
            refuse(Refusal::Processing, &error.to_string())
        }
    }
}

fn read_request(settings: &settings::Commitment, request: &Whole) -> Result<(String, Vec<Item>), Answer> {
    if !settings.accept {
        return Err(refuse(Refusal::NotAuthorised, "this device does not offer storage commitment"));
    }
    if request.command.sop_instance_uid != INSTANCE {
        return Err(refuse(Refusal::NoSuchInstance, "not the well-known instance of storage commitment"));
    }
    if request.command.action_type != Some(ASK) {
        return Err(refuse(Refusal::NoSuchAction, "storage commitment has action type 1 only"));
    }
    let elements = request.elements()?;
    let transaction_uid = uid_of(&elements, TRANSACTION, "Transaction UID (0008,1195)")?;
    let listed = elements.items(REFERENCED).map_err(malformed)?;
    if listed.len() > settings.max_instances {
        let reason = format!("{} objects; at most {} in one request", listed.len(), settings.max_instances);
        return Err(refuse(Refusal::TooMuch, &reason));
    }
    let mut seen = std::collections::HashSet::new();
    let mut items = Vec::new();
    for item in listed {
        let sop_class = uid_of(&item, CLASS, "Referenced SOP Class UID (0008,1150)")?;
        let sop_uid = uid_of(&item, UID, "Referenced SOP Instance UID (0008,1155)")?;
        let item = Item { sop_class, sop_uid };
        if seen.insert(item.clone()) {
            items.push(item);
        }
    }
    if items.is_empty() {
        return Err(refuse(Refusal::InvalidArgument, "no Referenced SOP Sequence (0008,1199), or an empty one"));
    }
    Ok((transaction_uid, items))
}

fn uid_of(elements: &Elements<'_>, tag: Tag, name: &str) -> Result<String, Answer> {
    let uid = elements.text(tag);
    if uid.is_empty() || uid.len() > LONGEST_UID || !is_uid(&uid) {
        return Err(refuse(Refusal::InvalidArgument, &format!("{name} is missing or is no UID")));
    }
    Ok(uid)
}

/// Why an object is not committed (PS3.3 section C.14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lacking {
    /// It is not here: never received, evicted, quarantined, or damaged on the disk.
    NoSuchObject,
    /// It is here with another SOP class.
    ClassConflict,
}

impl Lacking {
    fn reason(self) -> u16 {
        match self {
            Self::NoSuchObject => 0x0112,
            Self::ClassConflict => 0x0119,
        }
    }
}

/// What is true of the objects of a transaction now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kept: Vec<Item>,
    pub(super) lacking: Vec<(Item, Lacking)>,
}

/// Looks for every object in custody and compares its bytes with their hash. Blocks, for as long as reading them takes.
///
/// # Errors
/// When disk or database do not answer now: nothing can be said of the objects.
pub(super) fn judge(store: &Store, spool: &Spool, items: Vec<Item>) -> Result<Verdict, String> {
    let connection = store.connect(Durability::Rebuildable).map_err(|error| error.to_string())?;
    let mut verdict = Verdict::default();
    for item in items {
        let known = instances::by_sop_uid(&connection, &item.sop_uid).map_err(|error| error.to_string())?;
        let kept = known.iter().find(|known| known.state == InstanceState::Kept);
        let instance = match kept {
            Some(kept) => instances::get_here(&connection, kept.id).map_err(|error| error.to_string())?,
            None => None,
        };
        let lacking = match instance {
            None => Some(Lacking::NoSuchObject),
            Some(instance) if instance.header.sop_class_uid != item.sop_class => Some(Lacking::ClassConflict),
            Some(instance) => match spool.check(&instance) {
                Ok(()) => None,
                Err(spool::Error::Damaged { .. }) => Some(Lacking::NoSuchObject),
                Err(error) => return Err(error.to_string()),
            },
        };
        match lacking {
            None => verdict.kept.push(item),
            Some(lacking) => verdict.lacking.push((item, lacking)),
        }
    }
    Ok(verdict)
}

impl Verdict {
    pub(super) fn event_type(&self) -> u16 {
        if self.lacking.is_empty() { ALL_KEPT } else { SOME_NOT_KEPT }
    }

    /// The data set of the N-EVENT-REPORT (PS3.4 table J.3-2).
    pub(super) fn report(&self, transaction_uid: &str, syntax: Syntax) -> Vec<u8> {
        let item = |item: &Item, lacking: Option<Lacking>| {
            let mut writer = Writer::new(syntax);
            writer.uid(CLASS, &item.sop_class);
            writer.uid(UID, &item.sop_uid);
            if let Some(lacking) = lacking {
                writer.number(REASON, lacking.reason());
            }
            writer.finish()
        };
        let mut writer = Writer::new(syntax);
        writer.uid(TRANSACTION, transaction_uid);
        if !self.lacking.is_empty() {
            writer.sequence(FAILED, self.lacking.iter().map(|(lacking, why)| item(lacking, Some(*why))));
        }
        if !self.kept.is_empty() {
            writer.sequence(REFERENCED, self.kept.iter().map(|kept| item(kept, None)));
        }
        writer.finish()
    }
}

/// The data set of an N-ACTION (PS3.4 table J.3-1).
pub(super) fn request(transaction_uid: &str, items: &[Item], syntax: Syntax) -> Vec<u8> {
    Verdict { kept: items.to_vec(), lacking: Vec::new() }.report(transaction_uid, syntax)
}

/// What an archive reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reported {
    pub transaction_uid: String,
    /// SOP Instance UIDs.
    pub committed: Vec<String>,
    /// SOP Instance UIDs and the archive's reason.
    pub failed: Vec<(String, u16)>,
}

/// Reads the data set of an N-EVENT-REPORT.
pub(super) fn read_report(bytes: &[u8], syntax: Syntax) -> Result<Reported, Answer> {
    let elements = Elements::parse(bytes, syntax).map_err(malformed)?;
    let transaction_uid = uid_of(&elements, TRANSACTION, "Transaction UID (0008,1195)")?;
    let committed = elements.items(REFERENCED).map_err(malformed)?.iter().map(|item| item.text(UID)).collect();
    let failed = elements.items(FAILED).map_err(malformed)?;
    let failed = failed.iter().map(|item| (item.text(UID), item.number(REASON).unwrap_or(0x0110))).collect();
    Ok(Reported { transaction_uid, committed, failed })
}

/// Answers an N-EVENT-REPORT of an archive. Blocks; what it said is on the disk when this says success.
pub(super) fn archive_reported(services: &Services, request: &Whole) -> Answer {
    if !matches!(request.command.event_type, Some(ALL_KEPT | SOME_NOT_KEPT)) {
        return refuse(Refusal::NoSuchEvent, "storage commitment has the event types 1 and 2 only");
    }
    let reported = match read_report(&request.bytes, request.syntax) {
        Ok(reported) => reported,
        Err(answer) => return answer,
    };
    note_report(services, &reported)
}

/// Writes down what an archive reported.
fn note_report(services: &Services, reported: &Reported) -> Answer {
    let store = services.store.of_this_era();
    let noted = store.connect(Durability::Full).and_then(|mut connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let noted =
            asks::answered(&transaction, &reported.transaction_uid, &reported.committed, &reported.failed, &now_utc())?;
        transaction.commit()?;
        Ok(noted)
    });
    match noted {
        Ok(Some(noted)) => {
            info!(committed = noted.committed, failed = noted.failed, "an archive reported storage commitment");
            services.outbox_wake.notify_one();
            Answer::success()
        }
        Ok(None) => {
            warn!(transaction = %shown(&reported.transaction_uid), "a report of storage commitment that nobody asked for");
            refuse(Refusal::InvalidArgument, "this device knows no such transaction")
        }
        Err(error) => {
            store.failed(&error);
            refuse(Refusal::Processing, &error.to_string())
        }
    }
}
