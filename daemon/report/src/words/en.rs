//! English. The sentences of reasons and refusals stand beside their variants, as logs and the bus use them, too.

use dicom::pixels::error::DecodeError;
use models::findings::{ChestFinding, Form, LeastSize, LobeName, LungPart, NoduleType, Side};
use models::growth::{Course, Difference, Missing, NoduleChange};
use models::number::Number;
use models::remark::Remark;
use models::review::edit::Field;
use models::task::ct_quality::{Cover, Kernel, Noise, Slices};
use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::Mark;
use models::task::mg_breast::withheld::Withheld;
use models::task::us_breast::assessment::{Category as Suggestion, Withheld as NoCategory};
use models::task::us_breast::scan::coverage::State as Covered;
use models::task::us_breast::scan::probe::{Ring, Spot};
use models::task::us_breast::terms::{Term, Trait};
use models::{Reason, Refusal, Topic};

use super::breast::{self, Breast};
use super::edits::Edits;
use super::{Denoised, Document, Largest, Page, Technique, Words};
use crate::entry::entry;
use crate::impression::{Advice, Category, Follow};
use crate::refused::{self, Mixed, Refused};
use crate::stills::{self, NoSize, NotRead};

mod mammography;

#[derive(Debug)]
pub struct English;

impl Words for English {
    fn tag(&self) -> &'static str {
        "en"
    }

    fn document(&self) -> &'static Document {
        &DOCUMENT
    }

    fn name(&self, finding: ChestFinding) -> &'static str {
        match finding {
            ChestFinding::Nodule => "nodules or masses",
            other => other.words(),
        }
    }

    fn side(&self, side: Side) -> &'static str {
        match side {
            Side::Right => "right",
            Side::Left => "left",
        }
    }

    fn estimated(&self) -> &'static str {
        " (estimated)"
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

    fn form(&self, form: Form) -> &'static str {
        match form {
            Form::Nodule => "nodule",
            Form::Mass => "mass",
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

    fn titled(&self, heading: &str, text: &str) -> String {
        format!("{heading}: {text}")
    }

    fn not_printable(&self, count: usize) -> String {
        format!("{count} {} cannot be printed", if count == 1 { "character" } else { "characters" })
    }

    fn guessed_character_set(&self, name: &str) -> String {
        format!("character set guessed: {name}")
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

    fn emphysema(&self, both: f64, right: Option<f64>, left: Option<f64>, noise: Denoised) -> String {
        let how = match noise {
            Denoised::Yes => "after noise reduction",
            Denoised::No => "without noise reduction",
            Denoised::Unknown => "noise not measured",
        };
        if let Some((side, percent)) = super::only_lung(right, left) {
            let lung = self.part(LungPart::Lung(side));
            return format!("LAA-950 {lung} {percent:.1} % ({how})", percent = Number::from(percent));
        }
        let right = right.map(|v| format!(", right {v:.1} %", v = Number::from(v))).unwrap_or_default();
        let left = left.map(|v| format!(", left {v:.1} %", v = Number::from(v))).unwrap_or_default();
        format!("LAA-950 both lungs {both:.1} %{right}{left} ({how})", both = Number::from(both))
    }

    fn volume_on_side(&self, side: Side, ml: f64) -> String {
        format!("{} {ml:.0} ml", self.side(side), ml = Number::from(ml))
    }

    fn pneumothorax(&self, side: Side, ml: f64, percent: f64) -> String {
        format!(
            "{} {ml:.0} ml, {percent:.1} % of the hemithorax",
            self.side(side),
            ml = Number::from(ml),
            percent = Number::from(percent)
        )
    }

    fn agatston(&self, score: f64) -> String {
        format!("Agatston score {score:.0}", score = Number::from(score))
    }

    fn calcium_estimate(&self, grade: u8, reason: &str) -> String {
        format!("{} (estimate, grade {grade} of 3; no Agatston score: {reason})", self.grade(grade))
    }

    fn lymph_nodes(&self, count: usize, long_mm: f64, short_mm: f64) -> String {
        format!(
            "{count}, largest {long_mm:.1} x {short_mm:.1} mm",
            long_mm = Number::from(long_mm),
            short_mm = Number::from(short_mm)
        )
    }

    fn nodules(&self, count: usize, largest: &Largest<'_>) -> String {
        let Largest { diameter_mm, about, place } = largest;
        let what = if count == 1 { "nodule" } else { "nodules" };
        format!("{count} {what}, largest {diameter_mm:.1} mm{about}, {place}", diameter_mm = Number::from(diameter_mm))
    }

    fn masses(&self, count: usize, largest: &Largest<'_>) -> String {
        let Largest { diameter_mm, about, place } = largest;
        let what = if count == 1 { "mass" } else { "masses" };
        format!(
            "{count} {what}, longest diameter {diameter_mm:.1} mm{about}, {place}",
            diameter_mm = Number::from(diameter_mm)
        )
    }

    fn pneumonia(&self, place: &str, ground_glass: f64, consolidation: f64) -> String {
        format!(
            "ground glass {ground_glass:.1} %, consolidation {consolidation:.1} % of {place}",
            ground_glass = Number::from(ground_glass),
            consolidation = Number::from(consolidation)
        )
    }

    fn opacities(&self, count: usize) -> String {
        if count == 1 { "1 opacity".into() } else { format!("{count} opacities") }
    }

    fn technique(&self, Technique { slices, spacing_mm, acquisition: a }: &Technique<'_>) -> String {
        let thick = a.slice_thickness_mm.map(|mm| format!(", {:.2} mm thick", Number(mm)));
        let kernel = a.kernel.as_ref().map(|kernel| format!(", kernel {kernel}"));
        let voltage = a.kvp.map(|kv| format!(", {:.0} kV", Number(kv)));
        let contrast = match a.contrast {
            Some(true) => ", contrast agent given",
            Some(false) => ", no contrast agent",
            None => ", contrast agent not stated",
        };
        let gated = if a.cardiac_gated == Some(true) { ", ECG-gated" } else { "" };
        let names = [a.manufacturer.as_deref(), a.scanner.as_deref()];
        let scanner: Vec<&str> = names.into_iter().flatten().collect();
        let scanner = if scanner.is_empty() { String::new() } else { format!("; scanner {}", scanner.join(" ")) };
        let parts = [thick, kernel, voltage].into_iter().flatten().collect::<String>();
        format!("CT, {slices} slices every {:.2} mm{parts}{contrast}{gated}{scanner}", Number::from(spacing_mm))
    }

    fn advice(&self, advice: &Advice) -> String {
        match advice {
            Advice::Fleischner { follow, measured_mm } => {
                let follow = match follow {
                    Follow::No => "no routine follow-up",
                    Follow::OptionalAtOneYear => {
                        "at low risk no routine follow-up; at high risk CT at 12 months is optional"
                    }
                    Follow::GroundGlass => {
                        "CT at 6 to 12 months to confirm that it persists, then every 2 years until 5 years"
                    }
                    Follow::SixToTwelveMonths => {
                        "CT at 6 to 12 months, then at 18 to 24 months (at low risk: consider the second)"
                    }
                    Follow::SeveralSmallSubsolid => "CT at 3 to 6 months; if stable, consider CT at 2 and 4 years",
                    Follow::SeveralSolid => {
                        "CT at 3 to 6 months, then at 18 to 24 months (at low risk: consider the second)"
                    }
                    Follow::SeveralSubsolid => "CT at 3 to 6 months, then as the most suspicious nodule asks for",
                    Follow::PartSolid => {
                        "CT at 3 to 6 months to confirm that it persists; if unchanged and the solid part stays below 6 mm, \
                         CT every year for 5 years"
                    }
                    Follow::ThreeMonths => "consider CT at 3 months, PET/CT or tissue sampling",
                    Follow::PartSmall => "the scan does not show the whole chest; below 6 mm nothing further",
                    Follow::PartMiddle => {
                        "the scan does not show the whole chest; CT of the complete chest after 3 to 12 months, by risk"
                    }
                    Follow::PartLarge => "the scan does not show the whole chest; CT of the complete chest now",
                };
                let thick = measured_mm
                    .map(|mm| {
                        format!(" Measured on slices of {:.1} mm; the guideline asks for 1.5 mm or less.", Number(mm))
                    })
                    .unwrap_or_default();
                format!(
                    "Fleischner Society 2017, for incidental nodules from 35 years on, without known cancer or immune \
                     suppression: {follow}.{thick}"
                )
            }
            Advice::LungRads { category, from_mm } => {
                let next = match category {
                    Category::Zero => "a part of the lungs was not seen: low-dose CT of all of both lungs",
                    Category::One | Category::Two => "low-dose CT in 12 months",
                    Category::Three => "low-dose CT in 6 months",
                    Category::FourA => {
                        "low-dose CT in 3 months; PET/CT may be considered for a solid nodule or part of 8 mm or more"
                    }
                    Category::FourB => {
                        "referral for further clinical evaluation: CT with or without contrast agent, PET/CT or tissue \
                         sampling"
                    }
                };
                let category = category.name();
                let small = from_mm.map(smaller).unwrap_or_default();
                format!("Lung-RADS v2022, in screening, by size on a first scan: category {category}, {next}.{small}")
            }
            Advice::CacDrs { class, by_score } => {
                let risk = match class {
                    0 => "very low",
                    1 => "mildly increased",
                    2 => "moderately increased",
                    _ => "moderately to severely increased",
                };
                let (letter, how) = if *by_score { ('A', "") } else { ('V', ", estimated") };
                format!("CAC-DRS 2018: {letter}{class}{how}, {risk} risk of a coronary event.")
            }
        }
    }

    fn nothing_found(&self) -> &'static str {
        "Nothing was found of what could be evaluated."
    }

    fn no_prior(&self) -> &'static str {
        "No earlier chest CT of this patient was analysed by this device."
    }

    fn not_compared(&self, date: &str, missing: Missing) -> String {
        let why = match missing {
            Missing::Now => "this study has neither pneumonia nor nodules of whole lungs to compare",
            Missing::Then => "its findings do not hold what a comparison needs",
            Missing::Days => "the dates do not say how many days lie between",
        };
        format!("An earlier study of {date} is known and was not compared: {why}")
    }

    fn nodule_change(&self, change: &NoduleChange, place: &str) -> String {
        let NoduleChange { number, volume_mm3: [then, now], course, doubling_days, .. } = change;
        let course = match course {
            Course::Grown => "grown",
            Course::Smaller => "smaller",
            Course::Unchanged => "unchanged within the error of measurement",
        };
        let doubling =
            doubling_days.map(|days| format!(", volume doubles in {:.0} days", Number(days))).unwrap_or_default();
        format!(
            "{number} ({place}) {:.0} -> {:.0} mm3 ({:+.0} %), {course}{doubling}",
            Number::from(then),
            Number::from(now),
            Number(100.0 * (now / then - 1.0))
        )
    }

    fn nodules_compared(&self, date: &str) -> String {
        format!("Nodules compared with {date}")
    }

    fn unmatched(&self, [then, now]: [usize; 2]) -> String {
        let nodules = |count: usize| if count == 1 { "nodule" } else { "nodules" };
        let was = if then == 1 { "was" } else { "were" };
        match [then, now] {
            [then, 0] => format!("{then} {} that {was} there then without a sure counterpart now", nodules(then)),
            [0, now] => format!("{now} {} without a sure counterpart then", nodules(now)),
            [then, now] => format!(
                "{now} {} without a sure counterpart then, {then} {} of then without one now",
                nodules(now),
                nodules(then)
            ),
        }
    }

    fn differences(&self, all: &[Difference]) -> String {
        let one = |difference: &Difference| match difference {
            Difference::Scanner => "scanner".to_owned(),
            Difference::Kernel([then, now]) => format!("kernel ({then}, {now})"),
            Difference::Thickness([then, now]) => {
                format!("slice thickness ({:.1}, {:.1} mm)", Number::from(then), Number::from(now))
            }
            Difference::Contrast => "contrast agent".to_owned(),
            Difference::LungVolume([then, now]) => {
                let litres = |ml: &f64| Number(ml / 1000.0);
                format!("lung volume by breathing ({:.1}, {:.1} L)", litres(then), litres(now))
            }
        };
        let named: Vec<String> = all.iter().map(one).collect();
        format!("Caution, the scans differ in {}: numbers may change by that alone", named.join(", "))
    }

    fn comparison(&self, date: &str, place: &str, [g0, g1]: [f64; 2], [c0, c1]: [f64; 2]) -> String {
        format!(
            "Pneumonia compared with {date}, {place}: ground glass {g0:.1} -> {g1:.1} % ({:+.1}), consolidation {c0:.1} -> {c1:.1} % ({:+.1})",
            Number(g1 - g0),
            Number(c1 - c0),
            g0 = Number::from(g0),
            g1 = Number::from(g1),
            c0 = Number::from(c0),
            c1 = Number::from(c1)
        )
    }

    fn reason(&self, reason: &Reason) -> String {
        reason.to_string()
    }

    fn not_evaluated(&self, topic: Topic, reason: &str) -> String {
        if topic == Topic::Unnamed { reason.to_owned() } else { format!("{} not evaluated: {reason}", topic.words()) }
    }

    fn seen_in_part(&self, reason: &str) -> String {
        format!("in the part that was seen ({reason})")
    }

    fn least_size(&self, least: &LeastSize) -> String {
        let (size, mm) = (least.words(), Number(least.slice_mm));
        if least.finding == ChestFinding::CoronaryCalcification {
            return format!("less than {size} of calcium may be missed at this spacing ({mm:#.2} mm)");
        }
        format!("smaller than {size} not evaluated at this spacing ({mm:#.2} mm)")
    }

    fn reviewed(&self, by: &str, date: &str) -> String {
        format!("reviewed by {by}, {date}")
    }

    fn remark(&self, remark: &Remark) -> String {
        remark.to_string()
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        refusal.to_string()
    }

    fn slice_fault(&self, number: Option<i64>, fault: &DecodeError) -> String {
        format!("{} cannot be used: {fault}", refused::named(number))
    }

    fn patients(&self, what: Mixed, marks: &[String]) -> String {
        Refused::Patients { what, marks: marks.to_vec() }.to_string()
    }

    fn no_picture(&self, reasons: &[(NotRead, usize)]) -> String {
        Refused::Pictures { reasons: reasons.to_vec() }.to_string()
    }

    fn no_size(&self, why: NoSize) -> &'static str {
        why.words()
    }

    fn picture(&self, number: Option<i64>, frame: Option<u32>) -> String {
        let number = number.map_or_else(|| "image without a number".to_owned(), |number| format!("image {number}"));
        frame.map_or_else(|| number.clone(), |frame| format!("{number}, frame {frame}"))
    }

    fn lesion(&self, id: u32) -> String {
        format!("Lesion {id}")
    }

    fn malignant(&self, score: f32) -> String {
        format!("benign (0) to malignant (1), not calibrated: {score:.2}")
    }

    fn breast_ultrasound(&self) -> &'static str {
        "Breast ultrasound"
    }

    fn mammography(&self) -> &'static str {
        "Mammography"
    }

    fn standard_view(&self, view: StandardView) -> &'static str {
        view.name()
    }

    fn mark_kind(&self, kind: Kind) -> &'static str {
        kind.name()
    }

    fn mark_stage(&self, stage: Stage) -> &'static str {
        match stage {
            Stage::OneView => "each view by itself",
            Stage::TwoViews => "two views of a breast compared",
            Stage::TwoBreasts => "two views and both breasts compared",
        }
    }

    fn marks_counted(&self, marks: usize, views: usize) -> String {
        let marked = match marks {
            0 => "no mark".to_owned(),
            1 => "1 mark".to_owned(),
            n => format!("{n} marks"),
        };
        format!("{marked} in {}", stills::counted(views, "view"))
    }

    fn mark(&self, mark: &Mark, view: StandardView) -> String {
        let [long, short] = mark.size_mm.map(|mm| Number(mm.into()));
        let (kind, behind) = (mark.kind.name(), Number(mark.behind_nipple_mm.into()));
        let view = view.name();
        let score = if mark.score.is_nan() { "withheld".to_owned() } else { format!("{:.2}", mark.score) };
        format!("{kind} in {view}, {behind:.0} mm behind the nipple, {long:.0} x {short:.0} mm, score {score}")
    }

    fn breast_scores(&self, right: Option<f32>, left: Option<f32>) -> String {
        let said = |score: Option<f32>| score.map_or_else(|| "none".to_owned(), |score| format!("{score:.2}"));
        format!("score of the right breast {}, of the left {}", said(right), said(left))
    }

    fn withheld(&self, why: Withheld) -> &'static str {
        match why {
            Withheld::NotRead => "the picture was not read",
            Withheld::NoSpacing => "no size of a pixel in the header",
            Withheld::ChestWall => "the breast lies neither at the left nor at the right",
            Withheld::Film => "digitised film or plate, on which the network is known not to hold",
            Withheld::Coarse => "pixels larger than 0.2 mm, on which the network is known not to hold",
            Withheld::ForProcessing => "only for processing",
            Withheld::Partial => "only a part of the breast is shown",
            Withheld::OtherSide => "mirrored or mislabelled",
            Withheld::NoPhantom => "the header does not say that it shows a phantom",
        }
    }

    fn withheld_in(&self, views: &str, why: &str) -> String {
        format!("marks withheld in {views}: {why}")
    }

    fn phantoms_only(&self) -> &'static str {
        "the network learnt from phantoms only and says nothing of a patient"
    }

    fn not_marked(&self) -> &'static str {
        "no network looked for marks"
    }

    fn mammogram_lines(&self) -> [&'static str; 3] {
        ["outline", "edge of the muscle", "nipple (estimated)"]
    }

    fn noise(&self, noise: &Noise) -> String {
        let kernel = match noise.kernel {
            Kernel::Smooth => "smooth",
            Kernel::Sharp => "sharp",
        };
        format!(
            "noise {:.1} HU, {kernel} kernel (mean noise frequency {:.2} /mm)",
            Number(noise.hu),
            Number(noise.frequency_per_mm)
        )
    }

    fn slices(&self, slices: &Slices) -> String {
        let thick =
            slices.thickness_mm.map(|mm| format!(", {mm:.2} mm thick", mm = Number::from(mm))).unwrap_or_default();
        let cover = match slices.cover {
            None => ", thickness not in the header".to_owned(),
            Some(Cover::Contiguous) => " (contiguous)".to_owned(),
            Some(Cover::Overlap(mm)) => format!(" (overlap {mm:.2} mm)", mm = Number::from(mm)),
            Some(Cover::Gap(mm)) => format!(" (gap {mm:.2} mm)", mm = Number::from(mm)),
        };
        let counted = |n: usize, what: &str| if n > 0 { format!(", {n} {what}") } else { String::new() };
        let mut faults = counted(slices.missing, "missing");
        faults += &counted(slices.doubled, "at a place that is taken");
        faults += &counted(slices.uneven, "uneven distances");
        let faults = if faults.is_empty() { ", none missing" } else { &faults };
        format!("{} slices every {:.2} mm{thick}{cover}{faults}", slices.count, Number(slices.spacing_mm))
    }

    fn motion_not_assessed(&self) -> &'static str {
        "motion not assessed"
    }

    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn more_in_report(&self, count: usize) -> String {
        format!("and {count} more: see the structured report")
    }

    fn slice(&self, number: usize, of: usize, mm: f64) -> String {
        format!("Slice {number} of {of}, z {mm:.1} mm", mm = Number::from(mm))
    }

    fn refusal_head(&self) -> [&'static str; 2] {
        ["Series not processed", "This series was received and kept, but no measurement was made on it."]
    }

    fn received(&self, instances: usize, modality: &str, series_number: Option<i64>) -> String {
        let modality = if modality.is_empty() { String::new() } else { format!("   modality {modality}") };
        let number = series_number.map(|n| format!("   series number {n}")).unwrap_or_default();
        format!("{instances} instances received{modality}{number}")
    }
}

