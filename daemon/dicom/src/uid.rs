//! Derives UIDs from a name or a hash, so that the same input always gives the same UID; and new ones, from the time as well.

use sha2::{Digest, Sha256};

/// The UID for a name, for example of a device without a configured UID.
pub fn from_name(name: &str) -> String {
    from_hash(&Sha256::digest(name.as_bytes()).into())
}

/// A new UID for something that happens once: unique enough by `what` (who does what) and the time in nanoseconds.
pub fn of_moment(what: &str) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    from_name(&format!("{what} {}", since.as_nanos()))
}

/// `2.25.` and a UUID as a decimal number (PS3.5 section B.2). The UUID has version 8 (RFC 9562: own content).
pub fn from_hash(hash: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// Whether a text holds only what a UID may hold: digits and dots. (Leading zeros and empty components, which old devices
/// write, are let through: they harm nobody.)
pub fn is_uid(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
