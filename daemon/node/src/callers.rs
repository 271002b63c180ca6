//! Who called the node lately and what became of it, for people: "the scanner does not connect" is answered by what came,
//! not by what should have come. Bounded; a crowd of strangers displaces neither known senders nor the latest refusals.
//!
//! AE titles and addresses belong to machines and identify no patient.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use custody::store::now_utc;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::policy::Refusal;
use crate::wire::Fault;
use crate::{COMMITMENT, MPPS, WORKLIST, tls};

/// Callers that were accepted, and those that were refused: this many of each are remembered.
const MOST: usize = 64;

/// What became of a call. The words of [`Outcome::code`] are part of the D-Bus interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Accepted,
    /// The caller called an AE title that is not ours.
    CalledAeWrong,
    /// Its own AE title is not in the list of senders.
    CallingAeUnknown,
    /// Its AE title is in the list, with another address.
    AddressUnknown,
    /// It must come by TLS: its entry names a certificate, or the port without TLS is for named senders only.
    NeedsTls,
    /// By TLS, with another certificate than its AE title must show.
    CertificateWrong,
    /// It must say as which user it comes, and did not, or is none that is known for it.
    IdentityRefused,
    TooManyAssociations,
    ProtocolVersion,
    ApplicationContext,
    /// Associated, but we take none of what it proposed.
    NoContextAccepted,
    /// It spoke TLS on a port without TLS.
    TlsOnPlainPort,
    /// The TLS handshake failed.
    TlsFailed,
    /// Not DICOM: a browser, a port scanner.
    NotDicom,
}

impl Outcome {
    pub fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::CalledAeWrong => "called-ae-wrong",
            Self::CallingAeUnknown => "calling-ae-unknown",
            Self::AddressUnknown => "address-unknown",
            Self::NeedsTls => "needs-tls",
            Self::CertificateWrong => "certificate-wrong",
            Self::IdentityRefused => "identity-refused",
            Self::TooManyAssociations => "too-many-associations",
            Self::ProtocolVersion => "protocol-version",
            Self::ApplicationContext => "application-context",
            Self::NoContextAccepted => "no-context-accepted",
            Self::TlsOnPlainPort => "tls-on-plain-port",
            Self::TlsFailed => "tls-failed",
            Self::NotDicom => "not-dicom",
        }
    }

    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::CalledAe { .. } => Self::CalledAeWrong,
            Refusal::CallingAe { .. } => Self::CallingAeUnknown,
            Refusal::Address { .. } => Self::AddressUnknown,
            Refusal::NotPlain { .. } | Refusal::NeedsTls { .. } => Self::NeedsTls,
            Refusal::Certificate { .. } => Self::CertificateWrong,
            Refusal::Identity(_) => Self::IdentityRefused,
            Refusal::Limit { .. } => Self::TooManyAssociations,
            Refusal::Version => Self::ProtocolVersion,
            Refusal::ApplicationContext { .. } => Self::ApplicationContext,
        }
    }
}

/// All calls with the same titles, address and outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Empty when the call had none, because it was not DICOM.
    pub calling_ae: String,
    pub called_ae: String,
    pub address: IpAddr,
    pub outcome: Outcome,
    /// One sentence; empty when accepted with every service that it asked for.
    pub reason: String,
    pub times: u64,
    pub first_utc: String,
    pub last_utc: String,
}

impl Caller {
    fn is_same(&self, other: &Self) -> bool {
        (self.outcome, self.address) == (other.outcome, other.address)
            && (&self.calling_ae, &self.called_ae) == (&other.calling_ae, &other.called_ae)
    }
}

/// The register. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Callers {
    /// In the order of their last call.
    all: Arc<Mutex<Vec<Caller>>>,
    /// Counts the changes.
    changed: watch::Sender<u64>,
}

impl Default for Callers {
    fn default() -> Self {
        Self { all: Arc::default(), changed: watch::channel(0).0 }
    }
}

impl Callers {
    /// Of the last one that called first to those before.
    pub fn list(&self) -> Vec<Caller> {
        self.lock().iter().rev().cloned().collect()
    }

