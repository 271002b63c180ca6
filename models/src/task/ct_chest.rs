//! Chest CT: lungs, one pass of the network, then each of the nine findings on the original grid.

mod bronchiectasis;
mod coronary;
mod emphysema;
mod gates;
mod lobes;
mod lungs;
mod lymph_nodes;
pub(super) mod network;
pub(super) mod plan;
mod pleura;
mod pneumonia;
pub(super) mod regions;
mod ribs;

use std::time::Instant;

use hal::LoadedModel;

use self::gates::Series;
use self::network::Answer;
use self::plan::{Channel, Plan};
use super::lungs::{self as segmentation, Examined};
use super::{Control, Error, go_on, nodules};
use crate::acquisition::Acquisition;
use crate::findings::{Evaluated, Finding, Findings, Lung};
use crate::manifest::Manifest;
use crate::package::Package;
use crate::volume::Volume;

/// Runs the whole task. Each finding is evaluated, or says why it is not, on its own; lungs and lobes need no network.
///
/// # Errors
/// `Kind::Cancelled`, `Kind::BadModel`, `Kind::BadOutput`, `Kind::Accelerator`; never for what the images show: that
/// is a verdict inside [`Findings`].
pub fn run(
    volume: &Volume,
    acquisition: &Acquisition,
    package: &Package,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Findings, Error> {
    by_plan(volume, acquisition, &Plan::of(&package.manifest)?, model, control)
}

/// Lungs and lobes only, where the package can look for none of the findings; each says why.
///
/// # Errors
/// `Kind::Cancelled`; `Kind::BadModel` for a package of another task.
pub fn without_network(
    volume: &Volume,
    acquisition: &Acquisition,
    manifest: &Manifest,
    control: &dyn Control,
) -> Result<Findings, Error> {
    let plan = Plan::of(manifest)?;
    let (examined, mut findings) = examine(volume, control)?;
    refuse(&mut findings, &plan, &Series::new(volume, acquisition), examined.as_ref());
    findings.lobes = lobes_of(volume, &findings.lungs);
    Ok(findings)
}

/// Can the package look for anything in this series? A caller that gets a no need not load the network.
pub fn network_needed(volume: &Volume, acquisition: &Acquisition, manifest: &Manifest) -> bool {
    let looks = |plan: Plan| {
        Finding::ALL.iter().any(|f| gates::refusal(&plan, *f, &Series::new(volume, acquisition)).is_none())
    };
    Plan::of(manifest).is_ok_and(looks)
}

fn by_plan(
    volume: &Volume,
    acquisition: &Acquisition,
    plan: &Plan,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Findings, Error> {
    let (examined, mut findings) = examine(volume, control)?;
    let mut series = Series::new(volume, acquisition);
    series.noise_hu = examined.as_ref().and_then(|e| emphysema::noise(volume, &e.airway));
    let wanted = refuse(&mut findings, plan, &series, examined.as_ref());
    let Some(examined) = examined.filter(|_| !wanted.is_empty()) else {
        findings.lobes = lobes_of(volume, &findings.lungs);
        return Ok(findings);
    };
    network::check_names(model)?;
    let mut clock = Instant::now();
    let mut lap = |stage: &str, findings: &mut Findings| {
        findings.timings_ms.push((stage.to_owned(), clock.elapsed().as_secs_f64() * 1000.0));
        clock = Instant::now();
        control.progress(stage, 1.0);
    };
    let prepared = network::prepare(volume, &examined.lungs, plan);
    go_on(control)?;
    lap("resample", &mut findings);
    let answer = network::infer(prepared, plan, model, control)?;
    lap("inference", &mut findings);
    measure(volume, acquisition, &answer, examined, &wanted, &mut findings);
    go_on(control)?;
    lap("postprocess", &mut findings);
    Ok(findings)
}

/// From the answer to the findings that are wanted. Air and opacities first: they decide what is lung.
fn measure(
    volume: &Volume,
    acquisition: &Acquisition,
    answer: &Answer,
    examined: Examined,
    wanted: &[Finding],
    findings: &mut Findings,
) {
    let want = |finding: Finding| wanted.contains(&finding);
    let sides = |channel: Channel, finding: Finding| {
        if want(finding) { pleura::by_side(volume, answer, channel, &examined.lungs) } else { Vec::new() }
    };
    let air = sides(Channel::Pneumothorax, Finding::Pneumothorax);
    let fluid = sides(Channel::PleuralEffusion, Finding::PleuralEffusion);
    let opacities = want(Finding::Pneumonia).then(|| pneumonia::opacities(volume, answer));
    let tissue: Vec<_> = opacities
        .iter()
        .flat_map(|o| o.consolidation.iter().chain(&o.ground_glass))
        .map(|r| (regions::side(volume, &examined.lungs, r), r))
        .collect();
    let beside: Vec<_> = air.iter().map(|(_, r)| r).collect();
    let lungs = lungs::corrected(volume, examined.lungs, &tissue, &beside);
    drop(tissue);
    if matches!(findings.lungs, Evaluated::Done(_)) {
        findings.lungs = Evaluated::Done(lungs.clone());
    }
    findings.lobes = lobes_of(volume, &findings.lungs);
    let lobes = match &findings.lobes {
        Evaluated::Done(lobes) => lobes.as_slice(),
        Evaluated::NotEvaluated(_) => &[],
    };
    if let Some(opacities) = opacities {
        findings.pneumonia = Evaluated::Done(pneumonia::measure(volume, opacities, &lungs, lobes));
    }
    for finding in wanted {
        match finding {
            Finding::Nodule => {
                findings.nodules = Evaluated::Done(nodules::collect(volume, &lungs, lobes, answer));
            }
            Finding::RibFracture => {
                findings.rib_fractures = Evaluated::Done(ribs::fractures(volume, answer, &lungs));
            }
            Finding::Emphysema => {
                let measured = emphysema::measure(volume, answer, &lungs, &examined.airway);
                findings.emphysema = Evaluated::Done(measured);
            }
            Finding::Bronchiectasis => {
                let found = bronchiectasis::find(volume, answer, &lungs, lobes);
                findings.bronchiectasis = Evaluated::Done(found);
            }
            Finding::CoronaryCalcification => {
                let noise = emphysema::noise(volume, &examined.airway);
                findings.coronary_calcium = Evaluated::Done(coronary::find(volume, answer, acquisition, noise));
            }
            Finding::LymphNode => {
                findings.lymph_nodes = Evaluated::Done(lymph_nodes::find(volume, answer));
            }
            Finding::Pneumonia | Finding::PleuralEffusion | Finding::Pneumothorax => {}
        }
    }
    if want(Finding::Pneumothorax) {
        findings.pneumothoraces = Evaluated::Done(pleura::pneumothoraces(air, &lungs, &fluid));
    }
    if want(Finding::PleuralEffusion) {
        findings.pleural_effusions = Evaluated::Done(pleura::effusions(fluid));
    }
}

/// The lungs whose masks can be searched. Lungs that are not wholly in the volume are searched but not measured.
fn examine(volume: &Volume, control: &dyn Control) -> Result<(Option<Examined>, Findings), Error> {
    go_on(control)?;
    control.progress("lungs", 0.0);
    let started = Instant::now();
    let examined = segmentation::examine(volume);
    let mut findings = Findings::none("no lungs were found");
    findings.lungs = match &examined {
        Ok(Examined { lungs, incomplete: None, .. }) => Evaluated::Done(lungs.clone()),
        Ok(Examined { incomplete: Some(why), .. }) | Err(why) => Evaluated::NotEvaluated(why.to_string()),
    };
    findings.timings_ms.push(("lungs".to_owned(), started.elapsed().as_secs_f64() * 1000.0));
    control.progress("lungs", 1.0);
    go_on(control)?;
    Ok((examined.ok(), findings))
}

/// Writes the gates' sentences into the findings; returns those that may be looked for.
fn refuse(findings: &mut Findings, plan: &Plan, series: &Series, examined: Option<&Examined>) -> Vec<Finding> {
    let mut wanted = Vec::new();
    for finding in Finding::ALL {
        match gates::refusal(plan, finding, series) {
            Some(sentence) => findings.refuse(finding, sentence),
            // `findings` says already that there are no lungs.
            None if examined.is_some() => wanted.push(finding),
            None => {}
        }
    }
    wanted
}

fn lobes_of(volume: &Volume, lungs: &Evaluated<Vec<Lung>>) -> Evaluated<Vec<crate::findings::Lobe>> {
    match lungs {
        Evaluated::Done(lungs) => Evaluated::Done(lobes::divide(volume, lungs)),
        Evaluated::NotEvaluated(why) => Evaluated::NotEvaluated(why.replacen("lungs", "lobes", 1)),
    }
}

#[cfg(test)]
mod measured;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
