//! `Live1`: state, figures and commands of the live path. `answer` converts values to dictionaries.

mod answer;

use std::collections::HashMap;
use std::time::Duration;

use dicom::patient::Patient;
use live::ask::{self, Chosen, Refusal, RefusalKind, ask};
use live::screen::lesson;
use live::view::{By, Command, Guidance, ProbeOrder, Recording, RecordingState, Sign, Stats, Status, View};
use live::worklist::Order;
use models::findings::Side;
use models::lesion::sighting::Place;
use models::task::us_breast::scan::probe::{Plane, Spot, Step};
use tokio::sync::watch;
use zbus::message::Header;
use zbus::object_server::Interface;
use zbus::{Connection, OwnedVariant, interface};

use super::auth::{self, Authority, Verb};
use super::filter::Options;
use super::{Error, filter, names, objects};

/// Shortest time between two change signals.
const TELL_EVERY: Duration = Duration::from_millis(250);

type Dictionary = HashMap<String, OwnedVariant>;

/// Reads its properties from the view of the live path. Without a live path they are empty and `Sign` is off.
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

    fn recording_of<T>(&self, of: impl FnOnce(&Recording) -> T) -> T {
        let Some(view) = &self.view else { return of(&Recording::default()) };
        let (recording, status) = (view.recording.borrow().clone(), view.status.borrow().clone());
        // The recorder may be busy yet with the exam before.
        let is_of = |exam: &live::view::Exam| recording.of.is_empty() || recording.of == exam.recording_uid();
        if status.exam.as_ref().is_some_and(is_of) { of(&recording) } else { of(&Recording::default()) }
    }

    /// The view of the live path, if it is on.
    fn on(&self) -> Result<&View, Error> {
        let view = self.view.as_ref();
        view.ok_or_else(|| Error::NotFound("no capture device is configured: the live path is off".into()))
    }

    /// Authorises the caller, then passes the command to the live path.
    async fn ask(
        &self,
        verb: Verb,
        connection: &Connection,
        header: &Header<'_>,
        command: impl FnOnce(live::view::Reply) -> Command,
    ) -> Result<String, Error> {
        let permit = auth::require(&self.authority, verb, "exam".to_owned(), connection, header).await?;
        permit.run(async { Ok(ask(self.on()?, command).await?) }).await
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal.kind() {
            RefusalKind::Invalid => Self::InvalidArgument(text),
            RefusalKind::NotPossible => Self::NotPossible(text),
            RefusalKind::Silent => Self::Internal(text),
        }
    }
}

