//! `Manager1`: the appliance as a whole; lists, counts and commands.

use std::sync::{Arc, Mutex, PoisonError};

use custody::audit::{self, Audit, Entry};
use custody::level::Gate;
use custody::store::conflicts::Choice;
use custody::store::deliveries::Order;
use custody::store::lists::Counts;
use models::registry::Change;
use study::review::Signing;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedFd, OwnedObjectPath, interface};

use super::auth::{self, Authority, Verb};
use super::filter::{self, Filter, Options};
use super::lesion;
use super::marker::{self, Place};
use super::model::Shown;
use super::objects::show;
use super::query;
use super::review;
use super::rows::{
    Audited, Caller, Delivery, Destination, Happened, Job, Model, Object, Quarantined, Sender, Series, ShadowRun, Study,
};
use super::{Error, Facts, RerunOptions, Verbs, names};
use crate::attest::{self, Attest, Said};
use crate::reader::Reader;

/// Reads changing properties directly from their source, so that no call waits for a writer.
pub struct Manager {
    pub facts: Facts,
    pub gate: Gate,
    pub reader: Reader,
    pub verbs: Verbs,
    pub authority: Authority,
    pub counts: Arc<Mutex<Counts>>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Manager {
    /// Reads the audit trail on a blocking thread.
    async fn audited<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Audit) -> Result<T, audit::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let audit = self.authority.audit.clone();
        let answer = tokio::task::spawn_blocking(move || ask(audit)).await;
        let answer = answer.map_err(|error| Error::Internal(error.to_string()))?;
        answer.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Uses the key of the box on a blocking thread.
    async fn attest<T: Send + 'static>(
        &self,
        with: impl FnOnce(Attest) -> Result<T, attest::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let attest = self.verbs.attest.clone();
        let answer = tokio::task::spawn_blocking(move || with(attest)).await;
        Ok(answer.map_err(|error| Error::Internal(error.to_string()))??)
    }

    fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The appliance as a whole.
