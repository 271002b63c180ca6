//! `config check`: the daemon's own reading of its files.

use config::Settings;

use super::args::ConfigCommand;
use super::failure::Failure;
use super::output::Output;

pub fn run(command: &ConfigCommand, output: &Output) -> Result<(), Failure> {
    let ConfigCommand::Check { paths } = command;
    let settings: Settings = config::load(paths).map_err(|error| broken(&error))?;
    if output.is_json() {
        return output.json(&settings);
    }
    let text = config::to_toml(&settings).map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
    output.line(text.trim_end())
}

pub fn broken(error: &config::Error) -> Failure {
    let mistakes: Vec<String> = error.problems.iter().map(|problem| format!("\n  {problem}")).collect();
    Failure::new(
        format!("the configuration cannot be used:{}", mistakes.concat()),
        "correct the lines named above; every key with its default is in /usr/lib/scanside/config.d/10-defaults.toml",
    )
}
