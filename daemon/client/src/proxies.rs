//! One proxy per interface.

use zbus::{OwnedFd, OwnedObjectPath, proxy};

use crate::types::{
    Audited, Caller, Delivery, Destination, Happened, Job, Model, Object, Options, Quarantined, Sender, Series,
    ShadowRun, Status, Study,
};

#[proxy(
    interface = "org.scanside.Appliance1.Manager1",
    default_service = "org.scanside.Appliance1",
    default_path = "/org/scanside/Appliance1"
)]
pub trait Manager {
    /// Options: `limit` u, `study_uid` s, `state` s.
    fn list_studies(&self, options: Options<'_>) -> zbus::Result<Vec<Study>>;
    /// Options: `limit` u, `study_uid` s, `series_uid` s, `state` s.
    fn list_series(&self, options: Options<'_>) -> zbus::Result<Vec<Series>>;
    /// Options: `limit` u, `study_uid` s, `series_uid` s, `state` s.
    fn list_jobs(&self, options: Options<'_>) -> zbus::Result<Vec<Job>>;
    /// Options: `limit` u, `study_uid` s, `destination` s, `state` s.
    fn list_deliveries(&self, options: Options<'_>) -> zbus::Result<Vec<Delivery>>;
    /// Options: `limit` u, `state` s.
    fn list_quarantine(&self, options: Options<'_>) -> zbus::Result<Vec<Quarantined>>;
    /// Who called the DICOM node lately, the last first.
    fn list_callers(&self, options: Options<'_>) -> zbus::Result<Vec<Caller>>;
    /// Who sent instances.
    fn list_senders(&self, options: Options<'_>) -> zbus::Result<Vec<Sender>>;
    /// Where results go, and what waits there.
    fn list_destinations(&self, options: Options<'_>) -> zbus::Result<Vec<Destination>>;
    /// Options: `limit` u (newest first), or `study_uid` s (oldest first).
    fn list_events(&self, options: Options<'_>) -> zbus::Result<Vec<Happened>>;
    /// Options: `limit` u, `since_utc` s. Newest first.
    fn list_audit(&self, options: Options<'_>) -> zbus::Result<Vec<Audited>>;
    /// Rows, number of the oldest, hash of the newest; number of the first that does not fit (0: all do), and why.
    fn verify_audit(&self) -> zbus::Result<(u64, u64, String, u64, String)>;
    /// Options: `urgent` b. Returns how many series were queued.
    #[zbus(allow_interactive_auth)]
    fn rerun(&self, study_uid: &str, options: Options<'_>) -> zbus::Result<u32>;
    /// Of one destination; of all when empty. Returns how many are due now.
    #[zbus(allow_interactive_auth)]
    fn retry_deliveries(&self, destination: &str) -> zbus::Result<u32>;
    /// By the number of a delivery: `retry`, `park` or `drop`.
    #[zbus(allow_interactive_auth)]
    fn change_delivery(&self, delivery: i64, change: &str) -> zbus::Result<()>;
    /// `take-new` or `keep-old`. Returns how many objects were in conflict and how many series changed.
    #[zbus(allow_interactive_auth)]
    fn resolve_study(&self, study_uid: &str, choice: &str) -> zbus::Result<(u32, u32)>;
    /// `decisions`: id of a finding, `accepted`, `edited` or `rejected`, comment. Options: `accept_rest` b, `edits` s (JSON). Returns the job
    /// that makes the signed results, and how many findings stay and are rejected.
    #[zbus(allow_interactive_auth)]
    fn review_series(
        &self,
        series_uid: &str,
        name: &str,
        decisions: &[(String, String, String)],
        options: Options<'_>,
    ) -> zbus::Result<(OwnedObjectPath, u32, u32)>;
    /// JSON. Options: `patient` s, `limit` u.
    fn list_lesions(&self, options: Options<'_>) -> zbus::Result<String>;
    /// JSON; by the number of a lesion or of a sighting.
    fn show_lesion(&self, number: u64) -> zbus::Result<String>;
    /// JSON. Options: `patient` s, `all` b, `on` s.
    fn list_recalls(&self, options: Options<'_>) -> zbus::Result<String>;
    /// `entry`: JSON. Returns its number.
    #[zbus(allow_interactive_auth)]
    fn enter_lesion(&self, name: &str, entry: &str) -> zbus::Result<u64>;
    /// JSON: what is kept and why, what goes next. Options: `limit` u.
    fn show_retention(&self, options: Options<'_>) -> zbus::Result<String>;
    /// Keeps it from eviction. False when it is held for this reason already.
    #[zbus(allow_interactive_auth)]
    fn hold_study(&self, study_uid: &str, reason: &str) -> zbus::Result<bool>;
    /// False when it is not held.
    #[zbus(allow_interactive_auth)]
    fn release_study(&self, study_uid: &str) -> zbus::Result<bool>;
    /// Options: `images` b (also what was received).
    fn list_objects(&self, study_uid: &str, options: Options<'_>) -> zbus::Result<Vec<Object>>;
    /// SOP Instance UIDs, and files that are open for writing, 16 at most. Returns the SHA-256 of each.
    #[zbus(allow_interactive_auth)]
    fn export_objects(&self, study_uid: &str, objects: Vec<(String, OwnedFd)>) -> zbus::Result<Vec<String>>;
    /// Milliseconds to the answer.
    #[zbus(allow_interactive_auth)]
    fn echo(&self, destination: &str) -> zbus::Result<f64>;

    /// Returns the public key of the box.
    #[zbus(allow_interactive_auth)]
    fn begin_acceptance(&self, delivered: bool) -> zbus::Result<String>;
    /// `pass` or `fail`; names and contents, 8 of 4 MiB at most. Returns their signatures.
    #[zbus(allow_interactive_auth)]
    fn sign_acceptance(&self, result: &str, documents: &[(&str, &[u8])]) -> zbus::Result<Vec<String>>;
    fn acceptance_key(&self) -> zbus::Result<String>;
    /// In the text format of Prometheus.
    fn show_metrics(&self) -> zbus::Result<String>;
    /// `place`: `start` or `stop`.
    #[zbus(allow_interactive_auth)]
    fn write_marker(&self, code: &str, place: &str) -> zbus::Result<()>;

    /// Options: `task` s, `state` s.
    fn list_models(&self, options: Options<'_>) -> zbus::Result<Vec<Model>>;
    /// Options: `limit` u, `study_uid` s.
    fn list_shadow_runs(&self, options: Options<'_>) -> zbus::Result<Vec<ShadowRun>>;
    /// An opened archive. Returns the package, and false when it was there already.
    #[zbus(allow_interactive_auth)]
    fn install_model(&self, archive: OwnedFd) -> zbus::Result<(OwnedObjectPath, bool)>;
    /// Returns the package that its task uses again.
    #[zbus(allow_interactive_auth)]
    fn rollback_model(&self, task: &str) -> zbus::Result<OwnedObjectPath>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn simulated(&self) -> zbus::Result<bool>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn dicom_address(&self) -> zbus::Result<String>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn accelerator(&self) -> zbus::Result<String>;
    /// Empty: any.
    #[zbus(property(emits_changed_signal = "const"))]
    fn ae_titles(&self) -> zbus::Result<Vec<String>>;
    /// AE title and address (empty: any) of who may send; empty: anyone.
    #[zbus(property(emits_changed_signal = "const"))]
    fn senders(&self) -> zbus::Result<Vec<(String, String)>>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn destinations(&self) -> zbus::Result<Vec<(String, String)>>;
    #[zbus(property)]
    fn level(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn level_reason(&self) -> zbus::Result<String>;
    /// Empty (full), `reduced`, `starting`, `custody`, `database`, `disk` or `disk_full`.
    #[zbus(property)]
    fn level_cause(&self) -> zbus::Result<String>;
    /// `unknown`, `normal`, `hot` or `throttled`.
    #[zbus(property)]
    fn heat(&self) -> zbus::Result<String>;
    /// Empty while all is well.
    #[zbus(property)]
    fn heat_reason(&self) -> zbus::Result<String>;
    /// Name and degrees Celsius of each sensor.
    #[zbus(property(emits_changed_signal = "false"))]
    fn temperatures(&self) -> zbus::Result<Vec<(String, f64)>>;
    /// -1: the machine does not say.
    #[zbus(property(emits_changed_signal = "false"))]
    fn watts(&self) -> zbus::Result<f64>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn free_bytes(&self) -> zbus::Result<u64>;
    /// -1 before the first study.
    #[zbus(property(emits_changed_signal = "false"))]
    fn studies_left(&self) -> zbus::Result<i64>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn memory_bytes(&self) -> zbus::Result<u64>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn memory_limit_bytes(&self) -> zbus::Result<u64>;
    #[zbus(property)]
    fn studies(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn instances(&self) -> zbus::Result<u64>;
    #[zbus(property)]
    fn series_receiving(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn jobs_queued(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn jobs_running(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn jobs_parked(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn deliveries_pending(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn deliveries_held(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn deliveries_parked(&self) -> zbus::Result<u32>;
    /// Empty when none waits.
    #[zbus(property)]
    fn oldest_pending_utc(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn steps_waiting(&self) -> zbus::Result<u32>;
    /// Empty when none waits.
    #[zbus(property)]
    fn oldest_step_utc(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn steps_parked(&self) -> zbus::Result<u32>;
    /// Empty when all is well.
    #[zbus(property)]
    fn steps_reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn priors_waiting(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn priors_in_vain(&self) -> zbus::Result<u32>;
    /// Empty when all is well.
    #[zbus(property)]
    fn priors_reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn tasks_open(&self) -> zbus::Result<u32>;
    /// Empty when none is open.
    #[zbus(property)]
    fn oldest_task_utc(&self) -> zbus::Result<String>;
    /// Empty when all is well.
    #[zbus(property)]
    fn tasks_reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn notices_waiting(&self) -> zbus::Result<u32>;
    /// Empty when none waits.
    #[zbus(property)]
    fn oldest_notice_utc(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn notices_parked(&self) -> zbus::Result<u32>;
    /// Empty when all is well.
    #[zbus(property)]
    fn notices_reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn quarantined(&self) -> zbus::Result<u32>;

    #[zbus(signal)]
    fn series_changed(
        &self,
        series: OwnedObjectPath,
        study_uid: String,
        series_uid: String,
        state: String,
        instances: u32,
        verdict: String,
    ) -> zbus::Result<()>;
    #[zbus(signal)]
    fn job_progress(
        &self,
        job: OwnedObjectPath,
        series: OwnedObjectPath,
        state: String,
        stage: String,
        fraction: f64,
    ) -> zbus::Result<()>;
    #[zbus(signal)]
    fn delivery_changed(
        &self,
        delivery: OwnedObjectPath,
        destination: String,
        state: String,
        reason: String,
    ) -> zbus::Result<()>;
}

/// The properties that change. The others are in [`Study`].
#[proxy(
    interface = "org.scanside.Appliance1.Study1",
    default_service = "org.scanside.Appliance1",
    assume_defaults = false
)]
pub trait Study {
    #[zbus(property(emits_changed_signal = "const"))]
    fn study_uid(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn series_count(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn instance_count(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn verdicts(&self) -> zbus::Result<Vec<String>>;
}

/// The properties that change. The others are in [`Series`].
#[proxy(
    interface = "org.scanside.Appliance1.Series1",
    default_service = "org.scanside.Appliance1",
    assume_defaults = false
)]
pub trait Series {
    #[zbus(property(emits_changed_signal = "const"))]
    fn series_uid(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn verdict(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn instance_count(&self) -> zbus::Result<u32>;
}

/// The properties that change. The others are in [`Job`].
#[proxy(
    interface = "org.scanside.Appliance1.Job1",
    default_service = "org.scanside.Appliance1",
    assume_defaults = false
)]
pub trait Job {
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn stage(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn fraction(&self) -> zbus::Result<f64>;
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;
}

/// The properties that change. The others are in [`Delivery`].
#[proxy(
    interface = "org.scanside.Appliance1.Delivery1",
    default_service = "org.scanside.Appliance1",
    assume_defaults = false
)]
pub trait Delivery {
    #[zbus(property(emits_changed_signal = "const"))]
    fn destination(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn attempts(&self) -> zbus::Result<u32>;
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;
}

/// The verbs, and the properties that change while it is built. The others are in [`Model`].
#[proxy(
    interface = "org.scanside.Appliance1.Model1",
    default_service = "org.scanside.Appliance1",
    assume_defaults = false
)]
pub trait Model {
    /// Returns false when that runs already.
    #[zbus(allow_interactive_auth)]
    fn build(&self) -> zbus::Result<bool>;
    /// Returns false when it is active already.
    #[zbus(allow_interactive_auth)]
    fn activate(&self) -> zbus::Result<bool>;
    /// Returns false when there is no build.
    #[zbus(allow_interactive_auth)]
    fn cancel_build(&self) -> zbus::Result<bool>;
    #[zbus(allow_interactive_auth)]
    fn deactivate(&self) -> zbus::Result<bool>;
    #[zbus(allow_interactive_auth)]
    fn remove(&self) -> zbus::Result<()>;
    #[zbus(allow_interactive_auth)]
    fn verify(&self) -> zbus::Result<()>;
    #[zbus(allow_interactive_auth)]
    fn set_shadow(&self, on: bool) -> zbus::Result<bool>;

    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn stage(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn progress(&self) -> zbus::Result<f64>;
}

impl Status {
    /// # Errors
    /// When the appliance does not answer.
    pub async fn read(manager: &ManagerProxy<'_>) -> zbus::Result<Self> {
        Ok(Self {
            version: manager.version().await?,
            simulated: manager.simulated().await?,
            dicom_address: manager.dicom_address().await?,
            accelerator: manager.accelerator().await?,
            destinations: manager.destinations().await?,
            level: manager.level().await?,
            level_reason: manager.level_reason().await?,
            level_cause: manager.level_cause().await?,
            heat: manager.heat().await?,
            heat_reason: Some(manager.heat_reason().await?).filter(|reason| !reason.is_empty()),
            temperatures: manager.temperatures().await?,
            watts: Some(manager.watts().await?).filter(|watts| *watts >= 0.0),
            free_bytes: manager.free_bytes().await?,
            studies_left: u64::try_from(manager.studies_left().await?).ok(),
            memory_bytes: manager.memory_bytes().await?,
            memory_limit_bytes: manager.memory_limit_bytes().await?,
            studies: manager.studies().await?,
            instances: manager.instances().await?,
            series_receiving: manager.series_receiving().await?,
            jobs_queued: manager.jobs_queued().await?,
            jobs_running: manager.jobs_running().await?,
            jobs_parked: manager.jobs_parked().await?,
            deliveries_pending: manager.deliveries_pending().await?,
            deliveries_held: manager.deliveries_held().await?,
            deliveries_parked: manager.deliveries_parked().await?,
            oldest_pending_utc: Some(manager.oldest_pending_utc().await?).filter(|utc| !utc.is_empty()),
            steps_waiting: manager.steps_waiting().await?,
            oldest_step_utc: Some(manager.oldest_step_utc().await?).filter(|utc| !utc.is_empty()),
            steps_parked: manager.steps_parked().await?,
            steps_reason: Some(manager.steps_reason().await?).filter(|reason| !reason.is_empty()),
            priors_waiting: manager.priors_waiting().await?,
            priors_in_vain: manager.priors_in_vain().await?,
            priors_reason: Some(manager.priors_reason().await?).filter(|reason| !reason.is_empty()),
            tasks_open: manager.tasks_open().await?,
            oldest_task_utc: Some(manager.oldest_task_utc().await?).filter(|text| !text.is_empty()),
            tasks_reason: Some(manager.tasks_reason().await?).filter(|text| !text.is_empty()),
            notices_waiting: manager.notices_waiting().await?,
            oldest_notice_utc: Some(manager.oldest_notice_utc().await?).filter(|text| !text.is_empty()),
            notices_parked: manager.notices_parked().await?,
            notices_reason: Some(manager.notices_reason().await?).filter(|text| !text.is_empty()),
            quarantined: manager.quarantined().await?,
        })
    }
}
