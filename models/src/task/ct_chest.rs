//! Chest CT: lungs, then pulmonary nodules.

use std::time::Instant;

use hal::LoadedModel;

use super::lungs::{self, Examined};
use super::{Control, Error, go_on, nodules};
use crate::findings::{Evaluated, Finding, Findings, Lung};
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
    let (examined, mut findings) = examine(volume, "nodules not evaluated: no lungs were found", control)?;
    if let Some(examined) = examined {
        let (found, timings) = nodules::find(volume, &examined, &package.manifest, model, control)?;
        findings.nodules = Evaluated::Done(found);
        findings.timings_ms.extend(timings);
    }
    Ok(findings)
}

/// Lungs only; nodules are `NotEvaluated(reason)`. For thick slices and for a device without a package.
///
/// # Errors
/// `Kind::Cancelled`.
pub fn without_network(volume: &Volume, reason: &str, control: &dyn Control) -> Result<Findings, Error> {
    Ok(examine(volume, reason, control)?.1)
}

/// The lungs whose masks can be searched, and findings that say `reason` about nodules. Lungs that are not wholly in
/// the volume are searched but not measured.
fn examine(volume: &Volume, reason: &str, control: &dyn Control) -> Result<(Option<Vec<Lung>>, Findings), Error> {
    go_on(control)?;
    control.progress("lungs", 0.0);
    let started = Instant::now();
    let (masks, lungs) = match lungs::examine(volume) {
        Ok(Examined { lungs, incomplete: None }) => (Some(lungs.clone()), Evaluated::Done(lungs)),
        Ok(Examined { lungs, incomplete: Some(why) }) => (Some(lungs), Evaluated::NotEvaluated(why.to_string())),
        Err(refusal) => (None, Evaluated::NotEvaluated(refusal.to_string())),
    };
    let timings_ms = vec![("lungs".to_owned(), started.elapsed().as_secs_f64() * 1000.0)];
    control.progress("lungs", 1.0);
    go_on(control)?;
    let nodules = Evaluated::NotEvaluated(reason.to_owned());
    Ok((masks, Findings { lungs, nodules, timings_ms, ..Findings::none("the package has no network for it") }))
}

/// Why this package cannot evaluate nodules on this volume; `None` when it can. A caller that gets a reason need not
/// load the network.
pub fn nodules_refused(volume: &Volume, manifest: &Manifest) -> Option<String> {
    let spacing = volume.geometry.spacing_mm[2];
    let Some(limits) = manifest.intended_use.findings.get(&Finding::Nodule) else {
        return Some("nodules not evaluated: the package does not claim them".into());
    };
    let needed = limits.max_slice_spacing_mm.unwrap_or(f64::INFINITY);
    // Positions are stored as decimal text: 2.5 mm may read 2.5000001.
    (spacing > needed + 1e-3)
        .then(|| format!("nodules not evaluated: slice spacing {spacing:.1} mm, package needs <= {needed:.1} mm"))
}

#[cfg(test)]
mod tests;
