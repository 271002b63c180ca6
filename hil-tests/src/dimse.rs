//! Command sets (PS3.7 section 6.3.1 and annex E): always implicit VR little endian. Shared by the simulated peers, and
//! written independently of the daemon's code: a misunderstanding of the standard in shared code would not be noticed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

pub const VERIFICATION: &str = "1.2.840.10008.1.1";

/// Storage commitment, its one instance, and MPPS and worklist.
pub const COMMITMENT: &str = "1.2.840.10008.1.20.1";
pub const COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
pub const MPPS: &str = "1.2.840.10008.3.1.2.3.3";
pub const WORKLIST: &str = "1.2.840.10008.5.1.4.31";

pub const C_STORE_RQ: u16 = 0x0001;
pub const C_STORE_RSP: u16 = 0x8001;
pub const C_FIND_RQ: u16 = 0x0020;
pub const C_ECHO_RQ: u16 = 0x0030;
pub const C_ECHO_RSP: u16 = 0x8030;
pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
pub const N_SET_RQ: u16 = 0x0120;
pub const N_ACTION_RQ: u16 = 0x0130;
pub const N_CREATE_RQ: u16 = 0x0140;
/// This bit of the command field makes a response of a request.
const RESPONSE: u16 = 0x8000;

pub const SUCCESS: u16 = 0x0000;

const NO_DATA_SET: u16 = 0x0101;
const DATA_SET_FOLLOWS: u16 = 0x0001;

// Elements of group 0000.
const GROUP_LENGTH: u16 = 0x0000;
const AFFECTED_SOP_CLASS: u16 = 0x0002;
const REQUESTED_SOP_CLASS: u16 = 0x0003;
const COMMAND_FIELD: u16 = 0x0100;
const MESSAGE_ID: u16 = 0x0110;
const MESSAGE_ID_RESPONDED_TO: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATA_SET_TYPE: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const ERROR_ID: u16 = 0x0903;
const AFFECTED_SOP_INSTANCE: u16 = 0x1000;
const REQUESTED_SOP_INSTANCE: u16 = 0x1001;
const EVENT_TYPE: u16 = 0x1002;
const ACTION_TYPE: u16 = 0x1008;

/// One command set: a map from element number to the bytes of the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command(BTreeMap<u16, Vec<u8>>);

impl Command {
    pub fn store_request(message_id: u16, sop_class: &str, sop_instance: &str) -> Self {
        Self::default()
            .uid(AFFECTED_SOP_CLASS, sop_class)
            .number(COMMAND_FIELD, C_STORE_RQ)
            .number(MESSAGE_ID, message_id)
            .number(PRIORITY, 0)
            .number(DATA_SET_TYPE, DATA_SET_FOLLOWS)
            .uid(AFFECTED_SOP_INSTANCE, sop_instance)
    }

    pub fn echo_request(message_id: u16) -> Self {
        Self::default()
            .uid(AFFECTED_SOP_CLASS, VERIFICATION)
            .number(COMMAND_FIELD, C_ECHO_RQ)
            .number(MESSAGE_ID, message_id)
            .number(DATA_SET_TYPE, NO_DATA_SET)
    }

    pub fn find_request(message_id: u16, sop_class: &str) -> Self {
        Self::asks(C_FIND_RQ, message_id).uid(AFFECTED_SOP_CLASS, sop_class).number(PRIORITY, 0)
    }

    /// N-CREATE; without an instance the peer chooses its UID.
    pub fn create_request(message_id: u16, sop_class: &str, sop_instance: Option<&str>) -> Self {
        let command = Self::asks(N_CREATE_RQ, message_id).uid(AFFECTED_SOP_CLASS, sop_class);
        match sop_instance {
            Some(uid) => command.uid(AFFECTED_SOP_INSTANCE, uid),
            None => command,
        }
    }

    pub fn set_request(message_id: u16, sop_class: &str, sop_instance: &str) -> Self {
        Self::asks(N_SET_RQ, message_id).uid(REQUESTED_SOP_CLASS, sop_class).uid(REQUESTED_SOP_INSTANCE, sop_instance)
    }

    /// N-ACTION of storage commitment.
    pub fn action_request(message_id: u16) -> Self {
        Self::asks(N_ACTION_RQ, message_id)
            .uid(REQUESTED_SOP_CLASS, COMMITMENT)
            .uid(REQUESTED_SOP_INSTANCE, COMMITMENT_INSTANCE)
            .number(ACTION_TYPE, 1)
    }

    /// N-EVENT-REPORT of storage commitment.
    pub fn event_request(message_id: u16, event_type: u16) -> Self {
        Self::asks(N_EVENT_REPORT_RQ, message_id)
            .uid(AFFECTED_SOP_CLASS, COMMITMENT)
            .uid(AFFECTED_SOP_INSTANCE, COMMITMENT_INSTANCE)
            .number(EVENT_TYPE, event_type)
    }

