//! The implementation identification of this software in objects and associations (PS3.7 section D.3.3.2).

/// Implementation Class UID, made once from a random UUID (PS3.5 section B.2).
pub const CLASS_UID: &str = "2.25.97772177968863675017974972394328178684";
/// Implementation Version Name, at most 16 characters.
pub const VERSION_NAME: &str = concat!("SCANSIDE_", env!("CARGO_PKG_VERSION"));
