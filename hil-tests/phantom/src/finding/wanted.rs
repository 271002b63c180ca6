//! Which of the nine findings a phantom has: wanted, excluded, or chosen by the seed.

use std::str::FromStr;

use serde::Serialize;

use crate::random::Random;

/// The nine findings of the chest CT task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    Nodule,
    Pneumonia,
    RibFracture,
    Emphysema,
    Bronchiectasis,
    PleuralEffusion,
    Pneumothorax,
    CoronaryCalcification,
    LymphNode,
}

impl Finding {
    pub const ALL: [Self; 9] = [
        Self::Nodule,
        Self::Pneumonia,
        Self::RibFracture,
        Self::Emphysema,
        Self::Bronchiectasis,
        Self::PleuralEffusion,
        Self::Pneumothorax,
        Self::CoronaryCalcification,
        Self::LymphNode,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nodule => "nodule",
            Self::Pneumonia => "pneumonia",
            Self::RibFracture => "rib_fracture",
            Self::Emphysema => "emphysema",
            Self::Bronchiectasis => "bronchiectasis",
            Self::PleuralEffusion => "pleural_effusion",
            Self::Pneumothorax => "pneumothorax",
            Self::CoronaryCalcification => "coronary_calcification",
            Self::LymphNode => "lymph_node",
        }
    }

    /// Each finding has its own random numbers, so that they do not depend on whether another finding is planted.
    pub(crate) fn random(self, seed: u64) -> Random {
        Random::new(seed, 20 + self as u64)
    }
}

/// Probability of a finding that is chosen by the seed.
const PROBABILITY: f32 = 0.4;

/// Yes, no, or chosen by the seed, in the order of [`Finding::ALL`]. The number of nodules is a separate option: "yes"
/// means at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wanted([Option<bool>; 9]);

impl Wanted {
    /// Each finding is chosen by the seed.
    pub const VARIED: Self = Self([None; 9]);
    pub const NONE: Self = Self([Some(false); 9]);
    pub const ALL: Self = Self([Some(true); 9]);
    /// Only nodules; the seed chooses their number.
    pub const NODULES: Self = Self::NONE.but(Finding::Nodule, None);

    pub const fn but(mut self, finding: Finding, wanted: Option<bool>) -> Self {
        self.0[finding as usize] = wanted;
        self
    }

    pub fn only(findings: &[Finding]) -> Self {
        findings.iter().fold(Self::NONE, |wanted, finding| wanted.but(*finding, Some(true)))
    }

    pub fn choice(self, finding: Finding) -> Option<bool> {
        self.0[finding as usize]
    }

    pub(crate) fn has(self, finding: Finding, seed: u64) -> bool {
        self.choice(finding).unwrap_or_else(|| Random::new(seed, 40 + finding as u64).chance(PROBABILITY))
    }
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    /// Parses `varied`, `all`, `none`, or names of findings separated by commas.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "varied" => Ok(Self::VARIED),
            "all" => Ok(Self::ALL),
            "none" => Ok(Self::NONE),
            names => {
                let find = |name: &str| Finding::ALL.into_iter().find(|f| f.name() == name);
                let known = || Finding::ALL.map(Finding::name).join(", ");
                let findings: anyhow::Result<Vec<Finding>> = names
                    .split(',')
                    .map(|name| find(name).ok_or_else(|| anyhow::anyhow!("\"{name}\" is none of {}", known())))
                    .collect();
                Ok(Self::only(&findings?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_asks_for_these_and_rules_out_the_others() {
        let wanted: Wanted = "emphysema,lymph_node".parse().unwrap();
        for finding in Finding::ALL {
            let asked = matches!(finding, Finding::Emphysema | Finding::LymphNode);
            assert_eq!(wanted.choice(finding), Some(asked), "{finding:?}");
        }
        assert!("emphysema,cough".parse::<Wanted>().is_err());
    }

    #[test]
    fn the_seed_plants_each_finding_in_about_two_of_five_and_not_always_together() {
        for finding in Finding::ALL {
            let with = (0..500).filter(|seed| Wanted::VARIED.has(finding, *seed)).count();
            assert!((150..250).contains(&with), "{finding:?}: {with} of 500");
        }
        let both =
            |seed: &u64| Wanted::VARIED.has(Finding::Pneumonia, *seed) && Wanted::VARIED.has(Finding::Emphysema, *seed);
        assert!((40..120).contains(&(0..500).filter(both).count()));
    }
}
