//! Which pictures show the outlines of a case: for each finding the image with the most of it, with all that is outlined there. Pure.

use std::collections::HashSet;

use dicom::segmentation::{Segment, Segmentation};

/// One finding in one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub label: String,
    pub colour: [u8; 3],
    /// First pixel (row-major) and number of pixels that follow each other.
    pub runs: Vec<[u32; 2]>,
}

/// A picture with at least one mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub sop_uid: String,
    /// Counted from 1.
    pub frame: u32,
    pub size: [u32; 2],
    pub marks: Vec<Mark>,
}

/// At most `most`, in the order of the findings; those with little are dropped first. `images`: those that there are.
pub fn chosen(all: &[Segmentation], images: &HashSet<String>, most: usize) -> Vec<Chosen> {
    let mut picked: Vec<(u32, Chosen)> = Vec::new();
    for whole in all {
        for segment in whole.segments.iter().filter(|segment| !segment.is_anatomy) {
            let there = segment.frames.iter().filter(|frame| images.contains(&frame.sop_instance_uid));
            let Some(best) = there.max_by_key(|frame| area(&frame.runs)).filter(|frame| area(&frame.runs) > 0) else {
                continue;
            };
            let (sop_uid, frame) = (best.sop_instance_uid.clone(), best.frame.unwrap_or(1));
            let pixels = area(&best.runs);
            match picked.iter_mut().find(|(_, one)| one.sop_uid == sop_uid && one.frame == frame) {
                Some((most, _)) => *most = pixels.max(*most),
                None => picked
                    .push((pixels, Chosen { sop_uid, frame, size: [whole.columns, whole.rows], marks: Vec::new() })),
            }
        }
    }
    let mut order: Vec<usize> = (0..picked.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(picked[*index].0));
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|index| with_marks(picked[index].1.clone(), all)).collect()
}

fn with_marks(mut one: Chosen, all: &[Segmentation]) -> Chosen {
    for segment in all.iter().flat_map(|whole| &whole.segments).filter(|segment| !segment.is_anatomy) {
        if let Some(runs) = in_picture(segment, &one) {
            one.marks.push(Mark { label: segment.label.clone(), colour: segment.colour, runs });
        }
    }
    one
}

fn in_picture(segment: &Segment, one: &Chosen) -> Option<Vec<[u32; 2]>> {
    let here = segment
        .frames
        .iter()
        .filter(|frame| frame.sop_instance_uid == one.sop_uid && frame.frame.unwrap_or(1) == one.frame);
    let runs: Vec<[u32; 2]> = here.flat_map(|frame| frame.runs.iter().copied()).collect();
    (area(&runs) > 0).then_some(runs)
}

fn area(runs: &[[u32; 2]]) -> u32 {
    runs.iter().map(|[_, length]| length).sum()
}

/// Whether each pixel is in the mark.
pub fn inside(runs: &[[u32; 2]], [columns, rows]: [u32; 2]) -> Vec<bool> {
    let mut inside = vec![false; columns as usize * rows as usize];
    for [first, length] in runs {
        let end = (*first as usize).saturating_add(*length as usize).min(inside.len());
        inside[(*first as usize).min(end)..end].fill(true);
    }
    inside
}

#[cfg(test)]
mod tests {
    use dicom::segmentation::Frame;

    use super::*;

    fn segment(number: u16, label: &str, is_anatomy: bool, frames: &[(&str, u32)]) -> Segment {
        let frames = frames
            .iter()
            .map(|(uid, pixels)| Frame { sop_instance_uid: (*uid).into(), frame: None, runs: vec![[0, *pixels]] })
            .collect();
        Segment { number, label: label.into(), colour: [255, 0, 0], is_anatomy, frames }
    }

    #[test]
    fn each_finding_is_shown_where_there_is_most_of_it_with_all_that_is_there_and_normal_parts_are_not() {
        let segments = vec![
            segment(1, "lung", true, &[("a", 90)]),
            segment(2, "nodule", false, &[("a", 3), ("b", 7), ("gone", 99)]),
            segment(3, "effusion", false, &[("b", 2), ("c", 20)]),
        ];
        let all = [Segmentation { rows: 10, columns: 10, segments }];
        let images: HashSet<String> = ["a", "b", "c"].map(str::to_owned).into();
        let got = chosen(&all, &images, 12);
        let seen: Vec<(&str, Vec<&str>)> = got
            .iter()
            .map(|one| (one.sop_uid.as_str(), one.marks.iter().map(|mark| mark.label.as_str()).collect()))
            .collect();
        assert_eq!(seen, [("b", vec!["nodule", "effusion"]), ("c", vec!["effusion"])]);
        assert_eq!(chosen(&all, &images, 1)[0].sop_uid, "c", "the one with most stays");
        assert!(chosen(&all, &HashSet::new(), 12).is_empty());
    }
}