/// The live path.
#[interface(name = "org.scanside.Appliance1.Live1")]
impl Live {
    /// Starts an exam. patient: id s, name s, birth_date s (YYYYMMDD), accession_number s. Id and name are required,
    /// unless the accession number is given alone, or as worklist s, or study_uid s of a worklist entry: then the patient is
    /// taken from the worklist. With study_uid the exam is of that entry and no other. An
    /// unidentified exam that runs is assigned to this patient; this is possible once. Refused while the exam of
    /// another patient runs, if the accession number belongs to another patient in the worklist, or if the scanner's
    /// screen shows another patient, unless despite_screen b is true. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn start_exam(
        &self,
        patient: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let (patient, chosen, despite_screen) = typed(&patient)?;
        let object = if despite_screen { "exam, whatever the screen shows" } else { "exam" }.to_owned();
        let permit = auth::require(&self.authority, Verb::StartExam, object, connection, &header).await?;
        let work = async {
            let order = Order { despite_screen, ..ask::order(self.on()?, patient, &chosen).await? };
            Ok(ask(self.on()?, |reply| Command::StartExam(order, reply)).await?)
        };
        permit.run(work).await
    }

    /// The worklist in the order of the appointments: PatientId s, PatientName s, BirthDate s, AccessionNumber s,
    /// StudyUid s, Date s (YYYYMMDD), Time s (HHMMSS or shorter), Modality s, Description s; and, in words, which
    /// entries were skipped and why.
    #[zbus(out_args("entries", "skipped"))]
    async fn worklist(&self) -> Result<(Vec<Dictionary>, Vec<String>), Error> {
        let listing = self.on()?.worklist.read().await.map_err(|error| Error::NotPossible(error.to_string()))?;
        Ok((listing.entries.iter().map(answer::entry).collect(), answer::skipped(&listing)))
    }

    /// Watches the video and proposes a scanner profile. options: seconds u (2 to 20, 10 when absent), name s. Returns
    /// after this time: the profile as TOML, and Pictures u, Screen (uu), Sector (uuuu) (left, top, width, height,
    /// pixels), Ticks (uuuu) and MmPerTick d and MmPerPixel d if a scale was found, TextAreas u.
    #[zbus(out_args("toml", "summary"))]
    async fn learn_profile(
        &self,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, Dictionary), Error> {
        let (name, seconds) = wish(&options)?;
        let object = "screen".to_owned();
        let permit = auth::require(&self.authority, Verb::LearnProfile, object, connection, &header).await?;
        let work = async {
            let learnt = lesson::learn(self.on()?, &name, Duration::from_secs(seconds.into())).await;
            learnt.map_err(|error| Error::NotPossible(error.to_string()))
        };
        let proposal = permit.run(work).await?;
        let summary = answer::proposal(&proposal);
        Ok((proposal.toml, summary))
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

    /// Freezes or unfreezes the displayed picture; capture continues. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn freeze(
        &self,
        on: bool,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.ask(Verb::Freeze, connection, &header, |reply| Command::Freeze(on, By::Bus, reply)).await
    }

    /// Sets a mark at the present moment of the exam. Returns what changed, in words.
    #[zbus(name = "Mark", out_args("change"))]
    async fn keep(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.ask(Verb::Mark, connection, &header, Command::Mark).await
    }

    /// Says which breast is scanned from now on: left, right, or empty when that is not said any more. Lesions that are seen
    /// best meanwhile are in it. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn scan_side(
        &self,
        side: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let side = breast(side)?;
        self.ask(Verb::Locate, connection, &header, |reply| Command::Side(side, reply)).await
    }

    /// Says where the lesion with this number is: side s (left or right), clock u (1 to 12), distance_mm d (from the nipple, 0
    /// to 300). What is not given stays as it was. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn place_lesion(
        &self,
        lesion: u32,
        place: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let place = placed(&place)?;
        self.ask(Verb::Locate, connection, &header, |reply| Command::Place(lesion, place, None, reply)).await
    }

    /// Says where the probe is from now on: side s (left or right), spot s (3-middle: hour, and ring inner, middle or outer; nipple; axilla),
    /// plane s (radial or antiradial); or step s alone (next-hour, previous-hour, outward, inward, turn). What is not given stays as it
    /// was; without anything it is not said any more. Returns what changed, in words.
    #[zbus(out_args("change"))]
    async fn place_probe(
        &self,
        place: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let order = probed(&place)?;
        self.ask(Verb::Locate, connection, &header, |reply| Command::Probe(order, None, reply)).await
    }

    /// How the picture is adjusted, and what of the breasts was looked at in the running exam, a freehand estimate. Items aa{sv}: Name s
    /// (contact, gain, depth, focus, speed), State s (good, not_judged, or what is wrong), Words s and WordsZh s, Figures aa{sv} (Name
    /// s, Value d, Unit s). Coverage aa{sv}: Side s, Spot s, State s (looked_at, too_short, too_fast, poor_contact, not_judged; places that
    /// are not in it were not swept), GoodSecs d, GoodMm d, FastSecs d, PoorSecs d, UnjudgedSecs d, Radial b, Antiradial b. Estimate s:
    /// what coverage and speed are.
    #[zbus(property)]
    fn guidance(&self) -> Dictionary {
        match &self.view {
            Some(view) => answer::guidance(&view.guide.borrow()),
            None => answer::guidance(&Guidance::default()),
        }
    }

    /// off, ready, paused, no_overlay, no_signal or failed.
    #[zbus(property)]
    fn sign(&self) -> &'static str {
        self.status(|status| status.sign.as_str())
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

    /// The mark on every result, such as "not for diagnosis"; empty when the package is cleared.
    #[zbus(property)]
    fn label(&self) -> String {
        self.status(|status| status.mark.clone().unwrap_or_default())
    }

    /// The video device is simulated: nothing may be used clinically.
    #[zbus(property)]
    fn simulated(&self) -> bool {
        self.status(|status| status.simulated)
    }

    /// Width and height of the screen, pixels.
    #[zbus(property)]
    fn size(&self) -> (u32, u32) {
        let pixels = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.status(|status| (pixels(status.size[0]), pixels(status.size[1])))
    }

    /// The running exam; empty when none runs. StudyUid s, PatientId s, PatientName s, BirthDate s, AccessionNumber s,
    /// StartedUtc s, Marks u; Side s (left or right, the breast that is scanned), ProbeSpot s and ProbePlane s (as PlaceProbe has them) and
    /// Places aa{sv} (Lesion u, Side s, Clock u, DistanceMm d), as far as they were said; OnScreen s: agrees, differs or unclear, whether the scanner's screen shows this patient, and
    /// OnScreenWords s; both are absent where the screen is not read.
    #[zbus(property)]
    fn exam(&self) -> Dictionary {
        self.status(|status| {
            status.exam.as_ref().map(|exam| answer::exam(exam, status.name_on_screen)).unwrap_or_default()
        })
    }

    /// Whether the exam is recorded: off (no exam runs, or recording is off), on or failed.
    #[zbus(property)]
    fn recording(&self) -> &'static str {
        match self.recording_of(|recording| recording.state.clone()) {
            RecordingState::Off => "off",
            RecordingState::On => "on",
            RecordingState::Failed { .. } => "failed",
        }
    }

    /// Why the exam is not recorded, in plain words; empty unless it failed.
    #[zbus(property)]
    fn recording_reason(&self) -> String {
        match self.recording_of(|recording| recording.state.clone()) {
            RecordingState::Failed { reason } => reason,
            RecordingState::Off | RecordingState::On => String::new(),
        }
    }

    /// The worklist server: Name s (AE title and address), AnsweredUtc s (when the list that is shown was answered; empty when
    /// none was), Trouble s (why there is no newer one, in plain words; empty when all is well). Empty when none is configured.
    #[zbus(property)]
    fn worklist_server(&self) -> Dictionary {
        let server = self.view.as_ref().and_then(|view| view.worklist.server());
        server.as_ref().map(answer::server).unwrap_or_default()
    }

    /// Figures of the running exam, or since the start when none runs. Pictures t, Lost t, Inferred t, Recorded t,
    /// Skipped t (pictures that the recorder stored and missed), Stages aa{sv}: Stage s, Count t, P50 d, P99 d, P999 d,
    /// Max d (milliseconds), Late t (overlays after the deadline, which are not shown), OverlayCounts a(tt) (the histogram of the
    /// overlays that were shown: longest time of a bucket in microseconds, how many it has). Changes are signalled at most four
    /// times a second.
    #[zbus(property)]
    fn stats(&self) -> Dictionary {
        match &self.view {
            Some(view) => answer::stats(&view.stats.borrow(), &view.recording.borrow()),
            None => answer::stats(&Stats::default(), &Recording::default()),
        }
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

/// The options of `StartExam`.
const KNOWN: [&str; 7] = ["id", "name", "birth_date", "accession_number", "worklist", "study_uid", "despite_screen"];

/// # Errors
/// `InvalidArgument` as for the options of the lists.
fn typed(options: &Options) -> Result<(Patient, Chosen, bool), Error> {
    let (mut patient, mut chosen, mut despite_screen) = (Patient::default(), Chosen::default(), false);
    for (name, value) in options {
        let place = match name.as_str() {
            "id" => &mut patient.id,
            "name" => &mut patient.name,
            "birth_date" => &mut patient.birth_date,
            "accession_number" => &mut patient.accession_number,
            "worklist" => &mut chosen.accession_number,
            "study_uid" => &mut chosen.study_uid,
            "despite_screen" => {
                despite_screen = bool::try_from(value).map_err(|_| filter::wrong_type(name, "b"))?;
                continue;
            }
            _ => return Err(filter::unknown(name, &KNOWN)),
        };
        *place = filter::text(name, value)?;
    }
    Ok((patient, chosen, despite_screen))
}

/// # Errors
/// `InvalidArgument` when it is no side.
fn breast(side: &str) -> Result<Option<Side>, Error> {
    let wrong = || Error::InvalidArgument(format!("{side:?} is no side: left or right"));
    if side.is_empty() { Ok(None) } else { Side::named(side).map(Some).ok_or_else(wrong) }
}

/// # Errors
/// `InvalidArgument` as for the options of the lists.
fn placed(options: &Options) -> Result<Place, Error> {
    let mut place = Place::default();
    for (name, value) in options {
        match name.as_str() {
            "side" => place.side = breast(&filter::text(name, value)?)?,
            "clock" => {
                let hour = u32::try_from(value).map_err(|_| filter::wrong_type(name, "u"))?;
                // 0 is no hour either.
                place.clock = Some(u8::try_from(hour).unwrap_or_default());
            }
            "distance_mm" => {
                place.distance_mm = Some(f64::try_from(value).map_err(|_| filter::wrong_type(name, "d"))?);
            }
            _ => return Err(filter::unknown(name, &["side", "clock", "distance_mm"])),
        }
    }
    Ok(place)
}

/// # Errors
/// `InvalidArgument` as for the options of the lists, and when there is no such place or step.
fn probed(options: &Options) -> Result<ProbeOrder, Error> {
    let (mut side, mut spot, mut plane, mut step) = (None, None, None, None);
    let none = |name: &str, text: &str, known: &str| Error::InvalidArgument(format!("{name} {text:?}: {known}"));
    for (name, value) in options {
        let text = filter::text(name, value)?;
        match name.as_str() {
            "side" => side = breast(&text)?,
            "spot" => {
                let named = Spot::try_from(text).map_err(|error| Error::InvalidArgument(error.to_string()))?;
                spot = Some(named);
            }
            "plane" => {
                plane = Some(Plane::named(&text).ok_or_else(|| none(name, &text, "radial or antiradial"))?);
            }
            "step" => {
                let known = || Step::ALL.map(|(name, _)| name).join(", ");
                step = Some(Step::named(&text).ok_or_else(|| none(name, &text, &known()))?);
            }
            _ => return Err(filter::unknown(name, &["side", "spot", "plane", "step"])),
        }
    }
    match (step, side, spot, plane) {
        (Some(step), None, None, None) => Ok(ProbeOrder::Step(step)),
        (Some(_), ..) => Err(Error::InvalidArgument("step goes alone".into())),
        (None, None, None, None) => Ok(ProbeOrder::Unsaid),
        (None, side, spot, plane) => Ok(ProbeOrder::At { side, spot, plane }),
    }
}

/// # Errors
/// `InvalidArgument` as for the options of the lists.
fn wish(options: &Options) -> Result<(String, u32), Error> {
    let (mut wanted, mut seconds) = (String::new(), lesson::USUAL_SECONDS);
    for (name, value) in options {
        match name.as_str() {
            "name" => wanted = filter::text(name, value)?,
            "seconds" => seconds = u32::try_from(value).map_err(|_| filter::wrong_type(name, "u"))?,
            _ => return Err(filter::unknown(name, &["name", "seconds"])),
        }
    }
    let (least, most) = (lesson::SECONDS.start(), lesson::SECONDS.end());
    match lesson::SECONDS.contains(&seconds) {
        true => Ok((wanted, seconds)),
        false => Err(Error::InvalidArgument(format!("{seconds} seconds is out of range: {least} to {most}"))),
    }
}

/// Signals changes for as long as the connection lasts.
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
            () = changed(&mut view.recording) => {}
            () = changed(&mut view.guide) => {}
            () = view.worklist.changed() => {}
        }
    }
}

