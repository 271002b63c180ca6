//! Why something was not evaluated. Pure.
//!
//! A reason is a value, so that each language can say it (`report::words`). `Display` is its English sentence: logs, the
//! bus and the JSON of findings have that one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::findings::{ChestFinding, Side};
use crate::number::Number;

/// One reason. To add one: a variant here, and a sentence in each language; the compiler names the places.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Reason {
    #[error("the package {package} does not look for it")]
    NotInPackage { package: String },
    /// `series`: its number, slices and kernel.
    #[error("read from series {series} of the same scan")]
    OtherSeries { series: String },
    /// On review, by a person.
    #[error("rejected on review by {by}")]
    Rejected { by: String },
    #[error("the patient is {years:.0} years old, package needs >= {least:.0}", years = Number::from(years), least = Number::from(least))]
    TooYoung { years: f64, least: f64 },
    /// `package`: the body part that it is for.
    #[error("body part {part}, package is for {package}")]
    BodyPart { part: String, package: String },
    #[error("slice spacing {mm:#.2} mm, package needs <= {most_mm:.1} mm", mm = Number::from(mm), most_mm = Number::from(most_mm))]
    SpacingTooLarge { mm: f64, most_mm: f64 },
    #[error("slices {mm:#.2} mm thick, package needs <= {most_mm:.1} mm", mm = Number::from(mm), most_mm = Number::from(most_mm))]
    SlicesTooThick { mm: f64, most_mm: f64 },
    #[error("slice spacing {mm:#.2} mm, package needs >= {least_mm:.1} mm", mm = Number::from(mm), least_mm = Number::from(least_mm))]
    SpacingTooSmall { mm: f64, least_mm: f64 },
    #[error("noise {hu:.0} HU, package needs <= {most_hu:.0} HU", hu = Number::from(hu), most_hu = Number::from(most_hu))]
    Noisy { hu: f64, most_hu: f64 },
    #[error("the noise could not be measured, package needs <= {most_hu:.0} HU", most_hu = Number::from(most_hu))]
    NoiseUnknown { most_hu: f64 },
    /// Of a pixel, along rows and along columns.
    #[error("pixels of {x_mm:.1} x {y_mm:.1} mm, at most {most_mm:.1} mm are needed", x_mm = Number::from(x_mm), y_mm = Number::from(y_mm), most_mm = Number::from(most_mm))]
    PixelsTooLarge { x_mm: f64, y_mm: f64, most_mm: f64 },
    #[error("contrast agent was given, package needs a series without")]
    ContrastGiven,
    #[error("no contrast agent was given, package needs a series with")]
    ContrastMissing,
    #[error("the header does not say whether contrast agent was given, package needs to know")]
    ContrastUnknown,
    #[error("the header does not name the kernel, package needs a soft one")]
    KernelUnnamed,
    #[error("kernel {kernel} is sharp, package needs a soft one")]
    KernelSharp { kernel: String },
    /// Whatever the header names.
    #[error("the noise is that of a sharp kernel, package needs a soft one")]
    KernelTexture,

    #[error("no lungs were found")]
    NoLungs,
    #[error("the spine was not found")]
    NoSpine,
    #[error("only one lung was found")]
    OneLung,
    /// Of so much air that holds no vessels and is no gas of stomach or bowel.
    #[error(
        "{ml:.0} ml of air in the {} half of the chest are no lung (a large pneumothorax or bulla?)",
        side.as_str(), ml = Number::from(ml)
    )]
    AirSpace { side: Side, ml: f64 },
    #[error("{slices} slices are no volume")]
    FewSlices { slices: usize },
    #[error("no air inside the body")]
    NoAir,
    #[error("the air inside the body measures {ml:.0} ml, no plausible lung volume", ml = Number::from(ml))]
    ImplausibleAir { ml: f64 },
    /// Of the largest air space.
    #[error("no lungs in this scan (the largest air space inside the body measures {ml:.0} ml)", ml = Number::from(ml))]
    NoLungInScan { ml: f64 },
    #[error("the lungs reach the edge of the image")]
    LungsAtEdge,
    #[error("the scan ends inside the lungs, at its upper end")]
    ScanEndsAbove,
    #[error("the scan ends inside the lungs, at its lower end")]
    ScanEndsBelow,

    #[error("the scan ends inside the lungs, at both ends")]
    ScanEndsBoth,
    #[error("only the bases of the lungs are in this scan (as in a scan of the abdomen)")]
    OnlyBases,
    #[error("only the tops of the lungs are in this scan (as in a scan of the head or the neck)")]
    OnlyApices,
    #[error("the lowest part of the lungs is not in this scan")]
    BaseCut,
    #[error("the top of the lungs is not in this scan")]
    ApexCut,
    #[error("the image does not show the whole chest wall")]
    ChestWallCut,

    #[error("there is metal in the heart or beside it")]
    HeartMetal,
    #[error("contrast agent was given")]
    AgatstonContrast,
    #[error("not gated to the heartbeat")]
    AgatstonNotGated,
    #[error("it is not known whether the scan was gated")]
    AgatstonGatingUnknown,
    #[error("{kv:.0} kV instead of 120 kV", kv = Number::from(kv))]
    AgatstonVoltage { kv: f64 },
    #[error("the tube voltage is not known")]
    AgatstonVoltageUnknown,
    #[error("slice spacing {mm:#.2} mm instead of 2.5 to 3 mm", mm = Number::from(mm))]
    AgatstonSpacing { mm: f64 },
    #[error("slices {mm:#.2} mm thick instead of 2.5 to 3 mm", mm = Number::from(mm))]
    AgatstonThickness { mm: f64 },
    #[error("sharp kernel {kernel}")]
    AgatstonKernel { kernel: String },
    #[error("the kernel is not known")]
    AgatstonKernelUnknown,

    #[error("{patches} patches of soft tissue were found, {needed} are needed")]
    LittleSoftTissue { patches: usize, needed: usize },
    #[error("soft tissue has one value everywhere: this is no scan")]
    NoNoise,
    #[error("{slices} slices at one place; two places are needed")]
    OnePlace { slices: usize },
    /// The refusal of the volume, in English; it is reported by itself in every language.
    #[error("{why}")]
    NoVolume { why: String },

    /// A sentence that was stored: its values are not known any more, so every language says it as it is.
    #[error("{0}")]
    Stored(String),
}

