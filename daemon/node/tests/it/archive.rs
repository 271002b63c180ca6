//! `ArchivePeer`: an archive of pynetdicom with Query/Retrieve (`peers/archive_peer.py`), which answers as the test says.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::fixtures::PATIENCE;
use super::pynetdicom::installed;

pub struct ArchivePeer {
    pub port: u16,
    /// What it has told so far.
    told: Arc<Mutex<Vec<Value>>>,
    /// It ends with this.
    _stdin: ChildStdin,
    _child: Child,
}

impl ArchivePeer {
    pub const AE_TITLE: &str = "ARCHIVE";

    pub async fn start(order: Value) -> Option<Self> {
        let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
        if !installed(&python).await {
            return None;
        }
        let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let root = above.find(|folder| folder.join("Cargo.lock").is_file()).unwrap();
        let mut child = Command::new(python)
            .arg(root.join("daemon/node/tests/peers/archive_peer.py"))
            .arg(order.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the archive starts");
        let first: Value = serde_json::from_str(&first.unwrap().expect("the archive runs")).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = told.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Some(Self { port, told, _stdin: child.stdin.take().unwrap(), _child: child })
    }

    /// How often it told of this.
    pub fn count(&self, event: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|told| told["event"] == event).count()
    }
}
