//! The descriptors of a lesion of the breast as values, with their words (terms of the BI-RADS ultrasound lexicon, ACR BI-RADS
//! Atlas, 5th edition, 2013). A lesion keeps the words; here they are read again.

macro_rules! terms {
    ($($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal,)+ })+) => {
        $($(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($variant,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn of(words: &[String]) -> Option<Self> {
                let mut said = Self::ALL.iter().filter(|one| words.iter().any(|word| word == one.word()));
                // Two that exclude each other say nothing.
                said.next().copied().filter(|_| said.next().is_none())
            }
        })+
    };
}

terms! {
    Shape {
        Oval = "oval",
        Round = "round",
        Irregular = "irregular",
    }
    /// Against the skin.
    Orientation {
        Parallel = "parallel",
        NotParallel = "not parallel",
    }
    Margin {
        Circumscribed = "circumscribed",
        NotCircumscribed = "not circumscribed",
    }
    Echo {
        Anechoic = "anechoic",
        Hypoechoic = "hypoechoic",
        Heterogeneous = "heterogeneous",
    }
    /// What lies behind it.
    Posterior {
        Nothing = "no posterior features",
        Enhancement = "posterior enhancement",
        Shadowing = "posterior shadowing",
    }
}

/// One descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Term {
    Shape(Shape),
    Orientation(Orientation),
    Margin(Margin),
    Echo(Echo),
    Posterior(Posterior),
}

/// What a descriptor is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trait {
    Shape,
    Orientation,
    Margin,
    Echo,
    Posterior,
}

impl Trait {
    pub const ALL: [Self; 5] = [Self::Shape, Self::Orientation, Self::Margin, Self::Echo, Self::Posterior];
}

/// The descriptors of a lesion, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    pub shape: Option<Shape>,
    pub orientation: Option<Orientation>,
    pub margin: Option<Margin>,
    pub echo: Option<Echo>,
    pub posterior: Option<Posterior>,
}

impl Terms {
    /// Of the words of a lesion; words that are none of these say nothing.
    pub fn of(words: &[String]) -> Self {
        Self {
            shape: Shape::of(words),
            orientation: Orientation::of(words),
            margin: Margin::of(words),
            echo: Echo::of(words),
            posterior: Posterior::of(words),
        }
    }

    /// Those that are known, in the order of [`Trait::ALL`].
    pub fn known(&self) -> impl Iterator<Item = Term> {
        [
            self.shape.map(Term::Shape),
            self.orientation.map(Term::Orientation),
            self.margin.map(Term::Margin),
            self.echo.map(Term::Echo),
            self.posterior.map(Term::Posterior),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written_and_a_contradiction_says_nothing() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let terms = Terms::of(&words(&["round", "not parallel", "circumscribed", "anechoic", "posterior enhancement"]));
        assert_eq!(terms.shape, Some(Shape::Round));
        assert_eq!(terms.orientation, Some(Orientation::NotParallel));
        assert_eq!(terms.known().count(), 5);
        let odd = Terms::of(&words(&["oval", "irregular", "spiculated"]));
        assert_eq!(odd, Terms::default());
    }
}