    /// Takes what an earlier run of the daemon remembered, as [`Callers::list`] returned it. Who has called meanwhile stays
    /// in front.
    pub fn restore(&self, earlier: Vec<Caller>) {
        let mut all = self.lock();
        let since = std::mem::take(&mut *all);
        for caller in earlier.into_iter().rev().chain(since) {
            add(&mut all, caller);
        }
    }

    /// Notified at each call.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// `in_vain`: SOP classes that were proposed and not taken. `contexts`: how many presentation contexts were accepted.
    pub(crate) fn accepted<'a>(
        &self,
        (calling, called): (&str, &str),
        address: IpAddr,
        contexts: usize,
        in_vain: impl Iterator<Item = &'a str>,
    ) {
        let service = service_in_vain(in_vain);
        if contexts > 0 {
            return self.note(calling, called, address, Outcome::Accepted, service.unwrap_or_default());
        }
        let nothing = "the caller proposed no SOP class and transfer syntax that this device takes";
        self.note(calling, called, address, Outcome::NoContextAccepted, service.unwrap_or(nothing));
    }

    pub(crate) fn refused(&self, calling: &str, called: &str, address: IpAddr, refusal: &Refusal) {
        self.note(calling, called, address, Outcome::of(refusal), &refusal.to_string());
    }

    /// A connection that ended before it requested an association. Who only looks whether the port is open is not noted:
    /// monitoring does so every minute.
    pub(crate) fn failed(&self, address: IpAddr, fault: &Fault) {
        let (outcome, reason) = match fault {
            Fault::SpeaksTls(_) => {
                (Outcome::TlsOnPlainPort, "the caller began TLS, and this port takes DICOM without TLS".to_owned())
            }
            Fault::Protocol { what, .. } => (Outcome::NotDicom, format!("the caller does not speak DICOM: {what}")),
            _ => return,
        };
        self.note("", "", address, outcome, &reason);
    }

    /// A TLS connection that was not made. One that was closed without a word is not noted, as above.
    pub(crate) fn tls_failed(&self, address: IpAddr, fault: &tls::Fault) {
        self.note("", "", address, Outcome::TlsFailed, &fault.to_string());
    }

    fn note(&self, calling: &str, called: &str, address: IpAddr, outcome: Outcome, reason: &str) {
        let now = now_utc();
        let caller = Caller {
            calling_ae: calling.trim().to_owned(),
            called_ae: called.trim().to_owned(),
            address: address.to_canonical(),
            outcome,
            reason: reason.to_owned(),
            times: 1,
            first_utc: now.clone(),
            last_utc: now,
        };
        add(&mut self.lock(), caller);
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Caller>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a caller may have come for nothing: what it asks for is off, or is not done here.
fn service_in_vain<'a>(mut in_vain: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    /// Query/Retrieve of all roots and levels (PS3.4 annex C).
    const QUERY_RETRIEVE: &str = "1.2.840.10008.5.1.4.1.2.";
    let why = |class| match class {
        WORKLIST => Some(
            "the caller asks who is expected (Modality Worklist), which is off here or was proposed in an encoding that is not taken: see live.worklist and dicom.worklist",
        ),
        MPPS => Some(
            "the caller tells of its exams (MPPS), which is off here or was proposed in an encoding that is not taken: see dicom.mpps",
        ),
        COMMITMENT => Some(
            "the caller asks for storage commitment, which is off here or was proposed in an encoding that is not taken: see dicom.commitment",
        ),
        class if class.starts_with(QUERY_RETRIEVE) => {
            Some("the caller searches for studies (Query/Retrieve), which this device offers by DICOMweb only")
        }
        _ => None,
    };
    in_vain.find_map(why)
}

