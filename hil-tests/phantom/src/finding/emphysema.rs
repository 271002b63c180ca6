//! Emphysema: holes in the middle of lobules, more of them above than below, and bullae at the pleura.

use serde::Serialize;

use super::{Body, Channel, Layer, Lesion, Planted, Site};
use crate::anatomy::Side;
use crate::random::Random;
use crate::ripple::Ripple;
use crate::shape::{Point, add, coverage, length, sub};
use crate::truth::Measured;

/// Lung below this is emphysema (Gevenois et al., Am J Respir Crit Care Med 152 (1995) 653-657).
pub const LOW_HU: f32 = -950.0;

/// Air where the septa are gone.
#[derive(Debug)]
struct Hole {
    centre: Point,
    radius: f32,
    outline: Ripple,
    hu: f32,
}

impl Body for Hole {
    fn bounds(&self) -> (Point, Point) {
        let reach = [self.radius + self.outline.height() + 1.0; 3];
        (sub(self.centre, reach), add(self.centre, reach))
    }

    fn fill(&self, p: Point, width: f32) -> f32 {
        // It has no wall: the density changes over a millimetre or more.
        coverage(length(sub(p, self.centre)) - self.radius + self.outline.at(p), width.max(1.2))
    }

    fn paint(&self, _: Point, under: f32, part: f32) -> f32 {
        under.min(under + (self.hu - under) * part)
    }
}

/// Lung volume of an adult, ml, for which the severities are defined.
const BOTH_LUNGS_ML: f32 = 4000.0;

/// Plants holes until they fill the fraction of the lungs that the severity requires.
pub fn plant(site: &Site<'_>, planted: &mut Planted, random: &mut Random) {
    for side in Side::BOTH {
        // Measured by density, not by these bodies.
        planted.lesion(Lesion::new(Channel::Emphysema, Some(side)));
    }
    let whole = site.chest.lung_range();
    let slab_share = ((site.slab[1].min(whole.1) - site.slab[0].max(whole.0)) / (whole.1 - whole.0)).clamp(0.0, 1.0);
    // Edges are not dark enough to count: LAA-950 comes to about half of this.
    let mut left = BOTH_LUNGS_ML * slab_share * random.logarithmic(0.04, 0.8);
    let largest = random.between(3.0, 6.5);
    let bullous = random.chance(0.5);
    // Distribution: from equal everywhere to nearly all in the upper third.
    let upper = random.between(0.3, 1.0);
    // The limit is for slabs that contain hardly any lung.
    for _ in 0..60_000 {
        if left <= 0.0 {
            break;
        }
        let at_pleura = bullous && random.chance(0.04);
        let radius = if at_pleura { random.logarithmic(3.0, 14.0) } else { random.logarithmic(1.6, largest) };
        let side = Side::BOTH[random.below(2)];
        let p = site.anywhere(side, random);
        let depth = -site.chest.lung_distance(side, p);
        let height = ((p[2] - whole.0) / (whole.1 - whole.0)).clamp(0.0, 1.0);
        let fits = if at_pleura { (0.3 * radius..radius).contains(&depth) } else { depth > radius + 3.0 };
        if !fits || random.chance(upper * (1.0 - height * height)) {
            continue;
        }
        let hu = random.between(-990.0, -963.0);
        let outline = Ripple::new(4.0 * radius, 0.25 * radius, random);
        planted.body(Hole { centre: p, radius, outline, hu }, Layer::Parenchyma, None);
        left -= 4.0 / 3.0 * std::f32::consts::PI * radius.powi(3) / 1000.0;
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct PlantedEmphysema {
    /// Percent of the lung voxels, airways left out, below -950 HU after the kernel and before noise.
    pub laa950_percent: f64,
    pub right_percent: f64,
    pub left_percent: f64,
}

pub fn truth(measured: &Measured<'_>) -> Option<PlantedEmphysema> {
    measured.of(Channel::Emphysema).next()?;
    Some(PlantedEmphysema {
        laa950_percent: measured.laa950_percent(&Side::BOTH),
        right_percent: measured.laa950_percent(&[Side::Right]),
        left_percent: measured.laa950_percent(&[Side::Left]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Finding, testing};

    #[test]
    fn lungs_without_emphysema_have_next_to_no_low_attenuation_and_no_label_of_it() {
        for seed in 0..4 {
            let scan = testing::scan(seed, &[Finding::Pneumonia, Finding::Bronchiectasis]);
            assert!(scan.truth.lungs.laa950_percent < 0.1, "seed {seed}: {:?}", scan.truth.lungs);
            assert!(scan.truth.emphysema.is_none());
            assert_eq!(scan.labelled_ml(Channel::Emphysema), 0.0);
        }
    }

    #[test]
    fn emphysema_of_every_severity_occurs_and_its_labels_are_what_is_counted() {
        let mut all = Vec::new();
        for seed in 0..6 {
            let scan = testing::scan(seed, &[Finding::Emphysema]);
            let percent = scan.truth.emphysema.unwrap().laa950_percent;
            let counted = 100.0 * scan.labelled_ml(Channel::Emphysema) / scan.lung_ml();
            assert!((counted - percent).abs() < 0.05 * percent + 0.05, "seed {seed}: {counted} against {percent} %");
            all.push(percent);
        }
        let (low, high) = (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
        assert!(low > 0.1 && high < 40.0 && high > 3.0 * low, "{all:?}");
    }
}
