//! Path lengths of the tissues along parallel rays through the compressed breast, and the attenuation that they make.

use super::compression::Pose;
use super::noise::Field;
use super::outline::Outline;
use super::plane::Plane;
use super::seeds::stream;
use super::strands::{Body, Grain, Parts, Rod};
use super::tissue::Gland;
use crate::random::Random;
use crate::shape::ramp;

/// Attenuation per mm at about 20 keV (orders of magnitude of Johns and Yaffe, 1987).
const FAT: f32 = 0.046;
const GLAND: f32 = 0.081;
const SKIN: f32 = 0.075;
const MUSCLE: f32 = 0.079;
/// Calcium is hardest to see through, but grains are not solid.
const CALCIUM: f32 = 1.1;
/// Step of the projected gland, mm.
const COARSE: f32 = 1.0;
/// Tissue farther than this from the skin line is air.
const AIR_MM: f32 = -8.0;

/// What the rays pass on their way to each pixel.
#[derive(Debug)]
pub struct Paths {
    /// Natural logarithm of the attenuation.
    pub attenuation: Plane,
    /// Tissue, mm.
    pub thickness: Plane,
    /// Distance from the skin line, mm; negative outside.
    pub inside: Plane,
}

/// One compressed breast.
#[derive(Debug)]
pub struct Compressed<'a> {
    pub pose: &'a Pose,
    pub outline: &'a Outline,
    pub gland: &'a Gland,
    pub parts: &'a Parts,
    pub seed: u64,
}

