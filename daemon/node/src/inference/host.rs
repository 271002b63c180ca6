//! A host as an accelerator: finds the network by its hash, and runs it there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hal::accel::{self, AccelFault, Description, Signature};
use hal::{Accelerator, LoadedModel, Tensor};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::error::{HostError, HostFault};
use super::exchange::{Answer, Exchange, Stopped};
use super::law::{self, Example, Law};
use super::metadata::{self, Model, Server};
use super::wire::{self, Named, Says};
use super::{BINARY, InferenceHost};

/// The provider in [`Description`].
pub const PROVIDER: &str = "inference host";
/// Bytes of what is no tensor: metadata, and the JSON before tensors.
const MOST_WORDS: usize = 64 * 1024;
/// Bytes of one value written in JSON, generously.
const DIGITS: usize = 32;

/// The network of one package on one host.
#[derive(Debug, Clone)]
pub struct Remote {
    name: String,
    place: String,
    package: String,
    /// What the host calls it, where that is configured.
    model: Option<String>,
    exchange: Arc<Exchange>,
    known: Option<Signature>,
    example: Option<Example>,
    /// What it said of itself last.
    server: Arc<Mutex<Option<String>>>,
}

/// A network that was found on a host.
#[derive(Debug, Clone)]
pub struct Found {
    pub server: Server,
    /// What it is called there.
    pub model: String,
    pub signature: Signature,
    /// Below it are `ready` and `infer`.
    path: String,
    /// For all requests that it took.
    pub took: Duration,
}

impl Remote {
    /// `name`: in the configuration. `package`: its id.
    ///
    /// # Errors
    /// `NotReachable` when this process can open nothing any more.
    pub fn new(name: &str, settings: &InferenceHost, package: &str) -> Result<Self, HostError> {
        Ok(Self {
            name: name.to_owned(),
            place: settings.url.to_string(),
            package: package.to_owned(),
            model: settings.models.get(package).cloned(),
            exchange: Arc::new(Exchange::new(settings)?),
            known: None,
            example: None,
            server: Arc::default(),
        })
    }

    /// The same for a network of which the box itself knows what it takes and gives.
    #[must_use]
    pub fn knowing(self, known: Option<Signature>, example: Option<Example>) -> Self {
        Self { known, example, ..self }
    }

    /// `NAME (URL, server and version)`.
    pub fn words(&self) -> String {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let server = server.filter(|words| !words.is_empty()).map(|words| format!(", {words}")).unwrap_or_default();
        format!("{} ({}{server})", self.name, self.place)
    }

