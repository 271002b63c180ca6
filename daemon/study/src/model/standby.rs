//! The CPU behind the GPU. A run that the GPU does not make (device lost, no memory, no answer) is made by the CPU from the same
//! inputs, and so are the next ones; meanwhile the GPU is opened, loaded and proved again with growing pauses, beside the work. No
//! study is dropped and no live picture waits for longer than one run. What made a run, and why not the GPU, is said by [`Device`]
//! (results) and [`Standing`] (level of the box).

mod apart;
mod left;
mod patches;
mod standing;

use std::fmt;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::accel::{self, AccelFault, Description, OnCard, Patchwork, Provider, Signature};
use hal::backoff::{Backoff, Pauses};
use hal::clock::Clock;
use hal::{LoadedModel, Tensor};
use models::manifest::Variant;

use self::apart::Apart;
pub(super) use self::left::{Left, Ticket};
pub(super) use self::standing::Place;
pub use self::standing::Standing;

/// Before the GPU is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(10), Duration::from_secs(600));
/// A GPU that came back is trusted once it has worked for as long as the pause before, and no less than this: until then the next
/// failure lengthens the pause, and the CPU's network stays loaded (to load and prove it again would take a live picture's time).
const TRUSTED_AFTER: Duration = Duration::from_secs(60);
/// A run that takes longer hangs: the golden run was made in milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first run of a shape, where engines are built for it.
const BUILDING: Duration = Duration::from_secs(1800);
/// Characters of a reason in a result.
const REASON: usize = 160;

/// A network on one device: checked, built and proved.
#[derive(Debug)]
pub(super) struct Opened {
    pub model: Box<dyn LoadedModel>,
    pub on: Description,
    pub variant: Variant,
}

/// Opens a network on one device. May take minutes.
pub(super) type Open = Arc<dyn Fn() -> Result<Opened, super::Error> + Send + Sync>;

/// How the two devices are opened.
#[derive(Clone)]
pub(super) struct Ways {
    pub gpu: Open,
    pub cpu: Open,
}

/// What makes the runs of one loaded network. Clones are the same.
#[derive(Debug, Clone)]
pub struct Device(Arc<Mutex<Runs>>);

#[derive(Debug, Clone)]
struct Runs {
    gpu: Option<(Description, u32)>,
    cpu: Option<(Description, u32)>,
    /// Why the GPU did not make one.
    why: Option<String>,
    /// The next run is the GPU's.
    is_gpu: bool,
}

impl Device {
    /// One that has no other behind it.
    pub(super) fn alone(on: Description) -> Self {
        Self::of(Some(on), None, None)
    }

    fn of(gpu: Option<Description>, cpu: Option<Description>, why: Option<String>) -> Self {
        let is_gpu = gpu.is_some();
        let counted = |on: Option<Description>| on.map(|on| (on, 0));
        Self(Arc::new(Mutex::new(Runs { gpu: counted(gpu), cpu: counted(cpu), why, is_gpu })))
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job begins: what was before it is not said of it.
    pub(crate) fn begin(&self) {
        self.runs().begin();
    }

    /// What made the runs since a job began; before the first, what would make it.
    pub fn describe(&self) -> Description {
        self.runs().describe()
    }

    /// What makes the runs now.
    pub fn now(&self) -> Description {
        let mut runs = self.runs().clone();
        runs.begin();
        runs.describe()
    }
}

impl Runs {
    fn begin(&mut self) {
        for (_, count) in [&mut self.gpu, &mut self.cpu].into_iter().flatten() {
            *count = 0;
        }
        if self.is_gpu {
            self.why = None;
        }
    }

