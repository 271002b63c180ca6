//! How far an opacity reaches. The network is sure of the core of a real pneumonia and not of its patchy rest, so what is connected
//! to an opacity that counts belongs to it from a lower probability on: hysteresis, as Canny (IEEE Transactions on Pattern
//! Analysis and Machine Intelligence 8(6), 1986) uses it for edges. Nothing new is found by it.

use rayon::prelude::*;

use super::network::{self, Answer};
use super::places::Places;
use super::plan::Channel;
use super::pneumonia::{Opacities, clipped};
use super::regions::{self, level};
use crate::findings::Region;
use crate::postprocess::components;
use crate::volume::Volume;

/// The opacities with all that belongs to them; as they are where the package does not say from when on. `rejected` regions lie where no
/// opacity may lie.
pub fn whole(volume: &Volume, answer: &Answer, places: &Places, found: Opacities, rejected: &[Region]) -> Opacities {
    let channels = (answer.channel(Channel::GroundGlass), answer.channel(Channel::Consolidation));
    let (Some((hazy, of_hazy)), Some((solid, of_solid))) = channels else { return found };
    let (Some(hazy_from), Some(solid_from)) = (of_hazy.spread, of_solid.spread) else { return found };
    if found.ground_glass.is_empty() && found.consolidation.is_empty() {
        return found;
    }
    let prepared = &answer.prepared;
    let target = &prepared.target;
    let dims = volume.geometry.dims;
    let mut hazy_core = vec![0u8; hazy.len()];
    let mut solid_core = hazy_core.clone();
    let paint = |core: &mut [u8], regions: &[Region]| {
        for region in regions {
            network::points_in(target, &region.mask, dims).into_iter().for_each(|i| core[i] = 1);
        }
    };
    paint(&mut hazy_core, &found.ground_glass);
    paint(&mut solid_core, &found.consolidation);
    let mut never = vec![0u8; hazy.len()];
    paint(&mut never, rejected);
    // Only in aerated lung and its rim: beyond, the network takes vessels and the heart for possible consolidation.
    let (hazy_least, solid_least) = (level(hazy_from), level(solid_from));
    let may = |i: usize| prepared.lungs[i] != 0 && never[i] == 0 && (hazy[i] >= hazy_least || solid[i] >= solid_least);
    let mask: Vec<u8> =
        (0..hazy.len()).into_par_iter().map(|i| u8::from(hazy_core[i] | solid_core[i] != 0 || may(i))).collect();
    let connected = components::label(&target.grid, &mask);
    drop(mask);
    let mut counts = vec![false; connected.sizes.len() + 1];
    for (i, label) in connected.labels.iter().enumerate() {
        counts[*label as usize] |= hazy_core[i] | solid_core[i] != 0;
    }
    // A kind that is sure nowhere in the scan is not found by its spreading.
    let (any_hazy, any_solid) = (!found.ground_glass.is_empty(), !found.consolidation.is_empty());
    let of = |kind: Channel| {
        let (core, other, floor, min_size) = match kind {
            Channel::Consolidation => (&solid_core, &hazy_core, solid_from, of_solid.min_size),
            _ => (&hazy_core, &solid_core, hazy_from, of_hazy.min_size),
        };
        let least = level(floor);
        let value = |i: usize| {
            let is_solid = any_solid && (solid[i] > hazy[i] || !any_hazy);
            let own = core[i] != 0
                || (other[i] == 0
                    && counts[connected.labels[i] as usize]
                    && is_solid == (kind == Channel::Consolidation));
            if own { hazy[i].max(solid[i]).max(least) } else { 0 }
        };
        let values: Vec<u16> = (0..hazy.len()).into_par_iter().map(value).collect();
        clipped(volume, places, regions::above(volume, target, &values, floor, 0.0), min_size)
    };
    Opacities { ground_glass: of(Channel::GroundGlass), consolidation: of(Channel::Consolidation) }
}

#[cfg(test)]
mod tests {
    use super::super::network::prepare;
    use super::super::plan::Thresholds;
    use super::super::pneumonia::opacities;
    use super::super::testing::{ball, ball_ml, plan};
    use super::*;
    use crate::task::lungs;
    use crate::testing::Chest;

    /// Millilitres of ground glass and of consolidation.
    fn ml(found: &Opacities) -> [f64; 2] {
        [&found.ground_glass, &found.consolidation].map(|all| all.iter().map(|r| r.volume_ml).sum())
    }

    #[test]
    fn the_doubtful_rest_of_an_opacity_belongs_to_it_and_doubt_elsewhere_does_not() {
        let volume = Chest::default().volume();
        let examined = lungs::examine(&volume).unwrap();
        let (core, rest) = (ball([-70.0, 0.0, 40.0], 12.0), ball([-70.0, 0.0, 40.0], 26.0));
        let elsewhere = ball([70.0, 0.0, 40.0], 20.0);
        let solid = ball([-70.0, 22.0, 40.0], 6.0);
        let answer = |spread: Option<f32>| {
            let prepared = prepare(&volume, &examined.lungs, &plan(), &crate::steps::Cpu);
            let target = &prepared.target;
            let at = |i: usize| volume.geometry.to_patient(target.voxel_at(target.grid.at(i)));
            let hazy = |p: [f64; 3]| match () {
                () if core(p) < 0.0 => 0.99,
                () if rest(p) < 0.0 || elsewhere(p) < 0.0 => 0.25,
                () => 0.0,
            };
            let values = |of: &dyn Fn([f64; 3]) -> f32| (0..target.grid.len()).map(|i| level(of(at(i)))).collect();
            let values: [Vec<u16>; 2] = [values(&hazy), values(&|p| if solid(p) < 0.0 { 0.4 } else { 0.0 })];
            let [hazy, solid] = values;
            let thresholds = Thresholds { spread, ..Thresholds::plain(0.9, 0.5, 0.1) };
            let channels = vec![(Channel::GroundGlass, thresholds, hazy), (Channel::Consolidation, thresholds, solid)];
            Answer::new(prepared, channels)
        };
        let places = Places::of(lungs::examine(&volume).unwrap().ground, false);
        let [core_ml, none] = ml(&opacities(&volume, &answer(None), &places));
        assert!((core_ml / ball_ml(12.0) - 1.0).abs() < 0.2 && none == 0.0, "{core_ml} {none}");
        let [hazy_ml, solid_ml] = ml(&opacities(&volume, &answer(Some(0.2)), &places));
        assert!(((hazy_ml + solid_ml) / ball_ml(26.0) - 1.0).abs() < 0.2, "{hazy_ml} {solid_ml}");
        assert_eq!(solid_ml, 0.0, "no consolidation is sure");
        // Without a core there is nothing to belong to.
        let [few, _] = ml(&opacities(&volume, &answer(Some(0.3)), &places));
        assert!((few / ball_ml(12.0) - 1.0).abs() < 0.3, "{few}");
    }
}
