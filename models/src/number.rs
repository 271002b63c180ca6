//! A number as people read it.

use std::fmt;

/// Rounded to the digits of the format (`{:.1}`), never `-0`: a sum of nothing is -0, and so is what is rounded to 0 from
/// below. `{:#.2}` leaves out a last digit that is 0: slices of 1.25 and of 5.0 mm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<&f64> for Number {
    fn from(value: &f64) -> Self {
        Self(*value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let text = format!("{:.digits$}", self.0);
        let is_zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
        let text = if is_zero { text.trim_start_matches('-') } else { &text };
        let text = if f.alternate() && digits > 1 { text.strip_suffix('0').unwrap_or(text) } else { text };
        if f.sign_plus() && !text.starts_with('-') {
            f.write_str("+")?;
        }
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_never_less_than_nothing() {
        for zero in [-0.0, -0.04, 0.04, [0.0f64; 0].iter().sum()] {
            assert_eq!(format!("{:.0} {:.1} {:+.1}", Number(zero), Number(zero), Number(zero)), "0 0.0 +0.0");
        }
        assert_eq!(format!("{:.1} {:+.1} {:+.2}", Number(-0.06), Number(-12.34), Number(0.005)), "-0.1 -12.3 +0.01");
        assert_eq!(format!("{:.0}", Number(f64::NAN)), "NaN");
        let slices = [1.25, 1.35, 5.0, 0.7].map(|mm| format!("{:#.2}", Number(mm)));
        assert_eq!(slices, ["1.25", "1.35", "5.0", "0.7"]);
    }
}
