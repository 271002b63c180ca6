//! Measurement groups: what was measured, where, how sure, by which algorithm.
//!
//! TID 1411 carries the volume (a segment), TID 1410 the outline on the key slice (a common viewer shows nothing for
//! groups that only refer to a segment), TID 1501 what has no region: counts, negatives, and what was not evaluated.

use models::findings::{Evaluated, Lung, Nodule, Side};
use models::{Findings, Volume};

use super::codes::{
    ABSENT, ALGORITHM_NAME, ALGORITHM_PARAMETERS, ALGORITHM_VERSION, ATTENUATION, CERTAINTY_OF_FINDING, COMMENT,
    CUBIC_MILLIMETRE, Code, DERIVATION, DIAMETER, FINDING, FINDING_SITE, HOUNSFIELD, ILLUSTRATION_OF_ROI, IMAGE_REGION,
    LAA_950, LATERALITY, LEFT, LONG_AXIS, LUNG, MEAN, MEASUREMENT_GROUP, MILLILITRE, MILLIMETRE, NO_UNITS, NODULE,
    NOT_ATTEMPTED, NUMBER_OF_LESIONS, ORIGINAL_SOURCE, PERCENT, PRESENCE, PRESENCE_UNDETERMINED, PRESENT,
    REFERENCED_SEGMENT, RIGHT, SHORT_AXIS, SOURCE_OF_MEASUREMENT, SOURCE_SERIES_FOR_SEGMENTATION, SUCCEEDED,
    SUMMARY_OF_ANALYSES, SUMMARY_OF_DETECTIONS, TRACKING_ID, TRACKING_UID, VOLUME,
};
use super::content::{Item, Part, Relation, Value};
use super::object::{Context, SEG};
use super::provenance::LUNG_ALGORITHM;
use super::secondary::Page;
use super::seg::{Subject, Written};
use super::{contour, identity, measure};

/// Corners that fit into one GraphicData value: 16-bit length, two 32-bit floats a corner.
const MAX_CORNERS: usize = 8000;

/// What the groups refer to.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub context: &'a Context<'a>,
    pub volume: &'a Volume,
    pub seg: Option<&'a Written>,
    pub pages: &'a [Page],
}

/// All groups, in reading order: summary of nodules, each nodule, each lung.
pub fn all(parts: &Parts, findings: &Findings) -> Vec<Item> {
    let mut groups = vec![nodule_summary(parts.context, findings)];
    for nodule in measure::nodules(findings) {
        groups.push(nodule_volume(parts, nodule));
        groups.push(nodule_outline(parts, nodule));
    }
    match &findings.lungs {
        Evaluated::Done(_) => groups.extend(measure::lungs(findings).into_iter().map(|l| lung(parts, l))),
        Evaluated::NotEvaluated(reason) => {
            let group = begin("1501", "Lungs", parts.context.uids.of("track lungs", 0), LUNG);
            groups.push(group.with_all(not_evaluated(SUMMARY_OF_ANALYSES, reason)));
        }
    }
    groups
}

/// A group for a series that was refused: which images, and why not.
pub fn refusal(context: &Context, reason: &str, page: &Page) -> Item {
    let mut group = head("1501", "Series not processed", context.uids.of("track refusal", 0));
    let mut seen = std::collections::HashSet::new();
    for image in context.source.instances.iter().filter(|i| seen.insert(&i.sop_instance_uid)) {
        let value = Value::Image {
            sop_class_uid: image.sop_class_uid.clone(),
            sop_uid: image.sop_instance_uid.clone(),
            part: Part::Whole,
        };
        group = group.with(Item::new(Relation::Contains, SOURCE_OF_MEASUREMENT, value));
    }
    group
        .with(illustration(page))
        .with(Item::code(Relation::Contains, SUMMARY_OF_ANALYSES, NOT_ATTEMPTED))
        .with(comment(format!("Series not processed: {reason}")))
}

