//! When each frame of a multi-frame image was taken: PS3.3 C.7.6.5 (cine). Pure.

use std::time::Duration;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hal::capture::Rate;

use crate::cast;

/// Time between frames when the image does not say it, ms: 30 per second, as scanners show them.
const USUAL_MS: f64 = 1000.0 / 30.0;
/// Times between frames outside this range are taken for mistakes, ms.
const STEP_MS: std::ops::RangeInclusive<f64> = 1.0..=10_000.0;

/// The times of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// Mean frame rate; one per second when there is only one frame.
    pub rate: Rate,
    /// When each frame is due, counted from the first.
    due: Vec<Duration>,
}

impl Timing {
    pub fn of(data_set: &InMemDicomObject, frames: usize) -> Self {
        let numbers = |tag| {
            let element = data_set.element_opt(tag).ok().flatten();
            element.and_then(|element| element.to_multi_float64().ok()).unwrap_or_default()
        };
        let one = |tag| numbers(tag).first().copied();
        let per_second = |tag| one(tag).filter(|rate| *rate > 0.0).map(|rate| 1000.0 / rate);
        let vector = numbers(tags::FRAME_TIME_VECTOR);
        // When both are present, the frame increment pointer says which one counts.
        let pointed = data_set.element_opt(tags::FRAME_INCREMENT_POINTER).ok().flatten();
        let by_vector =
            pointed.and_then(|p| p.value().primitive()?.tag().ok()).is_some_and(|tag| tag == tags::FRAME_TIME_VECTOR);
        let step = one(tags::FRAME_TIME).filter(|ms| *ms > 0.0);
        if vector.len() >= frames && (by_vector || step.is_none()) {
            return Self::from_steps(vector.into_iter().take(frames));
        }
        let step = step
            .or_else(|| per_second(tags::CINE_RATE))
            .or_else(|| per_second(tags::RECOMMENDED_DISPLAY_FRAME_RATE))
            .unwrap_or(USUAL_MS);
        Self::from_steps(std::iter::repeat_n(step, frames))
    }

    /// `steps`: time before each frame, ms; the first is ignored.
    fn from_steps(steps: impl Iterator<Item = f64>) -> Self {
        let sane = |ms: f64| if STEP_MS.contains(&ms) { ms } else { ms.clamp(*STEP_MS.start(), USUAL_MS) };
        // `clamp` would keep a NaN.
        let sane = |ms: f64| if ms.is_finite() { sane(ms) } else { USUAL_MS };
        let mut at = 0.0;
        let due: Vec<Duration> = steps
            .enumerate()
            .map(|(index, step)| {
                at += if index == 0 { 0.0 } else { sane(step) };
                Duration::from_secs_f64(at / 1e3)
            })
            .collect();
        let rate = match due.len() {
            0 | 1 => Rate::hertz(1),
            count => {
                let thousandths = (count - 1) as f64 * 1e6 / at.max(1.0);
                Rate::new(cast::round_u32(thousandths).max(1), 1000).unwrap_or_else(|| Rate::hertz(30))
            }
        };
        Self { rate, due }
    }

    /// When frame `index` is due, counted from the first.
    pub fn due(&self, index: usize) -> Duration {
        self.due.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR};

    use super::*;

    fn timing(frames: usize, elements: &[(Tag, &str)]) -> Vec<u128> {
        let mut data_set = InMemDicomObject::new_empty();
        for (tag, text) in elements {
            let values: Vec<String> = text.split('\\').map(str::to_owned).collect();
            data_set.put(DataElement::new(*tag, VR::DS, PrimitiveValue::Strs(values.into())));
        }
        let timing = Timing::of(&data_set, frames);
        (0..frames).map(|index| timing.due(index).as_millis()).collect()
    }

    #[test]
    fn frame_time_vector_cine_rate_and_display_rate_are_understood() {
        assert_eq!(timing(3, &[(tags::FRAME_TIME, "40")]), [0, 40, 80]);
        assert_eq!(timing(3, &[(tags::FRAME_TIME_VECTOR, "0\\20\\50")]), [0, 20, 70]);
        assert_eq!(timing(2, &[(tags::CINE_RATE, "25")]), [0, 40]);
        assert_eq!(timing(2, &[(tags::RECOMMENDED_DISPLAY_FRAME_RATE, "10")]), [0, 100]);
        assert_eq!(timing(4, &[]), [0, 33, 66, 100]);
        // Both are there and nothing points at the vector.
        assert_eq!(timing(2, &[(tags::FRAME_TIME, "40"), (tags::FRAME_TIME_VECTOR, "0\\20")]), [0, 40]);
    }

    #[test]
    fn times_rise_whatever_the_file_says() {
        assert_eq!(timing(3, &[(tags::FRAME_TIME, "0"), (tags::CINE_RATE, "0")]), [0, 33, 66]);
        assert_eq!(timing(4, &[(tags::FRAME_TIME_VECTOR, "0\\0\\-5\\1e9")]), [0, 1, 2, 35]);
        // Too short for all frames: not used.
        assert_eq!(timing(3, &[(tags::FRAME_TIME_VECTOR, "0\\500")]), [0, 33, 66]);
    }

    #[test]
    fn the_rate_is_the_mean_and_one_for_a_single_frame() {
        let of = |frames| Timing::from_steps(std::iter::repeat_n(40.0, frames)).rate;
        assert_eq!((of(1), of(3)), (Rate::hertz(1), Rate::new(25_000, 1000).unwrap()));
    }
}
