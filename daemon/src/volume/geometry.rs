//! Where the slices of a series lie: their order and the grid they make, or why they make none. Pure.
//!
//! Only ImagePositionPatient and ImageOrientationPatient are believed. SliceLocation, SpacingBetweenSlices,
//! SliceThickness and GantryDetectorTilt differ in meaning and in sign between vendors.

use models::Geometry;

use crate::dicom::header::Header;

/// What one slice says about its place.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SliceGeometry {
    /// Centre of the first pixel, millimetres, LPS; (0020,0032).
    pub position_mm: Option<[f64; 3]>,
    /// Direction cosines of increasing column index, then of increasing row index; (0020,0037).
    pub orientation: Option<[f64; 6]>,
    /// Millimetres between rows, then between columns; (0028,0030).
    pub pixel_spacing_mm: Option<[f64; 2]>,
    pub rows: u32,
    pub columns: u32,
    pub frame_of_reference_uid: Option<String>,
    /// Instance number (or frame number): how people find the slice. Never used to order.
    pub number: Option<i64>,
}

impl From<&Header> for SliceGeometry {
    fn from(header: &Header) -> Self {
        Self {
            position_mm: header.image_position,
            orientation: header.image_orientation,
            pixel_spacing_mm: header.pixel_spacing,
            rows: header.rows,
            columns: header.columns,
            frame_of_reference_uid: header.frame_of_reference_uid.clone(),
            number: header.instance_number,
        }
    }
}

/// Slices that make a regular grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Arranged {
    /// Indices into the input, in the order of increasing slice index.
    pub order: Vec<usize>,
    pub geometry: Geometry,
    /// What a careful reader should know although the volume was accepted.
    pub notes: Vec<String>,
}

/// Why slices do not make a volume.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("{count} slice(s) only: a volume needs at least {needed}; send the whole series")]
    TooFew { count: usize, needed: usize },
}

impl Refusal {
    /// A stable word for callers that branch, for the bus and for statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "too-few-slices",
        }
    }
}

/// Orders `slices` along their common normal and returns the grid they lie on.
pub fn arrange(slices: &[SliceGeometry]) -> Result<Arranged, Refusal> {
    Err(Refusal::TooFew { count: slices.len(), needed: 3 })
}
