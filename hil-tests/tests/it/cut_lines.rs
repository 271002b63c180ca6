//! Storage commitment and performed procedure steps on a line that is cut, or with the box killed, at every PDU of the conversation and in
//! the middle of each: nothing is committed that is not durable, no commitment is lost, no step gets into an illegal state.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::dimse::{COMMITMENT, Command, MPPS};
use hil_tests::link::{Link, Proposal};
use hil_tests::modality::Modality;
use hil_tests::pacs::{Archive, Committing, Pacs, Reports};
use hil_tests::part10::{Instance, element, part10};
use hil_tests::relay::{Cut, From, Relay};
use hil_tests::vendor::{Ear, IMPLICIT, messages};

use crate::support::Records;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const WITHIN: Duration = Duration::from_secs(60);
const DUPLICATE: u16 = 0x0111;
/// Into the PDU that is cut.
const MIDDLE: usize = 9;

fn instance(study: u32) -> Instance {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: String| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    put(0x0008, 0x0016, b"UI", CT.into());
    put(0x0008, 0x0018, b"UI", format!("2.25.800.{study}"));
    put(0x0008, 0x0060, b"CS", "CT".into());
    put(0x0010, 0x0010, b"PN", "Phantom^Cut".into());
    put(0x0010, 0x0020, b"LO", format!("C{study}"));
    put(0x0020, 0x000D, b"UI", format!("2.25.801.{study}"));
    put(0x0020, 0x000E, b"UI", format!("2.25.802.{study}"));
    Instance::from_part10(&part10(CT, &format!("2.25.800.{study}"), EXPLICIT, &bytes)).unwrap()
}

/// Every place at which a conversation of so many PDUs (from the caller, from the called) can be cut.
fn places([caller, called]: [usize; 2]) -> Vec<Cut> {
    let of = |from: From, count: usize| {
        (0..count).flat_map(move |whole| [0, MIDDLE].map(|and_bytes| Cut::Pdu { from, whole, and_bytes }))
    };
    of(From::Caller, caller).chain(of(From::Called, called)).collect()
}

/// The scanner, on a line.
struct Scanner {
    line: Relay,
}

impl Scanner {
    async fn open(&self, class: &str) -> Result<(Link, u8)> {
        let proposal = Proposal {
            calling: "CT1".into(),
            called: Appliance::AE_TITLE.into(),
            implementation_class_uid: "1.2.3".into(),
            max_pdu: 16_384,
            contexts: vec![(class.to_owned(), vec![IMPLICIT.to_owned()])],
            ..Proposal::default()
        };
        let link = Link::request(self.line.address, &proposal).await?;
        let context = link.context(class, &[]).context("not accepted")?.id;
        Ok((link, context))
    }

    /// One request over an association of its own; the status and Error ID of the answer, if one came. Whatever happens after it is no matter.
    async fn request(
        &self,
        class: &str,
        command: impl FnOnce(u16) -> Command,
        data: &[u8],
    ) -> Option<(u16, Option<u16>)> {
        let (mut link, context) = self.open(class).await.ok()?;
        let id = link.take_id();
        let answer = link.ask(context, &command(id), Some(data)).await.ok()?;
        let _ = link.release().await;
        Some((answer.command.status()?, answer.command.error_id()))
    }

    async fn ask(&self, transaction: &str, study: u32) -> Option<u16> {
        let items = [(CT.to_owned(), format!("2.25.800.{study}"))];
        let data = messages::commitment(transaction, &items, &[], false);
        Some(self.request(COMMITMENT, Command::action_request, &data).await?.0)
    }

    async fn create(&self, step: &str, data: &[u8]) -> Option<u16> {
        Some(self.request(MPPS, |id| Command::create_request(id, MPPS, Some(step)), data).await?.0)
    }

    async fn set(&self, step: &str, data: &[u8]) -> Option<(u16, Option<u16>)> {
        self.request(MPPS, |id| Command::set_request(id, MPPS, step), data).await
    }
}

struct Bench {
    appliance: Appliance,
    scanner: Scanner,
    /// Between the box and the scanner's port.
    back: Relay,
    ear: Ear,
    kill: bool,
}

