//! The chest findings in words and numbers, one line each: what is found, that nothing is found, or why it is not known.
//! Verdict, pages and document say the same because they all read these lines. Pure.
//!
//! What is said is decided here; how a language says it is in one file each (`words/en.rs`, `words/zh.rs`). A further
//! language is such a file and one row of [`Language`].

pub mod breast;
pub mod edits;
mod en;
pub mod mammography;
mod zh;

#[cfg(test)]
pub mod examples;

use dicom::pixels::error::DecodeError;
use dicom::text::date;
use models::findings::{
    CalciumScore, ChestFinding, Emphysema, Evaluated, Form, LeastSize, LobeName, LungPart, Nodule, NoduleType,
    Pneumonia, Side,
};
use models::growth::{Difference, Missing, NoduleChange};
use models::remark::Remark;
use models::review::{Signature, day};
use models::task::ct_quality::{CtQuality, Noise, Slices};
use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::Mark;
use models::task::mg_breast::withheld::Withheld;
use models::{Acquisition, ChestFindings, NotEvaluated, Reason, Refusal, Topic, Volume};

use crate::Refused;
use crate::impression::{self, Advice};
use crate::refused::Mixed;
use crate::stills::{NoSize, NotRead};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    Found,
    NotFound,
    NotEvaluated,
}

macro_rules! languages {
    ($($(#[$about:meta])* $name:ident = $words:path;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Language {
            $($(#[$about])* $name,)+
        }

        impl Language {
            /// In the order of the documents of a result.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// By its tag; `None` for a language that we do not have.
            pub fn of_tag(tag: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|language| language.words().tag() == tag)
            }

            pub fn words(self) -> &'static dyn Words {
                match self {
                    $(Self::$name => &$words,)+
                }
            }
        }
    };
}

languages! {
    English = en::English;
    /// Simplified Chinese.
    Chinese = zh::Chinese;
}

/// What was done about the noise before LAA-950 was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denoised {
    Yes,
    /// It was measured, and asks for nothing.
    No,
    Unknown,
}

impl Denoised {
    fn of(emphysema: &Emphysema) -> Self {
        match (emphysema.smoothed, emphysema.noise_hu) {
            (true, _) => Self::Yes,
            (false, Some(_)) => Self::No,
            (false, None) => Self::Unknown,
        }
    }
}

