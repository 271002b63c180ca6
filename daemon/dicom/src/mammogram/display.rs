//! How a mammogram is shown by a page that changes the window itself: its values in 16 bits, and the grey of each value as a curve
//! that can be moved and stretched (PS3.3 sections C.7.6.3, C.11.2, C.8.11.7). Pure.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::{Table, bits_of, is_turned, single, spread, text};
use crate::cast::round_u16;
use crate::dataset::{first, floats};
use crate::header::Header;
use crate::pixels::pictures::Samples;

/// Points of a curve that is not a straight line, at most.
const POINTS: usize = 1024;
/// A sigmoid is drawn so many widths to each side of its centre; beyond them it is black or white to 1/2000.
const SIGMOID_WIDTHS: f64 = 2.0;

/// Greys along the values: linear between the points, and that of the nearest end beyond them.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The values (16 bits, as in [`Display::values`]) at the first and the last point.
    pub ends: [f64; 2],
    /// 0 (black) to 1 (white), at least two, at equal distances.
    pub greys: Vec<f32>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Display {
    /// Row by row, without sign.
    pub values: Vec<u16>,
    /// What a person calls a value: it times the first, plus the second.
    pub named: [f64; 2],
    /// Centre and width of the part of the curve that changes, in these values.
    pub window: [f64; 2],
    pub curve: Curve,
}

impl Curve {
    fn straight(low: f64, high: f64) -> Self {
        Self { ends: [low, high.max(low + 1e-6)], greys: vec![0.0, 1.0] }
    }

    /// Of a function of the value.
    fn of([low, high]: [f64; 2], points: usize, grey: impl Fn(f64) -> f64) -> Self {
        let points = points.clamp(2, POINTS);
        let step = (high - low) / (points - 1) as f64;
        Self { ends: [low, high], greys: (0..points).map(|i| single(grey(low + step * i as f64))).collect() }
    }

    /// The grey of a value, 0 to 1.
    pub fn grey(&self, value: f64) -> f32 {
        let [from, to] = self.ends;
        let last = self.greys.len().saturating_sub(1);
        let at = ((value - from) / (to - from) * last as f64).clamp(0.0, last as f64);
        let (low, part) = (usize::from(round_u16(at.floor())), single(at - at.floor()));
        let here = self.greys.get(low).copied().unwrap_or(0.0);
        let next = self.greys.get(low + 1).copied().unwrap_or(here);
        here + (next - here) * part
    }

    /// The values between which it goes from near its one end to near the other.
    fn slope(&self) -> [f64; 2] {
        let [from, to] = self.ends;
        let last = self.greys.len().saturating_sub(1).max(1);
        let (first, end) = (self.greys.first().copied().unwrap_or(0.0), self.greys.last().copied().unwrap_or(1.0));
        let (low, high) = (first.min(end), first.max(end));
        let near = (high - low) * 0.02;
        let inner = |grey: &f32| *grey > low + near && *grey < high - near;
        let at = |place: usize| from + (to - from) * place as f64 / last as f64;
        let begins = self.greys.iter().position(inner).unwrap_or(0);
        let ends = self.greys.iter().rposition(inner).unwrap_or(last);
        [at(begins.saturating_sub(1)), at((ends + 1).min(last))]
    }
}

/// The values of a frame and their display: the first VOI LUT, else the first window (linear or sigmoid), else the picture's own range;
/// MONOCHROME1 and a Presentation LUT Shape of INVERSE turn it. A picture for processing is shown as `levels` reads it.
pub fn of(header: &Header, data_set: &InMemDicomObject, samples: &Samples) -> Display {
    let bits = bits_of(header, samples);
    let count = 1u32 << bits;
    let signed = header.pixel_representation == 1;
    let half = if signed { count / 2 } else { 0 };
    // Two's complement as a number that grows: adding half turns its order into that of numbers without sign.
    let value = |raw: u16| u16::try_from((u32::from(raw) + half) & (count - 1)).unwrap_or(u16::MAX);
    let values: Vec<u16> = match samples.bits_allocated {
        8 => samples.bytes.iter().map(|byte| value(u16::from(*byte))).collect(),
        _ => samples.bytes.chunks_exact(2).map(|word| value(u16::from_le_bytes([word[0], word[1]]))).collect(),
    };
    let (slope, intercept) = (header.rescale_slope.unwrap_or(1.0), header.rescale_intercept.unwrap_or(0.0));
    let slope = if slope.is_finite() && slope != 0.0 { slope } else { 1.0 };
    let named = [slope, intercept - slope * f64::from(half)];
    let mut curve = if header.sop_class_uid == uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING {
        for_processing(header, data_set, &values, named)
    } else {
        let mut curve = shown(header, data_set, &values, named);
        if is_turned(header, data_set) {
            curve.greys.iter_mut().for_each(|grey| *grey = 1.0 - *grey);
        }
        curve
    };
    if curve.ends[0] > curve.ends[1] {
        curve.ends.swap(0, 1);
        curve.greys.reverse();
    }
    let [low, high] = curve.slope();
    Display { values, named, window: [f64::midpoint(low, high), (high - low).max(1.0)], curve }
}

