//! Which peers may associate, by AE titles, address and certificate. No I/O.

use std::net::IpAddr;

use dicom::text::shown;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult as Result_, AssociationRJServiceProviderASCEReason as Acse,
    AssociationRJServiceProviderPresentationReason as Presentation, AssociationRJServiceUserReason as User,
    AssociationRJSource as Source,
};

use crate::identity::Distrust;
use crate::settings::{self, Plain, Sender};
use crate::tls::Facts;
use crate::tls::settings::ClientCertificate;

/// Why an association is refused. The text is written to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the peer called the AE title \"{called}\", but this device answers to {ours}")]
    CalledAe { called: String, ours: String },
    #[error("the AE title \"{calling}\" is not in the list of senders")]
    CallingAe { calling: String },
    #[error("the AE title \"{calling}\" is in the list of senders, but with another address than {address}")]
    Address { calling: String, address: IpAddr },
    #[error(
        "the AE title \"{calling}\" may send without TLS only with plain = true (dicom.plain is named): use the port for TLS"
    )]
    NotPlain { calling: String },
    #[error("the AE title \"{calling}\" must show its certificate by TLS, and this association is without")]
    NeedsTls { calling: String },
    #[error("the AE title \"{calling}\" must show another certificate than {shown}")]
    Certificate { calling: String, shown: String },
    #[error(transparent)]
    Identity(#[from] Distrust),
    #[error("{limit} associations are open, which is the configured limit")]
    Limit { limit: usize },
    #[error("the peer uses another version of the DICOM upper layer protocol")]
    Version,
    #[error("the peer proposed the application context \"{context}\" instead of DICOM's", context = shown(context))]
    ApplicationContext { context: String },
}

impl Refusal {
    /// The A-ASSOCIATE-RJ for this refusal (PS3.8 section 9.3.4).
    pub fn reject(&self) -> AssociationRJ {
        let source = match self {
            Self::CalledAe { .. } => Source::ServiceUser(User::CalledAETitleNotRecognized),
            Self::CallingAe { .. } | Self::Address { .. } | Self::Certificate { .. } => {
                Source::ServiceUser(User::CallingAETitleNotRecognized)
            }
            Self::NotPlain { .. } | Self::NeedsTls { .. } | Self::Identity(_) => {
                Source::ServiceUser(User::NoReasonGiven)
            }
            Self::Limit { .. } => Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded),
            Self::Version => Source::ServiceProviderASCE(Acse::ProtocolVersionNotSupported),
            Self::ApplicationContext { .. } => Source::ServiceUser(User::ApplicationContextNameNotSupported),
        };
        let result = if matches!(self, Self::Limit { .. }) { Result_::Transient } else { Result_::Permanent };
        AssociationRJ { result, source }
    }
}

/// Whether `calling`, at `address`, may associate with `called`. AE titles are compared without leading and trailing
/// spaces; case matters, as in DICOM. `tls`: `None` for an association without TLS.
///
/// # Errors
/// Why not. The called AE title is checked first.
pub fn judge(
    settings: &settings::Dicom,
    called: &str,
    calling: &str,
    address: IpAddr,
    tls: Option<&Facts>,
) -> Result<(), Refusal> {
    let ours = &settings.ae_titles;
    if !ours.is_empty() && !ours.iter().any(|title| title.trim() == called.trim()) {
        let ours = ours.iter().map(|title| format!("\"{}\"", title.trim())).collect::<Vec<_>>().join(", ");
        return Err(Refusal::CalledAe { called: called.to_owned(), ours });
    }
    if settings.sender.is_empty() {
        let closed = tls.is_none() && settings.plain == Plain::Named;
        return if closed { Err(Refusal::NotPlain { calling: calling.to_owned() }) } else { Ok(()) };
    }
    let mut known = settings.sender.iter().filter(|sender| sender.ae_title.trim() == calling.trim()).peekable();
    if known.peek().is_none() {
        return Err(Refusal::CallingAe { calling: calling.to_owned() });
    }
    let address = address.to_canonical();
    let mut here = known.filter(|sender| sender.address.is_none_or(|allowed| allowed.to_canonical() == address));
    let Some(first) = here.next() else { return Err(Refusal::Address { calling: calling.to_owned(), address }) };
    // Of several entries with one title and address, one that fits is enough.
    let refusal = match judge_link(settings, first, calling, tls) {
        Ok(()) => return Ok(()),
        Err(refusal) => refusal,
    };
    if here.any(|sender| judge_link(settings, sender, calling, tls).is_ok()) { Ok(()) } else { Err(refusal) }
}

