//! TensorRT's objects, called through the tables of functions of their classes. A public object (`IBuilder`) is its table and a pointer
//! to what implements it (`apiv::VBuilder`); NVIDIA's headers call the latter's functions, by the places that `abi` has. Every
//! function is `noexcept` there. Every pointer that comes back is checked. It decides nothing.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::abi::Places;
use super::host_ffi::{Monitor, text};
use super::library_ffi::Library;

type Raw = NonNull<c_void>;

/// The most axes that a tensor of TensorRT has.
const MOST_AXES: usize = 8;

/// `Dims64`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Dims {
    count: i32,
    extents: [i64; MOST_AXES],
}

impl Dims {
    /// `None` for more axes than there can be.
    pub fn new(shape: &[i64]) -> Option<Self> {
        let mut extents = [0; MOST_AXES];
        extents.get_mut(..shape.len())?.copy_from_slice(shape);
        Some(Self { count: i32::try_from(shape.len()).ok()?, extents })
    }

    /// `None` when the library knows no shape.
    pub fn shape(&self) -> Option<Vec<i64>> {
        let count = usize::try_from(self.count).ok()?;
        self.extents.get(..count).map(<[i64]>::to_vec)
    }
}

/// The function at a place of an object's table.
///
/// # Safety
/// `object` is alive, and of a class whose table has this place.
unsafe fn at(object: Raw, place: usize) -> *const c_void {
    // SAFETY: the first member of such an object is its table.
    unsafe { *(*object.as_ptr().cast::<*const *const c_void>()).add(place) }
}

/// Calls the function at a place. The types after `fn` are those of the class's declaration (`places.cpp` compares them).
macro_rules! call {
    ($object:expr, $place:expr, fn($($kind:ty),*) -> $answer:ty $(, $argument:expr)*) => {{
        let object: Raw = $object;
        // SAFETY: the object is alive while its owner is, the place is that of this version's headers, and on the machines that we
        // build for a member function takes its object before its arguments.
        let function = unsafe {
            std::mem::transmute::<*const c_void, unsafe extern "C" fn(*mut c_void $(, $kind)*) -> $answer>(
                at(object, $place),
            )
        };
        // SAFETY: as above; the arguments live for the call.
        unsafe { function(object.as_ptr() $(, $argument)*) }
    }};
}

/// A pointer that the library gave to an object of its own.
#[derive(Debug, Clone, Copy)]
struct Given {
    implementation: Raw,
}

impl Given {
    /// `object` is an object of a public class.
    fn of(object: *mut c_void) -> Option<(Raw, Self)> {
        let object = Raw::new(object)?;
        // SAFETY: the second member of such an object points to its implementation (`places.cpp` checks the offset).
        let implementation = unsafe { *object.as_ptr().cast::<*mut c_void>().add(1) };
        Some((object, Self { implementation: Raw::new(implementation)? }))
    }
}

/// An object of a public class that is ours to delete.
#[derive(Debug)]
struct Owned {
    object: Raw,
    given: Given,
}

/// Of a class that begins with its destructors: the one that also frees.
const DELETE: usize = 1;

impl Owned {
    fn new(object: *mut c_void) -> Option<Self> {
        let (object, given) = Given::of(object)?;
        Some(Self { object, given })
    }

    fn raw(&self) -> Raw {
        self.given.implementation
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        call!(self.object, DELETE, fn() -> ());
    }
}

// SAFETY: TensorRT's objects are not bound to the thread that made them; none of these types is shared between threads.
unsafe impl Send for Owned {}

/// Bytes of the library, copied.
fn bytes(memory: *mut c_void, places: &Places) -> Option<Vec<u8>> {
    let memory = Owned::new(memory)?;
    let data = call!(memory.raw(), places.memory_data, fn() -> *const u8);
    let size = call!(memory.raw(), places.memory_size, fn() -> usize);
    if data.is_null() || size == 0 {
        return None;
    }
    // SAFETY: the object says that there are so many bytes; it lives until the end of this function.
    Some(unsafe { std::slice::from_raw_parts(data, size) }.to_vec())
}

