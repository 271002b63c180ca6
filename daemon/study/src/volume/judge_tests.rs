//! A bad slice is named, never silent.

use super::*;

impl Fault {
    /// The slice, or the one before a step.
    fn slice(&self) -> usize {
        match self {
            Self::Blank { slice } | Self::Written { slice } | Self::Odd { slice, .. } => *slice,
            Self::Step { before, .. } => *before,
        }
    }
}

const WIDE: usize = 96;

/// White noise by position, standard deviation about 1.
fn noise(seed: usize) -> f64 {
    let mut h = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut sum = 0.0;
    for _ in 0..12 {
        h = (h ^ (h >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
        sum += (h >> 11) as f64 / (1u64 << 53) as f64;
    }
    sum - 6.0
}

/// A body with a lung that changes from slice to slice, with noise of `sigma` HU.
fn slice(z: f64, sigma: f64, seed: usize) -> Vec<i16> {
    let value = |i: usize| {
        let [x, y] = [i % WIDE, i / WIDE].map(|v| v as f64 - 48.0);
        let vessel = ((x * 0.35 + z * 0.8).sin() * (y * 0.3 - z * 0.6).sin()).max(0.0).powi(4);
        let hu = match (x / 44.0).hypot(y / 36.0) {
            r if r > 1.0 => -1000.0,
            _ if (x / (24.0 + z)).hypot(y / 26.0) < 1.0 => -850.0 + 700.0 * vessel,
            _ => 40.0,
        };
        (hu + sigma * noise(seed * WIDE * WIDE + i)) as i16
    };
    (0..WIDE * WIDE).map(value).collect()
}

fn series(step: f64, sigma: f64) -> Vec<Vec<i16>> {
    (0..30).map(|i| slice(i as f64 * step, sigma, i)).collect()
}

fn judged(slices: &[Vec<i16>]) -> Vec<Fault> {
    let slices: Vec<Arc<[i16]>> = slices.iter().map(|slice| slice.clone().into()).collect();
    judge(&slices, WIDE)
}

#[test]
fn good_series_have_no_fault_at_any_spacing_and_noise() {
    for step in [0.1, 0.3, 0.8] {
        for sigma in [0.0, 15.0, 40.0] {
            assert_eq!(judged(&series(step, sigma)), [], "step {step}, noise {sigma}");
        }
    }
    assert_eq!(judged(&vec![vec![-1000; WIDE * WIDE]; 5]), [], "all blank is for others to say");
    assert_eq!(judged(&series(0.1, 0.0)[..2]), []);
}

#[test]
fn each_kind_of_bad_slice_is_named_wherever_it_lies() {
    type Spoil = fn(&mut Vec<i16>);
    let kinds: [(&str, Spoil); 9] = [
        ("blank", |s| s.fill(0)),
        ("without its rescale", |s| s.iter_mut().for_each(|v| *v += 1024)),
        ("a third brighter", |s| s.iter_mut().for_each(|v| *v = ((f64::from(*v) + 1024.0) * 1.33) as i16 - 1024)),
        ("cut off", |s| s[WIDE * 50..].fill(-1024)),
        ("another place", |s| *s = slice(40.0, 15.0, 99)),
        ("upside down", |s| s.reverse()),
        ("moved by the table", |s| s.rotate_right(WIDE * 8)),
        ("very noisy", |s| (0..s.len()).for_each(|i| s[i] += (90.0 * noise(i)) as i16)),
        ("shown in a window", |s| s.iter_mut().for_each(|v| *v = (*v).clamp(-160, 240))),
    ];
    for (kind, spoil) in kinds {
        for at in [1, 11, 28] {
            let mut slices = series(0.3, 15.0);
            spoil(&mut slices[at]);
            let faults = judged(&slices);
            assert!(faults.iter().any(|fault| fault.slice() == at), "{kind} at {at}: {faults:?}");
            assert!(faults.len() <= 3, "{kind} at {at}: {faults:?}");
        }
    }
}

#[test]
fn a_bad_end_is_named_too() {
    for at in [0, 29] {
        let mut slices = series(0.3, 15.0);
        slices[at].iter_mut().for_each(|v| *v += 1024);
        assert!(judged(&slices).iter().any(|fault| fault.slice() == at));
    }
}

#[test]
fn two_halves_are_never_joined_silently() {
    let mut slices = series(0.3, 15.0);
    slices[15..].iter_mut().for_each(|slice| slice.iter_mut().for_each(|v| *v += 1024));
    let faults = judged(&slices);
    assert!(matches!(faults[..], [Fault::Step { before: 14, .. }]), "{faults:?}");
}
