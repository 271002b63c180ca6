//! Whether an archive has an object: a question by QIDO-RS, or, where it has none, for the metadata of the object by WADO-RS. What
//! storage commitment is to DIMSE, as far as DICOMweb has it.

use super::Session;
use super::exchange::Answer;
use crate::outcome::Outcome;
use crate::outcome::http;
use crate::peer::Error;
use crate::web::reply;

/// One object, by its UIDs.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    pub study_uid: &'a str,
    pub series_uid: &'a str,
    pub sop_uid: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    There,
    /// It answers such questions, and does not have it, or not yet.
    Absent,
    /// It does not answer such questions, as far as is known.
    Unknown,
}

impl Session {
    /// Asks for one object. `answers`: the archive is known to answer; then its "not found" is an answer, too, and it is never
    /// `Unknown`.
    ///
    /// # Errors
    /// When the archive cannot be asked now, or refuses it, which says nothing of what it offers.
    pub async fn has(&mut self, object: &Object<'_>, answers: bool) -> Result<Presence, Error> {
        let Object { study_uid, series_uid, sop_uid } = object;
        let query = self.get(&format!("/studies/{study_uid}/instances?SOPInstanceUID={sop_uid}")).await?;
        let by_query = self.of_query(&query, sop_uid)?;
        if by_query != Presence::Unknown {
            return Ok(by_query);
        }
        let metadata =
            self.get(&format!("/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}/metadata")).await?;
        let refused = [&query, &metadata].into_iter().find(|answer| is_refusal(answer.code));
        match (self.of_metadata(&metadata, sop_uid, answers)?, refused) {
            (Presence::There, _) => Ok(Presence::There),
            (_, Some(refused)) => Err(self.refused(refused)),
            (Presence::Unknown, None) if answers || metadata.is_cut => Err(self.refused(&metadata)),
            (presence, None) => Ok(presence),
        }
    }

    fn of_query(&self, answer: &Answer, sop_uid: &str) -> Result<Presence, Error> {
        match (answer.code, reply::found(&answer.body)) {
            (204, _) => Ok(Presence::Absent),
            (200, Some(found)) => {
                Ok(if found.iter().any(|uid| uid == sop_uid) { Presence::There } else { Presence::Absent })
            }
            (200, None) if names(answer, sop_uid) => Ok(Presence::There),
            (code, _) if is_for_later(code) => Err(self.refused(answer)),
            _ => Ok(Presence::Unknown),
        }
    }

    fn of_metadata(&self, answer: &Answer, sop_uid: &str, answers: bool) -> Result<Presence, Error> {
        match (answer.code, reply::found(&answer.body)) {
            (200, Some(found)) if found.iter().any(|uid| uid == sop_uid) => Ok(Presence::There),
            (200, None) if names(answer, sop_uid) => Ok(Presence::There),
            // As long as it never found anything this may be a service that it does not have.
            (404 | 410, _) if answers => Ok(Presence::Absent),
            (code, _) if is_for_later(code) => Err(self.refused(answer)),
            _ => Ok(Presence::Unknown),
        }
    }
}

/// The first part of an answer that is too long to be read whole names the object: metadata of a segmentation are.
fn names(answer: &Answer, sop_uid: &str) -> bool {
    answer.is_cut && reply::is_named(&answer.body, sop_uid)
}

/// It wants another login or another place, whatever it offers.
pub(super) fn is_refusal(code: u16) -> bool {
    matches!(code, 300..=399 | 401 | 403 | 407)
}

/// The archive is not well now, or has too much to do.
fn is_for_later(code: u16) -> bool {
    code == 429 || (code >= 500 && code != 501 && http::of(code) != Outcome::GivenUp)
}
