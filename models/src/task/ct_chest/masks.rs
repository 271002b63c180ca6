//! All masks of the findings, to move them to another grid.

use super::ChestFindings;
use crate::findings::{Evaluated, Mask, Region};

/// One mask, with the slice that shows it best where its finding has one.
#[derive(Debug)]
pub struct Placed<'a> {
    pub mask: &'a mut Mask,
    pub key_slice: Option<&'a mut usize>,
}

impl ChestFindings {
    /// Every mask. Positions in millimetres are not changed with them.
    pub fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        // No `..`: a finding that is added must be added here.
        let Self {
            lungs,
            lobes,
            nodules,
            pneumonia,
            rib_fractures,
            emphysema,
            bronchiectasis,
            pleural_effusions,
            pneumothoraces,
            coronary_calcium,
            lymph_nodes,
            comparison: _,
            partly_seen: _,
            least_sizes: _,
            acquisition: _,
            remarks: _,
            timings_ms: _,
        } = self;
        let mut all = Vec::new();
        all.extend(each(lungs).map(|lung| Placed { mask: &mut lung.mask, key_slice: None }));
        all.extend(each(lobes).map(|lobe| Placed { mask: &mut lobe.mask, key_slice: None }));
        all.extend(each(nodules).map(|one| Placed { mask: &mut one.mask, key_slice: Some(&mut one.key_slice) }));
        if let Evaluated::Done(pneumonia) = pneumonia {
            all.extend(pneumonia.ground_glass.iter_mut().chain(&mut pneumonia.consolidation).map(region));
        }
        if let Evaluated::Done(emphysema) = emphysema {
            all.extend(emphysema.regions.iter_mut().map(region));
        }
        if let Evaluated::Done(calcium) = coronary_calcium {
            all.extend(calcium.lesions.iter_mut().map(region));
        }
        all.extend(each(rib_fractures).map(|one| region(&mut one.region)));
        all.extend(each(bronchiectasis).map(|one| region(&mut one.region)));
        all.extend(each(pleural_effusions).map(|one| region(&mut one.region)));
        all.extend(each(pneumothoraces).map(|one| region(&mut one.region)));
        all.extend(each(lymph_nodes).map(|one| region(&mut one.region)));
        all
    }
}

fn each<T>(evaluated: &mut Evaluated<Vec<T>>) -> std::slice::IterMut<'_, T> {
    match evaluated {
        Evaluated::Done(all) => all.iter_mut(),
        Evaluated::NotEvaluated(_) => [].iter_mut(),
    }
}

fn region(region: &mut Region) -> Placed<'_> {
    Placed { mask: &mut region.mask, key_slice: Some(&mut region.key_slice) }
}
