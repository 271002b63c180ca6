//! The simulated scanner: a C-STORE SCU that behaves as scanners do. It sends in any order, loses and repeats
//! instances, is slow, drops connections, and continues until everything is acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use dicom_ul::ClientAssociationOptions;
use dicom_ul::association::client::AsyncClientAssociation;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::dimse::{Command, SUCCESS, VERIFICATION};
use crate::part10::Instance;

/// PS3.8: context ids are odd numbers up to 255.
const MOST_CONTEXTS: usize = 128;
/// Bytes of a P-DATA-TF PDU before the fragment: item length, context id, message control header.
const FRAGMENT_OVERHEAD: usize = 6;
const LARGEST_FRAGMENT: usize = 128 * 1024;
/// A peer that is silent for this long counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two attempts to reach a box that does not answer.
const REDIAL: Duration = Duration::from_millis(50);

type Association = AsyncClientAssociation<TcpStream>;

/// How a scanner behaves. By default it behaves well.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// Seed of the random numbers for the fields below.
    pub seed: u64,
    /// Sends in a random order.
    pub shuffle: bool,
    /// Fraction of instances that are never sent, 0 to 1.
    pub lose: f64,
    /// Fraction of instances that are sent twice, 0 to 1.
    pub duplicate: f64,
    /// Bytes per second of the link.
    pub bytes_per_sec: Option<u32>,
    /// Opens a new association after this many instances.
    pub per_association: Option<usize>,
    /// Cuts the connection in the middle of the n-th data set.
    pub cut_at: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Modality {
    pub address: SocketAddr,
    pub calling_ae: String,
    pub called_ae: String,
    pub manners: Manners,
}

/// The result of sending.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// DIMSE status of the last answer for each SOP instance UID.
    pub answers: BTreeMap<String, u16>,
    /// SOP instance UIDs whose presentation context the peer did not accept.
    pub not_accepted: Vec<String>,
    /// Bytes of the data sets that were answered.
    pub bytes: u64,
    pub elapsed: Duration,
}

impl Sent {
    /// Number of instances answered with success or a warning (Bxxx): the peer has stored them.
    pub fn acknowledged(&self) -> usize {
        self.answers.values().filter(|&&status| is_kept(status)).count()
    }

    pub fn refused(&self) -> usize {
        self.answers.len() - self.acknowledged()
    }
}

fn is_kept(status: u16) -> bool {
    status == SUCCESS || status & 0xF000 == 0xB000
}

/// Whether a scanner tries again: after 0xA7xx (out of resources) it does; after any other failure a repetition would
/// not help.
fn is_worth_a_retry(status: u16) -> bool {
    status & 0xFF00 == 0xA700
}

impl Modality {
    pub fn new(address: SocketAddr, calling_ae: &str, called_ae: &str) -> Self {
        Self { address, calling_ae: calling_ae.into(), called_ae: called_ae.into(), manners: Manners::default() }
    }

    #[must_use]
    pub fn with(mut self, manners: Manners) -> Self {
        self.manners = manners;
        self
    }

    /// Sends a C-ECHO on a separate association.
    ///
    /// # Errors
    /// When the peer cannot be reached, refuses, or answers anything but success.
    pub async fn echo(&self) -> Result<()> {
        let contexts = [(VERIFICATION.to_owned(), "1.2.840.10008.1.2".to_owned())];
        let mut association = self.associate(&contexts).await?;
        let context = association.presentation_contexts().first().context("no context accepted")?.id;
        association.send(&whole(context, PDataValueType::Command, Command::echo_request(1).to_bytes())).await?;
        let answer = receive_command(&mut association).await?;
        ensure!(answer.status() == Some(SUCCESS), "C-ECHO answered {:04X?}", answer.status());
        association.release().await?;
        Ok(())
    }

    /// Sends once, with the configured behaviour, and ends at the first broken association. Calls `on_answer` for each
    /// answer.
    ///
    /// # Errors
    /// When an association cannot be made or breaks; `on_answer` was called for the answers before.
    pub async fn send(&self, instances: &[Instance], mut on_answer: impl FnMut(&Instance, u16)) -> Result<Sent> {
        let begun = Instant::now();
        let mut sent = Sent::default();
        let order = self.order(instances.len());
        let mut count = 0;
        for batch in batches(&order, instances, self.manners.per_association) {
            let contexts = pairs(&batch);
            let mut association = self.associate(&contexts).await?;
            for instance in batch {
                count += 1;
                if !self.store(&mut association, instance, count, &mut sent, &mut on_answer).await? {
                    return Err(anyhow!("connection cut on purpose at instance {count}"));
                }
            }
            association.release().await?;
        }
        sent.elapsed = begun.elapsed();
        Ok(sent)
    }

