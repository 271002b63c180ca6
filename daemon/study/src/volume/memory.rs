//! How much memory a series needs, known from its headers before anything is decoded. Pure.
//!
//! A file of a few kilobytes may decode to gigabytes. Therefore the planes of all slices, what decoding needs beside them and
//! what analysis needs are added up first; what does not fit is refused, and what fits is decoded by as many threads as
//! the rest allows.

use std::sync::Arc;

use custody::instance::Instance;
use dicom::header::Header;
use dicom::pixels::deflated;
use dicom::scan::is_deflated;
use models::Refusal;
use models::task::us_breast::clip;

use super::geometry::{Arranged, SliceGeometry};
use super::sound::sound;

/// What one instance needs, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Of its decoded slices: two bytes per pixel, whatever is stored. They stay.
    pub planes: u64,
    /// Beside them while it is decoded: the file, its joined fragments, and what the decoder allocates.
    pub beside: u64,
}

/// Bytes per pixel that the worst of the codecs needs while it works: JPEG 2000 has 32-bit coefficients, as many again in
/// its output, then bytes.
const CODEC_BYTES_PER_PIXEL: u64 = 16;

/// Analysis holds the box of the lungs on a grid of this spacing, millimetres.
const GRID_MM: f64 = 1.5;
/// Bytes per point of that grid, for the values, the network's answers and the labels of all findings.
const BYTES_PER_POINT: u64 = 24;
/// The largest box of lungs, points: 500 x 500 x 500 mm.
const MOST_POINTS: u64 = 37_000_000;

impl Need {
    /// When up to `threads` frames of the instance are decoded at the same time.
    pub(super) fn of(instance: &Instance, threads: usize) -> Self {
        Self::new(&instance.header, instance.location.length(), threads)
    }

    fn new(header: &Header, file_bytes: u64, threads: usize) -> Self {
        let frame = u64::from(header.rows).saturating_mul(u64::from(header.columns));
        let frames = u64::from(header.number_of_frames.max(1));
        let planes = frame.saturating_mul(2).saturating_mul(frames);
        let at_once = frames.min(u64::try_from(threads).unwrap_or(u64::MAX));
        let file = file_bytes.saturating_mul(2);
        let decoder = if is_deflated(&header.transfer_syntax_uid) {
            deflated::most_bytes(header)
        } else {
            frame.saturating_mul(CODEC_BYTES_PER_PIXEL).saturating_mul(at_once)
        };
        Self { planes, beside: file.saturating_add(decoder) }
    }
}

/// Bytes per pixel of a picture that is looked at: its colours, its grey, and the grey of as many frames of a clip as show a
/// lesion.
const PICTURE_BYTES_PER_PIXEL: u64 = 4 + clip::MOST_FRAMES as u64;

/// What decoding all slices of one instance needs, bytes.
pub fn slices_bytes(header: &Header, file_bytes: u64) -> u64 {
    let need = Need::new(header, file_bytes, rayon::current_num_threads());
    need.planes.saturating_add(need.beside)
}

/// What looking at one image or clip needs, one frame after the other, bytes.
pub fn picture_bytes(header: &Header, file_bytes: u64) -> u64 {
    let frame = u64::from(header.rows).saturating_mul(u64::from(header.columns));
    Need::new(header, file_bytes, 1).beside.saturating_add(frame.saturating_mul(PICTURE_BYTES_PER_PIXEL))
}

/// Bytes that the analysis of a series needs beside its planes.
fn analysis_bytes(headers: &[&Header]) -> u64 {
    let Some(first) = headers.first() else { return 0 };
    let [row_mm, column_mm] = first.pixel_spacing.unwrap_or([1.0, 1.0]);
    let along = headers.iter().filter_map(|header| header.image_position).map(|at| at[2]);
    let (low, high) = along.fold((f64::MAX, f64::MIN), |(low, high), z| (low.min(z), high.max(z)));
    let extents = [f64::from(first.rows) * row_mm, f64::from(first.columns) * column_mm, (high - low).max(0.0)];
    let points: f64 = extents.iter().map(|mm| (mm / GRID_MM).abs() + 1.0).product();
    // A float that is out of range, or no number, saturates: exactly what is wanted of a bound.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let points = points as u64;
    points.min(MOST_POINTS) * BYTES_PER_POINT
}

/// How many instances may be decoded at the same time, so that all of `instances` and their analysis stay within
/// `limit_bytes`; at most `threads`.
///
/// # Errors
/// `TooLarge` when not even one at a time would do.
pub(super) fn plan(instances: &[Arc<Instance>], limit_bytes: u64, threads: usize) -> Result<usize, Refusal> {
    let (needs, analysis) = needs(instances, threads);
    at_once(&needs, analysis, limit_bytes, threads)
}

/// What all of `instances` and their analysis need when they are decoded one at a time, bytes.
pub(super) fn needed(instances: &[Arc<Instance>], threads: usize) -> u64 {
    let (needs, analysis) = needs(instances, threads);
    least(&needs, analysis)
}

