//! What of a series is read as its volume or its pictures, and what only shares its Series Instance UID: localisers, dose
//! reports, pages of the protocol. Pure.

use dicom::header::Header;
use dicom::kind::SeriesKind;
use models::Remark;
use models::remark::Sharer;

/// Is this an object of the kind that its series is of?
pub fn is_of(kind: SeriesKind, header: &Header) -> bool {
    SeriesKind::of(header) == kind
}

/// The headers of its kind, and how many others share the series.
pub fn split<'a>(kind: SeriesKind, headers: impl IntoIterator<Item = &'a Header>) -> (Vec<&'a Header>, usize) {
    let (own, others): (Vec<_>, Vec<_>) = headers.into_iter().partition(|header| is_of(kind, header));
    (own, others.len())
}

/// What is not read of a series of this kind, in an order that does not depend on when it came; `None` when all is.
pub fn remark<'a>(kind: SeriesKind, headers: impl IntoIterator<Item = &'a Header>) -> Option<Remark> {
    let mut sharers: Vec<(Sharer, usize)> = Vec::new();
    for sharer in headers.into_iter().map(SeriesKind::of).filter(|other| *other != kind).map(sharer) {
        match sharers.iter_mut().find(|(known, _)| *known == sharer) {
            Some((_, count)) => *count += 1,
            None => sharers.push((sharer, 1)),
        }
    }
    sharers.sort_unstable();
    (!sharers.is_empty()).then_some(Remark::Shared { sharers })
}

fn sharer(kind: SeriesKind) -> Sharer {
    match kind {
        SeriesKind::Localiser => Sharer::Localiser,
        SeriesKind::DoseReport => Sharer::DoseReport,
        SeriesKind::SecondaryCapture => Sharer::SecondaryCapture,
        SeriesKind::Reformat => Sharer::Reformat,
        SeriesKind::Presentation => Sharer::PresentationState,
        SeriesKind::Ct | SeriesKind::Mammography | SeriesKind::Ultrasound | SeriesKind::Exam | SeriesKind::Other => {
            Sharer::Other
        }
    }
}