/// One group that is there in every report: how many nodules, none, or why it is not known.
fn nodule_summary(context: &Context, findings: &Findings) -> Item {
    let group = begin("1501", "Lung nodules", context.uids.of("track nodules", 0), NODULE);
    let group = group.with_all(model(context)).with(site(None));
    match &findings.nodules {
        Evaluated::Done(nodules) => {
            let (presence, words) = match nodules.len() {
                0 => (ABSENT, "No nodule found.".to_owned()),
                1 => (PRESENT, "1 nodule found.".to_owned()),
                n => (PRESENT, format!("{n} nodules found.")),
            };
            group
                .with(Item::number(NUMBER_OF_LESIONS, nodules.len() as f64, 0, NO_UNITS))
                .with(Item::code(Relation::Contains, SUMMARY_OF_DETECTIONS, SUCCEEDED))
                .with(Item::code(Relation::Contains, PRESENCE, presence))
                .with(comment(words))
        }
        Evaluated::NotEvaluated(reason) => group.with_all(not_evaluated(SUMMARY_OF_DETECTIONS, reason)),
    }
}

fn not_evaluated(summary: Code, reason: &str) -> [Item; 3] {
    [
        Item::code(Relation::Contains, summary, NOT_ATTEMPTED),
        Item::code(Relation::Contains, PRESENCE, PRESENCE_UNDETERMINED),
        comment(reason.to_owned()),
    ]
}

fn nodule_volume(parts: &Parts, nodule: &Nodule) -> Item {
    let subject = Subject::Nodule(nodule.number);
    let mut group = volumetric(parts, subject, NODULE);
    if let Some(page) = parts.pages.iter().find(|p| p.nodule == Some(nodule.number)) {
        group = group.with(illustration(page));
    }
    group
        .with_all(model(parts.context))
        .with(site(Some(nodule.side)))
        .with(Item::number(DIAMETER, nodule.diameter_mm, 1, MILLIMETRE).with(mean()))
        .with(Item::number(LONG_AXIS, nodule.long_axis_mm, 1, MILLIMETRE))
        .with(Item::number(SHORT_AXIS, nodule.short_axis_mm, 1, MILLIMETRE))
        .with(Item::number(VOLUME, nodule.volume_mm3, 1, CUBIC_MILLIMETRE))
        .with(Item::number(ATTENUATION, nodule.mean_hu, 1, HOUNSFIELD).with(mean()))
        .with(Item::number(CERTAINTY_OF_FINDING, nodule.confidence * 100.0, 1, PERCENT))
}

/// The same nodule (same tracking UID) as an outline on its key slice.
fn nodule_outline(parts: &Parts, nodule: &Nodule) -> Item {
    let subject = Subject::Nodule(nodule.number);
    let slice = &parts.context.source.instances[nodule.key_slice.min(parts.context.source.instances.len() - 1)];
    let image = Value::Image {
        sop_class_uid: slice.sop_class_uid.clone(),
        sop_uid: slice.sop_instance_uid.clone(),
        part: slice.frame.map_or(Part::Whole, Part::Frame),
    };
    let region = Item::new(Relation::Contains, IMAGE_REGION, outline(parts.volume, nodule)).with(Item::new(
        Relation::SelectedFrom,
        ORIGINAL_SOURCE,
        image,
    ));
    begin("1410", &subject.label(), subject.tracking_uid(parts.context), NODULE)
        .with(region)
        .with_all(model(parts.context))
        .with(site(Some(nodule.side)))
        .with(Item::number(LONG_AXIS, nodule.long_axis_mm, 1, MILLIMETRE))
        .with(Item::number(SHORT_AXIS, nodule.short_axis_mm, 1, MILLIMETRE))
}

/// The outline of the largest part of the mask on the key slice, closed; a circle when there is none.
fn outline(volume: &Volume, nodule: &Nodule) -> Value {
    if let Some(mut points) = contour::largest(measure::outlines(&nodule.mask, nodule.key_slice))
        && points.len() < MAX_CORNERS
    {
        points.push(points[0]);
        return Value::Coordinates { kind: "POLYLINE", points };
    }
    let [x, y, _] = measure::to_image(&volume.geometry, nodule.centre_mm);
    let radius = nodule.diameter_mm / 2.0 / volume.geometry.spacing_mm[0];
    #[expect(clippy::cast_possible_truncation, reason = "pixel coordinates are 32-bit floats in GraphicData")]
    let point = |x: f64| [x as f32, y as f32];
    Value::Coordinates { kind: "CIRCLE", points: vec![point(x), point(x + radius)] }
}

