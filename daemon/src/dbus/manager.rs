//! `Manager1`: the appliance as a whole; its lists, its counts and its mutating verbs.

use std::sync::{Arc, Mutex, PoisonError};

use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, interface};

use super::auth::{self, Authority, Verb};
use super::filter::{Filter, Options};
use super::query::{self, Reader};
use super::rows::{Counts, Delivery, Job, Quarantined, Series, Study};
use super::{Commands, Error, Facts, RerunOptions};
use crate::level::Gate;

/// Properties that change are read from where they live, so that no call ever waits for a writer.
pub struct Manager {
    pub facts: Facts,
    pub gate: Gate,
    pub reader: Reader,
    pub commands: Arc<dyn Commands>,
    pub authority: Authority,
    pub counts: Arc<Mutex<Counts>>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Manager {
    fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The appliance as a whole.
#[interface(name = "org.scanside.Appliance1.Manager1")]
impl Manager {
    /// Studies, newest first. Options: limit u, study_uid s, state s.
    #[zbus(out_args("studies"))]
    async fn list_studies(&self, options: Options) -> Result<Vec<Study>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "state"])?;
        self.reader.read(move |connection| query::studies(connection, &filter)).await
    }

    /// Series, newest first. Options: limit u, study_uid s, series_uid s, state s.
    #[zbus(out_args("series"))]
    async fn list_series(&self, options: Options) -> Result<Vec<Series>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "series_uid", "state"])?;
        self.reader.read(move |connection| query::series(connection, &filter)).await
    }

    /// Jobs, newest first. Options: limit u, study_uid s, series_uid s, state s.
    #[zbus(out_args("jobs"))]
    async fn list_jobs(&self, options: Options) -> Result<Vec<Job>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "series_uid", "state"])?;
        self.reader.read(move |connection| query::jobs(connection, &filter)).await
    }

    /// Deliveries, newest first. Options: limit u, study_uid s, destination s, state s.
    #[zbus(out_args("deliveries"))]
    async fn list_deliveries(&self, options: Options) -> Result<Vec<Delivery>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "destination", "state"])?;
        self.reader.read(move |connection| query::deliveries(connection, &filter)).await
    }

    /// Instances that were set aside, newest first. Options: limit u, state s.
    #[zbus(out_args("instances"))]
    async fn list_quarantine(&self, options: Options) -> Result<Vec<Quarantined>, Error> {
        let filter = Filter::parse(&options, &["limit", "state"])?;
        self.reader.read(move |connection| query::quarantine(connection, &filter)).await
    }

    /// Queues the analysable series of a study again. Options: urgent b. Returns how many series.
    #[zbus(out_args("series"))]
    async fn rerun(
        &self,
        study_uid: &str,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        auth::require(self.authority, Verb::Rerun, connection, &header).await?;
        self.commands.rerun(study_uid, RerunOptions::parse(&options)?).await
    }

    /// Makes pending deliveries due now: of one destination, or of all when it is empty. Returns how many.
    #[zbus(out_args("deliveries"))]
    async fn retry_deliveries(
        &self,
        destination: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        auth::require(self.authority, Verb::RetryDeliveries, connection, &header).await?;
        self.commands.retry((!destination.is_empty()).then_some(destination)).await
    }

    /// C-ECHO to a destination. Returns milliseconds from association request to the answer.
    #[zbus(out_args("milliseconds"))]
    async fn echo(
        &self,
        destination: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<f64, Error> {
        auth::require(self.authority, Verb::Echo, connection, &header).await?;
        Ok(self.commands.echo(destination).await?.as_secs_f64() * 1000.0)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        &self.facts.version
    }

    /// A simulated accelerator or device is in use: nothing may be used clinically.
    #[zbus(property(emits_changed_signal = "const"))]
    fn simulated(&self) -> bool {
        self.facts.simulated
    }

    /// The address the DICOM listener is bound to.
    #[zbus(property(emits_changed_signal = "const"))]
    fn dicom_address(&self) -> &str {
        &self.facts.dicom_address
    }

    /// What runs the networks, and why it is not what was configured, when it is not.
    #[zbus(property(emits_changed_signal = "const"))]
    fn accelerator(&self) -> &str {
        &self.facts.accelerator
    }

    /// Name and AE_TITLE@host:port of each destination.
    #[zbus(property(emits_changed_signal = "const"))]
    fn destinations(&self) -> Vec<(String, String)> {
        self.facts.destinations.iter().map(|(name, address)| (name.clone(), address.clone())).collect()
    }

    /// full, no_new_studies or no_output.
    #[zbus(property)]
    fn level(&self) -> &str {
        self.gate.get().0.as_str()
    }

    /// In plain words; empty when nothing is restricted.
    #[zbus(property)]
    fn level_reason(&self) -> String {
        self.gate.get().1
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn free_bytes(&self) -> u64 {
        self.facts.health.borrow().free_bytes
    }

    /// How many more studies like the recent ones fit; -1 before the first.
    #[zbus(property(emits_changed_signal = "false"))]
    fn studies_left(&self) -> i64 {
        self.facts.health.borrow().studies_left.map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX))
    }

    #[zbus(property)]
    fn studies(&self) -> u32 {
        self.counts().studies
    }

    #[zbus(property)]
    fn instances(&self) -> u64 {
        self.counts().instances
    }

    #[zbus(property)]
    fn series_receiving(&self) -> u32 {
        self.counts().series_receiving
    }

    #[zbus(property)]
    fn jobs_queued(&self) -> u32 {
        self.counts().jobs_queued
    }

    #[zbus(property)]
    fn jobs_running(&self) -> u32 {
        self.counts().jobs_running
    }

    #[zbus(property)]
    fn jobs_parked(&self) -> u32 {
        self.counts().jobs_parked
    }

    #[zbus(property)]
    fn deliveries_pending(&self) -> u32 {
        self.counts().deliveries_pending
    }

    /// When the oldest result that still waits was made; empty when none waits.
    #[zbus(property)]
    fn oldest_pending_utc(&self) -> String {
        self.counts().oldest_pending_utc
    }

    #[zbus(property)]
    fn quarantined(&self) -> u32 {
        self.counts().quarantined
    }

    /// A series changed state or grew. At most a few times a second for each series.
    #[zbus(signal)]
    pub async fn series_changed(
        emitter: &SignalEmitter<'_>,
        series: ObjectPath<'_>,
        study_uid: &str,
        series_uid: &str,
        state: &str,
        instances: u32,
        verdict: &str,
    ) -> zbus::Result<()>;

    /// A job moved on. fraction is of the whole job, 0 to 1.
    #[zbus(signal)]
    pub async fn job_progress(
        emitter: &SignalEmitter<'_>,
        job: ObjectPath<'_>,
        series: ObjectPath<'_>,
        state: &str,
        stage: &str,
        fraction: f64,
    ) -> zbus::Result<()>;

    /// A delivery was answered, or failed and will be tried again.
    #[zbus(signal)]
    pub async fn delivery_changed(
        emitter: &SignalEmitter<'_>,
        delivery: ObjectPath<'_>,
        destination: &str,
        state: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}
