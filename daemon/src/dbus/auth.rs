//! Who may change things. On the system bus polkit decides, per verb; on a private bus the daemon's own user (and
//! root) may. Who may read at all is the bus policy's matter (`systemd/dbus-1/system.d`).

use std::collections::HashMap;

use zbus::Connection;
use zbus::Variant;
use zbus::message::{Flags, Header};
use zbus::names::{BusName, UniqueName};

use super::Error;

/// The mutating verbs, each a polkit action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Rerun,
    RetryDeliveries,
    Echo,
}

impl Verb {
    /// As in `systemd/polkit-1/actions/org.scanside.Appliance1.policy`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Rerun => "org.scanside.Appliance1.rerun",
            Self::RetryDeliveries => "org.scanside.Appliance1.retry-deliveries",
            Self::Echo => "org.scanside.Appliance1.echo",
        }
    }
}

/// Chosen once, from the bus the daemon is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    Polkit,
    SameUser,
}

/// What polkit said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// Yes, if the caller proved who they are and had allowed that question.
    AfterAuthentication,
    /// polkit is not on this bus.
    NotThere,
}

/// # Errors
/// `NotAuthorized` with what would help.
pub async fn require(
    authority: Authority,
    verb: Verb,
    connection: &Connection,
    header: &Header<'_>,
) -> Result<(), Error> {
    let sender = header.sender().ok_or_else(|| Error::NotAuthorized("the caller has no name on the bus".into()))?;
    let caller = caller_uid(connection, sender).await?;
    let answer = match authority {
        // No question for root: polkit would say yes, and it may not be running yet (or any more).
        Authority::Polkit if caller != 0 => {
            let interactive = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
            ask_polkit(connection, verb, sender, interactive).await
        }
        _ => Answer::NotThere,
    };
    let own = rustix::process::geteuid().as_raw();
    decide(caller, own, answer).map_err(|why| Error::NotAuthorized(format!("{}: {why}", verb.action())))
}

/// Pure: may they, and if not, why.
fn decide(caller: u32, own: u32, answer: Answer) -> Result<(), &'static str> {
    match answer {
        Answer::Yes => Ok(()),
        Answer::No => Err("polkit says no"),
        Answer::AfterAuthentication => Err("polkit wants you to authenticate first"),
        Answer::NotThere if caller == 0 || caller == own => Ok(()),
        Answer::NotThere => Err("only root and the daemon's own user may do this on a bus without polkit"),
    }
}

async fn caller_uid(connection: &Connection, sender: &UniqueName<'_>) -> Result<u32, Error> {
    let bus = zbus::fdo::DBusProxy::new(connection).await?;
    bus.get_connection_unix_user(BusName::from(sender.to_owned()))
        .await
        .map_err(|error| Error::NotAuthorized(format!("the bus does not say who the caller is: {error}")))
}

async fn ask_polkit(connection: &Connection, verb: Verb, sender: &UniqueName<'_>, interactive: bool) -> Answer {
    let subject = ("system-bus-name", HashMap::from([("name", Variant::from(sender.as_str()))]));
    let details: HashMap<&str, &str> = HashMap::new();
    let reply = connection
        .call_method(
            Some("org.freedesktop.PolicyKit1"),
            "/org/freedesktop/PolicyKit1/Authority",
            Some("org.freedesktop.PolicyKit1.Authority"),
            "CheckAuthorization",
            &(subject, verb.action(), details, u32::from(interactive), ""),
        )
        .await;
    let body = match reply {
        Ok(message) => message,
        Err(zbus::Error::MethodError(name, ..)) if name.as_str() == "org.freedesktop.DBus.Error.ServiceUnknown" => {
            return Answer::NotThere;
        }
        Err(error) => {
            tracing::warn!(%error, "polkit did not answer");
            return Answer::No;
        }
    };
    match body.body().deserialize::<(bool, bool, HashMap<String, String>)>() {
        Ok((true, ..)) => Answer::Yes,
        Ok((false, true, _)) => Answer::AfterAuthentication,
        _ => Answer::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may() {
        let cases = [
            // caller, own, polkit, allowed
            (1000, 990, Answer::Yes, true),
            (1000, 990, Answer::No, false),
            (990, 990, Answer::No, false),
            (1000, 990, Answer::AfterAuthentication, false),
            (1000, 990, Answer::NotThere, false),
            (990, 990, Answer::NotThere, true),
            (0, 990, Answer::NotThere, true),
        ];
        for (caller, own, answer, allowed) in cases {
            assert_eq!(decide(caller, own, answer).is_ok(), allowed, "{caller} {own} {answer:?}");
        }
    }

    #[test]
    fn every_verb_has_its_action_in_the_policy_file() {
        let policy = include_str!("../../../systemd/polkit-1/actions/org.scanside.Appliance1.policy");
        for verb in [Verb::Rerun, Verb::RetryDeliveries, Verb::Echo] {
            assert!(policy.contains(&format!("<action id=\"{}\">", verb.action())), "{verb:?}");
        }
    }
}
