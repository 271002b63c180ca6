//! A phantom's video as a file, and the truth of each of its pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use phantom::ultrasound::canvas::Canvas;
use phantom::ultrasound::layout::Name;
use phantom::ultrasound::truth::VisibleLesion;
use phantom::ultrasound::{Options, Video, y4m};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub seed: u64,
    /// Pictures per second.
    pub fps: f64,
    /// Width and height of the screen, pixels.
    pub screen: [usize; 2],
    pub lesions: Vec<Planted>,
    /// The truth of each picture.
    pub frames: Vec<Vec<Shown>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    pub id: u8,
    pub malignant: bool,
}

/// A lesion in one picture; coordinates are pixels of the screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub id: u8,
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    pub area_mm2: f64,
    /// Row, first column, last column plus one.
    pub runs: Vec<[u16; 3]>,
}

/// A video in a file.
#[derive(Debug)]
pub struct Scan {
    pub file: PathBuf,
    pub truth: Truth,
}

impl Scan {
    /// Makes the video in `folder`, unless it is there already.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn of(seed: u64, seconds: f32, fps: f32, folder: &Path) -> Result<Self> {
        let file = folder.join(format!("{seed}-{seconds}s-{fps}.y4m"));
        let beside = file.with_extension("json");
        if let Ok(text) = std::fs::read(&beside) {
            let truth = serde_json::from_slice(&text).with_context(|| format!("{}", beside.display()))?;
            return Ok(Self { file, truth });
        }
        let truth = record(seed, seconds, fps, &file)?;
        // The truth is written last, so that a video that has its truth is complete.
        std::fs::write(&beside, serde_json::to_vec(&truth)?)?;
        Ok(Self { file, truth })
    }
}

fn record(seed: u64, seconds: f32, fps: f32, file: &Path) -> Result<Truth> {
    let options = Options { layout: Name::by_seed(seed), seconds, fps, lesions: None };
    let video = Video::new(seed, &options);
    let screen = [video.layout.width, video.layout.height];
    let mut out = y4m::Writer::new(file, screen[0], screen[1], fps)?;
    let mut frames = Vec::new();
    for number in 0..video.frames() {
        let frame = video.frame(number);
        out.frame(&frame.screen)?;
        frames.push(frame.truth.lesions.iter().map(|lesion| shown(lesion, &frame.labels)).collect());
    }
    out.finish()?;
    let planted = video.truth(Vec::new()).lesions;
    let lesions = planted.iter().map(|lesion| Planted { id: lesion.id, malignant: lesion.malignant }).collect();
    Ok(Truth { seed, fps: f64::from(fps), screen, lesions, frames })
}

fn shown(lesion: &VisibleLesion, labels: &Canvas) -> Shown {
    let box_ = lesion.screen_box;
    let bounds = [box_.x, box_.y, box_.right(), box_.bottom()].map(|v| v as f32);
    let mut runs = Vec::new();
    for y in box_.y..box_.bottom() {
        let row = &labels.grey[y * labels.width..][..labels.width];
        let mut x = box_.x;
        while x < box_.right() {
            let start = x;
            while x < box_.right() && row[x] == lesion.id {
                x += 1;
            }
            if x > start {
                runs.push([y, start, x].map(|v| v as u16));
            }
            x += 1;
        }
    }
    Shown { id: lesion.id, bounds, area_mm2: f64::from(lesion.area_mm2), runs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phantom::ultrasound::descriptors::{Descriptors, EchoPattern, Margin, Orientation, Posterior, Shape};
    use phantom::ultrasound::layout::Rect;

    #[test]
    fn a_lesion_becomes_runs_of_its_own_pixels() {
        let mut labels = Canvas::new(8, 4);
        labels.grey[8 + 1..8 + 4].fill(2);
        labels.grey[8 + 5] = 2;
        labels.grey[8 + 4] = 1;
        labels.grey[16 + 2] = 2;
        let rect = Rect::new(1, 1, 5, 2);
        let lesion = VisibleLesion {
            id: 2,
            malignant: false,
            descriptors: Descriptors {
                shape: Shape::Oval,
                orientation: Orientation::Parallel,
                margin: Margin::Circumscribed,
                echo_pattern: EchoPattern::Anechoic,
                posterior_features: Posterior::Enhancement,
            },
            screen_box: rect,
            sector_box: rect,
            size_mm: [1.0; 2],
            area_mm2: 5.0,
        };
        let shown = shown(&lesion, &labels);
        assert_eq!(shown.runs, [[1, 1, 4], [1, 5, 6], [2, 2, 3]]);
        assert_eq!(shown.bounds, [1.0, 1.0, 6.0, 3.0]);
    }
}
