//! The kind of a series, which decides whether and how it is analysed.
//!
//! The kind follows from SOP class and Image Type, never from Modality alone: scanners send localisers, screenshots and
//! dose reports with Modality CT.

use dicom_dictionary_std::uids;

use crate::header::Header;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeriesKind {
    /// Cross-sectional CT. The task decides whether it can use the series.
    Ct,
    Localiser,
    DoseReport,
    SecondaryCapture,
    /// Reformats, projections and other images computed from a series that is sent as well.
    Reformat,
    Presentation,
    /// Mammograms, for presentation or for processing.
    Mammography,
    /// Ultrasound images and clips that a scanner sent.
    Ultrasound,
    /// An ultrasound exam that was recorded here: a job makes DICOM objects of it.
    Exam,
    /// Anything that no installed package can analyse.
    Other,
}

/// So many slices are no accident in a series.
const LEAST_READ: u32 = 3;

/// A CT image that lies nowhere and was not scanned: a page of the protocol, a curve, a logo.
fn is_page(header: &Header) -> bool {
    let says = |at: usize, word: &str| header.image_type.get(at).is_some_and(|value| value.eq_ignore_ascii_case(word));
    header.number_of_frames <= 1 && header.image_position.is_none() && says(0, "DERIVED") && says(1, "SECONDARY")
}

/// Whole values of Image Type.
const REFORMATS: [&str; 7] = ["MPR", "CSA MPR", "REFORMATTED", "MIP", "PROJECTION IMAGE", "VRT", "MPVR"];
/// Words within a value, as in `CT_SOM5 MIP`: images whose pixels are the largest or smallest of several.
const PROJECTIONS: [&str; 4] = ["MIP", "MINIP", "MAXIP", "VRT"];
/// The fourth value of an enhanced image, its pixel contrast (PS3.3 section C.8.16.1.4).
const CONTRASTS: [&str; 2] = ["MAXIMUM", "MINIMUM"];

fn is_projection(header: &Header) -> bool {
    let is = |words: &[&str], text: &str| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let contrast = header.image_type.get(3).is_some_and(|value| is(&CONTRASTS, value));
    let mut words = header.image_type.iter().flat_map(|value| value.split([' ', '_', '-']));
    contrast || words.any(|word| is(&PROJECTIONS, word))
}

/// Before 1993; some archives still send them.
const ULTRASOUND_IMAGE_RETIRED: &str = "1.2.840.10008.5.1.4.1.1.6";
const ULTRASOUND_MULTI_FRAME_RETIRED: &str = "1.2.840.10008.5.1.4.1.1.3";

impl SeriesKind {
    pub fn of(header: &Header) -> Self {
        let class = header.sop_class_uid.as_str();
        let says = |word: &str| header.image_type.iter().any(|value| value.eq_ignore_ascii_case(word));
        match class {
            uids::CT_IMAGE_STORAGE
            | uids::ENHANCED_CT_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE => {
                if says("LOCALIZER") || says("SCOUT") {
                    Self::Localiser
                } else if says("SCREEN SAVE") || says("DOSE_INFO") || header.samples_per_pixel > 1 {
                    Self::SecondaryCapture
                } else if REFORMATS.iter().any(|word| says(word)) || is_projection(header) {
                    Self::Reformat
                } else if is_page(header) {
                    Self::SecondaryCapture
                } else {
                    Self::Ct
                }
            }
            uids::X_RAY_RADIATION_DOSE_SR_STORAGE
            | uids::ENHANCED_X_RAY_RADIATION_DOSE_SR_STORAGE
            | uids::PATIENT_RADIATION_DOSE_SR_STORAGE => Self::DoseReport,
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE
            | uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE
            | uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE
            | uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE
            | uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE => Self::SecondaryCapture,
            uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION
            | uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING => Self::Mammography,
            uids::ULTRASOUND_IMAGE_STORAGE
            | uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE
            | ULTRASOUND_IMAGE_RETIRED
            | ULTRASOUND_MULTI_FRAME_RETIRED => Self::Ultrasound,
            _ if class.starts_with("1.2.840.10008.5.1.4.1.1.11.") => Self::Presentation,
            _ => Self::Other,
        }
    }

