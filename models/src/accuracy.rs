//! The accuracy set: more inputs than the golden one, with what the maker's network answers. A network of lower precision has to outline
//! the same on this device: the golden tolerance bounds each value of one input, this bounds what is found.

use hal::LoadedModel;

use crate::golden::Error;
use crate::manifest::{Accuracy, Manifest};
use crate::npy;
use crate::package::Package;

/// Runs every case and compares what lies above each channel's threshold, over all cases together. Nothing to do for a package without
/// such a set.
///
/// # Errors
/// [`Error::Overlap`] when less agrees than the package asks for; `Run`, `Shape`, `File`, `Package` as of a golden run.
pub fn run(package: &Package, model: &mut dyn LoadedModel) -> Result<(), Error> {
    let Some(accuracy) = &package.manifest.accuracy else { return Ok(()) };
    let mut sums = Vec::new();
    for case in &accuracy.cases {
        let read = |name: &str| {
            npy::read(&package.read(name)?).map_err(|reason| Error::File { name: name.to_owned(), reason })
        };
        let (input, expected) = (read(&case.input)?, read(&case.expected)?);
        let answer = model.run(&[input])?;
        let [answer] = answer.as_slice() else { return Err(Error::Shape { found: vec![], expected: expected.shape }) };
        if answer.shape != expected.shape {
            return Err(Error::Shape { found: answer.shape.clone(), expected: expected.shape });
        }
        count(&mut sums, &package.manifest, &expected.shape, &answer.data, &expected.data);
    }
    judge(&package.manifest, accuracy, &sums)
}

/// Of one channel: values above its threshold here, in what was expected, in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    here: u64,
    expected: u64,
    both: u64,
}

/// `shape` is `[N, channels, ...]`.
fn count(sums: &mut Vec<Sum>, manifest: &Manifest, shape: &[usize], here: &[f32], expected: &[f32]) {
    let (channels, plane) = (shape.get(1).copied().unwrap_or(1), shape.iter().skip(2).product::<usize>());
    sums.resize(sums.len().max(channels), Sum::default());
    for (index, (a, e)) in here.iter().zip(expected).enumerate() {
        let channel = index / plane.max(1) % channels.max(1);
        let Some(mask) = manifest.mask_of(channel) else { continue };
        // A NaN is above nothing.
        let (a, e) = (*a >= mask, *e >= mask);
        let sum = &mut sums[channel];
        sum.here += u64::from(a);
        sum.expected += u64::from(e);
        sum.both += u64::from(a && e);
    }
}

fn judge(manifest: &Manifest, accuracy: &Accuracy, sums: &[Sum]) -> Result<(), Error> {
    for (channel, sum) in sums.iter().enumerate() {
        if manifest.mask_of(channel).is_none() || sum.here + sum.expected == 0 {
            continue;
        }
        // Dice, Ecology 26 (1945) 297.
        let overlap = 2.0 * sum.both as f32 / (sum.here + sum.expected) as f32;
        if overlap < accuracy.least_overlap {
            return Err(Error::Overlap { channel, overlap, least: accuracy.least_overlap });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hal::Accelerator;
    use hal::accel::scripted::Scripted;

    use super::*;
    use crate::specimen::Specimen;

    fn ran(moved: f32, script: &Scripted) -> Result<(), Error> {
        let directory = tempfile::tempdir().unwrap();
        Specimen { accuracy: Some(moved), ..Specimen::default() }.write(directory.path()).unwrap();
        let package = Package::open(directory.path()).unwrap();
        run(&package, script.load(b"x").unwrap().as_mut())
    }

    fn sigmoid() -> Scripted {
        Scripted::each_voxel(|v| 1.0 / (1.0 + (-v).exp()))
    }

    #[test]
    fn what_outlines_the_same_passes_and_what_outlines_otherwise_is_refused_with_the_share() {
        assert!(ran(0.0, &sigmoid()).is_ok());
        // Values a little off, on the same side of the threshold.
        assert!(ran(0.0, &Scripted::each_voxel(|v| 1.0 / (1.0 + (-v * 0.8).exp()))).is_ok());
        let error = ran(0.5, &sigmoid()).unwrap_err().to_string();
        assert!(error.contains("accuracy set") && error.contains("0.98"), "{error}");
        // A network that answers no number outlines nothing.
        assert!(matches!(ran(0.0, &Scripted::each_voxel(|_| f32::NAN)), Err(Error::Overlap { .. })));
        // Nor may it outline what is not due.
        assert!(ran(-9.0, &Scripted::each_voxel(|_| 1.0)).is_err());
    }

    #[test]
    fn a_package_without_such_a_set_is_not_asked_for_one() {
        let directory = tempfile::tempdir().unwrap();
        Specimen::default().write(directory.path()).unwrap();
        let package = Package::open(directory.path()).unwrap();
        assert!(run(&package, Scripted::zeros().load(b"x").unwrap().as_mut()).is_ok());
    }
}
