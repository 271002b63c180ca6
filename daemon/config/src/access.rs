//! Whether an older configuration would give back what a newer one has taken away: a sender, an archive, the trust in a
//! certificate. A configuration that cannot be used may still say so, and then the older one is narrowed or not used.

use std::path::PathBuf;

use node::inference::settings::InferenceService;
use node::manager::settings::StepManager;
use node::retrieve::settings::PriorArchive;
use node::ups::settings::TaskManager;
use node::worklist::settings::WorklistServer;
use serde::de::DeserializeOwned;
use study::settings::Analyze;
use toml::de::DeTable;
use toml::{Table, Value};

use crate::Settings;
use crate::diff::{leaves, table};
use crate::source::Source;

/// Keys that decide who may do what, or what of a patient leaves the box. A list of these may only have grown since.
const GUARDED: [&str; 14] = [
    "bus.address",
    "console.address",
    "console.certificate",
    "console.hosts",
    "console.token_file",
    "dicom.ae_titles",
    "dicom.plain",
    "dicom.tls.ca",
    "dicom.tls.client_certificate",
    "dicom.tls.fingerprints",
    "dicom.tls.judge_dates",
    "dicom.user_identity",
    "live.name_check",
    "models.keys",
];

/// Switches for what is kept and sent of an exam, and for what is told of who is expected, with their careful position.
const SWITCHES: [(&str, bool); 4] =
    [("dicom.worklist", false), ("live.auto_start", false), ("record.enabled", false), ("record.mask_text", true)];

/// The older configuration without what was taken away.
#[derive(Debug, Clone, PartialEq)]
pub struct Narrowed {
    pub settings: Settings,
    /// Senders, destinations and the manager of exams that were left out.
    pub left_out: Vec<String>,
}

