//! Smooth random fields over all of space, from a hashed lattice. They need no table, have no edge, and depend only on
//! the seed, not on the order in which points are read.

/// 64 random bits for a point of an integer lattice.
#[inline]
pub fn hash(seed: u64, at: [i32; 3]) -> u64 {
    let mut h = seed
        ^ (at[0] as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (at[1] as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
        ^ (at[2] as u64).wrapping_mul(0x1656_67B1_9E37_79F9);
    h = (h ^ (h >> 32)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
    h ^ (h >> 32)
}

/// From 0 (included) to 1 (excluded).
#[inline]
pub fn unit(word: u64) -> f32 {
    (word >> 40) as f32 / (1u64 << 24) as f32
}

/// From -1 to 1, mean 0, one bump or hollow about every unit of each axis (value noise, smoothstep between the corners).
#[inline]
pub fn smooth(seed: u64, p: [f32; 3]) -> f32 {
    let low = p.map(f32::floor);
    let part: [f32; 3] = std::array::from_fn(|a| eased(p[a] - low[a]));
    let cell = low.map(|v| v as i32);
    let corner = |x: i32, y: i32, z: i32| 2.0 * unit(hash(seed, [cell[0] + x, cell[1] + y, cell[2] + z])) - 1.0;
    let line = |y: i32, z: i32| mix(corner(0, y, z), corner(1, y, z), part[0]);
    let face = |z: i32| mix(line(0, z), line(1, z), part[1]);
    mix(face(0), face(1), part[2])
}

/// Like [`smooth`], along one axis.
pub fn wave(seed: u64, t: f32) -> f32 {
    let low = t.floor();
    let corner = |x: i32| 2.0 * unit(hash(seed, [low as i32 + x, 0, 0])) - 1.0;
    mix(corner(0), corner(1), eased(t - low))
}

#[inline]
pub fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

#[inline]
fn eased(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_no_steps_and_a_mean_near_zero() {
        let line: Vec<f32> = (0..20_000).map(|i| smooth(3, [i as f32 * 0.01, 0.3, -7.7])).collect();
        assert!(line.windows(2).all(|w| (w[0] - w[1]).abs() < 0.05));
        let mean = line.iter().sum::<f32>() / line.len() as f32;
        assert!(mean.abs() < 0.15, "{mean}");
    }
}