impl Edits for English {
    fn field(&self, field: Field) -> &'static str {
        match field {
            Field::Type => "type",
            Field::Kind => "kind",
            Field::Side => "side",
            Field::Lobe => "lobe",
            Field::Rib => "rib",
            Field::LongMm => "long axis",
            Field::ShortMm => "short axis",
            Field::Clock => "clock position",
            Field::DistanceMm => "distance to the nipple",
            Field::Shape => "shape",
            Field::Orientation => "orientation",
            Field::Margin => "margin",
            Field::Echo => "echo pattern",
            Field::Posterior => "posterior features",
        }
    }

    fn edited(&self, what: &str, by: &str, changes: &str) -> String {
        format!("{what} edited by {by}: {changes}")
    }

    fn changed(&self, field: &str, now: &str, was: &str) -> String {
        format!("{field} {now} (was: {was})")
    }

    fn not_known(&self) -> &'static str {
        "not known"
    }

    fn numbered(&self, finding: ChestFinding, number: usize) -> String {
        format!("{} {number}", entry(finding).label)
    }

    fn numbered_mark(&self, number: &str) -> String {
        format!("Mark {number}")
    }

    fn size_withheld(&self, of_nodule: bool) -> &'static str {
        if of_nodule {
            "withheld, as the software measured another size: its outline, volume, attenuation and growth"
        } else {
            "withheld, as the software measured another size: its outline and what was measured in it"
        }
    }

    fn class_withheld(&self) -> &'static str {
        "no Lung-RADS size class of it, nor a category of all nodules below 4B: the solid part was not measured"
    }

    fn not_enlarged(&self) -> &'static str {
        "its short axis is below 10 mm, so it is no enlarged node and is left out"
    }

    fn score_withheld(&self) -> &'static str {
        "withheld, as they were of another kind: its score, and those of its breast and of the case"
    }
}

