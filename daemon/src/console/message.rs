//! Messages on the WebSocket. Binary messages are pictures, text messages are JSON: `{"kind": ..., "value": ...}`.

use std::time::Duration;

use custody::level::Level;
use hal::sensors::condition::Condition;
use live::view::{Guidance, Overlay, Recording, Stats, Status};
use serde::{Deserialize, Serialize};

use crate::health::heat::Words;

/// Bytes before the JPEG: sequence number and capture time in microseconds, 64 bits each, little endian.
pub const HEADER: usize = 16;

pub fn header(sequence: u64, captured: Duration) -> [u8; HEADER] {
    let micros = u64::try_from(captured.as_micros()).unwrap_or(u64::MAX);
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&sequence.to_le_bytes());
    header[8..].copy_from_slice(&micros.to_le_bytes());
    header
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Text<'a> {
    Status(&'a Status),
    Overlay(&'a Overlay),
    Stats(&'a Stats),
    Recording(&'a Recording),
    Guide(&'a Guidance),
    /// What the box may still do, and why not more.
    Level {
        level: Level,
        reason: &'a str,
    },
    /// How hot the machine is; the words are empty while there is nothing to say.
    Heat {
        condition: Condition,
        words: &'a Words,
    },
    /// Sent once a second, so that the page notices a lost connection.
    Alive,
}

impl Text<'_> {
    pub fn json(&self) -> String {
        // Serialising fails only for maps whose keys are not strings; there are none.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Sent by the page: this picture has arrived, the next may be sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub seen: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use live::view::Sign;
    use models::task::us_breast::lesion::Lesion;

    #[test]
    fn texts_are_tagged_and_carry_the_value_as_it_is() {
        let sign = Sign::NoSignal { reason: "cable".into() };
        let status = Status { sign, ..Status::default() };
        let json: serde_json::Value = serde_json::from_str(&Text::Status(&status).json()).unwrap();
        assert_eq!(json["kind"], "status");
        assert_eq!(json["value"]["sign"], serde_json::json!({ "state": "no_signal", "reason": "cable" }));
        assert_eq!(Text::Alive.json(), r#"{"kind":"alive"}"#);
        let overlay = Overlay {
            sequence: 7,
            age_ms: 1.5,
            mm_per_pixel: Some(0.1),
            side: None,
            lesions: vec![Lesion {
                id: 1,
                outline: vec![[0.5, 1.0]],
                bounds: [0.0, 0.0, 1.0, 1.0],
                confidence: 0.9,
                malignant: 0.1,
                descriptors: vec!["oval".into()],
                size_mm: Some([9.5, 4.0]),
            }],
        };
        let json: serde_json::Value = serde_json::from_str(&Text::Overlay(&overlay).json()).unwrap();
        // Compared as text, because a 32-bit float is written with fewer digits than as 64 bits.
        let sent = serde_json::to_string(&overlay).unwrap();
        assert_eq!(json["value"], serde_json::from_str::<serde_json::Value>(&sent).unwrap());
    }

    #[test]
    fn the_header_is_sequence_and_microseconds() {
        let header = header(3, Duration::from_millis(2));
        assert_eq!((header[0], u64::from_le_bytes(header[8..].try_into().unwrap())), (3, 2000));
    }
}
