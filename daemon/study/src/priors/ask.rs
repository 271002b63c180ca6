//! The task that asks the archive for earlier studies: one question at a time, the oldest first, with growing pauses while the archive
//! is away. What is to be asked are rows, so neither a restart nor an archive that is away loses anything; a study whose time is over is
//! not asked for any more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody::level::Level;
use custody::series::SeriesKey;
use custody::store::priors::{self, Question, State};
use custody::store::{self, Store, instances};
use dicom::header::Header;
use hal::backoff::Backoff;
use hal::clock::Wall;
use node::Intake;
use node::retrieve::settings::PriorArchive;
use node::retrieve::{Answers, Brought, Error, Retrieval, RetrieveFault, query};
use node::send::Target;
use node::wanted::Wanted;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{MODALITY, NOT_NOW, pick, silent};

/// Rows are looked at this often even without a bell.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(5);

/// Of what is left of the disk, new studies keep all but this part.
const SHARE: u64 = 2;

/// While this box cannot fetch.
const LOOK_WHILE_NOT_NOW: Duration = Duration::from_secs(1);

/// What the task needs.
#[derive(Debug, Clone)]
pub struct Asker {
    pub store: Store,
    pub settings: PriorArchive,
    pub target: Target,
    /// Where what comes is kept, and who is told of it.
    pub intake: Intake,
    /// Rung when a study asks.
    pub bell: Arc<Notify>,
    pub wall: Wall,
}

/// What came of one question.
enum Came {
    /// Closed, with this reason; `bool`: a person should know.
    Closed(String, bool),
    Here(SeriesKey),
    /// Asked again while there is time.
    Again(String),
    /// This box cannot fetch now (it starts, its disk is short); the archive is not the reason.
    NotNow(String),
}

