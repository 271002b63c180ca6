//! Hounsfield units to the numbers a network was trained on.

/// Clips to `window` (HU, low and high) and scales to 0..1.
pub fn scaled(hu: f32, [low, high]: [f32; 2]) -> f32 {
    ((hu - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_window_maps_its_ends_to_zero_and_one() {
        let values = [-2000.0, -1000.0, -300.0, 400.0, 3000.0].map(|v| super::scaled(v, [-1000.0, 400.0]));
        assert_eq!(values, [0.0, 0.0, 0.5, 1.0, 1.0]);
    }
}
