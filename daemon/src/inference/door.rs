//! Which neighbours may ask: by address, and by token where one is configured.

use std::net::IpAddr;
use std::path::Path;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

#[derive(Debug)]
pub struct Door {
    neighbours: Vec<IpAddr>,
    /// Programs on this machine, too.
    loopback: bool,
    /// Of the token.
    hash: Option<[u8; 32]>,
}

impl Door {
    /// # Errors
    /// In words, when the token cannot be read.
    pub fn new(neighbours: &[IpAddr], loopback: bool, token_file: Option<&Path>) -> Result<Self, String> {
        let hash = token_file.map(read).transpose()?;
        Ok(Self { neighbours: neighbours.to_vec(), loopback, hash })
    }

    /// The neighbours that are named, and programs on this machine, where they may.
    pub fn knows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.loopback && address.is_loopback()) || self.neighbours.iter().any(|known| known.to_canonical() == address)
    }

    /// Whether a request shows the token, where one is wanted.
    pub fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = &self.hash else { return true };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = shown.strip_prefix("Bearer ").unwrap_or_default();
        bool::from(Sha256::digest(token.as_bytes()).as_slice().ct_eq(wanted))
    }
}

fn read(path: &Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => Ok(Sha256::digest(line.as_bytes()).into()),
        None => Err(format!("{}: its first line must be the token", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_neighbours_and_this_machine_are_known() {
        let door = Door::new(&["192.0.2.7".parse().unwrap()], true, None).unwrap();
        for (address, known) in
            [("192.0.2.7", true), ("::ffff:192.0.2.7", true), ("127.0.0.1", true), ("192.0.2.8", false), ("::1", true)]
        {
            assert_eq!(door.knows(address.parse().unwrap()), known, "{address}");
        }
        let door = Door::new(&["::1".parse().unwrap()], false, None).unwrap();
        assert!(!door.knows("127.0.0.1".parse().unwrap()), "behind a proxy that is everybody");
        assert!(door.knows("::1".parse().unwrap()), "named");
    }

    #[test]
    fn with_a_token_only_who_shows_it_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "\n").unwrap();
        assert!(Door::new(&[], true, Some(&file)).unwrap_err().contains("first line"));
        std::fs::write(&file, "hunter2\nmore\n").unwrap();
        let door = Door::new(&[], true, Some(&file)).unwrap();
        let shows = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            }
            door.lets_in(&headers)
        };
        assert!(shows(Some("Bearer hunter2")));
        for wrong in [None, Some("Bearer hunter"), Some("hunter2"), Some("Bearer "), Some("Basic hunter2")] {
            assert!(!shows(wrong), "{wrong:?}");
        }
        assert!(!format!("{door:?}").contains("hunter2"));
    }
}
