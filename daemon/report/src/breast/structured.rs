//! The breast imaging report (TID 4200) as Enhanced SR: a summary in words, and for each breast its findings with descriptors,
//! place, size and suggested category. Text is English (decision 0013).

use models::findings::Side;
use models::review::edit::Field;
use models::task::us_breast::assessment::Category;
use models::task::us_breast::terms::Term;

use super::{Examination, Found, lines};
use crate::codes::{
    ASSESSED_BY, ASSESSMENT_2, ASSESSMENT_3, ASSESSMENT_4, ASSESSMENT_CATEGORY, BEST_ILLUSTRATION, BOTH_BREASTS,
    BREAST_IMAGING_REPORT, BREAST_MASS, CLOCK_FACE, COMPARISON, Code, DISTANCE_FROM_NIPPLE, ECHO_PATTERN, FINDING,
    FINDINGS, IMPRESSION, IMPRESSIONS, LATERALITY, LEFT_BREAST, LONG_AXIS, MARGINS, MILLIMETRE, NARRATIVE_SUMMARY,
    ORIENTATION, OVERALL_ASSESSMENT, POSTERIOR_FEATURES, PROCEDURE_REPORTED, RIGHT_BREAST, SHAPE, SHORT_AXIS,
    SUGGESTED_BY_SOFTWARE, SUPPLEMENTARY_DATA, ULTRASOUND_OF_BREAST, echo_code, margin_code, orientation_code,
    posterior_code, shape_code,
};
use crate::content::{Item, Relation};
use crate::object::{BREAST, Context};
use crate::site::hour_code;
use crate::words::breast::{coverage, rules};
use crate::words::{Language, Words, capital};
use crate::{Error, ResultObject, groups, sr, stills};

/// The report; `own` are objects of ours that it refers to.
///
/// # Errors
/// When a value does not fit into an object.
pub fn write(context: &Context, exam: &Examination<'_>, own: &[&ResultObject]) -> Result<ResultObject, Error> {
    let root = Item::container(BREAST_IMAGING_REPORT, Some("4200"))
        .with(sr::language())
        .with_all(sr::observer(context))
        .with(summary(context, exam))
        .with_all(data(exam));
    sr::kept_as(BREAST, context, root, own)
}

/// TID 4202.
fn summary(context: &Context, exam: &Examination<'_>) -> Item {
    let w = Language::English.words();
    let mark = context.provenance.mark().map(str::to_owned);
    let section =
        |title: Code, name: Code, text: String| Item::container(title, None).with(groups::said_as(context, name, text));
    // What was ordered; why is not known here.
    let ordered = context.request.map(|request| request.step_description.clone()).filter(|text| !text.is_empty());
    let procedure: Vec<String> =
        std::iter::once("Ultrasonography of the breast".to_owned()).chain(ordered).chain(exam.looked(w)).collect();
    // No concept of the standard says how much of a breast was looked at: words have to do.
    let covered: Vec<String> = coverage(&exam.coverage, w);
    let procedure = std::iter::once(procedure.join("; ")).chain(covered).collect::<Vec<_>>().join("\n");
    let found: Vec<String> = exam.lesions.iter().map(|one| finding(one, w)).collect();
    let found = if found.is_empty() { capital(&exam.nothing(w)) } else { found.join("\n") };
    let found = [found, w.breast().non_mass.to_owned()].join("\n");
    let comparison = exam.comparison(w);
    let comparison = (!comparison.is_empty()).then(|| comparison.join("\n"));
    let impression = [Some(exam.impression(w)), Some(rules(w)), mark, Some(context.provenance.line())]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let sections = [
        Some(section(PROCEDURE_REPORTED, PROCEDURE_REPORTED, procedure)),
        comparison.map(|text| section(COMPARISON, COMPARISON, text)),
        Some(section(FINDINGS, FINDING, found)),
        Some(section(IMPRESSIONS, IMPRESSION, impression.join("\n"))),
    ];
    Item::container(NARRATIVE_SUMMARY, Some("4202")).with_all(sections.into_iter().flatten())
}

fn finding(one: &Found<'_>, w: &dyn Words) -> String {
    w.titled(&w.lesion(one.lesion.id), &lines(one, w).join("; "))
}

