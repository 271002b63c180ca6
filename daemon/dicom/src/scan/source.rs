//! Reads forward through a file, plain or inflated, with fast skips and a known end.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

use super::{MAX_INFLATED, ScanError};

/// Bytes; one read of this size covers the header of a CT slice.
const BUFFER: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Source<R> {
    bytes: Bytes<R>,
    /// Bytes from the start of the file; deflated data is counted as inflated.
    position: u64,
    /// Where the data ends; unknown while inflating.
    end: Option<u64>,
}

#[derive(Debug)]
enum Bytes<R> {
    Plain(BufReader<R>),
    Inflated { decoder: Box<DeflateDecoder<BufReader<R>>>, left: u64 },
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn open(mut file: R) -> Result<Self, ScanError> {
        let end = file.seek(SeekFrom::End(0)).map_err(ScanError::Io)?;
        file.seek(SeekFrom::Start(0)).map_err(ScanError::Io)?;
        let bytes = Bytes::Plain(BufReader::with_capacity(BUFFER, file));
        Ok(Self { bytes, position: 0, end: Some(end) })
    }

    /// Inflates all bytes from here on.
    pub(super) fn inflated(self) -> Result<Self, ScanError> {
        let Bytes::Plain(reader) = self.bytes else { return Ok(self) };
        let decoder = Box::new(DeflateDecoder::new(reader));
        Ok(Self { bytes: Bytes::Inflated { decoder, left: MAX_INFLATED }, position: self.position, end: None })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// Fills `buffer`. Returns the number of bytes, which is smaller only at the end of the data.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.some(&mut buffer[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    pub(super) fn exact<const N: usize>(&mut self) -> Result<[u8; N], ScanError> {
        let mut buffer = [0; N];
        match self.fill(&mut buffer)? {
            full if full == N => Ok(buffer),
            _ => Err(ScanError::EndsInside { offset: self.position }),
        }
    }

    /// Steps back by `count` bytes that were just read. Only possible before the data set.
    pub(super) fn back(&mut self, count: u32) -> Result<(), ScanError> {
        if let Bytes::Plain(reader) = &mut self.bytes {
            reader.seek_relative(-i64::from(count)).map_err(ScanError::Io)?;
            self.position -= u64::from(count);
        }
        Ok(())
    }

    /// Skips `count` bytes. Returns how many were skipped, which is fewer only at the end of the data.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64, ScanError> {
        if let (Bytes::Plain(reader), Some(end)) = (&mut self.bytes, self.end) {
            let count = count.min(end.saturating_sub(self.position));
            reader.seek_relative(i64::try_from(count).unwrap_or(i64::MAX)).map_err(ScanError::Io)?;
            self.position += count;
            return Ok(count);
        }
        let mut scratch = [0; 4096];
        let mut skipped = 0;
        while skipped < count {
            let want = usize::try_from(count - skipped).unwrap_or(usize::MAX).min(scratch.len());
            let read = self.some(&mut scratch[..want])?;
            if read == 0 {
                break;
            }
            skipped += read as u64;
        }
        Ok(skipped)
    }

    fn some(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let read = loop {
            let result = match &mut self.bytes {
                Bytes::Plain(reader) => reader.read(buffer).map_err(ScanError::Io),
                Bytes::Inflated { decoder, .. } => decoder.read(buffer).map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                        ScanError::CorruptDeflate
                    }
                    _ => ScanError::Io(error),
                }),
            };
            match result {
                Err(ScanError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.position += read as u64;
        if let Bytes::Inflated { left, .. } = &mut self.bytes {
            *left = left.checked_sub(read as u64).ok_or(ScanError::InflatesTooMuch)?;
        }
        Ok(read)
    }
}