impl Asker {
    /// Runs until shutdown. An error of the database is waited out.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let since = Instant::now();
        let mut backoff = Backoff::new(self.settings.pauses());
        loop {
            let done = tokio::select! {
                done = self.round(&mut backoff, since) => done,
                // What is not answered is asked again after the restart, if there is time.
                () = shutdown.cancelled() => return Ok(()),
            };
            let wait = done.unwrap_or_else(|error| {
                self.store.failed(&error);
                warn!("earlier studies are not asked for: {error}");
                PAUSE
            });
            tokio::select! {
                _ = timeout(wait, self.bell.notified()) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Asks the oldest question. Returns how long nothing is to be done, unless the bell rings.
    async fn round(&self, backoff: &mut Backoff, since: Instant) -> store::Result<Duration> {
        let open = self
            .store
            .rows(|rows| {
                // The process may have ended in the middle.
                priors::nothing_is_fetched(rows)?;
                priors::open(rows)
            })
            .await?;
        let now = self.wall.now_utc();
        let Some(question) = open.into_iter().find(|question| question.state == State::Asking) else {
            return Ok(LOOK_AGAIN);
        };
        if question.until_utc <= now {
            let reason = silent(self.settings.budget_secs, &question.reason);
            self.close(&question, reason, true).await?;
            return Ok(Duration::ZERO);
        }
        if !backoff.is_due(since.elapsed()) {
            return Ok(backoff.pause().min(self.wall.until(&question.until_utc)).min(LOOK_AGAIN));
        }
        let key = question.key.clone();
        let kept = self.store.rows(move |rows| instances::of_series(rows, &key.study_uid, &key.series_uid)).await?;
        let Some(new) = kept.into_iter().next() else {
            self.close(&question, "no prior: the images of the study are gone".into(), false).await?;
            return Ok(Duration::ZERO);
        };
        match self.came(&question, &new.header).await? {
            Came::Closed(reason, trouble) => {
                backoff.succeeded();
                self.close(&question, reason, trouble).await?;
                Ok(Duration::ZERO)
            }
            Came::Here(prior) => {
                backoff.succeeded();
                let until = self.wall.utc_after(self.settings.reading());
                let study = question.key.study_uid.clone();
                self.store.written(move |rows| priors::here(rows, &study, &prior, &until)).await?;
                Ok(Duration::ZERO)
            }
            Came::NotNow(reason) => {
                let study = question.key.study_uid.clone();
                self.store.written(move |rows| priors::failed(rows, &study, &reason)).await?;
                Ok(LOOK_WHILE_NOT_NOW)
            }
            Came::Again(reason) => {
                warn!(attempts = question.attempts + 1, "an earlier study is asked for again: {reason}");
                let study = question.key.study_uid.clone();
                self.store.written(move |rows| priors::failed(rows, &study, &reason)).await?;
                Ok(backoff.failed(since.elapsed()).min(LOOK_AGAIN))
            }
        }
    }

    async fn came(&self, question: &Question, new: &Header) -> store::Result<Came> {
        if let Err(reason) = self.room() {
            return Ok(Came::NotNow(format!("{NOT_NOW}{reason}")));
        }
        let Some(asked) = query::Question::before(new, MODALITY, self.settings.years) else {
            return Ok(Came::Closed("no prior: nobody can be asked for by this patient ID".into(), false));
        };
        let patience = self.wall.until(&question.until_utc).min(self.settings.budget());
        let mut retrieval = match Retrieval::open(&self.target, self.settings.fetch, patience).await {
            Ok(retrieval) => retrieval,
            Err(error) => return Ok(failed(&error)),
        };
        let came = self.ask(&mut retrieval, &asked, new).await;
        retrieval.release().await;
        came
    }

    /// The newest study of the person of which a series can be compared, and is not here.
    async fn ask(&self, retrieval: &mut Retrieval<'_>, asked: &query::Question, new: &Header) -> store::Result<Came> {
        let answers = match retrieval.studies(asked).await {
            Ok(answers) => answers,
            Err(error) => return Ok(failed(&error)),
        };
        told(&answers);
        let (studies, others) = pick::studies(new, answers.items, self.settings.studies);
        for study in &studies {
            let uid = study.header.study_instance_uid.clone();
            let looked_up = uid.clone();
            if self.store.rows(move |rows| priors::was_here(rows, &looked_up)).await? {
                continue;
            }
            let all = match retrieval.series(&uid, MODALITY).await {
                Ok(all) => all,
                Err(error) => return Ok(failed(&error)),
            };
            told(&all);
            let Some(picked) = pick::series(&all.items, self.settings.max_images) else { continue };
            let declared = picked.header.number_of_series_related_instances.and_then(|n| usize::try_from(n).ok());
            let prior = SeriesKey { study_uid: uid, series_uid: picked.header.series_instance_uid.clone() };
            if let Some(came) = self.fetch(retrieval, prior, declared, new).await? {
                return Ok(came);
            }
        }
        Ok(Came::Closed(none(studies.len(), others), others > 0))
    }

    /// `None`: somebody sends it.
    async fn fetch(
        &self,
        retrieval: &mut Retrieval<'_>,
        prior: SeriesKey,
        declared: Option<usize>,
        new: &Header,
    ) -> store::Result<Option<Came>> {
        let (noted, now) = (prior.clone(), self.wall.now_utc());
        // Before the first image: what comes of it stays here even if the process ends now.
        let study = new.study_instance_uid.clone();
        if !self.store.written(move |rows| priors::fetching(rows, &study, &noted, &now)).await? {
            return Ok(None);
        }
        let wanted = Wanted::new(&prior.study_uid, &prior.series_uid, new, self.settings.max_images);
        let wanted = Arc::new(wanted.within(self.intake.spool.room_left().unwrap_or(0) / SHARE));
        let uids = (prior.study_uid.as_str(), prior.series_uid.as_str());
        let fetched = retrieval.fetch(&self.intake, uids, declared, &wanted).await;
        self.store.written(|rows| priors::nothing_is_fetched(rows)).await?;
        let brought = match fetched {
            Ok(brought) => brought,
            Err(error) => return Ok(Some(failed(&error))),
        };
        info!(
            images = brought.kept,
            by = brought.by,
            whole = brought.whole,
            of_another = brought.of_another,
            not_asked_for = brought.not_asked_for,
            strays = brought.strays,
            too_large = brought.too_large,
            "an earlier study was fetched: {}",
            brought.words
        );
        Ok(Some(judge(&brought, prior, self.settings.budget_secs)))
    }

    /// Why nothing is fetched now: what is left of the disk is for new studies.
    fn room(&self) -> Result<(), String> {
        let (level, reason) = self.intake.gate.get();
        if level >= Level::NoNewStudies {
            return Err(reason);
        }
        self.intake.spool.has_room().map_err(|error| error.to_string())
    }

    async fn close(&self, question: &Question, reason: String, trouble: bool) -> store::Result<()> {
        info!("the question for an earlier study is closed: {reason}");
        let (key, now) = (question.key.clone(), self.wall.now_utc());
        self.store.written(move |rows| priors::close(rows, &key, &reason, trouble, &now).map(|_| ())).await
    }
}

fn told(answers: &Answers) {
    for (reason, count) in &answers.left_out {
        warn!(count, "answers of the archive are left out: {reason}");
    }
}

fn failed(error: &Error) -> Came {
    match error.kind() {
        RetrieveFault::Away => Came::Again(error.to_string()),
        RetrieveFault::Refuses => Came::Closed(format!("no prior: {error}"), true),
    }
}

/// `looked_at`: studies of the person; `others`: of others, or perhaps of others, under the same ID. Pure.
fn none(looked_at: usize, others: usize) -> String {
    match (looked_at, others) {
        (0, 0) => "no prior: the archive has no earlier study of this person".into(),
        (0, others) => format!(
            "no prior: {others} earlier {} at the archive under this patient ID, and not surely of this person",
            if others == 1 { "study is" } else { "studies are" }
        ),
        (_, _) => "no prior: no earlier study at the archive can be compared".into(),
    }
}

/// What comes of what was fetched. Pure.
fn judge(brought: &Brought, prior: SeriesKey, budget_secs: u64) -> Came {
    if brought.of_another > 0 {
        let reason = "no prior: what the archive sent is not surely of this person; it was not kept";
        return Came::Closed(reason.into(), true);
    }
    if brought.not_asked_for > 0 {
        return Came::Closed(
            "no prior: the archive sent something else than was asked for; it was not kept".into(),
            true,
        );
    }
    let images = brought.kept;
    if brought.too_large {
        let reason =
            format!("no prior: it is larger than half of what is left of this box's disk ({images} images came)");
        return Came::Closed(reason, true);
    }
    if brought.whole {
        return Came::Here(prior);
    }
    if brought.late {
        let reason =
            format!("no prior: the archive did not send all of it within {budget_secs} s ({images} images came)");
        return Came::Closed(reason, true);
    }
    let strays = match brought.strays {
        0 => String::new(),
        strays => format!(", and {strays} of another series, which were not kept"),
    };
    Came::Again(format!("{} ({images} images came{strays})", brought.words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: nothing is compared with what is of another person or in part, and the box says so.
    #[test]
    fn only_what_is_whole_and_of_the_person_is_a_prior() {
        let whole = Brought {
            kept: 9,
            of_another: 0,
            not_asked_for: 0,
            strays: 0,
            too_large: false,
            whole: true,
            late: false,
            by: "C-GET",
            words: "all of it was sent (0000)".into(),
        };
        let prior = || SeriesKey { study_uid: "1".into(), series_uid: "1.1".into() };
        let judged = |brought: Brought| judge(&brought, prior(), 45);
        assert!(matches!(judged(whole.clone()), Came::Here(_)));
        let another = judged(Brought { of_another: 1, ..whole.clone() });
        assert!(matches!(another, Came::Closed(reason, true) if reason.contains("not surely of this person")));
        let else_where = judged(Brought { not_asked_for: 1, ..whole.clone() });
        assert!(matches!(else_where, Came::Closed(reason, true) if reason.contains("something else")));
        let late = judged(Brought { whole: false, late: true, ..whole.clone() });
        assert!(matches!(late, Came::Closed(reason, true) if reason.contains("45 s (9 images came)")));
        let large = judged(Brought { too_large: true, ..whole.clone() });
        assert!(matches!(large, Came::Closed(reason, true) if reason.contains("half of what is left")));
        let beside = judged(Brought { strays: 2, ..whole.clone() });
        assert!(matches!(beside, Came::Here(_)), "an old C-MOVE goes on beside it");
        let half = judged(Brought { whole: false, strays: 2, ..whole.clone() });
        assert!(matches!(half, Came::Again(reason) if reason.contains("2 of another series")));
        assert!(matches!(judged(Brought { whole: false, ..whole }), Came::Again(_)));
    }

    #[test]
    fn why_there_is_none_is_said_and_a_person_is_told_of_others_under_the_id() {
        assert!(none(0, 0).contains("no earlier study of this person"));
        assert!(none(0, 1).contains("1 earlier study is at the archive under"), "{}", none(0, 1));
        assert!(none(0, 2).contains("2 earlier studies"));
        assert!(none(3, 2).contains("can be compared"));
    }
}
