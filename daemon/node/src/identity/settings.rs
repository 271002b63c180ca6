//! Settings of user identity: whether it counts, and who is known.

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use super::passcode::Hashed;

/// What becomes of the user identity that a peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is passed over; the log names its type. Many scanners send one.
    #[default]
    Ignore,
    /// It must be that of a configured user.
    Required,
}

/// A user as whom peers may come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// The hash of its passcode; absent: the name alone counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passcode: Option<Hashed>,
}

/// Bytes. The standard sets no limit; the sub-item has 64 KiB.
const LONGEST_NAME: usize = 256;

/// What the entry of a sender says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) policy: Option<Policy>,
}

/// Reports each invalid value under `dicom.user`, `dicom.sender` or `dicom.user_identity`. `senders`: their AE titles and entries.
pub(crate) fn check(policy: Policy, users: &[User], senders: &[(&str, Entry<'_>)], checker: &mut Checker) {
    for (index, user) in users.iter().enumerate() {
        let name = &user.name;
        if name.trim().is_empty() || name.trim() != name || name.len() > LONGEST_NAME {
            let reason =
                format!("the name {name:?} is empty, longer than {LONGEST_NAME} bytes, or begins or ends with a blank");
            checker.refuse("dicom.user", reason);
        } else if users.iter().take(index).any(|other| other.name == *name) {
            checker.refuse("dicom.user", format!("{name:?} is there twice"));
        }
    }
    let anyone = "no [[dicom.user]] is configured, so nobody could send: `scansidectl peers user NAME` makes one";
    if policy == Policy::Required && users.is_empty() {
        checker.refuse("dicom.user_identity", anyone.to_owned());
    }
    for (title, entry) in senders {
        match (entry.user, entry.policy) {
            (Some(_), Some(Policy::Ignore)) => {
                let reason = format!("{title:?} has a user and user_identity = \"ignore\": leave out one of the two");
                checker.refuse("dicom.sender", reason);
            }
            (Some(name), _) if users.iter().all(|user| user.name != *name) => {
                let reason = format!("user of {title:?}: there is no [[dicom.user]] with the name {name:?}");
                checker.refuse("dicom.sender", reason);
            }
            (None, Some(Policy::Required)) if users.is_empty() => {
                checker.refuse("dicom.sender", format!("user_identity of {title:?}: {anyone}"));
            }
            _ => {}
        }
    }
}
