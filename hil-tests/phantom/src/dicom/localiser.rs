//! Localisers: overview images from the front and from the side, which every scanner sends before the slices.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::{Instance, Scan, common, put, uid};
use crate::scanner::Series;

/// The direction from which the localiser is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Front,
    Side,
}

/// Makes a localiser: each pixel is the mean along its line of sight, from front to back or from right to left.
pub(super) fn localiser(scan: &Scan<'_>, look: Look) -> anyhow::Result<Instance> {
    let Scan { phantom, slices, names, .. } = scan;
    let grid = &phantom.grid;
    let index = usize::from(look == Look::Side);
    let instance = uid(&names.root, &format!("scout/{index}"));
    let pixel = grid.pixel_mm.max(grid.slice_mm);
    let across = if look == Look::Front { grid.columns } else { grid.rows };
    let extent = |count: usize, step: f32| ((count as f32 * step / pixel) as usize).max(1);
    let (rows, columns) = (extent(grid.slices, grid.slice_mm), extent(across, grid.pixel_mm));
    let mut hu = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let k = grid.slices - 1 - ((row as f32 * pixel / grid.slice_mm) as usize).min(grid.slices - 1);
        for column in 0..columns {
            let i = ((column as f32 * pixel / grid.pixel_mm) as usize).min(across - 1);
            let plane = &slices[k].hu;
            let mean = match look {
                Look::Front => mean(plane.iter().skip(i).step_by(grid.columns)),
                Look::Side => mean(plane[i * grid.columns..(i + 1) * grid.columns].iter()),
            };
            hu.push(mean);
        }
    }
    let mut o = common(phantom, names, &instance, rows, columns);
    put(&mut o, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    // Means along lines of sight are not Hounsfield units (PS3.3 C.8.2.1).
    put(&mut o, tags::RESCALE_TYPE, VR::LO, "US");
    put(&mut o, tags::SERIES_DESCRIPTION, VR::LO, "Topogram");
    put(&mut o, tags::SLICE_THICKNESS, VR::DS, "0.6");
    put(&mut o, tags::CONVOLUTION_KERNEL, VR::SH, "T20f");
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, names.scout.clone());
    put(&mut o, tags::SERIES_NUMBER, VR::IS, "1");
    put(&mut o, tags::ACQUISITION_NUMBER, VR::IS, "1");
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, format!("{}", index + 1));
    let top = grid.z(grid.slices.saturating_sub(1));
    let (position, orientation) = match look {
        Look::Front => (format!("{:.2}\\0\\{top:.2}", grid.origin_mm[0]), "1\\0\\0\\0\\0\\-1"),
        Look::Side => (format!("0\\{:.2}\\{top:.2}", grid.origin_mm[1]), "0\\1\\0\\0\\0\\-1"),
    };
    put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, position);
    put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, orientation);
    put(&mut o, tags::PIXEL_SPACING, VR::DS, format!("{pixel:.3}\\{pixel:.3}"));
    put(&mut o, tags::WINDOW_CENTER, VR::DS, "-500");
    put(&mut o, tags::WINDOW_WIDTH, VR::DS, "900");
    scan.finish(o, Series::Localiser, index, f64::from(top), &hu, instance)
}

/// Mean of one line of sight.
fn mean<'a>(values: impl ExactSizeIterator<Item = &'a i16>) -> i16 {
    let count = values.len().max(1) as i64;
    (values.map(|v| i64::from(*v)).sum::<i64>() / count) as i16
}
