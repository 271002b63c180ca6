//! Reads a folder of film mammograms (PNG files and `labels.csv` as the mini-MIAS database has them) with the deterministic task
//! and says how often outline, muscle and side are plausible, and how density goes with the label of the tissue.
//!
//! In these files the breast of an odd number is a left one and lies with its chest wall at the right of the picture; an even
//! one is right and lies at the left. All are oblique, 0.4 mm a pixel.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use models::task::mg_breast::{self, Expected, Picture, Reading, Side, Unreadable};

/// Of the files, millimetres a pixel.
pub const FILE_MM: f64 = 0.4;
/// The labels count pixels of pictures of this side, y from the bottom.
const LABELLED_SIDE: f32 = 1024.0;

/// One line of the labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesion {
    /// Centre in parts of the picture, x to the right and y down.
    pub centre: [f32; 2],
    /// Radius in parts of the picture.
    pub radius: f32,
}

/// One picture and what was read of it.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub number: u32,
    /// `F`, `G` or `D`.
    pub tissue: char,
    pub lesions: Vec<Lesion>,
    /// What the labels call abnormal, such as `CIRC`; `NORM` for nothing.
    pub label: String,
    /// 8 bits a pixel, and its width.
    pub grey: (Vec<u8>, usize),
    pub read: Result<Reading, Unreadable>,
}

impl Case {
    /// A breast of 30 to 600 cm2 that lies at a side and does not fill the picture.
    pub fn outline_is_plausible(&self) -> bool {
        let Ok(reading) = &self.read else { return false };
        reading.breast.area_cm2.is_some_and(|area| (30.0..600.0).contains(&area))
            && reading.breast.part_of_picture < 0.9
    }

    /// At 10 to 45 degrees, at the top, and at least 2 cm long.
    pub fn muscle_is_plausible(&self) -> bool {
        let Some(muscle) = self.read.as_ref().ok().and_then(|reading| reading.muscle.as_ref()) else { return false };
        let [a, b] = muscle.line;
        muscle.at_top && (10.0..=45.0).contains(&muscle.angle_deg) && (a[0] - b[0]).hypot(a[1] - b[1]) * 0.4 > 20.0
    }

    /// The chest wall lies where the number of the file says.
    pub fn side_is_right(&self) -> bool {
        let expected = if self.number % 2 == 1 { Side::Right } else { Side::Left };
        self.read.as_ref().is_ok_and(|reading| reading.chest_wall == expected)
    }

    /// Is the centre of every labelled lesion inside the outline? `None` without any.
    pub fn holds_lesions(&self) -> Option<bool> {
        if self.lesions.is_empty() {
            return None;
        }
        let Ok(reading) = &self.read else { return Some(false) };
        let (pixels, width) = &self.grey;
        let size = [*width as f32, (pixels.len() / width.max(&1)) as f32];
        let all = self
            .lesions
            .iter()
            .all(|lesion| contains(&reading.breast.outline, [lesion.centre[0] * size[0], lesion.centre[1] * size[1]]));
        Some(all)
    }
}

/// Is the point inside the closed line?
fn contains(line: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let mut inside = false;
    for (a, b) in line.iter().zip(line.iter().cycle().skip(1)) {
        if (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0] {
            inside = !inside;
        }
    }
    inside
}

/// Every picture of the folder whose number is among `numbers`, in the order of the numbers.
///
/// # Errors
/// When the folder, its labels or a picture cannot be read.
pub fn cases(folder: &Path, numbers: &std::ops::RangeInclusive<u32>) -> Result<Vec<Case>> {
    let path = folder.join("labels.csv");
    let labels = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut cases: Vec<Case> = Vec::new();
    for line in labels.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        ensure!(fields.len() >= 7, "{}: {line:?} has not seven fields", path.display());
        let number = fields[0].trim_start_matches(|c: char| !c.is_ascii_digit()).parse()?;
        if !numbers.contains(&number) {
            continue;
        }
        let lesion = match (fields[4].parse::<f32>(), fields[5].parse::<f32>()) {
            (Ok(x), Ok(y)) => Some(Lesion {
                centre: [x / LABELLED_SIDE, 1.0 - y / LABELLED_SIDE],
                radius: fields[6].parse::<f32>().unwrap_or(0.0) / LABELLED_SIDE,
            }),
            _ => None,
        };
        if let Some(known) = cases.iter_mut().find(|case| case.name == fields[0]) {
            known.lesions.extend(lesion);
            continue;
        }
        let grey = grey(&folder.join(format!("{}.png", fields[0])))?;
        let read = read(&grey);
        cases.push(Case {
            name: fields[0].to_owned(),
            number,
            tissue: fields[1].chars().next().unwrap_or('?'),
            lesions: lesion.into_iter().collect(),
            label: fields[2].to_owned(),
            grey,
            read,
        });
    }
    cases.sort_by_key(|case| case.number);
    Ok(cases)
}

fn read((pixels, width): &(Vec<u8>, usize)) -> Result<Reading, Unreadable> {
    let size = [*width, pixels.len() / width.max(&1)];
    let picture = Picture::reduced(size, Some(FILE_MM), |x, y| f32::from(pixels[y * width + x]) / 255.0);
    mg_breast::read(&picture, Expected { muscle: true, density: true })
}

/// The pixels of a greyscale PNG of 8 bits, and its width.
fn grey(path: &PathBuf) -> Result<(Vec<u8>, usize)> {
    let name = || path.display().to_string();
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).with_context(name)?)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().with_context(name)?];
    let info = reader.next_frame(&mut pixels)?;
    let is_grey = (info.color_type, info.bit_depth) == (png::ColorType::Grayscale, png::BitDepth::Eight);
    ensure!(is_grey, "{}: not 8 bits of grey", path.display());
    pixels.truncate(info.buffer_size());
    Ok((pixels, info.width as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_told_from_one_outside_a_line() {
        let square = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]];
        assert!(contains(&square, [5.0, 5.0]) && !contains(&square, [11.0, 5.0]) && !contains(&[], [1.0, 1.0]));
    }
}
