//! The interfaces match the checked-in XML, and the rows match the database.

use custody::audit::Audit;
use custody::store::{Durability, Store};
use zbus::object_server::Interface;

use super::objects::Exported;
use super::{delivery, job, live, manager, model, query, rows, series, study};
use custody::store::lists::{Counts, Wanted};
use custody::store::standing::Standing;

/// Set `SCANSIDE_BLESS=1` to write the files again after an intended change.
fn compare(interface: &dyn Interface, file: &str) {
    let mut xml = String::from("<node>\n");
    interface.introspect_to_writer(&mut xml, 2);
    xml.push_str("</node>\n");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dbus/introspect").join(file);
    if std::env::var_os("SCANSIDE_BLESS").is_some() {
        std::fs::write(&path, &xml).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        xml == checked_in,
        "{file} differs from the interface that is served; if this change is intended, run with SCANSIDE_BLESS=1.\n{xml}"
    );
}

/// Model operations on a registry with one package and a scripted accelerator.
fn some_models(directory: &std::path::Path, store: &Store) -> ::study::model::Models {
    let mut settings = ::study::settings::Settings::default();
    settings.models.directory = Some(directory.join("models"));
    settings.analyze.packages = directory.join("packages");
    settings.accelerator.provider = "scripted".into();
    models::specimen::Specimen::default().write(&directory.join("packages/specimen")).unwrap();
    let (shelf, _) = ::study::model::Shelf::open(&settings).unwrap();
    let (events, _) = tokio::sync::broadcast::channel(64);
    ::study::model::Models::new(shelf, store.clone(), events, custody::level::Gate::default())
}

struct NoCommands;

impl super::Commands for NoCommands {
    fn rerun<'a>(&'a self, _: &'a str, _: super::RerunOptions) -> super::BoxFuture<'a, Result<u32, super::Error>> {
        Box::pin(async { Ok(0) })
    }
    fn retry<'a>(&'a self, _: Option<&'a str>) -> super::BoxFuture<'a, Result<u32, super::Error>> {
        Box::pin(async { Ok(0) })
    }
    fn change_delivery<'a>(&'a self, _: i64, _: super::Order) -> super::BoxFuture<'a, Result<(), super::Error>> {
        Box::pin(async { Ok(()) })
    }
    fn resolve<'a>(&'a self, _: &'a str, _: super::Choice) -> super::BoxFuture<'a, Result<(u32, u32), super::Error>> {
        Box::pin(async { Ok((0, 0)) })
    }
    fn review(&self, _: super::Signing) -> super::BoxFuture<'_, Result<super::Signed, super::Error>> {
        Box::pin(async { Err(super::Error::NotFound(String::new())) })
    }
    fn enter_lesion<'a>(
        &'a self,
        _: &'a str,
        _: &'a models::lesion::entry::Entry,
    ) -> super::BoxFuture<'a, Result<u64, super::Error>> {
        Box::pin(async { Ok(0) })
    }
    fn retention(&self, _: usize) -> super::BoxFuture<'_, Result<super::Retention, super::Error>> {
        Box::pin(async { Err(super::Error::NotPossible(String::new())) })
    }
    fn hold<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
    ) -> super::BoxFuture<'a, Result<bool, super::Error>> {
        Box::pin(async { Ok(false) })
    }
    fn objects<'a>(
        &'a self,
        _: &'a str,
        _: bool,
    ) -> super::BoxFuture<'a, Result<Vec<crate::dicomweb::Object>, super::Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn export<'a>(
        &'a self,
        _: &'a str,
        _: Vec<(String, std::fs::File)>,
    ) -> super::BoxFuture<'a, Result<Vec<String>, super::Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn echo<'a>(&'a self, _: &'a str) -> super::BoxFuture<'a, Result<std::time::Duration, super::Error>> {
        Box::pin(async { Ok(std::time::Duration::ZERO) })
    }
}

