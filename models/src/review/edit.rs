//! What a person may change of a finding instead of accepting it as it is: named fields, each with a closed list of words or bounds. What
//! the machine found stays beside it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::findings::{LobeName, NoduleType, Side};
use crate::task::mg_breast::kind::Kind;
use crate::task::us_breast::terms::{Echo, Margin, Orientation, Posterior, Shape};

/// Lengths and distances that can be entered, mm.
const LENGTH_MM: [f64; 2] = [0.1, 500.0];
const DISTANCE_MM: [f64; 2] = [0.0, 500.0];

/// What of a finding can be edited. The names are those of the command line, of D-Bus and of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Of a nodule or mass of the lung.
    Type,
    /// Of a mark in a mammogram.
    Kind,
    Side,
    Lobe,
    /// Which one, counted from the head.
    Rib,
    /// Both axes are measured together.
    LongMm,
    ShortMm,
    /// Hour in the breast.
    Clock,
    /// From the nipple.
    DistanceMm,
    Shape,
    Orientation,
    Margin,
    Echo,
    Posterior,
}

/// What can be entered in a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    Words(Vec<&'static str>),
    /// A whole number between these.
    Whole([u8; 2]),
    /// Between these, mm; kept to a tenth.
    Millimetres([f64; 2]),
}

/// By field, as text: a word of its list, or a number. Empty where the machine does not know it.
pub type Values = BTreeMap<Field, String>;

/// What a person has changed of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Who; a later review that accepts the finding as it is then keeps this name.
    pub by: String,
    /// Only what differs from what was found.
    pub values: Values,
}

/// What is wrong with an edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongEdit {
    #[error("nothing of it can be edited")]
    Nothing,
    #[error("no field was named: it has {known}")]
    Empty { known: String },
    #[error("{field:?} cannot be edited: it has {known}")]
    Unknown { field: String, known: String },
    #[error("{} is given twice", field.as_str())]
    Twice { field: Field },
    #[error("{} cannot be {value:?}: give {allowed}", field.as_str())]
    Value { field: Field, value: String, allowed: Allowed },
    #[error("long_mm and short_mm are measured together: give both")]
    OneAxis,
    #[error("short_mm is longer than long_mm")]
    Axes,
    #[error("the lobe lies on the other side")]
    OtherSide,
}

impl Eq for Allowed {}

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Words(words) => write!(f, "one of {}", words.join(", ")),
            Self::Whole([least, most]) => write!(f, "a whole number from {least} to {most}"),
            Self::Millimetres([least, most]) => write!(f, "millimetres from {least} to {most}"),
        }
    }
}

