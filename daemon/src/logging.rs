//! Sets up the log: to the journal if standard error is connected to it, otherwise as readable lines to standard error.
//!
//! Text from outside (titles, UIDs, reasons that quote them) can be in any field. As lines, one event is one line that
//! steers no terminal, whatever it quotes; the journal keeps fields apart by their lengths.

use std::fmt::Debug;
use std::io::{self, IsTerminal};

use dicom::text::shown_up_to;
use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// The filter if neither `--log` nor `RUST_LOG` is given. Messages of libraries below warnings do not help an operator.
const DEFAULT: &str = "warn,scansided=info,config=info,study=info,live=info,node=info,report=info,custody=info,\
                       dicom=info,models=info,hal=info";
/// Characters of a message, and of another field.
const MOST_MESSAGE: usize = 2000;
const MOST_VALUE: usize = 500;

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
    registry.with(lines(io::stderr, colours)).init();
    Ok(())
}

/// Each event as one line.
fn lines<S, W>(writer: W, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    let fields = debug_fn(one_field).delimited(" ");
    // Without `log_internal_errors` a line that cannot be written is lost. With it, it would be said with `eprintln!`, which
    // panics when standard error is a file on a full disk.
    let lines = fmt::layer().with_writer(writer).with_ansi(colours).with_target(false).log_internal_errors(false);
    lines.fmt_fields(fields)
}

fn one_field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(out, "{}", shown_up_to(&text, MOST_MESSAGE)),
        name => write!(out, "{name}={}", shown_up_to(&text, MOST_VALUE)),
    }
}

/// Whether standard error is the journal. `JOURNAL_STREAM` has device and inode of the journal's socket, see
/// systemd.exec(5). They are compared, because standard error may have been redirected since.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `tell` writes to the log.
    fn logged(tell: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::registry().with(lines(move || writer.clone(), false));
        tracing::subscriber::with_default(subscriber, tell);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn fields_are_written_as_people_know_them() {
        let line = logged(|| tracing::info!(association = 7, calling = "CT1", reason = %"why", "association accepted"));
        assert!(line.ends_with(" INFO association accepted association=7 calling=\"CT1\" reason=why\n"), "{line}");
    }

    #[test]
    fn a_long_text_makes_no_long_line() {
        let long = "1".repeat(60_000);
        let line = logged(|| tracing::info!(calling = %long, "refused: {long}"));
        assert!(line.len() < MOST_MESSAGE + MOST_VALUE + 200, "{}", line.len());
    }

    #[test]
    fn every_part_of_the_software_is_heard() {
        for part in include_str!("../Cargo.toml").lines().skip_while(|line| *line != "[dependencies]").skip(1) {
            let Some(part) = part.strip_suffix(".workspace = true") else { break };
            if ["anyhow"].contains(&part) {
                break;
            }
            assert!(DEFAULT.contains(&format!("{part}=info")), "{part}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_text_in_any_place_stays_on_its_line_and_steers_nothing(text in any::<String>(), steer in "[\\PC\\x00-\\x1f\\x7f-\\u{9f}]{0,20}") {
            for text in [text, steer] {
                let line = logged(|| tracing::warn!(a = text, b = %text, c = ?text, "said {text}"));
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.chars().any(dicom::text::steers), "{line:?}");
            }
        }
    }
}
