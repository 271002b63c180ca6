//! `Live1`: the live path; its state, its figures and its verbs.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use zbus::message::Header;
use zbus::object_server::Interface;
use zbus::{Connection, OwnedVariant, Variant, interface};

use super::auth::{self, Authority, Verb};
use super::filter::Options;
use super::{Error, filter, names, objects};
use crate::ask::{self, Refusal, ask};
use crate::live::view::{Command, Exam, Latency, Patient, Sign, Stats, Status, View};

/// At most four changes a second are told.
const TELL_EVERY: Duration = Duration::from_millis(250);

type Dictionary = HashMap<String, OwnedVariant>;

/// Reads what it shows where the live path puts it. Without a live path all is empty and `Sign` is off.
#[derive(Debug)]
pub struct Live {
    view: Option<View>,
    authority: Authority,
}

impl Live {
    pub fn new(view: Option<View>, authority: Authority) -> Self {
        Self { view, authority }
    }

    fn status<T>(&self, of: impl FnOnce(&Status) -> T) -> T {
        match &self.view {
            Some(view) => of(&view.status.borrow()),
            None => of(&Status::default()),
        }
    }

    /// Authorises, then asks the live path.
    async fn ask(
        &self,
        verb: Verb,
        connection: &Connection,
        header: &Header<'_>,
        command: impl FnOnce(crate::live::view::Reply) -> Command,
    ) -> Result<String, Error> {
        auth::require(self.authority, verb, connection, header).await?;
        let view = self.view.as_ref();
        let view =
            view.ok_or_else(|| Error::NotFound("no capture device is configured: the live path is off".into()))?;
        Ok(ask(view, command).await?)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Invalid(_) => Self::InvalidArgument(text),
            Refusal::Refused(_) => Self::NotPossible(text),
            Refusal::Silent => Self::Internal(text),
        }
    }
}

/// The live path.
#[interface(name = "org.scanside.Appliance1.Live1")]
impl Live {
    /// Begins an exam. patient: id s, name s (both needed), birth_date s (YYYYMMDD), accession_number s. Refused while
    /// the exam of another patient runs. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn start_exam(
        &self,
        patient: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let patient = ask::patient(typed(&patient)?)?;
        self.ask(Verb::StartExam, connection, &header, |reply| Command::StartExam(patient, reply)).await
    }

    /// Ends the exam. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn stop_exam(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.ask(Verb::StopExam, connection, &header, Command::StopExam).await
    }

    /// Lets the shown picture stand still, or go on; the device goes on. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn freeze(
        &self,
        on: bool,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.ask(Verb::Freeze, connection, &header, |reply| Command::Freeze(on, reply)).await
    }

    /// Keeps this moment of the exam. Returns what changed, in words.
    #[zbus(name = "Mark", out_args("change"))]
    async fn keep(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.ask(Verb::Mark, connection, &header, Command::Mark).await
    }

    /// off, ready, paused, no_overlay, no_signal or failed.
    #[zbus(property)]
    fn sign(&self) -> &'static str {
        self.status(|status| word(&status.sign))
    }

    /// Why it is not ready, in plain words; empty when it is.
    #[zbus(property)]
    fn reason(&self) -> String {
        self.status(|status| reason(&status.sign).to_owned())
    }

    /// Name of the capture device.
    #[zbus(property)]
    fn source(&self) -> String {
        self.status(|status| status.source.clone())
    }

    /// Name of the scanner's profile.
    #[zbus(property)]
    fn profile(&self) -> String {
        self.status(|status| status.profile.clone())
    }

    /// Id and version of the model package; empty without one.
    #[zbus(property)]
    fn model(&self) -> String {
        self.status(|status| status.model.clone())
    }

    /// What stands on every result, such as "not for diagnosis"; empty when the package is cleared.
    #[zbus(property)]
    fn label(&self) -> String {
        self.status(|status| status.mark.clone().unwrap_or_default())
    }

    /// The pictures are not from a cable: nothing may be used clinically.
    #[zbus(property)]
    fn simulated(&self) -> bool {
        self.status(|status| status.simulated)
    }

    /// Of the screen: width and height in pixels.
    #[zbus(property)]
    fn size(&self) -> (u32, u32) {
        let pixels = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.status(|status| (pixels(status.size[0]), pixels(status.size[1])))
    }

    /// The exam that runs; empty when none does. StudyUid s, PatientId s, PatientName s, BirthDate s,
    /// AccessionNumber s, StartedUtc s, Marks u.
    #[zbus(property)]
    fn exam(&self) -> Dictionary {
        self.status(|status| status.exam.as_ref().map(exam).unwrap_or_default())
    }

    /// Of the exam, or since the start when there is none. Pictures t, Lost t, Inferred t, Stages aa{sv}: Stage s,
    /// Count t, P50 d, P99 d, P999 d, Max d (milliseconds). Told at most four times a second.
    #[zbus(property)]
    fn stats(&self) -> Dictionary {
        match &self.view {
            Some(view) => stats(&view.stats.borrow()),
            None => stats(&Stats::default()),
        }
    }
}

