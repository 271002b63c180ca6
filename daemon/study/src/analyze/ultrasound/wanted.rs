//! Which ultrasound series are read: those of a breast, as far as their headers say. Pure.

use dicom::header::Header;
use report::provenance::{DEVICE_MODEL, MANUFACTURER};

use crate::settings::{Analyze, ReadUltrasound};

/// Breast, in lower case: English, Latin (and French, Italian adjectives), German, Italian, Spanish and Portuguese, Dutch;
/// Chinese, Russian, Korean.
const WORDS: [&str; 10] = ["breast", "mamma", "brust", "mammel", "mamaria", "乳腺", "乳房", "молочн", "유방", "borst"];
/// The same, where only the whole word is meant: Spanish and Portuguese, French, Turkish. (Italian "seno" is a sinus, too.)
const WHOLE: [&str; 4] = ["mama", "mamas", "seins", "meme"];
/// What holds such a word and is something else.
const OTHERS: [&str; 14] = [
    "arteria mammaria",
    "mammaria interna",
    "arteria mamaria",
    "mamaria interna",
    "mammary art",
    "brustkorb",
    "brustwand",
    "brustwirbel",
    "brust-wirbel",
    "borstkas",
    "borstwand",
    "borsthol",
    "borstwervel",
    "not breast",
];

/// Why a series is kept and not read; `None` when it is. `headers`: of its images.
pub fn unwanted<'a>(settings: &Analyze, headers: impl IntoIterator<Item = &'a Header>) -> Option<String> {
    let mut headers = headers.into_iter().peekable();
    // Our key images of recorded exams, when an archive sends them back.
    let ours = |header: &&&Header| header.manufacturer == MANUFACTURER && header.model_name == DEVICE_MODEL;
    if headers.peek().filter(ours).is_some() {
        return Some("kept, not analysed: results of this software".into());
    }
    match settings.us_breast {
        ReadUltrasound::Off => Some("kept, not analysed: the task for breast ultrasound is switched off".into()),
        ReadUltrasound::All => None,
        ReadUltrasound::Breast => {
            let mut part = None;
            for header in headers {
                if is_breast(header) {
                    return None;
                }
                part = part.or_else(|| Some(header.body_part.trim()).filter(|part| !part.is_empty()));
            }
            let says = part.map_or_else(
                || "neither body part nor description says breast".to_owned(),
                |part| format!("body part {part}, and no description says breast"),
            );
            Some(format!(
                "kept, not analysed: ultrasound that is not known to be of the breast ({says}); analyze.us_breast = \
                 \"all\" and `scansidectl studies rerun` read it all the same"
            ))
        }
    }
}

/// The body part of an image that is no breast, in a series that has breasts. One that does not say its part is read.
pub(super) fn other_part(header: &Header) -> Option<String> {
    let part = header.body_part.trim();
    (!part.is_empty() && !is_breast(header)).then(|| part.to_owned())
}

/// The body part decides, then the descriptions of series and protocol. That of the study counts only where no body part
/// is given: one study may be of several.
pub(super) fn is_breast(header: &Header) -> bool {
    let says = |text: &str| {
        let text = OTHERS.iter().fold(text.to_lowercase(), |text, other| text.replace(other, ""));
        let mut whole = text.split(|c: char| !c.is_alphanumeric());
        WORDS.iter().any(|word| text.contains(word)) || whole.any(|word| WHOLE.contains(&word))
    };
    says(&header.body_part)
        || says(&header.series_description)
        || says(&header.protocol_name)
        || (header.body_part.trim().is_empty() && says(&header.study_description))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(part: &str, study: &str, series: &str, protocol: &str) -> Header {
        Header {
            body_part: part.into(),
            study_description: study.into(),
            series_description: series.into(),
            protocol_name: protocol.into(),
            ..Header::default()
        }
    }

    #[test]
    fn a_breast_is_known_by_body_part_or_description_in_both_languages() {
        let settings = Analyze::default();
        for (header, wanted) in [
            (header("BREAST", "", "", ""), true),
            (header("", "US Breast bilateral", "", ""), true),
            (header("", "乳腺彩超", "", ""), true),
            (header("SMALLPARTS", "", "双侧乳房", ""), true),
            (header("SMALLPARTS", "", "", "Breast L"), true),
            (header("", "Mammasonographie", "", ""), true),
            (header("", "Ecografia mammaria bilaterale", "", ""), true),
            (header("", "", "ECO DE MAMA", ""), true),
            (header("", "", "Échographie des seins", ""), true),
            (header("", "УЗИ молочных желез", "", ""), true),
            (header("THORAX", "", "Borstwand links", ""), false),
            (header("", "", "arteria mamaria interna", ""), false),
            (header("", "", "seni paranasali", ""), false),
            (header("", "", "Ultraschall soll wiederholt werden und sein", ""), false),
            (header("", "", "memento of a mamarracho", ""), false),
            (header("ABDOMEN", "breast and abdomen", "", ""), false),
            (header("THORAX", "", "Brustkorb/Pleura", ""), false),
            (header("", "", "Arteria mammaria interna", ""), false),
            (header("THORAX", "", "chest wall (not breast)", ""), false),
            (header("THYROID", "", "", ""), false),
            (header("", "", "", ""), false),
        ] {
            let why = unwanted(&settings, [&header]);
            assert_eq!(why.is_none(), wanted, "{header:?}: {why:?}");
        }
    }

    #[test]
    fn key_images_that_come_back_are_not_read_again() {
        let mut own = header("BREAST", "", "", "");
        (own.manufacturer, own.model_name) = (MANUFACTURER.into(), DEVICE_MODEL.into());
        assert!(unwanted(&Analyze::default(), [&own]).unwrap().contains("results of this software"));
    }

    #[test]
    fn a_series_that_is_not_read_says_why_and_how_to_have_it_read() {
        let mut settings = Analyze::default();
        let thyroid = header("THYROID", "", "", "");
        let said = unwanted(&settings, [&thyroid]).unwrap();
        assert!(said.contains("body part THYROID") && said.contains("analyze.us_breast = \"all\""), "{said}");
        settings.us_breast = ReadUltrasound::All;
        assert_eq!(unwanted(&settings, [&thyroid]), None);
        settings.us_breast = ReadUltrasound::Off;
        assert!(unwanted(&settings, [&header("BREAST", "", "", "")]).unwrap().contains("switched off"));
    }
}
