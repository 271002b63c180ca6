//! Chest CT: lungs, then pulmonary nodules.

use std::time::Instant;

use hal::LoadedModel;

use super::{Control, Error, go_on, lungs, nodules};
use crate::findings::{Evaluated, Findings};
use crate::manifest::Manifest;
use crate::package::Package;
use crate::volume::Volume;

/// Runs the whole task. Lungs are reported even when nodules cannot be evaluated.
///
/// # Errors
/// `Kind::Cancelled`, `Kind::BadModel`, `Kind::BadOutput`, `Kind::Accelerator`; never for what the images show: that
/// is a verdict inside [`Findings`].
pub fn run(
    volume: &Volume,
    package: &Package,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Findings, Error> {
    if let Some(reason) = nodules_refused(volume, &package.manifest) {
        return without_network(volume, &reason, control);
    }
    let mut findings = without_network(volume, "nodules not evaluated: no lungs were found", control)?;
    if let Evaluated::Done(found) = &findings.lungs {
        let (nodules, timings) = nodules::find(volume, found, &package.manifest, model, control)?;
        findings.nodules = Evaluated::Done(nodules);
        findings.timings_ms.extend(timings);
    }
    Ok(findings)
}

/// Lungs only; nodules are `NotEvaluated(reason)`. For thick slices and for a device without a package.
///
/// # Errors
/// `Kind::Cancelled`.
pub fn without_network(volume: &Volume, reason: &str, control: &dyn Control) -> Result<Findings, Error> {
    go_on(control)?;
    control.progress("lungs", 0.0);
    let started = Instant::now();
    let lungs = match lungs::segment(volume) {
        Ok(lungs) => Evaluated::Done(lungs),
        Err(refusal) => Evaluated::NotEvaluated(refusal.to_string()),
    };
    let timings_ms = vec![("lungs".to_owned(), started.elapsed().as_secs_f64() * 1000.0)];
    control.progress("lungs", 1.0);
    go_on(control)?;
    Ok(Findings { lungs, nodules: Evaluated::NotEvaluated(reason.to_owned()), timings_ms })
}

/// Why this package cannot evaluate nodules on this volume; `None` when it can. A caller that gets a reason need not
/// load the network.
pub fn nodules_refused(volume: &Volume, manifest: &Manifest) -> Option<String> {
    let spacing = volume.geometry.spacing_mm[2];
    let needed = manifest.intended_use.max_slice_spacing_mm;
    // Positions are stored as decimal text: 2.5 mm may read 2.5000001.
    (spacing > needed + 1e-3)
        .then(|| format!("nodules not evaluated: slice spacing {spacing:.1} mm, package needs <= {needed:.1} mm"))
}

#[cfg(test)]
mod tests;
