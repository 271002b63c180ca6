//! Chest CT: lungs, one pass of the network, then each finding on the original grid, if it lies in its place (`places`).
//! `list` names the findings.

mod bronchiectasis;
mod coronary;
mod effusion;
mod emphysema;
mod gates;
mod least;
mod list;
mod lobes;
mod looks;
mod lungs;
mod lymph_nodes;
mod masks;
pub(super) mod network;
pub(super) mod plan;
mod pleura;
mod pneumonia;
pub mod places;
mod pneumothorax;
pub(super) mod regions;
mod ribs;
mod seen;
mod spread;

use std::time::Instant;

use hal::LoadedModel;

pub use self::bronchiectasis::Bronchiectasis;
pub use self::coronary::{CalciumScore, CoronaryCalcium};
pub use self::effusion::PleuralEffusion;
pub use self::emphysema::{EMPHYSEMA_PERCENT, Emphysema};
pub use self::gates::sharp;
use self::gates::{Noise, Series};
pub use self::least::{LeastSize, SizeUnit};
pub use self::list::{Channel, ChestFinding, ChestFindings, Figure, PartlySeen};
pub(crate) use self::lymph_nodes::ENLARGED_MM;
pub use self::lymph_nodes::LymphNode;
pub(super) use self::masks::Masks;
pub use self::masks::Placed;
use self::network::Answer;
use self::places::Places;
use self::plan::Plan;
pub(crate) use self::pneumonia::extents;
pub use self::pneumonia::{Extent, Pneumonia};
pub use self::pneumothorax::Pneumothorax;
pub use self::ribs::RibFracture;
use self::seen::Seen;
use super::lungs::{self as segmentation, Examined};
pub use super::nodules::{Form, Nodule, NoduleType};
use super::{Control, Error, go_on};
use crate::acquisition::Acquisition;
use crate::findings::{Evaluated, Lobe, Lung, Region, Side};
use crate::manifest::Manifest;
use crate::package::Package;
use crate::reason::{NotEvaluated, Reason, Topic};
use crate::steps::Steps;
use crate::volume::Volume;

/// Runs the whole task; `steps` do the work before the network. Each finding is evaluated, or says why it is not, on its own; lungs and lobes need no network.
///
/// # Errors
/// `TaskFault::Cancelled`, `TaskFault::BadModel`, `TaskFault::BadOutput`, `TaskFault::Accelerator`; never for what the images show: that
/// is a verdict inside [`ChestFindings`].
pub fn run(
    volume: &Volume,
    acquisition: &Acquisition,
    package: &Package,
    (model, steps): (&mut dyn LoadedModel, &dyn Steps),
    control: &dyn Control,
) -> Result<ChestFindings, Error> {
    let findings = by_plan(volume, acquisition, &Plan::of(&package.manifest)?, (model, steps), control)?;
    Ok(ChestFindings { acquisition: acquisition.clone(), ..findings })
}

/// Lungs and lobes only, where the package can look for none of the findings; each says why.
///
/// # Errors
/// `TaskFault::Cancelled`; `TaskFault::BadModel` for a package of another task.
pub fn without_network(
    volume: &Volume,
    acquisition: &Acquisition,
    manifest: &Manifest,
    control: &dyn Control,
) -> Result<ChestFindings, Error> {
    let plan = Plan::of(manifest)?;
    let (examined, mut findings) = examine(volume, control)?;
    refuse(&mut findings, &plan, &Series::new(volume, acquisition, &plan), examined.as_ref());
    findings.lobes = lobes_of(volume, &findings.lungs);
    findings.withhold_laa950();
    findings.acquisition = acquisition.clone();
    Ok(findings)
}

/// Can the package look for anything in this series? When it is false, the caller need not load the network.
pub fn network_needed(volume: &Volume, acquisition: &Acquisition, manifest: &Manifest) -> bool {
    let looks = |plan: Plan| {
        let series = Series::new(volume, acquisition, &plan);
        ChestFinding::ALL.iter().any(|f| gates::refusal(&plan, *f, &series).is_none())
    };
    Plan::of(manifest).is_ok_and(looks)
}

