//! One instance that is being received: kept in memory while it is small, streamed to a file of its own once it is
//! large.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

use dicom::header::Header;
use dicom::scan::{self, ScanError};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::error::{Error, Result};
use super::large::OwnFile;
use super::writer::{Job, Prepared};
use super::{Inner, Outcome, part10};
use crate::instance::Origin;
use crate::store::instances::InstanceState;
use crate::store::now_utc;

/// Bytes of a large instance that are collected in memory before they are written to its file.
const PIECE: usize = 1 << 20;

/// Says of the header of an instance, or why it has none, whether it is what was asked for; an error: it is not kept, for that reason.
pub type Judge = Box<dyn FnOnce(std::result::Result<&Header, &str>) -> std::result::Result<bool, String> + Send>;

/// SOP UIDs from the C-STORE command and transfer syntax from the presentation context.
#[derive(Debug)]
struct Announced {
    sop_class_uid: String,
    sop_instance_uid: String,
    transfer_syntax_uid: String,
}

/// An instance that is being received. Dropping it discards the instance and its file.
#[derive(Debug)]
pub struct Incoming {
    inner: Arc<Inner>,
    origin: Origin,
    announced: Announced,
    /// Preamble, DICM and file meta group.
    head: Vec<u8>,
    /// Data set bytes; for a large instance only those not yet in its file.
    body: Vec<u8>,
    file: Option<OwnFile>,
    /// Bytes of the data set received so far.
    length: u64,
    sha256: Sha256,
    crc: crc32fast::Hasher,
}

impl Incoming {
    pub(super) fn new(inner: Arc<Inner>, origin: Origin, sop_class: &str, sop_instance: &str, syntax: &str) -> Self {
        let clean = |uid: &str| uid.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
        let announced = Announced {
            sop_class_uid: clean(sop_class),
            sop_instance_uid: clean(sop_instance),
            transfer_syntax_uid: clean(syntax),
        };
        let head = part10::head(
            &announced.sop_class_uid,
            &announced.sop_instance_uid,
            &announced.transfer_syntax_uid,
            &origin.calling_ae,
        );
        let body = inner.shared.buffers.take();
        let (sha256, crc) = (Sha256::new(), crc32fast::Hasher::new());
        Self { inner, origin, announced, head, body, file: None, length: 0, sha256, crc }
    }

