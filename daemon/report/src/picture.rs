//! CT planes on a canvas: resampled to square millimetres, in the lung window, with outlines and orientation.

use models::findings::Mask;
use models::postprocess::contour::signed_area;
use models::{Geometry, Volume};

use crate::canvas::{Canvas, Colour, pixels, single, whole};
use crate::contour::{self, Outline};
use crate::letters::Type;
use crate::measure;

/// How HU become grey: black at `low`, white `width` above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    low_hu: f32,
    width_hu: f32,
    pub name: &'static str,
}

/// Level -600, width 1500 HU.
pub const LUNG: Window = Window { low_hu: -1350.0, width_hu: 1500.0, name: "W 1500  L -600" };
/// Level 40, width 400 HU.
pub const SOFT: Window = Window { low_hu: -160.0, width_hu: 400.0, name: "W 400  L 40" };
/// Level 400, width 1800 HU.
pub const BONE: Window = Window { low_hu: -500.0, width_hu: 1800.0, name: "W 1800  L 400" };

/// Which plane of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// A slice, by index.
    Slice(usize),
    /// A plane of rows across all slices, by row index; the head is up.
    Across(usize),
}

/// Places a plane in a box of the page, keeping millimetres square.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub volume: &'a Volume,
    plane: Plane,
    /// Left, top, right, bottom on the page.
    pub area: [usize; 4],
    /// Page position of the plane's corner (0, 0), and page pixels per voxel.
    origin: [f32; 2],
    scale: [f32; 2],
    window: Window,
}

impl<'a> View<'a> {
    /// The whole plane, as large as it fits, centred.
    pub fn whole(volume: &'a Volume, plane: Plane, area: [usize; 4]) -> Self {
        let (size, spacing, _) = layout(&volume.geometry, plane);
        let room = [pixels(area[2] - area[0]), pixels(area[3] - area[1])];
        let per_mm = (room[0] / (size[0] * spacing[0])).min(room[1] / (size[1] * spacing[1]));
        Self::around(volume, plane, area, [size[0] / 2.0, size[1] / 2.0], per_mm)
    }

    /// The regions with this many millimetres around them, as large as they fit; the whole plane when there are none.
    pub fn fit(volume: &'a Volume, plane: Plane, area: [usize; 4], masks: &[&Mask], margin_mm: f32) -> Self {
        let second = if matches!(plane, Plane::Slice(_)) { 1 } else { 2 };
        let Some(bounds) = [0, second]
            .map(|a| {
                let low = masks.iter().map(|m| m.origin[a]).min();
                low.zip(masks.iter().map(|m| m.origin[a] + m.size[a]).max())
            })
            .into_iter()
            .collect::<Option<Vec<_>>>()
        else {
            return Self::whole(volume, plane, area);
        };
        let (size, spacing, _) = layout(&volume.geometry, plane);
        let room = [pixels(area[2] - area[0]), pixels(area[3] - area[1])];
        let mm = [0, 1].map(|i| {
            let wanted = pixels(bounds[i].1 - bounds[i].0) * spacing[i] + 2.0 * margin_mm;
            wanted.min(size[i] * spacing[i])
        });
        let per_mm = (room[0] / mm[0]).min(room[1] / mm[1]);
        // No empty border on one side while the other side is cut off.
        let centre = [0, 1].map(|i| {
            let half = (room[i] / per_mm / spacing[i] / 2.0).min(size[i] / 2.0);
            (pixels(bounds[i].0 + bounds[i].1) / 2.0).clamp(half, size[i] - half)
        });
        Self::around(volume, plane, area, centre, per_mm)
    }

    /// A part: `centre` (column and row in voxels) in the middle, `per_mm` page pixels per millimetre.
    pub fn around(volume: &'a Volume, plane: Plane, area: [usize; 4], centre: [f32; 2], per_mm: f32) -> Self {
        let (_, spacing, upside_down) = layout(&volume.geometry, plane);
        let scale = [per_mm * spacing[0], per_mm * spacing[1] * if upside_down { -1.0 } else { 1.0 }];
        let middle = [pixels(area[0] + area[2]) / 2.0, pixels(area[1] + area[3]) / 2.0];
        let origin = [middle[0] - centre[0] * scale[0], middle[1] - centre[1] * scale[1]];
        Self { volume, plane, area, origin, scale, window: LUNG }
    }

