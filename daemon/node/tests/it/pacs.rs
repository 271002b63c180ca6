//! `Pacs`: an archive whose answers the test chooses. It uses dicom-ul for PDUs, not the code under test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dicom_ul::pdu::{
    AssociationAC, PDataValue, PDataValueType, Pdu, PresentationContextResult, PresentationContextResultReason,
    UserVariableItem, read_pdu, write_pdu,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::peer::{command, number, text};

/// What the archive does with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    Answer(u16),
    /// The same, with a data set: an action reply, for instance.
    #[allow(dead_code, reason = "for the tests of the node")]
    Reply(u16),
    /// Closes the connection instead of answering.
    HangUp,
}

type Seen = (String, Vec<u8>);
type Rule = Box<dyn Fn(&str) -> Do + Send + Sync>;

pub struct Pacs {
    pub address: SocketAddr,
    /// SOP Instance UID and data set of every object, stored or refused, in order of arrival.
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// The largest PDU that was received, bytes, header included.
    pub largest_pdu: Arc<Mutex<usize>>,
    changed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pacs {
    pub async fn start(rule: impl Fn(&str) -> Do + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), 16_384, |_| true, rule).await
    }

    /// Takes every class in this transfer syntax only.
    pub async fn start_taking(only: &'static str, rule: impl Fn(&str) -> Do + Send + Sync + 'static) -> Self {
        Self::start_with("127.0.0.1:0".parse().unwrap(), 16_384, |_| true, Some(only), rule).await
    }

    /// `max_pdu` is offered; `accepts` is asked for each abstract syntax.
    pub async fn start_at(
        address: SocketAddr,
        max_pdu: u32,
        accepts: fn(&str) -> bool,
        rule: impl Fn(&str) -> Do + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(address, max_pdu, accepts, None, rule).await
    }

    async fn start_with(
        address: SocketAddr,
        max_pdu: u32,
        accepts: fn(&str) -> bool,
        only: Option<&'static str>,
        rule: impl Fn(&str) -> Do + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, changed) = watch::channel(0);
        let (seen, largest_pdu) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<usize>>::default());
        let (their_seen, their_largest) = (seen.clone(), largest_pdu.clone());
        let rule: Rule = Box::new(rule);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut association = Serving {
                    stream,
                    max_pdu,
                    accepts,
                    only,
                    rule: &rule,
                    seen: &their_seen,
                    largest: &their_largest,
                    sender: &sender,
                };
                // One association at a time: only one test uses this archive.
                association.run().await;
            }
        });
        Self { address, seen, largest_pdu, changed, task }
    }

    pub fn uids(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(uid, _)| uid.clone()).collect()
    }

    /// Waits until `count` objects have arrived.
    pub async fn until_seen(&mut self, count: usize) {
        let enough = self.changed.wait_for(|seen| *seen >= count);
        tokio::time::timeout(super::fixtures::PATIENCE, enough).await.expect("objects come").unwrap();
    }
}

struct Serving<'a> {
    stream: TcpStream,
    max_pdu: u32,
    accepts: fn(&str) -> bool,
    only: Option<&'static str>,
    rule: &'a Rule,
    seen: &'a Mutex<Vec<Seen>>,
    largest: &'a Mutex<usize>,
    sender: &'a watch::Sender<usize>,
}

impl Serving<'_> {
    async fn run(&mut self) {
        let (mut asked, mut data_set) = (Vec::new(), Vec::new());
        while let Some(pdu) = self.read().await {
            match pdu {
                Pdu::AssociationRQ(request) => {
                    let contexts = request.presentation_contexts.iter().map(|context| PresentationContextResult {
                        id: context.id,
                        reason: if !(self.accepts)(&context.abstract_syntax) {
                            PresentationContextResultReason::AbstractSyntaxNotSupported
                        } else if self.only.is_some_and(|only| context.transfer_syntaxes[0] != only) {
                            PresentationContextResultReason::TransferSyntaxesNotSupported
                        } else {
                            PresentationContextResultReason::Acceptance
                        },
                        transfer_syntax: context.transfer_syntaxes[0].clone(),
                    });
                    let accept = AssociationAC {
                        protocol_version: 1,
                        calling_ae_title: request.calling_ae_title.clone(),
                        called_ae_title: request.called_ae_title.clone(),
                        application_context_name: request.application_context_name.clone(),
                        presentation_contexts: contexts.collect(),
                        user_variables: vec![UserVariableItem::MaxLength(self.max_pdu)],
                    };
                    self.send(&Pdu::AssociationAC(accept)).await;
                }
                Pdu::PData { data } => {
                    for value in data {
                        let part = if value.value_type == PDataValueType::Command { &mut asked } else { &mut data_set };
                        part.extend(value.data);
                        let is_echo = number(&asked, 0x0800) == Some(0x0101);
                        let complete = value.is_last && (value.value_type == PDataValueType::Data || is_echo);
                        if complete && !self.answer(value.presentation_context_id, &asked, &data_set).await {
                            return;
                        }
                        if complete {
                            asked.clear();
                            data_set.clear();
                        }
                    }
                }
                Pdu::ReleaseRQ => self.send(&Pdu::ReleaseRP).await,
                _ => return,
            }
        }
    }

    async fn answer(&mut self, context: u8, asked: &[u8], data_set: &[u8]) -> bool {
        let uid = text(asked, 0x1000).unwrap_or_default();
        let done = (self.rule)(&uid);
        if !data_set.is_empty() {
            let mut seen = self.seen.lock().unwrap();
            seen.push((uid, data_set.to_vec()));
            self.sender.send_replace(seen.len());
        }
        let (status, has_data_set) = match done {
            Do::Answer(status) => (status, false),
            Do::Reply(status) => (status, true),
            Do::HangUp => return false,
        };
        let field = number(asked, 0x0100).unwrap() | 0x8000;
        let id = number(asked, 0x0110).unwrap();
        let bytes = command(&[
            (0x0100, &field.to_le_bytes()),
            (0x0120, &id.to_le_bytes()),
            (0x0800, if has_data_set { &[0, 0] } else { &[1, 1] }),
            (0x0900, &status.to_le_bytes()),
            (0x0902, b"as told "),
        ]);
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: bytes,
        };
        self.send(&Pdu::PData { data: vec![value] }).await;
        if has_data_set {
            let value = PDataValue {
                presentation_context_id: context,
                value_type: PDataValueType::Data,
                is_last: true,
                // Transaction UID (0008,1195), in Implicit VR Little Endian.
                data: b"\x08\x00\x95\x11\x04\x00\x00\x001.9\x00".to_vec(),
            };
            self.send(&Pdu::PData { data: vec![value] }).await;
        }
        true
    }

    async fn send(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn read(&mut self) -> Option<Pdu> {
        let mut bytes = vec![0; 6];
        self.stream.read_exact(&mut bytes).await.ok()?;
        let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize;
        bytes.resize(6 + length, 0);
        self.stream.read_exact(&mut bytes[6..]).await.ok()?;
        let mut largest = self.largest.lock().unwrap();
        *largest = (*largest).max(bytes.len());
        read_pdu(bytes.as_slice(), 1 << 21, true).unwrap()
    }
}
