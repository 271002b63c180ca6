//! Adds to a configuration file: text goes to its end, so that what people wrote in it stays as it is, comments included. A
//! file takes its new form only when the whole configuration is valid with it.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Problem, SEARCH, load, merge};

/// Where a site's own entries go when no file has any yet.
const NEW: &str = "/etc/scanside/config.d/50-site.toml";

/// The files that [`load`] reads for `paths`, in its order.
///
/// # Errors
/// When a path that was given cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let found = if paths.is_empty() {
        merge::files(&SEARCH.map(PathBuf::from), merge::Absent::Fine)
    } else {
        merge::files(paths, merge::Absent::Wrong)
    };
    found.map_err(|problem| Error { problems: vec![problem] })
}

/// The file whose value of a list counts: the last one that sets `table.key`. Without any, the last file of the site, or a
/// new one.
///
/// # Errors
/// As [`files`].
pub fn file_for_list(paths: &[PathBuf], table: &str, key: &str) -> Result<PathBuf, Error> {
    let files = files(paths)?;
    let sets = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let values: toml::Table = toml::from_str(&text).unwrap_or_default();
        values.get(table).and_then(|table| table.get(key)).is_some()
    };
    let last = files.iter().rfind(|file| sets(file));
    let own = files.iter().rfind(|file| !paths.is_empty() || file.starts_with("/etc"));
    Ok(last.or(own).cloned().unwrap_or_else(|| NEW.into()))
}

/// Appends `text` to `file`, which is one of those that [`files`] names or a new one after them.
///
/// # Errors
/// When the configuration would be wrong with it (the file is unchanged then), or the file cannot be written.
pub fn append(paths: &[PathBuf], file: &Path, text: &str) -> Result<(), Error> {
    let wrong = |error: std::io::Error| Error {
        problems: vec![Problem { file: Some(file.to_owned()), line: None, key: None, reason: error.to_string() }],
    };
    let old = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(wrong)?,
    };
    let gap = if old.is_empty() || old.ends_with("\n\n") {
        ""
    } else if old.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    let new = file.with_extension("toml-new");
    let written = || {
        let mut out = std::fs::File::create(&new)?;
        out.write_all(format!("{old}{gap}{text}").as_bytes())?;
        if let Ok(before) = std::fs::metadata(file) {
            out.set_permissions(before.permissions())?;
        }
        out.sync_all()
    };
    written().map_err(wrong)?;
    let mut all = files(paths)?;
    match all.iter_mut().find(|known| *known == file) {
        Some(known) => known.clone_from(&new),
        None => all.push(new.clone()),
    }
    if let Err(mut error) = load(&all) {
        let _ = std::fs::remove_file(&new);
        for problem in error.problems.iter_mut().filter(|problem| problem.file.as_deref() == Some(&new)) {
            problem.file = Some(file.to_owned());
        }
        return Err(error);
    }
    std::fs::rename(&new, file).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: &str = "[[dicom.sender]]\nae_title = \"MR7\"\n";

    #[test]
    fn an_entry_is_added_to_the_file_that_counts_and_comments_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("10-a.toml"), directory.path().join("50-b.toml"));
        let paths = [directory.path().to_owned()];
        let text = "# our CT\n[[dicom.sender]]\nae_title = \"CT1\" # room 3\n[series]\nquiet_secs = 5.0\n";
        std::fs::write(&first, text).unwrap();
        std::fs::write(&second, "[dicom]\nmax_pdu = 65536\n").unwrap();
        let file = file_for_list(&paths, "dicom", "sender").unwrap();
        assert_eq!(file, first);
        append(&paths, &file, SENDER).unwrap();
        assert_eq!(std::fs::read_to_string(&first).unwrap(), format!("{text}\n{SENDER}"));
        let titles: Vec<_> = load(&paths).unwrap().dicom.sender.into_iter().map(|sender| sender.ae_title).collect();
        assert_eq!(titles, ["CT1", "MR7"]);
    }

    #[test]
    fn a_file_with_which_the_configuration_would_be_wrong_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("50-site.toml");
        let text = "dicom.sender = [{ ae_title = \"CT1\" }]\n";
        std::fs::write(&file, text).unwrap();
        let error = append(&[directory.path().to_owned()], &file, SENDER).unwrap_err();
        assert_eq!(error.problems[0].file.as_deref(), Some(file.as_path()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
    }
}
