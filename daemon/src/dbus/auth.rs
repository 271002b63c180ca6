//! Decides who may change something. On the system bus polkit decides for each command; on a private bus the daemon's
//! own user and root are allowed. The bus policy decides who may read (`systemd/dbus-1/system.d`).
//!
//! Every such call passes here, so here is where the audit trail gets its rows: one before the work begins, who may do what
//! with which object or why not, and another if the work fails. Commands of the live path do not wait for their rows.

use std::collections::HashMap;

use custody::audit::{Audit, Entry};

use zbus::message::{Flags, Header};
use zbus::names::{BusName, UniqueName};
use zbus::{Connection, DBusError, Variant, fdo};

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
    /// Also the end of a hold.
    HoldStudy,
    Export,
    Echo,
    InstallModel,
    /// Also rollback and deactivate: commands that decide which package is used.
    ActivateModel,
    RemoveModel,
    /// The end of a build, and so of the activation that waits for it.
    CancelBuild,
    /// Build, verify and shadow: commands that do not change results.
    ExamineModel,
    StartExam,
    StopExam,
    Freeze,
    Mark,
    /// Which breast is scanned, and where a lesion is.
    Locate,
    LearnProfile,
    /// An acceptance test: that it begins, and the signature of its report.
    Acceptance,
    /// A line in the log that says where the interval of a support case begins or ends.
    WriteMarker,
}

impl Verb {
    #[cfg(test)]
    const ALL: [Self; 22] = [
        Self::Rerun,
        Self::RetryDeliveries,
        Self::DropDelivery,
        Self::ResolveStudy,
        Self::ReviewSeries,
        Self::EnterLesion,
        Self::HoldStudy,
        Self::Export,
        Self::Echo,
        Self::InstallModel,
        Self::ActivateModel,
        Self::RemoveModel,
        Self::CancelBuild,
        Self::ExamineModel,
        Self::StartExam,
        Self::StopExam,
        Self::Freeze,
        Self::Mark,
        Self::Locate,
        Self::LearnProfile,
        Self::Acceptance,
        Self::WriteMarker,
    ];
}

impl Verb {
    /// As in the audit trail: the last part of its action.
    pub fn name(self) -> &'static str {
        self.action().rsplit('.').next().unwrap_or_default()
    }

    /// The action as named in `systemd/polkit-1/actions/org.scanside.Appliance1.policy`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Rerun => "org.scanside.Appliance1.rerun",
            Self::RetryDeliveries => "org.scanside.Appliance1.retry-deliveries",
            Self::DropDelivery => "org.scanside.Appliance1.drop-delivery",
            Self::ResolveStudy => "org.scanside.Appliance1.resolve-study",
            Self::ReviewSeries => "org.scanside.Appliance1.review-series",
            Self::EnterLesion => "org.scanside.Appliance1.enter-lesion",
            Self::HoldStudy => "org.scanside.Appliance1.hold-study",
            Self::Export => "org.scanside.Appliance1.export",
            Self::Echo => "org.scanside.Appliance1.echo",
            Self::InstallModel => "org.scanside.Appliance1.install-model",
            Self::ActivateModel => "org.scanside.Appliance1.activate-model",
            Self::RemoveModel => "org.scanside.Appliance1.remove-model",
            Self::CancelBuild => "org.scanside.Appliance1.cancel-build",
            Self::ExamineModel => "org.scanside.Appliance1.examine-model",
            Self::StartExam => "org.scanside.Appliance1.start-exam",
            Self::StopExam => "org.scanside.Appliance1.stop-exam",
            Self::Freeze => "org.scanside.Appliance1.freeze",
            Self::Mark => "org.scanside.Appliance1.mark",
            Self::Locate => "org.scanside.Appliance1.locate",
            Self::LearnProfile => "org.scanside.Appliance1.learn-profile",
            Self::Acceptance => "org.scanside.Appliance1.acceptance",
            Self::WriteMarker => "org.scanside.Appliance1.write-marker",
        }
    }
}

impl Verb {
    /// What may not be done unless it is in the audit trail. The rest goes on without, since a full disk must not keep anybody
    /// from an exam, or from sending what waits.
    fn must_be_recorded(self) -> bool {
        match self {
            Self::Export | Self::ReviewSeries | Self::EnterLesion => true,
            Self::ResolveStudy | Self::DropDelivery | Self::HoldStudy | Self::Acceptance => true,
            Self::InstallModel | Self::ActivateModel | Self::RemoveModel | Self::CancelBuild => true,
            Self::Rerun | Self::RetryDeliveries | Self::Echo | Self::ExamineModel => false,
            Self::StartExam | Self::StopExam | Self::Freeze | Self::Mark => false,
            // Whoever looks for a fault must not be kept from it by a full disk.
            Self::Locate | Self::LearnProfile | Self::WriteMarker => false,
        }
    }

