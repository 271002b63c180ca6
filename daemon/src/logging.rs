//! Sets up the log: to the journal if standard error is connected to it, otherwise as readable lines to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The filter if neither `--log` nor `RUST_LOG` is given. Messages of libraries below warnings do not help an operator.
const DEFAULT: &str = "warn,scansided=info,hal=info,models=info";

/// # Errors
/// When the filter cannot be parsed.
pub fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let filter = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT);
    let filter = EnvFilter::try_new(filter).map_err(|error| anyhow::anyhow!("log filter {filter:?}: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    if is_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        registry.with(journal).init();
        return Ok(());
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Without `log_internal_errors` a line that cannot be written is lost. With it, it would be said with `eprintln!`, which
    // panics when standard error is a file on a full disk.
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colours).with_target(false).log_internal_errors(false);
    registry.with(lines).init();
    Ok(())
}

/// Whether standard error is the journal. `JOURNAL_STREAM` has device and inode of the journal's socket, see
/// systemd.exec(5). They are compared, because standard error may have been redirected since.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
