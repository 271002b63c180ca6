//! What a network marked in a mammography, as measurement groups (TID 1410) of the report.

use models::task::mg_breast::kind::Kind;
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};

use crate::codes::{
    ARCHITECTURAL_DISTORTION, BREAST, BREAST_MASS, CALCIFICATION_CLUSTER, CERTAINTY_OF_FINDING, Code, FOCAL_ASYMMETRY,
    IMAGE_REGION, LEFT, LONG_AXIS, MILLIMETRE, ORIGINAL_SOURCE, PERCENT, RIGHT, SHORT_AXIS,
};
use crate::content::{Item, Part, Relation, Value};
use crate::groups::{begin, chosen, comment, illustration, measured, model, said as typed, site};
use crate::object::Context;
use crate::secondary::Page;
use crate::site::Site;
use crate::views::Mammography;
use crate::views::marks::{all, id, is_resized};
use crate::words::breast::followed;
use crate::words::edits::of_marks;

/// One group for each mark, with its box on the picture that it was seen in.
pub(super) fn groups(context: &Context, study: &Mammography, marks: &Marks, page: Option<&Page>) -> Vec<Item> {
    let w = crate::words::Language::English.words();
    let edits = of_marks(&study.marked, w);
    let said = |mark: &Mark| {
        let id = id(mark.number);
        let edited = edits.iter().find(|(own, _)| *own == id).map(|(_, words)| words.as_str());
        edited.or_else(|| study.marked.review.as_ref().map(|review| review.comment(&id))).unwrap_or_default()
    };
    let with_comments = |(view, mark): (_, &Mark)| {
        let known = study.followed(mark.number).map(|known| comment(crate::words::capital(&followed(known, w))));
        let words = said(mark);
        let reviewed = (!words.is_empty()).then(|| typed(context, words.to_owned()));
        Some(group(context, study, (view, mark), page)?.with_all(known.into_iter().chain(reviewed)))
    };
    all(marks).filter_map(with_comments).collect()
}

fn group(
    context: &Context,
    study: &Mammography,
    (view, mark): (&MarkedView, &Mark),
    page: Option<&Page>,
) -> Option<Item> {
    let image = context.source.instances.iter().find(|image| image.sop_instance_uid == view.sop_instance_uid)?;
    let is_resized = is_resized(&study.marked, mark.number);
    let [left, top, right, bottom] = mark.bounds;
    let edge = || vec![[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
    // The box has the size that the network gave it.
    let (kind, points) = if is_resized { ("POINT", vec![mark.at]) } else { ("POLYLINE", edge()) };
    let source = Value::Image {
        sop_class_uid: image.sop_class_uid.clone(),
        sop_uid: image.sop_instance_uid.clone(),
        part: Part::Whole,
    };
    let region = Item::new(Relation::Contains, IMAGE_REGION, Value::Coordinates { kind, points }).with(Item::new(
        Relation::SelectedFrom,
        ORIGINAL_SOURCE,
        source,
    ));
    let uid = context.uids.lasting("track mammography mark", mark.number);
    let side = if view.view.is_right() { RIGHT } else { LEFT };
    let [long, short] = mark.size_mm.map(f64::from);
    let length = |name: Code, mm: f64| {
        let item = Item::number(name, mm, 1, MILLIMETRE);
        if is_resized { chosen(item) } else { item }
    };
    let words = crate::words::Language::English.words();
    Some(
        begin("1410", &format!("Mark {}", mark.number), uid, code(mark.kind))
            .with(region)
            .with_all(page.map(illustration))
            .with_all(model(context))
            .with(site(Site { place: BREAST, side: Some(side) }))
            .with(length(LONG_AXIS, long))
            .with(length(SHORT_AXIS, short))
            .with_all(measured(CERTAINTY_OF_FINDING, f64::from(mark.score) * 100.0, 1, PERCENT))
            .with(comment(words.mark(mark, view.view)))
            .with(comment(crate::words::capital(words.phantoms_only()))),
    )
}

pub(super) fn code(kind: Kind) -> Code {
    match kind {
        Kind::Mass => BREAST_MASS,
        Kind::Calcifications => CALCIFICATION_CLUSTER,
        Kind::Asymmetry => FOCAL_ASYMMETRY,
        Kind::Distortion => ARCHITECTURAL_DISTORTION,
    }
}
