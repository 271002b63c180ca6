//! Asks an archive for earlier studies of a person and fetches one series, as SCU of C-FIND, C-GET and C-MOVE (Query/Retrieve, Study
//! Root, PS3.4 annex C), all over one association. Which study and series is wanted is decided by whoever calls; what is kept, by
//! `wanted`.

pub mod query;
pub mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custody::instance::Origin;
use dicom::scan::{self, Answer};
use dicom_dictionary_std::uids;

use self::query::Question;
use self::settings::Fetch;
use crate::association::Timers;
use crate::negotiate::Role;
use crate::open::{Limit, Proposed};
use crate::send::{self, Association, Fetched, Next, Sink, Target};
use crate::status::{SUCCESS, Words, in_words};
use crate::wanted::{Arrived, Wanted};
use crate::{Arrival, Intake, STUDY_FIND, STUDY_GET, STUDY_MOVE};

/// At most this many answers to one question are taken.
const MOST_ANSWERS: usize = 500;
/// Bytes of one answer.
const MOST_BYTES: usize = 64 << 10;

/// What may come by C-GET: the classes that a comparison can read.
pub const FETCHED: [(&str, &str); 2] =
    [(uids::CT_IMAGE_STORAGE, "CT Image"), (uids::ENHANCED_CT_IMAGE_STORAGE, "Enhanced CT Image")];

/// In which encodings, best first: those that this box decodes.
const ENCODINGS: [&str; 10] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::JPEG_LOSSLESS_SV1,
    "1.2.840.10008.1.2.4.57",
    uids::JPEGLS_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::RLE_LOSSLESS,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.2",
];

/// What an archive must offer.
pub const OFFERED: [(&str, &str); 1] = [(STUDY_FIND, "Study Root Query/Retrieve - FIND")];

/// PS3.4 tables C.4-1, C.4-2 and C.4-3, PS3.7 sections 9.1.2 to 9.1.4. The first row that holds the status counts.
const STATUSES: &Words = &[
    (0x0000..=0x0000, "all of it was sent"),
    (0xff00..=0xff00, "more follows"),
    (0xff01..=0xff01, "more follows, although the archive does not know some of the keys"),
    (0xfe00..=0xfe00, "the archive has stopped before the end"),
    (0xa801..=0xa801, "the archive does not know our AE title as a destination of C-MOVE"),
    (0xa700..=0xa7ff, "the archive is out of resources"),
    (0xa900..=0xa9ff, "the archive finds that the question does not match its model"),
    (0xb000..=0xb000, "the archive could not send some of it"),
    (0xc000..=0xcfff, "the archive is unable to process it"),
    (0x0122..=0x0122, "the archive does not offer it"),
    (0x0124..=0x0124, "the archive does not allow it"),
];

/// What this status means, in plain words.
fn words(status: u16) -> String {
    in_words(STATUSES, "the archive", status)
}

/// Why an archive does not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", words(*.status))]
    Refused { status: u16 },
    #[error("{0}")]
    Peer(send::Error),
    #[error(
        "the archive sends by C-MOVE only, and does not know {title} as a destination: enter {title} with this box's address and \
         DICOM port there"
    )]
    DestinationUnknown { title: String },
    #[error("the archive takes neither C-GET nor C-MOVE from us: allow {title} one of them there")]
    NoWay { title: String },
}

/// The kinds of error that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrieveFault {
    /// It may pass: the archive is away or busy.
    Away,
    /// Until somebody changes something, at either side.
    Refuses,
}

impl Error {
    pub fn kind(&self) -> RetrieveFault {
        match self {
            Self::Peer(send::Error::Rejected(_) | send::Error::NotAccepted { .. } | send::Error::Tls { .. })
            | Self::DestinationUnknown { .. }
            | Self::NoWay { .. } => RetrieveFault::Refuses,
            Self::Refused { status: 0xa700..=0xa7ff | 0xfe00 } | Self::Peer(_) => RetrieveFault::Away,
            Self::Refused { .. } => RetrieveFault::Refuses,
        }
    }
}

impl From<send::Error> for Error {
    fn from(error: send::Error) -> Self {
        match error {
            // Without what the archive has written, which may name patients.
            send::Error::Refused { status, .. } => Self::Refused { status },
            error => Self::Peer(error),
        }
    }
}