    /// The same view in another window.
    pub fn windowed(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// Where a point of the plane (voxel-edge coordinates) lies on the page.
    pub fn to_page(self, point: [f32; 2]) -> [f32; 2] {
        [self.origin[0] + point[0] * self.scale[0], self.origin[1] + point[1] * self.scale[1]]
    }

    /// Resamples along rows first, then along columns.
    pub fn draw(&self, canvas: &mut Canvas) {
        let [left, top, right, bottom] = self.area;
        let size = layout(&self.volume.geometry, self.plane).0;
        let taps =
            |page: usize, axis: usize| Taps::new((pixels(page) + 0.5 - self.origin[axis]) / self.scale[axis] - 0.5);
        let columns: Vec<Taps> = (left..right).map(|x| taps(x, 0)).collect();
        let rows: Vec<Taps> = (top..bottom).map(|y| taps(y, 1)).collect();
        let last = whole(size[1]).saturating_sub(1);
        let clamp = |v: isize| usize::try_from(v).unwrap_or(0).min(last);
        let needed = rows.iter().filter(|r| !r.outside(size[1])).flat_map(|r| [clamp(r.first), clamp(r.first + 3)]);
        let (low, high) = needed.fold((last, 0), |(a, b), v| (a.min(v), b.max(v)));
        let lines: Vec<Vec<f32>> = (low..=high).map(|v| self.line(v, &columns)).collect();
        for (y, row) in rows.iter().enumerate().filter(|(_, r)| !r.outside(size[1])) {
            let four = [0, 1, 2, 3].map(|j| &lines[clamp(row.first + j) - low]);
            for (x, _) in columns.iter().enumerate().filter(|(_, c)| !c.outside(size[0])) {
                let hu: f32 = four.iter().zip(row.weight).map(|(line, w)| w * line[x]).sum();
                let level = (hu - self.window.low_hu) / self.window.width_hu;
                canvas.grey(left + x, top + y, grey(level));
            }
        }
    }

    /// One line of the plane, resampled to the page's columns, HU.
    fn line(&self, v: usize, columns: &[Taps]) -> Vec<f32> {
        let width = self.volume.geometry.dims[0];
        let source = match self.plane {
            Plane::Slice(k) => &self.volume.slices[k][v * width..][..width],
            Plane::Across(row) => &self.volume.slices[v][row * width..][..width],
        };
        // Beyond the first and the last voxel their values go on.
        let at = |i: isize| f32::from(source[usize::try_from(i).unwrap_or(0).min(width - 1)]);
        columns.iter().map(|c| (c.first..).zip(c.weight).take(4).map(|(i, weight)| weight * at(i)).sum()).collect()
    }

    /// Outlines of a mask where it cuts this plane; those around fewer than `min_area` voxels, and holes, are left out.
    pub fn outline(&self, canvas: &mut Canvas, mask: &Mask, min_area: f32, width: f32, colour: Colour) {
        for outline in outlines(mask, self.plane).into_iter().filter(|o| signed_area(o) >= min_area) {
            let points: Vec<[f32; 2]> = smooth(&outline).into_iter().map(|p| self.to_page(p)).collect();
            canvas.stroke(&points, true, width, colour, self.area);
        }
    }

    /// Letters at the edges: which side of the patient is there.
    pub fn orientation(&self, canvas: &mut Canvas, style: Type, colour: Colour) {
        let geometry = &self.volume.geometry;
        let down = match self.plane {
            Plane::Slice(_) => geometry.axes[1],
            Plane::Across(_) if self.scale[1] < 0.0 => geometry.axes[2].map(|c| -c),
            Plane::Across(_) => geometry.axes[2],
        };
        let across = geometry.axes[0];
        let [left, top, right, bottom] = self.area;
        let (w, h) = (whole(style.width("H").ceil()), whole(style.size));
        let middle = [(left + right).saturating_sub(w) / 2, (top + bottom).saturating_sub(h) / 2];
        canvas.label([left + 8, middle[1]], letter(across.map(|c| -c)), style, colour);
        canvas.label([right - w - 8, middle[1]], letter(across), style, colour);
        canvas.label([middle[0], top + 6], letter(down.map(|c| -c)), style, colour);
        canvas.label([middle[0], bottom - h - 6], letter(down), style, colour);
    }

    /// A bar of this many millimetres in the lower right corner.
    pub fn scale_bar(&self, canvas: &mut Canvas, mm: f32, style: Type, colour: Colour) {
        let (_, spacing, _) = layout(&self.volume.geometry, self.plane);
        let length = mm / spacing[0] * self.scale[0];
        let (right, y) = (pixels(self.area[2]) - 16.0, pixels(self.area[3]) - 14.0);
        let line = [[right - length, y - 5.0], [right - length, y], [right, y], [right, y - 5.0]];
        canvas.stroke(&line, false, 3.6, Colour::BLACK, self.area);
        canvas.stroke(&line, false, 1.6, colour, self.area);
        let height = whole(style.size);
        let text = format!("{mm:.0} mm");
        let left = (self.area[2] - 16).saturating_sub(whole(style.width(&text).ceil()));
        canvas.label([left, self.area[3] - 22 - height], &text, style, colour);
    }
}

/// Size in voxels, millimetres per voxel, and whether the second axis must be turned to have the head up.
fn layout(geometry: &Geometry, plane: Plane) -> ([f32; 2], [f32; 2], bool) {
    let (d, s) = (geometry.dims.map(pixels), geometry.spacing_mm.map(single));
    match plane {
        Plane::Slice(_) => ([d[0], d[1]], [s[0], s[1]], false),
        Plane::Across(_) => ([d[0], d[2]], [s[0], s[2]], geometry.axes[2][2] > 0.0),
    }
}

/// Nearest of R L A P H F for a direction (LPS).
fn letter(direction: [f64; 3]) -> &'static str {
    let mut axis = 0;
    for a in 1..3 {
        if direction[a].abs() > direction[axis].abs() {
            axis = a;
        }
    }
    let letters = [["R", "L"], ["A", "P"], ["F", "H"]];
    letters[axis][usize::from(direction[axis] > 0.0)]
}

