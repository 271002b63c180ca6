//! Phantoms: computed chest CTs (and breast ultrasound, mammograms), so that no patient data is ever needed. The same seed gives the same bytes.
//!
//! A [`Phantom`] is an analytic scene. [`Phantom::render`] samples it on a grid and returns the voxels and what was
//! planted; [`Phantom::chest`] makes a DICOM study of them.

pub mod anatomy;
mod breasts;
mod central;
pub mod dicom;
pub mod finding;
pub mod grain;
pub mod mammography;
mod mass;
mod nodule;
pub mod npy;
mod pleura;
pub mod random;
mod render;
mod ripple;
mod ribs;
pub mod scanner;
pub mod seeds;
mod shape;
mod surroundings;
pub mod training;
mod tree;
mod truth;
pub mod ultrasound;
pub mod visit;

use anatomy::{Chest, Side};
pub use finding::{Channel, Finding, LUNG, Wanted};
use finding::{Planted, Site};
pub use grain::Kernel;
use nodule::{Around, Nodule, Plan};
pub use nodule::{Make, Place};
use random::Random;
pub use render::Slice;
use render::Tube;
use shape::Rod;
pub use truth::{Lungs, PlantedLesion, PlantedNodule, Truth};

/// How a phantom is scanned and what is planted in it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Options {
    pub columns: usize,
    pub rows: usize,
    pub slices: usize,
    /// Pixel spacing, mm.
    pub pixel_mm: f32,
    /// Slice spacing and thickness, mm.
    pub slice_mm: f32,
    /// Standard deviation of the noise, HU.
    pub noise_hu: f32,
    pub kernel: Kernel,
    /// With contrast medium or without; chosen by the seed when absent.
    pub contrast: Option<bool>,
    /// Which findings are planted.
    pub findings: Wanted,
    /// Number of nodules, unless they are excluded; chosen by the seed (0 to 5) when absent.
    pub nodules: Option<usize>,
    /// Smallest and largest diameter, mm.
    pub diameters_mm: [f32; 2],
    /// With everything about the lungs that a real scan shows: the whole spine, shoulders, abdomen, couch, clothes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
}

/// How much more is scanned than the chest.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Surroundings {
    /// Towards the feet and the head, mm. `slices` of [`Options`] includes them.
    pub below_mm: f32,
    pub above_mm: f32,
}

impl Surroundings {
    /// Some scans end below the lungs, others reach from the neck to the kidneys.
    fn varied(seed: u64) -> Self {
        let mut random = Random::new(seed, surroundings::STREAM);
        let below = random.between(-40.0, 120.0).max(0.0);
        Self { below_mm: below, above_mm: random.between(-30.0, 50.0).max(0.0) }
    }
}

impl Default for Options {
    /// A whole chest of an adult with nothing but nodules: 220 slices of 512 x 512.
    fn default() -> Self {
        Self {
            columns: 512,
            rows: 512,
            slices: 220,
            pixel_mm: 0.74,
            slice_mm: 1.35,
            noise_hu: 15.0,
            kernel: Kernel::Medium,
            contrast: None,
            findings: Wanted::NODULES,
            nodules: None,
            diameters_mm: [4.0, 20.0],
            surroundings: None,
        }
    }
}

impl Options {
    /// A slab that takes little time to make and to send: 40 slices of 128 x 128, still part of a chest with nodules.
    pub fn small() -> Self {
        Self { columns: 128, rows: 128, slices: 40, pixel_mm: 2.96, slice_mm: 2.5, ..Self::default() }
    }

    /// A whole chest with all nine findings.
    pub fn everything() -> Self {
        Self { findings: Wanted::ALL, ..Self::default() }
    }

    /// Sampled as for calcium scoring: slices of 3 mm, soft kernel, no contrast medium.
    pub fn calcium(self) -> Self {
        let slices = (self.slices as f32 * self.slice_mm / 3.0).round() as usize;
        Self { slices, slice_mm: 3.0, kernel: Kernel::Smooth, noise_hu: 18.0, contrast: Some(false), ..self }
    }

    /// Spacing, dose and kernel, which differ between scanners, the findings and the surroundings of the lungs, all
    /// chosen by the seed.
    pub fn varied(seed: u64) -> Self {
        let mut random = Random::new(seed, 7);
        let slice_mm = [1.0, 1.25, 1.35, 1.5, 2.0, 2.5][random.below(6)];
        let pixel_mm = random.between(0.68, 0.82);
        let around = Surroundings::varied(seed);
        Self {
            pixel_mm: (pixel_mm * 1000.0).round() / 1000.0,
            slice_mm,
            slices: ((297.0 + around.below_mm + around.above_mm) / slice_mm).round() as usize,
            // Thin slices are noisier: fewer photons each.
            noise_hu: random.between(5.0, 40.0),
            kernel: Kernel::ALL[random.below(3)],
            findings: Wanted::VARIED,
            surroundings: Some(around),
            ..Self::default()
        }
    }
}

