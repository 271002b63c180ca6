//! `Py`: a scanner or an archive of pynetdicom, steered by the test (`peers/pynetdicom_peer.py`).

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::fixtures::PATIENCE;

pub struct Py {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Told while an answer was awaited.
    events: Vec<Value>,
    /// Killed when this is dropped.
    _child: Child,
}

/// Whether pynetdicom is installed; reports a skipped test if not.
pub async fn installed(python: &str) -> bool {
    let output = Command::new(python).args(["-c", "import pynetdicom"]).output().await;
    let found = output.is_ok_and(|output| output.status.success());
    if !found {
        needs::skip(needs::Lack::Software, "pynetdicom not installed");
    }
    found
}

impl Py {
    pub async fn start() -> Option<Self> {
        Self::start_script("daemon/node/tests/peers/pynetdicom_peer.py").await
    }

    /// Another script of the workspace that speaks in the same way.
    pub async fn start_script(script: &str) -> Option<Self> {
        let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
        if !installed(&python).await {
            return None;
        }
        // Also from other crates of the workspace that use this file.
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let root = above.find(|folder| folder.join("Cargo.lock").is_file()).unwrap();
        let script = root.join(script);
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { stdin: child.stdin.take().unwrap(), lines, events: Vec::new(), _child: child })
    }

    async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("the peer says something");
        serde_json::from_str(&line.unwrap().expect("the peer runs")).unwrap()
    }

    /// Gives an order and waits for its answer.
    pub async fn order(&mut self, order: Value) -> Value {
        self.stdin.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        loop {
            let line = self.line().await;
            if line.get("event").is_none() {
                return line;
            }
            self.events.push(line);
        }
    }

    /// What happens next at the peer by itself, of this kind; everything else is passed over.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = if self.events.is_empty() { self.line().await } else { self.events.remove(0) };
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// What has happened so far and was not asked for.
    pub fn left(&self) -> &[Value] {
        &self.events
    }

    /// Listens for reports on a free port, or on this one, and answers them in turn with `answers`, then with success.
    pub async fn listen_as_scanner(&mut self, port: u16, answers: &[u16]) -> u16 {
        let order = json!({"do": "listen", "role": "scanner", "ae_title": "CT1", "port": port, "answers": answers});
        let answer = self.order(order).await;
        u16::try_from(answer["port"].as_u64().unwrap()).unwrap()
    }
}
