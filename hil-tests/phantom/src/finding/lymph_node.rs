//! Lymph nodes of the mediastinum: every phantom has normal ones; enlarged ones are planted when they are wanted.
//!
//! Stations are those of Mountain and Dresler, Chest 111 (1997) 1718-1723; a node is enlarged when its short axis in the
//! axial plane reaches 10 mm (Glazer et al., AJR 144 (1985) 261-265).

use serde::Serialize;

use super::{Body, Channel, Layer, Lesion, Planted, Site};
use crate::anatomy::{Chest, Side, hu};
use crate::random::Random;
use crate::shape::{Point, Rod, add, coverage, ellipsoid, length, scaled, sub};
use crate::truth::Measured;

/// Short axis from which on a node is enlarged, mm.
pub const ENLARGED_MM: f32 = 10.0;
/// Fat that stays between a node and the lung it bulges into, mm.
const CUSHION_MM: f32 = 2.5;
/// This fraction of a node's surface must not touch vessels, heart or spine, or nobody could distinguish the node from
/// them.
const FREE: f32 = 0.85;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Station {
    #[serde(rename = "2R")]
    UpperRight,
    #[serde(rename = "2L")]
    UpperLeft,
    #[serde(rename = "4R")]
    LowerRight,
    #[serde(rename = "4L")]
    LowerLeft,
    #[serde(rename = "5")]
    Subaortic,
    #[serde(rename = "6")]
    Paraaortic,
    #[serde(rename = "7")]
    Subcarinal,
    #[serde(rename = "10R")]
    HilarRight,
    #[serde(rename = "10L")]
    HilarLeft,
}

/// Centre of the fat of each station, standard mm, and the distances from it within which nodes may be.
const STATIONS: [(Station, Point, Point); 9] = [
    (Station::UpperRight, [-19.0, 12.0, 88.0], [5.0, 6.0, 9.0]),
    (Station::UpperLeft, [17.0, 18.0, 92.0], [4.0, 6.0, 9.0]),
    (Station::LowerRight, [-22.0, 6.0, 52.0], [5.0, 6.0, 9.0]),
    (Station::LowerLeft, [17.0, 13.0, 41.0], [4.0, 5.0, 4.0]),
    (Station::Subaortic, [27.0, -4.0, 43.0], [5.0, 6.0, 5.0]),
    (Station::Paraaortic, [13.0, -26.0, 50.0], [5.0, 5.0, 9.0]),
    (Station::Subcarinal, [2.0, 13.0, 12.0], [6.0, 6.0, 9.0]),
    (Station::HilarRight, [-29.0, 3.0, -1.0], [4.0, 5.0, 6.0]),
    (Station::HilarLeft, [31.0, 5.0, 4.0], [4.0, 5.0, 6.0]),
];

/// A tilted ellipsoid: each axial section is an ellipse; the one through the centre is the largest.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub station: Station,
    centre: Point,
    /// Half of the long and of the short axial axis, and of the height, mm.
    half: Point,
    /// Direction of the long axis in the axial plane.
    turn: [f32; 2],
    /// How far x and y move with z.
    lean: [f32; 2],
    hu: f32,
}

impl Node {
    fn distance(&self, p: Point) -> f32 {
        let [x, y, z] = sub(p, self.centre);
        let (x, y) = (x - self.lean[0] * z, y - self.lean[1] * z);
        let [c, s] = self.turn;
        ellipsoid([c * x + s * y, c * y - s * x, z], self.half)
    }

    /// The point of the surface in the direction (unit vector) `d` of the upright ellipsoid.
    fn surface(&self, d: Point) -> Point {
        let [u, v, z] = [d[0] * self.half[0], d[1] * self.half[1], d[2] * self.half[2]];
        let [c, s] = self.turn;
        let leaned = [c * u - s * v + self.lean[0] * z, s * u + c * v + self.lean[1] * z, z];
        add(self.centre, leaned)
    }

    fn reach(&self) -> f32 {
        self.half[0].max(self.half[1]) + 0.35 * self.half[2] + CUSHION_MM
    }

    fn is_enlarged(&self) -> bool {
        2.0 * self.half[1] >= ENLARGED_MM
    }

    fn bounds(&self, margin: f32) -> (Point, Point) {
        let r = self.reach() + margin;
        let reach = [r, r, self.half[2] + margin];
        (sub(self.centre, reach), add(self.centre, reach))
    }
}

impl Body for Node {
    fn bounds(&self) -> (Point, Point) {
        self.bounds(0.0)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.distance(p), width)
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under + (self.hu - under) * part
    }
}

/// The fat around a node: where it bulges into the lung, it displaces the lung.
#[derive(Debug)]
struct Cushion(Node);

