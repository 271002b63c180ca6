//! Phantoms scanned with slices of a given thickness at a given distance. Thick slices are means of thin ones, as a scanner
//! makes them: their edges blur along the body, and their noise falls.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use phantom::visit::Visit;
use phantom::{Channel, Kernel, LUNG, Options, Phantom, Slice, Truth, dicom};

/// Slices between which a thick one is averaged are no thicker than this, mm.
const THIN_MM: f32 = 1.5;
/// Steps of thickness and distance, mm: they have a common measure.
const STEP_MM: f32 = 0.25;
/// Height of the scan, mm.
const HEIGHT_MM: f32 = 297.0;

/// Written as `5` (thickness and distance), or as `5/2.5` (slices of 5 mm every 2.5 mm); mm.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Sampling {
    pub thickness_mm: f32,
    pub spacing_mm: f32,
}

impl FromStr for Sampling {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (thickness, spacing) = text.split_once('/').unwrap_or((text, text));
        let read = |text: &str| -> Result<f32> {
            let mm: f32 = text.trim().parse().with_context(|| format!("{text:?} is no number of mm"))?;
            let whole = (mm / STEP_MM).fract() == 0.0;
            ensure!(mm > 0.0 && mm <= 10.0 && whole, "{mm} mm: 0.25 to 10 mm in steps of {STEP_MM} mm");
            Ok(mm)
        };
        let (thickness_mm, spacing_mm) = (read(thickness)?, read(spacing)?);
        ensure!(spacing_mm <= thickness_mm, "{text}: slices must not have gaps");
        Ok(Self { thickness_mm, spacing_mm })
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.thickness_mm == self.spacing_mm {
            write!(f, "slices of {} mm", self.thickness_mm)
        } else {
            write!(f, "slices of {} mm every {} mm", self.thickness_mm, self.spacing_mm)
        }
    }
}

impl Sampling {
    /// Thin slices: their thickness (mm), how many make a thick one, and from one thick one to the next.
    fn thin(self) -> (f32, usize, usize) {
        let steps = |mm: f32| (mm / STEP_MM).round() as usize;
        let (mut common, mut rest) = (steps(self.thickness_mm), steps(self.spacing_mm));
        while rest > 0 {
            (common, rest) = (rest, common % rest);
        }
        let common_mm = common as f32 * STEP_MM;
        let parts = (common_mm / THIN_MM).ceil().max(1.0);
        let thin_mm = common_mm / parts;
        let count = |mm: f32| (mm / thin_mm).round() as usize;
        (thin_mm, count(self.thickness_mm), count(self.spacing_mm))
    }
}

/// A phantom on the grid of its thick slices.
#[derive(Debug)]
pub struct Scanned {
    pub phantom: Phantom,
    pub slices: Vec<Slice>,
    /// Measured on the thin slices.
    pub truth: Truth,
    pub study: dicom::Study,
}

/// The phantom of a seed in these slices. `kernel`: of all phantoms; chosen by the seed when absent.
///
/// # Errors
/// When an instance cannot be encoded.
pub fn scan(seed: u64, sampling: Sampling, kernel: Option<Kernel>, largest_nodule_mm: f32) -> Result<Scanned> {
    let (thin_mm, per, step) = sampling.thin();
    let varied = Options::varied(seed);
    let options = Options {
        slice_mm: thin_mm,
        slices: (HEIGHT_MM / thin_mm).round() as usize,
        kernel: kernel.unwrap_or(varied.kernel),
        diameters_mm: [varied.diameters_mm[0], largest_nodule_mm],
        ..varied
    };
    let mut phantom = Phantom::new(seed, &options);
    let (thin, truth) = phantom.render_labelled();
    let slices: Vec<Slice> = thin.windows(per).step_by(step).map(mean).collect();
    phantom.grid.origin_mm[2] += (per - 1) as f32 * thin_mm / 2.0;
    phantom.grid.slice_mm = sampling.spacing_mm;
    phantom.grid.slices = slices.len();
    let mut study = dicom::study_of(&phantom, &slices, &Visit::default())?;
    for instance in study.instances.iter_mut().filter(|one| one.file_name.starts_with("CT/")) {
        let mut file = dicom_object::from_reader(instance.part10.as_slice())?;
        let thickness = format!("{:.3}", sampling.thickness_mm);
        file.put(DataElement::new(tags::SLICE_THICKNESS, VR::DS, PrimitiveValue::from(thickness)));
        instance.part10.clear();
        file.write_all(&mut instance.part10)?;
    }
    Ok(Scanned { phantom, slices, truth, study })
}

/// One slice out of neighbours: the mean of their values, and the labels of what fills at least half of each voxel.
fn mean(thin: &[Slice]) -> Slice {
    let count = thin.len();
    let voxels = thin.first().map_or(0, |slice| slice.hu.len());
    let hu = (0..voxels).map(|i| {
        let sum: i32 = thin.iter().map(|slice| i32::from(slice.hu[i])).sum();
        (f64::from(sum) / count as f64).round() as i16
    });
    let bits = || Channel::ALL.into_iter().map(Channel::bit).chain([LUNG]);
    let labels = (0..voxels).map(|i| {
        let all = thin.iter().fold(0, |all, slice| all | slice.labels[i]);
        if all == 0 {
            return 0;
        }
        let half = |bit: &u16| 2 * thin.iter().filter(|slice| slice.labels[i] & bit != 0).count() >= count;
        bits().filter(|bit| all & bit != 0).filter(half).fold(0, |label, bit| label | bit)
    });
    Slice { hu: hu.collect(), labels: labels.collect(), ..Slice::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thickness_and_distance_are_read_and_made_of_the_same_thin_slices() {
        let thin = |text: &str| text.parse::<Sampling>().unwrap().thin();
        assert_eq!(thin("5"), (1.25, 4, 4));
        assert_eq!(thin("5/2.5"), (1.25, 4, 2));
        assert_eq!(thin("1"), (1.0, 1, 1));
        assert_eq!(thin("3/1"), (1.0, 3, 1));
        for text in ["1", "1.25", "2.5", "3", "5", "7", "8", "10", "5/2.5", "8/4", "10/7.5"] {
            let sampling: Sampling = text.parse().unwrap();
            let (thin_mm, per, step) = sampling.thin();
            assert!(thin_mm <= THIN_MM && (thin_mm * per as f32 - sampling.thickness_mm).abs() < 1e-4, "{text}");
            assert!((thin_mm * step as f32 - sampling.spacing_mm).abs() < 1e-4, "{text}");
        }
        for wrong in ["", "0", "-5", "5/8", "5/0", "12", "2.6", "5/2.5/1", "nan"] {
            assert!(wrong.parse::<Sampling>().is_err(), "{wrong}");
        }
        assert_eq!("5/2.5".parse::<Sampling>().unwrap().to_string(), "slices of 5 mm every 2.5 mm");
    }

    #[test]
    fn a_thick_slice_is_the_mean_of_its_thin_ones_and_what_fills_half_of_it() {
        let bit = Channel::Nodule.bit();
        let slice = |hu, label| Slice { hu: vec![hu, 7], labels: vec![label, 0], ..Slice::default() };
        let half = mean(&[slice(-800, bit), slice(0, bit), slice(-800, 0), slice(0, LUNG)]);
        assert_eq!((half.hu, half.labels), (vec![-400, 7], vec![bit, 0]));
        assert_eq!(mean(&[slice(3, bit | LUNG)]).labels, [bit | LUNG, 0]);
    }
}
