//! What an edit makes of the findings: the values of the person take the place of the machine's, what follows from them is found again by
//! the same rules, and what can be measured only in an outline that does not hold any more is withheld. Pure.

use super::Listed;
use super::apply::{keep, refuse_if_unseen};
use super::edit::{self, Field, Values, millimetres};
use crate::findings::{
    Bronchiectasis, ChestFinding, ChestFindings, Evaluated, LobeName, LymphNode, Mask, Nodule, PleuralEffusion, Region,
    RibFracture, Side,
};
use crate::task::ct_chest::ENLARGED_MM;

/// Puts the edited values into one finding.
pub(super) fn change(findings: &mut ChestFindings, listed: &Listed, values: &Values) {
    let Some(number) = listed.number else { return };
    let is = |region: &Region| region.number == number;
    match listed.finding {
        ChestFinding::Nodule => with(&mut findings.nodules, |one| one.number == number, |one| nodule(one, values)),
        ChestFinding::RibFracture => {
            with(
                &mut findings.rib_fractures,
                |one| is(&one.region),
                |one| {
                    one.side = edit::side(values).unwrap_or(one.side);
                    one.rib = edit::whole(values, Field::Rib).or(one.rib);
                },
            );
        }
        ChestFinding::Bronchiectasis => {
            with(
                &mut findings.bronchiectasis,
                |one| is(&one.region),
                |one| place(&mut one.side, &mut one.lobe, values),
            );
        }
        ChestFinding::PleuralEffusion => {
            with(
                &mut findings.pleural_effusions,
                |one| is(&one.region),
                |one| {
                    one.side = edit::side(values).unwrap_or(one.side);
                },
            );
        }
        ChestFinding::LymphNode => {
            with(&mut findings.lymph_nodes, |one| is(&one.region), |one| node(one, values));
            // The finding is an enlarged node.
            keep(&mut findings.lymph_nodes, is_enlarged);
            refuse_if_unseen(findings, ChestFinding::LymphNode);
        }
        // Shares, scores and kinds of opacities: accepted or rejected.
        ChestFinding::Pneumonia
        | ChestFinding::Emphysema
        | ChestFinding::Pneumothorax
        | ChestFinding::CoronaryCalcification => {}
    }
}

fn with<T>(evaluated: &mut Evaluated<Vec<T>>, is: impl Fn(&T) -> bool, edit: impl Fn(&mut T)) {
    if let Evaluated::Done(all) = evaluated {
        all.iter_mut().filter(|one| is(one)).for_each(edit);
    }
}

/// By the rule that the task finds them by, as lengths are printed.
fn is_enlarged(one: &LymphNode) -> bool {
    one.short_axis_mm >= ENLARGED_MM
}

/// A node that is no enlarged one by the size that a person measured.
pub fn is_left_out(listed: &Listed, values: &Values) -> bool {
    listed.finding == ChestFinding::LymphNode && edit::size_mm(values).is_some_and(|[_, short]| short < ENLARGED_MM)
}

fn nodule(one: &mut Nodule, values: &Values) {
    place(&mut one.side, &mut one.lobe, values);
    one.edit(edit::size_mm(values), edit::nodule_type(values));
}

fn node(one: &mut LymphNode, values: &Values) {
    let Some([long, short]) = edit::size_mm(values) else { return };
    (one.long_axis_mm, one.short_axis_mm) = (long, short);
    (one.region.volume_ml, one.region.mean_hu) = (f64::NAN, f64::NAN);
    one.region.mask = Mask { origin: [0; 3], size: [0; 3], voxels: Vec::new() };
}

/// A lobe of the other side does not stay.
fn place(side: &mut Side, lobe: &mut Option<LobeName>, values: &Values) {
    *side = edit::side(values).unwrap_or(*side);
    *lobe = edit::lobe(values).or(*lobe).filter(|lobe| lobe.side() == *side);
}

type Pair = (Field, String);

fn lobe(lobe: Option<LobeName>) -> Pair {
    (Field::Lobe, lobe.map_or_else(String::new, |lobe| lobe.as_str().to_owned()))
}

fn side(side: Side) -> Pair {
    (Field::Side, side.as_str().to_owned())
}

fn size(long_mm: f64, short_mm: f64) -> [Pair; 2] {
    [(Field::LongMm, millimetres(long_mm)), (Field::ShortMm, millimetres(short_mm))]
}

pub(super) fn of_nodule(one: &Nodule) -> Values {
    let kind = one.kind.map_or_else(String::new, |kind| kind.as_str().to_owned());
    let [long, short] = size(one.long_axis_mm, one.short_axis_mm);
    Values::from([(Field::Type, kind), side(one.side), lobe(one.lobe), long, short])
}

pub(super) fn of_fracture(one: &RibFracture) -> Values {
    let rib = one.rib.map_or_else(String::new, |rib| rib.to_string());
    Values::from([side(one.side), (Field::Rib, rib)])
}

pub(super) fn of_bronchiectasis(one: &Bronchiectasis) -> Values {
    Values::from([side(one.side), lobe(one.lobe)])
}

pub(super) fn of_effusion(one: &PleuralEffusion) -> Values {
    Values::from([side(one.side)])
}

pub(super) fn of_node(one: &LymphNode) -> Values {
    Values::from(size(one.long_axis_mm, one.short_axis_mm))
}
