//! What a person has edited, in the words of each language: the new value, the one of the software, and what is withheld because of it. Pure.

use models::ChestFindings;
use models::findings::{ChestFinding, Evaluated, Form, LobeName, LungPart, Nodule, NoduleType, Side};
use models::review::edit::{Edit, Field, Values};
use models::review::marks::{ListedMark, Marked};
use models::review::{self, Edited, Item};
use models::task::mg_breast::kind::Kind;
use models::task::us_breast::terms::{Echo, Margin, Orientation, Posterior, Shape, Term};

use super::{Words, capital};

/// Part of [`Words`].
pub trait Edits {
    fn field(&self, field: Field) -> &'static str;
    /// `what` was edited by whom; `changes` in this language.
    fn edited(&self, what: &str, by: &str, changes: &str) -> String;
    /// The value of a field now, and what it was.
    fn changed(&self, field: &str, now: &str, was: &str) -> String;
    /// The machine knew no value.
    fn not_known(&self) -> &'static str;
    /// One finding that has a number.
    fn numbered(&self, finding: ChestFinding, number: usize) -> String;
    fn numbered_mark(&self, number: &str) -> String;
    /// That what was measured in the outline of another size is withheld: of a nodule, of anything else.
    fn size_withheld(&self, of_nodule: bool) -> &'static str;
    /// That the size class is withheld, because the solid part was not measured.
    fn class_withheld(&self) -> &'static str;
    /// That the node is no enlarged one any more.
    fn not_enlarged(&self) -> &'static str;
    /// That the scores are withheld, because they were of another kind of mark.
    fn score_withheld(&self) -> &'static str;
}

/// A value in this language; as it was typed where it is none that we know.
fn value(field: Field, value: &str, w: &dyn Words) -> String {
    fn word<'a, T: Copy>(all: &[T], word: fn(T) -> &'static str, value: &str, say: impl Fn(T) -> &'a str) -> String {
        let known = all.iter().copied().find(|one| word(*one) == value);
        known.map_or_else(|| value.to_owned(), |one| say(one).to_owned())
    }
    if value.is_empty() {
        return w.not_known().to_owned();
    }
    match field {
        Field::Type => word(&NoduleType::ALL, NoduleType::as_str, value, |one| w.nodule_type(one)),
        Field::Kind => word(&Kind::ALL, Kind::name, value, |one| w.mark_kind(one)),
        Field::Side => word(&[Side::Right, Side::Left], Side::as_str, value, |one| w.side(one)),
        Field::Lobe => word(&LobeName::ALL, LobeName::as_str, value, |one| w.part(LungPart::Lobe(one))),
        Field::Rib => value.to_owned(),
        Field::Clock => value.parse().map_or_else(|_| value.to_owned(), |hour| w.hour(hour)),
        Field::LongMm | Field::ShortMm | Field::DistanceMm => format!("{value} mm"),
        Field::Shape => word(Shape::ALL, Shape::word, value, |one| w.term(Term::Shape(one))),
        Field::Orientation => word(Orientation::ALL, Orientation::word, value, |one| w.term(Term::Orientation(one))),
        Field::Margin => word(Margin::ALL, Margin::word, value, |one| w.term(Term::Margin(one))),
        Field::Echo => word(Echo::ALL, Echo::word, value, |one| w.term(Term::Echo(one))),
        Field::Posterior => word(Posterior::ALL, Posterior::word, value, |one| w.term(Term::Posterior(one))),
    }
}

/// Each field with its value and the one before.
fn changes(edit: &Edit, was: &Values, w: &dyn Words) -> String {
    let one = |(field, now): (&Field, &String)| {
        let was = was.get(field).map_or("", String::as_str);
        w.changed(w.field(*field), &value(*field, now, w), &value(*field, was, w))
    };
    edit.values.iter().map(one).collect::<Vec<_>>().join(w.comma())
}

/// The sentence about one edit. `what`: of which finding; `more`: what is withheld.
fn sentence<L: Item>(one: &Edited<'_, L>, what: &str, more: &[&str], w: &dyn Words) -> String {
    let said = w.edited(what, &one.edit.by, &changes(one.edit, one.listed.values(), w));
    let comment = (!one.comment.is_empty()).then_some(one.comment);
    std::iter::once(said.as_str()).chain(more.iter().copied()).chain(comment).collect::<Vec<_>>().join(w.separator())
}

/// Of the findings of a chest CT: the id of each that was edited, and what is said of it.
pub fn of_findings(findings: &ChestFindings, w: &dyn Words) -> Vec<(String, String)> {
    let say = |one: Edited<'_>| {
        let number = one.listed.number.unwrap_or(1);
        let nodule = nodule(findings, one.listed.finding, number);
        // As it is called now: another size may have made a mass of it.
        let what = match nodule.map(|nodule| nodule.form) {
            Some(Form::Mass) => format!("{} {number}", capital(w.form(Form::Mass))),
            _ => w.numbered(one.listed.finding, number),
        };
        let values = &one.edit.values;
        let is_left_out = review::is_left_out(one.listed, values);
        let is_resized = values.contains_key(&Field::LongMm) && !is_left_out;
        let is_class_gone = nodule.is_some_and(|nodule| nodule.kind.is_some() && nodule.lung_rads.is_none());
        let more: Vec<&str> = [
            is_resized.then(|| w.size_withheld(nodule.is_some())),
            is_class_gone.then(|| w.class_withheld()),
            is_left_out.then(|| w.not_enlarged()),
        ]
        .into_iter()
        .flatten()
        .collect();
        (one.listed.id.clone(), sentence(&one, &what, &more, w))
    };
    findings.review.iter().flat_map(|review| review.edited()).map(say).collect()
}

fn nodule(findings: &ChestFindings, finding: ChestFinding, number: usize) -> Option<&Nodule> {
    let Evaluated::Done(all) = &findings.nodules else { return None };
    all.iter().find(|one| finding == ChestFinding::Nodule && one.number == number)
}

/// The same of marks in pictures of a breast.
pub fn of_marks(marked: &Marked, w: &dyn Words) -> Vec<(String, String)> {
    let say = |one: Edited<'_, ListedMark>| {
        let number = one.listed.id().rsplit('-').next().unwrap_or_default();
        let is_lesion = one.listed.id().starts_with("lesion-");
        let lesion = number.parse().ok().filter(|_| is_lesion).map(|number| w.lesion(number));
        let what = lesion.unwrap_or_else(|| w.numbered_mark(number));
        let values = &one.edit.values;
        let more: Vec<&str> = [
            values.contains_key(&Field::LongMm).then(|| w.size_withheld(false)),
            values.contains_key(&Field::Kind).then(|| w.score_withheld()),
        ]
        .into_iter()
        .flatten()
        .collect();
        (one.listed.id().to_owned(), sentence(&one, &what, &more, w))
    };
    marked.review.iter().flat_map(|review| review.edited()).map(say).collect()
}