/// Voxel grid in patient coordinates: columns along +x, rows along +y, slices along +z.
#[derive(Debug, Clone)]
pub struct Grid {
    pub columns: usize,
    pub rows: usize,
    pub slices: usize,
    pub pixel_mm: f32,
    pub slice_mm: f32,
    /// Centre of voxel (0, 0, 0), mm, LPS.
    pub origin_mm: [f32; 3],
}

impl Grid {
    pub fn x(&self, column: usize) -> f32 {
        self.origin_mm[0] + column as f32 * self.pixel_mm
    }

    pub fn y(&self, row: usize) -> f32 {
        self.origin_mm[1] + row as f32 * self.pixel_mm
    }

    pub fn z(&self, slice: usize) -> f32 {
        self.origin_mm[2] + slice as f32 * self.slice_mm
    }

    fn column_range(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        range(low, high, self.origin_mm[0], self.pixel_mm, self.columns)
    }

    fn row_range(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        range(low, high, self.origin_mm[1], self.pixel_mm, self.rows)
    }

    fn voxel_mm3(&self) -> f64 {
        f64::from(self.pixel_mm) * f64::from(self.pixel_mm) * f64::from(self.slice_mm)
    }
}

/// Indices whose centres lie between `low` and `high` mm.
fn range(low: f32, high: f32, origin: f32, step: f32, count: usize) -> std::ops::Range<usize> {
    let first = ((low - origin) / step).ceil().max(0.0) as usize;
    let last = ((high - origin) / step).floor();
    if last < 0.0 { 0..0 } else { first..(last as usize + 1).min(count).max(first) }
}

/// A simulated patient, ready to be scanned.
#[derive(Debug)]
pub struct Phantom {
    pub seed: u64,
    pub options: Options,
    pub grid: Grid,
    pub(crate) chest: Chest,
    tubes: Vec<Tube>,
    planted: Planted,
    nodules: Vec<Nodule>,
}

impl Phantom {
    pub fn new(seed: u64, options: &Options) -> Self {
        let mut chest = Chest::new(&mut Random::new(seed, 1));
        if let Some(given) = options.contrast {
            chest.give_contrast(given, &mut Random::new(seed, 6));
        }
        if visit::is_female(seed) {
            chest.breasts = Some(breasts::Breasts::new(&mut Random::new(seed, 5)));
        }
        if options.surroundings.is_some() {
            surroundings::prepare(seed, &mut chest);
        }
        let mut planted = Planted::default();
        finding::pleura::plant(seed, options, &mut chest, &mut planted);
        let grid = centred_grid(&chest, options);
        let Surroundings { below_mm, above_mm } = options.surroundings.unwrap_or_default();
        // Findings are planted in the chest.
        let slab = [grid.origin_mm[2] + below_mm, grid.z(options.slices.saturating_sub(1)) - above_mm];
        if options.findings.has(Finding::RibFracture, seed) {
            chest.breaks = finding::rib_fracture::breaks(&chest, slab, &mut Finding::RibFracture.random(seed));
        }
        let mut tubes = central::tubes(&chest);
        let vessels = grow_trees(&chest, seed, &mut tubes);
        surroundings::plant(seed, &chest, &mut planted);
        finding::plant(seed, options, &Site { chest: &chest, slab }, &mut tubes, &mut planted);
        let apart = tubes.iter().filter(|t| t.central || t.lesion.is_some());
        let central: Vec<Rod> = apart.map(|t| t.rod).collect();
        let mut random = Random::new(seed, 3);
        let plan = Plan { count: nodule_count(options, &mut random), diameters_mm: options.diameters_mm, slab };
        let around = Around { chest: &chest, vessels: &vessels, central: &central, findings: &planted.bodies };
        let mut nodules = nodule::plant(&around, plan, &mut random);
        if options.surroundings.is_some() && options.findings.choice(Finding::Nodule) != Some(false) {
            nodules.extend(mass::plant(seed, &around, slab, &nodules));
        }
        tubes.extend(surroundings::tubes(seed, &chest));
        Self { seed, options: options.clone(), grid, chest, tubes, planted, nodules }
    }

