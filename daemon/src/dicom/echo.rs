//! C-ECHO in: "are you there" (PS3.4 annex A).

use super::message::Command;
use super::status::Answer;

pub(super) fn answer(_request: &Command) -> Answer {
    Answer::success()
}
