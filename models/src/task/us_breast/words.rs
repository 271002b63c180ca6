//! A lesion in the words of the BI-RADS ultrasound lexicon (ACR BI-RADS Atlas, 5th edition, 2013), as far as the network
//! was taught them.

use super::Signs;
use super::terms::{Echo, Margin, Orientation, Posterior, Shape};
use crate::manifest::picture::Channel;

/// A sign is reported as present from this probability on.
const SAID: f32 = 0.5;
/// Between this and [`SAID`] neither the sign nor its absence is said: the word that is left would be the more harmless one.
const DOUBTFUL: f32 = 0.3;
/// A lesion whose extent across is this share of its length is called round.
const ROUND: f32 = 0.85;

/// Shape, orientation, margin, echo pattern, posterior features, in this order, as far as the network is sure. `axes`: longest and
/// across it.
pub fn descriptors(signs: &Signs, axes: [f32; 2]) -> Vec<String> {
    let round = if axes[1] >= ROUND * axes[0] { Shape::Round } else { Shape::Oval };
    let shape = one_of(signs, [(Channel::Irregular, Shape::Irregular)], round);
    let orientation = one_of(signs, [(Channel::NotParallel, Orientation::NotParallel)], Orientation::Parallel);
    let margin = one_of(signs, [(Channel::NotCircumscribed, Margin::NotCircumscribed)], Margin::Circumscribed);
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
    let words = [
        shape.map(Shape::word),
        orientation.map(Orientation::word),
        margin.map(Margin::word),
        echo.map(Echo::word),
        posterior.map(Posterior::word),
    ];
    words.into_iter().flatten().map(str::to_owned).collect()
}

/// The strongest of signs that exclude each other, or what is there without them; `None`: the network is not sure.
fn one_of<T: Copy, const N: usize>(signs: &Signs, all: [(Channel, T); N], without: T) -> Option<T> {
    let stronger = |a: &(Channel, T), b: &(Channel, T)| signs.of(a.0).total_cmp(&signs.of(b.0));
    let (channel, sign) = all.into_iter().max_by(stronger)?;
    match signs.of(channel) {
        sure if sure >= SAID => Some(sign),
        sure if sure < DOUBTFUL => Some(without),
        // Not a number is doubtful, too.
        _ => None,
    }
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

    /// Otherwise a sign that is nearly there is called its harmless opposite, and a category is suggested from that.
    #[test]
    fn of_a_sign_that_is_nearly_there_nothing_is_said() {
        let signs = |not_circumscribed| {
            let mut all = [0.0; 9];
            all[Channel::NotCircumscribed as usize] = not_circumscribed;
            Signs::new(all)
        };
        for (sure, word) in [
            (0.0, Some("circumscribed")),
            (0.29, Some("circumscribed")),
            (0.3, None),
            (0.49, None),
            (0.5, Some("not circumscribed")),
            (f32::NAN, None),
        ] {
            let words = descriptors(&signs(sure), [20.0, 10.0]);
            let margin = words.iter().find(|word| word.ends_with("circumscribed")).map(String::as_str);
            assert_eq!((margin, words.len()), (word, 4 + usize::from(word.is_some())), "{sure}");
        }
    }

    #[test]
    fn signs_move_part_of_the_way() {
        let half = Signs::new([0.0; 9]).towards(&Signs::new([1.0; 9]), 0.25);
        assert_eq!(half, Signs::new([0.25; 9]));
    }
}