fn string(text_of: *const c_char) -> String {
    // SAFETY: the library's names end with a zero and live as long as their object.
    unsafe { text(text_of) }.unwrap_or_default()
}

/// `IBuilder`.
#[derive(Debug)]
pub struct Builder {
    owned: Owned,
    library: &'static Library,
}

impl Builder {
    pub fn new(library: &'static Library) -> Option<Self> {
        Some(Self { owned: Owned::new(library.builder()?.as_ptr())?, library })
    }

    fn places(&self) -> &'static Places {
        &self.library.places
    }

    /// An empty network whose tensors have the types that it gives them.
    pub fn network(&self) -> Option<Network<'_>> {
        let flags = self.library.family.strongly_typed();
        let network = call!(self.owned.raw(), self.places().builder_network, fn(u32) -> *mut c_void, flags);
        Some(Network { parser: None, owned: Owned::new(network)?, library: self.library, builder: PhantomData })
    }

    pub fn config(&self) -> Option<Config<'_>> {
        let config = call!(self.owned.raw(), self.places().builder_config, fn() -> *mut c_void);
        Some(Config { owned: Owned::new(config)?, places: self.places(), builder: PhantomData })
    }

    /// Ranges of open extents, which the builder owns.
    pub fn profile(&self) -> Option<Profile<'_>> {
        let profile = call!(self.owned.raw(), self.places().builder_profile, fn() -> *mut c_void);
        let (object, given) = Given::of(profile)?;
        Some(Profile { object, given, places: self.places(), builder: PhantomData })
    }

    /// The engine's bytes.
    pub fn build(&self, network: &Network<'_>, config: &Config<'_>) -> Option<Vec<u8>> {
        let (network, config) = (network.owned.object.as_ptr(), config.owned.object.as_ptr());
        let built = call!(
            self.owned.raw(),
            self.places().builder_build,
            fn(*mut c_void, *mut c_void) -> *mut c_void,
            network,
            config
        );
        bytes(built, self.places())
    }
}

/// `INetworkDefinition`.
#[derive(Debug)]
pub struct Network<'a> {
    /// Has the constants of the network, which a build reads: it goes after the last build and before the network.
    parser: Option<Parser>,
    owned: Owned,
    library: &'static Library,
    builder: PhantomData<&'a Builder>,
}

/// Which end of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Input,
    Output,
}

/// A tensor at an end of a network or an engine, as the library describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub name: String,
    /// -1 where it is open.
    pub shape: Vec<i64>,
    /// `DataType`; 0 is 32-bit floats.
    pub kind: i32,
}

