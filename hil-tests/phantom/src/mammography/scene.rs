//! A case: one woman, what is planted in her breasts, and the pictures of one examination.

use super::compression::Pose;
use super::decoy::{self, PlantedDecoy};
use super::detector;
use super::lesion::{Kind, Lesion};
use super::look;
use super::outline::Outline;
use super::plane::Plane;
use super::projection::Compressed;
use super::strands::{self, Body, Parts};
use super::tissue::Gland;
use super::truth::{self, Raster, Truth, ViewTruth};
use super::vendor::Vendor;
use super::woman::{Density, Woman};
use super::{Projection, View};
use crate::anatomy::Side;

/// What is planted and how it is taken. Everything that is absent is chosen by the seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Pixel size, mm; that of the vendor's detector when absent.
    pub pixel_mm: Option<f32>,
    pub vendor: Option<Vendor>,
    pub density: Option<Density>,
    /// Number of lesions.
    pub lesions: Option<usize>,
    /// Kind of every lesion.
    pub kind: Option<Kind>,
    pub implants: Option<bool>,
    pub visit: Visit,
}

/// Which examination of the same woman.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visit {
    #[default]
    Current,
    /// A year before: lesions are smaller or not there yet, everything else is placed a little differently.
    Prior,
}

/// Attenuation of silicone relative to the difference between gland and fat.
const SILICONE: f32 = 4.0;

/// Of magnification views, and the width and height of their detector field, mm.
const MAGNIFICATION: f32 = 1.8;
const MAGNIFIED_MM: [f32; 2] = [120.0, 120.0];

#[derive(Debug)]
pub struct Case {
    pub woman: Woman,
    pub vendor: Vendor,
    pub lesions: Vec<Lesion>,
    pub decoys: Vec<PlantedDecoy>,
    pub visit: Visit,
    pub pixel_mm: f32,
    glands: [Gland; 2],
    /// Anatomy, lesions and decoys, implant; right and left.
    parts: [Parts; 2],
}

/// One exposure. Planes have the chest wall at column 0, for both breasts; [`Picture::stored`] turns the right one around.
#[derive(Debug)]
pub struct Picture {
    pub pose: Pose,
    /// Of the detector, relative to the unattenuated beam.
    pub signal: Plane,
    /// Tissue between the plates, mm.
    pub thickness: Plane,
    /// Distance from the skin line, mm.
    pub inside: Plane,
    pub truth: ViewTruth,
    /// 1, or that of a magnification view.
    pub magnification: f32,
}

impl Case {
    pub fn new(seed: u64, options: &Options) -> Self {
        let woman = Woman::new(seed, options.density, options.implants);
        let prior = options.visit == Visit::Prior;
        // Glands shrink by about 2 percent a year.
        let glands = Gland::pair(&woman, woman.glandular_percent * if prior { 1.02 } else { 1.0 });
        let lesions = Lesion::planted(&woman, &glands, options.lesions, options.kind);
        let vendor = options.vendor.unwrap_or_else(|| Vendor::by_seed(seed));
        let arm = Pose::new(&woman, View::ALL[2], 0, [180.0, 240.0]).angle_degrees;
        let mut decoys = Vec::new();
        let parts = [0usize, 1].map(|i| {
            let side = Side::BOTH[i];
            let (mut parts, vessels) = strands::anatomy(&woman, &glands[i], i as u64);
            let (planted, listed) = decoy::planted(&woman, side, &glands[i], &vessels, arm);
            parts.append(planted);
            decoys.extend(listed);
            for lesion in lesions.iter().filter(|l| l.side == side) {
                parts.append(lesion.parts(&woman, lesion.size(prior)));
            }
            if let Some(half) = woman.implant_mm {
                parts.bodies.push(implant(half));
            }
            parts
        });
        let pixel_mm = options.pixel_mm.unwrap_or_else(|| vendor.facts().pixel_mm);
        Self { woman, vendor, lesions, decoys, visit: options.visit, pixel_mm, glands, parts }
    }

    /// Columns and rows: the vendor's small or large field at the pixel size of this case.
    fn size(&self) -> [usize; 2] {
        let facts = self.vendor.facts();
        let large = self.woman.radius_mm > 72.0;
        facts.fields[usize::from(large)].map(|n| (n as f32 * facts.pixel_mm / self.pixel_mm).round() as usize)
    }

    pub fn pose(&self, view: View) -> Pose {
        let field = self.size().map(|n| n as f32 * self.pixel_mm);
        Pose::new(&self.woman, view, u64::from(self.visit == Visit::Prior), field)
    }