fn add(all: &mut Vec<Caller>, mut caller: Caller) {
    if let Some(at) = all.iter().position(|known| known.is_same(&caller)) {
        let known = all.remove(at);
        caller.times = caller.times.saturating_add(known.times);
        caller.first_utc = known.first_utc;
    }
    let accepted = |caller: &Caller| caller.outcome == Outcome::Accepted;
    let kind = accepted(&caller);
    all.push(caller);
    if all.iter().filter(|known| accepted(known) == kind).count() > MOST
        && let Some(oldest) = all.iter().position(|known| accepted(known) == kind)
    {
        all.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn refuse(callers: &Callers, calling: &str, address: IpAddr) {
        let refusal = Refusal::CallingAe { calling: calling.trim().to_owned() };
        callers.refused(calling, "SCANSIDE", address, &refusal);
    }

    #[test]
    fn the_same_call_is_one_entry_with_a_count_and_its_reason() {
        let callers = Callers::default();
        refuse(&callers, "MR7", CT);
        refuse(&callers, "MR7 ", CT);
        callers.accepted(("CT1", "SCANSIDE"), CT, 3, std::iter::empty());
        let list = callers.list();
        assert_eq!(
            list.iter().map(|one| (one.calling_ae.as_str(), one.times)).collect::<Vec<_>>(),
            [("CT1", 1), ("MR7", 2)]
        );
        assert_eq!(list[1].outcome.code(), "calling-ae-unknown");
        assert_eq!(list[1].reason, "the AE title \"MR7\" is not in the list of senders");
    }

    #[test]
    fn who_comes_for_a_service_that_is_off_is_told_which_key_switches_it_on() {
        let callers = Callers::default();
        for (class, words) in [
            (WORKLIST, "dicom.worklist"),
            (MPPS, "dicom.mpps"),
            (COMMITMENT, "dicom.commitment"),
            ("1.2.840.10008.5.1.4.1.2.2.1", "DICOMweb"),
            ("1.2.840.10008.1.9", "no SOP class"),
        ] {
            callers.accepted(("US1", "SCANSIDE"), CT, 0, ["1.2.3", class].into_iter());
            let last = &callers.list()[0];
            assert_eq!(last.outcome, Outcome::NoContextAccepted);
            assert!(last.reason.contains(words), "{}", last.reason);
        }
    }

    /// A scanner's test is often C-ECHO and the worklist on one association.
    #[test]
    fn who_gets_a_part_of_what_it_asks_for_is_told_of_the_rest() {
        let callers = Callers::default();
        callers.accepted(("US1", "SCANSIDE"), CT, 1, std::iter::once(WORKLIST));
        let last = &callers.list()[0];
        assert!(last.outcome == Outcome::Accepted && last.reason.contains("dicom.worklist"), "{last:?}");
        callers.accepted(("US1", "SCANSIDE"), CT, 2, std::iter::once("1.2.3"));
        assert_eq!(callers.list()[0].reason, "", "nobody misses what is no service");
    }

    #[test]
    fn a_crowd_of_strangers_displaces_no_known_sender_and_memory_is_bounded() {
        let callers = Callers::default();
        callers.accepted(("CT1", "SCANSIDE"), CT, 3, std::iter::empty());
        for number in 0..1000 {
            refuse(&callers, &format!("X{number}"), CT);
        }
        let list = callers.list();
        assert_eq!(list.len(), MOST + 1);
        assert_eq!((list[0].calling_ae.as_str(), list[MOST].calling_ae.as_str()), ("X999", "CT1"));
    }

    #[test]
    fn what_was_remembered_comes_back_and_counts_go_on() {
        let before = Callers::default();
        refuse(&before, "MR7", CT);
        let after = Callers::default();
        refuse(&after, "MR7", CT);
        after.restore(before.list());
        let list = after.list();
        assert_eq!((list.len(), list[0].times), (1, 2));
        assert_eq!(list[0].first_utc, before.list()[0].first_utc);
    }

    #[test]
    fn tls_is_told_from_other_strangers_and_a_look_at_the_port_is_not_noted() {
        let callers = Callers::default();
        let protocol = |what: &str| Fault::protocol(dicom_ul::pdu::AbortRQServiceProviderReason::UnrecognizedPdu, what);
        callers.failed(CT, &Fault::Closed);
        callers.failed(CT, &Fault::SpeaksTls(0x16));
        callers.failed(CT, &protocol("unknown PDU type 0x47"));
        let codes: Vec<_> = callers.list().iter().map(|one| one.outcome.code()).collect();
        assert_eq!(codes, ["not-dicom", "tls-on-plain-port"]);
    }
}
