//! Accelerators: load a network, run it. The interface has three calls, so that a direct TensorRT binding can be added
//! beside ONNX Runtime without a change in its callers.

mod error;
mod gpu;
mod library;
mod message;
mod onnxruntime;
mod provider;
mod runtime;
#[cfg(any(test, feature = "sim"))]
pub mod scripted;

use std::path::PathBuf;

pub use error::{AccelFault, Error};
pub use library::ENVIRONMENT_KEY;
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
    /// Execution provider in use: `cpu`, `cuda`, `tensorrt`, `scripted`.
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
}

/// Which accelerator to open, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceleratorConfig {
    /// `cpu` (also when empty), `cuda`, `tensorrt`; `scripted` in simulation builds.
    pub provider: String,
    /// libonnxruntime.so: a path, or a bare name for the loader's search path. The environment variable
    /// [`ENVIRONMENT_KEY`] overrides it.
    pub library: PathBuf,
    /// Threads inside one operator; 0 takes all cores.
    pub threads: usize,
    /// Where TensorRT keeps built engines and timings between starts; without it each load builds anew.
    pub cache: Option<PathBuf>,
}

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
    let library = library::find(&config.library)?;
    Ok(Box::new(onnxruntime::OnnxRuntime::open(wanted, library, config)?))
}
