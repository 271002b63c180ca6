//! Accelerators behind ONNX Runtime: CPU, CUDA, TensorRT.

use ort::ErrorCode;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::library::Library;
use super::{
    AccelFault, Accelerator, AcceleratorConfig, Description, Error, LoadedModel, PROBE, Port, Provider, Signature,
    Tensor, message, runtime, shape,
};

#[derive(Debug)]
pub(super) struct OnnxRuntime {
    library: Library,
    provider: Provider,
    config: AcceleratorConfig,
    fallback: Option<String>,
}

impl OnnxRuntime {
    /// Takes the first provider, from `wanted` downwards, that runs the probe network. `reasons`: why better ones are not used.
    ///
    /// # Errors
    /// `AccelFault::NotPresent` when the library cannot be loaded.
    pub(super) fn open(
        wanted: Provider,
        mut reasons: Vec<String>,
        library: Library,
        config: &AcceleratorConfig,
    ) -> Result<Self, Error> {
        let mut provider = wanted;
        while let Some(next) = provider.fallback() {
            runtime::environment(&library)?;
            match usable(provider, &library, config) {
                Ok(()) => break,
                Err(why) => reasons.push(format!("{} requested; {why}", provider.name())),
            }
            provider = next;
        }
        let fallback = (!reasons.is_empty()).then(|| format!("{}: using {}", reasons.join("; "), provider.name()));
        if let Some(reason) = &fallback {
            tracing::warn!("{reason}");
        }
        Ok(Self { library, provider, config: config.clone(), fallback })
    }
}

/// Why a GPU provider cannot be used, in plain words.
fn usable(provider: Provider, library: &Library, config: &AcceleratorConfig) -> Result<(), String> {
    let at = format!("{} at {}", library.name(), library.path.display());
    match provider.built_in() {
        Ok(true) => {}
        Ok(false) => return Err(format!("{at} was built without it")),
        Err(e) => return Err(format!("{at} does not list its providers: {}", message::plain(e.message()))),
    }
    let probe = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
    session(PROBE, provider, library, config)
        .and_then(|mut model| model.run(&[probe]))
        .map(|_| ())
        .map_err(|e| format!("{at}: {}", message::plain(&e.to_string())))
}

impl Accelerator for OnnxRuntime {
    fn describe(&self) -> Description {
        Description {
            provider: self.provider.name().into(),
            library: self.library.name(),
            fallback: self.fallback.clone(),
            simulated: false,
        }
    }

    fn fingerprint(&self) -> String {
        let mut facts = vec![self.provider.name().to_owned(), self.library.name()];
        if self.provider != Provider::Cpu {
            facts.extend(super::gpu::facts());
        }
        facts.join(", ")
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        Ok(Box::new(session(onnx, self.provider, &self.library, &self.config)?))
    }
}

fn session(
    onnx: &[u8],
    provider: Provider,
    library: &Library,
    config: &AcceleratorConfig,
) -> Result<LoadedSession, Error> {
    let environment = runtime::environment(library)?;
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut builder = Session::builder(&environment)
        .map_err(device_error)?
        .with_execution_providers(provider.dispatch(config, is_quantised(onnx)))
        .map_err(device_error)?
        .with_intra_threads(threads)
        .map_err(device_error)?
        .with_inter_threads(1)
        .map_err(device_error)?
        // Idle threads must not burn cores that receive images.
        .with_intra_op_spinning(false)
        .map_err(device_error)?
        .with_deterministic_compute(true)
        .map_err(device_error)?;
    let session = builder.commit_from_memory(onnx).map_err(|e| {
        let kind = match e.code() {
            _ if message::is_memory(e.message()) => AccelFault::OutOfMemory,
            ErrorCode::ExecutionProviderFailure | ErrorCode::DeviceReset => AccelFault::Device,
            // Not the network's fault: a package must not be refused because of its card.
            _ if message::is_of_the_card(e.message()) => AccelFault::Device,
            _ => AccelFault::BadModel,
        };
        Error::new(kind, format!("network refused by {}: {}", library.name(), message::plain(e.message())))
    })?;
    LoadedSession::new(session)
}

/// Whether a network says itself where it computes in 8 bits: by Q/DQ nodes, whose name stands in its bytes.
fn is_quantised(onnx: &[u8]) -> bool {
    const NODE: &[u8] = b"DequantizeLinear";
    onnx.windows(NODE.len()).any(|word| word == NODE)
}

#[derive(Debug)]
struct LoadedSession {
    session: Session,
    inputs: Vec<String>,
    outputs: Vec<String>,
    signature: Signature,
}

impl LoadedSession {
    fn new(session: Session) -> Result<Self, Error> {
        let float_shape = |name: &str, kind: &ValueType| match kind {
            ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => Ok(shape.to_vec()),
            other => {
                Err(Error::new(AccelFault::BadModel, format!("\"{name}\" is {other}, not a tensor of 32-bit floats")))
            }
        };
        let port = |name: &str, kind: &ValueType| {
            Ok::<_, Error>(Port { name: name.to_owned(), shape: float_shape(name, kind)? })
        };
        let inputs = session.inputs().iter().map(|i| port(i.name(), i.dtype())).collect::<Result<Vec<_>, _>>()?;
        let outputs = session.outputs().iter().map(|o| port(o.name(), o.dtype())).collect::<Result<Vec<_>, _>>()?;
        let names = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect();
        let (input_names, output_names) = (names(&inputs), names(&outputs));
        let signature = Signature { inputs, outputs };
        Ok(Self { session, inputs: input_names, outputs: output_names, signature })
    }
}

impl LoadedModel for LoadedSession {
    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn signature(&self) -> Option<Signature> {
        Some(self.signature.clone())
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        shape::check(inputs, &self.signature.inputs)?;
        let values = inputs
            .iter()
            .map(|t| TensorRef::from_array_view((t.shape.clone(), t.data.as_slice())).map(SessionInputValue::from))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::new(AccelFault::BadInput, message::plain(e.message())))?;
        let outputs = self.session.run(values.as_slice()).map_err(|e| run_error(&e))?;
        outputs.values().map(|value| tensor(&value)).collect()
    }
}

fn tensor(value: &ort::value::DynValue) -> Result<Tensor, Error> {
    let (shape, data) = value.try_extract_tensor::<f32>().map_err(|e| run_error(&e))?;
    let extents: Result<Vec<usize>, _> = shape.iter().map(|n| usize::try_from(*n)).collect();
    let negative =
        |_| Error::new(AccelFault::Device, format!("the network answered with a negative extent: {shape:?}"));
    Ok(Tensor { shape: extents.map_err(negative)?, data: data.to_vec() })
}

fn device_error<R>(error: ort::Error<R>) -> Error {
    Error::new(AccelFault::Device, message::plain(error.message()))
}

fn run_error(error: &ort::Error) -> Error {
    let kind = match error.code() {
        _ if message::is_memory(error.message()) => AccelFault::OutOfMemory,
        ErrorCode::InvalidArgument => AccelFault::BadInput,
        _ => AccelFault::Device,
    };
    Error::new(kind, format!("the network failed: {}", message::plain(error.message())))
}
