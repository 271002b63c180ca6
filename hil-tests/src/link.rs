//! One association of a simulated peer, PDU by PDU and in either role, so that it can propose, send and answer what a vendor's does:
//! its implementation UID, several contexts of one class, roles, PDUs of its size. Written independently of the daemon's code.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason, RequestorRoles, UserVariableItem, read_pdu, write_pdu,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dimse::Command;

/// A peer that is silent for this long counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a P-DATA-TF PDU before the fragment: item length, context id, message control header.
const FRAGMENT_OVERHEAD: usize = 6;
const HEADER: usize = 6;
/// The largest PDU that is read, bytes; no peer here sends more.
const LARGEST: u32 = 4 << 20;
/// "No limit" (a maximum length of 0) is sent in fragments of this size.
const USUAL_FRAGMENT: usize = 64 * 1024;
const APPLICATION: &str = "1.2.840.10008.3.1.1.1";

/// What an association request says.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    pub calling: String,
    pub called: String,
    pub implementation_class_uid: String,
    pub implementation_version_name: String,
    /// The largest PDU that this peer takes, bytes; 0: any.
    pub max_pdu: u32,
    /// SOP class and transfer syntaxes of each presentation context, in order.
    pub contexts: Vec<(String, Vec<String>)>,
    /// SOP class, SCU, SCP.
    pub roles: Vec<(String, bool, bool)>,
}

/// A presentation context that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub id: u8,
    pub class: String,
    pub syntax: String,
}

/// A whole DIMSE message.
#[derive(Debug, Clone)]
pub struct Message {
    pub context: u8,
    pub command: Command,
    pub data: Vec<u8>,
}

/// What comes next.
#[derive(Debug)]
pub enum Heard {
    Message(Message),
    Release,
    /// An A-ABORT, or the end of the connection.
    Gone,
}

#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    read: Vec<u8>,
    pub contexts: Vec<Context>,
    pub peer: String,
    /// Of a P-DATA-TF PDU that the peer takes.
    fragment: usize,
    next_id: u16,
    command: Vec<u8>,
    open: Option<Message>,
    /// Requests of the peer that came while an answer was awaited.
    early: VecDeque<Message>,
    /// Bytes of data sets that may still come before it hangs up.
    may_come: Option<u64>,
}

