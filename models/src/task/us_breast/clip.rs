//! Clips that were stored: which frames are looked at, and what is one lesion in several of them. Pure.

use super::Detection;

/// Frames of one clip that are looked at, at most.
pub const MOST_FRAMES: usize = 32;
/// Two boxes whose intersection over union is larger than this are one lesion; the live path has it from here.
pub const SAME: f32 = 0.2;
/// Of so many frames on,
const CONFIRM_FROM: usize = 4;
/// a lesion has to be seen in so many of them.
const CONFIRMED: usize = 2;

/// A lesion in the frame that shows it with the highest confidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub best: Detection,
    /// Counted from 0.
    pub frame: usize,
    /// In how many of the frames that were looked at.
    pub frames: usize,
}

/// At most [`MOST_FRAMES`] of `count` frames, evenly: the first and the last are among them.
pub fn frames(count: usize) -> Vec<usize> {
    if count <= MOST_FRAMES {
        return (0..count).collect();
    }
    (0..MOST_FRAMES).map(|i| i * (count - 1) / (MOST_FRAMES - 1)).collect()
}

/// The lesions of a clip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    pub seen: Vec<Seen>,
    /// How many things only one of the frames showed; they are left out.
    pub once: usize,
}

/// One after the other: where boxes overlap in frames that were looked at, there is one lesion. What is seen in a single
/// frame of a clip is left out and counted. `looked`: each frame with what was found in it.
pub fn merged(looked: &[(usize, Vec<Detection>)]) -> Merged {
    struct Track {
        seen: Seen,
        last: [f32; 4],
    }
    let mut tracks: Vec<Track> = Vec::new();
    for (frame, found) in looked {
        let mut taken = vec![false; tracks.len()];
        for one in found {
            let near = (0..taken.len()).filter(|t| !taken[*t]).map(|t| (t, overlap(tracks[t].last, one.bounds)));
            match near.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, overlap)| *overlap > SAME) {
                Some((t, _)) => {
                    taken[t] = true;
                    let Track { seen, last } = &mut tracks[t];
                    (*last, seen.frames) = (one.bounds, seen.frames + 1);
                    if one.confidence > seen.best.confidence {
                        (seen.best, seen.frame) = (one.clone(), *frame);
                    }
                }
                None => {
                    let seen = Seen { best: one.clone(), frame: *frame, frames: 1 };
                    tracks.push(Track { seen, last: one.bounds });
                }
            }
        }
    }
    let least = if looked.len() >= CONFIRM_FROM { CONFIRMED } else { 1 };
    let all = tracks.len();
    let seen: Vec<Seen> = tracks.into_iter().map(|track| track.seen).filter(|seen| seen.frames >= least).collect();
    Merged { once: all - seen.len(), seen }
}

/// Intersection over union of two boxes: left, top, right, bottom.
pub fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |b: [f32; 4]| (b[2] - b[0]).max(0.0) * (b[3] - b[1]).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::Signs;
    use super::*;

    fn found(x: f32, confidence: f32) -> Detection {
        let bounds = [x, 10.0, x + 20.0, 30.0];
        let signs = Signs::new([0.0; 9]);
        Detection { outline: Vec::new(), bounds, confidence, signs, area: 400.0, axes: [20.0, 20.0] }
    }

    #[test]
    fn frames_are_taken_evenly_and_both_ends_are_among_them() {
        assert_eq!(frames(0), [0; 0]);
        assert_eq!(frames(5), [0, 1, 2, 3, 4]);
        let many = frames(1000);
        assert_eq!((many.len(), many[0], many[31]), (MOST_FRAMES, 0, 999));
        assert!(many.windows(2).all(|pair| (32..=33).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn what_overlaps_is_one_lesion_and_keeps_its_surest_frame() {
        let looked: Vec<_> = [0.91, 0.99, 0.95, 0.92]
            .into_iter()
            .enumerate()
            .map(|(i, sure)| (i * 10, vec![found(10.0 + 4.0 * i as f32, sure)]))
            .collect();
        let Merged { seen, once } = merged(&looked);
        assert_eq!(once, 0);
        assert_eq!(seen.iter().map(|one| (one.frame, one.frames)).collect::<Vec<_>>(), [(10, 4)]);
        let two = vec![(0, vec![found(0.0, 0.9), found(100.0, 0.95)])];
        assert_eq!(merged(&two).seen.len(), 2, "beside each other");
    }

    #[test]
    fn what_one_frame_of_a_clip_shows_is_left_out_but_not_of_a_still() {
        let once = |frames: usize| (0..frames).map(|i| (i, if i == 2 { vec![found(5.0, 0.95)] } else { vec![] }));
        let left_out = merged(&once(8).collect::<Vec<_>>());
        assert_eq!(left_out, Merged { seen: Vec::new(), once: 1 }, "left out, and counted");
        assert_eq!(merged(&once(3).collect::<Vec<_>>()).seen.len(), 1);
        assert_eq!(merged(&[(0, vec![found(5.0, 0.95)])]).seen.len(), 1);
    }
}
