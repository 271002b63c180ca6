//! From attenuation to the signal of the detector: exposure, scatter, blur, quantum noise, grid.

use super::plane::Plane;
use super::projection::Paths;
use super::seeds::stream;
use crate::random::Random;

/// Quanta behind the breast per mm², by automatic exposure.
const QUANTA_PER_MM2: f32 = 260_000.0;
/// Scattered relative to primary radiation behind the middle of the breast, with an anti-scatter grid.
const SCATTER: f32 = 0.16;
/// Standard deviation of the spread of scattered radiation, mm.
const SPREAD_MM: f32 = 11.0;
const SCATTER_STEP_MM: f32 = 2.4;

/// Signal relative to the unattenuated beam. `blur_mm`: standard deviation of the detector's blur.
pub fn expose(paths: &Paths, blur_mm: f32, seed: u64, view: u64) -> Plane {
    let mut random = Random::new(seed, stream::DETECTOR + view);
    let mut signal = paths.attenuation.clone();
    let columns = signal.columns;
    let pixel = signal.pixel_mm;
    for (at, v) in signal.values.iter_mut().enumerate() {
        // The beam is weaker towards the nipple (heel effect).
        let x = (at % columns) as f32 * pixel;
        *v = (-*v).exp() * (1.0 - 0.00025 * x);
    }
    let scattered = scatter(&signal, paths);
    for (v, s) in signal.values.iter_mut().zip(&scattered.values) {
        *v += s;
    }
    signal.blur(blur_mm);
    let mean = behind(&signal, paths);
    let quanta = QUANTA_PER_MM2 * random.between(0.7, 1.4) * pixel * pixel / mean;
    let lines = random.chance(0.08).then(|| [random.between(2.6, 4.5), random.between(0.002, 0.005)]);
    for (at, v) in signal.values.iter_mut().enumerate() {
        let noise = (*v / quanta).sqrt() * random.normal();
        *v = (*v + noise).max(1e-5);
        // A grid that moves badly shows its lines.
        if let Some([frequency, depth]) = lines {
            let y = (at / columns) as f32 * pixel;
            *v *= 1.0 + depth * (frequency * y * std::f32::consts::TAU).sin();
        }
    }
    signal
}

fn scatter(primary: &Plane, paths: &Paths) -> Plane {
    let mut source = primary.clone();
    for (v, t) in source.values.iter_mut().zip(&paths.thickness.values) {
        *v *= (t / 40.0).min(1.0);
    }
    let mut coarse = source.reduced((SCATTER_STEP_MM / primary.pixel_mm).round().max(1.0) as usize);
    coarse.blur(SPREAD_MM);
    coarse.values.iter_mut().for_each(|v| *v *= SCATTER);
    coarse.enlarged(primary)
}

/// Mean signal behind the breast.
fn behind(signal: &Plane, paths: &Paths) -> f32 {
    let (mut sum, mut count) = (0.0f64, 0usize);
    for (v, inside) in signal.values.iter().zip(&paths.inside.values) {
        if *inside > 10.0 {
            sum += f64::from(*v);
            count += 1;
        }
    }
    if count == 0 { 0.1 } else { (sum / count as f64) as f32 }
}
