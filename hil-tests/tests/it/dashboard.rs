//! `scansidectl watch` on a terminal, with a real daemon: it shows what happens, outlives the daemon, gives the terminal back, and
//! passes nothing on to it that a scanner has sent.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::part10::{Instance, element, part10};
use hil_tests::{deadline, tools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const WITHIN: Duration = Duration::from_secs(60);

/// A terminal of 80 x 24 with a shell in it that runs the dashboard. `script` (bsdutils, in every Debian) makes the pseudo-terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
    folder: tempfile::TempDir,
}

impl Terminal {
    fn start(bus: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (at, program) = (folder.path().display(), tools::our_binary("scansidectl").unwrap());
        let inside = format!(
            "cd {at}; stty rows 24 cols 80; stty -a > before; \
             sh -c 'echo $$ > pid; exec {} --bus {bus} watch --language en'; \
             echo $? > code; stty -a > after",
            program.display()
        );
        let mut child = Command::new("script")
            .args(["-q", "-f", "-c", &inside, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let written = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn({
            let written = written.clone();
            async move {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes).await {
                    written.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
            }
        });
        Self { child, keys, written, folder }
    }

    async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// What a person sees now.
    fn seen(&self) -> String {
        seen(&self.raw())
    }

    async fn until_seen(&self, what: &str) {
        let looked = deadline::until_true(what, WITHIN, || self.seen().contains(what)).await;
        looked.unwrap_or_else(|error| panic!("{error:#}\n{}", self.seen()));
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits for the shell; the dashboard has ended with this code, and the terminal is as it was.
    async fn has_ended_with(mut self, code: &str) {
        tokio::time::timeout(WITHIN, self.child.wait()).await.unwrap().unwrap();
        deadline::until_true("the last bytes", WITHIN, || self.raw().ends_with("\x1b[?1049l")).await.unwrap_or_else(
            |_| panic!("the screen is not given back: {:?}", self.raw().chars().rev().take(80).collect::<String>()),
        );
        assert!(self.raw().contains("\x1b[?25h"), "the cursor is shown again");
        assert_eq!(self.file("code").trim(), code);
        assert_eq!(self.file("before"), self.file("after"), "modes of the terminal");
    }
}

/// A terminal as small as the dashboard needs it: places, and text.
fn seen(bytes: &str) -> String {
    let mut cells: BTreeMap<(usize, usize), char> = BTreeMap::new();
    let ((mut row, mut column), mut rest) = ((1, 1), bytes);
    while let Some(next) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\x1b[") {
            let end =
                sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_else(|| sequence.len().saturating_sub(1));
            match (&sequence[..end], sequence[end..].chars().next()) {
                (place, Some('H')) => {
                    let numbers: Vec<usize> = place.split(';').filter_map(|number| number.parse().ok()).collect();
                    (row, column) = (numbers.first().copied().unwrap_or(1), numbers.get(1).copied().unwrap_or(1));
                }
                ("2", Some('J')) => cells.clear(),
                _ => {}
            }
            rest = sequence.get(end + 1..).unwrap_or_default();
        } else {
            cells.insert((row, column), next);
            column += 1;
            rest = &rest[next.len_utf8()..];
        }
    }
    let line = |row: usize| -> String {
        (1..=80)
            .map(|column| cells.get(&(row, column)).copied().unwrap_or(' '))
            .collect::<String>()
            .trim_end()
            .to_owned()
    };
    (1..=24).map(line).collect::<Vec<_>>().join("\n")
}

/// One slice, which is refused; the description tries to set the title of the terminal and to wipe it.
fn slice(study: u32) -> Instance {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: &str| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    let uid = format!("2.25.77.{study}.1.1");
    put(0x0008, 0x0016, b"UI", CT);
    put(0x0008, 0x0018, b"UI", &uid);
    put(0x0008, 0x0060, b"CS", "CT");
    put(0x0008, 0x1030, b"LO", "Chest\x1b]0;pwned\x07\x1b[2J\u{9b}2J");
    put(0x0008, 0x103E, b"LO", "Lung\x1b]0;pwned\x07");
    put(0x0010, 0x0010, b"PN", "Secret^Name");
    put(0x0010, 0x0020, b"LO", "P-SECRET");
    put(0x0020, 0x000D, b"UI", &format!("2.25.77.{study}"));
    put(0x0020, 0x000E, b"UI", &format!("2.25.77.{study}.1"));
    put(0x0020, 0x0032, b"DS", "0\\0\\0");
    put(0x0020, 0x0037, b"DS", "1\\0\\0\\0\\1\\0");
    for (number, value) in [(0x0010_u16, 64_u16), (0x0011, 64), (0x0100, 16), (0x0101, 16), (0x0102, 15), (0x0103, 1)] {
        element(&mut bytes, (0x0028, number), b"US", &value.to_le_bytes());
    }
    element(&mut bytes, (0x7FE0, 0x0010), b"OW", &[0; 64 * 64 * 2]);
    Instance::from_part10(&part10(CT, &uid, EXPLICIT, &bytes)).unwrap()
}

async fn send(appliance: &Appliance, study: u32) {
    let scanner = Modality::new(appliance.address, "CT1", Appliance::AE_TITLE);
    scanner.send(&[slice(study)], |_, _| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_outlives_the_daemon_and_gives_the_terminal_back() {
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    let mut terminal = Terminal::start(&appliance.bus.address);
    terminal.until_seen("WELL  everything works").await;
    terminal.until_seen("no study yet").await;
    send(&appliance, 1).await;
    terminal.until_seen("refused").await;

    appliance.kill().await.unwrap();
    terminal.until_seen("no connection to the daemon; trying again").await;
    appliance.restart().await.unwrap();
    terminal.until_seen("WELL  everything works").await;
    send(&appliance, 2).await;
    terminal.until_seen("2 studies").await;

    // The journal of a study, and back; then names, which are hidden until somebody asks for them.
    terminal.press("\r").await;
    terminal.until_seen("Journal").await;
    assert!(!terminal.raw().contains("Secret"), "{}", terminal.seen());
    terminal.press("\x7f").await;
    terminal.until_seen("Destinations").await;
    terminal.press("n").await;
    terminal.until_seen("P-SECRET").await;
    for steers in ["\x1b]", "\x07", "\u{9b}"] {
        assert!(!terminal.raw().contains(steers), "{steers:?} of a scanner reached the terminal");
    }
    terminal.press("q").await;
    terminal.has_ended_with("0").await;
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_dashboard_and_gives_the_terminal_back() {
    let appliance = Appliance::start(&Setup::default()).await.unwrap();
    for signal in ["-TERM", "-HUP", "-INT"] {
        let terminal = Terminal::start(&appliance.bus.address);
        terminal.until_seen("everything works").await;
        let pid = terminal.file("pid");
        assert!(Path::new("/proc").join(pid.trim()).exists());
        let sent = Command::new("kill").args([signal, pid.trim()]).status().await.unwrap();
        assert!(sent.success());
        terminal.has_ended_with("0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_dashboard_waits_for_one() {
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    appliance.stop().await.unwrap();
    let mut terminal = Terminal::start(&appliance.bus.address);
    terminal.until_seen("no connection to the daemon; trying again").await;
    appliance.restart().await.unwrap();
    terminal.until_seen("everything works").await;
    terminal.press("\x03").await;
    terminal.has_ended_with("0").await;
    appliance.stop().await.unwrap();
}
