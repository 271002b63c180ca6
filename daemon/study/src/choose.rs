//! Which of several reconstructions of one scan is read, and for which findings. Pure.
//!
//! A scan usually comes as thin sharp, thin smooth and thick slices. One series is read for everything that it can give;
//! another only for findings that the first cannot (emphysema needs a smooth kernel). What adds nothing is not read.

use dicom::header::Header;
use models::acquisition::Acquisition;
use models::findings::ChestFinding;
use models::task::ct_chest::sharp;

use crate::volume::geometry::{self, SliceGeometry};

/// What is known of a series before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Row of the series.
    pub id: i64,
    /// For people.
    pub label: Label,
    /// Only series with equal ones can be of one scan.
    pub scan: ScanKey,
    /// Lowest and highest position of its slices along the patient, mm.
    pub along_mm: [f64; 2],
    /// Shorter side of the image, mm.
    pub field_mm: f64,
    /// Spacing or thickness, whichever is greater, mm.
    pub slice_mm: f64,
    /// Made for lung or bone, by the name of its kernel. One without a name counts as soft: its noise is judged later.
    pub sharp: bool,
    pub axial: bool,
    /// Its slices make a volume, as far as their headers say.
    pub readable: bool,
}

/// How people find a series. Series descriptions are free text and may hold names: they are not used.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    pub number: Option<i64>,
    pub slice_mm: f64,
    pub kernel: String,
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.number.map_or_else(|| "without a number".to_owned(), |number| number.to_string());
        write!(f, "{number} ({:.1} mm", models::number::Number(self.slice_mm))?;
        if !self.kernel.is_empty() {
            write!(f, ", {}", self.kernel)?;
        }
        f.write_str(")")
    }
}

/// What all reconstructions of one scan have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanKey {
    /// ID, name and birth date, in capitals: a study may hold series of two patients. Never shown.
    pub patient: [String; 3],
    pub frame_of_reference_uid: String,
    pub acquisition_number: Option<i64>,
    pub patient_position: String,
    /// Contrast phase and breathing as the description names them: scans of two phases may share all the rest.
    pub phase: Vec<&'static str>,
}

/// Words of series descriptions that tell scans apart, and what they stand for.
const PHASES: [(&str, &str); 22] = [
    ("ARTERIAL", "arterial"),
    ("ART ", "arterial"),
    ("ANGIO", "arterial"),
    ("CTA", "arterial"),
    ("VENOUS", "venous"),
    ("VEN ", "venous"),
    ("PORTAL", "venous"),
    ("DELAY", "late"),
    ("LATE", "late"),
    ("NATIVE", "plain"),
    ("PLAIN", "plain"),
    ("NON CON", "plain"),
    ("NON-CON", "plain"),
    ("NONCON", "plain"),
    ("WITHOUT", "plain"),
    ("W/O", "plain"),
    ("C-", "plain"),
    ("C+", "contrast"),
    ("INSP", "inspiration"),
    ("EXP", "expiration"),
    ("PRONE", "prone"),
    ("GATED", "gated"),
];

fn phase(description: &str) -> Vec<&'static str> {
    let text = format!("{} ", description.to_ascii_uppercase().replace(['_', ','], " "));
    let mut found: Vec<_> = PHASES.iter().filter(|(word, _)| text.contains(word)).map(|(_, phase)| *phase).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Cosine of 30 degrees: slices whose normal is farther from the patient's axis are no axial ones.
const AXIAL: f64 = 0.866;

