//! Which of several reconstructions of one scan is read, and for which findings. Pure.
//!
//! A scan usually comes as thin sharp, thin smooth and thick slices. For each finding one series is read; another that shows
//! no more than that one is not read for it. Headers say which series could give a finding; once a series was read, what
//! came of it says that, and what it could not give is looked for in the next one. All follows from the series and what came of
//! those that were read, never from the order in which they came. What is not certainly of one scan, or not certainly shown by
//! the other series, is read.

use std::cmp::Reverse;

use dicom::header::{Acquired, Header};
use models::Reading;
use models::findings::ChestFinding;
use models::task::ct_chest::sharp;

use crate::volume::geometry::{self, SliceGeometry};

/// What is known of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Row of the series.
    pub id: i64,
    /// Series Instance UID: decides between series that are equal in all else.
    pub uid: String,
    /// For people.
    pub label: Label,
    /// Only series with equal ones can be of one scan.
    pub scan: ScanKey,
    /// When its first and its last slice were measured, seconds since the year 0.
    pub acquired_s: [f64; 2],
    /// CTDIvol, mGy, the median of its slices.
    pub dose_mgy: Option<f64>,
    /// Lowest and highest corner of the box around the centres of all its pixels, mm, LPS.
    pub box_mm: [[f64; 3]; 2],
    /// Spacing or thickness, whichever is greater, mm.
    pub slice_mm: f64,
    /// Made for lung or bone, by the name of its kernel. One without a name counts as soft: what comes of it says more.
    pub sharp: bool,
    /// Axial slices straight above each other: its box is what it shows.
    pub straight: bool,
    /// No slice is missing, as far as the headers say.
    pub whole: bool,
    /// What came of it; `None` when it was not read.
    pub outcome: Option<Reading>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct ScanKey {
    /// ID, name and birth date, in capitals: a study may hold series of two patients. Never shown.
    pub patient: [String; 3],
    pub frame_of_reference_uid: String,
    pub acquisition_number: Option<i64>,
    pub patient_position: String,
    /// Contrast phase and breathing as the description names them.
    pub phase: Vec<&'static str>,
    /// As written: a map of iodine, a projection of maxima or another energy is no reconstruction of the same thing.
    pub image_type: Vec<String>,
    pub contrast_agent: String,
    pub kvp: Option<f64>,
    pub monoenergetic_kev: Option<f64>,
}

impl ScanKey {
    fn of(header: &Header) -> Option<Self> {
        let plain = |text: &String| text.trim().to_uppercase();
        Some(Self {
            patient: [&header.patient_id, &header.patient_name, &header.birth_date].map(plain),
            frame_of_reference_uid: header.frame_of_reference_uid.clone().filter(|uid| !uid.is_empty())?,
            acquisition_number: header.acquisition_number,
            patient_position: header.patient_position.clone(),
            phase: phase(&header.series_description),
            image_type: header.image_type.iter().map(plain).collect(),
            contrast_agent: plain(&header.acquired.contrast_agent),
            kvp: header.acquired.kvp,
            monoenergetic_kev: header.monoenergetic_kev,
        })
    }
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

/// Cosine of 1 degree.
const UPRIGHT: f64 = 0.9998;
/// Slices of one upright stack lie above each other to within this, mm.
const ABOVE_MM: f64 = 1.0;
/// A field may end so much within another and count as showing the same, mm: skin and air.
const EDGE_MM: f64 = 10.0;
/// Reconstructions of one scan begin and end within its time to within this, seconds. No scanner begins another scan so soon.
const SAME_TIME_S: f64 = 1.0;
/// Doses that differ by more than this share are of two scans.
const SAME_DOSE: f64 = 0.2;
/// Steps between slices beyond this share of the usual one are a gap.
const GAP: f64 = 1.5;

/// When a slice was measured, seconds since the year 0. `None` where the header does not say, or was emptied.
fn seconds(acquired: &Acquired) -> Option<f64> {
    let digits: String = acquired.when.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let (day, time) = digits.split_at_checked(8)?;
    let day = jiff::civil::Date::strptime("%Y%m%d", day).ok()?;
    let two = |at: usize| time.get(at..at + 2)?.parse::<f64>().ok();
    let rest = time.get(4..)?.parse::<f64>().ok()?;
    let of_day = two(0)? * 3600.0 + two(2)? * 60.0 + rest;
    let days = f64::from(day.year()) * 366.0 + f64::from(day.day_of_year());
    (of_day > 0.0).then_some(days * 86_400.0 + of_day)
}

/// Lowest and highest of some numbers.
fn span(numbers: impl Iterator<Item = f64>) -> [f64; 2] {
    numbers.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)])
}

