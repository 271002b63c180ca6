//! `analyze DIR`: the engine on a folder, without a daemon.

use super::args::AnalyzeOptions;
use super::failure::Failure;
use super::output::Output;

pub fn run(options: &AnalyzeOptions, output: &Output) -> Result<(), Failure> {
    let _ = (options, output);
    Err(Failure::new("not built in yet", "use a later version"))
}