    /// Sends, and sends again what was not acknowledged, until everything is acknowledged or refused for good.
    ///
    /// # Errors
    /// When the time is up.
    pub async fn send_until_acknowledged(
        &self,
        instances: &[Instance],
        within: Duration,
        mut on_answer: impl FnMut(&Instance, u16),
    ) -> Result<Sent> {
        let begun = Instant::now();
        let mut total = Sent::default();
        let mut pending: Vec<Instance> = instances.to_vec();
        let mut modality = self.clone();
        loop {
            let mut answers = BTreeMap::new();
            let result = modality
                .send(&pending, |instance, status| {
                    answers.insert(instance.sop_instance_uid.clone(), status);
                    on_answer(instance, status);
                })
                .await;
            total.answers.extend(answers);
            if let Ok(round) = &result {
                total.bytes += round.bytes;
                total.not_accepted.extend(round.not_accepted.clone());
            }
            pending.retain(|instance| {
                !total.not_accepted.contains(&instance.sop_instance_uid)
                    && total.answers.get(&instance.sop_instance_uid).is_none_or(|&status| is_worth_a_retry(status))
            });
            // Instances that were lost on purpose are not sent later.
            if pending.is_empty() || (result.is_ok() && self.manners.lose > 0.0) {
                total.elapsed = begun.elapsed();
                return Ok(total);
            }
            if begun.elapsed() > within {
                let cause = result.err().map(|e| format!(": {e:#}")).unwrap_or_default();
                bail!("{} of {} instances not acknowledged in time{cause}", pending.len(), instances.len());
            }
            modality.manners.seed = modality.manners.seed.wrapping_add(1);
            modality.manners.cut_at = None;
            sleep(REDIAL).await;
        }
    }

    /// Indices of the instances in the order of sending, with losses and duplicates.
    fn order(&self, count: usize) -> Vec<usize> {
        let mut random = SmallRng::seed_from_u64(self.manners.seed);
        let mut order = Vec::with_capacity(count);
        for index in 0..count {
            if random.random_bool(self.manners.lose) {
                continue;
            }
            order.push(index);
            if random.random_bool(self.manners.duplicate) {
                order.push(index);
            }
        }
        if self.manners.shuffle {
            order.shuffle(&mut random);
        }
        order
    }

    async fn associate(&self, contexts: &[(String, String)]) -> Result<Association> {
        let mut options =
            ClientAssociationOptions::new().calling_ae_title(&self.calling_ae).called_ae_title(&self.called_ae);
        for (abstract_syntax, transfer_syntax) in contexts {
            options = options.with_presentation_context(abstract_syntax.clone(), vec![transfer_syntax.clone()]);
        }
        let address = self.address.to_string();
        let mut association = timeout(PATIENCE, options.establish_with_async(&address)).await??;
        association.inner_stream().set_nodelay(true)?;
        Ok(association)
    }

    /// Sends one C-STORE. Returns false when the connection was cut on purpose.
    async fn store(
        &self,
        association: &mut Association,
        instance: &Instance,
        count: usize,
        sent: &mut Sent,
        on_answer: &mut impl FnMut(&Instance, u16),
    ) -> Result<bool> {
        let context = association
            .presentation_contexts()
            .iter()
            .find(|c| c.abstract_syntax == instance.sop_class_uid && c.transfer_syntax == instance.transfer_syntax_uid);
        let Some(context) = context.map(|c| c.id) else {
            sent.not_accepted.push(instance.sop_instance_uid.clone());
            return Ok(true);
        };
        let data_set = instance.data_set()?;
        #[expect(clippy::cast_possible_truncation, reason = "message ids wrap")]
        let message_id = (count % 65_535) as u16 + 1;
        let command = Command::store_request(message_id, &instance.sop_class_uid, &instance.sop_instance_uid);
        association.send(&whole(context, PDataValueType::Command, command.to_bytes())).await?;

        let cut = self.manners.cut_at == Some(count);
        let end = if cut { data_set.len() / 2 } else { data_set.len() };
        self.send_data(association, context, &data_set[..end], !cut).await?;
        if cut {
            return Ok(false);
        }

        let answer = receive_command(association).await?;
        ensure!(answer.message_id_responded_to() == Some(message_id), "answer to another message");
        let status = answer.status().context("answer without status")?;
        sent.answers.insert(instance.sop_instance_uid.clone(), status);
        sent.bytes += data_set.len() as u64;
        on_answer(instance, status);
        Ok(true)
    }

