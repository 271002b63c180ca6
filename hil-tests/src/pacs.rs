//! The simulated archive: a C-ECHO and C-STORE SCP that can accept, refuse, stop answering or disappear, and stores
//! what it receives, bit for bit, in a folder.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dicom_ul::ServerAssociationOptions;
use dicom_ul::association::Association as _;
use dicom_ul::association::server::AsyncServerAssociation;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::deadline;
use crate::dimse::{C_ECHO_RQ, C_STORE_RQ, Command, SUCCESS};
use crate::part10;

/// What the archive does with a C-STORE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    Accept,
    /// Answers with this DIMSE status and stores nothing.
    Refuse(u16),
    /// Reads everything and never answers.
    Stall,
    /// The port is closed and every connection is cut.
    Vanish,
}

/// One instance that was answered with success.
#[derive(Debug, Clone)]
pub struct Received {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    pub calling_ae: String,
    pub path: PathBuf,
    /// SHA-256 of the data set bytes, lower-case hex.
    pub sha256: String,
    pub at: Instant,
}

#[derive(Debug)]
pub struct Pacs {
    pub address: SocketAddr,
    pub ae_title: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    received: Mutex<Vec<Received>>,
    conduct: watch::Sender<Conduct>,
}

impl Pacs {
    /// Listens on a free port of this machine and writes what it receives to `folder`.
    ///
    /// # Errors
    /// When the folder cannot be made or no port can be had.
    pub async fn start(ae_title: &str, folder: &Path) -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), ae_title, folder).await
    }

    /// The same, on a given address.
    ///
    /// # Errors
    /// When the folder cannot be made or the address is taken.
    pub async fn start_at(address: SocketAddr, ae_title: &str, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            received: Mutex::default(),
            conduct: watch::Sender::new(Conduct::Accept),
        });
        let task = tokio::spawn(run(listener, address, shared.clone()));
        Ok(Self { address, ae_title: ae_title.to_owned(), shared, task })
    }

    /// Changes the behaviour from the next message on; `Vanish` takes effect at once.
    pub fn behave(&self, conduct: Conduct) {
        self.shared.conduct.send_replace(conduct);
    }

    /// Everything that was accepted, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.list().clone()
    }

    /// # Errors
    /// When fewer than `count` instances have come in time.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Result<Vec<Received>> {
        deadline::until_true(&format!("{count} objects at the archive"), within, || self.shared.list().len() >= count)
            .await?;
        Ok(self.received())
    }
}

impl Drop for Pacs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, association: &AsyncServerAssociation<TcpStream>, message: &Message) -> Result<()> {
        let sop_class = message.command.sop_class().context("C-STORE names no SOP class")?;
        let sop_instance = message.command.sop_instance().context("C-STORE names no SOP instance")?;
        let contexts = association.presentation_contexts();
        let context = contexts.iter().find(|c| c.id == message.context).context("unknown presentation context")?;
        let file = part10::part10(&sop_class, &sop_instance, &context.transfer_syntax, &message.data);

        let mut list = self.list();
        let path = self.folder.join(format!("{:04}-{}.dcm", list.len() + 1, kind(&sop_class)));
        std::fs::write(&path, file).with_context(|| path.display().to_string())?;
        list.push(Received {
            sop_class_uid: sop_class,
            sop_instance_uid: sop_instance,
            transfer_syntax_uid: context.transfer_syntax.clone(),
            calling_ae: association.peer_ae_title().to_owned(),
            path,
            sha256: hex::encode(Sha256::digest(&message.data)),
            at: Instant::now(),
        });
        Ok(())
    }
}

/// The kind of object, for the file name, so that a person finds the file in the folder.
fn kind(sop_class: &str) -> &'static str {
    match sop_class {
        "1.2.840.10008.5.1.4.1.1.2" | "1.2.840.10008.5.1.4.1.1.2.1" => "ct",
        "1.2.840.10008.5.1.4.1.1.66.4" => "seg",
        sr if sr.starts_with("1.2.840.10008.5.1.4.1.1.88.") => "sr",
        sc if sc.starts_with("1.2.840.10008.5.1.4.1.1.7") => "sc",
        "1.2.840.10008.5.1.4.1.1.104.1" => "pdf",
        "1.2.840.10008.5.1.4.1.1.3.1" => "clip",
        "1.2.840.10008.5.1.4.1.1.6.1" => "key",
        _ => "object",
    }
}

async fn run(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut listener = Some(listener);
    let mut conduct = shared.conduct.subscribe();
    let mut associations = JoinSet::new();
    loop {
        let gone = *conduct.borrow_and_update() == Conduct::Vanish;
        if gone {
            listener = None;
            associations.abort_all();
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        tokio::select! {
            changed = conduct.changed() => if changed.is_err() { return },
            Some(stream) = accept(listener.as_ref()) => {
                associations.spawn(serve(stream, shared.clone()));
            }
            Some(_) = associations.join_next() => {}
        }
    }
}

/// Never ready while the port is closed.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // That a peer drops the connection is not an error of the archive.
    let _ = associate(stream, &shared).await;
}

async fn associate(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut association = ServerAssociationOptions::new().promiscuous(true).establish_async(stream).await?;
    let mut messages = Messages::default();
    loop {
        match association.receive().await? {
            Pdu::PData { data } => {
                for value in data {
                    if let Some(message) = messages.add(value)? {
                        answer(&mut association, shared, message).await?;
                    }
                }
            }
            Pdu::ReleaseRQ => {
                association.send(&Pdu::ReleaseRP).await?;
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
}

async fn answer(association: &mut AsyncServerAssociation<TcpStream>, shared: &Shared, message: Message) -> Result<()> {
    let conduct = *shared.conduct.borrow();
    let status = match (message.command.field(), conduct) {
        (_, Conduct::Stall | Conduct::Vanish) => std::future::pending().await,
        (Some(C_ECHO_RQ), _) => SUCCESS,
        (Some(C_STORE_RQ), Conduct::Refuse(status)) => status,
        (Some(C_STORE_RQ), Conduct::Accept) => match shared.keep(association, &message) {
            Ok(()) => SUCCESS,
            Err(_) => 0xC000,
        },
        // SOP class not supported.
        _ => 0x0122,
    };
    let value = PDataValue {
        presentation_context_id: message.context,
        value_type: PDataValueType::Command,
        is_last: true,
        data: Command::response(&message.command, status).to_bytes(),
    };
    association.send(&Pdu::PData { data: vec![value] }).await?;
    Ok(())
}

struct Message {
    context: u8,
    command: Command,
    data: Vec<u8>,
}

/// Joins the fragments of one context: a command, then its data set if the command announces one.
#[derive(Default)]
struct Messages {
    command: Vec<u8>,
    open: HashMap<u8, Message>,
}

impl Messages {
    fn add(&mut self, value: PDataValue) -> Result<Option<Message>> {
        let context = value.presentation_context_id;
        if value.value_type == PDataValueType::Command {
            self.command.extend(value.data);
            if !value.is_last {
                return Ok(None);
            }
            let command = Command::from_bytes(&std::mem::take(&mut self.command))?;
            let message = Message { context, command, data: Vec::new() };
            if message.command.field() != Some(C_STORE_RQ) {
                return Ok(Some(message));
            }
            self.open.insert(context, message);
            return Ok(None);
        }
        let message = self.open.get_mut(&context).context("data set without a command")?;
        message.data.extend(value.data);
        Ok(if value.is_last { self.open.remove(&context) } else { None })
    }
}
