//! Speckle: scatterers fixed in the tissue, summed under the scanner's point-spread function, and the envelope of the
//! sum.
//!
//! Scatterers are complex Gaussian (many per resolution cell, their depth within the wavelength unknown), so the
//! envelope of even tissue is Rayleigh distributed (Wagner et al., "Statistics of speckle in ultrasound B-scans", IEEE
//! Trans. Sonics Ultrason. 30, 1983). The point-spread function is a Gaussian pulse along depth times a lateral
//! Gaussian that is narrowest at the focus. Along elevation, planes of scatterers are one resolution cell apart;
//! between two planes they are mixed at constant power, so that speckle decorrelates over about that distance.

use super::noise::hash;
use super::plane::Plane;
use super::settings::Settings;

/// Distance of planes of scatterers along elevation, mm.
pub const ELEVATION_CELL_MM: f32 = 0.9;
/// Samples on each side that a lateral kernel may reach.
pub const MARGIN: usize = 8;
/// Samples in one standard deviation of the point-spread function: lateral (at the focus), axial.
pub const SAMPLES_PER_SIGMA: [f32; 2] = [1.15, 1.25];
/// Depth over which the beam widens by the square root of 2, mm.
const DEPTH_OF_FOCUS_MM: f32 = 16.0;

/// Kernels for one setting and one grid.
#[derive(Debug)]
pub struct Beam {
    axial: Vec<f32>,
    /// One for each row.
    lateral: Vec<Vec<f32>>,
}

impl Beam {
    pub fn new(settings: &Settings, rows: usize, step_mm: f32) -> Self {
        let widening = |row: usize| {
            let away = (row as f32 * step_mm - settings.focus_mm) / DEPTH_OF_FOCUS_MM;
            (1.0 + away * away).sqrt()
        };
        Self {
            axial: gaussian(SAMPLES_PER_SIGMA[1]),
            lateral: (0..rows).map(|r| gaussian(SAMPLES_PER_SIGMA[0] * widening(r))).collect(),
        }
    }

    fn spread(&self, field: &mut [f32], scratch: &mut Vec<f32>, columns: usize) {
        scratch.clear();
        scratch.resize(field.len(), 0.0);
        for (row, taps) in self.lateral.iter().enumerate() {
            let line = row * columns..(row + 1) * columns;
            let reach = taps.len() / 2;
            let inner = columns - 2 * MARGIN;
            let out = &mut scratch[line.start + MARGIN..line.end - MARGIN];
            for (i, tap) in taps.iter().enumerate() {
                let source = &field[line.start + MARGIN + i - reach..][..inner];
                for (o, s) in out.iter_mut().zip(source) {
                    *o += tap * s;
                }
            }
        }
        field.fill(0.0);
        let rows = self.lateral.len();
        let reach = self.axial.len() / 2;
        for row in 0..rows {
            let out = &mut field[row * columns..(row + 1) * columns];
            for (i, tap) in self.axial.iter().enumerate() {
                let Some(from) = (row + i).checked_sub(reach).filter(|r| *r < rows) else { continue };
                for (o, s) in out.iter_mut().zip(&scratch[from * columns..(from + 1) * columns]) {
                    *o += tap * s;
                }
            }
        }
    }
}

/// Taps of unit energy: noise of variance 1 keeps it.
fn gaussian(sigma: f32) -> Vec<f32> {
    let reach = ((2.6 * sigma).ceil() as i32).min(MARGIN as i32);
    let taps: Vec<f32> = (-reach..=reach).map(|i| (-(i as f32 / sigma).powi(2) / 2.0).exp()).collect();
    let energy = taps.iter().map(|t| t * t).sum::<f32>().sqrt();
    taps.iter().map(|t| t / energy).collect()
}