impl Link {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::new(),
            contexts: Vec::new(),
            peer: String::new(),
            fragment: USUAL_FRAGMENT,
            next_id: 0,
            command: Vec::new(),
            open: None,
            early: VecDeque::new(),
            may_come: None,
        })
    }

    /// Requests an association.
    ///
    /// # Errors
    /// When the peer cannot be reached, rejects or hangs up.
    pub async fn request(address: std::net::SocketAddr, proposal: &Proposal) -> Result<Self> {
        let mut link = Self::new(timeout(PATIENCE, TcpStream::connect(address)).await??)?;
        let contexts = proposal.contexts.iter().zip((1..=255).step_by(2));
        let mut user_variables = vec![UserVariableItem::MaxLength(proposal.max_pdu)];
        user_variables.push(UserVariableItem::ImplementationClassUID(proposal.implementation_class_uid.clone()));
        user_variables.extend(proposal.roles.iter().map(|(class, scu, scp)| {
            UserVariableItem::ScuScpRoleSelectionSubItem(class.clone(), RequestorRoles { scu: *scu, scp: *scp })
        }));
        if !proposal.implementation_version_name.is_empty() {
            let name = proposal.implementation_version_name.clone();
            user_variables.push(UserVariableItem::ImplementationVersionName(name));
        }
        let request = AssociationRQ {
            protocol_version: 1,
            calling_ae_title: proposal.calling.clone(),
            called_ae_title: proposal.called.clone(),
            application_context_name: APPLICATION.to_owned(),
            presentation_contexts: contexts
                .map(|((class, syntaxes), id)| PresentationContextProposed {
                    id,
                    abstract_syntax: class.clone(),
                    transfer_syntaxes: syntaxes.clone(),
                })
                .collect(),
            user_variables,
        };
        let proposed = request.presentation_contexts.clone();
        link.send(&Pdu::AssociationRQ(request)).await?;
        let accept = match link.pdu().await? {
            Some(Pdu::AssociationAC(accept)) => accept,
            Some(other) => bail!("{} instead of an acceptance", other.short_description()),
            None => bail!("hung up instead of an acceptance"),
        };
        for answer in &accept.presentation_contexts {
            let asked = proposed.iter().find(|one| one.id == answer.id);
            if let (PresentationContextResultReason::Acceptance, Some(asked)) = (&answer.reason, asked) {
                let (class, syntax) = (asked.abstract_syntax.clone(), answer.transfer_syntax.clone());
                ensure!(asked.transfer_syntaxes.contains(&syntax), "{class}: accepted with {syntax}, not proposed");
                link.contexts.push(Context { id: answer.id, class, syntax });
            }
        }
        link.peer.clone_from(&proposal.called);
        link.takes(&accept.user_variables);
        Ok(link)
    }

    /// Accepts an association: `decide` names the transfer syntax of a context, or why not. Proposed roles are granted.
    ///
    /// # Errors
    /// When the peer sends anything but an association request.
    pub async fn accept(
        stream: TcpStream,
        max_pdu: u32,
        decide: impl Fn(&str, &[String]) -> Result<String, PresentationContextResultReason>,
    ) -> Result<Self> {
        let mut link = Self::new(stream)?;
        let Some(Pdu::AssociationRQ(request)) = link.pdu().await? else { bail!("no association request") };
        let mut answers = Vec::new();
        for asked in &request.presentation_contexts {
            let first = asked.transfer_syntaxes.first().cloned().unwrap_or_default();
            let (reason, transfer_syntax) = match decide(&asked.abstract_syntax, &asked.transfer_syntaxes) {
                Ok(syntax) => {
                    let (class, syntax_of) = (asked.abstract_syntax.clone(), syntax.clone());
                    link.contexts.push(Context { id: asked.id, class, syntax: syntax_of });
                    (PresentationContextResultReason::Acceptance, syntax)
                }
                Err(reason) => (reason, first),
            };
            answers.push(PresentationContextResult { id: asked.id, reason, transfer_syntax });
        }
        let mut user_variables = vec![
            UserVariableItem::MaxLength(max_pdu),
            UserVariableItem::ImplementationClassUID("2.25.310279301217433512706186271936563265771".into()),
        ];
        let roles = request.user_variables.iter();
        user_variables
            .extend(roles.filter(|one| matches!(one, UserVariableItem::ScuScpRoleSelectionSubItem(..))).cloned());
        let accept = AssociationAC {
            protocol_version: 1,
            calling_ae_title: request.calling_ae_title.clone(),
            called_ae_title: request.called_ae_title.clone(),
            application_context_name: request.application_context_name.clone(),
            presentation_contexts: answers,
            user_variables,
        };
        link.peer = request.calling_ae_title.trim().to_owned();
        link.takes(&request.user_variables);
        link.send(&Pdu::AssociationAC(accept)).await?;
        Ok(link)
    }

    fn takes(&mut self, variables: &[UserVariableItem]) {
        for variable in variables {
            if let UserVariableItem::MaxLength(length) = variable
                && *length > 0
            {
                self.fragment = (*length as usize).saturating_sub(FRAGMENT_OVERHEAD).clamp(64, USUAL_FRAGMENT);
            }
        }
    }

    /// Sends no larger fragments than this, bytes.
    pub fn fragments_of(&mut self, bytes: usize) {
        self.fragment = self.fragment.min(bytes.max(64));
    }

    /// Hangs up after so many bytes of data sets.
    pub fn takes_at_most(&mut self, bytes: Option<u64>) {
        self.may_come = bytes;
    }

    /// The context of a class in one of these transfer syntaxes; without any, in any.
    pub fn context(&self, class: &str, syntaxes: &[&str]) -> Option<&Context> {
        self.contexts
            .iter()
            .find(|one| one.class == class && (syntaxes.is_empty() || syntaxes.contains(&one.syntax.as_str())))
    }

    pub fn context_of(&self, message: &Message) -> Option<&Context> {
        self.contexts.iter().find(|one| one.id == message.context)
    }

    pub fn take_id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1).max(1);
        self.next_id
    }

    /// Sends a command, and its data set if it has one. `bytes_per_sec`: of the line.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn put(
        &mut self,
        context: u8,
        command: &Command,
        data: Option<&[u8]>,
        bytes_per_sec: Option<u32>,
    ) -> Result<()> {
        self.fragments(context, PDataValueType::Command, &command.to_bytes(), None).await?;
        match data {
            Some(data) => self.fragments(context, PDataValueType::Data, data, bytes_per_sec).await,
            None => Ok(()),
        }
    }

    async fn fragments(&mut self, context: u8, kind: PDataValueType, bytes: &[u8], rate: Option<u32>) -> Result<()> {
        let last = bytes.len().div_ceil(self.fragment).max(1) - 1;
        for index in 0..=last {
            let part = &bytes[index * self.fragment..bytes.len().min((index + 1) * self.fragment)];
            let value = PDataValue {
                presentation_context_id: context,
                value_type: kind.clone(),
                is_last: index == last,
                data: part.to_vec(),
            };
            self.send(&Pdu::PData { data: vec![value] }).await?;
            if let Some(rate) = rate {
                sleep(Duration::from_secs_f64(part.len() as f64 / f64::from(rate.max(1)))).await;
            }
        }
        Ok(())
    }

    /// Sends a request and waits for its answer. What the peer asks meanwhile is kept for [`Link::next`].
    ///
    /// # Errors
    /// When the connection breaks or the peer is silent for a minute.
    pub async fn ask(&mut self, context: u8, command: &Command, data: Option<&[u8]>) -> Result<Message> {
        self.put(context, command, data, None).await?;
        self.answer(command.message_id().unwrap_or_default()).await
    }

    /// Waits for the answer to this message.
    ///
    /// # Errors
    /// As [`Link::ask`].
    pub async fn answer(&mut self, message_id: u16) -> Result<Message> {
        loop {
            match timeout(PATIENCE, self.read_next()).await.context("no answer within a minute")?? {
                Heard::Message(message) if message.command.is_response() => {
                    ensure!(
                        message.command.message_id_responded_to() == Some(message_id),
                        "an answer to another message"
                    );
                    return Ok(message);
                }
                Heard::Message(message) => self.early.push_back(message),
                Heard::Release => bail!("a release instead of an answer"),
                Heard::Gone => bail!("hung up instead of an answer"),
            }
        }
    }

    /// The next message. Safe to be cancelled.
    ///
    /// # Errors
    /// When the peer sends what is no DICOM.
    pub async fn next(&mut self) -> Result<Heard> {
        match self.early.pop_front() {
            Some(message) => Ok(Heard::Message(message)),
            None => self.read_next().await,
        }
    }

    async fn read_next(&mut self) -> Result<Heard> {
        loop {
            let Some(pdu) = self.pdu().await? else { return Ok(Heard::Gone) };
            match pdu {
                Pdu::PData { data } => {
                    // One message at a time: there are no asynchronous operations.
                    let mut whole = None;
                    for value in data {
                        whole = self.add(value)?.or(whole);
                    }
                    if let Some(message) = whole {
                        return Ok(Heard::Message(message));
                    }
                }
                Pdu::ReleaseRQ => {
                    self.send(&Pdu::ReleaseRP).await?;
                    return Ok(Heard::Release);
                }
                Pdu::AbortRQ { .. } => return Ok(Heard::Gone),
                other => bail!("{} within an association", other.short_description()),
            }
        }
    }

    /// The same, until `end`; `None`: nothing came.
    ///
    /// # Errors
    /// As [`Link::next`].
    pub async fn next_until(&mut self, end: Instant) -> Result<Option<Heard>> {
        match timeout_at(end, self.next()).await {
            Ok(heard) => heard.map(Some),
            Err(_) => Ok(None),
        }
    }

    fn add(&mut self, value: PDataValue) -> Result<Option<Message>> {
        if value.value_type == PDataValueType::Command {
            self.command.extend(value.data);
            if !value.is_last {
                return Ok(None);
            }
            let command = Command::from_bytes(&std::mem::take(&mut self.command))?;
            let message = Message { context: value.presentation_context_id, command, data: Vec::new() };
            if !message.command.has_data_set() {
                return Ok(Some(message));
            }
            self.open = Some(message);
            return Ok(None);
        }
        if let Some(left) = &mut self.may_come {
            *left = left.checked_sub(value.data.len() as u64).context("enough: it hangs up")?;
        }
        let open = self.open.as_mut().context("data set without a command")?;
        open.data.extend(value.data);
        Ok(if value.is_last { self.open.take() } else { None })
    }

    /// Answers a message.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn respond(&mut self, message: &Message, status: u16) -> Result<()> {
        self.put(message.context, &Command::response(&message.command, status), None, None).await
    }

    /// # Errors
    /// When the peer does not answer.
    pub async fn release(mut self) -> Result<()> {
        self.send(&Pdu::ReleaseRQ).await?;
        loop {
            match timeout(PATIENCE, self.pdu()).await?? {
                None | Some(Pdu::ReleaseRP | Pdu::AbortRQ { .. }) => return Ok(()),
                Some(_) => {}
            }
        }
    }

    async fn send(&mut self, pdu: &Pdu) -> Result<()> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu)?;
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// `None`: the connection has ended. Safe to be cancelled.
    async fn pdu(&mut self) -> Result<Option<Pdu>> {
        loop {
            if let Some(head) = self.read.get(..HEADER) {
                let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
                ensure!(length <= LARGEST, "a PDU of {length} bytes");
                let whole = HEADER + length as usize;
                if self.read.len() >= whole {
                    let bytes: Vec<u8> = self.read.drain(..whole).collect();
                    return Ok(read_pdu(bytes.as_slice(), LARGEST, false)?);
                }
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
