//! Archives with the habits of real ones (`hil-tests/archives`) at a real box: results all arrive once, or wait with a reason, and nothing is
//! evicted before the archive has it as the promise says.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::pacs::{Archive, Pacs};
use hil_tests::part10::Instance;
use phantom::{Options, Phantom};

use crate::support::Records;

const WITHIN: Duration = Duration::from_secs(45);
/// More than any disk has: whatever may be evicted is evicted at once.
/// The first of two or three segments that a study takes.
const EVICT_AT_ONCE: &str = "[spool]\nevict_below_mib = 1000000000\nsegment_mib = 1\n";

struct Case {
    pacs: Pacs,
    appliance: Appliance,
    records: Records,
    /// Every result that was ever seen in the outbox: what is evicted leaves it.
    made: RefCell<BTreeSet<String>>,
    _folder: tempfile::TempDir,
}

/// A box and one archive. `more`: of its destination.
async fn case(archive: &str, more: &str) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let habits = Archive::named(archive).unwrap();
    let pacs = Pacs::start_as(([127, 0, 0, 1], 0).into(), "PACS", folder.path(), habits).await.unwrap();
    let extra = format!(
        "{EVICT_AT_ONCE}[destination.pacs]\naddress = \"{}\"\nae_title = \"PACS\"\nretry_secs = 0.1\nretry_max_secs = 0.4\n\
         accepts_simulated = true\n{more}",
        pacs.address
    );
    let appliance = Appliance::start(&Setup { extra, quiet_secs: 0.5, ..Setup::coarse() }).await.unwrap();
    pacs.reports_to(appliance.address, Appliance::AE_TITLE);
    let records = Records::open(&appliance).unwrap();
    Case { pacs, appliance, records, made: RefCell::default(), _folder: folder }
}

impl Case {
    /// Sends a chest; without slices in its middle it is refused with a report, which takes no time.
    async fn send(&self, seed: u64, whole: bool) -> Vec<Instance> {
        let options =
            Options { columns: 128, rows: 128, pixel_mm: 2.9, slices: 36, slice_mm: 8.0, ..Options::default() };
        let (study, _) = Phantom::chest(seed, &options).unwrap();
        let mut instances: Vec<_> =
            study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
        if !whole {
            instances.drain(17..=19);
        }
        let modality = Modality::new(self.appliance.address, "CT", Appliance::AE_TITLE);
        let sent = modality.send(&instances, |_, _| {}).await.unwrap();
        assert_eq!(sent.acknowledged(), instances.len());
        instances
    }

    async fn until(&self, what: &str, mut ask: impl FnMut(&Self) -> bool) {
        let look = || {
            let outbox = self.records.outbox().unwrap();
            self.made.borrow_mut().extend(outbox.into_iter().map(|one| one.sop_uid));
            ask(self)
        };
        let waited = deadline::until_true(what, WITHIN, look).await;
        waited.unwrap_or_else(|error| {
            panic!("{error:#}: {:?}\n{}", self.records.outbox().unwrap(), self.appliance.log_tail())
        });
    }

    /// Every result that was made is at the archive, once.
    fn all_arrived_once(&self) {
        let arrived: Vec<_> = self.pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
        let distinct: BTreeSet<_> = arrived.iter().cloned().collect();
        let outbox = self.records.outbox().unwrap();
        assert_eq!(distinct, *self.made.borrow());
        assert!(!distinct.is_empty());
        assert_eq!(arrived.len(), distinct.len(), "each once");
        assert!(outbox.iter().all(|one| one.state == "delivered"), "{outbox:?}");
    }

    /// Deliveries of which the row says this.
    fn count(&self, state: &str, commitment: Option<&str>) -> usize {
        let outbox = self.records.outbox().unwrap();
        outbox.iter().filter(|one| one.state == state && one.commitment.as_deref() == commitment).count()
    }

    fn evicted(&self, sent: &[Instance]) -> usize {
        let states = sent.iter().map(|one| self.records.kept(&one.sop_instance_uid).unwrap());
        states.filter(|rows| rows.iter().all(|row| row.state == "evicted")).count()
    }

