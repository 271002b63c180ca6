//! Frames for training: the sector of a screen as the network sees it, and a label for each pixel.

use super::canvas::Canvas;
use super::descriptors::CHANNELS;
use super::layout::Rect;
use super::truth::FrameTruth;
use super::video::{Frame, Video};

/// Which frames of a video are taken.
#[derive(Debug, Clone, Copy)]
pub enum Pick {
    /// This many frames, evenly distributed.
    Spread(usize),
    /// Every n-th frame.
    Every(usize),
}

/// Row by row, frame by frame.
#[derive(Debug)]
pub struct Frames {
    pub size: usize,
    pub images: Vec<u8>,
    /// Bit `i` is set where channel `i` of [`CHANNELS`] is true.
    pub labels: Vec<u16>,
    pub truths: Vec<FrameTruth>,
}

/// Takes frames of a video, each with the longer side of the sector scaled to `size` pixels and black below or beside the
/// rest (letterbox, from the top left corner).
pub fn take(video: &Video, pick: Pick, size: usize) -> Frames {
    let all = video.frames();
    let numbers: Vec<usize> = match pick {
        Pick::Spread(count) => (0..count).map(|i| (2 * i + 1) * all / (2 * count)).collect(),
        Pick::Every(step) => (0..all).step_by(step.max(1)).collect(),
    };
    let mut frames = Frames { size, images: Vec::new(), labels: Vec::new(), truths: Vec::new() };
    for number in numbers {
        let Frame { screen, labels, truth } = video.frame(number);
        let sector = video.layout.sector;
        frames.images.extend(letterboxed(&screen, sector, size));
        let bits = |id: u8| truth.lesions.iter().find(|l| l.id == id).map_or(0, |l| l.descriptors.bits());
        frames.labels.extend(nearest(&labels, sector, size).into_iter().map(bits));
        frames.truths.push(truth);
    }
    debug_assert!(CHANNELS.len() <= 16);
    frames
}

/// Number of screen pixels for one pixel of the network.
pub fn scale(sector: Rect, size: usize) -> f32 {
    sector.width.max(sector.height) as f32 / size as f32
}

/// Each pixel is the mean of the area that it covers.
pub fn letterboxed(screen: &Canvas, sector: Rect, size: usize) -> Vec<u8> {
    let across = shares(sector.width, size, scale(sector, size));
    let down = shares(sector.height, size, scale(sector, size));
    let mut narrow = vec![0.0f32; sector.height * size];
    for y in 0..sector.height {
        let row = &screen.grey[(sector.y + y) * screen.width + sector.x..][..sector.width];
        for (x, weights) in across.iter().enumerate() {
            narrow[y * size + x] = weights.iter().map(|(i, w)| w * f32::from(row[*i])).sum();
        }
    }
    let mut out = vec![0u8; size * size];
    let mut line = vec![0.0f32; size];
    for (y, weights) in down.iter().enumerate() {
        line.fill(0.0);
        for (i, w) in weights {
            for (l, v) in line.iter_mut().zip(&narrow[i * size..][..size]) {
                *l += w * v;
            }
        }
        for (o, l) in out[y * size..][..size].iter_mut().zip(&line) {
            *o = l.round().clamp(0.0, 255.0) as u8;
        }
    }
    out
}

/// For each output pixel: the source pixels that it covers, and the fraction of each; none outside the source.
fn shares(length: usize, size: usize, scale: f32) -> Vec<Vec<(usize, f32)>> {
    let one = |i: usize| {
        let (low, high) = (i as f32 * scale, (i + 1) as f32 * scale);
        let covered = |s: usize| (high.min(s as f32 + 1.0) - low.max(s as f32)) / scale;
        let last = (high.ceil() as usize).min(length);
        (low as usize..last).map(|s| (s, covered(s))).filter(|(_, w)| *w > 1e-4).collect()
    };
    (0..size).map(one).collect()
}

fn nearest(labels: &Canvas, sector: Rect, size: usize) -> Vec<u8> {
    let at = |i: usize| ((i as f32 + 0.5) * scale(sector, size)) as usize;
    let mut out = vec![0; size * size];
    for y in (0..size).filter(|y| at(*y) < sector.height) {
        for x in (0..size).filter(|x| at(*x) < sector.width) {
            out[y * size + x] = labels.grey[(sector.y + at(y)) * labels.width + sector.x + at(x)];
        }
    }
    out
}
