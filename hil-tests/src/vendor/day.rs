//! One exam of a scanner, from the worklist to the report of storage commitment, in the order and manner of its habits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::habits::{Asks, Begins, Contexts, Habits, Images, Order as Sequence, Report, Step};
use super::images::{Made, Order, make};
use super::messages::{self, Asked};
use super::reports::{Ear, Told};
use super::{IMPLICIT, uid};
use crate::dimse::{COMMITMENT, Command, MPPS, SUCCESS, VERIFICATION, WORKLIST};
use crate::link::{Heard, Link, Proposal};

/// A scanner waits for so long for a report on the association of its question.
const REPORT_WITHIN: Duration = Duration::from_secs(60);
/// A minute of a scanner's day is this long here.
const MINUTE: f64 = 0.01;
/// Between two attempts to send.
const RETRY: Duration = Duration::from_millis(50);

/// Who is on the worklist for this scanner.
#[derive(Debug, Clone)]
pub struct Expected {
    pub patient_id: String,
    pub name: String,
    pub accession: String,
}

/// What is needed for a day.
#[derive(Debug)]
pub struct Day<'a> {
    pub habits: &'a Habits,
    pub called: &'a str,
    /// The box.
    pub to: SocketAddr,
    /// The box, perhaps by a line that is cut.
    pub images_to: SocketAddr,
    /// YYYYMMDD: yesterday, today, tomorrow.
    pub days: [String; 3],
    pub expected: Expected,
    /// Of the phantom.
    pub seed: u64,
    pub ear: &'a Ear,
}

/// What became of one attempt to send an image: the status, or none when the connection broke.
pub type Stored = BTreeMap<String, Vec<Option<u16>>>;

/// The day, as the scanner has it in its log.
#[derive(Debug, Default)]
pub struct Done {
    pub order: Order,
    /// Answers of the worklist.
    pub listed: usize,
    pub made: Vec<Made>,
    pub stored: Stored,
    /// Associations with images.
    pub associations: usize,
    /// Rounds of sending after the first one: by itself, by a person.
    pub again: (u32, u32),
    /// SOP Instance UID of the step.
    pub step: Option<String>,
    /// The N-SETs, the last one included.
    pub sets: usize,
    /// Transaction UID, what was asked for, and the report.
    pub commitments: Vec<(String, BTreeSet<String>, Told)>,
}

