//! Hounsfield units to the numbers a network was trained on.

/// Clips to `window` (HU, low and high) and scales to 0..1.
pub fn window(values: &mut [f32], window: [f32; 2]) {
    let [low, high] = window;
    let scale = 1.0 / (high - low);
    for value in values {
        *value = ((*value - low) * scale).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_window_maps_its_ends_to_zero_and_one() {
        let mut values = [-2000.0, -1000.0, -300.0, 400.0, 3000.0];
        super::window(&mut values, [-1000.0, 400.0]);
        assert_eq!(values, [0.0, 0.0, 0.5, 1.0, 1.0]);
    }
}
