//! Which peers may associate, by AE titles and address. No I/O.

use std::net::IpAddr;

use dicom::text::shown;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult as Result_, AssociationRJServiceProviderASCEReason as Acse,
    AssociationRJServiceProviderPresentationReason as Presentation, AssociationRJServiceUserReason as User,
    AssociationRJSource as Source,
};

use crate::settings;

/// Why an association is refused. The text is written to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the peer called the AE title \"{called}\", but this device answers to {ours}")]
    CalledAe { called: String, ours: String },
    #[error("the AE title \"{calling}\" is not in the list of senders")]
    CallingAe { calling: String },
    #[error("the AE title \"{calling}\" is in the list of senders, but with another address than {address}")]
    Address { calling: String, address: IpAddr },
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
            Self::CallingAe { .. } | Self::Address { .. } => Source::ServiceUser(User::CallingAETitleNotRecognized),
            Self::Limit { .. } => Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded),
            Self::Version => Source::ServiceProviderASCE(Acse::ProtocolVersionNotSupported),
            Self::ApplicationContext { .. } => Source::ServiceUser(User::ApplicationContextNameNotSupported),
        };
        let result = if matches!(self, Self::Limit { .. }) { Result_::Transient } else { Result_::Permanent };
        AssociationRJ { result, source }
    }
}

/// Whether `calling`, at `address`, may associate with `called`. AE titles are compared without leading and trailing
/// spaces; case matters, as in DICOM.
///
/// # Errors
/// Why not. The called AE title is checked first.
pub fn judge(settings: &settings::Dicom, called: &str, calling: &str, address: IpAddr) -> Result<(), Refusal> {
    let ours = &settings.ae_titles;
    if !ours.is_empty() && !ours.iter().any(|title| title.trim() == called.trim()) {
        let ours = ours.iter().map(|title| format!("\"{}\"", title.trim())).collect::<Vec<_>>().join(", ");
        return Err(Refusal::CalledAe { called: called.to_owned(), ours });
    }
    if settings.sender.is_empty() {
        return Ok(());
    }
    let mut known = settings.sender.iter().filter(|sender| sender.ae_title.trim() == calling.trim()).peekable();
    if known.peek().is_none() {
        return Err(Refusal::CallingAe { calling: calling.to_owned() });
    }
    let address = address.to_canonical();
    if known.any(|sender| sender.address.is_none_or(|allowed| allowed.to_canonical() == address)) {
        Ok(())
    } else {
        Err(Refusal::Address { calling: calling.to_owned(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Dicom, Sender};

    const CT: &str = "192.0.2.7";

    fn judge_as(settings: &Dicom, called: &str, calling: &str, address: &str) -> Result<(), Refusal> {
        judge(settings, called, calling, address.parse().unwrap())
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

    #[test]
    fn over_the_limit_the_peer_is_told_to_come_back() {
        let reject = Refusal::Limit { limit: 32 }.reject();
        assert_eq!(reject.result, Result_::Transient);
        assert_eq!(reject.source, Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded));
    }
}
