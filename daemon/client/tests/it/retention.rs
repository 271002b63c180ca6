//! `retention`: as it is printed, against a scripted appliance; and a hold on the real daemon in this process.

use custody::store::{Durability, Store};
use serde_json::Value;

use crate::doctor::{Daemon, STUDY, Site};
use crate::fixture::{Appliance, Bus, ROWS, ask, text};

async fn json(bus: &Bus, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(bus, &[&["--json"], arguments].concat()).await).unwrap()
}

async fn complaint(bus: &Bus, code: i32, arguments: &[&str]) -> String {
    let output = ask(bus, arguments).await;
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_says_what_is_kept_and_why_and_what_goes_next() {
    let Some(bus) = Bus::start() else { return };
    let appliance = Appliance::start(&bus.address, ROWS).await;
    let told = text(&bus, &["retention"]).await;
    for words in [
        "until less than 10 GiB are free (spool.evict_below_mib)",
        "90 days (spool.keep_days)",
        "20 GiB free of 100 GiB",
        "2.0 GiB a day, by the last 14 days",
        "begins in about 5 days, for want of space",
        "4  P1  PHANTOM, ONE, 2026-01-02",
        "held by a person",
        "still to be sent",
        "a case for teaching",
    ] {
        assert!(told.contains(words), "{words} is missing:\n{told}");
    }
    assert!(!told.contains('\x1b'), "{told}");
    let plan = text(&bus, &["retention", "--plan"]).await;
    assert!(plan.starts_with("Nothing is evicted by asking."), "{plan}");
    assert!(
        plan.contains("4  P1  PHANTOM, ONE") && plan.contains("151 MiB") && plan.contains("when space is short"),
        "{plan}"
    );
    let plan = json(&bus, &["retention", "--plan", "--limit", "7"]).await;
    assert_eq!((&plan["next"][0]["study_uid"], &plan["next_left_out"]), (&"1.2.840.1".into(), &2.into()));
    assert_eq!(json(&bus, &["retention"]).await["kept"][1]["why"], "held");
    let said = text(&bus, &["retention", "hold", "4", "--reason", "already so"]).await;
    assert_eq!(said, "Study 4 is kept for this reason already.\n");
    let asked = appliance.script.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["retention 1", "retention 20", "retention 7", "retention 1", "hold 1.2.840.1 Some(\"already so\") true"]
    );
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_entered_shown_written_down_and_released() {
    let Some(bus) = Bus::start() else { return };
    let site = Site::new(&bus.address, "127.0.0.1:0");
    let daemon = Daemon::start(&bus, &site).await;
    let connection = Store::open(&site.path("spool/scanside.db")).unwrap().connect(Durability::Full).unwrap();
    connection.execute_batch(STUDY).unwrap();
    let study = "1.2.840.777";

    let said = complaint(&bus, 2, &["retention", "hold", study, "--reason", " "]).await;
    assert!(said.contains("a hold needs a reason"), "{said}");
    let long = "x".repeat(201);
    let said = complaint(&bus, 2, &["retention", "hold", study, "--reason", &long]).await;
    assert!(said.contains("the reason is longer than 200 characters"), "{said}");
    assert!(complaint(&bus, 1, &["retention", "hold", "99", "--reason", "x"]).await.contains("there is no study"));
    let said = text(&bus, &["retention", "hold", study, "--reason", "asked for by a court"]).await;
    assert_eq!(said, "Study 4 is kept until `scansidectl retention release 4`.\n");
    assert_eq!(json(&bus, &["retention", "hold", study, "--reason", "asked for by a court"]).await["changed"], false);

    let shown = text(&bus, &["studies", "show", study]).await;
    assert!(shown.contains("from eviction since") && shown.contains("asked for by a court"), "{shown}");
    assert_eq!(json(&bus, &["studies", "show", study]).await["study"]["hold"], "asked for by a court");
    let told = json(&bus, &["retention"]).await;
    assert_eq!(
        (&told["holds"][0]["study_uid"], &told["holds"][0]["reason"]),
        (&study.into(), &"asked for by a court".into())
    );
    assert!(std::fs::read_to_string(site.path("spool/holds.log")).unwrap().contains(study));
    let journal = text(&bus, &["journal", study]).await;
    assert!(journal.contains("kept from eviction") && !journal.contains("court"), "{journal}");
    let audit = text(&bus, &["audit"]).await;
    assert!(audit.contains("hold-study") && audit.contains(study) && !audit.contains("court"), "{audit}");

    // All of it is evicted: nothing is left to hold, but the hold can be ended.
    assert_eq!(
        text(&bus, &["retention", "release", study]).await,
        "Study 4 may be evicted again when its turn comes.\n"
    );
    assert_eq!(text(&bus, &["retention", "release", study]).await, "Study 4 is not held.\n");
    connection
        .execute_batch(
            "DELETE FROM deliveries; DELETE FROM results; UPDATE series SET state = 'evicted'; \
             UPDATE instances SET state = 'evicted'",
        )
        .unwrap();
    let said = complaint(&bus, 1, &["retention", "hold", study, "--reason", "x"]).await;
    assert!(said.contains("nothing is left to keep"), "{said}");
    daemon.stop().await;
}
