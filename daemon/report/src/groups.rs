//! Measurement groups: measurements with finding site, certainty and algorithm.
//!
//! Each nodule has two TID 1411 groups with the same tracking UID. One refers to its segment and has the measurements;
//! the other has its outlines as 2-D coordinates, because a common viewer shows nothing for groups that only refer to a
//! segment. Findings without a region (negative, not evaluated) are in the qualitative evaluations; if there is no
//! region at all, TID 1501 groups state them.

mod nine;

use dicom::typed;
use models::findings::{ChestFinding, Evaluated, Form, Lung, Mask, Nodule, NoduleType};
use models::review::edit::Field;
use models::review::{self, Listed, Review};
use models::{ChestFindings, Volume};

use crate::canvas::single;
use crate::codes::{
    ABSENT, ALGORITHM_NAME, ALGORITHM_PARAMETERS, ALGORITHM_VERSION, ATTENUATION, CERTAINTY_OF_FINDING, COMMENT,
    CUBIC_MILLIMETRE, Code, DERIVATION, DIAMETER, FINDING, FINDING_SITE, HOUNSFIELD, ILLUSTRATION_OF_ROI, IMAGE_REGION,
    IMPRESSION, LAA_950, LATERALITY, LONG_AXIS, LUNG, MASS, MASS_CALCIFIED, MASS_GROUND_GLASS, MASS_PART_SOLID,
    MASS_SOLID, MASS_TYPE, MEAN, MEASUREMENT_GROUP, MILLILITRE, MILLIMETRE, NODULE, NODULE_CALCIFIED,
    NODULE_GROUND_GLASS, NODULE_PART_SOLID, NODULE_SOLID, NODULE_TYPE, NOT_ATTEMPTED, ORIGINAL_SOURCE,
    PARTIALLY_SUCCEEDED, PERCENT, PRESENCE_UNDETERMINED, PRESENT, PROCEDURE_DESCRIPTION, RECOMMENDATION,
    REFERENCED_SEGMENT, SELECTION_STATUS, SHORT_AXIS, SOURCE_OF_MEASUREMENT, SOURCE_SERIES_FOR_SEGMENTATION, SUCCEEDED,
    SUMMARY_OF_ANALYSES, SUMMARY_OF_DETECTIONS, TRACKING_ID, TRACKING_UID, USER_CHOSEN, VOLUME,
};
use crate::content::{Item, Part, Relation, Value};
use crate::entry::entry;
use crate::object::{Context, SEG};
use crate::provenance::LUNG_ALGORITHM;
use crate::regions::Subject;
use crate::secondary::Page;
use crate::seg::Written;
use crate::site::Site;
use crate::words::{self, FindingState, Language};
use crate::{Refused, contour, identity, measure};

/// The most corners in one Graphic Data value: 16-bit length, two 32-bit floats per corner.
const MAX_CORNERS: usize = 8000;

/// What the groups refer to.
#[derive(Debug, Clone, Copy)]
pub struct GroupParts<'a> {
    pub context: &'a Context<'a>,
    /// That was applied to the findings.
    pub review: Option<&'a Review>,
    /// By id, what is said of each finding that was edited.
    pub edits: &'a [(String, String)],
    pub volume: &'a Volume,
    pub seg: Option<&'a Written>,
    pub pages: &'a [Page],
}

impl GroupParts<'_> {
    /// A group with what a person has said about its finding, or has edited of it.
    pub fn commented(&self, group: Item, id: &str) -> Item {
        let edited = self.edits.iter().find(|(own, _)| own == id).map(|(_, words)| words.as_str());
        let comment = edited.or_else(|| self.review.map(|review| review.comment(id))).unwrap_or_default();
        group.with_all((!comment.is_empty()).then(|| said(self.context, comment.to_owned())))
    }

    /// A length of a finding, which says so where it is that of a person.
    pub fn length(&self, id: &str, name: Code, mm: f64) -> Item {
        let edit = self.review.and_then(|review| review.edit(id));
        let number = Item::number(name, mm, 1, MILLIMETRE);
        if edit.is_some_and(|edit| edit.values.contains_key(&Field::LongMm)) { chosen(number) } else { number }
    }

    /// The id under which a person decided about a nodule; another size may have made a mass of it.
    fn id_of(&self, nodule: &Nodule) -> String {
        let is = |listed: &Listed| listed.finding == ChestFinding::Nodule && listed.number == Some(nodule.number);
        let decided = self.review.and_then(|review| review.decisions.iter().find(|one| is(&one.listed)));
        decided.map_or_else(|| review::nodule_id(nodule.form, nodule.number), |one| one.listed.id.clone())
    }
}

