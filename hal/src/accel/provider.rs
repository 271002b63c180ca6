//! Providers: which exist, in which order they replace each other, and the options that ONNX Runtime's are given.

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use super::{AccelFault, AcceleratorConfig, Error};

/// What runs a network's operators: an execution provider of ONNX Runtime, or TensorRT itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Cpu,
    Cuda,
    /// TensorRT itself.
    TensorRt,
    /// TensorRT within ONNX Runtime.
    OnnxRuntimeTensorRt,
    /// Scripted answers; simulation builds only.
    Scripted,
}

impl Provider {
    /// Those that this build knows.
    pub const KNOWN: &[Self] = if cfg!(any(test, feature = "sim")) {
        &[Self::Cpu, Self::Cuda, Self::TensorRt, Self::OnnxRuntimeTensorRt, Self::Scripted]
    } else {
        &[Self::Cpu, Self::Cuda, Self::TensorRt, Self::OnnxRuntimeTensorRt]
    };

    /// By its name in the configuration; an empty one is the CPU.
    ///
    /// # Errors
    /// `AccelFault::NotPresent` for a name that this build does not know.
    pub fn parse(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Ok(Self::Cpu);
        }
        Self::KNOWN.iter().copied().find(|known| known.name() == name).ok_or_else(|| {
            let known = Self::KNOWN.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
            let message = format!("accelerator.provider = {name:?} is not known; one of {known}");
            Error::new(AccelFault::NotPresent, message)
        })
    }

    /// Canned answers: no result may be used clinically.
    pub fn is_simulated(self) -> bool {
        self == Self::Scripted
    }

    /// Builds an engine for the device before it runs a network, which may take minutes.
    pub fn builds_engines(self) -> bool {
        matches!(self, Self::Cuda) || self.keeps_engines()
    }

    /// Keeps engines on the disk between starts.
    pub fn keeps_engines(self) -> bool {
        matches!(self, Self::TensorRt | Self::OnnxRuntimeTensorRt)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OnnxRuntimeTensorRt => "onnxruntime-tensorrt",
            Self::Scripted => "scripted",
        }
    }

    /// The provider to try next when this one cannot be used.
    pub(super) fn fallback(self) -> Option<Self> {
        match self {
            Self::TensorRt => Some(Self::OnnxRuntimeTensorRt),
            Self::OnnxRuntimeTensorRt => Some(Self::Cuda),
            Self::Cuda => Some(Self::Cpu),
            Self::Cpu | Self::Scripted => None,
        }
    }

    /// Was the loaded library built with it? Says nothing about drivers and devices.
    pub(super) fn built_in(self) -> Result<bool, ort::Error> {
        match self {
            Self::TensorRt | Self::OnnxRuntimeTensorRt => ep::TensorRT::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::Cpu | Self::Scripted => Ok(true),
        }
    }

    /// Providers to register, most capable first. Operators that TensorRT lacks go to CUDA, what is left to the CPU. `is_quantised`: the
    /// network has Q/DQ nodes.
    pub(super) fn dispatch(self, config: &AcceleratorConfig, is_quantised: bool) -> Vec<ExecutionProviderDispatch> {
        // The arena would keep the peak of the largest run for as long as the network is loaded.
        let cpu = ep::CPU::default().with_arena_allocator(false).build().error_on_failure();
        // A network in single precision is computed in it: ONNX Runtime would use TF32, with ten bits of mantissa, by itself.
        let cuda = || ep::CUDA::default().with_tf32(false).build().error_on_failure();
        match self {
            Self::TensorRt | Self::OnnxRuntimeTensorRt => {
                vec![tensorrt(config, is_quantised).build().error_on_failure(), cuda(), cpu]
            }
            Self::Cuda => vec![cuda(), cpu],
            Self::Cpu | Self::Scripted => vec![cpu],
        }
    }
}

fn tensorrt(config: &AcceleratorConfig, is_quantised: bool) -> ep::TensorRT {
    // TensorRT 10 refuses Q/DQ unless it is told; without them it would want ranges that it was not given.
    let provider = ep::TensorRT::default().with_fp16(true).with_int8(is_quantised);
    match &config.cache {
        // Engines are bound to GPU, driver and TensorRT version; ONNX Runtime puts all three into the file names.
        Some(folder) => provider
            .with_engine_cache(true)
            .with_engine_cache_path(folder.display())
            .with_timing_cache(true)
            .with_timing_cache_path(folder.display()),
        None => provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_ends_at_the_cpu() {
        let mut provider = Provider::parse("tensorrt").unwrap();
        let mut order = vec![provider.name()];
        while let Some(next) = provider.fallback() {
            order.push(next.name());
            provider = next;
        }
        assert_eq!(order, ["tensorrt", "onnxruntime-tensorrt", "cuda", "cpu"]);
    }

    #[test]
    fn an_unknown_provider_is_named() {
        assert!(Provider::parse("npu").unwrap_err().to_string().contains("npu"));
    }
}