impl Candidate {
    /// From the headers of its instances; `None` when they do not say enough to compare it (no frame of reference, several
    /// frames in one object): it is read by itself then.
    pub fn of(id: i64, headers: &[&Header]) -> Option<Self> {
        let first = headers.iter().min_by_key(|header| header.instance_number)?;
        if headers.iter().any(|header| header.number_of_frames > 1) {
            return None;
        }
        let normal = geometry::across(first.image_orientation?);
        let along = |header: &&Header| Some(geometry::dot(header.image_position?, normal));
        let mut positions: Vec<f64> = headers.iter().filter_map(along).filter(|mm| mm.is_finite()).collect();
        positions.sort_by(f64::total_cmp);
        let steps: Vec<f64> = positions.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let spacing = if steps.is_empty() { return None } else { geometry::median(&steps) };
        let z: Vec<f64> = headers.iter().filter_map(|header| header.image_position).map(|at| at[2]).collect();
        let along_mm =
            [z.iter().copied().fold(f64::INFINITY, f64::min), z.iter().copied().fold(f64::NEG_INFINITY, f64::max)];
        let [row_mm, column_mm] = first.pixel_spacing?;
        let field_mm = (f64::from(first.rows) * row_mm).min(f64::from(first.columns) * column_mm);
        let acquisition = Acquisition { slice_thickness_mm: first.slice_thickness, ..Acquisition::default() };
        let slice_mm = acquisition.slice_mm(spacing);
        let places: Vec<SliceGeometry> = headers.iter().map(|header| SliceGeometry::from(*header)).collect();
        Some(Self {
            id,
            label: Label { number: first.series_number, slice_mm, kernel: printable(&first.kernel) },
            scan: ScanKey {
                patient: [&first.patient_id, &first.patient_name, &first.birth_date]
                    .map(|text| text.trim().to_uppercase()),
                frame_of_reference_uid: first.frame_of_reference_uid.clone().filter(|uid| !uid.is_empty())?,
                acquisition_number: first.acquisition_number,
                patient_position: first.patient_position.clone(),
                phase: phase(&first.series_description),
            },
            along_mm,
            field_mm,
            slice_mm,
            sharp: sharp(&first.kernel),
            axial: normal[2].abs() >= AXIAL,
            readable: crate::volume::can_be_read(&places),
        })
    }

    /// Can it give this finding? Spacings and kernels as the package that ships is limited to them; the gates of the package
    /// that runs have the last word.
    pub fn can_give(&self, finding: ChestFinding) -> bool {
        let unfit = finding.needs_soft_kernel() && self.sharp;
        self.readable && self.slice_mm <= finding.thickest_slices_mm() + 0.05 && !unfit
    }

    /// Can nothing be better?
    pub fn gives_all(&self) -> bool {
        self.axial && self.slice_mm <= 1.55 && ChestFinding::ALL.into_iter().all(|finding| self.can_give(finding))
    }

    /// Does this series show what the other shows? Images of nearly the same part, and no smaller field.
    fn covers(&self, other: &Self) -> bool {
        let length = (other.along_mm[1] - other.along_mm[0]).max(1.0);
        let low = self.along_mm[0].max(other.along_mm[0]);
        let high = self.along_mm[1].min(other.along_mm[1]);
        (high - low) / length >= NEARLY && self.field_mm >= NEARLY * other.field_mm
    }

    /// Smaller is better. `longest` and `widest`: of the scan, mm.
    fn rank(&self, longest: f64, widest: f64) -> (bool, bool, bool, bool, u8, bool, i64, i64, i64) {
        // Thin enough for small nodules, for all findings, for the calcium score, for nodes, for anything.
        let class = [1.55, 2.55, 3.05, 5.05, 8.05].iter().zip(0u8..).find(|(most, _)| self.slice_mm <= **most);
        let tenths = models::cast::round_index(self.slice_mm.max(0.0) * 10.0);
        (
            !self.readable,
            !self.axial,
            self.along_mm[1] - self.along_mm[0] < NEARLY * longest,
            self.field_mm < NEARLY * widest,
            class.map_or(5, |(_, class)| class),
            self.sharp,
            i64::try_from(tenths).unwrap_or(i64::MAX),
            self.label.number.unwrap_or(i64::MAX),
            self.id,
        )
    }
}

/// Share of an extent that counts as all of it.
const NEARLY: f64 = 0.9;

fn printable(kernel: &str) -> String {
    kernel.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(16).collect::<String>().trim().to_owned()
}

/// What is to be done with one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub id: i64,
    pub label: Label,
    /// Findings that it gives; empty when it is not read.
    pub gives: Vec<ChestFinding>,
    /// The best series of its scan: itself, or the one that is read instead.
    pub best: i64,
    /// From which series the other findings are read.
    pub elsewhere: Vec<(ChestFinding, Label)>,
    /// Series of its scan that are not read at all, for the best one.
    pub unread: Vec<Label>,
}

impl Choice {
    pub fn is_read(&self) -> bool {
        !self.gives.is_empty()
    }

