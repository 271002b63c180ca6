//! What systemd is told. Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service is up: call once, when the DICOM listener is bound and work goes on.
pub fn ready() {
    send(NotifyState::Ready);
}

pub fn stopping() {
    send(NotifyState::Stopping);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    send(NotifyState::Status(line));
}

pub fn watchdog() {
    send(NotifyState::Watchdog);
}

/// Half of `WATCHDOG_USEC`, as sd_watchdog_enabled(3) advises. None when the watchdog is off.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