    /// Narrows the grid to the columns and rows between `low` and `high` (x, y; mm), to save time where only the lungs
    /// are wanted. Noise differs from that of the whole grid.
    pub fn crop(&mut self, low: [f32; 2], high: [f32; 2]) {
        let columns = self.grid.column_range(low[0], high[0]);
        let rows = self.grid.row_range(low[1], high[1]);
        self.grid.origin_mm[0] = self.grid.x(columns.start);
        self.grid.origin_mm[1] = self.grid.y(rows.start);
        self.grid.columns = columns.len();
        self.grid.rows = rows.len();
    }

    /// Returns the sampled slices, from the feet to the head, and what was planted.
    pub fn render(&self) -> (Vec<Slice>, Truth) {
        self.sampled(false)
    }

    /// Like [`Phantom::render`], with the label of every voxel.
    pub fn render_labelled(&self) -> (Vec<Slice>, Truth) {
        self.sampled(true)
    }

    fn sampled(&self, labels: bool) -> (Vec<Slice>, Truth) {
        let slices = render::slices(self, labels);
        let truth = truth::collect(self, &slices);
        (slices, truth)
    }

    /// Makes a whole study (CT series and localiser) as DICOM instances in memory; also returns what was planted.
    ///
    /// # Errors
    /// When an instance cannot be encoded, which no valid `options` cause.
    pub fn chest(seed: u64, options: &Options) -> anyhow::Result<(dicom::Study, Truth)> {
        Self::visiting(seed, options, &visit::Visit::default())
    }

    /// Like [`Phantom::chest`], with the headers of one visit to one scanner.
    ///
    /// # Errors
    /// When an instance cannot be encoded, which no valid `options` cause.
    pub fn visiting(seed: u64, options: &Options, visit: &visit::Visit) -> anyhow::Result<(dicom::Study, Truth)> {
        let phantom = Self::new(seed, options);
        let (slices, truth) = phantom.render();
        Ok((dicom::study_of(&phantom, &slices, visit)?, truth))
    }
}

fn nodule_count(options: &Options, random: &mut Random) -> usize {
    let by_seed = random.below(6);
    match options.findings.choice(Finding::Nodule) {
        Some(false) => 0,
        Some(true) => options.nodules.unwrap_or_else(|| by_seed.max(1)),
        None => options.nodules.unwrap_or(by_seed),
    }
}

/// The grid, centred on the lungs.
fn centred_grid(chest: &Chest, options: &Options) -> Grid {
    let (bottom, top) = chest.lung_range();
    let half = |count: usize, step: f32| count.saturating_sub(1) as f32 * step / 2.0;
    let Surroundings { below_mm, above_mm } = options.surroundings.unwrap_or_default();
    // Scanners write two decimals, and two decimals do not change when they are written as decimal strings.
    let tidy = |v: f32| (v * 100.0).round() / 100.0;
    Grid {
        columns: options.columns,
        rows: options.rows,
        slices: options.slices,
        pixel_mm: options.pixel_mm,
        slice_mm: options.slice_mm,
        origin_mm: [
            tidy(-half(options.columns, options.pixel_mm)),
            tidy(-half(options.rows, options.pixel_mm)),
            tidy((bottom + top + above_mm - below_mm) / 2.0 - half(options.slices, options.slice_mm)),
        ],
    }
}