/// Of each instance, and of the analysis.
fn needs(instances: &[Arc<Instance>], threads: usize) -> (Vec<Need>, u64) {
    let headers: Vec<&Header> = instances.iter().map(|instance| &instance.header).collect();
    let needs = instances.iter().map(|instance| Need::of(instance, threads)).collect();
    (needs, analysis_bytes(&headers).saturating_add(upright_bytes(&headers)))
}

/// Slices are decoded before they are analysed, so that what decoding needs and what analysis needs are not added.
fn least(needs: &[Need], analysis: u64) -> u64 {
    let planes = needs.iter().fold(0u64, |sum, need| sum.saturating_add(need.planes));
    let beside = needs.iter().map(|need| need.beside).max().unwrap_or(0).max(1);
    planes.saturating_add(beside.max(analysis))
}

/// Bytes of the upright planes of a tilted gantry; they are larger than those that were sent, which stay.
fn upright_bytes(headers: &[&Header]) -> u64 {
    let places: Vec<SliceGeometry> = headers.iter().map(|header| SliceGeometry::from(*header)).collect();
    // As it will be read: with what is missing, too.
    match sound(&places, &vec![None; places.len()], None).map(|found| found.arranged) {
        Ok(Arranged { tilt: Some(_), geometry, .. }) => {
            let voxels = geometry.dims.iter().map(|n| u64::try_from(*n).unwrap_or(u64::MAX));
            voxels.fold(2, u64::saturating_mul)
        }
        _ => 0,
    }
}

fn at_once(needs: &[Need], analysis: u64, limit_bytes: u64, threads: usize) -> Result<usize, Refusal> {
    let planes = needs.iter().fold(0u64, |sum, need| sum.saturating_add(need.planes));
    let beside = needs.iter().map(|need| need.beside).max().unwrap_or(0).max(1);
    let needed = least(needs, analysis);
    if needed > limit_bytes {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        return Err(Refusal::TooLarge { needed_mib: mib(needed), limit_mib: limit_bytes >> 20 });
    }
    let fit = usize::try_from((limit_bytes - planes) / beside).unwrap_or(usize::MAX);
    Ok(fit.clamp(1, threads.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn sixty_slices_of_8000_by_8000_are_refused_before_one_is_decoded() {
        let header = Header { rows: 8000, columns: 8000, ..Header::default() };
        let needs = [Need::new(&header, 125_000, 4); 60];
        let refused = at_once(&needs, 0, 4096 * MIB, 4).unwrap_err();
        assert_eq!(refused.kind(), "too-large");
        assert!(refused.to_string().contains("4096 MiB"), "{refused}");
    }

    #[test]
    fn an_ordinary_chest_ct_is_decoded_by_all_threads() {
        let header = Header { rows: 512, columns: 512, ..Header::default() };
        let needs = [Need::new(&header, 530_000, 16); 1000];
        assert_eq!(at_once(&needs, MOST_POINTS * BYTES_PER_POINT, 4096 * MIB, 16), Ok(16));
    }

    #[test]
    fn a_header_of_absurd_extents_needs_a_bounded_analysis_and_never_panics() {
        let header = Header { rows: 512, columns: 512, pixel_spacing: Some([f64::MAX, f64::NAN]), ..Header::default() };
        assert!(analysis_bytes(&[&header]) <= MOST_POINTS * BYTES_PER_POINT);
    }

    #[test]
    fn the_upright_planes_of_a_tilted_gantry_are_counted() {
        let header = |lean: f64| {
            move |k: u32| Header {
                rows: 512,
                columns: 512,
                pixel_spacing: Some([0.7, 0.7]),
                image_orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
                image_position: Some([0.0, f64::from(k) * lean, f64::from(k)]),
                ..Header::default()
            }
        };
        let bytes = |lean: f64| {
            let headers: Vec<Header> = (0..300).map(header(lean)).collect();
            upright_bytes(&headers.iter().collect::<Vec<_>>())
        };
        assert_eq!(bytes(0.0), 0);
        assert!(bytes(0.3) > 300 * 512 * 620 * 2, "{}", bytes(0.3));
    }

    proptest! {
        #[test]
        fn what_is_decoded_at_once_stays_within_the_limit(
            needs in prop::collection::vec((0u64..1 << 34, 0u64..1 << 34), 0..50), analysis in 0u64..1 << 34,
            limit in 0u64..1 << 36, threads in 0usize..64,
        ) {
            let needs: Vec<_> = needs.into_iter().map(|(planes, beside)| Need { planes, beside }).collect();
            let planes: u64 = needs.iter().map(|need| need.planes).sum();
            let worst = needs.iter().map(|need| need.beside).max().unwrap_or(0);
            match at_once(&needs, analysis, limit, threads) {
                Ok(at_once) => {
                    prop_assert!(at_once >= 1 && at_once <= threads.max(1));
                    prop_assert!(planes + worst * at_once as u64 <= limit || worst == 0);
                    prop_assert!(planes + analysis <= limit);
                }
                Err(_) => prop_assert!(planes + worst.max(analysis).max(1) > limit),
            }
        }
    }
}
