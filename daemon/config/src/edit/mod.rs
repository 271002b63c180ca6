//! Changes the configuration: the files are read, the texts changed, the whole result judged as the daemon would, what was
//! before kept as a step of the history, and only then the file is replaced. One at a time, whoever asks.

pub mod disk;
pub mod history;
pub mod text;

use std::path::{Path, PathBuf};

use self::history::{History, Snapshot};
use crate::diff::{self, Differs};
use crate::source::{self, Content, Source};
pub use crate::source::{files, read};
use crate::value::{self, inline, value};
use crate::{Error, Problem, Settings, nearest};

/// Where a site's own entries go when no file has any yet.
const NEW: &str = "/etc/scanside/config.d/50-site.toml";
/// The mode of such a file, as the package installs it.
const NEW_MODE: u32 = 0o644;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Dotted key, and its value as a person types it.
    Set {
        key: String,
        value: String,
    },
    Unset {
        key: String,
    },
    /// An entry at the end of a list of tables.
    Push {
        key: String,
        entry: toml::Table,
    },
}

/// What changes would do.
#[derive(Debug)]
pub struct Plan {
    /// Files with their new content; `None` removes one.
    pub files: Vec<(PathBuf, Option<Content>)>,
    /// `None`: the configuration is wrong now.
    pub before: Option<Settings>,
    pub after: Settings,
    own: Vec<Source>,
    home: PathBuf,
}

impl Plan {
    /// What the daemon will do differently after a restart.
    pub fn differs(&self) -> Vec<Differs> {
        diff::between(&self.before.clone().unwrap_or_default(), &self.after)
    }

    pub fn changes_nothing(&self) -> bool {
        self.files.is_empty()
    }
}

/// The site's files, as far as they can be read. Others belong to the package, or to a program.
#[derive(Debug)]
struct Site {
    all: Vec<Source>,
    problems: Vec<Problem>,
    given: bool,
}

impl Site {
    fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let (all, problems) = read(paths)?;
        Ok(Self { all, problems, given: !paths.is_empty() })
    }

    fn is_own(&self, file: &Path) -> bool {
        self.given || file.starts_with("/etc")
    }

    fn own(&self) -> impl DoubleEndedIterator<Item = &Source> {
        self.all.iter().filter(|source| self.is_own(&source.file))
    }

    /// The file that wins over all others.
    fn last(&self) -> PathBuf {
        self.own().last().map_or_else(|| NEW.into(), |source| source.file.clone())
    }

    fn sets(&self, path: &[String]) -> Option<&Source> {
        self.own().rfind(|source| raw(source, path).is_some())
    }

    /// For one key the file that has it now; for several the last one, since one file can be replaced in one step.
    fn target(&self, changes: &[Change]) -> PathBuf {
        let only = if let [change] = changes { self.sets(&split(change.key())) } else { None };
        only.map_or_else(|| self.last(), |source| source.file.clone())
    }
}

impl Change {
    fn key(&self) -> &str {
        match self {
            Self::Set { key, .. } | Self::Unset { key } | Self::Push { key, .. } => key,
        }
    }
}

fn split(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

fn raw(source: &Source, path: &[String]) -> Option<toml::Value> {
    let table: toml::Table = toml::from_str(source.text().ok()?).ok()?;
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(first)?, |value, key| value.get(key)).cloned()
}

fn problem(key: &str, reason: impl ToString) -> Error {
    Problem { file: None, line: None, key: Some(key.to_owned()), reason: reason.to_string() }.into()
}

/// The file whose value of a list counts: the last one of the site that sets `table.key`. Without any, the last file of the
/// site, or a new one.
///
/// # Errors
/// As [`files`].
pub fn file_for_list(paths: &[PathBuf], table: &str, key: &str) -> Result<PathBuf, Error> {
    let site = Site::read(paths)?;
    let last = site.all.iter().rfind(|source| raw(source, &[table.into(), key.into()]).is_some());
    Ok(last.map_or_else(|| site.last(), |source| source.file.clone()))
}