/// Amplitudes of scatterers and mirrors after the loss of sound on its path.
pub fn amplitudes(plane: &Plane) -> (Vec<f32>, Vec<f32>) {
    let (columns, step) = (plane.grid.columns, plane.grid.step_mm[1]);
    let mut lost = vec![0.0f32; columns];
    let mut before = lost.clone();
    let (mut scatter, mut mirror) = (Vec::with_capacity(plane.echo_db.len()), Vec::with_capacity(plane.echo_db.len()));
    for row in 0..plane.grid.rows {
        let line = row * columns..(row + 1) * columns;
        let samples = plane.echo_db[line.clone()].iter().zip(&plane.mirror[line.clone()]);
        for ((echo, m), lost) in samples.zip(&lost) {
            let passed = (-lost * DB).exp();
            scatter.push((echo * DB).exp() * passed);
            mirror.push(m * passed);
        }
        for (l, loss) in lost.iter_mut().zip(&plane.loss_db_mm[line]) {
            *l += step * loss;
        }
        // The beam is wider than a column: shadows soften with depth.
        if row % 3 == 0 {
            before.copy_from_slice(&lost);
            for c in 1..columns - 1 {
                lost[c] = 0.8 * before[c] + 0.1 * (before[c - 1] + before[c + 1]);
            }
        }
    }
    (scatter, mirror)
}

/// Natural logarithm of the amplitude of one decibel.
pub const DB: f32 = std::f32::consts::LN_10 / 20.0;

/// Noise that is added to the echoes before detection.
#[derive(Debug, Clone, Copy)]
pub struct Electronics {
    /// Number of the noise pattern.
    pub frame: i32,
    /// Amplitude at the top and at the bottom.
    pub amplitude: [f32; 2],
}

/// The detected envelope, averaged over looks; the outer [`MARGIN`] columns are empty.
pub fn envelope(plane: &Plane, beam: &Beam, seed: u64, looks: usize, electronics: Electronics) -> Vec<f32> {
    let (scatter, mirror) = amplitudes(plane);
    let grid = plane.grid;
    let cell = grid.elevation_mm / ELEVATION_CELL_MM;
    let near = cell.floor();
    let (far_share, near_share) = ((cell - near) * std::f32::consts::FRAC_PI_2).sin_cos();
    let mut total = vec![0.0f32; scatter.len()];
    let (mut real, mut imaginary) = (vec![0.0f32; scatter.len()], vec![0.0f32; scatter.len()]);
    let mut scratch = Vec::new();
    for look in 0..looks as u64 {
        let tissue = seed ^ (look << 40);
        for row in 0..grid.rows {
            let depth = row as f32 / grid.rows as f32;
            let hiss = electronics.amplitude[0] * (electronics.amplitude[1] / electronics.amplitude[0]).powf(depth);
            for column in 0..grid.columns {
                let index = row * grid.columns + column;
                let at = |plane: i32| [grid.first + column as i32, row as i32, plane];
                let (a, b) = (normal(hash(tissue, at(near as i32))), normal(hash(tissue, at(near as i32 + 1))));
                let n = normal(hash(tissue ^ (1 << 60), at(electronics.frame)));
                real[index] = scatter[index] * (near_share * a[0] + far_share * b[0]) + mirror[index] + hiss * n[0];
                imaginary[index] = scatter[index] * (near_share * a[1] + far_share * b[1]) + hiss * n[1];
            }
        }
        beam.spread(&mut real, &mut scratch, grid.columns);
        beam.spread(&mut imaginary, &mut scratch, grid.columns);
        for ((t, r), i) in total.iter_mut().zip(&real).zip(&imaginary) {
            *t += (r * r + i * i).sqrt();
        }
    }
    let share = 1.0 / looks as f32;
    total.iter_mut().for_each(|t| *t *= share);
    total
}

/// Two numbers of mean 0 and variance 1/2 each: sums of two 16-bit uniforms; the point-spread function makes them
/// Gaussian.
#[inline]
fn normal(word: u64) -> [f32; 2] {
    let part = |shift: u32| ((word >> shift) & 0xffff) as i32;
    let scale = 1.732_050_8 / 65536.0;
    [(part(0) + part(16) - 65536) as f32 * scale, (part(32) + part(48) - 65536) as f32 * scale]
}