impl Compressed<'_> {
    /// Fills the geometry of `field`.
    pub fn project(&self, field: &Plane) -> Paths {
        let inside = self.outline.distance(field);
        let glandular = self.glandular(field).enlarged(field);
        let mut paths = self.tissues(&inside, &glandular);
        let extra = self.details(field);
        for (a, e) in paths.attenuation.values.iter_mut().zip(&extra.values) {
            *a = (*a + e).max(0.0);
        }
        paths.inside = inside;
        paths
    }

    /// Mean part of gland along each ray.
    fn glandular(&self, field: &Plane) -> Plane {
        let pose = self.pose;
        let mut coarse = field.coarse(COARSE);
        for row in 0..coarse.rows {
            for column in 0..coarse.columns {
                let flat = pose.tissue(coarse.at(column, row));
                let half = pose.half_chord(flat);
                let steps = (2.0 * half / 1.6) as usize;
                if steps < 2 || flat[0] < 0.0 {
                    continue;
                }
                let step = 2.0 * half / steps as f32;
                let sum: f32 =
                    (0..steps).map(|i| self.gland.at(pose.place(flat, (i as f32 + 0.5) * step - half))).sum();
                coarse.values[row * coarse.columns + column] = sum / steps as f32;
            }
        }
        coarse
    }

    fn tissues(&self, inside: &Plane, glandular: &Plane) -> Paths {
        let (pose, outline) = (self.pose, self.outline);
        let mut random = Random::new(self.seed, stream::TEXTURE + pose.view.index() as u64);
        let texture = [7.0, 3.2, 1.5, 0.75].map(|w| Field::new(&mut random, w));
        let muscle_part = random.between(0.38, 0.58);
        let nipple = pose.nipple_mm();
        let reach = pose.stretch[0] * pose.depth_mm;
        let (mut attenuation, mut thickness) = (inside.alike(), inside.alike());
        for row in 0..inside.rows {
            for column in 0..inside.columns {
                let at = row * inside.columns + column;
                let distance = inside.values[at];
                if distance < AIR_MM {
                    continue;
                }
                let [x, y] = inside.at(column, row);
                let plates = pose.thickness_mm * (1.0 + pose.tilt * (x / reach - 0.5));
                let mut whole = plates * outline.profile(distance, 0.0);
                let within = plates * outline.profile(distance, outline.skin_mm);
                let within = within.min((whole - 2.0 * outline.skin_mm).max(0.0));
                let skin = whole - within;
                let [tx, ty] = [x + pose.hidden_mm, pose.middle_mm - y];
                let wave = |k: usize| texture[k].at_plane(tx, ty, k * 7 + 3);
                let curl = 2.4 * wave(0);
                // Strands fan out from the nipple.
                let back = (nipple[0] - x).max(0.0) / reach;
                let fan = (y - nipple[1]) / (0.35 + 0.65 * back) + curl;
                let bent = |k: usize, along: f32| texture[k].at_plane(along * tx - curl, fan, k * 5 + 1);
                let (mid, fine, finest) = (bent(1, 0.45), bent(2, 0.5), bent(3, 0.7));
                let mut gland = glandular.values[at] * within;
                // Gland consists of strands with fat between them.
                let rough = 0.46 * wave(0) + 0.36 * mid + 0.26 * fine + 0.18 * finest;
                gland *= 1.0 + 0.55 * rough;
                gland += 0.012 * within * (0.6 * mid.abs() + 0.8 * fine).max(0.0);
                let mut muscle = 0.0;
                if let Some(pectoral) = &outline.pectoral {
                    let edge = pectoral.edge(y) + 0.8 * wave(0);
                    if x < edge {
                        muscle = within * muscle_part * ramp(edge - x, -1.0, 26.0) * (1.0 + 0.05 * wave(0));
                        muscle += 0.12 * within * ramp(edge - x, 0.0, 1.5);
                        gland *= 1.0 - 0.5 * (muscle / within.max(1.0));
                    }
                }
                let mut bump = 0.0;
                let (nx, ny) = ((x - nipple[0] + 1.0) / 5.5, (y - nipple[1]) / 5.0);
                let n = 1.0 - nx * nx - ny * ny;
                if n > 0.0 {
                    bump = 9.0 * n.powf(0.7);
                    whole = (whole * whole + bump * bump).sqrt();
                }
                let fat = whole - skin - gland - muscle;
                attenuation.values[at] =
                    FAT * fat + GLAND * gland + SKIN * skin + MUSCLE * muscle + 0.4 * (GLAND - FAT) * bump;
                thickness.values[at] = whole;
            }
        }
        Paths { attenuation, thickness, inside: Plane::new(0, 0, 1.0) }
    }

    /// Attenuation that bodies, strands and grains add.
    fn details(&self, field: &Plane) -> Plane {
        let mut out = field.alike();
        self.parts.bodies.iter().for_each(|b| self.body(b, &mut out));
        self.parts.rods.iter().for_each(|r| self.rod(r, &mut out));
        self.parts.grains.iter().for_each(|g| self.grain(g, &mut out));
        out
    }

    fn body(&self, body: &Body, out: &mut Plane) {
        let pose = self.pose;
        let [hx, hy, depth] = pose.extent(body.half, body.turn_degrees);
        let weight = (GLAND - FAT) * body.strength * 2.0 * depth;
        let [cos, sin] = pose.across();
        let reach = if body.soft > 0.5 { 1.9 } else { 1.5 };
        out.around(pose.shown(body.centre), [reach * hx, reach * hy], |v, [x, y]| {
            let r = (x * x + y * y).sqrt().max(1e-3);
            // Up in the picture is across in the tissue.
            let (dx, up) = (x / r, -y / r);
            let star = body.star([dx, up * cos, up * sin]);
            let q = ((x / hx).powi(2) + (y / hy).powi(2)) / (star * star);
            let sharp = (1.0 - q).max(0.0).sqrt();
            let blurred = if q < 3.2 { (-1.7 * q).exp() * (1.0 - q / 3.2) } else { 0.0 };
            *v += weight * (sharp + body.soft * (blurred - sharp));
        });
    }

    fn rod(&self, rod: &Rod, out: &mut Plane) {
        let pose = self.pose;
        let count = (rod.points.len() - 1).max(1) as f32;
        let pixel = out.pixel_mm;
        for (i, pair) in rod.points.windows(2).enumerate() {
            let true_radius = rod.radius_mm[0] + (rod.radius_mm[1] - rod.radius_mm[0]) * (i as f32 + 0.5) / count;
            let radius = true_radius.max(0.6 * pixel);
            let (a, b) = (pose.shown(pair[0]), pose.shown(pair[1]));
            let line = [b[0] - a[0], b[1] - a[1]];
            let long = (line[0] * line[0] + line[1] * line[1]).sqrt().max(1e-3);
            let whole = crate::shape::length(crate::shape::sub(pair[1], pair[0]));
            // Seen along its axis a rod is denser.
            let steep = (whole / long).clamp(1.0, 2.5);
            let weight = (GLAND - FAT) * rod.strength * steep * 2.0 * (true_radius / radius).powi(2);
            let unit = [line[0] / long, line[1] / long];
            let middle = [0.5 * (a[0] + b[0]), 0.5 * (a[1] + b[1])];
            let reach = [0.5 * line[0].abs() + radius, 0.5 * line[1].abs() + radius];
            out.around(middle, reach, |v, [x, y]| {
                let along = x * unit[0] + y * unit[1] + 0.5 * long;
                let beside = x * unit[1] - y * unit[0];
                let q = beside * beside;
                if along >= 0.0 && along < long && q < radius * radius {
                    *v += weight * (radius * radius - q).sqrt();
                }
            });
        }
    }

    fn grain(&self, grain: &Grain, out: &mut Plane) {
        let pose = self.pose;
        let radius = grain.radius_mm.max(0.75 * out.pixel_mm);
        let ends = [-1.0, 1.0].map(|s| pose.shown(crate::shape::add(grain.centre, grain.half_length.map(|h| s * h))));
        let line = [0.5 * (ends[1][0] - ends[0][0]), 0.5 * (ends[1][1] - ends[0][1])];
        let long = (line[0] * line[0] + line[1] * line[1]).sqrt();
        // What is smaller than a pixel keeps its calcium: of a ball in two directions more, of a rod in one.
        let ratio = grain.radius_mm / radius;
        let kept = ratio.powi(if long > radius { 2 } else { 3 });
        let weight = CALCIUM * grain.strength * 2.0 * kept;
        let middle = [0.5 * (ends[0][0] + ends[1][0]), 0.5 * (ends[0][1] + ends[1][1])];
        let unit = if long > 1e-4 { [line[0] / long, line[1] / long] } else { [1.0, 0.0] };
        out.around(middle, [line[0].abs() + radius, line[1].abs() + radius], |v, [x, y]| {
            let along = ((x * unit[0] + y * unit[1]).abs() - long).max(0.0);
            let beside = x * unit[1] - y * unit[0];
            let q = along * along + beside * beside;
            if q < radius * radius {
                *v += weight * (radius * radius - q).sqrt();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mammography::View;
    use crate::mammography::decoy::summation;
    use crate::mammography::woman::Woman;

    #[test]
    fn tissue_that_overlaps_in_one_view_is_spread_out_in_the_other() {
        let mut sum = 0.0;
        for seed in 0..6 {
            let woman = Woman::new(seed, None, Some(false));
            let glands = Gland::pair(&woman, woman.glandular_percent);
            let poses = [View::ALL[1], View::ALL[3]].map(|v| Pose::new(&woman, v, 0, [200.0, 280.0]));
            for aimed in 0..2 {
                let mut parts = Parts::default();
                let centre = [0.45 * woman.depth_mm, 0.1 * woman.radius_mm, 0.0];
                let angle = poses[aimed].angle_degrees;
                summation(&woman, centre, angle, &mut Random::new(seed, 1), &mut parts);
                let [cc, mlo] = [0, 1].map(|i| {
                    let pose = &poses[i];
                    let outline = Outline::new(pose, seed, 0);
                    let breast = Compressed { pose, outline: &outline, gland: &glands[1], parts: &parts, seed };
                    breast.details(&Plane::new(250, 350, 0.8)).values.into_iter().fold(0.0, f32::max)
                });
                let (here, there) = if aimed == 0 { (cc, mlo) } else { (mlo, cc) };
                assert!(here > 1.15 * there, "seed {seed}, view {aimed}: {here} and {there}");
                sum += here / there;
            }
        }
        assert!(sum / 12.0 > 1.5, "{} times on average", sum / 12.0);
    }
}
