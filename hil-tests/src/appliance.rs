//! The device under test: a separate `scansided` process with a private bus and a folder. It can be killed, like a box
//! that loses power, and started again on what is left on the disk. When a test fails, log, database and spool are
//! kept.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use scanside_client::ManagerProxy;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::bus::Bus;
use crate::{coarse, deadline, tools};

/// Longest time from the start of the process to its answer on the bus. It is long because the daemon checks the
/// custody log first and the machine may be busy.
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How the box is set up. By default series are complete after a short time, and there are no destinations.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Name, AE title and address of each archive. All are simulated archives, so they accept results of simulated
    /// devices.
    pub destinations: Vec<(String, String, SocketAddr)>,
    /// Seconds of silence that complete a series.
    pub quiet_secs: f64,
    /// Directory of model packages.
    pub packages: PathBuf,
    /// The box has a copy of these packages whose chest network looks on a [`coarse`] grid.
    pub coarse: bool,
    /// A configuration fragment that overrides everything above.
    pub extra: String,
    /// Folder of the box; a temporary one when absent.
    pub folder: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            quiet_secs: 2.0,
            packages: tools::workspace().join("models/packages"),
            coarse: false,
            extra: String::new(),
            folder: None,
        }
    }
}

impl Setup {
    /// For tests of what happens around a result, which need a result and not a good one: the analysis takes a quarter of the time.
    #[must_use]
    pub fn coarse() -> Self {
        Self { coarse: true, ..Self::default() }
    }
}

#[derive(Debug)]
pub struct Appliance {
    pub bus: Bus,
    pub address: SocketAddr,
    home: Home,
    process: Option<Child>,
}

#[derive(Debug)]
enum Home {
    Ours(TempDir),
    Given(PathBuf),
}

impl Appliance {
    pub const AE_TITLE: &str = "SCANSIDE";

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// When a program is missing, or the daemon ends or stays silent; with the end of its log.
    pub async fn start(setup: &Setup) -> Result<Self> {
        let home = match &setup.folder {
            Some(folder) => Home::Given(folder.clone()),
            None => Home::Ours(tempfile::Builder::new().prefix("scanside-").tempdir()?),
        };
        let folder = home.path();
        fs::create_dir_all(folder.join("config.d"))?;
        fs::create_dir_all(folder.join("spool"))?;
        let bus = Bus::start().await?;
        let packages = if setup.coarse {
            let copy = folder.join("packages");
            coarse::packages(&setup.packages, &copy)?;
            copy
        } else {
            setup.packages.clone()
        };
        fs::write(folder.join("config.d/10-bench.toml"), setup.fragment(folder, &packages, &bus.address))?;
        fs::write(folder.join("config.d/20-extra.toml"), &setup.extra)?;
        let mut appliance = Self { bus, address: SocketAddr::from(([127, 0, 0, 1], 0)), home, process: None };
        appliance.restart().await?;
        // The port stays the same after a restart, because scanners are configured with it.
        let fragment = format!("[dicom]\nlisten = \"{}\"\n", appliance.address);
        fs::write(appliance.folder().join("config.d/30-port.toml"), fragment)?;
        Ok(appliance)
    }

