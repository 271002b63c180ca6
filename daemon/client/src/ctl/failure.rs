//! What went wrong, what helps, and the exit code.

use std::process::ExitCode;

use super::output::{Output, Tone};
use crate::ERROR_PREFIX;

#[derive(Debug)]
pub struct Failure {
    message: String,
    remedy: String,
    code: u8,
}

const DONE: u8 = 0;
const GENERAL: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
/// EX_CONFIG of sysexits.h.
const NOT_CONFIGURED: u8 = 78;

impl Failure {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into(), code: GENERAL }
    }

    /// The command line is wrong in a way that only this command knows.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::new(message, remedy) }
    }

    /// Nothing is configured for this command: trying again helps nothing until somebody configures it.
    pub fn not_configured(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: NOT_CONFIGURED, ..Self::new(message, remedy) }
    }

    /// Standard output cannot be written. When its reader has ended (`| head`) it has what it wanted: nothing is said.
    pub fn output(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { code: DONE, ..Self::new("", "") };
        }
        Self::new(format!("standard output: {error}"), "is there room on the disk?")
    }

    pub fn no_bus(bus: &str, error: &zbus::Error) -> Self {
        let remedy = match bus {
            "system" => "is dbus running? For a daemon on another bus: --bus ADDRESS, or set SCANSIDE_BUS",
            "session" => "is DBUS_SESSION_BUS_ADDRESS set? For another bus: --bus ADDRESS, or set SCANSIDE_BUS",
            _ => "check --bus (or SCANSIDE_BUS), and that the bus still runs",
        };
        Self { code: UNREACHABLE, ..Self::new(format!("no D-Bus at {bus:?}: {error}"), remedy) }
    }

    /// The daemon was there and left the bus.
    pub fn gone() -> Self {
        Self { code: UNREACHABLE, ..Self::new("scansided has left the bus", "") }
    }

    pub fn from_call(bus: &str, error: zbus::Error) -> Self {
        Self::from(error).on_bus(bus)
    }

    /// Names the bus in the remedy when the daemon was not on it.
    pub fn on_bus(mut self, bus: &str) -> Self {
        if self.code == UNREACHABLE && self.remedy.is_empty() {
            self.remedy = match bus {
                "system" => {
                    "start it with `systemctl start scansided`; what it says: `journalctl -u scansided -e`".into()
                }
                bus => format!("start scansided with bus.address = {bus:?}, or choose another bus with --bus"),
            };
        }
        self
    }

    /// What is wrong, without what helps.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// Two lines on standard error.
    pub fn print(&self, output: &Output) {
        if self.code == DONE {
            return;
        }
        output.note(&format!("{} {}", output.paint_error("error:", Tone::Bad), self.message));
        if !self.remedy.is_empty() {
            output.note(&format!("{} {}", output.paint_error("remedy:", Tone::Strong), self.remedy));
        }
    }
}

/// A failed call. The daemon's own errors say what is wrong in plain words; each kind has its remedy here.
impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        let (name, text) = crate::error_parts(&error).unwrap_or_else(|| (String::new(), error.to_string()));
        if let Some(kind) = name.strip_prefix(ERROR_PREFIX) {
            let (remedy, code) = match kind {
                "NotFound" => (
                    "see `scansidectl studies list`, `models list`, `live status`, and the destinations in `status`",
                    GENERAL,
                ),
                "PackageRefused" => {
                    ("get the package again from its maker; the package that was used before stays in use", GENERAL)
                }
                "NotPossible" => {
                    ("see `scansidectl live status`, or `models list` for the state of each package", GENERAL)
                }
                "InvalidArgument" => {
                    ("is scansidectl newer than the daemon? Compare `scansidectl --version` and `status`", USAGE)
                }
                "NotAuthorized" => ("be a member of group scanside, or use sudo", GENERAL),
                "Restricted" => ("see `scansidectl status` for what is restricted and why", GENERAL),
                "PeerFailed" => {
                    ("check address, AE titles and that the peer knows us; then `scansidectl echo NAME`", GENERAL)
                }
                _ => ("see the daemon's log: `journalctl -u scansided -e`", GENERAL),
            };
            return Self { code, ..Self::new(text, remedy) };
        }
        match name.as_str() {
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
                Self { code: UNREACHABLE, ..Self::new("scansided is not on this bus", "") }
            }
            "org.freedesktop.DBus.Error.AccessDenied" => {
                Self::new("the bus does not let you talk to scansided", "be a member of group scanside, or use sudo")
            }
            "org.freedesktop.DBus.Error.NoReply" => Self::gone(),
            "org.freedesktop.DBus.Error.UnknownMethod" | "org.freedesktop.DBus.Error.UnknownProperty" => Self::new(
                format!("the daemon does not know this: {text}"),
                "daemon and scansidectl are of different versions; install the same",
            ),
            "" => Self { code: UNREACHABLE, ..Self::new(format!("the connection failed: {text}"), "") },
            _ => Self::new(text, "see the daemon's log: `journalctl -u scansided -e`"),
        }
    }
}
