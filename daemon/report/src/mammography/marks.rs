//! What a network marked in a mammography, in words of each language and as measurement groups (TID 1410) of the report.

use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::Kind;
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};
use models::task::mg_breast::withheld::Withheld;

use crate::codes::{
    ARCHITECTURAL_DISTORTION, BREAST, BREAST_MASS, CALCIFICATION_CLUSTER, CERTAINTY_OF_FINDING, Code, FOCAL_ASYMMETRY,
    IMAGE_REGION, LEFT, LONG_AXIS, MILLIMETRE, ORIGINAL_SOURCE, PERCENT, RIGHT, SHORT_AXIS,
};
use crate::content::{Item, Part, Relation, Value};
use crate::groups::{begin, comment, illustration, model, site};
use crate::object::Context;
use crate::secondary::Page;
use crate::site::Site;
use crate::words::Words;

/// Marks that a sentence names, at most (the surest); the report has all.
const NAMED: usize = 4;

/// The parts of a sentence: what was counted, the surest marks, the scores, what was withheld, what none of it means.
pub(crate) fn said(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(stage) = marks.stage() {
        said.push(format!("{}{}{}", w.marks_counted(marks.count(), marks.views.len()), w.comma(), w.mark_stage(stage)));
        let mut all: Vec<(&Mark, StandardView)> = all(marks).map(|(view, mark)| (mark, view.view)).collect();
        all.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
        said.extend(all.iter().take(NAMED).map(|(mark, view)| w.mark(mark, *view)));
        said.extend(all.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| w.more(more)));
        said.push(w.breast_scores(marks.right, marks.left));
    }
    said.extend(withheld(marks, w));
    said.push(w.phantoms_only().to_owned());
    said
}

/// Each reason once, with the views that have it.
pub(crate) fn withheld(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let mut grouped: Vec<(Withheld, Vec<&str>)> = Vec::new();
    for one in &marks.withheld {
        let view = w.standard_view(one.view);
        match grouped.iter_mut().find(|(why, _)| *why == one.why) {
            Some((_, views)) => views.push(view),
            None => grouped.push((one.why, vec![view])),
        }
    }
    grouped.into_iter().map(|(why, views)| w.withheld_in(&views.join(w.comma()), w.withheld(why))).collect()
}

pub(crate) fn all(marks: &Marks) -> impl Iterator<Item = (&MarkedView, &Mark)> {
    marks.views.iter().flat_map(|view| view.marks.iter().map(move |mark| (view, mark)))
}

/// One group for each mark, with its box on the picture that it was seen in.
pub(super) fn groups(context: &Context, marks: &Marks, page: Option<&Page>) -> Vec<Item> {
    all(marks).filter_map(|(view, mark)| group(context, view, mark, page)).collect()
}

fn group(context: &Context, view: &MarkedView, mark: &Mark, page: Option<&Page>) -> Option<Item> {
    let image = context.source.instances.iter().find(|image| image.sop_instance_uid == view.sop_instance_uid)?;
    let [left, top, right, bottom] = mark.bounds;
    let points = vec![[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
    let source = Value::Image {
        sop_class_uid: image.sop_class_uid.clone(),
        sop_uid: image.sop_instance_uid.clone(),
        part: Part::Whole,
    };
    let region = Item::new(Relation::Contains, IMAGE_REGION, Value::Coordinates { kind: "POLYLINE", points })
        .with(Item::new(Relation::SelectedFrom, ORIGINAL_SOURCE, source));
    let uid = context.uids.of("track mammography mark", mark.number);
    let side = if view.view.is_right() { RIGHT } else { LEFT };
    let [long, short] = mark.size_mm.map(f64::from);
    let words = crate::words::Language::English.words();
    Some(
        begin("1410", &format!("Mark {}", mark.number), uid, code(mark.kind))
            .with(region)
            .with_all(page.map(illustration))
            .with_all(model(context))
            .with(site(Site { place: BREAST, side: Some(side) }))
            .with(Item::number(LONG_AXIS, long, 1, MILLIMETRE))
            .with(Item::number(SHORT_AXIS, short, 1, MILLIMETRE))
            .with(Item::number(CERTAINTY_OF_FINDING, f64::from(mark.score) * 100.0, 1, PERCENT))
            .with(comment(words.mark(mark, view.view)))
            .with(comment(crate::words::capital(words.phantoms_only()))),
    )
}

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Mass => BREAST_MASS,
        Kind::Calcifications => CALCIFICATION_CLUSTER,
        Kind::Asymmetry => FOCAL_ASYMMETRY,
        Kind::Distortion => ARCHITECTURAL_DISTORTION,
    }
}