fn by_plan(
    volume: &Volume,
    acquisition: &Acquisition,
    plan: &Plan,
    (model, steps): (&mut dyn LoadedModel, &dyn Steps),
    control: &dyn Control,
) -> Result<ChestFindings, Error> {
    let (examined, mut findings) = examine(volume, control)?;
    let mut series = Series::new(volume, acquisition, plan);
    if let Some(examined) = &examined {
        series.noise = emphysema::noise(volume, &examined.airway).map_or(Noise::Unknown, Noise::Measured);
    }
    let wanted = refuse(&mut findings, plan, &series, examined.as_ref());
    let Some(examined) = examined.filter(|_| !wanted.is_empty()) else {
        findings.lobes = lobes_of(volume, &findings.lungs);
        findings.withhold_laa950();
        return Ok(findings);
    };
    network::check_names(model)?;
    let (plan, least_sizes) = least::in_slices(plan, series.slice_mm());
    let plan = &plan;
    findings.least_sizes = least_sizes;
    findings.least_sizes.retain(|least| wanted.contains(&least.finding));
    let mut clock = Instant::now();
    let mut lap = |stage: &str, findings: &mut ChestFindings| {
        findings.timings_ms.push((stage.to_owned(), clock.elapsed().as_secs_f64() * 1000.0));
        clock = Instant::now();
        control.progress(stage, 1.0);
    };
    let prepared = network::prepare(volume, &examined.looked_at(), plan, steps);
    go_on(control)?;
    lap("resample", &mut findings);
    let mut answer = network::infer(prepared, plan, model, control)?;
    network::look_again(&mut answer, plan, model, control)?;
    lap("inference", &mut findings);
    measure(volume, acquisition, &answer, examined, &wanted, &mut findings);
    findings.withhold_laa950();
    go_on(control)?;
    lap("postprocess", &mut findings);
    Ok(findings)
}

/// What the findings are measured in.
pub(super) struct Scan<'a> {
    pub volume: &'a Volume,
    pub acquisition: &'a Acquisition,
    pub answer: &'a Answer,
    /// Where findings may lie.
    pub places: &'a Places,
    /// With consolidated tissue, without the air of a pneumothorax.
    pub lungs: &'a [Lung],
    /// The scan begins above the lungs.
    pub apices_seen: bool,
    /// Empty when they are not known.
    pub lobes: &'a [Lobe],
    /// Voxels well inside trachea and main bronchi.
    pub airway: &'a [[usize; 3]],
    /// Found before the lungs were known for good, as they decide what is lung. The finding they belong to takes them.
    pub opacities: pneumonia::Opacities,
    pub air: Vec<(Side, Region)>,
    pub fluid: Vec<(Side, Region)>,
    pub fluid_ml: Vec<(Side, f64)>,
    /// Air that takes the place of a lung, which is not among the lungs.
    pub space_ml: Vec<(Side, f64)>,
}

