//! A review: a person decides of each finding of a chest CT result, or of each mark in pictures of a breast (`marks`), whether it
//! stays, perhaps with other values (`edit`), and signs. Pure.
//!
//! What is listed has the same id as long as the same package finds the same things in the same images. The place of each
//! goes with its decision, so that a decision never reaches another finding than the one that a person saw.

mod apply;
mod change;
pub mod edit;
pub mod marks;

use serde::{Deserialize, Serialize};

use self::edit::{Edit, Values};
use crate::findings::{ChestFinding, ChestFindings, Evaluated, Form, Region};

pub use apply::apply;
pub use change::is_left_out;

/// One finding that a person can decide about: a nodule, a mass, a fracture. What is measured as a share of the lungs or as a
/// score (emphysema, coronary calcification) is one finding, and so is each kind of opacity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Short, for people: `nodule-2`, `rib-fracture-1`, `emphysema`.
    pub id: String,
    pub finding: ChestFinding,
    /// Within its finding, as in the report; `None` where there is one at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Centre of its largest region, mm, LPS; the origin where it has no region.
    pub centre_mm: [f64; 3],
    /// Of all its regions.
    pub volume_ml: f64,
    /// Slice index at which its largest region is best seen.
    pub key_slice: usize,
    /// What of it a person can edit, as it was found.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

/// What a person can decide about.
pub trait Item {
    fn id(&self) -> &str;
    /// What can be edited, as it was found.
    fn values(&self) -> &Values;
    /// Is it what a person saw, though another run may have measured it a little otherwise?
    fn is_same(&self, other: &Self) -> bool;
}

impl Item for Listed {
    fn id(&self) -> &str {
        &self.id
    }

    fn values(&self) -> &Values {
        &self.values
    }

    fn is_same(&self, other: &Self) -> bool {
        apply::is_same(self, other)
    }
}

/// Does a finding stay?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Accepted,
    /// It stays, with values of the person.
    Edited,
    Rejected,
}

impl Decision {
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Edited, Self::Rejected];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// What a person says of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of a [`Listed`].
    pub id: String,
    pub decision: Decision,
    /// May be empty.
    pub comment: String,
    /// Of one that is edited: fields and values as they were typed (`edit::check`).
    pub edit: Vec<(String, String)>,
}

/// A finding with what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided<L = Listed> {
    #[serde(flatten)]
    pub listed: L,
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Of one that is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
}

/// One finding that is edited: what it is, what was changed, the comment.
#[derive(Debug)]
pub struct Edited<'a, L = Listed> {
    pub listed: &'a L,
    pub edit: &'a Edit,
    pub comment: &'a str,
}

/// Names a structured report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub study_uid: String,
    pub series_uid: String,
    pub sop_class: String,
    pub sop_uid: String,
}

/// Signed: every finding that was listed has a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review<L = Listed> {
    /// As a person typed it: one component of a DICOM person name.
    pub by: String,
    /// `2026-11-24T03:00:00.000Z`.
    pub utc: String,
    /// What found them: see [`package`].
    pub package: String,
    pub decisions: Vec<Decided<L>>,
    /// The report that was reviewed.
    pub predecessor: Document,
}

/// Who signed, and the report that was reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    pub by: &'a str,
    pub utc: &'a str,
    pub predecessor: &'a Document,
}

/// The day of a signature, for people. `utc`: RFC 3339. The day where they are may be another one, so it is said whose day it is; a job that is
/// repeated must write the same, wherever the clock of the box is set to by then.
pub fn day(utc: &str) -> String {
    format!("{} UTC", utc.get(..10).unwrap_or(utc))
}

impl<L: Item> Review<L> {
    pub fn signature(&self) -> Signature<'_> {
        Signature { by: &self.by, utc: &self.utc, predecessor: &self.predecessor }
    }

    /// Does it decide about what is listed now and nothing else? `package`: that found it.
    ///
    /// # Errors
    /// Why not.
    pub fn holds(&self, listed: &[L], package: &str) -> Result<(), NotApplied> {
        if self.package != package {
            return Err(NotApplied::Package);
        }
        for one in &self.decisions {
            let same =
                listed.iter().find(|now| now.id() == one.listed.id()).is_some_and(|now| now.is_same(&one.listed));
            if !same {
                return Err(NotApplied::Gone { id: one.listed.id().to_owned() });
            }
        }
        match listed.iter().find(|now| !self.decisions.iter().any(|one| one.listed.id() == now.id())) {
            Some(new) => Err(NotApplied::New { id: new.id().to_owned() }),
            None => Ok(()),
        }
    }

    pub fn count(&self, decision: Decision) -> usize {
        self.decisions.iter().filter(|one| one.decision == decision).count()
    }

    /// What is edited, in the order of the list.
    pub fn edited(&self) -> impl Iterator<Item = Edited<'_, L>> {
        self.decisions.iter().filter(|one| one.decision == Decision::Edited).filter_map(|decided| {
            Some(Edited { listed: &decided.listed, edit: decided.edit.as_ref()?, comment: &decided.comment })
        })
    }

    /// The values that a person gave this finding; `None` where it is not edited.
    pub fn edit(&self, id: &str) -> Option<&Edit> {
        self.edited().find(|one| one.listed.id() == id).map(|one| one.edit)
    }

    /// What was said of this finding; empty when nothing was.
    pub fn comment(&self, id: &str) -> &str {
        self.decisions.iter().find(|one| one.listed.id() == id).map_or("", |one| one.comment.as_str())
    }
}

