//! What a change of the configuration promises.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::load;

const SENDER: &str = "[[dicom.sender]]\nae_title = \"MR7\"\n";
const SITE: &str = "# ours\n[dicom]  # node\nmax_pdu = 65536 # as the PACS\n\n# disk\n[spool]\nkeep_days = 3\n";

struct Place {
    directory: tempfile::TempDir,
    paths: [PathBuf; 1],
}

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let paths = [directory.path().to_owned()];
        Self { directory, paths }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    fn set(&self, key: &str, value: &str) -> Result<Plan, Error> {
        apply(&self.paths, &format!("set {key}"), &[set(key, value)])
    }
}

fn set(key: &str, value: &str) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

#[test]
fn an_entry_is_added_to_the_file_that_counts_and_comments_stay() {
    let text = "# our CT\n[[dicom.sender]]\nae_title = \"CT1\" # room 3\n[series]\nquiet_secs = 5.0\n";
    let place = Place::with(&[("10-a.toml", text), ("50-b.toml", "[dicom]\nmax_pdu = 65536\n")]);
    let file = file_for_list(&place.paths, "dicom", "sender").unwrap();
    assert_eq!(file, place.directory.path().join("10-a.toml"));
    append(&place.paths, &file, "learn MR7", SENDER).unwrap();
    assert_eq!(place.text("10-a.toml"), format!("{text}\n{SENDER}"));
    let titles: Vec<_> = load(&place.paths).unwrap().dicom.sender.into_iter().map(|sender| sender.ae_title).collect();
    assert_eq!(titles, ["CT1", "MR7"]);
}

