//! C-STORE and C-ECHO out: one association per batch. A file goes in the presentation context of its own SOP class and
//! transfer syntax, as it is. What is stored in Explicit VR Little Endian goes in Implicit VR Little Endian to a peer that
//! takes only that; compressed objects go as they are or not at all.

mod ask;
mod data_set;
mod fetch;
mod find;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dicom::file_meta;
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{AbortRQSource, Pdu};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::ask::Early;
use self::data_set::{DataSet, Encoding};
use crate::association::{Context, Fault, Inbound, Messages, Sender, Timers};
use crate::elements::Syntax;
use crate::message::{self, Command};
use crate::open::{self, Limit, Opened, Proposed};
use crate::outcome::{self, Outcome};
use crate::status::SUCCESS;
use crate::tls::link::Link;
use crate::{COMMITMENT, VERIFICATION};

pub(crate) use self::fetch::{Fetched, Sink};
pub(crate) use self::find::Next;
pub use crate::peer::{Error, Rejection, SendFault, Target, Way};

/// Stall: during negotiation and within a PDU. Idle: for a response, since archives index an object before they answer.
const TIMERS: Timers = Timers { stall: Duration::from_secs(30), idle: Duration::from_secs(120) };
const RELEASE: Duration = Duration::from_secs(10);
/// Time limit for a whole echo, which a user is waiting for.
const ECHO: Duration = Duration::from_secs(10);
/// Bytes of the attributes that come with an answer and are kept; none is used.
const MOST_ATTRIBUTES: usize = 0;
const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;
const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
/// The last one: Explicit VR Big Endian (retired).
const UNCOMPRESSED: [&str; 3] = [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2"];

/// A Part 10 file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: PathBuf,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// Bytes from the start of the file to the data set.
    pub data_set_offset: u64,
}

impl File {
    /// Reads the file meta information. Blocks.
    ///
    /// # Errors
    /// `File`, when it cannot be read or is not a Part 10 file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::File { path: path.to_owned(), reason };
        let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let meta =
            file_meta::read(&mut std::io::BufReader::new(file)).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            sop_class_uid: meta.sop_class_uid,
            sop_instance_uid: meta.sop_instance_uid,
            transfer_syntax_uid: meta.transfer_syntax_uid,
            data_set_offset: meta.data_set_offset,
        })
    }
}

/// Sends `files` in order over one association. `on_answer` receives the index of each file and either its status
/// (success or a warning: the peer has the object) or why the peer did not take it.
///
/// # Errors
/// When the association fails; the peer has not confirmed the files without an answer.
pub async fn store(
    target: &Target,
    files: &[File],
    mut on_answer: impl FnMut(usize, Result<u16, Error>),
) -> Result<(), Error> {
    let mut association = Association::open(target, files).await?;
    for (index, file) in files.iter().enumerate() {
        match association.store(file).await {
            Err(error) if error.kind() == SendFault::Connection => return Err(error),
            answer => on_answer(index, answer),
        }
    }
    association.release().await;
    Ok(())
}

/// Sends a C-ECHO over an association of its own.
///
/// # Errors
/// When the peer cannot be reached, does not answer within 10 s, or does not answer with success.
pub async fn echo(target: &Target) -> Result<(), Error> {
    echo_within(target, ECHO).await
}

/// As [`echo`], with `patience` as the time limit for all of it: connection, association, answer.
///
/// # Errors
/// As [`echo`].
pub async fn echo_within(target: &Target, patience: Duration) -> Result<(), Error> {
    let limit = Limit::of(target, patience);
    let opened = limit.open(target, vec![Proposed::new(VERIFICATION, IMPLICIT)], TIMERS).await?;
    let mut association = Association::on(opened);
    limit.hold("answer the C-ECHO", association.echo()).await?;
    association.release().await;
    Ok(())
}

/// An association that we requested. Dropping it closes the connection; [`Association::release`] releases it properly.
#[derive(Debug)]
pub struct Association {
    messages: Messages<ReadHalf<Link>>,
    sender: Sender<WriteHalf<Link>>,
    accepted: Vec<Context>,
    /// SOP class, transfer syntax, and the peer's reason.
    rejected: Vec<(String, String, Rejection)>,
    next_message_id: u16,
    /// A report that is not answered yet, and its context.
    reporting: Option<(Command, u8)>,
    /// Reports that came while an answer was awaited, and are not read yet.
    early: VecDeque<Early>,
    over: bool,
}

