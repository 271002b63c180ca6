//! The list of the chest CT task's findings: the one place that names them all. Number, order, names, the channels of
//! the network, the fields of [`ChestFindings`], what measures each, and what must be seen for it are taken from it.
//!
//! To add a finding: a file beside this one with its type and `evaluate`, its `mod` line in `ct_chest.rs`, and an entry
//! below. Whoever matches on [`ChestFinding`] outside (words, report) is then told by the compiler.

use serde::{Deserialize, Serialize};

use super::masks::{Masks, Placed};
use super::places::Landmark;
use super::seen::Seen;
use super::{
    LeastSize, Scan, SizeUnit, bronchiectasis, coronary, effusion, emphysema, lymph_nodes, pneumonia, pneumothorax,
    ribs, seen,
};
use crate::acquisition::Acquisition;
use crate::findings::{Comparison, Evaluated, Lobe, LobeName, Lung, Region};
use crate::reading::Reading;
use crate::reason::{NotEvaluated, Reason, Topic};
use crate::remark::Remark;
use crate::review::{Document, Listed, Review};
use crate::task::nodules::{self, ends};
use crate::volume::Geometry;

/// One finding in two numbers, to compare packages by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// How many there are; `None` where a finding is not counted.
    pub count: Option<usize>,
    /// See [`ChestFinding::figure_words`]; `None` when there is nothing to measure.
    pub number: Option<f64>,
}

impl Figure {
    /// So many, and the largest of these numbers.
    pub(in crate::task) fn largest(count: usize, numbers: impl Iterator<Item = f64>) -> Self {
        Self { count: Some(count), number: numbers.reduce(f64::max) }
    }

    /// So many, and their volume together, ml.
    pub(in crate::task) fn volume<'a>(regions: impl ExactSizeIterator<Item = &'a Region>) -> Self {
        Self { count: Some(regions.len()), number: Some(regions.map(|region| region.volume_ml).sum()) }
    }
}