impl Field {
    pub const ALL: [Self; 14] = [
        Self::Type,
        Self::Kind,
        Self::Side,
        Self::Lobe,
        Self::Rib,
        Self::LongMm,
        Self::ShortMm,
        Self::Clock,
        Self::DistanceMm,
        Self::Shape,
        Self::Orientation,
        Self::Margin,
        Self::Echo,
        Self::Posterior,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Kind => "kind",
            Self::Side => "side",
            Self::Lobe => "lobe",
            Self::Rib => "rib",
            Self::LongMm => "long_mm",
            Self::ShortMm => "short_mm",
            Self::Clock => "clock",
            Self::DistanceMm => "distance_mm",
            Self::Shape => "shape",
            Self::Orientation => "orientation",
            Self::Margin => "margin",
            Self::Echo => "echo",
            Self::Posterior => "posterior",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    pub fn allowed(self) -> Allowed {
        fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Allowed {
            Allowed::Words(all.iter().map(|one| word(*one)).collect())
        }
        match self {
            Self::Type => words(&NoduleType::ALL, NoduleType::as_str),
            Self::Kind => words(&Kind::ALL, Kind::name),
            Self::Side => words(&[Side::Right, Side::Left], Side::as_str),
            Self::Lobe => words(&LobeName::ALL, LobeName::as_str),
            Self::Rib | Self::Clock => Allowed::Whole([1, 12]),
            Self::LongMm | Self::ShortMm => Allowed::Millimetres(LENGTH_MM),
            Self::DistanceMm => Allowed::Millimetres(DISTANCE_MM),
            Self::Shape => words(Shape::ALL, Shape::word),
            Self::Orientation => words(Orientation::ALL, Orientation::word),
            Self::Margin => words(Margin::ALL, Margin::word),
            Self::Echo => words(Echo::ALL, Echo::word),
            Self::Posterior => words(Posterior::ALL, Posterior::word),
        }
    }

    /// The value as it is kept, or what is wrong with it.
    fn value(self, typed: &str) -> Result<String, WrongEdit> {
        let typed = typed.trim();
        let allowed = self.allowed();
        let kept = match &allowed {
            Allowed::Words(words) => words.iter().find(|word| **word == typed).map(|word| (*word).to_owned()),
            Allowed::Whole([least, most]) => {
                typed.parse::<u8>().ok().filter(|number| (*least..=*most).contains(number)).map(|n| n.to_string())
            }
            Allowed::Millimetres([least, most]) => {
                typed.parse::<f64>().ok().filter(|mm| (*least..=*most).contains(mm)).map(|mm| format!("{mm:.1}"))
            }
        };
        // No more of it than a person reads.
        kept.ok_or_else(|| WrongEdit::Value { field: self, value: typed.chars().take(40).collect(), allowed })
    }
}

/// A length as it is kept.
pub fn millimetres(mm: f64) -> String {
    format!("{mm:.1}")
}

/// What differs from what was found; empty when nothing does.
///
/// # Errors
/// What is wrong with what was asked for.
pub fn check(found: &Values, asked: &[(String, String)]) -> Result<Values, WrongEdit> {
    if found.is_empty() {
        return Err(WrongEdit::Nothing);
    }
    let known = || found.keys().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
    if asked.is_empty() {
        return Err(WrongEdit::Empty { known: known() });
    }
    let mut values = Values::new();
    for (name, value) in asked {
        let field = Field::parse(name).filter(|field| found.contains_key(field));
        let field =
            field.ok_or_else(|| WrongEdit::Unknown { field: name.chars().take(40).collect(), known: known() })?;
        if values.insert(field, field.value(value)?).is_some() {
            return Err(WrongEdit::Twice { field });
        }
    }
    axes(&values)?;
    sides(found, &mut values)?;
    let is_size = |field: &Field| matches!(field, Field::LongMm | Field::ShortMm);
    let is_new = |field: &Field, value: &String| found.get(field) != Some(value);
    // One measurement has two axes.
    let resized = values.iter().any(|(field, value)| is_size(field) && is_new(field, value));
    values.retain(|field, value| if is_size(field) { resized } else { is_new(field, value) });
    Ok(values)
}

fn axes(values: &Values) -> Result<(), WrongEdit> {
    match (number(values, Field::LongMm), number(values, Field::ShortMm)) {
        (None, None) => Ok(()),
        (Some(long), Some(short)) if short <= long => Ok(()),
        (Some(_), Some(_)) => Err(WrongEdit::Axes),
        _ => Err(WrongEdit::OneAxis),
    }
}

/// A lobe says the side.
fn sides(found: &Values, values: &mut Values) -> Result<(), WrongEdit> {
    let Some(lobe) = lobe(values) else { return Ok(()) };
    match side(values) {
        Some(side) if side != lobe.side() => Err(WrongEdit::OtherSide),
        Some(_) => Ok(()),
        None => {
            if found.contains_key(&Field::Side) {
                values.insert(Field::Side, lobe.side().as_str().to_owned());
            }
            Ok(())
        }
    }
}

fn word<T: Copy>(values: &Values, field: Field, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
    let value = values.get(&field)?;
    all.iter().copied().find(|one| word(*one) == value)
}

/// `None` where it is not edited; so in all of these.
pub fn number(values: &Values, field: Field) -> Option<f64> {
    values.get(&field)?.parse().ok()
}

pub fn whole(values: &Values, field: Field) -> Option<u8> {
    values.get(&field)?.parse().ok()
}

/// Both axes, mm, the longer one first.
pub fn size_mm(values: &Values) -> Option<[f64; 2]> {
    Some([number(values, Field::LongMm)?, number(values, Field::ShortMm)?])
}

pub fn nodule_type(values: &Values) -> Option<NoduleType> {
    word(values, Field::Type, &NoduleType::ALL, NoduleType::as_str)
}

pub fn kind(values: &Values) -> Option<Kind> {
    word(values, Field::Kind, &Kind::ALL, Kind::name)
}

pub fn side(values: &Values) -> Option<Side> {
    values.get(&Field::Side).and_then(|name| Side::named(name))
}

pub fn lobe(values: &Values) -> Option<LobeName> {
    word(values, Field::Lobe, &LobeName::ALL, LobeName::as_str)
}

/// The fields of the descriptors of a lesion in ultrasound, in the order in which a lesion says them.
pub const DESCRIPTORS: [Field; 5] = [Field::Shape, Field::Orientation, Field::Margin, Field::Echo, Field::Posterior];

/// The words of a lesion, with those that were edited in the place of those of the same descriptor.
pub fn descriptors(words: &[String], values: &Values) -> Vec<String> {
    let mut all = words.to_vec();
    for field in DESCRIPTORS {
        let Some(new) = values.get(&field) else { continue };
        if let Allowed::Words(list) = field.allowed() {
            all.retain(|word| !list.contains(&word.as_str()));
        }
        all.push(new.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodule() -> Values {
        let values = [
            (Field::Type, "solid"),
            (Field::Side, "right"),
            (Field::Lobe, "right_upper"),
            (Field::LongMm, "10.1"),
            (Field::ShortMm, "8.0"),
        ];
        values.into_iter().map(|(field, value)| (field, value.to_owned())).collect()
    }

    fn asked(pairs: &[(&str, &str)]) -> Result<Values, WrongEdit> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&nodule(), &pairs)
    }

    #[test]
    fn only_what_differs_from_what_was_found_is_an_edit() {
        let edited = asked(&[("type", "solid"), ("side", "right"), ("long_mm", "10.1"), ("short_mm", " 8 ")]);
        assert_eq!(edited, Ok(Values::new()), "all of it as it was found");
        let edited = asked(&[("long_mm", "12.44"), ("short_mm", "8.0"), ("type", "part_solid")]).unwrap();
        let said: Vec<_> = edited.iter().map(|(field, value)| (field.as_str(), value.as_str())).collect();
        assert_eq!(said, [("type", "part_solid"), ("long_mm", "12.4"), ("short_mm", "8.0")]);
        assert_eq!(size_mm(&edited), Some([12.4, 8.0]));
    }

    #[test]
    fn a_lobe_says_the_side_and_no_lobe_lies_on_the_other_one() {
        let edited = asked(&[("lobe", "left_lower")]).unwrap();
        assert_eq!((side(&edited), lobe(&edited)), (Some(Side::Left), Some(LobeName::LeftLower)));
        assert_eq!(asked(&[("lobe", "left_lower"), ("side", "right")]), Err(WrongEdit::OtherSide));
    }

    #[test]
    fn what_is_in_no_list_and_in_no_bounds_is_refused_with_what_may_be_given() {
        let why = |pairs: &[(&str, &str)]| asked(pairs).unwrap_err().to_string();
        assert_eq!(why(&[("rib", "3")]), "\"rib\" cannot be edited: it has type, side, lobe, long_mm, short_mm");
        assert_eq!(
            why(&[("type", "cyst")]),
            "type cannot be \"cyst\": give one of solid, part_solid, ground_glass, calcified"
        );
        let both = |long, short| why(&[("long_mm", long), ("short_mm", short)]);
        for bad in ["0", "-3", "NaN", "inf", "500.1", "1e9", "12,4", "", "1\n2"] {
            assert!(both(bad, "5").starts_with("long_mm cannot be"), "{bad:?}");
        }
        assert_eq!(both("5", "6"), "short_mm is longer than long_mm");
        assert_eq!(asked(&[("long_mm", "9")]), Err(WrongEdit::OneAxis));
        assert_eq!(asked(&[("side", "left"), ("side", "left")]), Err(WrongEdit::Twice { field: Field::Side }));
        assert!(matches!(asked(&[]), Err(WrongEdit::Empty { .. })));
        assert_eq!(check(&Values::new(), &[("side".into(), "left".into())]), Err(WrongEdit::Nothing));
    }

    #[test]
    fn an_edited_descriptor_takes_the_place_of_the_one_of_the_same_kind() {
        let words = ["irregular", "not parallel", "circumscribed"].map(str::to_owned);
        let values = Values::from([(Field::Shape, "oval".into()), (Field::Echo, "anechoic".into())]);
        assert_eq!(descriptors(&words, &values), ["not parallel", "circumscribed", "oval", "anechoic"]);
    }

    proptest! {
        /// Whatever is typed: refused, or a word of the list, or a number within its bounds.
        #[test]
        fn whatever_is_typed_is_refused_or_allowed(field in 0..Field::ALL.len(), typed in any::<String>(), mm in any::<f64>(), number in any::<bool>()) {
            let field = Field::ALL[field];
            let typed = if number { mm.to_string() } else { typed };
            if let Ok(value) = field.value(&typed) {
                match field.allowed() {
                    Allowed::Words(words) => prop_assert!(words.contains(&value.as_str())),
                    Allowed::Whole([least, most]) => prop_assert!((least..=most).contains(&value.parse().unwrap())),
                    Allowed::Millimetres([least, most]) => {
                        let mm: f64 = value.parse().unwrap();
                        prop_assert!(mm >= least - 0.05 && mm <= most, "{}", value);
                    }
                }
                let again = field.value(&value);
                prop_assert_eq!(again.as_ref(), Ok(&value), "what is kept can be entered again");
            }
        }

        #[test]
        fn a_name_that_is_no_field_is_refused(name in any::<String>(), value in any::<String>()) {
            if Field::parse(&name).is_none() {
                let refused = matches!(check(&nodule(), &[(name, value)]), Err(WrongEdit::Unknown { .. }));
                prop_assert!(refused);
            }
        }
    }
}
