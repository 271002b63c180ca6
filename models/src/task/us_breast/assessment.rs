//! Which assessment category published rules suggest for a lesion of the breast in ultrasound, from its descriptors alone. A
//! suggestion to whoever reads the pictures; it is none of a lexicon and no assessment. Pure.
//!
//! - Simple cyst, category 2: anechoic, circumscribed, round or oval, with posterior enhancement (Berg, Campassi, Ioffe,
//!   Radiology 2003;227:183-191; Stavros et al., Radiology 1995;196:123-134).
//! - Probably benign, category 3: oval, parallel, circumscribed, without posterior shadowing, of even echoes (the benign
//!   criteria of Stavros 1995, 2 malignant of 426; followed up instead of biopsied by Graf et al., Radiology 2007;244:87-93; 0.8 %
//!   malignant in Barr et al., Radiology 2013;269:701-712).
//! - Suspicious, category 4: all others. Stavros 1995: one suspicious feature is enough, and what meets no benign rule is not
//!   called benign.
//!
//! Category 1 is not suggested, because no set of pictures is known to show a whole breast; 5 and parts of 4 are not, because
//! no rule for these five descriptors was found that reaches the 95 % of malignancy that 5 means; 6 needs a biopsy.

use super::terms::{Echo, Margin, Orientation, Posterior, Shape, Term, Terms, Trait};

/// Who published the rules, for reports.
pub const SOURCE: &str = "Stavros 1995 (Radiology 196:123), Berg 2003 (Radiology 227:183), Graf 2007 (Radiology 244:87), Barr 2013 (Radiology 269:701)";

/// Below this certainty of the network a lesion is too doubtful for a suggestion.
pub const LEAST_CONFIDENCE: f32 = 0.5;

/// By weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Benign,
    ProbablyBenign,
    Suspicious,
}

impl Category {
    pub const ALL: [Self; 3] = [Self::Benign, Self::ProbablyBenign, Self::Suspicious];

    pub const fn number(self) -> u8 {
        match self {
            Self::Benign => 2,
            Self::ProbablyBenign => 3,
            Self::Suspicious => 4,
        }
    }
}

/// From this malignancy score of the network on, nothing is called benign or probably so; it is not calibrated.
pub const MOST_MALIGNANT: f32 = 0.5;

/// A category, and what made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggested {
    pub category: Category,
    /// The descriptors that forbid a lower one.
    pub because: Vec<Term>,
}

/// Why none is suggested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// Descriptors are not known.
    Missing(Trait),
    /// The network is not sure enough that there is a lesion.
    Doubtful,
    /// The descriptors are those of a benign lesion, the network's malignancy score is not.
    Contradicted,
    /// Nothing was found in the pictures, which need not show the whole breast.
    NoLesion,
    /// Of some of the lesions none is suggested: it may be the gravest of them.
    SomeLesions,
    /// Some pictures were not looked at: they may show a graver one.
    SomePictures,
    /// Something is said of the exam that a category would hide: another patient on the screen, a review.
    Remarked,
}

/// Of one lesion. `confidence`, `malignant`: the network's scores, 0 to 1.
///
/// # Errors
/// Why none is suggested.
pub fn suggest(terms: &Terms, confidence: f32, malignant: f32) -> Result<Suggested, Withheld> {
    let is_sure = confidence >= LEAST_CONFIDENCE;
    if is_sure && terms.known().count() < Trait::ALL.len() && terms.known().any(|term| is_enough(&term)) {
        return Ok(Suggested { category: Category::Suspicious, because: terms.known().filter(is_enough).collect() });
    }
    let shape = terms.shape.ok_or(Withheld::Missing(Trait::Shape))?;
    terms.orientation.ok_or(Withheld::Missing(Trait::Orientation))?;
    let margin = terms.margin.ok_or(Withheld::Missing(Trait::Margin))?;
    let echo = terms.echo.ok_or(Withheld::Missing(Trait::Echo))?;
    let posterior = terms.posterior.ok_or(Withheld::Missing(Trait::Posterior))?;
    // Not a number is doubtful, too.
    if !is_sure {
        return Err(Withheld::Doubtful);
    }
    let is_round = shape != Shape::Irregular;
    let is_cyst = echo == Echo::Anechoic && margin == Margin::Circumscribed && posterior == Posterior::Enhancement;
    // Not a number contradicts, too.
    let contradicts = malignant.is_nan() || malignant >= MOST_MALIGNANT;
    if is_cyst && is_round {
        return if contradicts {
            Err(Withheld::Contradicted)
        } else {
            Ok(Suggested { category: Category::Benign, because: Vec::new() })
        };
    }
    let because: Vec<Term> = terms.known().filter(is_against).collect();
    if because.is_empty() && contradicts {
        return Err(Withheld::Contradicted);
    }
    let category = if because.is_empty() { Category::ProbablyBenign } else { Category::Suspicious };
    Ok(Suggested { category, because })
}

