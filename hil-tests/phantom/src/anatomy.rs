//! The chest without its vessels: body wall, spine, mediastinum, diaphragm and the outline of the lungs; the ribs are in
//! `ribs`.
//!
//! Everything here is in the *standard chest*: millimetres of an average adult, +x to the patient's left, +y to the
//! back, +z to the head, origin between the hila. [`Chest`] scales and moves it to one patient.

use super::breasts::Breasts;
use super::pleura::{Contents, Space};
use super::random::Random;
use super::ribs::{self, Break, Course, Painted};
use super::shape::{Point, coverage, ellipse, ellipsoid, ramp, smooth_max};
use super::surroundings::Around;

/// Hounsfield units of the tissues.
pub(super) mod hu {
    pub const AIR: f32 = -1000.0;
    pub const SKIN: f32 = 15.0;
    pub const FAT: f32 = -102.0;
    pub const MUSCLE: f32 = 48.0;
    pub const MARROW: f32 = 210.0;
    pub const CORTEX: f32 = 720.0;
    pub const CARTILAGE: f32 = 115.0;
    pub const BRUISE: f32 = 52.0;
    pub const CALLUS: f32 = 330.0;
    pub const DISC: f32 = 85.0;
    pub const CORD: f32 = 35.0;
    pub const LIVER: f32 = 58.0;
    pub const SPLEEN: f32 = 47.0;
    pub const TABLE: f32 = -250.0;
    pub const PLEURA: f32 = 20.0;
}

/// Cosine and sine of 35 degrees about z: the heart's long axis points to the left and front.
const HEART_TURN: (f32, f32) = (0.819, 0.574);

/// One patient's proportions.
#[derive(Debug, Clone)]
pub struct Chest {
    /// Patient millimetres per standard millimetre.
    pub scale: f32,
    /// Where the standard origin lies in the patient's coordinates, mm.
    pub offset: Point,
    width: f32,
    depth: f32,
    fat_mm: f32,
    heart: Point,
    heart_radii: Point,
    domes: [f32; 2],
    /// Height of the heads of the first ribs: close below the tops of the lungs.
    pub(super) first_rib: f32,
    pub(super) ribs: [Course; 12],
    /// Fractures of the ribs.
    pub(super) breaks: Vec<Break>,
    pub(super) breasts: Option<Breasts>,
    /// HU of flowing blood: about 40 without, 120 to 300 with contrast medium.
    pub blood_hu: f32,
    pub parenchyma_hu: f32,
    /// HU by which the back of the lung is denser than the front, because the patient lies on the back.
    gravity_hu: f32,
    /// Right and left, where something lies between chest wall and lung.
    pleura: [Option<Space>; 2],
    /// What is painted beyond the chest proper.
    pub(super) around: Option<Around>,
}

/// Which lung: the patient's right has negative x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Right,
    Left,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Right, Self::Left];

    pub fn words(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Left => "left",
        }
    }

    /// -1 for right, +1 for left: the sign of x.
    pub fn sign(self) -> f32 {
        match self {
            Self::Right => -1.0,
            Self::Left => 1.0,
        }
    }
}

/// Content of a voxel before vessels and nodules are added.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub hu: f32,
    /// Fraction of the voxel that is lung, 0 to 1.
    pub lung: f32,
    /// Fraction of it that is fluid or air in the pleural space.
    pub pleura: f32,
}

/// Thickness of the visceral pleura where air separates it from the wall, mm.
const PLEURA_MM: f32 = 1.0;

impl Chest {
    pub fn new(random: &mut Random) -> Self {
        let scale = random.between(0.90, 1.06);
        Self {
            scale,
            offset: [random.between(-8.0, 8.0), random.between(-8.0, 8.0), 0.0],
            width: random.between(0.93, 1.06),
            depth: random.between(0.92, 1.08),
            fat_mm: random.between(5.0, 20.0),
            heart: [random.between(12.0, 20.0), random.between(-34.0, -26.0), random.between(-44.0, -34.0)],
            heart_radii: [random.between(50.0, 60.0), random.between(40.0, 47.0), random.between(50.0, 60.0)],
            domes: [random.between(-78.0, -62.0), random.between(-90.0, -76.0)],
            first_rib: random.between(114.0, 118.0),
            ribs: ribs::courses(),
            breaks: Vec::new(),
            breasts: None,
            blood_hu: if random.chance(0.35) { random.between(120.0, 300.0) } else { random.between(35.0, 50.0) },
            parenchyma_hu: random.between(-895.0, -835.0),
            gravity_hu: random.between(10.0, 60.0),
            pleura: [None, None],
            around: None,
        }
    }