    /// Starts the daemon again on what is in the folder. It must not be running.
    ///
    /// # Errors
    /// As [`Appliance::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Starts the process and does not wait until it answers.
    ///
    /// # Errors
    /// When it is running already or cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("scansided is running already");
        }
        let log = || OpenOptions::new().create(true).append(true).open(self.log_file());
        let child = Command::new(tools::our_binary("scansided")?)
            .arg("--config")
            .arg(self.folder().join("config.d"))
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
            .env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime())
            // As in scansided.service.
            .env("MALLOC_MMAP_THRESHOLD_", "262144")
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .kill_on_drop(true)
            .spawn()
            .context("start scansided")?;
        self.process = Some(child);
        Ok(())
    }

    /// Waits until the daemon answers on the bus with the address it listens on, and has opened the custody log or says why
    /// it cannot.
    ///
    /// # Errors
    /// When the daemon ends or stays silent; with the end of its log.
    pub async fn ready(&mut self) -> Result<()> {
        let manager = self.manager().await?;
        let process = &mut self.process;
        let waited = deadline::until("scansided on the bus", START_WITHIN, || {
            let ended = process.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let manager = &manager;
            async move {
                if let Some(status) = ended {
                    return Some(Err(status));
                }
                let address = manager.dicom_address().await.ok()?;
                if manager.level_reason().await.ok()?.starts_with("starting") {
                    return None;
                }
                address.parse::<SocketAddr>().ok().filter(|address| address.port() != 0).map(Ok)
            }
        })
        .await;
        match waited {
            Ok(Ok(address)) => {
                self.address = SocketAddr::from(([127, 0, 0, 1], address.port()));
                Ok(())
            }
            Ok(Err(status)) => bail!("scansided ended ({status}):\n{}", self.log_tail()),
            Err(error) => bail!("{error:#}; log:\n{}", self.log_tail()),
        }
    }

    /// The root object on the bus. Properties are not cached: each read asks the daemon.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn manager(&self) -> Result<ManagerProxy<'static>> {
        let connection = self.bus.connect().await?;
        Ok(ManagerProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await?)
    }

    /// SIGKILL, the closest thing to a power cut for a process. When this returns, the process has ended.
    ///
    /// # Errors
    /// When there is no process to kill.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.process.take().context("scansided is not running")?;
        child.kill().await.context("kill scansided")
    }

    /// SIGTERM and wait.
    ///
    /// # Errors
    /// When it does not stop in time, or fails.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.process.take().context("scansided is not running")?;
        let id = child.id().context("scansided has ended by itself")?;
        let sent = Command::new("kill").arg("-TERM").arg(id.to_string()).status().await?;
        anyhow::ensure!(sent.success(), "kill -TERM {id}: {sent}");
        let status = timeout(STOP_WITHIN, child.wait()).await.context("scansided does not stop")??;
        anyhow::ensure!(status.success(), "scansided: {status}\n{}", self.log_tail());
        Ok(())
    }

    /// False when the process has ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Where the pages are.
    ///
    /// # Errors
    /// When the daemon has not said it in its log.
    pub fn page(&self) -> Result<String> {
        let log = fs::read_to_string(self.log_file())?;
        let said = log.lines().rev().find_map(|line| line.split_once("page at ")).context("no page is served")?;
        Ok(said.1.trim().to_owned())
    }

    pub fn spool(&self) -> PathBuf {
        self.folder().join("spool")
    }

    pub fn database(&self) -> PathBuf {
        self.spool().join("scanside.db")
    }

    pub fn log_file(&self) -> PathBuf {
        self.folder().join("scansided.log")
    }

    /// The end of the log, for messages.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(4000)..];
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Bytes of memory the process holds (VmRSS).
    ///
    /// # Errors
    /// When there is no such process.
    pub fn resident_bytes(&self) -> Result<u64> {
        resident_bytes(self.process_id()?)
    }

    /// The most memory that the process ever held (VmHWM), bytes.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        peak_resident_bytes(self.process_id()?)
    }

    /// # Errors
    /// When there is no process.
    pub fn process_id(&self) -> Result<u32> {
        self.process.as_ref().and_then(Child::id).context("scansided is not running")
    }
}

/// VmRSS of a process, bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64> {
    status_bytes(process, "VmRSS:")
}

/// VmHWM of a process, bytes: the most that it ever held.
///
/// # Errors
/// When there is no such process.
pub fn peak_resident_bytes(process: u32) -> Result<u64> {
    status_bytes(process, "VmHWM:")
}

fn status_bytes(process: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such field")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no value")?.parse()?;
    Ok(kib * 1024)
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(child) = &mut self.process {
            let _ = child.start_kill();
        }
        if !std::thread::panicking() {
            return;
        }
        if let Home::Ours(folder) = &mut self.home {
            folder.disable_cleanup(true);
        }
        eprintln!("log, database and spool are kept in {}\n{}", self.folder().display(), self.log_tail());
    }
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Ours(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }
}

impl Setup {
    fn fragment(&self, folder: &Path, packages: &Path, bus: &str) -> String {
        let quote = |text: &str| format!("{text:?}");
        let mut text = format!(
            "[device]\nstation_name = \"BENCH\"\n\n\
             [dicom]\nlisten = \"127.0.0.1:0\"\nae_titles = [{ae}]\n\n\
             [spool]\ndirectory = {spool}\nmin_free_mib = 64\nevict_below_mib = 64\nsegment_mib = 16\nready_segments = 2\n\n\
             [series]\nquiet_secs = {quiet:?}\n\n\
             [analyze]\npackages = {packages}\nretry_secs = 0.2\n\n\
             [bus]\naddress = {bus}\n\n\
             [console]\naddress = \"127.0.0.1:0\"\n",
            ae = quote(Appliance::AE_TITLE),
            spool = quote(&folder.join("spool").to_string_lossy()),
            quiet = self.quiet_secs,
            packages = quote(&packages.to_string_lossy()),
            bus = quote(bus),
        );
        for (name, ae_title, address) in &self.destinations {
            let _ = write!(
                text,
                "\n[destination.{name}]\naddress = \"{address}\"\nae_title = {}\nretry_secs = 0.2\nretry_max_secs = 2.0\n\
                 accepts_simulated = true\n",
                quote(ae_title)
            );
        }
        text
    }
}

/// Creates a folder, or empties it, for output that a person will look at.
///
/// # Errors
/// When it cannot be emptied or made.
pub fn fresh_folder(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
    }
    fs::create_dir_all(path).with_context(|| path.display().to_string())?;
    // Better to find out now that the folder cannot be written to than after the study.
    File::create(path.join(".probe")).and_then(|_| fs::remove_file(path.join(".probe")))?;
    Ok(())
}
