//! What the tests of the findings share: a coarse scan of a whole chest with its labels.

use super::{Channel, Finding, LUNG, Wanted};
use crate::phantom::render::Slice;
use crate::phantom::{Options, Phantom, Truth};

pub struct Scan {
    pub truth: Truth,
    slices: Vec<Slice>,
    voxel_ml: f64,
}

/// A chest with these findings and no other.
pub fn scan(seed: u64, findings: &[Finding]) -> Scan {
    let options = Options {
        columns: 176,
        rows: 150,
        slices: 130,
        pixel_mm: 2.0,
        slice_mm: 2.3,
        noise_hu: 0.0,
        findings: Wanted::only(findings),
        ..Options::default()
    };
    let phantom = Phantom::new(seed, &options);
    let (slices, truth) = phantom.render_labelled();
    Scan { truth, slices, voxel_ml: phantom.grid.voxel_mm3() / 1000.0 }
}

impl Scan {
    pub fn labelled_ml(&self, channel: Channel) -> f64 {
        self.ml(channel.bit())
    }

    pub fn lung_ml(&self) -> f64 {
        self.ml(LUNG)
    }

    /// HU of the voxels with a label.
    pub fn hu(&self, channel: Channel) -> impl Iterator<Item = i16> {
        let labelled = self.slices.iter().flat_map(|s| s.hu.iter().zip(&s.labels));
        labelled.filter(move |(_, l)| **l & channel.bit() != 0).map(|(hu, _)| *hu)
    }

    fn ml(&self, bit: u16) -> f64 {
        self.slices.iter().flat_map(|s| &s.labels).filter(|l| **l & bit != 0).count() as f64 * self.voxel_ml
    }
}

/// Within a share of `expected`, or within `slack`.
#[track_caller]
pub fn assert_close(value: f64, expected: f64, share: f64, slack: f64) {
    assert!((value - expected).abs() <= (share * expected).max(slack), "{value} is not near {expected}");
}
