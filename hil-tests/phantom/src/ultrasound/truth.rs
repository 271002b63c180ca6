//! What was planted, and which parts of it each frame shows.

use serde::Serialize;

use super::canvas::Canvas;
use super::descriptors::Descriptors;
use super::image::View;
use super::layout::{Layout, Rect};
use super::lesion::Lesion;
use super::motion::Pose;
use super::settings::Settings;

/// A lesion with a smaller area than this in the plane does not count as visible, mm².
pub const VISIBLE_MM2: f32 = 3.0;

#[derive(Debug, Clone, Serialize)]
pub struct VideoTruth {
    pub seed: u64,
    pub fps: f32,
    pub layout: &'static Layout,
    pub settings: Settings,
    /// The pixels that show tissue, and their size.
    pub image: Rect,
    pub mm_per_pixel: f32,
    pub lesions: Vec<PlantedLesion>,
    pub frames: Vec<FrameTruth>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PlantedLesion {
    pub id: u8,
    pub malignant: bool,
    #[serde(flatten)]
    pub descriptors: Descriptors,
    /// Lateral (0 is the middle of the probe's path), depth, elevation, mm.
    pub centre_mm: [f32; 3],
    /// Lateral, depth, elevation before bumps, mm.
    pub axes_mm: [f32; 3],
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameTruth {
    pub frame: usize,
    pub pose: Pose,
    pub frozen: bool,
    /// Callipers are drawn in the sector.
    pub callipers: bool,
    pub lesions: Vec<VisibleLesion>,
}

/// The part of a lesion that lies in the image plane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VisibleLesion {
    pub id: u8,
    pub malignant: bool,
    #[serde(flatten)]
    pub descriptors: Descriptors,
    /// Bounding box in pixels of the screen, and relative to the corner of the sector.
    pub screen_box: Rect,
    pub sector_box: Rect,
    /// Lateral and in depth, as displayed.
    pub size_mm: [f32; 2],
    pub area_mm2: f32,
}

impl PlantedLesion {
    pub fn of(lesion: &Lesion) -> Self {
        Self {
            id: lesion.id,
            malignant: lesion.descriptors.malignant(),
            descriptors: lesion.descriptors,
            centre_mm: lesion.centre,
            axes_mm: lesion.half.map(|h| 2.0 * h),
        }
    }
}

/// Measures every lesion on the label image of a screen; lesions that are too small are removed from the image.
pub fn visible(labels: &mut Canvas, lesions: &[Lesion], view: &View, sector: Rect) -> Vec<VisibleLesion> {
    let mut found = vec![([usize::MAX; 2], [0usize; 2], 0usize); lesions.len()];
    for y in view.rect.y..view.rect.bottom() {
        for (x, id) in labels.grey[y * labels.width..][view.rect.x..view.rect.right()].iter().enumerate() {
            if *id > 0 {
                let (low, high, count) = &mut found[usize::from(*id) - 1];
                let at = [view.rect.x + x, y];
                for a in 0..2 {
                    low[a] = low[a].min(at[a]);
                    high[a] = high[a].max(at[a] + 1);
                }
                *count += 1;
            }
        }
    }
    let pixel = view.mm_per_pixel * view.mm_per_pixel;
    let mut visible = Vec::new();
    for (lesion, (low, high, count)) in lesions.iter().zip(found).filter(|(_, f)| f.2 > 0) {
        if (count as f32) * pixel < VISIBLE_MM2 {
            labels.grey.iter_mut().filter(|l| **l == lesion.id).for_each(|l| *l = 0);
            continue;
        }
        let size = [high[0] - low[0], high[1] - low[1]];
        visible.push(VisibleLesion {
            id: lesion.id,
            malignant: lesion.descriptors.malignant(),
            descriptors: lesion.descriptors,
            screen_box: Rect::new(low[0], low[1], size[0], size[1]),
            sector_box: Rect::new(low[0] - sector.x, low[1] - sector.y, size[0], size[1]),
            size_mm: size.map(|s| s as f32 * view.mm_per_pixel),
            area_mm2: count as f32 * pixel,
        });
    }
    visible
}