/// From the answer to the findings that are wanted. Air and opacities first: they decide what is lung.
fn measure(
    volume: &Volume,
    acquisition: &Acquisition,
    answer: &Answer,
    examined: Examined,
    wanted: &[ChestFinding],
    findings: &mut ChestFindings,
) {
    let seen = Seen::of(&examined);
    let halves = examined.looked_at();
    // A gated scan is planned on the heart. Where it begins within the lungs, their height is not known, and the heart goes on to its top.
    let planned = examined.cuts.above && acquisition.cardiac_gated == Some(true);
    let places = Places::of(examined.ground, planned);
    let want = |finding: ChestFinding| wanted.contains(&finding);
    let sides = |channel: Channel, finding: ChestFinding, rule: places::Rule| {
        let look = || pleura::by_side(volume, answer, channel, &halves, &|mask| places.holds(rule, mask));
        if want(finding) { look() } else { Vec::new() }
    };
    let air = sides(Channel::Pneumothorax, ChestFinding::Pneumothorax, places::PNEUMOTHORAX);
    let fluid = sides(Channel::PleuralEffusion, ChestFinding::PleuralEffusion, places::EFFUSION);
    let opacities =
        if want(ChestFinding::Pneumonia) { pneumonia::opacities(volume, answer, &places) } else { Default::default() };
    let tissue = opacities.consolidation.iter().chain(&opacities.ground_glass);
    let tissue: Vec<_> = tissue.map(|r| (regions::side(volume, &examined.lungs, r), r)).collect();
    let beside: Vec<_> = air.iter().map(|(_, r)| r).collect();
    let space_ml = examined.space.iter().map(|space| (space.side, space.volume_ml)).collect();
    let lungs = lungs::corrected(volume, examined.lungs, &tissue, &beside);
    if matches!(findings.lungs, Evaluated::Done(_)) {
        findings.lungs = Evaluated::Done(lungs.clone());
    }
    findings.lobes = lobes_of(volume, &findings.lungs);
    let lobes = match &findings.lobes {
        Evaluated::Done(lobes) => lobes.clone(),
        Evaluated::NotEvaluated(_) => Vec::new(),
    };
    let mut scan = Scan {
        volume,
        acquisition,
        answer,
        places: &places,
        lungs: &lungs,
        lobes: &lobes,
        airway: &examined.airway,
        space_ml,
        apices_seen: !examined.cuts.head,
        fluid_ml: fluid.iter().map(|(side, region)| (*side, region.volume_ml)).collect(),
        opacities,
        air,
        fluid,
    };
    for finding in wanted {
        if let Some(reason) = places.missing(*finding) {
            findings.refuse(*finding, reason);
            continue;
        }
        if *finding == ChestFinding::CoronaryCalcification
            && let Some(reason) = coronary::closed(&scan)
        {
            findings.refuse(*finding, reason);
            continue;
        }
        findings.evaluate(*finding, &mut scan);
        if matches!(&findings.emphysema, Evaluated::Done(emphysema) if emphysema.smoothed) {
            findings.withhold_raw_laa950();
        }
        if let Some(reason) = finding.unseen(&seen, acquisition) {
            findings.seen_in_part(*finding, reason);
        }
        if *finding == ChestFinding::CoronaryCalcification
            && let Evaluated::Done(calcium) = &findings.coronary_calcium
            && let Some(reason) = coronary::cannot_be_absent(calcium)
        {
            findings.refuse(*finding, reason);
        }
    }
}

/// The lungs whose masks can be searched. Lungs that are not wholly in the volume are searched but not measured.
fn examine(volume: &Volume, control: &dyn Control) -> Result<(Option<Examined>, ChestFindings), Error> {
    go_on(control)?;
    control.progress("lungs", 0.0);
    let started = Instant::now();
    let examined = segmentation::examine(volume);
    let mut findings = ChestFindings::none(&Reason::NoLungs);
    findings.lungs = match &examined {
        Ok(Examined { lungs, incomplete: None, .. }) => Evaluated::Done(lungs.clone()),
        Ok(Examined { incomplete: Some(why), .. }) | Err(why) => Evaluated::NotEvaluated(why.clone()),
    };
    findings.timings_ms.push(("lungs".to_owned(), started.elapsed().as_secs_f64() * 1000.0));
    control.progress("lungs", 1.0);
    go_on(control)?;
    Ok((examined.ok(), findings))
}

/// Writes the gates' reasons into the findings; returns those that may be looked for.
fn refuse(
    findings: &mut ChestFindings,
    plan: &Plan,
    series: &Series,
    examined: Option<&Examined>,
) -> Vec<ChestFinding> {
    let mut wanted = Vec::new();
    for finding in ChestFinding::ALL {
        match gates::refusal(plan, finding, series) {
            Some(reason) => findings.refuse(finding, reason),
            // `findings` says already that there are no lungs.
            None if examined.is_some() => wanted.push(finding),
            None => {}
        }
    }
    wanted
}

fn lobes_of(volume: &Volume, lungs: &Evaluated<Vec<Lung>>) -> Evaluated<Vec<Lobe>> {
    match lungs {
        Evaluated::Done(lungs) => Evaluated::Done(lobes::divide(volume, lungs)),
        Evaluated::NotEvaluated(why) => Evaluated::NotEvaluated(NotEvaluated { topic: Topic::Lobes, ..why.clone() }),
    }
}

#[cfg(test)]
mod measured;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