    /// The segment that is written to stays.
    async fn until_evicted(&self, sent: &[Instance]) {
        self.until("what is delivered to be evicted", |case| case.evicted(sent) > 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_archive_gets_everything_once_and_then_it_is_evicted() {
    let mut case = case("slow", "").await;
    let sent = case.send(701, true).await;
    case.until("a result at the archive", |case| !case.pacs.received().is_empty()).await;
    case.until("everything delivered", |case| {
        let outbox = case.records.outbox().unwrap();
        let waits = outbox.iter().any(|one| one.state == "pending");
        assert!(!waits || case.evicted(&sent) == 0, "evicted before all of it was delivered: {outbox:?}");
        !waits && case.records.is_settled(2).unwrap()
    })
    .await;
    case.all_arrived_once();
    case.until_evicted(&sent).await;
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_archive_leaves_the_rest_in_the_outbox_with_the_reason_and_gets_it_when_it_has_room() {
    let mut case = case("full", "").await;
    let mut sent = Vec::new();
    for seed in 711..714 {
        sent.push(case.send(seed, false).await);
    }
    let full = |case: &Case| {
        let outbox = case.records.outbox().unwrap();
        let says = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains("out of resources"));
        outbox.len() >= 4 && outbox.iter().any(|one| one.state == "pending" && says(&one.reason))
    };
    case.until("the archive to be full", full).await;
    assert_eq!(case.pacs.received().len(), 2);
    case.pacs.change(|habits| habits.full_after_objects = None);
    case.until("everything delivered", |case| case.records.waiting().unwrap() == 0).await;
    case.all_arrived_once();
    for sent in &sent {
        case.until_evicted(sent).await;
    }
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picky_archive_gets_what_it_takes_and_the_rest_is_parked_with_the_class() {
    let mut case = case("picky", "").await;
    let sent = case.send(721, true).await;
    case.until("everything to be delivered or parked", |case| {
        !case.records.outbox().unwrap().is_empty() && case.records.is_settled(2).unwrap()
    })
    .await;
    let outbox = case.records.outbox().unwrap();
    let parked: Vec<_> = outbox.iter().filter(|one| one.state == "parked").collect();
    let kinds: BTreeSet<_> = parked.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["seg", "sr"]), "{outbox:?}");
    for one in &parked {
        assert!(one.reason.as_ref().is_some_and(|reason| reason.contains("SOP class")), "{one:?}");
    }
    assert_eq!(case.pacs.received().len(), outbox.len() - parked.len());
    // What is parked keeps its file; its study is known to be complete elsewhere and may go.
    case.until_evicted(&sent).await;
    for one in &parked {
        assert!(case.appliance.spool().join(&one.file).is_file(), "{one:?}");
    }
    // The archive has learnt it: a person has it tried again.
    case.pacs.change(|habits| habits.refuses_classes.clear());
    crate::live_support::said(&case.appliance, &["outbox", "retry"]).await;
    case.until("everything delivered", |case| {
        case.records.outbox().unwrap().iter().all(|one| one.state == "delivered")
    })
    .await;
    case.all_arrived_once();
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_transcodes_commits_what_it_stores_otherwise() {
    let mut case = case("transcodes", "commitment = \"ask\"\n").await;
    let sent = case.send(731, false).await;
    case.until("the commitment", |case| {
        let outbox = case.records.outbox().unwrap();
        let committed = outbox.iter().all(|one| one.commitment.as_deref() == Some("committed"));
        assert!(committed || case.evicted(&sent) == 0, "evicted before it was committed: {outbox:?}");
        !outbox.is_empty() && committed && case.records.is_settled(2).unwrap()
    })
    .await;
    case.all_arrived_once();
    for one in case.pacs.received() {
        let stored = Instance::open(&one.path).unwrap().unwrap();
        assert_eq!(
            (one.transfer_syntax_uid.as_str(), stored.transfer_syntax_uid.as_str()),
            ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
        );
    }
    case.until_evicted(&sent).await;
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_coerces_patient_ids_is_told_of_and_what_it_has_counts_as_delivered() {
    let mut case = case("coerces", "commitment = \"ask\"\n").await;
    let sent = case.send(741, false).await;
    case.until("the commitment", |case| {
        case.records.is_settled(2).unwrap()
            && case.count("delivered", Some("committed")) > 0
            && case.count("delivered", Some("asked")) == 0
    })
    .await;
    case.all_arrived_once();
    for one in case.records.outbox().unwrap() {
        assert!(one.reason.as_ref().is_some_and(|reason| reason.contains("values changed")), "{one:?}");
    }
    case.until_evicted(&sent).await;
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_drops_the_line_gets_what_fits_and_the_rest_is_named() {
    let mut case = case("drops", "").await;
    let sent = case.send(751, true).await;
    // Every object that is smaller than what passes in one association arrives; a larger one never does.
    case.until("everything that fits", |case| {
        let outbox = case.records.outbox().unwrap();
        let small =
            |file: &str| std::fs::metadata(case.appliance.spool().join(file)).is_ok_and(|file| file.len() < 90_000);
        !outbox.is_empty()
            && case.records.is_read(2).unwrap()
            && outbox.iter().all(|one| {
                if small(&one.file) {
                    one.state == "delivered"
                } else {
                    one.state != "delivered" && one.reason.is_some()
                }
            })
    })
    .await;
    let outbox = case.records.outbox().unwrap();
    let large: Vec<_> = outbox.iter().filter(|one| one.state != "delivered").collect();
    assert!(!large.is_empty() && large.len() < outbox.len(), "{outbox:?}");
    let arrived: BTreeSet<_> = case.pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    assert_eq!(arrived.len(), outbox.len() - large.len());
    if large.iter().any(|one| one.state == "pending") {
        assert_eq!(case.evicted(&sent), 0, "nothing of it is evicted while an object waits");
    }
    case.pacs.change(|habits| habits.drops_after_bytes = None);
    crate::live_support::said(&case.appliance, &["outbox", "retry"]).await;
    case.until("everything delivered", |case| {
        case.records.outbox().unwrap().iter().all(|one| one.state == "delivered")
    })
    .await;
    let distinct: BTreeSet<_> = case.pacs.received().into_iter().map(|one| one.sop_instance_uid).collect();
    assert_eq!(distinct.len(), outbox.len());
    case.until_evicted(&sent).await;
    case.appliance.stop().await.unwrap();
}

/// `days`: what the box waits before it asks again. The archive's two days pass on the archive's clock; the box's days in its rows, while it is off.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_after_two_days_and_a_restart_counts_and_nothing_is_evicted_before_it() {
    let mut case = case("two-days", "commitment_days = 3.0\n").await;
    let sent = case.send(761, false).await;
    case.until("the question", |case| {
        case.records.is_settled(2).unwrap()
            && case.count("delivered", Some("asked")) > 0
            && case.count("delivered", Some("wanted")) == 0
    })
    .await;
    let questions = case.pacs.asked().len();
    for _ in 0..2 {
        assert_eq!(case.pacs.days_pass(0.9).await.unwrap(), [] as [u16; 0], "not due");
        case.appliance.kill().await.unwrap();
        Records::let_days_pass(&case.appliance, 0.9).unwrap();
        case.appliance.restart().await.unwrap();
        case.pacs.reports_to(case.appliance.address, Appliance::AE_TITLE);
        assert_eq!(case.evicted(&sent), 0);
    }
    // A study that is finished would have gone by now.
    let other = case.send(762, false).await;
    case.until("the second question", |case| case.pacs.asked().len() > questions).await;
    assert_eq!(case.evicted(&sent) + case.evicted(&other), 0, "nothing before the report");
    let statuses = case.pacs.days_pass(0.3).await.unwrap();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 0), "{statuses:04x?}");
    case.until_evicted(&sent).await;
    assert_eq!(case.evicted(&other), 0, "its own report is not due");
    assert!(case.pacs.days_pass(2.0).await.unwrap().iter().all(|status| *status == 0));
    case.until_evicted(&other).await;
    case.all_arrived_once();
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_before_the_answer_to_the_question_counts() {
    let mut case = case("hasty", "commitment = \"ask\"\n").await;
    let sent = case.send(771, false).await;
    case.until("the commitment", |case| {
        case.records.is_settled(2).unwrap() && case.count("delivered", Some("committed")) > 0
    })
    .await;
    case.all_arrived_once();
    case.until_evicted(&sent).await;
    assert_eq!(case.records.outbox().unwrap().iter().filter(|one| one.asked > 1).count(), 0, "asked once");
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_never_reports_is_asked_three_times_and_its_studies_are_kept_until_then() {
    let mut case = case("silent", "commitment_days = 0.00001\n").await;
    let sent = case.send(781, false).await;
    case.until("the last question", |case| {
        let outbox = case.records.outbox().unwrap();
        let over = !outbox.is_empty() && outbox.iter().all(|one| one.commitment.as_deref() == Some("unanswered"));
        assert!(over || case.evicted(&sent) == 0, "{outbox:?}");
        over && case.records.is_settled(2).unwrap()
    })
    .await;
    assert!(case.records.outbox().unwrap().iter().all(|one| one.asked == 3));
    case.all_arrived_once();
    case.until_evicted(&sent).await;
    case.appliance.stop().await.unwrap();
}
