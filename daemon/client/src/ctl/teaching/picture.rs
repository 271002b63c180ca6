//! Draws one image of a case, from its copy, with and without outlines.

use dicom::pixels::colour::Conversion;
use dicom::pixels::pictures::{Pictures, Samples};
use dicom::regions::{self, Region, Shows};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::outline::{Chosen, inside};

/// Grey levels of a CT, HU: centre and width.
const LUNG: [f64; 2] = [-600.0, 1500.0];
const SOFT: [f64; 2] = [40.0, 400.0];
/// What surrounds a finding of the lung has fewer HU on average.
const LUNG_BELOW: f64 = -300.0;
/// How far the surroundings go, pixels.
const AROUND: usize = 6;
/// Scales of regions that differ by no more than this share are one.
const SAME_SCALE: f64 = 0.01;

#[derive(Debug, Clone)]
pub struct Picture {
    /// Columns, rows.
    pub size: [u32; 2],
    pub rgb: Vec<u8>,
    /// Millimetres for a pixel across and down, where the image tells.
    pub mm: Option<[f64; 2]>,
}

/// # Errors
/// Why it cannot be shown.
pub fn draw(part10: &[u8], chosen: &Chosen) -> Result<Picture, String> {
    let pictures = Pictures::open(part10).map_err(|error| error.to_string())?;
    let header = &pictures.header;
    let size = [header.columns, header.rows];
    if size != chosen.size {
        return Err("its outlines are of another size".into());
    }
    let index = chosen.frame.checked_sub(1).map_or(usize::MAX, |index| index as usize);
    let samples = pictures.decode(index).ok_or("it has no such frame")?.map_err(|error| error.to_string())?;
    let conversion = Conversion::of(header, &pictures.data_set).map_err(|error| error.to_string())?;
    let pixels = size[0] as usize * size[1] as usize;
    let rgb = if header.modality == "CT" && samples.bits_allocated == 16 {
        let hu = hounsfield(&samples, &pictures);
        let window = window(&hu, chosen);
        hu.iter().flat_map(|value| [grey(*value, window); 3]).collect()
    } else if conversion.is_grey() {
        let mut bytes = vec![0; pixels];
        conversion.convert(&samples, size[0] as usize, &mut bytes);
        bytes.iter().flat_map(|byte| [*byte; 3]).collect()
    } else {
        let mut bytes = vec![0; pixels * 3];
        conversion.convert(&samples, size[0] as usize, &mut bytes);
        bytes
    };
    Ok(Picture { size, rgb, mm: millimetres(&pictures.data_set, chosen) })
}

fn hounsfield(samples: &Samples, pictures: &Pictures) -> Vec<f64> {
    let header = &pictures.header;
    let (slope, intercept) = (header.rescale_slope.unwrap_or(1.0), header.rescale_intercept.unwrap_or(0.0));
    let value = |word: &[u8]| {
        let bytes = [word[0], word[1]];
        let stored = match header.pixel_representation {
            0 => f64::from(u16::from_le_bytes(bytes)),
            _ => f64::from(i16::from_le_bytes(bytes)),
        };
        stored * slope + intercept
    };
    samples.bytes.chunks_exact(2).map(value).collect()
}

