//! The command line, as clap sees it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const AFTER_HELP: &str = "\
Examples:
  scansidectl status
  scansidectl studies list --state processed
  scansidectl studies show 12
  scansidectl studies rerun 12 --wait
  scansidectl outbox retry pacs
  scansidectl analyze /media/usb/CT --out results
  scansidectl --json studies list | jq '.[].verdicts'

Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 the daemon cannot be reached.
Times are local for people, UTC in JSON.";

/// Controls a Scanside imaging appliance.
#[derive(Debug, Parser)]
#[command(name = "scansidectl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// Print JSON (one value; `watch`: one value a line).
    #[arg(long, global = true)]
    pub json: bool,
    /// `system`, `session`, or a D-Bus address.
    #[arg(long, global = true, value_name = "ADDRESS", env = "SCANSIDE_BUS", default_value = "system")]
    pub bus: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is the appliance well, and what is it doing?
    Status,
    /// Studies that were received.
    Studies {
        #[command(subcommand)]
        command: StudiesCommand,
    },
    /// Series with their state and verdict, newest first.
    Series {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only of this study.
        #[arg(long)]
        study: Option<String>,
        /// receiving, complete, processed, refused or evicted.
        #[arg(long)]
        state: Option<String>,
    },
    /// Results on their way to other systems.
    Outbox {
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Objects that could not be understood, or that contradict what is already here.
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Analyse a folder of DICOM files, without a daemon.
    Analyze(AnalyzeOptions),
    /// Show what happens, as it happens.
    Watch {
        /// End when nothing is being received, analysed or sent.
        #[arg(long)]
        until_idle: bool,
    },
    /// C-ECHO to a destination: is it there, and does it accept us?
    Echo {
        /// Name of the destination in the configuration.
        destination: String,
    },
    /// The daemon's configuration files.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Shell completions, to standard output.
    Completions { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub enum StudiesCommand {
    /// Newest first.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// receiving, analyzing, processed, refused or evicted.
        #[arg(long)]
        state: Option<String>,
    },
    /// One study: series, findings, deliveries.
    Show {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
    },
    /// Analyse a study again.
    Rerun {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
        /// Before all other waiting work.
        #[arg(long)]
        urgent: bool,
        /// Show progress and end when it is done.
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// What waits to be sent, newest first.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Also what was delivered.
        #[arg(long)]
        all: bool,
        /// Only to this destination.
        #[arg(long)]
        destination: Option<String>,
    },
    /// Try now instead of waiting for the next attempt.
    Retry {
        /// Only this destination.
        destination: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Newest first, with reason and sender.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read and validate; print the effective configuration or every mistake.
    Check {
        /// Files or directories instead of the usual places.
        paths: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct AnalyzeOptions {
    /// Folder of DICOM files; searched to the bottom.
    pub directory: PathBuf,
    /// Where DICOM results and pictures go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Configuration file or directory (repeatable); the usual places when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Directory of model packages instead of the configured one.
    #[arg(long, value_name = "DIR")]
    pub packages: Option<PathBuf>,
}
