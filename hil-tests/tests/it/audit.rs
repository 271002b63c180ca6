//! The audit trail of a real box: what was asked over the bus is in it before it is done and survives SIGKILL; a row that
//! somebody changes is named; a database that is built again leaves a row and takes none away.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::{deadline, tools};
use serde_json::Value;

async fn ctl(appliance: &Appliance, arguments: &[&str]) -> Output {
    let program = tools::our_binary("scansidectl").unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["--json", "--bus", &appliance.bus.address]).args(arguments).output().await.unwrap()
}

/// What and result of every row, the oldest first.
async fn rows(appliance: &Appliance) -> Vec<(String, String)> {
    let output = ctl(appliance, &["audit", "--limit", "0"]).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let mut rows: Vec<_> =
        said.as_array().unwrap().iter().map(|row| (text(row, "what"), text(row, "result"))).collect();
    rows.reverse();
    rows
}

fn file(appliance: &Appliance) -> PathBuf {
    std::fs::read_dir(appliance.spool().join("audit")).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test]
async fn what_was_done_outlasts_kills_and_a_damaged_database_and_a_changed_row_is_named() {
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    assert!(!ctl(&appliance, &["echo", "nowhere"]).await.status.success());
    appliance.kill().await.unwrap();
    // As a kill in the middle of a row leaves it.
    let path = file(&appliance);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..70]].concat()).unwrap();
    std::fs::write(appliance.database(), "this is no database, and it is long enough to be looked at".repeat(99))
        .unwrap();
    // A log that has every page would make the file good again.
    for log in ["scanside.db-wal", "scanside.db-shm"] {
        let _ = std::fs::remove_file(appliance.spool().join(log));
    }
    appliance.restart().await.unwrap();

    // The bus answers before the database is there again.
    let rebuilt = |rows: &Vec<(String, String)>| rows.iter().any(|(what, _)| what == "database built again");
    let told = deadline::until("a row of the database", Duration::from_secs(60), async || {
        Some(rows(&appliance).await).filter(rebuilt)
    });
    let told = told.await.unwrap();
    let whats: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    let expected = ["begun", "started", "echo", "echo", "mended", "configuration changed", "started"];
    assert_eq!(whats[..7], expected, "{told:?}");
    assert_eq!((told[2].1.as_str(), told[3].1.as_str()), ("allowed", "failed: NotFound"));
    let said: Value = serde_json::from_slice(&ctl(&appliance, &["audit", "verify"]).await.stdout).unwrap();
    assert_eq!((said["rows"].as_u64(), &said["fault"]), (Some(told.len() as u64), &Value::Null));

    // As an audit record repository takes it: one document for each row.
    let messages = tempfile::tempdir().unwrap().keep().join("audit.xml");
    let output = ctl(&appliance, &["audit", "export", "--dicom", messages.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&messages).unwrap();
    assert_eq!(text.lines().filter(|line| line.ends_with("</AuditMessage>")).count(), told.len());
    std::fs::remove_dir_all(messages.parent().unwrap()).unwrap();

    let changed = std::fs::read_to_string(&path).unwrap().replacen("failed: NotFound", "allowed", 1);
    std::fs::write(&path, changed).unwrap();
    let output = ctl(&appliance, &["audit", "verify"]).await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), said["fault"]["number"].as_u64()), (Some(1), Some(4)), "{said}");
    appliance.stop().await.unwrap();
}
