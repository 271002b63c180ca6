//! A recording that is already in memory, for callers that can read a file `hal` knows nothing of.

use std::time::Duration;

use super::Recording;
use crate::capture::frame::{PixelFormat, Shape};
use crate::capture::{CaptureFault, Error, Rate};

/// Pictures with their times.
#[derive(Debug, Clone)]
pub struct InMemory {
    name: String,
    shape: Shape,
    rate: Rate,
    pictures: Vec<(Duration, Vec<u8>)>,
    next: usize,
}

impl InMemory {
    /// `pictures`: time (the first one's counts as zero) and bytes, tightly packed as [`Shape::tight`] says; JPEG files
    /// for [`PixelFormat::Mjpeg`].
    ///
    /// # Errors
    /// `CaptureFault::BadInput`: there are none, one has the wrong length, or times do not rise; the message names which.
    pub fn new(name: impl Into<String>, shape: Shape, pictures: Vec<(Duration, Vec<u8>)>) -> Result<Self, Error> {
        let name = name.into();
        let bad = |why: String| Error::new(CaptureFault::BadInput, format!("{name}: {why}"));
        let shape = Shape::tight(shape.format, shape.width, shape.height, shape.colour);
        let (want, varies) = (shape.bytes(0), shape.format == PixelFormat::Mjpeg);
        for (index, (_, bytes)) in pictures.iter().enumerate() {
            if !varies && bytes.len() != want {
                return Err(bad(format!("picture {index} has {} bytes instead of {want}", bytes.len())));
            }
        }
        if let Some(index) = pictures.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
            return Err(bad(format!("picture {} is not later than the one before it", index + 1)));
        }
        let rate = mean_rate(&pictures).ok_or_else(|| bad("there is no picture".into()))?;
        Ok(Self { name, shape, rate, pictures, next: 0 })
    }
}

/// Pictures in a second, in thousandths; one in a second where there is only one picture.
fn mean_rate(pictures: &[(Duration, Vec<u8>)]) -> Option<Rate> {
    let (first, last) = (pictures.first()?.0, pictures.last()?.0);
    let steps = u128::try_from(pictures.len() - 1).ok()?;
    match (last - first).as_nanos() {
        0 => Some(Rate::hertz(1)),
        span => {
            let thousandths = (steps * 1_000_000_000_000 / span).clamp(1, u32::MAX.into());
            Rate::new(u32::try_from(thousandths).ok()?, 1000)
        }
    }
}

impl Recording for InMemory {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn rate(&self) -> Rate {
        self.rate
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Duration>, Error> {
        let Some((time, picture)) = self.pictures.get(self.next) else { return Ok(None) };
        bytes.clear();
        bytes.extend_from_slice(picture);
        self.next += 1;
        let first = self.pictures.first().map_or(Duration::ZERO, |p| p.0);
        Ok(Some(*time - first))
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.next = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Colour;

    #[test]
    fn what_does_not_hold_together_is_refused_by_number() {
        let shape = || Shape::tight(PixelFormat::Grey, 2, 1, Colour::default());
        let at = |ms, bytes: &[u8]| (Duration::from_millis(ms), bytes.to_vec());
        for (pictures, word) in [
            (vec![], "no picture"),
            (vec![at(0, &[1, 2]), at(9, &[1])], "picture 1 has 1 bytes instead of 2"),
            (vec![at(5, &[1, 2]), at(5, &[1, 2])], "picture 1 is not later"),
        ] {
            let error = InMemory::new("clip", shape(), pictures).unwrap_err();
            assert_eq!(error.kind(), CaptureFault::BadInput);
            assert!(error.to_string().contains(word), "{error}");
        }
        let clip = InMemory::new("clip", shape(), vec![at(5, &[1, 2]), at(45, &[3, 4])]).unwrap();
        assert_eq!(clip.rate(), Rate::new(25_000, 1000).unwrap());
    }
}
