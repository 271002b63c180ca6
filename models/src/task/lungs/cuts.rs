//! Where the lungs go on beyond what was scanned, and what that says about the scan. Pure.

use super::{BASE_SHARE, CUT_SHARE, LOST_SHARE};
use crate::findings::{Lung, Mask};
use crate::grid::Orientation;
use crate::reason::Reason;
use crate::volume::Volume;

/// Lungs whose seen part is lower than this (mm), and than this share of the scan, are only the border of another scan. (An
/// adult's lung is 200 to 300 mm high.)
const BORDER_MM: f64 = 120.0;
const BORDER_SHARE: f64 = 0.6;

/// Which ends of the lungs were not scanned.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cuts {
    /// The lungs reach the edge of the image.
    pub edge: bool,
    /// The scan ends inside the lungs, at its upper end.
    pub above: bool,
    /// The same at its lower end.
    pub below: bool,
    /// The lowest part of a lung, however small, is not in the scan.
    pub base: bool,
    /// The same of its top.
    pub apex: bool,
    /// There is lung in the uppermost slice: its very top may be missing.
    pub head: bool,
    /// From the lowest to the highest slice with lung, mm.
    pub height_mm: f64,
    /// Of the whole scan, mm.
    pub scan_mm: f64,
}

impl Cuts {
    /// `lost`: share of the lungs that was taken for room air, because it reaches the edge of the image.
    pub(super) fn find(volume: &Volume, lungs: &[Lung], lost: f64) -> Self {
        let orientation = Orientation::of(&volume.geometry);
        let axis = orientation.axis[2];
        let (slices, spacing) = (volume.geometry.dims[axis], volume.geometry.spacing_mm[axis]);
        let (foot, head) = if orientation.flipped[2] { (slices - 1, 0) } else { (0, slices - 1) };
        let mut cuts = Self { edge: lost > LOST_SHARE, scan_mm: slices as f64 * spacing, ..Self::default() };
        let mut seen: Option<[usize; 2]> = None;
        for lung in lungs {
            let sections = sections(&lung.mask, axis);
            let largest = sections.iter().copied().max().unwrap_or(0) as f64;
            let at = |index: usize| {
                let i = index.checked_sub(lung.mask.origin[axis]);
                i.and_then(|i| sections.get(i)).map_or(0.0, |n| *n as f64)
            };
            cuts.above |= at(head) > CUT_SHARE * largest;
            cuts.below |= at(foot) > CUT_SHARE * largest;
            cuts.base |= at(foot) > BASE_SHARE * largest;
            cuts.apex |= at(head) > BASE_SHARE * largest;
            cuts.head |= at(head) > 0.0;
            let first = lung.mask.origin[axis];
            for i in (0..sections.len()).filter(|i| sections[*i] > 0).map(|i| first + i) {
                let [low, high] = seen.get_or_insert([i, i]);
                (*low, *high) = ((*low).min(i), (*high).max(i));
            }
        }
        cuts.height_mm = seen.map_or(0.0, |[low, high]| (high + 1 - low) as f64 * spacing);
        cuts
    }

    /// Why the lungs cannot be measured; `None` when they are whole. What kind of scan it is comes first: that is what a
    /// person sees.
    pub fn reason(&self) -> Option<Reason> {
        let border = self.height_mm < BORDER_MM && self.height_mm < BORDER_SHARE * self.scan_mm;
        match *self {
            Self { above: true, below: false, .. } if border => Some(Reason::OnlyBases),
            Self { above: false, below: true, .. } if border => Some(Reason::OnlyApices),
            Self { edge: true, .. } => Some(Reason::LungsAtEdge),
            Self { above: true, below: true, .. } => Some(Reason::ScanEndsBoth),
            Self { above: true, .. } => Some(Reason::ScanEndsAbove),
            Self { below: true, .. } => Some(Reason::ScanEndsBelow),
            _ => None,
        }
    }
}

/// Voxels of each section of the mask across `axis`.
fn sections(mask: &Mask, axis: usize) -> Vec<usize> {
    let [nx, ny, _] = mask.size;
    let mut counts = vec![0; mask.size[axis]];
    for (line, row) in mask.voxels.chunks(nx.max(1)).enumerate() {
        if axis == 0 {
            row.iter().zip(&mut counts).for_each(|(v, n)| *n += usize::from(*v));
        } else {
            let index = if axis == 1 { line % ny } else { line / ny };
            counts[index] += row.iter().map(|v| usize::from(*v)).sum::<usize>();
        }
    }
    counts
}
