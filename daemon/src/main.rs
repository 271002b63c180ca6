//! `scansided`: reads arguments and settings, starts logging and [`scansided::app::run`]. The only place that exits.

mod logging;
mod secrecy;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use config::Settings;
use config::good::{self, Good, Start};
use dicom::pixels::cage;
use rustix::fs::Mode;
use scansided::health::notify;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// `EX_CONFIG` of sysexits(3); scansided.service does not restart after this exit code.
const WRONG_CONFIGURATION: u8 = 78;
/// Twice what the watchdog of the unit waits: a configuration with which the daemon hangs or dies soon is not kept.
const GOOD_AFTER_SECS: u64 = 120;

/// The Scanside imaging appliance: receives studies, analyses them and sends the results.
#[derive(Debug, Parser)]
#[command(name = "scansided", version, max_term_width = 100)]
struct Arguments {
    /// Configuration file, or directory of *.toml (repeatable, later ones win), instead of config.d in
    /// /usr/lib/scanside, /run/scanside and /etc/scanside.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Print the effective configuration, or the mistakes in it, and exit.
    #[arg(long)]
    check_config: bool,
    /// Where the last good configuration is kept, and taken from when the configuration is wrong; not kept when absent.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", hide_env_values = true)]
    state: Option<PathBuf>,
    /// Seconds in which studies are received until a configuration counts as good.
    #[arg(long, value_name = "SECONDS", hide = true, default_value_t = GOOD_AFTER_SECS)]
    good_after: u64,
    /// What to log, for example `debug` or `info,node=debug`; overrides RUST_LOG.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == cage::ARGUMENT) {
        // The daemon that started it is told, or is gone.
        return if cage::serve::serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let arguments = Arguments::parse();
    // Who checks wants to know of the files of today.
    let good = arguments.state.as_deref().filter(|_| !arguments.check_config).map(Good::in_state);
    let start = match good::begin(&arguments.config, good.as_ref()) {
        Ok(start) => start,
        Err(error) => {
            for problem in &error.problems {
                say(format_args!("scansided: {problem}"));
            }
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    if arguments.check_config && !start.of_files.is_empty() {
        for problem in &start.of_files {
            say(format_args!("scansided: {problem}"));
        }
        return ExitCode::from(WRONG_CONFIGURATION);
    }
    let outcome = if arguments.check_config { print(&start.settings) } else { serve(start, &arguments) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("scansided: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// To standard error. `eprintln!` would panic where that is a file on a full disk.
fn say(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print(settings: &Settings) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().write_all(config::to_toml(settings)?.as_bytes()) {
        // Its reader (`| head`) has seen what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn serve(start: Start, arguments: &Arguments) -> anyhow::Result<()> {
    logging::start(arguments.log.as_deref())?;
    // What is kept names patients: nobody else may read it, whoever starts the program. (The unit says the same.)
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    secrecy::no_core_dump();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "scansided starts");
    if let Some(fallback) = &start.fallback {
        for problem in &fallback.problems {
            tracing::error!(%problem, "the configuration is wrong");
        }
        tracing::error!(utc = fallback.utc, left_out = ?fallback.left_out, "the last good configuration is used instead");
    }
    for problem in &start.of_files {
        tracing::error!(%problem, "a file of the configuration cannot be used: what needs it waits, all else works");
    }
    if let Some(problem) = &start.not_removed {
        tracing::error!(%problem, "the last good configuration allows more than the present one, and cannot be removed");
    }
    let good_after = Duration::from_secs(arguments.good_after);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let [terminate, interrupt] = signals;
        tokio::spawn(obey(terminate.context("SIGTERM")?, interrupt.context("SIGINT")?, shutdown.clone()));
        scansided::app::run(start, good_after, shutdown).await
    });
    // Blocking work that is interrupted here continues after the next start.
    runtime.shutdown_background();
    tracing::info!("scansided ends");
    outcome
}

/// The first signal starts an orderly shutdown, the second exits immediately.
async fn obey(mut terminate: Signal, mut interrupt: Signal, shutdown: CancellationToken) {
    either(&mut terminate, &mut interrupt).await;
    notify::stopping();
    tracing::info!("signal received: shutting down");
    shutdown.cancel();
    either(&mut terminate, &mut interrupt).await;
    tracing::warn!("second signal received: exiting immediately");
    std::process::exit(1);
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