#[test]
fn a_file_with_which_the_configuration_would_be_wrong_stays_as_it_is() {
    let text = "dicom.sender = [{ ae_title = \"CT1\" }]\n";
    let place = Place::with(&[("50-site.toml", text)]);
    let file = place.directory.path().join("50-site.toml");
    let error = append(&place.paths, &file, "learn MR7", SENDER).unwrap_err();
    assert_eq!(error.problems[0].file.as_deref(), Some(file.as_path()));
    let error = place.set("dicom.max_pdu", "5").unwrap_err();
    assert!(error.to_string().contains("dicom.max_pdu: 5 is out of range: 4096 to 1048576 bytes"), "{error}");
    assert_eq!(place.text("50-site.toml"), text);
    assert_eq!(std::fs::read_dir(place.directory.path()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn a_key_is_changed_in_the_file_that_has_it_and_several_in_the_last_one() {
    let place = Place::with(&[("10-a.toml", "dicom.max_pdu = 65536 # a\n"), ("50-b.toml", "spool.keep_days = 3\n")]);
    place.set("dicom.max_pdu", "4096").unwrap();
    assert_eq!(place.text("10-a.toml"), "dicom.max_pdu = 4096 # a\n");
    let both = [set("dicom.max_pdu", "8192"), set("spool.keep_days", "4")];
    let done = apply(&place.paths, "setup", &both).unwrap();
    assert_eq!(done.differs().len(), 2);
    assert_eq!(place.text("10-a.toml"), "dicom.max_pdu = 4096 # a\n");
    assert_eq!(place.text("50-b.toml"), "spool.keep_days = 4\n\n[dicom]\nmax_pdu = 8192\n");
}

#[test]
fn a_list_grows_in_whatever_form_it_is_written() {
    let entry: toml::Table = toml::from_str("ae_title = \"MR7\"").unwrap();
    let push = [Change::Push { key: "dicom.sender".into(), entry }, set("spool.keep_days", "1")];
    for files in [
        &[("50-b.toml", "")][..],
        &[("50-b.toml", "dicom.sender = [{ ae_title = \"CT1\" }]\n")],
        &[("50-b.toml", "[[dicom.sender]]\nae_title = \"CT1\"\n")],
        &[("10-a.toml", "[[dicom.sender]]\nae_title = \"CT1\"\n"), ("50-b.toml", "# b\n")],
    ] {
        let place = Place::with(files);
        let known = load(&place.paths).unwrap().dicom.sender.len();
        let done = apply(&place.paths, "setup", &push).unwrap();
        assert_eq!(done.after.dicom.sender.len(), known + 1, "{files:?}");
        assert_eq!(load(&place.paths).unwrap(), done.after);
    }
}

#[test]
fn a_change_can_be_undone_and_that_too() {
    let place = Place::with(&[("50-site.toml", SITE)]);
    place.set("spool.keep_days", "4").unwrap();
    let changed = place.text("50-site.toml");
    place.set("dicom.max_pdu", "4096").unwrap();
    let (number, plan) = revert(&place.paths, Some(1)).unwrap();
    assert_eq!((number, plan.differs().len(), place.text("50-site.toml")), (1, 2, SITE.to_owned()));
    revert(&place.paths, Some(2)).unwrap();
    assert_eq!(place.text("50-site.toml"), changed);
    assert_eq!(history(&place.paths).unwrap().numbers(), [1, 2, 3, 4]);
    let error = revert(&place.paths, Some(9)).unwrap_err();
    assert!(error.to_string().contains("no step 9"), "{error}");
}

#[test]
fn a_file_that_an_editor_has_broken_is_put_back_whatever_its_bytes() {
    let place = Place::with(&[("50-site.toml", SITE)]);
    place.set("spool.keep_days", "4").unwrap();
    let file = place.directory.path().join("50-site.toml");
    let gbk = b"# \xd6\xd0\xce\xc4\n[spool]\nkeep_days = 4\n";
    std::fs::write(&file, gbk).unwrap();
    let error = load(&place.paths).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    revert(&place.paths, None).unwrap();
    assert_eq!(place.text("50-site.toml"), SITE);
    let error = revert(&place.paths, None).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "judged like a set: {error}");
    let kept = history(&place.paths).unwrap().get(2).unwrap();
    assert_eq!(kept.files[0].content.bytes(), gbk, "and what was there is kept");
}

#[test]
fn the_history_has_an_end_and_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with(&[("50-site.toml", SITE)]);
    for days in 10..35 {
        place.set("spool.keep_days", &days.to_string()).unwrap();
    }
    let numbers = history(&place.paths).unwrap().numbers();
    assert_eq!((numbers.len(), numbers[0], numbers[19]), (history::STEPS, 6, 25));
    let folder = place.directory.path().join("history");
    for file in [folder.clone(), folder.join("0025.json")] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn what_is_so_already_is_no_step() {
    let place = Place::with(&[("50-site.toml", SITE)]);
    assert!(place.set("spool.keep_days", "3").unwrap().changes_nothing());
    assert_eq!(history(&place.paths).unwrap().numbers(), Vec::<u32>::new());
}

#[test]
fn of_changes_at_the_same_time_none_is_lost() {
    let place = Place::with(&[("50-site.toml", SITE)]);
    let keys = ["spool.keep_days", "spool.segment_mib", "spool.ready_segments", "spool.check_mib_per_second"];
    std::thread::scope(|scope| {
        for key in keys {
            let place = &place;
            scope.spawn(move || {
                for value in 8..16 {
                    place.set(key, &value.to_string()).unwrap();
                }
            });
        }
    });
    let spool = load(&place.paths).unwrap().spool;
    let all = (spool.keep_days, spool.segment_mib, u64::try_from(spool.ready_segments).unwrap());
    assert_eq!((all, spool.check_mib_per_second), ((15, 15, 15), 15));
    assert_eq!(history(&place.paths).unwrap().numbers().last(), Some(&32));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_change_and_its_revert_give_back_the_same_bytes(days in 0..1000_u32, crlf in any::<bool>(), after in "[# a-z\n]{0,20}") {
        let text = format!("{SITE}{}", after.lines().map(|line| format!("#{line}\n")).collect::<String>());
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let place = Place::with(&[("50-site.toml", &text)]);
        for (key, value) in [("spool.keep_days", days), ("series.quiet_secs", days + 1), ("dicom.max_pdu", 4096 + days)] {
            let before = place.text("50-site.toml");
            place.set(key, &value.to_string()).unwrap();
            prop_assert_eq!(place.text("50-site.toml").matches('#').count(), text.matches('#').count());
            if revert(&place.paths, None).is_ok() {
                prop_assert_eq!(place.text("50-site.toml"), before);
            }
        }
    }
}
