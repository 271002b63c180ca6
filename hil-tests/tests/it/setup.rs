//! `scansidectl setup` against real peers: DCMTK's storescp, an archive of pynetdicom that insists on its AE title, a closed port,
//! the running box, and a person who types.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::tools;
use needs::Lack;
use serde_json::Value;
use tempfile::TempDir;

const SITE: &str = "# Clinic A, room 3\n[device]\nserial_number = \"SN-1\" # on the back\n";

/// A folder with a site's configuration.
struct Site {
    folder: TempDir,
}

struct Said {
    code: Option<i32>,
    json: Value,
    errors: String,
}

impl Said {
    fn check(&self, name: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}: {}", self.json))
    }
}

impl Site {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("config.d")).unwrap();
        std::fs::create_dir_all(folder.path().join("spool")).unwrap();
        // A machine whose zone nobody has chosen.
        std::fs::create_dir_all(folder.path().join("root/etc")).unwrap();
        std::os::unix::fs::symlink("/usr/share/zoneinfo/Etc/UTC", folder.path().join("root/etc/localtime")).unwrap();
        let port = tools::free_address().unwrap().port();
        let spool = folder.path().join("spool");
        let bench = format!(
            "dicom.listen = \"127.0.0.1:{port}\"\nbus.address = \"none\"\nspool.directory = {spool:?}\nspool.min_free_mib = 0\n"
        );
        std::fs::write(folder.path().join("config.d/10-bench.toml"), bench).unwrap();
        std::fs::write(folder.path().join("config.d/50-site.toml"), text).unwrap();
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.d")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.config().join("50-site.toml")).unwrap()
    }

    fn setup(&self, arguments: &[&str]) -> Said {
        setup(&self.config(), "unix:path=/nonexistent", arguments, "")
    }
}

