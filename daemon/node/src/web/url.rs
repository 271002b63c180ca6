//! The address of an archive's DICOMweb service.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use serde::{Deserialize, Serialize};

/// `https://host[:port][/path]`, or `http`; without login, query and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url {
    pub(crate) is_secure: bool,
    /// As in the URL: an IPv6 address in brackets.
    pub(crate) host: String,
    port: Option<u16>,
    /// Empty, or with a slash before and none after it.
    path: String,
    /// As it was written.
    text: String,
}

impl Url {
    /// Where a table of the configuration has none: it is refused by its check.
    pub(crate) fn nowhere() -> Self {
        let (host, path, text) = (String::new(), String::new(), String::new());
        Self { is_secure: false, host, port: None, path, text }
    }

    pub(crate) fn is_nowhere(&self) -> bool {
        self.text.is_empty()
    }

    /// By TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        let port = self.port.unwrap_or(if self.is_secure { 443 } else { 80 });
        format!("{}:{port}", self.host)
    }

    /// As the header Host says it: without a port that is the usual one.
    pub(crate) fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// Path and query of a request: `below` begins with a slash.
    pub(crate) fn below(&self, below: &str) -> String {
        format!("{}{below}", self.path)
    }

    /// Whether what goes there stays on this machine.
    pub(crate) fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Nothing of it is repeated: where it has no scheme, or a slash in its password, the password is anywhere in it.
        if text.contains('@') {
            let said = "a login does not belong in the url: set user and password_file, or token_file (an @ of the path is %40)";
            return Err(said.into());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{text:?} has no scheme: write https://{text}, or http://{text}"));
        };
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(format!("{text:?} begins with {scheme}:// and not with https:// or http://")),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.contains(['?', '#']) {
            return Err(format!("{text:?} has a query or a fragment: only the path of the service belongs in it"));
        }
        let uri: Uri = text.parse().map_err(|error| format!("{text:?} is no URL ({error})"))?;
        let host = uri.host().unwrap_or_default().to_owned();
        let port = match authority.strip_prefix(&host) {
            Some("") => None,
            Some(port) => match port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
                Some(port) if port > 0 => Some(port),
                _ => return Err(format!("{text:?} has no valid port")),
            },
            None => return Err(format!("{text:?} has no host")),
        };
        if host.is_empty() {
            return Err(format!("{text:?} has no host"));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_secure, host, port, path, text: text.to_owned() })
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.to_string()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        for (text, address, authority, path) in [
            ("https://pacs/dicom-web", "pacs:443", "pacs", "/dicom-web/studies"),
            ("http://192.0.2.1:8042/dicom-web/", "192.0.2.1:8042", "192.0.2.1:8042", "/dicom-web/studies"),
            ("HTTPS://[2001:db8::1]:8443", "[2001:db8::1]:8443", "[2001:db8::1]:8443", "/studies"),
            ("http://pacs/", "pacs:80", "pacs", "/studies"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.address(), url.authority()), (address.to_owned(), authority.to_owned()));
            assert_eq!((url.below("/studies").as_str(), url.to_string().as_str()), (path, text));
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        for (text, word) in [
            ("pacs/dicom-web", "no scheme: write https://pacs/dicom-web"),
            ("pacs:104", "no scheme"),
            ("", "no scheme"),
            ("ftp://pacs/", "ftp://"),
            ("https://", "no URL"),
            ("https:///studies", "no URL"),
            ("https://me:hunter2@pacs/", "user and password_file"),
            ("me:hunter2@pacs/x", "user and password_file"),
            ("ftp://me:hunter2@pacs/", "user and password_file"),
            ("https://me:hunter2/x@pacs/", "user and password_file"),
            ("https://me:x?hunter2@pacs/", "user and password_file"),
            ("https://pacs/a@b", "%40"),
            ("https://pacs/studies?a=1", "query"),
            ("https://pacs/#x", "query"),
            ("https://pacs:0/", "port"),
            ("https://pacs:99999/", "port"),
            ("https://pacs:/", "port"),
            ("https://pa cs/", "no URL"),
        ] {
            let said = text.parse::<Url>().unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
            assert!(!said.contains("hunter2"));
        }
    }
}
