//! `config`: the daemon's own reading of its files, and changes of them that it would accept.

use std::path::{Path, PathBuf};

use config::Settings;
use config::diff::{self, Differs};
use config::edit::{self, Change, Plan};
use config::good::Good;
use serde::Serialize;

use super::args::{ChangeOptions, ConfigCommand};
use super::failure::Failure;
use super::output::{Output, Tone, field};
use super::time;

/// What makes a changed configuration count.
pub const RESTART: &str = "systemctl restart scansided";

pub fn run(command: &ConfigCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { paths } => check(paths, output),
        ConfigCommand::Set { key, value, change } => {
            let set = Change::Set { key: key.clone(), value: value.clone() };
            changed(&format!("set {key}"), &[set], change, output)
        }
        ConfigCommand::Unset { key, change } => {
            changed(&format!("unset {key}"), &[Change::Unset { key: key.clone() }], change, output)
        }
        ConfigCommand::History { config } => history(config, output),
        ConfigCommand::Diff { with, config, state } => differs(with.as_deref(), config, state, output),
        ConfigCommand::Revert { number, change } => revert(*number, change, output),
    }
}

fn check(paths: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let settings: Settings = config::load(paths).map_err(|error| broken(&error))?;
    if output.is_json() {
        return output.json(&settings);
    }
    let text = config::to_toml(&settings).map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
    output.line(text.trim_end())
}

pub fn broken(error: &config::Error) -> Failure {
    Failure::new(
        format!("the configuration cannot be used:{}", lines(error)),
        "correct the lines named above; every key with its default is in /usr/lib/scanside/config.d/10-defaults.toml",
    )
}

/// A change that was refused, or that the disk did not take.
pub fn not_written(error: &config::Error) -> Failure {
    let denied = error.problems.iter().any(|problem| problem.reason.contains("ermission denied"));
    let remedy = if denied {
        "use sudo: the configuration belongs to root"
    } else {
        "correct what is named above; every key with its default is in /usr/lib/scanside/config.d/10-defaults.toml"
    };
    Failure::new(format!("nothing was changed:{}", lines(error)), remedy)
}

fn lines(error: &config::Error) -> String {
    error.problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// The JSON of a change.
#[derive(Serialize)]
struct Changed<'a> {
    files: Vec<&'a Path>,
    differs: Vec<Differs>,
    written: bool,
    restart_needed: bool,
    /// What makes it count.
    command: Option<&'static str>,
}

fn changed(what: &str, changes: &[Change], options: &ChangeOptions, output: &Output) -> Result<(), Failure> {
    let done = if options.dry_run {
        edit::plan(&options.config, changes)
    } else {
        edit::apply(&options.config, what, changes)
    };
    tell(&done.map_err(|error| not_written(&error))?, options.dry_run, output)
}

fn revert(number: Option<u32>, options: &ChangeOptions, output: &Output) -> Result<(), Failure> {
    let done = if options.dry_run {
        let number = number.map_or_else(|| edit::newest(&options.config), Ok);
        number.and_then(|number| edit::plan_revert(&options.config, number))
    } else {
        edit::revert(&options.config, number).map(|(_, plan)| plan)
    };
    tell(&done.map_err(|error| not_written(&error))?, options.dry_run, output)
}

fn tell(plan: &Plan, dry_run: bool, output: &Output) -> Result<(), Failure> {
    let differs = plan.differs();
    let written = !dry_run && !plan.changes_nothing();
    let restart_needed = written && (!differs.is_empty() || plan.before.is_none());
    if output.is_json() {
        let files = plan.files.iter().map(|(file, _)| file.as_path()).collect();
        let command = restart_needed.then_some(RESTART);
        return output.json(&Changed { files, differs, written, restart_needed, command });
    }
    show(&differs, output)?;
    for (file, content) in &plan.files {
        let done = match (content, dry_run) {
            (Some(_), false) => "Written:",
            (Some(_), true) => "Not written:",
            (None, false) => "Removed:",
            (None, true) => "Not removed:",
        };
        output.note(&format!("{done} {}", file.display()));
    }
    output.note(&if plan.changes_nothing() {
        "It is so already: nothing was changed.".to_owned()
    } else if dry_run {
        "Valid; run it again without --dry-run.".to_owned()
    } else if restart_needed {
        format!("`{RESTART}` makes it count; `scansidectl config revert` takes it back.")
    } else {
        "What is in effect stays the same: no restart is needed.".to_owned()
    });
    Ok(())
}

/// One line for the old value of a key, one for the new one.
pub fn show(differs: &[Differs], output: &Output) -> Result<(), Failure> {
    for Differs { key, old, new } in differs {
        for (sign, value, tone) in [("-", old, Tone::Bad), ("+", new, Tone::Good)] {
            if let Some(value) = value {
                output.line(&output.paint(&format!("{sign} {key} = {value}"), tone))?;
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Step {
    number: u32,
    utc: String,
    what: String,
}

fn history(paths: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let history = edit::history(paths).map_err(|error| broken(&error))?;
    let steps = history.numbers().into_iter().map(|number| {
        let snapshot = history.get(number)?;
        Ok(Step { number, utc: snapshot.utc, what: snapshot.what })
    });
    let steps: Vec<Step> = steps.collect::<Result<_, config::Error>>().map_err(|error| unreadable(&error))?;
    if output.is_json() {
        return output.json(&steps);
    }
    if steps.is_empty() {
        return output.line("Nothing was changed by scansidectl yet, or only root may see it.");
    }
    let mut table = output.table(&["N", "Time", "Change"]);
    for step in steps {
        table.add_row([step.number.to_string(), time::local(&step.utc), step.what]);
    }
    output.print(table)
}

fn unreadable(error: &config::Error) -> Failure {
    Failure::new(
        format!("cannot be compared:{}", lines(error)),
        "use sudo; `scansidectl config history` lists what there is",
    )
}

fn differs(with: Option<&str>, paths: &[PathBuf], state: &Path, output: &Output) -> Result<(), Failure> {
    let now = config::load(paths).map_err(|error| broken(&error))?;
    let good = || Good::in_state(state).settings();
    let (old, name) = match with {
        Some("good") => good().map(|(settings, utc)| (settings, good_name(&utc))),
        Some(number) => {
            let number: u32 = number.parse().map_err(|_| {
                Failure::new(format!("{number:?} is neither a number nor `good`"), "see `scansidectl config history`")
            })?;
            edit::before(paths, number).map(|settings| (settings, format!("before change {number}")))
        }
        None => good().map(|(settings, utc)| (settings, good_name(&utc))).or_else(|_| {
            let number = edit::newest(paths)?;
            Ok((edit::before(paths, number)?, format!("before change {number}")))
        }),
    }
    .map_err(|error: config::Error| unreadable(&error))?;
    let differs = diff::between(&old, &now);
    if output.is_json() {
        return output.json(&serde_json::json!({ "with": name, "differs": differs }));
    }
    let mut table = output.table(&[]);
    field(&mut table, "-", name);
    field(&mut table, "+", "now");
    output.print(table)?;
    if differs.is_empty() {
        return output.line("No difference.");
    }
    show(&differs, output)
}

fn good_name(utc: &str) -> String {
    format!("the last good one, of {}", time::local(utc))
}