    async fn send_data(&self, association: &mut Association, context: u8, data: &[u8], ends: bool) -> Result<()> {
        let peer_takes = association.acceptor_max_pdu_length() as usize;
        let size = peer_takes.saturating_sub(FRAGMENT_OVERHEAD).clamp(1024, LARGEST_FRAGMENT);
        let last = data.len().div_ceil(size).max(1) - 1;
        for index in 0..=last {
            let fragment = &data[index * size..data.len().min((index + 1) * size)];
            let value = PDataValue {
                presentation_context_id: context,
                value_type: PDataValueType::Data,
                is_last: ends && index == last,
                data: fragment.to_vec(),
            };
            association.send(&Pdu::PData { data: vec![value] }).await?;
            if let Some(rate) = self.manners.bytes_per_sec {
                sleep(Duration::from_secs_f64(fragment.len() as f64 / f64::from(rate.max(1)))).await;
            }
        }
        Ok(())
    }
}

fn whole(context: u8, value_type: PDataValueType, data: Vec<u8>) -> Pdu {
    Pdu::PData { data: vec![PDataValue { presentation_context_id: context, value_type, is_last: true, data }] }
}

async fn receive_command(association: &mut Association) -> Result<Command> {
    let mut bytes = Vec::new();
    loop {
        match timeout(PATIENCE, association.receive()).await?? {
            Pdu::PData { data } => {
                for value in data {
                    ensure!(value.value_type == PDataValueType::Command, "data set where an answer was expected");
                    bytes.extend(value.data);
                    if value.is_last {
                        return Command::from_bytes(&bytes);
                    }
                }
            }
            other => bail!("{} instead of an answer", other.short_description()),
        }
    }
}

/// Distinct pairs of SOP class and transfer syntax. Each gets a presentation context, so that no instance has to be
/// converted.
fn pairs(batch: &[&Instance]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = batch.iter().map(|i| (i.sop_class_uid.clone(), i.transfer_syntax_uid.clone())).collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

/// Splits the order into associations, each with at most the allowed number of contexts and instances.
fn batches<'a>(order: &[usize], instances: &'a [Instance], limit: Option<usize>) -> Vec<Vec<&'a Instance>> {
    let mut batches: Vec<Vec<&Instance>> = Vec::new();
    let mut open: Vec<&Instance> = Vec::new();
    let mut contexts = std::collections::BTreeSet::new();
    for &index in order {
        let instance = &instances[index];
        let pair = (&instance.sop_class_uid, &instance.transfer_syntax_uid);
        let full = limit.is_some_and(|limit| open.len() >= limit)
            || (contexts.len() >= MOST_CONTEXTS && !contexts.contains(&pair));
        if full && !open.is_empty() {
            batches.push(std::mem::take(&mut open));
            contexts.clear();
        }
        contexts.insert(pair);
        open.push(instance);
    }
    if !open.is_empty() {
        batches.push(open);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(n: usize) -> Instance {
        Instance::claimed("1.2.3", &format!("1.2.3.{n}"), "1.2.840.10008.1.2", b"")
    }

    #[test]
    fn the_same_seed_gives_the_same_order() {
        let manners = Manners { seed: 7, shuffle: true, lose: 0.1, duplicate: 0.2, ..Manners::default() };
        let modality = Modality::new(([127, 0, 0, 1], 1).into(), "CT", "BOX").with(manners);
        assert_eq!(modality.order(50), modality.order(50));
        assert_ne!(modality.order(50), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn no_association_carries_more_than_its_limit() {
        let instances: Vec<_> = (0..10).map(instance).collect();
        let order: Vec<_> = (0..10).collect();
        let lengths: Vec<_> = batches(&order, &instances, Some(4)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [4, 4, 2]);
    }

    #[test]
    fn more_classes_than_contexts_take_a_second_association() {
        let many: Vec<_> =
            (0..130).map(|n| Instance::claimed(&format!("1.2.{n}"), "1.2.3", "1.2.840.10008.1.2", b"")).collect();
        let order: Vec<_> = (0..130).collect();
        assert_eq!(batches(&order, &many, None).len(), 2);
    }
}
