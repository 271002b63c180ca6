//! A hospital's day: the scanners of several vendors, each with its own habits (`hil-tests/vendors`), at one box, at the same time. What was
//! seen is the table in the conformance statement.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use hal::clock::Wall;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::elements::Elements;
use hil_tests::part10::Instance;
use hil_tests::relay::{Cut, From, Relay};
use hil_tests::vendor::{self, Asks, Begins, Contexts, Day, Done, Ear, Ends, Expected, Habits, Key, Report};
use hil_tests::{deadline, tools};

use crate::support::Records;

const SETTLED_WITHIN: Duration = Duration::from_secs(120);
const DOCUMENT: &str = "docs/dicom-conformance.md";
const BEGIN: &str = "<!-- vendors: written by a test -->\n";
const END: &str = "<!-- end of vendors -->\n";

/// Patient ID, name, birth date and accession number of the patient of each scanner.
const PATIENTS: &[(&str, [&str; 4])] = &[
    ("CANON_CT", ["V4", "Yamada^Tarou=山田^太郎=やまだ^たろう", "19510102", "ACC-4"]),
    ("FUJI_MG", ["V9", "Suzuki^Hanako=鈴木^花子=すずき^はなこ", "19610203", "ACC-9"]),
    ("GE_CT", ["V1", "DOE^JANE", "19600101", "ACC-1"]),
    ("GE_MG", ["V10", "O'NEIL^MAEVE^^Dr", "19550505", "ACC-10"]),
    ("GE_US", ["V7", "GARCÍA^JOSÉ", "19700707", "ACC-7"]),
    ("MINDRAY_US", ["V6", "Li^XiaoYing=李^小英", "19660606", "ACC-6"]),
    ("PHILIPS_CT", ["V3", "VAN DER BERG^ANNA", "19490303", "ACC-3"]),
    ("PHILIPS_US", ["V8", "Smith^Walk in", "", "ACC-8"]),
    ("SIEMENS_CT", ["V2", "MÜLLER^JÖRG", "19580202", "ACC-2"]),
    ("UIH_CT", ["V5", "Wang^XiaoDong=王^小东", "19630505", "ACC-5"]),
];

struct Scanner {
    habits: Habits,
    ear: Ear,
    expected: Expected,
    seed: u64,
}

async fn scanners() -> Vec<Scanner> {
    let mut scanners = Vec::new();
    for ((file, habits), seed) in Habits::all(&vendor::folder()).unwrap().into_iter().zip(4300..) {
        let patient = PATIENTS.iter().find(|(title, _)| *title == habits.node.ae_title);
        let (_, [id, name, _, accession]) = patient.unwrap_or_else(|| panic!("{file}: no patient is expected"));
        let syntaxes = habits.commitment.as_ref().map(|one| one.syntaxes.clone()).unwrap_or_default();
        scanners.push(Scanner {
            ear: Ear::start(&syntaxes).await.unwrap(),
            expected: Expected {
                patient_id: (*id).to_owned(),
                name: (*name).to_owned(),
                accession: (*accession).to_owned(),
            },
            habits,
            seed,
        });
    }
    scanners
}

