//! The command line of `acceptance`, as clap sees it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::ctl::args::LookOptions;

pub const ACCEPTANCE_HELP: &str = "\
Examples:
  scansidectl acceptance --report /media/usb --by 'Li Ming'
  scansidectl acceptance --no-delivery
  scansidectl acceptance --from CT1 --language zh
  scansidectl --json acceptance | jq '.lines[] | select(.outcome == \"fail\")'
  scansidectl acceptance verify /media/usb/acceptance-SN-0001-20260131T100509Z.en.pdf
  scansidectl acceptance key > box.pub
  sudo systemctl enable --now scanside-acceptance.timer

A computed chest CT of the patient TEST^ACCEPTANCE is sent to the box's own DICOM port; its results go
to the archive like all others, unless --no-delivery keeps them here. Disk speed needs the rights of
the daemon's user: run it with sudo.

Exit codes: 0 passed, 1 a line failed, 2 the test could not run.";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AcceptanceOptions {
    #[command(subcommand)]
    pub command: Option<AcceptanceCommand>,
    /// Write the report here, signed by the box: as web page and PDF in English and Chinese, and as JSON.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Keep the results of the test study on the box: no archive gets a test object.
    #[arg(long)]
    pub no_delivery: bool,
    /// Name of the person who tests, for the report.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// AE title to send as; when absent, one that may send from this box.
    #[arg(long, value_name = "AE")]
    pub from: Option<String>,
    /// AE title to call; when absent, the first of the box.
    #[arg(long, value_name = "AE")]
    pub to: Option<String>,
    /// Seconds to wait for the verdict of the test study, and then for its delivery.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub within: u64,
    /// Seconds to watch the video.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub video: u64,
    /// For the timer: keep the figures of each run, and say when one is beyond its habit. The last reports are kept, too.
    #[arg(long)]
    pub daily: bool,
    /// Where --daily keeps what it knows.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/scanside/acceptance")]
    pub keep: PathBuf,
    #[command(flatten)]
    pub look: LookOptions,
}

#[derive(Debug, Subcommand)]
pub enum AcceptanceCommand {
    /// Check that a file of a report is what a box has signed, and say which, when and for whom.
    Verify {
        /// The report; its signature lies beside it, with the ending .minisig.
        file: PathBuf,
        /// Public key of the box (`acceptance key`); when absent, that of the box which this runs on.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Print the public key of this box.
    Key,
}