    /// Whether the host is there and ready, and has the network with this hash.
    ///
    /// # Errors
    /// Every kind but `BadInput`.
    pub fn find(&self, sha256: &str) -> Result<Found, HostError> {
        let begun = Instant::now();
        let is = |path: &str, what: &str| match self.exchange.get(path, MOST_WORDS)? {
            Answer { code: 200, .. } => Ok(()),
            Answer { code: 401 | 403, .. } => {
                Err(HostError::new(HostFault::NotReachable, "it does not let us in: token_file, or who may ask there"))
            }
            Answer { code: 404, .. } if what == "live" => {
                let said = format!("nothing at {}/v2: is that the address of an inference server?", self.place);
                Err(HostError::new(HostFault::NotTheProtocol, said))
            }
            answer => {
                let said = format!("it is not {what} (HTTP {}{})", answer.code, answer.said());
                Err(HostError::new(HostFault::NotReady, said))
            }
        };
        is("/v2/health/live", "live")?;
        is("/v2/health/ready", "ready")?;
        let server: Server = self.json("/v2")?.ok_or_else(|| protocol("it does not say what it is"))?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.words());
        let names = match &self.model {
            Some(name) => vec![name.clone()],
            None => vec![metadata::name_with_hash(&self.package, sha256), self.package.clone()],
        };
        for model in &names {
            let Some(said) = self.json::<Model>(&format!("/v2/models/{model}"))? else { continue };
            let signature = said.check(sha256, self.known.as_ref())?;
            let version = said.version_of(sha256).map(|version| format!("/versions/{version}")).unwrap_or_default();
            let path = format!("/v2/models/{model}{version}");
            is(&format!("{path}/ready"), "ready with this model")?;
            return Ok(Found { server, model: model.clone(), signature, path, took: begun.elapsed() });
        }
        let said = format!("it has no model {}", names.join(", and no model "));
        Err(HostError::new(HostFault::NoModel, said))
    }

    /// `None`: there is none.
    fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, HostError> {
        let answer = self.exchange.get(path, MOST_WORDS)?;
        match answer.code {
            200 => {
                let read = serde_json::from_slice(&answer.body);
                read.map(Some)
                    .map_err(|error| protocol(&format!("its answer to {path} is none of the protocol ({error})")))
            }
            // Some servers answer 400 for a model that they do not know.
            400 | 404 => Ok(None),
            code => {
                Err(HostError::new(HostFault::NotReady, format!("it answers {path} with HTTP {code}{}", answer.said())))
            }
        }
    }

    /// Asks again whether the host has this network, where it was found before: what it states is believed for one study only.
    ///
    /// # Errors
    /// As [`Remote::find`]; `AnotherHash` also when it is now at another place.
    pub fn still_has(&self, sha256: &str, model: &RemoteModel) -> Result<(), HostError> {
        let found = self.find(sha256)?;
        if model.infer == infer(&found) {
            return Ok(());
        }
        Err(HostError::new(HostFault::AnotherHash, format!("it has the network at another place now: {}", found.path)))
    }

    /// While this says so, requests to the host are broken off.
    pub fn give_up_when(&self, stopped: Option<Stopped>) {
        self.exchange.give_up_when(stopped);
    }

    /// Loads the network with this hash.
    ///
    /// # Errors
    /// As [`Remote::find`]; `AnotherSignature` when the shape of an answer would not be known.
    pub fn load_hashed(&self, sha256: &str) -> Result<RemoteModel, HostError> {
        let found = self.find(sha256)?;
        let Some(input) = found.signature.inputs.first() else {
            return Err(HostError::new(HostFault::AnotherSignature, "its model has no input"));
        };
        let law = |output| Law::of(input, output, self.example.as_ref());
        let laws = found.signature.outputs.iter().map(law).collect::<Result<Vec<_>, _>>();
        let laws = laws.map_err(|why| HostError::new(HostFault::AnotherSignature, why))?;
        let names = |ports: &[accel::Port]| ports.iter().map(|port| port.name.clone()).collect();
        let by = if found.server.extensions.iter().any(|one| one == BINARY) { Form::Bytes } else { Form::TryBytes };
        Ok(RemoteModel {
            exchange: self.exchange.clone(),
            infer: infer(&found),
            inputs: names(&found.signature.inputs),
            outputs: names(&found.signature.outputs),
            signature: found.signature,
            laws,
            form: by,
            says: None,
        })
    }
}

fn infer(found: &Found) -> String {
    format!("{}/infer", found.path)
}

fn protocol(said: &str) -> HostError {
    HostError::new(HostFault::NotTheProtocol, said)
}

impl Accelerator for Remote {
    fn describe(&self) -> Description {
        Description { provider: PROVIDER.into(), library: self.words(), fallback: None, simulated: false }
    }

    /// The host's version is not in it: a network that it runs is proved anew each time it is found.
    fn fingerprint(&self) -> String {
        format!("{PROVIDER}, {} ({})", self.name, self.place)
    }

    /// Only the hash of the bytes is used: they stay here.
    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, accel::Error> {
        Ok(Box::new(self.load_hashed(&hex::encode(Sha256::digest(onnx)))?))
    }
}

/// How tensors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The host says that it takes bytes.
    Bytes,
    /// It does not say; it is asked so once.
    TryBytes,
    Json,
}

/// A network on a host.
#[derive(Debug)]
pub struct RemoteModel {
    exchange: Arc<Exchange>,
    infer: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    signature: Signature,
    laws: Vec<Law>,
    form: Form,
    /// Which model has given the first answer, that to the golden input.
    says: Option<Says>,
}

