//! Networks become engines: parses ONNX, builds, and tries to load. All of it but the loading works without a card.

use std::collections::BTreeMap;
use std::path::Path;

use super::abi::Version;
use super::call_ffi::{Builder, Complaint, Described, End, Missing, Network, Session};
use super::host_ffi::Monitor;
use super::library_ffi::{self, Library};
use super::{find, log};
use crate::accel::{AccelFault, Error, Port, Signature, Watch, message, shape};

/// TensorRT and its parser, loaded.
#[derive(Debug, Clone, Copy)]
pub struct Workshop {
    pub(super) library: &'static Library,
}

/// A network as the parser understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    pub signature: Signature,
    pub layers: usize,
    /// Layers by the type of their first output: `FP16` 160.
    pub types: BTreeMap<&'static str, usize>,
}

/// For which card an engine is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The one that is here; TensorRT asks it.
    Here,
    /// One of this compute capability, major and minor. Only TensorRT for RTX builds for others.
    Capability(u32, u32),
}

/// What is built.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Extents of each input, in the network's order; what the network leaves open is fixed to them.
    pub shapes: &'a [Vec<i64>],
    pub target: Target,
    /// Most memory that one layer may use beside its tensors, bytes.
    pub workspace: usize,
    /// What an earlier build has measured; empty for nothing.
    pub timings: &'a [u8],
}

/// An engine, not yet loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub plan: Vec<u8>,
    /// What was measured, for the next build; empty where this TensorRT measures nothing.
    pub timings: Vec<u8>,
}

impl Workshop {
    /// Finds and loads TensorRT: `SCANSIDE_TENSORRT`, then `configured` (a folder, or the library in it), then the loader's folders.
    ///
    /// # Errors
    /// `AccelFault::NotPresent` with the remedy.
    pub fn open(configured: &Path) -> Result<Self, Error> {
        let absent = |why: String| Error::new(AccelFault::NotPresent, why);
        let files = find::find(configured).map_err(absent)?;
        Ok(Self { library: library_ffi::load(&files).map_err(absent)? })
    }

    pub fn version(&self) -> Version {
        self.library.version
    }

    pub fn path(&self) -> &Path {
        &self.library.path
    }

    /// Whether it builds engines for other cards than the one that is here.
    pub fn builds_for_others(&self) -> bool {
        self.library.family.builds_for_others()
    }

    /// # Errors
    /// `AccelFault::BadModel`: no network, in the parser's words, or one that does not take and give 32-bit floats.
    pub fn examine(&self, onnx: &[u8]) -> Result<Examined, Error> {
        let mark = log::mark();
        let builder = self.builder(mark)?;
        let network = self.parse(&builder, onnx, mark)?;
        let mut types = BTreeMap::new();
        let layers = network.layers();
        for kind in (0..layers).filter_map(|index| network.layer_kind(index)) {
            *types.entry(kind_name(kind)).or_insert(0) += 1;
        }
        let signature = self.signature(&network)?;
        Ok(Examined { signature, layers: usize::try_from(layers).unwrap_or_default(), types })
    }

    /// Builds. `watch` hears how far it is and may end it.
    ///
    /// # Errors
    /// `BadModel`, `OutOfMemory`, `NotPresent` when this TensorRT does not know the card or has no driver, `Cancelled` by `watch`.
    pub fn build(&self, onnx: &[u8], order: &Order<'_>, watch: Watch<'_>) -> Result<Built, Error> {
        let mark = log::mark();
        let monitor = Monitor::new(watch);
        let builder = self.builder(mark)?;
        let network = self.parse(&builder, onnx, mark)?;
        let config = builder.config().ok_or_else(|| self.failed("gave no settings for a build", mark))?;
        if let Target::Capability(major, minor) = order.target {
            self.aim(major, minor, |capability| config.build_for(capability))?;
        }
        config.limit_workspace(order.workspace);
        config.one_stream();
        let inputs = self.tensors(&network, End::Input)?;
        let fixed = fix(&inputs, order.shapes)?;
        if !fixed.is_empty() {
            let profile = builder.profile().ok_or_else(|| self.failed("gave no ranges for open extents", mark))?;
            let taken = fixed.iter().all(|(name, shape)| profile.fix(name, shape)) && config.add(&profile);
            if !taken {
                let said = mark.reason();
                return Err(Error::new(AccelFault::BadInput, format!("extents {fixed:?} are not accepted: {said}")));
            }
        }
        // Timings of another device or version are begun anew.
        let timings = config.timings(order.timings).or_else(|| config.timings(&[]));
        let used = timings.as_ref().is_some_and(|timings| config.use_timings(timings));
        config.watch(&monitor);
        if !watch(0.0) {
            return Err(cancelled());
        }
        let plan = builder.build(&network, &config);
        if monitor.is_cancelled() {
            return Err(cancelled());
        }
        let plan = plan.ok_or_else(|| {
            let said = mark.reason();
            Error::new(kind_of(&said), format!("{} built no engine: {said}", self.version()))
        })?;
        let timings = timings.filter(|_| used).and_then(|timings| timings.serialize()).unwrap_or_default();
        watch(1.0);
        Ok(Built { plan, timings })
    }

