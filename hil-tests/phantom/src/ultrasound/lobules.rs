//! Fat lobules and the Cooper ligaments between them: a Voronoi diagram of jittered lattice points.
//!
//! Whether a lobule is fat or fibroglandular depends on the position of its seed. So the border between the layers is
//! scalloped as in a real breast, and a few lobules of fat are within the gland.

use super::breast::{Breast, Point};
use super::noise;

/// A cell of the diagram.
#[derive(Debug, Clone, Copy)]
struct Lobule {
    /// In units of the lobules' size.
    at: Point,
    fat: bool,
    id: u64,
}

/// All lobules that a plane may cut.
#[derive(Debug)]
pub struct Lobules {
    size_mm: Point,
    low: [i32; 3],
    count: [usize; 3],
    all: Vec<Lobule>,
}

/// The lobules that can be the nearest or second nearest anywhere in a small block.
#[derive(Debug, Clone, Copy)]
pub struct Near {
    which: [Lobule; 8],
    count: usize,
}

/// What is at a point of the diagram.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub fat: bool,
    /// Both neighbours are fat: the wall between them is a ligament.
    pub ligament: bool,
    /// Distance to the wall, mm.
    pub wall_mm: f32,
    /// Depth component of the wall's normal, 0 (upright wall) to 1 (level wall).
    pub level: f32,
    /// From 0 to 1, the same along the whole wall.
    pub strength: f32,
}

impl Lobules {
    /// Those around the plane at `elevation` mm between the corners (lateral, depth).
    pub fn around(breast: &Breast, seed: u64, elevation: f32, low_mm: [f32; 2], high_mm: [f32; 2]) -> Self {
        let size_mm = breast.lobule_mm;
        let ends = [[low_mm[0], high_mm[0]], [low_mm[1], high_mm[1]], [elevation, elevation]];
        let low: [i32; 3] = std::array::from_fn(|a| (ends[a][0] / size_mm[a]).floor() as i32 - 2);
        let count: [usize; 3] =
            std::array::from_fn(|a| ((ends[a][1] / size_mm[a]).floor() as i32 + 3 - low[a]).max(1) as usize);
        let mut all = Vec::with_capacity(count.iter().product());
        for y in 0..count[2] as i32 {
            for z in 0..count[1] as i32 {
                for x in 0..count[0] as i32 {
                    all.push(lobule(breast, seed, [low[0] + x, low[1] + z, low[2] + y]));
                }
            }
        }
        Self { size_mm, low, count, all }
    }

    /// Scales mm to the diagram's units.
    pub fn scaled(&self, p: Point) -> Point {
        std::array::from_fn(|a| p[a] / self.size_mm[a])
    }

    /// Candidates for a block around `u` (units) whose corners are at most `reach` units away.
    pub fn near(&self, u: Point, reach: f32) -> Near {
        let cell: [i32; 3] = std::array::from_fn(|a| u[a].floor() as i32 - self.low[a]);
        let mut found = [(f32::MAX, usize::MAX); 8];
        let range = |a: usize| {
            let last = self.count[a] as i32 - 1;
            (cell[a] - 1).clamp(0, last) as usize..=(cell[a] + 1).clamp(0, last) as usize
        };
        for y in range(2) {
            for z in range(1) {
                for x in range(0) {
                    let index = (y * self.count[1] + z) * self.count[0] + x;
                    insert(&mut found, (squared(self.all[index].at, u).sqrt(), index));
                }
            }
        }
        let limit = found[1].0 + 2.0 * reach;
        let count = found.iter().filter(|f| f.0 <= limit && f.1 != usize::MAX).count();
        Near { which: found.map(|f| self.all[f.1.min(self.all.len() - 1)]), count: count.max(2) }
    }

    /// The lobule and the wall nearest to `u` (units).
    #[inline]
    pub fn spot(&self, near: &Near, u: Point) -> Spot {
        let (mut first, mut second) = ((f32::MAX, 0), (f32::MAX, 0));
        for (i, lobule) in near.which[..near.count].iter().enumerate() {
            let d = squared(lobule.at, u);
            if d < first.0 {
                second = first;
                first = (d, i);
            } else if d < second.0 {
                second = (d, i);
            }
        }
        let (a, b) = (&near.which[first.1], &near.which[second.1]);
        let between: Point = std::array::from_fn(|i| b.at[i] - a.at[i]);
        let length = squared(between, [0.0; 3]).sqrt().max(1e-3);
        let away = (second.0 - first.0) / (2.0 * length);
        // The normal in mm: axes are scaled differently.
        let normal: Point = std::array::from_fn(|i| between[i] / length / self.size_mm[i]);
        let slope = squared(normal, [0.0; 3]).sqrt();
        Spot {
            fat: a.fat,
            ligament: a.fat && b.fat,
            wall_mm: away / slope,
            level: normal[1].abs() / slope,
            strength: noise::unit((a.id ^ b.id).wrapping_mul(0x94D0_49BB_1331_11EB)),
        }
    }
}

fn lobule(breast: &Breast, seed: u64, at: [i32; 3]) -> Lobule {
    let word = noise::hash(seed, at);
    let jitter = |shift: u32| ((word >> shift) & 0xffff) as f32 / 65536.0;
    let centre: Point = std::array::from_fn(|a| at[a] as f32 + 0.1 + 0.8 * jitter(16 * a as u32));
    let mm: Point = std::array::from_fn(|a| centre[a] * breast.lobule_mm[a]);
    let layers = breast.layers(mm[0], mm[2]);
    let inside = mm[1] > layers.gland_top && mm[1] < layers.gland_bottom;
    Lobule { at: centre, fat: !inside || jitter(48) < breast.fat_in_gland, id: word }
}

/// Keeps the eight nearest in order.
fn insert(found: &mut [(f32, usize); 8], new: (f32, usize)) {
    if new.0 >= found[7].0 {
        return;
    }
    let mut place = 7;
    while place > 0 && found[place - 1].0 > new.0 {
        found[place] = found[place - 1];
        place -= 1;
    }
    found[place] = new;
}

#[inline]
fn squared(a: Point, b: Point) -> f32 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)
}
