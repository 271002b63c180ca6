//! One look at one lesion: who, where in the breast, how large, when, and what shows it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::findings::Side;

/// Patient data in DICOM form (LO, PN, DA, CS), as far as two persons are told apart by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    pub id: String,
    pub issuer: String,
    pub name: String,
    /// YYYYMMDD, or empty.
    pub birth_date: String,
    /// `M`, `F`, `O`, or empty.
    pub sex: String,
}

/// Where in the breast, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Hour, 1 to 12, as seen by somebody who faces the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<u8>,
    /// From the nipple, mm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_view: Option<InView>,
}

impl Place {
    /// This place, with what it does not say taken from `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            side: self.side.or(other.side),
            clock: self.clock.or(other.clock),
            distance_mm: self.distance_mm.or(other.distance_mm),
            in_view: self.in_view.or(other.in_view),
        }
    }
}

/// Where in a standard view of a mammography.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InView {
    pub projection: Projection,
    /// From the foremost place of the breast towards the chest wall, mm.
    pub behind_nipple_mm: f64,
    /// From there down in the picture, mm.
    pub below_nipple_mm: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    Cc,
    Mlo,
}

/// Who measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A model package, id and version.
    Software(String),
    Person,
}

/// What measurements must share to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// (0008,0060): `US`, `MG`, ...
    pub modality: String,
    pub by: By,
}

impl Method {
    /// Another version of the software is the same method; whoever shows a change says it beside.
    pub fn is_same(&self, other: &Self) -> bool {
        self.modality == other.modality && matches!(self.by, By::Person) == matches!(other.by, By::Person)
    }
}

/// The picture that shows it, and the mark in it. All empty for what a person measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    pub study_uid: String,
    /// What was analysed: a series, or the task of a study. A new analysis of it is no new look.
    pub source: String,
    /// SOP Instance UID; of an exam that was recorded here its recording.
    pub object_uid: String,
    /// Of a clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// As the report of that study calls it.
    pub label: String,
    /// Left, top, right, bottom, pixels of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f32; 4]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    pub person: Person,
    /// Of the study, in local time.
    pub date: Date,
    pub method: Method,
    #[serde(default)]
    pub place: Place,
    /// Up to three axes across each other, mm, the longest first; empty: not measured.
    #[serde(default)]
    pub axes_mm: Vec<f64>,
    /// A person has looked for it and it is not there any more.
    #[serde(default)]
    pub gone: bool,
    #[serde(default)]
    pub shown: Shown,
    /// A simulated device or accelerator had a part in it.
    #[serde(default)]
    pub simulated: bool,
}

impl Sighting {
    /// Longest diameter, mm; 0 when it is gone.
    pub fn longest_mm(&self) -> Option<f64> {
        if self.gone { Some(0.0) } else { self.axes_mm.first().copied() }
    }

    /// Of the ellipsoid with these three axes, ml; 0 when it is gone.
    pub fn volume_ml(&self) -> Option<f64> {
        match self.axes_mm.as_slice() {
            _ if self.gone => Some(0.0),
            [a, b, c] => Some(std::f64::consts::FRAC_PI_6 * a * b * c / 1000.0),
            _ => None,
        }
    }
}