impl Breast for English {
    fn breast(&self) -> &'static breast::Fixed {
        &BREAST
    }

    fn term(&self, term: Term) -> &'static str {
        match term {
            Term::Shape(one) => one.word(),
            Term::Orientation(one) => one.word(),
            Term::Margin(one) => one.word(),
            Term::Echo(one) => one.word(),
            Term::Posterior(one) => one.word(),
        }
    }

    fn described(&self, what: Trait) -> &'static str {
        match what {
            Trait::Shape => "shape",
            Trait::Orientation => "orientation",
            Trait::Margin => "margin",
            Trait::Echo => "echo pattern",
            Trait::Posterior => "posterior features",
        }
    }

    fn category(&self, category: Suggestion) -> String {
        let name = match category {
            Suggestion::Benign => "benign",
            Suggestion::ProbablyBenign => "probably benign",
            Suggestion::Suspicious => "suspicious",
        };
        format!("suggested category {} ({name})", category.number())
    }

    fn because(&self, terms: &str) -> String {
        format!("because of: {terms}")
    }

    fn no_category(&self, why: NoCategory) -> String {
        let why = match why {
            NoCategory::Missing(what) => return format!("no category suggested: {} not known", self.described(what)),
            NoCategory::Doubtful => "the network is not sure enough that there is a lesion",
            NoCategory::Contradicted => "descriptors of a benign lesion, a malignancy score that is not",
            NoCategory::NoLesion => "the pictures need not show the whole breast",
            NoCategory::SomeLesions => "some of the lesions have none",
            NoCategory::SomePictures => "not all pictures were looked at",
            NoCategory::Remarked => "see what is said of the exam",
        };
        format!("no category suggested: {why}")
    }

    fn breast_of(&self, side: Option<Side>) -> &'static str {
        match side {
            Some(Side::Right) => "right breast",
            Some(Side::Left) => "left breast",
            None => "breast, side not known",
        }
    }

    fn hour(&self, hour: u8) -> String {
        format!("{hour} o'clock")
    }

    fn nipple_distance(&self, mm: f64) -> String {
        format!("{:.0} mm from the nipple", Number(mm))
    }

    fn known_lesion(&self, number: u64) -> String {
        format!("lesion {number} of the patient's list")
    }

    fn earlier(&self, date: &str, modality: &str, size: &str) -> String {
        format!("{size} on {date} ({modality})")
    }

    fn looked_at(&self, images: usize, clips: usize, [seen, of]: [usize; 2]) -> String {
        let clips = (clips > 0).then(|| format!("{} ({seen} of {of} frames)", stills::counted(clips, "clip")));
        let images = (images > 0).then(|| stills::counted(images, "image"));
        images.into_iter().chain(clips).collect::<Vec<_>>().join(" and ")
    }

    fn recorded(&self, clips: usize, pictures: usize) -> String {
        let [clips, pictures] = [stills::counted(clips, "clip"), stills::counted(pictures, "key image")];
        format!("live exam, of which {clips} and {pictures} are kept")
    }

    fn not_looked_at(&self, images: usize) -> String {
        format!("{} not looked at, wholly or in part", stills::counted(images, "image"))
    }

    fn more_lesions(&self, count: usize) -> String {
        format!("{} not listed", stills::counted(count, "more lesion"))
    }

    fn seen_once(&self, count: usize) -> String {
        format!("{} left out, because only one frame of a clip shows it", stills::counted(count, "place"))
    }

    fn no_lesion_in(&self, looked: &str) -> String {
        format!("no lesion in {looked}")
    }

    fn coverage_of(&self, side: Side, looked_at: usize, all: usize) -> String {
        format!("{}: {looked_at} of {all} places looked at", self.breast_of(Some(side)))
    }

    fn covered(&self, state: Covered) -> &'static str {
        match state {
            Covered::LookedAt => "looked at",
            Covered::TooShort => "too short or with the probe held still",
            Covered::TooFast => "swept too fast",
            Covered::PoorContact => "poor contact",
            Covered::NotJudged => "not judged",
            Covered::NotSwept => "not swept",
        }
    }

    fn spot(&self, spot: Spot) -> String {
        match spot {
            Spot::Hour(hour, Ring::Inner) => format!("{hour} o'clock inner ring"),
            Spot::Hour(hour, Ring::Middle) => format!("{hour} o'clock middle ring"),
            Spot::Hour(hour, Ring::Outer) => format!("{hour} o'clock outer ring"),
            Spot::Nipple => "nipple".into(),
            Spot::Axilla => "axilla".into(),
        }
    }

    fn places(&self, count: usize) -> String {
        stills::counted(count, "place")
    }

    fn rules(&self, source: &str) -> String {
        format!(
            "A category is a suggestion that software makes from the descriptors by published rules ({source}). It is no assessment by a \
             physician. Categories 0, 1, 5 and 6 and parts of 4 are never suggested."
        )
    }
}