/// The centres of the four pixels at the corners of an image, mm, LPS.
fn corners(header: &Header) -> Option<[[f64; 3]; 4]> {
    let at = header.image_position?;
    let [rx, ry, rz, cx, cy, cz] = header.image_orientation?;
    let [row_mm, column_mm] = header.pixel_spacing?;
    let width = f64::from(header.columns.saturating_sub(1)) * column_mm;
    let height = f64::from(header.rows.saturating_sub(1)) * row_mm;
    let corner = |right: f64, down: f64| {
        let [x, y, z] = at;
        [x + rx * right + cx * down, y + ry * right + cy * down, z + rz * right + cz * down]
    };
    Some([corner(0.0, 0.0), corner(width, 0.0), corner(0.0, height), corner(width, height)])
}

impl Candidate {
    /// From the headers of all its instances and what came of it; `None` when they do not say enough to compare it, or not
    /// all the same: it is read by itself then.
    /// `headers`: of its slices; `sharers`: how many objects share the series with them, which a scanner counts, too.
    pub fn of(id: i64, headers: &[&Header], sharers: usize, outcome: Option<Reading>) -> Option<Self> {
        let first = headers.iter().min_by_key(|header| header.instance_number)?;
        let scan = ScanKey::of(first)?;
        let orientation = first.image_orientation?;
        let is_one = |header: &&Header| {
            header.number_of_frames <= 1
                && ScanKey::of(header).as_ref() == Some(&scan)
                && header.kernel == first.kernel
                && (header.rows, header.columns) == (first.rows, first.columns)
                && header.pixel_spacing == first.pixel_spacing
                && header.slice_thickness == first.slice_thickness
                && header
                    .image_orientation
                    .is_some_and(|o| o.iter().zip(orientation).all(|(a, b)| (a - b).abs() < 1e-3))
        };
        let places: Vec<SliceGeometry> = headers.iter().map(|header| SliceGeometry::from(*header)).collect();
        if !headers.iter().all(is_one) || !crate::volume::can_be_read(&places) {
            return None;
        }
        let times = headers.iter().map(|header| seconds(&header.acquired)).collect::<Option<Vec<f64>>>()?;
        let normal = geometry::across(orientation);
        let at = headers.iter().map(|header| header.image_position).collect::<Option<Vec<_>>>()?;
        let mut along: Vec<f64> = at.iter().map(|at| geometry::dot(*at, normal)).collect();
        along.sort_by(f64::total_cmp);
        let steps: Vec<f64> = along.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let spacing = if steps.is_empty() { return None } else { geometry::median(&steps) };
        let corners: Vec<[f64; 3]> = headers.iter().filter_map(|header| corners(header)).flatten().collect();
        let spans = [0, 1, 2].map(|axis| span(corners.iter().map(|corner| corner[axis])));
        if !spans.iter().flatten().all(|mm| mm.is_finite()) || corners.len() != 4 * headers.len() {
            return None;
        }
        let doses = headers.iter().map(|header| header.acquired.dose_mgy).collect::<Option<Vec<f64>>>();
        let above = |place: &[f64; 3]| (0..2).all(|axis| (place[axis] - at[0][axis]).abs() <= ABOVE_MM);
        let declared = first.number_of_series_related_instances.and_then(|count| usize::try_from(count).ok());
        let thickness = first.slice_thickness.filter(|mm| mm.is_finite()).unwrap_or(0.0);
        let slice_mm = spacing.max(thickness);
        Some(Self {
            id,
            uid: first.series_instance_uid.clone(),
            label: Label { number: first.series_number, slice_mm, kernel: printable(&first.kernel) },
            scan,
            acquired_s: span(times.into_iter()),
            dose_mgy: doses.map(|all| geometry::median(&all)),
            box_mm: [0, 1].map(|end| spans.map(|span| span[end])),
            slice_mm,
            sharp: sharp(&first.kernel),
            straight: normal[2].abs() >= UPRIGHT && at.iter().all(above),
            whole: steps.iter().all(|step| *step > 0.0 && *step <= GAP * spacing)
                && declared.is_none_or(|count| count <= headers.len() + sharers),
            outcome,
        })
    }

