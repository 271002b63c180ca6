//! A lesion in the words of the BI-RADS ultrasound lexicon (ACR BI-RADS Atlas, 5th edition, 2013), as far as the network
//! was taught them.

use super::Signs;
use super::terms::{Echo, Margin, Orientation, Posterior, Shape};
use crate::manifest::picture::Channel;

/// A sign is reported as present from this probability on.
const SAID: f32 = 0.5;
/// A lesion whose extent across is this share of its length is called round.
const ROUND: f32 = 0.85;

/// Shape, orientation, margin, echo pattern, posterior features, in this order. `axes`: longest and across it.
pub fn descriptors(signs: &Signs, axes: [f32; 2]) -> Vec<String> {
    let is = |channel| signs.of(channel) >= SAID;
    let shape = match (is(Channel::Irregular), axes[1] >= ROUND * axes[0]) {
        (true, _) => Shape::Irregular,
        (false, true) => Shape::Round,
        (false, false) => Shape::Oval,
    };
    let orientation = if is(Channel::NotParallel) { Orientation::NotParallel } else { Orientation::Parallel };
    let margin = if is(Channel::NotCircumscribed) { Margin::NotCircumscribed } else { Margin::Circumscribed };
    let echo = one_of(
        signs,
        [(Channel::Anechoic, Echo::Anechoic), (Channel::Heterogeneous, Echo::Heterogeneous)],
        Echo::Hypoechoic,
    );
    let posterior = one_of(
        signs,
        [(Channel::Enhancement, Posterior::Enhancement), (Channel::Shadowing, Posterior::Shadowing)],
        Posterior::Nothing,
    );
    [shape.word(), orientation.word(), margin.word(), echo.word(), posterior.word()].map(str::to_owned).into()
}

/// The stronger of two signs that exclude each other, or neither.
fn one_of<T: Copy>(signs: &Signs, two: [(Channel, T); 2], neither: T) -> T {
    let [first, second] = two;
    let stronger = if signs.of(first.0) >= signs.of(second.0) { first } else { second };
    if signs.of(stronger.0) >= SAID { stronger.1 } else { neither }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_has_its_word() {
        let plain = descriptors(&Signs::new([0.0; 9]), [20.0, 10.0]);
        assert_eq!(plain, ["oval", "parallel", "circumscribed", "hypoechoic", "no posterior features"]);
        let all = descriptors(&Signs::new([1.0, 1.0, 1.0, 0.9, 0.8, 0.5, 0.6, 0.7, 0.9]), [20.0, 10.0]);
        assert_eq!(all, ["irregular", "not parallel", "not circumscribed", "heterogeneous", "posterior shadowing"]);
        let cyst = descriptors(&Signs::new([1.0, 0.0, 0.1, 0.6, 0.2, 0.9, 0.1, 0.8, 0.1]), [10.0, 9.0]);
        assert_eq!(cyst, ["round", "not parallel", "circumscribed", "anechoic", "posterior enhancement"]);
    }

    #[test]
    fn signs_move_part_of_the_way() {
        let half = Signs::new([0.0; 9]).towards(&Signs::new([1.0; 9]), 0.25);
        assert_eq!(half, Signs::new([0.25; 9]));
    }
}
