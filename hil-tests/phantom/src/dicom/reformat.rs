//! Series that scanners reconstruct besides the thin one: thick slices and coronal reformats, made from the voxels of
//! the thin series.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;

use super::{Instance, Scan, common, put, uid};
use crate::scanner::Series;

/// Distance of coronal planes, and the thickness that thick slices should have, mm.
const CORONAL_MM: f32 = 10.0;
const THICK_MM: f32 = 5.0;

/// How many thin slices make one thick one.
fn slices_per_thick(slice_mm: f32) -> usize {
    ((THICK_MM / slice_mm).round() as usize).max(1)
}

/// Thickness of the thick slices, mm.
pub(super) fn thick_mm(slice_mm: f32) -> f32 {
    slices_per_thick(slice_mm) as f32 * slice_mm
}

/// Means of adjacent thin slices, head to feet; thin slices that do not fill a thick slice are left out.
pub(super) fn thick(scan: &Scan<'_>) -> anyhow::Result<Vec<Instance>> {
    let grid = &scan.phantom.grid;
    let per = slices_per_thick(grid.slice_mm);
    let groups: Vec<_> = scan.slices.chunks_exact(per).enumerate().rev().collect();
    groups
        .par_iter()
        .enumerate()
        .map(|(index, (group, slices))| {
            let mean = |at: usize| slices.iter().map(|s| i32::from(s.hu[at])).sum::<i32>() / per as i32;
            let hu: Vec<i16> = (0..grid.rows * grid.columns).map(|at| mean(at) as i16).collect();
            let z = f64::from(grid.z(group * per)) + f64::from((per - 1) as f32 * grid.slice_mm) / 2.0;
            let position = format!("{:.2}\\{:.2}\\{z:.3}", grid.origin_mm[0], grid.origin_mm[1]);
            let mut o = image(scan, Series::Thick, index, [grid.rows, grid.columns]);
            put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, position);
            put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
            put(&mut o, tags::SLICE_LOCATION, VR::DS, format!("{z:.3}"));
            put(&mut o, tags::SLICE_THICKNESS, VR::DS, format!("{:.3}", thick_mm(grid.slice_mm)));
            scan.finish(o, Series::Thick, index, z, &hu, instance(scan, Series::Thick, index))
        })
        .collect()
}

/// Frontal planes from front to back, with square pixels.
pub(super) fn coronal(scan: &Scan<'_>) -> anyhow::Result<Vec<Instance>> {
    let grid = &scan.phantom.grid;
    let step = ((CORONAL_MM / grid.pixel_mm).round() as usize).max(1);
    let height = (grid.slices as f32 * grid.slice_mm / grid.pixel_mm) as usize;
    let planes: Vec<usize> = (0..grid.rows).step_by(step).collect();
    planes
        .par_iter()
        .enumerate()
        .map(|(index, row)| {
            let mut hu = Vec::with_capacity(height * grid.columns);
            for line in 0..height {
                // From the head down, the nearest slice.
                let depth = (line as f32 * grid.pixel_mm / grid.slice_mm) as usize;
                let slice = &scan.slices[grid.slices - 1 - depth.min(grid.slices - 1)];
                hu.extend_from_slice(&slice.hu[row * grid.columns..(row + 1) * grid.columns]);
            }
            let top = grid.z(grid.slices.saturating_sub(1));
            let y = grid.y(*row);
            let mut o = image(scan, Series::Coronal, index, [height, grid.columns]);
            put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, format!("{:.2}\\{y:.2}\\{top:.3}", grid.origin_mm[0]));
            put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
            put(&mut o, tags::SLICE_LOCATION, VR::DS, format!("{y:.2}"));
            put(&mut o, tags::SLICE_THICKNESS, VR::DS, "3");
            scan.finish(o, Series::Coronal, index, f64::from(top), &hu, instance(scan, Series::Coronal, index))
        })
        .collect()
}

fn instance(scan: &Scan<'_>, series: Series, index: usize) -> String {
    uid(&scan.names.root, &format!("{series:?}/{index}"))
}

fn image(scan: &Scan<'_>, series: Series, index: usize, [rows, columns]: [usize; 2]) -> InMemDicomObject {
    let grid = &scan.phantom.grid;
    let mut o = common(scan.phantom, &scan.names, &instance(scan, series, index), rows, columns);
    let kind = if series == Series::Thick { "ORIGINAL\\PRIMARY\\AXIAL" } else { "DERIVED\\SECONDARY\\MPR" };
    put(&mut o, tags::IMAGE_TYPE, VR::CS, kind);
    put(&mut o, tags::RESCALE_TYPE, VR::LO, "HU");
    put(&mut o, tags::SERIES_DESCRIPTION, VR::LO, format!("{series:?}"));
    put(&mut o, tags::CONVOLUTION_KERNEL, VR::SH, scan.phantom.options.kernel.name());
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, uid(&scan.names.root, &format!("{series:?}")));
    put(&mut o, tags::SERIES_NUMBER, VR::IS, format!("{}", series.number()));
    put(&mut o, tags::ACQUISITION_NUMBER, VR::IS, "1");
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, format!("{}", index + 1));
    put(&mut o, tags::PIXEL_SPACING, VR::DS, format!("{:.3}\\{:.3}", grid.pixel_mm, grid.pixel_mm));
    put(&mut o, tags::WINDOW_CENTER, VR::DS, "40");
    put(&mut o, tags::WINDOW_WIDTH, VR::DS, "400");
    o
}