/// The box's own list, and whom it knows. One more patient of each kind shows that a query means somebody.
fn configuration(scanners: &[Scanner], folder: &std::path::Path, today: &str) -> String {
    let list = folder.join("list.csv");
    let mut text = "patient_id,patient_name,birth_date,accession_number,date,time,modality\n".to_owned();
    for scanner in scanners {
        let title = scanner.habits.node.ae_title.as_str();
        let (_, [id, name, born, accession]) = PATIENTS.iter().find(|(one, _)| *one == title).unwrap();
        let modality = title.split_once('_').unwrap().1;
        writeln!(text, "{id},{name},{born},{accession},{today},0900,{modality}").unwrap();
        writeln!(text, "X{id},OTHER^{id},19000101,X{accession},{today},1000,{modality}").unwrap();
    }
    std::fs::write(&list, text).unwrap();
    let mut extra = format!(
        "[live]\nworklist = {list:?}\n[study]\nquiet_secs = 2.0\n[analyze]\nmg_breast = true\n[dicom]\nworklist = true\n\
         commitment.wait_secs = 1.0\ncommitment.retry_secs = 0.2\ncommitment.retry_max_secs = 1.0\n"
    );
    for scanner in scanners {
        writeln!(extra, "[[dicom.sender]]\nae_title = {:?}", scanner.habits.node.ae_title).unwrap();
        match scanner.habits.commitment.as_ref().map(|one| one.report) {
            Some(Report::OnItsPort) => writeln!(extra, "commitment_port = {}", scanner.ear.address.port()).unwrap(),
            Some(Report::SameAssociation) => extra.push_str("commitment_report = \"same_association\"\n"),
            None => {}
        }
    }
    extra
}

/// The line breaks in the answer to the first or second image: it is stored, and the scanner does not know.
fn cut(habits: &Habits) -> Cut {
    // The first series may be one image.
    let whole = if habits.storage.per_association == Some(1) || habits.storage.series_apart { 1 } else { 2 };
    Cut::Pdu { from: From::Called, whole, and_bytes: 3 }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vendor_s_exam_is_kept_once_has_one_verdict_a_series_and_is_reported_truly() {
    let wall = Wall::default();
    let days = [-1, 0, 1].map(|days| wall.local_date(days));
    let scanners = scanners().await;
    let folder = tempfile::tempdir().unwrap();
    let extra = configuration(&scanners, folder.path(), &days[1]);
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::coarse() }).await.unwrap();

    let exams = scanners.iter().map(async |scanner| {
        let relay = Relay::start(appliance.address).await.unwrap();
        relay.cut_next(cut(&scanner.habits));
        let day = Day {
            habits: &scanner.habits,
            called: Appliance::AE_TITLE,
            to: appliance.address,
            images_to: relay.address,
            days: days.clone(),
            expected: scanner.expected.clone(),
            seed: scanner.seed,
            ear: &scanner.ear,
        };
        let done = day.run().await.unwrap_or_else(|error| panic!("{}: {error:#}", scanner.habits.name));
        assert_eq!(relay.cuts(), 1, "{}: the line was cut", scanner.habits.name);
        done
    });
    let done = futures_util::future::join_all(exams).await;

    let records = Records::open(&appliance).unwrap();
    let series: usize = done.iter().map(|done| series_of(done).len()).sum();
    let settled = || records.is_settled(series).unwrap();
    deadline::until_true("every series to have its verdict", SETTLED_WITHIN, settled).await.unwrap();
    assert_eq!(records.series().unwrap().len(), series, "no series but those that were sent");
    let mut table =
        "| scanner | asks the worklist by | MPPS | images | storage commitment |\n|---|---|---|---|---|\n".to_owned();
    for (scanner, done) in scanners.iter().zip(&done) {
        check(scanner, done, &records);
        table.push_str(&row(&scanner.habits, done));
    }
    appliance.stop().await.unwrap();
    agrees_with_document(&table);
}

fn series_of(done: &Done) -> BTreeSet<&str> {
    done.made.iter().map(|one| one.series.as_str()).collect()
}

