//! The process `scansided` as seen by systemd and an administrator: exit codes, notifications, orderly shutdown.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

fn scansided() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scansided"));
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env_remove("RUST_LOG");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn scansided_with_umask_022() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_scansided")]);
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env_remove("RUST_LOG");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A configuration that works on any machine, with `more` added.
fn configuration(directory: &Path, more: &str) -> std::path::PathBuf {
    let file = directory.join("site.toml");
    let spool = directory.join("spool");
    let text = format!(
        "dicom.listen = \"127.0.0.1:0\"\nbus.address = \"none\"\n\
         [spool]\ndirectory = {spool:?}\nsegment_mib = 8\nready_segments = 2\nmin_free_mib = 0\nevict_below_mib = 0\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Every file and directory below `directory` that others may read, write or enter.
fn open_to_others(directory: &Path) -> Vec<std::path::PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // Segments get their final names meanwhile.
        let Ok(facts) = entry.metadata() else { continue };
        if facts.permissions().mode() & 0o077 != 0 {
            found.push(entry.path());
        }
        if facts.is_dir() {
            found.extend(open_to_others(&entry.path()));
        }
    }
    found
}

/// Kills the process if the test does not end it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Receives notifications until one contains the line. Returns all of them.
fn hear(socket: &UnixDatagram, line: &str) -> Vec<String> {
    hear_one(socket, line, |one| one == line)
}

fn hear_one(socket: &UnixDatagram, what: &str, is: impl Fn(&str) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        if let Ok(length) = socket.recv(&mut buffer) {
            heard.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        }
        if heard.iter().any(|one| is(one)) {
            return heard;
        }
    }
    panic!("{what} did not arrive; received {heard:?}");
}

#[test]
fn a_wrong_configuration_ends_with_78_and_names_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = configuration(directory.path(), "segment_mb = 8\n");
    let output = scansided().arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{}:9: spool.segment_mb: unknown key", file.display())), "{said}");
}

#[test]
fn check_config_prints_every_key_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output =
        scansided().arg("--check-config").arg("--config").arg(configuration(directory.path(), "")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("max_pdu = 131072") && said.contains("segment_mib = 8"), "{said}");
    assert!(!directory.path().join("spool").exists());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let mut child =
        scansided().arg("--check-config").arg("--config").arg(configuration(directory.path(), "")).spawn().unwrap();
    // As `| head` that has ended.
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.is_empty(), "{said}");
}

/// A box that ends cannot say why: it stays, refuses, and goes on when the reason has gone.
#[test]
fn a_spool_that_cannot_be_made_is_told_and_made_once_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let (spool, path) = (directory.path().join("spool"), directory.path().join("notify"));
    std::fs::write(&spool, "a file is in the way").unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut command = scansided();
    command.arg("--config").arg(configuration(directory.path(), "")).env("NOTIFY_SOCKET", &path);
    let mut running = Running(command.spawn().unwrap());
    hear_one(&socket, "the reason", |line| line.starts_with("STATUS=Restricted: spool.directory"));
    std::fs::remove_file(&spool).unwrap();
    hear_one(&socket, "Ready", |line| line.starts_with("STATUS=Ready; "));
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
}

/// A dump would hold patients.
fn leaves_no_core_dump(pid: u32) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"], "{core}");
}

#[test]
fn systemd_hears_ready_watchdog_status_and_stopping_and_the_end_is_clean() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // As it is started outside its unit: files would be readable for all.
    let child = scansided_with_umask_022()
        .arg("--config")
        .arg(configuration(directory.path(), ""))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID")
        .spawn()
        .unwrap();
    let mut running = Running(child);
    hear(&socket, "READY=1");
    // Twice, to show that it is repeated.
    hear(&socket, "WATCHDOG=1");
    let heard = hear(&socket, "WATCHDOG=1");
    assert!(heard.iter().any(|line| line.starts_with("STATUS=Ready; ")), "{heard:?}");
    let spool = directory.path().join("spool");
    assert!(spool.join("log").exists());
    assert_eq!(open_to_others(&spool), Vec::<std::path::PathBuf>::new(), "only its own user may read what it keeps");
    leaves_no_core_dump(running.0.id());
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    hear(&socket, "STOPPING=1");
    let status = running.0.wait().unwrap();
    let mut said = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success(), "{status}: {said}");
    assert!(!said.contains('\x1b'), "no colours in a pipe: {said}");
}

