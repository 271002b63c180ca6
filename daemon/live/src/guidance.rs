//! What people are told of the picture, in English and Chinese: a word, what to do, and the figures behind it.

use models::task::us_breast::scan::Unjudged;
use models::task::us_breast::scan::contact::{self, Contact};
use models::task::us_breast::scan::coverage::Quality;
use models::task::us_breast::scan::depth::{self, Depth};
use models::task::us_breast::scan::focus::{self, Focus};
use models::task::us_breast::scan::gain::{self, Gain};
use models::task::us_breast::scan::speed::{FASTEST_MM_S, Speed};
use serde::Serialize;

/// Stands wherever coverage or speed are told.
pub const ESTIMATE: Words = Words {
    en: "Freehand estimate: whoever scans says where the probe is, and its speed is estimated from the pictures.",
    zh: "徒手估计：探头位置由检查者指明，速度由图像估计。",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Words {
    pub en: &'static str,
    pub zh: &'static str,
}

const fn words(en: &'static str, zh: &'static str) -> Words {
    Words { en, zh }
}

/// What the desk is told of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub items: Vec<Item>,
    /// How long it was looked at, seconds, and how.
    pub moment: Option<(f64, Quality)>,
}

/// One thing that is judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// `contact`, `gain`, `depth`, `focus` or `speed`.
    pub name: &'static str,
    /// `good`, `not_judged`, or what is wrong.
    pub state: &'static str,
    pub words: Words,
    pub figures: Vec<Figure>,
}

/// A number with its unit: `share` is 0 to 1, `level` 0 to 255.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

impl Item {
    /// Whether somebody should do something.
    pub fn is_wrong(&self) -> bool {
        !matches!(self.state, GOOD | NOT_JUDGED)
    }
}

pub const GOOD: &str = "good";
pub const NOT_JUDGED: &str = "not_judged";
const NAMES: [&str; 5] = ["contact", "gain", "depth", "focus", "speed"];

/// Nothing is judged.
pub fn none(why: Unjudged) -> Vec<Item> {
    NAMES.into_iter().map(|name| item(name, NOT_JUDGED, unjudged(why), [])).collect()
}

fn item<const N: usize>(
    name: &'static str,
    state: &'static str,
    words: Words,
    figures: [(&'static str, f32, &'static str); N],
) -> Item {
    let round = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
    let figures = figures.into_iter().map(|(name, value, unit)| Figure { name, value: round(value), unit }).collect();
    Item { name, state, words, figures }
}

/// The state and its words, or why there is none.
fn said<W>(word: Result<W, Unjudged>, of: impl FnOnce(W) -> (&'static str, Words)) -> (&'static str, Words) {
    word.map_or_else(|why| (NOT_JUDGED, unjudged(why)), of)
}

pub fn contact(word: Result<contact::Word, Unjudged>, measured: Option<&Contact>) -> Item {
    let (state, words) = said(word, |word| match word {
        contact::Word::Good => (GOOD, words("Contact good", "接触良好")),
        contact::Word::PoorLeft => (
            "poor_left",
            words("Poor contact on the left: gel, or tilt the probe", "左侧接触不良：加耦合剂或调整探头角度"),
        ),
        contact::Word::PoorRight => (
            "poor_right",
            words("Poor contact on the right: gel, or tilt the probe", "右侧接触不良：加耦合剂或调整探头角度"),
        ),
        contact::Word::Poor => {
            ("poor", words("Poor contact in part: gel, or press evenly", "部分接触不良：加耦合剂或均匀加压"))
        }
        contact::Word::PoorAll => {
            ("poor_all", words("No contact, or far too little gain", "探头未接触皮肤，或增益远不足"))
        }
    });
    let without = measured.map_or(f32::NAN, |contact| contact.without);
    with(item("contact", state, words, [("without", without, "share")]))
}

pub fn gain(word: Result<gain::Word, Unjudged>, measured: Option<&Gain>) -> Item {
    let (state, words) = said(word, |word| match word {
        gain::Word::Good => (GOOD, words("Gain good", "增益合适")),
        gain::Word::TooLow => ("too_low", words("Gain too low", "增益过低")),
        gain::Word::TooHigh => ("too_high", words("Gain too high", "增益过高")),
    });
    let of = |value: fn(&Gain) -> f32| measured.map_or(f32::NAN, value);
    let figures = [
        ("saturated", of(|gain| gain.saturated), "share"),
        ("black", of(|gain| gain.black), "share"),
        ("median", of(|gain| f32::from(gain.median)), "level"),
    ];
    with(item("gain", state, words, figures))
}

pub fn depth(word: Result<depth::Word, Unjudged>, measured: Option<&Depth>) -> Item {
    let (state, words) = said(word, |word| match word {
        depth::Word::Good => (GOOD, words("Depth good", "深度合适")),
        depth::Word::TooShallow => {
            ("too_shallow", words("A lesion goes on below the picture: more depth", "病灶超出图像下缘：增大深度"))
        }
        depth::Word::TooDeep => (
            "too_deep",
            words(
                "Much of the depth is empty: less depth, or more gain below",
                "深部大片无回声：减小深度或增大深部增益",
            ),
        ),
    });
    with(item("depth", state, words, [("empty", measured.map_or(f32::NAN, |depth| depth.empty), "share")]))
}

pub fn focus(word: Result<focus::Word, Unjudged>, measured: Option<&Focus>) -> Item {
    let (state, words) = said(word, |word| match word {
        focus::Word::Good => (GOOD, words("Focus good", "焦点合适")),
        focus::Word::TooShallow => ("too_shallow", words("The focus lies above the lesion", "焦点高于病灶")),
        focus::Word::TooDeep => ("too_deep", words("The focus lies below the lesion", "焦点低于病灶")),
    });
    let of = |value: fn(&Focus) -> f32| measured.map_or(f32::NAN, value);
    let figures =
        [("sharpest", of(|focus| focus.sharpest), "share"), ("at_lesion", of(|focus| focus.at_lesion), "times")];
    with(item("focus", state, words, figures))
}

/// Whether the sweep is too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Good,
    TooFast,
}

