//! What the shape of a candidate says: a tube is a vessel, and a nodule that is one lump with consolidated tissue is a mass.
//! Pure.

use super::{Form, Nodule};
use crate::cast::ceil_index;
use crate::findings::{Mask, Region};
use crate::grid::Grid;
use crate::morphology;
use crate::postprocess::components::{self, Components};
use crate::postprocess::shape::{Moments, principal_axes_mm};

/// A candidate that is longer than this many times its width is a vessel, or a scar. In three real scans vessels that were
/// taken for nodules had 1.4 to 3.1, the parts of two tumours 1.5 and less; 30 nodules of phantoms 1.0 to 1.8.
const TUBE: f64 = 2.2;
/// A small nodule with a piece of the vessel that it hangs on is no tube, and in thick slices what is short looks long: a
/// candidate counts as a tube from this length on, mm.
const TUBE_MM: f64 = 24.0;

/// Two with a gap of this width and a voxel, or less, are one, mm: outlines end at half height, and the parts of one tumour left gaps of up
/// to a slice of 5 mm when its scan was moved by a few pixels.
const GAP_MM: f64 = 5.0;

/// A lump is at least this part of its length in every direction. A tumour that the network took for a consolidation with
/// a nodule in it had 0.8; consolidated lung is a wedge or a sheet: 0.4 in a pneumonia that touched a candidate.
const LUMP: f64 = 0.6;

/// Takes the tubes out of what the network marked, each as a whole: the part of a vessel that lies in the lung's mask may be
/// short. Returns the components; of a tube no voxel bears the label any more.
pub(super) fn erase_tubes(grid: &Grid, marked: &mut [u8]) -> Components {
    let mut found = components::label(grid, marked);
    let mut moments = vec![Moments::default(); found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, label)| **label != 0) {
        let at = grid.at(i);
        moments[*label as usize - 1].add([0, 1, 2].map(|a| at[a] as f64 * grid.spacing_mm[a]));
    }
    let tubes: Vec<bool> = moments.iter().map(|moments| is_tube(moments.axes_mm(grid.spacing_mm))).collect();
    for (voxel, label) in marked.iter_mut().zip(&mut found.labels).filter(|(_, label)| **label != 0) {
        if tubes[*label as usize - 1] {
            (*voxel, *label) = (0, 0);
        }
    }
    found
}

fn is_tube([long, middle, _]: [f64; 3]) -> bool {
    long >= TUBE_MM && long > TUBE * middle
}

/// Replaces each lesion that touches a consolidation and is one lump with it, longer than a nodule, by the mass that both
/// are, and takes the consolidation away. `measure` makes a lesion of an outline and a confidence.
pub(super) fn join_lumps(
    lesions: &mut Vec<Nodule>,
    consolidations: &mut Vec<Region>,
    spacing_mm: [f64; 3],
    measure: &dyn Fn(Mask, f64) -> Nodule,
) {
    consolidations.retain(|solid| {
        let Some((lump, parts)) = lump(lesions, solid, spacing_mm) else { return true };
        let mass = measure(lump, parts.iter().map(|at| lesions[*at].confidence).fold(solid.confidence, f64::max));
        if mass.form != Form::Mass {
            return true;
        }
        let mut at = 0..;
        lesions.retain(|_| at.next().is_none_or(|at| !parts.contains(&at)));
        lesions.push(mass);
        false
    });
}

/// The consolidation and the lesions beside it (by their index), if there are any and all are one lump.
fn lump(lesions: &[Nodule], solid: &Region, spacing_mm: [f64; 3]) -> Option<(Mask, Vec<usize>)> {
    let beside = |lesion: &Nodule| beside(&lesion.mask, &solid.mask, spacing_mm);
    let parts: Vec<usize> = (0..).zip(lesions).filter(|(_, lesion)| beside(lesion)).map(|(at, _)| at).collect();
    if parts.is_empty() {
        return None;
    }
    let masks: Vec<&Mask> = parts.iter().map(|at| &lesions[*at].mask).chain([&solid.mask]).collect();
    let whole = union(&masks);
    let [long, _, short] = principal_axes_mm(&whole, spacing_mm);
    (short >= LUMP * long).then_some((whole, parts))
}

/// Is the gap between them no wider than [`GAP_MM`] and a voxel?
fn beside(one: &Mask, other: &Mask, spacing_mm: [f64; 3]) -> bool {
    let reach_mm = GAP_MM + spacing_mm.into_iter().fold(0.0, f64::max);
    let reach = spacing_mm.map(|step| ceil_index(reach_mm / step));
    let origin = [0, 1, 2].map(|a| one.origin[a].saturating_sub(reach[a]));
    let size = [0, 1, 2].map(|a| one.origin[a] + one.size[a] + reach[a] - origin[a]);
    let apart = (0..3).any(|a| other.origin[a] >= origin[a] + size[a] || other.origin[a] + other.size[a] <= origin[a]);
    if apart {
        return false;
    }
    let mut wide = Mask { origin, size, voxels: vec![0; size.iter().product()] };
    wide.paint(one, 1);
    let grown = morphology::dilate(&Grid { dims: size, spacing_mm }, &wide.voxels, reach_mm);
    Mask { voxels: grown, ..wide }.overlap(other) > 0
}

