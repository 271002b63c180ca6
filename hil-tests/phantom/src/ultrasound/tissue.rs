//! How each tissue scatters, reflects and absorbs sound.
//!
//! Echogenicities are relative to fat, by eye after Stavros, "Breast Ultrasound" (2004): skin and fibroglandular tissue
//! are brighter, muscle a little darker with bright fibres. Losses are there and back, beyond what the time gain
//! compensation expects.

use super::breast::Layers;
use super::lobules::Spot;
use crate::shape::ramp;

/// Slow fields at a sample, -1 to 1: warp (lateral, depth), coarse and fine texture, level streaks.
pub const FIELDS: usize = 5;

/// One sample of tissue.
#[derive(Debug, Clone, Copy)]
pub struct Tissue {
    pub echo_db: f32,
    pub mirror: f32,
    pub loss_db_mm: f32,
}

impl Tissue {
    /// At a depth in mm; `spot` is asked between skin and muscle only.
    pub fn at(depth: f32, layers: &Layers, fields: &[f32; FIELDS], spot: impl FnOnce() -> Spot) -> Self {
        if depth < layers.skin {
            skin(depth, layers, fields)
        } else if depth > layers.muscle {
            deep(depth, layers, fields)
        } else {
            breast(depth, layers, fields, &spot())
        }
    }
}

/// A line of about `width` mm at distance 0.
pub fn line(distance: f32, width: f32) -> f32 {
    let t = (distance / width).abs();
    if t > 2.5 { 0.0 } else { (-t * t).exp() }
}

/// Amplitude along a mirror, which is never uniform.
fn patchy(fields: &[f32; FIELDS]) -> f32 {
    (0.75 + 0.55 * fields[3] + 0.35 * fields[0]).clamp(0.15, 1.5)
}

fn skin(depth: f32, layers: &Layers, fields: &[f32; FIELDS]) -> Tissue {
    let lines = 1.6 * line(depth - 0.2, 0.16) + 0.45 * patchy(fields) * line(depth - layers.skin, 0.2);
    Tissue { echo_db: 10.0 + 1.5 * fields[4], mirror: 2.2 * lines, loss_db_mm: 0.0 }
}

/// Fat and fibroglandular tissue with the ligaments.
fn breast(depth: f32, layers: &Layers, fields: &[f32; FIELDS], spot: &Spot) -> Tissue {
    let [_, _, coarse, fine, streak] = *fields;
    let border = patchy(fields) * line(depth - layers.skin, 0.2);
    if !spot.fat {
        // Dense stroma, crossed by darker ducts and lobules.
        let ducts = ramp(0.25 - fine.abs(), 0.0, 0.25) * ramp(coarse, -0.5, 0.4);
        let layered = ramp(0.3 - streak.abs(), 0.0, 0.3);
        let echo_db = 10.0 + 3.0 * coarse + 1.5 * fine - 6.0 * ducts - 4.0 * layered + 2.0 * streak;
        return Tissue { echo_db, mirror: border, loss_db_mm: 0.02 };
    }
    let taper = 1.0 + 1.2 * (-(layers.gland_top - depth).abs() / 3.0).exp();
    let strength = if spot.ligament { spot.strength * spot.strength } else { 0.4 * spot.strength };
    let wall = strength * line(spot.wall_mm, 0.18 * taper) * patchy(fields);
    // Septa within a lobule, seen where they lie across the beam.
    let septum = ramp(0.12 - (streak - 0.25).abs(), 0.0, 0.12) * ramp(coarse + 0.6 * fine, -0.1, 0.7);
    // An upright ligament lies along the beam: it returns little and shadows what is behind it.
    let upright = ramp(1.0 - spot.level, 0.55, 0.95) * ramp(spot.strength, 0.72, 0.9);
    Tissue {
        echo_db: 1.2 * fine + 1.2 * coarse + 12.0 * wall + 7.0 * septum,
        mirror: 1.6 * wall * spot.level * spot.level + 0.35 * septum + border,
        loss_db_mm: -0.03 + 1.4 * upright * line(spot.wall_mm, 0.5),
    }
}

/// Pectoral muscle, ribs, pleura and the reverberation behind it.
fn deep(depth: f32, layers: &Layers, fields: &[f32; FIELDS]) -> Tissue {
    let [_, warp, coarse, fine, streak] = *fields;
    let below = depth - layers.muscle;
    if let Some(rib) = layers.rib.filter(|r| depth > *r - 0.5) {
        let cortex = line(depth - rib - 0.2 * fine, 0.3);
        let inside = ramp(depth - rib, 0.0, 1.0);
        let mirror = 5.0 * cortex * patchy(fields);
        return Tissue { echo_db: 9.0 * cortex - 4.0 * inside, mirror, loss_db_mm: 3.5 * inside };
    }
    let past = depth - layers.pleura;
    if past > -0.4 {
        let echoes = line(past, 0.3) + 0.25 * line(past - 5.0, 0.4) + 0.12 * line(past - 10.0, 0.5);
        let echo_db = 3.0 - 0.7 * past.max(0.0) + 5.0 * line(past, 0.6);
        return Tissue { echo_db, mirror: 5.0 * echoes * patchy(fields), loss_db_mm: 0.3 };
    }
    let fascia = patchy(fields) * (line(below, 0.25) + 0.4 * line(below - 0.9 - 0.3 * warp, 0.2));
    // Fibres run along the fascia; each is seen for some millimetres only.
    let phase = (below + 0.6 * warp) * 5.2 + 2.0 * coarse + 0.8 * fine;
    let fibre = phase.sin().max(0.0).powi(3) * ramp(fine + 0.5 * streak, -0.5, 0.7);
    Tissue {
        echo_db: -4.0 + 1.5 * coarse + 8.0 * fibre + 8.0 * fascia,
        mirror: 2.2 * fascia + 0.3 * fibre,
        loss_db_mm: 0.05,
    }
}
