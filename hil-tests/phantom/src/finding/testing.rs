//! Shared by the tests of the findings: a coarse scan of a whole chest with its labels.

use super::{Channel, Finding, LUNG, Wanted};
use crate::render::Slice;
use crate::{Options, Phantom, Truth};

#[derive(Debug)]
pub struct Scan {
    pub truth: Truth,
    slices: Vec<Slice>,
    voxel_ml: f64,
}

/// A chest with these findings and no other.
pub fn scan(seed: u64, findings: &[Finding]) -> Scan {
    let options = Options {
        columns: 150,
        rows: 110,
        slices: 120,
        pixel_mm: 2.2,
        slice_mm: 2.5,
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

    /// Of the voxels with a label.
    pub fn mean_hu(&self, channel: Channel) -> f64 {
        let all = self.slices.iter().flat_map(|s| s.hu.iter().zip(&s.labels));
        let labelled = all.filter(|(_, l)| **l & channel.bit() != 0);
        let (sum, count) = labelled.fold((0.0, 0.0), |(sum, n), (hu, _)| (sum + f64::from(*hu), n + 1.0));
        sum / count
    }

    fn ml(&self, bit: u16) -> f64 {
        self.slices.iter().flat_map(|s| &s.labels).filter(|l| **l & bit != 0).count() as f64 * self.voxel_ml
    }
}

/// Asserts that `value` is within the fraction `share` of `expected`, or within `slack`.
#[track_caller]
pub fn assert_close(value: f64, expected: f64, share: f64, slack: f64) {
    assert!((value - expected).abs() <= (share * expected).max(slack), "{value} is not near {expected}");
}
