//! Parses and encodes DIMSE command sets (PS3.7 sections 6.3, 9.3 and annex E). They are always implicit VR little
//! endian.

use crate::status::Answer;

/// Command Data Set Type (0000,0800) when no data set follows; any other value announces one.
const NO_DATA_SET: u16 = 0x0101;
const RESPONSE: u16 = 0x8000;

pub(super) const C_STORE: u16 = 0x0001;
pub(super) const C_GET: u16 = 0x0010;
pub(super) const C_FIND: u16 = 0x0020;
pub(super) const C_MOVE: u16 = 0x0021;
pub(super) const C_ECHO: u16 = 0x0030;
pub(super) const C_CANCEL: u16 = 0x0fff;
pub(super) const N_EVENT_REPORT: u16 = 0x0100;
pub(super) const N_GET: u16 = 0x0110;
pub(super) const N_SET: u16 = 0x0120;
pub(super) const N_ACTION: u16 = 0x0130;
pub(super) const N_CREATE: u16 = 0x0140;

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
    /// Error ID (0000,0903).
    pub(super) error_id: Option<u16>,
    /// Event Type ID (0000,1002).
    pub(super) event_type: Option<u16>,
    /// Action Type ID (0000,1008).
    pub(super) action_type: Option<u16>,
    /// Move Originator Application Entity Title (0000,1030): who asked for this C-STORE by C-MOVE.
    pub(super) move_originator: String,
    pub(super) counts: SubOperations,
}

/// The C-STOREs that a C-GET or C-MOVE asked for, by what became of them; `None`: not said. (0000,1020) to (0000,1023).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SubOperations {
    pub(super) remaining: Option<u16>,
    pub(super) completed: Option<u16>,
    pub(super) failed: Option<u16>,
    pub(super) warned: Option<u16>,
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
                0x0903 => command.error_id = number(),
                0x1000 => command.sop_instance_uid = text(value),
                0x1002 => command.event_type = number(),
                0x1008 => command.action_type = number(),
                0x1020 => command.counts.remaining = number(),
                0x1021 => command.counts.completed = number(),
                0x1022 => command.counts.failed = number(),
                0x1023 => command.counts.warned = number(),
                0x1030 => command.move_originator = text(value),
                0x1001 if command.sop_instance_uid.is_empty() => command.sop_instance_uid = text(value),
                _ => {}
            }
        }
        (bytes.is_empty() && seen_field).then_some(command)
    }

    pub(super) fn is_response(&self) -> bool {
        self.field & RESPONSE != 0
    }

    /// A response to this C-FIND before the last, which a data set follows (PS3.7 section 9.1.2.1.5).
    pub(super) fn pending(&self, status: u16) -> Vec<u8> {
        let mut set = Elements::default();
        set.uid(0x0002, &self.sop_class_uid);
        set.number(0x0100, self.field | RESPONSE);
        set.number(0x0120, self.message_id);
        set.number(0x0800, 0x0001);
        set.number(0x0900, status);
        set.finish()
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
        if let Some(error_id) = answer.error_id {
            set.number(0x0903, error_id);
        }
        set.uid(0x1000, &self.sop_instance_uid);
        if let Some(event_type) = self.event_type {
            set.number(0x1002, event_type);
        }
        if let Some(action_type) = self.action_type {
            set.number(0x1008, action_type);
        }
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

/// A C-FIND-RQ, which its identifier follows (PS3.7 section 9.3.2.1).
pub(super) fn find_request(message_id: u16, sop_class_uid: &str) -> Vec<u8> {
    question(C_FIND, message_id, sop_class_uid, None)
}

/// A C-GET-RQ, which its identifier follows (PS3.7 section 9.3.3.1).
pub(super) fn get_request(message_id: u16, sop_class_uid: &str) -> Vec<u8> {
    question(C_GET, message_id, sop_class_uid, None)
}

/// A C-MOVE-RQ to the peer with the AE title `destination`, which its identifier follows (PS3.7 section 9.3.4.1).
pub(super) fn move_request(message_id: u16, sop_class_uid: &str, destination: &str) -> Vec<u8> {
    question(C_MOVE, message_id, sop_class_uid, Some(destination))
}

fn question(field: u16, message_id: u16, sop_class_uid: &str, destination: Option<&str>) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0002, sop_class_uid);
    set.number(0x0100, field);
    set.number(0x0110, message_id);
    if let Some(title) = destination {
        set.text(0x0600, title, b' ');
    }
    set.number(0x0700, 0);
    set.number(0x0800, 0x0001);
    set.finish()
}

/// A C-CANCEL-RQ of the request with this message id (PS3.7 section 9.3.2.3).
pub(super) fn cancel_request(message_id: u16) -> Vec<u8> {
    let mut set = Elements::default();
    set.number(0x0100, C_CANCEL);
    set.number(0x0120, message_id);
    set.number(0x0800, NO_DATA_SET);
    set.finish()
}

/// An N-GET-RQ for these attributes (PS3.7 section 10.3.2).
pub(super) fn get_attributes_request(message_id: u16, class: &str, instance: &str, tags: &[(u16, u16)]) -> Vec<u8> {
    let list: Vec<u8> = tags.iter().flat_map(|(group, number)| [*group, *number]).flat_map(u16::to_le_bytes).collect();
    let mut set = Elements::default();
    set.uid(0x0003, class);
    set.number(0x0100, N_GET);
    set.number(0x0110, message_id);
    set.number(0x0800, NO_DATA_SET);
    set.uid(0x1001, instance);
    set.put(0x1005, &list);
    set.finish()
}

