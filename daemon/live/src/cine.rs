//! Plays a DICOM ultrasound image with one or many frames as a recording, at its own frame times. Each frame is decoded
//! when it is due, so a long clip needs no more memory than its file.

mod timing;

use std::path::Path;
use std::time::Duration;

use dicom::pixels::colour::Conversion;
use dicom::pixels::pictures::Pictures;
use hal::capture::frame::Shape;
use hal::capture::replay::Recording;
use hal::capture::{CaptureFault, Colour, Error, PixelFormat, Rate};

use self::timing::Timing;

#[derive(Debug)]
pub struct Cine {
    name: String,
    pictures: Pictures,
    conversion: Conversion,
    timing: Timing,
    shape: Shape,
    next: usize,
}

impl Cine {
    /// # Errors
    /// `CaptureFault::NotPresent` when the file cannot be opened; `CaptureFault::BadInput` when it holds no pictures
    /// that can be shown.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::new(CaptureFault::NotPresent, format!("{name}: {e}")))?;
        Self::read(name, &bytes)
    }

    /// As [`Cine::open`], from a Part 10 file in memory.
    ///
    /// # Errors
    /// `CaptureFault::BadInput` when it holds no pictures that can be shown.
    pub fn read(name: String, part10: &[u8]) -> Result<Self, Error> {
        let bad = |reason: String| Error::new(CaptureFault::BadInput, format!("{name}: {reason}"));
        let pictures = Pictures::open(part10).map_err(|error| bad(error.to_string()))?;
        let conversion =
            Conversion::of(&pictures.header, &pictures.data_set).map_err(|error| bad(error.to_string()))?;
        let timing = Timing::of(&pictures.data_set, pictures.count());
        let format = if conversion.is_grey() { PixelFormat::Grey } else { PixelFormat::Rgb24 };
        let (width, height) = (pictures.header.columns, pictures.header.rows);
        let shape = Shape::tight(format, width, height, Colour::default());
        Ok(Self { name, pictures, conversion, timing, shape, next: 0 })
    }
}

/// Whether a file begins like a DICOM file.
pub fn is_dicom(start: &[u8]) -> bool {
    start.get(128..132) == Some(b"DICM")
}

impl Recording for Cine {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn rate(&self) -> Rate {
        self.timing.rate
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Duration>, Error> {
        let Some(decoded) = self.pictures.decode(self.next) else { return Ok(None) };
        let bad = |reason: String| Error::new(CaptureFault::BadInput, format!("{}: {reason}", self.name));
        let samples = decoded.map_err(|error| bad(error.to_string()))?;
        bytes.resize(self.shape.bytes(0), 0);
        self.conversion.convert(&samples, self.shape.width as usize, bytes);
        let due = self.timing.due(self.next);
        self.next += 1;
        Ok(Some(due))
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.next = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