fn shown(header: &Header, data_set: &InMemDicomObject, values: &[u16], named: [f64; 2]) -> Curve {
    // From what a person calls a value to the value.
    let plain = |name: f64| (name - named[1]) / named[0];
    if let Some(table) = first(data_set, tags::VOILUT_SEQUENCE).and_then(|item| Table::of(header, item)) {
        let ends = [table.first, table.first + table.entries.len().saturating_sub(1) as f64];
        let curve = Curve::of(ends, table.entries.len(), |name| f64::from(table.level(name)));
        return Curve { ends: ends.map(plain), ..curve };
    }
    let one = |tag| floats(data_set, tag).first().copied();
    match (one(tags::WINDOW_CENTER), one(tags::WINDOW_WIDTH)) {
        (Some(centre), Some(width)) if centre.is_finite() && width > 1.0 => {
            let curve = match text(data_set, tags::VOILUT_FUNCTION).as_str() {
                "SIGMOID" => {
                    let ends = [centre - SIGMOID_WIDTHS * width, centre + SIGMOID_WIDTHS * width];
                    Curve::of(ends, 257, |name| 1.0 / (1.0 + (-4.0 * (name - centre) / width).exp()))
                }
                "LINEAR_EXACT" => Curve::straight(centre - width / 2.0, centre + width / 2.0),
                _ => Curve::straight(centre - 0.5 - (width - 1.0) / 2.0, centre - 0.5 + (width - 1.0) / 2.0),
            };
            Curve { ends: curve.ends.map(plain), ..curve }
        }
        _ => {
            let [low, high] = spread(values.iter().map(|value| f64::from(*value))).unwrap_or([0.0, 1.0]);
            let curve = Curve::straight(low, high);
            // A negative slope names the lowest value as the highest.
            if named[0] < 0.0 { Curve { greys: vec![1.0, 0.0], ..curve } } else { curve }
        }
    }
}

fn for_processing(header: &Header, data_set: &InMemDicomObject, values: &[u16], named: [f64; 2]) -> Curve {
    let logarithmic = text(data_set, tags::PIXEL_INTENSITY_RELATIONSHIP) == "LIN";
    let scaled = |value: f64| if logarithmic { (value * named[0] + named[1]).max(1.0).ln() } else { value };
    let [low, high] = spread(values.iter().map(|value| scaled(f64::from(*value)))).unwrap_or([0.0, 1.0]);
    let sign = floats(data_set, tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN).first().copied();
    let dense_is_low = sign.map_or(header.photometric == "MONOCHROME1", |sign| sign > 0.0);
    let ends = if logarithmic { [low, high].map(|name| (name.exp() - named[1]) / named[0]) } else { [low, high] };
    Curve::of(ends, POINTS, |value| {
        let level = ((scaled(value) - low) / (high - low).max(1e-9)).clamp(0.0, 1.0);
        if dense_is_low { 1.0 - level } else { level }
    })
}

/// Means of squares of `factor` pixels a side, for a page that shows the whole picture small. Returns columns, rows and values.
pub fn reduced(values: &[u16], [columns, rows]: [usize; 2], factor: usize) -> ([usize; 2], Vec<u16>) {
    let factor = factor.max(1);
    if factor == 1 {
        return ([columns, rows], values.to_vec());
    }
    let size = [columns.div_ceil(factor), rows.div_ceil(factor)];
    let mut out = Vec::with_capacity(size[0] * size[1]);
    let mut sums = vec![0u32; size[0]];
    for band in values.chunks(columns.max(1) * factor).take(size[1]) {
        sums.fill(0);
        let high = band.len().div_ceil(columns.max(1));
        for row in band.chunks(columns.max(1)) {
            for (sum, part) in sums.iter_mut().zip(row.chunks(factor)) {
                *sum += part.iter().map(|value| u32::from(*value)).sum::<u32>();
            }
        }
        for (place, sum) in sums.iter().enumerate() {
            let wide = factor.min(columns - place * factor);
            let count = u32::try_from(wide * high).unwrap_or(1).max(1);
            out.push(u16::try_from((sum + count / 2) / count).unwrap_or(u16::MAX));
        }
    }
    (size, out)
}