    /// Loads an engine into the card that is current on this thread.
    ///
    /// # Errors
    /// `NotPresent` without a driver, `OutOfMemory`, `Device`: all with what the library said.
    pub(super) fn session(&self, plan: &[u8], kernels: &[u8]) -> Result<Session, Error> {
        let mark = log::mark();
        Session::load(self.library, plan, kernels).map_err(|missing| match missing {
            Missing::Runtime => self.failed("cannot run engines", mark),
            Missing::Engine => self.failed("did not load the engine", mark),
            Missing::Context => self.failed("gave no context for the engine", mark),
        })
    }

    /// Whether an engine can be loaded on this machine. It is unloaded again.
    ///
    /// # Errors
    /// Why not: `NotPresent`, `OutOfMemory`, `Device`.
    pub fn try_to_load(&self, plan: &[u8]) -> Result<(), Error> {
        self.session(plan, &[]).map(drop)
    }

    fn builder(&self, mark: log::Mark) -> Result<Builder, Error> {
        Builder::new(self.library).ok_or_else(|| self.failed("gave no builder", mark))
    }

    fn parse<'a>(&self, builder: &'a Builder, onnx: &[u8], mark: log::Mark) -> Result<Network<'a>, Error> {
        let bad =
            |why: String| Error::new(AccelFault::BadModel, format!("network refused by {}: {why}", self.version()));
        if onnx.is_empty() {
            return Err(bad("it is empty".into()));
        }
        let mut network = builder.network().ok_or_else(|| self.failed("gave no empty network", mark))?;
        match network.parse(onnx) {
            Ok(()) => Ok(network),
            Err(None) => Err(self.failed("gave no parser", mark)),
            Err(Some(complaints)) if complaints.is_empty() => Err(bad(mark.reason())),
            Err(Some(complaints)) => Err(bad(words(&complaints))),
        }
    }

    fn tensors(&self, network: &Network<'_>, end: End) -> Result<Vec<Described>, Error> {
        network.tensors(end).ok_or_else(|| {
            Error::new(AccelFault::BadModel, format!("{} does not describe the network's tensors", self.version()))
        })
    }

    fn signature(&self, network: &Network<'_>) -> Result<Signature, Error> {
        let ports = |end| self.tensors(network, end)?.into_iter().map(port).collect::<Result<Vec<_>, _>>();
        Ok(Signature { inputs: ports(End::Input)?, outputs: ports(End::Output)? })
    }

    fn aim(&self, major: u32, minor: u32, build_for: impl FnOnce(i32) -> bool) -> Result<(), Error> {
        let absent = |why: &str| {
            Error::new(AccelFault::NotPresent, format!("{} {why} compute capability {major}.{minor}", self.version()))
        };
        if !self.builds_for_others() {
            return Err(absent("builds for the card that is here only, not for"));
        }
        let capability = i32::try_from(major * 10 + minor).unwrap_or_default();
        // After a refusal a build would end in a misleading message about the driver.
        if build_for(capability) { Ok(()) } else { Err(absent("does not know")) }
    }

    /// An answer of nothing: the reason is in the log, and the network is not to blame.
    fn failed(&self, what: &str, mark: log::Mark) -> Error {
        let said = mark.reason();
        Error::new(kind_of_run(&said), format!("{} {what}: {said}", self.version()))
    }
}

fn cancelled() -> Error {
    Error::new(AccelFault::Cancelled, "the build was ended before it was done")
}

fn port(tensor: Described) -> Result<Port, Error> {
    // `DataType::kFLOAT`
    if tensor.kind == 0 {
        return Ok(Port { name: tensor.name, shape: tensor.shape });
    }
    let kind = kind_name(tensor.kind);
    Err(Error::new(AccelFault::BadModel, format!("\"{}\" is {kind}, not a tensor of 32-bit floats", tensor.name)))
}

/// `DataType`.
fn kind_name(kind: i32) -> &'static str {
    const NAMES: [&str; 12] =
        ["FP32", "FP16", "INT8", "INT32", "BOOL", "UINT8", "FP8", "BF16", "INT64", "INT4", "FP4", "E8M0"];
    usize::try_from(kind).ok().and_then(|kind| NAMES.get(kind)).copied().unwrap_or("unknown")
}

/// Inputs with open extents, and the extents they get.
fn fix(inputs: &[Described], shapes: &[Vec<i64>]) -> Result<Vec<(String, Vec<i64>)>, Error> {
    let bad = |why: String| Err(Error::new(AccelFault::BadInput, why));
    if inputs.len() != shapes.len() {
        return bad(format!("extents for {} inputs are given, the network has {}", shapes.len(), inputs.len()));
    }
    for (input, shape) in inputs.iter().zip(shapes) {
        if !shape::fits(shape, &input.shape) || shape.iter().any(|extent| *extent <= 0) {
            return bad(format!("\"{}\" is {shape:?}, the network wants {:?} (-1 is any)", input.name, input.shape));
        }
    }
    let open = |(input, _): &(&Described, &Vec<i64>)| input.shape.iter().any(|extent| *extent < 0);
    Ok(inputs.iter().zip(shapes).filter(open).map(|(input, shape)| (input.name.clone(), shape.clone())).collect())
}