/// What an archive has answered to one question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub items: Vec<Answer>,
    /// How many answers were left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    count: usize,
}

impl Answers {
    fn take(
        &mut self,
        identifier: Option<&[u8]>,
        syntax: &str,
        fits: impl Fn(&Answer) -> Result<(), &'static str>,
    ) -> Next {
        self.count += 1;
        if self.count > MOST_ANSWERS {
            *self.left_out.entry("everything after the first 500 answers").or_default() += 1;
            return Next::Enough;
        }
        let read = identifier
            .ok_or("answers larger than 64 KiB")
            .and_then(|bytes| scan::answer_of_data_set(bytes, syntax).map_err(|_| "answers that are damaged"));
        match read.and_then(|item| fits(&item).map(|()| item)) {
            Ok(item) => self.items.push(item),
            Err(reason) => *self.left_out.entry(reason).or_default() += 1,
        }
        Next::More
    }
}

/// What came of fetching a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    pub kept: usize,
    /// Objects of another person, which were not kept.
    pub of_another: usize,
    /// Objects that were not asked for, which were not kept.
    pub not_asked_for: usize,
    /// Objects of another series that came by C-MOVE, perhaps because of an older one; they were not kept.
    pub strays: usize,
    /// The series has more bytes than are taken.
    pub too_large: bool,
    /// Everything that the archive has of the series is here, as far as it says.
    pub whole: bool,
    /// The time was over before that.
    pub late: bool,
    /// `C-GET` or `C-MOVE`.
    pub by: &'static str,
    /// How it ended, in plain words.
    pub words: String,
}

/// Associations that we open for C-GET are counted from here: those of the listener never come so far.
static NUMBERS: AtomicU64 = AtomicU64::new(1 << 40);

/// An association with an archive.
#[derive(Debug)]
pub struct Retrieval<'a> {
    association: Association,
    target: &'a Target,
    limit: Limit<'a>,
    can_get: bool,
    can_move: bool,
}

impl<'a> Retrieval<'a> {
    /// All that is done over it takes `patience` at most.
    ///
    /// # Errors
    /// When there is no association on which the archive can be asked.
    pub async fn open(target: &'a Target, fetch: Fetch, patience: Duration) -> Result<Self, Error> {
        let limit = Limit::of(target, patience);
        // The limit is what ends it.
        let timers = Timers { stall: patience * 2, idle: patience * 2 };
        let opened = limit.open(target, proposed(fetch), timers).await?;
        let may_store = |class: &str| opened.roles.iter().any(|(of, role)| of == class && role.scp);
        let stores = FETCHED.iter().any(|(class, _)| may_store(class));
        let association = Association::on(opened);
        if let Some(error) = association.refuses(STUDY_FIND) {
            association.release().await;
            return Err(error.into());
        }
        let can_get = stores && association.offers(STUDY_GET) && association.offers(uids::CT_IMAGE_STORAGE);
        let can_move = association.offers(STUDY_MOVE);
        Ok(Self { association, target, limit, can_get, can_move })
    }

    /// The studies that fit the question.
    ///
    /// # Errors
    /// When not all answers could be had.
    pub async fn studies(&mut self, question: &Question) -> Result<Answers, Error> {
        let mut answers = Answers::default();
        let take =
            |bytes: Option<&[u8]>, syntax: &str| answers.take(bytes, syntax, |answer: &Answer| question.fits(answer));
        self.association.find(STUDY_FIND, |syntax| question.identifier(syntax), MOST_BYTES, self.limit, take).await?;
        Ok(answers)
    }

    /// The series of a study.
    ///
    /// # Errors
    /// When not all answers could be had.
    pub async fn series(&mut self, study_uid: &str, modality: &str) -> Result<Answers, Error> {
        let mut answers = Answers::default();
        let fits = |answer: &Answer| query::series_fits(answer, study_uid, modality);
        let take = |bytes: Option<&[u8]>, syntax: &str| answers.take(bytes, syntax, fits);
        let identifier = |syntax| query::series_identifier(study_uid, modality, syntax);
        self.association.find(STUDY_FIND, identifier, MOST_BYTES, self.limit, take).await?;
        Ok(answers)
    }

