//! What one reading of the scanner's screen after another says of its patient. Pure.

use std::time::Duration;

use crate::name::{Agreement, Unclear};

/// The conclusion is what must repeat, not the letters and how sure they are: a clock beside the name is another text each second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doubt {
    /// When the screen showed another patient last, and since then nothing that speaks for the one of the exam.
    at: Option<Duration>,
}

impl Doubt {
    /// What is told after a reading at `now` that says `found`, while `told` is told; `within`: two readings that are further apart
    /// are two of one each. A menu over the name, or a name that is being drawn, is read once and is no other patient.
    pub fn after(
        &mut self,
        found: Option<Agreement>,
        told: Option<Agreement>,
        now: Duration,
        within: Duration,
    ) -> Option<Agreement> {
        let differs = Some(Agreement::Differs);
        let lately = self.at.is_some_and(|at| now.saturating_sub(at) <= within);
        match found {
            Some(Agreement::Differs) => {
                self.at = Some(now);
                if lately { differs } else { told }
            }
            // What cannot be read does not take back what was read.
            Some(Agreement::Unclear(unclear)) if unclear != Unclear::MoreThanName => {
                if lately && told == differs {
                    told
                } else {
                    found
                }
            }
            _ => {
                self.at = None;
                found
            }
        }
    }
}