/// Arteries, veins and bronchi of both lungs; returns the vessels (right, left) for planting nodules beside them.
fn grow_trees(chest: &Chest, seed: u64, tubes: &mut Vec<Tube>) -> [Vec<Rod>; 2] {
    let blood = chest.blood_hu;
    let arteries = tree::Habit { leaves: 1000, leaf_radius: 0.45, exponent: 2.75, largest: 7.0, margin: 5.0 };
    let veins = tree::Habit { leaves: 600, leaf_radius: 0.45, exponent: 2.75, largest: 6.0, margin: 6.0 };
    let bronchi = tree::Habit { leaves: 14, leaf_radius: 0.8, exponent: 2.9, largest: 3.4, margin: 24.0 };
    let mut grown = [Vec::new(), Vec::new()];
    for side in Side::BOTH {
        let mut random = Random::new(seed, 10 + u64::from(side == Side::Left));
        let s = side.sign();
        let artery = chest.to_patient([38.0 * s, 2.0, if side == Side::Left { 24.0 } else { 12.0 }]);
        let vein = chest.to_patient([32.0 * s, 4.0, -16.0]);
        let mut vessels = tree::grow(chest, side, artery, arteries, &mut random);
        vessels.extend(tree::grow(chest, side, vein, veins, &mut random));
        let ends: &[[f32; 3]] = match side {
            Side::Right => &[[-42.0, 12.0, -12.0], [-50.0, 14.0, 34.0]],
            Side::Left => &[[48.0, 26.0, -12.0], [54.0, 2.0, 24.0]],
        };
        for rod in &vessels {
            tubes.push(Tube { rod: *rod, hu: blood, wall: None, central: false, lesion: None });
        }
        for end in ends {
            for rod in tree::grow(chest, side, chest.to_patient(*end), bronchi, &mut random) {
                let wall = (0.30 * rod.to_radius).clamp(0.4, 1.0);
                tubes.push(Tube { rod, hu: -60.0, wall: Some(wall), central: false, lesion: None });
            }
        }
        grown[usize::from(side == Side::Left)] = vessels;
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coarse() -> Options {
        Options { columns: 160, rows: 160, slices: 120, pixel_mm: 2.4, slice_mm: 2.5, ..Options::default() }
    }

    #[test]
    fn both_lungs_of_every_patient_have_an_adult_volume() {
        for seed in 0..6 {
            let (_, truth) = Phantom::new(seed, &coarse()).render();
            for ml in [truth.lungs.right_ml, truth.lungs.left_ml] {
                assert!((1000.0..4000.0).contains(&ml), "seed {seed}: {ml} ml");
            }
        }
    }

    #[test]
    fn as_many_nodules_are_planted_as_asked_for_and_all_of_them_are_sampled() {
        for seed in 0..6 {
            let options = Options { nodules: Some(5), ..coarse() };
            let (_, truth) = Phantom::new(seed, &options).render();
            assert_eq!(truth.nodules.len(), 5, "seed {seed}");
            for n in &truth.nodules {
                assert!((2.5..22.0).contains(&n.diameter_mm), "seed {seed}: {n:?}");
                assert_eq!(n.centre_mm[0] > 0.0, n.side == Side::Left, "seed {seed}: {n:?}");
            }
        }
    }

    #[test]
    fn nodules_of_every_place_and_make_are_planted() {
        let mut places = [0; 3];
        let mut ground_glass = 0;
        for seed in 0..12 {
            for n in Phantom::new(seed, &Options { nodules: Some(5), ..coarse() }).nodules {
                places[n.place as usize] += 1;
                ground_glass += usize::from(n.make == Make::GroundGlass);
            }
        }
        assert!(places.iter().all(|n| *n >= 6), "{places:?} of 60");
        assert!(ground_glass >= 2);
    }

    #[test]
    fn the_planted_centre_is_where_the_voxels_show_a_nodule() {
        let options = Options { nodules: Some(3), noise_hu: 0.0, ..Options::small() };
        let phantom = Phantom::new(21, &options);
        let (slices, truth) = phantom.render();
        for n in truth.nodules.iter().filter(|n| n.diameter_mm > 8.0) {
            let index: [usize; 3] = std::array::from_fn(|a| {
                let step = if a == 2 { phantom.grid.slice_mm } else { phantom.grid.pixel_mm };
                ((n.centre_mm[a] as f32 - phantom.grid.origin_mm[a]) / step).round() as usize
            });
            let hu = slices[index[2]].hu[index[1] * phantom.grid.columns + index[0]];
            assert!(hu > -750, "{n:?} has {hu} HU at its centre");
        }
    }

    #[test]
    fn scans_differ_between_seeds_in_spacing_noise_and_kernel() {
        let scans: Vec<Options> = (0..40).map(Options::varied).collect();
        assert!(Kernel::ALL.iter().all(|k| scans.iter().any(|s| s.kernel == *k)));
        assert!(scans.iter().all(|s| (5.0..40.0).contains(&s.noise_hu) && s.slice_mm <= 2.5));
        assert!(scans.iter().any(|s| s.noise_hu > 30.0) && scans.iter().any(|s| s.noise_hu < 10.0));
    }

    /// Tests and demos know the phantoms of these options by their seeds.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn phantoms_without_surroundings_keep_their_bytes() {
        let small = Options { findings: Wanted::ALL, ..Options::small() };
        let whole = Options { findings: Wanted::ALL, ..coarse() };
        let known = [
            (7, &small, "ab72acd33298c026"),
            (3, &whole, "39b1261755586eee"),
            (11, &small.clone().calcium(), "87fdb352442fc54a"),
        ];
        for (seed, options, wanted) in known {
            let (slices, truth) = Phantom::new(seed, options).render_labelled();
            let mut bytes: Vec<u8> = slices.iter().flat_map(|s| s.hu.iter().flat_map(|v| v.to_le_bytes())).collect();
            bytes.extend(slices.iter().flat_map(|s| s.labels.iter().flat_map(|v| v.to_le_bytes())));
            bytes.extend(serde_json::to_vec(&truth).unwrap());
            let sum: String =
                <sha2::Sha256 as sha2::Digest>::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(&sum[..16], wanted, "seed {seed}");
        }
    }
}
