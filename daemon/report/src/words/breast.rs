//! What a report of a breast says, in every language: descriptors, suggested categories, places, earlier exams. Nothing has a
//! default here either.

use models::findings::Side;
use models::lesion::followed::{Earlier, Followed};
use models::lesion::sighting::Place;
use models::number::Number;
use models::task::us_breast::assessment::{Category, SOURCE, Suggested, Withheld};
use models::task::us_breast::scan::coverage::{Coverage, State};
use models::task::us_breast::scan::probe::Spot;
use models::task::us_breast::terms::{Term, Trait};

use super::{Words, capital};

/// Part of [`Words`].
pub trait Breast {
    fn breast(&self) -> &'static Fixed;
    fn term(&self, term: Term) -> &'static str;
    fn described(&self, what: Trait) -> &'static str;
    /// `The category that is suggested` with its number and its name.
    fn category(&self, category: Category) -> String;
    /// Descriptors that forbid a lower category; `terms` in this language.
    fn because(&self, terms: &str) -> String;
    fn no_category(&self, why: Withheld) -> String;
    fn breast_of(&self, side: Option<Side>) -> &'static str;
    fn hour(&self, hour: u8) -> String;
    fn nipple_distance(&self, mm: f64) -> String;
    /// Number in the list over the years; `size` of the earlier look in this language.
    fn known_lesion(&self, number: u64) -> String;
    fn earlier(&self, date: &str, modality: &str, size: &str) -> String;
    /// Images, and of clips how many frames of how many.
    fn looked_at(&self, images: usize, clips: usize, frames: [usize; 2]) -> String;
    /// Of an exam that was recorded here.
    fn recorded(&self, clips: usize, pictures: usize) -> String;
    fn not_looked_at(&self, images: usize) -> String;
    /// Lesions beyond those that are listed.
    fn more_lesions(&self, count: usize) -> String;
    /// Places that only one looked-at frame of a clip shows.
    fn seen_once(&self, count: usize) -> String;
    /// `looked`: what was looked at, in this language.
    fn no_lesion_in(&self, looked: &str) -> String;
    /// How many places of a breast were looked at, of all.
    fn coverage_of(&self, side: Side, looked_at: usize, all: usize) -> String;
    /// What is said of places in this state.
    fn covered(&self, state: State) -> &'static str;
    fn spot(&self, spot: Spot) -> String;
    fn places(&self, count: usize) -> String;
    /// Where the rules come from, and what they are not.
    fn rules(&self, source: &str) -> String;
}

/// Headings and fixed sentences.
#[derive(Debug)]
pub struct Fixed {
    pub title: &'static str,
    /// Document Title (0042,0010): ASCII, whatever the character set of the source is.
    pub dicom_title: &'static str,
    pub examination: &'static str,
    /// Who has reviewed it.
    pub reviewed: &'static str,
    pub findings: &'static str,
    pub impression: &'static str,
    /// Where the category comes from.
    pub rules: &'static str,
    /// None of the lesions is known from earlier exams.
    pub none_known: &'static str,
    /// Lesions that are no masses, for which the network has no output.
    pub non_mass: &'static str,
    /// Its heading.
    pub not_found_by_it: &'static str,
    /// No network looked at the pictures of an exam.
    pub not_evaluated: &'static str,
    /// An exam that ended before its time, or of which something is missing.
    pub cut_short: &'static str,
    pub not_measured: &'static str,
    pub gone: &'static str,
    /// No earlier day is known of a lesion of the list.
    pub no_earlier: &'static str,
    /// Heading of what was looked at, and what that is.
    pub coverage: &'static str,
    pub coverage_note: &'static str,
    pub note: &'static str,
}

