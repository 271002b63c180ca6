//! Descriptors of a lesion from the BI-RADS ultrasound lexicon (ACR BI-RADS Atlas, 5th edition, 2013), and which
//! lesions this phantom calls malignant.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Oval,
    Round,
    Irregular,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Wider than tall.
    Parallel,
    /// Taller than wide, or round.
    NotParallel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    Circumscribed,
    Indistinct,
    Angular,
    Microlobulated,
    Spiculated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoPattern {
    Anechoic,
    Hypoechoic,
    Heterogeneous,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Posterior {
    None,
    Enhancement,
    Shadowing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    pub shape: Shape,
    pub orientation: Orientation,
    pub margin: Margin,
    pub echo_pattern: EchoPattern,
    pub posterior_features: Posterior,
}

impl Descriptors {
    /// A definition for phantoms, not a medical one: a lesion is malignant when it is not anechoic and shows at least two
    /// of irregular shape, orientation not parallel, margin not circumscribed, posterior shadowing.
    pub fn malignant(&self) -> bool {
        let signs = [
            self.shape == Shape::Irregular,
            self.orientation == Orientation::NotParallel,
            self.margin != Margin::Circumscribed,
            self.posterior_features == Posterior::Shadowing,
        ];
        self.echo_pattern != EchoPattern::Anechoic && signs.iter().filter(|s| **s).count() >= 2
    }

    /// One bit for each channel of the network, in the order of [`CHANNELS`]; the first is always set.
    pub fn bits(&self) -> u16 {
        let set = [
            true,
            self.malignant(),
            self.shape == Shape::Irregular,
            self.orientation == Orientation::NotParallel,
            self.margin != Margin::Circumscribed,
            self.echo_pattern == EchoPattern::Anechoic,
            self.echo_pattern == EchoPattern::Heterogeneous,
            self.posterior_features == Posterior::Enhancement,
            self.posterior_features == Posterior::Shadowing,
        ];
        set.iter().enumerate().map(|(i, s)| u16::from(*s) << i).sum()
    }
}

/// Bits of a training label and channels of the network; `models/training/ultrasound/channels.py` lists the same.
pub const CHANNELS: [&str; 9] = [
    "lesion",
    "malignant",
    "irregular",
    "not_parallel",
    "not_circumscribed",
    "anechoic",
    "heterogeneous",
    "enhancement",
    "shadowing",
];

#[cfg(test)]
mod tests {
    use super::*;

    const CYST: Descriptors = Descriptors {
        shape: Shape::Round,
        orientation: Orientation::NotParallel,
        margin: Margin::Circumscribed,
        echo_pattern: EchoPattern::Anechoic,
        posterior_features: Posterior::Enhancement,
    };

    #[test]
    fn one_suspicious_sign_is_benign_and_two_are_malignant() {
        let one = Descriptors { echo_pattern: EchoPattern::Hypoechoic, ..CYST };
        assert!(!one.malignant());
        assert!(Descriptors { margin: Margin::Angular, ..one }.malignant());
        assert!(Descriptors { posterior_features: Posterior::Shadowing, ..one }.malignant());
    }

    #[test]
    fn anechoic_lesions_are_benign() {
        assert!(!Descriptors { margin: Margin::Indistinct, ..CYST }.malignant());
        assert_eq!(CYST.bits(), 0b0_1010_1001);
    }
}