    /// Names what is said of other series, beside what names the content already: results that say something else have other
    /// UIDs.
    pub fn named(&self, revision: &str) -> String {
        if self.elsewhere.is_empty() && self.unread.is_empty() {
            return revision.to_owned();
        }
        let elsewhere = self.elsewhere.iter().map(|(finding, label)| format!("{} from {label}", finding.as_str()));
        let unread = self.unread.iter().map(|label| format!("without {label}"));
        std::iter::once(revision.to_owned()).chain(elsewhere).chain(unread).collect::<Vec<_>>().join("; ")
    }
}

/// The verdict of a series that is not read. `instead`: the one that is.
pub fn verdict(choice: &Choice, instead: Option<&Label>) -> String {
    let instead = instead.map_or_else(|| "another series".to_owned(), |label| format!("series {label}"));
    format!(
        "kept, not read: {instead} of the same scan is read and gives every finding that this one, series {}, could; to read \
         it all the same: `scansidectl studies rerun`, or `series = \"all\"` in [analyze]",
        choice.label
    )
}

/// One choice for each candidate, in their order.
pub fn choose(candidates: &[Candidate]) -> Vec<Choice> {
    let mut choices: Vec<Option<Choice>> = vec![None; candidates.len()];
    // Each round takes one scan: its best series, and what that covers.
    while let Some(first) = choices.iter().position(Option::is_none) {
        let open = |i: &usize| choices[*i].is_none() && candidates[*i].scan == candidates[first].scan;
        let all: Vec<usize> = (0..candidates.len()).filter(open).collect();
        let of = |i: &usize| &candidates[*i];
        let longest = all.iter().map(of).map(|c| c.along_mm[1] - c.along_mm[0]).fold(0.0, f64::max);
        let widest = all.iter().map(of).map(|c| c.field_mm).fold(0.0, f64::max);
        let mut ranked = all.clone();
        ranked.sort_by_key(|i| candidates[*i].rank(longest, widest));
        let best = ranked[0];
        // What the best one does not show is another part of the body, or a wider field: it is chosen among itself.
        let scan: Vec<usize> =
            ranked.into_iter().filter(|i| *i == best || candidates[best].covers(&candidates[*i])).collect();
        let giver = |finding: ChestFinding| {
            let able = |i: &&usize| {
                let other = &candidates[**i];
                other.can_give(finding) && other.axial == candidates[best].axial && other.covers(&candidates[best])
            };
            if candidates[best].can_give(finding) { best } else { scan.iter().find(able).copied().unwrap_or(best) }
        };
        let givers: Vec<(ChestFinding, usize)> = ChestFinding::ALL.into_iter().map(|f| (f, giver(f))).collect();
        let is_giver = |i: usize| givers.iter().any(|(_, giver)| *giver == i);
        let unread: Vec<Label> = scan.iter().filter(|i| !is_giver(**i)).map(|i| candidates[*i].label.clone()).collect();
        for i in &scan {
            let (mine, others): (Vec<_>, Vec<_>) = givers.iter().copied().partition(|(_, giver)| giver == i);
            choices[*i] = Some(Choice {
                id: candidates[*i].id,
                label: candidates[*i].label.clone(),
                gives: mine.into_iter().map(|(finding, _)| finding).collect(),
                best: candidates[best].id,
                elsewhere: others
                    .into_iter()
                    .map(|(finding, giver)| (finding, candidates[giver].label.clone()))
                    .collect(),
                unread: if *i == best { unread.clone() } else { Vec::new() },
            });
        }
    }
    choices.into_iter().flatten().collect()
}

/// Of series that were read already, those that show what a late one of the same scan shows; the one that gives most first.
pub fn that_cover<'a>(late: &Candidate, read: &'a [Candidate]) -> Vec<&'a Candidate> {
    let covers = |other: &&Candidate| other.id != late.id && other.scan == late.scan && other.covers(late);
    let mut covering: Vec<&Candidate> = read.iter().filter(covers).collect();
    let gives = |one: &&Candidate| ChestFinding::ALL.into_iter().filter(|finding| one.can_give(*finding)).count();
    covering.sort_by_key(|one| std::cmp::Reverse(gives(one)));
    covering
}

/// Does a series give a finding that none of these, which were read already, can give? Only then is a second result worth
/// the reader's time: one that is merely nicer would say the same things again, with other numbers.
pub fn adds(late: &Candidate, read: &[&Candidate]) -> bool {
    let mut missing =
        ChestFinding::ALL.into_iter().filter(|finding| !read.iter().any(|other| other.can_give(*finding)));
    missing.any(|finding| late.can_give(finding))
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