/// A value that a person has given in place of that of the software.
pub fn chosen(value: Item) -> Item {
    value.with(Item::code(Relation::HasConceptMod, SELECTION_STATUS, USER_CHOSEN))
}

/// A measurement, unless it was withheld.
pub fn measured(name: Code, value: f64, digits: i32, unit: Code) -> Option<Item> {
    value.is_finite().then(|| Item::number(name, value, digits, unit))
}

/// All groups, in reading order: each finding with its instances, then lungs and lobes.
pub fn all(parts: &GroupParts, findings: &ChestFindings) -> Vec<Item> {
    let context = parts.context;
    let mut groups = Vec::new();
    for nodule in measure::nodules(findings) {
        groups.push(nodule_volume(parts, nodule));
        if !nodule.volume_mm3.is_nan() {
            groups.push(nodule_outlines(parts, nodule));
        }
    }
    groups.extend(nine::groups(parts, findings));
    groups.extend(measure::lungs(findings).into_iter().map(|l| lung(parts, l)));
    groups.extend(measure::done(&findings.lobes).iter().map(|lobe| {
        volumetric(parts, Subject::of_lobe(lobe), Subject::of_lobe(lobe).code())
            .with_all(lung_algorithm(context))
            .with(site(Site::lobe(lobe.name)))
            .with(Item::number(VOLUME, lobe.volume_ml, 1, MILLILITRE))
    }));
    if groups.is_empty() {
        let nodules = begin("1501", "Chest CT findings", context.uids.lasting("track nodules", 0), NODULE);
        groups.push(
            nodules
                .with_all(model(context))
                .with(site(Site { place: LUNG, side: None }))
                .with_all(summary(context, findings)),
        );
        let lungs = begin("1501", "Lungs", context.uids.lasting("track lungs", 0), LUNG);
        groups.push(lungs.with_all(lung_algorithm(context)).with_all(lung_summary(findings)));
    }
    groups
}

/// The qualitative evaluation of each finding: present, absent, or why it was not evaluated. It is part of every
/// report.
pub fn summary(context: &Context, findings: &ChestFindings) -> Vec<Item> {
    let lines = words::lines(findings, Language::English);
    let missed = lines.iter().filter(|l| l.state == FindingState::NotEvaluated).count();
    let how = match missed {
        0 => SUCCEEDED,
        n if n == lines.len() => NOT_ATTEMPTED,
        _ => PARTIALLY_SUCCEEDED,
    };
    let mut items = vec![Item::code(Relation::Contains, SUMMARY_OF_DETECTIONS, how)];
    for line in lines {
        let name = words::name(line.finding, Language::English);
        let (presence, words) = match line.state {
            FindingState::Found => (PRESENT, format!("{name}: {}", line.text)),
            FindingState::NotFound => (ABSENT, format!("{name}: {}", line.text)),
            FindingState::NotEvaluated => (PRESENCE_UNDETERMINED, format!("{name} not evaluated: {}", line.text)),
        };
        match line.finding {
            ChestFinding::Nodule => items.extend(nodules_and_masses(findings, presence)),
            finding => items.push(Item::code(Relation::Contains, entry(finding).code, presence)),
        }
        items.push(said(context, words));
    }
    let reviewed = words::reviewed(findings, Language::English).map(|words| said(context, words::capital(&words)));
    items.extend(reviewed);
    items.extend(words::edited(findings, Language::English).into_iter().map(|words| said(context, words)));
    items.extend(words::remarks(findings, Language::English).map(|words| said(context, words)));
    let compared = words::compared(findings, Language::English).into_iter();
    items.extend(compared.map(comment));
    items
}

/// How the series was made, as text.
pub fn technique(findings: &ChestFindings, volume: &Volume) -> Item {
    let said = words::technique(findings, volume, Language::English);
    Item::text(Relation::Contains, PROCEDURE_DESCRIPTION, said)
}