/// How a language says things. Nothing has a default: a language that lacks a word does not compile.
pub trait Words: Sync + breast::Breast + edits::Edits + mammography::Mammograms {
    /// BCP 47.
    fn tag(&self) -> &'static str;
    fn document(&self) -> &'static Document;
    /// As within a sentence.
    fn name(&self, finding: ChestFinding) -> &'static str;
    fn side(&self, side: Side) -> &'static str;
    fn part(&self, part: LungPart) -> &'static str;
    /// Put behind the name of a lobe whose fissures were not seen.
    fn estimated(&self) -> &'static str;
    fn nodule_type(&self, kind: NoduleType) -> &'static str;
    /// One lesion of the lung, by its size.
    fn form(&self, form: Form) -> &'static str;
    /// Of coronary calcification, 0 to 3.
    fn grade(&self, grade: u8) -> &'static str;
    fn none_found(&self) -> &'static str;
    /// Between the things of a list.
    fn separator(&self) -> &'static str;
    /// Between the parts of a sentence.
    fn comma(&self) -> &'static str;
    /// A heading and the text that belongs to it, in one line.
    fn titled(&self, heading: &str, text: &str) -> String;
    /// Characters of a text that the document's font lacks.
    fn not_printable(&self, count: usize) -> String;
    /// The character set in which a name was read, though it is not declared.
    fn guessed_character_set(&self, name: &str) -> String;
    /// Things of a list that are not named.
    fn more(&self, count: usize) -> String;
    /// A thing of a list that is there `count` times.
    fn repeated(&self, item: &str, count: usize) -> String;
    fn rib(&self, side: Side, rib: Option<u8>) -> String;
    /// Percent of both lungs (of the only one, if there is one), of the right and of the left lung below -950 HU.
    fn emphysema(&self, both: f64, right: Option<f64>, left: Option<f64>, noise: Denoised) -> String;
    fn volume_on_side(&self, side: Side, ml: f64) -> String;
    /// Percent of the hemithorax.
    fn pneumothorax(&self, side: Side, ml: f64, percent: f64) -> String;
    fn agatston(&self, score: f64) -> String;
    /// `reason`: why there is no Agatston score, in this language.
    fn calcium_estimate(&self, grade: u8, reason: &str) -> String;
    /// Axes of the largest one.
    fn lymph_nodes(&self, count: usize, long_mm: f64, short_mm: f64) -> String;
    fn nodules(&self, count: usize, largest: &Largest<'_>) -> String;
    /// Masses, with the longest diameter.
    fn masses(&self, count: usize, largest: &Largest<'_>) -> String;
    /// Percent of `place`: both lungs, or the only one.
    fn pneumonia(&self, place: &str, ground_glass: f64, consolidation: f64) -> String;
    fn opacities(&self, count: usize) -> String;
    /// How the series was made: slices, thickness, kernel, voltage, contrast agent, scanner.
    fn technique(&self, technique: &Technique<'_>) -> String;
    /// What a published rule says, with its name.
    fn advice(&self, advice: &Advice) -> String;
    /// None of what was evaluated was found.
    fn nothing_found(&self) -> &'static str;
    /// An earlier study is known, and why it was not compared.
    fn not_compared(&self, date: &str, missing: Missing) -> String;
    /// There is no study to compare with.
    fn no_prior(&self) -> &'static str;
    /// Volume of one nodule, then and now.
    fn nodule_change(&self, change: &NoduleChange, place: &str) -> String;
    /// Heads the sentences about nodules.
    fn nodules_compared(&self, date: &str) -> String;
    /// Nodules of the prior study and of this one that have no counterpart in the other.
    fn unmatched(&self, counts: [usize; 2]) -> String;
    /// That another scanner, kernel, thickness or contrast changes sizes and percentages by itself.
    fn differences(&self, all: &[Difference]) -> String;
    /// Percent of ground glass and of consolidation, then and now.
    fn comparison(&self, date: &str, place: &str, ground_glass: [f64; 2], consolidation: [f64; 2]) -> String;
    /// Why something was not evaluated, without what it is.
    fn reason(&self, reason: &Reason) -> String;
    /// The same with what it is; `reason` in this language.
    fn not_evaluated(&self, topic: Topic, reason: &str) -> String;
    /// That what was found is so in the part that was seen; `reason` in this language.
    fn seen_in_part(&self, reason: &str) -> String;
    /// That what is smaller was not evaluated in slices as thick as these.
    fn least_size(&self, least: &LeastSize) -> String;
    /// By whom, and on which day (as 2026-01-31 UTC).
    fn reviewed(&self, by: &str, date: &str) -> String;
    /// What a reader should know about the images.
    fn remark(&self, remark: &Remark) -> String;
    /// Why slices make no volume, and what to do about it.
    fn refusal(&self, refusal: &Refusal) -> String;
    /// Why the pixels of one slice cannot be used. `number`: its instance number.
    fn slice_fault(&self, number: Option<i64>, fault: &DecodeError) -> String;
    /// That a series or study holds objects of different patients, who are named by marks.
    fn patients(&self, what: Mixed, marks: &[String]) -> String;
    /// That nothing can be said of any picture of a series, with each reason and how many pictures have it.
    fn no_picture(&self, reasons: &[(NotRead, usize)]) -> String;
    /// Why a lesion in a picture has no size.
    fn no_size(&self, why: NoSize) -> &'static str;
    /// Which picture of a series is shown: instance number, frame.
    fn picture(&self, number: Option<i64>, frame: Option<u32>) -> String;
    /// A lesion of the breast by its number.
    fn lesion(&self, id: u32) -> String;
    /// Of a lesion of the breast.
    fn malignant(&self, score: f32) -> String;
    fn breast_ultrasound(&self) -> &'static str;
    fn mammography(&self) -> &'static str;
    /// Of one breast, one projection.
    fn standard_view(&self, view: StandardView) -> &'static str;
    fn mark_kind(&self, kind: Kind) -> &'static str;
    /// What the scores were made from.
    fn mark_stage(&self, stage: Stage) -> &'static str;
    /// How many marks there are in how many views.
    fn marks_counted(&self, marks: usize, views: usize) -> String;
    /// Kind, view, distance behind the nipple (mm), sides (mm), score.
    fn mark(&self, mark: &Mark, view: StandardView) -> String;
    /// Of the right and the left breast.
    fn breast_scores(&self, right: Option<f32>, left: Option<f32>) -> String;
    /// Why nothing is marked in a view.
    fn withheld(&self, why: Withheld) -> &'static str;
    /// `views` and `why` in this language.
    fn withheld_in(&self, views: &str, why: &str) -> String;
    /// That the network learnt from phantoms and says nothing of a patient.
    fn phantoms_only(&self) -> &'static str;
    /// Nobody asked for marks.
    fn not_marked(&self) -> &'static str;
    /// What the lines of a key image of mammograms are: outline, muscle, nipple.
    fn mammogram_lines(&self) -> [&'static str; 3];
    fn noise(&self, noise: &Noise) -> String;
    /// Their spacing, thickness and faults.
    fn slices(&self, slices: &Slices) -> String;
    fn motion_not_assessed(&self) -> &'static str;
    /// Words on key images.
    fn page(&self) -> &'static Page;
    /// `count` instances are not on the page.
    fn more_in_report(&self, count: usize) -> String;
    /// Which slice a picture shows, counted from 1, and its height in the patient (mm).
    fn slice(&self, number: usize, of: usize, mm: f64) -> String;
    /// Head of the page of a series that was not processed, and the sentence below it.
    fn refusal_head(&self) -> [&'static str; 2];
    /// What was received of such a series. `modality` may be empty.
    fn received(&self, instances: usize, modality: &str, series_number: Option<i64>) -> String;
}

/// The largest nodule or mass.
#[derive(Debug)]
pub struct Largest<'a> {
    /// [`Nodule::size_mm`].
    pub diameter_mm: f64,
    /// Type and Lung-RADS class, each with a comma before it; may be empty.
    pub about: String,
    pub place: &'a str,
}

/// How a series was made.
#[derive(Debug)]
pub struct Technique<'a> {
    pub slices: usize,
    pub spacing_mm: f64,
    pub acquisition: &'a Acquisition,
}

/// Headings and fixed sentences of the document.
#[derive(Debug)]
pub struct Document {
    pub title: &'static str,
    /// Document Title (0042,0010): ASCII, whatever the character set of the source is.
    pub dicom_title: &'static str,
    /// The same two of what a person has reviewed and signed.
    pub reviewed_title: &'static str,
    pub reviewed_dicom_title: &'static str,
    /// Before the English mark; empty in English.
    pub mark: &'static str,
    pub head: &'static str,
    pub technique: &'static str,
    pub comparison: &'static str,
    pub impression: &'static str,
    pub extents: [&'static str; 4],
    pub lungs: &'static str,
    pub quality: &'static str,
    pub made: &'static str,
    /// Of what nobody has reviewed.
    pub draft: &'static str,
    pub note: &'static str,
    /// Found, none found, not evaluated.
    pub states: [&'static str; 3],
    pub patient: [&'static str; 7],
}

/// Fixed words on key images.
#[derive(Debug)]
pub struct Page {
    pub title: &'static str,
    /// What the overview page shows.
    pub overview: &'static str,
    pub draft: &'static str,
    pub coronal: &'static str,
    /// With the outlines of the lobes.
    pub coronal_lobes: &'static str,
    /// Lungs, volume, mean.
    pub lungs: [&'static str; 3],
    pub both: &'static str,
    /// What LAA-950 is.
    pub laa_950: &'static str,
    /// Found, none found, not evaluated.
    pub states: [&'static str; 3],
    /// Above what a page must say of its images.
    pub images: &'static str,
    /// Of ground glass and of consolidation.
    pub colours: &'static str,
    pub ground_glass: &'static str,
    pub consolidation: &'static str,
    pub emphysema: &'static str,
}

/// What is to be said about one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub finding: ChestFinding,
    pub state: FindingState,
    /// Numbers, or the reason; never empty.
    pub text: String,
}

/// All findings, in the order of reports.
pub fn lines(findings: &ChestFindings, language: Language) -> Vec<Line> {
    ChestFinding::ALL.into_iter().map(|finding| line(findings, finding, language)).collect()
}

pub fn line(findings: &ChestFindings, finding: ChestFinding, language: Language) -> Line {
    let w = language.words();
    let said = value(findings, finding, w);
    let in_part = findings.part_missing(finding).map(|why| w.seen_in_part(&w.reason(why)));
    let least = findings.least_size(finding).map(|least| w.least_size(least));
    let joined = |parts: [Option<String>; 3]| parts.into_iter().flatten().collect::<Vec<_>>().join(w.separator());
    let (state, text) = match said {
        Ok(text) if findings.is_found(finding) == Some(true) => {
            (FindingState::Found, joined([Some(text), in_part, least]))
        }
        Ok(text) => {
            let text = (!text.is_empty()).then_some(text);
            (FindingState::NotFound, joined([Some(w.none_found().to_owned()), text, least]))
        }
        Err(why) => (FindingState::NotEvaluated, w.reason(&why.reason)),
    };
    Line { finding, state, text }
}

/// The numbers of a finding, empty when there is nothing to say; or why it was not evaluated.
fn value<'a>(findings: &'a ChestFindings, finding: ChestFinding, w: &dyn Words) -> Result<String, &'a NotEvaluated> {
    match finding {
        ChestFinding::Nodule => said(&findings.nodules, |all| nodules(findings, all, w)),
        ChestFinding::Pneumonia => said(&findings.pneumonia, |p| pneumonia(p, w)),
        ChestFinding::RibFracture => {
            said(&findings.rib_fractures, |all| listed(all.iter().map(|f| w.rib(f.side, f.rib)), w))
        }
        ChestFinding::Emphysema => said(&findings.emphysema, |e| {
            w.emphysema(e.laa950_percent, e.right_percent, e.left_percent, Denoised::of(e))
        }),
        ChestFinding::Bronchiectasis => {
            said(&findings.bronchiectasis, |all| listed(all.iter().map(|b| place(findings, b.lobe, b.side, w)), w))
        }
        ChestFinding::PleuralEffusion => said(&findings.pleural_effusions, |all| {
            listed(all.iter().map(|e| w.volume_on_side(e.side, e.region.volume_ml)), w)
        }),
        ChestFinding::Pneumothorax => said(&findings.pneumothoraces, |all| {
            listed(all.iter().map(|p| w.pneumothorax(p.side, p.region.volume_ml, p.percent)), w)
        }),
        ChestFinding::CoronaryCalcification => said(&findings.coronary_calcium, |c| match &c.score {
            CalciumScore::Agatston(score) => w.agatston(*score),
            CalciumScore::Ordinal { grade, reason } => w.calcium_estimate(*grade, &reasons(&reason.0, w)),
        }),
        ChestFinding::LymphNode => said(&findings.lymph_nodes, |all| {
            let largest = all.iter().max_by(|a, b| a.short_axis_mm.total_cmp(&b.short_axis_mm));
            largest.map(|n| w.lymph_nodes(all.len(), n.long_axis_mm, n.short_axis_mm)).unwrap_or_default()
        }),
    }
}

/// The text of a finding, empty when there is nothing to say; or why it was not evaluated.
fn said<T>(evaluated: &Evaluated<T>, say: impl FnOnce(&T) -> String) -> Result<String, &NotEvaluated> {
    match evaluated {
        Evaluated::Done(value) => Ok(say(value)),
        Evaluated::NotEvaluated(why) => Err(why),
    }
}

fn reasons(all: &[Reason], w: &dyn Words) -> String {
    all.iter().map(|reason| w.reason(reason)).collect::<Vec<_>>().join(w.comma())
}

/// At most four things are named, equal ones once with their number; the report has all.
fn listed(items: impl Iterator<Item = String>, w: &dyn Words) -> String {
    const NAMED: usize = 4;
    let mut counted: Vec<(String, usize)> = Vec::new();
    for item in items {
        match counted.iter_mut().find(|(known, _)| *known == item) {
            Some((_, count)) => *count += 1,
            None => counted.push((item, 1)),
        }
    }
    let left: usize = counted.iter().skip(NAMED).map(|(_, count)| count).sum();
    let named = counted.iter().take(NAMED);
    let named = named.map(|(item, count)| if *count > 1 { w.repeated(item, *count) } else { item.clone() });
    let text: Vec<String> = named.chain((left > 0).then(|| w.more(left))).collect();
    text.join(w.separator())
}

fn nodules(findings: &ChestFindings, all: &[Nodule], w: &dyn Words) -> String {
    let of = |form: Form| {
        let own = || all.iter().filter(|one| one.form == form);
        let largest = own().max_by(|a, b| a.size_mm().total_cmp(&b.size_mm()))?;
        let kind = largest.kind.map(|kind| format!("{}{}", w.comma(), w.nodule_type(kind))).unwrap_or_default();
        let class = largest.lung_rads.map(|class| format!("{}Lung-RADS {class}", w.comma())).unwrap_or_default();
        let place = place(findings, largest.lobe, largest.side, w);
        let largest = Largest { diameter_mm: largest.size_mm(), about: kind + &class, place: &place };
        Some(match form {
            Form::Nodule => w.nodules(own().count(), &largest),
            Form::Mass => w.masses(own().count(), &largest),
        })
    };
    [Form::Mass, Form::Nodule].into_iter().filter_map(of).collect::<Vec<_>>().join(w.separator())
}

fn pneumonia(p: &Pneumonia, w: &dyn Words) -> String {
    let count = p.ground_glass.len() + p.consolidation.len();
    if count == 0 {
        return String::new();
    }
    let whole = p.extents.first().filter(|e| !matches!(e.part, LungPart::Lobe(_)));
    let text = whole.map(|e| w.pneumonia(w.part(e.part), e.ground_glass_percent, e.consolidation_percent));
    text.unwrap_or_else(|| w.opacities(count))
}

/// The only lung that has a number, and its number.
fn only_lung(right: Option<f64>, left: Option<f64>) -> Option<(Side, f64)> {
    match (right, left) {
        (Some(percent), None) => Some((Side::Right, percent)),
        (None, Some(percent)) => Some((Side::Left, percent)),
        _ => None,
    }
}

/// A part of these lungs; a lobe whose fissures were not seen is called estimated wherever it is named.
pub fn part(findings: &ChestFindings, part: LungPart, w: &dyn Words) -> String {
    let estimated = matches!(part, LungPart::Lobe(name) if findings.is_estimated(name));
    format!("{}{}", w.part(part), if estimated { w.estimated() } else { "" })
}

/// The lobe, or the lung where that is not known.
pub fn place(findings: &ChestFindings, lobe: Option<LobeName>, side: Side, w: &dyn Words) -> String {
    part(findings, lobe.map_or(LungPart::Lung(side), LungPart::Lobe), w)
}

/// The finding's name at the beginning of a line.
pub fn name(finding: ChestFinding, language: Language) -> String {
    capital(language.words().name(finding))
}

/// Pneumonia and nodules then and now, and what makes the numbers doubtful; the parts of the lungs are in the findings.
pub fn comparisons(findings: &ChestFindings, language: Language) -> Vec<String> {
    let Some(comparison) = &findings.comparison else { return Vec::new() };
    let w = language.words();
    let date = &date(&comparison.prior_study_date);
    if let Some(missing) = comparison.missing {
        return vec![w.not_compared(date, missing)];
    }
    let both = comparison.changes.iter().find(|c| c.part == LungPart::Both).or_else(|| comparison.changes.first());
    let pneumonia = both.map(|change| {
        let (then_now, solid) = (change.ground_glass_percent, change.consolidation_percent);
        w.comparison(date, &part(findings, change.part, w), then_now, solid)
    });
    let nodules = comparison.nodules.as_ref().and_then(|nodules| {
        let change = |one: &NoduleChange| w.nodule_change(one, &place(findings, one.lobe, one.side, w));
        let left = (nodules.unmatched != [0, 0]).then(|| w.unmatched(nodules.unmatched));
        let said: Vec<String> = nodules.changes.iter().map(change).chain(left).collect();
        (!said.is_empty()).then(|| w.titled(&w.nodules_compared(date), &listed(said.into_iter(), w)))
    });
    let caution = (!comparison.differences.is_empty()).then(|| w.differences(&comparison.differences));
    pneumonia.into_iter().chain(nodules).chain(caution).collect()
}

/// What became of the comparison: what it says, why there is none with an earlier study, or that none is known.
pub fn compared(findings: &ChestFindings, language: Language) -> Vec<String> {
    match &findings.comparison {
        None => vec![language.words().no_prior().to_owned()],
        Some(_) => comparisons(findings, language),
    }
}

/// The same in one line; `None` without a prior study.
pub fn comparison(findings: &ChestFindings, language: Language) -> Option<String> {
    findings.comparison.as_ref()?;
    Some(comparisons(findings, language).join(language.words().separator()))
}

/// How the series was made.
pub fn technique(findings: &ChestFindings, volume: &Volume, language: Language) -> String {
    let [_, _, slices] = volume.geometry.dims;
    let spacing_mm = volume.geometry.slice_distance_mm();
    language.words().technique(&Technique { slices, spacing_mm, acquisition: &findings.acquisition })
}

/// One line of the impression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impression {
    pub text: String,
    /// What published rules say, each with its name.
    pub advice: Vec<String>,
}

/// What was found, gravest first; one line that nothing was, otherwise. Empty when nothing was evaluated.
pub fn impression(findings: &ChestFindings, volume: &Volume, language: Language) -> Vec<Impression> {
    let w = language.words();
    let spacing_mm = volume.geometry.slice_distance_mm();
    let slice_mm = findings.acquisition.slice_mm(spacing_mm);
    let lines: Vec<Impression> = impression::conclusions(findings, slice_mm)
        .into_iter()
        .map(|one| Impression {
            text: w.titled(&name(one.finding, language), &short(findings, one.finding, w)),
            advice: one.advice.iter().map(|advice| w.advice(advice)).collect(),
        })
        .collect();
    let evaluated = ChestFinding::ALL.iter().any(|finding| findings.is_found(*finding).is_some());
    if lines.is_empty() && evaluated {
        return vec![Impression { text: w.nothing_found().to_owned(), advice: Vec::new() }];
    }
    lines
}

/// What was found, without the reasons and limits that the line of the finding gives.
fn short(findings: &ChestFindings, finding: ChestFinding, w: &dyn Words) -> String {
    match &findings.coronary_calcium {
        Evaluated::Done(calcium) if finding == ChestFinding::CoronaryCalcification => match &calcium.score {
            CalciumScore::Agatston(score) => w.agatston(*score),
            CalciumScore::Ordinal { grade, .. } => w.grade(*grade).to_owned(),
        },
        _ => value(findings, finding, w).unwrap_or_default(),
    }
}

/// By whom and when the findings were reviewed, if they were.
pub fn reviewed(findings: &ChestFindings, language: Language) -> Option<String> {
    Some(signed(findings.review.as_ref()?.signature(), language.words()))
}

/// What a person has edited of the findings, a sentence each.
pub fn edited(findings: &ChestFindings, language: Language) -> Vec<String> {
    edits::of_findings(findings, language.words()).into_iter().map(|(_, said)| said).collect()
}

/// By whom and on which day.
pub fn signed(signature: Signature<'_>, w: &dyn Words) -> String {
    w.reviewed(signature.by, &day(signature.utc))
}

/// What a reader should know about the images, if anything.
pub fn remarks(findings: &ChestFindings, language: Language) -> Option<String> {
    let w = language.words();
    let all: Vec<String> = findings.remarks.iter().map(|remark| w.remark(remark)).collect();
    (!all.is_empty()).then(|| all.join(w.separator()))
}

/// What a page of results must say of its images, if anything; which side it is first.
pub fn for_pages(findings: &ChestFindings, language: Language) -> Option<String> {
    let w = language.words();
    let mut about: Vec<&Remark> = findings.remarks.iter().filter(|remark| remark.is_for_pages()).collect();
    about.sort_by_key(|remark| !remark.is_about_side());
    let all: Vec<String> = about.into_iter().map(|remark| w.remark(remark)).collect();
    (!all.is_empty()).then(|| all.join(w.separator()))
}

/// That right and left may be wrong, if so: on every picture of one finding.
pub fn about_side(findings: &ChestFindings, language: Language) -> Option<String> {
    findings.remarks.iter().find(|remark| remark.is_about_side()).map(|remark| language.words().remark(remark))
}

/// That something was not evaluated, and why.
pub fn not_evaluated(why: &NotEvaluated, language: Language) -> String {
    let w = language.words();
    w.not_evaluated(why.topic, &w.reason(&why.reason))
}

/// Why a series was not processed.
pub fn refused(refused: &Refused, language: Language) -> String {
    match refused {
        Refused::Volume(refusal) => language.words().refusal(refusal),
        Refused::Slice { number, fault } => language.words().slice_fault(*number, fault),
        Refused::Patients { what, marks } => language.words().patients(*what, marks),
        Refused::Pictures { reasons } => language.words().no_picture(reasons),
        Refused::Nothing(why) => not_evaluated(why, language),
        Refused::NothingOfPart { why, remarks } => {
            let w = language.words();
            let said = std::iter::once(not_evaluated(why, language)).chain(remarks.iter().map(|one| w.remark(one)));
            said.collect::<Vec<_>>().join(w.separator())
        }
    }
}

/// Noise, kernel, slices, and what was not assessed.
pub fn quality(quality: &CtQuality, language: Language) -> String {
    let w = language.words();
    let noise = match &quality.noise {
        Evaluated::Done(noise) => w.noise(noise),
        Evaluated::NotEvaluated(why) => not_evaluated(why, language),
    };
    let slices = match &quality.slices {
        Evaluated::Done(slices) => w.slices(slices),
        Evaluated::NotEvaluated(why) => not_evaluated(why, language),
    };
    [noise.as_str(), &slices, w.motion_not_assessed()].join(w.separator())
}

#[cfg(test)]
mod tests;

/// With a capital letter, as a line begins.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