/// Waits for a change; for ever when there will be no more changes.
async fn changed<T>(values: &mut watch::Receiver<T>) {
    if values.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use live::view::{Latency, channel};

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
            assert_eq!(json["state"], sign.as_str());
            assert_eq!(json["reason"].as_str().unwrap_or_default(), super::reason(&sign));
        }
    }

    #[test]
    fn a_place_is_understood_or_refused_with_its_name() {
        let of = |entries: &[(&str, zbus::Variant<'static>)]| {
            let owned = |value: &zbus::Variant<'static>| OwnedVariant::try_from(value.try_clone().unwrap()).unwrap();
            placed(&entries.iter().map(|(name, value)| ((*name).to_owned(), owned(value))).collect())
        };
        let place = of(&[("side", "left".into()), ("clock", 2u32.into()), ("distance_mm", 40.0.into())]).unwrap();
        assert_eq!((place.side, place.clock, place.distance_mm), (Some(Side::Left), Some(2), Some(40.0)));
        for wrong in
            [("side", "up".into()), ("clock", "two".into()), ("distance_mm", 4u32.into()), ("depth", 1u32.into())]
        {
            let error = of(std::slice::from_ref(&wrong)).unwrap_err().to_string();
            assert!(error.contains(wrong.0) || error.contains("up"), "{error}");
        }
    }

    #[test]
    fn the_place_of_the_probe_is_understood_or_refused_with_what_is_known() {
        let of = |entries: &[(&str, &'static str)]| {
            let owned = |text: &'static str| OwnedVariant::try_from(zbus::Variant::from(text)).unwrap();
            probed(&entries.iter().map(|(name, text)| ((*name).to_owned(), owned(text))).collect())
        };
        let spot = Some(Spot::named("3-middle").unwrap());
        let at = of(&[("side", "left"), ("spot", "3-middle"), ("plane", "radial")]).unwrap();
        assert_eq!(at, ProbeOrder::At { side: Some(Side::Left), spot, plane: Some(Plane::Radial) });
        assert_eq!(of(&[("step", "next-hour")]).unwrap(), ProbeOrder::Step(Step::NextHour));
        assert_eq!(of(&[]).unwrap(), ProbeOrder::Unsaid);
        for (wrong, word) in [
            (&[("spot", "13-inner")][..], "no place on the breast"),
            (&[("plane", "sagittal")], "antiradial"),
            (&[("step", "jump")], "previous-hour"),
            (&[("step", "turn"), ("side", "left")], "alone"),
            (&[("hour", "3")], "spot"),
        ] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
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
            ..Stats::default()
        }));
        let shown = Live::new(Some(view), crate::dbus::auth::Authority::of_tests()).stats();
        assert_eq!(u64::try_from(&shown["Pictures"]).unwrap(), 10);
        assert_eq!(shown["Stages"].value_signature(), "aa{sv}");
        assert_eq!(shown["OverlayCounts"].value_signature(), "a(tt)");
        let off = Live::new(None, crate::dbus::auth::Authority::of_tests());
        assert_eq!((off.sign(), off.exam().len(), off.size()), ("off", 0, (0, 0)));
    }
}
