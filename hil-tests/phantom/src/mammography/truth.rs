//! What was planted, and where each picture shows it.

use serde::Serialize;

use super::decoy::PlantedDecoy;
use super::lesion::Lesion;
use super::outline::Pectoral;
use super::plane::Plane;
use super::vendor::Vendor;
use super::woman::Woman;
use super::{Projection, View};
use crate::anatomy::Side;

#[derive(Debug, Clone, Serialize)]
pub struct Truth {
    pub woman: Woman,
    pub vendor: Vendor,
    /// Whether this is the examination before the current one. Lesions that were not there yet are in no picture.
    pub prior: bool,
    pub lesions: Vec<Lesion>,
    pub decoys: Vec<PlantedDecoy>,
    pub views: Vec<ViewTruth>,
}

/// Positions are pixels of the picture as it is stored: columns from the left, rows from the top, the middle of the first
/// pixel being 0.
#[derive(Debug, Clone, Serialize)]
pub struct ViewTruth {
    pub side: Side,
    pub projection: Projection,
    pub columns: usize,
    pub rows: usize,
    pub pixel_mm: f32,
    /// Whether the chest wall is at the right edge.
    pub chest_wall_on_right: bool,
    pub thickness_mm: f32,
    pub angle_degrees: f32,
    pub breast_area_mm2: f32,
    pub nipple: [f32; 2],
    /// Two points of the edge of the pectoral muscle, the upper one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pectoral: Option<[[f32; 2]; 2]>,
    pub lesions: Vec<ShownLesion>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ShownLesion {
    pub id: u8,
    pub centre: [f32; 2],
    /// First column and row, last column and row.
    #[serde(rename = "box")]
    pub bounds: [f32; 4],
    /// In the picture.
    pub nipple_distance_mm: f32,
    /// From the edge of the picture at the chest wall.
    pub chest_wall_mm: f32,
    /// Along the depth of the breast from the nipple: the same in both views but for a few percent.
    pub behind_nipple_mm: f32,
}

/// From mm (chest wall edge, top) to pixels of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Raster {
    pub columns: usize,
    pub rows: usize,
    pub pixel_mm: f32,
    pub corner_mm: [f32; 2],
    pub turned: bool,
}

impl Raster {
    pub fn of(field: &Plane, turned: bool) -> Self {
        let Plane { columns, rows, pixel_mm, corner_mm, .. } = *field;
        Self { columns, rows, pixel_mm, corner_mm, turned }
    }

    pub fn pixel(&self, mm: [f32; 2]) -> [f32; 2] {
        let column = (mm[0] - self.corner_mm[0]) / self.pixel_mm - 0.5;
        let column = if self.turned { self.columns as f32 - 1.0 - column } else { column };
        [column, (mm[1] - self.corner_mm[1]) / self.pixel_mm - 0.5]
    }

    /// The box around `centre` with the half extents `reach`, mm; None when its centre is not in the picture.
    fn bounds(&self, centre: [f32; 2], reach: [f32; 2]) -> Option<[f32; 4]> {
        let low = self.corner_mm;
        let high = [low[0] + self.columns as f32 * self.pixel_mm, low[1] + self.rows as f32 * self.pixel_mm];
        if (0..2).any(|a| centre[a] < low[a] || centre[a] > high[a]) {
            return None;
        }
        let corner = |sign: f32| self.pixel([0, 1].map(|a| (centre[a] + sign * reach[a]).clamp(low[a], high[a])));
        let (a, b) = (corner(-1.0), corner(1.0));
        Some([a[0].min(b[0]), a[1], a[0].max(b[0]), b[1]])
    }
}

/// Where a view shows the lesions that are there.
pub fn shown(pose: &super::compression::Pose, raster: &Raster, lesions: &[Lesion], prior: bool) -> Vec<ShownLesion> {
    let nipple = pose.nipple_mm();
    let here = |l: &&Lesion| l.side == pose.view.side && l.size(prior) > 0.0;
    let one = |l: &Lesion| {
        let centre = pose.shown(l.centre_mm);
        let [x, y, _] = pose.extent(l.half_mm.map(|h| h * l.size(prior)), 0.0);
        let bounds = raster.bounds(centre, [x, y])?;
        let apart = [centre[0] - nipple[0], centre[1] - nipple[1]];
        Some(ShownLesion {
            id: l.id,
            centre: raster.pixel(centre),
            bounds,
            nipple_distance_mm: (apart[0] * apart[0] + apart[1] * apart[1]).sqrt(),
            chest_wall_mm: centre[0],
            behind_nipple_mm: -apart[0],
        })
    };
    lesions.iter().filter(here).filter_map(one).collect()
}

pub fn pectoral(pectoral: Option<&Pectoral>, raster: &Raster) -> Option<[[f32; 2]; 2]> {
    let p = pectoral?;
    Some([raster.pixel([p.top_mm, 0.0]), raster.pixel([0.0, p.low_mm])])
}

impl ViewTruth {
    pub fn view(&self) -> View {
        View { side: self.side, projection: self.projection }
    }

    /// In pixels of a picture whose pixels are blocks of `factor` by `factor`.
    pub fn shrunk(&self, factor: usize) -> Self {
        let f = factor as f32;
        let one = |v: f32| (v + 0.5) / f - 0.5;
        let point = |p: [f32; 2]| p.map(one);
        Self {
            columns: self.columns / factor,
            rows: self.rows / factor,
            pixel_mm: self.pixel_mm * f,
            nipple: point(self.nipple),
            pectoral: self.pectoral.map(|line| line.map(point)),
            lesions: self
                .lesions
                .iter()
                .map(|l| ShownLesion { centre: point(l.centre), bounds: l.bounds.map(one), ..l.clone() })
                .collect(),
            ..self.clone()
        }
    }
}