macro_rules! chest_findings {
    ($($name:ident {
        slug: $slug:literal,
        words: $words:literal,
        channels: [$($channel:ident $channel_slug:literal),+],
        field: $field:ident: $value:ty = $evaluate:path,
        figure: $unit:literal = $figure:path,
        found: $found:path,
        size: $size:ident,
        slices_mm: $slices_mm:literal,
        soft_kernel: $soft_kernel:literal,
        landmarks: [$($landmark:ident),*],
        whole: $whole:path,
    })+) => {
        /// The findings of the chest CT task. The order is the order of reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ChestFinding {
            $(#[serde(rename = $slug)] $name,)+
        }

        impl ChestFinding {
            /// In the order of reports.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$name),+];
            pub const COUNT: usize = [$($slug),+].len();

            /// As written in `model.toml`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)+
                }
            }

            /// Plain words, plural, lower case: `not evaluated` sentences begin with them.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }

            /// Its key in [`ChestFindings`] as JSON.
            pub fn field(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($field),)+
                }
            }

            /// What the number of its [`Figure`] is, with its unit.
            pub fn figure_words(self) -> &'static str {
                match self {
                    $(Self::$name => $unit,)+
                }
            }

            /// The channels of the network it is made of; all of them are needed.
            pub fn channels(self) -> &'static [Channel] {
                match self {
                    $(Self::$name => &[$(Channel::$channel),+],)+
                }
            }

            /// What its least size is measured in.
            pub(super) fn size_unit(self) -> SizeUnit {
                match self {
                    $(Self::$name => SizeUnit::$size,)+
                }
            }

            /// Slices in which it is evaluated at all, up to this spacing or thickness, mm. The package that runs may want
            /// thinner ones.
            pub fn thickest_slices_mm(self) -> f64 {
                match self {
                    $(Self::$name => $slices_mm,)+
                }
            }

            /// Is it measured by density, which a sharp kernel changes?
            pub fn needs_soft_kernel(self) -> bool {
                match self {
                    $(Self::$name => $soft_kernel,)+
                }
            }

            /// What its place is found by.
            pub(super) fn landmarks(self) -> &'static [Landmark] {
                match self {
                    $(Self::$name => &[$(Landmark::$landmark),*],)+
                }
            }

            /// Why it cannot be called absent: what of its organ was not seen. `None`: the organ was seen whole.
            pub(super) fn unseen(self, seen: &Seen, acquisition: &Acquisition) -> Option<Reason> {
                match self {
                    $(Self::$name => $whole(seen, acquisition),)+
                }
            }
        }

        /// What one output channel of the network shows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
        pub enum Channel {
            $($(#[serde(rename = $channel_slug)] $channel,)+)+
        }

        impl Channel {
            pub const ALL: [Self; Self::COUNT] = [$($(Self::$channel),+),+];
            pub const COUNT: usize = [$($($channel_slug),+),+].len();

            /// As written in `model.toml`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$channel => $channel_slug,)+)+
                }
            }
        }

        /// What the chest CT task found. Each finding is a value or the reason why there is none.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct ChestFindings {
            pub lungs: Evaluated<Vec<Lung>>,
            pub lobes: Evaluated<Vec<Lobe>>,
            $(pub $field: Evaluated<$value>,)+
            /// With the last prior study of the patient that was analysed; `None` when there is none, or one was not
            /// evaluated.
            pub comparison: Option<Comparison>,
            /// Findings that are there, of organs that were not seen whole: there may be more. What was not found in such
            /// an organ is not evaluated.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub partly_seen: Vec<PartlySeen>,
            /// Findings of which small ones were not evaluated: they are neither listed nor called absent.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub least_sizes: Vec<LeastSize>,
            /// How the series was acquired, as far as its headers say.
            pub acquisition: Acquisition,
            /// What a reader should know about the images.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub remarks: Vec<Remark>,
            /// How it was read beside other series of its scan; `None` when each series is read by itself.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub reading: Option<Reading>,
            /// What found them, see `review::package`; empty when that is not known.
            #[serde(skip_serializing_if = "String::is_empty")]
            pub package: String,
            /// Every finding that a person can decide about, by its id; also those that a review has rejected.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub listed: Vec<Listed>,
            /// The structured report that tells them, once there is one.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub report: Option<Document>,
            /// The review that these findings are corrected by.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub review: Option<Review>,
            /// Time of each stage in milliseconds, in order: `lungs`, `resample`, `inference`, `postprocess`, ...
            pub timings_ms: Vec<(String, f64)>,
        }

        impl ChestFindings {
            /// Nothing evaluated, for one reason.
            pub fn none(reason: &Reason) -> Self {
                let not = |topic| NotEvaluated { topic, reason: reason.clone() };
                Self {
                    lungs: Evaluated::NotEvaluated(not(Topic::Lungs)),
                    lobes: Evaluated::NotEvaluated(not(Topic::Lobes)),
                    $($field: Evaluated::NotEvaluated(not(Topic::Finding(ChestFinding::$name))),)+
                    comparison: None,
                    partly_seen: Vec::new(),
                    least_sizes: Vec::new(),
                    acquisition: Acquisition::default(),
                    remarks: Vec::new(),
                    reading: None,
                    package: String::new(),
                    listed: Vec::new(),
                    report: None,
                    review: None,
                    timings_ms: Vec::new(),
                }
            }

            /// Every mask. Positions in millimetres are not changed with them.
            pub fn placed_mut(&mut self) -> Vec<Placed<'_>> {
                let mut all = self.lungs.placed_mut();
                all.extend(self.lobes.placed_mut());
                $(all.extend(self.$field.placed_mut());)+
                all
            }

            /// What was found and reaches the end of the scan, or of its images: it may go on beyond, so its size is a least size.
            pub fn cut_off(&mut self, geometry: &Geometry) -> Vec<ChestFinding> {
                let mut cut = Vec::new();
                $(if self.$field.placed_mut().iter().any(|placed| ends::reaches_end(geometry, placed.mask)) {
                    cut.push(ChestFinding::$name);
                })+
                cut
            }

            /// The finding is not evaluated, for this reason. Nothing that was known of it stays.
            pub fn refuse(&mut self, finding: ChestFinding, reason: Reason) {
                self.partly_seen.retain(|part| part.finding != finding);
                self.least_sizes.retain(|least| least.finding != finding);
                let why = NotEvaluated { topic: Topic::Finding(finding), reason };
                match finding {
                    $(ChestFinding::$name => self.$field = Evaluated::NotEvaluated(why),)+
                }
            }

            /// Why the finding is not evaluated; `None` when it is.
            pub fn refusal(&self, finding: ChestFinding) -> Option<&NotEvaluated> {
                match finding {
                    $(ChestFinding::$name => self.$field.refusal(),)+
                }
            }

            /// How many, and the number that people look at; `None` when it is not evaluated.
            pub fn figure(&self, finding: ChestFinding) -> Option<Figure> {
                match finding {
                    $(ChestFinding::$name => match &self.$field {
                        Evaluated::Done(value) => Some($figure(value)),
                        Evaluated::NotEvaluated(_) => None,
                    },)+
                }
            }

            /// Is it there? `None` when it is not evaluated.
            pub fn is_found(&self, finding: ChestFinding) -> Option<bool> {
                match finding {
                    $(ChestFinding::$name => match &self.$field {
                        Evaluated::Done(value) => Some($found(value)),
                        Evaluated::NotEvaluated(_) => None,
                    },)+
                }
            }

            /// Measures one finding from the network's answer.
            pub(super) fn evaluate(&mut self, finding: ChestFinding, scan: &mut Scan<'_>) {
                match finding {
                    $(ChestFinding::$name => self.$field = Evaluated::Done($evaluate(scan)),)+
                }
            }
        }
    };
}