fn outlines(mask: &Mask, plane: Plane) -> Vec<Outline> {
    match plane {
        Plane::Slice(slice) => measure::outlines(mask, slice),
        Plane::Across(row) => {
            let [width, height, depth] = mask.size;
            if row < mask.origin[1] || row >= mask.origin[1] + height {
                return Vec::new();
            }
            let line = |k: usize| &mask.voxels[(k * height + row - mask.origin[1]) * width..][..width];
            let inside: Vec<bool> = (0..depth).flat_map(|k| line(k).iter().map(|v| *v != 0)).collect();
            contour::trace(&inside, width, depth, [mask.origin[0], mask.origin[2]])
        }
    }
}

/// A share of the window as a grey value; black below it, white above it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn grey(level: f32) -> u8 {
    (level * 255.0).clamp(0.0, 255.0) as u8
}

/// The staircase of voxel edges as a soft line: middles of the unit edges, averaged over five neighbours.
fn smooth(outline: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let mut middles = Vec::new();
    for (i, a) in outline.iter().enumerate() {
        let b = outline[(i + 1) % outline.len()];
        let length = (b[0] - a[0]).abs() + (b[1] - a[1]).abs();
        let steps = whole(length.round());
        for step in 0..steps {
            let t = (pixels(step) + 0.5) / length;
            middles.push([a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]);
        }
    }
    let n = middles.len();
    const WEIGHTS: [f32; 5] = [1.0, 2.0, 3.0, 2.0, 1.0];
    let average = |i: usize, c: usize| {
        (0..5).map(|k| WEIGHTS[k] * middles[(i + n + k - 2) % n][c]).sum::<f32>() / WEIGHTS.iter().sum::<f32>()
    };
    if n < 8 { middles } else { (0..n).map(|i| [average(i, 0), average(i, 1)]).collect() }
}

/// The voxel before the one that holds `at`; places on a page are far below 2^31.
#[allow(clippy::cast_possible_truncation)]
fn first_tap(at: f32) -> isize {
    at.floor() as isize - 1
}

/// Catmull-Rom weights of four neighbours.
struct Taps {
    first: isize,
    at: f32,
    weight: [f32; 4],
}

impl Taps {
    fn new(at: f32) -> Self {
        let t = at - at.floor();
        let (t2, t3) = (t * t, t * t * t);
        let weight = [
            (-t3 + 2.0 * t2 - t) / 2.0,
            (3.0 * t3 - 5.0 * t2 + 2.0) / 2.0,
            (-3.0 * t3 + 4.0 * t2 + t) / 2.0,
            (t3 - t2) / 2.0,
        ];
        Self { first: first_tap(at), at, weight }
    }

    fn outside(&self, size: f32) -> bool {
        self.at < -0.5 || self.at > size - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn millimetres_are_square_on_the_page_in_every_plane() {
        let case = testing::case(9);
        for plane in [Plane::Slice(3), Plane::Across(10)] {
            let view = View::whole(&case.volume, plane, [10, 20, 310, 420]);
            let (_, spacing, _) = layout(&case.volume.geometry, plane);
            let (a, b) = (view.to_page([0.0, 0.0]), view.to_page([1.0, 1.0]));
            assert!(((b[0] - a[0]) / spacing[0] - ((b[1] - a[1]) / spacing[1]).abs()).abs() < 1e-3);
        }
    }

    #[test]
    fn the_head_is_up_and_the_patients_right_is_on_the_left() {
        let case = testing::case(9);
        let view = View::whole(&case.volume, Plane::Across(10), [0, 0, 300, 300]);
        assert!(view.to_page([0.0, 9.0])[1] < view.to_page([0.0, 0.0])[1]);
        assert_eq!(letter(case.volume.geometry.axes[0].map(|c| -c)), "R");
        assert_eq!(letter([0.0, 0.0, 1.0]), "H");
    }

    #[test]
    fn the_outline_is_drawn_where_the_mask_is() {
        let case = testing::case(9);
        let mask = testing::ball([61, 47, 9], [40, 20, 4], [5.0, 5.0, 2.0]);
        let view = View::whole(&case.volume, Plane::Slice(4), [0, 0, 610, 470]);
        let mut canvas = Canvas::new(610, 470, Colour::BLACK);
        view.outline(&mut canvas, &mask, 1.0, 2.0, Colour::WHITE);
        let lit: Vec<usize> = (0..610 * 470).filter(|i| canvas.rgb[i * 3] > 128).collect();
        let mean = |f: fn(usize) -> usize| lit.iter().map(|i| f(*i) as f32).sum::<f32>() / lit.len() as f32;
        assert!((mean(|i| i % 610) - 405.0).abs() < 2.0 && (mean(|i| i / 610) - 205.0).abs() < 2.0);
    }
}
