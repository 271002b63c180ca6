//! Where each view shows a place of the uncompressed breast.
//!
//! The uncompressed breast is half of an ellipsoid. A view looks along a direction ([`Pose::beam`]) at right angles to the
//! depth. In the plane of the picture, tissue is stretched by constants (`stretch`), and the nipple sags
//! (or is turned) by a parabola over the depth. Along the beam, every line of tissue is pressed from its chord in the
//! ellipsoid to the distance of the plates there. So the distance between lesion and nipple along the depth is the same in
//! both views but for the few percent by which the stretches differ.

use serde::Serialize;

use super::seeds::stream;
use super::woman::Woman;
use super::{Place, Projection, View};
use crate::anatomy::Side;
use crate::random::Random;

/// One breast between the plates. Positions in the picture are mm from the chest wall edge and from the top, the same way
/// for both breasts; [`super::scene::Picture`] turns the right one around.
#[derive(Debug, Clone, Serialize)]
pub struct Pose {
    pub view: View,
    /// Angle of the arm from the CC view, degrees: 0, or about 50.
    pub angle_degrees: f32,
    /// Distance of the plates in the middle of the breast, mm.
    pub thickness_mm: f32,
    /// Change of the distance from the chest wall to the nipple, as a part of the thickness.
    pub tilt: f32,
    /// Compressed mm per uncompressed mm: along the depth, across the picture.
    pub stretch: [f32; 2],
    /// Compressed tissue in front of the chest wall that the picture does not reach, mm.
    pub hidden_mm: f32,
    /// How far the nipple is above the middle of the base, mm.
    pub lift_mm: f32,
    /// Row of the middle of the base, mm from the top.
    pub middle_mm: f32,
    /// Width (from the chest wall) and height of the picture, mm.
    pub field_mm: [f32; 2],
    /// Of the uncompressed breast.
    pub radius_mm: f32,
    pub depth_mm: f32,
}

impl Pose {
    /// The same woman is placed a little differently each time.
    pub fn new(woman: &Woman, view: View, visit: u64, field_mm: [f32; 2]) -> Self {
        let mut common = Random::new(woman.seed, stream::POSE);
        let [stretch, arm] = [common.between(1.32, 1.48), common.between(45.0, 56.0)];
        let mut random = Random::new(woman.seed, stream::POSE + 1 + visit * 8 + view.index() as u64);
        let mut near = |value: f32, part: f32| value * random.between(1.0 - part, 1.0 + part);
        let stretch = [near(stretch, 0.03), near(1.12, 0.04)];
        let mlo = view.projection == Projection::Mlo;
        let thickness_mm = near(woman.thickness_mm * if mlo { 1.06 } else { 1.0 }, 0.06);
        let half = stretch[1] * woman.radius_mm;
        let middle_mm = if mlo {
            (field_mm[1] - half - random.between(8.0, 26.0)).max(0.5 * field_mm[1])
        } else {
            field_mm[1] * random.between(0.46, 0.54)
        };
        Self {
            view,
            angle_degrees: if mlo { arm + random.between(-2.0, 2.0) } else { 0.0 },
            thickness_mm,
            tilt: random.between(-0.04, 0.10),
            stretch,
            hidden_mm: if mlo { random.between(-1.0, 3.0) } else { random.between(2.0, 10.0) },
            lift_mm: if mlo { random.between(-26.0, -8.0) } else { random.between(-9.0, 7.0) },
            middle_mm,
            field_mm,
            radius_mm: woman.radius_mm,
            depth_mm: woman.depth_mm,
        }
    }

    /// Unit vectors (lateral, towards the head) of the upwards direction of the picture and of the beam.
    pub fn across(&self) -> [f32; 2] {
        let (sin, cos) = self.angle_degrees.to_radians().sin_cos();
        [cos, sin]
    }

    pub fn beam(&self) -> [f32; 2] {
        let (sin, cos) = self.angle_degrees.to_radians().sin_cos();
        [-sin, cos]
    }

    /// Where the picture shows a place, mm.
    pub fn shown(&self, place: Place) -> [f32; 2] {
        let [cos, sin] = self.across();
        let up =
            self.stretch[1] * (place[1] * cos + place[2] * sin) + self.lift_mm * (place[0] / self.depth_mm).powi(2);
        [self.stretch[0] * place[0] - self.hidden_mm, self.middle_mm - up]
    }

    /// Uncompressed depth and offset across of a position in the picture.
    pub fn tissue(&self, mm: [f32; 2]) -> [f32; 2] {
        let depth = (mm[0] + self.hidden_mm) / self.stretch[0];
        let up = self.middle_mm - mm[1] - self.lift_mm * (depth / self.depth_mm).powi(2);
        [depth, up / self.stretch[1]]
    }

    /// The place at `beam` mm along the beam, in the uncompressed breast.
    pub fn place(&self, [depth, across]: [f32; 2], beam: f32) -> Place {
        let (a, b) = (self.across(), self.beam());
        [depth, across * a[0] + beam * b[0], across * a[1] + beam * b[1]]
    }

    /// Half of the chord of the ellipsoid along the beam, mm; 0 outside.
    pub fn half_chord(&self, [depth, across]: [f32; 2]) -> f32 {
        let rest = 1.0 - (depth / self.depth_mm).powi(2) - (across / self.radius_mm).powi(2);
        self.radius_mm * rest.max(0.0).sqrt()
    }

    pub fn nipple_mm(&self) -> [f32; 2] {
        self.shown([self.depth_mm, 0.0, 0.0])
    }

    /// Half axes in the picture and along the beam of an ellipsoid that is not pressed; mm.
    /// `turn_degrees`: of its last two axes about the depth.
    pub fn extent(&self, half: [f32; 3], turn_degrees: f32) -> [f32; 3] {
        let (sin, cos) = (self.angle_degrees - turn_degrees).to_radians().sin_cos();
        let both = |a: f32, b: f32| (a * a + b * b).sqrt();
        [half[0], both(half[1] * cos, half[2] * sin), both(half[1] * sin, half[2] * cos)]
    }

    /// Whether the picture has the chest wall on its right.
    pub fn turned(&self) -> bool {
        self.view.side == Side::Right
    }
}
