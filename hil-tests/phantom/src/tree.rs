//! Trees that fill the lungs: arteries, veins and bronchi, branching and tapering outward.
//!
//! Leaves are spread over the lung. Each of them, nearest to the root first, is joined to the tree where the path is
//! shortest. Then the radii are computed from the leaves to the root by Murray's law. That gives many generations of
//! branches, which fill the lung evenly, and junctions that look similar to nodules.

use super::anatomy::{Chest, Side};
use super::random::Random;
use super::shape::{Point, Rod, add, length, scaled, sub};

/// Shape of one tree.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// Branch ends per lung.
    pub leaves: usize,
    /// Radius of a branch end, mm.
    pub leaf_radius: f32,
    /// Murray's exponent: a parent's radius^e is the sum of its children's.
    pub exponent: f32,
    /// Largest radius, mm.
    pub largest: f32,
    /// Ends keep this far from the pleura, mm.
    pub margin: f32,
}

struct Node {
    at: Point,
    parent: usize,
    /// Length of the path from the root, mm.
    way: f32,
    /// Sum of leaf_radius^exponent over all leaves of this branch.
    load: f32,
}

/// Grows one tree from `root` into one lung; rods in patient mm.
pub fn grow(chest: &Chest, side: Side, root: Point, habit: Habit, random: &mut Random) -> Vec<Rod> {
    let mut leaves = leaves(chest, side, habit, random);
    leaves.sort_by(|a, b| length(sub(*a, root)).total_cmp(&length(sub(*b, root))));
    let mut nodes = vec![Node { at: root, parent: 0, way: 0.0, load: 0.0 }];
    for leaf in leaves {
        let joint = nearest(&nodes, leaf);
        extend(&mut nodes, joint, leaf, habit, random);
    }
    for i in (1..nodes.len()).rev() {
        let load = nodes[i].load.max(habit.leaf_radius.powf(habit.exponent));
        nodes[i].load = load;
        let parent = nodes[i].parent;
        nodes[parent].load += load;
    }
    let radius = |n: &Node| n.load.powf(1.0 / habit.exponent).min(habit.largest);
    nodes
        .iter()
        .skip(1)
        .map(|n| {
            let parent = &nodes[n.parent];
            let end = radius(n);
            // A branch starts only slightly wider than it ends, even if its parent is wide.
            let start = radius(parent).min(end * 1.25);
            Rod { from: parent.at, to: n.at, from_radius: start, to_radius: end }
        })
        .collect()
}

fn leaves(chest: &Chest, side: Side, habit: Habit, random: &mut Random) -> Vec<Point> {
    let (bottom, top) = chest.lung_range();
    let mut leaves = Vec::with_capacity(habit.leaves);
    // Some proportions leave little lung; the limit prevents an endless loop then.
    for _ in 0..habit.leaves * 40 {
        if leaves.len() == habit.leaves {
            break;
        }
        let x = side.sign() * random.between(8.0, 150.0);
        let p = [x, random.between(-110.0, 110.0), random.between(bottom, top)];
        if chest.lung_distance(side, p) < -habit.margin {
            leaves.push(p);
        }
    }
    leaves
}

/// The node where joining costs least: the length of the new branch, and a little for a detour of the path.
fn nearest(nodes: &[Node], leaf: Point) -> usize {
    let cost = |n: &Node| length(sub(leaf, n.at)) + 0.35 * n.way;
    let mut best = (0, f32::MAX);
    for (i, n) in nodes.iter().enumerate() {
        let c = cost(n);
        if c < best.1 {
            best = (i, c);
        }
    }
    best.0
}

/// A slightly bent path of short pieces from `joint` to `leaf`, so that later branches can start in its middle.
fn extend(nodes: &mut Vec<Node>, joint: usize, leaf: Point, habit: Habit, random: &mut Random) {
    let start = nodes[joint].at;
    let total = length(sub(leaf, start));
    let steps = ((total / 9.0).ceil() as usize).clamp(1, 12);
    let bend = scaled(random.direction(), total * 0.10);
    let mut parent = joint;
    for step in 1..=steps {
        let t = step as f32 / steps as f32;
        let arch = 4.0 * t * (1.0 - t);
        let at = add(add(start, scaled(sub(leaf, start), t)), scaled(bend, arch));
        let way = nodes[parent].way + length(sub(at, nodes[parent].at));
        nodes.push(Node { at, parent, way, load: 0.0 });
        parent = nodes.len() - 1;
    }
    nodes[parent].load = habit.leaf_radius.powf(habit.exponent);
}
