//! A private D-Bus daemon, so that tests and the demo need neither root nor a desktop session.

use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Child;

use crate::{deadline, tools};

/// On this bus everything is allowed, because its socket is in a folder that only our user can enter.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=@SOCKET@</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

#[derive(Debug)]
pub struct Bus {
    /// D-Bus address, `unix:path=...`.
    pub address: String,
    _daemon: Child,
    /// A short path in a separate folder: the path of a socket has at most 107 characters.
    _folder: TempDir,
}

impl Bus {
    /// # Errors
    /// When dbus-daemon is missing or does not start.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("scanside-bus-").tempdir()?;
        let socket = folder.path().join("bus");
        let configuration = folder.path().join("bus.conf");
        std::fs::write(&configuration, CONFIGURATION.replace("@SOCKET@", &socket.to_string_lossy()))?;
        let daemon = tools::command("dbus-daemon")?
            .arg("--nofork")
            .arg("--nopidfile")
            .arg(format!("--config-file={}", configuration.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // The socket is there before the daemon listens on it.
        let listens = || UnixStream::connect(&socket).is_ok();
        deadline::until_true("the private bus", Duration::from_secs(10), listens).await?;
        Ok(Self { address: format!("unix:path={}", socket.display()), _daemon: daemon, _folder: folder })
    }

    /// # Errors
    /// When the bus does not answer.
    pub async fn connect(&self) -> Result<zbus::Connection> {
        scanside_client::connect(&self.address).await.context("private bus")
    }
}
