//! The box asks archives that nobody here wrote for earlier studies (C-FIND) and fetches a series (C-GET, C-MOVE): Orthanc, DCMTK's
//! dcmqrscp, pynetdicom; well-behaved, slow, refusing and lying.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody::series::SeriesKey;
use custody::store::{Durability, instances, now_utc, priors};
use dicom::header::Header;
use needs::peers::{Program, Service, tried};
use node::retrieve::query::Question;
use node::retrieve::settings::Fetch;
use node::retrieve::{Brought, Error, Retrieval, RetrieveFault};
use node::send::{self, File, Target};
use node::settings::Sender;
use node::wanted::Wanted;
use serde_json::{Value, json};

use super::archive::ArchivePeer;
use super::dcmtk;
use super::fixtures::{CT, Node, PATIENCE, part10};
use super::orthanc::Orthanc;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMAGES: usize = 12;
const PRIOR: (&str, &str) = ("1.2.3.1", "1.2.3.1.1");

fn element(out: &mut Vec<u8>, (group, element): (u16, u16), vr: &str, value: &str) {
    let mut value = value.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == "UI" { 0 } else { b' ' });
    }
    out.extend(group.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend(vr.as_bytes());
    out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    out.extend(value);
}

/// One CT image without pixels.
fn image(name: &str, date: &str, (study, series): (&str, &str), number: usize) -> Vec<u8> {
    let mut set = Vec::new();
    let uid = format!("{series}.{number}");
    let elements: [((u16, u16), &str, &str); 16] = [
        ((0x0008, 0x0005), "CS", "ISO_IR 192"),
        ((0x0008, 0x0016), "UI", CT),
        ((0x0008, 0x0018), "UI", &uid),
        ((0x0008, 0x0020), "DA", date),
        ((0x0008, 0x0030), "TM", "101010"),
        ((0x0008, 0x0050), "SH", "A-1"),
        ((0x0008, 0x0060), "CS", "CT"),
        ((0x0010, 0x0010), "PN", name),
        ((0x0010, 0x0020), "LO", "P-17"),
        ((0x0010, 0x0030), "DA", "19700101"),
        ((0x0010, 0x0040), "CS", "F"),
        ((0x0018, 0x0015), "CS", "CHEST"),
        ((0x0020, 0x000d), "UI", study),
        ((0x0020, 0x000e), "UI", series),
        ((0x0020, 0x0010), "SH", "1"),
        ((0x0020, 0x0013), "IS", &number.to_string()),
    ];
    for (tag, vr, value) in elements {
        element(&mut set, tag, vr, value);
    }
    part10(CT, &uid, EXPLICIT, &set)
}

/// The prior of a person, an older one, and a study of somebody else under the same ID.
fn fill(folder: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut add = |name: &str, date: &str, uids: (&str, &str), count: usize| {
        for number in 1..=count {
            let path = folder.join(format!("{}.{number}.dcm", uids.1));
            std::fs::write(&path, image(name, date, uids, number)).unwrap();
            files.push(File::open(&path).unwrap());
        }
    };
    add("Zhang^San=张^三", "20250101", PRIOR, IMAGES);
    add("Zhang^San=张^三", "20240101", ("1.2.3.2", "1.2.3.2.1"), 1);
    add("Li^Si=李^四", "20250601", ("1.2.3.3", "1.2.3.3.1"), 1);
    files
}

fn new() -> Header {
    Header {
        patient_id: "P-17".into(),
        patient_name: "Zhang^San=张^三".into(),
        birth_date: "19700101".into(),
        sex: "F".into(),
        study_date: "20260101".into(),
        study_instance_uid: "1.2.3.9".into(),
        ..Header::default()
    }
}

fn question() -> Question {
    Question::before(&new(), "CT", 5).unwrap()
}

