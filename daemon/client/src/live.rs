//! The live path: proxy, and its properties at one moment.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use zbus::{DeserializeDict, OwnedVariant, Type, Variant, proxy};

use crate::{Guidance, Options};

#[proxy(
    interface = "org.scanside.Appliance1.Live1",
    default_service = "org.scanside.Appliance1",
    default_path = "/org/scanside/Appliance1/live"
)]
pub trait Live {
    /// `id` s, `name` s, `birth_date` s (YYYYMMDD), `accession_number` s; that one alone, `worklist` s, or
    /// `study_uid` s of an entry take the rest from the worklist. Returns what changed, in words.
    #[zbus(allow_interactive_auth)]
    fn start_exam(&self, patient: Options<'_>) -> zbus::Result<String>;
    #[zbus(allow_interactive_auth)]
    fn stop_exam(&self) -> zbus::Result<String>;
    #[zbus(allow_interactive_auth)]
    fn freeze(&self, on: bool) -> zbus::Result<String>;
    /// Keeps this moment of the exam.
    #[zbus(allow_interactive_auth)]
    fn mark(&self) -> zbus::Result<String>;
    /// `left`, `right`, or empty when it is not said any more.
    #[zbus(allow_interactive_auth)]
    fn scan_side(&self, side: &str) -> zbus::Result<String>;
    /// `side` s, `clock` u, `distance_mm` d.
    #[zbus(allow_interactive_auth)]
    fn place_lesion(&self, lesion: u32, place: Options<'_>) -> zbus::Result<String>;
    /// `side` s, `spot` s, `plane` s; or `step` s alone; nothing: it is not said any more.
    #[zbus(allow_interactive_auth)]
    fn place_probe(&self, place: Options<'_>) -> zbus::Result<String>;

    /// Who is expected, and what was left out, in words.
    fn worklist(&self) -> zbus::Result<(Vec<Expected>, Vec<String>)>;
    /// `seconds` u (2 to 20), `name` s. Answers when that time has passed: the profile as TOML, and facts about it.
    #[zbus(allow_interactive_auth)]
    fn learn_profile(&self, options: Options<'_>) -> zbus::Result<(String, HashMap<String, OwnedVariant>)>;

    #[zbus(property)]
    fn sign(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn source(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn profile(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn model(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn label(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn simulated(&self) -> zbus::Result<bool>;
    #[zbus(property)]
    fn size(&self) -> zbus::Result<(u32, u32)>;
    #[zbus(property)]
    fn exam(&self) -> zbus::Result<HashMap<String, OwnedVariant>>;
    #[zbus(property)]
    fn guidance(&self) -> zbus::Result<HashMap<String, OwnedVariant>>;
    #[zbus(property)]
    fn recording(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn recording_reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn worklist_server(&self) -> zbus::Result<HashMap<String, OwnedVariant>>;
    #[zbus(property)]
    fn stats(&self) -> zbus::Result<HashMap<String, OwnedVariant>>;
}

/// Live1's properties at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Live {
    /// `off`, `ready`, `paused`, `no_overlay`, `no_signal` or `failed`.
    pub sign: String,
    pub reason: Option<String>,
    pub source: String,
    pub profile: String,
    pub model: Option<String>,
    /// What stands on every result, such as "not for diagnosis".
    pub label: Option<String>,
    pub simulated: bool,
    /// Pixels.
    pub size: (u32, u32),
    pub exam: Option<Exam>,
    pub guidance: Guidance,
    /// `off`, `on` or `failed`, and why.
    pub recording: String,
    pub recording_reason: Option<String>,
    /// `None`: no server is configured.
    pub worklist_server: Option<WorklistServer>,
}

/// The worklist server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WorklistServer {
    /// AE title and address.
    pub name: String,
    /// When the list that is shown was answered; `None` when none was.
    pub answered_utc: Option<String>,
    /// Why there is no newer one, in plain words.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exam {
    pub study_uid: String,
    pub patient: Patient,
    pub started_utc: String,
    pub marks: u32,
    /// `left` or `right`: the breast that is scanned, when that was said.
    pub side: Option<String>,
    /// Where the probe is, when that was said: `3-middle`, `nipple`, `axilla`; and `radial` or `antiradial`.
    pub probe_spot: Option<String>,
    pub probe_plane: Option<String>,
    /// Where lesions are, by their numbers, as far as it was said.
    pub places: BTreeMap<u32, Place>,
    /// `agrees`, `differs` or `unclear`: whether the scanner's screen shows this patient; `None` where it is not read.
    pub on_screen: Option<String>,
    pub on_screen_words: Option<String>,
}

/// Where in the breast, as far as it was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Place {
    /// `left` or `right`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// Hour, 1 to 12, as seen by somebody who faces the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<u8>,
    /// From the nipple, mm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_mm: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patient {
    pub id: String,
    pub name: String,
    /// YYYYMMDD.
    pub birth_date: Option<String>,
    pub accession_number: Option<String>,
}

/// One entry of the worklist; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeserializeDict, Type, Serialize)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct Expected {
    pub patient_id: String,
    pub patient_name: String,
    /// YYYYMMDD.
    pub birth_date: String,
    pub accession_number: String,
    pub study_uid: String,
    /// YYYYMMDD and HHMMSS (or shorter), local time.
    pub date: String,
    pub time: String,
    pub modality: String,
    pub description: String,
}

/// Left, top, width, height in pixels of the screen.
pub type Area = (u32, u32, u32, u32);

/// What a learnt profile says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Learnt {
    pub pictures: u32,
    /// Width and height, pixels.
    pub screen: (u32, u32),
    pub sector: Area,
    pub ticks: Option<Area>,
    pub mm_per_tick: Option<f64>,
    /// Of tissue, in the last picture.
    pub mm_per_pixel: Option<f64>,
    pub text_areas: u32,
}

impl Learnt {
    pub fn of(entries: &HashMap<String, OwnedVariant>) -> Self {
        let number = |name: &str| entries.get(name).and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let mm = |name: &str| entries.get(name).and_then(|value| f64::try_from(value).ok());
        let owned = |name: &str| entries.get(name).and_then(|value| value.try_clone().ok());
        let area = |name: &str| owned(name).and_then(|value| Area::try_from(value).ok());
        Self {
            pictures: number("Pictures"),
            screen: owned("Screen").and_then(|size| <(u32, u32)>::try_from(size).ok()).unwrap_or_default(),
            sector: area("Sector").unwrap_or_default(),
            ticks: area("Ticks"),
            mm_per_tick: mm("MmPerTick"),
            mm_per_pixel: mm("MmPerPixel"),
            text_areas: number("TextAreas"),
        }
    }
}

/// Of the exam, or since the start when there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    pub pictures: u64,
    pub lost: u64,
    pub inferred: u64,
    /// Pictures that the recorder took, and missed.
    pub recorded: u64,
    pub skipped: u64,
    /// In the order of the path.
    pub stages: Vec<Stage>,
    /// Overlays that came after the deadline and were not shown.
    pub late: u64,
    /// Of the overlays that were shown: longest time of a bucket, microseconds, and how many it has.
    pub overlay_counts: Vec<(u64, u64)>,
}

/// Milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    pub stage: String,
    pub count: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Live {
    /// # Errors
    /// When the appliance does not answer.
    pub async fn read(live: &LiveProxy<'_>) -> zbus::Result<Self> {
        Ok(Self {
            sign: live.sign().await?,
            reason: some(live.reason().await?),
            source: live.source().await?,
            profile: live.profile().await?,
            model: some(live.model().await?),
            label: some(live.label().await?),
            simulated: live.simulated().await?,
            size: live.size().await?,
            exam: Exam::of(&live.exam().await?),
            guidance: Guidance::of(&live.guidance().await.unwrap_or_default()),
            recording: live.recording().await?,
            recording_reason: some(live.recording_reason().await?),
            worklist_server: WorklistServer::read(live).await,
        })
    }
}

impl WorklistServer {
    /// `None`, too, of an appliance that knows no such server.
    pub async fn read(live: &LiveProxy<'_>) -> Option<Self> {
        let entries = live.worklist_server().await.unwrap_or_default();
        let text = |name: &str| entries.get(name).and_then(|value| <&str>::try_from(value).ok()).map(str::to_owned);
        Some(Self {
            name: text("Name")?,
            answered_utc: text("AnsweredUtc").and_then(some),
            trouble: text("Trouble").and_then(some),
        })
    }
}

impl Stats {
    /// # Errors
    /// When the appliance does not answer.
    pub async fn read(live: &LiveProxy<'_>) -> zbus::Result<Self> {
        Ok(Self::of(&live.stats().await?))
    }

    /// What a future appliance may add is left out, what it may leave out is 0.
    pub(crate) fn of(entries: &HashMap<String, OwnedVariant>) -> Self {
        let stages = entries.get("Stages").and_then(|stages| stages.try_clone().ok());
        let stages = stages.and_then(|stages| Vec::<HashMap<String, Variant<'_>>>::try_from(stages).ok());
        let counts = entries.get("OverlayCounts").and_then(|counts| counts.try_clone().ok());
        Self {
            pictures: count(entries, "Pictures"),
            lost: count(entries, "Lost"),
            inferred: count(entries, "Inferred"),
            recorded: count(entries, "Recorded"),
            skipped: count(entries, "Skipped"),
            stages: stages.unwrap_or_default().iter().map(Stage::of).collect(),
            late: count(entries, "Late"),
            overlay_counts: counts.and_then(|counts| Vec::try_from(counts).ok()).unwrap_or_default(),
        }
    }
}

impl Stage {
    fn of(entries: &HashMap<String, Variant<'_>>) -> Self {
        let ms = |name: &str| entries.get(name).and_then(|value| f64::try_from(value).ok()).unwrap_or_default();
        let name = entries.get("Stage").and_then(|value| <&str>::try_from(value).ok()).unwrap_or_default();
        Self {
            stage: name.to_owned(),
            count: entries.get("Count").and_then(|value| u64::try_from(value).ok()).unwrap_or_default(),
            p50: ms("P50"),
            p99: ms("P99"),
            p999: ms("P999"),
            max: ms("Max"),
        }
    }
}

impl Exam {
    pub(crate) fn of(entries: &HashMap<String, OwnedVariant>) -> Option<Self> {
        let text = |name: &str| entries.get(name).and_then(|value| <&str>::try_from(value).ok()).map(str::to_owned);
        Some(Self {
            study_uid: text("StudyUid")?,
            patient: Patient {
                id: text("PatientId")?,
                name: text("PatientName")?,
                birth_date: text("BirthDate").and_then(some),
                accession_number: text("AccessionNumber").and_then(some),
            },
            started_utc: text("StartedUtc").unwrap_or_default(),
            marks: entries.get("Marks").and_then(|value| u32::try_from(value).ok()).unwrap_or_default(),
            side: text("Side"),
            probe_spot: text("ProbeSpot"),
            probe_plane: text("ProbePlane"),
            places: places(entries),
            on_screen: text("OnScreen"),
            on_screen_words: text("OnScreenWords"),
        })
    }
}

fn places(entries: &HashMap<String, OwnedVariant>) -> BTreeMap<u32, Place> {
    let places = entries.get("Places").and_then(|places| places.try_clone().ok());
    let places = places.and_then(|places| Vec::<HashMap<String, Variant<'_>>>::try_from(places).ok());
    let one = |entries: &HashMap<String, Variant<'_>>| {
        let number = |name: &str| entries.get(name).and_then(|value| u32::try_from(value).ok());
        let place = Place {
            side: entries.get("Side").and_then(|value| Some(<&str>::try_from(value).ok()?.to_owned())),
            clock: number("Clock").and_then(|hour| u8::try_from(hour).ok()),
            distance_mm: entries.get("DistanceMm").and_then(|value| f64::try_from(value).ok()),
        };
        Some((number("Lesion")?, place))
    };
    places.unwrap_or_default().iter().filter_map(one).collect()
}

fn count(entries: &HashMap<String, OwnedVariant>, name: &str) -> u64 {
    entries.get(name).and_then(|value| u64::try_from(value).ok()).unwrap_or_default()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
