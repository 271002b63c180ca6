//! Storage commitment of the simulated archive: what it was asked, and when and how it reports. It tells the truth: what it has.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};

use super::{Reports, Shared};
use crate::dimse::{COMMITMENT, Command, SUCCESS};
use crate::link::{Link, Message, Proposal};
use crate::vendor::IMPLICIT;
use crate::vendor::messages::{self, read_commitment};

const ALL_KEPT: u16 = 1;
const SOME_NOT_KEPT: u16 = 2;
const NO_SUCH_OBJECT: u16 = 0x0112;

/// One question.
#[derive(Debug, Clone)]
pub struct Asked {
    pub transaction: String,
    /// SOP class and instance.
    pub objects: Vec<(String, String)>,
    /// Of the archive's clock, days.
    due: f64,
    reported: bool,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    asked: Mutex<Vec<Asked>>,
    /// Days that have passed.
    now: Mutex<f64>,
    box_at: Mutex<Option<(SocketAddr, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn reports_to(&self, address: SocketAddr, called: &str) {
        *lock(&self.box_at) = Some((address, called.to_owned()));
    }

    pub(super) fn pass(&self, days: f64) {
        *lock(&self.now) += days;
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

/// Answers an N-ACTION, and reports where and when the habits say so.
pub(super) async fn asked(link: &mut Link, shared: &Arc<Shared>, message: &Message) -> Result<()> {
    let habits = shared.habits().commitment.clone().context("no storage commitment")?;
    let context = link.context_of(message).context("unknown presentation context")?.clone();
    let question = read_commitment(&message.data, context.syntax != IMPLICIT);
    let due = *lock(&shared.commitment.now) + habits.after_days;
    let asked = Asked { transaction: question.transaction, objects: question.kept, due, reported: false };
    lock(&shared.commitment.asked).push(asked.clone());
    let on_this = async |link: &mut Link| {
        let (event, data) = report(shared, &asked, context.syntax != IMPLICIT);
        let id = link.take_id();
        link.put(context.id, &Command::event_request(id, event), Some(&data), None).await?;
        anyhow::Ok(id)
    };
    match habits.reports {
        Reports::Never => link.respond(message, SUCCESS).await,
        Reports::SameAssociation => {
            link.respond(message, SUCCESS).await?;
            let id = on_this(link).await?;
            taken(shared, &asked.transaction, link.answer(id).await?.command.status())
        }
        Reports::BeforeAnswer => {
            let id = on_this(link).await?;
            link.respond(message, SUCCESS).await?;
            taken(shared, &asked.transaction, link.answer(id).await?.command.status())
        }
        Reports::NewAssociation => {
            link.respond(message, SUCCESS).await?;
            if habits.after_days <= 0.0 {
                let shared = shared.clone();
                // The box is told whether it still has this association or not.
                tokio::spawn(async move { bring(&shared).await });
            }
            Ok(())
        }
    }
}

fn taken(shared: &Shared, transaction: &str, status: Option<u16>) -> Result<()> {
    ensure!(status == Some(SUCCESS), "the report was answered {status:04x?}");
    for one in lock(&shared.commitment.asked).iter_mut().filter(|one| one.transaction == transaction) {
        one.reported = true;
    }
    Ok(())
}

fn report(shared: &Shared, asked: &Asked, explicit: bool) -> (u16, Vec<u8>) {
    let here: Vec<_> = shared.list().iter().map(|one| one.sop_instance_uid.clone()).collect();
    let (kept, lacking): (Vec<_>, Vec<_>) = asked.objects.iter().cloned().partition(|(_, uid)| here.contains(uid));
    let lacking: Vec<_> = lacking.into_iter().map(|(class, uid)| (class, uid, NO_SUCH_OBJECT)).collect();
    let event = if lacking.is_empty() { ALL_KEPT } else { SOME_NOT_KEPT };
    (event, messages::commitment(&asked.transaction, &kept, &lacking, explicit))
}

/// Brings every report that is due over an association of its own. Returns the box's statuses.
pub(super) async fn bring(shared: &Arc<Shared>) -> Result<Vec<u16>> {
    let now = *lock(&shared.commitment.now);
    let due: Vec<_> = shared.commitment.asked().into_iter().filter(|one| !one.reported && one.due <= now).collect();
    let mut statuses = Vec::new();
    for asked in due {
        let (address, called) = lock(&shared.commitment.box_at).clone().context("Pacs::reports_to was not called")?;
        let proposal = Proposal {
            calling: shared.ae_title.clone(),
            called,
            implementation_class_uid: "2.25.310279301217433512706186271936563265771".into(),
            max_pdu: super::MAX_PDU,
            contexts: vec![(COMMITMENT.to_owned(), vec![IMPLICIT.to_owned()])],
            roles: vec![(COMMITMENT.to_owned(), false, true)],
            ..Proposal::default()
        };
        let mut link = Link::request(address, &proposal).await?;
        let context = link.context(COMMITMENT, &[]).context("the box takes no report")?.id;
        let (event, data) = report(shared, &asked, false);
        let id = link.take_id();
        let status = link.ask(context, &Command::event_request(id, event), Some(&data)).await?.command.status();
        statuses.push(status.unwrap_or(u16::MAX));
        taken(shared, &asked.transaction, status)?;
        link.release().await?;
    }
    Ok(statuses)
}