fn setup(config: &Path, bus: &str, arguments: &[&str], typed: &str) -> Said {
    let root = config.parent().unwrap().join("root");
    let mut child = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--json", "--bus", bus, "setup", "--config"])
        .arg(config)
        .args(arguments)
        .args(["--root".as_ref(), if root.exists() { root.as_os_str() } else { "/".as_ref() }])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended before it asked.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = child.wait_with_output().unwrap();
    Said {
        code: output.status.code(),
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// An archive that refuses whoever calls it by another name than PACS.
struct Strict {
    child: Child,
    port: String,
}

impl Strict {
    fn start() -> Option<Self> {
        let program = "import sys\n\
            from pynetdicom import AE, AllStoragePresentationContexts as ALL, evt\n\
            from pynetdicom.sop_class import Verification\n\
            ae = AE(ae_title='PACS')\n\
            ae.require_called_aet = True\n\
            ae.supported_contexts = ALL\n\
            ae.add_supported_context(Verification)\n\
            server = ae.start_server(('127.0.0.1', 0), block=False)\n\
            print(server.socket.getsockname()[1], flush=True)\n\
            sys.stdin.read()\n";
        let python = std::env::var_os("SCANSIDE_PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(python)
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let mut strict = Self { child, port: port.trim().to_owned() };
        if strict.port.is_empty() {
            strict.stop();
            needs::skip(Lack::Software, "pynetdicom is not installed");
            return None;
        }
        Some(strict)
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_set_up_by_options_against_a_real_archive_and_keeps_its_comments() {
    let archive = tempfile::tempdir().unwrap();
    let storescp = tools::Storescp::start(archive.path(), &[]).await.unwrap();
    let site = Site::new(SITE);
    let port = tools::free_address().unwrap().port().to_string();
    let destination = format!("PACS@{}", storescp.address);
    let options = ["--ae-title", "BOX1", "--port", &port, "--sender", "CT1@localhost", "--destination", &destination];
    let said = site.setup(&[&options[..], &["--language", "zh", "--dry-run", "--yes"]].concat());
    assert_eq!((said.code, site.text().as_str()), (Some(0), SITE), "a dry run writes nothing: {}", said.errors);
    let said = site.setup(&[&options[..], &["--language", "zh", "--yes"]].concat());
    assert_eq!((said.code, &said.json["written"]), (Some(0), &Value::Bool(true)), "{} {}", said.errors, said.json);
    for check in ["ae_title", "port", "sender", "destination", "language"] {
        assert_eq!(said.check(check)["passed"], true, "{}", said.json);
    }
    assert_eq!(said.check("destination")["probe"]["passed"].as_array().unwrap().len(), 5, "every step of it");
    assert!(said.check("disk")["seen"]["en"].as_str().unwrap().contains("studies a day fit"), "{}", said.json);
    let text = site.text();
    assert!(text.starts_with(SITE.split_once("serial").unwrap().0) && text.contains("# on the back"), "{text}");
    let settings = config::load(&[site.config()]).unwrap();
    assert_eq!(settings.dicom.ae_titles, ["BOX1"]);
    assert_eq!(settings.dicom.listen.port().to_string(), port);
    assert_eq!(settings.dicom.sender[0].ae_title, "CT1");
    assert!(settings.dicom.sender[0].address.unwrap().is_loopback());
    let pacs = &settings.destination["pacs"];
    assert_eq!((pacs.address.as_str(), pacs.ae_title.as_str()), (storescp.address.to_string().as_str(), "PACS"));
    assert_eq!((pacs.calling_ae_title.as_str(), settings.device.key_image_language.as_str()), ("BOX1", "zh-CN"));

    let nowhere = site.setup(&["--destination", "-", "--yes"]);
    assert_eq!((nowhere.code, &nowhere.json["written"]), (Some(0), &Value::Bool(true)), "{}", nowhere.errors);
    assert!(config::load(&[site.config()]).unwrap().destination.is_empty(), "{}", site.text());
    config::edit::revert(&[site.config()], None).unwrap();
    assert_eq!(site.text(), text, "one step back");

    let again = site.setup(&["--yes"]);
    assert_eq!((again.code, &again.json["written"]), (Some(0), &Value::Bool(false)), "it is so already");
    assert_eq!(again.json["differs"].as_array().unwrap().len(), 0, "{}", again.json);
    // A step back is a step itself, so the setup is by its number.
    config::edit::revert(&[site.config()], Some(1)).unwrap();
    assert_eq!(site.text(), SITE, "as before the setup");
}

#[test]
fn a_wrong_ae_title_and_a_closed_port_are_told_by_their_step_and_not_written() {
    let Some(strict) = Strict::start() else { return };
    let site = Site::new(SITE);
    let (right, wrong) = (format!("PACS@127.0.0.1:{}", strict.port), format!("PACZ@127.0.0.1:{}", strict.port));
    let said = site.setup(&["--destination", &wrong, "--yes"]);
    assert_eq!((said.code, site.text().as_str()), (Some(1), SITE), "{}", said.errors);
    let failed = &said.check("destination")["probe"]["failed"];
    assert_eq!((&failed["step"], &failed["cause"]), (&"association".into(), &"called-ae".into()), "{}", said.json);
    assert!(said.errors.contains("not written: destination did not pass"), "{}", said.errors);

    let closed = format!("PACS@{}", tools::free_address().unwrap());
    let said = site.setup(&["--destination", &closed, "--yes"]);
    let failed = &said.check("destination")["probe"]["failed"];
    assert_eq!((&failed["step"], &failed["cause"]), (&"connection".into(), &"port-closed".into()), "{}", said.json);
    let said = site.setup(&["--destination", &closed, "--yes", "--keep-anyway"]);
    assert_eq!((said.code, &said.json["written"]), (Some(0), &Value::Bool(true)), "the archive may come later");
    assert_eq!(site.setup(&["--destination", &right, "--yes"]).code, Some(0));
}

#[test]
fn a_person_is_told_what_is_wrong_and_asked_again() {
    let Some(strict) = Strict::start() else { return };
    let site = Site::new(SITE);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port();
    let free = tools::free_address().unwrap().port();
    let port = &strict.port;
    // Each answer that does not pass is followed by Enter, which asks again.
    let typed = format!(
        "SEVENTEEN_LETTERS\n\nBOX1\n{taken}\n\n{free}\nCT1@no-such-host.invalid\n\nCT1\n\
         PACZ@127.0.0.1:{port}\n\nPACS@127.0.0.1:{port}\nfr\n\nen\n\n\nAsia/Nowhere\n\nUTC\ny\n"
    );
    let said = setup(&site.config(), "unix:path=/nonexistent", &[], &typed);
    assert_eq!((said.code, &said.json["written"]), (Some(0), &Value::Bool(true)), "{} {}", said.errors, said.json);
    let settings = config::load(&[site.config()]).unwrap();
    let listen = settings.dicom.listen.port();
    assert_eq!((settings.dicom.ae_titles, listen), (vec!["BOX1".into()], free));
    assert_eq!((settings.dicom.sender[0].ae_title.as_str(), settings.dicom.sender[0].address), ("CT1", None));
    assert_eq!(settings.destination["pacs"].address, format!("127.0.0.1:{port}"));
    assert!(settings.device.utc_is_right, "Enter is no answer, and it was asked again");
    assert!(said.errors.contains("Time zone of the clinic"), "{}", said.errors);

    let before = site.text();
    let free = free.to_string();
    // After an answer that cannot be kept, Enter means what was there before.
    let said = setup(&site.config(), "unix:path=/nonexistent", &["--port", &free], "SEVENTEEN_LETTERS\n\n\n\n\n\n\n");
    assert_eq!((said.code, said.json["differs"].as_array().map(Vec::len)), (Some(0), Some(0)), "{}", said.errors);
    for typed in ["BOX2\n\n\n\n\n\n\nn\n", "BOX2\n", "SEVENTEEN_LETTERS\nq\n"] {
        let said = setup(&site.config(), "unix:path=/nonexistent", &["--port", &free], typed);
        assert_ne!(said.json["written"], true, "{typed:?}: {}", said.errors);
        assert_eq!(site.text(), before, "{typed:?}");
    }
}

#[test]
fn answers_come_from_a_file_and_a_wrong_one_is_not_written() {
    let site = Site::new(SITE);
    let file = site.folder.path().join("answers.toml");
    std::fs::write(&file, "ae_title = \"BOX1\"\nport = 0\n").unwrap();
    let said = site.setup(&["--answers", file.to_str().unwrap(), "--yes", "--keep-anyway"]);
    assert_eq!((said.code, site.text().as_str()), (Some(1), SITE));
    assert!(said.errors.contains("port: 0 is no port"), "{}", said.errors);
    std::fs::write(&file, "ae_titel = \"BOX1\"\n").unwrap();
    let said = site.setup(&["--answers", file.to_str().unwrap(), "--yes"]);
    assert!(said.errors.contains("unknown field `ae_titel`"), "{}", said.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_box_has_its_own_port_and_answers_itself() {
    let appliance = Appliance::start(&Setup::default()).await.unwrap();
    let config = appliance.folder().join("config.d");
    let bus = appliance.bus.address.clone();
    let said = tokio::task::spawn_blocking(move || setup(&config, &bus, &["--yes"], "")).await.unwrap();
    assert_eq!(said.code, Some(0), "{} {}", said.errors, said.json);
    assert_eq!(
        (&said.check("port")["passed"], &said.check("self")["passed"]),
        (&true.into(), &true.into()),
        "{}",
        said.json
    );
}

#[test]
fn the_zone_is_asked_for_and_utc_counts_as_right_only_when_somebody_says_so() {
    let site = Site::new(SITE);
    let said = site.setup(&["--yes"]);
    assert_eq!((said.code, said.json["written"].as_bool()), (Some(0), Some(false)), "{}", said.errors);
    assert!(said.check("time_zone")["seen"]["en"].as_str().unwrap().contains("remarking"), "{}", said.json);
    let wrong = site.setup(&["--time-zone", "Asia/Nowhere", "--yes", "--keep-anyway"]);
    assert_eq!((wrong.code, site.text().as_str()), (Some(1), SITE), "{}", wrong.errors);
    let said = site.setup(&["--time-zone", "utc", "--yes"]);
    assert_eq!((said.code, said.json["zone_set"].as_bool()), (Some(0), Some(false)), "{}", said.errors);
    assert!(config::load(&[site.config()]).unwrap().device.utc_is_right, "{}", site.text());
    // Not of the machine that runs the test: what changes it is named, and not run.
    let said = site.setup(&["--time-zone", "asia/shanghai", "--yes"]);
    assert_eq!((said.code, said.json["zone_set"].as_bool()), (Some(0), Some(false)), "{}", said.errors);
    let seen = said.check("time_zone")["seen"]["en"].as_str().unwrap();
    assert!(seen.contains("timedatectl set-timezone Asia/Shanghai"), "{seen}");
    assert!(!config::load(&[site.config()]).unwrap().device.utc_is_right, "{}", site.text());
}
