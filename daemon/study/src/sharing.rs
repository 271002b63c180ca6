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

/// What is not read of a series of this kind, in an order that does not depend on when it came; `None` when all is.
pub fn remark<'a>(kind: SeriesKind, headers: impl IntoIterator<Item = &'a Header>) -> Option<Remark> {
    let mut sharers: Vec<(Sharer, usize)> = Vec::new();
    for header in headers.into_iter().filter(|header| !is_of(kind, header)) {
        let sharer = sharer(SeriesKind::of(header));
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
