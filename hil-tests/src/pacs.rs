//! The simulated archive: a C-ECHO, C-STORE and storage commitment SCP that can accept, refuse, stop answering or disappear, has the habits
//! of real ones (`habits`), and stores what it receives in a folder: bit for bit, unless its habits say otherwise.

mod commitment;
mod habits;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dicom_ul::pdu::PresentationContextResultReason as Reason;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use self::commitment::Asked;
pub use self::habits::{Archive, Committing, Reports};
use crate::deadline;
use crate::dimse::{C_ECHO_RQ, C_STORE_RQ, N_ACTION_RQ, SUCCESS};
use crate::link::{Heard, Link, Message};
use crate::part10;

/// Bytes of a PDU that it takes.
const MAX_PDU: u32 = 128 * 1024;
const OUT_OF_RESOURCES: u16 = 0xA700;
const COERCED: u16 = 0xB000;

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
    ae_title: String,
    received: Mutex<Vec<Received>>,
    conduct: watch::Sender<Conduct>,
    habits: Mutex<Archive>,
    commitment: commitment::Desk,
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
        Self::start_as(address, ae_title, folder, Archive::default()).await
    }

    /// The same, with habits.
    ///
    /// # Errors
    /// When the folder cannot be made or the address is taken.
    pub async fn start_as(address: SocketAddr, ae_title: &str, folder: &Path, habits: Archive) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            ae_title: ae_title.to_owned(),
            received: Mutex::default(),
            conduct: watch::Sender::new(Conduct::Accept),
            habits: Mutex::new(habits),
            commitment: commitment::Desk::default(),
        });
        let task = tokio::spawn(run(listener, address, shared.clone()));
        Ok(Self { address, ae_title: ae_title.to_owned(), shared, task })
    }

    /// Changes the behaviour from the next message on; `Vanish` takes effect at once.
    pub fn behave(&self, conduct: Conduct) {
        self.shared.conduct.send_replace(conduct);
    }

    /// Changes its habits from the next message on; presentation contexts from the next association on.
    pub fn change(&self, change: impl FnOnce(&mut Archive)) {
        change(&mut self.shared.habits());
    }

    /// Where reports of storage commitment go that need an association of its own, and how the box is called.
    pub fn reports_to(&self, address: SocketAddr, called: &str) {
        self.shared.commitment.reports_to(address, called);
    }

    /// Lets days pass at the archive, and brings the reports that are due by then. Returns the statuses with which the box took them.
    ///
    /// # Errors
    /// When the box does not take a report.
    pub async fn days_pass(&self, days: f64) -> Result<Vec<u16>> {
        self.shared.commitment.pass(days);
        commitment::bring(&self.shared).await
    }

    /// Every question for storage commitment, the oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.commitment.asked()
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
    fn list(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> MutexGuard<'_, Archive> {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, link: &Link, message: &Message, habits: &Archive) -> Result<()> {
        let sop_class = message.command.sop_class().context("C-STORE names no SOP class")?;
        let sop_instance = message.command.sop_instance().context("C-STORE names no SOP instance")?;
        let context = link.context_of(message).context("unknown presentation context")?;
        ensure!(context.class == sop_class, "C-STORE in a context of another class");
        let (syntax, kept) = habits.stored(&context.syntax, &message.data)?;
        let file = part10::part10(&sop_class, &sop_instance, &syntax, &kept);

        let mut list = self.list();
        let path = self.folder.join(format!("{:04}-{}.dcm", list.len() + 1, kind(&sop_class)));
        std::fs::write(&path, file).with_context(|| path.display().to_string())?;
        list.push(Received {
            sop_class_uid: sop_class,
            sop_instance_uid: sop_instance,
            transfer_syntax_uid: context.syntax.clone(),
            calling_ae: link.peer.clone(),
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

async fn associate(stream: TcpStream, shared: &Arc<Shared>) -> Result<()> {
    let habits = shared.habits().clone();
    let decide = |class: &str, syntaxes: &[String]| {
        if !habits.takes(class) {
            return Err(Reason::AbstractSyntaxNotSupported);
        }
        habits.syntax_of(syntaxes).ok_or(Reason::TransferSyntaxesNotSupported)
    };
    let mut link = Link::accept(stream, MAX_PDU, decide).await?;
    link.takes_at_most(habits.drops_after_bytes);
    while let Heard::Message(message) = link.next().await? {
        answer(&mut link, shared, &message).await?;
    }
    Ok(())
}

async fn answer(link: &mut Link, shared: &Arc<Shared>, message: &Message) -> Result<()> {
    let (conduct, habits) = (*shared.conduct.borrow(), shared.habits().clone());
    let status = match (message.command.field(), conduct) {
        (_, Conduct::Stall | Conduct::Vanish) => std::future::pending().await,
        (Some(C_ECHO_RQ), _) => SUCCESS,
        (Some(C_STORE_RQ), Conduct::Refuse(status)) => status,
        (Some(C_STORE_RQ), Conduct::Accept) => {
            sleep(habits.time_for(message.data.len())).await;
            if habits.full_after_objects.is_some_and(|most| shared.list().len() >= most) {
                OUT_OF_RESOURCES
            } else {
                match shared.keep(link, message, &habits) {
                    Ok(()) if habits.coerced_patient_id.is_some() => COERCED,
                    Ok(()) => SUCCESS,
                    Err(_) => 0xC000,
                }
            }
        }
        (Some(N_ACTION_RQ), Conduct::Accept) if habits.commitment.is_some() => {
            return commitment::asked(link, shared, message).await;
        }
        // SOP class not supported.
        _ => 0x0122,
    };
    link.respond(message, status).await
}
