//! The simulated scanner of a vendor: its habits are data (`hil-tests/vendors/*.toml`), and a day of it is a worklist query, a performed
//! procedure step, images and storage commitment, each as that vendor does it.

mod day;
mod habits;
mod images;
pub mod messages;
mod reports;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use self::day::{Day, Done, Expected, Stored};
pub use self::habits::{
    Asks, Begins, Committing, Contexts, Ends, Habits, Images, Key, Performed, Query, Report, Step, Storage,
};
pub use self::images::{Made, Order, make};
pub use self::reports::{Ear, Told};

pub const IMPLICIT: &str = "1.2.840.10008.1.2";

/// Where the files of the vendors are.
pub fn folder() -> PathBuf {
    crate::tools::workspace().join("hil-tests/vendors")
}

/// A UID that belongs to this name: `2.25.` and 128 bits of a hash (PS3.5 section B.2).
pub fn uid(name: &str) -> String {
    let digest = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    format!("2.25.{}", u128::from_be_bytes(bytes) >> 4)
}
