//! What the audit trail promises: no change goes unseen, a kill costs half a row at most, it stays within its bounds.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

fn some(audit: &Audit, count: usize) {
    for number in 0..count {
        let object = format!("study 1.2.{number}");
        audit.record(Entry { who: "user 1000", what: "export", object: &object, result: "allowed" }).unwrap();
    }
}

/// Oldest first.
fn rows(audit: &Audit) -> Vec<Row> {
    let mut rows = audit.newest(usize::MAX, u64::MAX, |_| true).unwrap();
    rows.reverse();
    rows
}

fn one_file(folder: &Path) -> PathBuf {
    files::list(folder).unwrap().remove(0)
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
    let rows = rows(&audit);
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
        let rows = rows(&audit);
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
    assert_eq!(files::list(folder.path()).unwrap().len(), 3);
    let verdict = audit.verify().unwrap();
    assert!(verdict.first > 1 && verdict.fault.is_none(), "{verdict:?}");
    let total: u64 = files::list(folder.path()).unwrap().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
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

#[test]
fn a_last_line_that_is_no_row_is_named_and_numbers_and_files_go_on_after_it() {
    for bad in ["nonsense\n", "{\"number\":0}\n", "a\nb\n"] {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds { longest: 1500, most: 9 };
        some(&Audit::bounded(folder.path(), bounds), 12);
        let last = files::list(folder.path()).unwrap().pop().unwrap();
        let text = fs::read_to_string(&last).unwrap();
        let kept = text.trim_end().rfind('\n').map_or(0, |index| index + 1);
        fs::write(&last, format!("{}{bad}", &text[..kept])).unwrap();
        let sound = rows(&Audit::at(folder.path())).last().unwrap().number;

        some(&Audit::bounded(folder.path(), bounds), 12);
        let audit = Audit::at(folder.path());
        let numbers: Vec<_> = rows(&audit).iter().map(|row| row.number).collect();
        assert!(numbers.is_sorted_by(|before, after| before < after), "{numbers:?}");
        let lines = bad.lines().count() as u64;
        assert!(numbers.contains(&(sound + lines + 1)) && !numbers.contains(&(sound + 1)), "{numbers:?}");
        assert!(rows(&audit).iter().any(|row| row.what == "damaged"));
        assert_eq!(fault(folder.path()), (sound + 1, "it cannot be read".to_owned()));
    }
}

#[test]
fn a_last_row_that_was_changed_is_named_and_numbers_go_on_after_it() {
    let folder = tempfile::tempdir().unwrap();
    some(&Audit::at(folder.path()), 3);
    changed(folder.path(), |mut lines| {
        let last = lines.last_mut().unwrap();
        *last = last.replace("\"number\":4", "\"number\":1").replace("1.2.2", "1.2.9");
        lines
    });
    some(&Audit::at(folder.path()), 1);
    assert_eq!(rows(&Audit::at(folder.path())).last().unwrap().number, 6);
    assert_eq!(fault(folder.path()).1, "it was changed");
}

#[test]
fn pages_of_rows_hold_all_of_them_once() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::bounded(folder.path(), Bounds { longest: 2000, most: 30 });
    some(&audit, 60);
    let (mut numbers, mut before) = (Vec::new(), u64::MAX);
    loop {
        let page = audit.newest(7, before, |_| true).unwrap();
        let Some(last) = page.last() else { break };
        before = last.number;
        numbers.extend(page.iter().map(|row| row.number));
    }
    assert_eq!(numbers, (1..=61).rev().collect::<Vec<_>>());
    assert_eq!(audit.newest(2, 10, |row| row.number % 2 == 0).unwrap().iter().map(|row| row.number).max(), Some(8));
}

/// A disk that takes no row holds the lock of the writer.
#[test]
fn nobody_waits_for_a_slow_disk_who_does_not_have_to_and_what_was_lost_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::at(folder.path());
    some(&audit, 2);
    let too_many = 20;
    let Audit(Some(inner)) = &audit else { panic!() };
    let stuck = inner.trail.end.lock().unwrap();
    let (done, is_done) = channel();
    let other = audit.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..=queue::MOST + too_many {
            other.later(Entry { who: "user 1000", what: "freeze", object: "exam", result: "allowed" });
        }
        let read = (rows(&other).len(), other.verify().unwrap().rows);
        done.send(read).unwrap();
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok((3, 3)), "neither commands nor readers wait");
    thread.join().unwrap();
    drop(stuck);
    drop(audit);
    let audit = Audit::at(folder.path());
    let all = rows(&audit);
    let frozen = all.iter().filter(|row| row.what == "freeze").count();
    let lost: Vec<_> = all.iter().filter(|row| row.what == "lost").collect();
    let said: usize = lost.iter().map(|row| row.result.split(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(frozen + said, queue::MOST + too_many + 1, "{lost:?}");
    assert!(said > 0 && audit.verify().unwrap().fault.is_none());
}

#[test]
fn whoever_may_do_nothing_cannot_push_older_rows_out() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::bounded(folder.path(), Bounds { longest: 20_000, most: 2 });
    some(&audit, 1);
    for number in 0..5000 {
        let (who, object) = (format!("user {}", 1000 + number % 50), format!("study 1.2.{number}"));
        audit.refused(Entry {
            who: &who,
            what: "export",
            object: &object,
            result: "refused: polkit does not allow it",
        });
    }
    drop(audit);
    let all = rows(&Audit::at(folder.path()));
    assert_eq!((all[0].what.as_str(), all[1].object.as_str()), ("begun", "study 1.2.0"));
    let refused: Vec<_> = all.iter().filter(|row| row.result.starts_with("refused")).collect();
    assert!(refused.len() <= 2 * (MOST_REFUSED + 1), "{}", refused.len());
    let more = |row: &&&Row| row.result.strip_prefix("refused: ")?.strip_suffix(" more times")?.parse::<usize>().ok();
    let counted: usize = refused.iter().map(|row| more(&row).unwrap_or(1)).sum();
    assert_eq!(counted, 5000, "every attempt is counted");
}

#[test]
fn what_was_given_piece_by_piece_is_one_row_and_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::at(folder.path());
    for _ in 0..300 {
        for object in ["study 1.2.1", "study 1.2.2"] {
            audit.taken(Entry { who: "page 192.0.2.7", what: "retrieve", object, result: "allowed" });
        }
    }
    drop(audit);
    let all = rows(&Audit::at(folder.path()));
    let results: Vec<_> = all[1..].iter().map(|row| row.result.as_str()).collect();
    assert_eq!(results, ["allowed", "allowed", "allowed: 299 more times", "allowed: 299 more times"]);
}
