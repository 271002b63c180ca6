//! `acceptance`: tests the box as a whole, prints the lines, writes the signed report. `perform` measures, `crate::acceptance`
//! judges.

pub mod args;
mod files;
mod history;
mod perform;
mod send;
mod verify;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{Cell, ColumnConstraint, Width};
use indicatif::{ProgressBar, ProgressStyle};
use zbus::Connection;

use self::args::{AcceptanceCommand, AcceptanceOptions};
use super::examine::Place;
use super::failure::Failure;
use super::manager;
use super::output::{Output, Tone, toned_cell};
use crate::acceptance::{Outcome, Report, document, drift};
use crate::doctor::text::Language;
use crate::{ManagerProxy, acceptance};

const COULD_NOT_RUN: u8 = 2;
const TICK: Duration = Duration::from_millis(120);

/// Everything that the steps need.
pub(super) struct Bench<'a> {
    pub place: &'a Place,
    pub connection: Connection,
    pub manager: ManagerProxy<'static>,
    pub options: &'a AcceptanceOptions,
    pub progress: Progress,
}

/// What is being done, for people.
pub(super) struct Progress {
    bar: ProgressBar,
    language: Language,
}

impl Progress {
    fn new(language: Language, output: &Output) -> Self {
        let bar = if output.shows_progress() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, language }
    }

    pub fn say(&self, english: &str, chinese: &str) {
        self.bar.set_message(self.language.pick(english, chinese));
    }
}

/// Every way to fail before there is a report ends with "could not run".
pub async fn run(
    place: &Place,
    language: Language,
    options: &AcceptanceOptions,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let done = match &options.command {
        Some(AcceptanceCommand::Verify { file, key }) => {
            return verify::run(place, file, key.as_deref(), output).await;
        }
        Some(AcceptanceCommand::Key) => return verify::key(place, output).await,
        None => test(place, language, options, output).await,
    };
    done.or_else(|failure| {
        failure.print(output);
        Ok(ExitCode::from(COULD_NOT_RUN))
    })
}

async fn test(
    place: &Place,
    language: Language,
    options: &AcceptanceOptions,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if options.daily {
        history::permit(&options.keep)?;
    }
    let (connection, manager) = manager(&place.bus).await?;
    // Whoever may not test hears it before anything is sent; and the trail has it before anything is done.
    let begun = manager.begin_acceptance(!options.no_delivery).await;
    begun.map_err(|error| Failure::from_call(&place.bus, error))?;
    let bench = Bench { place, connection, manager, options, progress: Progress::new(language, output) };
    let history = options.daily.then(|| history::read(&options.keep)).transpose()?.unwrap_or_default();
    let before = history.last().and_then(|run| run.throttled);
    let (mut report, throttled) = perform::run(&bench, before).await?;
    report.drifts = drift::drifts(&history, &report.figures);
    let habits = history::habits(&history, &report.figures);
    if options.daily {
        history::add(&options.keep, &history, &report, throttled)?;
    }
    let mut written = Vec::new();
    for folder in options.report.iter().cloned().chain(options.daily.then(|| options.keep.join("reports"))) {
        bench.progress.say("Signing and writing the report ...", "正在签名并写入报告……");
        written.extend(files::write(&bench, &folder, &report, &habits).await?);
    }
    if options.daily {
        files::forget_old(&options.keep.join("reports"));
    }
    bench.progress.bar.finish_and_clear();
    if output.is_json() {
        output.json(&report)?;
    } else {
        print(&report, language, output)?;
        written.iter().try_for_each(|file| output.line(&file.display().to_string()))?;
        if written.is_empty() {
            output.note(&language.pick(
                "For a signed report as web page and PDF: --report DIR.",
                "如需签名的网页与 PDF 报告：--report 目录。",
            ));
        }
    }
    if options.daily {
        report.drifts.iter().for_each(|drift| output.note(&format!("drift: {}", drift.words.in_language(language))));
    }
    Ok(ExitCode::from(u8::from(report.outcome == Outcome::Fail)))
}

fn print(report: &Report, language: Language, output: &Output) -> Result<(), Failure> {
    let tone = |outcome: Outcome| match outcome {
        Outcome::Pass => Tone::Good,
        Outcome::Fail => Tone::Bad,
        Outcome::NotTested => Tone::Weak,
    };
    let mut of = None;
    let mut table = output.table(&[]);
    for line in &report.lines {
        if of != Some(line.group) {
            of = Some(line.group);
            let title = acceptance::document::group(line.group, language);
            table.add_row(vec![Cell::new(""), toned_cell(&title, Tone::Strong)]);
        }
        table.add_row(vec![
            toned_cell(&document::word(line.outcome, language), tone(line.outcome)),
            Cell::new(line.name.in_language(language)),
            Cell::new(line.seen.in_language(language)),
        ]);
        let remedy = line.remedy.in_language(language);
        if !remedy.is_empty() {
            table.add_row(vec![Cell::new(""), Cell::new(""), toned_cell(&format!("> {remedy}"), Tone::Busy)]);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(10)));
    }
    output.print(table)?;
    output.line("")?;
    for stage in &report.stages {
        let name = stage.name.in_language(language);
        output.line(&format!("{:>10}  {name}", drift::Unit::Milliseconds.words(stage.milliseconds)))?;
    }
    if !report.stages.is_empty() {
        output.line("")?;
    }
    for drift in &report.drifts {
        output.line(&output.paint(&drift.words.in_language(language), Tone::Busy))?;
    }
    output.line(&output.paint(&document::headline(report).in_language(language), tone(report.outcome)))
}
