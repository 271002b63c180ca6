//! Pleural effusion and pneumothorax: how much on which side, never both on one.

use super::{Channel, Finding, Lesion, Planted};
use crate::Options;
use crate::anatomy::{Chest, Side};
use crate::pleura::{Contents, Space};
use crate::random::Random;
use crate::surroundings;
use crate::truth::{Measured, PlantedLesion};

/// Fills the pleural spaces of the chest. This is done first, because the lungs must have their final shape before
/// anything is planted in them.
pub fn plant(seed: u64, options: &Options, chest: &mut Chest, planted: &mut Planted) {
    let has = |finding: Finding| options.findings.has(finding, seed);
    let (fluid, air) = (has(Finding::PleuralEffusion), has(Finding::Pneumothorax));
    let mut random = Finding::PleuralEffusion.random(seed);
    let first = Side::BOTH[random.below(2)];
    let other = if first == Side::Right { Side::Left } else { Side::Right };
    let bilateral = random.chance(0.35);
    if fluid {
        effusion(seed, chest, first, planted, &mut random);
    }
    if fluid && bilateral && !air {
        effusion(seed, chest, other, planted, &mut random);
    }
    if air {
        pneumothorax(chest, other, planted, &mut Finding::Pneumothorax.random(seed));
    }
}

/// Free fluid collects at the back of a supine patient and ends in a meniscus.
fn effusion(seed: u64, chest: &mut Chest, side: Side, planted: &mut Planted, random: &mut Random) {
    let lesion = planted.lesion(Lesion::new(Channel::PleuralEffusion, Some(side)));
    let toward = [0.0, 1.0, -random.between(0.1, 0.4)];
    let meniscus = [random.between(10.0, 26.0), random.between(4.0, 9.0)];
    let space = Space::new(side, Contents::Fluid(random.between(0.0, 25.0)), meniscus, toward, lesion);
    let ml = random.logarithmic(20.0, 900.0);
    match surroundings::large_effusion(seed, chest) {
        Some(large) => chest.open_pleura(side, space, large, 0.75),
        None => chest.open_pleura(side, space, ml, 0.6),
    }
}

/// Air collects in front and at the apex; the more air, the wider the rim around the lung.
fn pneumothorax(chest: &mut Chest, side: Side, planted: &mut Planted, random: &mut Random) {
    let lesion = planted.lesion(Lesion::new(Channel::Pneumothorax, Some(side)));
    let toward = [0.0, -1.0, random.between(0.2, 0.7)];
    let meniscus = [random.between(20.0, 60.0), random.between(8.0, 16.0)];
    let space = Space::new(side, Contents::Air, meniscus, toward, lesion);
    chest.open_pleura(side, space, random.logarithmic(20.0, 800.0), 0.75);
}

pub fn effusions(measured: &Measured<'_>) -> Vec<PlantedLesion> {
    measured.of(Channel::PleuralEffusion).collect()
}

/// With the volume of the air as percent of the hemithorax, that is of lung, fluid and air together (Collins et al.,
/// AJR 165 (1995) 1127-1130).
pub fn pneumothoraces(measured: &Measured<'_>) -> Vec<PlantedLesion> {
    let percent = |air: &PlantedLesion| {
        let side = air.side?;
        let fluid: f64 =
            measured.of(Channel::PleuralEffusion).filter(|l| l.side == Some(side)).map(|l| l.volume_ml).sum();
        Some(100.0 * air.volume_ml / (measured.lung_ml(side) + fluid + air.volume_ml))
    };
    measured.of(Channel::Pneumothorax).map(|air| PlantedLesion { percent: percent(&air), ..air }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::testing;

    #[test]
    fn fluid_lies_at_the_back_and_air_in_front_of_the_lung_on_different_sides() {
        let findings = [Finding::PleuralEffusion, Finding::Pneumothorax];
        for seed in 0..3 {
            let scan = testing::scan(seed, &findings);
            let (fluid, air) = (&scan.truth.pleural_effusions[0], &scan.truth.pneumothoraces[0]);
            assert_ne!(fluid.side, air.side, "seed {seed}");
            assert!(fluid.centre_mm[1] > air.centre_mm[1] + 20.0, "seed {seed}: {fluid:?} {air:?}");
            let (water, gas) = (scan.mean_hu(Channel::PleuralEffusion), scan.mean_hu(Channel::Pneumothorax));
            // In layers of only two voxels, the voxels also contain lung and wall.
            assert!((-40.0..50.0).contains(&water) && gas < -700.0, "seed {seed}: {water} and {gas} HU");
            assert!(air.percent.is_some_and(|p| (0.3..80.0).contains(&p)), "seed {seed}: {air:?}");
            for (channel, lesion) in [(Channel::PleuralEffusion, fluid), (Channel::Pneumothorax, air)] {
                testing::assert_close(scan.labelled_ml(channel), lesion.volume_ml, 0.12, 3.0);
            }
        }
    }

    #[test]
    fn the_lung_gives_way_to_what_lies_beside_it() {
        for finding in [Finding::PleuralEffusion, Finding::Pneumothorax] {
            for seed in 3..5 {
                let (well, ill) = (testing::scan(seed, &[]).truth, testing::scan(seed, &[finding]).truth);
                let beside: f64 = ill.pleural_effusions.iter().chain(&ill.pneumothoraces).map(|l| l.volume_ml).sum();
                let lost = well.lungs.right_ml + well.lungs.left_ml - ill.lungs.right_ml - ill.lungs.left_ml;
                testing::assert_close(lost, beside, 0.15, 10.0);
            }
        }
    }

    #[test]
    fn amounts_differ_between_seeds() {
        let ml = |seed| testing::scan(seed, &[Finding::PleuralEffusion]).truth.pleural_effusions[0].volume_ml;
        let all: Vec<f64> = (0..5).map(ml).collect();
        let (low, high) = (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
        assert!(low > 10.0 && high < 1000.0 && high > 3.0 * low, "{all:?}");
    }
}
