//! Accelerators: load a network, run it. ONNX Runtime is behind the interface, and TensorRT itself; callers see no difference.

mod gpu;
mod library;
mod message;
mod onnxruntime;
pub mod patches;
mod provider;
mod runtime;
mod shape;
pub mod tensorrt;
#[cfg(any(test, feature = "sim"))]
pub mod scripted;

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::accel_error::{AccelFault, Error};
pub use library::ENVIRONMENT_KEY;
pub use patches::{OnCard, Patchwork};
pub use provider::Provider;

/// A dense, row-major (last axis fastest) array of 32-bit floats.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extent of each axis, outermost first, for example `[1, 1, depth, rows, columns]`.
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// What an accelerator is and how it came to be chosen; shown to people and written into every result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// What runs the networks: `cpu`, `cuda`, `tensorrt`, `onnxruntime-tensorrt`, `scripted`.
    pub provider: String,
    /// Library and version, for example `ONNX Runtime 1.32.0`.
    pub library: String,
    /// Why the provider in use is not the one configured, when it is not.
    pub fallback: Option<String>,
    pub simulated: bool,
}

/// A device that runs networks.
pub trait Accelerator: Send + Sync + std::fmt::Debug {
    fn describe(&self) -> Description;

    /// What a built engine depends on: provider, library and, on a GPU, device, driver and TensorRT, each with its version
    /// where it can be read. While this text is unchanged, the results of earlier checks remain valid.
    fn fingerprint(&self) -> String {
        let Description { provider, library, .. } = self.describe();
        format!("{provider}, {library}")
    }

    /// Loads a network from ONNX bytes. May take long (a first TensorRT build takes minutes).
    ///
    /// # Errors
    /// `AccelFault::BadModel` when the bytes are no network this device can run, `AccelFault::OutOfMemory`, `AccelFault::NotPresent`
    /// when the device or its library has gone.
    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error>;

    /// The same for a caller that knows more, and wants to hear how far it is. Accelerators that build nothing tell nothing.
    ///
    /// # Errors
    /// As [`Accelerator::load`]; `AccelFault::Cancelled` when the caller has ended it.
    fn load_with(&self, onnx: &[u8], _: &Wishes<'_>) -> Result<Box<dyn LoadedModel>, Error> {
        self.load(onnx)
    }
}

/// Hears how much of a load is done, from 0 to 1, never less than before, on any thread; answers whether it goes on.
pub type Watch<'a> = &'a (dyn Fn(f64) -> bool + Sync);

/// What a caller knows of a network beforehand.
#[derive(Clone, Copy)]
pub struct Wishes<'a> {
    /// Extents with which a network of one input will run, so that engines for them are ready.
    pub shapes: &'a [Vec<usize>],
    pub watch: Watch<'a>,
}

impl Default for Wishes<'_> {
    fn default() -> Self {
        Self { shapes: &[], watch: &|_| true }
    }
}

impl std::fmt::Debug for Wishes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wishes").field("shapes", &self.shapes).finish_non_exhaustive()
    }
}

/// One input or output of a network: its name, and its extents, -1 where the network leaves one open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub shape: Vec<i64>,
}

/// What a network takes and gives; all of it 32-bit floats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// A network in memory, ready to run.
pub trait LoadedModel: Send + std::fmt::Debug {
    /// Names of inputs and outputs, in order.
    fn inputs(&self) -> &[String];
    fn outputs(&self) -> &[String];

    /// The extents that the network declares; `None` where the accelerator does not know them.
    fn signature(&self) -> Option<Signature> {
        None
    }

    /// Runs once: `inputs` in the order of [`LoadedModel::inputs`]; returns outputs in the order of
    /// [`LoadedModel::outputs`].
    ///
    /// # Errors
    /// `AccelFault::BadInput` when a shape does not fit, `AccelFault::Device` when the run failed, `AccelFault::OutOfMemory`.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error>;

    /// Begins work on a volume whose patches need not leave the card. `None`: this network cannot do that, or not with this volume (the
    /// journal says why); [`LoadedModel::run`] does it patch by patch then.
    ///
    /// # Errors
    /// `AccelFault::BadInput` when the parts of `work` do not belong together; `AccelFault::Device`.
    fn on_card(&mut self, _work: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, Error> {
        Ok(None)
    }
}

/// Which accelerator to open, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceleratorConfig {
    /// `cpu` (also when empty), `cuda`, `tensorrt`, `onnxruntime-tensorrt`; `scripted` in simulation builds.
    pub provider: String,
    /// libonnxruntime.so: a path, or a bare name for the loader's search path. The environment variable
    /// [`ENVIRONMENT_KEY`] overrides it.
    pub library: PathBuf,
    /// Threads inside one operator; 0 takes all cores.
    pub threads: usize,
    /// Where TensorRT keeps built engines and timings between starts; without it each load builds anew.
    pub cache: Option<PathBuf>,
    /// Folder of TensorRT's libraries; empty for the loader's search path. The environment variable [`tensorrt::TENSORRT_KEY`]
    /// overrides it.
    pub tensorrt: PathBuf,
    /// Its runs go before those of study work on the same card, where the accelerator can do that (`tensorrt`).
    pub live: bool,
}

/// A network of one addition (float `[N, 2]`, y = x + 1): if an accelerator runs this, its driver and device are there.
const PROBE: &[u8] = include_bytes!("probe.onnx");

/// Opens the configured accelerator; when a GPU provider cannot be used, the next best one, with the reason in
/// [`Description::fallback`].
///
/// For `cpu` the library is inspected now and mapped into memory by the first [`Accelerator::load`], so that an idle
/// device does not pay for it.
///
/// # Errors
/// `AccelFault::NotPresent`: no usable library (the message names path and remedy), or an unknown provider.
pub fn open(config: &AcceleratorConfig) -> Result<Box<dyn Accelerator>, Error> {
    let wanted = Provider::parse(&config.provider)?;
    #[cfg(any(test, feature = "sim"))]
    if wanted == Provider::Scripted {
        return Ok(Box::new(scripted::Scripted::zeros()));
    }
    let mut reasons = Vec::new();
    let mut provider = wanted;
    if let (Provider::TensorRt, Some(next)) = (provider, provider.fallback()) {
        match tensorrt::TensorRt::open(config) {
            Ok(opened) => return Ok(Box::new(opened)),
            Err(why) => reasons.push(format!("{} requested; {why}", provider.name())),
        }
        provider = next;
    }
    let library = library::find(&config.library).map_err(|error| match reasons.first() {
        Some(before) => Error::new(error.kind(), format!("{before}; {error}")),
        None => error,
    })?;
    Ok(Box::new(onnxruntime::OnnxRuntime::open(provider, reasons, library, config)?))
}