impl Association {
    /// Associates for sending `files`: one presentation context for each pair of SOP class and transfer syntax, and one
    /// in Implicit VR Little Endian for each class that is stored in Explicit VR Little Endian. One syntax each: a peer that takes
    /// both gets the file as it is.
    ///
    /// # Errors
    /// Of kind `Connection`.
    pub async fn open(target: &Target, files: &[File]) -> Result<Self, Error> {
        Self::open_asking(target, files, false).await
    }

    /// As [`Association::open`]; `asking` for storage commitment, too.
    ///
    /// # Errors
    /// Of kind `Connection`.
    pub async fn open_asking(target: &Target, files: &[File], asking: bool) -> Result<Self, Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for file in files {
            let pair = (file.sop_class_uid.clone(), file.transfer_syntax_uid.clone());
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        // Last: these are for want of something better.
        let explicit = pairs.iter().filter(|(_, syntax)| syntax == EXPLICIT);
        let fallback: Vec<_> = explicit.map(|(class, _)| (class.clone(), IMPLICIT.to_owned())).collect();
        let new: Vec<_> = fallback.into_iter().filter(|pair| !pairs.contains(pair)).collect();
        pairs.extend(new);
        let asked = asking.then_some([IMPLICIT, EXPLICIT]).into_iter().flatten();
        let asked = asked.map(|syntax| Proposed::new(COMMITMENT, syntax));
        // First, so that they are among those that are proposed.
        let proposed = asked.chain(pairs.iter().map(|(class, syntax)| Proposed::new(class, syntax))).collect();
        Ok(Self::on(open::open(target, proposed, TIMERS).await?))
    }

    /// On a connection that stands, with TLS if the target has it, and one context for each pair of SOP class and transfer
    /// syntax.
    pub(crate) async fn negotiate_on(
        stream: TcpStream,
        target: &Target,
        pairs: Vec<(String, String)>,
    ) -> Result<Self, Error> {
        let proposed = pairs.iter().map(|(class, syntax)| Proposed::new(class, syntax)).collect();
        let link = open::secured(stream, target).await?;
        Ok(Self::on(open::negotiate_on(link, target, proposed, TIMERS).await?))
    }

    pub(super) fn on(opened: Opened) -> Self {
        let Opened { messages, sender, accepted, rejected, .. } = opened;
        Self {
            messages,
            sender,
            accepted,
            rejected,
            next_message_id: 1,
            reporting: None,
            early: VecDeque::new(),
            over: false,
        }
    }

    /// Sends one file; the status is one with which the peer has it: [`outcome::of`] says which.
    ///
    /// # Errors
    /// Of kind `Object` or `ObjectForGood`: the association goes on. Of kind `Connection`: it is over.
    pub async fn store(&mut self, file: &File) -> Result<u16, Error> {
        if self.over {
            return Err(Fault::Closed.into());
        }
        let (context, encoding) = self.context_for(&file.sop_class_uid, &file.transfer_syntax_uid)?;
        let mut data_set = DataSet::open(file, encoding).await?;
        let message_id = self.take_message_id();
        let command = message::store_request(message_id, &file.sop_class_uid, &file.sop_instance_uid);
        let sent = async {
            self.sender.command(context, &command).await?;
            let mut buffer = vec![0; self.sender.data_per_pdu()];
            loop {
                let (bytes, last) = data_set.next(&mut buffer).await?;
                self.sender.data(context, bytes, last).await?;
                if last {
                    return Ok(());
                }
            }
        };
        if let Err(error) = sent.await {
            return Err(self.over(error).await);
        }
        let (status, comment) = self.answer(message_id).await?;
        match outcome::of(status) {
            Outcome::Stored | Outcome::Warned => Ok(status),
            Outcome::Full | Outcome::Again | Outcome::Hold | Outcome::Unclear | Outcome::GivenUp => {
                Err(Error::Refused { status, comment })
            }
        }
    }