    /// A request with a data set.
    fn asks(field: u16, message_id: u16) -> Self {
        Self::default()
            .number(COMMAND_FIELD, field)
            .number(MESSAGE_ID, message_id)
            .number(DATA_SET_TYPE, DATA_SET_FOLLOWS)
    }

    /// The response to `request`, with the message ID and UIDs of the request.
    pub fn response(request: &Command, status: u16) -> Self {
        let mut response = Self::default()
            .number(COMMAND_FIELD, request.field().unwrap_or_default() | RESPONSE)
            .number(MESSAGE_ID_RESPONDED_TO, request.get_number(MESSAGE_ID).unwrap_or_default())
            .number(DATA_SET_TYPE, NO_DATA_SET)
            .number(STATUS, status);
        for (of_request, element) in [
            (AFFECTED_SOP_CLASS, AFFECTED_SOP_CLASS),
            (AFFECTED_SOP_INSTANCE, AFFECTED_SOP_INSTANCE),
            (REQUESTED_SOP_CLASS, AFFECTED_SOP_CLASS),
            (REQUESTED_SOP_INSTANCE, AFFECTED_SOP_INSTANCE),
            (EVENT_TYPE, EVENT_TYPE),
            (ACTION_TYPE, ACTION_TYPE),
        ] {
            if let Some(value) = request.0.get(&of_request) {
                response.0.insert(element, value.clone());
            }
        }
        response
    }

    fn uid(mut self, element: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        self.0.insert(element, bytes);
        self
    }

    fn number(mut self, element: u16, value: u16) -> Self {
        self.0.insert(element, value.to_le_bytes().to_vec());
        self
    }

    fn get_number(&self, element: u16) -> Option<u16> {
        self.0.get(&element).and_then(|v| v.as_slice().try_into().ok()).map(u16::from_le_bytes)
    }

    fn get_uid(&self, element: u16) -> Option<String> {
        let value = self.0.get(&element)?;
        Some(String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).to_owned())
    }

    pub fn field(&self) -> Option<u16> {
        self.get_number(COMMAND_FIELD)
    }

    pub fn status(&self) -> Option<u16> {
        self.get_number(STATUS)
    }

    pub fn message_id_responded_to(&self) -> Option<u16> {
        self.get_number(MESSAGE_ID_RESPONDED_TO)
    }

    pub fn message_id(&self) -> Option<u16> {
        self.get_number(MESSAGE_ID)
    }

    pub fn is_response(&self) -> bool {
        self.field().is_some_and(|field| field & RESPONSE != 0)
    }

    pub fn has_data_set(&self) -> bool {
        self.get_number(DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATA_SET)
    }

    pub fn event_type(&self) -> Option<u16> {
        self.get_number(EVENT_TYPE)
    }

    pub fn error_id(&self) -> Option<u16> {
        self.get_number(ERROR_ID)
    }

    pub fn sop_class(&self) -> Option<String> {
        self.get_uid(AFFECTED_SOP_CLASS)
    }

    pub fn sop_instance(&self) -> Option<String> {
        self.get_uid(AFFECTED_SOP_INSTANCE)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (element, value) in &self.0 {
            write_element(&mut body, *element, value);
        }
        let mut bytes = Vec::with_capacity(body.len() + 12);
        #[expect(clippy::cast_possible_truncation, reason = "a command set has a few hundred bytes")]
        write_element(&mut bytes, GROUP_LENGTH, &(body.len() as u32).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// # Errors
    /// When the bytes are not a command set in implicit VR little endian.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self> {
        let mut command = Self::default();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_at_checked(8).context("command set ends within an element")?;
            ensure!(header[..2] == [0, 0], "element of another group in a command set");
            let element = u16::from_le_bytes([header[2], header[3]]);
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            let (value, rest) = rest.split_at_checked(length).context("command set ends within a value")?;
            if element != GROUP_LENGTH {
                command.0.insert(element, value.to_vec());
            }
            bytes = rest;
        }
        Ok(command)
    }
}

fn write_element(out: &mut Vec<u8>, element: u16, value: &[u8]) {
    out.extend([0, 0]);
    out.extend(element.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "values of commands are UIDs and numbers")]
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_repeats_the_ids_of_its_request() {
        let request = Command::from_bytes(&Command::store_request(7, "1.2.3", "1.2.3.4").to_bytes()).unwrap();
        let response = Command::from_bytes(&Command::response(&request, 0xA700).to_bytes()).unwrap();
        assert_eq!(response.field(), Some(C_STORE_RSP));
        assert_eq!(response.message_id_responded_to(), Some(7));
        assert_eq!(response.sop_instance().as_deref(), Some("1.2.3.4"));
        assert_eq!(response.status(), Some(0xA700));
    }

    #[test]
    fn a_truncated_command_is_an_error() {
        let bytes = Command::echo_request(1).to_bytes();
        assert!(Command::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
