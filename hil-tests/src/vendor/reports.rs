//! Where a scanner listens for reports of storage commitment.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use dicom_ul::pdu::PresentationContextResultReason as Reason;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::IMPLICIT;
use super::messages::{Committed, read_commitment};
use crate::deadline;
use crate::dimse::{COMMITMENT, N_EVENT_REPORT_RQ, SUCCESS};
use crate::link::{Heard, Link, Message};

/// A report that came.
#[derive(Debug, Clone)]
pub struct Told {
    pub event_type: u16,
    pub committed: Committed,
    /// AE title of the caller.
    pub by: String,
}

impl Told {
    /// Reads an N-EVENT-REPORT; `None`: it is something else.
    pub fn of(link: &Link, message: &Message) -> Option<Self> {
        let context = link.context_of(message)?;
        (context.class == COMMITMENT && message.command.field() == Some(N_EVENT_REPORT_RQ)).then(|| Self {
            event_type: message.command.event_type().unwrap_or_default(),
            committed: read_commitment(&message.data, context.syntax != IMPLICIT),
            by: link.peer.clone(),
        })
    }
}

/// The port of a scanner, with everything that was reported to it.
#[derive(Debug)]
pub struct Ear {
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    task: JoinHandle<()>,
}

impl Ear {
    /// Listens on a free port; takes storage commitment in these transfer syntaxes.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(syntaxes: &[String]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen for reports")?;
        let address = listener.local_addr()?;
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let (heard, syntaxes) = (told.clone(), Arc::new(syntaxes.to_vec()));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (heard, syntaxes) = (heard.clone(), syntaxes.clone());
                tokio::spawn(async move {
                    // That the box hangs up is no error of the scanner.
                    let _ = serve(stream, &syntaxes, &heard).await;
                });
            }
        });
        Ok(Self { address, told, task })
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The report of this transaction.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn wait_for(&self, transaction: &str, within: Duration) -> Result<Told> {
        let find = || {
            let found = self.told().into_iter().find(|told| told.committed.transaction == transaction);
            async move { found }
        };
        deadline::until(&format!("the report of {transaction}"), within, find).await
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: tokio::net::TcpStream, syntaxes: &[String], told: &Mutex<Vec<Told>>) -> Result<()> {
    let decide = |class: &str, proposed: &[String]| {
        if class != COMMITMENT {
            return Err(Reason::AbstractSyntaxNotSupported);
        }
        let known = proposed.iter().find(|one| syntaxes.contains(one));
        known.cloned().ok_or(Reason::TransferSyntaxesNotSupported)
    };
    let mut link = Link::accept(stream, 16_384, decide).await?;
    while let Heard::Message(message) = link.next().await? {
        if let Some(one) = Told::of(&link, &message) {
            // Noted before it is answered: the box sends none twice that was answered.
            told.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            link.respond(&message, SUCCESS).await?;
        }
    }
    Ok(())
}