    fn describe(&self) -> Description {
        let count = |of: &Option<(Description, u32)>| of.as_ref().map_or(0, |(_, runs)| *runs);
        let (on_gpu, on_cpu) = (count(&self.gpu), count(&self.cpu));
        let none = on_gpu + on_cpu == 0;
        let has = |of: &Option<(Description, u32)>, made: u32, next: bool| {
            of.as_ref().filter(|_| made > 0 || (none && next)).map(|(on, _)| on.clone())
        };
        let why = self.why.as_ref().map(|why| why.chars().take(REASON).collect::<String>());
        match (has(&self.gpu, on_gpu, self.is_gpu), has(&self.cpu, on_cpu, !self.is_gpu)) {
            (Some(gpu), None) => gpu,
            (None, Some(cpu)) => {
                let why = why.or(cpu.fallback);
                let said = why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
                Description { library: format!("{}{said}", cpu.library), fallback: why, ..cpu }
            }
            (Some(gpu), Some(cpu)) => {
                let said = why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
                let parts = format!(
                    "partly on {} ({}), partly on {} ({})",
                    gpu.provider, gpu.library, cpu.provider, cpu.library
                );
                Description {
                    provider: format!("{} and {}", gpu.provider, cpu.provider),
                    library: format!("made {parts}{said}"),
                    fallback: why,
                    simulated: gpu.simulated || cpu.simulated,
                }
            }
            // Only while the CPU is being opened.
            (None, None) => Description {
                provider: "none".into(),
                library: String::new(),
                fallback: why,
                simulated: [&self.gpu, &self.cpu].into_iter().flatten().any(|(on, _)| on.simulated),
            },
        }
    }
}

#[derive(Debug)]
enum Gpu {
    Ready(Apart),
    /// It is being opened again.
    Coming(Receiver<Result<Opened, String>>),
    Lost,
}

/// A network on the GPU with the CPU behind it.
pub(super) struct Standby {
    gpu: Gpu,
    cpu: Option<Box<dyn LoadedModel>>,
    ways: Ways,
    device: Device,
    place: Place,
    left: Left,
    clock: Arc<dyn Clock>,
    backoff: Backoff,
    /// Since when the GPU works again, while it is not trusted yet.
    works_since: Option<Duration>,
    patience: Duration,
    /// Shapes of inputs that have run on the GPU since it was opened; `None` where no engine is built for a shape.
    shapes: Option<Vec<Vec<usize>>>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    signature: Option<Signature>,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").field("gpu", &self.gpu).field("device", &self.device).finish_non_exhaustive()
    }
}

/// What stands first: a network on the GPU, or why there is none and the one on the CPU.
pub(super) enum First {
    Gpu(Opened),
    Cpu(Opened, String),
}

/// Says that the network runs on a GPU, and whether by another library than the configured one.
fn works_on(place: &Place, on: &Description) {
    match &on.fallback {
        None => place.back(),
        Some(why) => place.say(why.clone(), true),
    }
}

/// Of a device that has just been opened: no shape has run. `None` where no engine is built for one.
fn no_shapes(on: &Description) -> Option<Vec<Vec<usize>>> {
    Provider::parse(&on.provider).is_ok_and(Provider::keeps_engines).then(Vec::new)
}

impl Standby {
    /// # Errors
    /// When no thread can be started.
    pub fn new(first: First, ways: Ways, place: Place, left: Left, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let mut backoff = Backoff::new(PAUSES);
        let names = |model: &dyn LoadedModel| (model.inputs().to_vec(), model.outputs().to_vec(), model.signature());
        let (gpu, cpu, device, (inputs, outputs, signature)) = match first {
            First::Gpu(Opened { model, on, .. }) => {
                works_on(&place, &on);
                let names = names(model.as_ref());
                (Gpu::Ready(Apart::start(model, &left)?), None, Device::of(Some(on), None, None), names)
            }
            First::Cpu(Opened { model, on, .. }, why) => {
                backoff.failed(clock.now());
                place.say(why.clone(), false);
                let names = names(model.as_ref());
                (Gpu::Lost, Some(model), Device::of(None, Some(on), Some(why)), names)
            }
        };
        let shapes = no_shapes(&device.now());
        Ok(Self {
            gpu,
            cpu,
            ways,
            device,
            place,
            left,
            clock,
            backoff,
            works_since: None,
            patience: PATIENCE,
            shapes,
            inputs,
            outputs,
            signature,
        })
    }