    /// What is done while somebody looks at live pictures. It does not wait for the disk: its rows are queued.
    fn is_live(self) -> bool {
        matches!(self, Self::StartExam | Self::StopExam | Self::Freeze | Self::Mark | Self::Locate)
    }
}

/// What decides; chosen once, according to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    Polkit,
    SameUser,
}

/// Who decides, and where it is written down. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {
    pub judge: Judge,
    pub audit: Audit,
}

impl Authority {
    #[cfg(test)]
    pub fn of_tests() -> Self {
        Self { judge: Judge::SameUser, audit: Audit::default() }
    }
}

/// Something that is allowed, and stands in the audit trail.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    audit: Audit,
    who: String,
    verb: Verb,
    object: String,
}

impl Permit {
    /// As the audit trail names the caller.
    pub fn who(&self) -> String {
        self.who.clone()
    }

    /// Does it, and writes down if that fails; not why, since words may name a patient.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn run<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let outcome = work.await;
        if let Err(error) = &outcome {
            let Self { audit, who, verb, object } = self;
            if let Err(error) = write(audit, who, verb, object, failed(error)).await {
                tracing::error!(%error, "a failure is not in the audit trail");
            }
        }
        outcome
    }
}

/// A failure as the audit trail has it: its kind, no words.
pub fn failed(error: &Error) -> String {
    let name = error.name().to_string();
    format!("failed: {}", name.rsplit('.').next().unwrap_or_default())
}

/// # Errors
/// When something that must be recorded cannot be. The rest goes on, and the trail says that rows are missing.
async fn write(audit: Audit, who: String, verb: Verb, object: String, result: String) -> Result<(), Error> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    if verb.is_live() {
        audit.later(Entry { who: &who, what: verb.name(), object: &object, result: &result });
        return Ok(());
    }
    let written = tokio::task::spawn_blocking(move || {
        let entry = Entry { who: &who, what: verb.name(), object: &object, result: &result };
        if verb.must_be_recorded() {
            return audit.record(entry);
        }
        audit.note(entry);
        Ok(())
    });
    written.await.map_err(|error| internal(&error))?.map_err(|error| internal(&error))
}

/// A UID as the audit trail names it. What a caller gives for one may be anything, a name as well.
pub fn named(noun: &str, uid: &str) -> String {
    if dicom::uid::is_uid(uid) { format!("{noun} {uid}") } else { format!("{noun} (no UID)") }
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

/// `object`: what it is done with, as the audit trail names it.
///
/// # Errors
/// `NotAuthorized`, with a hint; `Internal` when it cannot be written down and must be.
pub async fn require(
    authority: &Authority,
    verb: Verb,
    object: String,
    connection: &Connection,
    header: &Header<'_>,
) -> Result<Permit, Error> {
    let sender = header.sender().ok_or_else(|| Error::NotAuthorized("the caller has no bus name".into()))?;
    let caller = caller_uid(connection, sender).await?;
    let answer = match authority.judge {
        // Root is always allowed: polkit would say yes, but it may not be running.
        Judge::Polkit if caller != 0 => {
            let interactive = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
            ask_polkit(connection, verb, sender, interactive).await
        }
        _ => Answer::NotThere,
    };
    let own = rustix::process::geteuid().as_raw();
    let (who, allowed) = (format!("user {caller}"), decide(caller, own, answer));
    if let Err(why) = allowed {
        let result = format!("refused: {why}");
        authority.audit.refused(Entry { who: &who, what: verb.name(), object: &object, result: &result });
        return Err(Error::NotAuthorized(format!("{}: {why}", verb.action())));
    }
    write(authority.audit.clone(), who.clone(), verb, object.clone(), "allowed".to_owned()).await?;
    Ok(Permit { audit: authority.audit.clone(), who, verb, object })
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
    fn nothing_that_live_pictures_are_watched_with_waits_for_a_row() {
        for verb in Verb::ALL {
            assert!(!(verb.is_live() && verb.must_be_recorded()), "{verb:?}");
        }
        assert!(
            [Verb::StartExam, Verb::StopExam, Verb::Freeze, Verb::Mark, Verb::Locate].into_iter().all(Verb::is_live)
        );
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
