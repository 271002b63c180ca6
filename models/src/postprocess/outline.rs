//! The outline of a nodule on the original grid: where its attenuation, within reach of the network's answer, is
//! nearer to its core than to the lung around it.

use crate::findings::Mask;
use crate::grid::Grid;
use crate::postprocess::components;
use crate::volume::Volume;

/// What the network says about one box of the original grid.
#[derive(Debug)]
pub struct Region {
    /// First voxel and extent of the box, voxel order.
    pub origin: [usize; 3],
    pub size: [usize; 3],
    /// Within the component.
    pub core: Vec<u8>,
    /// Where the nodule may reach to: the component, and what is near it and inside a lung.
    pub domain: Vec<u8>,
}

/// Lung parenchyma, where the surroundings do not say otherwise, HU.
const PARENCHYMA_HU: f64 = -850.0;

/// The nodule's voxels. Falls back to the component itself when the attenuation does not single out a region of
/// similar size (between a third and four times the component).
pub fn outline(volume: &Volume, region: &Region) -> Mask {
    let grid = Grid { dims: region.size, spacing_mm: volume.geometry.spacing_mm };
    let hu = attenuation(volume, region);
    let threshold = threshold(&hu, region);
    let bright: Vec<u8> =
        hu.iter().zip(&region.domain).map(|(v, d)| u8::from(*d != 0 && f64::from(*v) >= threshold)).collect();
    let kept = keep_with_core(&grid, &bright, &region.core);
    let count = kept.iter().filter(|v| **v != 0).count();
    let expected = region.core.iter().filter(|v| **v != 0).count();
    let voxels = if count * 3 >= expected && count <= expected * 4 { kept } else { region.core.clone() };
    Mask { origin: region.origin, size: region.size, voxels }
}

/// Half way between the nodule's own attenuation and the lung's: where a blurred edge really lies.
fn threshold(hu: &[i16], region: &Region) -> f64 {
    let mut core: Vec<i16> = hu.iter().zip(&region.core).filter(|(_, c)| **c != 0).map(|(v, _)| *v).collect();
    core.sort_unstable();
    // The upper quartile: the component's rim is blurred with lung.
    let own = core.get(core.len() * 3 / 4).map_or(0.0, |v| f64::from(*v));
    f64::midpoint(own.min(100.0), PARENCHYMA_HU)
}

fn attenuation(volume: &Volume, region: &Region) -> Vec<i16> {
    let columns = volume.geometry.dims[0];
    let [ox, oy, oz] = region.origin;
    let mut values = Vec::with_capacity(region.core.len());
    for slice in &volume.slices[oz..oz + region.size[2]] {
        for y in oy..oy + region.size[1] {
            values.extend_from_slice(&slice[y * columns + ox..][..region.size[0]]);
        }
    }
    values
}

/// Pieces that hold a voxel of the core.
fn keep_with_core(grid: &Grid, mask: &[u8], core: &[u8]) -> Vec<u8> {
    let pieces = components::label(grid, mask);
    let mut wanted = vec![false; pieces.sizes.len() + 1];
    for (label, c) in pieces.labels.iter().zip(core) {
        wanted[*label as usize] |= *c != 0 && *label != 0;
    }
    pieces.labels.iter().map(|l| u8::from(wanted[*l as usize])).collect()
}