/// A box with a state directory, as its unit gives it one.
struct Boxed {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Boxed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self { directory, socket }
    }

    fn command(&self, more: &str) -> Command {
        let mut command = scansided();
        command.arg("--config").arg(configuration(self.directory.path(), more));
        command.args(["--good-after", "0"]).env("STATE_DIRECTORY", self.directory.path());
        command.env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        command
    }

    /// Starts, waits for a line, and for the copy if it is to be kept; then stops. Returns what was logged.
    fn run(&self, more: &str, line: &str, keeps: bool) -> String {
        let mut running = Running(self.command(more).spawn().unwrap());
        hear_one(&self.socket, line, |heard| heard.starts_with(line));
        let deadline = Instant::now() + PATIENCE;
        while keeps && !self.good().exists() {
            assert!(Instant::now() < deadline, "it is not kept");
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
        let mut said = String::new();
        running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        running.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(running.0.wait().unwrap().success(), "{said}");
        said
    }

    fn good(&self) -> std::path::PathBuf {
        self.directory.path().join("last-good.json")
    }
}

#[test]
fn a_bad_configuration_starts_the_last_good_one_is_told_and_heals_when_the_file_is_mended() {
    let a = Boxed::new();
    let output = a.command("segment_mb = 8\n").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "there is no last good one");
    a.run("keep_days = 3\n", "STATUS=Ready; ", true);

    let mut running = Running(a.command("keep_dayss = 4\n").spawn().unwrap());
    let heard = hear_one(&a.socket, "the reason", |line| line.starts_with("STATUS=Ready, reduced: "));
    let told = heard.iter().find(|line| line.contains("reduced")).unwrap();
    assert!(told.contains("site.toml:9: spool.keep_dayss: unknown key"), "{told}");
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    let mut said = String::new();
    running.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(running.0.wait().unwrap().success());
    let error = said.lines().find(|line| line.contains("ERROR") && line.contains("site.toml:9: spool.keep_dayss"));
    assert!(error.is_some(), "{said}");

    let said = a.run("keep_days = 4\n", "STATUS=Ready; ", true);
    assert!(!said.contains("last good configuration is used"), "{said}");
    // The check of a configuration is about the files, whatever the daemon could start with.
    let output = a.command("keep_dayss = 4\n").arg("--check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
}

/// Promise: studies are received whatever has become of the files of one peer or of the page.
#[test]
fn a_token_and_a_certificate_that_are_gone_stop_no_start_are_told_and_need_no_restart() {
    let a = Boxed::new();
    let token = a.directory.path().join("token");
    let page = a.directory.path().join("page.pem");
    let more = format!(
        "[destination.pacs]\nurl = \"https://127.0.0.1:1/dicom-web\"\ntoken_file = {token:?}\n\
         tls = {{ check = \"fingerprint\", fingerprint = \"sha256:{}\" }}\n\
         [console]\naddress = \"127.0.0.1:0\"\ncertificate = {page:?}\nkey = {page:?}\n",
        "ab".repeat(32)
    );
    let output = a.command(&more).arg("--check-config").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "who checks is told: {said}");
    assert!(said.contains("destination.pacs.token_file") && said.contains("console.certificate"), "{said}");
    let mut running = Running(a.command(&more).spawn().unwrap());
    let told = "STATUS=Ready, reduced: a file of the configuration cannot be used: console.certificate: ";
    hear_one(&a.socket, told, |line| line.starts_with(told));
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
    assert!(!a.good().exists(), "it has not been seen to work");
}

#[test]
fn who_was_taken_out_is_not_let_in_again_by_the_last_good_configuration() {
    let a = Boxed::new();
    let sender = |title: &str| format!("[[dicom.sender]]\nae_title = \"{title}\"\n");
    a.run(&[sender("CT1"), sender("CT2")].concat(), "STATUS=Ready; ", true);
    let output = a.command(&format!("keep_dayss = 4\n{}", sender("CT3"))).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "nobody of the old list may send any more");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("dicom.sender: the last good configuration cannot be used instead"), "{said}");
    let mut running = Running(a.command(&format!("keep_dayss = 4\n{}", sender("CT1"))).spawn().unwrap());
    let heard = hear_one(&a.socket, "the reason", |line| line.starts_with("STATUS=Ready, reduced: "));
    assert!(heard.iter().any(|line| line.ends_with("is in effect, without sender CT2")), "{heard:?}");
    kill_process(Pid::from_child(&running.0), Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
}
