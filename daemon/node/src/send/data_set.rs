//! The bytes of a file from its data set on, as they are or in Implicit VR Little Endian, in parts of a size that the caller
//! chooses.

use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dicom::implicit;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use super::{Error, File};

/// Bytes that the transcoder hands over at once, and how often it may before it waits: an object is never in memory whole.
const CHUNK: usize = 64 * 1024;
const CHUNKS_AHEAD: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    AsStored,
    /// Of a file in Explicit VR Little Endian.
    Implicit,
}

pub(super) struct DataSet<'a> {
    path: &'a Path,
    source: Source,
}

enum Source {
    AsStored { file: tokio::fs::File, left: u64 },
    Transcoded { chunks: mpsc::Receiver<Chunk>, current: Vec<u8>, at: usize, ended: bool },
}

enum Chunk {
    Bytes(Vec<u8>),
    /// It was transcoded to its end.
    End,
    Failed(String),
}

impl<'a> DataSet<'a> {
    pub(super) async fn open(file: &'a File, encoding: Encoding) -> Result<Self, Error> {
        let path = file.path.as_path();
        let open = async {
            let mut opened = tokio::fs::File::open(path).await?;
            let length = opened.metadata().await?.len();
            opened.seek(SeekFrom::Start(file.data_set_offset)).await?;
            Ok::<_, io::Error>((opened, length))
        };
        let (opened, length) = open.await.map_err(|error| unreadable(path, error.to_string()))?;
        let left = length.checked_sub(file.data_set_offset).filter(|left| *left > 0);
        let left = left.ok_or_else(|| unreadable(path, "it has no data set".into()))?;
        let source = match encoding {
            Encoding::AsStored => Source::AsStored { file: opened, left },
            Encoding::Implicit => {
                let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
                let (path, offset) = (file.path.clone(), file.data_set_offset);
                tokio::task::spawn_blocking(move || transcode(path, offset, &sender));
                Source::Transcoded { chunks, current: Vec::new(), at: 0, ended: false }
            }
        };
        Ok(Self { path, source })
    }

    /// As many bytes as `buffer` takes, and whether they are the last.
    pub(super) async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Result<(&'b [u8], bool), Error> {
        let path = self.path;
        match &mut self.source {
            Source::AsStored { file, left } => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let part = &mut buffer[..count];
                file.read_exact(part).await.map_err(|error| unreadable(path, error.to_string()))?;
                *left -= count as u64;
                Ok((part, *left == 0))
            }
            Source::Transcoded { chunks, current, at, ended } => {
                let mut filled = 0;
                // Also when the buffer is full: whether these bytes are the last is known when more have come.
                loop {
                    let part = (buffer.len() - filled).min(current.len() - *at);
                    buffer[filled..filled + part].copy_from_slice(&current[*at..*at + part]);
                    (filled, *at) = (filled + part, *at + part);
                    if *ended || *at < current.len() {
                        return Ok((&buffer[..filled], *ended));
                    }
                    match chunks.recv().await {
                        Some(Chunk::Bytes(bytes)) => (*current, *at) = (bytes, 0),
                        Some(Chunk::End) => *ended = true,
                        Some(Chunk::Failed(reason)) => return Err(unreadable(path, reason)),
                        None => return Err(unreadable(path, "it could not be transcoded to its end".into())),
                    }
                }
            }
        }
    }
}

/// Blocks, and ends early when nobody receives any more.
fn transcode(path: PathBuf, offset: u64, to: &mpsc::Sender<Chunk>) {
    let transcoded = || -> Result<(), implicit::Error> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        implicit::from_explicit(BufReader::with_capacity(CHUNK, file), BufWriter::with_capacity(CHUNK, Chunks(to)))
    };
    let last = transcoded().map_or_else(|error| Chunk::Failed(error.to_string()), |()| Chunk::End);
    // Nobody may be waiting any more.
    let _ = to.blocking_send(last);
}

struct Chunks<'a>(&'a mpsc::Sender<Chunk>);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Chunk::Bytes(bytes.to_vec()));
        sent.map(|()| bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::File { path: path.to_owned(), reason }
}