impl Network<'_> {
    /// Fills the network.
    ///
    /// # Errors
    /// What the parser holds against it; `None` when there is no parser.
    pub fn parse(&mut self, onnx: &[u8]) -> Result<(), Option<Vec<Complaint>>> {
        let parser = self.library.parser(self.owned.object);
        let Some(parser) = parser.map(|parser| Parser { object: parser, places: &self.library.places }) else {
            return Err(None);
        };
        let path = std::ptr::null::<c_char>();
        let places = parser.places;
        let parsed = call!(
            parser.object,
            places.parser_parse,
            fn(*const u8, usize, *const c_char) -> bool,
            onnx.as_ptr(),
            onnx.len(),
            path
        );
        let complaints = parser.complaints();
        self.parser = Some(parser);
        if parsed && complaints.is_empty() { Ok(()) } else { Err(Some(complaints)) }
    }

    pub fn layers(&self) -> i32 {
        call!(self.owned.raw(), self.library.places.network_layers, fn() -> i32)
    }

    /// `DataType` of a layer's first output; `None` when it has none.
    pub fn layer_kind(&self, index: i32) -> Option<i32> {
        let places = &self.library.places;
        let layer = call!(self.owned.raw(), places.network_layer, fn(i32) -> *mut c_void, index);
        let (_, layer) = Given::of(layer)?;
        let outputs = call!(layer.implementation, places.layer_outputs, fn() -> i32);
        (outputs > 0).then(|| call!(layer.implementation, places.layer_output_type, fn(i32) -> i32, 0))
    }

    pub fn tensors(&self, end: End) -> Option<Vec<Described>> {
        let places = &self.library.places;
        let (count, one) = match end {
            End::Input => (places.network_inputs, places.network_input),
            End::Output => (places.network_outputs, places.network_output),
        };
        let count = call!(self.owned.raw(), count, fn() -> i32);
        let tensor = |index| {
            let (_, tensor) = Given::of(call!(self.owned.raw(), one, fn(i32) -> *mut c_void, index))?;
            let tensor = tensor.implementation;
            Some(Described {
                name: string(call!(tensor, places.tensor_name, fn() -> *const c_char)),
                shape: call!(tensor, places.tensor_shape, fn() -> Dims).shape()?,
                kind: call!(tensor, places.tensor_type, fn() -> i32),
            })
        };
        (0..count).map(tensor).collect()
    }
}

/// What the parser holds against a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub text: String,
    /// Number of the node in the file; -1 for none.
    pub node: i32,
    pub name: String,
    pub operator: String,
}

/// `IParser`.
#[derive(Debug)]
struct Parser {
    object: Raw,
    places: &'static Places,
}

impl Parser {
    fn complaints(&self) -> Vec<Complaint> {
        let places = self.places;
        let count = call!(self.object, places.parser_errors, fn() -> i32);
        let complaint = |index| {
            let error = Raw::new(call!(self.object, places.parser_error, fn(i32) -> *mut c_void, index))?;
            Some(Complaint {
                text: string(call!(error, places.error_text, fn() -> *const c_char)),
                node: call!(error, places.error_node, fn() -> i32),
                name: string(call!(error, places.error_node_name, fn() -> *const c_char)),
                operator: string(call!(error, places.error_operator, fn() -> *const c_char)),
            })
        };
        (0..count).filter_map(complaint).collect()
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        call!(self.object, self.places.parser_libraries - 1, fn() -> ());
    }
}

/// `IOptimizationProfile`.
#[derive(Debug)]
pub struct Profile<'a> {
    object: Raw,
    given: Given,
    places: &'static Places,
    builder: PhantomData<&'a Builder>,
}

impl Profile<'_> {
    /// The only extents that an input will have.
    pub fn fix(&self, input: &str, shape: &[i64]) -> bool {
        let (Ok(name), Some(dims)) = (CString::new(input), Dims::new(shape)) else { return false };
        // `OptProfileSelector`: least, typical, most.
        (0..3).all(|which: i32| {
            call!(
                self.given.implementation,
                self.places.profile_shape,
                fn(*const c_char, i32, *const Dims) -> bool,
                name.as_ptr(),
                which,
                &raw const dims
            )
        })
    }
}

/// `IBuilderConfig`. What is set in it must outlive it.
#[derive(Debug)]
pub struct Config<'a> {
    owned: Owned,
    places: &'static Places,
    builder: PhantomData<&'a Builder>,
}

/// `ITimingCache`.
#[derive(Debug)]
pub struct Timings {
    owned: Owned,
    places: &'static Places,
}

impl<'a> Config<'a> {
    pub fn add(&self, profile: &Profile<'a>) -> bool {
        let profile = profile.object.as_ptr();
        call!(self.owned.raw(), self.places.config_profile, fn(*mut c_void) -> i32, profile) >= 0
    }

