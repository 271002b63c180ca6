//! What people see when a file is wrong, and who wins when several are right.

use std::path::PathBuf;

use crate::{Settings, load};

/// Writes the files below a new directory and loads it.
fn load_files(files: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    load(&[directory.path().to_owned()]).map_err(|error| {
        let prefix = format!("{}/", directory.path().display());
        error.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
    })
}

#[test]
fn no_files_give_the_defaults() {
    assert_eq!(load_files(&[]).unwrap(), Settings::default());
}

#[test]
fn every_mistake_names_file_line_key_and_reason() {
    let cases = [
        (
            "[dicom]\nlisten = \"0.0.0.0:104\"\nmax_pduu = 5\n",
            "a.toml:3: dicom.max_pduu: unknown key `max_pduu`, expected one of `listen`, `ae_titles`, `sender`, \
             `plain`, `user_identity`, `user`, `max_associations`, `max_pdu`, `artim_secs`, `idle_secs`, `max_request_kib`, `commitment`, `mpps`, \
             `worklist`, `tls`",
        ),
        ("[dicm]\n", "a.toml:1: dicm: unknown key `dicm`, expected one of "),
        ("\n[dicom]\nmax_pdu = \"big\"\n", "a.toml:3: dicom.max_pdu: invalid type: string \"big\", expected u32"),
        ("dicom.max_pdu = 1024\n", "a.toml:1: dicom.max_pdu: 1024 is out of range: 4096 to 1048576 bytes"),
        ("dicom.max_pdu = 1048577\n", "a.toml:1: dicom.max_pdu: 1048577 is out of range: 4096 to 1048576 bytes"),
        ("dicom.listen = \"0.0.0.0:99999\"\n", "a.toml:1: dicom.listen: invalid socket address syntax"),
        (
            "[dicom]\nae_titles = [\"OK\", \"SEVENTEEN_LETTERS\"]\n",
            "a.toml:2: dicom.ae_titles: the AE title \"SEVENTEEN_LETTERS\" has 17 characters; at most 16 are allowed",
        ),
        ("dicom.ae_titles = [\" \"]\n", "a.toml:1: dicom.ae_titles: an AE title must not be empty"),
        (
            "[[dicom.sender]]\nae_title = \"CT1\"\n[[dicom.sender]]\nae_title = \"CT2\"\nport = 4\n",
            "a.toml:3: dicom.sender: unknown key `port`, expected one of `ae_title`, `address`, `certificate`, `plain`, \
             `user`, `user_identity`, `commitment_port`, `commitment_report`",
        ),
        ("[dicom\n", "a.toml:1: "),
        (
            "[dicom.tls]\nlisten = \"off\"\ncertificate = \"/x/none.pem\"\n",
            "a.toml:3: dicom.tls.certificate: key, the private key of",
        ),
        (
            "[dicom.tls]\nclient_certificate = \"none\"\ncertificate = \"/x/none.pem\"\nkey = \"/x/none.key\"\n",
            "a.toml:3: dicom.tls.certificate: /x/none.pem: there is no such file: make it with `scansidectl cert`",
        ),
        ("dicom.tls.ca = [\"/x/ca.pem\"]\n", "a.toml:1: dicom.tls.ca: /x/ca.pem: there is no such file"),
        (
            "dicom.tls.fingerprints = [\"sha256:ab\"]\n",
            "a.toml:1: dicom.tls.fingerprints: \"sha256:ab\" is no fingerprint",
        ),
        (
            "dicom.tls.listen = \"2762\"\n",
            "a.toml:1: dicom.tls.listen: \"2762\" is neither off nor an address and port",
        ),
        (
            "dicom.tls.cert = \"/x\"\n",
            "a.toml:1: dicom.tls.cert: unknown key `cert`, expected one of `listen`, `certificate`",
        ),
        ("dicom.tls.client_certificate = \"yes\"\n", "a.toml:1: dicom.tls.client_certificate: unknown variant `yes`"),
        ("dicom.user_identity = \"required\"\n", "a.toml:1: dicom.user_identity: no [[dicom.user]] is configured"),
        (
            "\n[[dicom.user]]\nname = \"ct\"\npasscode = \"Secret\"\n",
            "a.toml:2: dicom.user: the passcode is no hash (pbkdf2-sha256:ROUNDS:SALT:HASH): `scansidectl peers user NAME`",
        ),
        (
            "[[dicom.user]]\nname = \"ct\"\n[[dicom.sender]]\nae_title = \"CT1\"\nuser = \"mr\"\n",
            "a.toml:3: dicom.sender: user of \"CT1\": there is no [[dicom.user]] with the name \"mr\"",
        ),
        ("dicom.plain = \"named\"\n", "a.toml:1: dicom.plain: nobody could send: no sender has plain = true, and"),
        (
            "[[dicom.sender]]\nae_title = \"CT1\"\ncertificate = \"/x/ca.pem\"\n",
            "a.toml:1: dicom.sender: certificate of \"CT1\": /x/ca.pem: there is no such file",
        ),
        (
            "[destination.pacs]\naddress = \"p:1\"\nae_title = \"P\"\ntls = true\n",
            "a.toml:4: destination.pacs.tls: no CA is trusted: set dicom.tls.ca (or ca here), or check = \"fingerprint\"",
        ),
        (
            "[destination.pacs]\naddress = \"p:1\"\nae_title = \"P\"\n[destination.pacs.tls]\ncheck = \"fingerprint\"\n",
            "a.toml:5: destination.pacs.tls.check: fingerprint must be set, too",
        ),
        (
            "[destination.pacs]\naddress = \"p:1\"\nae_title = \"P\"\ntls.chek = \"ca\"\n",
            "a.toml:4: destination.pacs.tls.chek: unknown key `chek`, expected one of `check`, `name`, `fingerprint`",
        ),
        (
            "[destination.pacs]\naddress = \"p:1\"\nae_title = \"P\"\ntls = \"yes\"\n",
            "a.toml:4: destination.pacs.tls: invalid type: string \"yes\", expected true, false or a table",
        ),
        ("[destination.pacs]\n", "a.toml:1: destination.pacs: where is it? Set address and ae_title (DICOM), or url"),
        (
            "[destination.pacs]\nurl = \"pacs/dicom-web\"\n",
            "a.toml:2: destination.pacs.url: \"pacs/dicom-web\" has no scheme: write https://pacs/dicom-web, or http://pacs",
        ),
        (
            "[destination.pacs]\nurl = \"http://pacs\"\naddress = \"pacs:104\"\nae_title = \"PACS\"\n",
            "a.toml:3: destination.pacs.address: is for DICOM, and url is for STOW-RS: a destination has one of the two ways",
        ),
        (
            "[destination.pacs]\nurl = \"https://me:word@pacs\"\n",
            "a.toml:2: destination.pacs.url: a login does not belong in the url: set user and password_file, or",
        ),
        (
            "[destination.pacs]\nurl = \"https://pacs\"\n",
            "a.toml:2: destination.pacs.tls: no CA is trusted: set dicom.tls.ca",
        ),
        (
            "[destination.pacs]\nurl = \"http://pacs\"\ntls = true\n",
            "a.toml:3: destination.pacs.tls: has no effect on a url that begins with http://: write https://",
        ),
        (
            "[destination.pacs]\nurl = \"http://localhost\"\nuser = \"box\"\n",
            "a.toml:3: destination.pacs.user: password_file must be set, too",
        ),
        (
            "[destination.pacs]\nurl = \"http://localhost\"\npassword_file = \"/x\"\n",
            "a.toml:3: destination.pacs.password_file: user must be set, too",
        ),
        (
            "[destination.pacs]\nurl = \"http://localhost\"\ntoken_file = \"/x/token\"\n",
            "a.toml:3: destination.pacs.token_file: /x/token: there is no such file",
        ),
        (
            "[destination.pacs]\nurl = \"http://pacs\"\ntoken_file = \"/x/token\"\n",
            "a.toml:3: destination.pacs.token_file: a login must not go over the network in plain text: write https://",
        ),
        (
            "[destination.pacs]\naddress = \"p:1\"\nae_title = \"P\"\ntoken_file = \"/x\"\n",
            "a.toml:4: destination.pacs.token_file: is for a destination with a url only",
        ),
        ("series.quiet_secs = nan\n", "a.toml:1: series.quiet_secs: NaN is out of range: 0.01 to 3600 seconds"),
        ("accelerator.provider = \"tpu\"\n", "a.toml:1: accelerator.provider: \"tpu\" is not known; one of cpu, cuda"),
        ("live.device = \"video0\"\n", "a.toml:1: live.device: \"video0\" is not off, a device's path, or replay:"),
        ("live.profile = \"ge\"\n", "a.toml:1: live.profile: \"ge\" is not known; one of auto, phantom-"),
        ("live.deadline_ms = 5.0\n", "a.toml:1: live.deadline_ms: 5 is out of range: 10 to 10000 ms"),
        ("live.threads = 65\n", "a.toml:1: live.threads: 65 is out of range: 0 to 64 threads"),
        (
            "[dicom]\nworklist = true\n",
            "a.toml:2: dicom.worklist: live.worklist must name the list, too: a folder of worklist items or a CSV file",
        ),
        (
            "live.worklist = \"/x/list.csv\"\n[dicom]\nworklist = true\n",
            "a.toml:3: dicom.worklist: dicom.sender must name who may ask, too: otherwise anybody on the network learns who is expected",
        ),
        ("live.worklist = \"list.csv\"\n", "a.toml:1: live.worklist: must be an absolute path"),
        (
            "worklist.ae_title = \"RIS\"\n",
            "a.toml:1: worklist: address must be set, too: without it no server is asked",
        ),
        ("worklist.address = \"ris:104\"\n", "a.toml:1: worklist: ae_title, that of the server, must be set, too"),
        (
            "worklist.ae_title = \"RIS\"\nworklist.address = \"ris\"\n",
            "a.toml:2: worklist.address: \"ris\" is not host:port",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\nmodality = \"US*\"\n",
            "a.toml:4: worklist.modality: \"US*\" is no modality, such as US; empty for all",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\nstation_ae_title = \"\"\n",
            "a.toml:4: worklist.station_ae_title: an AE title must not be empty",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\ndays = 40\n",
            "a.toml:4: worklist.days: 40 is out of range: 0 to 31 days",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\nevery_secs = 1\n",
            "a.toml:4: worklist.every_secs: 1 is out of range: 5 to 86400 seconds",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\ntimeout_secs = 0\n",
            "a.toml:4: worklist.timeout_secs: 0 is out of range: 1 to 600 seconds",
        ),
        (
            "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\ntls = true\n",
            "a.toml:4: worklist.tls: no CA is trusted: set dicom.tls.ca (or ca here), or check = \"fingerprint\"",
        ),
        (
            "mpps.ae_title = \"RIS\"\n",
            "a.toml:1: mpps: address must be set, too: without it no manager is told of exams",
        ),
        ("mpps.address = \"ris:104\"\n", "a.toml:1: mpps: ae_title, that of the manager, must be set, too"),
        (
            "[ups]\naddress = \"ups:104\"\nae_title = \"UPS\"\n",
            "a.toml:2: ups: a destination must be set, too: a task is completed with what an archive has taken",
        ),
        ("ups.station = \"X\"\n", "a.toml:1: ups: address must be set, too: without it no manager is asked for tasks"),
        (
            "[ups]\naddress = \"ups:104\"\nae_title = \"UPS\"\nworkitems = [\"110004\"]\n[destination.p]\naddress = \"p:1\"\nae_title = \"P\"\n",
            "a.toml:4: ups.workitems: \"110004\" is not SCHEME:VALUE, for example \"DCM:110004\"",
        ),
        ("[availability.ris]\nae_title = \"RIS\"\n", "a.toml:2: availability.ris: address must be set, too"),
        (
            "record.enabled = false\n[mpps]\naddress = \"ris:104\"\nae_title = \"RIS\"\n",
            "a.toml:3: mpps: record.enabled must be true, too: what is told of an exam is what the box has recorded of it",
        ),
        (
            "[mpps]\naddress = \"ris:104\"\nae_title = \"RIS\"\nretry_secs = 10.0\nretry_max_secs = 1.0\n",
            "a.toml:5: mpps.retry_max_secs: 1 is out of range: 10 to 86400 seconds",
        ),
        ("prior.ae_title = \"PACS\"\n", "a.toml:1: prior: address must be set, too: without it no archive is asked"),
        ("prior.address = \"pacs:104\"\n", "a.toml:1: prior: ae_title, that of the archive, must be set, too"),
        (
            "[prior]\naddress = \"pacs:104\"\nae_title = \"PACS\"\nbudget_secs = 0\n",
            "a.toml:4: prior.budget_secs: 0 is out of range: 1 to 600 seconds",
        ),
        (
            "[prior]\naddress = \"pacs:104\"\nae_title = \"PACS\"\nfetch = \"wado\"\n",
            "a.toml:4: prior.fetch: unknown variant `wado`, expected one of `auto`, `get`, `move`",
        ),
        (
            "[worklist]\nadress = \"ris:104\"\n",
            "a.toml:2: worklist.adress: unknown key `adress`, expected one of `address`, `ae_title`",
        ),
        ("live.auto_stop_secs = 5\n", "a.toml:1: live.auto_stop_secs: 5 is out of range: 10 to 86400 seconds"),
        ("bus.address = \"sistem\"\n", "a.toml:1: bus.address: not system, session, none or a D-Bus address"),
        ("console.address = \"8484\"\n", "a.toml:1: console.address: \"8484\" is neither off nor an address and port"),
        ("console.address = \"0.0.0.0:8484\"\n", "a.toml:1: console.address: 0.0.0.0:8484 lets other machines in: "),
        (
            "console.key = \"/page.key\"\n",
            "a.toml:1: console.key: certificate, the certificate of the key, must be set, too",
        ),
        ("console.hosts = [\"box:1\"]\n", "a.toml:1: console.hosts: \"box:1\" is not the name of a host"),
        ("console.jpeg_quality = 101\n", "a.toml:1: console.jpeg_quality: 101 is out of range: 30 to 100"),
        ("[spool]\nmin_free_mib = 20000\n", "spool.evict_below_mib: 10240 MiB is below spool.min_free_mib (20000 MiB)"),
        ("[destination.pacs]\naddress = \"pacs:104\"\n", "a.toml:2: destination.pacs.ae_title: must be set"),
        (
            "[destination.pacs]\nae_title = \"PACS\"\naddress = \"pacs\"\n",
            "a.toml:3: destination.pacs.address: \"pacs\" is not host:port",
        ),
        (
            "[destination.\"a b\"]\nae_title = \"PACS\"\naddress = \"pacs:104\"\n",
            "a.toml:3: destination.a b: the name of a destination must consist of 1 to 32 letters",
        ),
    ];
    for (text, expected) in cases {
        let problems = load_files(&[("a.toml", text)]).expect_err(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text}\n  is: {}\nnot: {expected}", problems[0]);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let problems = load_files(&[("a.toml", "x = 1\n[dicom]\ny = 2\n"), ("b.toml", "z = 3\n")]).unwrap_err();
    let places: Vec<_> = problems.iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(places, ["a.toml:1", "a.toml:3", "b.toml:1"]);
}

#[test]
fn the_last_file_to_set_a_key_wins_and_leaves_the_others_alone() {
    let settings = load_files(&[
        ("20-site.toml", "[dicom]\nmax_pdu = 65536\n[destination.pacs]\naddress = \"new:104\"\n"),
        (
            "10-base.toml",
            "[dicom]\nmax_pdu = 4096\nidle_secs = 60\n[destination.pacs]\naddress = \"old:104\"\nae_title = \"A\"\n",
        ),
        ("readme.txt", "not toml"),
    ])
    .unwrap();
    assert_eq!((settings.dicom.max_pdu, settings.dicom.idle_secs), (65536, 60));
    assert_eq!(
        (settings.destination["pacs"].address.as_str(), settings.destination["pacs"].ae_title.as_str()),
        ("new:104", "A")
    );
}

#[test]
fn an_out_of_range_value_is_blamed_on_the_file_that_set_it_last() {
    let problems =
        load_files(&[("a.toml", "dicom.max_pdu = 4096\n"), ("b.toml", "\ndicom.max_pdu = 1\n")]).unwrap_err();
    assert!(problems[0].starts_with("b.toml:2: "), "{problems:?}");
}

#[test]
fn a_path_that_was_asked_for_must_exist() {
    let error = load(&[PathBuf::from("/nonexistent/scanside.toml")]).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/scanside.toml: No such file"), "{error}");
}

#[test]
fn what_check_config_prints_reads_back_the_same() {
    let text = "[[dicom.sender]]\nae_title = \"CT1\"\naddress = \"10.0.0.1\"\n[destination.pacs]\naddress = \"p:1\"\nae_title = \"A\"\n";
    let settings = load_files(&[("a.toml", text)]).unwrap();
    let printed = crate::to_toml(&settings).unwrap();
    assert_eq!(load_files(&[("a.toml", &printed)]).unwrap(), settings);
}

#[test]
fn the_shipped_file_shows_the_defaults_and_changes_nothing() {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../systemd/config.d/10-defaults.toml");
    assert_eq!(load(std::slice::from_ref(&shipped)).unwrap(), Settings::default());
    // Every commented-out `#key = value` must be a real key with its default.
    let text = std::fs::read_to_string(&shipped).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty()).unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_ne!(uncommented, text);
    let mut settings = load_files(&[("a.toml", &uncommented)]).unwrap();
    settings.destination.clear();
    settings.availability.clear();
    settings.inference_host.clear();
    settings.dicom.sender.clear();
    settings.dicom.user.clear();
    assert_eq!(settings, Settings::default());
}

