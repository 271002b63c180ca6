//! Programs that the tests start: those of DCMTK, the validators, and our own binaries.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use needs::Lack;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::deadline;

/// A command for an installed program.
///
/// # Errors
/// When it is not on the PATH: `make setup` installs it.
pub fn command(name: &str) -> Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|d| d.join(name)).find(|p| p.is_file());
    let program = found.with_context(|| format!("{name} is not installed: run `make setup`"))?;
    let mut command = Command::new(program);
    command.kill_on_drop(true).env("PATH", validators_path());
    Ok(command)
}

/// Scripts that call `python3` get the Python that has the validators' packages (`SCANSIDE_PYTHON`).
fn validators_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let python = std::env::var_os("SCANSIDE_PYTHON").map_or_else(
        || workspace().join(".cache/python/bin"),
        |python| PathBuf::from(python).parent().map(Path::to_owned).unwrap_or_default(),
    );
    std::env::join_paths(std::iter::once(python).chain(std::env::split_paths(&path))).unwrap_or(path)
}

/// The path of one of our own binaries, in the target folder of the running test or program.
///
/// # Errors
/// When it has not been built.
pub fn our_binary(name: &str) -> Result<PathBuf> {
    let current = std::env::current_exe().context("own path")?;
    // Tests run in target/<profile>/deps, programs in target/<profile>.
    let candidates = current.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built: run `cargo build --workspace` first (`make test` does)"))
}

/// The ONNX Runtime that the environment names, or the one that `make setup` installed.
pub fn onnxruntime() -> PathBuf {
    let fetched = || workspace().join(".cache/onnxruntime/libonnxruntime.so");
    std::env::var_os("SCANSIDE_ONNXRUNTIME").map_or_else(fetched, PathBuf::from)
}

/// The root of the workspace this was built in; `SCANSIDE_WORKSPACE` names it where the programs were carried elsewhere.
pub fn workspace() -> PathBuf {
    if let Some(root) = std::env::var_os("SCANSIDE_WORKSPACE").filter(|root| !root.is_empty()) {
        return root.into();
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Test data that is not part of the project. When it is absent, reports that the test is skipped.
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SCANSIDE_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    needs::skip(Lack::SharedData, format_args!("../shared/{name} not present"));
    None
}

/// DCMTK's storescp, listening on a free port.
#[derive(Debug)]
pub struct Storescp {
    pub address: SocketAddr,
    child: Child,
}

impl Storescp {
    /// Writes what it receives to `folder`.
    ///
    /// # Errors
    /// When storescp is missing or does not begin to listen.
    pub async fn start(folder: &Path, options: &[&str]) -> Result<Self> {
        let address = free_address()?;
        let child = command("storescp")?
            .args(options)
            .arg("-od")
            .arg(folder)
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        listening(address).await?;
        Ok(Self { address, child })
    }

    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// A port that was free a moment ago, for programs that cannot choose a free port and tell us which.
///
/// # Errors
/// When no port can be had.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Waits until a program accepts connections there.
///
/// # Errors
/// When none does within ten seconds.
pub async fn listening(address: SocketAddr) -> Result<()> {
    deadline::until(&format!("a listener on {address}"), Duration::from_secs(10), || async move {
        TcpStream::connect(address).await.ok().map(|_| ())
    })
    .await
}