/// An N-EVENT-REPORT-RQ with a data set (PS3.7 section 10.3.1).
pub(super) fn event_report_request(message_id: u16, class: &str, instance: &str, event_type: u16) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0002, class);
    set.number(0x0100, N_EVENT_REPORT);
    set.number(0x0110, message_id);
    set.number(0x0800, 0x0001);
    set.uid(0x1000, instance);
    set.number(0x1002, event_type);
    set.finish()
}

/// An N-ACTION-RQ with a data set (PS3.7 section 10.3.4).
pub(super) fn action_request(message_id: u16, class: &str, instance: &str, action_type: u16) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0003, class);
    set.number(0x0100, N_ACTION);
    set.number(0x0110, message_id);
    set.number(0x0800, 0x0001);
    set.uid(0x1001, instance);
    set.number(0x1008, action_type);
    set.finish()
}

/// An N-CREATE-RQ with a data set (PS3.7 section 10.3.5).
pub(super) fn create_request(message_id: u16, class: &str, instance: &str) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0002, class);
    set.number(0x0100, N_CREATE);
    set.number(0x0110, message_id);
    set.number(0x0800, 0x0001);
    set.uid(0x1000, instance);
    set.finish()
}

/// An N-SET-RQ with a data set (PS3.7 section 10.3.3).
pub(super) fn set_request(message_id: u16, class: &str, instance: &str) -> Vec<u8> {
    let mut set = Elements::default();
    set.uid(0x0003, class);
    set.number(0x0100, N_SET);
    set.number(0x0110, message_id);
    set.number(0x0800, 0x0001);
    set.uid(0x1001, instance);
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
        let answer = Answer::new(0xa700, "no room");
        let response = Command::parse(&request.response(&answer)).unwrap();
        assert_eq!((response.field, response.message_id, response.status), (0x8001, 65_535, 0xa700));
        assert_eq!((response.comment.as_str(), response.sop_instance_uid.as_str()), ("no room", "1.2.34"));
        assert!(!response.has_data_set);
    }

    #[test]
    fn a_cancel_names_the_request_that_it_ends_and_has_no_data_set() {
        let find = Command::parse(&find_request(3, "1.2.840.10008.5.1.4.31")).unwrap();
        assert_eq!((find.field, find.message_id, find.has_data_set), (C_FIND, 3, true));
        let cancel = Command::parse(&cancel_request(3)).unwrap();
        assert_eq!((cancel.field, cancel.message_id, cancel.has_data_set), (C_CANCEL, 3, false));
        let responded_to = [0, 0, 0x20, 0x01, 2, 0, 0, 0, 3, 0];
        assert!(cancel_request(3).windows(responded_to.len()).any(|bytes| bytes == responded_to));
    }

    #[test]
    fn a_retrieval_names_its_destination_and_its_answer_counts_the_sub_operations() {
        let moved = Command::parse(&move_request(5, "1.2.840.10008.5.1.4.1.2.2.2", "BOX")).unwrap();
        assert_eq!((moved.field, moved.message_id, moved.has_data_set), (C_MOVE, 5, true));
        let destination = [0, 0, 0, 6, 4, 0, 0, 0, b'B', b'O', b'X', b' '];
        let request = move_request(5, "1.2.840.10008.5.1.4.1.2.2.2", "BOX");
        assert!(request.windows(destination.len()).any(|bytes| bytes == destination));
        assert_eq!(Command::parse(&get_request(6, "1.2")).unwrap().field, C_GET);
        let mut set = Elements::default();
        set.number(0x0100, C_GET | RESPONSE);
        set.number(0x0120, 6);
        set.number(0x0800, NO_DATA_SET);
        set.number(0x0900, 0xff00);
        for (element, count) in [(0x1020, 7), (0x1021, 2), (0x1022, 1), (0x1023, 0)] {
            set.number(element, count);
        }
        let counts = Command::parse(&set.finish()).unwrap().counts;
        assert_eq!((counts.remaining, counts.completed), (Some(7), Some(2)));
        assert_eq!((counts.failed, counts.warned), (Some(1), Some(0)));
    }

    #[test]
    fn an_answer_to_dimse_n_repeats_the_type_and_may_have_an_error_id() {
        let request = action_request(9, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", 1);
        let request = Command::parse(&request).unwrap();
        assert_eq!((request.field, request.action_type, request.event_type), (N_ACTION, Some(1), None));
        assert_eq!(request.sop_class_uid, "1.2.840.10008.1.20.1");
        let answer = Answer { error_id: Some(0xa710), ..Answer::new(0x0110, "over") };
        let response = request.response(&answer);
        let heard = Command::parse(&response).unwrap();
        assert_eq!((heard.action_type, heard.error_id), (Some(1), Some(0xa710)));
        let error_id = [0, 0, 0x03, 0x09, 2, 0, 0, 0, 0x10, 0xa7];
        assert!(response.windows(error_id.len()).any(|bytes| bytes == error_id));
        for (request, field) in [(create_request(4, "1.2", "1.3"), N_CREATE), (set_request(4, "1.2", "1.3"), N_SET)] {
            let read = Command::parse(&request).unwrap();
            assert_eq!((read.field, read.message_id, read.has_data_set), (field, 4, true));
            assert_eq!((read.sop_class_uid.as_str(), read.sop_instance_uid.as_str()), ("1.2", "1.3"));
        }
        let report = event_report_request(1, "1.2", "1.3", 2);
        assert_eq!(Command::parse(&report).unwrap().event_type, Some(2));
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
