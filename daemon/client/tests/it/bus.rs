//! The appliance on a private bus, seen through the client's proxies.

use std::collections::HashMap;

use crate::fixture::{Appliance, Bus, PATIENCE, ROWS, until};
use custody::event::Event;
use custody::level::Level;
use futures_util::StreamExt;
use hal::sensors::condition::Condition;
use hal::sensors::{Rail, Readings, Zone};
use scanside_client::{ERROR_PREFIX, ManagerProxy, Options, SeriesProxy, Status, connect, error_parts};
use scansided::dbus::Error;
use scansided::health::heat;
use zbus::names::InterfaceName;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn kind<T: std::fmt::Debug>(answer: zbus::Result<T>) -> String {
    let (name, _) = error_parts(&answer.unwrap_err()).unwrap();
    name.strip_prefix(ERROR_PREFIX).unwrap_or(&name).to_owned()
}

fn series_event(state: &str, instances: u32) -> Event {
    Event::Series {
        id: 6,
        study_uid: "1.2.840.2".into(),
        series_uid: "1.2.840.2.1".into(),
        state: state.into(),
        instances,
        verdict: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_and_lists_say_what_the_store_says() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let manager = ManagerProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    let status = Status::read(&manager).await.unwrap();
    assert_eq!((status.version.as_str(), status.simulated, status.level.as_str()), ("9.9.9", true, "full"));
    assert_eq!(status.dicom_address, "127.0.0.1:4242");
    assert_eq!(status.destinations, [("pacs".to_owned(), "PACS@127.0.0.1:104".to_owned())]);
    assert_eq!((status.studies, status.instances, status.series_receiving), (2, 203, 1));
    assert_eq!((status.deliveries_pending, status.quarantined, status.studies_left), (1, 1, None));
    assert_eq!(status.oldest_pending_utc.as_deref(), Some("2026-01-01T10:06:00.000Z"));

    assert_eq!((status.heat.as_str(), status.heat_reason, status.watts), ("unknown", None, None), "nothing was read");

    let studies = manager.list_studies(Options::new()).await.unwrap();
    assert_eq!(studies.iter().map(|study| study.state.as_str()).collect::<Vec<_>>(), ["receiving", "processed"]);
    assert_eq!(studies[1].verdicts, ["Lung 1.0: 1 nodule"]);
    let series = manager.list_series(Options::from([("study_uid", "1.2.840.1".into())])).await.unwrap();
    assert_eq!((series[0].series_number, series[0].verdict.as_deref()), (Some(2), Some("1 nodule")));
    let jobs = manager.list_jobs(Options::from([("state", "done".into())])).await.unwrap();
    assert_eq!(jobs[0].series, series[0].path);
    let deliveries = manager.list_deliveries(Options::new()).await.unwrap();
    assert_eq!((deliveries[0].kind.as_str(), deliveries[0].status, deliveries[0].attempts), ("sr", Some(0xA700), 2));
    let destinations = manager.list_destinations(Options::new()).await.unwrap();
    assert_eq!(destinations.len(), 1, "{destinations:?}");
    assert_eq!((destinations[0].name.as_str(), destinations[0].pending, destinations[0].parked), ("pacs", 1, 0));
    assert_eq!(destinations[0].oldest_pending_utc.as_deref(), Some("2026-01-01T10:06:00.000Z"));
    assert_eq!(destinations[0].reason.as_deref(), Some("the archive is full"));
    let quarantine = manager.list_quarantine(Options::new()).await.unwrap();
    assert_eq!(quarantine[0].reason, "no pixel data");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_manager_lists_every_noun_with_its_properties() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let objects = zbus::fdo::ObjectManagerProxy::builder(&connection)
        .destination(scanside_client::BUS_NAME)
        .path(scanside_client::ROOT)
        .build()
        .await
        .unwrap();
    let objects = objects.get_managed_objects().await.unwrap();
    let of = |path: &str, interface: &str| {
        let object =
            objects.iter().find(|(known, _)| known.as_str().ends_with(path)).unwrap_or_else(|| panic!("no {path}"));
        object.1.iter().find(|(name, _)| name.as_str().ends_with(interface)).unwrap().1
    };
    assert_eq!(<&str>::try_from(&of("/study/4", "Study1")["PatientId"]).unwrap(), "P1");
    assert_eq!(<&str>::try_from(&of("/series/4", "Series1")["Verdict"]).unwrap(), "1 nodule");
    assert_eq!(<&str>::try_from(&of("/series/6", "Series1")["Verdict"]).unwrap(), "");
    assert_eq!(<&str>::try_from(&of("/job/1", "Job1")["State"]).unwrap(), "done");
    assert_eq!(u32::try_from(&of("/delivery/1", "Delivery1")["Status"]).unwrap(), 0xA700);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_a_signal_and_the_object_is_up_to_date_by_then() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let manager = ManagerProxy::new(&connection).await.unwrap();
    let mut changes = manager.receive_series_changed().await.unwrap();
    let series =
        SeriesProxy::builder(&connection).path(format!("{}/series/6", scanside_client::ROOT)).build().await.unwrap();
    let mut states = series.receive_state_changed().await;
    assert_eq!(within("the state", states.next()).await.unwrap().get().await.unwrap(), "receiving");

    appliance.sql("UPDATE series SET state = 'complete', instance_count = 250 WHERE id = 6");
    appliance.events.send(series_event("complete", 250)).unwrap();
    let change = within("SeriesChanged", changes.next()).await.unwrap();
    let change = change.args().unwrap();
    assert_eq!((change.state.as_str(), change.instances, change.study_uid.as_str()), ("complete", 250, "1.2.840.2"));
    assert_eq!(change.series.as_str(), series.inner().path().as_str());
    assert_eq!(within("the new state", states.next()).await.unwrap().get().await.unwrap(), "complete");
    assert_eq!(series.instance_count().await.unwrap(), 250);
    until("the counts follow", async || manager.series_receiving().await.unwrap() == 0).await;
    assert_eq!(manager.instances().await.unwrap(), 450);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_job_and_a_new_delivery_appear_as_objects_and_as_signals() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let manager = ManagerProxy::new(&connection).await.unwrap();
    let objects = zbus::fdo::ObjectManagerProxy::builder(&connection)
        .destination(scanside_client::BUS_NAME)
        .path(scanside_client::ROOT)
        .build()
        .await
        .unwrap();
    let mut added = objects.receive_interfaces_added().await.unwrap();
    let mut progress = manager.receive_job_progress().await.unwrap();
    let mut deliveries = manager.receive_delivery_changed().await.unwrap();

    appliance.sql("INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (9, 6, 1, 'running', '2026')");
    let stage =
        |fraction| Event::Job { id: 9, series_id: 6, state: "running".into(), stage: "inference".into(), fraction };
    appliance.events.send(stage(0.25)).unwrap();
    let object = within("InterfacesAdded", added.next()).await.unwrap();
    assert!(object.args().unwrap().object_path.as_str().ends_with("/job/9"));
    let told = within("JobProgress", progress.next()).await.unwrap();
    let told = told.args().unwrap();
    assert_eq!((told.stage.as_str(), told.fraction), ("inference", 0.25));

    appliance.sql("UPDATE deliveries SET state = 'delivered', reason = NULL, status = 0 WHERE id = 1");
    let delivered = Event::Delivery { id: 1, destination: "pacs".into(), state: "delivered".into(), reason: None };
    appliance.events.send(delivered).unwrap();
    let told = within("DeliveryChanged", deliveries.next()).await.unwrap();
    assert_eq!(told.args().unwrap().state, "delivered");
    until("none waits", async || manager.deliveries_pending().await.unwrap() == 0).await;
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_becomes_few_signals_and_ends_in_the_last_state() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let manager = ManagerProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    let mut changes = manager.receive_series_changed().await.unwrap();
    // More than the channel holds, so that some are lost on the way too.
    for instances in 0..1000 {
        appliance.events.send(series_event("receiving", instances)).unwrap();
    }
    appliance.sql("UPDATE series SET instance_count = 1000 WHERE id = 6");
    appliance.events.send(series_event("receiving", 1000)).unwrap();
    let mut signals = 0;
    loop {
        signals += 1;
        let change = within("the last SeriesChanged", changes.next()).await.unwrap();
        if change.args().unwrap().instances == 1000 {
            break;
        }
    }
    assert!(signals < 100, "{signals} signals");
    let series = manager.list_series(Options::from([("study_uid", "1.2.840.2".into())])).await.unwrap();
    assert_eq!(series[0].instance_count, 1000);
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restriction_shows_at_once_with_its_reason() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let connection = connect(&bus.address).await.unwrap();
    let properties = zbus::fdo::PropertiesProxy::builder(&connection)
        .destination(scanside_client::BUS_NAME)
        .path(scanside_client::ROOT)
        .build()
        .await
        .unwrap();
    let mut changes = properties.receive_properties_changed().await.unwrap();
    appliance.gate.set(Level::NoNewStudies, "12 MiB free");
    let change = within("PropertiesChanged", changes.next()).await.unwrap();
    let change = change.args().unwrap();
    let changed: HashMap<_, _> =
        change.changed_properties.iter().map(|(name, value)| (*name, value.to_string())).collect();
    assert_eq!(change.interface_name, InterfaceName::try_from("org.scanside.Appliance1.Manager1").unwrap());
    assert_eq!(changed["Level"], "\"no_new_studies\"");
    assert_eq!(changed["LevelReason"], "\"12 MiB free\"");
    assert_eq!(changed.len(), 2, "only what changed: {changed:?}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_reach_the_engine_and_failures_have_their_names() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let manager = ManagerProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    assert_eq!(manager.rerun("1.2.840.1", Options::from([("urgent", true.into())])).await.unwrap(), 1);
    assert_eq!(manager.retry_deliveries("").await.unwrap(), 3);
    assert_eq!(manager.retry_deliveries("pacs").await.unwrap(), 3);
    assert_eq!(manager.echo("pacs").await.unwrap(), 12.0);
    manager.change_delivery(1, "drop").await.unwrap();
    assert_eq!(manager.resolve_study("1.2.840.1", "take-new").await.unwrap(), (3, 1));
    let decisions = [("nodule-1", "accepted", ""), ("nodule-2", "rejected", "a vessel")];
    let decisions = decisions.map(|(id, decision, comment)| (id.to_owned(), decision.to_owned(), comment.to_owned()));
    let rest = || Options::from([("accept_rest", true.into())]);
    let signed = manager.review_series("1.2.840.1.1", "Li Ming", &decisions, rest()).await.unwrap();
    assert_eq!((signed.0.as_str(), signed.1, signed.2), ("/org/scanside/Appliance1/job/1", 2, 1));
    assert_eq!(kind(manager.review_series("1.2.840.1.1", "", &[], rest()).await), "InvalidArgument");
    let maybe = [("nodule-1".to_owned(), "maybe".to_owned(), String::new())];
    assert_eq!(kind(manager.review_series("1.2.840.1.1", "Li Ming", &maybe, rest()).await), "InvalidArgument");
    let unknown = Options::from([("accept_all", true.into())]);
    assert_eq!(kind(manager.review_series("1.2.840.1.1", "Li Ming", &[], unknown).await), "InvalidArgument");
    assert_eq!(kind(manager.change_delivery(9, "park").await), "NotFound");
    assert_eq!(kind(manager.change_delivery(1, "burn").await), "InvalidArgument");
    assert_eq!(kind(manager.resolve_study("1.2.840.1", "either").await), "InvalidArgument");
    let asked = appliance.script.asked.lock().unwrap().clone();
    let scripted = [
        "rerun 1.2.840.1 urgent=true",
        "retry None",
        "retry Some(\"pacs\")",
        "Drop 1",
        "TakeNew 1.2.840.1",
        "review 1.2.840.1.1 Li Ming [nodule-1 accepted \"\", nodule-2 rejected \"a vessel\"] true",
        "review 1.2.840.1.1  [] true",
        "Park 9",
    ];
    assert_eq!(asked, scripted);

    assert_eq!(kind(manager.rerun("9.9", Options::new()).await), "NotFound");
    assert_eq!(kind(manager.rerun("1.2.840.1", Options::from([("urgnt", true.into())])).await), "InvalidArgument");
    assert_eq!(kind(manager.echo("dead").await), "PeerFailed");
    assert_eq!(kind(manager.list_studies(Options::from([("limit", "many".into())])).await), "InvalidArgument");
    assert_eq!(kind(manager.list_quarantine(Options::from([("study_uid", "1".into())])).await), "InvalidArgument");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_daemon_can_have_the_name() {
    let Some(bus) = Bus::start() else { return };
    let first = Appliance::start(&bus.address, ROWS).await;
    let second = Appliance::spawn(&bus.address, "");
    let outcome = within("the second to give up", async {
        until("it gives up", async || second.is_finished()).await;
        second.stop().await
    });
    assert!(matches!(outcome.await, Err(Error::ZBus(zbus::Error::NameTaken))));
    first.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_comes_late_or_goes_and_comes_back_is_joined() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", directory.path().join("bus").display());
    let appliance = Appliance::spawn(&address, ROWS);
    for round in ["late", "again"] {
        let Some(mut bus) = Bus::start_at(Some(&address)) else { return };
        let manager = ManagerProxy::new(&connect(&address).await.unwrap()).await.unwrap();
        until(round, async || manager.studies().await.is_ok_and(|studies| studies == 2)).await;
        bus.stop();
        std::fs::remove_file(directory.path().join("bus")).unwrap();
    }
    assert!(!appliance.is_finished(), "no bus is no reason to end");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn heat_is_a_property_that_tells_its_changes_with_degrees_and_remedy() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, "").await;
    let manager = ManagerProxy::new(&connect(&bus.address).await.unwrap()).await.unwrap();
    let mut changes = manager.receive_heat_changed().await;
    let zone = Zone { name: "cpu".into(), celsius: 93.6, limit_celsius: Some(95.0), ..Zone::default() };
    let rails = vec![Rail { name: "VDD_IN".into(), watts: 24.6 }];
    let readings = std::sync::Arc::new(Readings { zones: vec![zone], rails, ..Readings::default() });
    let (condition, looked) = (Condition::Hot, true);
    appliance.heat.send_replace(heat::Report { condition, readings, looked, ..heat::Report::default() });
    within("the change", async {
        while let Some(change) = changes.next().await {
            if change.get().await.unwrap() == "hot" {
                return;
            }
        }
        panic!("no change was told");
    })
    .await;
    let status = Status::read(&manager).await.unwrap();
    let reason = status.heat_reason.unwrap();
    assert!(reason.contains("(cpu: 94 °C, its limit is 95 °C)") && reason.contains("Clean filter"), "{reason}");
    assert_eq!((status.temperatures, status.watts), (vec![("cpu".to_owned(), 93.6)], Some(24.6)));
    appliance.stop().await.unwrap();
}
