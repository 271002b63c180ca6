//! What systemd knows of the unit, by its own program: that works when the bus does not.

use std::collections::HashMap;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::ctl::scrub::scrub;
use crate::doctor::facts::Unit;

const PATIENCE: Duration = Duration::from_secs(5);
const UNIT: &str = "scansided.service";
const ASKED: &str =
    "LoadState,ActiveState,SubState,Result,ExecMainStatus,UnitFileState,NRestarts,ProtectSystem,ReadWritePaths";

/// Standard output, where the program is there and succeeds in time.
pub async fn output(program: &str, arguments: &[&str]) -> Option<String> {
    output_within(PATIENCE, program, arguments).await
}

/// As [`output`], with so much time.
pub async fn output_within(patience: Duration, program: &str, arguments: &[&str]) -> Option<String> {
    let ran = Command::new(program).args(arguments).kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    let output = timeout(patience, ran).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `None` where systemd does not run, or does not know the unit.
pub async fn read() -> Option<Unit> {
    let text = output("systemctl", &["show", UNIT, "-p", ASKED]).await?;
    let mut unit = parse(&text)?;
    if unit.active != "active" || unit.restarts > 0 {
        let log = output("journalctl", &["-u", UNIT, "-p", "err", "-n", "1", "-o", "cat", "--no-pager"]).await;
        unit.last_error =
            log.map(|line| scrub(line.trim())).filter(|line| !line.is_empty() && !line.starts_with("-- "));
    }
    Some(unit)
}

fn parse(text: &str) -> Option<Unit> {
    let values: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let get = |key: &str| values.get(key).copied().unwrap_or_default();
    (get("LoadState") != "not-found" && !get("ActiveState").is_empty()).then(|| Unit {
        active: get("ActiveState").to_owned(),
        sub: get("SubState").to_owned(),
        result: get("Result").to_owned(),
        exit_status: get("ExecMainStatus").parse().unwrap_or(0),
        enabled: get("UnitFileState").to_owned(),
        restarts: get("NRestarts").parse().unwrap_or(0),
        protects_system: get("ProtectSystem") == "strict",
        // A prefix says what is to be done when there is no such path.
        writable: get("ReadWritePaths")
            .split_whitespace()
            .map(|path| path.trim_start_matches(['-', '+']).into())
            .collect(),
        last_error: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_systemctl_is_read_and_an_unknown_unit_is_none() {
        let text = "LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n\
                    UnitFileState=enabled\nNRestarts=2\nProtectSystem=strict\nReadWritePaths=-/srv/a /srv/b\n";
        let unit = parse(text).unwrap();
        assert_eq!((unit.active.as_str(), unit.exit_status, unit.restarts), ("failed", 78, 2));
        assert!(unit.protects_system);
        assert_eq!(unit.writable, ["/srv/a", "/srv/b"].map(std::path::PathBuf::from));
        assert_eq!(parse("LoadState=not-found\nActiveState=inactive\n"), None);
    }
}
