//! A lesion in ultrasound, stored or recorded here, as a person decides about it: the fields that can be edited, and what an edit makes of
//! the lesion. Pure.

use models::findings::Side;
use models::lesion::sighting::Place;
use models::review::edit::{self, Allowed, Edit, Field, Values, millimetres};
use models::task::us_breast::lesion::Lesion;

use models::number::Number;

use crate::canvas::single;
use crate::stills::NoSize;
use crate::words::Words;

/// What the network for ultrasound images learnt from, as its package says (`us-breast`).
pub const LEARNT: &str =
    "The network learnt from phantoms and a few hundred real pictures; its scores are not calibrated";
pub const LEARNT_ZH: &str = "网络用体模和数百幅真实图像训练，评分未经校准";

/// The id under which a person decides about a lesion.
pub fn id(lesion: u32) -> String {
    format!("lesion-{lesion}")
}

/// Its size and score.
pub fn described(lesion: &Lesion, no_size: NoSize, w: &dyn Words) -> String {
    let size = match lesion.size_mm {
        Some([long, short]) => format!("{:.1} x {:.1} mm", Number(long.into()), Number(short.into())),
        None => w.no_size(no_size).to_owned(),
    };
    [size, w.malignant(lesion.malignant)].join(w.comma())
}

/// What of a lesion can be edited, as it was found or as whoever scanned has said.
pub fn values(lesion: &Lesion, place: &Place) -> Values {
    let mm = |axis: usize| lesion.size_mm.map_or_else(String::new, |size| millimetres(size[axis].into()));
    let words = lesion.descriptors.iter();
    let known = |field: &Field| match field.allowed() {
        Allowed::Words(list) => words.clone().find(|word| list.contains(&word.as_str())).cloned().unwrap_or_default(),
        Allowed::Whole(_) | Allowed::Millimetres(_) => String::new(),
    };
    let side = place.side.map(Side::as_str).unwrap_or_default().to_owned();
    let clock = place.clock.map(|hour| hour.to_string()).unwrap_or_default();
    let distance = place.distance_mm.map(millimetres).unwrap_or_default();
    let mut values: Values = edit::DESCRIPTORS.iter().map(|field| (*field, known(field))).collect();
    values.extend([(Field::Side, side), (Field::LongMm, mm(0)), (Field::ShortMm, mm(1))]);
    values.extend([(Field::Clock, clock), (Field::DistanceMm, distance)]);
    values
}

/// The person's values take the place of those that were found: the category is suggested anew from these descriptors. An outline of another
/// size does not stay. Returns whether the size is another one.
pub fn correct(lesion: &mut Lesion, edit: &Edit) -> bool {
    lesion.descriptors = edit::descriptors(&lesion.descriptors, &edit.values);
    let Some(size) = edit::size_mm(&edit.values) else { return false };
    lesion.size_mm = Some(size.map(single));
    lesion.outline.clear();
    true
}

/// Where it is: as the person says, else as it was known.
pub fn place(found: &Place, edit: Option<&Edit>) -> Place {
    let Some(Edit { values, .. }) = edit else { return found.clone() };
    let (clock, distance_mm) = (edit::whole(values, Field::Clock), edit::number(values, Field::DistanceMm));
    Place { side: edit::side(values), clock, distance_mm, ..Place::default() }.or(found)
}
