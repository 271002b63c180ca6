//! `Peer`: a scanner that may violate the protocol. It uses dicom-ul for PDUs, not the code under test.

use std::net::SocketAddr;
use std::time::Duration;

use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed, UserVariableItem, read_pdu, write_pdu,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixtures::{CT, IMPLICIT, PATIENCE};

pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// Connected and associated, with CT storage in context 1 and verification in context 3.
    pub async fn associate(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        peer.send(&Pdu::AssociationRQ(request("SCANSIDE", "CT1"))).await;
        let answer = peer.read().await;
        assert!(matches!(answer, Some(Pdu::AssociationAC(_))), "{answer:?}");
        peer
    }

    pub async fn send(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub async fn send_pdv(&mut self, context: u8, value_type: PDataValueType, is_last: bool, data: &[u8]) {
        let value = PDataValue { presentation_context_id: context, value_type, is_last, data: data.to_vec() };
        self.send(&Pdu::PData { data: vec![value] }).await;
    }

    /// The next PDU; `None` when the node closed the connection.
    pub async fn read(&mut self) -> Option<Pdu> {
        self.read_within(PATIENCE).await
    }

    pub async fn read_within(&mut self, limit: Duration) -> Option<Pdu> {
        let read = async {
            let mut bytes = vec![0; 6];
            self.stream.read_exact(&mut bytes).await.ok()?;
            let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize;
            bytes.resize(6 + length, 0);
            self.stream.read_exact(&mut bytes[6..]).await.ok()?;
            read_pdu(bytes.as_slice(), 1 << 20, true).unwrap()
        };
        tokio::time::timeout(limit, read).await.expect("the node answers or closes")
    }

    /// Waits until the node closes the connection. Returns the PDUs that it sent before.
    pub async fn until_closed(&mut self) -> Vec<Pdu> {
        let mut said = Vec::new();
        while let Some(pdu) = self.read().await {
            said.push(pdu);
        }
        said
    }

    /// Sends a C-STORE as a scanner does. Returns the status.
    pub async fn store(&mut self, message_id: u16, instance: &str, data_set: &[u8]) -> u16 {
        self.send_pdv(1, PDataValueType::Command, true, &store_command(message_id, instance)).await;
        let mut parts = data_set.chunks(16_000).peekable();
        while let Some(part) = parts.next() {
            self.send_pdv(1, PDataValueType::Data, parts.peek().is_none(), part).await;
        }
        self.status(message_id).await
    }

    pub async fn echo(&mut self, message_id: u16) -> u16 {
        let uid = b"1.2.840.10008.1.1\0";
        let command =
            command(&[(0x0002, uid), (0x0100, &[0x30, 0]), (0x0110, &message_id.to_le_bytes()), (0x0800, &[1, 1])]);
        self.send_pdv(3, PDataValueType::Command, true, &command).await;
        self.status(message_id).await
    }

    /// Waits for the response to `message_id`, which must fit one PDU. Returns its status.
    pub async fn status(&mut self, message_id: u16) -> u16 {
        let Some(Pdu::PData { data }) = self.read().await else { panic!("no response") };
        assert!(data[0].is_last && data[0].value_type == PDataValueType::Command);
        assert_eq!(number(&data[0].data, 0x0120), Some(message_id));
        number(&data[0].data, 0x0900).unwrap()
    }

    pub async fn release(mut self) {
        self.send(&Pdu::ReleaseRQ).await;
        assert_eq!(self.read().await, Some(Pdu::ReleaseRP));
    }
}

pub fn request(called: &str, calling: &str) -> AssociationRQ {
    let context = |id, uid: &str| PresentationContextProposed {
        id,
        abstract_syntax: uid.into(),
        transfer_syntaxes: vec![IMPLICIT.into()],
    };
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: calling.into(),
        called_ae_title: called.into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![context(1, CT), context(3, "1.2.840.10008.1.1")],
        user_variables: vec![UserVariableItem::MaxLength(16_384)],
    }
}

/// A command set of group 0000 elements.
pub fn command(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in elements {
        out.extend([0, 0]);
        out.extend(number.to_le_bytes());
        out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        out.extend(*value);
    }
    let mut whole = vec![0, 0, 0, 0, 4, 0, 0, 0];
    whole.extend(u32::try_from(out.len()).unwrap().to_le_bytes());
    whole.extend(out);
    whole
}

pub fn store_command(message_id: u16, instance: &str) -> Vec<u8> {
    let even = |uid: &str| {
        let mut bytes = uid.as_bytes().to_vec();
        bytes.resize(uid.len() + uid.len() % 2, 0);
        bytes
    };
    command(&[
        (0x0002, &even(CT)),
        (0x0100, &[1, 0]),
        (0x0110, &message_id.to_le_bytes()),
        (0x0700, &[0, 0]),
        (0x0800, &[0, 0]),
        (0x1000, &even(instance)),
    ])
}

fn value(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while bytes.len() >= 8 {
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        if bytes[2..4] == wanted.to_le_bytes() {
            return Some(&bytes[8..8 + length]);
        }
        bytes = &bytes[8 + length..];
    }
    None
}

/// The value of a 16-bit number in a command set.
pub fn number(bytes: &[u8], wanted: u16) -> Option<u16> {
    value(bytes, wanted).map(|value| u16::from_le_bytes(value.try_into().unwrap()))
}

/// The value of a text in a command set.
pub fn text(bytes: &[u8], wanted: u16) -> Option<String> {
    value(bytes, wanted).map(|value| String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).to_owned())
}
