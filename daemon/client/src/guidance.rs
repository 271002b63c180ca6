//! How the live picture is adjusted, and what of the breasts was looked at: what `Guidance` of Live1 says.

use std::collections::HashMap;

use serde::Serialize;
use zbus::{OwnedVariant, Variant};

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Guidance {
    /// Contact, gain, depth, focus, speed.
    pub items: Vec<Judged>,
    /// Places of which anything is known; the others were not swept.
    pub coverage: Vec<Looked>,
    /// What coverage and speed are.
    pub estimate: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    pub name: String,
    /// `good`, `not_judged`, or what is wrong.
    pub state: String,
    pub words: String,
    pub words_zh: String,
    pub figures: Vec<Figure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
}

/// One place of one breast; seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Looked {
    /// `left` or `right`.
    pub side: String,
    /// `3-middle`, `nipple`, `axilla`.
    pub spot: String,
    /// `looked_at`, `too_short`, `too_fast`, `poor_contact`, `not_judged`, `not_swept`.
    pub state: String,
    pub good_secs: f64,
    pub good_mm: f64,
    pub fast_secs: f64,
    pub poor_secs: f64,
    pub unjudged_secs: f64,
    pub radial: bool,
    pub antiradial: bool,
}

type Entries<'a> = HashMap<String, Variant<'a>>;

impl Judged {
    pub fn is_wrong(&self) -> bool {
        !matches!(self.state.as_str(), "good" | "not_judged")
    }

    fn of(entries: &Entries<'_>) -> Option<Self> {
        let figures = entries.get("Figures").and_then(|figures| figures.try_clone().ok());
        let figures = figures.and_then(|figures| Vec::<Entries<'_>>::try_from(figures).ok()).unwrap_or_default();
        let figure = |one: &Entries<'_>| {
            Some(Figure { name: text(one, "Name")?, value: number(one, "Value"), unit: text(one, "Unit")? })
        };
        Some(Self {
            name: text(entries, "Name")?,
            state: text(entries, "State")?,
            words: text(entries, "Words")?,
            words_zh: text(entries, "WordsZh").unwrap_or_default(),
            figures: figures.iter().filter_map(figure).collect(),
        })
    }
}

impl Looked {
    fn of(entries: &Entries<'_>) -> Option<Self> {
        let flag = |name: &str| entries.get(name).and_then(|value| bool::try_from(value).ok()).unwrap_or_default();
        Some(Self {
            side: text(entries, "Side")?,
            spot: text(entries, "Spot")?,
            state: text(entries, "State")?,
            good_secs: number(entries, "GoodSecs"),
            good_mm: number(entries, "GoodMm"),
            fast_secs: number(entries, "FastSecs"),
            poor_secs: number(entries, "PoorSecs"),
            unjudged_secs: number(entries, "UnjudgedSecs"),
            radial: flag("Radial"),
            antiradial: flag("Antiradial"),
        })
    }
}

impl Guidance {
    /// Of what `LiveProxy::guidance` answers; empty of an appliance that gives none.
    pub fn of(entries: &HashMap<String, OwnedVariant>) -> Self {
        let list = |name: &str| {
            let list = entries.get(name).and_then(|list| list.try_clone().ok());
            list.and_then(|list| Vec::<Entries<'_>>::try_from(list).ok()).unwrap_or_default()
        };
        let estimate = entries.get("Estimate").and_then(|value| <&str>::try_from(value).ok()).unwrap_or_default();
        Self {
            items: list("Items").iter().filter_map(Judged::of).collect(),
            coverage: list("Coverage").iter().filter_map(Looked::of).collect(),
            estimate: estimate.to_owned(),
        }
    }
}

fn text(entries: &Entries<'_>, name: &str) -> Option<String> {
    Some(<&str>::try_from(entries.get(name)?).ok()?.to_owned())
}

fn number(entries: &Entries<'_>, name: &str) -> f64 {
    entries.get(name).and_then(|value| f64::try_from(value).ok()).unwrap_or_default()
}