    /// Sets whether there is contrast medium in the blood, instead of what the seed says.
    pub fn give_contrast(&mut self, given: bool, random: &mut Random) {
        if given != (self.blood_hu > 90.0) {
            self.blood_hu = if given { random.between(120.0, 300.0) } else { random.between(35.0, 50.0) };
        }
    }

    /// Top and bottom of the lungs in patient mm, for centring a scan on them.
    pub fn lung_range(&self) -> (f32, f32) {
        let bottom = self.domes[1].min(self.domes[0]) - 66.0;
        (bottom * self.scale + self.offset[2], 125.0 * self.scale + self.offset[2])
    }

    /// Heights of the two halves of the diaphragm, right and left, standard mm.
    pub(super) fn domes(&self) -> [f32; 2] {
        self.domes
    }

    /// Half axes of the rib cage where it is widest, to the left and to the back, patient mm.
    pub fn cavity(&self) -> [f32; 2] {
        let section = self.section(0.0);
        [section.cavity[0] * self.scale, (section.cavity[1] + 4.0) * self.scale]
    }

    pub fn to_standard(&self, patient: Point) -> Point {
        std::array::from_fn(|a| (patient[a] - self.offset[a]) / self.scale)
    }

    pub fn to_patient(&self, standard: Point) -> Point {
        std::array::from_fn(|a| standard[a] * self.scale + self.offset[a])
    }

    fn heart_distance(&self, p: Point) -> f32 {
        let (x, y, z) = (p[0] - self.heart[0], p[1] - self.heart[1], p[2] - self.heart[2]);
        let (c, s) = HEART_TURN;
        ellipsoid([c * x - s * y, s * x + c * y, z], self.heart_radii)
    }

    /// Distance to the heart's surface in patient mm, negative inside.
    pub fn heart_clearance(&self, patient: Point) -> f32 {
        self.heart_distance(self.to_standard(patient)) * self.scale
    }

    /// The point (patient mm) that is `above` (standard mm) the heart's surface, in a direction (unit vector) from the
    /// heart's centre; axes of the direction: towards the apex, to the left and back, up.
    pub fn on_heart(&self, direction: Point, above: f32) -> Point {
        let [u, v, w] = std::array::from_fn(|a| direction[a] * (self.heart_radii[a] + above));
        let (c, s) = HEART_TURN;
        self.to_patient([self.heart[0] + c * u + s * v, self.heart[1] - s * u + c * v, self.heart[2] + w])
    }

    /// Distance to the surface of one lung in patient mm, negative inside; `patient` in patient mm.
    pub fn lung_distance(&self, side: Side, patient: Point) -> f32 {
        let p = self.to_standard(patient);
        let whole = self.hemithorax(side, p);
        self.pleura(side).map_or(whole, |space| space.lung(p, whole)) * self.scale
    }

    /// Opens the pleural space of one side for `ml`, at most for `share` of the hemithorax.
    pub fn open_pleura(&mut self, side: Side, mut space: Space, ml: f32, share: f32) {
        let s = side.sign();
        let corners = ([(5.0 * s).min(155.0 * s), -110.0, -175.0], [(5.0 * s).max(155.0 * s), 110.0, 130.0]);
        space.fill(ml / self.scale.powi(3), share, corners, |p| self.hemithorax(side, p));
        self.pleura[usize::from(side == Side::Left)] = Some(space);
    }

    pub fn pleura(&self, side: Side) -> Option<&Space> {
        self.pleura[usize::from(side == Side::Left)].as_ref()
    }

    fn hemithorax(&self, side: Side, p: Point) -> f32 {
        let section = self.section(p[2]);
        let cavity = ellipse(p[0], p[1] + 4.0, section.cavity[0], section.cavity[1]);
        self.hemithorax_in_section(side, p, cavity, section.back)
    }

