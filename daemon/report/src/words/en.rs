//! English.

use models::findings::{ChestFinding, LobeName, LungPart, NoduleType, Side};

use super::reason::Reasons;
use super::{Document, Largest, Words};

#[derive(Debug)]
pub struct English;

impl Words for English {
    fn tag(&self) -> &'static str {
        "en"
    }

    fn document(&self) -> &'static Document {
        &DOCUMENT
    }

    fn reasons(&self) -> &'static Reasons {
        &REASONS
    }

    fn name(&self, finding: ChestFinding) -> &'static str {
        finding.words()
    }

    fn side(&self, side: Side) -> &'static str {
        match side {
            Side::Right => "right",
            Side::Left => "left",
        }
    }

    fn part(&self, part: LungPart) -> &'static str {
        match part {
            LungPart::Both => "both lungs",
            LungPart::Lung(Side::Right) => "right lung",
            LungPart::Lung(Side::Left) => "left lung",
            LungPart::Lobe(LobeName::RightUpper) => "right upper lobe",
            LungPart::Lobe(LobeName::RightMiddle) => "right middle lobe",
            LungPart::Lobe(LobeName::RightLower) => "right lower lobe",
            LungPart::Lobe(LobeName::LeftUpper) => "left upper lobe",
            LungPart::Lobe(LobeName::LeftLower) => "left lower lobe",
        }
    }

    fn nodule_type(&self, kind: NoduleType) -> &'static str {
        match kind {
            NoduleType::Solid => "solid",
            NoduleType::PartSolid => "part-solid",
            NoduleType::GroundGlass => "ground glass",
            NoduleType::Calcified => "calcified",
        }
    }

    fn grade(&self, grade: u8) -> &'static str {
        match grade {
            0 => "none",
            1 => "mild",
            2 => "moderate",
            _ => "severe",
        }
    }

    fn none_found(&self) -> &'static str {
        "none found"
    }

    fn separator(&self) -> &'static str {
        "; "
    }

    fn comma(&self) -> &'static str {
        ", "
    }

    fn more(&self, count: usize) -> String {
        format!("{count} more")
    }

    fn repeated(&self, item: &str, count: usize) -> String {
        format!("{item} ({count} places)")
    }

    fn rib(&self, side: Side, rib: Option<u8>) -> String {
        let side = self.side(side);
        rib.map_or_else(|| format!("{side} rib, number not known"), |rib| format!("{side} rib {rib}"))
    }

    fn emphysema(&self, both: f64, right: Option<f64>, left: Option<f64>) -> String {
        let right = right.map(|v| format!(", right {v:.1} %")).unwrap_or_default();
        let left = left.map(|v| format!(", left {v:.1} %")).unwrap_or_default();
        format!("LAA-950 both lungs {both:.1} %{right}{left} (after noise reduction)")
    }

    fn volume_on_side(&self, side: Side, ml: f64) -> String {
        format!("{} {ml:.0} ml", self.side(side))
    }

    fn pneumothorax(&self, side: Side, ml: f64, percent: f64) -> String {
        format!("{} {ml:.0} ml, {percent:.1} % of the hemithorax", self.side(side))
    }

    fn agatston(&self, score: f64) -> String {
        format!("Agatston score {score:.0}")
    }

    fn calcium_estimate(&self, grade: u8, reason: &str) -> String {
        format!("{} (estimate, grade {grade} of 3; no Agatston score: {reason})", self.grade(grade))
    }

    fn lymph_nodes(&self, count: usize, long_mm: f64, short_mm: f64) -> String {
        format!("{count}, largest {long_mm:.1} x {short_mm:.1} mm")
    }

    fn nodules(&self, count: usize, largest: &Largest) -> String {
        let Largest { diameter_mm, about, place } = largest;
        format!("{count}, largest {diameter_mm:.1} mm{about}, {place}")
    }

    fn pneumonia(&self, ground_glass: f64, consolidation: f64) -> String {
        format!("ground glass {ground_glass:.1} %, consolidation {consolidation:.1} % of both lungs")
    }

    fn opacities(&self, count: usize) -> String {
        if count == 1 { "1 opacity".into() } else { format!("{count} opacities") }
    }

    fn comparison(&self, date: &str, place: &str, [g0, g1]: [f64; 2], [c0, c1]: [f64; 2]) -> String {
        format!(
            "Pneumonia compared with {date}, {place}: ground glass {g0:.1} -> {g1:.1} % ({:+.1}), consolidation {c0:.1} -> {c1:.1} % ({:+.1})",
            g1 - g0,
            c1 - c0
        )
    }
}

const DOCUMENT: Document = Document {
    title: "Chest CT AI findings (draft)",
    dicom_title: "Chest CT AI findings (draft)",
    mark: "",
    head: "Findings",
    comparison: "Comparison",
    extents: ["Pneumonia, part of the lungs", "Volume", "Ground glass", "Consolidation"],
    lungs: "Lungs",
    made: "Made by",
    note: "Automated draft, not reviewed by a physician. Coordinates and masks are in the structured report and the segmentation.",
    states: ["found", "none found", "not evaluated"],
    patient: ["Patient", "Patient ID", "Date of birth", "Sex", "Study date", "Accession no.", "Study"],
};

/// The sentences of the gates and measurements in `models`. They are matched word for word; `{}` stands for a value.
pub const REASONS: Reasons = Reasons {
    not_in_package: "the package {} does not look for it",
    too_young: "the patient is {} years old, package needs >= {}",
    body_part: "body part {}, package is for {}",
    spacing_too_large: "slice spacing {} mm, package needs <= {} mm",
    spacing_too_small: "slice spacing {} mm, package needs >= {} mm",
    noise: "noise {} HU, package needs <= {} HU",
    contrast_given: "contrast agent was given, package needs a series without",
    contrast_missing: "no contrast agent was given, package needs a series with",
    contrast_unknown: "the header does not say whether contrast agent was given, package needs to know",
    kernel_unnamed: "the header does not name the kernel, package needs a soft one",
    kernel_sharp: "kernel {} is sharp, package needs a soft one",
    no_lungs: "no lungs were found",
    no_volume: "{} slices are no volume",
    no_air: "no air inside the body",
    implausible_air: "the air inside the body measures {} ml, no plausible lung volume",
    no_lung_in_scan: "no lungs in this scan (the largest air space inside the body measures {} ml)",
    lungs_at_edge: "the lungs reach the edge of the image",
    scan_ends_above: "the scan ends inside the lungs, at its upper end",
    scan_ends_below: "the scan ends inside the lungs, at its lower end",
    agatston_contrast: "contrast agent was given",
    agatston_contrast_unknown: "it is not known whether contrast agent was given",
    agatston_not_gated: "not gated to the heartbeat",
    agatston_gating_unknown: "it is not known whether the scan was gated",
    agatston_voltage: "{} kV instead of 120 kV",
    agatston_voltage_unknown: "the tube voltage is not known",
    agatston_spacing: "slice spacing {} mm instead of 2.5 to 3 mm",
    agatston_kernel: "sharp kernel {}",
    agatston_kernel_unknown: "the kernel is not known",
};