fn check(scanner: &Scanner, done: &Done, records: &Records) {
    let (habits, name) = (&scanner.habits, &scanner.habits.name);
    // Worklist: the right patient, among others.
    assert_eq!(done.listed > 0, habits.worklist.is_some(), "{name}: {} answers", done.listed);

    // Custody: each is there once, with its bytes; the one whose answer was lost was sent again.
    for one in &done.made {
        records.check_custody(&one.instance).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
    let answers: Vec<_> = done.stored.values().flatten().collect();
    assert_eq!(answers.iter().filter(|status| status.is_none()).count(), 1, "{name}: one answer was lost");
    assert!(answers.iter().all(|status| status.is_none_or(|status| status == 0)), "{name}: {answers:04x?}");
    let retry = &habits.storage.retry;
    assert_eq!(done.again, if retry.times > 0 { (1, 0) } else { (0, 1) }, "{name}: by itself, by a person");
    if retry.times > 0 && !retry.whole_study {
        assert!(
            done.stored.values().all(|of_one| of_one.iter().filter(|status| status.is_some()).count() == 1),
            "{name}"
        );
    }

    // Verdicts: one for each series, of the ordered study.
    let series: Vec<_> =
        records.series().unwrap().into_iter().filter(|one| one.study_uid == done.order.study).collect();
    assert_eq!(series.len(), series_of(done).len(), "{name}: {series:?}");
    for one in &series {
        println!(
            "{name}: {}, {} images, {}: {}",
            one.kind,
            one.instances,
            one.state,
            one.verdict.as_deref().unwrap_or("-")
        );
        assert!(one.verdict.as_ref().is_some_and(|verdict| !verdict.is_empty()), "{name}: {one:?}");
        assert!(["processed", "refused"].contains(&one.state.as_str()), "{name}: {one:?}");
    }
    let images: i64 = series.iter().map(|one| one.instances).sum();
    assert_eq!(images, i64::try_from(done.made.len()).unwrap(), "{name}: in its series");

    // Results carry the patient as the worklist wrote it, byte for byte.
    for made in records.results().unwrap().iter().filter(|made| made.study_uid == done.order.study) {
        let data = Instance::open(&made.file).unwrap().unwrap().data_set().unwrap();
        let result = Elements::new(true, &data);
        assert_eq!(result.raw((0x0010, 0x0010)), done.order.name, "{name}: {}", made.kind);
        assert_eq!(result.raw((0x0010, 0x0020)), done.order.patient_id, "{name}: {}", made.kind);
        assert_eq!(result.text((0x0008, 0x0005)), done.order.character_set, "{name}: {}", made.kind);
    }

    // The step is where the scanner left it.
    let step = done.step.as_ref().map(|uid| records.step(uid).unwrap().unwrap());
    let ends = habits.mpps.as_ref().map(|mpps| match mpps.ends {
        Ends::Completed => "completed",
        Ends::Discontinued => "discontinued",
    });
    assert_eq!(step.as_deref(), ends, "{name}");

    // Commitment: what was asked for, all of it, once.
    let Some(commitment) = &habits.commitment else {
        assert!(done.commitments.is_empty() && scanner.ear.told().is_empty(), "{name}");
        return;
    };
    let mut committed = BTreeSet::new();
    for (transaction, asked, told) in &done.commitments {
        let kept: BTreeSet<_> = told.committed.kept.iter().map(|(_, uid)| uid.clone()).collect();
        assert_eq!((told.event_type, &told.committed.transaction), (1, transaction), "{name}");
        assert!(kept == *asked && told.committed.failed.is_empty(), "{name}: {told:?}");
        committed.extend(kept);
        if commitment.report == Report::OnItsPort {
            let same = |one: &&vendor::Told| one.committed.transaction == *transaction;
            assert_eq!(scanner.ear.told().iter().filter(same).count(), 1, "{name}: reported once");
            assert_eq!(told.by, Appliance::AE_TITLE);
        }
    }
    // One that asks after each association that went well never asks for what it does not know to be stored.
    let known: BTreeSet<_> = done.made.iter().map(|one| one.instance.sop_instance_uid.clone()).collect();
    match commitment.asks {
        Asks::AfterAssociation => assert!(committed.len() + 2 >= known.len() && committed.is_subset(&known), "{name}"),
        Asks::AfterStudy | Asks::AfterSeries => assert_eq!(committed, known, "{name}"),
    }
}

/// What was seen, in words that do not depend on when the line was cut.
fn row(habits: &Habits, done: &Done) -> String {
    let query = habits.worklist.as_ref().map_or_else(
        || "-".to_owned(),
        |query| {
            let keys: Vec<_> = query.matches.iter().map(|key| key_word(*key)).collect();
            let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
            let text = if done.order.character_set.is_empty() { "ASCII" } else { &done.order.character_set };
            format!("{keys}; answered in {}", text.replace('\\', " and "))
        },
    );
    let step = habits.mpps.as_ref().map_or_else(
        || "-".to_owned(),
        |mpps| {
            let when = match mpps.begins {
                Begins::BeforeImages => "before the images",
                Begins::WithImages => "with the images",
                Begins::AfterImages => "after the images",
            };
            let ends = if mpps.ends == Ends::Completed { "completed" } else { "discontinued" };
            let mut words = format!("{when}, {ends}");
            if mpps.tells_each_series {
                words.push_str(", told of each series");
            }
            if mpps.scheduled_steps > 1 {
                write!(words, ", for {} scheduled steps", mpps.scheduled_steps).unwrap();
            }
            if mpps.uid_from_peer {
                words.push_str(", UID from the box");
            }
            words
        },
    );
    let syntax = match habits.storage.sends.as_str() {
        "1.2.840.10008.1.2" => "implicit VR",
        "1.2.840.10008.1.2.1" => "explicit VR",
        "1.2.840.10008.1.2.5" => "RLE",
        other => other,
    };
    let contexts = match habits.storage.contexts {
        Contexts::OnePerSyntax if habits.storage.syntaxes.len() > 1 => "a context for each syntax",
        Contexts::OnePerSyntax | Contexts::OnePerClass => "a context for each class",
        Contexts::Twice => "two contexts for each class",
    };
    let associations = match (habits.storage.per_association, habits.storage.series_apart) {
        (Some(1), _) => "one in each association".to_owned(),
        (Some(count), _) => format!("{count} in each association"),
        (None, true) => "an association for each series".to_owned(),
        (None, false) => "one association".to_owned(),
    };
    let again = match (habits.storage.retry.times, habits.storage.retry.whole_study) {
        (0, _) => "sent again by a person",
        (_, true) => "the study sent again",
        (_, false) => "sent again by itself",
    };
    let images = format!(
        "{} in {} series, {syntax}, {contexts}, {associations}; after the cut {again}",
        done.made.len(),
        series_of(done).len()
    );
    let commitment = habits.commitment.as_ref().map_or_else(
        || "-".to_owned(),
        |one| {
            let asks = match one.asks {
                Asks::AfterStudy => "for the study",
                Asks::AfterSeries => "for each series",
                Asks::AfterAssociation => "for each association",
            };
            let report = if one.report == Report::OnItsPort { "to its port" } else { "on its association" };
            format!("{asks}, reported {report}: all kept")
        },
    );
    format!("| {} | {query} | {step} | {images} | {commitment} |\n", habits.name)
}

fn key_word(key: Key) -> &'static str {
    match key {
        Key::Modality => "modality",
        Key::Date => "date",
        Key::DateRange => "range of dates",
        Key::Station => "station",
        Key::PatientId => "patient ID",
        Key::Accession => "accession number",
        Key::NameBeginning => "beginning of the name",
    }
}

/// Compares with the table of the conformance statement, or writes it (`SCANSIDE_BLESS=1`).
fn agrees_with_document(table: &str) {
    let path = tools::workspace().join(DOCUMENT);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{DOCUMENT} has no {BEGIN}"));
    let (known, after) = rest.split_once(END).unwrap_or_else(|| panic!("{DOCUMENT} has no {END}"));
    if std::env::var_os("SCANSIDE_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).unwrap();
        return;
    }
    assert!(
        known.trim() == table.trim(),
        "{DOCUMENT} does not say what was seen (SCANSIDE_BLESS=1 writes it):\n{table}"
    );
}