/// Breast, clock and distance, as far as they are known.
pub fn place(place: &Place, w: &dyn Words) -> String {
    let parts = [
        Some(w.breast_of(place.side).to_owned()),
        place.clock.map(|hour| w.hour(hour)),
        place.distance_mm.map(|mm| w.nipple_distance(mm)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(w.comma())
}

/// More places than this are counted, not named.
const MOST_NAMED: usize = 12;

/// What of each breast was looked at, and what it is worth; nothing where nobody said where the probe was.
pub fn coverage(coverage: &Coverage, w: &dyn Words) -> Vec<String> {
    let all = Spot::all().count();
    let of = |side: Side| {
        let looked_at = coverage.spots(side, State::LookedAt).len();
        let rest = State::ALL.into_iter().filter(|state| *state != State::LookedAt).filter_map(move |state| {
            let spots = coverage.spots(side, state);
            let named = || spots.iter().map(|spot| w.spot(*spot)).collect::<Vec<_>>().join(w.comma());
            let said = if spots.len() > MOST_NAMED { w.places(spots.len()) } else { named() };
            (!spots.is_empty()).then(|| w.titled(w.covered(state), &said))
        });
        let parts: Vec<String> = [w.coverage_of(side, looked_at, all)].into_iter().chain(rest).collect();
        capital(&parts.join(w.separator()))
    };
    let mut lines: Vec<String> = coverage.sides().into_iter().map(of).collect();
    if !lines.is_empty() {
        lines.push(w.breast().coverage_note.to_owned());
    }
    lines
}

/// A lesion of the list, and its earlier size.
pub fn followed(followed: &Followed, w: &dyn Words) -> String {
    let known = w.known_lesion(followed.lesion);
    let earlier = match &followed.earlier {
        None => w.breast().no_earlier.to_owned(),
        Some(earlier) => w.earlier(&earlier.date.to_string(), &earlier.modality, &size_then(earlier, w)),
    };
    [known, earlier].join(w.separator())
}

fn size_then(earlier: &Earlier, w: &dyn Words) -> String {
    if earlier.gone {
        return w.breast().gone.to_owned();
    }
    if earlier.axes_mm.is_empty() {
        return w.breast().not_measured.to_owned();
    }
    let axes: Vec<String> = earlier.axes_mm.iter().map(|mm| format!("{:.1}", Number(*mm))).collect();
    format!("{} mm", axes.join(" x "))
}

/// The category of one lesion with what made it so, or why there is none.
pub fn suggestion(suggested: &Result<Suggested, Withheld>, w: &dyn Words) -> String {
    match suggested {
        Err(why) => w.no_category(*why),
        Ok(one) if one.because.is_empty() => w.category(one.category),
        Ok(one) => {
            let terms: Vec<&str> = one.because.iter().map(|term| w.term(*term)).collect();
            [w.category(one.category), w.because(&terms.join(w.comma()))].join(w.separator())
        }
    }
}

pub fn rules(w: &dyn Words) -> String {
    w.rules(SOURCE)
}

#[cfg(test)]
pub(super) mod tests {
    use models::task::us_breast::terms::{Echo, Margin, Orientation, Posterior, Shape};

    use super::*;

    pub(crate) fn terms() -> Vec<Term> {
        let mut all: Vec<Term> = Shape::ALL.iter().copied().map(Term::Shape).collect();
        all.extend(Orientation::ALL.iter().copied().map(Term::Orientation));
        all.extend(Margin::ALL.iter().copied().map(Term::Margin));
        all.extend(Echo::ALL.iter().copied().map(Term::Echo));
        all.extend(Posterior::ALL.iter().copied().map(Term::Posterior));
        all
    }

    /// What every language has to say without values.
    pub(crate) fn fixed(w: &dyn Words) -> Vec<&'static str> {
        let fixed = w.breast();
        let mut all = vec![fixed.title, fixed.dicom_title, fixed.examination, fixed.findings, fixed.impression];
        all.extend([
            fixed.rules,
            fixed.none_known,
            fixed.reviewed,
            fixed.non_mass,
            fixed.not_found_by_it,
            fixed.not_evaluated,
            fixed.cut_short,
            fixed.not_measured,
            fixed.gone,
            fixed.no_earlier,
            fixed.coverage,
            fixed.coverage_note,
            fixed.note,
        ]);
        all.extend(State::ALL.map(|state| w.covered(state)));
        all.extend(terms().into_iter().map(|term| w.term(term)));
        all.extend(Trait::ALL.map(|what| w.described(what)));
        all.extend([Some(Side::Right), Some(Side::Left), None].map(|side| w.breast_of(side)));
        all
    }

    pub(crate) fn sentences(w: &dyn Words) -> Vec<String> {
        let why = [Withheld::Doubtful, Withheld::Contradicted, Withheld::NoLesion];
        let parts = [Withheld::SomeLesions, Withheld::SomePictures, Withheld::Remarked];
        let mut all: Vec<String> = Category::ALL.map(|category| w.category(category)).into();
        all.extend(why.into_iter().chain(parts).chain(Trait::ALL.map(Withheld::Missing)).map(|why| w.no_category(why)));
        all.extend([w.because("7"), w.hour(11), w.nipple_distance(31.6), w.known_lesion(12), w.rules("7")]);
        all.extend([w.looked_at(2, 1, [31, 90]), w.looked_at(0, 2, [5, 6]), w.looked_at(1, 0, [0, 0])]);
        all.extend([w.recorded(1, 3), w.not_looked_at(1), w.more_lesions(2), w.no_lesion_in("7")]);
        for (axes_mm, gone) in [(vec![10.25, 7.0, 3.5], false), (Vec::new(), false), (Vec::new(), true)] {
            let earlier = Earlier { date: "2026-02-03".parse().unwrap(), modality: "US".into(), axes_mm, gone };
            all.push(super::followed(&Followed { lesion: 12, earlier: Some(earlier) }, w));
        }
        all.push(super::followed(&Followed { lesion: 12, earlier: None }, w));
        all.extend([w.coverage_of(Side::Left, 7, 38), w.coverage_of(Side::Right, 7, 38), w.places(31)]);
        all.extend(Spot::all().map(|spot| w.spot(spot)));
        all
    }
}