/// The impression, gravest first, each line followed by what published rules recommend for it.
pub fn impression(findings: &ChestFindings, volume: &Volume) -> Vec<Item> {
    let text = |name, said: String| Item::text(Relation::Contains, name, said);
    let line = |one: words::Impression| {
        let advice = one.advice.into_iter().map(move |said| text(RECOMMENDATION, said));
        std::iter::once(text(IMPRESSION, one.text)).chain(advice)
    };
    words::impression(findings, volume, Language::English).into_iter().flat_map(line).collect()
}

/// Whether there are nodules, and whether there are masses; `together` where neither was evaluated.
fn nodules_and_masses(findings: &ChestFindings, together: Code) -> [Item; 2] {
    let item = |form, code| Item::code(Relation::Contains, code, presence(findings, form, together));
    [item(Form::Nodule, NODULE), item(Form::Mass, MASS)]
}

fn presence(findings: &ChestFindings, form: Form, together: Code) -> Code {
    match &findings.nodules {
        Evaluated::Done(all) if all.iter().any(|one| one.form == form) => PRESENT,
        Evaluated::Done(_) if findings.part_missing(ChestFinding::Nodule).is_some() => PRESENCE_UNDETERMINED,
        Evaluated::Done(_) => ABSENT,
        Evaluated::NotEvaluated(_) => together,
    }
}

/// The qualitative evaluation of the lungs: that none was found or why they were not evaluated; empty if they have
/// groups.
pub fn lung_summary(findings: &ChestFindings) -> Vec<Item> {
    match &findings.lungs {
        Evaluated::Done(lungs) if lungs.is_empty() => vec![comment("No lung found.".into())],
        Evaluated::Done(_) => Vec::new(),
        Evaluated::NotEvaluated(why) => {
            vec![Item::code(Relation::Contains, SUMMARY_OF_ANALYSES, NOT_ATTEMPTED), comment(why.to_string())]
        }
    }
}

