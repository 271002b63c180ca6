//! A study on another machine by the Open Inference Protocol: the same phantom here and there, the cable pulled in the middle, and
//! servers and a caller that nobody here wrote (`hil-tests/scripts/inference.sh` installs them; without them: skipped).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::compare::{Evaluated, Findings};
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{deadline, tools};
use needs::Lack;
use phantom::{Options, Phantom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::Records;

const SETTLED_WITHIN: Duration = Duration::from_secs(400);

/// A box that serves neighbours on this machine.
fn serving(address: SocketAddr) -> Setup {
    Setup { extra: format!("[inference]\naddress = \"{address}\"\n"), ..Setup::coarse() }
}

/// A box that may use the host at this address.
fn using(address: SocketAddr, more: &str) -> Setup {
    let extra = format!("[inference_host.gpu1]\nurl = \"http://{address}\"\n{more}");
    Setup { extra, quiet_secs: 0.5, ..Setup::coarse() }
}

/// Sends the phantom, and returns what the box found in it, its report as text, and what the journal says of the host.
async fn read(appliance: &Appliance) -> (Findings, String, String) {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(7, &options).unwrap();
    let sent: Vec<_> = study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    Modality::new(appliance.address, "CT1", Appliance::AE_TITLE)
        .send_until_acknowledged(&sent, SETTLED_WITHIN, |_, _| {})
        .await
        .unwrap();
    let records = Records::open(appliance).unwrap();
    // The localiser is a series of its own.
    let done = || records.is_settled(2).unwrap();
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    let series = records.series().unwrap();
    let read = series.iter().find(|one| one.state == "processed");
    let read = read.unwrap_or_else(|| panic!("{:?}", series.iter().map(|one| &one.verdict).collect::<Vec<_>>()));
    let findings = records.findings(&read.study_uid).unwrap().remove(0);
    let results = records.results().unwrap();
    let report = results.iter().find(|result| result.kind == "sr").unwrap();
    let report = format!("{:?}", dicom_object::open_file(&report.file).unwrap());
    let told =
        records.events().unwrap().into_iter().filter(|(what, _)| what == "inference host").map(|(_, detail)| detail);
    (findings, report, told.collect())
}

/// Nodules are the same, within what two runs of one network may differ.
fn same(one: &Findings, other: &Findings) {
    let (Evaluated::Done(one), Evaluated::Done(other)) = (&one.nodules, &other.nodules) else {
        panic!("not evaluated")
    };
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        let apart = (one.diameter_mm - other.diameter_mm).abs();
        assert!(apart < 0.1, "{one:?} {other:?}");
    }
}

