//! User identity negotiation (PS3.7 section D.3.3.7): who a peer says it is, and whether that lets it in. By default what it says is
//! passed over. A passcode is known here by its hash only, and is in no log.

pub mod passcode;
pub mod settings;

use std::fmt;
use std::sync::Arc;

use dicom::text::shown;
use tokio::sync::{Mutex, Semaphore};

use self::passcode::{Hashed, Remembered};
use self::settings::{Entry, Policy, User};

/// What the peer says of itself. Its fields are not shown: they may be a passcode or a ticket.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) form: Form,
    /// The peer wants to be told that it was believed.
    pub(super) wants_answer: bool,
    primary: Vec<u8>,
    secondary: Vec<u8>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said").field("form", &self.form).finish_non_exhaustive()
    }
}

/// User-Identity-Type (PS3.7 table D.3-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Username,
    Passcode,
    Kerberos,
    Saml,
    Jwt,
    Unknown(u8),
    /// The sub-item cannot be read.
    Broken,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username => f.write_str("username"),
            Self::Passcode => f.write_str("username and passcode"),
            Self::Kerberos => f.write_str("Kerberos service ticket"),
            Self::Saml => f.write_str("SAML assertion"),
            Self::Jwt => f.write_str("JSON Web Token"),
            Self::Unknown(number) => write!(f, "unknown type {number}"),
            Self::Broken => f.write_str("a sub-item that cannot be read"),
        }
    }
}

/// The sub-item 58H: type, whether an answer is wanted, and two fields with their lengths. What cannot be read is not the end of the
/// association: where nothing is required, it does not count.
pub(super) fn read(value: &[u8]) -> Said {
    let field = |bytes: &[u8]| -> Option<(Vec<u8>, Vec<u8>)> {
        let (&[high, low], rest) = bytes.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        Some((field.to_vec(), rest.to_vec()))
    };
    let read = || {
        let (&[kind, answer], rest) = value.split_first_chunk()?;
        let (primary, rest) = field(rest)?;
        // Some leave out the second length where there is no second field.
        let secondary = if rest.is_empty() { Vec::new() } else { field(&rest)?.0 };
        let form = match kind {
            1 => Form::Username,
            2 => Form::Passcode,
            3 => Form::Kerberos,
            4 => Form::Saml,
            5 => Form::Jwt,
            other => Form::Unknown(other),
        };
        Some(Said { form, wants_answer: answer == 1, primary, secondary })
    };
    read().unwrap_or(Said { form: Form::Broken, wants_answer: false, primary: Vec::new(), secondary: Vec::new() })
}

/// The sub-item 59H, which tells a peer that asked for it that its identity was accepted: of a username no more than a length of 0
/// (PS3.7 table D.3-15).
pub(super) fn answer() -> (u8, Vec<u8>) {
    (0x59, vec![0, 0])
}

/// What is asked of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    Nothing,
    /// It must be one of these users.
    OneOf(Vec<User>),
}

/// What is asked of a peer that these entries let in; none: anyone may send. `policy`: where an entry says nothing.
pub(super) fn demand(policy: Policy, users: &[User], entries: &[Entry<'_>]) -> Demand {
    let wanted = |entry: &Entry<'_>| match (entry.user, entry.policy.unwrap_or(policy)) {
        (Some(name), _) => Some(users.iter().filter(|user| user.name == *name).cloned().collect::<Vec<_>>()),
        (None, Policy::Required) => Some(users.to_vec()),
        (None, Policy::Ignore) => None,
    };
    if entries.is_empty() {
        return wanted(&Entry::default()).map_or(Demand::Nothing, Demand::OneOf);
    }
    // Of several entries that fit, one that asks for nothing is enough.
    entries.iter().map(wanted).collect::<Option<Vec<_>>>().map_or(Demand::Nothing, |users| {
        let mut users = users.concat();
        users.dedup();
        Demand::OneOf(users)
    })
}

/// Why a peer is not believed. Neither user nor passcode is named: who mistypes may write the one in the place of the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("\"{calling}\" must say who it is (user identity negotiation), and says nothing")]
    Nothing { calling: String },
    #[error("\"{calling}\" says who it is by {form}: this device takes a username, or username and passcode")]
    Form { calling: String, form: String },
    #[error("\"{calling}\" names a user whom this device does not know for it")]
    User { calling: String },
    #[error("\"{calling}\" must show a passcode with its username, and shows none")]
    NoPasscode { calling: String },
    #[error("\"{calling}\" shows a wrong passcode")]
    Passcode { calling: String },
}

/// Checks passcodes, one at a time: each costs a processor a fifth of a second, and a peer that guesses must not have all of them.
/// Cheap to clone; clones share all.
#[derive(Debug, Clone)]
pub struct Judge {
    turn: Arc<Semaphore>,
    remembered: Arc<Mutex<Remembered>>,
}

impl Default for Judge {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), remembered: Arc::default() }
    }
}