    /// Can it give this finding? Spacings and kernels as the package that ships is limited to them, until it was read: then
    /// what came of it counts.
    pub fn can_give(&self, finding: ChestFinding) -> bool {
        let is_sharp = finding.needs_soft_kernel() && self.sharp;
        let was_unfit = self.outcome.as_ref().is_some_and(|outcome| outcome.unfit.contains(&finding));
        self.slice_mm <= finding.thickest_slices_mm() + 0.05 && !is_sharp && !was_unfit
    }

    /// Can nothing be better?
    pub fn gives_all(&self) -> bool {
        let gives = ChestFinding::ALL.into_iter().all(|finding| self.can_give(finding));
        gives && self.straight && self.is_whole() && self.slice_mm <= 1.55
    }

    fn is_whole(&self) -> bool {
        self.whole && self.outcome.as_ref().is_none_or(|outcome| !outcome.lacks_slices)
    }

    /// Is all that the other series shows certainly shown by this one?
    pub fn covers(&self, other: &Self) -> bool {
        self.is_whole() && self.straight && self.is_scan_of(other) && self.surrounds(other)
    }

    /// Is the other one certainly made of the data of this scan?
    fn is_scan_of(&self, other: &Self) -> bool {
        let doses = self.dose_mgy.zip(other.dose_mgy);
        self.scan == other.scan
            && other.acquired_s[0] >= self.acquired_s[0] - SAME_TIME_S
            && other.acquired_s[1] <= self.acquired_s[1] + SAME_TIME_S
            && doses.is_none_or(|(one, two)| (one - two).abs() <= SAME_DOSE * one.min(two))
    }

    fn surrounds(&self, other: &Self) -> bool {
        // Stacks of other slices do not end at the same place: to within a slice.
        let end_mm = self.slice_mm.max(f64::midpoint(self.slice_mm, other.slice_mm)) + 0.1;
        (0..3).zip([EDGE_MM, EDGE_MM, end_mm]).all(|(axis, mm)| {
            self.box_mm[0][axis] <= other.box_mm[0][axis] + mm && self.box_mm[1][axis] >= other.box_mm[1][axis] - mm
        })
    }

    /// Smaller is better.
    fn rank(&self) -> (bool, u8, bool, bool, Reverse<u64>, u64, i64, &str) {
        // Thin enough for small nodules, for all findings, for the calcium score, for nodes, for anything.
        let class = [1.55, 2.55, 3.05, 5.05, 8.05].iter().zip(0u8..).find(|(most, _)| self.slice_mm <= **most);
        let [low, high] = self.box_mm;
        let litres = (0..3).map(|axis| (high[axis] - low[axis]).max(1.0) / 100.0).product::<f64>();
        let whole = |number: f64| models::cast::round_index(number.max(0.0)) as u64;
        (
            !self.straight,
            class.map_or(5, |(_, class)| class),
            self.sharp,
            !self.is_whole(),
            Reverse(whole(litres)),
            whole(self.slice_mm * 10.0),
            self.label.number.unwrap_or(i64::MAX),
            &self.uid,
        )
    }
}

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
    /// From which series the other findings are read. Those that no series can give are not among them.
    pub elsewhere: Vec<(ChestFinding, Label)>,
    /// One of those was not read yet: it may turn out to be unable.
    pub awaits: bool,
    /// The one that is read instead, when it gives nothing.
    pub instead: Option<Label>,
    /// Series of its scan that are not read at all, for this one.
    pub unread: Vec<Label>,
}