    /// What a series of these objects is. What is read wins over what only shares the series with it, such as a localiser, a dose
    /// report or a page of the protocol: one mammogram or ultrasound image, of a CT three slices or as many as there are of anything
    /// else.
    pub fn of_series<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Option<Self> {
        let mut counts: Vec<(Self, u32)> = Vec::new();
        for header in headers {
            let kind = Self::of(header);
            let more = if kind.is_volume() { header.number_of_frames.max(1) } else { 1 };
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count = count.saturating_add(more),
                None => counts.push((kind, more)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max()?;
        let count = |kind: Self| counts.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count);
        let least = |kind: &Self| if kind.is_volume() { most.min(LEAST_READ) } else { 1 };
        let is_read = |kind: &Self| count(*kind) >= least(kind).max(1);
        let read = [Self::Ct, Self::Mammography, Self::Ultrasound].into_iter().find(is_read);
        read.or_else(|| counts.iter().find(|(_, count)| *count == most).map(|(kind, _)| *kind))
    }

    /// Is each series of this kind given to a model by itself, when its task wants it?
    pub fn is_analysed(self) -> bool {
        matches!(self, Self::Ct | Self::Ultrasound)
    }

    /// Do the images of a series make a volume?
    pub fn is_volume(self) -> bool {
        self == Self::Ct
    }

    /// Why a series of this kind is kept but not analysed, when no task takes it.
    pub fn verdict(self, modality: &str) -> String {
        match self {
            Self::Ct => "chest CT".into(),
            Self::Localiser => "kept, not analysed: localiser".into(),
            Self::DoseReport => "kept, not analysed: dose report".into(),
            Self::SecondaryCapture => "kept, not analysed: secondary capture".into(),
            Self::Reformat => {
                "kept, not analysed: reformatted images; the series they were made from is analysed when it is sent"
                    .into()
            }
            Self::Presentation => "kept, not analysed: presentation state".into(),
            Self::Mammography => "kept, not analysed: no task for mammography is switched on".into(),
            Self::Ultrasound => "kept, not analysed: the task for breast ultrasound is switched off".into(),
            Self::Exam => "recorded ultrasound exam".into(),
            Self::Other => {
                let modality = if modality.is_empty() { "unknown" } else { modality };
                format!("kept, not analysed: no model package for modality {modality}")
            }
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Localiser => "localiser",
            Self::DoseReport => "dose_report",
            Self::SecondaryCapture => "secondary_capture",
            Self::Reformat => "reformat",
            Self::Presentation => "presentation",
            Self::Mammography => "mammography",
            Self::Ultrasound => "ultrasound",
            Self::Exam => "exam",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        use SeriesKind::{
            Ct, DoseReport, Exam, Localiser, Mammography, Other, Presentation, Reformat, SecondaryCapture, Ultrasound,
        };
        [Ct, Localiser, DoseReport, SecondaryCapture, Reformat, Presentation, Mammography, Ultrasound, Exam, Other]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: &str, image_type: &str) -> Header {
        Header {
            sop_class_uid: class.into(),
            modality: "CT".into(),
            image_type: image_type.split('\\').map(str::to_owned).collect(),
            samples_per_pixel: 1,
            ..Header::default()
        }
    }

    #[test]
    fn modality_ct_alone_makes_nothing_a_ct() {
        for (class, image_type, expected) in [
            (uids::CT_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\AXIAL", SeriesKind::Ct),
            (uids::CT_IMAGE_STORAGE, "DERIVED\\PRIMARY\\AXIAL", SeriesKind::Ct),
            (uids::CT_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\LOCALIZER", SeriesKind::Localiser),
            (uids::CT_IMAGE_STORAGE, "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", SeriesKind::Reformat),
            (uids::CT_IMAGE_STORAGE, "DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 MIP", SeriesKind::Reformat),
            (uids::ENHANCED_CT_IMAGE_STORAGE, "DERIVED\\PRIMARY\\VOLUME\\MAXIMUM", SeriesKind::Reformat),
            (uids::ENHANCED_CT_IMAGE_STORAGE, "DERIVED\\PRIMARY\\VOLUME\\AVERAGE", SeriesKind::Ct),
            (uids::CT_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI", SeriesKind::Ct),
            (uids::CT_IMAGE_STORAGE, "DERIVED\\SECONDARY\\SCREEN SAVE", SeriesKind::SecondaryCapture),
            (uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "DERIVED\\SECONDARY", SeriesKind::SecondaryCapture),
            (uids::X_RAY_RADIATION_DOSE_SR_STORAGE, "", SeriesKind::DoseReport),
            (uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, "", SeriesKind::Presentation),
            (uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION, "", SeriesKind::Mammography),
            (uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING, "", SeriesKind::Mammography),
            (uids::ULTRASOUND_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\BREAST", SeriesKind::Ultrasound),
            (uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE, "", SeriesKind::Ultrasound),
            ("1.2.840.10008.5.1.4.1.1.6", "", SeriesKind::Ultrasound),
            (uids::MR_IMAGE_STORAGE, "ORIGINAL\\PRIMARY", SeriesKind::Other),
        ] {
            assert_eq!(SeriesKind::of(&header(class, image_type)), expected, "{class} {image_type}");
        }
    }

    #[test]
    fn slices_are_read_whatever_shares_their_series_and_comes_first() {
        let slice = header(uids::CT_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\AXIAL");
        let localiser = header(uids::CT_IMAGE_STORAGE, "ORIGINAL\\PRIMARY\\LOCALIZER");
        let page = header(uids::CT_IMAGE_STORAGE, "DERIVED\\SECONDARY\\OTHER\\CT_SOM5 PROT");
        let reformat = header(uids::CT_IMAGE_STORAGE, "DERIVED\\SECONDARY\\MPR");
        assert_eq!(SeriesKind::of(&page), SeriesKind::SecondaryCapture);
        let placed = Header { image_position: Some([0.0; 3]), ..page.clone() };
        assert_eq!(SeriesKind::of(&placed), SeriesKind::Ct, "a slice that was reconstructed elsewhere");
        let of = |headers: &[(&Header, usize)]| {
            SeriesKind::of_series(headers.iter().flat_map(|(header, count)| std::iter::repeat_n(*header, *count)))
        };
        assert_eq!(of(&[(&localiser, 2), (&page, 1), (&slice, 30)]), Some(SeriesKind::Ct));
        assert_eq!(of(&[(&localiser, 1), (&slice, 1)]), Some(SeriesKind::Ct), "the first of many");
        assert_eq!(of(&[(&page, 40), (&slice, 3)]), Some(SeriesKind::Ct));
        assert_eq!(of(&[(&reformat, 40), (&slice, 1)]), Some(SeriesKind::Reformat));
        let enhanced = Header { number_of_frames: 300, ..header(uids::ENHANCED_CT_IMAGE_STORAGE, "ORIGINAL") };
        assert_eq!(of(&[(&localiser, 2), (&enhanced, 1)]), Some(SeriesKind::Ct));
        let capture = header(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "DERIVED");
        let mammogram = header(uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION, "");
        assert_eq!(of(&[(&capture, 2), (&mammogram, 1)]), Some(SeriesKind::Mammography));
        assert_eq!(of(&[(&localiser, 2)]), Some(SeriesKind::Localiser));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn every_kind_that_is_not_analysed_says_why() {
        for kind in [
            SeriesKind::Localiser,
            SeriesKind::DoseReport,
            SeriesKind::SecondaryCapture,
            SeriesKind::Reformat,
            SeriesKind::Presentation,
            SeriesKind::Mammography,
            SeriesKind::Other,
        ] {
            assert!(!kind.is_analysed());
            assert!(kind.verdict("MR").starts_with("kept, not analysed: "));
            assert_eq!(SeriesKind::parse(kind.as_str()), Some(kind));
        }
    }
}
