//! From the volume that was analysed back to the slices that were sent. Pure.

use std::sync::Arc;

use models::findings::Mask;
use models::task::ct_chest::Placed;
use models::{ChestFindings, Volume};

use super::geometry::Tilt;
use super::shear;

/// How an analysed volume differs from the slices that were sent. The same in both: the number and the order of the slices.
#[derive(Debug, Clone, Default)]
pub struct Back {
    /// The gantry was tilted: the slices were moved within their planes.
    pub(super) tilt: Option<Tilt>,
    /// Slices that were filled in, ascending.
    pub(super) filled: Vec<usize>,
    /// The planes as they were sent, of a tilted gantry.
    pub(super) planes: Vec<Arc<[i16]>>,
}

impl Back {
    /// Is the analysed volume what was sent?
    pub fn is_same(&self) -> bool {
        self.tilt.is_none() && self.filled.is_empty()
    }

    /// What must be known of the findings before anything is said of them. They lie in the analysed volume.
    pub fn judge(&self, findings: &mut ChestFindings) {
        if let Some(tilt) = &self.tilt {
            shear::judge_edges(findings, tilt);
        }
    }

    /// Findings and volume on the slices that were sent. Nothing lies on a slice that was filled in.
    pub fn original(&self, findings: &ChestFindings, volume: &Volume) -> (ChestFindings, Volume) {
        let mut findings = findings.clone();
        for Placed { mask, key_slice } in findings.placed_mut() {
            if let Some(tilt) = &self.tilt {
                *mask = shear::back(mask, tilt);
            }
            for slice in &self.filled {
                leave(mask, *slice);
            }
            if let Some(key_slice) = key_slice.filter(|key| self.filled.contains(key)) {
                // Never at an end: what is filled in has neighbours.
                let [below, above] = [*key_slice - 1, *key_slice + 1];
                *key_slice = if count(mask, above) > count(mask, below) { above } else { below };
            }
        }
        let volume = match &self.tilt {
            Some(tilt) => shear::original(self.planes.clone(), tilt),
            None => volume.clone(),
        };
        (findings, volume)
    }
}

/// Takes the mask off a slice. One that lies nowhere else moves to the slice before it.
fn leave(mask: &mut Mask, slice: usize) {
    let inside = slice >= mask.origin[2] && slice < mask.origin[2] + mask.size[2];
    if !inside || mask.voxels.is_empty() {
        return;
    }
    if count(mask, slice) == mask.count() {
        let plane = mask.plane(slice).to_vec();
        *mask = Mask {
            origin: [mask.origin[0], mask.origin[1], slice.saturating_sub(1)],
            size: [mask.size[0], mask.size[1], 1],
            voxels: plane,
        };
        return;
    }
    let size = mask.size[0] * mask.size[1];
    let at = (slice - mask.origin[2]) * size;
    mask.voxels[at..at + size].fill(0);
}

fn count(mask: &Mask, slice: usize) -> usize {
    mask.plane(slice).iter().filter(|voxel| **voxel != 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(planes: &[[u8; 2]]) -> Mask {
        Mask { origin: [3, 4, 10], size: [2, 1, planes.len()], voxels: planes.concat() }
    }

    #[test]
    fn nothing_stays_on_a_slice_that_was_filled_in_and_nothing_is_lost_with_it() {
        let mut three = mask(&[[1, 0], [1, 1], [0, 1]]);
        leave(&mut three, 11);
        assert_eq!(three.voxels, [1, 0, 0, 0, 0, 1]);
        leave(&mut three, 99);
        assert_eq!(three.count(), 2);
        let mut one = mask(&[[1, 1]]);
        leave(&mut one, 10);
        assert_eq!((one.origin, one.count()), ([3, 4, 9], 2));
        let mut only_there = mask(&[[0, 0], [1, 0], [0, 0]]);
        leave(&mut only_there, 11);
        assert_eq!((only_there.origin[2], only_there.count()), (10, 1));
    }
}
