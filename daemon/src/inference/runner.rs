//! The one thread that runs networks for neighbours: one run after another, behind live pictures and the box's own studies.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use axum::body::Bytes;
use hal::Tensor;
use hal::accel::{AccelFault, Signature};
use hal::urgency;
use models::{golden, task};
use node::inference::metadata;
use node::inference::wire::{self, Message, Named};
use sha2::{Digest, Sha256};
use study::model::{Loaded, Shelf};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::First;

/// Requests that wait for the thread, besides the one in work.
const WAITING: usize = 4;
/// A run for a neighbour waits no longer than this for the box's own studies: neighbours have deadlines, too.
const OWN_STUDIES: Duration = Duration::from_secs(2);
/// Networks are unloaded after so long without a request.
const IDLE: Duration = Duration::from_secs(300);

/// A network as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub package: String,
    pub version: String,
    pub sha256: String,
    pub signature: Signature,
    /// `cpu, ONNX Runtime 1.32.0`.
    pub on: String,
    /// Values of the largest input that this box itself would give to it.
    pub largest: usize,
}

impl Offer {
    /// `None`: any.
    pub fn is_version(&self, version: Option<&str>) -> bool {
        version.is_none_or(|version| version == self.version)
    }

    /// Why these are no inputs of the network. Pure.
    fn refuses(&self, inputs: &[Named]) -> Option<String> {
        let most = self.signature.inputs.len();
        if inputs.len() > most {
            return Some(format!("{} inputs, the network has {most}", inputs.len()));
        }
        let large = inputs.iter().find(|one| one.tensor.data.len() > self.largest)?;
        let (name, values) = (&large.name, large.tensor.data.len());
        Some(format!("{name:?} has {values} values, the largest input of the network has {}", self.largest))
    }
}

#[derive(Debug)]
pub enum Refused {
    /// No active package is called so, or its network has another hash.
    NoModel(String),
    /// It does not fit the network.
    BadInput(String),
    /// Not now.
    Busy(String),
    Failed(String),
}

type Reply<T> = oneshot::Sender<Result<T, Refused>>;

enum Asked {
    Offer { model: String, reply: Reply<Offer> },
    Run { asking: Asking, reply: Reply<(Offer, Message)> },
}

/// A request as it came: its tensors are read by the thread that runs them.
#[derive(Debug)]
pub struct Asking {
    pub model: String,
    pub version: Option<String>,
    /// How many bytes are JSON, where tensors follow.
    pub header: Option<usize>,
    pub bytes: Bytes,
    /// Its place among the requests that are held, given back once it is done or nobody waits for it.
    pub held: OwnedSemaphorePermit,
}

/// The way to the thread, which ends when this is dropped.
#[derive(Debug, Clone)]
pub struct Runner(SyncSender<Asked>);

impl Runner {
    /// # Errors
    /// When no thread can be started.
    pub fn start(shelf: Shelf, first: First) -> std::io::Result<Self> {
        let (asks, asked) = sync_channel(WAITING);
        std::thread::Builder::new().name("neighbours".into()).spawn(move || {
            // Behind the box's own studies, which have stepped back once where there is live video.
            urgency::step_back();
            urgency::step_back();
            Desk { shelf, first, loaded: BTreeMap::new() }.work(&asked);
        })?;
        Ok(Self(asks))
    }

    /// # Errors
    /// Any but `BadInput`.
    pub async fn offer(&self, model: &str) -> Result<Offer, Refused> {
        self.ask(|reply| Asked::Offer { model: model.to_owned(), reply }).await
    }

    /// Runs it once, from the bytes of the request to those of the answer.
    ///
    /// # Errors
    /// Any.
    pub async fn run(&self, asking: Asking) -> Result<(Offer, Message), Refused> {
        self.ask(|reply| Asked::Run { asking, reply }).await
    }

    async fn ask<T>(&self, asked: impl FnOnce(Reply<T>) -> Asked) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(asked(reply)).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy(format!("{WAITING} requests wait already")),
            TrySendError::Disconnected(_) => Refused::Failed("the thread for neighbours has ended".into()),
        })?;
        answer.await.unwrap_or_else(|_| Err(Refused::Failed("the run broke off".into())))
    }
}

struct Desk {
    shelf: Shelf,
    first: First,
    /// By task.
    loaded: BTreeMap<&'static str, (Loaded, Offer)>,
}