impl Bench {
    async fn start(kill: bool) -> Self {
        let ear = Ear::start(&[IMPLICIT.to_owned()]).await.unwrap();
        let back = Relay::start(ear.address).await.unwrap();
        let extra = format!(
            "[series]\nquiet_secs = 600.0\n[dicom]\ncommitment.wait_secs = 0.0\ncommitment.retry_secs = 0.1\ncommitment.retry_max_secs = 0.5\n\
             [[dicom.sender]]\nae_title = \"CT1\"\ncommitment_port = {}\n",
            back.address.port()
        );
        let appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
        let line = Relay::start(appliance.address).await.unwrap();
        Self { appliance, scanner: Scanner { line }, back, ear, kill }
    }

    async fn store(&self, study: u32) {
        let modality = Modality::new(self.appliance.address, "CT1", Appliance::AE_TITLE);
        assert_eq!(modality.send(&[instance(study)], |_, _| {}).await.unwrap().acknowledged(), 1);
    }

    /// Does something while the line is cut there; when the box is to be killed, at that moment. Returns what came of it, and whether the
    /// line was cut at all: what waits for an answer on its way may end before.
    async fn cut<T>(&mut self, cut: Cut, act: impl AsyncFnOnce(&Scanner) -> T) -> T {
        let before = self.scanner.line.cuts();
        self.scanner.line.cut_next(cut);
        let line = &self.scanner.line;
        let result = if self.kill {
            let appliance = &mut self.appliance;
            let kill = async {
                deadline::until_true("the cut", WITHIN, || line.cuts() > before).await.unwrap();
                appliance.kill().await.unwrap();
            };
            let (result, ()) = tokio::join!(act(&self.scanner), kill);
            self.appliance.restart().await.unwrap();
            result
        } else {
            act(&self.scanner).await
        };
        let cuts = || line.cuts() > before;
        deadline::until_true("the cut", WITHIN, cuts).await.unwrap();
        result
    }
}