impl RemoteModel {
    fn ask(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, HostError> {
        let expected = self.expected(inputs)?;
        let named: Vec<Named> = self
            .inputs
            .iter()
            .zip(inputs)
            .map(|(name, tensor)| Named { name: name.clone(), tensor: tensor.clone() })
            .collect();
        let count: usize = expected.iter().filter_map(|(_, shape)| law::values(shape)).sum();
        loop {
            let is_binary = self.form != Form::Json;
            // A host that is tried may answer in JSON.
            let of_one = if self.form == Form::Bytes { size_of::<f32>() } else { DIGITS };
            let message = wire::request(&named, &self.outputs, is_binary);
            let answer = self.exchange.post(&self.infer, message, count.saturating_mul(of_one) + MOST_WORDS)?;
            match answer.code {
                200 => {
                    let read = wire::read_answer(answer.header, &answer.body, &expected);
                    let (says, read) =
                        read.map_err(|why| HostError::new(HostFault::BadAnswer, format!("its answer is {why}")))?;
                    self.is_still(says)?;
                    if self.form == Form::TryBytes {
                        self.form = Form::Bytes;
                    }
                    return Ok(read);
                }
                // One that is busy has said nothing of the form.
                400..=599 if self.form == Form::TryBytes && !matches!(answer.code, 429 | 503) => self.form = Form::Json,
                code => {
                    let kind = if matches!(code, 429 | 503) { HostFault::NotReady } else { HostFault::BadAnswer };
                    return Err(HostError::new(kind, format!("it answered HTTP {code}{}", answer.said())));
                }
            }
        }
    }

    /// A model that was put in the place of the one that was proved has answered nothing.
    fn is_still(&mut self, says: Says) -> Result<(), HostError> {
        let first = self.says.get_or_insert_with(|| says.clone());
        if *first == says {
            return Ok(());
        }
        let words = |says: &Says| {
            let text = |one: &Option<String>| one.as_deref().map_or_else(|| "none".to_owned(), wire::short);
            format!("model {}, version {}", text(&says.model), text(&says.version))
        };
        let said = format!("it answered with another model ({}) than was proved ({})", words(&says), words(first));
        Err(HostError::new(HostFault::BadAnswer, said))
    }

    /// Names and shapes of the answer to `inputs`.
    fn expected(&self, inputs: &[Tensor]) -> Result<Vec<(String, Vec<usize>)>, HostError> {
        let bad = |why: String| HostError::new(HostFault::BadInput, why);
        if inputs.len() != self.inputs.len() {
            return Err(bad(format!("{} inputs given, the network has {}", inputs.len(), self.inputs.len())));
        }
        for (tensor, port) in inputs.iter().zip(&self.signature.inputs) {
            let fits = tensor.shape.len() == port.shape.len()
                && tensor
                    .shape
                    .iter()
                    .zip(&port.shape)
                    .all(|(have, want)| *want < 0 || i64::try_from(*have) == Ok(*want));
            if !fits || law::values(&tensor.shape) != Some(tensor.data.len()) {
                let (name, wanted) = (&port.name, &port.shape);
                let said = format!(
                    "{name:?} is {:?} with {} values, the network wants {wanted:?}",
                    tensor.shape,
                    tensor.data.len()
                );
                return Err(bad(said));
            }
        }
        let Some(first) = inputs.first() else { return Err(bad("no input".into())) };
        let shape = |(name, law): (&String, &Law)| match law.shape(&first.shape) {
            Some(shape) => Ok((name.clone(), shape)),
            None => Err(bad(format!("no answer {name:?} belongs to an input of shape {:?}", first.shape))),
        };
        self.outputs.iter().zip(&self.laws).map(shape).collect()
    }
}

impl LoadedModel for RemoteModel {
    fn inputs(&self) -> &[String] {
        &self.inputs
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn signature(&self) -> Option<Signature> {
        Some(self.signature.clone())
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        // A host that went away is a device that failed.
        self.ask(inputs).map_err(|error| match error.kind() {
            HostFault::BadInput | HostFault::GivenUp => error.into(),
            _ => accel::Error::new(AccelFault::Device, error.to_string()),
        })
    }
}