impl Day<'_> {
    /// # Errors
    /// When the box does not do what a scanner needs: the day stops there.
    pub async fn run(&self) -> Result<Done> {
        let mut done = Done::default();
        self.echo(Step::Worklist).await?;
        done.order = self.worklist(&mut done.listed).await.context("worklist")?;
        let (habits, order, seed) = (self.habits.clone(), done.order.clone(), self.seed);
        done.made = tokio::task::spawn_blocking(move || make(&habits, &order, seed)).await??;
        self.arrange(&mut done.made);

        let begins = self.habits.mpps.as_ref().map(|mpps| mpps.begins);
        if begins == Some(Begins::BeforeImages) {
            self.begin(&mut done).await.context("MPPS")?;
        }
        self.echo(Step::Images).await?;
        self.images(&mut done).await.context("images")?;
        if begins.is_some() && done.step.is_none() {
            self.begin(&mut done).await.context("MPPS")?;
        }
        self.end(&mut done).await.context("MPPS")?;
        self.echo(Step::Commitment).await?;
        self.commitment(&mut done).await.context("storage commitment")?;
        Ok(done)
    }

    /// What surrounds images that another program sends: the step begins, `images` are sent, the step ends with all of `made`, and their
    /// storage commitment is reported.
    ///
    /// # Errors
    /// Those of `images`, and when the box does not do what a scanner needs.
    pub async fn around(
        &self,
        order: Order,
        made: Vec<Made>,
        images: impl Future<Output = Result<()>>,
    ) -> Result<Done> {
        let mut done = Done { order, made, ..Done::default() };
        self.begin(&mut done).await.context("MPPS")?;
        images.await?;
        self.end(&mut done).await.context("MPPS")?;
        let made = done.made.clone();
        self.commit(&made, &mut done).await.context("storage commitment")?;
        Ok(done)
    }

    fn modality(&self) -> &'static str {
        match self.habits.images {
            Images::Chest { .. } => "CT",
            Images::Mammograms { .. } => "MG",
            Images::Ultrasound { .. } => "US",
        }
    }

    fn proposal(&self, contexts: Vec<(String, Vec<String>)>) -> Proposal {
        let node = &self.habits.node;
        Proposal {
            calling: node.ae_title.clone(),
            called: self.called.to_owned(),
            implementation_class_uid: node.implementation_class_uid.clone(),
            implementation_version_name: node.implementation_version_name.clone(),
            max_pdu: node.max_pdu,
            contexts,
            roles: Vec::new(),
        }
    }

    async fn open(&self, class: &str, syntaxes: &[String]) -> Result<(Link, u8, bool)> {
        self.open_as(self.proposal(vec![(class.to_owned(), syntaxes.to_vec())]), class).await
    }

    /// The link, its context, and whether it is explicit VR.
    async fn open_as(&self, proposal: Proposal, class: &str) -> Result<(Link, u8, bool)> {
        let link = Link::request(self.to, &proposal).await?;
        let context = link.context(class, &[]).with_context(|| format!("{class} was not accepted"))?;
        let (id, explicit) = (context.id, context.syntax != IMPLICIT);
        Ok((link, id, explicit))
    }

    async fn echo(&self, before: Step) -> Result<()> {
        if !self.habits.echo_before.contains(&before) {
            return Ok(());
        }
        let (mut link, context, _) = self.open(VERIFICATION, &[IMPLICIT.to_owned()]).await?;
        let id = link.take_id();
        let answer = link.ask(context, &Command::echo_request(id), None).await?;
        ensure!(answer.command.status() == Some(SUCCESS), "C-ECHO before {before:?}: {:04x?}", answer.command.status());
        link.release().await
    }

    /// The order of the patient who is expected; without a worklist a person enters it.
    async fn worklist(&self, listed: &mut usize) -> Result<Order> {
        let Some(query) = &self.habits.worklist else {
            return Ok(Order {
                character_set: "ISO_IR 192".to_owned(),
                name: self.expected.name.clone().into_bytes(),
                patient_id: self.expected.patient_id.clone().into_bytes(),
                accession: self.expected.accession.clone().into_bytes(),
                study: uid(&format!("{}/{}", self.habits.node.ae_title, self.expected.accession)),
                ..Order::default()
            });
        };
        let (mut link, context, explicit) = self.open(WORKLIST, &query.syntaxes).await?;
        let asked = Asked {
            modality: self.modality(),
            station: &self.habits.node.ae_title,
            days: [0, 1, 2].map(|index| self.days[index].as_str()),
            patient_id: &self.expected.patient_id,
            accession: &self.expected.accession,
            name: &self.expected.name,
        };
        let data = messages::question(query, &asked, explicit);
        let id = link.take_id();
        link.put(context, &Command::find_request(id, WORKLIST), Some(&data), None).await?;
        let mut orders = Vec::new();
        loop {
            let answer = link.answer(id).await?;
            match answer.command.status() {
                Some(0xff00 | 0xff01) => orders.push(messages::order(&answer.data, explicit)),
                Some(SUCCESS) => break,
                other => bail!("C-FIND answered {other:04x?}"),
            }
        }
        link.release().await?;
        *listed = orders.len();
        let mine = orders.into_iter().find(|order| order.patient_id == self.expected.patient_id.as_bytes());
        mine.with_context(|| format!("{} is not on the worklist", self.expected.patient_id))
    }

    fn arrange(&self, made: &mut Vec<Made>) {
        match self.habits.storage.order {
            Sequence::Ascending => {}
            Sequence::Descending => made.reverse(),
            Sequence::Interleaved => {
                let mut of_series: BTreeMap<String, std::collections::VecDeque<Made>> = BTreeMap::new();
                for one in made.drain(..) {
                    of_series.entry(one.series.clone()).or_default().push_back(one);
                }
                while of_series.values().any(|left| !left.is_empty()) {
                    made.extend(of_series.values_mut().filter_map(std::collections::VecDeque::pop_front));
                }
            }
        }
    }

    /// Sends until everything is stored: by itself as often as its habits say, and once more by a person.
    async fn images(&self, done: &mut Done) -> Result<()> {
        let retry = &self.habits.storage.retry;
        for round in 0..=retry.times + 1 {
            let left: Vec<Made> = done.made.iter().filter(|one| !is_stored(&done.stored, one)).cloned().collect();
            if left.is_empty() {
                return Ok(());
            }
            let by_person = round == retry.times + 1;
            if round > 0 {
                *(if by_person { &mut done.again.1 } else { &mut done.again.0 }) += 1;
                sleep(RETRY).await;
            }
            let sends = if round > 0 && (retry.whole_study || by_person) { done.made.clone() } else { left };
            for (number, batch) in self.batches(&sends).into_iter().enumerate() {
                if number > 0 {
                    sleep(Duration::from_secs_f64(self.habits.storage.pause_secs / 60.0 * MINUTE)).await;
                }
                let sent = self.send(&batch, &mut done.stored).await;
                done.associations += 1;
                let begins = self.habits.mpps.as_ref().map(|mpps| mpps.begins);
                if begins == Some(Begins::WithImages) && done.step.is_none() {
                    self.begin(done).await.context("MPPS")?;
                }
                match sent {
                    Ok(()) => self.commit_association(&batch, done).await?,
                    // Its next attempt begins with what is left.
                    Err(_) => break,
                }
            }
        }
        let left = done.made.iter().filter(|one| !is_stored(&done.stored, one)).count();
        ensure!(left == 0, "{left} images are not stored");
        Ok(())
    }

    fn batches(&self, sends: &[Made]) -> Vec<Vec<Made>> {
        let storage = &self.habits.storage;
        let mut batches: Vec<Vec<Made>> = Vec::new();
        for one in sends {
            let fits = batches.last().is_some_and(|open| {
                let same = !storage.series_apart || open.first().is_some_and(|first| first.series == one.series);
                same && storage.per_association.is_none_or(|most| open.len() < most)
            });
            match batches.last_mut() {
                Some(open) if fits => open.push(one.clone()),
                _ => batches.push(vec![one.clone()]),
            }
        }
        batches
    }

    /// One association with images.
    async fn send(&self, batch: &[Made], stored: &mut Stored) -> Result<()> {
        let storage = &self.habits.storage;
        let mut classes: Vec<&String> = batch.iter().map(|one| &one.instance.sop_class_uid).collect();
        classes.extend(&storage.more_classes);
        classes.sort();
        classes.dedup();
        let all = || storage.syntaxes.clone();
        let contexts = classes.into_iter().flat_map(|class| match storage.contexts {
            Contexts::OnePerSyntax => storage.syntaxes.iter().map(|one| (class.clone(), vec![one.clone()])).collect(),
            Contexts::OnePerClass => vec![(class.clone(), all())],
            Contexts::Twice => vec![(class.clone(), all()), (class.clone(), all())],
        });
        let mut link = Link::request(self.images_to, &self.proposal(contexts.collect())).await?;
        if let Some(bytes) = self.habits.node.fragment_bytes {
            link.fragments_of(bytes);
        }
        for (number, one) in batch.iter().enumerate() {
            let instance = &one.instance;
            let fit = |context: &&crate::link::Context| {
                context.class == instance.sop_class_uid && context.syntax == instance.transfer_syntax_uid
            };
            let fits: Vec<u8> = link.contexts.iter().filter(fit).map(|context| context.id).collect();
            // With several contexts of one class one after the other is used.
            let context = *fits.get(number % fits.len().max(1)).with_context(|| {
                format!("{} in {} was not accepted", instance.sop_class_uid, instance.transfer_syntax_uid)
            })?;
            let id = link.take_id();
            let command = Command::store_request(id, &instance.sop_class_uid, &instance.sop_instance_uid);
            let answer = link.ask(context, &command, Some(&instance.data_set()?)).await;
            let status = answer.as_ref().ok().and_then(|answer| answer.command.status());
            stored.entry(instance.sop_instance_uid.clone()).or_default().push(status);
            answer?;
        }
        link.release().await
    }

    async fn begin(&self, done: &mut Done) -> Result<()> {
        let Some(mpps) = &self.habits.mpps else { return Ok(()) };
        self.echo(Step::Mpps).await?;
        let (mut link, context, explicit) = self.open(MPPS, &mpps.syntaxes).await?;
        let station = &self.habits.node.ae_title;
        let data = messages::begun(mpps, &done.order, self.modality(), station, &self.days[1], explicit);
        let own = uid(&format!("step/{station}/{}", done.order.study));
        let id = link.take_id();
        let command = Command::create_request(id, MPPS, (!mpps.uid_from_peer).then_some(own.as_str()));
        let answer = link.ask(context, &command, Some(&data)).await?;
        ensure!(answer.command.status() == Some(SUCCESS), "N-CREATE answered {:04x?}", answer.command.status());
        let given = answer.command.sop_instance().unwrap_or_default();
        ensure!(mpps.uid_from_peer || given == own, "N-CREATE answered with the instance {given:?}");
        ensure!(!given.is_empty(), "N-CREATE answered without an instance");
        done.step = Some(given);
        link.release().await
    }

    async fn end(&self, done: &mut Done) -> Result<()> {
        let (Some(mpps), Some(step)) = (&self.habits.mpps, done.step.clone()) else { return Ok(()) };
        let mut series: Vec<(&str, Vec<&Made>)> = Vec::new();
        for one in &done.made {
            match series.iter_mut().find(|(uid, _)| *uid == one.series) {
                Some((_, made)) => made.push(one),
                None => series.push((&one.series, vec![one])),
            }
        }
        let mut messages = Vec::new();
        if mpps.tells_each_series {
            messages.extend((1..=series.len()).map(|count| (count, None)));
        }
        messages.push((series.len(), Some(mpps.ends)));
        for (count, ends) in messages {
            let (mut link, context, explicit) = self.open(MPPS, &mpps.syntaxes).await?;
            let data = messages::changed(&series[..count], ends, &self.days[1], explicit);
            let id = link.take_id();
            let answer = link.ask(context, &Command::set_request(id, MPPS, &step), Some(&data)).await?;
            ensure!(answer.command.status() == Some(SUCCESS), "N-SET answered {:04x?}", answer.command.status());
            done.sets += 1;
            link.release().await?;
        }
        Ok(())
    }

    /// For a scanner that asks after each association.
    async fn commit_association(&self, batch: &[Made], done: &mut Done) -> Result<()> {
        match &self.habits.commitment {
            Some(commitment) if commitment.asks == Asks::AfterAssociation => self.commit(batch, done).await,
            _ => Ok(()),
        }
    }

    async fn commitment(&self, done: &mut Done) -> Result<()> {
        let Some(commitment) = &self.habits.commitment else { return Ok(()) };
        let made = done.made.clone();
        match commitment.asks {
            Asks::AfterAssociation => Ok(()),
            Asks::AfterStudy => self.commit(&made, done).await,
            Asks::AfterSeries => {
                let series: BTreeSet<_> = made.iter().map(|one| one.series.clone()).collect();
                for uid in series {
                    let of_it: Vec<_> = made.iter().filter(|one| one.series == uid).cloned().collect();
                    self.commit(&of_it, done).await?;
                }
                Ok(())
            }
        }
    }

    /// One transaction: the question, and the report.
    async fn commit(&self, made: &[Made], done: &mut Done) -> Result<()> {
        let Some(commitment) = &self.habits.commitment else { return Ok(()) };
        let number = done.commitments.len();
        let transaction = uid(&format!("commitment/{}/{}/{number}", self.habits.node.ae_title, done.order.study));
        let items: Vec<_> = made
            .iter()
            .map(|one| (one.instance.sop_class_uid.clone(), one.instance.sop_instance_uid.clone()))
            .collect();
        let mut proposal = self.proposal(vec![(COMMITMENT.to_owned(), commitment.syntaxes.clone())]);
        if commitment.role_item {
            proposal.roles.push((COMMITMENT.to_owned(), true, false));
        }
        let (mut link, context, explicit) = self.open_as(proposal, COMMITMENT).await?;
        let data = messages::commitment(&transaction, &items, &[], explicit);
        let id = link.take_id();
        let answer = link.ask(context, &Command::action_request(id), Some(&data)).await?;
        ensure!(answer.command.status() == Some(SUCCESS), "N-ACTION answered {:04x?}", answer.command.status());
        let told = match commitment.report {
            Report::OnItsPort => {
                link.release().await?;
                self.ear.wait_for(&transaction, REPORT_WITHIN).await?
            }
            Report::SameAssociation => {
                let told = report_on(&mut link, Instant::now() + REPORT_WITHIN).await?;
                link.release().await?;
                told
            }
        };
        done.commitments.push((transaction, items.into_iter().map(|(_, uid)| uid).collect(), told));
        Ok(())
    }
}

/// The next report on this association.
async fn report_on(link: &mut Link, end: Instant) -> Result<Told> {
    loop {
        match link.next_until(end).await?.context("no report in time")? {
            Heard::Message(message) => {
                if let Some(told) = Told::of(link, &message) {
                    link.respond(&message, SUCCESS).await?;
                    return Ok(told);
                }
            }
            Heard::Release | Heard::Gone => bail!("the box ended the association without a report"),
        }
    }
}

fn is_stored(stored: &Stored, one: &Made) -> bool {
    let answers = stored.get(&one.instance.sop_instance_uid);
    answers.is_some_and(|answers| answers.contains(&Some(SUCCESS)))
}
