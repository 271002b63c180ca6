//! What the audit trail promises: no change goes unseen, a kill costs half a row at most, it stays within its bounds.

use super::*;

fn some(audit: &Audit, count: usize) {
    for number in 0..count {
        let object = format!("study 1.2.{number}");
        audit.record(Entry { who: "user 1000", what: "export", object: &object, result: "allowed" }).unwrap();
    }
}

fn one_file(folder: &Path) -> PathBuf {
    files(folder).unwrap().remove(0)
}

fn changed(folder: &Path, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let path = one_file(folder);
    let lines = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    fs::write(&path, change(lines).join("\n") + "\n").unwrap();
}

fn fault(folder: &Path) -> (u64, String) {
    let fault = Audit::at(folder).verify().unwrap().fault.unwrap();
    (fault.number, fault.what)
}

#[test]
fn rows_are_there_after_a_start_and_fit() {
    let folder = tempfile::tempdir().unwrap();
    some(&Audit::at(folder.path()), 3);
    some(&Audit::at(folder.path()), 2);
    let audit = Audit::at(folder.path());
    let verdict = audit.verify().unwrap();
    assert_eq!((verdict.rows, verdict.first, verdict.fault), (6, 1, None));
    let rows = audit.rows().unwrap();
    assert_eq!(
        (rows[0].what.as_str(), rows[5].object.as_str(), &rows[5].hash),
        ("begun", "study 1.2.1", &verdict.last_hash)
    );
}

#[test]
fn the_first_row_that_was_changed_removed_or_put_in_between_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || {
        let _ = fs::remove_dir_all(folder.path().join("audit"));
        some(&Audit::at(&folder.path().join("audit")), 5);
        folder.path().join("audit")
    };
    let here = begin();
    changed(&here, |lines| lines.iter().map(|line| line.replace("1.2.1", "1.2.9")).collect());
    assert_eq!(fault(&here), (3, "it was changed".to_owned()));
    let here = begin();
    changed(&here, |mut lines| {
        lines.remove(2);
        lines
    });
    assert!(fault(&here).1.contains("rows between them are missing"));
    let here = begin();
    changed(&here, |lines| lines[2..].to_vec());
    assert_eq!(fault(&here), (3, "the rows before it are missing".to_owned()));
    let here = begin();
    changed(&here, |mut lines| {
        lines[3] = "nonsense".into();
        lines
    });
    assert_eq!(fault(&here), (4, "it cannot be read".to_owned()));
    // Whoever changes a row and makes its hash anew has to do it with all that follow.
    let here = begin();
    changed(&here, |mut lines| {
        let row: Row = serde_json::from_str(&lines[2]).unwrap();
        let texts = [row.who, row.what, "another study".into(), row.result];
        lines[2] = serde_json::to_string(&Row::new(row.number, row.utc, texts, &row.previous)).unwrap();
        lines
    });
    assert_eq!(fault(&here), (4, "the row before it was changed".to_owned()));
}

#[test]
fn half_a_row_that_a_kill_left_is_removed_and_told() {
    let folder = tempfile::tempdir().unwrap();
    some(&Audit::at(folder.path()), 3);
    let path = one_file(folder.path());
    let text = fs::read(&path).unwrap();
    for cut in [1, 40, 200] {
        fs::write(&path, &text[..text.len() - cut]).unwrap();
        let audit = Audit::at(folder.path());
        some(&audit, 1);
        let rows = audit.rows().unwrap();
        let whats: Vec<_> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(whats, ["begun", "export", "export", "mended", "export"], "{cut}");
        assert_eq!(audit.verify().unwrap().fault, None, "{cut}");
    }
}

#[test]
fn the_oldest_rows_are_retired_and_the_rest_still_fits() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::bounded(folder.path(), Bounds { longest: 2000, most: 3 });
    some(&audit, 60);
    assert_eq!(files(folder.path()).unwrap().len(), 3);
    let verdict = audit.verify().unwrap();
    assert!(verdict.first > 1 && verdict.fault.is_none(), "{verdict:?}");
    let total: u64 = files(folder.path()).unwrap().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(total < 4 * 2000, "{total}");
    // A file that somebody else removed is missed.
    fs::remove_file(one_file(folder.path())).unwrap();
    assert!(audit.verify().unwrap().fault.unwrap().what.contains("before it are missing"));
}

#[test]
fn one_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("audit");
    fs::write(&place, "a file is in the way").unwrap();
    let audit = Audit::at(&place);
    let entry = Entry { who: "user 0", what: "export", object: "", result: "allowed" };
    assert!(audit.record(entry).is_err());
    fs::remove_file(&place).unwrap();
    audit.record(entry).unwrap();
    assert_eq!(audit.verify().unwrap().rows, 2);
}
