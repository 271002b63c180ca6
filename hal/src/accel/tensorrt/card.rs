//! Engines on a card: TensorRT builds and loads them, `cuda` has the stream and the memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call_ffi::{End, Session};
use super::patches::{Compiled, Patches};
use super::plan::Binding;
use super::run_ffi;
use super::supply::{Engine, Maker, Wanted, no_patches};
use super::workshop::{Built, Order, Target, Workshop};
use crate::accel::{AccelFault, Error, Patchwork, Signature, Tensor, Watch, shape};
use crate::cuda::{Device, DeviceBuffer, PinnedBuffer, Stream, Urgency};

/// A live picture that takes longer is of no use; a patch of a volume may meet many others on the card.
const PATIENCE_LIVE: Duration = Duration::from_secs(5);
const PATIENCE_STUDY: Duration = Duration::from_secs(60);

/// A card and the TensorRT that builds for it.
#[derive(Debug)]
pub(super) struct Card {
    workshop: Workshop,
    device: Device,
    urgency: Urgency,
    /// What the kernel's files say of the driver, and the newest CUDA that it knows.
    driver: String,
    workspace: usize,
    compiled: Compiled,
}

impl Card {
    /// # Errors
    /// `NotPresent` without driver or card.
    pub fn open(workshop: Workshop, urgency: Urgency) -> Result<Self, Error> {
        let device = Device::open(0)?;
        let (major, minor) = device.facts().driver;
        let number = crate::accel::gpu::driver_version().unwrap_or_else(|| "of unknown version".into());
        let driver = format!("{number}, CUDA {major}.{minor}");
        let workspace = workspace(device.memory()?.total);
        Ok(Self { workshop, device, urgency, driver, workspace, compiled: Compiled::default() })
    }

    /// What engines depend on, for people and records.
    pub fn facts(&self) -> Vec<String> {
        let facts = self.device.facts();
        let (major, minor) = facts.capability;
        vec![facts.name.clone(), format!("compute capability {major}.{minor}"), format!("driver {}", self.driver)]
    }
}

/// Most memory that one layer may use beside its tensors, bytes: a card has other work, and Jetson's memory is the processor's too.
fn workspace(total: usize) -> usize {
    (total / 8).clamp(64 << 20, 2 << 30)
}

impl Maker for Card {
    fn binding(&self, network: &str, shapes: &str) -> Binding {
        let facts = self.device.facts();
        let (major, minor) = facts.capability;
        Binding {
            library: self.workshop.version().to_string(),
            device: facts.name.clone(),
            capability: format!("{major}.{minor}"),
            driver: self.driver.clone(),
            network: network.to_owned(),
            shapes: shapes.to_owned(),
            workspace_mib: (self.workspace >> 20) as u64,
        }
    }

    fn examine(&self, onnx: &[u8]) -> Result<Signature, Error> {
        Ok(self.workshop.examine(onnx)?.signature)
    }

    fn build(&self, onnx: &[u8], shapes: &[Vec<i64>], timings: &[u8], watch: Watch<'_>) -> Result<Built, Error> {
        self.device.make_current()?;
        let (major, minor) = self.device.facts().capability;
        let target = if self.workshop.builds_for_others() { Target::Capability(major, minor) } else { Target::Here };
        self.workshop.build(onnx, &Order { shapes, target, workspace: self.workspace, timings }, watch)
    }

    fn load(&self, plan: &[u8], kernels: &[u8], want: &Wanted<'_>) -> Result<Box<dyn Engine>, Error> {
        self.device.make_current()?;
        let session = self.workshop.session(plan, kernels)?;
        tracing::debug!(bytes = session.device_memory(), "device memory of the engine");
        Ok(Box::new(Running::new(self, session, kernels.is_empty(), want)?))
    }
}

/// One tensor of an engine: its memory on the card and its twin of the host.
#[derive(Debug)]
struct Bound {
    shape: Vec<usize>,
    device: DeviceBuffer<f32>,
    host: PinnedBuffer<f32>,
}

/// A loaded engine with its memory. Nothing is allocated during a run.
#[derive(Debug)]
struct Running {
    /// Also held by the stream while a run is queued.
    session: Arc<Mutex<Session>>,
    inputs: Vec<Bound>,
    outputs: Vec<Bound>,
    stream: Stream,
    patience: Duration,
    /// The first run compiles, and what it compiled is not kept yet.
    compiles: bool,
    device: Device,
    compiled: Compiled,
    patches: Option<Patches>,
}