    /// Takes the next bytes of the data set, exactly as on the wire.
    ///
    /// # Errors
    /// `NoSpace`, `Io`; the instance is then lost and must be dropped.
    pub async fn write(&mut self, data_set_bytes: &[u8]) -> Result<()> {
        self.sha256.update(data_set_bytes);
        self.crc.update(data_set_bytes);
        self.length += data_set_bytes.len() as u64;
        self.body.extend_from_slice(data_set_bytes);
        let full = if self.file.is_some() { self.body.len() >= PIECE } else { self.body.len() > self.limit() };
        if full { self.spill().await } else { Ok(()) }
    }

    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.body.capacity()
    }

    fn limit(&self) -> usize {
        self.inner.shared.large_over
    }

    /// Moves the bytes in memory to the instance's file, which is created first if needed.
    async fn spill(&mut self) -> Result<()> {
        let shared = self.inner.shared.clone();
        let file = self.file.take();
        let head = self.head.clone();
        let mut body = std::mem::take(&mut self.body);
        let (file, body) = blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => {
                    let mut file = OwnFile::create(shared)?;
                    file.write(&head)?;
                    file
                }
            };
            file.write(&body)?;
            body.clear();
            body.shrink_to(2 * PIECE);
            Ok((file, body))
        })
        .await?;
        self.file = Some(file);
        self.body = body;
        Ok(())
    }

    /// Returns once the instance is durable.
    ///
    /// # Errors
    /// `UidMismatch`, `NoSpace`, `Io`, `Database`, `Closed`: the instance was not taken into custody.
    pub async fn commit(self) -> Result<Outcome> {
        self.commit_checked(None).await
    }

    /// As [`Incoming::commit`], of an instance that was, or may have been, asked for: kept unless `judge` refuses it.
    ///
    /// # Errors
    /// `Unwanted` with the words of `judge`; otherwise as [`Incoming::commit`].
    pub async fn commit_if(self, judge: Judge) -> Result<Outcome> {
        self.commit_checked(Some(judge)).await
    }

    async fn commit_checked(mut self, judge: Option<Judge>) -> Result<Outcome> {
        if self.file.is_some() && !self.body.is_empty() {
            self.spill().await?;
        }
        let inner = self.inner.clone();
        let prepared =
            if self.is_quick() { self.prepare(judge)? } else { blocking(move || self.prepare(judge)).await? };
        let (answer, answered) = oneshot::channel();
        inner.to_writer()?.send(Job { prepared, answer }).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Whether `prepare` takes only tens of microseconds (one or two milliseconds for malicious input). It then runs on
    /// the caller's thread, because handing each of thousands of slices to another thread costs more.
    fn is_quick(&self) -> bool {
        self.file.is_none() && self.body.len() <= PIECE && !scan::is_deflated(&self.announced.transfer_syntax_uid)
    }

    /// Reads the header, compares the UIDs, and syncs the file of a large instance. Blocks.
    fn prepare(mut self, judge: Option<Judge>) -> Result<Prepared> {
        let scanned = match &self.file {
            Some(file) => scan::scan(file.file()),
            None => scan::scan(Joined::new(&self.head, &self.body)),
        };
        let (header, state, reason) = match scanned {
            Ok(scan) => (scan.header, InstanceState::Kept, None),
            Err(ScanError::Io(source)) => {
                return Err(Error::Io { path: self.inner.shared.directory.clone(), source: Arc::new(source) });
            }
            Err(reason) => (self.announced.header(), InstanceState::Quarantined, Some(reason.to_string())),
        };
        self.announced.compare(&header)?;
        if let Some(judge) = judge {
            let readable = reason.as_deref().map_or(Ok(&header), Err);
            self.origin.asked_for = judge(readable).map_err(|reason| Error::Unwanted { reason })?;
        }
        if let Some(file) = &mut self.file {
            file.finish()?;
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.head);
        crc.combine(&self.crc);
        let header_json = serde_json::to_string(&header).map_err(crate::store::Error::from)?;
        Ok(Prepared {
            header,
            header_json,
            state,
            reason,
            received_utc: now_utc(),
            origin: self.origin,
            sha256: hex::encode(self.sha256.finalize()),
            length: self.head.len() as u64 + self.length,
            payload_crc: crc.finalize(),
            head: self.head,
            body: self.body,
            file: self.file,
        })
    }
}

impl Announced {
    fn header(&self) -> Header {
        Header {
            sop_class_uid: self.sop_class_uid.clone(),
            sop_instance_uid: self.sop_instance_uid.clone(),
            transfer_syntax_uid: self.transfer_syntax_uid.clone(),
            ..Header::default()
        }
    }

    fn compare(&self, header: &Header) -> Result<()> {
        let pairs = [
            ("SOP Instance UID", &self.sop_instance_uid, &header.sop_instance_uid),
            ("SOP Class UID", &self.sop_class_uid, &header.sop_class_uid),
        ];
        for (what, command, data_set) in pairs {
            if command != data_set {
                let (command, data_set) = (command.clone(), data_set.clone());
                return Err(Error::UidMismatch { what, command, data_set });
            }
        }
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}

/// Head and data set as one file, without copying.
#[derive(Debug)]
struct Joined<'a> {
    head: Cursor<&'a [u8]>,
    body: Cursor<&'a [u8]>,
}

impl<'a> Joined<'a> {
    fn new(head: &'a [u8], body: &'a [u8]) -> Self {
        Self { head: Cursor::new(head), body: Cursor::new(body) }
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.body.read(buffer),
            read => Ok(read),
        }
    }
}

impl Seek for Joined<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let head = self.head.get_ref().len() as u64;
        let length = head + self.body.get_ref().len() as u64;
        let position = self.head.position() + self.body.position();
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => length.checked_add_signed(by),
            SeekFrom::Current(by) => position.checked_add_signed(by),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.head.set_position(target.min(head));
        self.body.set_position(target.saturating_sub(head));
        Ok(target)
    }
}