/// That in which the surroundings of what is outlined can be seen.
fn window(hu: &[f64], chosen: &Chosen) -> [f64; 2] {
    let [columns, rows] = chosen.size.map(|side| side as usize);
    let mut marked = vec![false; columns * rows];
    for mark in &chosen.marks {
        marked.iter_mut().zip(inside(&mark.runs, chosen.size)).for_each(|(all, one)| *all |= one);
    }
    let (mut sum, mut count) = (0.0, 0.0);
    for at in (0..marked.len()).filter(|at| is_edge(&marked, columns, *at)) {
        let (x, y) = (at % columns, at / columns);
        for (u, v) in [(x.saturating_sub(AROUND), y), (x + AROUND, y), (x, y.saturating_sub(AROUND)), (x, y + AROUND)] {
            let there = v * columns + u;
            if u < columns && v < rows && !marked[there] {
                sum += hu.get(there).copied().unwrap_or(0.0);
                count += 1.0;
            }
        }
    }
    if count > 0.0 && sum / count < LUNG_BELOW { LUNG } else { SOFT }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, from 0 to 255")]
fn grey(hu: f64, [centre, width]: [f64; 2]) -> u8 {
    (((hu - centre) / width + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8
}

/// The same picture with the borders of the marks, drawn just inside them.
pub fn with_outlines(picture: &Picture, chosen: &Chosen) -> Vec<u8> {
    let mut rgb = picture.rgb.clone();
    let columns = picture.size[0] as usize;
    for mark in &chosen.marks {
        let inside = inside(&mark.runs, picture.size);
        for at in (0..inside.len()).filter(|at| is_edge(&inside, columns, *at)) {
            rgb[3 * at..3 * at + 3].copy_from_slice(&mark.colour);
        }
    }
    rgb
}

/// A pixel of the mark beside one that is not.
fn is_edge(inside: &[bool], columns: usize, at: usize) -> bool {
    let x = at % columns;
    let next = |there: Option<usize>| there.and_then(|there| inside.get(there)).is_some_and(|inside| *inside);
    let left = if x > 0 { next(Some(at - 1)) } else { false };
    let right = if x + 1 < columns { next(Some(at + 1)) } else { false };
    inside[at] && !(left && right && next(at.checked_sub(columns)) && next(Some(at + columns)))
}

/// Of an ultrasound picture the scale of the region that has all the marks: the halves of a screen may differ in depth. None where
/// that is not one scale.
fn millimetres(set: &InMemDicomObject, chosen: &Chosen) -> Option<[f64; 2]> {
    let pair = |tag| {
        let values = floats(set, tag);
        Some([*values.get(1)?, *values.first()?])
    };
    // On the detector the body is larger than it is.
    let factor = floats(set, tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR).first().copied();
    let factor = factor.filter(|factor| factor.is_finite() && *factor >= 1.0).unwrap_or(1.0);
    let on_detector = || Some(pair(tags::IMAGER_PIXEL_SPACING)?.map(|mm| mm / factor));
    let spacing = match regions::of(set) {
        regions if regions.is_empty() && is_mammogram(set) => on_detector().or_else(|| pair(tags::PIXEL_SPACING)),
        regions if regions.is_empty() => pair(tags::PIXEL_SPACING).or_else(on_detector),
        regions => of_regions(&regions, chosen),
    };
    spacing.filter(|mm| mm.iter().all(|mm| mm.is_finite() && *mm > 0.0))
}

/// Pixel Spacing of a mammogram may be that of the detector, without saying so.
fn is_mammogram(set: &InMemDicomObject) -> bool {
    let modality = set.element_opt(tags::MODALITY).ok().flatten();
    modality.and_then(|element| element.to_str().ok()).is_some_and(|modality| modality.trim() == "MG")
}

fn floats(set: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let element = set.element_opt(tag).ok().flatten();
    element.and_then(|element| element.to_multi_float64().ok()).unwrap_or_default()
}

fn of_regions(regions: &[Region], chosen: &Chosen) -> Option<[f64; 2]> {
    let columns = chosen.size[0].max(1);
    let runs = || chosen.marks.iter().flat_map(|mark| &mark.runs);
    let ends = || runs().flat_map(|[first, length]| [*first, first.saturating_add(length.saturating_sub(1))]);
    let touches = |[left, top, right, bottom]: [u32; 4], at: u32| {
        let (x, y) = (at % columns, at / columns);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    let is_tissue = |region: &&Region| matches!(region.shows, Shows::Tissue | Shows::ColourFlow);
    let own: Vec<&Region> =
        regions.iter().filter(is_tissue).filter(|region| ends().any(|at| touches(region.bounds, at))).collect();
    let first = own.first()?.mm?;
    let is_alike = |mm: [f64; 2]| mm.iter().zip(first).all(|(one, other)| (one - other).abs() <= SAME_SCALE * other);
    let are_inside = ends().all(|at| own.iter().any(|region| touches(region.bounds, at)));
    (are_inside && own.iter().all(|region| region.mm.is_some_and(is_alike))).then_some(first)
}

/// # Errors
/// When the encoder refuses it.
pub fn png(size: [u32; 2], rgb: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, size[0], size[1]);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(rgb).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use dicom_core::value::PrimitiveValue;
    use dicom_core::{DataElement, VR};

    use super::super::outline::Mark;
    use super::*;

    #[test]
    fn an_outline_is_the_border_of_what_is_marked_and_the_rest_is_as_it_was() {
        let runs = vec![[6, 3], [11, 3], [16, 3]];
        let chosen = Chosen {
            sop_uid: String::new(),
            frame: 1,
            size: [5, 5],
            marks: vec![Mark { label: String::new(), colour: [255, 0, 0], runs }],
        };
        let picture = Picture { size: [5, 5], rgb: vec![9; 75], mm: None };
        let drawn = with_outlines(&picture, &chosen);
        let red: Vec<usize> = (0..25).filter(|at| drawn[3 * at] == 255).collect();
        assert_eq!(red, [6, 7, 8, 11, 13, 16, 17, 18]);
        assert_eq!(drawn.iter().filter(|byte| **byte == 9).count(), 3 * 17);
    }

    #[test]
    fn a_finding_of_the_lung_is_shown_in_the_window_of_the_lung() {
        let marks = vec![Mark { label: String::new(), colour: [0; 3], runs: vec![[210, 1]] }];
        let chosen = Chosen { sop_uid: String::new(), frame: 1, size: [20, 20], marks };
        assert_eq!(window(&[-850.0; 400], &chosen), LUNG);
        assert_eq!(window(&[30.0; 400], &chosen), SOFT);
        assert_eq!((grey(-5000.0, LUNG), grey(-600.0, LUNG), grey(3000.0, SOFT)), (0, 128, 255));
    }

    fn marked(at: [u32; 2]) -> Chosen {
        let marks = vec![Mark { label: String::new(), colour: [0; 3], runs: vec![at] }];
        Chosen { sop_uid: String::new(), frame: 1, size: [20, 10], marks }
    }

    #[test]
    fn a_miss_is_measured_with_the_scale_of_the_region_that_has_the_marks() {
        let half =
            |left, right, mm: f64| Region { shows: Shows::Tissue, bounds: [left, 0, right, 10], mm: Some([mm; 2]) };
        let regions = [half(0, 10, 0.08), half(10, 20, 0.04)];
        assert_eq!(of_regions(&regions, &marked([42, 3])), Some([0.08; 2]));
        assert_eq!(of_regions(&regions, &marked([52, 3])), Some([0.04; 2]));
        assert_eq!(of_regions(&regions, &marked([48, 5])), None, "in both");
        assert_eq!(of_regions(&[half(0, 10, 0.08)], &marked([52, 3])), None, "outside");
    }

    #[test]
    fn a_magnified_picture_is_measured_in_the_breast() {
        let mut set = InMemDicomObject::new_empty();
        set.put(DataElement::new(tags::MODALITY, VR::CS, PrimitiveValue::from("MG")));
        for (tag, values) in [
            (tags::IMAGER_PIXEL_SPACING, vec![0.09, 0.18]),
            (tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR, vec![1.8]),
        ] {
            set.put(DataElement::new(tag, VR::DS, PrimitiveValue::F64(values.into())));
        }
        let mm = millimetres(&set, &marked([0, 1])).unwrap();
        assert!((mm[0] - 0.1).abs() < 1e-9 && (mm[1] - 0.05).abs() < 1e-9, "{mm:?}");
    }
}