impl Running {
    fn new(card: &Card, mut session: Session, compiles: bool, want: &Wanted<'_>) -> Result<Self, Error> {
        let odd = |what: &str| Error::new(AccelFault::Device, format!("the engine {what}"));
        let tensors = session.tensors().ok_or_else(|| odd("does not describe its tensors"))?;
        let count = |end| tensors.iter().filter(|(of, _)| *of == end).count();
        let Signature { inputs, outputs } = want.signature;
        let floats = tensors.iter().all(|(_, tensor)| tensor.kind == 0);
        if count(End::Input) != inputs.len() || count(End::Output) != outputs.len() || !floats {
            return Err(odd("has other inputs and outputs than its network"));
        }
        for (port, shape) in inputs.iter().zip(want.shapes) {
            if !session.set_shape(&port.name, shape) {
                return Err(odd(&format!("does not take {shape:?} as \"{}\"", port.name)));
            }
        }
        let mut bind = |name: &str| {
            let shape = session.shape(name).ok_or_else(|| odd(&format!("gives \"{name}\" no extents")))?;
            let extents: Result<Vec<usize>, _> = shape.iter().map(|extent| usize::try_from(*extent)).collect();
            let shape = extents.map_err(|_| odd(&format!("leaves extents of \"{name}\" open: {shape:?}")))?;
            let values = shape.iter().product();
            let bound = Bound { shape, device: card.device.buffer(values)?, host: card.device.pinned(values)? };
            if run_ffi::bind(&mut session, name, &bound.device) {
                Ok(bound)
            } else {
                Err(odd(&format!("does not take memory for \"{name}\"")))
            }
        };
        let inputs = inputs.iter().map(|port| bind(&port.name)).collect::<Result<Vec<_>, _>>()?;
        let outputs = outputs.iter().map(|port| bind(&port.name)).collect::<Result<Vec<_>, _>>()?;
        let patience = if card.urgency == Urgency::Live { PATIENCE_LIVE } else { PATIENCE_STUDY };
        let stream = card.device.stream(card.urgency)?;
        Ok(Self {
            session: Arc::new(Mutex::new(session)),
            inputs,
            outputs,
            stream,
            patience,
            compiles,
            device: card.device.clone(),
            compiled: card.compiled.clone(),
            patches: None,
        })
    }
}

impl Engine for Running {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let same = inputs.len() == self.inputs.len()
            && inputs.iter().zip(&self.inputs).all(|(given, bound)| given.shape == bound.shape);
        if !same {
            let given: Vec<_> = inputs.iter().map(|input| shape::signed(&input.shape)).collect();
            return Err(Error::new(AccelFault::BadInput, format!("the engine was not built for {given:?}")));
        }
        self.made(inputs).map_err(of_card)
    }

    fn kernels(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.compiles) {
            return None;
        }
        self.session.lock().unwrap_or_else(PoisonError::into_inner).kernels()
    }

    fn begin_patches(&mut self, work: &Arc<Patchwork>) -> Result<bool, Error> {
        self.end_patches();
        work.check()?;
        let ([input], [output]) = (self.inputs.as_slice(), self.outputs.as_slice()) else { return Ok(false) };
        // Another answer than the task wants: the run that follows says so.
        if input.shape != work.input() || output.shape != work.output() {
            return Ok(false);
        }
        match Patches::new(&self.device, &self.compiled, (&self.stream, self.patience), work) {
            Ok(patches) => {
                tracing::debug!(bytes = work.bytes(), "the patches of a volume stay on the card");
                self.patches = Some(patches);
                Ok(true)
            }
            // This volume is too much, or this driver has no kernels: the network runs all the same.
            Err(error) if matches!(error.kind(), AccelFault::OutOfMemory | AccelFault::BadModel) => {
                tracing::info!(%error, "the patches of a volume go through the host's memory");
                Ok(false)
            }
            Err(error) => Err(of_card(error)),
        }
    }

    fn patch(&mut self, origin: [usize; 3]) -> Result<Option<f32>, Error> {
        let Self { session, inputs, outputs, stream, patience, patches, .. } = self;
        let (Some(patches), [input], [output]) = (patches, inputs.as_mut_slice(), outputs.as_mut_slice()) else {
            return Err(no_patches());
        };
        // The only one of these calls that the caller may get wrong.
        patches.cut(stream, origin, &mut input.device)?;
        let mut on_card = || {
            run_ffi::enqueue(session, stream, [&input.device, &output.device].into_iter())?;
            patches.blend(stream, origin, &output.device)?;
            stream.wait(*patience)?;
            if !patches.is_odd()? {
                return Ok(None);
            }
            stream.download(&output.device, 0..output.device.len(), &mut output.host, 0)?;
            stream.wait(*patience)?;
            Ok(patches.first_odd(output.host.read()?))
        };
        on_card().map_err(of_card)
    }

    fn blended(&mut self) -> Result<Vec<Vec<u16>>, Error> {
        let made = self.patches.as_mut().ok_or_else(no_patches)?.finish(&self.stream);
        self.end_patches();
        made.map_err(of_card)
    }

    fn end_patches(&mut self) {
        // The stream holds its memory until what is queued has ended; a card that is late is not waited for again.
        if self.patches.take().is_some() && self.stream.admit().is_ok() {
            let _ = self.stream.wait(self.patience);
        }
    }
}

/// Its extents are right: what the driver calls an invalid value is a failure of ours or of the card.
fn of_card(error: Error) -> Error {
    match error.kind() {
        AccelFault::BadInput => Error::new(AccelFault::Device, error.to_string()),
        _ => error,
    }
}

impl Running {
    fn made(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        for (given, bound) in inputs.iter().zip(&mut self.inputs) {
            bound.host.write()?.copy_from_slice(&given.data);
            self.stream.upload(&mut bound.host, 0..given.data.len(), &mut bound.device, 0)?;
        }
        let used = self.inputs.iter().chain(&self.outputs).map(|bound| &bound.device);
        run_ffi::enqueue(&self.session, &self.stream, used)?;
        for bound in &mut self.outputs {
            self.stream.download(&bound.device, 0..bound.device.len(), &mut bound.host, 0)?;
        }
        self.stream.wait(self.patience)?;
        let tensor = |bound: &Bound| Ok(Tensor { shape: bound.shape.clone(), data: bound.host.read()?.to_vec() });
        self.outputs.iter().map(tensor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_layer_never_takes_the_whole_card() {
        assert_eq!(workspace(8 << 30), 1 << 30);
        assert_eq!(workspace(64 << 30), 2 << 30, "bounded on large cards");
        assert_eq!(workspace(256 << 20), 64 << 20, "and enough on small ones");
    }
}