impl Desk {
    fn work(mut self, asked: &Receiver<Asked>) {
        loop {
            let one = match asked.recv_timeout(IDLE) {
                Ok(one) => one,
                Err(RecvTimeoutError::Timeout) => {
                    self.loaded.clear();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // What a network does to this thread must not end it.
            if catch_unwind(AssertUnwindSafe(|| self.answer(one))).is_err() {
                self.loaded.clear();
            }
        }
    }

    fn answer(&mut self, one: Asked) {
        match one {
            // Who asked has gone.
            Asked::Offer { reply, .. } if reply.is_closed() => {}
            Asked::Run { reply, .. } if reply.is_closed() => {}
            Asked::Offer { model, reply } => drop(reply.send(self.find(&model).map(|(_, offer)| offer.clone()))),
            Asked::Run { asking, reply } => drop(reply.send(self.run(asking))),
        }
    }

    fn run(&mut self, asking: Asking) -> Result<(Offer, Message), Refused> {
        self.first.studies.give_way(OWN_STUDIES);
        self.first.live.give_way(urgency::LONGEST_WAIT);
        let Asking { model, version, header, bytes, held: _held } = asking;
        let (loaded, offer) = self.find(&model)?;
        let offer = offer.clone();
        if !offer.is_version(version.as_deref()) {
            return Err(Refused::NoModel("no such version is active".into()));
        }
        let request = wire::read_request(header, &bytes).map_err(Refused::BadInput)?;
        drop(bytes);
        if let Some(why) = offer.refuses(&request.inputs) {
            return Err(Refused::BadInput(why));
        }
        let inputs = request.inputs.into_iter().map(|one| (one.name, one.tensor)).collect();
        let outputs = match outputs(loaded, inputs) {
            Err(Refused::Failed(why)) => {
                self.loaded.clear();
                return Err(Refused::Failed(why));
            }
            outputs => outputs?,
        };
        let wanted = (request.outputs.as_slice(), request.is_binary);
        let (named, binary) = named(&offer, outputs, wanted)?;
        let answer = wire::answer(&model, &offer.version, request.id.as_deref(), &named, &binary);
        Ok((offer, answer))
    }

    /// The active package that is called so: by its id, or by its id and the hash of its network.
    fn find(&mut self, model: &str) -> Result<&mut (Loaded, Offer), Refused> {
        let none = || Refused::NoModel(format!("no active model package is called {model:?}"));
        // Whether the hash is the right one is known once the network is loaded.
        let named = |id: &str| model == id || model.starts_with(&metadata::name_with_hash(id, ""));
        let active = task::ALL.into_iter().find_map(|task| {
            let entry = self.shelf.active(task).ok()?;
            named(&entry.key.id).then_some((task, entry))
        });
        let (task, entry) = active.ok_or_else(none)?;
        if !self.loaded.get(task).is_some_and(|(loaded, _)| loaded.is(&entry)) {
            self.loaded.remove(task);
            let loaded = self.shelf.load_active(task).map_err(|error| Refused::Failed(error.to_string()))?;
            let offer = offer(&loaded)?;
            self.loaded.insert(task, (loaded, offer));
        }
        let found = self.loaded.get_mut(task).ok_or_else(none)?;
        let is_it = model == found.1.package || model == metadata::name_with_hash(&found.1.package, &found.1.sha256);
        if is_it { Ok(found) } else { Err(none()) }
    }
}

/// One run; inputs by name.
fn outputs(loaded: &mut Loaded, mut inputs: Vec<(String, Tensor)>) -> Result<Vec<Tensor>, Refused> {
    let ordered: Result<Vec<Tensor>, Refused> = loaded
        .model
        .inputs()
        .iter()
        .map(|name| {
            let at = inputs.iter().position(|(given, _)| given == name);
            at.map(|at| inputs.swap_remove(at).1).ok_or_else(|| Refused::BadInput(format!("no input {name:?}")))
        })
        .collect();
    let ordered = ordered?;
    if let Some((name, _)) = inputs.first() {
        return Err(Refused::BadInput(format!("the network has no input {name:?}")));
    }
    loaded.model.run(&ordered).map_err(|error| match error.kind() {
        AccelFault::BadInput => Refused::BadInput(error.to_string()),
        _ => Refused::Failed(error.to_string()),
    })
}

/// The outputs that are `wanted`, or all, and whether each goes as bytes.
fn named(
    offer: &Offer,
    outputs: Vec<Tensor>,
    (wanted, is_binary): (&[(String, bool)], bool),
) -> Result<(Vec<Named>, Vec<bool>), Refused> {
    if outputs.iter().any(|one| one.data.iter().any(|value| !value.is_finite())) {
        return Err(Refused::Failed("the network answered what is no number".into()));
    }
    let names = offer.signature.outputs.iter().map(|port| port.name.clone());
    let mut named: Vec<Named> = names.zip(outputs).map(|(name, tensor)| Named { name, tensor }).collect();
    if wanted.is_empty() {
        let binary = vec![is_binary; named.len()];
        return Ok((named, binary));
    }
    let mut chosen = Vec::new();
    for (name, _) in wanted {
        let at = named.iter().position(|one| one.name == *name);
        let none = || Refused::BadInput(format!("no output {name:?}"));
        chosen.push(named.swap_remove(at.ok_or_else(none)?));
    }
    Ok((chosen, wanted.iter().map(|(_, binary)| *binary).collect()))
}

fn offer(loaded: &Loaded) -> Result<Offer, Refused> {
    let on = loaded.device.now();
    if on.simulated {
        return Err(Refused::Failed("the accelerator of this box is simulated: its answers are none".into()));
    }
    let failed = |error: models::package::Error| Refused::Failed(error.to_string());
    let network = loaded.package.read(&loaded.variant.network).map_err(failed)?;
    let signature = loaded.model.signature().ok_or_else(|| Refused::Failed("the network has no signature".into()))?;
    Ok(Offer {
        package: loaded.key.id.clone(),
        version: loaded.key.version.clone(),
        sha256: hex::encode(Sha256::digest(&network)),
        signature,
        on: format!("{}, {}", on.provider, on.library),
        largest: golden::largest_input(&loaded.package.manifest),
    })
}

#[cfg(test)]
mod tests {
    use hal::accel::Port;

    use super::*;

    /// Promise: a neighbour makes this box hold no more than the network needs.
    #[test]
    fn more_inputs_or_larger_ones_than_the_network_has_are_refused() {
        let port = |name: &str| Port { name: name.into(), shape: vec![-1] };
        let offer = Offer {
            package: "p".into(),
            version: "1".into(),
            sha256: String::new(),
            signature: Signature { inputs: vec![port("x")], outputs: vec![port("y")] },
            on: String::new(),
            largest: 4,
        };
        let input =
            |values: usize| Named { name: "x".into(), tensor: Tensor { shape: vec![values], data: vec![0.0; values] } };
        assert_eq!(offer.refuses(&[input(4)]), None);
        assert!(offer.refuses(&[input(5)]).unwrap().contains("the largest input"));
        assert!(offer.refuses(&[input(1), input(1)]).unwrap().contains("2 inputs"));
    }
}