/// What the changes would do; nothing is written.
///
/// # Errors
/// When a change is not possible, or the configuration would be wrong with it: file, line and key.
pub fn plan(paths: &[PathBuf], changes: &[Change]) -> Result<Plan, Error> {
    let site = Site::read(paths)?;
    let file = site.target(changes);
    let old = site.all.iter().find(|source| source.file == file);
    let old = old.map_or(Ok(""), Source::text)?.to_owned();
    let mut text = old.clone();
    for change in changes {
        text = changed(&site, &file, &text, change)?;
    }
    let new = if text == old { Vec::new() } else { vec![(file, Some(Content::Text(text)))] };
    judged(site, new)
}

fn changed(site: &Site, file: &Path, text: &str, change: &Change) -> Result<String, Error> {
    let key = change.key();
    let path = split(key);
    let fault = |fault: text::Fault| -> Error {
        Problem { key: Some(key.to_owned()), ..Problem::of_file(file, fault.to_string()) }.into()
    };
    match change {
        Change::Set { value: typed, .. } => {
            let value = value(&path, typed).map_err(|reason| problem(key, reason))?;
            text::set(text, &path, &inline(&value)).map_err(fault)
        }
        Change::Unset { .. } => text::unset(text, &path).map_err(|why| match why {
            text::Fault::NotSet => problem(key, not_set(site, &path)),
            why => fault(why),
        }),
        Change::Push { entry, .. } => {
            let here = Source { file: file.to_owned(), content: Content::Text(text.to_owned()) };
            let known = raw(&here, &path).or_else(|| site.all.iter().rev().find_map(|source| raw(source, &path)));
            let known = known.and_then(|value| value.as_array().cloned()).unwrap_or_default();
            let has_blocks = raw(&here, &path).is_none() || text.contains(&format!("[[{key}]]"));
            if has_blocks {
                let new = if raw(&here, &path).is_some() { &[][..] } else { &known[..] };
                let entries = new.iter().filter_map(toml::Value::as_table).chain([entry]);
                return Ok(entries.fold(text.to_owned(), |text, entry| joined(&text, &value::block(key, entry))));
            }
            let all: Vec<_> = known.into_iter().chain([toml::Value::Table(entry.clone())]).collect();
            text::set(text, &path, &inline(&toml::Value::Array(all))).map_err(fault)
        }
    }
}

fn not_set(site: &Site, path: &[String]) -> String {
    let elsewhere = site.all.iter().rfind(|source| raw(source, path).is_some());
    match elsewhere {
        // Several changes go into one file.
        Some(source) if site.is_own(&source.file) => {
            format!(
                "is set by {}: unset it alone, `scansidectl config unset {}`",
                source.file.display(),
                path.join(".")
            )
        }
        Some(source) => format!("is set by {}, which is not the site's", source.file.display()),
        None => nearest::of_key(path, crate::fragment::refused)
            .unwrap_or_else(|| "is not set: its default is in effect".into()),
    }
}

