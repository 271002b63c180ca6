//! One series in, findings and DICOM objects out. No queue, no database, no network.

use std::time::Instant;

use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::scan::RawElement;
use models::findings::Evaluated;
use models::task::{self, Control};
use models::{Findings, Volume};
use report::settings::Device;
use report::words::{self, Language, State};
use report::{self, ModelIdentity, Provenance, ResultObject, Source};

use super::acquired::acquisition;
use super::engine::{self, Engine, Used};
use super::prior::{self, Prior};

/// A series ready to be examined.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Of the first instance.
    pub header: &'a Header,
    pub elements: &'a [RawElement],
    /// The instances in volume order; as received when there is no volume.
    pub instances: &'a [SliceRef],
    /// The volume, or in plain words why there is none.
    pub volume: Result<&'a Volume, String>,
    /// When the series was complete: the time the results carry, so that a repetition makes the same objects.
    pub created_utc: &'a str,
    /// An earlier study of the same patient, to compare with.
    pub prior: Option<&'a Prior>,
}

/// What came of it.
#[derive(Debug)]
pub struct Examined {
    pub outcome: Outcome,
    pub objects: Vec<ResultObject>,
    /// Id and version of the package that was used, when one was.
    pub package: Option<String>,
    /// What its network ran on, when one had to run.
    pub accelerator: Option<hal::accel::Description>,
    /// Stage and milliseconds, in order.
    pub timings_ms: Vec<(String, f64)>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each job")]
pub enum Outcome {
    Processed(Findings),
    /// Refused, and why, in plain words.
    Refused(String),
}

impl Outcome {
    pub fn verdict(&self) -> String {
        match self {
            Self::Processed(findings) => super::verdict(findings),
            Self::Refused(reason) => reason.clone(),
        }
    }
}

/// Failures that a repetition may mend; what the input cannot give is an [`Outcome::Refused`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Engine(#[from] engine::Error),
    #[error("report: {0}")]
    Report(#[from] report::Error),
    #[error("cancelled")]
    Cancelled,
}

/// # Errors
/// See [`Error`].
pub fn examine(
    engine: &mut Engine,
    device: &Device,
    subject: &Subject<'_>,
    control: &dyn Control,
) -> Result<Examined, Error> {
    let mut timings_ms = Vec::new();
    let (outcome, used) = match &subject.volume {
        Err(reason) => (Outcome::Refused(reason.clone()), None),
        Ok(volume) => match engine.chest_ct(volume, &acquisition(subject.header, subject.elements), control) {
            Ok((mut findings, used)) => {
                findings.comparison = subject.prior.and_then(|prior| prior::compare(&findings, prior));
                timings_ms.extend(findings.timings_ms.iter().cloned());
                match nothing_evaluated(&findings) {
                    Some(reason) => (Outcome::Refused(reason), Some(used)),
                    None => (Outcome::Processed(findings), Some(used)),
                }
            }
            Err(engine::Error::Task(error)) if error.kind() == task::Kind::Cancelled => return Err(Error::Cancelled),
            Err(error) => return Err(error.into()),
        },
    };

    control.progress("report", 0.0);
    let begun = Instant::now();
    let source = Source { elements: subject.elements, header: subject.header, instances: subject.instances };
    let content = match (&outcome, &subject.volume) {
        (Outcome::Processed(findings), Ok(volume)) => report::Content::Findings { findings, volume },
        (Outcome::Processed(_), Err(reason)) | (Outcome::Refused(reason), _) => report::Content::Refused { reason },
    };
    let objects = report::write(&source, content, &provenance(device, used.as_ref(), subject.created_utc))?;
    timings_ms.push(("report".into(), begun.elapsed().as_secs_f64() * 1e3));
    let package = used.as_ref().map(|used| format!("{} {}", used.manifest.id, used.manifest.version));
    let accelerator = used.and_then(|used| used.accelerator);
    Ok(Examined { outcome, objects, package, accelerator, timings_ms })
}

/// Why nothing at all was evaluated, if so: then the series is refused.
fn nothing_evaluated(findings: &Findings) -> Option<String> {
    let Evaluated::NotEvaluated(lungs) = &findings.lungs else { return None };
    let none = words::lines(findings, Language::English).iter().all(|line| line.state == State::NotEvaluated);
    none.then(|| lungs.clone())
}

fn provenance(device: &Device, used: Option<&Used>, created_utc: &str) -> Provenance {
    let model = used.map(|used| ModelIdentity::new(&used.manifest, &used.sha256));
    let accelerator = used.and_then(|used| used.accelerator.as_ref()).map_or_else(
        || ("none".to_owned(), false),
        |accelerator| (format!("{}, {}", accelerator.provider, accelerator.library), accelerator.simulated),
    );
    Provenance::new(device, model, accelerator, created_utc)
}
