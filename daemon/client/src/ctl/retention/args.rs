//! The command line of `retention`, as clap sees it.

use clap::{Args, Subcommand};

pub const RETENTION_HELP: &str = "\
Examples:
  scansidectl retention
  scansidectl retention --plan
  scansidectl retention hold 12 --reason 'asked for by a court, file 7 O 33/26'
  scansidectl retention release 12
  scansidectl --json retention | jq '.forecast.days_left'

A hold lasts until it is released. It keeps all of a study: what was received, and results. Small
objects of other studies that lie in one segment with it stay, too.";

#[derive(Debug, Args)]
pub struct RetentionOptions {
    #[command(subcommand)]
    pub command: Option<RetentionCommand>,
    /// Which studies are evicted next, with size and reason; evicts nothing.
    #[arg(long)]
    pub plan: bool,
    /// Number of studies of the plan (0: 10000).
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Keep a study from eviction until it is released.
    Hold {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
        /// Why, in one line, for whoever looks at it later.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// End the hold of a study.
    Release {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
    },
}

/// The daemon checks the rest.
fn reason(typed: &str) -> Result<String, String> {
    let reason = typed.trim();
    if reason.is_empty() {
        return Err("a hold needs a reason: whoever looks at it in a year must know why".into());
    }
    Ok(reason.to_owned())
}
