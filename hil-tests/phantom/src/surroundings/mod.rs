//! What a real scan shows about the lungs and no finding is: the backs of the vertebrae, breastbone and shoulders, the
//! abdomen, couch, clothes and wires, and harmless lines in the lungs. Nothing here has a label.
//!
//! All of it has its own random numbers, so that what is planted in a chest does not depend on it.

mod abdomen;
mod girdle;
mod lung;
mod outside;
mod piece;
mod spine;

use std::sync::Arc;

use super::anatomy::{Chest, Section, bone, hu, over};
use super::finding::{Layer, Planted};
use super::random::Random;
use super::render::Tube;
use super::shape::{Rod, coverage, ellipse, ramp};
use outside::Outside;
use spine::Spine;

/// The first of the random streams of the surroundings.
pub const STREAM: u64 = 60;

/// What is painted together with the chest itself.
#[derive(Debug, Clone)]
pub struct Around {
    pub spine: Spine,
    outside: Outside,
    /// How much thicker the muscles of the back are, mm.
    back_mm: f32,
    /// Half width of the body of the breastbone, mm, and HU of its marrow.
    sternum: [f32; 2],
    /// Whether the arms lie above the head.
    arms_up: bool,
}

/// How much more of the sides and of the back a training volume holds, mm.
pub fn margins(seed: u64) -> [f32; 2] {
    let mut random = Random::new(seed, STREAM + 7);
    [random.between(-10.0, 20.0).max(0.0), random.between(-5.0, 30.0).max(0.0)]
}

/// ml of an effusion that is larger than usual; none for most patients.
pub fn large_effusion(seed: u64, chest: &Chest) -> Option<f32> {
    let mut random = Random::new(seed, STREAM + 9);
    (chest.around.is_some() && random.chance(0.25)).then(|| random.between(500.0, 1500.0))
}

/// Gives a chest its surroundings, before anything is planted.
pub fn prepare(seed: u64, chest: &mut Chest) {
    let mut random = Random::new(seed, STREAM + 1);
    let back_mm = random.between(11.0, 20.0);
    let arms_up = random.chance(0.8);
    let spine = Spine::new(&mut random);
    let sternum = [random.between(13.0, 19.0), hu::MARROW + random.between(-120.0, 0.0)];
    if random.chance(0.4) {
        let chalk = random.between(60.0, 420.0);
        for rib in &mut chest.ribs {
            rib.chalk = chalk * random.between(0.3, 1.0);
        }
    }
    // Lungs that are not filled to the limit are denser.
    chest.parenchyma_hu += random.between(-8.0, 1.0).min(0.0) + random.between(-25.0, 55.0).max(0.0);
    let back = chest.section(0.0).body[1] + back_mm;
    let outside = Outside::new(back, &mut random);
    chest.around = Some(Around { spine, outside, back_mm, sternum, arms_up });
}

/// Adds the bodies that are painted after the chest.
pub fn plant(seed: u64, chest: &Chest, planted: &mut Planted) {
    let Some(around) = &chest.around else { return };
    let shared = Arc::new(chest.clone());
    for part in abdomen::organs(&shared, &mut Random::new(seed, STREAM + 2)) {
        planted.put(part, Layer::Around);
    }
    for part in girdle::pieces(&shared, around.arms_up, &mut Random::new(seed, STREAM + 3)) {
        planted.put(Box::new(part), Layer::Around);
    }
    for part in outside::wires(chest, &mut Random::new(seed, STREAM + 4)) {
        planted.put(Box::new(part), Layer::Around);
    }
    for part in lung::lines(&shared, &mut Random::new(seed, STREAM + 5)) {
        planted.put(part, Layer::Parenchyma);
    }
}

/// Air in the oesophagus, and what continues from the chest into the neck.
pub fn tubes(seed: u64, chest: &Chest) -> Vec<Tube> {
    if chest.around.is_none() {
        return Vec::new();
    }
    let mut random = Random::new(seed, STREAM + 6);
    let mut tubes = Vec::new();
    let rod = |a: [f32; 4], b: [f32; 4]| Rod {
        from: chest.to_patient([a[0], a[1], a[2]]),
        to: chest.to_patient([b[0], b[1], b[2]]),
        from_radius: a[3] * chest.scale,
        to_radius: b[3] * chest.scale,
    };
    let mut put = |rod: Rod, hu: f32, wall: Option<f32>| {
        tubes.push(Tube { rod, hu, wall, central: true, lesion: None });
    };
    put(rod([0.0, 10.0, 155.0, 10.0], [0.0, 6.0, 230.0, 10.0]), 30.0, None);
    put(rod([3.0, 34.0, 150.0, 7.0], [2.0, 36.0, 230.0, 7.0]), 38.0, None);
    for side in [-1.0, 1.0] {
        put(rod([30.0 * side, 8.0, 150.0, 5.0], [24.0 * side, 14.0, 230.0, 4.0]), chest.blood_hu, None);
        put(rod([34.0 * side, -10.0, 150.0, 6.5], [34.0 * side, 10.0, 230.0, 6.0]), chest.blood_hu, None);
    }
    put(rod([0.0, 10.0, 153.0, 8.6], [0.0, 6.0, 230.0, 8.6]), -1000.0, Some(0.0));
    // Where there is air in the oesophagus, it is often in several places.
    for _ in 0..random.below(4) {
        let z = random.between(-60.0, 120.0);
        let r = random.between(1.2, 4.5);
        let x = if z > 40.0 { 2.5 } else { 4.0 };
        let air = rod([x, 34.5, z, r], [x, 34.5, z + random.between(8.0, 40.0), 0.7 * r]);
        put(air, -1000.0, Some(0.0));
    }
    tubes
}