fn some_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("scanside.db")).unwrap();
    store
        .connect(Durability::Rebuildable)
        .unwrap()
        .execute_batch(
            r#"
            INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, offset, length, sha256, state, reason,
                                   received_utc, calling_ae, called_ae, peer_address, association, header) VALUES
              ('1.1.1', '1.2', '1', '1.1', 0, 10, '', 'kept', NULL, '2026-01-01T00:00:00.000Z', 'CT', 'US', 'p', 1,
               '{"patient_name":"PHANTOM^ONE","patient_id":"P1","study_description":"Chest","series_description":"Lung"}'),
              ('1.2.1', '1.2', '1', '1.2', 0, 10, '', 'kept', NULL, '2026-01-01T00:00:00.000Z', 'CT', 'US', 'p', 1, '{}'),
              ('bad', '1.2', '', '', 0, 99, '', 'quarantined', 'no pixel data', '2026-01-01T00:00:00.000Z', 'CT', 'US',
               'p', 1, '{}');
            INSERT INTO series (id, study_uid, series_uid, modality, kind, state, verdict, instance_count, first_utc,
                                last_utc) VALUES
              (4, '1', '1.1', 'CT', 'ct', 'processed', '2 nodules', 200, '2026-01-01', '2026-01-02'),
              (5, '1', '1.2', 'SR', 'dose_report', 'refused', 'kept, not analysed', 1, '2026-01-01', '2026-01-03'),
              (6, '2', '2.1', 'CT', 'ct', 'receiving', NULL, 3, '2026-01-05', '2026-01-05');
            INSERT INTO jobs (id, series_id, version, state, created_utc, finished_utc, findings)
              VALUES (1, 4, 1, 'done', '2026-01-02', '2026-01-02T08:00:00.000Z', '{}'),
                     (2, 6, 1, 'parked', '2026-01-06', NULL, NULL);
            INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256)
              VALUES (1, 1, 'sr', '', '2.25.1', '1', '2.25.9', '', 5, '');
            INSERT INTO deliveries (id, result_id, destination, state, next_utc) VALUES (1, 1, 'pacs', 'pending', '2026');
            "#,
        )
        .unwrap();
    (directory, store)
}

fn some_manager(store: &Store, models: ::study::model::Models) -> manager::Manager {
    let (health, heat) = (crate::health::channel().1, crate::health::heat::channel().1);
    let reader = crate::reader::Reader::new(store.clone());
    let metrics = crate::metrics::Metrics::new(reader.clone(), Default::default(), health.clone(), None);
    let facts = super::Facts {
        version: String::new(),
        simulated: false,
        dicom_address: String::new(),
        accelerator: String::new(),
        destinations: std::collections::BTreeMap::new(),
        memory_limit_bytes: 0,
        ae_titles: Vec::new(),
        senders: Vec::new(),
        callers: node::callers::Callers::default(),
        health,
        heat,
        metrics,
    };
    manager::Manager {
        facts,
        gate: custody::level::Gate::default(),
        reader,
        verbs: super::Verbs {
            commands: std::sync::Arc::new(NoCommands),
            models,
            live: None,
            audit: Audit::default(),
            attest: crate::attest::Attest::at(std::path::Path::new("/nonexistent"), ""),
        },
        authority: super::auth::Authority::of_tests(),
        counts: std::sync::Arc::default(),
    }
}

#[tokio::test]
async fn the_interfaces_are_those_checked_in() {
    let (directory, store) = some_store();
    let models = some_models(directory.path(), &store);
    let manager = some_manager(&store, models.clone());
    compare(&manager, "org.scanside.Appliance1.Manager1.xml");
    let connection = store.connect(Durability::Rebuildable).unwrap();
    let all = Wanted { limit: 100, ..Wanted::default() };
    let study = query::studies(&connection, &all).unwrap().remove(0);
    compare(&study::Study::new(study), "org.scanside.Appliance1.Study1.xml");
    let series = query::series(&connection, &all).unwrap().remove(0);
    compare(&series::Series::new(series), "org.scanside.Appliance1.Series1.xml");
    let job = query::jobs(&connection, &all).unwrap().remove(0);
    compare(&job::Job::new(job), "org.scanside.Appliance1.Job1.xml");
    compare(&live::Live::new(None, super::auth::Authority::of_tests()), "org.scanside.Appliance1.Live1.xml");
    let row = rows::Model::from(models.list().remove(0));
    let shown = model::Shown { row, models, authority: super::auth::Authority::of_tests() };
    compare(&model::Model::new(shown), "org.scanside.Appliance1.Model1.xml");
    let delivery = query::deliveries(&connection, &all).unwrap().remove(0);
    compare(&delivery::Delivery::new(delivery), "org.scanside.Appliance1.Delivery1.xml");
}