/// The entries of `settings` that let this peer in; none where anyone may send, and for whom [`judge`] refuses.
pub(crate) fn entries<'a>(
    settings: &'a settings::Dicom,
    calling: &str,
    address: IpAddr,
    tls: Option<&Facts>,
) -> Vec<&'a Sender> {
    let address = address.to_canonical();
    let fits = |sender: &&Sender| {
        sender.ae_title.trim() == calling.trim()
            && sender.address.is_none_or(|allowed| allowed.to_canonical() == address)
            && judge_link(settings, sender, calling, tls).is_ok()
    };
    settings.sender.iter().filter(fits).collect()
}

/// Whether an archive of ours that is no sender may associate, to report storage commitment. What is asked of a sender that
/// has no certificate of its own is asked of it: an AE title alone must not get around TLS.
///
/// # Errors
/// `NotPlain`, `Certificate`.
pub fn judge_archive(settings: &settings::Dicom, calling: &str, tls: Option<&Facts>) -> Result<(), Refusal> {
    judge_link(settings, &Sender::default(), calling, tls)
}

/// Whether this sender may come with this certificate, or without TLS.
fn judge_link(settings: &settings::Dicom, sender: &Sender, calling: &str, tls: Option<&Facts>) -> Result<(), Refusal> {
    let calling = calling.to_owned();
    let Some(facts) = tls else {
        return match (&sender.certificate, settings.plain) {
            (Some(_), _) => Err(Refusal::NeedsTls { calling }),
            (None, Plain::Named) if !sender.plain => Err(Refusal::NotPlain { calling }),
            (None, _) => Ok(()),
        };
    };
    let required = settings.tls.client_certificate == ClientCertificate::Required;
    let fits = match &sender.certificate {
        Some(wanted) => facts.satisfies.contains(wanted),
        // A certificate that is trusted for another sender only says nothing for this one.
        None => facts.is_known || (!required && facts.fingerprint.is_none()),
    };
    let shown = facts.fingerprint.map_or_else(|| "none".to_owned(), |fingerprint| fingerprint.to_string());
    if fits { Ok(()) } else { Err(Refusal::Certificate { calling, shown }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Dicom, Sender};

    const CT: &str = "192.0.2.7";

    fn judge_as(settings: &Dicom, called: &str, calling: &str, address: &str) -> Result<(), Refusal> {
        judge(settings, called, calling, address.parse().unwrap(), None)
    }

    fn one_sender(address: Option<&str>) -> Dicom {
        let address = address.map(|address| address.parse().unwrap());
        Dicom { sender: vec![Sender { ae_title: "CT1".into(), address, ..Sender::default() }], ..Dicom::default() }
    }

    #[test]
    fn a_call_to_another_title_is_refused_and_both_titles_are_named() {
        let refusal = judge_as(&Dicom::default(), "PACS", "CT1", CT).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the peer called the AE title \"PACS\", but this device answers to \"SCANSIDE\""
        );
        assert_eq!(refusal.reject().source, Source::ServiceUser(User::CalledAETitleNotRecognized));
        assert_eq!(refusal.reject().result, Result_::Permanent);
    }

    #[test]
    fn no_title_configured_answers_to_any_and_no_sender_configured_takes_any() {
        let settings = Dicom { ae_titles: vec![], ..Dicom::default() };
        assert_eq!(judge_as(&settings, "WHATEVER", "ANYONE", CT), Ok(()));
    }

    #[test]
    fn a_listed_sender_may_come_from_its_address_only() {
        let settings = one_sender(Some(CT));
        assert_eq!(judge_as(&settings, "SCANSIDE ", "CT1 ", CT), Ok(()));
        assert_eq!(judge_as(&settings, "SCANSIDE", "CT1", "::ffff:192.0.2.7"), Ok(()), "the same address, mapped");
        let refusal = judge_as(&settings, "SCANSIDE", "CT1", "192.0.2.8").unwrap_err();
        assert!(matches!(refusal, Refusal::Address { .. }), "{refusal}");
        assert_eq!(judge_as(&one_sender(None), "SCANSIDE", "CT1", "192.0.2.8"), Ok(()), "any address");
    }

    #[test]
    fn an_unlisted_sender_is_refused_as_calling_title_not_recognised() {
        let refusal = judge_as(&one_sender(None), "SCANSIDE", "ct1", CT).unwrap_err();
        assert_eq!(refusal, Refusal::CallingAe { calling: "ct1".into() });
        assert_eq!(refusal.reject().source, Source::ServiceUser(User::CallingAETitleNotRecognized));
    }

    fn facts(satisfies: &[&str], is_known: bool) -> Facts {
        let fingerprint = Some(crate::tls::certificate::Fingerprint::of(b"x"));
        let satisfies = satisfies.iter().map(|&value| value.to_owned()).collect();
        Facts { fingerprint, satisfies, is_known, ..Facts::default() }
    }

    #[test]
    fn a_sender_with_a_certificate_must_show_that_one_and_never_comes_without_tls() {
        let mut settings = one_sender(Some(CT));
        settings.sender[0].certificate = Some("sha256:aa".into());
        let judged = |tls: Option<&Facts>| judge(&settings, "SCANSIDE", "CT1", CT.parse().unwrap(), tls);
        assert_eq!(judged(Some(&facts(&["sha256:aa"], false))), Ok(()));
        let other = judged(Some(&facts(&["/ca-of-another.pem"], true))).unwrap_err();
        assert!(matches!(other, Refusal::Certificate { .. }), "{other}");
        assert!(matches!(judged(Some(&Facts::default())), Err(Refusal::Certificate { .. })), "it showed none");
        assert_eq!(judged(None), Err(Refusal::NeedsTls { calling: "CT1".into() }));
        assert_eq!(other.reject().source, Source::ServiceUser(User::CallingAETitleNotRecognized));
    }

    #[test]
    fn what_is_trusted_for_one_sender_only_does_not_let_another_in() {
        let settings = one_sender(None);
        let judged = |tls: &Facts| judge(&settings, "SCANSIDE", "CT1", CT.parse().unwrap(), Some(tls));
        assert_eq!(judged(&facts(&[], true)), Ok(()));
        assert!(matches!(judged(&facts(&["sha256:of-mr7"], false)), Err(Refusal::Certificate { .. })));
    }

    #[test]
    fn where_the_plain_port_is_for_named_senders_only_these_come_without_tls() {
        let mut settings = one_sender(None);
        settings.plain = Plain::Named;
        let refusal = judge_as(&settings, "SCANSIDE", "CT1", CT).unwrap_err();
        assert_eq!(refusal, Refusal::NotPlain { calling: "CT1".into() });
        assert_eq!(judge(&settings, "SCANSIDE", "CT1", CT.parse().unwrap(), Some(&facts(&[], true))), Ok(()));
        settings.sender[0].plain = true;
        assert_eq!(judge_as(&settings, "SCANSIDE", "CT1", CT), Ok(()));
        settings.sender.clear();
        assert!(matches!(judge_as(&settings, "SCANSIDE", "CT1", CT), Err(Refusal::NotPlain { .. })), "no exception");
    }

    #[test]
    fn over_the_limit_the_peer_is_told_to_come_back() {
        let reject = Refusal::Limit { limit: 32 }.reject();
        assert_eq!(reject.result, Result_::Transient);
        assert_eq!(reject.source, Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded));
    }
}