/// Why a signed review does not hold for what was found now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    #[error("another model package is used now")]
    Package,
    #[error("{id} is not found any more, or is found elsewhere")]
    Gone { id: String },
    #[error("{id} is found now and was not decided about")]
    New { id: String },
    #[error("the name cannot be written in the character set of the images: sign with Latin letters")]
    Name,
}

/// Names a package and its content.
pub fn package(id: &str, version: &str, sha256: &str) -> String {
    format!("{id} {version} {sha256}")
}

/// The id of a finding; `number` where there may be several.
pub fn id(finding: ChestFinding, number: Option<usize>) -> String {
    let name = finding.as_str().replace('_', "-");
    number.map_or_else(|| name.clone(), |number| format!("{name}-{number}"))
}

/// Nodules and masses are numbered together.
pub fn nodule_id(form: Form, number: usize) -> String {
    match form {
        Form::Nodule => id(ChestFinding::Nodule, Some(number)),
        Form::Mass => format!("mass-{number}"),
    }
}

pub const GROUND_GLASS: &str = "ground-glass";
pub const CONSOLIDATION: &str = "consolidation";

/// Everything that a person has to decide about, in the order of reports.
pub fn list(findings: &ChestFindings) -> Vec<Listed> {
    ChestFinding::ALL.into_iter().flat_map(|finding| of(findings, finding)).collect()
}

fn of(findings: &ChestFindings, finding: ChestFinding) -> Vec<Listed> {
    fn each<'a>(finding: ChestFinding, regions: impl Iterator<Item = (&'a Region, Values)>) -> Vec<Listed> {
        let one = |(region, values): (&'a Region, Values)| {
            let listed = together(finding, id(finding, Some(region.number)), Some(region.number), &[region]);
            Listed { values, ..listed }
        };
        regions.map(one).collect()
    }
    match finding {
        ChestFinding::Nodule => done(&findings.nodules)
            .iter()
            .map(|one| Listed {
                id: nodule_id(one.form, one.number),
                finding,
                number: Some(one.number),
                centre_mm: one.centre_mm,
                volume_ml: one.volume_mm3 / 1000.0,
                key_slice: one.key_slice,
                values: change::of_nodule(one),
            })
            .collect(),
        ChestFinding::Pneumonia => {
            let Evaluated::Done(pneumonia) = &findings.pneumonia else { return Vec::new() };
            [(GROUND_GLASS, &pneumonia.ground_glass), (CONSOLIDATION, &pneumonia.consolidation)]
                .into_iter()
                .filter(|(_, regions)| !regions.is_empty())
                .map(|(id, regions)| together(finding, id.to_owned(), None, &regions.iter().collect::<Vec<_>>()))
                .collect()
        }
        ChestFinding::Emphysema => match &findings.emphysema {
            // Its regions are measured and drawn even where their share is too small to be called emphysema.
            Evaluated::Done(one) if findings.is_found(finding) == Some(true) || !one.regions.is_empty() => {
                vec![together(finding, id(finding, None), None, &one.regions.iter().collect::<Vec<_>>())]
            }
            _ => Vec::new(),
        },
        ChestFinding::CoronaryCalcification => match &findings.coronary_calcium {
            Evaluated::Done(one) if findings.is_found(finding) == Some(true) => {
                vec![together(finding, id(finding, None), None, &one.lesions.iter().collect::<Vec<_>>())]
            }
            _ => Vec::new(),
        },
        ChestFinding::RibFracture => {
            let all = done(&findings.rib_fractures).iter();
            each(finding, all.map(|one| (&one.region, change::of_fracture(one))))
        }
        ChestFinding::Bronchiectasis => {
            let all = done(&findings.bronchiectasis).iter();
            each(finding, all.map(|one| (&one.region, change::of_bronchiectasis(one))))
        }
        ChestFinding::PleuralEffusion => {
            let all = done(&findings.pleural_effusions).iter();
            each(finding, all.map(|one| (&one.region, change::of_effusion(one))))
        }
        ChestFinding::Pneumothorax => {
            each(finding, done(&findings.pneumothoraces).iter().map(|one| (&one.region, Values::new())))
        }
        ChestFinding::LymphNode => {
            let all = done(&findings.lymph_nodes).iter();
            each(finding, all.map(|one| (&one.region, change::of_node(one))))
        }
    }
}

fn done<T>(evaluated: &Evaluated<Vec<T>>) -> &[T] {
    if let Evaluated::Done(all) = evaluated { all } else { &[] }
}

fn together(finding: ChestFinding, id: String, number: Option<usize>, regions: &[&Region]) -> Listed {
    let largest = regions.iter().max_by(|a, b| a.volume_ml.total_cmp(&b.volume_ml));
    Listed {
        id,
        finding,
        number,
        centre_mm: largest.map_or([0.0; 3], |region| region.centre_mm),
        volume_ml: regions.iter().map(|region| region.volume_ml).sum(),
        key_slice: largest.map_or(0, |region| region.key_slice),
        values: Values::new(),
    }
}
