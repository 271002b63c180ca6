//! `scansidectl`: arguments in, one front end call, the answer as a table for people or JSON for programs.

mod acceptance;
mod alarm;
mod analyze;
mod args;
mod audit;
mod bundle;
mod cert;
mod clock;
mod config;
mod coverage;
mod dashboard;
mod doctor;
mod echo;
mod every;
mod examine;
mod export;
mod failure;
mod findings;
mod journal;
mod lesions;
mod live;
mod maker;
mod models;
mod outbox;
mod output;
mod peers;
mod profile;
mod quarantine;
mod recalls;
mod replay;
mod retention;
mod review;
mod scrub;
mod series;
mod setup;
mod shadow;
mod status;
mod studies;
mod teaching;
mod time;
mod user;
mod watch;
mod worklist;

use std::process::ExitCode;

use crate::doctor::text::Language;
use args::{
    Arguments, Command, LiveCommand, LookOptions, ModelsCommand, OutboxCommand, PeersCommand, QuarantineCommand,
    StudiesCommand,
};
use clap::{CommandFactory, Parser};
use examine::Place;
use failure::Failure;
use output::Output;

/// Runs the command line. The exit codes are in `args::AFTER_HELP`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(arguments, &output) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(&output);
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    if let Command::Doctor(look) = &arguments.command {
        let (place, language) = placed(&arguments.bus, look);
        return runtime()?.block_on(doctor::run(&place, language, output));
    }
    if let Command::Acceptance(options) = &arguments.command {
        let (place, language) = placed(&arguments.bus, &options.look);
        return runtime()?.block_on(acceptance::run(&place, language, options, output));
    }
    act(arguments, output)?;
    Ok(if output::is_incomplete() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("no runtime: {error}"), "try again"))
}

fn placed(bus: &str, look: &LookOptions) -> (Place, Language) {
    let root = hal::root::Root::at(&look.root);
    let place = Place { bus: bus.to_owned(), config: look.config.clone(), root };
    (place, look.language.unwrap_or_else(Language::of_environment))
}

fn act(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    let bus = arguments.bus;
    match arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "scansidectl", &mut script);
            output.line(String::from_utf8_lossy(&script).trim_end())
        }
        Command::Config { command } => config::run(&command, output),
        Command::Cert { command } => cert::run(&command, output),
        Command::Status(options) if options.wait_level.is_some() => {
            runtime()?.block_on(status::wait(&bus, &options, output))
        }
        Command::Setup(options) => runtime()?.block_on(setup::run(&bus, &options, output)),
        Command::Analyze(options) => {
            keep_private();
            analyze::run(&options, output)
        }
        Command::Live { command: LiveCommand::Replay(options) } => {
            keep_private();
            replay::run(&options, output)
        }
        Command::Models { command: ModelsCommand::Sign { directory, key } } => maker::sign(&directory, &key, output),
        Command::Models { command: ModelsCommand::Pack { directory, key, out } } => {
            maker::pack(&directory, key.as_deref(), out, output)
        }
        Command::Models { command: ModelsCommand::Verify { package, keys } } if maker::is_here(&package) => {
            maker::verify(package.as_ref(), keys, output)
        }
        Command::Peers { command: PeersCommand::User { name, without_passcode } } => {
            user::run(&name, without_passcode, output)
        }
        Command::Peers { command: PeersCommand::Echo { destination, look } } => {
            let (place, language) = placed(&bus, &look);
            runtime()?.block_on(peers::echo(destination.as_deref(), &place.config, language, output))
        }
        Command::Alarm { once, look } => {
            let (place, _) = placed(&bus, &look);
            runtime()?.block_on(alarm::run(&place, once, output))
        }
        Command::Clock(look) => {
            let (place, language) = placed(&bus, &look);
            runtime()?.block_on(clock::run(&place, language, output))
        }
        Command::Watch { until_idle: false, plain: false, language } if dashboard::is_possible(output) => {
            let language = language.unwrap_or_else(Language::of_environment);
            runtime()?.block_on(dashboard::run(&bus, language, output))
        }
        Command::Bundle(options) => {
            let (place, language) = placed(&bus, &options.look);
            runtime()?.block_on(bundle::run(&place, language, &options, output))
        }
        command => {
            if matches!(command, Command::Export(_) | Command::Audit(_)) {
                keep_private();
            }
            runtime()?.block_on(talk(&bus, command, output))
        }
    }
}

