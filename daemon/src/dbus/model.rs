//! `Model1`: a model package.

use models::registry::{Change, Key};
use study::model::Models;
use zbus::message::Header;
use zbus::{Connection, interface};

use super::auth::{self, Authority, Verb};
use super::objects::Exported;
use super::{Error, rows};

/// The row that the object shows, and what its methods need.
#[derive(Debug)]
pub struct Shown {
    pub row: rows::Model,
    pub models: Models,
    pub authority: Authority,
}

#[derive(Debug)]
pub struct Model(Shown);

impl Exported for Model {
    type Row = Shown;

    fn new(row: Self::Row) -> Self {
        Self(row)
    }

    fn replace(&mut self, row: Self::Row) {
        self.0 = row;
    }
}

impl Model {
    /// Authorises the caller, then runs the operation on a blocking thread.
    async fn act<T, F>(&self, verb: Verb, connection: &Connection, header: &Header<'_>, act: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(Models, Key) -> Result<T, study::model::Error> + Send + 'static,
    {
        let object = format!("package {} {}", self.0.row.id, self.0.row.version);
        let permit = auth::require(&self.0.authority, verb, object, connection, header).await?;
        let (models, key) = (self.0.models.clone(), Key::new(&self.0.row.id, &self.0.row.version));
        permit.run(super::off_thread(move || act(models, key))).await
    }
}

fn changed(change: Change) -> bool {
    change == Change::Changed
}

/// A model package.
#[interface(name = "org.scanside.Appliance1.Model1")]
impl Model {
    /// Starts to check and load it and to run its golden input (State is building, then ready or refused). Returns
    /// false when a build is running already.
    #[zbus(out_args("changed"))]
    async fn build(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        self.act(Verb::ExamineModel, connection, &header, |models, key| models.build(&key, false)).await.map(changed)
    }

    /// As Build; afterwards its task uses it (State is building, then active or refused). Returns false when it is
    /// active already.
    #[zbus(out_args("changed"))]
    async fn activate(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        self.act(Verb::ActivateModel, connection, &header, |models, key| models.build(&key, true)).await.map(changed)
    }

    /// Ends the build that waits or runs, and so the activation that waits for it; what its task uses stays in use, and Reason says so.
    /// Returns false when there is no build. The library may take a moment to let go (Stage is ending).
    #[zbus(out_args("changed"))]
    async fn cancel_build(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        self.act(Verb::CancelBuild, connection, &header, |models, key| models.cancel(&key)).await.map(changed)
    }

    /// Deactivates it. Its task then has no package and parks its jobs.
    #[zbus(out_args("changed"))]
    async fn deactivate(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        self.act(Verb::ActivateModel, connection, &header, |models, key| models.deactivate(&key)).await.map(changed)
    }

    /// Removes it from the disk. Not possible while it is in use.
    async fn remove(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        self.act(Verb::RemoveModel, connection, &header, |models, key| models.remove(&key)).await
    }

    /// Checks its signature and every file again.
    async fn verify(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        self.act(Verb::ExamineModel, connection, &header, |models, key| models.verify(&key)).await
    }

    /// Starts or stops shadow runs: it analyses each study in addition to the active package of its task; see
    /// Manager1.ListShadowRuns.
    #[zbus(name = "SetShadow", out_args("changed"))]
    async fn run_as_shadow(
        &self,
        on: bool,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        self.act(Verb::ExamineModel, connection, &header, move |models, key| models.shadow(&key, on)).await.map(changed)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> &str {
        &self.0.row.id
    }

    /// Semantic version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        &self.0.row.version
    }

    /// Its task, for example ct_chest; empty when its manifest cannot be read.
    #[zbus(property)]
    fn task(&self) -> &str {
        &self.0.row.task
    }

    /// built-in or installed.
    #[zbus(property)]
    fn origin(&self) -> &str {
        &self.0.row.origin
    }

    /// installed, building, ready, active, refused or deactivated.
    #[zbus(property)]
    fn state(&self) -> &str {
        &self.0.row.state
    }

    /// Why it is refused, or why the last build failed or who ended it; empty otherwise.
    #[zbus(property)]
    fn reason(&self) -> &str {
        self.0.row.reason.as_deref().unwrap_or_default()
    }

    /// Completed fraction of the running build, 0 to 1; 1 when none runs.
    #[zbus(property)]
    fn progress(&self) -> f64 {
        self.0.row.progress
    }

    /// Stage of the running build: waiting, verify, accelerator, engine, golden, or ending after CancelBuild; empty when none runs.
    #[zbus(property)]
    fn stage(&self) -> &str {
        &self.0.row.stage
    }

    /// Who signed it, in words.
    #[zbus(property)]
    fn signer(&self) -> &str {
        self.0.row.signer.as_deref().unwrap_or_default()
    }

    /// research (results are marked "not for diagnosis") or cleared.
    #[zbus(property)]
    fn clearance(&self) -> &str {
        self.0.row.clearance.as_deref().unwrap_or_default()
    }

    #[zbus(property)]
    fn licence(&self) -> &str {
        self.0.row.licence.as_deref().unwrap_or_default()
    }

    /// The findings that it detects.
    #[zbus(property)]
    fn findings(&self) -> &[String] {
        &self.0.row.findings
    }

    /// SHA-256 of model.toml, which contains the hashes of all other files; results contain it.
    #[zbus(property)]
    fn sha256(&self) -> &str {
        &self.0.row.sha256
    }

    /// The accelerator for which it was built; empty before the first build.
    #[zbus(property)]
    fn accelerator(&self) -> &str {
        self.0.row.accelerator.as_deref().unwrap_or_default()
    }

    /// Each network that fits the accelerator, as it was found there, in words; the one that is used comes first.
    #[zbus(property)]
    fn networks(&self) -> &[String] {
        &self.0.row.networks
    }

    /// Largest difference from the expected golden output; -1 when it is not known.
    #[zbus(property)]
    fn golden_difference(&self) -> f64 {
        self.0.row.golden_difference.unwrap_or(-1.0)
    }

    /// It is the last good package, to which a rollback returns.
    #[zbus(property)]
    fn last_good(&self) -> bool {
        self.0.row.last_good
    }

    /// It is a candidate with shadow runs.
    #[zbus(property)]
    fn shadow(&self) -> bool {
        self.0.row.shadow
    }
}
