//! Notifications to systemd. Without `NOTIFY_SOCKET` nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;

/// Reports that the service is ready. Call it once, after the DICOM listener is bound.
pub fn ready() {
    send(NotifyState::Ready);
}

pub fn stopping() {
    send(NotifyState::Stopping);
}

/// Sets the line that `systemctl status` shows.
pub fn status(line: &str) {
    send(NotifyState::Status(line));
}

pub fn watchdog() {
    send(NotifyState::Watchdog);
}

/// Half of `WATCHDOG_USEC`, as sd_watchdog_enabled(3) recommends. `None` when the watchdog is off.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn send(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}