    /// Fetches one series: by C-GET where the archive takes it and does it, else by C-MOVE. `declared`: how many images the archive
    /// says that it has.
    ///
    /// # Errors
    /// When nothing came; with anything that came the answer says how it ended.
    pub async fn fetch(
        &mut self,
        intake: &Intake,
        (study_uid, series_uid): (&str, &str),
        declared: Option<usize>,
        wanted: &Arc<Wanted>,
    ) -> Result<Brought, Error> {
        let title = || self.target.calling_ae.trim().to_owned();
        if !self.can_get && !self.can_move {
            return Err(Error::NoWay { title: title() });
        }
        if self.can_get {
            let got = self.get(intake, (study_uid, series_uid), wanted).await;
            let came = wanted.arrived();
            let nothing = came.kept.is_empty() && came.of_another + came.not_asked_for == 0 && !came.too_large;
            // Some answer success and send nothing.
            let refuses = matches!(&got, Ok(Fetched { status: Some(_), late: false, .. }));
            let moves = nothing && refuses && self.can_move && !self.association.is_over();
            if !moves {
                return brought("C-GET", got, declared, wanted);
            }
            tracing::info!("the archive does not send by C-GET: it is asked by C-MOVE");
        }
        let title = title();
        let identifier = |syntax| query::fetch_identifier(study_uid, series_uid, syntax);
        let _turn = intake.services.awaited.turn().await;
        let _waiting = intake.services.awaited.begin(&self.target.called_ae, &title, wanted);
        let moved = self.association.move_to(STUDY_MOVE, &title, identifier, wanted, self.limit).await;
        if matches!(&moved, Ok(Fetched { status: Some(0xa801), .. })) {
            return Err(Error::DestinationUnknown { title });
        }
        brought("C-MOVE", moved, declared, wanted)
    }

    async fn get(
        &mut self,
        intake: &Intake,
        (study_uid, series_uid): (&str, &str),
        wanted: &Arc<Wanted>,
    ) -> Result<Fetched, send::Error> {
        let host = self.target.address.rsplit_once(':').map_or("", |(host, _)| host);
        let association = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let origin = Origin {
            calling_ae: self.target.called_ae.clone(),
            called_ae: self.target.calling_ae.clone(),
            peer_address: host.to_owned(),
            association,
            certificate: None,
            asked_for: false,
        };
        let identifier = |syntax| query::fetch_identifier(study_uid, series_uid, syntax);
        let sink = Sink { intake, origin: &origin };
        let got = self.association.get(STUDY_GET, identifier, wanted, sink, self.limit).await;
        let clean = matches!(&got, Ok(Fetched { status: Some(SUCCESS), .. }));
        // The receiver is gone only when the daemon is stopping.
        let _ = intake.arrivals.send(Arrival::Released { association, clean }).await;
        got
    }

    pub async fn release(self) {
        if !self.association.is_over() {
            self.association.release().await;
        }
    }
}

/// One association for all: the questions, C-GET with the box as SCP of what comes (PS3.7 section D.3.3.4), C-MOVE.
fn proposed(fetch: Fetch) -> Vec<Proposed> {
    let plain = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
    let models = [(STUDY_FIND, true), (STUDY_GET, fetch != Fetch::Move), (STUDY_MOVE, fetch != Fetch::Get)];
    let mut all = Vec::new();
    for (class, _) in models.into_iter().filter(|(_, wanted)| *wanted) {
        all.extend(plain.map(|syntax| Proposed::new(class, syntax)));
    }
    if fetch != Fetch::Move {
        for (class, _) in FETCHED {
            let role = Some(Role { scu: false, scp: true });
            all.extend(ENCODINGS.map(|syntax| Proposed { role, ..Proposed::new(class, syntax) }));
        }
    }
    all
}

/// What an end of a retrieval means. Pure.
fn brought(
    by: &'static str,
    ended: Result<Fetched, send::Error>,
    declared: Option<usize>,
    wanted: &Wanted,
) -> Result<Brought, Error> {
    let came = wanted.arrived();
    let kept = came.kept.len();
    let deceived = came.of_another + came.not_asked_for > 0 || came.too_large;
    let nothing = kept == 0 && !deceived && came.strays == 0;
    let fetched = match ended {
        Ok(fetched) => fetched,
        // What came is told all the same.
        Err(error) if !nothing => Fetched { comment: error.words(), ..Fetched::default() },
        Err(error) => return Err(error.into()),
    };
    match fetched.status {
        Some(status) if status != SUCCESS && nothing && !fetched.late => {
            return Err(Error::Refused { status });
        }
        _ => {}
    }
    let failed = fetched.counts.failed.unwrap_or(0);
    let completed = fetched.counts.completed.map_or(0, usize::from);
    let whole = fetched.status == Some(SUCCESS)
        && !deceived
        && failed == 0
        && kept > 0
        && kept >= declared.unwrap_or(0).max(completed);
    let words = match fetched.status {
        Some(status) => words(status),
        None if fetched.late => "the archive did not come to the end".to_owned(),
        None => fetched.comment,
    };
    let late = fetched.late;
    let Arrived { of_another, not_asked_for, strays, too_large, .. } = came;
    Ok(Brought { kept, of_another, not_asked_for, strays, too_large, whole, late, by, words })
}