/// What these commands write names patients: only who runs them may read it.
fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// The daemon that owns the name now, by the bus's own name of it. A call by the well-known name would start a daemon that somebody
/// has stopped, also between the question and the call: who copies its disk must be able to look.
async fn owner(connection: &zbus::Connection) -> zbus::Result<zbus::names::OwnedUniqueName> {
    let name = zbus::names::BusName::try_from(crate::BUS_NAME)?;
    Ok(zbus::fdo::DBusProxy::new(connection).await?.get_name_owner(name).await?)
}

/// The daemon as it is now: nothing of it is kept.
async fn manager(bus: &str) -> Result<(zbus::Connection, crate::ManagerProxy<'static>), Failure> {
    let connection = crate::connect(bus).await.map_err(|error| Failure::no_bus(bus, &error))?;
    let owner = owner(&connection).await.map_err(|error| Failure::from_call(bus, error))?;
    let builder = crate::ManagerProxy::builder(&connection).destination(owner.as_str().to_owned());
    let manager = builder.cache_properties(zbus::proxy::CacheProperties::No).build().await;
    Ok((connection, manager.map_err(|error| Failure::from_call(bus, error))?))
}

/// The commands that need a daemon.
async fn talk(bus: &str, command: Command, output: &Output) -> Result<(), Failure> {
    let (connection, manager) = manager(bus).await?;
    let outcome = match command {
        Command::Status(_) => status::run(&manager, output).await,
        Command::Studies { command: StudiesCommand::List { limit, state } } => {
            studies::list(&manager, limit, state, output).await
        }
        Command::Studies { command: StudiesCommand::Show { study } } => studies::show(&manager, &study, output).await,
        Command::Studies { command: StudiesCommand::Resolve { study, take_new, .. } } => {
            studies::resolve(&manager, &study, take_new, output).await
        }
        Command::Studies { command: StudiesCommand::Review(options) } => review::run(&manager, &options, output).await,
        Command::Studies { command: StudiesCommand::Rerun { study, urgent, wait } } => {
            studies::rerun(&manager, &study, urgent, wait, output).await
        }
        Command::Series { limit, study, state } => series::list(&manager, limit, study, state, output).await,
        Command::Outbox { command: OutboxCommand::List { limit, all, destination } } => {
            outbox::list(&manager, limit, all, destination, output).await
        }
        Command::Outbox { command: OutboxCommand::Retry { only: Some(delivery), .. } } => {
            outbox::change(&manager, delivery, "retry", output).await
        }
        Command::Outbox { command: OutboxCommand::Retry { destination, only: None } } => {
            outbox::retry(&manager, destination.as_deref(), output).await
        }
        Command::Outbox { command: OutboxCommand::Park { delivery } } => {
            outbox::change(&manager, delivery, "park", output).await
        }
        Command::Outbox { command: OutboxCommand::Drop { delivery, destination } } => match (delivery, destination) {
            (Some(delivery), _) => outbox::change(&manager, delivery, "drop", output).await,
            (None, destination) => outbox::drop_all(&manager, &destination.unwrap_or_default(), output).await,
        },
        Command::Lesions { command } => lesions::run(&manager, command, output).await,
        Command::Recalls { command } => recalls::run(&manager, command, output).await,
        Command::Models { command } => models::run(&connection, &manager, command, output).await,
        Command::Live { command } => live::run(&connection, command, output).await,
        Command::Quarantine { command: QuarantineCommand::List { limit } } => {
            quarantine::list(&manager, limit, output).await
        }
        Command::Watch { until_idle, .. } => watch::run(&manager, until_idle, output).await,
        Command::Peers { command: PeersCommand::List { language } } => {
            peers::list(&manager, language.unwrap_or_else(Language::of_environment), output).await
        }
        Command::Peers { command: PeersCommand::Learn(options) } => peers::learn(&manager, &options, output).await,
        Command::Journal { study } => journal::run(&manager, &study, output).await,
        Command::Retention(options) => retention::run(&manager, &options, output).await,
        Command::Audit(options) => audit::run(&manager, &options, output).await,
        Command::Export(options) => export::run(&manager, &options, output).await,
        Command::Teaching(options) => teaching::run(&manager, &options, output).await,
        Command::Echo { destination } => echo::run(&manager, &destination, output).await,
        // They need no daemon and are done by now.
        Command::Cert { .. }
        | Command::Config { .. }
        | Command::Setup(_)
        | Command::Analyze(_)
        | Command::Completions { .. }
        | Command::Doctor(_)
        | Command::Acceptance(_)
        | Command::Alarm { .. }
        | Command::Clock(_)
        | Command::Bundle(_)
        | Command::Peers { command: PeersCommand::Echo { .. } | PeersCommand::User { .. } } => Ok(()),
    };
    outcome.map_err(|failure| failure.on_bus(bus))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