    /// Bytes that one layer may use while it runs.
    pub fn limit_workspace(&self, bytes: usize) {
        // `MemoryPoolType::kWORKSPACE`.
        call!(self.owned.raw(), self.places.config_memory_limit, fn(i32, usize) -> (), 0, bytes);
    }

    /// All of a run is on the stream that it is given: streams of the engine's own would have another priority.
    pub fn one_stream(&self) {
        // Older versions answer nothing, newer ones whether they accept it.
        call!(self.owned.raw(), self.places.config_aux_streams, fn(i32) -> (), 0);
    }

    pub fn watch(&self, monitor: &'a Monitor<'_>) {
        call!(self.owned.raw(), self.places.config_progress, fn(*mut c_void) -> (), monitor.pointer());
    }

    /// For which compute capability (`major * 10 + minor`) to build. Only where the family builds for others; whether the library
    /// knows it.
    pub fn build_for(&self, capability: i32) -> bool {
        call!(self.owned.raw(), self.places.config_capabilities, fn(i32) -> bool, 1)
            && call!(self.owned.raw(), self.places.config_capability, fn(i32, i32) -> bool, capability, 0)
    }

    /// Timings of earlier builds; none when `blob` is empty.
    pub fn timings(&self, blob: &[u8]) -> Option<Timings> {
        let timings = call!(
            self.owned.raw(),
            self.places.config_timing_cache,
            fn(*const u8, usize) -> *mut c_void,
            blob.as_ptr(),
            blob.len()
        );
        Some(Timings { owned: Owned::new(timings)?, places: self.places })
    }

    /// Whether they are of this device and version.
    pub fn use_timings(&self, timings: &'a Timings) -> bool {
        let object = timings.owned.object.as_ptr();
        call!(self.owned.raw(), self.places.config_set_timing_cache, fn(*mut c_void, bool) -> bool, object, false)
    }
}

impl Timings {
    pub fn serialize(&self) -> Option<Vec<u8>> {
        bytes(call!(self.owned.raw(), self.places.timing_serialize, fn() -> *mut c_void), self.places)
    }
}

/// `IRuntime`, `ICudaEngine` and `IExecutionContext` of one engine, deleted in the order of the fields.
#[derive(Debug)]
pub struct Session {
    context: Owned,
    kernels: Option<Owned>,
    _settings: Option<Owned>,
    engine: Owned,
    _runtime: Owned,
    places: &'static Places,
}

/// How far loading an engine came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Runtime,
    Engine,
    Context,
}

impl Session {
    /// Loads an engine. `kernels`: what an earlier session has compiled, empty for none (only TensorRT for RTX compiles at run time).
    pub fn load(library: &'static Library, plan: &[u8], kernels: &[u8]) -> Result<Self, Missing> {
        let places = &library.places;
        let runtime = library.runtime().and_then(|runtime| Owned::new(runtime.as_ptr())).ok_or(Missing::Runtime)?;
        let engine =
            call!(runtime.raw(), places.runtime_engine, fn(*const u8, usize) -> *mut c_void, plan.as_ptr(), plan.len());
        let engine = Owned::new(engine).ok_or(Missing::Engine)?;
        let (settings, cache) =
            if library.family.builds_for_others() { compiled(&engine, places, kernels) } else { (None, None) };
        let context = match &settings {
            Some(settings) => {
                let settings = settings.object.as_ptr();
                call!(engine.raw(), places.engine_context_with, fn(*mut c_void) -> *mut c_void, settings)
            }
            // `ExecutionContextAllocationStrategy::kSTATIC`: its memory is taken now, not at a run.
            None => call!(engine.raw(), places.engine_context, fn(i32) -> *mut c_void, 0),
        };
        let context = Owned::new(context).ok_or(Missing::Context)?;
        Ok(Self { context, kernels: cache, _settings: settings, engine, _runtime: runtime, places })
    }

    /// Device memory that a run uses beside inputs and outputs, bytes.
    pub fn device_memory(&self) -> i64 {
        call!(self.engine.raw(), self.places.engine_memory, fn() -> i64)
    }

