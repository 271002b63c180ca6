//! Answers C-ECHO requests (Verification, PS3.4 annex A).

use crate::message::Command;
use crate::status::Answer;

pub(super) fn answer(_request: &Command) -> Answer {
    Answer::success()
}
