//! Turns a recording that has ended into a series and a job; from then on it is treated like any study.

use std::path::Path;
use std::sync::Arc;

use custody::event::Event;
use custody::series::SeriesKey;
use custody::store::{self, Durability, Store, events, jobs, now_utc, series};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use live::record::journal::{self, Begun, Story};
use rusqlite::TransactionBehavior;
use tokio::sync::{Notify, broadcast};

use super::step::{self, Rules};
use crate::PAUSES;
use crate::parts::StudyParts;

/// Queues jobs for recordings.
#[derive(Debug, Clone)]
pub struct HandOver {
    pub store: Store,
    pub events: broadcast::Sender<Event>,
    /// Notified when a job was queued.
    pub wake: Arc<Notify>,
    /// Of which exams a manager is told; `None`: of none.
    pub steps: Option<Rules>,
    /// Notified when it may have to be told something.
    pub steps_bell: Arc<Notify>,
}

impl From<&StudyParts> for HandOver {
    fn from(parts: &StudyParts) -> Self {
        let settings = &parts.settings;
        Self {
            store: parts.store.clone(),
            events: parts.events.clone(),
            wake: parts.wake.clone(),
            steps: Rules::of(&settings.mpps, &settings.device),
            steps_bell: parts.steps_bell.clone(),
        }
    }
}

impl live::record::HandOver for HandOver {
    fn named(&self) {
        self.steps_bell.notify_one();
    }

    /// Queues the recording unless it is queued already. A failure is logged once, and tried again until it succeeds or
    /// the daemon ends; then the next start does it.
    fn hand_over(&self, folder: &Path) {
        let Err(reason) = self.once(folder) else { return };
        tracing::error!(reason, "cannot queue a recorded exam; it will be tried again");
        let (again, folder) = (self.clone(), folder.to_owned());
        let retry = move || {
            let mut failures = 1;
            loop {
                std::thread::sleep(PAUSES.after(failures));
                if again.once(&folder).is_ok() {
                    return;
                }
                failures += 1;
            }
        };
        if let Err(error) = std::thread::Builder::new().name("hand-over".into()).spawn(retry) {
            tracing::error!(%error, "no thread for it: the next start queues the recorded exam");
        }
    }
}

impl HandOver {
    /// Queues the recordings that have ended and are not known any more, after the database was built again. Blocks.
    pub fn ended_again(&self, exams: &Path) {
        for folder in journal::left_over(exams) {
            // The one that is being recorded is handed over when it has ended; one that cannot be read, by the next start.
            if journal::story(&folder).is_ok_and(|story| story.is_some_and(|story| story.ended.is_some())) {
                live::record::HandOver::hand_over(self, &folder);
            }
        }
    }

    fn once(&self, folder: &Path) -> Result<(), String> {
        if let Some(row) = self.try_hand_over(folder)? {
            tracing::info!(series = %row.key.series_uid, "live: the recorded exam is queued");
            let _ = self.events.send(Event::series(&row));
            self.wake.notify_one();
            self.steps_bell.notify_one();
        }
        Ok(())
    }

    fn try_hand_over(&self, folder: &Path) -> Result<Option<series::SeriesRow>, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        let Some(story) = journal::story(folder).map_err(told)? else {
            // The daemon was killed before the first line of the journal was written, so nothing was recorded.
            let mut files = std::fs::read_dir(folder).map_err(told)?.flatten();
            if files.any(|file| file.path().extension().is_some_and(|extension| extension == "pic")) {
                tracing::error!("{}: whose exam it is cannot be read; its pictures are kept", folder.display());
                return Ok(None);
            }
            std::fs::remove_dir_all(folder).map_err(told)?;
            return Ok(None);
        };
        if story.ended.is_none() {
            journal::end(folder, &now_utc()).map_err(told)?;
            tracing::warn!("live: a restart ended an exam; its recording is kept");
        }
        let store = self.store.of_this_era();
        queue(&store, &story, self.steps.as_ref()).map_err(|error| {
            store.failed(&error);
            error.to_string()
        })
    }
}

/// Whose exam it is, for lists and pages: there is no image that says so.
fn header(story: &Story) -> Header {
    let Begun { study_uid, series_uid, patient, started_utc, .. } = &story.begun;
    // Of this place, as the objects of the exam have it.
    let day = hal::clock::local_date_of(started_utc).unwrap_or_default();
    Header {
        study_instance_uid: study_uid.clone(),
        series_instance_uid: series_uid.clone(),
        patient_id: patient.id.clone(),
        patient_name: patient.name.clone(),
        birth_date: patient.birth_date.clone(),
        accession_number: patient.accession_number.clone(),
        study_date: day,
        modality: "US".to_owned(),
        ..Header::default()
    }
}

fn queue(store: &Store, story: &Story, steps: Option<&Rules>) -> store::Result<Option<series::SeriesRow>> {
    let begun = &story.begun;
    let key = SeriesKey { study_uid: begun.study_uid.clone(), series_uid: begun.series_uid.clone() };
    let mut connection = store.connect(Durability::Full)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if series::find(&transaction, &key)?.is_some() {
        return Ok(None);
    }
    let now = now_utc();
    let (row, _) = series::opened(&transaction, &key, "US", SeriesKind::Exam, 0, &begun.started_utc)?;
    series::set_header(&transaction, row.id, &header(story))?;
    let version = series::completed(&transaction, row.id, "ended", &now)?;
    let job = jobs::enqueue(&transaction, row.id, version, &now)?;
    // The examiner is waiting for the result, and the job is short.
    jobs::make_urgent(&transaction, job)?;
    events::record(&transaction, &format!("series/{}", row.id), "exam ended", "")?;
    // If it is not known yet: with the job comes its end, and the recording may go.
    if let Some(rules) = steps {
        step::note_begun(&transaction, story, rules, &now)?;
    }
    let row = series::get(&transaction, row.id)?;
    transaction.commit()?;
    Ok(row)
}