impl Pace {
    pub fn of(speed: &Speed) -> Self {
        if speed.is_too_fast() { Self::TooFast } else { Self::Good }
    }
}

/// `is_assumed`: the profile does not say over which way speckle changes.
pub fn speed(word: Result<Pace, Unjudged>, measured: Option<&Speed>, is_assumed: bool) -> Item {
    let (state, words) = said(word, |word| match word {
        Pace::Good => (GOOD, words("Speed good (estimate)", "扫查速度合适（估计）")),
        Pace::TooFast => ("too_fast", words("Swept too fast (estimate)", "扫查过快（估计）")),
    });
    let of = |value: fn(&Speed) -> f32| measured.map_or(f32::NAN, value);
    let figures = [
        ("speed", of(|speed| speed.mm_s()), "mm/s"),
        ("along", of(|speed| speed.along_mm_s), "mm/s"),
        ("across", of(|speed| speed.across_mm_s), "mm/s"),
        ("limit", FASTEST_MM_S, "mm/s"),
        ("assumed", f32::from(u8::from(is_assumed)), "yes or no"),
    ];
    with(item("speed", state, words, figures))
}

/// Without figures that were not measured, and without any where nothing is judged.
fn with(mut item: Item) -> Item {
    let judged = item.state != NOT_JUDGED;
    item.figures.retain(|figure| judged && figure.value.is_finite());
    item
}

pub fn unjudged(why: Unjudged) -> Words {
    match why {
        Unjudged::NoPicture => words("Not judged: no picture", "未评估：无图像"),
        Unjudged::NoProfile => words("Not judged: no scanner profile fits", "未评估：无匹配的设备配置"),
        Unjudged::Frozen => words("Not judged: the picture stands still", "未评估：图像静止"),
        Unjudged::Dark => words("Not judged: nothing is to be seen", "未评估：图像全黑"),
        Unjudged::Colours => words("Not judged: colours in the picture", "未评估：图像含彩色"),
        Unjudged::Split => words("Not judged: two images side by side", "未评估：双幅图像"),
        Unjudged::NotLinear => words("Not judged: not a linear probe's rectangle", "未评估：非线阵矩形图像"),
        Unjudged::NoScale => words("Not judged: the scale is not known", "未评估：比例未知"),
        Unjudged::NoContact => words("Not judged: no contact", "未评估：探头未接触"),
        Unjudged::NoLesion => words("Not judged: no lesion to focus on", "未评估：无可对焦的病灶"),
        Unjudged::NoSpeckle => words("Not judged: too little speckle", "未评估：散斑不足"),
        Unjudged::TooFewPictures => words("Not judged: too few pictures for this speed", "未评估：帧率不足以估计速度"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_told_in_both_languages_and_only_what_is_wrong_asks_for_something() {
        let contact = [
            contact::Word::Good,
            contact::Word::PoorLeft,
            contact::Word::PoorRight,
            contact::Word::Poor,
            contact::Word::PoorAll,
        ];
        let mut all: Vec<Item> = contact.into_iter().map(|word| super::contact(Ok(word), None)).collect();
        all.extend([gain::Word::Good, gain::Word::TooLow, gain::Word::TooHigh].map(|word| super::gain(Ok(word), None)));
        all.extend(
            [depth::Word::Good, depth::Word::TooShallow, depth::Word::TooDeep].map(|word| super::depth(Ok(word), None)),
        );
        all.extend(
            [focus::Word::Good, focus::Word::TooShallow, focus::Word::TooDeep].map(|word| super::focus(Ok(word), None)),
        );
        all.extend([Pace::Good, Pace::TooFast].map(|word| speed(Ok(word), None, true)));
        let wrong = all.iter().filter(|item| item.is_wrong()).count();
        assert_eq!((all.len(), wrong), (16, 11));
        all.extend(Unjudged::ALL.into_iter().flat_map(none));
        for item in &all {
            assert!(item.words.en.is_ascii() && !item.words.zh.is_ascii(), "{item:?}");
            assert_eq!(item.state == NOT_JUDGED, item.words.en.starts_with("Not judged"), "{item:?}");
        }
    }

    #[test]
    fn what_was_not_judged_has_no_figures() {
        let gain = Gain { saturated: 0.1, black: 0.0, median: 90, word: gain::Word::TooHigh };
        assert_eq!(super::gain(Err(Unjudged::NoContact), Some(&gain)).figures, []);
        assert_eq!(super::gain(Ok(gain.word), Some(&gain)).figures.len(), 3);
    }
}