    pub fn picture(&self, view: View) -> Picture {
        let [columns, rows] = self.size();
        self.exposed(view, Plane::new(columns, rows, self.pixel_mm), 1.0)
    }

    /// The surroundings of the first lesion that the CC view shows, enlarged by geometry.
    pub fn magnified(&self) -> Option<Picture> {
        let prior = self.visit == Visit::Prior;
        let lesion = self.lesions.iter().find(|l| l.size(prior) > 0.0)?;
        let view = View { side: lesion.side, projection: Projection::Cc };
        let centre = self.pose(view).shown(lesion.centre_mm);
        let pixel_mm = self.pixel_mm / MAGNIFICATION;
        let [columns, rows] = MAGNIFIED_MM.map(|mm| (mm / self.pixel_mm) as usize);
        let corner = |axis: usize, count: usize| (centre[axis] - 0.5 * count as f32 * pixel_mm).max(0.0);
        let corner_mm = [corner(0, columns), corner(1, rows)];
        Some(self.exposed(view, Plane { corner_mm, ..Plane::new(columns, rows, pixel_mm) }, MAGNIFICATION))
    }

    fn exposed(&self, view: View, field: Plane, magnification: f32) -> Picture {
        let pose = self.pose(view);
        let visit = u64::from(self.visit == Visit::Prior);
        let outline = Outline::new(&pose, self.woman.seed, visit);
        let side = usize::from(view.side == Side::Left);
        let compressed = Compressed {
            pose: &pose,
            outline: &outline,
            gland: &self.glands[side],
            parts: &self.parts[side],
            seed: self.woman.seed,
        };
        let paths = compressed.project(&field);
        let stream = visit * 8 + view.index() as u64 + if magnification > 1.0 { 4 } else { 0 };
        let signal = detector::expose(&paths, self.vendor.facts().blur_mm, self.woman.seed, stream);
        let raster = Raster::of(&field, pose.turned());
        let covered = paths.inside.values.iter().filter(|d| **d > 0.0).count();
        let truth = ViewTruth {
            side: view.side,
            projection: view.projection,
            columns: field.columns,
            rows: field.rows,
            pixel_mm: field.pixel_mm,
            chest_wall_on_right: raster.turned,
            thickness_mm: pose.thickness_mm,
            angle_degrees: pose.angle_degrees,
            breast_area_mm2: covered as f32 * field.pixel_mm * field.pixel_mm,
            nipple: raster.pixel(pose.nipple_mm()),
            pectoral: truth::pectoral(outline.pectoral.as_ref(), &raster),
            lesions: truth::shown(&pose, &raster, &self.lesions, self.visit == Visit::Prior),
        };
        Picture { pose, signal, thickness: paths.thickness, inside: paths.inside, truth, magnification }
    }

    /// With the views that were taken.
    pub fn truth(&self, views: Vec<ViewTruth>) -> Truth {
        Truth {
            woman: self.woman.clone(),
            vendor: self.vendor,
            prior: self.visit == Visit::Prior,
            lesions: self.lesions.clone(),
            decoys: self.decoys.clone(),
            views,
        }
    }

    /// Glandular part of the volume as sampled: right, left; percent.
    pub fn glandular_percent(&self) -> [f32; 2] {
        [self.glands[0].percent, self.glands[1].percent]
    }
}

impl Picture {
    /// The picture for presentation: grey 0 to 1, chest wall at column 0.
    pub fn presented(&self, vendor: Vendor) -> Plane {
        look::presented(&self.signal, &self.thickness, &self.inside, &vendor.facts().look)
    }

    /// A plane as it is stored: the right breast has the chest wall at the right edge.
    pub fn stored(&self, plane: &Plane) -> Vec<f32> {
        let mut values = plane.values.clone();
        if self.pose.turned() {
            values.chunks_exact_mut(plane.columns).for_each(<[f32]>::reverse);
        }
        values
    }
}

/// Behind the gland, on the muscle.
fn implant(half: [f32; 3]) -> Body {
    Body {
        centre: [0.75 * half[0], 0.0, 0.0],
        half,
        turn_degrees: 0.0,
        lobes: Vec::new(),
        soft: 0.0,
        strength: SILICONE,
    }
}

impl Projection {
    pub fn words(self) -> &'static str {
        match self {
            Self::Cc => "CC",
            Self::Mlo => "MLO",
        }
    }
}