#[interface(name = "org.scanside.Appliance1.Manager1")]
impl Manager {
    /// Studies, newest first. Options: limit u, study_uid s, state s, number t, before t (a number: only those after it).
    #[zbus(out_args("studies"))]
    async fn list_studies(&self, options: Options) -> Result<Vec<Study>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "state", "number", "before"])?;
        self.reader.read(move |connection| query::studies(connection, &filter.rows)).await
    }

    /// Series, newest first. Options: limit u, study_uid s, series_uid s, state s, before t (a number: only those after it).
    #[zbus(out_args("series"))]
    async fn list_series(&self, options: Options) -> Result<Vec<Series>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "series_uid", "state", "before"])?;
        self.reader.read(move |connection| query::series(connection, &filter.rows)).await
    }

    /// Jobs, newest first. Options: limit u, study_uid s, series_uid s, state s.
    #[zbus(out_args("jobs"))]
    async fn list_jobs(&self, options: Options) -> Result<Vec<Job>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "series_uid", "state"])?;
        self.reader.read(move |connection| query::jobs(connection, &filter.rows)).await
    }

    /// Deliveries, newest first. Options: limit u, study_uid s, destination s, state s.
    #[zbus(out_args("deliveries"))]
    async fn list_deliveries(&self, options: Options) -> Result<Vec<Delivery>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid", "destination", "state"])?;
        self.reader.read(move |connection| query::deliveries(connection, &filter.rows)).await
    }

    /// Quarantined and conflicting instances, newest first. Options: limit u, state s.
    #[zbus(out_args("instances"))]
    async fn list_quarantine(&self, options: Options) -> Result<Vec<Quarantined>, Error> {
        let filter = Filter::parse(&options, &["limit", "state"])?;
        self.reader.read(move |connection| query::quarantine(connection, &filter.rows)).await
    }

    /// Who called the DICOM node lately, accepted or refused, the last first. No options.
    #[zbus(out_args("callers"))]
    fn list_callers(&self, options: Options) -> Result<Vec<Caller>, Error> {
        Filter::parse(&options, &[])?;
        Ok(self.facts.callers.list().into_iter().map(Caller::from).collect())
    }

    /// Who sent instances that the box still has rows of, and when. The one that sent last comes first. No options.
    #[zbus(out_args("senders"))]
    async fn list_senders(&self, options: Options) -> Result<Vec<Sender>, Error> {
        Filter::parse(&options, &[])?;
        self.reader.read(query::senders).await
    }

    /// Where results go, what waits there and since when. No options.
    #[zbus(out_args("destinations"))]
    async fn list_destinations(&self, options: Options) -> Result<Vec<Destination>, Error> {
        Filter::parse(&options, &[])?;
        let configured = self.facts.destinations.clone();
        self.reader.read(move |connection| query::destinations(connection, &configured)).await
    }

    /// What happened and why. Options: limit u (newest first), or study_uid s (all of that study, oldest first).
    #[zbus(out_args("events"))]
    async fn list_events(&self, options: Options) -> Result<Vec<Happened>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid"])?;
        self.reader.read(move |connection| query::events(connection, &filter.rows)).await
    }

    /// The audit trail: who did what with which object, newest first. Options: limit u, since_utc s, before t (only rows with
    /// lower numbers, as whoever wants more than one call gives asks for).
    #[zbus(out_args("rows"))]
    async fn list_audit(&self, options: Options) -> Result<Vec<Audited>, Error> {
        let filter = Filter::parse(&options, &["limit", "since_utc", "before"])?;
        let (since, before) = (filter.since_utc.unwrap_or_default(), filter.before.unwrap_or(u64::MAX));
        let limit = filter.rows.limit as usize;
        // The clock may have jumped, so that an older row can lie between newer ones.
        let rows = self.audited(move |audit| audit.newest(limit, before, |row| row.utc >= since)).await?;
        Ok(rows.into_iter().map(Audited::from).collect())
    }

    /// Checks that every row of the audit trail fits to the one before. Returns how many there are, the number of the oldest
    /// that is still here, the hash of the newest, and the number of the first that does not fit (0: all do) with the reason.
    #[zbus(out_args("rows", "first", "last_hash", "faulty", "fault"))]
    async fn verify_audit(&self) -> Result<(u64, u64, String, u64, String), Error> {
        let verdict = self.audited(|audit| audit.verify()).await?;
        let (faulty, fault) = verdict.fault.map_or_else(Default::default, |fault| (fault.number, fault.what));
        Ok((verdict.rows, verdict.first, verdict.last_hash, faulty, fault))
    }

    /// Queues all series of a study that can be analysed again. Options: urgent b. Returns how many series.
    #[zbus(out_args("series"))]
    async fn rerun(
        &self,
        study_uid: &str,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        let options = RerunOptions::parse(&options)?;
        let study = auth::named("study", study_uid);
        let permit = auth::require(&self.authority, Verb::Rerun, study, connection, &header).await?;
        permit.run(self.verbs.commands.rerun(study_uid, options)).await
    }

    /// Makes pending and parked deliveries due now: of one destination, or of all when it is empty. Returns how many.
    #[zbus(out_args("deliveries"))]
    async fn retry_deliveries(
        &self,
        destination: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        let destination = (!destination.is_empty()).then_some(destination);
        let object = destination.map_or_else(|| "all destinations".to_owned(), |name| format!("destination {name}"));
        let permit = auth::require(&self.authority, Verb::RetryDeliveries, object, connection, &header).await?;
        permit.run(self.verbs.commands.retry(destination)).await
    }

    /// Changes one delivery, by its number (the last element of its path): retry (now, also a dropped one), park (until
    /// somebody asks for it) or drop (it is never sent).
    async fn change_delivery(
        &self,
        delivery: i64,
        change: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let order = match change {
            "retry" => Order::Retry,
            "park" => Order::Park,
            "drop" => Order::Drop,
            other => return Err(Error::InvalidArgument(format!("{other:?} is none of retry, park, drop"))),
        };
        let verb = if order == Order::Drop { Verb::DropDelivery } else { Verb::RetryDeliveries };
        let object = format!("delivery {delivery}: {change}");
        let permit = auth::require(&self.authority, verb, object, connection, &header).await?;
        permit.run(self.verbs.commands.change_delivery(delivery, order)).await
    }

    /// Decides which content counts of the objects of a study that were sent again with other content: take-new or
    /// keep-old. Series that this changes are analysed again. Returns how many objects and series.
    #[zbus(out_args("objects", "series"))]
    async fn resolve_study(
        &self,
        study_uid: &str,
        choice: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(u32, u32), Error> {
        let object = format!("{}: {choice}", auth::named("study", study_uid));
        let choice = match choice {
            "take-new" => Choice::TakeNew,
            "keep-old" => Choice::KeepOld,
            other => return Err(Error::InvalidArgument(format!("{other:?} is neither take-new nor keep-old"))),
        };
        let permit = auth::require(&self.authority, Verb::ResolveStudy, object, connection, &header).await?;
        permit.run(self.verbs.commands.resolve(study_uid, choice)).await
    }

    /// Signs a review of the newest findings of a series. decisions: id of a finding (`listed` in the findings of its job),
    /// accepted, edited or rejected, a comment or nothing. Options: accept_rest b, edits s (JSON: by id of an edited finding its fields
    /// and their values). Returns the job that makes the signed results, and how many findings stay (as they are or edited) and are
    /// rejected.
    #[zbus(out_args("job", "accepted", "rejected"))]
    async fn review_series(
        &self,
        series_uid: String,
        name: String,
        decisions: Vec<(String, String, String)>,
        options: Options,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(OwnedObjectPath, u32, u32), Error> {
        let (marks, accept_rest) = review::asked(decisions, &options)?;
        let object = format!("{}, signed as {name}", auth::named("series", &series_uid));
        let permit = auth::require(&self.authority, Verb::ReviewSeries, object, connection, &header).await?;
        let signing = Signing { series_uid, by: name, marks, accept_rest, seen: None };
        let signed = permit.run(self.verbs.commands.review(signing)).await?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok((names::Noun::Job.path(signed.job), count(signed.accepted + signed.edited), count(signed.rejected)))
    }

    /// Lesions of the breast and sightings about which nobody has decided, as JSON. Options: patient s (a Patient ID), limit u (of
    /// patients, those with the newest lines first).
    #[zbus(out_args("lesions"))]
    async fn list_lesions(&self, options: Options) -> Result<String, Error> {
        let wanted = lesion::List::parse(&options)?;
        self.reader.read(move |connection| lesion::list(connection, &wanted)).await
    }

    /// Everything about one lesion, as JSON; by its number or that of a sighting of it.
    #[zbus(out_args("lesion"))]
    async fn show_lesion(&self, number: u64) -> Result<String, Error> {
        self.reader.read(move |connection| lesion::show(connection, number)).await
    }

    /// Recalls, the most overdue first, as JSON. Options: patient s (a Patient ID), all b (also those that are done or
    /// cancelled), on s (a date: what is due and overdue then; today when absent).
    #[zbus(out_args("recalls"))]
    async fn list_recalls(&self, options: Options) -> Result<String, Error> {
        let wanted = lesion::Recalls::parse(&options)?;
        self.reader.read(move |connection| lesion::recalls(connection, &wanted)).await
    }

    /// Writes what a person decides about a lesion, a sighting or a recall; nothing that was written is changed. entry: JSON, see
    /// docs/dbus.md. Returns the number of the entry.
    #[zbus(out_args("number"))]
    async fn enter_lesion(
        &self,
        name: String,
        entry: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u64, Error> {
        let entry = lesion::entry(entry)?;
        let object = format!("{}, signed as {name}", entry.named());
        let permit = auth::require(&self.authority, Verb::EnterLesion, object, connection, &header).await?;
        permit.run(self.verbs.commands.enter_lesion(&name, &entry)).await
    }

    /// What is kept, how long and why, and which studies are evicted next, as JSON. Options: limit u (of those studies).
    #[zbus(out_args("retention"))]
    async fn show_retention(&self, options: Options) -> Result<String, Error> {
        let filter = Filter::parse(&options, &["limit"])?;
        let most = usize::try_from(filter.rows.limit).unwrap_or(usize::MAX);
        let told = self.verbs.commands.retention(most).await?;
        serde_json::to_string(&told).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Keeps a study from eviction until it is released. Returns false when it is held for this reason already.
    #[zbus(out_args("changed"))]
    async fn hold_study(
        &self,
        study_uid: &str,
        reason: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        let object = auth::named("study", study_uid);
        let permit = auth::require(&self.authority, Verb::HoldStudy, object, connection, &header).await?;
        let who = permit.who();
        permit.run(self.verbs.commands.hold(study_uid, &who, Some(reason))).await
    }

    /// Ends the hold of a study. Returns false when it is not held.
    #[zbus(out_args("changed"))]
    async fn release_study(
        &self,
        study_uid: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool, Error> {
        let object = format!("{}, released", auth::named("study", study_uid));
        let permit = auth::require(&self.authority, Verb::HoldStudy, object, connection, &header).await?;
        let who = permit.who();
        permit.run(self.verbs.commands.hold(study_uid, &who, None)).await
    }

    /// The objects of a study that count, as they can be exported: results, and what was received as well; `Trouble` says why one
    /// cannot be. Options: images b.
    #[zbus(out_args("objects"))]
    async fn list_objects(&self, study_uid: &str, options: Options) -> Result<Vec<Object>, Error> {
        let images = filter::only_bool(&options, "images")?;
        let objects = self.verbs.commands.objects(study_uid, images).await?;
        Ok(objects.into_iter().map(Object::from).collect())
    }

    /// Writes objects of a study (SOP Instance UID, an empty file that the caller has opened for writing; 16 at most), byte for
    /// byte as they are kept. Returns the SHA-256 of each file.
    #[zbus(out_args("sha256"))]
    async fn export_objects(
        &self,
        study_uid: String,
        objects: Vec<(String, OwnedFd)>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Error> {
        let file = |(uid, to): (String, OwnedFd)| {
            let to = std::fs::File::from(std::os::fd::OwnedFd::from(to));
            // Writing to a pipe could block for ever.
            if !to.metadata().is_ok_and(|metadata| metadata.is_file()) {
                return Err(Error::InvalidArgument("an object can be written to a regular file only".into()));
            }
            Ok((uid, to))
        };
        let objects = objects.into_iter().map(file).collect::<Result<Vec<_>, _>>()?;
        let object = format!("{}, {} objects", auth::named("study", &study_uid), objects.len());
        let permit = auth::require(&self.authority, Verb::Export, object, connection, &header).await?;
        permit.run(self.verbs.commands.export(&study_uid, objects)).await
    }

    /// Sends a C-ECHO to a destination, or tests one that has a URL. Returns milliseconds until the answer.
    #[zbus(out_args("milliseconds"))]
    async fn echo(
        &self,
        destination: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<f64, Error> {
        let object = format!("destination {destination}");
        let permit = auth::require(&self.authority, Verb::Echo, object, connection, &header).await?;
        Ok(permit.run(self.verbs.commands.echo(destination)).await?.as_secs_f64() * 1000.0)
    }

    /// Says in the audit trail that an acceptance test begins, and whether results of its test study are delivered. Returns the public
    /// key with which its report will be signed.
    #[zbus(out_args("public_key"))]
    async fn begin_acceptance(
        &self,
        delivered: bool,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let object = format!("acceptance test begins, results are {}delivered", if delivered { "" } else { "not " });
        let permit = auth::require(&self.authority, Verb::Acceptance, object, connection, &header).await?;
        permit.run(self.attest(|attest| attest.public_key())).await
    }

    /// Signs the documents of an acceptance test's report (name and content; 8 of 4 MiB at most) with the key of this box. result: pass
    /// or fail. The SHA-256 of each goes into the audit trail. Returns the signatures, as minisign writes them.
    #[zbus(out_args("signatures"))]
    async fn sign_acceptance(
        &self,
        result: String,
        documents: Vec<(String, Vec<u8>)>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Error> {
        let object = attest::described(&result, &documents)?;
        let permit = auth::require(&self.authority, Verb::Acceptance, object, connection, &header).await?;
        let (by, utc) = (permit.who(), hal::clock::now_utc());
        let sign = self.attest(move |attest| {
            let said = Said { serial_number: attest.serial_number(), utc: &utc, by: &by, result: &result };
            attest.sign(&documents, said)
        });
        permit.run(sign).await
    }

    /// The figures of the box now, in the text format of Prometheus; nothing in them is about a patient.
    #[zbus(out_args("metrics"))]
    async fn show_metrics(&self) -> String {
        self.facts.metrics.text().await
    }

    /// Writes a line into the log: here the interval of a support case begins or ends. code: as K7QM-3XDP; place: start or stop.
    async fn write_marker(
        &self,
        code: &str,
        place: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let place = Place::parse(place)?;
        marker::check(code)?;
        let object = format!("marker {code}: {}", place.as_str());
        let permit = auth::require(&self.authority, Verb::WriteMarker, object.clone(), connection, &header).await?;
        // In the message itself: that is what a reader of the journal sees and searches.
        let write = async move {
            tracing::info!("{object}");
            Ok(())
        };
        permit.run(write).await
    }

    /// The public key of this box, as minisign writes it.
    #[zbus(out_args("public_key"))]
    async fn acceptance_key(&self) -> Result<String, Error> {
        self.attest(|attest| attest.public_key()).await
    }

    /// Model packages, by name and version. Options: task s, state s.
    #[zbus(out_args("models"))]
    async fn list_models(&self, options: Options) -> Result<Vec<Model>, Error> {
        let filter = Filter::parse(&options, &["task", "state"])?;
        let wanted = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let all = self.verbs.models.list().into_iter().map(Model::from);
        Ok(all.filter(|model| wanted(&filter.task, &model.task) && wanted(&filter.rows.state, &model.state)).collect())
    }

    /// Shadow runs: results of candidate packages compared with the active ones, newest first. Options: limit u,
    /// study_uid s.
    #[zbus(out_args("runs"))]
    async fn list_shadow_runs(&self, options: Options) -> Result<Vec<ShadowRun>, Error> {
        let filter = Filter::parse(&options, &["limit", "study_uid"])?;
        self.reader.read(move |connection| query::shadow_runs(connection, &filter.rows)).await
    }

    /// Installs a model package from an archive (.scanside) that the caller has opened, after checking its signature
    /// and hashes. Returns the package, and false when it was installed already.
    #[zbus(out_args("model", "changed"))]
    async fn install_model(
        &self,
        archive: OwnedFd,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(OwnedObjectPath, bool), Error> {
        let archive = std::fs::File::from(std::os::fd::OwnedFd::from(archive));
        // Reading from a pipe could block for ever.
        if !archive.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Error::InvalidArgument("the archive is not a regular file".into()));
        }
        let object = "a package file".to_owned();
        let permit = auth::require(&self.authority, Verb::InstallModel, object, connection, &header).await?;
        let models = self.verbs.models.clone();
        let (key, change) = permit.run(super::off_thread(move || models.install(archive))).await?;
        let object = format!("package {key}");
        let entry = move |audit: Audit| {
            audit.note(Entry { who: "scansided", what: "installed", object: &object, result: "" });
            Ok(())
        };
        self.audited(entry).await?;
        // Exports the object before its path is returned, so that the caller finds it at once.
        let path = names::model_path(&key);
        if let Some(listed) = self.verbs.models.list().into_iter().find(|listed| listed.entry.key == key) {
            let shown =
                Shown { row: listed.into(), models: self.verbs.models.clone(), authority: self.authority.clone() };
            show::<super::model::Model>(connection, &path, shown).await?;
        }
        Ok((path, change == Change::Changed))
    }

    /// Activates the last good package of a task again. Returns that package.
    #[zbus(out_args("model"))]
    async fn rollback_model(
        &self,
        task: String,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let object = format!("task {task}: the last good package");
        let permit = auth::require(&self.authority, Verb::ActivateModel, object, connection, &header).await?;
        let models = self.verbs.models.clone();
        let key = permit.run(super::off_thread(move || models.rollback(&task))).await?;
        Ok(names::model_path(&key))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        &self.facts.version
    }

    /// A simulated accelerator or video device is in use: nothing may be used clinically, and results are sent only to
    /// destinations that accept simulated ones.
    #[zbus(property)]
    fn simulated(&self) -> bool {
        // Some devices report this only after they have been opened.
        self.facts.simulated || self.verbs.live.as_ref().is_some_and(|view| view.status.borrow().simulated)
    }

    /// The address the DICOM listener is bound to.
    #[zbus(property(emits_changed_signal = "const"))]
    fn dicom_address(&self) -> &str {
        &self.facts.dicom_address
    }

    /// The accelerator that is configured, and when networks do not run on it, why. `LevelReason` tells of a change.
    #[zbus(property(emits_changed_signal = "false"))]
    fn accelerator(&self) -> String {
        let configured = &self.facts.accelerator;
        self.verbs.models.reduced().map_or_else(|| configured.clone(), |why| format!("{configured}: {why}"))
    }

    /// AE titles of the DICOM node; empty when it answers to any.
    #[zbus(property(emits_changed_signal = "const"))]
    fn ae_titles(&self) -> Vec<String> {
        self.facts.ae_titles.clone()
    }

    /// AE title and address (empty: any) of each configured sender; empty when anyone may send.
    #[zbus(property(emits_changed_signal = "const"))]
    fn senders(&self) -> Vec<(String, String)> {
        let address = |sender: &node::settings::Sender| sender.address.map(|ip| ip.to_string()).unwrap_or_default();
        self.facts.senders.iter().map(|sender| (sender.ae_title.trim().to_owned(), address(sender))).collect()
    }

    /// Name and AE_TITLE@host:port, or URL, of each destination.
    #[zbus(property(emits_changed_signal = "const"))]
    fn destinations(&self) -> Vec<(String, String)> {
        self.facts.destinations.iter().map(|(name, address)| (name.clone(), address.clone())).collect()
    }

    /// full, reduced, no_new_studies or no_output.
    #[zbus(property)]
    fn level(&self) -> &str {
        self.gate.get().0.as_str()
    }

    /// Why the level is restricted, in plain words; empty when it is not.
    #[zbus(property)]
    fn level_reason(&self) -> String {
        self.gate.get().1
    }

    /// What the level comes from, for programs: empty (full), reduced, starting, custody (database and custody log cannot be opened),
    /// database (it cannot be written), disk (its free space is not known), disk_full.
    #[zbus(property)]
    fn level_cause(&self) -> &'static str {
        self.facts.health.borrow().cause.as_str()
    }

    /// unknown (no sensor can be read), normal, hot or throttled (the machine makes itself slower).
    #[zbus(property)]
    fn heat(&self) -> &str {
        self.facts.heat.borrow().condition.as_str()
    }

    /// Of hot and throttled: where, how much, what follows and what to do, in plain words; else empty.
    #[zbus(property)]
    fn heat_reason(&self) -> String {
        self.facts.heat.borrow().words().en
    }

    /// Name and degrees Celsius of each sensor that can be read.
    #[zbus(property(emits_changed_signal = "false"))]
    fn temperatures(&self) -> Vec<(String, f64)> {
        let readings = self.facts.heat.borrow().readings.clone();
        readings.zones.iter().map(|zone| (zone.name.clone(), zone.celsius)).collect()
    }

    /// What the machine says it draws; -1 where it does not say.
    #[zbus(property(emits_changed_signal = "false"))]
    fn watts(&self) -> f64 {
        self.facts.heat.borrow().readings.watts().unwrap_or(-1.0)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn free_bytes(&self) -> u64 {
        self.facts.health.borrow().free_bytes
    }

    /// How many more studies of recent size fit on the disk; -1 before the first study.
    #[zbus(property(emits_changed_signal = "false"))]
    fn studies_left(&self) -> i64 {
        self.facts.health.borrow().studies_left.map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX))
    }

    /// The memory that the daemon holds now.
    #[zbus(property(emits_changed_signal = "false"))]
    #[expect(clippy::unused_self, reason = "a property is a method")]
    fn memory_bytes(&self) -> u64 {
        hal::memory::resident_bytes()
    }

    /// What decoding and analysis may use; a series that needs more is refused.
    #[zbus(property(emits_changed_signal = "const"))]
    fn memory_limit_bytes(&self) -> u64 {
        self.facts.memory_limit_bytes
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

    /// Number of results made with a simulated device that wait because their destination does not accept such results.
    #[zbus(property)]
    fn deliveries_held(&self) -> u32 {
        self.counts().deliveries_held
    }

    /// Results that their destination will never take.
    #[zbus(property)]
    fn deliveries_parked(&self) -> u32 {
        self.counts().deliveries_parked
    }

    /// When the oldest pending result was created; empty when none is pending.
    #[zbus(property)]
    fn oldest_pending_utc(&self) -> String {
        self.counts().oldest_pending_utc
    }

    /// Exams that the manager of performed procedure steps (`[mpps]`) is to be told of.
    #[zbus(property)]
    fn steps_waiting(&self) -> u32 {
        self.counts().steps.waiting
    }

    /// When the oldest of them was written down; empty when there is none.
    #[zbus(property)]
    fn oldest_step_utc(&self) -> String {
        self.counts().steps.oldest_utc
    }

    /// Exams that it refuses to be told of.
    #[zbus(property)]
    fn steps_parked(&self) -> u32 {
        self.counts().steps.parked
    }

    /// Why the first of the refused, else of the waiting ones was not taken; empty when all is well.
    #[zbus(property)]
    fn steps_reason(&self) -> String {
        self.counts().steps.reason
    }

    /// New studies that wait for an earlier study of their person, which the archive (`[prior]`) is asked for.
    #[zbus(property)]
    fn priors_waiting(&self) -> u32 {
        self.counts().priors.waiting
    }

    /// How many of the last questions for an earlier study, one after the other, came to nothing for a reason that a person should know.
    #[zbus(property)]
    fn priors_in_vain(&self) -> u32 {
        self.counts().priors.in_vain
    }

    /// Why the last of these came to nothing; empty when all is well.
    #[zbus(property)]
    fn priors_reason(&self) -> String {
        self.counts().priors.reason
    }

    /// Tasks of the manager (`[ups]`) that the box has taken and that have not ended there.
    #[zbus(property)]
    fn tasks_open(&self) -> u32 {
        let tasks = self.counts().tasks;
        tasks.claiming + tasks.working + tasks.ending
    }

    /// When the oldest of them was taken; empty when there is none.
    #[zbus(property)]
    fn oldest_task_utc(&self) -> String {
        self.counts().tasks.oldest_utc
    }

    /// Why the manager did not take the last message about one of them; empty when all is well.
    #[zbus(property)]
    fn tasks_reason(&self) -> String {
        self.counts().tasks.reason
    }

    /// Notices that results are available, or are not any more (`[availability.NAME]`), that are to be told.
    #[zbus(property)]
    fn notices_waiting(&self) -> u32 {
        self.counts().notices.waiting
    }

    /// When the oldest of them was written down; empty when there is none.
    #[zbus(property)]
    fn oldest_notice_utc(&self) -> String {
        self.counts().notices.oldest_utc
    }

    /// Notices that their receiver refuses.
    #[zbus(property)]
    fn notices_parked(&self) -> u32 {
        self.counts().notices.parked
    }

    /// Why the first of the refused, else of the waiting ones was not taken; empty when all is well.
    #[zbus(property)]
    fn notices_reason(&self) -> String {
        self.counts().notices.reason
    }

    #[zbus(property)]
    fn quarantined(&self) -> u32 {
        self.counts().quarantined
    }

    /// A series changed its state or received instances. At most a few times a second for each series.
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

    /// A job made progress. fraction is the completed part of the whole job, 0 to 1.
    #[zbus(signal)]
    pub async fn job_progress(
        emitter: &SignalEmitter<'_>,
        job: ObjectPath<'_>,
        series: ObjectPath<'_>,
        state: &str,
        stage: &str,
        fraction: f64,
    ) -> zbus::Result<()>;

    /// The destination answered, or the delivery failed and will be tried again.
    #[zbus(signal)]
    pub async fn delivery_changed(
        emitter: &SignalEmitter<'_>,
        delivery: ObjectPath<'_>,
        destination: &str,
        state: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}