    pub fn tensors(&self) -> Option<Vec<(End, Described)>> {
        let places = self.places;
        let count = call!(self.engine.raw(), places.engine_tensors, fn() -> i32);
        let tensor = |index| {
            let name = call!(self.engine.raw(), places.engine_tensor, fn(i32) -> *const c_char, index);
            if name.is_null() {
                return None;
            }
            // `TensorIOMode`: 1 input, 2 output.
            let end = match call!(self.engine.raw(), places.engine_mode, fn(*const c_char) -> i32, name) {
                1 => End::Input,
                2 => End::Output,
                _ => return None,
            };
            let shape = call!(self.engine.raw(), places.engine_shape, fn(*const c_char) -> Dims, name).shape()?;
            let kind = call!(self.engine.raw(), places.engine_type, fn(*const c_char) -> i32, name);
            Some((end, Described { name: string(name), shape, kind }))
        };
        (0..count).map(tensor).collect()
    }

    pub fn set_shape(&mut self, input: &str, shape: &[i64]) -> bool {
        let (Ok(name), Some(dims)) = (CString::new(input), Dims::new(shape)) else { return false };
        call!(
            self.context.raw(),
            self.places.context_set_shape,
            fn(*const c_char, *const Dims) -> bool,
            name.as_ptr(),
            &raw const dims
        )
    }

    /// The extents of a tensor once all inputs have theirs.
    pub fn shape(&self, tensor: &str) -> Option<Vec<i64>> {
        let name = CString::new(tensor).ok()?;
        call!(self.context.raw(), self.places.context_shape, fn(*const c_char) -> Dims, name.as_ptr()).shape()
    }

    /// Where a tensor lies in device memory.
    ///
    /// # Safety
    /// The memory is as large as the tensor and stays until the work that uses it is done.
    pub unsafe fn set_address(&mut self, tensor: &str, address: u64) -> bool {
        let (Ok(name), Ok(address)) = (CString::new(tensor), usize::try_from(address)) else { return false };
        call!(
            self.context.raw(),
            self.places.context_address,
            fn(*const c_char, *mut c_void) -> bool,
            name.as_ptr(),
            address as *mut c_void
        )
    }

    /// Puts one run on a CUDA stream (`CUstream`, which is `cudaStream_t`), and does not wait for it.
    ///
    /// # Safety
    /// The stream is of the context that is current on this thread, as the engine and the memory are.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> bool {
        call!(self.context.raw(), self.places.context_enqueue, fn(*mut c_void) -> bool, stream)
    }

    /// What was compiled so far, for the next session.
    pub fn kernels(&self) -> Option<Vec<u8>> {
        let cache = self.kernels.as_ref()?;
        bytes(call!(cache.raw(), self.places.kernels_serialize, fn() -> *mut c_void), self.places)
    }
}

/// Settings of a context that keeps what it compiles, filled with what is known; without it the context compiles for itself.
fn compiled(engine: &Owned, places: &Places, known: &[u8]) -> (Option<Owned>, Option<Owned>) {
    let settings = Owned::new(call!(engine.raw(), places.engine_runtime_config, fn() -> *mut c_void));
    let Some(settings) = settings else { return (None, None) };
    let cache = Owned::new(call!(settings.raw(), places.runtime_config_cache, fn() -> *mut c_void));
    let Some(cache) = cache else { return (Some(settings), None) };
    if !known.is_empty() {
        let taken =
            call!(cache.raw(), places.kernels_deserialize, fn(*const u8, usize) -> bool, known.as_ptr(), known.len());
        tracing::debug!(taken, "kernels of an earlier session");
    }
    let object = cache.object.as_ptr();
    let used = call!(settings.raw(), places.runtime_config_set, fn(*mut c_void) -> bool, object);
    (Some(settings), used.then_some(cache))
}
