//! The only thread that writes the custody log (group commit).
//!
//! It takes all waiting instances as one group, decides about duplicates, writes the records, syncs once, inserts the
//! rows in one transaction, and only then answers. If any step fails, every sender of the group receives the error and
//! the next group overwrites the space.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use dicom::header::Header;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::{Error, Result};
use super::large::OwnFile;
use super::record::{BLOCK, Entry, RECORD_HEAD, RecordHead, aligned};
use super::segment::Segment;
use super::{Outcome, Shared, segment};
use crate::instance::{Instance, Location, Origin};
use crate::store::instances::{self, InstanceState, Known};
use crate::store::{self, conflicts, events, priors, segments};

/// A group takes no further instance after this many bytes.
const GROUP_BYTES: u64 = 32 << 20;
const GROUP_JOBS: usize = 256;

/// One instance, ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) header: Header,
    pub(super) header_json: String,
    /// `Kept`, or `Quarantined` when the header could not be read.
    pub(super) state: InstanceState,
    pub(super) reason: Option<String>,
    pub(super) received_utc: String,
    pub(super) origin: Origin,
    pub(super) sha256: String,
    /// Number of Part 10 bytes, and their CRC-32.
    pub(super) length: u64,
    pub(super) payload_crc: u32,
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) file: Option<OwnFile>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) prepared: Prepared,
    pub(super) answer: oneshot::Sender<Result<Outcome>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    active: Option<Segment>,
    /// Offset in `active` of the next record.
    position: u64,
    next_number: i64,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: Connection,
        active: Option<(Segment, u64)>,
        next_number: i64,
    ) -> Self {
        let (active, position) = active.map_or((None, 0), |(segment, position)| (Some(segment), position));
        Self { shared, connection, active, position, next_number }
    }

    /// Ends when every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut bytes = first.prepared.length;
            let mut waiting = VecDeque::from([first]);
            while bytes < GROUP_BYTES
                && waiting.len() < GROUP_JOBS
                && let Ok(job) = jobs.try_recv()
            {
                bytes += job.prepared.length;
                waiting.push_back(job);
            }
            while !waiting.is_empty() {
                self.one_segment(&mut waiting);
            }
        }
    }

    /// Commits as many of `waiting` as fit into the active segment.
    fn one_segment(&mut self, waiting: &mut VecDeque<Job>) {
        let mut group: Vec<(Draft, oneshot::Sender<Result<Outcome>>)> = Vec::new();
        let mut end = self.position;
        while let Some(job) = waiting.pop_front() {
            let draft = match Draft::new(job.prepared) {
                Ok(draft) => draft,
                Err(error) => {
                    let _ = job.answer.send(Err(error));
                    continue;
                }
            };
            if group.is_empty() {
                if let Err(error) = self.make_room(draft.size()) {
                    self.shared.told(&error);
                    let _ = job.answer.send(Err(error));
                    continue;
                }
                end = self.position;
            } else if end + draft.size() > self.active.as_ref().map_or(0, |segment| segment.head.size) {
                waiting.push_front(Job { prepared: draft.prepared, answer: job.answer });
                break;
            }
            end += draft.size();
            group.push((draft, job.answer));
        }
        let (mut drafts, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match self.commit(&mut drafts) {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::error!(%error, instances = answers.len(), "cannot write to the custody log; the senders will receive a failure");
                self.shared.told(&error);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
        self.shared.shelf.committed();
        for draft in drafts {
            self.shared.buffers.give(draft.prepared.body);
        }
    }

    /// Ensures that the active segment has `size` bytes left; starts a new one if not.
    fn make_room(&mut self, size: u64) -> Result<()> {
        if self.active.as_ref().is_some_and(|active| self.position + size <= active.head.size) {
            return Ok(());
        }
        // Sealed only once there is another one: what is sealed is neither written to nor read at a start. Without another one smaller
        // instances still go into the rest of this one.
        let spare = self.shared.shelf.take()?;
        if let Some(active) = &self.active
            && let Err(error) = segments::seal(&self.connection, active.head.number)
        {
            self.shared.shelf.put_back(spare);
            return Err(error.into());
        }
        let (number, bytes) = (self.next_number, self.shared.segment_size);
        // The number counts as used even when `take` fails half-way: no two files may ever have the same number.
        self.next_number += 1;
        self.active = None;
        self.active = Some(Segment::take(&spare, &self.shared.log, number, bytes)?);
        self.position = BLOCK;
        if self.position + size > bytes {
            return Err(Error::Io {
                path: self.shared.log.clone(),
                source: Arc::new(std::io::ErrorKind::FileTooLarge.into()),
            });
        }
        Ok(())
    }

    fn commit(&mut self, drafts: &mut [Draft]) -> Result<Vec<Outcome>> {
        let verdicts = self.judge(drafts)?;
        let Some(active) = &self.active else { return Err(Error::Closed) };
        let mut position = self.position;
        for (draft, verdict) in drafts.iter_mut().zip(&verdicts) {
            if let Verdict::Keep(state) = verdict {
                position = draft.write(active, position, *state)?;
            }
        }
        if position > self.position
            && let Err(error) = active.sync()
        {
            // After a failed sync it is unknown what the disk holds in these blocks: never write to this segment again.
            let number = active.head.number;
            self.active = None;
            segments::seal_at(&self.connection, number, self.position)?;
            return Err(error);
        }
        let outcomes = self.index(drafts, &verdicts, position)?;
        self.position = position;
        for (draft, verdict) in drafts.iter_mut().zip(&verdicts) {
            if let (Verdict::Keep(_), Some(file)) = (verdict, draft.prepared.file.take()) {
                file.keep();
            }
        }
        Ok(outcomes)
    }

    /// Compares each draft with the known instances and with earlier drafts of the group.
    fn judge(&self, drafts: &[Draft]) -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::with_capacity(drafts.len());
        let mut in_group: HashMap<&str, Vec<(usize, Known)>> = HashMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            let prepared = &draft.prepared;
            let uid = prepared.header.sop_instance_uid.as_str();
            let before = in_group.entry(uid).or_default();
            let mut known = instances::by_sop_uid(&self.connection, uid)?;
            let stored = known.len();
            known.extend(before.iter().map(|(_, known)| known.clone()));
            let verdict = match judge(&known, &prepared.sha256, prepared.state) {
                Match::Keep(state) => {
                    let (sha256, reason) = (prepared.sha256.clone(), prepared.reason.clone());
                    before.push((index, Known { id: 0, sha256, state, reason }));
                    Verdict::Keep(state)
                }
                Match::Same(at) if at < stored => Verdict::Stored(known.swap_remove(at)),
                Match::Same(at) => Verdict::InGroup(before[at - stored].0),
            };
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    /// Inserts the rows and updates `segments.indexed_to`, in one transaction.
    fn index(&mut self, drafts: &mut [Draft], verdicts: &[Verdict], position: u64) -> Result<Vec<Outcome>> {
        let number = self.active.as_ref().map_or(0, |segment| segment.head.number);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(drafts.len());
        for (draft, verdict) in drafts.iter_mut().zip(verdicts) {
            draft.sent(&transaction)?;
            let outcome = match verdict {
                Verdict::Keep(state) => draft.insert(&transaction, number, *state)?,
                Verdict::InGroup(index) => already_so(&outcomes[*index]),
                Verdict::Stored(known) if known.state == InstanceState::Quarantined => {
                    Outcome::Quarantined { reason: known.reason.clone().unwrap_or_default() }
                }
                Verdict::Stored(known) => match instances::get_here(&transaction, known.id)? {
                    Some(instance) => Outcome::AlreadySo(Arc::new(instance)),
                    // Evicted since it was judged: the sender tries again, and then it is a new instance.
                    None => return Err(segment::gone(format!("instance {}", known.id))),
                },
            };
            outcomes.push(outcome);
        }
        if position > self.position {
            segments::indexed_to(&transaction, number, position)?;
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

fn already_so(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::New(instance) | Outcome::Conflict(instance) | Outcome::AlreadySo(instance) => {
            Outcome::AlreadySo(instance.clone())
        }
        Outcome::Quarantined { reason } => Outcome::Quarantined { reason: reason.clone() },
    }
}

enum Verdict {
    Keep(InstanceState),
    /// The same bytes have a row already.
    Stored(Known),
    /// The same bytes occur earlier in the group, at this index.
    InGroup(usize),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    Keep(InstanceState),
    /// The same bytes are known, at this index.
    Same(usize),
}

/// What to do with an instance, given all known instances with its SOP Instance UID. Pure. The UID of a quarantined
/// instance comes only from the C-STORE command: quarantined data is matched only against other quarantined data and
/// never causes a conflict.
pub(super) fn judge(known: &[Known], sha256: &str, state: InstanceState) -> Match {
    let quarantined = state == InstanceState::Quarantined;
    let mut others = known.iter().enumerate().filter(|(_, k)| (k.state == InstanceState::Quarantined) == quarantined);
    // When the one that counted is damaged or gone, the next one counts, whatever else waits for a decision.
    let none_counts = known.iter().all(|k| k.state != InstanceState::Kept);
    match others.find(|(_, k)| k.sha256 == sha256) {
        Some((index, _)) => Match::Same(index),
        None if none_counts || quarantined => Match::Keep(state),
        None => Match::Keep(InstanceState::Conflict),
    }
}

/// An instance together with the bytes of its record.
#[derive(Debug)]
struct Draft {
    prepared: Prepared,
    /// Space for the record head, the entry, and the start of the payload.
    front: Vec<u8>,
    entry_length: u32,
    payload_length: u64,
    offset: u64,
}

impl Draft {
    fn new(prepared: Prepared) -> Result<Self> {
        // Encoded with the longest state name, because the size must not change once the verdict is known.
        let mut draft = Self { prepared, front: Vec::new(), entry_length: 0, payload_length: 0, offset: 0 };
        draft.fill(InstanceState::Quarantined)?;
        Ok(draft)
    }

    fn fill(&mut self, state: InstanceState) -> Result<()> {
        let prepared = &self.prepared;
        let entry = Entry {
            state,
            reason: prepared.reason.clone(),
            received_utc: prepared.received_utc.clone(),
            origin: prepared.origin.clone(),
            sha256: prepared.sha256.clone(),
            file: prepared.file.as_ref().map(|file| file.name.clone()),
            length: prepared.length,
            header: prepared.header.clone(),
        };
        self.front.clear();
        self.front.resize(RECORD_HEAD, 0);
        serde_json::to_writer(&mut self.front, &entry).map_err(store::Error::from)?;
        self.entry_length = u32::try_from(self.front.len() - RECORD_HEAD).unwrap_or(u32::MAX);
        if prepared.file.is_none() {
            self.front.extend(&prepared.head);
            self.payload_length = prepared.length;
        }
        Ok(())
    }

    /// Bytes that the record takes in the log, whole blocks.
    fn size(&self) -> u64 {
        aligned(self.front.len() as u64 + self.body().len() as u64)
    }

    fn body(&self) -> &[u8] {
        if self.prepared.file.is_some() { &[] } else { &self.prepared.body }
    }

    /// Returns the offset of the next record.
    fn write(&mut self, segment: &Segment, offset: u64, state: InstanceState) -> Result<u64> {
        self.fill(state)?;
        let entry_end = RECORD_HEAD + self.entry_length as usize;
        let head = RecordHead {
            epoch: segment.head.epoch,
            offset,
            payload_length: self.payload_length,
            entry_length: self.entry_length,
            entry_crc: crc32fast::hash(&self.front[RECORD_HEAD..entry_end]),
            payload_crc: if self.payload_length == 0 { 0 } else { self.prepared.payload_crc },
        };
        self.front[..RECORD_HEAD].copy_from_slice(&head.encode());
        segment.write(offset, &self.front, self.body())?;
        self.offset = head.payload_offset();
        Ok(head.end())
    }

    /// Whoever sends something of a series that this box has fetched, be it here already, has sent that series.
    fn sent(&self, transaction: &Transaction<'_>) -> Result<()> {
        let Prepared { header, origin, state, .. } = &self.prepared;
        // The series of one that cannot be read is not known.
        if !origin.asked_for && *state == InstanceState::Kept {
            priors::sent(transaction, header, &origin.calling_ae)?;
        }
        Ok(())
    }

    fn insert(&mut self, connection: &Connection, segment: i64, state: InstanceState) -> Result<Outcome> {
        let prepared = &mut self.prepared;
        let length = prepared.length;
        let location = match &prepared.file {
            Some(file) => Location::File { file: file.name.clone(), length },
            None => Location::Log { segment, offset: self.offset, length },
        };
        let id = instances::insert(
            connection,
            &instances::New {
                header: &prepared.header,
                header_json: &prepared.header_json,
                location: &location,
                record_segment: Some(segment),
                sha256: &prepared.sha256,
                state,
                reason: reason(state, prepared.reason.as_deref()),
                received_utc: &prepared.received_utc,
                origin: &prepared.origin,
            },
        )?;
        note(connection, id, state, prepared.reason.as_deref())?;
        if state == InstanceState::Quarantined {
            return Ok(Outcome::Quarantined { reason: prepared.reason.clone().unwrap_or_default() });
        }
        let instance = Arc::new(Instance {
            id,
            header: std::mem::take(&mut prepared.header),
            location,
            sha256: prepared.sha256.clone(),
            association: prepared.origin.association,
            received_utc: prepared.received_utc.clone(),
        });
        Ok(if state == InstanceState::Conflict { Outcome::Conflict(instance) } else { Outcome::New(instance) })
    }
}

/// Why an instance is in conflict, and what to do about it.
const CONFLICT_BECAUSE: &str = "sent again under the same SOP Instance UID with other content; the first one is used, both \
                                are kept: decide with `scansidectl studies resolve`";

/// The reason that the row of an instance has in this state.
pub(super) fn reason(state: InstanceState, given: Option<&str>) -> Option<&str> {
    if state == InstanceState::Conflict { given.or(Some(CONFLICT_BECAUSE)) } else { given }
}

/// Records an event for an instance in conflict or in quarantine, and for one of another patient than before.
pub(super) fn note(connection: &Connection, id: i64, state: InstanceState, reason: Option<&str>) -> Result<()> {
    let subject = format!("instance/{id}");
    match state {
        InstanceState::Conflict => {
            tracing::warn!(instance = id, "an object was sent again with other content: {CONFLICT_BECAUSE}");
            events::record(connection, &subject, "conflict", CONFLICT_BECAUSE)?;
        }
        InstanceState::Quarantined => events::record(connection, &subject, "quarantined", reason.unwrap_or_default())?,
        InstanceState::Kept => {
            if conflicts::mark_of_another(connection, id)? {
                let why = conflicts::OF_ANOTHER;
                tracing::warn!(instance = id, "another patient than before: {why}");
                events::record(connection, &subject, "another patient", why)?;
            }
        }
        InstanceState::Evicted | InstanceState::Damaged | InstanceState::Replaced => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(sha256: &str, state: InstanceState) -> Known {
        Known { id: 1, sha256: sha256.into(), state, reason: None }
    }

    #[test]
    fn same_bytes_are_already_so_and_other_bytes_a_conflict() {
        let here = [
            known("a", InstanceState::Kept),
            known("b", InstanceState::Conflict),
            known("q", InstanceState::Quarantined),
        ];
        assert_eq!(judge(&here, "a", InstanceState::Kept), Match::Same(0));
        assert_eq!(judge(&here, "b", InstanceState::Kept), Match::Same(1));
        assert_eq!(judge(&here, "c", InstanceState::Kept), Match::Keep(InstanceState::Conflict));
        assert_eq!(judge(&[], "a", InstanceState::Kept), Match::Keep(InstanceState::Kept));
        let decided = [known("a", InstanceState::Replaced), known("b", InstanceState::Kept)];
        assert_eq!(judge(&decided, "a", InstanceState::Kept), Match::Same(0), "a person has decided about it");
        assert_eq!(judge(&decided, "c", InstanceState::Kept), Match::Keep(InstanceState::Conflict));
        assert_eq!(judge(&decided[..1], "c", InstanceState::Kept), Match::Keep(InstanceState::Kept));
        let damaged_since = [known("b", InstanceState::Conflict)];
        assert_eq!(judge(&damaged_since, "a", InstanceState::Kept), Match::Keep(InstanceState::Kept), "sent again");
        assert_eq!(judge(&damaged_since, "b", InstanceState::Kept), Match::Same(0));
    }

    #[test]
    fn quarantined_bytes_hinder_nobody() {
        let here = [known("q", InstanceState::Quarantined)];
        assert_eq!(judge(&here, "a", InstanceState::Kept), Match::Keep(InstanceState::Kept));
        assert_eq!(judge(&here, "q", InstanceState::Quarantined), Match::Same(0));
        assert_eq!(judge(&here, "r", InstanceState::Quarantined), Match::Keep(InstanceState::Quarantined));
        assert_eq!(
            judge(&[known("a", InstanceState::Kept)], "q", InstanceState::Quarantined),
            Match::Keep(InstanceState::Quarantined)
        );
    }
}
