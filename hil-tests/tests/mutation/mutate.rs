//! Changes bytes as damage and malice do: a few bits, numbers at their limits, parts lost, doubled, moved, or taken from
//! another input.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngCore as _};

/// The longest input, bytes.
const MOST: usize = 1 << 18;
const LIMITS: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_fffe, u64::MAX];

/// One input, made of `seeds`, which are not empty.
pub fn mutated(seeds: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = seeds.choose(random).cloned().unwrap_or_default();
    // Most often a little: what is damaged everywhere is refused at the first byte.
    for _ in 0..*[1, 1, 1, 2, 3, 5, 12, 40].choose(random).unwrap_or(&1) {
        change(&mut bytes, seeds, random);
    }
    bytes.truncate(MOST);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut SmallRng) {
    if bytes.is_empty() {
        bytes.push(random.random());
    }
    let (length, at) = (bytes.len(), random.random_range(0..bytes.len()));
    let some = random.random_range(1..=(length - at).min(64));
    match random.random_range(0..10) {
        0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
        2 => random.fill_bytes(&mut bytes[at..at + some.min(4)]),
        3 | 4 => {
            let width = some.min(*[1, 2, 4, 8].choose(random).unwrap_or(&1));
            let number = LIMITS.choose(random).copied().unwrap_or_default();
            let number = if random.random() { number.to_be_bytes() } else { number.to_le_bytes() };
            // The low bytes, whichever way they stand.
            let low = if number[0] == 0 { &number[8 - width..] } else { &number[..width] };
            bytes[at..at + width].copy_from_slice(low);
        }
        5 => bytes[at] = bytes[at].wrapping_add(*[1, 2, 255, 254].choose(random).unwrap_or(&1)),
        6 => bytes.truncate(at),
        7 => {
            bytes.drain(at..at + some);
        }
        8 => {
            let part = bytes[at..at + some].to_vec();
            let times = *[1, 1, 2, 50].choose(random).unwrap_or(&1);
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, part.repeat(times));
        }
        _ => {
            let other = seeds.choose(random).filter(|other| !other.is_empty());
            let Some(other) = other else { return };
            let from = random.random_range(0..other.len());
            let end = other.len().min(from + random.random_range(1..256));
            bytes.splice(at..at + some, other[from..end].iter().copied());
        }
    }
}