impl Around {
    /// Gives a section thicker muscles at the back, and the trunk a neck.
    pub fn reshape(&self, section: &mut Section) {
        let neck = ramp(section.z, 128.0, 200.0);
        let mix = |trunk: f32, own: f32| trunk + (own - trunk) * neck;
        section.body[0] = mix(section.body[0], 68.0);
        section.body[1] = mix(section.body[1] + 0.5 * self.back_mm, 76.0);
        section.middle = mix(0.5 * self.back_mm, 50.0 + section.back);
        section.cavity = section.cavity.map(|half| half * (1.0 - 0.55 * neck));
    }

    /// HU at a point outside the skin, `skin` mm away from it: couch, clothes, air.
    pub fn outside(&self, p: [f32; 3], skin: f32, w: f32) -> f32 {
        self.outside.at(p, skin, w)
    }

    /// Paints the breastbone; y counts from its middle plane.
    pub fn sternum(&self, value: f32, [x, y, z]: [f32; 3], w: f32) -> f32 {
        if y.abs() > 12.0 || x.abs() > 40.0 || !(-95.0..112.0).contains(&z) {
            return value;
        }
        let [half, marrow] = self.sternum;
        if z > 54.0 {
            // The handle is broad above, with a notch between the collar bones.
            let wide = half + 5.0 + 13.0 * ramp(z, 54.0, 95.0);
            let top = z - 106.0 + 9.0 * (1.0 - (x / 14.0).powi(2)).max(0.0);
            let sd = ellipse(x, y - 1.0, wide, 6.2).max(top).max(54.8 - z);
            return bone(value, sd, w, marrow);
        }
        if z > -52.0 {
            let wide = half - 3.5 + 5.0 * (1.0 - ramp(z, -45.0, 0.0)) + 2.0 * (z / 9.0).sin();
            let sd = ellipse(x, y, wide, 5.2).max(z - 51.0).max(-52.0 - z);
            // Cartilage in the joint with the handle.
            let value = over(value, hu::CARTILAGE, coverage(ellipse(x, y, half, 5.0).max(50.0 - z), w));
            return bone(value, sd, w, marrow);
        }
        let sd = ellipse(x, y - 2.0, 8.0 - 0.12 * (-52.0 - z), 3.2).max(-90.0 - z);
        over(value, 0.5 * (marrow + hu::CARTILAGE), coverage(sd, w))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Channel, LUNG, Options, Phantom, Surroundings, Wanted};

    fn scan() -> Options {
        let coarse =
            Options { columns: 170, rows: 150, slices: 110, pixel_mm: 2.2, slice_mm: 2.7, ..Options::default() };
        Options { noise_hu: 0.0, findings: Wanted::ALL, nodules: Some(3), ..coarse }
    }

    /// Emphysema is left out: it is defined by density, which differs in other surroundings. So are the seeds that
    /// have masses and more fluid.
    #[test]
    fn surroundings_carry_no_labels_and_do_not_change_those_of_findings() {
        let seeds = (0..40u64).filter(|s| {
            let more = super::Random::new(*s, super::STREAM + 9).chance(0.25);
            !more && crate::mass::none(*s)
        });
        for seed in seeds.take(3) {
            let (bare, plain) = Phantom::new(seed, &scan()).render_labelled();
            let options = Options { surroundings: Some(Surroundings::default()), ..scan() };
            let (whole, truth) = Phantom::new(seed, &options).render_labelled();
            let measured = |channel: &Channel| !matches!(channel, Channel::Emphysema | Channel::CoronaryCalcification);
            let kept = Channel::ALL.iter().filter(|c| measured(c)).fold(LUNG, |bits, c| bits | c.bit());
            let mut changed = 0;
            for (a, b) in bare.iter().zip(&whole) {
                changed += a.labels.iter().zip(&b.labels).filter(|(a, b)| (*a ^ *b) & kept != 0).count();
            }
            assert!(changed < 20, "seed {seed}: {changed} voxels");
            assert_eq!(plain.nodules.len(), truth.nodules.len());
            assert_eq!(plain.rib_fractures.len(), truth.rib_fractures.len());
        }
    }

    #[test]
    fn a_healthy_chest_with_surroundings_has_no_label_but_lung() {
        for seed in 0..2 {
            let around = Surroundings { below_mm: 60.0, above_mm: 30.0 };
            let options = Options { findings: Wanted::NONE, surroundings: Some(around), ..scan() };
            let (slices, truth) = Phantom::new(seed, &options).render_labelled();
            assert!(slices.iter().flat_map(|s| &s.labels).all(|l| l & !LUNG == 0), "seed {seed}");
            assert!(truth.lungs.right_ml > 700.0);
        }
    }

    #[test]
    fn spinous_processes_are_bone_behind_the_canal_with_gaps_between_them() {
        let options = Options { findings: Wanted::NONE, surroundings: Some(Surroundings::default()), ..scan() };
        for seed in 0..4 {
            let phantom = Phantom::new(seed, &options);
            let chest = &phantom.chest;
            let back = chest.section(0.0).back;
            let bony = (0..80).filter(|i| {
                let p = chest.to_patient([0.0, 104.0 + back, 60.0 - *i as f32]);
                chest.plane(p[2]).sample(p[0], p[1], 0.7).hu > 200.0
            });
            let share = bony.count() as f32 / 80.0;
            assert!((0.2..0.8).contains(&share), "seed {seed}: {share}");
        }
    }
}
