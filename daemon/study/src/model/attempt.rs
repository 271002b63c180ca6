//! One attempt: a network of a package on one accelerator, loaded, proved and timed. What follows from it, `shelf` decides.

use std::sync::{Mutex, PoisonError};

use hal::accel::{self, Provider};
use hal::{Accelerator, LoadedModel};
use models::choice::{self, Measured};
use models::manifest::{Precision, Variant};
use models::package::{self, Package};
use models::registry::{self, Entry, RegistryFault};
use models::{golden, task};
use tokio_util::sync::CancellationToken;

/// Called with stage and completed fraction during a load.
pub type Progress<'a> = &'a (dyn Fn(&str, f64) + Sync);

/// Fractions of a load at which the engine is begun, and at which the golden run is.
pub const ENGINE: f64 = 0.15;
const GOLDEN: f64 = 0.85;
/// A network that answers rightly.
pub(super) struct Ready {
    pub model: Box<dyn LoadedModel>,
    pub difference: f32,
}

/// Why a network is not used.
pub(super) enum Tried {
    Wrong(String),
    /// The device failed, which says nothing about the network.
    Device(accel::Error),
    /// The disk did not let us look, which says nothing either.
    Disk(registry::Error),
    /// Nobody waits for it any more.
    Cancelled,
}

impl Tried {
    fn of_package(error: package::Error) -> Self {
        let error = registry::Error::from(error);
        if error.kind() == RegistryFault::Io { Self::Disk(error) } else { Self::Wrong(error.to_string()) }
    }

    fn of_golden(error: golden::Error) -> Self {
        match error {
            golden::Error::Run(error) if error.kind() != accel::AccelFault::BadInput => Self::Device(error),
            golden::Error::Package(error) => Self::of_package(error),
            error => Self::Wrong(error.to_string()),
        }
    }

    fn of(error: accel::Error) -> Self {
        match error.kind() {
            accel::AccelFault::BadModel => Self::Wrong(error.to_string()),
            accel::AccelFault::Cancelled => Self::Cancelled,
            _ => Self::Device(error),
        }
    }
}

/// What is loaded, and on what.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub entry: &'a Entry,
    pub package: &'a Package,
    pub accelerator: &'a dyn Accelerator,
    pub fingerprint: &'a str,
    pub manner: Manner,
    pub stop: &'a CancellationToken,
}

/// What a load is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// What is found here is what is found of the package.
    Decides,
    /// On the GPU that is configured, with the CPU behind it.
    Gpu,
    /// The same after it failed.
    GpuAgain,
    /// On the CPU behind a GPU.
    BehindGpu,
}

/// Whether what was found before counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// For work: what was proved on this accelerator is only loaded.
    Kept,
    /// Somebody asks for it: a card or driver may answer wrongly today under the name that it had.
    Anew,
    /// As `Anew`, of the accelerator that is configured: the CPU does not stand in for it.
    OfConfigured,
}

impl Manner {
    pub fn needs_gpu(self) -> bool {
        matches!(self, Self::Gpu | Self::GpuAgain)
    }
}

/// In which precision a network is computed. ONNX Runtime's TensorRT is allowed half precision for any.
pub(super) fn precision(provider: &str, of_network: Precision) -> String {
    let of_network = of_network.as_str();
    if provider == Provider::OnnxRuntimeTensorRt.name() && of_network != "fp16" {
        return format!("{of_network} or fp16");
    }
    of_network.to_owned()
}

impl Attempt<'_> {
    fn going(&self) -> Result<(), Tried> {
        if self.stop.is_cancelled() { Err(Tried::Cancelled) } else { Ok(()) }
    }

    /// `progress` goes from [`ENGINE`] to [`GOLDEN`].
    pub fn load(&self, variant: &Variant, progress: Progress<'_>) -> Result<Box<dyn LoadedModel>, Tried> {
        let network = self.package.read(&variant.network).map_err(Tried::of_package)?;
        // Told by hundredths: a build has hundreds of steps, and each change is announced.
        let told = Mutex::new(0.0);
        let watch = |done: f64| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if done >= *told + 0.01 {
                *told = done;
                progress("engine", ENGINE + (GOLDEN - ENGINE) * done.min(1.0));
            }
            !self.stop.is_cancelled()
        };
        self.going()?;
        let shapes = if keeps_engines(self.accelerator) { shapes(self.package) } else { Vec::new() };
        self.accelerator.load_with(&network, &accel::Wishes { shapes: &shapes, watch: &watch }).map_err(Tried::of)
    }

    /// Golden run, accuracy set and, where there is a choice, speed. `progress` goes from 0 to 1.
    pub fn tried(
        &self,
        variant: &Variant,
        is_timed: bool,
        progress: Progress<'_>,
    ) -> Result<(Ready, Option<f64>), Tried> {
        self.going()?;
        let mut model = self.load(variant, &|stage, done| progress(stage, (done - ENGINE) / (1.0 - ENGINE)))?;
        self.going()?;
        progress("golden", (GOLDEN - ENGINE) / (1.0 - ENGINE));
        task::check(self.entry.task(), model.as_mut()).map_err(|error| Tried::Wrong(error.to_string()))?;
        let passed = choice::prove(self.package, variant, model.as_mut()).map_err(Tried::of_golden)?;
        self.going()?;
        let run_ms = if is_timed {
            Some(choice::time(self.package, model.as_mut()).map_err(Tried::of_golden)?.as_secs_f64() * 1e3)
        } else {
            None
        };
        Ok((Ready { model, difference: passed.difference }, run_ms))
    }
}

pub(super) fn unmeasured(variant: &Variant) -> Measured {
    Measured { network: variant.network.clone(), precision: variant.precision, run_ms: None, refused: None }
}

pub(super) fn keeps_engines(accelerator: &dyn Accelerator) -> bool {
    Provider::parse(&accelerator.describe().provider).is_ok_and(Provider::keeps_engines)
}

/// Extents with which the network will run: those of the golden input, and a whole patch of a volume. A GPU's engines for them are
/// built now, not during a study.
fn shapes(package: &Package) -> Vec<Vec<usize>> {
    let golden = golden::input(package).map(|input| input.shape).ok();
    let patch = package.manifest.volume().map(|volume| {
        let [depth, rows, columns] = volume.input.patch;
        vec![1, volume.input.windows_hu.len(), depth, rows, columns]
    });
    golden.into_iter().chain(patch).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_just_now_is_no_fault_of_the_package_and_one_that_is_missing_is() {
        let of = |error: Error| package::Error::Unreadable { path: "network.onnx".into(), source: error };
        for passing in [Error::from_raw_os_error(5), Error::from_raw_os_error(24), ErrorKind::PermissionDenied.into()] {
            let again = Error::new(passing.kind(), passing.to_string());
            assert!(matches!(Tried::of_package(of(passing)), Tried::Disk(_)));
            assert!(matches!(Tried::of_golden(of(again).into()), Tried::Disk(_)));
        }
        for kind in [ErrorKind::NotFound, ErrorKind::InvalidData] {
            assert!(matches!(Tried::of_golden(of(kind.into()).into()), Tried::Wrong(_)));
        }
        assert!(matches!(Tried::of_golden(golden::Error::Missing), Tried::Wrong(_)));
    }
}
