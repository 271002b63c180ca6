//! Which lesions a breast has and where: the kinds are about as frequent as in a diagnostic clinic, and no two lesions
//! touch.

use super::breast::Breast;
use super::descriptors::{Descriptors, EchoPattern, Margin, Orientation, Posterior, Shape};
use super::lesion::Lesion;
use crate::random::Random;

/// Limits for the position of lesions, mm.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Largest lateral distance from the middle.
    pub lateral: f32,
    pub elevation: [f32; 2],
    /// Deepest point that the picture shows.
    pub depth: f32,
}

const TRIES: usize = 40;
const APART_MM: f32 = 3.0;

pub fn plant(breast: &Breast, room: &Room, count: usize, random: &mut Random) -> Vec<Lesion> {
    let mut planted: Vec<Lesion> = Vec::new();
    for _ in 0..count {
        let descriptors = descriptors(random);
        for attempt in 0..TRIES {
            // A lesion that does not fit is made smaller and tried again.
            let half = half_axes(&descriptors, 1.0 - 0.5 * attempt as f32 / TRIES as f32, random);
            if let Some(centre) = place(breast, room, half, &planted, random) {
                planted.push(Lesion::new(planted.len() as u8 + 1, descriptors, centre, half, random));
                break;
            }
        }
    }
    planted
}

/// Cysts, benign masses, malignant masses, and masses in between with one sign more or fewer.
fn descriptors(random: &mut Random) -> Descriptors {
    let kind = random.unit();
    let smooth_shape = if random.chance(0.3) { Shape::Round } else { Shape::Oval };
    let lying = |shape: Shape| if shape == Shape::Round { Orientation::NotParallel } else { Orientation::Parallel };
    let benign = Descriptors {
        shape: Shape::Oval,
        orientation: Orientation::Parallel,
        margin: Margin::Circumscribed,
        echo_pattern: if random.chance(0.85) { EchoPattern::Hypoechoic } else { EchoPattern::Heterogeneous },
        posterior_features: if random.chance(0.4) { Posterior::Enhancement } else { Posterior::None },
    };
    let rough = [Margin::Indistinct, Margin::Angular, Margin::Microlobulated, Margin::Spiculated][random.below(4)];
    let malignant = Descriptors {
        shape: if random.chance(0.85) { Shape::Irregular } else { smooth_shape },
        orientation: if random.chance(0.6) { Orientation::NotParallel } else { Orientation::Parallel },
        margin: rough,
        echo_pattern: if random.chance(0.7) { EchoPattern::Heterogeneous } else { EchoPattern::Hypoechoic },
        posterior_features: match random.unit() {
            u if u < 0.6 => Posterior::Shadowing,
            u if u < 0.9 => Posterior::None,
            _ => Posterior::Enhancement,
        },
    };
    let mut chosen = match kind {
        k if k < 0.28 => Descriptors {
            shape: smooth_shape,
            orientation: lying(smooth_shape),
            echo_pattern: EchoPattern::Anechoic,
            posterior_features: if random.chance(0.9) { Posterior::Enhancement } else { Posterior::None },
            ..benign
        },
        k if k < 0.55 => benign,
        k if k < 0.87 => malignant,
        k if k < 0.91 => Descriptors { margin: rough, ..benign },
        k if k < 0.95 => Descriptors { posterior_features: Posterior::Shadowing, ..benign },
        _ => Descriptors { shape: smooth_shape, orientation: Orientation::NotParallel, ..benign },
    };
    if chosen.shape == Shape::Round {
        chosen.orientation = Orientation::NotParallel;
    }
    chosen
}

/// Half axes in mm: lateral, depth, elevation.
fn half_axes(d: &Descriptors, shrink: f32, random: &mut Random) -> [f32; 3] {
    let longest = shrink * random.logarithmic(3.0, 10.0);
    let ratio = match (d.shape, d.orientation) {
        (Shape::Round, _) => random.between(0.94, 1.0),
        (_, Orientation::Parallel) => random.between(0.5, 0.72),
        (_, Orientation::NotParallel) => random.between(0.58, 0.8),
    };
    let (long, short) = (longest, (longest * ratio).max(1.7));
    let elevation = longest * random.between(0.7, 1.1);
    match (d.shape, d.orientation) {
        (Shape::Oval | Shape::Irregular, Orientation::NotParallel) => [short, long, elevation],
        _ => [long, short, elevation],
    }
}

fn place(breast: &Breast, room: &Room, half: [f32; 3], others: &[Lesion], random: &mut Random) -> Option<[f32; 3]> {
    let lateral = random.between(-room.lateral, room.lateral);
    let elevation = random.between(room.elevation[0], room.elevation[1]);
    let layers = breast.layers(lateral, elevation);
    let low = layers.skin + 1.2 + 1.15 * half[1];
    let high = layers.muscle.min(room.depth - 3.0) - 0.5 - 1.1 * half[1];
    if low > high {
        return None;
    }
    let centre = [lateral, random.between(low, high), elevation];
    let free = others.iter().all(|o| {
        let apart: f32 =
            (0..3).map(|a| ((centre[a] - o.centre[a]) / (1.25 * (half[a] + o.half[a]) + APART_MM)).powi(2)).sum();
        apart > 1.0
    });
    free.then_some(centre)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many() -> Vec<Lesion> {
        let room = Room { lateral: 12.0, elevation: [0.0, 60.0], depth: 45.0 };
        (0..200).flat_map(|s| plant(&Breast::new(s), &room, 3, &mut Random::new(s, 1))).collect()
    }

    #[test]
    fn most_of_the_lesions_asked_for_find_a_place() {
        assert!(many().len() > 520, "{}", many().len());
    }

    #[test]
    fn benign_and_malignant_and_every_descriptor_are_common() {
        let all = many();
        let share = |of: &dyn Fn(&Descriptors) -> bool| {
            all.iter().filter(|l| of(&l.descriptors)).count() as f32 / all.len() as f32
        };
        let malignant = share(&|d| d.malignant());
        assert!((0.3..0.5).contains(&malignant), "{malignant}");
        for bit in 1..super::super::descriptors::CHANNELS.len() {
            let part = share(&|d| d.bits() >> bit & 1 == 1);
            assert!((0.12..0.65).contains(&part), "bit {bit}: {part}");
        }
    }
}
