//! The command line of `bundle`, as clap sees it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::ctl::args::LookOptions;

pub const BUNDLE_HELP: &str = "\
Examples:
  sudo scansidectl bundle /media/usb/box.tar.zst
  sudo scansidectl bundle --record /media/usb/box.tar.zst
  sudo scansidectl bundle --record --for 5m /media/usb/box.tar.zst
  sudo scansidectl --json bundle --record --for 90s box.tar.zst | jq .interval

--record waits while you reproduce the trouble; end it with Enter or Ctrl-C. The file then also has what belongs to this
interval: the log, events, calls to the DICOM port, states and their changes, metrics before and after. A marker stands
in the log where it begins and where it ends; give its code to whoever helps. The daemon may stop or restart meanwhile.";

/// An engineer who forgets the terminal finds a file all the same.
const USUAL: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
pub struct BundleOptions {
    /// For example /media/usb/box.tar.zst; it must not exist.
    pub file: PathBuf,
    /// Wait while you reproduce the trouble (ends with Enter, Ctrl-C, or after an hour), and mark what belongs to it.
    #[arg(long)]
    pub record: bool,
    /// End by itself after this time: `90s`, `5m`, `1h`; 24 hours at most.
    #[arg(long = "for", value_name = "TIME", requires = "record", value_parser = length)]
    pub length: Option<Duration>,
    #[command(flatten)]
    pub look: LookOptions,
}

impl BundleOptions {
    pub fn longest(&self) -> Duration {
        self.length.unwrap_or(USUAL)
    }
}

fn length(typed: &str) -> Result<Duration, String> {
    let length = typed.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    length
        .filter(|length| (Duration::from_secs(1)..=LONGEST).contains(length))
        .ok_or_else(|| "say how long, from 1s to 24h: for example 90s, 5m or 1h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_with_its_unit_and_has_an_end() {
        for (typed, secs) in [("90s", Some(90)), ("5m", Some(300)), ("1h", Some(3600)), ("24h", Some(86_400))] {
            assert_eq!(length(typed).ok().map(|length| length.as_secs()), secs, "{typed}");
        }
        for wrong in ["", "5", "0s", "-5m", "25h", "soon"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }
}
