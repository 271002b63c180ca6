//! The receivers that are compared. Each one starts empty for every measurement, so that no instance is known to it
//! already.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::process::Child;

use crate::appliance::{Appliance, Setup};
use crate::tools;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverKind {
    Scansided,
    Orthanc,
    Storescp,
}

impl ReceiverKind {
    pub const ALL: [Self; 3] = [Self::Scansided, Self::Orthanc, Self::Storescp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Scansided => "scansided",
            Self::Orthanc => "Orthanc",
            Self::Storescp => "DCMTK storescp",
        }
    }

    /// What the answer "success" means: what is safe on the disk by then.
    pub fn durability(self) -> &'static str {
        match self {
            Self::Scansided => "durable",
            Self::Orthanc => "durable (SyncStorageArea)",
            Self::Storescp => "not durable",
        }
    }
}

/// Socket options of sender and receiver. DCMTK, and Orthanc, which uses it, read them from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sockets {
    Default,
    NoDelay,
}

impl Sockets {
    pub const ALL: [Self; 2] = [Self::Default, Self::NoDelay];

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default sockets",
            Self::NoDelay => "TCP_NODELAY=1",
        }
    }

    pub fn apply(self, command: &mut tokio::process::Command) {
        match self {
            Self::Default => command.env_remove("TCP_NODELAY"),
            Self::NoDelay => command.env("TCP_NODELAY", "1"),
        };
    }
}

/// A running receiver. It ends when this is dropped.
#[derive(Debug)]
pub enum Receiver {
    Scansided(Box<Appliance>),
    Other { address: SocketAddr, _child: Box<Child> },
}

impl Receiver {
    pub const AE_TITLE: &str = Appliance::AE_TITLE;

    /// Starts a receiver that stores everything below `folder`.
    ///
    /// # Errors
    /// When its program is missing or does not start to listen.
    pub async fn start(kind: ReceiverKind, sockets: Sockets, folder: &Path) -> Result<Self> {
        match kind {
            ReceiverKind::Scansided => {
                let setup = Setup {
                    folder: Some(folder.to_owned()),
                    // Default settings, except that no analysis starts: only receiving is measured.
                    extra: "[series]\nquiet_secs = 600.0\nrelease_grace_secs = 600.0\n[spool]\nsegment_mib = 128\nready_segments = 8\n"
                        .into(),
                    ..Setup::default()
                };
                Ok(Self::Scansided(Box::new(Appliance::start(&setup).await?)))
            }
            ReceiverKind::Orthanc => Self::orthanc(sockets, folder).await,
            ReceiverKind::Storescp => {
                let address = tools::free_address()?;
                let mut command = tools::command("storescp")?;
                command.args(["--bit-preserving", "--fork", "-od"]).arg(folder).arg(address.port().to_string());
                Self::other(command, sockets, address).await
            }
        }
    }

    async fn orthanc(sockets: Sockets, folder: &Path) -> Result<Self> {
        let address = tools::free_address()?;
        let configuration = serde_json::json!({
            "Name": "bench",
            "StorageDirectory": folder.join("storage"),
            "IndexDirectory": folder.join("index"),
            "SyncStorageArea": true,
            "HttpServerEnabled": false,
            "DicomServerEnabled": true,
            "DicomAet": Self::AE_TITLE,
            "DicomPort": address.port(),
            "DicomAlwaysAllowStore": true,
            "DicomCheckCalledAet": false,
            "Plugins": [],
        });
        let path = folder.join("orthanc.json");
        std::fs::write(&path, configuration.to_string())?;
        let mut command = tools::command("Orthanc").or_else(|_| tools::command("/usr/sbin/Orthanc"))?;
        command.arg(&path);
        Self::other(command, sockets, address).await
    }

    async fn other(mut command: tokio::process::Command, sockets: Sockets, address: SocketAddr) -> Result<Self> {
        sockets.apply(&mut command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        tools::listening(address).await.context("receiver")?;
        Ok(Self::Other { address, _child: Box::new(child) })
    }

    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Scansided(appliance) => appliance.address,
            Self::Other { address, .. } => *address,
        }
    }
}
