//! The shapes of which the surroundings consist: solid pieces, and pouches with a wall, contents and gas.

use std::sync::Arc;

use crate::anatomy::{Chest, bone};
use crate::finding::Body;
use crate::ripple::Ripple;
use crate::shape::{Point, Rod, add, coverage, dot, ellipsoid, smooth_max, smooth_min, sub};

/// Outline of a piece, patient mm.
#[derive(Debug, Clone)]
pub enum Form {
    /// Rods that run into each other, with the width of the seams between them.
    Rods(Vec<Rod>, f32),
    /// Centre, half axes, and the rows of a rotation.
    Egg(Point, Point, [Point; 3]),
}

impl Form {
    pub fn upright_egg(centre: Point, radii: Point) -> Self {
        Self::Egg(centre, radii, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    }

    pub fn distance(&self, p: Point) -> f32 {
        match self {
            Self::Rods(rods, seam) => {
                let mut sd = 1e6f32;
                for rod in rods {
                    // Far rods are left out: what matters is near the surface.
                    let far = rod.from_radius.max(rod.to_radius) + 12.0;
                    if (0..3)
                        .any(|a| p[a] < rod.from[a].min(rod.to[a]) - far || p[a] > rod.from[a].max(rod.to[a]) + far)
                    {
                        continue;
                    }
                    let next = rod.distance(p).0;
                    sd = if *seam > 0.0 { smooth_min(sd, next, *seam) } else { sd.min(next) };
                }
                sd
            }
            Self::Egg(centre, radii, axes) => {
                let rel = sub(p, *centre);
                ellipsoid(axes.map(|axis| dot(axis, rel)), *radii)
            }
        }
    }

    fn bounds(&self, margin: f32) -> (Point, Point) {
        match self {
            Self::Rods(rods, _) => {
                rods.iter().map(|rod| rod.bounds(margin)).fold(([f32::MAX; 3], [f32::MIN; 3]), |(low, high), (l, h)| {
                    (std::array::from_fn(|a| low[a].min(l[a])), std::array::from_fn(|a| high[a].max(h[a])))
                })
            }
            Self::Egg(centre, radii, axes) => {
                let reach: Point = std::array::from_fn(|a| {
                    let square: f32 = (0..3).map(|i| (axes[i][a] * radii[i]).powi(2)).sum();
                    square.sqrt() + margin
                });
                (sub(*centre, reach), add(*centre, reach))
            }
        }
    }
}

/// What a piece is made of.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    Flat(f32),
    /// Cortex around marrow of this HU.
    Bone(f32),
}

/// Where a piece ends, whatever its form.
#[derive(Debug, Clone)]
pub enum Limit {
    Nowhere,
    /// At the diaphragm and the walls of the abdomen.
    Belly(Arc<Chest>),
    /// This many mm below the skin of the trunk: for what is attached to the trunk from outside.
    Trunk(Arc<Chest>, f32),
}

impl Limit {
    /// The limit is evaluated only where the body is.
    fn cut(&self, sd: f32, p: Point, width: f32) -> f32 {
        match self {
            Self::Belly(chest) if sd < width => smooth_max(sd, chest.belly_distance(p), 2.0),
            Self::Trunk(chest, deep) if sd < width => sd.max(-deep - chest.trunk_distance(p)),
            _ => sd,
        }
    }
}

/// A solid piece.
#[derive(Debug)]
pub struct Piece {
    pub form: Form,
    pub ink: Ink,
    pub outline: Option<Ripple>,
    pub limit: Limit,
}

impl Piece {
    pub fn new(form: Form, ink: Ink) -> Self {
        Self { form, ink, outline: None, limit: Limit::Nowhere }
    }

    fn distance(&self, p: Point, width: f32) -> f32 {
        let mut sd = self.form.distance(p);
        if let Some(outline) = &self.outline
            && sd.abs() < outline.height() + width
        {
            sd += outline.at(p);
        }
        self.limit.cut(sd, p, width)
    }
}

impl Body for Piece {
    fn bounds(&self) -> (Point, Point) {
        self.form.bounds(self.outline.as_ref().map_or(0.0, Ripple::height) + 1.0)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.distance(p, width), width)
    }

    fn paint(&self, p: Point, under: f32, part: f32) -> f32 {
        match self.ink {
            Ink::Flat(hu) => under + (hu - under) * part,
            Ink::Bone(marrow) => {
                // Thin pieces keep their cortex where the voxel is only partly filled.
                let painted = bone(under, self.distance(p, 1.0), 1.0, marrow);
                under + (painted - under) * part.sqrt()
            }
        }
    }
}

/// A hollow organ: wall with folds, contents, and gas above them, since the patient lies on the back.
#[derive(Debug)]
pub struct Pouch {
    pub form: Form,
    pub limit: Limit,
    pub wall_mm: f32,
    /// How far folds rise into the pouch and their distance, mm.
    pub folds: [f32; 2],
    /// Direction along which folds follow each other.
    pub along: Point,
    pub contents_hu: f32,
    /// HU by which the contents vary.
    pub grain_hu: f32,
    pub grain: Ripple,
    /// Gas is where y (mm) is less.
    pub level: f32,
}

impl Pouch {
    fn distance(&self, p: Point, width: f32) -> f32 {
        self.limit.cut(self.form.distance(p), p, width)
    }
}

impl Body for Pouch {
    fn bounds(&self) -> (Point, Point) {
        self.form.bounds(1.0)
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        coverage(self.distance(p, width), width)
    }

    fn paint(&self, p: Point, under: f32, part: f32) -> f32 {
        const WALL_HU: f32 = 42.0;
        const W: f32 = 1.2;
        let sd = self.distance(p, 1e6);
        let [high, apart] = self.folds;
        let grain = self.grain.at(p);
        let phase = dot(self.along, p) / apart + 0.12 * grain;
        // Narrow ridges with wide valleys between them.
        let ridge = (0.5 + 0.5 * (std::f32::consts::TAU * phase).sin()).powi(6);
        let inside = sd + self.wall_mm + high * ridge;
        let fluid = self.contents_hu + self.grain_hu * grain / self.grain.height().max(1e-3);
        let gas = coverage(p[1] - self.level, W);
        let contents = fluid + (-985.0 - fluid) * gas;
        let own = WALL_HU + (contents - WALL_HU) * coverage(inside, W);
        under + (own - under) * part
    }
}