impl Reason {
    /// Does it forbid every finding of a series, whatever is in the images?
    pub fn is_of_the_series(&self) -> bool {
        matches!(self, Self::TooYoung { .. } | Self::BodyPart { .. } | Self::PixelsTooLarge { .. })
    }

    /// May another reconstruction of the same scan be free of it? Not what is so of the package, the patient or by a person.
    pub fn may_differ(&self) -> bool {
        !matches!(
            self,
            Self::NotInPackage { .. } | Self::TooYoung { .. } | Self::Rejected { .. } | Self::OtherSeries { .. }
        )
    }

    /// A sentence from a database or a file. Not for new reasons: they are variants.
    pub fn stored(sentence: impl Into<String>) -> Self {
        Self::Stored(sentence.into())
    }
}

/// Several reasons; English joins them with commas.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasons(pub Vec<Reason>);

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(Reason::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

/// What was not evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Lungs,
    Lobes,
    Finding(ChestFinding),
    /// Of image quality.
    Noise,
    Slices,
    /// Of a stored sentence that does not begin with one of the others.
    Unnamed,
}

impl Topic {
    /// Plain words, plural, lower case; empty for [`Topic::Unnamed`].
    pub fn words(self) -> &'static str {
        match self {
            Self::Lungs => "lungs",
            Self::Lobes => "lobes",
            Self::Finding(finding) => finding.words(),
            Self::Noise => "noise",
            Self::Slices => "slices",
            Self::Unnamed => "",
        }
    }

    fn named() -> impl Iterator<Item = Self> {
        [Self::Lungs, Self::Lobes, Self::Noise, Self::Slices]
            .into_iter()
            .chain(ChestFinding::ALL.into_iter().map(Self::Finding))
    }
}

/// That something was not evaluated, and why. As JSON it is its English sentence, as databases and programs know it.
#[derive(Debug, Clone, PartialEq)]
pub struct NotEvaluated {
    pub topic: Topic,
    pub reason: Reason,
}

/// Between the words of the topic and the reason.
const NOT_EVALUATED: &str = " not evaluated: ";

impl NotEvaluated {
    /// Reads a stored sentence, whatever it says.
    pub fn stored(sentence: &str) -> Self {
        let reason = |topic: Topic| sentence.strip_prefix(topic.words())?.strip_prefix(NOT_EVALUATED);
        let read = Topic::named().find_map(|topic| Some((topic, reason(topic)?)));
        let (topic, reason) = read.unwrap_or((Topic::Unnamed, sentence));
        Self { topic, reason: Reason::stored(reason) }
    }
}

impl fmt::Display for NotEvaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.topic {
            Topic::Unnamed => write!(f, "{}", self.reason),
            topic => write!(f, "{}{NOT_EVALUATED}{}", topic.words(), self.reason),
        }
    }
}

impl std::error::Error for NotEvaluated {}

impl Serialize for NotEvaluated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NotEvaluated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|sentence| Self::stored(&sentence))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reasons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|sentence| Self(vec![Reason::Stored(sentence)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{CalciumScore, Evaluated};

    #[test]
    fn json_is_the_english_sentence_as_it_always_was() {
        let reason = Reason::SpacingTooLarge { mm: 5.0, most_mm: 2.5 };
        let thick = NotEvaluated { topic: Topic::Finding(ChestFinding::Nodule), reason };
        assert_eq!(
            serde_json::to_string(&Evaluated::<()>::NotEvaluated(thick)).unwrap(),
            r#"{"not_evaluated":"nodules not evaluated: slice spacing 5.0 mm, package needs <= 2.5 mm"}"#
        );
        let why = Reasons(vec![Reason::AgatstonNotGated, Reason::AgatstonVoltage { kv: 100.0 }]);
        assert_eq!(
            serde_json::to_string(&CalciumScore::Ordinal { grade: 2, reason: why }).unwrap(),
            r#"{"ordinal":{"grade":2,"reason":"not gated to the heartbeat, 100 kV instead of 120 kV"}}"#
        );
    }

    #[test]
    fn any_stored_sentence_is_read_and_written_back_as_it_was() {
        let thick = "enlarged lymph nodes not evaluated: slices of an older version";
        for sentence in [thick, "lungs not evaluated: ", "something else", ""] {
            let json = serde_json::json!({ "not_evaluated": sentence });
            let read: Evaluated<u8> = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), json);
        }
        let topic = Topic::Finding(ChestFinding::LymphNode);
        let reason = Reason::stored("slices of an older version");
        assert_eq!(NotEvaluated::stored(thick), NotEvaluated { topic, reason });
        let reasons: Reasons = serde_json::from_value("not gated, 100 kV".into()).unwrap();
        assert_eq!(serde_json::to_value(&reasons).unwrap(), "not gated, 100 kV");
    }
}
