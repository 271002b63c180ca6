//! DCMTK's tools as peers, where they are installed.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

/// Whether `tool` is installed; reports a skipped test if not.
pub fn installed(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file()));
    if !found {
        needs::skip(needs::Lack::Software, format_args!("{tool} not installed"));
    }
    found
}

/// Runs a DCMTK client and waits until it ends.
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

/// Starts a `storescp` that writes what it receives, unchanged, to `directory`. Returns it and its port.
pub async fn storescp(directory: &Path, arguments: &[&str]) -> (Child, u16) {
    let own = ["--bit-preserving", "-od", directory.to_str().unwrap()];
    listening("storescp", &[&own[..], arguments].concat()).await
}

/// Starts a DCMTK server. Returns it and its port.
pub async fn listening(tool: &str, arguments: &[&str]) -> (Child, u16) {
    // It cannot choose a free port. This one was free a moment ago; if another process took it, try the next.
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(tool)
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
    panic!("{tool} found no free port");
}
