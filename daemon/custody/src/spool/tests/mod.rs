//! Tests of what custody promises, in a real directory.

mod crash;
mod custody;
mod large;
mod retention;
mod rot;
mod speed;

use std::path::Path;

use super::*;
use crate::store::instances::{self, Counts};

pub(super) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(super) const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// A directory and settings for a spool. The test opens and closes the spool itself.
pub(super) struct Place {
    directory: tempfile::TempDir,
    pub(super) settings: settings::Spool,
}

impl Place {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings::Spool {
            directory: directory.path().to_owned(),
            min_free_mib: 0,
            evict_below_mib: 0,
            keep_days: 0,
            segment_mib: 1,
            ready_segments: 2,
            check_mib_per_second: 0,
        };
        Self { directory, settings }
    }

    /// A copy of the files as they are now, as a killed process leaves them.
    pub(super) fn copy(&self) -> Self {
        let mut copy = Self::new();
        copy.settings = settings::Spool { directory: copy.settings.directory, ..self.settings.clone() };
        copy_folder(self.path(), copy.path());
        copy
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn store(&self) -> Store {
        Store::open(&self.path().join("scanside.db")).unwrap()
    }

    pub(super) fn open(&self) -> (Spool, Recovery) {
        Spool::open(&self.settings, &self.store()).unwrap()
    }

    pub(super) fn counts(&self) -> Counts {
        instances::counts(&self.store().connect(Durability::Rebuildable).unwrap()).unwrap()
    }

    /// All kept instances, as (SOP Instance UID, Part 10 bytes).
    pub(super) fn all(&self, spool: &Spool) -> Vec<(String, Vec<u8>)> {
        let connection = self.store().connect(Durability::Rebuildable).unwrap();
        let kept = instances::of_series(&connection, "1.2.3", "1.2.3.1").unwrap();
        kept.into_iter().map(|i| (i.header.sop_instance_uid, spool.read(&i.location).unwrap())).collect()
    }

    pub(super) fn forget_database(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(self.path().join(format!("scanside.db{suffix}")));
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        calling_ae: "CT1".into(),
        called_ae: "SCANSIDE".into(),
        peer_address: "192.0.2.1".into(),
        association: 7,
        certificate: None,
        asked_for: false,
    }
}

pub(super) fn uid(number: usize) -> String {
    format!("1.2.3.1.{number}")
}

/// A data set in explicit VR little endian with `size` bytes of pixel data made of `seed`.
pub(super) fn data_set(sop_uid: &str, seed: u8, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 256);
    let mut text = |group: u16, element: u16, vr: &[u8; 2], value: &str| {
        let padded = value.len().next_multiple_of(2);
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr);
        bytes.extend(u16::try_from(padded).unwrap().to_le_bytes());
        bytes.extend(value.as_bytes());
        bytes.resize(bytes.len() + padded - value.len(), 0);
    };
    text(0x0008, 0x0016, b"UI", CT);
    text(0x0008, 0x0018, b"UI", sop_uid);
    text(0x0008, 0x0060, b"CS", "CT");
    text(0x0020, 0x000D, b"UI", "1.2.3");
    text(0x0020, 0x000E, b"UI", "1.2.3.1");
    bytes.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0]);
    bytes.extend(u32::try_from(size).unwrap().to_le_bytes());
    bytes.extend((0..size).map(|index| seed.wrapping_add((index % 251) as u8)));
    bytes
}

pub(super) async fn send(spool: &Spool, sop_uid: &str, data_set: &[u8]) -> Result<Outcome> {
    let mut incoming = spool.begin(origin(), CT, sop_uid, EXPLICIT)?;
    for piece in data_set.chunks(16 * 1024) {
        incoming.write(piece).await?;
    }
    incoming.commit().await
}

pub(super) async fn keep(spool: &Spool, number: usize, size: usize) -> Arc<Instance> {
    let uid = uid(number);
    match send(spool, &uid, &data_set(&uid, number as u8, size)).await.unwrap() {
        Outcome::New(instance) => instance,
        other => panic!("instance {number} should be new: {other:?}"),
    }
}
