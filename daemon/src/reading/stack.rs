//! The pictures of one series in the order in which a person looks through them. Pure.

use custody::instance::Instance;
use dicom::header::Header;
use dicom::kind::SeriesKind;
use serde::Serialize;
use study::volume::geometry;

/// How the pixels of a picture come, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pixels {
    /// Hounsfield units, 16 bits with sign.
    Hounsfield,
    /// One byte.
    Grey,
    /// Red, green and blue, one byte each.
    Colour,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stack {
    pub pixels: Pixels,
    /// Direction cosines of increasing column index, then of increasing row index (LPS), when all pictures share them.
    pub orientation: Option<[f64; 6]>,
    /// Millimetres between rows, then between columns, when all pictures share them.
    pub spacing_mm: Option<[f64; 2]>,
    pub pictures: Vec<Picture>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Row in `instances`; of a key image that this box made, in `results`.
    pub instance: i64,
    pub is_result: bool,
    /// Counted from 1.
    pub frame: u32,
    pub rows: u32,
    pub columns: u32,
    pub sop_instance_uid: String,
    /// Is it one of several frames of its instance?
    pub is_frame: bool,
    pub number: Option<i64>,
    /// Centre of the first pixel, millimetres, LPS.
    pub position_mm: Option<[f64; 3]>,
}

/// The stack of a series of this kind. Slices of a body go from head to feet, from left to right or from front to back;
/// where not every slice says its place, and for other images, the order is that of their numbers.
pub fn stack(kind: SeriesKind, instances: &[Instance]) -> Stack {
    let headers = || instances.iter().map(|instance| &instance.header);
    let mut pictures: Vec<Picture> = instances.iter().flat_map(pictures).collect();
    let orientation = shared(headers().map(|header| header.image_orientation));
    let placed = orientation.filter(|_| pictures.iter().all(|picture| picture.position_mm.is_some()));
    match placed {
        Some(orientation) => {
            let normal = geometry::across(orientation);
            // The axis that it is closest to; towards head and left the coordinates grow (LPS), to the back, too.
            let axis = (0..3).max_by(|a, b| normal[*a].abs().total_cmp(&normal[*b].abs())).unwrap_or(2);
            let ascending = if axis == 1 { 1.0 } else { -1.0 };
            let sign = ascending * normal[axis].signum();
            let place = |picture: &Picture| {
                picture.position_mm.map_or(0.0, |at| sign * (0..3).map(|i| at[i] * normal[i]).sum::<f64>())
            };
            pictures.sort_by(|a, b| place(a).total_cmp(&place(b)).then(a.number.cmp(&b.number)));
        }
        None => pictures.sort_by_key(|picture| (picture.number.unwrap_or(i64::MAX), picture.instance, picture.frame)),
    }
    let pixels = if kind.is_volume() {
        Pixels::Hounsfield
    } else if headers().any(is_colour) {
        Pixels::Colour
    } else {
        Pixels::Grey
    };
    Stack { pixels, orientation, spacing_mm: shared(headers().map(|header| header.pixel_spacing)), pictures }
}

/// The key images of an exam that was recorded here, in the order in which they were made: row in `results`, and header.
pub fn of_results(keys: &[(i64, Header)]) -> Stack {
    let picture = |((id, header), number): (&(i64, Header), i64)| Picture {
        instance: *id,
        is_result: true,
        frame: 1,
        rows: header.rows,
        columns: header.columns,
        sop_instance_uid: header.sop_instance_uid.clone(),
        is_frame: false,
        number: Some(number),
        position_mm: None,
    };
    let pixels = if keys.iter().any(|(_, header)| is_colour(header)) { Pixels::Colour } else { Pixels::Grey };
    Stack { pixels, orientation: None, spacing_mm: None, pictures: keys.iter().zip(1..).map(picture).collect() }
}

fn is_colour(header: &Header) -> bool {
    header.samples_per_pixel == 3 || header.photometric == "PALETTE COLOR"
}