/// What the sources say, as far as they can be read: what is wrong in them is passed over.
pub fn readable(sources: &[Source]) -> Table {
    let mut all = Table::new();
    for text in sources.iter().filter_map(|source| source.text().ok()) {
        let (read, _) = DeTable::parse_recoverable(text);
        let read: Table = serde::Deserialize::deserialize(toml::Deserializer::from(read)).unwrap_or_default();
        merge(&mut all, read);
    }
    all
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// `old` without what `now` no longer allows.
///
/// # Errors
/// The key for which that cannot be had: then `old` must not be used.
pub fn narrow(old: Settings, now: &Table) -> Result<Narrowed, String> {
    let (was, is, default) = (leaves(&table(&old)), leaves(now), leaves(&table(&Settings::default())));
    for key in GUARDED {
        let now = is.get(key).or_else(|| default.get(key));
        // Whose exam it is is asked in each position: the strictest one may always come back.
        let is_careful = key == "live.name_check" && was.get(key) == default.get(key);
        if !is_careful && !covers(now, was.get(key)) {
            return Err(key.to_owned());
        }
    }
    for (key, careful) in SWITCHES {
        let now = is.get(key).or_else(|| default.get(key));
        if now != was.get(key) && was.get(key) != Some(&Value::Boolean(careful)) {
            return Err(key.to_owned());
        }
    }
    let mut settings = old;
    let mut left_out = Vec::new();
    let senders = at(now, &["dicom", "sender"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let anyone = settings.dicom.sender.is_empty();
    if anyone && !senders.is_empty() {
        return Err("dicom.sender".into());
    }
    let users = at(now, &["dicom", "user"]).and_then(Value::as_array).cloned().unwrap_or_default();
    settings.dicom.user.retain(|user| {
        let stays = Value::try_from(user).is_ok_and(|old| users.contains(&old));
        if !stays {
            left_out.push(format!("user {}", user.name));
        }
        stays
    });
    let known: Vec<String> = settings.dicom.user.iter().map(|user| user.name.clone()).collect();
    settings.dicom.sender.retain(|sender| {
        let stays = Value::try_from(sender).is_ok_and(|old| senders.iter().any(|new| same_sender(&old, new)))
            && sender.user.as_ref().is_none_or(|user| known.contains(user));
        if !stays {
            left_out.push(format!("sender {}", sender.ae_title));
        }
        stays
    });
    // An empty list would let everyone in.
    if !anyone && settings.dicom.sender.is_empty() {
        return Err("dicom.sender".into());
    }
    settings.destination.retain(|name, destination| {
        let new = at(now, &["destination", name]);
        let stays = Value::try_from(destination).is_ok_and(|old| new.is_some_and(|new| same_destination(&old, new)));
        if !stays {
            left_out.push(format!("destination {name}"));
        }
        stays
    });
    // Neighbours get answers; off is the careful position.
    let service = at(now, &["inference"]);
    let stays = |old: Value| service.is_some_and(|new| same_service(&old, new));
    if settings.inference.listen().is_some() && !Value::try_from(&settings.inference).is_ok_and(stays) {
        settings.inference = InferenceService::default();
        left_out.push("the networks for neighbours (inference)".into());
    }
    // It gets pictures.
    settings.inference_host.retain(|name, host| {
        let new = at(now, &["inference_host", name]);
        let stays = Value::try_from(host).is_ok_and(|old| new.is_some_and(|new| same_host(&old, new)));
        if !stays {
            left_out.push(format!("inference host {name}"));
        }
        stays
    });
    // It is told who is examined.
    let manager = at(now, &["mpps"]);
    let stays = |old: Value| manager.is_some_and(|new| same_manager(&old, new));
    if settings.mpps.address.is_some() && !Value::try_from(&settings.mpps).is_ok_and(stays) {
        settings.mpps = StepManager::default();
        left_out.push("the manager of exams (mpps)".into());
    }
    // It says what the box is to do, and is told what came of it.
    let tasks = at(now, &["ups"]);
    let stays = |old: Value| tasks.is_some_and(|new| same_destination(&old, new));
    if settings.ups.is_on() && !Value::try_from(&settings.ups).is_ok_and(stays) {
        settings.ups = TaskManager::default();
        left_out.push("the manager of tasks (ups)".into());
    }
    // They are told whose results there are.
    settings.availability.retain(|name, receiver| {
        let new = at(now, &["availability", name]);
        let stays = Value::try_from(receiver).is_ok_and(|old| new.is_some_and(|new| same_destination(&old, new)));
        if !stays {
            left_out.push(format!("{name}, who is told of results (availability)"));
        }
        stays
    });
    // It learns by which IDs it is asked, and what it sends is compared with.
    let archive = at(now, &["prior"]);
    let stays = |old: Value| archive.is_some_and(|new| same_archive(&old, new));
    if settings.prior.is_on() && !Value::try_from(&settings.prior).is_ok_and(stays) {
        settings.prior = PriorArchive::default();
        left_out.push("the archive of earlier studies (prior)".into());
    }
    // It says whose exam it is that is begun.
    let list = at(now, &["worklist"]);
    let stays = |old: Value| list.is_some_and(|new| same_destination(&old, new));
    if settings.worklist.address.is_some() && !Value::try_from(&settings.worklist).is_ok_and(stays) {
        settings.worklist = WorklistServer::default();
        left_out.push("the worklist server (worklist)".into());
    }
    let list = at(now, &["live", "worklist"]).and_then(Value::as_str).map(PathBuf::from);
    if settings.live.worklist.is_some() && settings.live.worklist != list {
        settings.live.worklist = None;
        left_out.push("the worklist (live.worklist)".into());
    }
    let Analyze { quality, us_breast, mammography_views, mg_breast, mg_marks, .. } = &mut settings.analyze;
    let today = |key: &str| is.get(key).or_else(|| default.get(key).filter(|value| is_off(value)));
    let followed = [
        ("analyze.quality", follow(quality, today("analyze.quality"))),
        ("analyze.us_breast", follow(us_breast, today("analyze.us_breast"))),
        ("analyze.mammography_views", follow(mammography_views, today("analyze.mammography_views"))),
        ("analyze.mg_breast", follow(mg_breast, today("analyze.mg_breast"))),
        ("analyze.mg_marks", follow(mg_marks, today("analyze.mg_marks"))),
    ];
    left_out.extend(followed.into_iter().filter(|(_, is)| *is).map(|(key, _)| format!("the earlier {key}")));
    Ok(Narrowed { settings, left_out })
}

/// What is read and reported is what is said today, as far as that is legible: what a site has switched off since stays off.
fn follow<T: DeserializeOwned + PartialEq>(old: &mut T, today: Option<&Value>) -> bool {
    match today.and_then(|today| today.clone().try_into().ok()) {
        Some(today) if today != *old => {
            *old = today;
            true
        }
        _ => false,
    }
}

fn is_off(value: &Value) -> bool {
    matches!(value, Value::Boolean(false)) || value.as_str() == Some("off")
}

/// Whether what is allowed `now` includes what `was`.
fn covers(now: Option<&Value>, was: Option<&Value>) -> bool {
    match (now, was) {
        // An empty list of AE titles allows any.
        (Some(Value::Array(now)), Some(Value::Array(was))) => {
            (now.is_empty() || !was.is_empty()) && was.iter().all(|one| now.contains(one))
        }
        (now, was) => now == was,
    }
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

/// What the new entry says must be what the old one said; what it leaves out was looser or is misspelt.
fn agrees(old: &Value, new: &Value, keys: &[&str]) -> bool {
    keys.iter().all(|key| new.get(key).is_none_or(|new| old.get(key) == Some(new)))
}

fn is_true(entry: &Value, key: &str) -> bool {
    entry.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn same_sender(old: &Value, new: &Value) -> bool {
    let title = |entry: &Value| entry.get("ae_title").and_then(Value::as_str).map(|title| title.trim().to_owned());
    title(old) == title(new)
        && agrees(old, new, &["address", "certificate", "user", "user_identity"])
        && (is_true(new, "plain") || !is_true(old, "plain"))
        && (says(new, "user_identity", "ignore") || !says(old, "user_identity", "ignore"))
}

fn says(entry: &Value, key: &str, word: &str) -> bool {
    entry.get(key).and_then(Value::as_str) == Some(word)
}

/// Who may ask for networks, and how, is what it was.
fn same_service(old: &Value, new: &Value) -> bool {
    let neighbours = |entry: &Value| entry.get("neighbours").and_then(Value::as_array).cloned().unwrap_or_default();
    new.get("address") == old.get("address")
        && neighbours(old) == neighbours(new)
        && agrees(old, new, &["token_file", "certificate", "key"])
        // A proxy on this box lets in whoever reaches it; said nowhere, it is on.
        && (new.get("loopback").is_none_or(|new| *new == Value::Boolean(true)) || !is_true(old, "loopback"))
        && (is_true(new, "plain") || !is_true(old, "plain"))
}

/// A host may be called what it was called, by no weaker way.
fn same_host(old: &Value, new: &Value) -> bool {
    same_destination(old, new) && (is_true(new, "plain") || !is_true(old, "plain"))
}

/// The certificate of a peer is checked by its name where nothing is said of it: a weaker check must have been asked for.
fn is_checked(old: &Value, new: Option<&Table>) -> bool {
    let says = |key: &str| new.is_some_and(|new| new.contains_key(key));
    match old.get("check").and_then(Value::as_str) {
        Some("fingerprint") => true,
        Some("name") => says("name") || old.get("name").is_none(),
        _ => says("check"),
    }
}

fn same_destination(old: &Value, new: &Value) -> bool {
    let tls = match (old.get("tls"), new.get("tls")) {
        (_, None | Some(Value::Boolean(false))) => true,
        (Some(old), Some(Value::Boolean(true))) => is_checked(old, None),
        (Some(old), Some(Value::Table(new))) => {
            new.iter().all(|(key, new)| old.get(key) == Some(new)) && is_checked(old, Some(new))
        }
        _ => false,
    };
    tls && agrees(old, new, &["address", "ae_title", "url", "results"])
        && (is_true(new, "accepts_simulated") || !is_true(old, "accepts_simulated"))
}

fn same_manager(old: &Value, new: &Value) -> bool {
    same_destination(old, new)
        && ["unscheduled", "analyses"].into_iter().all(|key| is_true(new, key) || !is_true(old, key))
}

/// Results of what was fetched are delivered only where the new entry says so, too.
fn same_archive(old: &Value, new: &Value) -> bool {
    same_destination(old, new) && (is_true(new, "deliver") || !is_true(old, "deliver"))
}

/// Whether a valid configuration allows less than the old one: then the old one must not come back.
pub fn allows_less(new: &Settings, old: &Settings) -> bool {
    narrow(old.clone(), &table(new)).map_or(true, |narrowed| !narrowed.left_out.is_empty())
}

#[cfg(test)]
#[path = "access_decided.rs"]
mod decided;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment;
    use crate::source::{Content, judge, judge_texts};

    fn source(text: &str) -> Vec<Source> {
        vec![Source { file: "50-site.toml".into(), content: Content::Text(text.into()) }]
    }

    fn settings(text: &str) -> Settings {
        judge(&source(text), Vec::new()).unwrap()
    }

    const CT1: &str = "[[dicom.sender]]\nae_title = \"CT1\"\naddress = \"192.0.2.10\"\n";
    const CT2: &str = "[[dicom.sender]]\nae_title = \"CT2\"\n";
    const PACS: &str = "[destination.pacs]\naddress = \"pacs:104\"\nae_title = \"PACS\"\n";

    fn narrowed(old: &str, now: &str) -> Result<Vec<String>, String> {
        narrow(settings(old), &readable(&source(now))).map(|narrowed| narrowed.left_out)
    }

    /// A key that the settings do not know would guard nothing.
    #[test]
    fn every_guarded_key_exists() {
        for key in GUARDED.into_iter().chain(SWITCHES.map(|(key, _)| key)) {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let unknown = fragment::fits(&path, &Value::Boolean(true)).is_some_and(|why| why.contains("unknown key"));
            assert!(!unknown, "{key}");
        }
    }

    #[test]
    fn a_mistake_elsewhere_leaves_everybody_in() {
        let old = [CT1, CT2, PACS].concat();
        for now in [
            format!("{old}[spool]\nkeep_dayss = 3\n"),
            format!("{old}[series]\nquiet_secs = -1\n"),
            format!("[series]\nquiet_secs = = 1\n{old}"),
            old.replace("address = \"192", "adress = \"192"),
            old.replace("address = \"pacs", "adress = \"pacs"),
            format!("{old}[[dicom.sender]]\nae_titel = \"CT3\"\n"),
        ] {
            assert_eq!(narrowed(&old, &now), Ok(vec![]), "{now}");
        }
    }

    #[test]
    fn who_was_taken_out_does_not_come_back_with_an_old_configuration() {
        let old = [CT1, CT2, PACS].concat();
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = |now: &str| narrowed(&old, &format!("{now}{bad}"));
        assert_eq!(out(&[CT1, PACS].concat()), Ok(vec!["sender CT2".into()]));
        assert_eq!(out(&[CT1, CT2].concat()), Ok(vec!["destination pacs".into()]));
        assert_eq!(out(&old.replace("# ", "").replace(".10\"", ".99\"")), Ok(vec!["sender CT1".into()]));
        assert_eq!(out(&old.replace("pacs:104", "new:104")), Ok(vec!["destination pacs".into()]));
        assert_eq!(out(&old.replace("\"CT2\"\n", "\"CT2\"\naddress = \"192.0.2.3\"\n")), Ok(vec!["sender CT2".into()]));
        assert_eq!(out(PACS), Err("dicom.sender".into()), "an empty list would let everyone in");
        assert_eq!(narrowed(PACS, &[CT1, PACS].concat()), Err("dicom.sender".into()), "everyone could send before");
    }

    /// The careful position: whoever must say who it is must say so with an old configuration, too.
    #[test]
    fn a_user_who_was_taken_out_does_not_come_back_nor_does_the_exception_of_a_sender() {
        let hash = |digit: &str| format!("pbkdf2-sha256:600000:{}:{}", "00".repeat(16), digit.repeat(64));
        let user = format!("[[dicom.user]]\nname = \"ct\"\npasscode = \"{}\"\n", hash("0"));
        let old = [&user, CT1, "user = \"ct\"\n", CT2].concat();
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = |now: &str| narrowed(&old, &format!("{now}{bad}"));
        let gone = Ok(vec!["user ct".to_owned(), "sender CT1".to_owned()]);
        assert_eq!(out(&old), Ok(vec![]));
        assert_eq!(out(&[CT1, "user = \"ct\"\n", CT2].concat()), gone);
        assert_eq!(out(&old.replace(&hash("0"), &hash("1"))), gone, "a new passcode");
        assert_eq!(out(&format!("dicom.user_identity = \"required\"\n{old}")), Err("dicom.user_identity".into()));
        let open = format!("dicom.user_identity = \"required\"\n{user}{CT1}user_identity = \"ignore\"\n{CT2}");
        let now = format!("{}{bad}", open.replace("user_identity = \"ignore\"\n", ""));
        assert_eq!(narrowed(&open, &now), Ok(vec!["sender CT1".into()]));
    }

    #[test]
    fn an_archive_with_another_url_does_not_come_back_either() {
        let web = "[destination.web]\nurl = \"http://pacs/dicom-web/\"\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = Ok(vec!["destination web".to_owned()]);
        assert_eq!(narrowed(web, &format!("{web}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(web, &web.replace("//pacs", "//new")), out);
        assert_eq!(narrowed(web, "[destination.web]\naddress = \"pacs:104\"\nae_title = \"PACS\"\n"), out);
        let by_dicom = PACS.replace(".pacs", ".web");
        assert_eq!(narrowed(&by_dicom, web), out);
    }

    #[test]
    fn a_manager_of_exams_that_was_taken_out_is_told_no_more() {
        let old = "[mpps]\naddress = \"ris:104\"\nae_title = \"RIS\"\nunscheduled = true\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = Ok(vec!["the manager of exams (mpps)".to_owned()]);
        assert_eq!(narrowed(old, &format!("{old}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(old, bad), out);
        assert_eq!(narrowed(old, &format!("{bad}{}", old.replace("ris:104", "new:104"))), out);
        assert_eq!(narrowed(old, &format!("{bad}{}", old.replace("unscheduled = true\n", ""))), out);
    }

    #[test]
    fn an_archive_of_earlier_studies_that_was_taken_out_is_asked_no_more() {
        let old = "[prior]\naddress = \"pacs:104\"\nae_title = \"PACS\"\ndeliver = true\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = Ok(vec!["the archive of earlier studies (prior)".to_owned()]);
        assert_eq!(narrowed(old, &format!("{old}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(old, bad), out);
        assert_eq!(narrowed(old, &format!("{bad}{}", old.replace("pacs:104", "new:104"))), out);
        assert_eq!(narrowed(old, &format!("{bad}{}", old.replace("deliver = true\n", ""))), out);
    }

    #[test]
    fn a_host_that_was_taken_out_gets_nothing_and_a_neighbour_that_was_taken_out_gets_no_answer() {
        let host = "[inference_host.gpu1]\nurl = \"http://192.0.2.30:8485\"\nplain = true\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = Ok(vec!["inference host gpu1".to_owned()]);
        assert_eq!(narrowed(host, &format!("{host}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(host, bad), out);
        assert_eq!(narrowed(host, &host.replace(".30", ".31")), out);
        assert_eq!(narrowed(host, &host.replace("plain = true\n", "")), out);

        let service =
            "[inference]\naddress = \"0.0.0.0:8485\"\nneighbours = [\"192.0.2.7\", \"192.0.2.8\"]\nplain = true\n";
        let out = Ok(vec!["the networks for neighbours (inference)".to_owned()]);
        assert_eq!(narrowed(service, &format!("{service}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(service, bad), out);
        assert_eq!(narrowed(service, &service.replace(", \"192.0.2.8\"", "")), out);
        assert_eq!(narrowed(service, &format!("{service}loopback = false\n{bad}")), out, "the proxy lets everybody in");
        let closed = format!("{service}loopback = false\n");
        assert_eq!(narrowed(&closed, &format!("{closed}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(&closed, &format!("{service}{bad}")), Ok(vec![]), "the old one is the careful one");
        assert_eq!(
            narrowed("", &format!("{service}{bad}")),
            Ok(vec![]),
            "who is new does not keep the old one from being used"
        );
    }

    #[test]
    fn trust_that_was_withdrawn_forbids_the_old_configuration() {
        let old = "dicom.ae_titles = [\"A\", \"B\"]\nmodels.keys = [\"/a\", \"/b\"]\n[console]\nhosts = [\"box\"]\n";
        assert_eq!(narrowed(old, &format!("{old}jpeg_qualit = 3\n")), Ok(vec![]));
        assert_eq!(narrowed(old, &old.replace(", \"/b\"", "")), Err("models.keys".into()));
        assert_eq!(narrowed(old, &old.replace(", \"B\"", "")), Err("dicom.ae_titles".into()));
        assert_eq!(narrowed(old, &old.replace("\"B\"]", "\"B\", \"C\"]")), Ok(vec![]), "more is fine");
        assert_eq!(narrowed("dicom.ae_titles = []\n", "dicom.ae_titles = [\"A\"]\n"), Err("dicom.ae_titles".into()));
        assert_eq!(narrowed("", "dicom.plain = \"named\"\n"), Err("dicom.plain".into()));
        assert_eq!(narrowed("", "record.mask_text = true\n"), Err("record.mask_text".into()));
        assert_eq!(narrowed("record.mask_text = true\n", ""), Ok(vec![]), "the old one is the careful one");
        assert_eq!(narrowed("", "record.enabled = false\n"), Err("record.enabled".into()));
        assert_eq!(narrowed("record.enabled = false\n", ""), Ok(vec![]));
        assert_eq!(narrowed("live.name_check = \"off\"\n", ""), Err("live.name_check".into()));
        assert_eq!(narrowed("", "live.name_check = \"off\"\n"), Ok(vec![]));
        assert_eq!(narrowed("", "console.token_file = \"/t\"\n"), Err("console.token_file".into()));
    }

    #[test]
    fn a_weaker_check_of_a_certificate_comes_back_only_where_it_is_asked_for() {
        let pin = "sha256:".to_owned() + &"ab".repeat(32);
        let tls = |table: &str| format!("[destination.pacs]\naddress = \"pacs:104\"\nae_title = \"PACS\"\n{table}\n");
        let pinned = format!("tls = {{ check = \"fingerprint\", fingerprint = \"{pin}\" }}");
        // The CA is no file here, so that only the texts are judged.
        let old = |table: &str| judge_texts(&source(&tls(table)), Vec::new()).unwrap().0;
        let stays = |was: &str, now: &str| {
            narrow(old(was), &readable(&source(&format!("{}[spool]\nkeep_dayss = 3\n", tls(now)))))
                .unwrap()
                .left_out
                .is_empty()
        };
        let ca = "tls = { check = \"ca\", ca = [\"/nowhere/ca.pem\"] }";
        let name = "tls = { ca = [\"/nowhere/ca.pem\"] }";
        assert!(stays(ca, ca) && stays(name, name) && stays(&pinned, &pinned));
        assert!(!stays(ca, "tls = true"), "the name is checked today");
        assert!(!stays(ca, "tls = { ca = [\"/nowhere/ca.pem\"] }"));
        assert!(stays(name, "tls = true") && stays(&pinned, "tls = true"), "no weaker");
        let other = "tls = { name = \"other\", ca = [\"/nowhere/ca.pem\"] }";
        assert!(!stays(other, name) && stays(other, other));
    }

    #[test]
    fn a_valid_configuration_that_allows_less_is_known() {
        let old = settings(&[CT1, CT2].concat());
        assert!(allows_less(&settings(CT1), &old));
        assert!(!allows_less(&settings(&[CT1, CT2, PACS].concat()), &old));
        assert!(!allows_less(&settings(&format!("{CT1}{CT2}[spool]\nkeep_days = 3\n")), &old));
    }

    #[test]
    fn what_was_switched_off_since_is_not_read_again_and_what_cannot_be_read_today_stays_as_it_was() {
        let old = "[analyze]\nmg_marks = \"all\"\nquality = true\nus_breast = \"off\"\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let after = |now: &str| {
            let narrowed = narrow(settings(old), &readable(&source(&format!("{now}{bad}")))).unwrap();
            let analyze = narrowed.settings.analyze;
            (toml::Value::try_from(analyze.mg_marks).unwrap(), analyze.quality, analyze.us_breast, narrowed.left_out)
        };
        let us_off = settings(old).analyze.us_breast;
        assert_eq!(after(old), ("all".into(), true, us_off, vec![]));
        let out = vec!["the earlier analyze.quality".to_owned(), "the earlier analyze.mg_marks".to_owned()];
        assert_eq!(after(""), ("off".into(), false, us_off, out), "its default would read ultrasound again");
        let fewer = old.replace("\"all\"", "\"phantoms\"");
        assert_eq!(after(&fewer), ("phantoms".into(), true, us_off, vec!["the earlier analyze.mg_marks".into()]));
        assert_eq!(after(&old.replace("\"all\"", "\"al\"")).0, "all".into(), "the mistake itself");
    }

    #[test]
    fn a_worklist_server_that_was_taken_out_names_nobody_any_more() {
        let old = "[worklist]\naddress = \"ris:104\"\nae_title = \"RIS\"\n";
        let bad = "[spool]\nkeep_dayss = 3\n";
        let out = Ok(vec!["the worklist server (worklist)".to_owned()]);
        assert_eq!(narrowed(old, &format!("{old}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(old, bad), out);
        assert_eq!(narrowed(old, &format!("{bad}{}", old.replace("ris:104", "new:104"))), out);
        let old = "live.worklist = \"/srv/list.csv\"\n";
        assert_eq!(narrowed(old, &format!("{old}{bad}")), Ok(vec![]));
        assert_eq!(narrowed(old, bad), Ok(vec!["the worklist (live.worklist)".to_owned()]));
    }
}