fn some(wanted: Wanted) -> Wanted {
    Wanted { limit: 100, ..wanted }
}

#[test]
fn a_study_is_as_far_as_its_least_finished_series_and_shows_what_the_files_say() {
    let (_directory, store) = some_store();
    let connection = store.connect(Durability::Rebuildable).unwrap();
    let studies = query::studies(&connection, &some(Wanted::default())).unwrap();
    let states: Vec<_> = studies.iter().map(|study| (study.study_uid.as_str(), study.state.as_str())).collect();
    assert_eq!(states, [("2", "receiving"), ("1", "processed")], "newest first");
    let study = &studies[1];
    assert_eq!((study.patient_name.as_str(), study.description.as_str()), ("PHANTOM^ONE", "Chest"));
    assert_eq!(study.verdicts, ["Lung: 2 nodules", "kept, not analysed"]);
    assert_eq!((study.series_count, study.instance_count), (2, 201));
    assert_eq!(study.path.as_str(), "/org/scanside/Appliance1/study/4");
}

/// A NUL in a UID took the box off the bus for good: every reconnect failed while the row existed.
#[test]
fn no_text_of_any_row_can_break_the_bus() {
    let (_directory, store) = some_store();
    let db = store.connect(Durability::Full).unwrap();
    db.execute_batch(
        "UPDATE series SET study_uid = '1' || char(0) || '2', series_uid = series_uid || char(0), verdict = char(0) || 'v';
         UPDATE instances SET study_uid = '1' || char(0) || '2', series_uid = series_uid || char(0), sop_uid = 's' || char(0) || id,
                              sop_class = char(0), reason = char(0), calling_ae = char(0), peer_address = char(0),
                              header = '{\"patient_name\":\"A\\u0000B\",\"series_description\":\"\\u0000\"}';
         UPDATE jobs SET reason = 'r' || char(0);
         UPDATE results SET study_uid = '1' || char(0) || '2', sop_uid = 'x' || char(0);
         UPDATE deliveries SET reason = char(0);",
    )
    .unwrap();
    let all = some(Wanted::default());
    let rows = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        query::studies(&db, &all).unwrap(),
        query::series(&db, &all).unwrap(),
        query::jobs(&db, &all).unwrap(),
        query::deliveries(&db, &all).unwrap(),
        query::quarantine(&db, &all).unwrap()
    );
    assert!(rows.contains("A\u{FFFD}B"), "{rows}");
    assert!(!rows.contains("\\0"), "{rows}");
}

#[test]
fn filters_choose_rows() {
    let (_directory, store) = some_store();
    let db = store.connect(Durability::Rebuildable).unwrap();
    let study = |uid: &str| some(Wanted { study_uid: Some(uid.into()), ..Wanted::default() });
    let state = |state: &str| some(Wanted { state: Some(state.into()), ..Wanted::default() });
    assert_eq!(query::studies(&db, &study("2")).unwrap().len(), 1);
    assert_eq!(query::studies(&db, &state("processed")).unwrap()[0].study_uid, "1");
    assert_eq!(query::studies(&db, &Wanted { limit: 1, ..Wanted::default() }).unwrap()[0].study_uid, "2");
    let of = |wanted: Wanted| -> Vec<String> {
        query::studies(&db, &some(wanted)).unwrap().into_iter().map(|study| study.study_uid).collect()
    };
    assert_eq!(of(Wanted { number: Some(4), ..Wanted::default() }), ["1"]);
    assert_eq!(of(Wanted { number: Some(5), ..Wanted::default() }), [""; 0], "a series that is no study's first");
    // The rows of one call end at 10,000; with `before` the next call goes on.
    assert_eq!(of(Wanted { before: Some(6), ..Wanted::default() }), ["1"]);
    assert_eq!(of(Wanted { before: Some(4), ..Wanted::default() }), [""; 0]);
    let after = some(Wanted { before: Some(6), ..Wanted::default() });
    assert_eq!(query::series(&db, &after).unwrap().len(), 2);
    assert_eq!(query::series(&db, &study("1")).unwrap().len(), 2);
    assert_eq!(query::series(&db, &state("receiving")).unwrap().len(), 1);
    assert_eq!(query::jobs(&db, &study("1")).unwrap()[0].fraction, 1.0);
    assert_eq!(query::deliveries(&db, &study("2")).unwrap(), []);
    let elsewhere = some(Wanted { destination: Some("elsewhere".into()), ..Wanted::default() });
    assert_eq!(query::deliveries(&db, &elsewhere).unwrap(), []);
    assert_eq!(query::deliveries(&db, &state("pending")).unwrap()[0].kind, "sr");
    let quarantined = query::quarantine(&db, &some(Wanted::default())).unwrap();
    assert_eq!((quarantined[0].reason.as_str(), quarantined[0].length), ("no pixel data", 99));
}

