//! The golden run: a network is used only where its output for a known input equals the output its maker recorded.

use hal::{LoadedModel, Tensor};

use crate::manifest::{Manifest, Reads, Variant};
use crate::npy;
use crate::package::{self, Package};

/// What a golden run showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passed {
    /// Largest absolute difference from the expected answer.
    pub difference: f32,
    pub tolerance: f32,
}

/// Why a package did not pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the package has no golden files: nothing shows that it works on this machine")]
    Missing,
    #[error("{0}")]
    Package(#[from] package::Error),
    #[error("{name}: {reason}")]
    File { name: String, reason: String },
    /// The accelerator could not run it.
    #[error("golden run: {0}")]
    Run(#[from] hal::accel::Error),
    #[error("golden run: the network answered shape {found:?}, {expected:?} is expected")]
    Shape { found: Vec<usize>, expected: Vec<usize> },
    /// Found by [`crate::accuracy::run`].
    #[error("accuracy set: of channel {channel} only {overlap:.3} is outlined as it should be (Dice), {least} is due")]
    Overlap { channel: usize, overlap: f32, least: f32 },
    #[error("golden run: the answer differs by {difference}, {tolerance} is allowed")]
    Differs { difference: f32, tolerance: f32 },
}

/// Runs the golden input once through the network of `variant`.
///
/// # Errors
/// See [`Error`].
pub fn run(package: &Package, variant: &Variant, model: &mut dyn LoadedModel) -> Result<Passed, Error> {
    let golden = package.manifest.golden.as_ref().ok_or(Error::Missing)?;
    let answer = package.manifest.expected(variant).ok_or(Error::Missing)?;
    let (input, expected) = (input(package)?, read(package, answer)?);
    let due = Due::of(&package.manifest);
    for (name, tensor, due) in [(golden.input.as_str(), &input, &due.input), (answer, &expected, &due.answer)] {
        let fits = |(n, due): (&usize, &Option<usize>)| due.is_none_or(|due| *n == due);
        if tensor.shape.len() != due.len() || !tensor.shape.iter().zip(due).all(fits) {
            let words: Vec<_> = due.iter().map(|n| n.map_or_else(|| "any".into(), |n| n.to_string())).collect();
            let reason = format!("its shape is {:?}; [{}] is due", tensor.shape, words.join(", "));
            return Err(Error::File { name: name.to_owned(), reason });
        }
    }
    let answer = model.run(&[input])?;
    let [answer] = answer.as_slice() else {
        return Err(Error::Shape { found: vec![], expected: expected.shape });
    };
    if answer.shape != expected.shape {
        return Err(Error::Shape { found: answer.shape.clone(), expected: expected.shape });
    }
    // A NaN must not count as equal: f32::max would drop it.
    let difference = answer.data.iter().zip(&expected.data).fold(0.0_f32, |most, (a, b)| {
        let difference = (a - b).abs();
        if difference > most || difference.is_nan() { difference } else { most }
    });
    let tolerance = golden.tolerance;
    if difference <= tolerance {
        Ok(Passed { difference, tolerance })
    } else {
        Err(Error::Differs { difference, tolerance })
    }
}

/// The shapes that golden files must have; `None` is any extent.
struct Due {
    input: Vec<Option<usize>>,
    answer: Vec<Option<usize>>,
}

impl Due {
    fn of(manifest: &Manifest) -> Self {
        match &manifest.reads {
            Reads::Volume(volume) => {
                let patch = |channels| vec![None, Some(channels), None, None, None];
                Self { input: patch(volume.input.windows_hu.len()), answer: patch(volume.outputs.channels.len()) }
            }
            Reads::Picture(picture) => {
                let ([width, height], [rows, columns]) = (picture.input.size, picture.map());
                let plane = |n, h, w| [1, n, h, w].map(Some).to_vec();
                Self { input: plane(1, height, width), answer: plane(picture.outputs.channels.len(), rows, columns) }
            }
            Reads::Mammogram(mammogram) => {
                let plane = |n| vec![Some(1), Some(n), None, None];
                Self { input: plane(2), answer: plane(mammogram.outputs.channels.len()) }
            }
        }
    }
}

/// The largest picture that a mammogram can have, each way, mm.
const LARGEST_DETECTOR_MM: f64 = 450.0;

/// Values of the largest input that a task gives to the network of this package.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand pixels each way
pub fn largest_input(manifest: &Manifest) -> usize {
    match &manifest.reads {
        Reads::Volume(volume) => volume.input.windows_hu.len() * volume.input.patch.iter().product::<usize>(),
        Reads::Picture(picture) => picture.input.size.iter().product(),
        Reads::Mammogram(mammogram) => {
            let side = (LARGEST_DETECTOR_MM / mammogram.input.pixel_mm).ceil().max(0.0) as usize;
            2 * side.next_multiple_of(mammogram.input.multiple.max(1)).pow(2)
        }
    }
}

/// The golden input and the expected answer of `variant`.
///
/// # Errors
/// As [`run`].
pub fn pair(package: &Package, variant: &Variant) -> Result<(Tensor, Tensor), Error> {
    let answer = package.manifest.expected(variant).ok_or(Error::Missing)?;
    Ok((input(package)?, read(package, answer)?))
}

/// The golden input.
///
/// # Errors
/// As [`run`].
pub fn input(package: &Package) -> Result<Tensor, Error> {
    read(package, &package.manifest.golden.as_ref().ok_or(Error::Missing)?.input)
}

fn read(package: &Package, name: &str) -> Result<Tensor, Error> {
    npy::read(&package.read(name)?).map_err(|reason| Error::File { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use hal::Accelerator;
    use hal::accel::scripted::Scripted;

    use super::*;
    use crate::specimen::Specimen;

    fn sigmoid(value: f32) -> f32 {
        1.0 / (1.0 + (-value).exp())
    }

    fn ran(script: &Scripted) -> Result<Passed, Error> {
        let directory = tempfile::tempdir().unwrap();
        Specimen::default().write(directory.path()).unwrap();
        let package = Package::open(directory.path()).unwrap();
        run(&package, &package.manifest.variants[0], script.load(b"x").unwrap().as_mut())
    }

    #[test]
    fn an_answer_within_tolerance_passes_and_says_how_far_it_was() {
        let passed = ran(&Scripted::each_voxel(|v| sigmoid(v) + 0.005)).unwrap();
        assert!((passed.difference - 0.005).abs() < 1e-6, "{passed:?}");
    }

    #[test]
    fn another_answer_shape_or_a_nan_is_refused_with_the_number() {
        let said = |script: Scripted| ran(&script).unwrap_err().to_string();
        assert!(said(Scripted::each_voxel(|v| sigmoid(v) + 0.5)).contains("differs by 0.5"));
        assert!(said(Scripted::each_voxel(|v| if v > 0.0 { f32::NAN } else { sigmoid(v) })).contains("differs by NaN"));
        let narrow = |_: &[Tensor]| Ok(vec![Tensor { shape: vec![1], data: vec![0.0] }]);
        assert!(said(Scripted::new(narrow)).contains("shape [1]"));
        assert!(said(Scripted::new(|_| Ok(Vec::new()))).contains("shape []"));
        assert!(
            said(Scripted::zeros().failing_after(0, hal::accel::AccelFault::Device))
                .contains("asked for by the script")
        );
    }

    #[test]
    fn without_golden_files_nothing_is_believed() {
        let directory = crate::package::tests::good();
        let package = Package::open(directory.path()).unwrap();
        let outcome = run(&package, &package.manifest.variants[0], Scripted::zeros().load(b"x").unwrap().as_mut());
        assert!(matches!(outcome, Err(Error::Missing)));
    }
}
