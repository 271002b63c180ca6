//! The channels of the network's output, and the bit of each channel in the label of a voxel.

use serde::Serialize;

/// What a voxel can be part of, in the order of the channels of a model package. Repeated here because the bench does
/// not depend on the product's crates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Nodule,
    GroundGlass,
    Consolidation,
    RibFracture,
    Emphysema,
    Bronchiectasis,
    PleuralEffusion,
    Pneumothorax,
    CoronaryCalcification,
    LymphNode,
}

/// Bit of a label that says: this voxel is lung.
pub const LUNG: u16 = 1 << 15;

impl Channel {
    pub const ALL: [Self; 10] = [
        Self::Nodule,
        Self::GroundGlass,
        Self::Consolidation,
        Self::RibFracture,
        Self::Emphysema,
        Self::Bronchiectasis,
        Self::PleuralEffusion,
        Self::Pneumothorax,
        Self::CoronaryCalcification,
        Self::LymphNode,
    ];

    pub fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Whether the finding is inside the lungs by definition: parts outside are cut off.
    pub(crate) fn is_within_lung(self) -> bool {
        matches!(self, Self::GroundGlass | Self::Consolidation)
    }
}