/// A finding that is there, though its organ was not seen whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartlySeen {
    pub finding: ChestFinding,
    /// What was not seen.
    pub reason: Reason,
}

impl ChestFindings {
    /// The organ of the finding was not seen whole: what was found stays, with the reason; nothing is called absent.
    pub fn seen_in_part(&mut self, finding: ChestFinding, reason: Reason) {
        // A share of what the scan cuts off is none of the lungs; a share of the one lung that is there is one of that lung.
        let is_half = matches!(reason, Reason::OneLung | Reason::AirSpace { .. });
        let is_share = finding == ChestFinding::Emphysema && !is_half;
        match self.is_found(finding) {
            Some(true) if !is_share => {
                if let (ChestFinding::Pneumonia, Evaluated::Done(pneumonia)) = (finding, &mut self.pneumonia)
                    && !is_half
                {
                    pneumonia.extents.clear();
                }
                self.partly_seen.push(PartlySeen { finding, reason });
            }
            Some(_) => self.refuse(finding, reason),
            None => {}
        }
    }

    /// No number without its gate: what forbids to evaluate emphysema makes LAA-950 of the lungs wrong as well. (One scan of
    /// 5 mm gave 13.5 % with a sharp kernel and 0.0 % with a smooth one.) That only one lung is there does not make it wrong.
    pub fn withhold_laa950(&mut self) {
        if let (Evaluated::NotEvaluated(why), Evaluated::Done(lungs)) = (&self.emphysema, &mut self.lungs)
            && why.reason != Reason::OneLung
        {
            lungs.iter_mut().for_each(|lung| lung.laa950_percent = None);
        }
    }

    /// Two numbers for one thing, of which the one of the lungs counts voxels of noise. (A real scan with a sharp kernel has 13.0 % raw
    /// and 0.8 % after noise reduction.)
    pub(super) fn withhold_raw_laa950(&mut self) {
        if let Evaluated::Done(lungs) = &mut self.lungs {
            lungs.iter_mut().for_each(|lung| lung.laa950_percent = None);
        }
    }

    /// The lungs and their lobes are not measured: they go on beyond the image.
    pub fn lungs_cut(&mut self, reason: &Reason) {
        let not = |topic| NotEvaluated { topic, reason: reason.clone() };
        self.lungs = Evaluated::NotEvaluated(not(Topic::Lungs));
        self.lobes = Evaluated::NotEvaluated(not(Topic::Lobes));
        self.withhold_laa950();
    }

    /// Was too little of this lobe's fissures seen?
    pub fn is_estimated(&self, lobe: LobeName) -> bool {
        match &self.lobes {
            Evaluated::Done(lobes) => lobes.iter().any(|one| one.name == lobe && one.estimated),
            Evaluated::NotEvaluated(_) => false,
        }
    }

    /// What of the organ of a finding was not seen; `None` when it was seen whole.
    pub fn part_missing(&self, finding: ChestFinding) -> Option<&Reason> {
        self.partly_seen.iter().find(|part| part.finding == finding).map(|part| &part.reason)
    }
}

impl ChestFindings {
    /// The size from which on the finding was evaluated; `None` when no size was left out.
    pub fn least_size(&self, finding: ChestFinding) -> Option<&LeastSize> {
        self.least_sizes.iter().find(|least| least.finding == finding)
    }
}

fn any<T>(all: &[T]) -> bool {
    !all.is_empty()
}