const BREAST: breast::Fixed = breast::Fixed {
    title: "Breast ultrasound AI findings (draft)",
    dicom_title: "Breast ultrasound AI findings (draft)",
    examination: "Examination",
    reviewed: "Review",
    findings: "Findings",
    impression: "Impression",
    rules: "Suggested categories",
    none_known: "None of these lesions is surely known from earlier exams on this box.",
    not_found_by_it: "Not evaluated",
    non_mass: "Non-mass lesions were not evaluated: the network has no output for them.",
    not_evaluated: "lesions not evaluated: no network looked at the pictures",
    cut_short: "the exam was cut short, or not all of it is kept",
    not_measured: "not measured",
    gone: "not there any more",
    no_earlier: "no exam of an earlier day",
    coverage: "Coverage (freehand estimate)",
    coverage_note: "A freehand estimate: whoever scanned said where the probe was, and its speed was estimated from the pictures. It proves \
                    neither that a place was seen wholly nor that it was not.",
    note: "Descriptors, sizes and categories were made by software. Where a lesion lies is what the scanner or a person said. One lesion \
           may be in several pictures.",
};

const PAGE: Page = Page {
    title: "CT chest",
    overview: "Overview of the findings",
    draft: "automated draft, not reviewed by a physician",
    coronal: "Coronal, lungs",
    coronal_lobes: "Coronal, lobes",
    lungs: ["Lungs", "Volume", "Mean"],
    both: "both",
    laa_950: "LAA-950: lung voxels below -950 HU",
    states: ["FOUND", "none found", "not evaluated"],
    images: "images",
    colours: "amber: ground glass   red: consolidation",
    ground_glass: "ground glass",
    consolidation: "consolidation",
    emphysema: "below -950 HU",
};

const DOCUMENT: Document = Document {
    title: "Chest CT AI findings (draft)",
    dicom_title: "Chest CT AI findings (draft)",
    reviewed_title: "Chest CT AI findings (reviewed)",
    reviewed_dicom_title: "Chest CT AI findings (reviewed)",
    mark: "",
    head: "Findings",
    technique: "Technique",
    comparison: "Comparison",
    impression: "Impression",
    extents: ["Pneumonia, part of the lungs", "Volume", "Ground glass", "Consolidation"],
    lungs: "Lungs",
    quality: "Image quality",
    made: "Made by",
    draft: "Automated draft, not reviewed by a physician.",
    note: "Coordinates and masks are in the structured report and the segmentation.",
    states: ["found", "none found", "not evaluated"],
    patient: ["Patient", "Patient ID", "Date of birth", "Sex", "Study date", "Accession no.", "Study"],
};

fn smaller(mm: f64) -> String {
    format!(" Nodules below {:.0} mm were not evaluated on these slices; the category holds without them.", Number(mm))
}
