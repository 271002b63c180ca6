//! TensorRT itself, without ONNX Runtime: what this gives and that does not is a stream of the right priority, limits of memory, progress
//! of a build and its end on demand, and a reason for every refusal (decision 0040).
//!
//! ```text
//! find -> library_ffi -> workshop: parse, build -> plan, store: the engine's file -> supply: which engine -> card: run on `cuda`
//! ```
//!
//! NVIDIA's libraries are looked up at run time, and their functions called by the places that `abi` has; no header, nothing linked.
//! `unsafe` is in the files whose names end in `_ffi`.

pub mod abi;
mod call_ffi;
mod card;
mod find;
mod host_ffi;
mod library_ffi;
mod log;
mod model;
mod patches;
mod phases;
mod plan;
mod run_ffi;
#[cfg(any(test, feature = "sim"))]
pub mod simulated_ffi;
mod store;
mod supply;
#[cfg(test)]
mod tests;
mod workshop;

use std::sync::Arc;

pub use abi::Version;
pub use find::TENSORRT_KEY;
pub use workshop::{Built, Examined, Order, Target, Workshop};

use self::card::Card;
use self::model::Model;
use self::store::Store;
use self::supply::Maker;
use super::{Accelerator, AcceleratorConfig, Description, Error, LoadedModel, PROBE, Provider, Tensor, Wishes};
use crate::cuda::Urgency;

/// Networks on the first card.
#[derive(Debug)]
pub(super) struct TensorRt {
    maker: Arc<dyn Maker>,
    store: Option<Store>,
    library: String,
    facts: Vec<String>,
}

impl TensorRt {
    /// Is used only after it has built, loaded and run a network of one addition.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub fn open(config: &AcceleratorConfig) -> Result<Self, Error> {
        let workshop = Workshop::open(&config.tensorrt)?;
        let library = workshop.version().to_string();
        let at =
            |error: Error| Error::new(error.kind(), format!("{library} at {}: {error}", workshop.path().display()));
        let card = Card::open(workshop, if config.live { Urgency::Live } else { Urgency::Study }).map_err(at)?;
        let facts = card.facts();
        let opened = Self::on(Arc::new(card), library.clone(), facts, config);
        opened.prove().map_err(at)?;
        Ok(opened)
    }

    fn on(maker: Arc<dyn Maker>, library: String, facts: Vec<String>, config: &AcceleratorConfig) -> Self {
        Self { maker, store: config.cache.as_deref().map(Store::new), library, facts }
    }

    fn prove(&self) -> Result<(), Error> {
        let probe = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
        let mut model = self.load(PROBE)?;
        let answer = model.run(&[probe])?;
        if answer.first().is_some_and(|tensor| tensor.data == [1.0, 2.0]) {
            return Ok(());
        }
        Err(Error::new(super::AccelFault::Device, format!("0 + 1 and 1 + 1 are {answer:?} on this card")))
    }
}

impl Accelerator for TensorRt {
    fn describe(&self) -> Description {
        Description {
            provider: Provider::TensorRt.name().into(),
            library: self.library.clone(),
            fallback: None,
            simulated: false,
        }
    }

    fn fingerprint(&self) -> String {
        let name = Provider::TensorRt.name().to_owned();
        [name, self.library.clone()].into_iter().chain(self.facts.iter().cloned()).collect::<Vec<_>>().join(", ")
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        self.load_with(onnx, &Wishes::default())
    }

    fn load_with(&self, onnx: &[u8], wishes: &Wishes<'_>) -> Result<Box<dyn LoadedModel>, Error> {
        let model = Model::load(self.maker.clone(), self.store.clone(), onnx, wishes.shapes, wishes.watch)?;
        Ok(Box::new(model))
    }
}