    /// SOP class, transfer syntax and reason of each context that the peer rejected.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = &(String, String, Rejection)> {
        self.rejected.iter()
    }

    /// Whether the association has ended, because it failed or a file could not be read completely.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// # Errors
    /// When the answer is not success, or the association fails.
    pub async fn echo(&mut self) -> Result<(), Error> {
        let context = self.context_for(VERIFICATION, IMPLICIT)?.0;
        let message_id = self.take_message_id();
        self.sender.command(context, &message::echo_request(message_id)).await?;
        match self.answer(message_id).await? {
            (SUCCESS, _) => Ok(()),
            (status, comment) => Err(Error::Refused { status, comment }),
        }
    }

    /// Sends a DIMSE-N request with a data set, in the first context of this class that was accepted. Returns status and
    /// comment of the answer.
    pub(super) async fn request(
        &mut self,
        class: &str,
        command: impl FnOnce(u16) -> Vec<u8>,
        data_set: impl FnOnce(Syntax) -> Vec<u8>,
    ) -> Result<(u16, String), Error> {
        let answer = self.request_in_full(class, command, data_set).await?;
        Ok((answer.status, answer.comment))
    }

    /// As [`Association::request`]; returns the whole answer. A data set that comes with it (attributes of the instance, an action reply, an
    /// event reply: PS3.7 sections 10.1.1, 10.1.4 and 10.1.5) is read and passed over.
    pub(super) async fn request_in_full(
        &mut self,
        class: &str,
        command: impl FnOnce(u16) -> Vec<u8>,
        data_set: impl FnOnce(Syntax) -> Vec<u8>,
    ) -> Result<Command, Error> {
        let (message_id, _) = self.put(class, command, data_set).await?;
        let answer = self.response(message_id).await?;
        if answer.has_data_set
            && let Err(fault) = self.data_set(MOST_ATTRIBUTES).await
        {
            // The answer counts; the next message finds the association over.
            let _ = self.over(fault.into()).await;
        }
        Ok(answer)
    }

    /// Sends a DIMSE-N request without a data set, in the first context of this class that was accepted. Returns the answer, its data set
    /// (`None`: it has more than `most` bytes), and the transfer syntax.
    pub(super) async fn attributes(
        &mut self,
        class: &str,
        command: impl FnOnce(u16) -> Vec<u8>,
        most: usize,
    ) -> Result<(Command, Option<Vec<u8>>, String), Error> {
        if self.over {
            return Err(Fault::Closed.into());
        }
        let found = self.accepted.iter().find(|context| context.abstract_syntax == class).cloned();
        let Some(context) = found else { return Err(self.not_accepted(class, IMPLICIT)) };
        let message_id = self.take_message_id();
        if let Err(fault) = self.sender.command(context.id, &command(message_id)).await {
            return Err(self.over(fault.into()).await);
        }
        let answer = self.response(message_id).await?;
        if !answer.has_data_set {
            return Ok((answer, Some(Vec::new()), context.transfer_syntax));
        }
        match self.data_set(most).await {
            Ok(bytes) => Ok((answer, bytes, context.transfer_syntax)),
            Err(fault) => Err(self.over(fault.into()).await),
        }
    }

    /// Why no context of this class was accepted; `None` when one was.
    pub(super) fn refuses(&self, class: &str) -> Option<Error> {
        (!self.offers(class)).then(|| self.not_accepted(class, IMPLICIT))
    }

    /// Sends a request with a data set, as [`Association::request`], and does not wait for the answer. Returns its message id
    /// and its context.
    async fn put(
        &mut self,
        class: &str,
        command: impl FnOnce(u16) -> Vec<u8>,
        data_set: impl FnOnce(Syntax) -> Vec<u8>,
    ) -> Result<(u16, Context), Error> {
        if self.over {
            return Err(Fault::Closed.into());
        }
        let found = self.accepted.iter().find(|context| context.abstract_syntax == class).cloned();
        let Some(context) = found else { return Err(self.not_accepted(class, IMPLICIT)) };
        let syntax = Syntax::of(&context.transfer_syntax).unwrap_or(Syntax::Implicit);
        let message_id = self.take_message_id();
        let (command, data_set) = (command(message_id), data_set(syntax));
        let sent = async {
            self.sender.command(context.id, &command).await?;
            self.sender.data_set(context.id, &data_set).await
        };
        match sent.await {
            Ok(()) => Ok((message_id, context)),
            Err(fault) => Err(self.over(fault.into()).await),
        }
    }

    /// Whether a context of this class was accepted.
    pub fn offers(&self, class: &str) -> bool {
        self.accepted.iter().any(|context| context.abstract_syntax == class)
    }

    /// Releases the association. An error is ignored: it does not change the answers that were received.
    pub async fn release(mut self) {
        let response = async {
            self.sender.pdus.send_pdu(&Pdu::ReleaseRQ).await?;
            while !matches!(self.messages.next().await?, Inbound::ReleaseResponse) {}
            Ok::<_, Fault>(())
        };
        let _ = timeout(RELEASE, response).await;
        self.sender.pdus.close().await;
    }

    /// The presentation context for an object stored in `syntax`, and how its data set goes in it.
    fn context_for(&self, class: &str, syntax: &str) -> Result<(u8, Encoding), Error> {
        let accepted = |syntax: &str| {
            let matches = |context: &&Context| context.abstract_syntax == class && context.transfer_syntax == syntax;
            self.accepted.iter().find(matches).map(|context| context.id)
        };
        if let Some(id) = accepted(syntax) {
            return Ok((id, Encoding::AsStored));
        }
        if syntax == EXPLICIT
            && let Some(id) = accepted(IMPLICIT)
        {
            return Ok((id, Encoding::Implicit));
        }
        Err(self.not_accepted(class, syntax))
    }

    fn not_accepted(&self, class: &str, syntax: &str) -> Error {
        let rejected = self.rejected.iter().find(|(c, s, _)| c == class && s == syntax);
        let why = match rejected.map_or(Rejection::NotProposed, |(_, _, why)| *why) {
            Rejection::TransferSyntax if !UNCOMPRESSED.contains(&syntax) => Rejection::Compressed,
            why => why,
        };
        Error::NotAccepted { sop_class_uid: class.to_owned(), transfer_syntax_uid: syntax.to_owned(), why }
    }

    fn take_message_id(&mut self) -> u16 {
        let id = self.next_message_id;
        self.next_message_id = id.wrapping_add(1).max(1);
        id
    }

    /// Status and comment of the response to `message_id`.
    async fn answer(&mut self, message_id: u16) -> Result<(u16, String), Error> {
        let response = self.response(message_id).await?;
        Ok((response.status, response.comment))
    }

    /// The response to `message_id`. An archive may report storage commitment meanwhile, even what it has not yet said that it was asked:
    /// that is kept for [`Association::report`]. Nothing else may come.
    async fn response(&mut self, message_id: u16) -> Result<Command, Error> {
        let unexpected = |what: String| {
            Error::Association(Fault::protocol(dicom_ul::pdu::AbortRQServiceProviderReason::UnexpectedPdu, what))
        };
        loop {
            let inbound = match self.messages.next().await {
                Ok(Inbound::Command(command, context)) => Ok((command, context)),
                Ok(Inbound::ReleaseRequest) => {
                    let _ = self.sender.pdus.send_pdu(&Pdu::ReleaseRP).await;
                    Err(Error::Association(Fault::Closed))
                }
                Ok(_) => Err(unexpected("something other than a response".into())),
                Err(fault) => Err(Error::Association(fault)),
            };
            let (command, context) = match inbound {
                Ok(inbound) => inbound,
                Err(error) => return Err(self.over(error).await),
            };
            if command.is_response() && command.message_id == message_id {
                return Ok(command);
            }
            if !self.may_be_early(&command, &context) {
                let what = format!("message {} instead of the response to message {message_id}", command.message_id);
                return Err(self.over(unexpected(what)).await);
            }
            if let Err(fault) = self.keep_early(command, &context).await {
                return Err(self.over(fault.into()).await);
            }
        }
    }

    /// Ends the association after `error`. If the peer sent an A-ABORT, its reason replaces `error`.
    async fn over(&mut self, error: Error) -> Error {
        self.over = true;
        if let Error::Association(Fault::Io(_)) = error {
            // An A-ABORT that arrived while we were writing explains more than a broken pipe.
            let abort = timeout(Duration::from_secs(1), self.messages.next()).await;
            return match abort {
                Ok(Err(fault @ Fault::Aborted(_))) => Error::Association(fault),
                _ => error,
            };
        }
        let abort = match &error {
            Error::Association(fault) => fault.abort(),
            _ => Some(Pdu::AbortRQ { source: AbortRQSource::ServiceUser }),
        };
        if let Some(abort) = abort {
            let _ = self.sender.pdus.send_pdu(&abort).await;
        }
        self.sender.pdus.close().await;
        error
    }
}
