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

const REFORMATS: [&str; 7] = ["MPR", "CSA MPR", "REFORMATTED", "MIP", "PROJECTION IMAGE", "VRT", "MPVR"];

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
                } else if REFORMATS.iter().any(|word| says(word)) {
                    Self::Reformat
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