/// Between the two boxes; carries so many bytes towards the host and then, on every connection, nothing any more.
struct Cable {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pulled {
    /// Both ends see it.
    Cut,
    /// Nobody sees it: all is silent.
    Silent,
}

impl Cable {
    async fn lay(to: SocketAddr, bytes: u64, then: Pulled) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(AtomicU64::new(bytes));
        let task = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(near, to, left.clone(), then));
            }
        });
        Self { address, task }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(near: TcpStream, to: SocketAddr, left: Arc<AtomicU64>, then: Pulled) {
    let far = TcpStream::connect(to).await.unwrap();
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let back = async {
        let _ = tokio::io::copy(&mut far_in, &mut near_out).await;
    };
    let there = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(read @ 1..) = near_in.read(&mut buffer).await else { return };
            let had = left.load(Ordering::SeqCst);
            left.store(had.saturating_sub(read as u64), Ordering::SeqCst);
            if had < read as u64 {
                if then == Pulled::Silent {
                    std::future::pending::<()>().await;
                }
                return;
            }
            if far_out.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = back => {}
        () = there => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ct_is_read_the_same_at_a_neighbour_and_here_and_the_cable_may_be_pulled() {
    let address = tools::free_address().unwrap();
    let mut neighbour = Appliance::start(&serving(address)).await.unwrap();
    tools::listening(address).await.unwrap();

    let mut alone = Appliance::start(&Setup { quiet_secs: 0.5, ..Setup::coarse() }).await.unwrap();
    let (here, report, told) = read(&alone).await;
    assert!(report.contains("cpu, ONNX Runtime") && !report.contains("gpu1") && told.is_empty(), "{told}");
    alone.stop().await.unwrap();

    let mut box_ = Appliance::start(&using(address, "deadline_secs = 120.0\n")).await.unwrap();
    let (there, report, told) = read(&box_).await;
    println!("{told}");
    same(&here, &there);
    assert!(report.contains("inference host, gpu1 (http://") && report.contains("scanside"), "{}", box_.log_tail());
    assert!(told.contains("runs at gpu1") && !told.contains(" here"), "{told}");
    box_.stop().await.unwrap();

    // Two patches of 10.6 MB each have gone, the third has not.
    for then in [Pulled::Cut, Pulled::Silent] {
        let cable = Cable::lay(address, 25_000_000, then).await;
        let setup = using(cable.address, "deadline_secs = 20.0\nretry_secs = 600.0\n");
        let mut box_ = Appliance::start(&setup).await.unwrap();
        let (mixed, report, told) = read(&box_).await;
        println!("{told}");
        same(&here, &mixed);
        assert!(report.contains("made partly at gpu1"), "the report says who made it: {told}");
        assert!(told.contains("2 runs at gpu1") && told.contains(" here; gpu1: "), "{told}");
        let log = std::fs::read_to_string(box_.log_file()).unwrap();
        assert!(log.contains("an inference host is not used"), "{}", box_.log_tail());
        box_.stop().await.unwrap();
    }
    neighbour.stop().await.unwrap();
}

/// The chest network: its file, and its hash.
fn network() -> (PathBuf, String) {
    let package = tools::workspace().join("models/packages/ct-chest");
    let manifest = std::fs::read_to_string(package.join("model.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("\"chest.onnx\"")).unwrap();
    (package.join("chest.onnx"), line.split('"').nth(3).unwrap().to_owned())
}

/// Python of one of the peers.
fn python(of: &str) -> Option<PathBuf> {
    let folder = tools::workspace().join(".cache/inference").join(of);
    if folder.join("ready").exists() {
        return Some(folder.join("bin/python"));
    }
    needs::skip(Lack::LargePeer, format_args!("no {}: hil-tests/scripts/inference.sh", folder.display()));
    None
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/inference_servers.py")
}

async fn peer(python: &Path, arguments: &[&str], address: SocketAddr) -> Child {
    let mut command = Command::new(python);
    let child = command.arg("-B").arg(script()).args(arguments).kill_on_drop(true).spawn().unwrap();
    let there = || async { TcpStream::connect(address).await.ok() };
    deadline::until("the server to listen", Duration::from_secs(120), there).await.unwrap();
    child
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_kserve_reads_a_ct_as_this_box_does_and_may_be_killed() {
    let Some(python) = python("kserve") else { return };
    let (address, (file, sha256)) = (tools::free_address().unwrap(), network());
    let name = format!("ct-chest-sha256-{sha256}");
    let port = address.port().to_string();
    let mut server = peer(&python, &["kserve", &port, &name, file.to_str().unwrap()], address).await;
    let mut alone = Appliance::start(&Setup { quiet_secs: 0.5, ..Setup::coarse() }).await.unwrap();
    let (here, ..) = read(&alone).await;
    alone.stop().await.unwrap();
    let mut box_ = Appliance::start(&using(address, "deadline_secs = 120.0\n")).await.unwrap();
    let (there, report, told) = read(&box_).await;
    println!("{told}");
    same(&here, &there);
    assert!(report.contains("inference host, gpu1 (http://"), "{told}\n{}", box_.log_tail());
    assert!(told.contains("runs at gpu1") && !told.contains(" here"), "{told}");
    server.kill().await.unwrap();
    box_.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_tritons_client_asks_this_box() {
    let Some(python) = python("venv") else { return };
    let address = tools::free_address().unwrap();
    let mut box_ = Appliance::start(&serving(address)).await.unwrap();
    tools::listening(address).await.unwrap();
    let golden = tools::workspace().join("models/packages/ct-chest/golden");
    let mut command = Command::new(python);
    command.arg("-B").arg(script()).args(["triton", &address.to_string(), "ct-chest", &network().1]);
    let output = command.arg(golden.join("input.npy")).arg(golden.join("expected.npy")).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", box_.log_tail());
    assert!(said.contains("refused:"), "{said}");
    box_.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_mlserver_is_known_by_its_hash_and_gives_the_known_answer_in_json() {
    let Some(python) = python("venv") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (address, (file, sha256)) = (tools::free_address().unwrap(), network());
    let (port, settings) = (address.port().to_string(), folder.path().join("mlserver"));
    let of = |hash: &str| {
        ["mlserver", &port, settings.to_str().unwrap(), "ct-chest", hash, file.to_str().unwrap()].map(str::to_owned)
    };
    let start = async |hash: &str| {
        let arguments = of(hash);
        peer(&python, &arguments.each_ref().map(String::as_str), address).await
    };
    let mut box_ = Appliance::start(&using(address, "deadline_secs = 60.0\n")).await.unwrap();
    let echo = async |wanted: &str| {
        // It listens before it is ready.
        let ask = || async {
            let mut command = Command::new(tools::our_binary("scansidectl").unwrap());
            command.args(["--json", "peers", "echo", "gpu1", "--config"]).arg(box_.folder().join("config.d"));
            let output = command.env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime()).output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.contains(wanted).then_some(said)
        };
        deadline::until(wanted, Duration::from_secs(60), ask).await.unwrap()
    };
    let mut server = start(&sha256).await;
    println!("{}", echo("mlserver 1.7.1) runs ct-chest").await);
    server.kill().await.unwrap();
    server.wait().await.unwrap();
    println!("{}", echo("cannot be reached").await);
    let mut server = start(&"0".repeat(64)).await;
    println!("{}", echo("another network").await);
    server.kill().await.unwrap();
    box_.stop().await.unwrap();
}
