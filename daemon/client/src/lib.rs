//! Typed proxies of the appliance's D-Bus interface, and (feature `ctl`) `scansidectl`. See `docs/dbus.md`.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod guidance;
mod live;
mod proxies;
mod types;

#[cfg(feature = "ctl")]
pub mod acceptance;
#[cfg(feature = "ctl")]
pub mod ctl;
#[cfg(feature = "ctl")]
pub mod doctor;

pub use guidance::{Figure, Guidance, Judged, Looked};
pub use live::{Area, Exam, Expected, Learnt, Live, LiveProxy, Patient, Place, Stage, Stats, WorklistServer};
pub use proxies::{DeliveryProxy, JobProgress, JobProxy, ManagerProxy, ModelProxy, SeriesProxy, StudyProxy};
pub use types::{
    Audited, Caller, Delivery, Destination, Happened, Job, Model, Object, Options, Quarantined, Sender, Series,
    ShadowRun, Status, Study,
};

pub const BUS_NAME: &str = "org.scanside.Appliance1";
pub const ROOT: &str = "/org/scanside/Appliance1";
/// Where Live1 is.
pub const LIVE: &str = "/org/scanside/Appliance1/live";
/// Every error of the appliance is named `ERROR_PREFIX` + kind.
pub const ERROR_PREFIX: &str = "org.scanside.Appliance1.Error.";

/// Connects to `system`, `session`, or a D-Bus address. Says nothing about whether the appliance is there.
///
/// # Errors
/// When the address is malformed or no bus answers at it.
pub async fn connect(address: &str) -> zbus::Result<zbus::Connection> {
    let builder = match address {
        "system" => zbus::connection::Builder::system(),
        "session" => zbus::connection::Builder::session(),
        address => zbus::connection::Builder::address(address),
    };
    builder.build().await
}

/// The D-Bus error name and text of a failed call, if it was answered with an error.
pub fn error_parts(error: &zbus::Error) -> Option<(String, String)> {
    use zbus::DBusError;
    match error {
        zbus::Error::MethodError(name, text, _) => Some((name.to_string(), text.clone().unwrap_or_default())),
        zbus::Error::FDO(error) => Some((error.name().to_string(), error.description().unwrap_or_default().to_owned())),
        zbus::Error::DBus(error) => {
            Some((error.name().to_string(), error.description().unwrap_or_default().to_owned()))
        }
        _ => None,
    }
}
