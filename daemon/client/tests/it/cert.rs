//! `scansidectl cert`: what it makes is judged by OpenSSL.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::fixture::scansidectl;

/// Whether OpenSSL is installed; reports a skipped test if not.
fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        needs::skip(needs::Lack::Software, "openssl not installed");
    }
    here
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

fn cert(directory: &Path, arguments: &[&str]) -> Output {
    scansidectl(&[&["--json", "cert"], arguments, &["--dir", directory.to_str().unwrap()]].concat())
}

fn made(directory: &Path, arguments: &[&str]) -> Value {
    let output = cert(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_site_makes_ca_box_and_scanner_and_openssl_trusts_them_for_both_roles() {
    if !openssl_is_here() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let path = |name: &str| site.path().join(name);
    let ca = made(site.path(), &["ca", "--name", "Clinic CA"]);
    assert_eq!((&ca[0]["subject"], &ca[0]["is_ca"]), (&"CN=Clinic CA".into(), &true.into()));
    made(site.path(), &["make", "scanside", "--host", "scanside.test", "--host", "192.0.2.5"]);
    made(site.path(), &["make", "ct1", "--host", "192.0.2.10"]);
    for name in ["ca", "scanside", "ct1"] {
        assert_eq!(mode(&path(&format!("{name}.key"))), 0o600);
        assert_eq!(mode(&path(&format!("{name}.pem"))), 0o644);
    }
    let (ca, scanside) = (path("ca.pem"), path("scanside.pem"));
    let (ca, scanside) = (ca.to_str().unwrap(), scanside.to_str().unwrap());
    for purpose in ["sslserver", "sslclient"] {
        for host in [["-verify_hostname", "scanside.test"], ["-verify_ip", "192.0.2.5"]] {
            openssl(
                &[&["verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose], &host[..], &[scanside]].concat(),
            );
        }
    }
    let shown = &made_show(scanside)[0];
    let said = openssl(&["x509", "-in", scanside, "-noout", "-fingerprint", "-sha256"]);
    let fingerprint = said.trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert_eq!(shown["fingerprint"], format!("sha256:{fingerprint}"));
    let days = shown["days_left"].as_i64().unwrap();
    assert!((820..=825).contains(&days), "{days}");
}

fn made_show(file: &str) -> Value {
    serde_json::from_slice(&scansidectl(&["--json", "cert", "show", file]).stdout).unwrap()
}

#[test]
fn what_was_made_is_taken_by_the_configuration_as_it_is() {
    let site = tempfile::tempdir().unwrap();
    made(site.path(), &["ca"]);
    let fingerprint = made(site.path(), &["make", "scanside"])[0]["fingerprint"].as_str().unwrap().to_owned();
    let folder = site.path().display();
    let text = format!(
        "[dicom.tls]\ncertificate = \"{folder}/scanside.pem\"\nkey = \"{folder}/scanside.key\"\nca = [\"{folder}/ca.pem\"]\n\
         [[dicom.sender]]\nae_title = \"CT1\"\ncertificate = \"{fingerprint}\"\n\
         [destination.pacs]\naddress = \"pacs.test:2762\"\nae_title = \"PACS\"\ntls = true\n"
    );
    let file = site.path().join("site.toml");
    std::fs::write(&file, text).unwrap();
    let checked = scansidectl(&["--json", "config", "check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let settings: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        settings["destination"]["pacs"]["tls"]["certificate"],
        format!("{folder}/scanside.pem"),
        "the box's own"
    );
    // The same text, printed and read again, means the same.
    let printed = scansidectl(&["config", "check", file.to_str().unwrap()]).stdout;
    std::fs::write(&file, printed).unwrap();
    let again = scansidectl(&["--json", "config", "check", file.to_str().unwrap()]);
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), settings);
}

#[test]
fn renewing_keeps_key_and_names_and_what_a_renewed_ca_has_issued_stays_good() {
    if !openssl_is_here() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let path = |name: &str| site.path().join(name).display().to_string();
    made(site.path(), &["ca"]);
    made(site.path(), &["make", "scanside", "--host", "scanside.test", "--host", "192.0.2.5", "--days", "3"]);
    let of = |what: &str| openssl(&["x509", "-in", &path("scanside.pem"), "-noout", what]);
    let (key, serial, names) = (
        of("-pubkey"),
        of("-serial"),
        openssl(&["x509", "-in", &path("scanside.pem"), "-noout", "-ext", "subjectAltName"]),
    );
    let renewed = made(site.path(), &["renew", &path("scanside.pem"), "--days", "40"]);
    assert_eq!(renewed[0]["days_left"], 39);
    assert_eq!(of("-pubkey"), key);
    assert_ne!(of("-serial"), serial);
    assert_eq!(openssl(&["x509", "-in", &path("scanside.pem"), "-noout", "-ext", "subjectAltName"]), names);
    made(site.path(), &["renew", &path("ca.pem")]);
    openssl(&["verify", "-CAfile", &path("ca.pem"), "-verify_ip", "192.0.2.5", &path("scanside.pem")]);
}

#[test]
fn a_peers_request_is_signed_for_a_machine_whatever_it_asks_for() {
    if !openssl_is_here() {
        return;
    }
    let site = tempfile::tempdir().unwrap();
    let path = |name: &str| site.path().join(name).display().to_string();
    made(site.path(), &["ca"]);
    // An archive with a key of its own, as its vendor makes it, that asks to be a CA.
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        &path("pacs.key"),
        "-out",
        &path("pacs.csr"),
        "-subj",
        "/CN=pacs.test",
        "-addext",
        "subjectAltName=DNS:pacs.test",
        "-addext",
        "basicConstraints=CA:TRUE",
    ]);
    let signed = made(site.path(), &["sign", &path("pacs.csr")]);
    assert_eq!((&signed[0]["subject"], &signed[0]["is_ca"]), (&"CN=pacs.test".into(), &false.into()));
    openssl(&["verify", "-CAfile", &path("ca.pem"), "-verify_hostname", "pacs.test", &path("pacs.pem")]);

    // And the reverse: the box asks the hospital's CA, with a key that does not change when it asks again.
    let asked = made(site.path(), &["request", "scanside", "--host", "scanside.test"]);
    let key = std::fs::read(path("scanside.key")).unwrap();
    openssl(&["req", "-verify", "-in", asked["request"].as_str().unwrap(), "-noout"]);
    made(site.path(), &["request", "scanside"]);
    assert_eq!(std::fs::read(path("scanside.key")).unwrap(), key);
    assert_eq!(mode(Path::new(&path("scanside.key"))), 0o600);
}

#[test]
fn nothing_is_overwritten_unasked_and_mistakes_have_a_remedy() {
    let site = tempfile::tempdir().unwrap();
    let complaint = |arguments: &[&str]| {
        let output = cert(site.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = complaint(&["make", "scanside"]);
    assert!(
        said.contains("there is no CA in") && said.contains("remedy: make one with `scansidectl cert ca`"),
        "{said}"
    );
    made(site.path(), &["ca"]);
    let key = std::fs::read(site.path().join("ca.key")).unwrap();
    assert!(complaint(&["ca"]).contains("ca.key exists"));
    assert_eq!(std::fs::read(site.path().join("ca.key")).unwrap(), key);
    for name in ["../x", "ca", ".hidden", "a b"] {
        assert!(complaint(&["make", name]).contains("make a name"), "{name}");
    }
    assert!(complaint(&["make", "ct1", "--host", "ct1:104"]).contains("without a port"));
    assert!(!site.path().join("ct1.key").exists(), "nothing half made");
}