    #[cfg(test)]
    fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// Begins to open the GPU again when it is time, and takes it once it is there. Does not wait.
    fn look_for_gpu(&mut self) {
        match &self.gpu {
            Gpu::Ready(_) => {}
            Gpu::Lost if self.left.is_none() && self.backoff.is_due(self.clock.now()) => self.open_again(),
            Gpu::Lost => {}
            Gpu::Coming(coming) => match coming.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.lose("it could not be opened again".into()),
                Ok(Err(why)) => self.lose(why),
                Ok(Ok(Opened { model, on, .. })) => match Apart::start(model, &self.left) {
                    Ok(apart) => self.take(apart, on),
                    Err(error) => self.lose(error.to_string()),
                },
            },
        }
    }

    fn open_again(&mut self) {
        let (told, coming) = mpsc::sync_channel(1);
        let open = self.ways.gpu.clone();
        let begun = std::thread::Builder::new().name("gpu again".into()).spawn(move || {
            let _ = told.send(open().map_err(|error| error.to_string()));
        });
        match begun {
            Ok(_) => self.gpu = Gpu::Coming(coming),
            Err(error) => self.lose(error.to_string()),
        }
    }

    fn take(&mut self, apart: Apart, on: Description) {
        self.shapes = no_shapes(&on);
        let mut runs = self.device.runs();
        let made = runs.gpu.as_ref().map_or(0, |(_, made)| *made);
        (runs.gpu, runs.is_gpu) = (Some((on, made)), true);
        drop(runs);
        self.gpu = Gpu::Ready(apart);
    }

    /// It has made a run since it failed. With the first it is believed; only when it has gone on for a while is the failure forgotten,
    /// and the memory of the other network given back.
    fn works_again(&mut self) {
        let now = self.clock.now();
        let Some(since) = self.works_since else {
            tracing::info!("the GPU is used again");
            self.works_since = Some(now);
            let on = self.device.runs().gpu.as_ref().map(|(on, _)| on.clone());
            if let Some(on) = on {
                works_on(&self.place, &on);
            }
            return;
        };
        if now.saturating_sub(since) >= self.backoff.pause().max(TRUSTED_AFTER) {
            self.backoff.succeeded();
            (self.works_since, self.cpu) = (None, None);
        }
    }

    fn lose(&mut self, why: String) {
        (self.gpu, self.works_since) = (Gpu::Lost, None);
        let again_secs = self.backoff.failed(self.clock.now()).as_secs();
        tracing::warn!(why, again_secs, "the GPU is not used: the CPU does it");
        let mut runs = self.device.runs();
        (runs.why, runs.is_gpu) = (Some(why.clone()), false);
        drop(runs);
        self.place.say(why, false);
    }

    /// How long the GPU may take for inputs of these extents.
    fn patience(&self, shape: &[usize]) -> Duration {
        let is_new = self.shapes.as_ref().is_some_and(|shapes| !shapes.iter().any(|known| known == shape));
        if is_new { BUILDING } else { self.patience }
    }

    /// The GPU has made runs of inputs of these extents.
    fn made_on_gpu(&mut self, shape: Vec<usize>, runs: u32) {
        if let Some(shapes) = self.shapes.as_mut().filter(|shapes| !shapes.contains(&shape)) {
            shapes.push(shape);
        }
        if self.backoff.has_failed() {
            self.works_again();
        }
        if let Some((_, made)) = &mut self.device.runs().gpu {
            *made += runs;
        }
    }

    fn on_cpu(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        let cpu = match &mut self.cpu {
            Some(cpu) => cpu,
            none => {
                let opened = (self.ways.cpu)().map_err(|error| {
                    let why = self.device.runs().why.clone().unwrap_or_default();
                    accel::Error::new(AccelFault::NotPresent, format!("GPU: {why}; CPU: {error}"))
                })?;
                self.device.runs().cpu = Some((opened.on, 0));
                none.insert(opened.model)
            }
        };
        let answer = cpu.run(inputs)?;
        if let Some((_, made)) = &mut self.device.runs().cpu {
            *made += 1;
        }
        Ok(answer)
    }
}

impl LoadedModel for Standby {
    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn signature(&self) -> Option<Signature> {
        self.signature.clone()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        self.look_for_gpu();
        if let Gpu::Ready(apart) = &self.gpu {
            let shape: Vec<usize> = inputs.iter().flat_map(|input| input.shape.clone()).collect();
            match apart.run(inputs, self.patience(&shape)) {
                Ok(answer) => {
                    self.made_on_gpu(shape, 1);
                    return Ok(answer);
                }
                // The CPU would say the same.
                Err(error) if error.kind() == AccelFault::BadInput => return Err(error),
                Err(error) => self.lose(error.to_string()),
            }
        }
        self.on_cpu(inputs)
    }

    fn on_card(&mut self, work: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, accel::Error> {
        patches::begin(self, work)
    }
}

#[cfg(test)]
mod tests;
