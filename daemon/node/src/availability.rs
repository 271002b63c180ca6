//! Tells whoever wants it that results are available at an archive: Instance Availability Notification as SCU (PS3.4 annex R), one N-CREATE for
//! the results of one analysis. When, is decided by whoever calls.

pub mod settings;

use dicom_dictionary_std::uids;
use serde::{Deserialize, Serialize};

use crate::association::Timers;
use crate::elements::{Syntax, Writer};
use crate::manager::Outcome;
use crate::manager::answer::{self, Heard, Operation};
use crate::message;
use crate::open::{self, Proposed};
use crate::send::{Association, Error, Target};

/// Instance Availability Notification.
pub const AVAILABILITY: &str = "1.2.840.10008.5.1.4.33";
/// Idle: how long a receiver may take for an answer.
const TIMERS: Timers = Timers { stall: std::time::Duration::from_secs(30), idle: std::time::Duration::from_secs(60) };

/// What is available, of one study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub study_uid: String,
    pub series: Vec<Series>,
    /// These are not available any more.
    #[serde(default)]
    pub withdrawn: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    pub series_uid: String,
    /// SOP Class UID, SOP Instance UID, and the AE title of the archive that has it.
    pub objects: Vec<(String, String, String)>,
}

impl Notice {
    /// PS3.4 table R.3.2-1.
    fn data_set(&self, syntax: Syntax) -> Vec<u8> {
        let availability = if self.withdrawn { "UNAVAILABLE" } else { "ONLINE" };
        let series = self.series.iter().map(|series| {
            let objects = series.objects.iter().map(|(class, uid, title)| {
                let mut item = Writer::new(syntax);
                item.text((0x0008, 0x0054), *b"AE", title);
                item.text((0x0008, 0x0056), *b"CS", availability);
                item.uid((0x0008, 0x1150), class);
                item.uid((0x0008, 0x1155), uid);
                item.finish()
            });
            let objects: Vec<_> = objects.collect();
            let mut item = Writer::new(syntax);
            item.sequence((0x0008, 0x1199), objects);
            item.uid((0x0020, 0x000e), &series.series_uid);
            item.finish()
        });
        let series: Vec<_> = series.collect();
        let mut set = Writer::new(syntax);
        set.sequence((0x0008, 0x1111), []); // referenced performed procedure step
        set.sequence((0x0008, 0x1115), series);
        set.uid((0x0020, 0x000d), &self.study_uid);
        set.finish()
    }
}

/// An association with a receiver.
#[derive(Debug)]
pub struct Line(Association);

impl Line {
    /// # Errors
    /// When there is no association on which it takes notices.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let proposed = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
        let proposed = proposed.map(|syntax| Proposed::new(AVAILABILITY, syntax)).into();
        let association = Association::on(open::open(target, proposed, TIMERS).await?);
        if let Some(error) = association.refuses(AVAILABILITY) {
            association.release().await;
            return Err(error);
        }
        Ok(Self(association))
    }

    /// N-CREATE. Its answer means what that of a performed procedure step means.
    pub async fn tell(&mut self, sop_uid: &str, notice: &Notice) -> Outcome {
        let command = |id| message::create_request(id, AVAILABILITY, sop_uid);
        let answered = self.0.request_in_full(AVAILABILITY, command, |syntax| notice.data_set(syntax)).await;
        let heard = match &answered {
            Ok(answer) => Heard::Answer { status: answer.status, error_id: answer.error_id, comment: &answer.comment },
            Err(error) => Heard::Broken { reason: error.to_string() },
        };
        Outcome { fate: answer::fate(Operation::Create, &heard), words: answer::words(Operation::Create, &heard) }
    }

    /// Whether the association has ended.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    pub async fn release(self) {
        if !self.0.is_over() {
            self.0.release().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::Elements;

    #[test]
    fn a_notice_has_what_the_standard_wants_of_it() {
        let object = ("1.9".to_owned(), "1.2.3.4".to_owned(), "PACS".to_owned());
        let series = vec![Series { series_uid: "1.2.3".into(), objects: vec![object] }];
        let notice = Notice { study_uid: "1.2".into(), series, withdrawn: false };
        let withdrawal = Notice { withdrawn: true, ..notice.clone() };
        for (notice, availability) in [(&notice, "ONLINE"), (&withdrawal, "UNAVAILABLE")] {
            has_all(notice, availability);
        }
    }

    fn has_all(notice: &Notice, availability: &str) {
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = notice.data_set(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            assert!(elements.tags().collect::<Vec<_>>().is_sorted());
            assert!(elements.value((0x0008, 0x1111)).is_some(), "type 2");
            let series = elements.items((0x0008, 0x1115)).unwrap();
            let object = &series[0].items((0x0008, 0x1199)).unwrap()[0];
            for (tag, value) in
                [((0x0008, 0x0054), "PACS"), ((0x0008, 0x0056), availability), ((0x0008, 0x1155), "1.2.3.4")]
            {
                assert_eq!(object.text(tag), value);
            }
        }
    }

    #[test]
    fn the_conformance_statement_names_the_class() {
        assert!(include_str!("../../../docs/dicom-conformance.md").contains(AVAILABILITY));
    }
}
