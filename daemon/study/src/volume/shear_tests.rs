//! Tilted gantry: volumes are right, and every voxel of a result lies where it was seen.

use models::findings::{Nodule, Region};
use models::{ChestFindings, Reason};
use proptest::prelude::*;

use crate::volume::Slice;
use crate::volume::build::{self, Built};
use crate::volume::geometry::{SliceGeometry, main_axis};
use crate::volume::units::Units;

use super::*;

type Vector = [f64; 3];

fn dot(a: Vector, b: Vector) -> f64 {
    (0..3).map(|i| a[i] * b[i]).sum()
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn sum(parts: &[(Vector, f64)]) -> Vector {
    [0, 1, 2].map(|i| parts.iter().map(|(v, by)| v[i] * by).sum())
}

/// How a body is scanned.
#[derive(Debug, Clone, Copy)]
struct Scan {
    tilt_degrees: f64,
    /// Direction of rows; of columns before the tilt; of the table.
    axes: [Vector; 3],
    pixel_mm: [f64; 2],
    /// Along the table.
    step_mm: f64,
    along_rows: bool,
    head_first: bool,
}

const PLAIN: [Vector; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
/// Half axes of the body that is scanned, mm. It is so thin (-700 HU) that its ends are no step to `judge`.
const BODY_MM: Vector = [31.0, 22.0, 40.0];

/// Inside the body, whose centre is the origin?
fn inside(at: Vector, axes: [Vector; 3]) -> bool {
    (0..3).map(|a| (dot(at, axes[a]) / BODY_MM[a]).powi(2)).sum::<f64>() <= 1.0
}

/// The slices of the body as a tilted scanner makes them, from end to end of the body.
fn scanned(scan: Scan) -> Vec<Slice> {
    let (sin, cos) = scan.tilt_degrees.to_radians().sin_cos();
    let [x, y, table] = scan.axes;
    // The planes turn about the rows, or about the columns.
    let (row, column) =
        if scan.along_rows { (sum(&[(x, cos), (table, sin)]), y) } else { (x, sum(&[(y, cos), (table, sin)])) };
    let half_mm = 62.0;
    let [columns, rows] = scan.pixel_mm.map(|mm| (2.0 * half_mm / mm) as usize);
    let count = (130.0 / scan.step_mm) as usize;
    let slice = |k: usize| {
        let along = (k as f64 - (count - 1) as f64 / 2.0) * scan.step_mm * if scan.head_first { 1.0 } else { -1.0 };
        let origin = sum(&[(row, -half_mm), (column, -half_mm), (table, along)]);
        let value = |i: usize| {
            let (c, r) = ((i % columns) as f64 * scan.pixel_mm[0], (i / columns) as f64 * scan.pixel_mm[1]);
            let at = sum(&[(origin, 1.0), (row, c), (column, r)]);
            if inside(at, scan.axes) { -700 } else { -1000 }
        };
        Slice {
            sop_class_uid: "1.2".into(),
            sop_instance_uid: format!("1.2.{k}"),
            frame: None,
            geometry: SliceGeometry {
                position_mm: Some(origin),
                orientation: Some([row[0], row[1], row[2], column[0], column[1], column[2]]),
                pixel_spacing_mm: Some([scan.pixel_mm[1], scan.pixel_mm[0]]),
                rows: rows as u32,
                columns: columns as u32,
                frame_of_reference_uid: Some("1.2.3".into()),
                number: Some(k as i64 + 1),
            },
            units: Units::Hounsfield,
            hu: (0..rows * columns).map(value).collect::<Vec<i16>>().into(),
        }
    };
    (0..count).map(slice).collect()
}

/// All voxels of the body in the volume.
fn body(volume: &Volume) -> Mask {
    let [columns, ..] = volume.geometry.dims;
    let mut found = Vec::new();
    for (z, slice) in volume.slices.iter().enumerate() {
        found.extend((0..slice.len()).filter(|i| slice[*i] > -850).map(|i| [i % columns, i / columns, z]));
    }
    boxed(&found)
}

fn findings(mask: Mask) -> ChestFindings {
    let region = Region {
        number: 1,
        centre_mm: [0.0; 3],
        volume_ml: 1.0,
        mean_hu: 40.0,
        confidence: 1.0,
        key_slice: mask.origin[2] + mask.size[2] / 2,
        mask,
    };
    let mut findings = ChestFindings::none(&Reason::stored("of a test"));
    let found = models::findings::LymphNode { region, short_axis_mm: 1.0, long_axis_mm: 1.0 };
    findings.lymph_nodes = Evaluated::Done(vec![found]);
    findings.nodules = Evaluated::Done(Vec::<Nodule>::new());
    findings
}

fn any_scan() -> impl Strategy<Value = Scan> {
    let angles = (-30.0f64..30.0, -3.1f64..3.1, -1.4f64..1.4, -3.1f64..3.1);
    let spacing = ([1.1f64..3.0, 1.1f64..3.0], 1.0f64..5.0);
    (angles, spacing, any::<bool>(), any::<bool>()).prop_map(
        |((tilt_degrees, a, b, c), (pixel_mm, step_mm), along_rows, head_first)| {
            let x = [a.cos() * b.cos(), a.sin() * b.cos(), -b.sin()];
            let helper = [-a.sin(), a.cos(), 0.0];
            let y = sum(&[(helper, c.cos()), (cross(x, helper), c.sin())]);
            Scan { tilt_degrees, axes: [x, y, cross(x, y)], pixel_mm, step_mm, along_rows, head_first }
        },
    )
}

#[test]
fn a_body_has_the_same_volume_whatever_the_tilt() {
    let true_ml = 4.0 / 3.0 * std::f64::consts::PI * BODY_MM.iter().product::<f64>() / 1000.0;
    for tilt_degrees in [0.0, 10.0, 20.0, -15.0, 29.0] {
        let scan = Scan {
            tilt_degrees,
            axes: PLAIN,
            pixel_mm: [0.9, 0.9],
            step_mm: 1.25,
            along_rows: false,
            head_first: true,
        };
        let Built { volume, remarks, back, .. } = build::assemble(scanned(scan)).unwrap();
        let mask = body(&volume);
        let ml = mask.count() as f64 * volume.geometry.voxel_ml();
        println!("{tilt_degrees} degrees: {ml:.2} ml of {true_ml:.2} ml");
        assert!((ml / true_ml - 1.0).abs() < 0.02, "{tilt_degrees} degrees: {ml} ml, not {true_ml}");
        // Its extents too: a body that leans in the grid would be longer.
        let (original, sent) = back.original(&findings(mask), &volume);
        let Evaluated::Done(nodes) = &original.lymph_nodes else { panic!() };
        let sent_ml = nodes[0].region.mask.count() as f64 * sent.geometry.voxel_ml();
        assert!((sent_ml / true_ml - 1.0).abs() < 0.02, "{tilt_degrees} degrees, as sent: {sent_ml} ml");
        let said: Vec<String> = remarks.iter().map(ToString::to_string).collect();
        if tilt_degrees == 0.0 {
            assert!(back.is_same() && said.is_empty(), "{said:?}");
        } else {
            let degrees = format!("the gantry was tilted by {:.1} degrees", tilt_degrees.abs());
            assert!(said.len() == 1 && said[0].starts_with(&degrees), "{said:?}");
        }
    }
}

#[test]
fn the_lungs_at_the_edge_of_a_tilted_image_are_not_called_whole() {
    let scan = Scan {
        tilt_degrees: 20.0,
        axes: PLAIN,
        pixel_mm: [2.0, 2.0],
        step_mm: 2.5,
        along_rows: false,
        head_first: true,
    };
    let Built { volume, back, .. } = build::assemble(scanned(scan)).unwrap();
    let tilt = back.tilt.clone().unwrap();
    let [columns, _, slices] = tilt.original.dims;
    // A lung that ends with the image in every slice, far from the edges of the grid.
    for (room_mm, wanted) in [(0.0, "the lungs reach the edge"), (10.0, "chest wall"), (24.0, "")] {
        let room = (room_mm / 2.0) as usize;
        let mut voxels = Vec::new();
        for z in 0..slices {
            let rows = 15..47 - 13;
            voxels.extend(rows.map(|y| [columns - 1 - room + tilt.shifts[z][0], y + tilt.shifts[z][1], z]));
        }
        let mut all = findings(body(&volume));
        all.nodules = Evaluated::Done(Vec::new());
        all.rib_fractures = Evaluated::Done(Vec::new());
        all.lungs = Evaluated::Done(vec![models::findings::Lung {
            side: models::findings::Side::Left,
            volume_ml: 1.0,
            mean_hu: -800.0,
            laa950_percent: Some(3.0),
            box_mm: [[0.0; 3]; 2],
            mask: boxed(&voxels),
        }]);
        back.judge(&mut all);
        let said = all.refusal(ChestFinding::RibFracture).map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(wanted) && said.is_empty() == wanted.is_empty(), "{room_mm} mm: {said}");
        assert_eq!(all.refusal(ChestFinding::Nodule).is_some(), room_mm == 0.0, "{room_mm} mm");
        let is_measured = matches!(all.lungs, Evaluated::Done(_));
        assert_eq!(is_measured, room_mm > 0.0, "{room_mm} mm: volumes of cut lungs");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// In the upright grid to within half a pixel; on the original slices exactly.
    #[test]
    fn every_voxel_lies_where_it_was_seen(scan in any_scan()) {
        let slices = scanned(scan);
        let Built { volume, sources, back, .. } = build::assemble(slices.clone()).unwrap();
        let true_place = |x: usize, y: usize, k: usize| {
            let slice = slices.iter().find(|slice| slice.sop_instance_uid == sources[k].sop_instance_uid).unwrap();
            let o = slice.geometry.orientation.unwrap();
            let by = [x as f64 * scan.pixel_mm[0], y as f64 * scan.pixel_mm[1]];
            let (row, column) = ([o[0], o[1], o[2]], [o[3], o[4], o[5]]);
            sum(&[(slice.geometry.position_mm.unwrap(), 1.0), (row, by[0]), (column, by[1])])
        };
        let mask = body(&volume);
        let (original, sent) = back.original(&findings(mask.clone()), &volume);
        let Evaluated::Done(nodes) = &original.lymph_nodes else { panic!() };
        let mapped = &nodes[0].region.mask;
        prop_assert_eq!(mapped.count(), mask.count(), "nothing of the body is lost");
        prop_assert_eq!(sources.len(), volume.geometry.dims[2]);
        prop_assert_eq!(sent.slices.len(), sources.len());
        // What leans by less than the rounding of positions counts as straight.
        let straight = if back.tilt.is_none() { 0.4 } else { 0.0 };
        for ([x0, y, k], row) in mapped.rows() {
            for x in (0..row.len()).filter(|i| row[*i] != 0).map(|i| x0 + i) {
                let place = true_place(x, y, k);
                prop_assert!(inside(place, scan.axes), "a voxel of the mask lies beside the body");
                let said = sent.geometry.to_patient([x, y, k].map(|v| v as f64));
                prop_assert!((0..3).all(|i| (said[i] - place[i]).abs() < 1e-6 + straight), "{:?} {:?}", said, place);
                let index = sent.geometry.to_index(place);
                prop_assert!((index[2] - k as f64).abs() < 1e-6 + straight / 100.0, "the closest slice");
            }
        }
        // In the grid: where the analysis says that it is.
        let shift = |k: usize| back.tilt.as_ref().map_or([0, 0], |tilt| tilt.shifts[k]);
        let room = [0, 1].map(|a| 0.5 * scan.pixel_mm[a] + 0.01);
        for ([x0, y, k], row) in mask.rows() {
            for x in (0..row.len()).filter(|i| row[*i] != 0).map(|i| x0 + i).step_by(7) {
                let [right, down] = shift(k);
                let place = true_place(x - right, y - down, k);
                let said = volume.geometry.to_patient([x, y, k].map(|v| v as f64));
                let off = sum(&[(said, 1.0), (place, -1.0)]);
                let along = [0, 1, 2].map(|a| dot(off, volume.geometry.axes[a]).abs());
                prop_assert!(along[0] <= room[0] + straight && along[1] <= room[1] + straight, "{:?}", along);
                prop_assert!(along[2] < 0.01, "{:?}", along);
            }
        }
        prop_assert!(main_axis(volume.geometry.axes[2]) < 3);
    }
}