#[cfg(test)]
mod tests {
    use dicom::header::Header;

    use super::*;
    use crate::message::SubOperations;
    use crate::status::rows;

    #[test]
    fn no_more_contexts_are_proposed_than_an_association_may_have_and_the_box_is_scp_of_what_comes() {
        let all = proposed(Fetch::Auto);
        assert!(all.len() <= 128, "{}", all.len());
        let role = all.iter().find(|one| one.class == uids::CT_IMAGE_STORAGE).and_then(|one| one.role);
        assert_eq!(role, Some(Role { scu: false, scp: true }));
        assert!(proposed(Fetch::Move).iter().all(|one| one.class != STUDY_GET && one.role.is_none()));
        assert!(proposed(Fetch::Get).iter().all(|one| one.class != STUDY_MOVE));
        assert!(ENCODINGS.iter().all(|syntax| crate::accepts_transfer_syntax(syntax)), "custody takes them");
    }

    /// Promise: a prior of which images are missing is never taken for whole.
    #[test]
    fn a_series_is_whole_only_when_all_came_and_the_archive_says_so() {
        let wanted = |count: usize| {
            let wanted = Wanted::new("1", "2", &Header::default(), 99);
            (0..count).for_each(|uid| wanted.has_come(&uid.to_string(), 1));
            wanted
        };
        let ended = |status, failed, completed| {
            let counts = SubOperations { failed: Some(failed), completed: Some(completed), ..SubOperations::default() };
            Ok(Fetched { status: Some(status), counts, ..Fetched::default() })
        };
        let whole = |ended, declared, count| brought("C-GET", ended, declared, &wanted(count)).unwrap().whole;
        assert!(whole(ended(SUCCESS, 0, 3), Some(3), 3));
        assert!(whole(ended(SUCCESS, 0, 3), None, 3), "not every archive counts");
        assert!(!whole(ended(SUCCESS, 0, 3), Some(4), 3), "fewer than it has");
        assert!(!whole(ended(SUCCESS, 0, 3), Some(3), 2), "fewer than it says that it sent");
        assert!(!whole(ended(SUCCESS, 1, 3), Some(3), 3) && !whole(ended(0xb000, 0, 3), Some(3), 3));
        assert!(!whole(ended(SUCCESS, 0, 0), Some(0), 0), "nothing");
        assert!(!whole(Ok(Fetched { late: true, ..Fetched::default() }), Some(3), 3), "the time was over");
        let refused = brought("C-GET", ended(0xa900, 0, 0), None, &wanted(0)).unwrap_err();
        assert_eq!(refused.kind(), RetrieveFault::Refuses);
        assert!(refused.to_string().contains("A900"), "{refused}");
    }

    #[test]
    fn no_amount_of_answers_takes_more_than_the_limit() {
        let mut answers = Answers::default();
        let taken = (0..).take_while(|_| answers.take(None, "1.2.840.10008.1.2", |_| Ok(())) == Next::More).count();
        assert_eq!(taken, MOST_ANSWERS);
        assert_eq!(answers.left_out["answers larger than 64 KiB"], MOST_ANSWERS);
    }

    #[test]
    fn the_conformance_statement_names_every_class_and_every_status() {
        let document = include_str!("../../../docs/dicom-conformance.md");
        for class in [STUDY_FIND, STUDY_GET, STUDY_MOVE] {
            assert!(document.contains(class), "{class}");
        }
        for (class, name) in FETCHED {
            assert!(document.contains(name), "{class} {name}");
        }
        for row in rows(STATUSES) {
            assert!(document.lines().any(|line| line.starts_with(&row)), "{row}");
        }
    }
}