fn lung(parts: &Parts, lung: &Lung) -> Item {
    volumetric(parts, Subject::Lung(lung.side), LUNG)
        .with_all(algorithm(LUNG_ALGORITHM, &parts.context.provenance.software_version, None))
        .with(site(Some(lung.side)))
        .with(Item::number(VOLUME, lung.volume_ml, 1, MILLILITRE))
        .with(Item::number(ATTENUATION, lung.mean_hu, 1, HOUNSFIELD).with(mean()))
        .with(Item::number(LAA_950, lung.laa950_percent, 2, PERCENT))
}

/// TID 1411 with its segment; TID 1501 when there is no segment to refer to.
fn volumetric(parts: &Parts, subject: Subject, finding: Code) -> Item {
    let context = parts.context;
    let uid = subject.tracking_uid(context);
    let Some((seg, number)) = parts.seg.and_then(|s| Some((s, s.segment(subject)?))) else {
        return begin("1501", &subject.label(), uid, finding);
    };
    let segment = Value::Image {
        sop_class_uid: SEG.sop_class_uid.into(),
        sop_uid: seg.object.sop_uid.clone(),
        part: Part::Segment(number),
    };
    let series = identity::series_uid(context.source, context.uids);
    begin("1411", &subject.label(), uid, finding)
        .with(Item::new(Relation::Contains, REFERENCED_SEGMENT, segment))
        .with(Item::uid(Relation::Contains, SOURCE_SERIES_FOR_SEGMENTATION, series))
}

fn head(template: &'static str, label: &str, uid: String) -> Item {
    Item::container(MEASUREMENT_GROUP, Some(template))
        .with(Item::text(Relation::HasObsContext, TRACKING_ID, label))
        .with(Item::uid(Relation::HasObsContext, TRACKING_UID, uid))
}

fn begin(template: &'static str, label: &str, uid: String, finding: Code) -> Item {
    head(template, label, uid).with(Item::code(Relation::Contains, FINDING, finding))
}

fn site(side: Option<Side>) -> Item {
    let site = Item::code(Relation::HasConceptMod, FINDING_SITE, LUNG);
    match side {
        Some(Side::Right) => site.with(Item::code(Relation::HasConceptMod, LATERALITY, RIGHT)),
        Some(Side::Left) => site.with(Item::code(Relation::HasConceptMod, LATERALITY, LEFT)),
        None => site,
    }
}

fn mean() -> Item {
    Item::code(Relation::HasConceptMod, DERIVATION, MEAN)
}

fn comment(words: String) -> Item {
    Item::text(Relation::Contains, COMMENT, words)
}

fn illustration(page: &Page) -> Item {
    let value = Value::Image {
        sop_class_uid: page.object.sop_class_uid.clone(),
        sop_uid: page.object.sop_uid.clone(),
        part: Part::Whole,
    };
    Item::new(Relation::Contains, ILLUSTRATION_OF_ROI, value)
}

/// TID 4019 for the model package.
fn model(context: &Context) -> Vec<Item> {
    let Some(model) = &context.provenance.model else { return Vec::new() };
    let parameters = format!("{}; network sha256 {}", model.thresholds, model.sha256);
    algorithm(&model.id, &model.version, Some(parameters))
}

/// TID 4019.
fn algorithm(name: &str, version: &str, parameters: Option<String>) -> Vec<Item> {
    let texts = [(ALGORITHM_NAME, Some(name.to_owned())), (ALGORITHM_VERSION, Some(version.to_owned()))];
    let texts = texts.into_iter().chain([(ALGORITHM_PARAMETERS, parameters)]);
    texts.filter_map(|(name, text)| Some(Item::text(Relation::HasConceptMod, name, text?))).collect()
}