/// TID 4208: the findings of each breast, and the category of all. The template wants a side of every breast: where one is not
/// known the summary has to do.
fn data(exam: &Examination<'_>) -> Option<Item> {
    let sides: Option<Vec<Side>> = exam.lesions.iter().map(|one| one.place.side).collect();
    let sides = sides.filter(|sides| !sides.is_empty())?;
    let of = |side: Side| {
        let own: Vec<&Found<'_>> = exam.lesions.iter().filter(|one| one.place.side == Some(side)).collect();
        (!own.is_empty()).then(|| findings(exam, side, &own))
    };
    let laterality = match (sides.contains(&Side::Right), sides.contains(&Side::Left)) {
        (true, true) => BOTH_BREASTS,
        (true, false) => RIGHT_BREAST,
        (false, _) => LEFT_BREAST,
    };
    let category = exam.overall().ok().map(|one| category(one).related(Relation::Contains));
    let overall = category.map(|category| Item::container(OVERALL_ASSESSMENT, None).with(category));
    let data = Item::container(SUPPLEMENTARY_DATA, Some("4208")).with(procedure(laterality));
    Some(data.with_all([Side::Right, Side::Left].into_iter().filter_map(of)).with_all(overall))
}

/// TID 4201.
fn procedure(laterality: Code) -> Item {
    Item::code(Relation::HasConceptMod, PROCEDURE_REPORTED, ULTRASOUND_OF_BREAST).with(Item::code(
        Relation::HasConceptMod,
        LATERALITY,
        laterality,
    ))
}

/// TID 4206.
fn findings(exam: &Examination<'_>, side: Side, own: &[&Found<'_>]) -> Item {
    let laterality = if side == Side::Right { RIGHT_BREAST } else { LEFT_BREAST };
    Item::container(FINDINGS, Some("4206")).with(procedure(laterality)).with_all(own.iter().map(|one| coded(exam, one)))
}

/// As far as the template has codes; the summary has all of it in words. Its set of findings has a mass that is called
/// mammographic, and no other that is neither solid nor a cyst.
fn coded(exam: &Examination<'_>, one: &Found<'_>) -> Item {
    let edit = exam.marked.and_then(|marked| marked.edit(&stills::id(one.lesion.id)));
    let given = |field: Field, item: Item| {
        let is_given = edit.is_some_and(|edit| edit.values.contains_key(&field));
        if is_given { groups::chosen(item) } else { item }
    };
    let number = |name: Code, value: f64| Item::number(name, value, 1, MILLIMETRE).related(Relation::HasProperties);
    let [long, short] = [0, 1].map(|axis| one.lesion.size_mm.map(|size| f64::from(size[axis])));
    let illustration =
        one.picture.as_ref().map(|picture| Item::new(Relation::InferredFrom, BEST_ILLUSTRATION, picture.value()));
    Item::code(Relation::Contains, FINDING, BREAST_MASS)
        .with_all(one.suggested.as_ref().ok().map(|suggested| category(suggested.category)))
        .with_all(
            one.place
                .clock
                .and_then(hour_code)
                .map(|hour| given(Field::Clock, Item::code(Relation::HasProperties, CLOCK_FACE, hour))),
        )
        .with_all(long.map(|mm| given(Field::LongMm, number(LONG_AXIS, mm))))
        .with_all(short.map(|mm| given(Field::ShortMm, number(SHORT_AXIS, mm))))
        .with_all(one.place.distance_mm.map(|mm| given(Field::DistanceMm, number(DISTANCE_FROM_NIPPLE, mm))))
        .with_all(one.terms.known().filter_map(|known| Some(given(field(known), term(known)?))))
        .with_all(illustration)
}

/// TID 4203, with a modifier that says that nobody has assessed it.
fn category(category: Category) -> Item {
    let code = match category {
        Category::Benign => ASSESSMENT_2,
        Category::ProbablyBenign => ASSESSMENT_3,
        Category::Suspicious => ASSESSMENT_4,
    };
    Item::code(Relation::HasProperties, ASSESSMENT_CATEGORY, code).with(Item::code(
        Relation::HasConceptMod,
        ASSESSED_BY,
        SUGGESTED_BY_SOFTWARE,
    ))
}

fn field(term: Term) -> Field {
    match term {
        Term::Shape(_) => Field::Shape,
        Term::Orientation(_) => Field::Orientation,
        Term::Margin(_) => Field::Margin,
        Term::Echo(_) => Field::Echo,
        Term::Posterior(_) => Field::Posterior,
    }
}

fn term(term: Term) -> Option<Item> {
    let (name, value) = match term {
        Term::Shape(one) => (SHAPE, Some(shape_code(one))),
        Term::Orientation(one) => (ORIENTATION, Some(orientation_code(one))),
        Term::Margin(one) => (MARGINS, margin_code(one)),
        Term::Echo(one) => (ECHO_PATTERN, echo_code(one)),
        Term::Posterior(one) => (POSTERIOR_FEATURES, Some(posterior_code(one))),
    };
    value.map(|value| Item::code(Relation::HasProperties, name, value))
}
