//! Parses and encodes DIMSE command sets (PS3.7 sections 6.3, 9.3 and annex E). They are always implicit VR little
//! endian.

use crate::status::Answer;

pub(super) const SUCCESS: u16 = 0x0000;
/// Command Data Set Type (0000,0800) when no data set follows; any other value announces one.
const NO_DATA_SET: u16 = 0x0101;
const RESPONSE: u16 = 0x8000;

pub(super) const C_STORE: u16 = 0x0001;
pub(super) const C_ECHO: u16 = 0x0030;
pub(super) const C_CANCEL: u16 = 0x0fff;

/// A command set. Elements without a field here are skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Command Field (0000,0100).
    pub(super) field: u16,
    /// Message ID (0000,0110) of a request, Message ID Being Responded To (0000,0120) of a response.
    pub(super) message_id: u16,
    /// Affected SOP Class UID (0000,0002), or Requested SOP Class UID (0000,0003) if a request has only that.
    pub(super) sop_class_uid: String,
    /// Affected SOP Instance UID (0000,1000), or Requested SOP Instance UID (0000,1001).
    pub(super) sop_instance_uid: String,
    pub(super) has_data_set: bool,
    /// Status (0000,0900).
    pub(super) status: u16,
    /// Error Comment (0000,0902).
    pub(super) comment: String,
}

impl Command {
    /// `None` when the bytes are not a command set.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut command = Self { has_data_set: true, ..Self::default() };
        let mut seen_field = false;
        while let Some((&[g0, g1, e0, e1, l0, l1, l2, l3], rest)) = bytes.split_first_chunk::<8>() {
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let value = rest.get(..length)?;
            bytes = &rest[length..];
            if [g0, g1] != [0, 0] {
                return None;
            }
            let number = || value.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
            match u16::from_le_bytes([e0, e1]) {
                0x0002 => command.sop_class_uid = text(value),
                0x0003 if command.sop_class_uid.is_empty() => command.sop_class_uid = text(value),
                0x0100 => {
                    command.field = number()?;
                    seen_field = true;
                }
                0x0110 | 0x0120 => command.message_id = number()?,
                0x0800 => command.has_data_set = number()? != NO_DATA_SET,
                0x0900 => command.status = number()?,
                0x0902 => command.comment = text(value),
                0x1000 => command.sop_instance_uid = text(value),
                0x1001 if command.sop_instance_uid.is_empty() => command.sop_instance_uid = text(value),
                _ => {}
            }
        }
        (bytes.is_empty() && seen_field).then_some(command)
    }

    pub(super) fn is_response(&self) -> bool {
        self.field & RESPONSE != 0
    }

    /// The response to this request.
    pub(super) fn response(&self, answer: &Answer) -> Vec<u8> {
        let mut set = Elements::default();
        set.uid(0x0002, &self.sop_class_uid);
        set.number(0x0100, self.field | RESPONSE);
        set.number(0x0120, self.message_id);
        set.number(0x0800, NO_DATA_SET);
        set.number(0x0900, answer.status);
        if !answer.reason.is_empty() {
            set.text(0x0902, &answer.comment(), b' ');
        }
        set.uid(0x1000, &self.sop_instance_uid);
        set.finish()
    }
}

pub(super) fn echo_request(message_id: u16) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0002, crate::VERIFICATION);
    set.number(0x0100, C_ECHO);
    set.number(0x0110, message_id);
    set.number(0x0800, NO_DATA_SET);
    set.finish()
}

pub(super) fn store_request(message_id: u16, sop_class_uid: &str, sop_instance_uid: &str) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0002, sop_class_uid);
    set.number(0x0100, C_STORE);
    set.number(0x0110, message_id);
    // Priority medium: the only one that all archives treat in the same way.
    set.number(0x0700, 0);
    set.number(0x0800, 0x0001);
    set.uid(0x1000, sop_instance_uid);
    set.finish()
}

/// Peers pad UIDs with NUL or spaces or not at all.
fn text(value: &[u8]) -> String {
    dicom::text::plain_text(value)
}

/// Elements of group 0000. They must be added in ascending order.
#[derive(Debug, Default)]
struct Elements(Vec<u8>);

impl Elements {
    fn put(&mut self, element: u16, value: &[u8]) {
        // The values are UIDs, titles and numbers, so the length fits its four low bytes.
        let length = &value.len().to_le_bytes()[..4];
        self.0.extend([0, 0]);
        self.0.extend(element.to_le_bytes());
        self.0.extend(length);
        self.0.extend_from_slice(value);
    }

    fn number(&mut self, element: u16, value: u16) {
        self.put(element, &value.to_le_bytes());
    }

    fn uid(&mut self, element: u16, value: &str) {
        if !value.is_empty() {
            self.text(element, value, 0);
        }
    }

    fn text(&mut self, element: u16, value: &str, padding: u8) {
        let mut value = value.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(padding);
        }
        self.put(element, &value);
    }

    /// Prepends the group length (0000,0000).
    fn finish(self) -> Vec<u8> {
        let mut whole = Self::default();
        whole.put(0, &self.0.len().to_le_bytes()[..4]);
        whole.0.extend(self.0);
        whole.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_written() {
        let command = Command::parse(&store_request(7, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")).unwrap();
        assert_eq!(command.field, C_STORE);
        assert_eq!(command.message_id, 7);
        assert_eq!(command.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(command.sop_instance_uid, "1.2.3");
        assert!(command.has_data_set && !command.is_response());
    }

    #[test]
    fn a_response_repeats_what_was_asked_and_says_how_it_went() {
        let request = Command::parse(&store_request(65_535, "1.2.840.10008.5.1.4.1.1.2", "1.2.34")).unwrap();
        let answer = Answer { status: 0xa700, reason: "no room".into() };
        let response = Command::parse(&request.response(&answer)).unwrap();
        assert_eq!((response.field, response.message_id, response.status), (0x8001, 65_535, 0xa700));
        assert_eq!((response.comment.as_str(), response.sop_instance_uid.as_str()), ("no room", "1.2.34"));
        assert!(!response.has_data_set);
    }

    #[test]
    fn what_is_no_command_set_is_none_and_never_a_panic() {
        let good = store_request(1, "1.2", "1.3");
        for cut in 1..good.len() {
            let _ = Command::parse(&good[..cut]);
        }
        assert_eq!(Command::parse(&good[..good.len() - 1]), None, "cut short");
        assert_eq!(Command::parse(&[]), None, "empty");
        assert_eq!(Command::parse(&[8, 0, 5, 0, 0, 0, 0, 0]), None, "group 0008 in a command");
    }
}