/// A group for a series that was refused: which images, and why not.
pub fn refusal(context: &Context, reason: &Refused, page: &Page) -> Item {
    let mut group = head("1501", "Series not processed", context.uids.lasting("track refusal", 0));
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

fn nodule_volume(parts: &GroupParts, nodule: &Nodule) -> Item {
    let subject = Subject::of_nodule(nodule);
    // Of another size than the software measured there is no segment: a circle of that size shows where it is.
    let mut group = if nodule.volume_mm3.is_nan() {
        let uid = subject.tracking_uid(parts.context);
        begin("1411", &subject.label(), uid, subject.code()).with_all(regions(parts, nodule))
    } else {
        volumetric(parts, subject, subject.code())
    };
    if let Some(page) = parts.pages.iter().find(|p| p.finding == Some(ChestFinding::Nodule)) {
        group = group.with(illustration(page));
    }
    let class = nodule.lung_rads.map(|class| comment(format!("Lung-RADS v2022 size class {class} (baseline)")));
    // A mass is measured by its longest diameter.
    let id = parts.id_of(nodule);
    let average = (nodule.form == Form::Nodule).then(|| parts.length(&id, DIAMETER, nodule.diameter_mm).with(mean()));
    let group = group
        .with_all(model(parts.context))
        .with(site(Site::lobe_or_lung(nodule.lobe, nodule.side)))
        .with_all(average)
        .with(parts.length(&id, LONG_AXIS, nodule.long_axis_mm))
        .with(parts.length(&id, SHORT_AXIS, nodule.short_axis_mm))
        .with_all(measured(VOLUME, nodule.volume_mm3, 1, CUBIC_MILLIMETRE))
        .with_all(measured(ATTENUATION, nodule.mean_hu, 1, HOUNSFIELD).map(|item| item.with(mean())))
        .with(Item::number(CERTAINTY_OF_FINDING, nodule.confidence * 100.0, 1, PERCENT))
        .with_all(nodule.kind.map(|kind| kind_of(nodule.form, kind)))
        .with_all(class);
    parts.commented(group, &id)
}

fn kind_of(form: Form, kind: NoduleType) -> Item {
    let (nodule, mass) = match kind {
        NoduleType::Solid => (NODULE_SOLID, MASS_SOLID),
        NoduleType::PartSolid => (NODULE_PART_SOLID, MASS_PART_SOLID),
        NoduleType::GroundGlass => (NODULE_GROUND_GLASS, MASS_GROUND_GLASS),
        NoduleType::Calcified => (NODULE_CALCIFIED, MASS_CALCIFIED),
    };
    match form {
        Form::Nodule => Item::code(Relation::Contains, NODULE_TYPE, nodule),
        Form::Mass => Item::code(Relation::Contains, MASS_TYPE, mass),
    }
}

/// The second group of a nodule, with the same tracking UID: its outlines on all slices, the key slice first.
fn nodule_outlines(parts: &GroupParts, nodule: &Nodule) -> Item {
    let (subject, id) = (Subject::of_nodule(nodule), parts.id_of(nodule));
    begin("1411", &subject.label(), subject.tracking_uid(parts.context), subject.code())
        .with_all(regions(parts, nodule))
        .with_all(model(parts.context))
        .with(site(Site::lobe_or_lung(nodule.lobe, nodule.side)))
        .with(parts.length(&id, LONG_AXIS, nodule.long_axis_mm))
        .with(parts.length(&id, SHORT_AXIS, nodule.short_axis_mm))
}

/// The outline of the largest part of the mask on each slice. A nodule on a single slice also gets its centre; a nodule
/// without voxels gets a circle of its diameter.
fn regions(parts: &GroupParts, nodule: &Nodule) -> Vec<Item> {
    let key = nodule.key_slice;
    let mut slices: Vec<usize> = (nodule.mask.origin[2]..nodule.mask.origin[2] + nodule.mask.size[2]).collect();
    slices.sort_by_key(|k| (*k != key, *k));
    let mut regions: Vec<Item> =
        slices.into_iter().filter_map(|k| Some(region(parts, k, "POLYLINE", closed(&nodule.mask, k)?))).collect();
    if regions.len() < 2 {
        let [x, y, _] = measure::to_image(&parts.volume.geometry, nodule.centre_mm);
        let radius = nodule.diameter_mm / 2.0 / parts.volume.geometry.spacing_mm[0];
        let point = |x: f64| [single(x), single(y)];
        if regions.is_empty() {
            regions.push(region(parts, key, "CIRCLE", vec![point(x), point(x + radius)]));
        }
        regions.push(region(parts, key, "POINT", vec![point(x)]));
    }
    regions
}

pub fn closed(mask: &Mask, slice: usize) -> Option<Vec<[f32; 2]>> {
    let mut points = contour::largest(measure::outlines(mask, slice)).filter(|p| p.len() < MAX_CORNERS)?;
    points.push(points[0]);
    Some(points)
}

pub fn region(parts: &GroupParts, slice: usize, kind: &'static str, points: Vec<[f32; 2]>) -> Item {
    let instances = parts.context.source.instances;
    let slice = &instances[slice.min(instances.len() - 1)];
    let image = Value::Image {
        sop_class_uid: slice.sop_class_uid.clone(),
        sop_uid: slice.sop_instance_uid.clone(),
        part: slice.frame.map_or(Part::Whole, Part::Frame),
    };
    Item::new(Relation::Contains, IMAGE_REGION, Value::Coordinates { kind, points }).with(Item::new(
        Relation::SelectedFrom,
        ORIGINAL_SOURCE,
        image,
    ))
}

fn lung(parts: &GroupParts, lung: &Lung) -> Item {
    volumetric(parts, Subject::Lung(lung.side), LUNG)
        .with_all(lung_algorithm(parts.context))
        .with(site(Site::lung(lung.side)))
        .with(Item::number(VOLUME, lung.volume_ml, 1, MILLILITRE))
        .with(Item::number(ATTENUATION, lung.mean_hu, 1, HOUNSFIELD).with(mean()))
        .with_all(lung.laa950_percent.map(|percent| Item::number(LAA_950, percent, 2, PERCENT)))
}

/// A TID 1411 group that refers to the segment, or a TID 1501 group if there is no segment.
pub fn volumetric(parts: &GroupParts, subject: Subject, finding: Code) -> Item {
    let uid = subject.tracking_uid(parts.context);
    match referenced(parts, subject) {
        Some(references) => begin("1411", &subject.label(), uid, finding).with_all(references),
        None => begin("1501", &subject.label(), uid, finding),
    }
}

/// References to the segment of a subject and to its source series; `None` without a segment.
pub fn referenced(parts: &GroupParts, subject: Subject) -> Option<Vec<Item>> {
    let (context, seg) = (parts.context, parts.seg?);
    let segment = Value::Image {
        sop_class_uid: SEG.sop_class_uid.into(),
        sop_uid: seg.object.sop_uid.clone(),
        part: Part::Segment(seg.segment(subject)?),
    };
    let series = identity::series_uid(context.source, context.uids);
    Some(vec![
        Item::new(Relation::Contains, REFERENCED_SEGMENT, segment),
        Item::uid(Relation::Contains, SOURCE_SERIES_FOR_SEGMENTATION, series),
    ])
}

fn head(template: &'static str, label: &str, uid: String) -> Item {
    Item::container(MEASUREMENT_GROUP, Some(template))
        .with(Item::text(Relation::HasObsContext, TRACKING_ID, label))
        .with(Item::uid(Relation::HasObsContext, TRACKING_UID, uid))
}

pub fn begin(template: &'static str, label: &str, uid: String, finding: Code) -> Item {
    head(template, label, uid).with(Item::code(Relation::Contains, FINDING, finding))
}

pub fn site(site: Site) -> Item {
    let place = Item::code(Relation::HasConceptMod, FINDING_SITE, site.place);
    match site.side {
        Some(side) => place.with(Item::code(Relation::HasConceptMod, LATERALITY, side)),
        None => place,
    }
}

pub fn mean() -> Item {
    Item::code(Relation::HasConceptMod, DERIVATION, MEAN)
}

pub fn comment(words: String) -> Item {
    Item::text(Relation::Contains, COMMENT, words)
}

/// A comment that may hold a name or words of a person.
pub fn said(context: &Context, words: String) -> Item {
    said_as(context, COMMENT, words)
}

/// The same under another name.
pub fn said_as(context: &Context, name: Code, words: String) -> Item {
    typed(context, Relation::Contains, name, words)
}

/// Text that may hold a name or words of a person.
pub fn typed(context: &Context, relation: Relation, name: Code, words: String) -> Item {
    match typed::encode(context.source.elements, &words).filter(|_| !words.is_ascii()) {
        Some(bytes) => Item::new(relation, name, Value::Typed(bytes)),
        None => Item::text(relation, name, words),
    }
}

pub fn illustration(page: &Page) -> Item {
    let value = Value::Image {
        sop_class_uid: page.object.sop_class_uid.clone(),
        sop_uid: page.object.sop_uid.clone(),
        part: Part::Whole,
    };
    Item::new(Relation::Contains, ILLUSTRATION_OF_ROI, value)
}

/// The algorithm identification (TID 4019) of the model package.
pub fn model(context: &Context) -> Vec<Item> {
    let Some(model) = &context.provenance.model else { return Vec::new() };
    let parameters = format!("{}; network sha256 {}", model.thresholds, model.sha256);
    algorithm(&model.id, &model.version, Some(parameters))
}

fn lung_algorithm(context: &Context) -> Vec<Item> {
    algorithm(LUNG_ALGORITHM, &context.provenance.software_version, None)
}

/// Algorithm identification (TID 4019).
pub fn algorithm(name: &str, version: &str, parameters: Option<String>) -> Vec<Item> {
    let texts = [(ALGORITHM_NAME, Some(name.to_owned())), (ALGORITHM_VERSION, Some(version.to_owned()))];
    let texts = texts.into_iter().chain([(ALGORITHM_PARAMETERS, parameters)]);
    texts.filter_map(|(name, text)| Some(Item::text(Relation::HasConceptMod, name, text?))).collect()
}

#[cfg(test)]
mod tests {
    use models::Reason;
    use models::findings::PartlySeen;

    use super::*;
    use crate::testing;

    #[test]
    fn a_mass_is_not_absent_where_half_of_the_chest_was_not_seen() {
        let mut findings = testing::case(9).findings;
        let Evaluated::Done(nodules) = &mut findings.nodules else { panic!("there are nodules") };
        nodules.retain(|one| one.form == Form::Nodule);
        let of = |findings: &ChestFindings, form| presence(findings, form, PRESENCE_UNDETERMINED).value;
        assert_eq!(of(&findings, Form::Mass), ABSENT.value);
        findings.partly_seen.push(PartlySeen { finding: ChestFinding::Nodule, reason: Reason::OneLung });
        assert_eq!(of(&findings, Form::Nodule), PRESENT.value);
        assert_eq!(of(&findings, Form::Mass), PRESENCE_UNDETERMINED.value);
    }
}