impl Body for Cushion {
    fn bounds(&self) -> (Point, Point) {
        self.0.bounds(CUSHION_MM)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.0.distance(p) - CUSHION_MM, width)
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under.max(under + (hu::FAT + 10.0 - under) * part)
    }
}

/// Plants up to four enlarged nodes when they are wanted, then normal ones in most of the other stations.
pub fn plant(site: &Site<'_>, enlarged: bool, planted: &mut Planted, random: &mut Random) {
    let obstacles = Obstacles::of(site.chest);
    let mut nodes: Vec<Node> = Vec::new();
    let mut stations = STATIONS.to_vec();
    for i in (1..stations.len()).rev() {
        stations.swap(i, random.below(i + 1));
    }
    if enlarged {
        let count = 1 + random.below(4);
        let mut short = random.logarithmic(10.5, 25.0);
        // Not every station has room for every size: a smaller one is better than none.
        while nodes.is_empty() && short >= 10.5 {
            for station in &stations {
                if nodes.len() < count
                    && let Some(node) = place(site, &obstacles, &nodes, station, short, random)
                {
                    nodes.push(node);
                    short = random.logarithmic(10.5, 25.0);
                }
            }
            short = (short * 0.85).max(if short > 10.6 { 10.5 } else { 0.0 });
        }
    }
    for station in &stations {
        for _ in 0..1 + random.below(2) {
            let short = random.between(3.0, 8.0);
            nodes.extend(place(site, &obstacles, &nodes, station, short, random));
        }
    }
    for node in nodes {
        let lesion = node.is_enlarged().then(|| planted.lesion(Lesion::new(Channel::LymphNode, None)));
        planted.body(Cushion(node), Layer::Under, None);
        planted.body(node, Layer::Under, lesion);
        planted.nodes.push((node, lesion));
    }
}

/// What a node must not be mistaken for.
#[derive(Debug)]
struct Obstacles {
    vessels: Vec<Rod>,
    airways: Vec<Rod>,
}

impl Obstacles {
    fn of(chest: &Chest) -> Self {
        Self { vessels: chest.mediastinum().into_iter().map(|(rod, _)| rod).collect(), airways: chest.airways() }
    }

    fn blocks(&self, chest: &Chest, p: Point) -> bool {
        self.vessels.iter().any(|rod| rod.distance(p).0 < 0.5)
            || self.airways.iter().any(|rod| rod.distance(p).0 < 2.0)
            || chest.heart_clearance(p) < 3.0
            || chest.to_standard(p)[1] > 44.0
    }
}

fn place(
    site: &Site<'_>,
    obstacles: &Obstacles,
    others: &[Node],
    (station, middle, about): &(Station, Point, Point),
    short: f32,
    random: &mut Random,
) -> Option<Node> {
    let chest = site.chest;
    for _ in 0..120 {
        let jitter = about.map(|a| random.between(-a, a));
        let long = short * random.between(1.05, 1.7);
        let high = short * random.between(1.0, 1.6);
        let angle = random.between(0.0, std::f32::consts::PI);
        let node = Node {
            station: *station,
            centre: chest.to_patient(add(*middle, jitter)),
            half: [long / 2.0, short / 2.0, high / 2.0],
            turn: [angle.cos(), angle.sin()],
            lean: [random.between(-0.3, 0.3), random.between(-0.3, 0.3)],
            hu: density(chest, random),
        };
        let (low, top) = node.bounds(2.0);
        let apart = |o: &Node| length(sub(o.centre, node.centre)) > 0.8 * (o.reach() + node.reach());
        if low[2] > site.slab[0] && top[2] < site.slab[1] && others.iter().all(apart) && fits(chest, obstacles, &node) {
            return Some(node);
        }
    }
    None
}

/// HU of a node: slightly above muscle, higher with contrast medium.
fn density(chest: &Chest, random: &mut Random) -> f32 {
    let plain = random.between(32.0, 58.0);
    if chest.blood_hu > 90.0 { plain + random.between(20.0, 45.0) } else { plain }
}

/// Whether a node fits: mostly in fat, and at most half of it bulging into the lung.
fn fits(chest: &Chest, obstacles: &Obstacles, node: &Node) -> bool {
    const RAYS: usize = 48;
    if obstacles.blocks(chest, node.centre) || in_lung(chest, node.centre) > 0.0 {
        return false;
    }
    let (mut free, mut deepest) = (0, 0.0f32);
    for i in 0..RAYS {
        // Fibonacci sphere: evenly spread directions.
        let z = 1.0 - 2.0 * (i as f32 + 0.5) / RAYS as f32;
        let (r, phi) = ((1.0 - z * z).sqrt(), 2.399_963 * i as f32);
        let direction = [r * phi.cos(), r * phi.sin(), z];
        let p = node.surface(direction);
        free += usize::from(!obstacles.blocks(chest, p));
        deepest = deepest.max(in_lung(chest, p));
        if obstacles.airways.iter().any(|rod| rod.distance(node.surface(scaled(direction, 0.7))).0 < 1.5) {
            return false;
        }
    }
    free as f32 >= FREE * RAYS as f32 && deepest < 1.1 * node.half[1]
}