impl Choice {
    pub fn is_read(&self) -> bool {
        !self.gives.is_empty()
    }

    /// Does the result that was made say what is so now, as far as that is known?
    pub fn is_said_by(&self, reading: &Reading) -> bool {
        if self.awaits {
            return true;
        }
        let now = self.on(Reading::default());
        now.elsewhere == reading.elsewhere && reading.unread.iter().all(|label| now.unread.contains(label))
    }

    /// What a series gave, with what is said of the others.
    pub fn on(&self, given: Reading) -> Reading {
        Reading {
            elsewhere: self.elsewhere.iter().map(|(finding, label)| (*finding, label.to_string())).collect(),
            unread: self.unread.iter().map(ToString::to_string).collect(),
            ..given
        }
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

/// The verdict of a series that is not read.
pub fn verdict(choice: &Choice) -> String {
    let instead =
        choice.instead.as_ref().map_or_else(|| "another series".to_owned(), |label| format!("series {label}"));
    format!(
        "kept, not read: {instead} of the same scan is read and gives every finding that this one, series {}, could; to read \
         it all the same: `scansidectl studies rerun`, or `series = \"all\"` in [analyze]",
        choice.label
    )
}

/// One choice for each candidate, in their order. Series that failed are no candidates.
pub fn choose(candidates: &[Candidate]) -> Vec<Choice> {
    let mut ranked: Vec<usize> = (0..candidates.len()).collect();
    ranked.sort_by(|a, b| candidates[*a].rank().cmp(&candidates[*b].rank()));
    let givers = ChestFinding::ALL.map(|finding| (finding, givers(candidates, &ranked, finding)));
    let gives = |i: usize| -> Vec<ChestFinding> {
        givers.iter().filter(|(_, all)| all.contains(&i)).map(|(finding, _)| *finding).collect()
    };
    // For a series that gives nothing: the best of those that show all of it.
    let instead: Vec<Option<usize>> = (0..candidates.len())
        .map(|i| {
            let stands = |other: &usize| *other != i && candidates[*other].covers(&candidates[i]);
            let idle = gives(i).is_empty();
            ranked.iter().copied().filter(stands).find(|other| idle && !gives(*other).is_empty())
        })
        .collect();
    let label = |i: usize| candidates[i].label.clone();
    let one = |i: usize| {
        let own = gives(i);
        let is_alone = own.is_empty() && instead[i].is_none();
        let from = |(finding, all): &(ChestFinding, Vec<usize>)| {
            let giver = all.iter().find(|giver| candidates[**giver].covers(&candidates[i]))?;
            (!is_alone && !own.contains(finding)).then_some((*finding, *giver))
        };
        let elsewhere: Vec<(ChestFinding, usize)> = givers.iter().filter_map(from).collect();
        let left = |other: &&usize| instead[**other] == Some(i) && candidates[**other].outcome.is_none();
        Choice {
            id: candidates[i].id,
            label: label(i),
            awaits: elsewhere.iter().any(|(_, giver)| candidates[*giver].outcome.is_none()),
            elsewhere: elsewhere.into_iter().map(|(finding, giver)| (finding, label(giver))).collect(),
            gives: if is_alone { ChestFinding::ALL.to_vec() } else { own },
            instead: instead[i].map(label),
            unread: ranked.iter().filter(left).map(|other| label(*other)).collect(),
        }
    };
    (0..candidates.len()).map(one).collect()
}

/// The series from which a finding is read, best first: every one that can give it and shows something that no better one
/// shows.
fn givers(candidates: &[Candidate], ranked: &[usize], finding: ChestFinding) -> Vec<usize> {
    let mut givers: Vec<usize> = Vec::new();
    for i in ranked.iter().copied().filter(|i| candidates[*i].can_give(finding)) {
        if !givers.iter().any(|giver| candidates[*giver].covers(&candidates[i])) {
            givers.push(i);
        }
    }
    givers
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