fn target(address: SocketAddr, title: &str) -> Target {
    Target { address: address.to_string(), called_ae: title.into(), calling_ae: "SCANSIDE".into(), tls: None }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What it has of the person, as `date count`; and what came of fetching the prior.
async fn fetched(target: &Target, fetch: Fetch, node: &Node) -> (Vec<String>, Result<Brought, Error>) {
    fetched_within(target, fetch, node, PATIENCE).await
}

async fn fetched_within(
    target: &Target,
    fetch: Fetch,
    node: &Node,
    patience: Duration,
) -> (Vec<String>, Result<Brought, Error>) {
    let mut retrieval = match Retrieval::open(target, fetch, patience).await {
        Ok(retrieval) => retrieval,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let studies = match retrieval.studies(&question()).await {
        Ok(answers) => answers.items,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut dates: Vec<String> = studies.iter().map(|one| one.header.study_date.clone()).collect();
    dates.sort();
    let series = retrieval.series(PRIOR.0, "CT").await.unwrap().items;
    assert_eq!(series.len(), 1, "{series:?}");
    let count = series[0].header.number_of_series_related_instances.and_then(|n| usize::try_from(n).ok());
    let wanted = Arc::new(Wanted::new(PRIOR.0, PRIOR.1, &new(), 100));
    let brought = retrieval.fetch(&node.intake, PRIOR, count, &wanted).await;
    retrieval.release().await;
    (dates, brought)
}

fn kept(node: &Node) -> usize {
    let rows = node.store.connect(Durability::Rebuildable).unwrap();
    instances::of_series(&rows, PRIOR.0, PRIOR.1).unwrap().len()
}

fn all_of_it(brought: &Brought, by: &str, node: &Node) {
    assert_eq!((brought.kept, brought.whole, brought.by), (IMAGES, true, by), "{brought:?}");
    assert_eq!(kept(node), IMAGES);
}

/// May send: only a scanner, so that the archive is let in for what was asked for and nothing else.
async fn guarded() -> Node {
    Node::start(|dicom| dicom.sender = vec![Sender { ae_title: "CT1".into(), ..Sender::default() }]).await
}

/// Promise: a prior is fetched from Orthanc by C-GET and by C-MOVE, whole, into custody.
#[tokio::test(flavor = "multi_thread")]
async fn orthanc_gives_a_series_by_c_get_and_by_c_move() {
    let folder = tempfile::tempdir().unwrap();
    let allow = json!({ "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true });
    let Some(orthanc) = Orthanc::start(allow).await else { return };
    let archive = target(orthanc.dicom, Orthanc::AE_TITLE);
    send::store(&archive, &fill(folder.path()), |_, answer| assert!(answer.is_ok(), "{answer:?}")).await.unwrap();
    for (fetch, by) in [(Fetch::Auto, "C-GET"), (Fetch::Move, "C-MOVE")] {
        let node = guarded().await;
        if fetch == Fetch::Move {
            let error = fetched(&archive, fetch, &node).await.1.unwrap_err();
            assert_eq!(error.kind(), RetrieveFault::Refuses, "{error}");
            let known = json!(["SCANSIDE", "127.0.0.1", node.address.port()]).to_string();
            assert_eq!(orthanc.request("PUT", "/modalities/box", &known).await.0, 200);
        }
        let (dates, brought) = fetched(&archive, fetch, &node).await;
        assert_eq!(dates, ["20240101", "20250101", "20250601"], "{fetch:?}");
        all_of_it(&brought.unwrap(), by, &node);
    }
    tried(Program::Orthanc, &[Service::FindOut, Service::GetOut, Service::MoveOut]);
}

/// Promise: the same with DCMTK's archive, whose configuration names us as destination of C-MOVE.
#[tokio::test(flavor = "multi_thread")]
async fn dcmqrscp_gives_a_series_by_c_get_and_by_c_move() {
    if !dcmtk::installed("dcmqrscp") {
        return;
    }
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = guarded().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let database = folder.path().join("db");
    std::fs::create_dir(&database).unwrap();
    let config = format!(
        "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\n\
         box = (SCANSIDE, 127.0.0.1, {})\nHostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\n\
         DCMQR {} RW (200, 1024mb) ANY\nAETable END\n",
        node.address.port(),
        database.display()
    );
    let file = folder.path().join("dcmqrscp.cfg");
    std::fs::write(&file, config).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = tokio::process::Command::new("dcmqrscp")
        .args(["-c", file.to_str().unwrap()])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let archive = target(local(port), "DCMQR");
    let listens = async {
        while tokio::net::TcpStream::connect(&archive.address).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "dcmqrscp runs");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.expect("dcmqrscp listens");
    send::store(&archive, &fill(files.path()), |_, answer| assert!(answer.is_ok(), "{answer:?}")).await.unwrap();
    for (fetch, by) in [(Fetch::Move, "C-MOVE"), (Fetch::Auto, "C-GET")] {
        let (dates, brought) = fetched(&archive, fetch, &node).await;
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert_eq!(dates.len(), 3, "{}", log());
        all_of_it(&brought.unwrap_or_else(|error| panic!("{error}\n{}", log())), by, &node);
    }
    let stranger = Target { calling_ae: "DCMQR".into(), ..node.target() };
    let refused = send::echo(&stranger).await.unwrap_err();
    assert!(refused.to_string().contains("not known"), "the archive may come only while it is asked: {refused}");
    tried(Program::Dcmtk, &[Service::FindOut, Service::GetOut, Service::MoveOut]);
}

async fn peer(folder: &Path, more: Value) -> Option<(ArchivePeer, Target)> {
    let mut order = json!({ "folder": folder });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let peer = ArchivePeer::start(order).await?;
    let target = target(local(peer.port), ArchivePeer::AE_TITLE);
    Some((peer, target))
}

/// Promise: where C-GET is not offered, or offered and not done, it is C-MOVE; an archive that does not know us is named with the remedy.
#[tokio::test(flavor = "multi_thread")]
async fn where_c_get_is_refused_it_is_c_move_and_an_unknown_destination_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for how in [json!({ "get": false }), json!({ "fails": 0xa900 })] {
        let node = guarded().await;
        let mut more = how.clone();
        more["move"] = json!({ "SCANSIDE": node.address.port() });
        let Some((archive, target)) = peer(folder.path(), more).await else { return };
        let (_, brought) = fetched(&target, Fetch::Auto, &node).await;
        all_of_it(&brought.unwrap(), "C-MOVE", &node);
        assert_eq!(archive.count("move"), 1, "{how}");
    }
    let node = guarded().await;
    let Some((_archive, target)) = peer(folder.path(), json!({ "get": false, "move": {} })).await else { return };
    let unknown = fetched(&target, Fetch::Auto, &node).await.1.unwrap_err();
    assert!(matches!(unknown, Error::DestinationUnknown { .. }), "{unknown}");
    assert!(unknown.to_string().contains("enter SCANSIDE with this box's address"), "{unknown}");
    let Some((_archive, target)) = peer(folder.path(), json!({ "get": false })).await else { return };
    let nothing = fetched(&target, Fetch::Auto, &node).await.1.unwrap_err();
    assert!(matches!(nothing, Error::NoWay { .. }), "{nothing}");
    tried(Program::Pynetdicom, &[Service::FindOut, Service::GetOut, Service::MoveOut]);
}

/// Promise: what is of another person, or was not asked for, is never kept, by whichever way it comes; and the archive is told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn another_person_or_another_series_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for lie in
        [json!({ "PatientName": "Li^Si" }), json!({ "PatientID": "P-18" }), json!({ "SeriesInstanceUID": "1.2.9" })]
    {
        for fetch in [Fetch::Get, Fetch::Move] {
            let node = guarded().await;
            let more = json!({ "sends_as": lie, "move": { "SCANSIDE": node.address.port() } });
            let Some((_archive, target)) = peer(folder.path(), more).await else { return };
            let (_, brought) = fetched(&target, fetch, &node).await;
            let brought = brought.unwrap();
            assert_eq!((brought.kept, brought.whole), (0, false), "{lie} {brought:?}");
            assert!(brought.of_another + brought.not_asked_for + brought.strays > 0, "{lie} {brought:?}");
            let rows = node.store.connect(Durability::Rebuildable).unwrap();
            let count: i64 = rows.query_row("SELECT count(*) FROM instances", [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{lie}");
        }
    }
}

/// Promise: at the end of its time the box cancels, keeps what came, and does not take it for whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_archive_is_cancelled_and_what_came_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let node = guarded().await;
    let Some((archive, target)) = peer(folder.path(), json!({ "slow": 0.7 })).await else { return };
    let begun = Instant::now();
    let (_, brought) = fetched_within(&target, Fetch::Get, &node, Duration::from_secs(4)).await;
    let brought = brought.unwrap();
    assert!(brought.late && !brought.whole, "{brought:?}");
    assert!((1..IMAGES).contains(&brought.kept) && kept(&node) == brought.kept, "{brought:?}");
    assert_eq!(archive.count("cancelled"), 1, "by C-CANCEL");
    assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    // Silent from the beginning.
    let Some((_archive, target)) = peer(folder.path(), json!({ "delay": 60 })).await else { return };
    let silent = fetched_within(&target, Fetch::Get, &node, Duration::from_secs(1)).await.1.unwrap_err();
    assert_eq!(silent.kind(), RetrieveFault::Away, "{silent}");
}

/// Promise: answers beside the question and answers without end do not pass.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_were_not_asked_for_or_never_end_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let old = image("Zhang^San", "20010101", ("1.2.3.4", "1.2.3.4.1"), 1);
    std::fs::write(folder.path().join("old.dcm"), old).unwrap();
    let Some((_archive, archive)) = peer(folder.path(), json!({ "ignores_keys": true })).await else { return };
    let mut retrieval = Retrieval::open(&archive, Fetch::Get, PATIENCE).await.unwrap();
    let answers = retrieval.studies(&question()).await.unwrap();
    assert_eq!(answers.items.len(), 3);
    assert_eq!(answers.left_out["studies of other days than were asked for"], 1);
    let series = retrieval.series(PRIOR.0, "CT").await.unwrap();
    assert_eq!((series.items.len(), series.left_out["series of another study than was asked for"]), (1, 3));
    retrieval.release().await;
    let Some((archive, endless)) = peer(folder.path(), json!({ "endless": true })).await else { return };
    let mut retrieval = Retrieval::open(&endless, Fetch::Get, PATIENCE).await.unwrap();
    let answers = retrieval.studies(&question()).await.unwrap();
    assert_eq!(answers.items.len() + answers.left_out.values().sum::<usize>(), 501);
    assert_eq!(archive.count("cancelled"), 1);
}

/// Promise: an archive that goes on with an old C-MOVE brings nothing by it, and does not make the next question fail.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_still_sends_of_an_old_question_disturbs_no_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let old = fill(folder.path());
    let node = guarded().await;
    let more = json!({ "get": false, "slow": 0.3, "move": { "SCANSIDE": node.address.port() } });
    let Some((archive, target)) = peer(folder.path(), more).await else { return };
    let from_archive = Target { calling_ae: ArchivePeer::AE_TITLE.into(), ..node.target() };
    let late = async {
        while archive.count("sending") == 0 {
            tokio::task::yield_now().await;
        }
        let other: Vec<_> = old.into_iter().skip(IMAGES).collect();
        let mut refused = 0;
        send::store(&from_archive, &other, |_, answer| refused += usize::from(answer.is_err())).await.unwrap();
        refused
    };
    let ((_, brought), refused) = tokio::join!(fetched(&target, Fetch::Move, &node), late);
    let brought = brought.unwrap();
    assert_eq!((refused, brought.strays), (2, 2), "{brought:?}");
    all_of_it(&brought, "C-MOVE", &node);
    let rows = node.store.connect(Durability::Rebuildable).unwrap();
    let count: i64 = rows.query_row("SELECT count(*) FROM instances", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(count).unwrap(), IMAGES, "nothing of the old one");
}

/// Promise: of an archive that is a sender, too, and names no Move Originator, the series that was asked for is known by its UID while it is
/// asked for, and judged as what was asked for; what it sends afterwards it sends like any sender.
#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_was_asked_for_is_recognised_without_move_originator() {
    let folder = tempfile::tempdir().unwrap();
    let files = fill(folder.path());
    let prior = SeriesKey { study_uid: PRIOR.0.into(), series_uid: PRIOR.1.into() };
    for lie in [json!({}), json!({ "PatientName": "Li^Si" })] {
        // Everybody may send.
        let node = Node::start(|_| {}).await;
        let mut rows = node.store.connect(Durability::Full).unwrap();
        let transaction = rows.transaction().unwrap();
        assert!(priors::fetching(&transaction, "1.2.3.9", &prior, &now_utc()).unwrap());
        transaction.commit().unwrap();
        let is_true = lie == json!({});
        let more =
            json!({ "get": false, "nameless": true, "sends_as": lie, "move": { "SCANSIDE": node.address.port() } });
        let Some((_archive, target)) = peer(folder.path(), more).await else { return };
        let (_, brought) = fetched(&target, Fetch::Move, &node).await;
        let brought = brought.unwrap();
        if !is_true {
            assert_eq!((kept(&node), brought.kept), (0, 0), "{brought:?}");
            assert!(brought.of_another > 0, "{brought:?}");
            continue;
        }
        all_of_it(&brought, "C-MOVE", &node);
        assert!(priors::stays(&rows, &prior).unwrap(), "nobody but the archive that was asked has sent it");
        let from_archive = Target { calling_ae: ArchivePeer::AE_TITLE.into(), ..node.target() };
        send::store(&from_archive, &files[..1], |_, answer| assert!(answer.is_ok(), "{answer:?}")).await.unwrap();
        assert!(!priors::stays(&rows, &prior).unwrap(), "it was sent, be it here already");
    }
}

/// Promise: an archive that does not stop is left, and no series takes more objects or bytes than it may.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_never_stops_is_left() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for most in [u64::MAX, 5_000] {
        let node = guarded().await;
        let Some((_archive, target)) = peer(folder.path(), json!({ "floods": true })).await else { return };
        let mut retrieval = Retrieval::open(&target, Fetch::Get, PATIENCE).await.unwrap();
        let wanted = Arc::new(Wanted::new(PRIOR.0, PRIOR.1, &new(), 100).within(most));
        let ended = tokio::time::timeout(PATIENCE / 2, retrieval.fetch(&node.intake, PRIOR, None, &wanted)).await;
        let brought = ended.expect("it ends").unwrap();
        assert!(!brought.whole && brought.too_large == (most < u64::MAX), "{brought:?}");
        assert!(kept(&node) == brought.kept && brought.kept <= 100, "{brought:?}");
        let rows = node.store.connect(Durability::Rebuildable).unwrap();
        let bytes = instances::bytes_of_series(&rows, PRIOR.0, PRIOR.1).unwrap();
        // Each is a file with a head of its own.
        assert!(most == u64::MAX || bytes < 3 * most, "{bytes}");
    }
}