#[cfg(test)]
mod tests {
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, Tag, VR};

    use super::super::levels;
    use super::*;

    const SHOWN: &str = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION;
    const RAW: &str = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING;

    fn set(pairs: &[(Tag, VR, &str)]) -> InMemDicomObject {
        let mut set = InMemDicomObject::new_empty();
        for (tag, vr, text) in pairs {
            set.put(DataElement::new(*tag, *vr, PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())));
        }
        set
    }

    fn samples(values: impl Iterator<Item = u16>) -> Samples {
        let bytes = values.flat_map(|value| value.to_le_bytes()).collect();
        Samples { bytes, bits_allocated: 16, precision: None, is_native: true, is_rgb: false }
    }

    /// What a page draws at first is what the analysis reads: two ways to one picture must not differ.
    #[test]
    fn the_first_look_is_what_the_analysis_reads_for_every_kind_of_display() {
        let window = [(tags::WINDOW_CENTER, VR::DS, "1800"), (tags::WINDOW_WIDTH, VR::DS, "1500")];
        let with = |more: &[(Tag, VR, &str)]| set(&[&window[..], more].concat());
        let mut table = InMemDicomObject::new_empty();
        table.put(DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16([3000, 500, 12].as_slice().into()),
        ));
        let entries: Vec<u16> = (0..3000u32).map(|i| u16::try_from(i * i / 2198).unwrap()).collect();
        table.put(DataElement::new(tags::LUT_DATA, VR::US, PrimitiveValue::U16(entries.into())));
        let mut looked_up = set(&[]);
        looked_up.put(DataElement::new(tags::VOILUT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![table])));
        let lin = [
            (tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, "LIN"),
            (tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, VR::IS, "1"),
        ];
        let cases = [
            ("linear", SHOWN, set(&window)),
            ("exact", SHOWN, with(&[(tags::VOILUT_FUNCTION, VR::CS, "LINEAR_EXACT")])),
            ("sigmoid", SHOWN, with(&[(tags::VOILUT_FUNCTION, VR::CS, "SIGMOID")])),
            ("inverse", SHOWN, with(&[(tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE")])),
            ("table", SHOWN, looked_up),
            ("none", SHOWN, set(&[])),
            ("raw", RAW, set(&lin)),
            ("raw logarithm", RAW, set(&[])),
        ];
        for (name, class, data_set) in cases {
            for (photometric, signed, slope) in [
                ("MONOCHROME2", 0, None),
                ("MONOCHROME1", 0, None),
                ("MONOCHROME2", 1, None),
                ("MONOCHROME2", 0, Some(2.0)),
            ] {
                if signed == 1 && (name == "table" || name == "raw") {
                    continue; // no such picture: a logarithm, or a table that begins at 500
                }
                let header = Header {
                    sop_class_uid: class.into(),
                    photometric: photometric.into(),
                    bits_stored: 12,
                    bits_allocated: 16,
                    pixel_representation: signed,
                    rescale_slope: slope,
                    rescale_intercept: slope.map(|_| -100.0),
                    ..Header::default()
                };
                let pixels = samples((200..4000).step_by(7));
                let read = levels(&header, &data_set, &pixels);
                let display = of(&header, &data_set, &pixels);
                let drawn = display.values.iter().map(|value| display.curve.grey(f64::from(*value)));
                let most = drawn.zip(&read).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(most < 1.5 / 255.0, "{name} {photometric} {signed} {slope:?}: {most}");
            }
        }
    }

    #[test]
    fn a_value_keeps_its_name_and_its_order_when_it_has_a_sign() {
        let header = Header {
            sop_class_uid: SHOWN.into(),
            photometric: "MONOCHROME2".into(),
            bits_stored: 12,
            bits_allocated: 16,
            pixel_representation: 1,
            ..Header::default()
        };
        // -1, 0 and 1 in 12 bits.
        let display = of(&header, &set(&[]), &samples([0xfff, 0, 1].into_iter()));
        assert_eq!(display.values, [2047, 2048, 2049]);
        let names: Vec<f64> =
            display.values.iter().map(|v| f64::from(*v) * display.named[0] + display.named[1]).collect();
        assert_eq!(names, [-1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_smaller_picture_is_the_mean_of_its_squares_also_at_its_edges() {
        let (size, values) = reduced(&[0, 10, 20, 30, 40, 50, 60, 70, 81], [3, 3], 2);
        assert_eq!((size, values), ([2, 2], vec![20, 35, 65, 81]));
        assert_eq!(reduced(&[1, 2, 3, 4], [2, 2], 1), ([2, 2], vec![1, 2, 3, 4]));
    }
}
