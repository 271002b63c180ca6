//! The life of an engine: from the disk when it is the right one, otherwise built, kept, loaded.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::plan::Binding;
use super::store::{Found, Store};
use super::workshop::Built;
use crate::accel::{AccelFault, Error, Patchwork, Signature, Tensor, Watch};

/// What TensorRT and a card do, so that the life of an engine can be tested without both.
pub(super) trait Maker: Send + Sync + std::fmt::Debug {
    /// What engines of this network and these extents are bound to.
    fn binding(&self, network: &str, shapes: &str) -> Binding;

    /// # Errors
    /// `AccelFault::BadModel`.
    fn examine(&self, onnx: &[u8]) -> Result<Signature, Error>;

    /// # Errors
    /// As [`super::Workshop::build`].
    fn build(&self, onnx: &[u8], shapes: &[Vec<i64>], timings: &[u8], watch: Watch<'_>) -> Result<Built, Error>;

    /// # Errors
    /// `NotPresent`, `OutOfMemory`, `Device` with what the library said.
    fn load(&self, plan: &[u8], kernels: &[u8], want: &Wanted<'_>) -> Result<Box<dyn Engine>, Error>;
}

/// What a loaded engine must take and give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub signature: &'a Signature,
    /// Of each input.
    pub shapes: &'a [Vec<i64>],
}

/// An engine on a card.
pub(super) trait Engine: Send + std::fmt::Debug {
    /// `inputs` have the extents that the engine was built for.
    ///
    /// # Errors
    /// `AccelFault::Device`, `AccelFault::OutOfMemory`.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error>;

    /// What was compiled during the first run, to be kept; `None` when there is nothing new.
    fn kernels(&mut self) -> Option<Vec<u8>>;

    /// Takes memory of the card for the patches of a volume, whose extents are the engine's; false: it cannot, the journal says why.
    ///
    /// # Errors
    /// `AccelFault::Device`.
    fn begin_patches(&mut self, _work: &Arc<Patchwork>) -> Result<bool, Error> {
        Ok(false)
    }

    /// As [`crate::accel::OnCard::patch`].
    ///
    /// # Errors
    /// As there.
    fn patch(&mut self, _origin: [usize; 3]) -> Result<Option<f32>, Error> {
        Err(no_patches())
    }

    /// As [`crate::accel::OnCard::blended`].
    ///
    /// # Errors
    /// As there.
    fn blended(&mut self) -> Result<Vec<Vec<u16>>, Error> {
        Err(no_patches())
    }

    /// Gives the memory back.
    fn end_patches(&mut self) {}
}

/// Nothing was begun.
pub(super) fn no_patches() -> Error {
    Error::new(AccelFault::BadInput, "no volume is on the card")
}

/// A network's bytes and their hash.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub onnx: Arc<[u8]>,
    hash: String,
}

impl Source {
    pub fn new(onnx: &[u8]) -> Self {
        Self { onnx: onnx.into(), hash: hex::encode(Sha256::digest(onnx)) }
    }

    pub fn binding(&self, maker: &dyn Maker, want: &Wanted<'_>) -> Binding {
        let one = |(port, shape): (&crate::accel::Port, &Vec<i64>)| {
            let extents: Vec<String> = shape.iter().map(i64::to_string).collect();
            format!("{} {}", port.name, extents.join("x"))
        };
        let shapes: Vec<String> = want.signature.inputs.iter().zip(want.shapes).map(one).collect();
        maker.binding(&self.hash, &shapes.join(", "))
    }
}

/// Where an engine came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    Kept,
    /// Why the kept one was not used.
    Built(String),
}

/// Gives a loaded engine. What is wrong with a kept one is told in the log, and it is built again.
///
/// # Errors
/// As for building and loading. A card that is full, or away, is no reason to build again.
pub(super) fn obtain(
    maker: &dyn Maker,
    store: Option<&Store>,
    source: &Source,
    want: &Wanted<'_>,
    watch: Watch<'_>,
) -> Result<(Box<dyn Engine>, Came), Error> {
    let binding = source.binding(maker, want);
    let why = match store.map(|store| (store, store.engine(&binding))) {
        None => "there is no folder for engines".to_owned(),
        Some((_, Found::Nothing)) => "there is none yet".to_owned(),
        Some((_, Found::Refused(unfit))) => format!("the kept engine is refused: {unfit}"),
        Some((_, Found::Unreadable(error))) => format!("the kept engine cannot be read: {error}"),
        Some((store, Found::Engine(plan))) => match maker.load(&plan, &store.kernels(&binding), want) {
            Ok(engine) => {
                watch(1.0);
                return Ok((engine, Came::Kept));
            }
            Err(error) if error.kind() == AccelFault::Device => format!("the kept engine is not loaded: {error}"),
            Err(error) => return Err(error),
        },
    };
    tracing::info!(shapes = binding.shapes, why, "an engine is built");
    let timings = store.map(Store::timings).unwrap_or_default();
    let built = maker.build(&source.onnx, want.shapes, &timings, watch)?;
    // Loaded first: what does not load is not kept.
    let engine = maker.load(&built.plan, &[], want)?;
    if let Some(store) = store {
        let kept = store.keep(&binding, &built.plan).and_then(|()| match built.timings.as_slice() {
            [] => Ok(()),
            timings => store.keep_timings(timings),
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the engine is not kept: it is built again at the next start");
        }
    }
    Ok((engine, Came::Built(why)))
}
