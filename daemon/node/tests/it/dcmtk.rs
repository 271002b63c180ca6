//! DCMTK's tools as peers, where they are installed.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

/// Whether `tool` is installed; says so when not.
pub fn installed(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file()));
    if !found {
        needs::skip(needs::Lack::Software, format_args!("{tool} not installed"));
    }
    found
}

/// Runs a DCMTK client to its end.
pub async fn run(tool: &str, arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(tool)
        .args(arguments)
        .args(files)
        .env("TCP_NODELAY", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// A `storescp` that keeps what it gets, bit for bit, in `directory`, and its port.
pub async fn storescp(directory: &Path, arguments: &[&str]) -> (Child, u16) {
    // storescp cannot take a free port by itself: this one was free a moment ago.
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new("storescp")
            .args(["--bit-preserving", "-od"])
            .arg(directory)
            .args(arguments)
            .arg(port.to_string())
            .env("TCP_NODELAY", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        loop {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return (child, port);
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    panic!("storescp finds no port");
}