/// Does it forbid to call a lesion benign that is no simple cyst?
fn is_against(term: &Term) -> bool {
    match *term {
        Term::Shape(shape) => shape != Shape::Oval,
        Term::Orientation(orientation) => orientation == Orientation::NotParallel,
        Term::Margin(margin) => margin == Margin::NotCircumscribed,
        Term::Echo(echo) => echo == Echo::Heterogeneous,
        Term::Posterior(posterior) => posterior == Posterior::Shadowing,
    }
}

/// The same whatever the others are: a simple cyst may be round and not parallel.
fn is_enough(term: &Term) -> bool {
    is_against(term) && !matches!(term, Term::Shape(Shape::Round) | Term::Orientation(_))
}

/// Of all lesions of an exam: that of the gravest. A suspicious one is the gravest that there is, also where others have none.
///
/// # Errors
/// Why none is suggested.
pub fn overall<'a>(all: impl IntoIterator<Item = &'a Result<Suggested, Withheld>>) -> Result<Category, Withheld> {
    let all: Vec<Option<Category>> = all.into_iter().map(|one| one.as_ref().ok().map(|one| one.category)).collect();
    if all.contains(&Some(Category::Suspicious)) {
        return Ok(Category::Suspicious);
    }
    let known: Option<Vec<Category>> = all.into_iter().collect();
    known.ok_or(Withheld::SomeLesions)?.into_iter().max().ok_or(Withheld::NoLesion)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(words: &str) -> Terms {
        Terms::of(&words.split(", ").map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn each_row_of_the_published_rules_gives_its_category() {
        for (words, category) in [
            ("oval, parallel, circumscribed, anechoic, posterior enhancement", Category::Benign),
            ("round, not parallel, circumscribed, anechoic, posterior enhancement", Category::Benign),
            // No simple cyst: nothing behind it says that it is fluid.
            ("oval, parallel, circumscribed, anechoic, no posterior features", Category::ProbablyBenign),
            ("round, parallel, circumscribed, anechoic, no posterior features", Category::Suspicious),
            ("oval, parallel, circumscribed, anechoic, posterior shadowing", Category::Suspicious),
            ("irregular, parallel, circumscribed, anechoic, posterior enhancement", Category::Suspicious),
            ("oval, parallel, not circumscribed, anechoic, posterior enhancement", Category::Suspicious),
            ("oval, parallel, circumscribed, hypoechoic, no posterior features", Category::ProbablyBenign),
            ("oval, parallel, circumscribed, hypoechoic, posterior enhancement", Category::ProbablyBenign),
            ("oval, parallel, circumscribed, hypoechoic, posterior shadowing", Category::Suspicious),
            ("oval, parallel, circumscribed, heterogeneous, no posterior features", Category::Suspicious),
            ("oval, not parallel, circumscribed, hypoechoic, no posterior features", Category::Suspicious),
            ("oval, parallel, not circumscribed, hypoechoic, no posterior features", Category::Suspicious),
            ("round, parallel, circumscribed, hypoechoic, no posterior features", Category::Suspicious),
            ("irregular, not parallel, not circumscribed, heterogeneous, posterior shadowing", Category::Suspicious),
        ] {
            assert_eq!(suggest(&terms(words), 0.9, 0.2).map(|one| one.category), Ok(category), "{words}");
        }
    }

    /// All 108 combinations: no suspicious feature is ever called benign, but for the shape and orientation of a simple cyst.
    #[test]
    fn one_suspicious_feature_is_enough_whatever_the_others_say() {
        let mut counted = [0; 3];
        for shape in Shape::ALL {
            for orientation in Orientation::ALL {
                for margin in Margin::ALL {
                    for echo in Echo::ALL {
                        for posterior in Posterior::ALL {
                            let terms = Terms {
                                shape: Some(*shape),
                                orientation: Some(*orientation),
                                margin: Some(*margin),
                                echo: Some(*echo),
                                posterior: Some(*posterior),
                            };
                            let got = suggest(&terms, 0.9, 0.2).unwrap();
                            counted[usize::from(got.category.number()) - 2] += 1;
                            let grave = *shape == Shape::Irregular
                                || *margin == Margin::NotCircumscribed
                                || *posterior == Posterior::Shadowing
                                || *echo == Echo::Heterogeneous;
                            assert!(!grave || got.category == Category::Suspicious, "{terms:?}");
                            assert_eq!(got.category == Category::Suspicious, !got.because.is_empty(), "{terms:?}");
                        }
                    }
                }
            }
        }
        assert_eq!(counted, [4, 3, 101]);
    }

    #[test]
    fn a_missing_descriptor_or_a_doubtful_lesion_has_no_category() {
        let whole = "oval, parallel, circumscribed, hypoechoic, no posterior features";
        let words: Vec<&str> = whole.split(", ").collect();
        for (index, part) in Trait::ALL.into_iter().enumerate() {
            let mut fewer = words.clone();
            fewer.remove(index);
            assert_eq!(suggest(&terms(&fewer.join(", ")), 0.9, 0.2), Err(Withheld::Missing(part)));
        }
        for confidence in [0.49, f32::NAN] {
            assert_eq!(suggest(&terms(whole), confidence, 0.2), Err(Withheld::Doubtful));
        }
        assert_eq!(suggest(&Terms::default(), 0.9, 0.2), Err(Withheld::Missing(Trait::Shape)));
        let part = suggest(&terms("oval, parallel, posterior shadowing"), 0.9, 0.2);
        let because = vec![Term::Posterior(Posterior::Shadowing)];
        assert_eq!(part, Ok(Suggested { category: Category::Suspicious, because }), "one is enough");
    }

    #[test]
    fn a_malignant_score_is_never_overruled_by_benign_descriptors() {
        let cyst = "oval, parallel, circumscribed, anechoic, posterior enhancement";
        let solid = "oval, parallel, circumscribed, hypoechoic, no posterior features";
        for score in [0.5, 0.9, f32::NAN] {
            for words in [cyst, solid] {
                assert_eq!(suggest(&terms(words), 0.9, score), Err(Withheld::Contradicted), "{words}");
            }
            let grave =
                suggest(&terms("irregular, parallel, circumscribed, hypoechoic, posterior shadowing"), 0.9, score);
            assert_eq!(grave.map(|one| one.category), Ok(Category::Suspicious));
        }
        assert!(suggest(&terms(cyst), 0.9, 0.49).is_ok());
    }

    #[test]
    fn an_exam_has_the_category_of_its_gravest_lesion_or_none() {
        let of = |category| Ok(Suggested { category, because: Vec::new() });
        let [benign, probably, suspicious] = Category::ALL.map(of);
        let none = Err(Withheld::Doubtful);
        assert_eq!(overall([&benign, &probably]), Ok(Category::ProbablyBenign));
        assert_eq!(overall([&benign, &suspicious, &none]), Ok(Category::Suspicious));
        assert_eq!(overall([&benign, &none]), Err(Withheld::SomeLesions));
        assert_eq!(overall([]), Err(Withheld::NoLesion));
    }
}