/// All that is in any of the masks.
fn union(masks: &[&Mask]) -> Mask {
    let end = |mask: &Mask, a: usize| mask.origin[a] + mask.size[a];
    let origin = [0, 1, 2].map(|a| masks.iter().map(|mask| mask.origin[a]).min().unwrap_or(0));
    let size = [0, 1, 2].map(|a| masks.iter().map(|mask| end(mask, a)).max().unwrap_or(0) - origin[a]);
    let mut whole = Mask { origin, size, voxels: vec![0; size.iter().product()] };
    masks.iter().for_each(|mask| whole.paint(mask, 1));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Side;

    const SPACING_MM: [f64; 3] = [1.0, 1.0, 2.0];

    /// A solid ellipsoid, mm.
    fn ellipsoid(centre: [f64; 3], half: [f64; 3]) -> Mask {
        let low = [0, 1, 2].map(|a| ((centre[a] - half[a]) / SPACING_MM[a]) as usize);
        let size = [0, 1, 2].map(|a| (2.0 * half[a] / SPACING_MM[a]) as usize + 2);
        let mut mask = Mask { origin: low, size, voxels: vec![0; size.iter().product()] };
        for (i, voxel) in mask.voxels.iter_mut().enumerate() {
            let at = [i % size[0], i / size[0] % size[1], i / (size[0] * size[1])];
            let out = |a: usize| ((at[a] + low[a]) as f64 * SPACING_MM[a] - centre[a]) / half[a];
            *voxel = u8::from((0..3).map(|a| out(a).powi(2)).sum::<f64>() <= 1.0);
        }
        mask
    }

    /// A lesion that is as long as its outline is wide.
    fn lesion(mask: Mask, confidence: f64) -> Nodule {
        let long_axis_mm = mask.size[0] as f64 * SPACING_MM[0];
        Nodule {
            number: 0,
            form: Form::of(long_axis_mm),
            side: Side::Left,
            lobe: None,
            kind: None,
            lung_rads: None,
            centre_mm: [0.0; 3],
            diameter_mm: long_axis_mm,
            long_axis_mm,
            short_axis_mm: long_axis_mm,
            volume_mm3: 0.0,
            mean_hu: 0.0,
            confidence,
            key_slice: 0,
            mask,
        }
    }

    fn region(mask: Mask) -> Region {
        Region { number: 1, centre_mm: [0.0; 3], volume_ml: 1.0, mean_hu: 30.0, confidence: 0.99, key_slice: 0, mask }
    }

    /// Forms of the lesions, and how many consolidations are left.
    fn joined(lesions: Vec<Nodule>, solid: Mask) -> (Vec<Form>, usize) {
        let (mut lesions, mut solid) = (lesions, vec![region(solid)]);
        join_lumps(&mut lesions, &mut solid, SPACING_MM, &lesion);
        (lesions.iter().map(|one| one.form).collect(), solid.len())
    }

    #[test]
    fn a_tube_is_a_vessel_whichever_way_it_runs_and_a_lesion_that_is_round_or_small_is_not() {
        let grid = Grid { dims: [120, 120, 60], spacing_mm: SPACING_MM };
        let whole = Mask { origin: [0; 3], size: grid.dims, voxels: vec![0; grid.len()] };
        let left = |half| {
            let mut marked = whole.clone();
            let round = ellipsoid([20.0; 3], [6.0; 3]);
            marked.paint(&round, 1);
            marked.paint(&ellipsoid([60.0; 3], half), 1);
            erase_tubes(&grid, &mut marked.voxels);
            assert_eq!(marked.overlap(&round), round.count(), "what lies beside stays");
            marked.count() > round.count()
        };
        for half in [[15.0, 4.0, 4.0], [4.0, 15.0, 5.0], [4.0, 4.0, 20.0]] {
            assert!(!left(half), "{half:?}");
        }
        assert!(left([18.0, 9.0, 9.0]), "twice as long as wide");
        assert!(left([15.0, 14.0, 4.0]), "flat");
        assert!(left([10.0, 3.0, 3.0]), "too short to tell");
    }

    #[test]
    fn a_tumour_that_is_half_nodule_and_half_consolidation_is_one_mass() {
        let nodule = || lesion(ellipsoid([50.0, 60.0, 60.0], [8.0; 3]), 0.9);
        let tumour = ellipsoid([62.0, 60.0, 60.0], [18.0, 17.0, 16.0]);
        assert_eq!(joined(vec![nodule()], tumour.clone()), (vec![Form::Mass], 0));
        // Outlines that end before they meet: 5 mm apart, more than that.
        let beside = |gap: f64| lesion(ellipsoid([62.0 - 18.0 - 5.0 - gap, 60.0, 60.0], [5.0; 3]), 0.9);
        assert_eq!(joined(vec![beside(4.0)], tumour.clone()), (vec![Form::Mass], 0));
        assert_eq!(joined(vec![beside(9.0)], tumour.clone()), (vec![Form::Nodule], 1));
        let other = lesion(ellipsoid([120.0, 60.0, 60.0], [4.0; 3]), 0.99);
        assert_eq!(joined(vec![other.clone(), nodule()], tumour.clone()), (vec![Form::Nodule, Form::Mass], 0));
        assert_eq!(joined(vec![other], tumour), (vec![Form::Nodule], 1), "the nodule lies elsewhere");
        // A sheet along the chest wall with a nodule at its edge; a lump that both together are no larger than a nodule.
        let sheet = ellipsoid([62.0, 60.0, 60.0], [18.0, 30.0, 8.0]);
        assert_eq!(joined(vec![nodule()], sheet), (vec![Form::Nodule], 1));
        let small = ellipsoid([55.0, 60.0, 60.0], [8.0; 3]);
        assert_eq!(joined(vec![nodule()], small), (vec![Form::Nodule], 1));
    }
}