/// Depth in a lung, mm; negative outside.
fn in_lung(chest: &Chest, p: Point) -> f32 {
    Side::BOTH.into_iter().map(|side| -chest.lung_distance(side, p)).fold(f32::MIN, f32::max)
}

/// One node. The enlarged ones are measured on the sampled grid; the axes are those of the body.
#[derive(Debug, Clone, Serialize)]
pub struct PlantedNode {
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    pub station: Station,
    /// Axes of the greatest axial section, mm.
    pub short_axis_mm: f64,
    pub long_axis_mm: f64,
    pub volume_ml: f64,
}

pub fn truth(measured: &Measured<'_>, nodes: &[(Node, Option<usize>)]) -> Vec<PlantedNode> {
    let list = nodes.iter().map(|(node, lesion)| {
        let sampled = lesion.and_then(|lesion| measured.lesion(lesion));
        let [a, b, c] = node.half.map(f64::from);
        let analytic = 4.0 / 3.0 * std::f64::consts::PI * a * b * c / 1000.0;
        PlantedNode {
            centre_mm: sampled.as_ref().map_or_else(|| node.centre.map(f64::from), |l| l.centre_mm),
            station: node.station,
            short_axis_mm: 2.0 * b,
            long_axis_mm: 2.0 * a,
            volume_ml: sampled.map_or(analytic, |l| l.volume_ml),
        }
    });
    list.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finding, Options, Phantom, Wanted};

    fn coarse(findings: Wanted) -> Options {
        Options { columns: 160, rows: 160, slices: 120, pixel_mm: 2.4, slice_mm: 2.5, findings, ..Options::default() }
    }

    #[test]
    fn the_greatest_axial_section_has_the_axes_of_the_truth() {
        let angle = 0.7f32;
        let node = Node {
            station: Station::Subcarinal,
            centre: [1.0, 2.0, 3.0],
            half: [9.0, 6.0, 8.0],
            turn: [angle.cos(), angle.sin()],
            lean: [0.3, -0.2],
            hu: 45.0,
        };
        let along = |way: f32, turn: f32| [1.0 + way * turn.cos(), 2.0 + way * turn.sin(), 3.0];
        assert!(node.distance(along(9.0, angle)).abs() < 1e-3);
        assert!(node.distance(along(6.0, angle + std::f32::consts::FRAC_PI_2)).abs() < 1e-3);
        let area = |z: f32| {
            let side = |i: i32| 0.25 * i as f32;
            let inside = |(i, j): (i32, i32)| node.distance([1.0 + side(i), 2.0 + side(j), z]) < 0.0;
            (-60..=60).flat_map(|i| (-60..=60).map(move |j| (i, j))).filter(|p| inside(*p)).count() as f32 / 16.0
        };
        assert!((area(3.0) - std::f32::consts::PI * 54.0).abs() < 3.0);
        assert!(area(3.0) > area(4.5) && area(3.0) > area(1.5));
    }

    #[test]
    fn everybody_has_normal_nodes_and_only_enlarged_ones_are_marked() {
        for seed in 0..6 {
            let bit = Channel::LymphNode.bit();
            let marked = |findings: Wanted| {
                let (slices, truth) = Phantom::new(seed, &coarse(findings)).render_labelled();
                (slices.iter().flat_map(|s| &s.labels).filter(|l| **l & bit != 0).count(), truth.lymph_nodes)
            };
            let (none, normal) = marked(Wanted::NONE);
            assert_eq!(none, 0);
            assert!(
                normal.len() >= 4 && normal.iter().all(|n| n.short_axis_mm < 10.0),
                "seed {seed}: {}",
                normal.len()
            );
            let (some, nodes) = marked(Wanted::only(&[Finding::LymphNode]));
            let enlarged: Vec<_> = nodes.iter().filter(|n| n.short_axis_mm >= 10.0).collect();
            assert!((1..=4).contains(&enlarged.len()), "seed {seed}");
            let ml: f64 = enlarged.iter().map(|n| n.volume_ml).sum();
            assert!((some as f64 * 2.4 * 2.4 * 2.5 / 1000.0 / ml - 1.0).abs() < 0.1, "seed {seed}");
            assert!(enlarged.iter().all(|n| n.long_axis_mm >= n.short_axis_mm && n.short_axis_mm <= 25.0));
        }
    }
}
