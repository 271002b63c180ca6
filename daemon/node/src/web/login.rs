//! How the box shows an archive who it is: a bearer token, or user and password. The secret is in a file, which is read for each
//! connection, so that a new one counts at once. It is in no setting, no log and no error.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use hyper::header::HeaderValue;

/// Bytes of a secret.
const LONGEST: usize = 8192;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The first line of the file is the token.
    Bearer(PathBuf),
    /// The first line of the file is the password.
    Basic { user: String, password: PathBuf },
}

/// What a connection shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) header: HeaderValue,
    /// What must not appear in the log.
    pub(crate) secrets: Vec<String>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Login {
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::Bearer(file) | Self::Basic { password: file, .. } => file,
        }
    }

    /// Reads the file. Blocks, for a small local file.
    ///
    /// # Errors
    /// In words, without the secret.
    pub(crate) fn show(&self) -> Result<Shown, String> {
        let secret = secret(self.file())?;
        let (text, mut secrets) = match self {
            Self::Bearer(_) => (format!("Bearer {secret}"), Vec::new()),
            Self::Basic { user, .. } => {
                let encoded = BASE64.encode(format!("{user}:{secret}").as_bytes());
                (format!("Basic {encoded}"), vec![encoded])
            }
        };
        secrets.push(secret);
        let mut header = HeaderValue::from_str(&text).map_err(|_| "holds characters that a login cannot have")?;
        header.set_sensitive(true);
        Ok(Shown { header, secrets })
    }

    /// # Errors
    /// As [`Login::show`].
    pub(crate) fn check(&self) -> Result<(), String> {
        self.show().map(drop)
    }
}

/// The first line of a file that not everyone may read.
fn secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => {
            format!("may not be read by the user that runs this: `chown scanside FILE` ({error})")
        }
        _ => error.to_string(),
    })?;
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        return Err("everyone on this machine can use it: `chmod o= FILE`".into());
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "is not UTF-8")?.trim();
    if line.is_empty() || line.len() > LONGEST {
        return Err("its first line must be the secret, and is empty or too long".into());
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_everyone_can_read_is_refused_and_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let login = Login::Basic { user: "box".into(), password: file.clone() };
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(login.check().unwrap_err().contains("no such file"));
        std::fs::write(&file, "hunter2\nsecond line\n").unwrap();
        mode(0o644);
        let said = login.check().unwrap_err();
        assert!(said.contains("everyone") && !said.contains("hunter2"), "{said}");
        mode(0o640);
        let shown = login.show().unwrap();
        assert_eq!(shown.header, "Basic Ym94Omh1bnRlcjI=");
        assert!(!format!("{shown:?}{:?}{login:?}", shown.header).contains("hunter2"));
        assert_eq!(Login::Bearer(file.clone()).show().unwrap().header, "Bearer hunter2");
        std::fs::write(&file, "\n").unwrap();
        assert!(login.check().unwrap_err().contains("first line"));
        std::fs::write(&file, "a\u{7}b").unwrap();
        assert!(Login::Bearer(file).check().unwrap_err().contains("characters"));
    }
}