chest_findings! {
    Nodule {
        slug: "nodule",
        words: "nodules",
        channels: [Nodule "nodule"],
        field: nodules: Vec<nodules::Nodule> = nodules::evaluate,
        figure: "largest diameter, mm" = nodules::figure,
        found: any,
        size: Millimetre,
        slices_mm: 8.0,
        soft_kernel: false,
        landmarks: [],
        whole: seen::lungs,
    }
    Pneumonia {
        slug: "pneumonia",
        words: "pneumonia",
        channels: [GroundGlass "ground_glass", Consolidation "consolidation"],
        field: pneumonia: pneumonia::Pneumonia = pneumonia::evaluate,
        figure: "opacity of both lungs, %" = pneumonia::figure,
        found: pneumonia::is_found,
        size: Millilitre,
        slices_mm: 8.0,
        soft_kernel: false,
        landmarks: [],
        whole: seen::lungs,
    }
    RibFracture {
        slug: "rib_fracture",
        words: "rib fractures",
        channels: [RibFracture "rib_fracture"],
        field: rib_fractures: Vec<ribs::RibFracture> = ribs::evaluate,
        figure: "highest confidence" = ribs::figure,
        found: any,
        size: Millimetre,
        slices_mm: 2.5,
        soft_kernel: false,
        landmarks: [Spine],
        whole: seen::chest_wall,
    }
    Emphysema {
        slug: "emphysema",
        words: "emphysema",
        channels: [Emphysema "emphysema"],
        field: emphysema: emphysema::Emphysema = emphysema::evaluate,
        figure: "LAA-950, %" = emphysema::figure,
        found: emphysema::is_found,
        size: Millilitre,
        slices_mm: 2.5,
        soft_kernel: true,
        landmarks: [],
        whole: seen::lungs,
    }
    Bronchiectasis {
        slug: "bronchiectasis",
        words: "bronchiectasis",
        channels: [Bronchiectasis "bronchiectasis"],
        field: bronchiectasis: Vec<bronchiectasis::Bronchiectasis> = bronchiectasis::evaluate,
        figure: "volume, ml" = bronchiectasis::figure,
        found: any,
        size: Millilitre,
        slices_mm: 2.5,
        soft_kernel: false,
        landmarks: [],
        whole: seen::lungs,
    }
    PleuralEffusion {
        slug: "pleural_effusion",
        words: "pleural effusion",
        channels: [PleuralEffusion "pleural_effusion"],
        field: pleural_effusions: Vec<effusion::PleuralEffusion> = effusion::evaluate,
        figure: "volume, ml" = effusion::figure,
        found: any,
        size: Millilitre,
        slices_mm: 8.0,
        soft_kernel: false,
        landmarks: [],
        whole: seen::bases,
    }
    Pneumothorax {
        slug: "pneumothorax",
        words: "pneumothorax",
        channels: [Pneumothorax "pneumothorax"],
        field: pneumothoraces: Vec<pneumothorax::Pneumothorax> = pneumothorax::evaluate,
        figure: "volume, ml" = pneumothorax::figure,
        found: any,
        size: Millilitre,
        slices_mm: 8.0,
        soft_kernel: false,
        landmarks: [],
        whole: seen::lungs,
    }
    CoronaryCalcification {
        slug: "coronary_calcification",
        words: "coronary artery calcification",
        channels: [CoronaryCalcification "coronary_calcification"],
        field: coronary_calcium: coronary::CoronaryCalcium = coronary::evaluate,
        figure: "Agatston score, or grade" = coronary::figure,
        found: coronary::is_found,
        size: Millilitre,
        // A score up to 3 mm (Agatston et al., JACC 15 (1990) 827), beyond that an estimate.
        slices_mm: 5.0,
        soft_kernel: true,
        landmarks: [Spine, BothLungs],
        whole: seen::heart,
    }
    LymphNode {
        slug: "lymph_node",
        words: "enlarged lymph nodes",
        channels: [LymphNode "lymph_node"],
        field: lymph_nodes: Vec<lymph_nodes::LymphNode> = lymph_nodes::evaluate,
        figure: "largest short axis, mm" = lymph_nodes::figure,
        found: any,
        size: Millimetre,
        slices_mm: 5.0,
        soft_kernel: false,
        landmarks: [BothLungs],
        whole: seen::lungs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fields_and_channels_of_a_finding_are_its_own() {
        let mut findings = ChestFindings::none(&Reason::stored("of a test"));
        let said = |findings: &ChestFindings, finding| findings.refusal(finding).map(ToString::to_string);
        for finding in ChestFinding::ALL {
            assert_eq!(serde_json::to_value(finding).unwrap(), finding.as_str());
            assert_eq!(said(&findings, finding), Some(format!("{} not evaluated: of a test", finding.words())));
        }
        let json = serde_json::to_value(&findings).unwrap();
        for finding in ChestFinding::ALL {
            assert!(json.get(finding.field()).is_some(), "{finding:?}");
            findings.refuse(finding, Reason::stored(finding.as_str()));
        }
        for finding in ChestFinding::ALL {
            let sentence = format!("{} not evaluated: {}", finding.words(), finding.as_str());
            assert_eq!(said(&findings, finding), Some(sentence));
        }
        let channels: Vec<Channel> = ChestFinding::ALL.iter().flat_map(|f| f.channels()).copied().collect();
        assert_eq!(channels, Channel::ALL);
        assert!(Channel::ALL.iter().all(|c| serde_json::to_value(c).unwrap() == c.as_str()));
    }
}