    /// Distance to the parietal pleura, standard mm: the surface of the lung when nothing is in the pleural space.
    fn hemithorax_in_section(&self, side: Side, p: Point, cavity: f32, back: f32) -> f32 {
        let [x, y, z] = p;
        let outward = x * side.sign();
        let bulge = (1.0 - (y / 62.0).powi(2)).max(0.0);
        let medial = 9.0 + 18.0 * bulge * bulge;
        let mut d = smooth_max(cavity + 2.0, medial - outward, 14.0);

        let (u, v) = ((outward - 46.0) / 57.0, (y - 4.0) / 76.0);
        let slope = 120.0 * ((u / 57.0).powi(2) + (v / 76.0).powi(2)).sqrt();
        let apex = (z - (125.0 - 60.0 * (u * u + v * v))) / (1.0 + slope * slope).sqrt();
        d = smooth_max(d, apex, 10.0);

        d = smooth_max(d, self.diaphragm(side, p), 3.0);
        d = smooth_max(d, 4.0 - self.heart_distance(p), 5.0);
        d = smooth_max(d, 2.5 - ellipse(x, y - 62.0 - back, 18.0, 15.0), 4.0);
        // In front of the necks of the ribs, which run from the side of the spine outward and back.
        smooth_max(d, (y - back - 70.0 - 1.06 * (outward - 19.0)) / 1.457 + 7.0, 5.0)
    }

    /// Distance to one half of the diaphragm; positive below it.
    fn diaphragm(&self, side: Side, [x, y, z]: Point) -> f32 {
        let dome = match side {
            Side::Right => self.domes[0],
            Side::Left => self.domes[1],
        };
        let (u, v) = ((x * side.sign() - 60.0) / 82.0, (y + 18.0) / 98.0);
        let slope = 124.0 * ((u / 82.0).powi(2) + (v / 98.0).powi(2)).sqrt();
        (dome - 62.0 * (u * u + v * v) - z) / (1.0 + slope * slope).sqrt()
    }

    /// Distance (patient mm) to the room below the diaphragm and between the walls of the trunk, negative inside.
    pub(super) fn belly_distance(&self, patient: Point) -> f32 {
        let p = self.to_standard(patient);
        let [x, y, z] = p;
        let above = 3.0 - self.whole_diaphragm(p);
        if z > 0.0 || above > 10.0 {
            return above.max(5.0) * self.scale;
        }
        // Below the middle of the chest its section is the same everywhere, see `section`.
        let back = 92.0 * (self.depth - 1.0);
        let wall = ellipse(x, y + 4.0, 136.0 * self.width, 92.0 * self.depth) + 3.0;
        let spine = 2.5 - ellipse(x, y - 62.0 - back, 18.0, 15.0);
        let necks = (y - back - 70.0 - 1.06 * (x.abs() - 19.0)) / 1.457 + 7.0;
        let d = above.max(wall).max(spine).max(necks);
        // The heart lies on the diaphragm.
        if z > -120.0 { d.max(4.0 - self.heart_distance(p)) * self.scale } else { d * self.scale }
    }

    /// Distance to the diaphragm, whose halves run into each other in the middle; positive below it.
    fn whole_diaphragm(&self, p: Point) -> f32 {
        let left = ramp(p[0], -30.0, 30.0);
        let half = |side: Side, share: f32| if share > 0.0 { share * self.diaphragm(side, p) } else { 0.0 };
        half(Side::Right, 1.0 - left) + half(Side::Left, left)
    }

    /// Distance to the skin of the trunk without breasts, patient mm, negative inside.
    pub(super) fn trunk_distance(&self, patient: Point) -> f32 {
        let [x, y, z] = self.to_standard(patient);
        let section = self.section(z);
        ellipse(x, y - section.middle, section.body[0], section.body[1]) * self.scale
    }

    /// All values that are the same in the whole slice at the standard height `z`.
    pub(super) fn section(&self, z: f32) -> Section {
        let shoulders = ramp(z, 70.0, 150.0);
        let narrow = ramp(z, 20.0, 135.0);
        let mut section = Section {
            body: [
                (158.0 + self.fat_mm) * self.width * (1.0 + 0.10 * shoulders),
                (104.0 + 0.7 * self.fat_mm) * self.depth * (1.0 - 0.10 * shoulders),
            ],
            cavity: [136.0 * self.width * (1.0 - 0.26 * narrow), 92.0 * self.depth * (1.0 - 0.24 * narrow)],
            back: 92.0 * (self.depth - 1.0),
            vertebra: ribs::vertebra(z - self.first_rib),
            middle: 0.0,
            z,
        };
        if let Some(around) = &self.around {
            around.reshape(&mut section);
        }
        section
    }