fn pictures(instance: &Instance) -> impl Iterator<Item = Picture> {
    let header = &instance.header;
    let frames = if header.pixel_data.is_some() { header.number_of_frames.max(1) } else { 0 };
    (1..=frames).map(move |frame| Picture {
        instance: instance.id,
        is_result: false,
        frame,
        rows: header.rows,
        columns: header.columns,
        sop_instance_uid: header.sop_instance_uid.clone(),
        is_frame: frames > 1,
        number: header.instance_number,
        position_mm: header.image_position.filter(|_| frames == 1),
    })
}

/// What scanners write differently for slices of one scan: the last decimals.
const SAME: f64 = 1e-3;

/// The values that all have.
fn shared<const N: usize>(mut values: impl Iterator<Item = Option<[f64; N]>>) -> Option<[f64; N]> {
    let first = values.next()??;
    let is_same = |value: [f64; N]| (0..N).all(|i| (value[i] - first[i]).abs() <= SAME);
    values.all(|value| value.is_some_and(is_same)).then_some(first)
}

#[cfg(test)]
mod tests {
    use custody::instance::Location;
    use dicom::header::PixelData;

    use super::*;

    fn slice(id: i64, position: Option<[f64; 3]>, orientation: [f64; 6]) -> Instance {
        let header = Header {
            sop_instance_uid: format!("1.2.{id}"),
            rows: 4,
            columns: 4,
            image_position: position,
            image_orientation: Some(orientation),
            pixel_spacing: Some([0.7, 0.7]),
            instance_number: Some(id),
            pixel_data: Some(PixelData { offset: 0, length: 32, encapsulated: false }),
            ..Header::default()
        };
        let location = Location::File { file: String::new(), length: 0 };
        let (sha256, received_utc) = (String::new(), String::new());
        Instance { id, header, location, sha256, association: 0, received_utc }
    }

    fn order(instances: &[Instance]) -> Vec<i64> {
        stack(SeriesKind::Ct, instances).pictures.iter().map(|picture| picture.instance).collect()
    }

    const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    const CORONAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];

    /// Whatever their numbers say, and however the patient lay.
    #[test]
    fn slices_go_from_head_to_feet_and_from_front_to_back() {
        let heights = [(1, -10.0), (2, 30.0), (3, 10.0)];
        let axial: Vec<_> = heights.iter().map(|(id, z)| slice(*id, Some([0.0, 0.0, *z]), AXIAL)).collect();
        assert_eq!(order(&axial), [2, 3, 1]);
        let face_down = [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let prone: Vec<_> = heights.iter().map(|(id, z)| slice(*id, Some([0.0, 0.0, *z]), face_down)).collect();
        assert_eq!(order(&prone), [2, 3, 1]);
        let coronal: Vec<_> = heights.iter().map(|(id, y)| slice(*id, Some([0.0, *y, 0.0]), CORONAL)).collect();
        assert_eq!(order(&coronal), [1, 3, 2]);
    }

    #[test]
    fn where_a_slice_does_not_say_its_place_the_numbers_count() {
        let some = [slice(2, Some([0.0; 3]), AXIAL), slice(3, None, AXIAL), slice(1, Some([0.0, 0.0, 9.0]), AXIAL)];
        assert_eq!(order(&some), [1, 2, 3]);
    }

    #[test]
    fn each_frame_is_a_picture_and_a_file_without_pixels_is_none() {
        let mut clip = slice(1, None, AXIAL);
        clip.header.number_of_frames = 3;
        let mut empty = slice(2, None, AXIAL);
        empty.header.pixel_data = None;
        let stack = stack(SeriesKind::Ultrasound, &[clip, empty]);
        let frames: Vec<_> = stack.pictures.iter().map(|picture| (picture.instance, picture.frame)).collect();
        assert_eq!(frames, [(1, 1), (1, 2), (1, 3)]);
        assert_eq!(stack.pixels, Pixels::Grey);
    }
}