fn word(sign: &Sign) -> &'static str {
    match sign {
        Sign::Off => "off",
        Sign::Ready => "ready",
        Sign::Paused { .. } => "paused",
        Sign::NoOverlay { .. } => "no_overlay",
        Sign::NoSignal { .. } => "no_signal",
        Sign::Failed { .. } => "failed",
    }
}

fn reason(sign: &Sign) -> &str {
    match sign {
        Sign::Off | Sign::Ready => "",
        Sign::Paused { reason } | Sign::NoOverlay { reason } | Sign::NoSignal { reason } | Sign::Failed { reason } => {
            reason
        }
    }
}

/// # Errors
/// `InvalidArgument` as for the options of the lists.
fn typed(options: &Options) -> Result<Patient, Error> {
    let mut patient = Patient::default();
    for (name, value) in options {
        let place = match name.as_str() {
            "id" => &mut patient.id,
            "name" => &mut patient.name,
            "birth_date" => &mut patient.birth_date,
            "accession_number" => &mut patient.accession_number,
            _ => return Err(filter::unknown(name, &["id", "name", "birth_date", "accession_number"])),
        };
        *place = filter::text(name, value)?;
    }
    Ok(patient)
}

fn dictionary<const N: usize>(entries: [(&str, OwnedVariant); N]) -> Dictionary {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Only values without file descriptors come here, and those always have an owned form.
fn owned<'a>(value: impl Into<Variant<'a>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap_or_else(|_| OwnedVariant::from(false))
}

fn exam(exam: &Exam) -> Dictionary {
    let Exam { study_uid, patient, started_utc, marks } = exam;
    dictionary([
        ("StudyUid", owned(study_uid.as_str())),
        ("PatientId", owned(patient.id.as_str())),
        ("PatientName", owned(patient.name.as_str())),
        ("BirthDate", owned(patient.birth_date.as_str())),
        ("AccessionNumber", owned(patient.accession_number.as_str())),
        ("StartedUtc", owned(started_utc.as_str())),
        ("Marks", owned(*marks)),
    ])
}

fn stats(stats: &Stats) -> Dictionary {
    let stage = |(name, latency): &(String, Latency)| -> HashMap<String, Variant<'static>> {
        let Latency { count, p50, p99, p999, max } = *latency;
        let numbers = [("P50", p50), ("P99", p99), ("P999", p999), ("Max", max)];
        let mut entries: HashMap<_, _> = numbers.map(|(name, ms)| (name.to_owned(), Variant::from(ms))).into();
        entries.insert("Stage".into(), Variant::from(name.clone()));
        entries.insert("Count".into(), Variant::from(count));
        entries
    };
    dictionary([
        ("Pictures", owned(stats.pictures)),
        ("Lost", owned(stats.lost)),
        ("Inferred", owned(stats.inferred)),
        ("Stages", owned(stats.stages.iter().map(stage).collect::<Vec<_>>())),
    ])
}

/// Tells changes for as long as the connection lasts.
///
/// # Errors
/// When the connection is lost.
pub async fn follow(connection: Connection, view: Option<View>) -> Result<(), Error> {
    let server = connection.object_server();
    let live = server.interface::<_, Live>(names::LIVE).await?;
    let emitter = live.signal_emitter();
    let Some(mut view) = view else { return std::future::pending().await };
    let mut told: Dictionary = HashMap::new();
    loop {
        let now = live.get().await.get_all(server, &connection, None, emitter).await.map_err(zbus::Error::from)?;
        if !told.is_empty() {
            objects::tell::<Live>(emitter, &told, &now).await?;
        }
        told = now;
        tokio::time::sleep(TELL_EVERY).await;
        tokio::select! {
            () = changed(&mut view.status) => {}
            () = changed(&mut view.stats) => {}
        }
    }
}

/// Never, when there will be no change any more.
async fn changed<T>(values: &mut watch::Receiver<T>) {
    if values.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::view::channel;

    #[test]
    fn the_words_are_those_of_the_page() {
        let reason = || "because".to_owned();
        for sign in [
            Sign::Off,
            Sign::Ready,
            Sign::Paused { reason: reason() },
            Sign::NoOverlay { reason: reason() },
            Sign::NoSignal { reason: reason() },
            Sign::Failed { reason: reason() },
        ] {
            let json = serde_json::to_value(&sign).unwrap();
            assert_eq!(json["state"], word(&sign));
            assert_eq!(json["reason"].as_str().unwrap_or_default(), super::reason(&sign));
        }
    }

    #[test]
    fn figures_are_numbers_not_text() {
        let (stage, view) = channel();
        let latency = Latency { count: 9, p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0 };
        stage.stats.send_replace(std::sync::Arc::new(Stats {
            pictures: 10,
            lost: 1,
            inferred: 8,
            stages: vec![("overlay".into(), latency)],
        }));
        let shown = Live::new(Some(view), Authority::SameUser).stats();
        assert_eq!(u64::try_from(&shown["Pictures"]).unwrap(), 10);
        assert_eq!(shown["Stages"].value_signature(), "aa{sv}");
        let off = Live::new(None, Authority::SameUser);
        assert_eq!((off.sign(), off.exam().len(), off.size()), ("off", 0, (0, 0)));
    }
}
