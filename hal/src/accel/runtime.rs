//! The one ONNX Runtime environment of this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use super::library::Library;
use super::{AccelFault, Error};

/// The library that was mapped and its environment. Never dropped: ONNX Runtime allows one environment per process
/// and `ort` refuses to make a second one after the first has gone.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Maps the library and makes the environment the first time; afterwards returns the same one.
///
/// # Errors
/// `AccelFault::NotPresent`: the library cannot be loaded, or another one is in use already.
pub(super) fn environment(library: &Library) -> Result<Environment, Error> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, environment)) = loaded.as_ref() {
        if path == &library.path {
            return Ok(environment.clone());
        }
        return Err(Error::new(
            AccelFault::NotPresent,
            format!(
                "{} is in use by this process; {} takes effect after a restart",
                path.display(),
                library.path.display()
            ),
        ));
    }
    let environment = start(library)?;
    *loaded = Some((library.path.clone(), environment.clone()));
    Ok(environment)
}

fn start(library: &Library) -> Result<Environment, Error> {
    let refuse = |why: String| {
        Error::new(AccelFault::NotPresent, format!("ONNX Runtime at {} cannot be used: {why}", library.path.display()))
    };
    // `ort` panics when the library answers with a null API table.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let builder = ort::init_from(&library.path).map_err(|e| e.to_string())?;
        builder
            .with_name("scanside")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|e| e.to_string())
    }));
    match made {
        Ok(result) => result.map_err(refuse),
        Err(_) => Err(refuse("its programming interface is not the expected one".into())),
    }
}

fn log(level: LogLevel, category: &str, _id: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => tracing::warn!(target: "onnxruntime", category, "{message}"),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", category, "{message}"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(target: "onnxruntime", category, "{message}"),
    }
}