/// `text` with `more` at its end, one blank line between them.
fn joined(text: &str, more: &str) -> String {
    let gap = match text {
        "" => "",
        _ if text.ends_with("\n\n") => "",
        _ if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{text}{gap}{more}")
}

/// Judges the configuration as it would be.
fn judged(site: Site, files: Vec<(PathBuf, Option<Content>)>) -> Result<Plan, Error> {
    let mut all = site.all.clone();
    for (file, content) in &files {
        let at = all.iter().position(|source| source.file == *file);
        match (at, content) {
            (Some(at), Some(content)) => all[at].content = content.clone(),
            (Some(at), None) => drop(all.remove(at)),
            (None, Some(content)) => all.push(Source { file: file.clone(), content: content.clone() }),
            (None, None) => {}
        }
    }
    let mended = |problem: &Problem| files.iter().any(|(file, _)| problem.file.as_ref() == Some(file));
    let problems = site.problems.iter().filter(|problem| !mended(problem)).cloned().collect();
    let after = source::judge(&all, problems)?;
    let before = source::judge(&site.all, site.problems.clone()).ok();
    Ok(Plan { files, before, after, own: site.own().cloned().collect(), home: site.last() })
}

/// Makes the changes in one step. `what` is their name in the history, without values. Returns what was done.
///
/// # Errors
/// When a change is not possible, the configuration would be wrong with it (nothing is written then), or the disk fails.
pub fn apply(paths: &[PathBuf], what: &str, changes: &[Change]) -> Result<Plan, Error> {
    carry_out(what, || plan(paths, changes))
}

/// Appends `text` to `file`, which is one of those that [`files`] names or a new one after them.
///
/// # Errors
/// When the configuration would be wrong with it (the file is unchanged then), or the file cannot be written.
pub fn append(paths: &[PathBuf], file: &Path, what: &str, text: &str) -> Result<Plan, Error> {
    carry_out(what, || {
        let site = Site::read(paths)?;
        let old = site.all.iter().find(|source| source.file == file).map_or(Ok(""), Source::text)?;
        let new = Content::Text(joined(old, text));
        judged(site, vec![(file.to_owned(), Some(new))])
    })
}

/// Goes back to what was before change `number`; the last one when absent. Itself a step, which can be undone.
///
/// # Errors
/// When there is no such step, the configuration would be wrong (nothing is written then), or the disk fails.
pub fn revert(paths: &[PathBuf], number: Option<u32>) -> Result<(u32, Plan), Error> {
    let number = number.map_or_else(|| newest(paths), Ok)?;
    let what = format!("revert to before {number}");
    let plan = carry_out(&what, || plan_revert(paths, number))?;
    Ok((number, plan))
}

/// What [`revert`] would do; nothing is written.
///
/// # Errors
/// As [`revert`].
pub fn plan_revert(paths: &[PathBuf], number: u32) -> Result<Plan, Error> {
    let snapshot = history(paths)?.get(number)?;
    let site = Site::read(paths)?;
    let gone = site.own().filter(|source| !snapshot.files.iter().any(|kept| kept.file == source.file));
    let gone = gone.map(|source| (source.file.clone(), None));
    let kept = snapshot.files.iter().filter(|kept| !site.all.contains(kept));
    let files = gone.chain(kept.map(|kept| (kept.file.clone(), Some(kept.content.clone())))).collect();
    judged(site, files)
}

/// The configuration as it was before change `number`, with what the package says today.
///
/// # Errors
/// When there is no such step, or it was wrong.
pub fn before(paths: &[PathBuf], number: u32) -> Result<Settings, Error> {
    Ok(plan_revert(paths, number)?.after)
}

/// # Errors
/// When there is none.
pub fn newest(paths: &[PathBuf]) -> Result<u32, Error> {
    let none =
        || Problem { file: None, line: None, key: None, reason: "nothing was changed by scansidectl yet".into() };
    Ok(history(paths)?.numbers().last().copied().ok_or_else(none)?)
}

/// The steps so far, to read.
///
/// # Errors
/// As [`files`].
pub fn history(paths: &[PathBuf]) -> Result<History, Error> {
    Ok(History::of(&Site::read(paths)?.last()))
}

fn carry_out(what: &str, plan: impl Fn() -> Result<Plan, Error>) -> Result<Plan, Error> {
    // Before the lock, because its folder is made: a change that is not possible leaves nothing behind.
    let home = plan()?.home;
    let history = History::lock(&home)?;
    let plan = plan()?;
    if plan.changes_nothing() {
        return Ok(plan);
    }
    let utc = hal::clock::now_utc();
    history.add(&Snapshot { utc, what: what.to_owned(), files: plan.own.clone() })?;
    for (file, content) in &plan.files {
        let written = match content {
            Some(content) => disk::replace(file, content.bytes(), NEW_MODE, disk::NOTHING),
            None => disk::remove(file).and_then(|()| disk::sync(disk::folder(file))),
        };
        written.map_err(|error| Problem::of_file(file, error.to_string()))?;
    }
    Ok(plan)
}

#[cfg(test)]
mod tests;
