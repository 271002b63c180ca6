//! The mammography in a study, for the page on which it is read: how it hangs, what was marked, the one before; and the lesions of
//! its person over the years.

use std::collections::BTreeSet;

use custody::instance::Instance;
use custody::store::members::MemberRow;
use custody::store::{conflicts, instances, jobs, members, results, series};
use dicom::header::Header;
use dicom::kind::SeriesKind;
use dicom::patient::{is_placeholder_id, persons};
use models::lesion::book::Seen;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::Value;
use study::analyze::task::StudyTask;
use study::lesions::is_same_person;
use study::lesions::listed::{self as book, Shown};
use study::lesions::visit::person_of;
use study::priors::here;

use super::Error;
use super::hanging::{Hanging, hang};
use super::listed::{ResultRow, item_of};

/// Earlier mammographies that are told of, at most; the newest.
const MOST_PRIORS: usize = 12;

#[derive(Debug, Serialize)]
pub struct Breast {
    pub hanging: Hanging,
    /// A series of the study, under which a review of its marks is signed.
    pub series_uid: String,
    pub verdict: Option<String>,
    /// Its content was replaced since it was last analysed: nothing of that is told.
    pub outdated: bool,
    /// What was marked (`models::review::marks::Marked`), also in a version that is in work; none where nothing was looked for.
    pub marked: Option<Value>,
    /// Of the same job.
    pub results: Vec<ResultRow>,
    /// Earlier mammographies of the same person, newest first; none where the study is of several persons.
    pub priors: Vec<Prior>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prior {
    pub study_uid: String,
    /// DA.
    pub study_date: String,
    pub description: String,
}

#[derive(Debug, Serialize)]
pub struct Lesions {
    pub lesions: Vec<Shown>,
    /// What nobody has decided about.
    pub undecided: Vec<Seen>,
    pub rule: &'static str,
}

pub fn breast(connection: &Connection, study_uid: &str) -> Result<Breast, Error> {
    let (mut images, mut here) = (Vec::new(), BTreeSet::new());
    let mut rows = series::of_study(connection, study_uid)?;
    rows.retain(|row| row.kind == SeriesKind::Mammography);
    for row in &rows {
        here.extend(instances::ids_of_series(connection, study_uid, &row.key.series_uid)?);
        images.extend(instances::ever_of_series(connection, study_uid, &row.key.series_uid)?);
    }
    let first = rows.first().ok_or(Error::NotFound)?;
    images.sort_by_key(|image| image.id);
    images.retain(|image| image.header.pixel_data.is_some());
    let is_here = |image: &&Instance| here.contains(&image.id);
    // They would hang side by side under one name.
    one_person(images.iter().filter(is_here).map(|image| &image.header))?;
    let task = StudyTask::MammographyViews.name();
    let newest = jobs::newest_done_of_task(connection, study_uid, task)?;
    let outdated = newest.map(|job| conflicts::is_outdated(connection, job)).transpose()?.unwrap_or(false);
    let done = newest.filter(|_| !outdated);
    let marked = done.map(|job| jobs::marks(connection, job)).transpose()?.flatten();
    let made = done.map(|job| results::of_job(connection, job)).transpose()?.unwrap_or_default();
    let anchor = done.map(|job| members::of_job(connection, job)).transpose()?.unwrap_or_default();
    let is_anchor = |id: i64| anchor.first().is_some_and(|MemberRow { series_id, .. }| *series_id == id);
    let signed = rows.iter().find(|row| is_anchor(row.id)).unwrap_or(first);
    let item = item_of(connection, study_uid)?;
    Ok(Breast {
        outdated,
        hanging: hang(&images, &here),
        series_uid: signed.key.series_uid.clone(),
        verdict: signed.verdict.clone(),
        marked: marked.and_then(|json| serde_json::from_str(&json).ok()),
        results: made.into_iter().map(|row| ResultRow { id: row.id, kind: row.kind }).collect(),
        priors: if item.patients > 1 { Vec::new() } else { priors(connection, &item.header)? },
    })
}

/// # Errors
/// `SeveralPatients` when the headers are of more than one person.
pub(super) fn one_person<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Result<(), Error> {
    match persons(headers).len() {
        0 | 1 => Ok(()),
        patients => Err(Error::SeveralPatients(patients)),
    }
}

fn priors(connection: &Connection, header: &Header) -> Result<Vec<Prior>, Error> {
    let found = here::mammographies(connection, header)?.unwrap_or_default();
    let prior = |(study_uid, header): (String, Header)| Prior {
        study_uid,
        study_date: header.study_date,
        description: header.study_description,
    };
    Ok(found.into_iter().take(MOST_PRIORS).map(prior).collect())
}

pub fn lesions(connection: &Connection, study_uid: &str) -> Result<Lesions, Error> {
    let item = item_of(connection, study_uid)?;
    let mut told = Lesions { lesions: Vec::new(), undecided: Vec::new(), rule: models::lesion::change::RULE };
    if item.patients > 1 || is_placeholder_id(&item.header.patient_id) {
        return Ok(told);
    }
    let person = person_of(&item.header);
    let listing = book::list(connection, Some(&person.id), 0)?;
    for one in listing.lesions.iter().filter(|one| is_same_person(&one.person, &person)) {
        told.lesions.extend(book::show(connection, one.id)?);
    }
    let is_own = |seen: &Seen| is_same_person(&seen.sighting.person, &person);
    told.undecided = listing.undecided.into_iter().filter(is_own).collect();
    Ok(told)
}
