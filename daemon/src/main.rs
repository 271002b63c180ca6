//! `scansided`: arguments -> settings -> logging -> [`scansided::app::run`]. The only place that exits.

mod logging;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use config::Settings;
use scansided::health::notify;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// sysexits(3) `EX_CONFIG`; scansided.service does not start again on it.
const WRONG_CONFIGURATION: u8 = 78;

/// The Scanside imaging appliance: receives studies, analyses them, sends the results on.
#[derive(Debug, Parser)]
#[command(name = "scansided", version, max_term_width = 100)]
struct Arguments {
    /// Configuration file, or directory of *.toml (repeatable, later ones win), instead of config.d in
    /// /usr/lib/scanside, /run/scanside and /etc/scanside.
    #[arg(long, value_name = "PATH")]
    config: Vec<PathBuf>,
    /// Print the effective configuration, or every mistake in it, and end.
    #[arg(long)]
    check_config: bool,
    /// What to log, for example `debug` or `info,node=debug`; before RUST_LOG.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = match config::load(&arguments.config) {
        Ok(settings) => settings,
        Err(error) => {
            for problem in &error.problems {
                eprintln!("scansided: {problem}");
            }
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    let outcome = if arguments.check_config { print(&settings) } else { serve(settings, arguments.log.as_deref()) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scansided: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(settings: &Settings) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(config::to_toml(settings)?.as_bytes())?)
}

fn serve(settings: Settings, filter: Option<&str>) -> anyhow::Result<()> {
    logging::start(filter)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "scansided starts");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("runtime")?;
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let [terminate, interrupt] = signals;
        tokio::spawn(obey(terminate.context("SIGTERM")?, interrupt.context("SIGINT")?, shutdown.clone()));
        scansided::app::run(settings, shutdown).await
    });
    // Blocking work that is cut off here is taken up again at the next start.
    runtime.shutdown_background();
    tracing::info!("scansided ends");
    outcome
}

/// The first signal asks for an orderly end, the second does not wait for it.
async fn obey(mut terminate: Signal, mut interrupt: Signal, shutdown: CancellationToken) {
    either(&mut terminate, &mut interrupt).await;
    notify::stopping();
    tracing::info!("asked to stop");
    shutdown.cancel();
    either(&mut terminate, &mut interrupt).await;
    tracing::warn!("asked twice: ending at once");
    std::process::exit(1);
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
