//! What a reader should know about the images of a series, from its header and its grid. Pure.

use dicom::header::Header;
use models::remark::{Lying, Remark};
use models::{Geometry, Volume};

/// Pixels whose sides differ by no more than this share are square.
const SQUARE: f64 = 0.01;
/// Cosine of the angle up to which a direction counts as straight up or down: 30 degrees.
const STRAIGHT: f64 = 0.866;

pub(super) fn of(header: &Header, volume: &Volume) -> Vec<Remark> {
    let geometry = &volume.geometry;
    let [x_mm, y_mm, _] = geometry.spacing_mm;
    let square = (x_mm - y_mm).abs() <= SQUARE * x_mm.min(y_mm);
    let position = contradiction(&header.patient_position, geometry);
    position.into_iter().chain((!square).then_some(Remark::PixelsNotSquare { x_mm, y_mm })).collect()
}

/// Patient Position says how the patient lies on the table. The columns of an axial image run downwards in the scanner
/// (PS3.3 C.7.6.2.1.1 gives their direction in the patient): to the back of one who lies on it, to the front of one who lies
/// face down, to a side else. Oblique and reformatted images say nothing.
fn contradiction(position: &str, geometry: &Geometry) -> Option<Remark> {
    let said = match position {
        "HFS" | "FFS" => Lying::Supine,
        "HFP" | "FFP" => Lying::Prone,
        "HFDR" | "HFDL" | "FFDR" | "FFDL" => Lying::Side,
        _ => return None,
    };
    let [rows, down, across] = geometry.axes;
    if across[2].abs() < STRAIGHT || rows[2].abs() > 0.5 {
        return None;
    }
    let drawn = match down {
        [_, y, _] if y > STRAIGHT => Lying::Supine,
        [_, y, _] if y < -STRAIGHT => Lying::Prone,
        [x, ..] if x.abs() > STRAIGHT => Lying::Side,
        _ => return None,
    };
    (drawn != said).then(|| Remark::Position { position: position.to_owned(), said, drawn })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(rows: [f64; 3], down: [f64; 3], spacing_mm: [f64; 3]) -> Geometry {
        let across = [
            rows[1] * down[2] - rows[2] * down[1],
            rows[2] * down[0] - rows[0] * down[2],
            rows[0] * down[1] - rows[1] * down[0],
        ];
        Geometry { dims: [4, 4, 4], spacing_mm, origin_mm: [0.0; 3], axes: [rows, down, across] }
    }

    fn remarks(position: &str, geometry: Geometry) -> Vec<Remark> {
        let header = Header { patient_position: position.into(), ..Header::default() };
        of(&header, &Volume { geometry, slices: Vec::new() })
    }

    const X: [f64; 3] = [1.0, 0.0, 0.0];
    const Y: [f64; 3] = [0.0, 1.0, 0.0];
    const Z: [f64; 3] = [0.0, 0.0, 1.0];

    fn against(v: [f64; 3]) -> [f64; 3] {
        v.map(|c| -c)
    }

    #[test]
    fn a_position_that_agrees_with_the_directions_needs_no_remark() {
        let square = [0.7, 0.7, 1.0];
        for (position, rows, down) in [
            ("HFS", X, Y),
            ("FFS", X, Y),
            ("FFS", against(X), Y),
            ("HFP", against(X), against(Y)),
            ("FFP", X, against(Y)),
            ("HFDR", Y, against(X)),
            ("FFDL", against(Y), X),
            ("", X, against(Y)),
            ("SITTING", X, against(Y)),
            // Coronal: its rows run to the feet, which says nothing of the table.
            ("HFP", X, against(Z)),
        ] {
            assert_eq!(remarks(position, geometry(rows, down, square)), [], "{position} {rows:?} {down:?}");
        }
    }

    #[test]
    fn a_position_that_contradicts_the_directions_is_told() {
        let found = remarks("HFP", geometry(X, Y, [0.7, 0.7, 1.0]));
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            one.to_string(),
            "the header contradicts itself: the patient lies face down (HFP), the directions of the images say on the back; \
             right and left may be wrong"
        );
        assert!(matches!(
            remarks("HFDL", geometry(X, Y, [0.7, 0.7, 1.0]))[..],
            [Remark::Position { said: Lying::Side, drawn: Lying::Supine, .. }]
        ));
    }

    #[test]
    fn pixels_that_are_not_square_are_told() {
        assert_eq!(remarks("HFS", geometry(X, Y, [0.7, 0.705, 1.0])), []);
        let found = remarks("HFS", geometry(X, Y, [6.0, 3.0, 1.0]));
        assert_eq!(found, [Remark::PixelsNotSquare { x_mm: 6.0, y_mm: 3.0 }]);
        assert_eq!(found[0].to_string(), "the pixels are not square (6.00 x 3.00 mm)");
    }
}
