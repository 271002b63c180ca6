//! The two objects that TensorRT calls: a logger and a progress monitor. To the library they are objects of C++ classes; here they are
//! tables of functions laid out as the Itanium C++ ABI says (2.5): distance to the object's top, type, functions.
//!
//! No panic leaves them.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::abi::Family;
use super::log::{self, Severity};
use super::phases::Phases;
use crate::accel::Watch;

type Function = unsafe extern "C" fn();

/// A table with its two head entries, which are null: nobody asks these objects for their type.
#[repr(C)]
struct Table<const N: usize> {
    top: usize,
    kind: usize,
    functions: [Function; N],
}

/// `InterfaceInfo`.
#[repr(C)]
struct Info {
    kind: *const c_char,
    major: i32,
    minor: i32,
}

macro_rules! function {
    ($function:expr, $kind:ty) => {
        // SAFETY: a function pointer; the library casts it back to what it is.
        unsafe { std::mem::transmute::<$kind, Function>($function) }
    };
}

type Take = unsafe extern "C" fn(*mut c_void, i32, *const c_char);
type Nothing = unsafe extern "C" fn(*mut c_void);
type Language = unsafe extern "C" fn(*const c_void) -> i32;
type Inform = unsafe extern "C" fn(*const c_void) -> Info;
type Start = unsafe extern "C" fn(*mut Monitor<'_>, *const c_char, *const c_char, i32);
type Step = unsafe extern "C" fn(*mut Monitor<'_>, *const c_char, i32) -> bool;
type Finish = unsafe extern "C" fn(*mut Monitor<'_>, *const c_char);

const NOTHING: Function = function!(nothing, Nothing);
const LANGUAGE: Function = function!(language, Language);
const TAKE: Function = function!(take, Take);

/// `ILogger` of TensorRT 10: log, the two destructors.
static OLD_LOGGER: Table<3> = Table { top: 0, kind: 0, functions: [TAKE, NOTHING, NOTHING] };
/// `ILogger` as an `IVersionedInterface`.
static NEW_LOGGER: Table<5> =
    Table { top: 0, kind: 0, functions: [LANGUAGE, function!(logger_info, Inform), NOTHING, NOTHING, TAKE] };
/// `IProgressMonitor`, an `IVersionedInterface` in all versions.
static MONITOR: Table<7> = Table {
    top: 0,
    kind: 0,
    functions: [
        LANGUAGE,
        function!(monitor_info, Inform),
        NOTHING,
        NOTHING,
        function!(start, Start),
        function!(step, Step),
        function!(finish, Finish),
    ],
};

/// The one logger of the process: TensorRT keeps the first it is given, and uses it for all that has no other.
pub fn logger(family: Family) -> *mut c_void {
    #[repr(C)]
    struct Object {
        table: &'static Function,
    }
    static OLD: Object = Object { table: &OLD_LOGGER.functions[0] };
    static NEW: Object = Object { table: &NEW_LOGGER.functions[0] };
    let object = match family {
        Family::Ten | Family::OldRtx => &OLD,
        Family::Eleven | Family::Rtx => &NEW,
    };
    // The library writes nothing into it: it only calls its functions.
    std::ptr::from_ref(object).cast_mut().cast()
}

/// Text of the library; what is no UTF-8 is replaced. Null is no text.
///
/// # Safety
/// `text` is null or ends with a zero, and stays for the call.
pub unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

/// `APILanguage::kCPP`.
unsafe extern "C" fn language(_: *const c_void) -> i32 {
    0
}

unsafe extern "C" fn logger_info(_: *const c_void) -> Info {
    Info { kind: c"ILogger".as_ptr(), major: 1, minor: 0 }
}

unsafe extern "C" fn monitor_info(_: *const c_void) -> Info {
    Info { kind: c"IProgressMonitor".as_ptr(), major: 1, minor: 0 }
}

unsafe extern "C" fn take(_: *mut c_void, severity: i32, message: *const c_char) {
    // SAFETY: the library gives text that ends with a zero.
    let Some(message) = (unsafe { text(message) }) else { return };
    let _ = catch_unwind(AssertUnwindSafe(|| log::take(Severity::of(severity), &message)));
}

/// A progress monitor for one build. The library calls it from any of its threads.
#[repr(C)]
pub struct Monitor<'a> {
    table: &'static Function,
    watch: Watch<'a>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phases: Phases,
    cancelled: bool,
}

impl std::fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<'a> Monitor<'a> {
    pub fn new(watch: Watch<'a>) -> Self {
        Self { table: &MONITOR.functions[0], watch, state: Mutex::default() }
    }

    /// For `setProgressMonitor`; good while `self` stays where it is.
    pub fn pointer(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Whether the caller has ended the build.
    pub fn is_cancelled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }

    /// Changes the phases and tells how far the build is. A caller that panics has ended it.
    fn change(&self, change: impl FnOnce(&mut Phases)) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.phases);
        let fraction = state.phases.fraction();
        // Told under the lock: what grows must not overtake itself.
        let go_on = !state.cancelled && catch_unwind(AssertUnwindSafe(|| (self.watch)(fraction))).unwrap_or(false);
        state.cancelled = !go_on;
        go_on
    }
}

unsafe extern "C" fn start(this: *mut Monitor<'_>, name: *const c_char, parent: *const c_char, steps: i32) {
    // SAFETY: the library passes the object that it was given, which outlives the build, and text that ends with a zero.
    let (monitor, name, parent) = unsafe { (&*this, text(name), text(parent)) };
    monitor.change(|phases| phases.start(&name.unwrap_or_default(), parent.as_deref(), steps));
}

unsafe extern "C" fn step(this: *mut Monitor<'_>, name: *const c_char, step: i32) -> bool {
    // SAFETY: as above.
    let (monitor, name) = unsafe { (&*this, text(name)) };
    monitor.change(|phases| phases.step(&name.unwrap_or_default(), step))
}

unsafe extern "C" fn finish(this: *mut Monitor<'_>, name: *const c_char) {
    // SAFETY: as above.
    let (monitor, name) = unsafe { (&*this, text(name)) };
    monitor.change(|phases| phases.finish(&name.unwrap_or_default()));
}
