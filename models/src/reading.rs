//! Of several reconstructions of one scan: what one of them gave, and where the rest is read. Pure.

use serde::{Deserialize, Serialize};

use crate::findings::{ChestFinding, ChestFindings};
use crate::remark::Remark;

/// How one series was read beside others of its scan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// What it was looked at for and could not give, for a reason that another series of the scan may not share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfit: Vec<ChestFinding>,
    /// Slices are missing, were left out or filled in: it shows less than its headers say.
    pub lacks_slices: bool,
    /// Findings that are read from another series, with its number, slices and kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<(ChestFinding, String)>,
    /// Series that are not read because of this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl Reading {
    /// Of findings as the task gave them, before any is left to another series.
    pub fn of(findings: &ChestFindings) -> Self {
        let differs = |f: &ChestFinding| findings.refusal(*f).is_some_and(|why| why.reason.may_differ());
        let about = |remark: &Remark| {
            matches!(remark, Remark::LeftOut { .. } | Remark::FilledIn { .. } | Remark::NotReceived { .. })
        };
        Self {
            unfit: ChestFinding::ALL.into_iter().filter(differs).collect(),
            lacks_slices: findings.remarks.iter().any(about),
            ..Self::default()
        }
    }

    /// Of the JSON of findings. Those that were stored without it were read in full: what was not evaluated may be there in
    /// another series.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn stored(json: &str) -> serde_json::Result<Self> {
        let findings: serde_json::Value = serde_json::from_str(json)?;
        if let Some(reading) = findings.get("reading").filter(|reading| !reading.is_null()) {
            return serde_json::from_value(reading.clone());
        }
        let missing = |f: &ChestFinding| findings.get(f.field()).is_some_and(|one| one.get("not_evaluated").is_some());
        Ok(Self { unfit: ChestFinding::ALL.into_iter().filter(missing).collect(), ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Evaluated;
    use crate::reason::Reason;

    #[test]
    fn a_reading_survives_the_database_and_reasons_that_all_series_share_are_none_to_look_elsewhere() {
        let mut findings = ChestFindings::none(&Reason::NotInPackage { package: "test 1".into() });
        findings.nodules = Evaluated::Done(Vec::new());
        findings.refuse(ChestFinding::Emphysema, Reason::KernelTexture);
        findings.refuse(ChestFinding::RibFracture, Reason::ChestWallCut);
        findings.refuse(ChestFinding::LymphNode, Reason::TooYoung { years: 3.0, least: 18.0 });
        let reading = Reading::of(&findings);
        assert_eq!(reading.unfit, [ChestFinding::RibFracture, ChestFinding::Emphysema]);
        findings.reading = Some(Reading { elsewhere: vec![(ChestFinding::Nodule, "3 (1.0 mm)".into())], ..reading });
        let stored = Reading::stored(&serde_json::to_string(&findings).unwrap()).unwrap();
        assert_eq!(Some(stored), findings.reading);
        findings.reading = None;
        let full = Reading::stored(&serde_json::to_string(&findings).unwrap()).unwrap();
        assert_eq!(full.unfit.len(), ChestFinding::COUNT - 1, "{full:?}");
    }
}