#[test]
fn counts_are_those_of_the_tables() {
    let (_directory, store) = some_store();
    let counts = custody::store::lists::counts(&store.connect(Durability::Rebuildable).unwrap()).unwrap();
    let expected = Counts {
        studies: 2,
        instances: 204,
        series_receiving: 1,
        jobs_queued: 0,
        jobs_running: 0,
        jobs_parked: 1,
        deliveries_pending: 1,
        deliveries_held: 0,
        deliveries_parked: 0,
        oldest_pending_utc: "2026-01-02T08:00:00.000Z".into(),
        quarantined: 1,
        steps: Standing::default(),
        priors: custody::store::priors::Standing::default(),
        tasks: custody::store::ups::Standing::default(),
        notices: Standing::default(),
    };
    assert_eq!(counts, expected);
}

/// A row says "allowed" before the work begins, so nothing may fail between row and work. On a connection without a bus nobody
/// is allowed: what names the argument was looked at before.
#[tokio::test]
async fn what_is_asked_wrongly_is_refused_before_anybody_is_allowed_to_do_it() {
    let (directory, store) = some_store();
    let models = some_models(directory.path(), &store);
    let manager = some_manager(&store, models);
    let guid = zbus::Guid::generate();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = zbus::connection::Builder::unix_stream(ours).server(guid).p2p();
    let server = server.serve_at(super::names::ROOT, manager).build();
    let client = zbus::connection::Builder::unix_stream(theirs).p2p().build();
    let (_server, client) = tokio::try_join!(server, client).unwrap();
    let none = super::filter::Options::new;
    let unknown = || super::filter::Options::from([("bogus".to_owned(), true.into())]);
    let (pipe, _writer) = std::io::pipe().unwrap();
    let pipe = || zbus::OwnedFd::from(std::os::fd::OwnedFd::from(pipe.try_clone().unwrap()));
    let marks = |decision: &str| vec![("nodule-1".to_owned(), decision.to_owned(), String::new())];
    let interface = Some("org.scanside.Appliance1.Manager1");
    // The bodies have different types.
    macro_rules! fault {
        ($method:literal, $body:expr) => {
            match client.call_method(None::<&str>, super::names::ROOT, interface, $method, &$body).await {
                Err(zbus::Error::MethodError(name, ..)) => name.as_str().rsplit('.').next().unwrap().to_owned(),
                other => panic!("{}: {other:?}", $method),
            }
        };
    }
    let wrong = [
        fault!("ReviewSeries", ("1.1", "A", marks("maybe"), none())),
        fault!("ReviewSeries", ("1.1", "A", marks("accepted"), unknown())),
        fault!("InstallModel", (pipe(),)),
        fault!("ExportObjects", ("1", vec![("1.1.1".to_owned(), pipe())])),
        fault!("Rerun", ("1", unknown())),
        fault!("ChangeDelivery", (1_i64, "burn")),
        fault!("ResolveStudy", ("1", "both")),
        fault!("EnterLesion", ("A", "no JSON")),
        fault!("SignAcceptance", ("perfect", vec![("a.json", vec![1_u8])])),
        fault!("SignAcceptance", ("pass", vec![("../a", vec![1_u8])])),
        fault!("ListAudit", (unknown(),)),
    ];
    assert_eq!(wrong, ["InvalidArgument"; 11]);
    assert_eq!(fault!("Rerun", ("1", none())), "NotAuthorized", "what is right gets as far as that");
}