async fn questions_on_a_cut_line(kill: bool) {
    let mut bench = Bench::start(kill).await;
    bench.store(0).await;
    assert_eq!(bench.scanner.ask("2.25.803.0", 0).await, Some(0));
    let places = places(bench.scanner.line.counted());
    assert!(places.len() >= 2 * (4 + 3), "{places:?}");
    let mut lost = 0;
    for (study, cut) in (1..).zip(places.iter().copied()) {
        bench.store(study).await;
        let transaction = format!("2.25.803.{study}");
        let answer = bench.cut(cut, async |scanner| scanner.ask(&transaction, study).await).await;
        match answer {
            // It was answered: its report comes although nobody asks again.
            Some(status) => assert_eq!(status, 0, "{cut:?}"),
            None => {
                lost += 1;
                assert_eq!(bench.scanner.ask(&transaction, study).await, Some(0), "{cut:?}: the same question again");
            }
        }
    }
    // No answer: cut before or in the answer. An answer: cut in the release.
    assert!(lost >= 2 * 4 && lost < places.len(), "{lost} of {}", places.len());
    for study in 0..=places.len() {
        let told = bench.ear.wait_for(&format!("2.25.803.{study}"), WITHIN).await.unwrap();
        let kept = vec![(CT.to_owned(), format!("2.25.800.{study}"))];
        assert_eq!((told.event_type, told.committed.kept, told.committed.failed), (1, kept, vec![]));
    }
    let records = Records::open(&bench.appliance).unwrap();
    assert_eq!(records.count("commitments").unwrap(), i64::try_from(places.len() + 1).unwrap(), "one transaction each");
    bench.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_for_commitment_that_is_cut_at_any_pdu_is_answered_when_it_is_asked_again() {
    questions_on_a_cut_line(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_for_commitment_at_any_pdu_of_which_the_box_is_killed_is_not_lost_once_answered() {
    questions_on_a_cut_line(true).await;
}

async fn reports_on_a_cut_line(kill: bool) {
    let mut bench = Bench::start(kill).await;
    bench.store(0).await;
    assert_eq!(bench.scanner.ask("2.25.803.0", 0).await, Some(0));
    bench.ear.wait_for("2.25.803.0", WITHIN).await.unwrap();
    deadline::until_true("the end of the report", WITHIN, || bench.back.is_idle()).await.unwrap();
    let places = places(bench.back.counted());
    assert!(places.len() >= 2 * (4 + 3), "{places:?}");
    for (study, cut) in (1..).zip(places.iter().copied()) {
        bench.store(study).await;
        let (transaction, before) = (format!("2.25.803.{study}"), bench.back.cuts());
        bench.back.cut_next(cut);
        assert_eq!(bench.scanner.ask(&transaction, study).await, Some(0));
        deadline::until_true("the cut", WITHIN, || bench.back.cuts() > before).await.unwrap();
        if kill {
            bench.appliance.kill().await.unwrap();
            bench.appliance.restart().await.unwrap();
        }
        bench.ear.wait_for(&transaction, WITHIN).await.unwrap();
        // Until the box knows that it was heard.
        let records = Records::open(&bench.appliance).unwrap();
        let settled = || records.commitment_state(&transaction).unwrap().as_deref() == Some("reported");
        deadline::until_true("the row", WITHIN, settled).await.unwrap_or_else(|error| panic!("{cut:?}: {error:#}"));
    }
    for told in bench.ear.told() {
        let study = told.committed.transaction.rsplit('.').next().unwrap().to_owned();
        let kept = vec![(CT.to_owned(), format!("2.25.800.{study}"))];
        assert_eq!(
            (told.event_type, told.committed.kept, told.committed.failed),
            (1, kept, vec![]),
            "also when told twice"
        );
    }
    bench.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_commitment_that_is_cut_at_any_pdu_comes_again() {
    reports_on_a_cut_line(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_commitment_at_any_pdu_of_which_the_box_is_killed_comes_again() {
    reports_on_a_cut_line(true).await;
}

fn begun(study: u32) -> Vec<u8> {
    use hil_tests::elements::Writer;
    let scheduled = Writer::new(false).text((0x0020, 0x000d), b"UI", &format!("2.25.801.{study}"));
    Writer::new(false)
        .text((0x0040, 0x0252), b"CS", "IN PROGRESS")
        .sequence((0x0040, 0x0270), [scheduled])
        .sequence((0x0040, 0x0340), [])
        .finish()
}

fn said(status: &str, series: &str) -> Vec<u8> {
    use hil_tests::elements::Writer;
    let made = Writer::new(false).text((0x0020, 0x000e), b"UI", series);
    Writer::new(false).text((0x0040, 0x0252), b"CS", status).sequence((0x0040, 0x0340), [made]).finish()
}

async fn steps_on_a_cut_line(kill: bool) {
    let mut bench = Bench::start(kill).await;
    assert_eq!(bench.scanner.create("2.25.804.0", &begun(0)).await, Some(0));
    let places = places(bench.scanner.line.counted());
    let mut lost = 0;
    for (number, cut) in (1..).zip(places.iter().copied()) {
        let step = format!("2.25.804.{number}");
        // N-CREATE.
        let answer = bench.cut(cut, async |scanner| scanner.create(&step, &begun(number)).await).await;
        let again = bench.scanner.create(&step, &begun(number)).await;
        match answer {
            Some(status) => assert_eq!((status, again), (0, Some(DUPLICATE)), "{cut:?}: what was answered is there"),
            None => {
                lost += 1;
                assert!(matches!(again, Some(0 | DUPLICATE)), "{cut:?}: {again:04x?}");
            }
        }
        // N-SET.
        let ended = said("COMPLETED", &format!("2.25.802.{number}"));
        let answer = bench.cut(cut, async |scanner| scanner.set(&step, &ended).await).await;
        let again = bench.scanner.set(&step, &ended).await;
        assert!(answer.is_none_or(|(status, _)| status == 0), "{cut:?}: {answer:04x?}");
        assert_eq!(again.map(|(status, _)| status), Some(0), "{cut:?}: the same words again are no fault");
        // Neither back nor to another end.
        for other in ["IN PROGRESS", "DISCONTINUED"] {
            let refused = bench.scanner.set(&step, &said(other, &format!("2.25.802.{number}"))).await;
            assert_eq!(refused, Some((0x0110, Some(0xa710))), "{cut:?}");
        }
    }
    assert!(lost >= 2 * 4 && lost < places.len(), "{lost} of {}", places.len());
    let records = Records::open(&bench.appliance).unwrap();
    assert_eq!(records.count("steps").unwrap(), i64::try_from(places.len() + 1).unwrap(), "one step each");
    for number in 1..=places.len() {
        assert_eq!(records.step(&format!("2.25.804.{number}")).unwrap().as_deref(), Some("completed"));
    }
    bench.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_cut_at_any_pdu_is_told_again_and_has_one_legal_state() {
    steps_on_a_cut_line(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_at_any_pdu_of_which_the_box_is_killed_has_one_legal_state() {
    steps_on_a_cut_line(true).await;
}

/// The box sends a result to an archive and asks whether it keeps it, over one line.
async fn archive_on_a_cut_line(reports: Reports, kill: bool) {
    let folder = tempfile::tempdir().unwrap();
    let habits = Archive { commitment: Some(Committing { reports, after_days: 0.0 }), ..Archive::default() };
    let pacs = Pacs::start_as(([127, 0, 0, 1], 0).into(), "PACS", folder.path(), habits).await.unwrap();
    let line = Relay::start(pacs.address).await.unwrap();
    // An unanswered question is asked again after 0.4 s.
    let extra = format!(
        "[destination.pacs]\naddress = \"{}\"\nae_title = \"PACS\"\nretry_secs = 0.05\nretry_max_secs = 0.2\n\
         commitment = \"ask\"\ncommitment_days = 0.000005\naccepts_simulated = true\n",
        line.address
    );
    let mut appliance = Appliance::start(&Setup { extra, quiet_secs: 0.2, ..Setup::default() }).await.unwrap();
    pacs.reports_to(appliance.address, Appliance::AE_TITLE);
    let records = Records::open(&appliance).unwrap();
    let committed = |study: u32| {
        let outbox = records.outbox().unwrap();
        let of_study: Vec<_> = outbox.iter().filter(|one| one.study_uid == format!("2.25.801.{study}")).collect();
        let here: Vec<_> = pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
        for one in outbox.iter().filter(|one| one.commitment.as_deref() == Some("committed")) {
            assert!(here.contains(&one.sop_uid), "committed and not there: {one:?}");
        }
        !of_study.is_empty() && of_study.iter().all(|one| one.commitment.as_deref() == Some("committed"))
    };
    let send = async |appliance: &Appliance, study: u32| {
        let modality = Modality::new(appliance.address, "CT1", Appliance::AE_TITLE);
        assert_eq!(modality.send(&[instance(study)], |_, _| {}).await.unwrap().acknowledged(), 1);
    };
    send(&appliance, 0).await;
    deadline::until_true("the first commitment", WITHIN, || committed(0)).await.unwrap();
    deadline::until_true("its release", WITHIN, || line.is_idle()).await.unwrap();
    let places = places(line.counted());
    assert!(places.len() >= 2 * (6 + 4), "{places:?}");
    for (study, cut) in (1..).zip(places.iter().copied()) {
        let before = line.cuts();
        line.cut_next(cut);
        send(&appliance, study).await;
        deadline::until_true("the cut", WITHIN, || line.cuts() > before)
            .await
            .unwrap_or_else(|error| panic!("{cut:?}: {error:#}"));
        if kill {
            appliance.kill().await.unwrap();
            appliance.restart().await.unwrap();
        }
        deadline::until_true("the commitment", WITHIN, || committed(study)).await.unwrap_or_else(|error| {
            panic!("{cut:?}: {error:#}: {:?}\n{}", records.outbox().unwrap(), appliance.log_tail())
        });
    }
    // An answer that was lost is sent again: the same object, the same bytes.
    let mut known = std::collections::BTreeMap::new();
    for one in pacs.received() {
        let first = known.entry(one.sop_instance_uid.clone()).or_insert_with(|| one.sha256.clone());
        assert_eq!(*first, one.sha256);
    }
    assert_eq!(known.len(), records.outbox().unwrap().len());
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_commitment_that_is_cut_at_any_pdu_ends_committed_and_there() {
    archive_on_a_cut_line(Reports::SameAssociation, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_commitment_at_any_pdu_of_which_the_box_is_killed_ends_committed_and_there() {
    archive_on_a_cut_line(Reports::NewAssociation, true).await;
}