/// What the parser holds against a network, each with its node.
fn words(complaints: &[Complaint]) -> String {
    const MOST: usize = 5;
    let one = |complaint: &Complaint| {
        let text = message::plain(&complaint.text);
        match (complaint.node, complaint.name.as_str(), complaint.operator.as_str()) {
            (..=-1, _, _) => text,
            (node, "", operator) => format!("node {node} ({operator}): {text}"),
            (node, name, operator) => format!("node {node} ({name}, {operator}): {text}"),
        }
    };
    let mut words: Vec<String> = complaints.iter().take(MOST).map(one).collect();
    if complaints.len() > MOST {
        words.push(format!("and {} more", complaints.len() - MOST));
    }
    words.join("; ")
}

/// Of an engine: its network is not to blame.
pub(super) fn kind_of_run(said: &str) -> AccelFault {
    match kind_of(said) {
        AccelFault::BadModel => AccelFault::Device,
        other => other,
    }
}

/// TensorRT has no codes for this: the words of its log have to be read.
fn kind_of(said: &str) -> AccelFault {
    let lower = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if message::is_memory(said) || has(&["insufficient memory", "not enough memory"]) {
        AccelFault::OutOfMemory
    } else if has(&[
        "driver version is insufficient",
        "no cuda-capable device",
        "cuda initialization failure",
        "libcuda",
    ]) {
        AccelFault::NotPresent
    } else if has(&["cuda error", "cuda failure", "cuda runtime", "cudaerror", "cudnn", "cublas"]) {
        AccelFault::Device
    } else {
        AccelFault::BadModel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(node: i32, name: &str, text: &str) -> Complaint {
        Complaint { text: text.into(), node, name: name.into(), operator: "Conv".into() }
    }

    #[test]
    fn each_complaint_of_the_parser_names_its_node() {
        let one =
            [complaint(7, "/down/conv", "no importer"), complaint(-1, "", "no graph"), complaint(3, "", "bad pads")];
        assert_eq!(words(&one), "node 7 (/down/conv, Conv): no importer; no graph; node 3 (Conv): bad pads");
        let many = vec![complaint(-1, "", "bad"); 9];
        assert!(words(&many).ends_with("bad; and 4 more"), "{}", words(&many));
    }

    #[test]
    fn the_words_of_the_log_become_the_faults_by_which_callers_decide() {
        for (said, fault) in [
            (
                "Error Code 1: Cuda Runtime (CUDA driver version is insufficient for CUDA runtime version)",
                AccelFault::NotPresent,
            ),
            (
                "[allocator] Requested amount of GPU memory (4096 bytes) could not be allocated: out of memory",
                AccelFault::OutOfMemory,
            ),
            ("Error Code 1: Cuda Runtime (an illegal memory access was encountered)", AccelFault::Device),
            ("Could not find any implementation for node {ForeignNode[conv]}", AccelFault::BadModel),
            ("it gave no reason", AccelFault::BadModel),
        ] {
            assert_eq!(kind_of(said), fault, "{said}");
        }
    }

    #[test]
    fn extents_that_do_not_fit_are_refused_before_a_build() {
        let input = Described { name: "image".into(), shape: vec![-1, 1, 64, 64], kind: 0 };
        let fixed = |shape: &[i64]| fix(std::slice::from_ref(&input), &[shape.to_vec()]);
        assert_eq!(fixed(&[2, 1, 64, 64]).unwrap(), [("image".to_owned(), vec![2, 1, 64, 64])]);
        for wrong in [&[2, 1, 64][..], &[2, 2, 64, 64], &[0, 1, 64, 64], &[-1, 1, 64, 64]] {
            assert_eq!(fixed(wrong).unwrap_err().kind(), AccelFault::BadInput, "{wrong:?}");
        }
        assert_eq!(fix(&[input], &[]).unwrap_err().kind(), AccelFault::BadInput);
        let closed = Described { name: "image".into(), shape: vec![1, 2], kind: 0 };
        assert!(fix(&[closed], &[vec![1, 2]]).unwrap().is_empty(), "what is closed needs no range");
    }

    #[test]
    fn what_is_no_float_at_the_ends_is_refused_by_its_name() {
        let half = Described { name: "image".into(), shape: vec![1], kind: 1 };
        let refused = port(half).unwrap_err();
        assert_eq!(refused.kind(), AccelFault::BadModel);
        assert!(refused.to_string().contains("\"image\" is FP16"), "{refused}");
        assert_eq!((kind_name(-1), kind_name(99)), ("unknown", "unknown"));
    }
}