impl Judge {
    /// Whether the peer is told that it was believed: it asked for that, and was.
    ///
    /// # Errors
    /// Why it may not associate.
    pub(super) async fn judge(&self, demand: &Demand, said: Option<&Said>, calling: &str) -> Result<bool, Distrust> {
        let Demand::OneOf(users) = demand else { return Ok(false) };
        let calling = calling.trim().to_owned();
        let Some(said) = said else { return Err(Distrust::Nothing { calling }) };
        if !matches!(said.form, Form::Username | Form::Passcode) {
            return Err(Distrust::Form { calling, form: said.form.to_string() });
        }
        // Padding counts no more than in an AE title.
        let name = said.primary.trim_ascii();
        let user = users.iter().find(|user| user.name.as_bytes() == name);
        let Some(hash) = user.map(|user| user.passcode.clone()) else {
            // As long as for a known one: otherwise the time of the answer would tell who is known.
            if said.form == Form::Passcode {
                self.fits(Hashed::of_nobody(), said.secondary.clone()).await;
            }
            return Err(Distrust::User { calling });
        };
        match (hash, said.form) {
            (None, _) => Ok(said.wants_answer),
            (Some(_), Form::Username) => Err(Distrust::NoPasscode { calling }),
            (Some(hash), _) if self.fits(hash.clone(), said.secondary.clone()).await => Ok(said.wants_answer),
            (Some(_), _) => Err(Distrust::Passcode { calling }),
        }
    }

    async fn fits(&self, hash: Hashed, passcode: Vec<u8>) -> bool {
        if self.remembered.lock().await.knows(&hash, &passcode) {
            return true;
        }
        let Ok(_turn) = self.turn.acquire().await else { return false };
        let checked = tokio::task::spawn_blocking(move || {
            let fits = hash.fits(&passcode);
            (fits, hash, passcode)
        });
        let Ok((fits, hash, passcode)) = checked.await else { return false };
        if fits {
            self.remembered.lock().await.add(&hash, &passcode);
        }
        fits
    }
}

/// What is said in the log of an identity that nobody asked for: its type, and nothing of its content.
pub(super) fn passed_over(said: &Said) -> String {
    shown(&said.form.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: u8, answer: u8, primary: &str, secondary: &str) -> Vec<u8> {
        let mut bytes = vec![kind, answer];
        for field in [primary, secondary] {
            bytes.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        bytes
    }

    fn users() -> Vec<User> {
        let user = |name: &str, passcode: Option<&str>| User {
            name: name.into(),
            passcode: passcode.map(|passcode| Hashed::make(passcode.as_bytes(), 1000).unwrap()),
        };
        vec![user("ct", Some("right")), user("us", None)]
    }

    #[tokio::test]
    async fn a_peer_is_believed_by_user_and_passcode_and_told_so_only_when_it_asked() {
        let demand = demand(Policy::Required, &users(), &[]);
        let judge = Judge::default();
        let said = |kind, answer, name: &str, word: &str| read(&item(kind, answer, name, word));
        let judged = async |said: Option<Said>| judge.judge(&demand, said.as_ref(), "CT1 ").await;
        assert_eq!(judged(Some(said(2, 1, "ct", "right"))).await, Ok(true));
        assert_eq!(judged(Some(said(2, 0, "ct ", "right"))).await, Ok(false), "known by now, padded");
        assert_eq!(judged(Some(said(1, 1, "us", ""))).await, Ok(true));
        let calling = || "CT1".to_owned();
        let form = |form: &str| Distrust::Form { calling: calling(), form: form.into() };
        for (said, why) in [
            (None, Distrust::Nothing { calling: calling() }),
            (Some(said(2, 1, "ct", "wrong")), Distrust::Passcode { calling: calling() }),
            (Some(said(2, 1, "ct", "")), Distrust::Passcode { calling: calling() }),
            (Some(said(1, 1, "ct", "")), Distrust::NoPasscode { calling: calling() }),
            (Some(said(2, 1, "mr", "right")), Distrust::User { calling: calling() }),
            (Some(said(3, 1, "ticket", "")), form("Kerberos service ticket")),
            (Some(said(4, 1, "<saml/>", "")), form("SAML assertion")),
            (Some(said(5, 1, "a.b.c", "")), form("JSON Web Token")),
            (Some(said(9, 1, "x", "")), form("unknown type 9")),
            (Some(read(&[2, 1, 0, 9])), form("a sub-item that cannot be read")),
        ] {
            assert_eq!(judged(said).await, Err(why));
        }
    }

    #[test]
    fn a_sender_may_be_an_exception_or_bound_to_its_user_and_one_entry_that_fits_is_enough() {
        let (entry, users) = (|user, policy| Entry { user, policy }, users());
        let asked = |policy, entries: &[Entry<'_>]| demand(policy, &users, entries);
        assert_eq!(asked(Policy::Ignore, &[entry(None, None)]), Demand::Nothing, "the default");
        let names = |demand| match demand {
            Demand::OneOf(users) => users.into_iter().map(|user| user.name).collect::<Vec<_>>(),
            Demand::Nothing => panic!("nothing is asked for"),
        };
        assert_eq!(names(asked(Policy::Ignore, &[entry(Some("us"), None)])), ["us"]);
        assert_eq!(names(asked(Policy::Ignore, &[entry(None, Some(Policy::Required))])), ["ct", "us"]);
        assert_eq!(names(asked(Policy::Required, &[])), ["ct", "us"]);
        assert_eq!(asked(Policy::Required, &[entry(None, Some(Policy::Ignore))]), Demand::Nothing);
        let both = [entry(Some("ct"), None), entry(None, Some(Policy::Ignore))];
        assert_eq!(asked(Policy::Required, &both), Demand::Nothing);
    }

    #[test]
    fn neither_the_log_nor_a_refusal_shows_what_a_peer_said_of_itself() {
        let said = read(&item(2, 1, "Hidden^Name", "Secret"));
        let refusal = Distrust::User { calling: "CT1".into() };
        let text = format!("{said:?} {} {refusal} {refusal:?}", passed_over(&said));
        assert!(!text.contains("Hidden") && !text.contains("Secret") && text.contains("Passcode"), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let _ = read(&value);
        }
    }
}
