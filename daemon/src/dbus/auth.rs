//! Decides who may change something. On the system bus polkit decides for each command; on a private bus the daemon's
//! own user and root are allowed. The bus policy decides who may read (`systemd/dbus-1/system.d`).

use std::collections::HashMap;

use zbus::message::{Flags, Header};
use zbus::names::{BusName, UniqueName};
use zbus::{Connection, Variant, fdo};

use super::Error;

/// The commands that change something. Each is a polkit action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Rerun,
    RetryDeliveries,
    DropDelivery,
    ResolveStudy,
    ReviewSeries,
    EnterLesion,
    Export,
    Echo,
    InstallModel,
    /// Also rollback and deactivate: commands that decide which package is used.
    ActivateModel,
    RemoveModel,
    /// Build, verify and shadow: commands that do not change results.
    ExamineModel,
    StartExam,
    StopExam,
    Freeze,
    Mark,
    LearnProfile,
}

impl Verb {
    #[cfg(test)]
    const ALL: [Self; 17] = [
        Self::Rerun,
        Self::RetryDeliveries,
        Self::DropDelivery,
        Self::ResolveStudy,
        Self::ReviewSeries,
        Self::EnterLesion,
        Self::Export,
        Self::Echo,
        Self::InstallModel,
        Self::ActivateModel,
        Self::RemoveModel,
        Self::ExamineModel,
        Self::StartExam,
        Self::StopExam,
        Self::Freeze,
        Self::Mark,
        Self::LearnProfile,
    ];
}

impl Verb {
    /// The action as named in `systemd/polkit-1/actions/org.scanside.Appliance1.policy`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Rerun => "org.scanside.Appliance1.rerun",
            Self::RetryDeliveries => "org.scanside.Appliance1.retry-deliveries",
            Self::DropDelivery => "org.scanside.Appliance1.drop-delivery",
            Self::ResolveStudy => "org.scanside.Appliance1.resolve-study",
            Self::ReviewSeries => "org.scanside.Appliance1.review-series",
            Self::EnterLesion => "org.scanside.Appliance1.enter-lesion",
            Self::Export => "org.scanside.Appliance1.export",
            Self::Echo => "org.scanside.Appliance1.echo",
            Self::InstallModel => "org.scanside.Appliance1.install-model",
            Self::ActivateModel => "org.scanside.Appliance1.activate-model",
            Self::RemoveModel => "org.scanside.Appliance1.remove-model",
            Self::ExamineModel => "org.scanside.Appliance1.examine-model",
            Self::StartExam => "org.scanside.Appliance1.start-exam",
            Self::StopExam => "org.scanside.Appliance1.stop-exam",
            Self::Freeze => "org.scanside.Appliance1.freeze",
            Self::Mark => "org.scanside.Appliance1.mark",
            Self::LearnProfile => "org.scanside.Appliance1.learn-profile",
        }
    }
}

/// What decides; chosen once, according to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    Polkit,
    SameUser,
}

/// The answer of polkit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// Allowed after authentication, but the caller did not allow an authentication dialog.
    AfterAuthentication,
    /// polkit is not available on this bus.
    NotThere,
}

/// # Errors
/// `NotAuthorized`, with a hint.
pub async fn require(
    authority: Authority,
    verb: Verb,
    connection: &Connection,
    header: &Header<'_>,
) -> Result<(), Error> {
    let sender = header.sender().ok_or_else(|| Error::NotAuthorized("the caller has no bus name".into()))?;
    let caller = caller_uid(connection, sender).await?;
    let answer = match authority {
        // Root is always allowed: polkit would say yes, but it may not be running.
        Authority::Polkit if caller != 0 => {
            let interactive = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
            ask_polkit(connection, verb, sender, interactive).await
        }
        _ => Answer::NotThere,
    };
    let own = rustix::process::geteuid().as_raw();
    decide(caller, own, answer).map_err(|why| Error::NotAuthorized(format!("{}: {why}", verb.action())))
}

/// Whether the caller is allowed, and if not, why. Pure.
fn decide(caller: u32, own: u32, answer: Answer) -> Result<(), &'static str> {
    match answer {
        Answer::Yes => Ok(()),
        Answer::No => Err("polkit does not allow it"),
        Answer::AfterAuthentication => Err("polkit requires authentication"),
        Answer::NotThere if caller == 0 || caller == own => Ok(()),
        Answer::NotThere => Err("only root and the daemon's own user may do this on a bus without polkit"),
    }
}

async fn caller_uid(connection: &Connection, sender: &UniqueName<'_>) -> Result<u32, Error> {
    let bus = fdo::DBusProxy::new(connection).await?;
    bus.get_connection_unix_user(BusName::from(sender.to_owned()))
        .await
        .map_err(|error| Error::NotAuthorized(format!("the bus cannot identify the caller: {error}")))
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
        Err(error) if is_absent(&error) => return Answer::NotThere,
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

/// Whether the error means that polkit neither runs nor can be started.
fn is_absent(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(error) => matches!(**error, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_)),
        zbus::Error::MethodError(name, ..) => name.as_str() == "org.freedesktop.DBus.Error.ServiceUnknown",
        _ => false,
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
        for verb in Verb::ALL {
            assert!(policy.contains(&format!("<action id=\"{}\">", verb.action())), "{verb:?}");
        }
    }

    /// Answers like polkit, depending on the action; checks that the request has the form that polkit expects.
    struct Polkit;

    #[allow(clippy::unused_self, reason = "an interface has no functions without")]
    #[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
    impl Polkit {
        fn check_authorization(
            &self,
            subject: (String, HashMap<String, zbus::OwnedVariant>),
            action: &str,
            _details: HashMap<String, String>,
            flags: u32,
            _cancellation: &str,
        ) -> ((bool, bool, HashMap<String, String>),) {
            let named =
                subject.0 == "system-bus-name" && <&str>::try_from(&subject.1["name"]).is_ok_and(|name| name == ":1.7");
            let answer = match action {
                "org.scanside.Appliance1.rerun" => (named, false),
                "org.scanside.Appliance1.echo" => (false, flags == 1),
                _ => (false, false),
            };
            ((answer.0, answer.1, HashMap::new()),)
        }
    }

    struct Daemon(std::process::Child);

    impl Drop for Daemon {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn polkit_is_asked_in_its_own_words() {
        use std::io::BufRead;
        let daemon = std::process::Command::new("dbus-daemon")
            .args(["--session", "--print-address", "--nofork"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn();
        let Ok(daemon) = daemon else {
            needs::skip(needs::Lack::Software, "dbus-daemon is not installed");
            return;
        };
        let mut daemon = Daemon(daemon);
        let mut address = String::new();
        std::io::BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let connect = || zbus::connection::Builder::address(address.trim());
        let ours = connect().build().await.unwrap();
        let caller = UniqueName::try_from(":1.7").unwrap();
        assert_eq!(ask_polkit(&ours, Verb::Rerun, &caller, false).await, Answer::NotThere);
        let _polkit = connect()
            .serve_at("/org/freedesktop/PolicyKit1/Authority", Polkit)
            .name("org.freedesktop.PolicyKit1")
            .build()
            .await
            .unwrap();
        assert_eq!(ask_polkit(&ours, Verb::Rerun, &caller, false).await, Answer::Yes);
        assert_eq!(ask_polkit(&ours, Verb::RetryDeliveries, &caller, true).await, Answer::No);
        assert_eq!(ask_polkit(&ours, Verb::Echo, &caller, true).await, Answer::AfterAuthentication);
        assert_eq!(ask_polkit(&ours, Verb::Echo, &caller, false).await, Answer::No);
    }
}