#[test]
fn a_simulated_video_device_or_accelerator_is_told() {
    let simulated = |text: &str| load_files(&[("a.toml", text)]).unwrap().is_simulated();
    assert!(!simulated(""));
    assert!(!simulated("live.device = \"/x/video0\"\n"));
    assert!(simulated("live.device = \"replay:exam.y4m\"\n"));
    assert!(!simulated("accelerator.provider = \"cuda\"\n"));
    if cfg!(feature = "sim") {
        assert!(simulated("live.device = \"synthetic\"\n"));
        assert!(simulated("accelerator.provider = \"scripted\"\n"));
        assert!(simulated("sensors.source = \"simulated:hot\"\n"));
    }
}

#[test]
fn a_token_that_everyone_can_read_is_refused_and_no_setting_holds_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hunter2\n").unwrap();
    let text =
        format!("[destination.pacs]\nurl = \"http://localhost/dicom-web\"\ntoken_file = \"{}\"\n", token.display());
    let load = |mode| {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        load_files(&[("a.toml", &text)])
    };
    let problem = load(0o644).unwrap_err().remove(0);
    assert!(
        problem.starts_with("a.toml:3: destination.pacs.token_file: ") && problem.contains("chmod o="),
        "{problem}"
    );
    assert!(!problem.contains("hunter2"));
    let settings = load(0o640).unwrap();
    let shown = crate::to_toml(&settings).unwrap();
    assert!(shown.contains("token_file") && !shown.contains("hunter2"), "{shown}");
}
