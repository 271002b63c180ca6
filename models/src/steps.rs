//! The work before a network that a card can do as well: one trait, and what runs on the processor. Both give the same numbers, bit by
//! bit (`models/tests/steps.rs`), so whoever asks need not know which one it has.

mod card;

use std::sync::Arc;

use hal::accel::{AccelFault, Description};
use hal::capture::{self, Frame, convert};
use hal::cuda::Urgency;
use rayon::prelude::*;

pub use self::card::Card;
use crate::cast::round_hu_f32;
use crate::preprocess::letterbox::Letterbox;
use crate::preprocess::resample::{self, Target};
use crate::volume::Volume;

/// What a pipeline asks for before it runs a network.
pub trait Steps: std::fmt::Debug + Send + Sync {
    /// For people and the journal: `cpu`, or the name of the card.
    fn name(&self) -> &str;

    /// The way from a part of captured pictures to a network's input of `size`, width and height in pixels.
    fn pictures(&self, part: convert::Part, size: [usize; 2]) -> Box<dyn Pictures>;

    /// Trilinear values on the target grid, the whole Hounsfield unit nearest to each, x fastest.
    fn resample(&self, volume: &Volume, target: &Target) -> Vec<i16>;
}

/// Pictures of one stream into the input of one network.
pub trait Pictures: std::fmt::Debug + Send {
    /// The part of the picture, grey, scaled alike in both directions, into `out` as 0..1.
    ///
    /// # Errors
    /// When the frame's bytes do not hold together, or the part reaches beyond it. Never because of a card.
    fn fill(&mut self, frame: &Frame, out: &mut Vec<f32>) -> Result<(), capture::Error>;
}

/// On the processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

#[derive(Debug)]
struct CpuPictures {
    part: convert::Part,
    grey: Vec<u8>,
    letterbox: Letterbox,
}

impl CpuPictures {
    fn new(part: convert::Part, size: [usize; 2]) -> Self {
        Self { part, grey: Vec::new(), letterbox: Letterbox::new([part.width, part.height], size) }
    }
}

impl Steps for Cpu {
    fn name(&self) -> &str {
        "cpu"
    }

    fn pictures(&self, part: convert::Part, size: [usize; 2]) -> Box<dyn Pictures> {
        Box::new(CpuPictures::new(part, size))
    }

    fn resample(&self, volume: &Volume, target: &Target) -> Vec<i16> {
        // Within i16: interpolated between values of that type.
        resample::trilinear(volume, target).into_par_iter().map(round_hu_f32).collect()
    }
}

impl Pictures for CpuPictures {
    fn fill(&mut self, frame: &Frame, out: &mut Vec<f32>) -> Result<(), capture::Error> {
        convert::grey_part(frame, self.part, &mut self.grey)?;
        self.letterbox.fill(&self.grey, out);
        Ok(())
    }
}

/// Where the accelerator in use is a card, its steps; those of the processor everywhere else, and where the card cannot do them.
pub fn beside(accelerator: &Description, urgency: Urgency) -> Arc<dyn Steps> {
    if !uses_card(accelerator) {
        return Arc::new(Cpu);
    }
    match Card::open(0, urgency) {
        Ok(card) => Arc::new(card),
        Err(error) => {
            let absent = error.kind() == AccelFault::NotPresent;
            tracing::warn!(%error, absent, "pictures and volumes are prepared on the processor");
            Arc::new(Cpu)
        }
    }
}

fn uses_card(accelerator: &Description) -> bool {
    !accelerator.simulated && !matches!(accelerator.provider.as_str(), "cpu" | "scripted" | "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accelerator_on_a_card_asks_for_its_steps() {
        let description = |provider: &str, simulated| Description {
            provider: provider.into(),
            library: "a library".into(),
            fallback: None,
            simulated,
        };
        for provider in ["cpu", "scripted", ""] {
            assert!(!uses_card(&description(provider, false)), "{provider}");
        }
        assert!(uses_card(&description("cuda", false)) && uses_card(&description("tensorrt", false)));
        assert!(!uses_card(&description("cuda", true)));
    }
}
