//! `analyze DIR`: the engine on a folder, without a daemon.

use std::path::Path;
use std::sync::Mutex;

use comfy_table::Cell;
use models::task::Control;
use study::analyze::folder::{self, Options, Report, SeriesReport};

use super::args::AnalyzeOptions;
use super::config::broken;
use super::failure::Failure;
use super::findings;
use super::output::{Output, Tone, count, state_cell};
use super::watch::Bars;

pub fn run(options: &AnalyzeOptions, output: &Output) -> Result<(), Failure> {
    let mut settings = config::load(&options.config).map_err(|error| broken(&error))?;
    if let Some(packages) = &options.packages {
        settings.analyze.packages.clone_from(packages);
        // Only these: what is installed on this machine does not count.
        settings.models.directory = Some(std::path::PathBuf::new());
    }
    let control = Progress(Mutex::new(Bars::new(output)));
    let report =
        folder::run(&options.directory, &Options { settings: settings.study(), out: options.out.clone() }, &control)
            .map_err(|error| failed(&error))?;
    control.end();
    if output.is_json() {
        output.json(&report)?;
    } else {
        print(&report, options.out.as_deref(), output)?;
    }
    let failed = report.series.iter().filter(|series| series.state == "failed").count();
    if failed == 0 {
        return Ok(());
    }
    let what =
        format!("{} not analysed: no model package can be used", count(failed as u64, "series was", "series were"));
    Err(Failure::new(what, "check --packages; `scansidectl config check` shows where packages are looked for"))
}

fn failed(error: &folder::Error) -> Failure {
    let remedy = match error {
        folder::Error::Io { .. } => "check that the folder exists and may be read (and --out written)",
        folder::Error::Nothing(_) => "give a folder that holds DICOM files (also without the ending .dcm)",
        folder::Error::Unusable { .. } => {
            "export the series again from the scanner or the archive, with the identifiers it has there"
        }
        folder::Error::Examine(_) => "check --packages and accelerator.library; `scansidectl config check` shows both",
    };
    Failure::new(error.to_string(), remedy)
}

/// A bar for the series in work.
struct Progress(Mutex<Bars>);

impl Progress {
    fn end(&self) {
        self.tell("", None);
    }

    fn tell(&self, stage: &str, fraction: Option<f64>) {
        if let Ok(mut bars) = self.0.lock() {
            bars.progress("analysis", stage, fraction);
        }
    }
}

impl Control for Progress {
    fn progress(&self, stage: &str, fraction: f64) {
        self.tell(stage, Some(fraction));
    }

    fn cancelled(&self) -> bool {
        false
    }
}

fn print(report: &Report, out: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let mut table = output.table(&["Series", "Kind", "Files", "State", "Verdict"]);
    for series in &report.series {
        table.add_row(vec![
            Cell::new(name(series)),
            Cell::new(series.kind.replace('_', " ")),
            Cell::new(series.instances),
            state_cell(series.state),
            Cell::new(&series.verdict),
        ]);
    }
    output.print(table)?;
    for series in &report.series {
        let Some(found) = &series.findings else { continue };
        output.line("")?;
        output.line(&output.paint(name(series), Tone::Strong))?;
        let json =
            serde_json::to_value(found).map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
        findings::print(&json, output)?;
        if let Some(accelerator) = &series.accelerator {
            let fallback = accelerator.fallback.iter().map(|reason| format!(" ({reason})")).collect::<String>();
            let text = format!("Accelerator: {}, {}{fallback}", accelerator.provider, accelerator.library);
            output.line(&output.paint(&text, Tone::Weak))?;
        }
        if let Ok(timings) = serde_json::to_value(&series.timings_ms) {
            output.line(&output.paint(&format!("Time: {}", findings::times(&timings)), Tone::Weak))?;
        }
    }
    written(report, out, output)
}

fn written(report: &Report, out: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let files: usize = report.series.iter().map(|series| series.objects.len()).sum();
    let skipped = report.skipped.len();
    if out.is_some() || skipped > 0 {
        output.line("")?;
    }
    if let Some(out) = out {
        output.line(&format!("{} written to {}.", count(files as u64, "result", "results"), out.display()))?;
    }
    if skipped > 0 {
        output.line(&format!("{} skipped:", count(skipped as u64, "file", "files")))?;
    }
    /// More would hide the rest; `--json` has them all.
    const SHOWN: usize = 10;
    for file in report.skipped.iter().take(SHOWN) {
        output.line(&format!("  {}: {}", file.path.display(), file.reason))?;
    }
    if skipped > SHOWN {
        output.line(&format!("  ... and {} more (all with --json)", skipped - SHOWN))?;
    }
    Ok(())
}

fn name(series: &SeriesReport) -> &str {
    if series.description.is_empty() { &series.series_uid } else { &series.description }
}
