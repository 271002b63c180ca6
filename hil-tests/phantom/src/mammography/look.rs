//! From the signal of the detector to the picture for presentation: logarithm, thickness evened out towards the skin, detail,
//! curve.

use super::plane::Plane;
use super::vendor::Look;

/// Attenuation of fat per mm with which the thickness is evened out.
const FAT_PER_MM: f32 = 0.045;
/// The thickness is known only smoothly.
const THICKNESS_BLUR_MM: f32 = 1.6;

/// Grey 0 (black, air) to 1 (white, dense); what is not breast is 0.
pub fn presented(signal: &Plane, thickness: &Plane, inside: &Plane, look: &Look) -> Plane {
    let mut known = thickness.clone();
    known.blur(THICKNESS_BLUR_MM);
    let full = known.values.iter().copied().fold(1.0f32, f32::max);
    let mut grey = signal.alike();
    for (((g, s), t), k) in grey.values.iter_mut().zip(&signal.values).zip(&thickness.values).zip(&known.values) {
        let log = -s.ln();
        // Air stays air: only what is thinner than the middle is raised.
        let raised = look.evened * FAT_PER_MM * (full - k) * (t / 4.0).min(1.0);
        *g = log + raised;
    }
    let mut smooth = grey.clone();
    smooth.blur(look.detail[1]);
    let (low, high) = range(&grey, inside);
    let span = (high - low).max(0.12);
    for (((g, s), i), t) in grey.values.iter_mut().zip(&smooth.values).zip(&inside.values).zip(&thickness.values) {
        if *t <= 0.0 {
            *g = 0.0;
            continue;
        }
        // Enhanced, the skin would be a white line.
        let edge = ((i - 1.0) / 6.0).clamp(0.05, 1.0);
        let sharp = *g + look.detail[0] * edge * (*g - s);
        let part = (sharp - low) / span;
        let curve =
            if part > 0.0 { look.fat + (0.86 - look.fat) * part.powf(look.gamma) } else { look.fat + 0.5 * part };
        let air = (t / 9.0).min(1.0).sqrt();
        *g = (curve * air).clamp(0.0, 1.0);
    }
    grey
}

/// Fat and the densest tissue of this breast.
fn range(grey: &Plane, inside: &Plane) -> (f32, f32) {
    let step = ((1.2 / grey.pixel_mm) as usize).max(1);
    let mut sample: Vec<f32> = Vec::new();
    for row in (0..grey.rows).step_by(step) {
        for column in (0..grey.columns).step_by(step) {
            let at = row * grey.columns + column;
            if inside.values[at] > 6.0 {
                sample.push(grey.values[at]);
            }
        }
    }
    if sample.is_empty() {
        return (0.0, 1.0);
    }
    sample.sort_by(f32::total_cmp);
    let at = |q: f32| sample[((sample.len() - 1) as f32 * q) as usize];
    let low = at(0.05);
    // Silicone is beyond white.
    let dense = sample.iter().rposition(|v| *v < low + 1.5).unwrap_or(0);
    (low, sample[(dense as f32 * 0.985) as usize].max(low + 0.45))
}