    /// The plane at `z` (patient mm), ready for sampling.
    pub fn plane(&self, z: f32) -> Plane<'_> {
        Plane { chest: self, section: self.section((z - self.offset[2]) / self.scale) }
    }
}

#[derive(Debug)]
pub(super) struct Section {
    /// Half axes of the skin, standard mm.
    pub(super) body: [f32; 2],
    /// How far the middle of the skin is behind the origin.
    pub(super) middle: f32,
    /// Half axes of the inside of the rib cage.
    pub(super) cavity: [f32; 2],
    /// How far this patient's spine is behind the standard one.
    pub(super) back: f32,
    /// See [`ribs::vertebra`].
    vertebra: (f32, f32),
    pub(super) z: f32,
}

/// One axial plane of one patient.
#[derive(Debug)]
pub struct Plane<'a> {
    chest: &'a Chest,
    section: Section,
}

#[inline]
pub(super) fn over(under: f32, hu: f32, part: f32) -> f32 {
    under + (hu - under) * part
}

impl Plane<'_> {
    /// The tissue at (`x`, `y`) patient mm, for a voxel `width` mm wide.
    #[inline]
    pub fn sample(&self, x: f32, y: f32, width: f32) -> Sample {
        let chest = self.chest;
        let [x, y] = [(x - chest.offset[0]) / chest.scale, (y - chest.offset[1]) / chest.scale];
        let w = width / chest.scale;
        let trunk = ellipse(x, y - self.section.middle, self.section.body[0], self.section.body[1]);
        let body = self.skin([x, y], trunk);
        if body > w {
            let hu = match &chest.around {
                Some(around) => around.outside([x, y, self.section.z], body, w),
                None => self.table(x, y, w),
            };
            return Sample { hu, lung: 0.0, pleura: 0.0 };
        }
        let cavity = ellipse(x, y + 4.0, self.section.cavity[0], self.section.cavity[1]);
        let beside_spine = y > 40.0 && x.abs() < 48.0;
        if cavity < -14.0 && !beside_spine {
            return self.inside(x, y, w, cavity);
        }
        let hu = self.wall(x, y, w, [body, trunk], cavity);
        if cavity > w {
            return Sample { hu: self.bones(hu, x, y, w, cavity).hu, lung: 0.0, pleura: 0.0 };
        }
        let inner = self.inside(x, y, w, cavity);
        let part = coverage(cavity, w);
        let painted = self.bones(over(hu, inner.hu, part), x, y, w, cavity);
        let room = part * (1.0 - painted.part);
        Sample { hu: painted.hu, lung: inner.lung * room, pleura: inner.pleura * room }
    }

    /// Distance to the skin: the trunk's, and that of the breasts on it.
    fn skin(&self, [x, y]: [f32; 2], trunk: f32) -> f32 {
        match &self.chest.breasts {
            Some(breasts) if trunk > 0.0 && y < 0.0 => breasts.with_trunk(self.breast_frame(x, y), trunk),
            _ => trunk,
        }
    }

    /// Relative to the front of the trunk, which is where breasts are.
    fn breast_frame(&self, x: f32, y: f32) -> Point {
        [x, y + self.section.body[1] - self.section.middle, self.section.z]
    }

    fn table(&self, x: f32, y: f32, w: f32) -> f32 {
        let top = self.section.body[1] + 7.0 - x * x / 1500.0;
        let shell = (y - top).abs().min((y - top - 32.0 + x * x / 2600.0).abs()) - 1.2;
        if x.abs() > 205.0 { hu::AIR } else { over(hu::AIR, hu::TABLE, coverage(shell, w)) }
    }

    /// Skin, fat, muscle and shoulder blades; `body` is the distance to the skin and to the trunk without breasts.
    fn wall(&self, x: f32, y: f32, w: f32, [skin, body]: [f32; 2], cavity: f32) -> f32 {
        let front = ramp(-y, -40.0, 70.0);
        let fat = 2.0 + self.chest.fat_mm * (0.55 + 0.75 * front);
        let beyond = match &self.chest.around {
            Some(around) if skin > -w => around.outside([x, y, self.section.z], skin, w),
            _ => hu::AIR,
        };
        let mut value = over(beyond, hu::SKIN, coverage(skin, w));
        value = over(value, hu::FAT, coverage(skin + 2.0, w));
        if let Some(breasts) = self.chest.breasts.as_ref().filter(|_| y < 0.0) {
            let gland = breasts.gland(self.breast_frame(x, y)).max(skin + 5.0).max(-body - fat);
            value = over(value, hu::SKIN + 15.0, breasts.density * coverage(gland, 3.0 * w));
        }
        // Above the lungs the muscles of the wall and of the neck are one.
        let inner = if self.chest.around.is_some() { 1.5 - 6.0 * ramp(self.section.z, 112.0, 124.0) } else { 1.5 };
        let muscle = smooth_max(body + fat, -cavity + inner, 4.0);
        value = over(value, hu::MUSCLE, coverage(muscle, w * 1.5));
        // Fat between the layers of muscle, and the blades of the shoulders with fat about them.
        let seam = (body + fat + 9.0 + 4.0 * (x * 0.045).sin()).abs() - 1.1;
        value = over(value, hu::FAT, 0.75 * coverage(seam, w));
        let z = self.section.z;
        if z > 10.0 && y > 10.0 {
            let (u, v) = (x.abs() - 112.0 + 0.1 * (z - 60.0), y - 62.0 - self.section.back);
            let (along, across) = (0.78 * u - 0.62 * v, 0.62 * u + 0.78 * v);
            let long = match &self.chest.around {
                Some(_) => (12.0 + 32.0 * ramp(z, 0.0, 75.0)) * (1.0 - 0.9 * ramp(z, 100.0, 135.0)),
                None => 12.0 + 32.0 * ramp(z, 0.0, 75.0),
            };
            let blade = ellipse(along, across - along * along / 220.0, long, 3.2);
            // Muscle lies between blade and ribs.
            let blade = smooth_max(blade, 16.0 - cavity, 2.0);
            value = over(value, hu::FAT, coverage(blade - 2.5, w * 2.0));
            value = bone(value, blade, w, hu::MARROW + 120.0);
        }
        value
    }

    /// Adds ribs, breastbone and spine to what is there.
    #[inline]
    fn bones(&self, value: f32, x: f32, y: f32, w: f32, cavity: f32) -> Painted {
        let z = self.section.z;
        let mut painted = self.chest.paint_ribs(&self.section, value, [x, y], w, cavity);
        if let Some(around) = &self.chest.around {
            painted.hu = around.sternum(painted.hu, [x, y + 4.0 + self.section.cavity[1] + 5.0, z], w);
            if y > 40.0 && x.abs() < 42.0 {
                let height = z - self.chest.first_rib;
                painted.hu = around.spine.paint(painted.hu, [x, y - self.section.back], height, w);
            }
            return painted;
        }
        if y < 0.0 && x.abs() < 26.0 && z > -60.0 && z < 95.0 {
            let front = y + 4.0 + self.section.cavity[1] + 5.0;
            let sternum = ellipse(x, front, 16.0 + 6.0 * ramp(z, 55.0, 75.0), 5.0);
            painted.hu = bone(painted.hu, sternum, w, hu::MARROW - 60.0);
        }
        if y > 40.0 && x.abs() < 40.0 {
            painted.hu = self.spine(painted.hu, x, y - self.section.back, w);
        }
        painted
    }

    fn spine(&self, mut value: f32, x: f32, y: f32, w: f32) -> f32 {
        let (number, height) = self.section.vertebra;
        let down = number - number.floor();
        let level = (down - 0.5) * height;
        let waist = 1.6 * (1.0 - (2.0 * level / height).powi(2));
        let body = ellipse(x, y - 62.0, 17.5 - waist, 14.5 - waist);
        if level.abs() > 0.5 * height - 2.2 {
            value = over(value, hu::DISC, coverage(body, w));
        } else {
            value = bone(value, body, w, hu::MARROW - 30.0);
        }
        let arch = ((x * x + (y - 84.0).powi(2)).sqrt() - 10.5).abs() - 2.4;
        let spinous = ellipse(x, y - 102.0, 3.2, 11.0);
        let transverse =
            if (0.08..0.62).contains(&down) { ellipse(x, y - 86.0 + 0.004 * x * x, 30.0, 4.2) } else { 9.0 };
        value = bone(value, arch.min(spinous).min(transverse), w, hu::MARROW + 60.0);
        over(value, hu::CORD, coverage(ellipse(x, y - 84.0, 8.4, 8.0), w))
    }

    /// Inside the rib cage: mediastinal fat, what lies below the diaphragm, lungs, heart, spine.
    #[inline]
    fn inside(&self, x: f32, y: f32, w: f32, cavity: f32) -> Sample {
        let chest = self.chest;
        let p = [x, y, self.section.z];
        let side = if x < 0.0 { Side::Right } else { Side::Left };
        // Fat between the lungs, muscle of the shoulder girdle over their tops.
        let mut value = over(hu::MUSCLE, hu::FAT + 10.0, coverage(ellipse(x, y - 4.0, 46.0, 110.0), 6.0));
        if chest.around.is_some() {
            // Between the lungs there is more fat than in the neck above them.
            value = over(value, hu::MUSCLE - 8.0, 0.9 * ramp(self.section.z, 96.0, 150.0));
        }

        let whole = chest.around.is_some();
        let below = if whole { -chest.whole_diaphragm(p) } else { -chest.diaphragm(side, p) };
        if below < w {
            if whole {
                // The muscle of the diaphragm, and fat in which the organs are placed.
                value = over(over(value, hu::MUSCLE, coverage(below, w)), hu::FAT, coverage(below + 3.0, w));
            } else {
                let split = x - 18.0 + 0.15 * y;
                let organ = over(hu::LIVER, hu::SPLEEN, coverage(-split + 4.0, 4.0));
                let gap = smooth_max(2.5 - split.abs(), 0.0, 2.0);
                value = over(value, organ, coverage(below, w) * if gap > 0.0 { 0.35 } else { 1.0 });
            }
        }

        if whole && below < -w - 1.0 && x.abs() > 30.0 {
            return Sample { hu: value, lung: 0.0, pleura: 0.0 };
        }
        let whole = chest.hemithorax_in_section(side, p, cavity, self.section.back);
        let (mut lung, mut pleura) = (coverage(whole, w), 0.0);
        if lung > 0.0
            && let Some(space) = chest.pleura(side)
        {
            let surface = space.lung(p, whole);
            (lung, pleura) = (coverage(surface, w), lung);
            value = over(value, space.contents.hu(), pleura);
            if space.contents == Contents::Air {
                // The visceral pleura is visible only where there is air beside it.
                let line = coverage((surface - 0.5 * PLEURA_MM).abs() - 0.5 * PLEURA_MM, w);
                value = over(value, hu::PLEURA, line * coverage(whole - surface + 1.5, 1.0));
            }
            pleura = (pleura - lung).max(0.0);
        }
        if lung > 0.0 {
            let parenchyma = chest.parenchyma_hu + chest.gravity_hu * ((y + 4.0) / 180.0 + 0.5);
            value = over(value, parenchyma, lung);
        }
        if x > -90.0 && x < 110.0 && y < 60.0 {
            let heart = chest.heart_distance(p);
            if heart < 4.0 + w {
                value = over(value, hu::FAT, coverage(heart - 3.5, w));
                value = over(value, chest.blood_hu.min(170.0), coverage(heart, w));
            }
        }
        if y > 40.0 && x.abs() < 40.0 && chest.around.is_none() {
            value = self.spine(value, x, y - self.section.back, w);
        }
        Sample { hu: value, lung, pleura }
    }
}

/// Bone: a compact shell 1.6 mm thick around marrow.
#[inline]
pub(super) fn bone(under: f32, sd: f32, w: f32, marrow: f32) -> f32 {
    if sd > w {
        return under;
    }
    let shell = over(under, hu::CORTEX, coverage(sd, w));
    over(shell, marrow, coverage(sd + 1.6, w))
}
