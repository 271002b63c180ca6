//! Association negotiation (PS3.8 sections 9.3.2 and 9.3.3). Parses A-ASSOCIATE-RQ and A-ASSOCIATE-AC and decides which
//! proposed presentation contexts are accepted. Unknown items are skipped, as the standard requires. A rejected context
//! may lack its transfer syntax, because some archives send it so.

use dicom::implementation::{CLASS_UID, VERSION_NAME};
use dicom::text::plain_text;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as Reason, AssociationAC, AssociationRQ, PresentationContextProposed,
    PresentationContextResult, PresentationContextResultReason as Verdict, RequestorRoles, UserVariableItem,
};

use crate::WORKLIST;
use crate::elements::Syntax;
use crate::identity;
use crate::wire::Fault;
use crate::{APPLICATION_CONTEXT, COMMITMENT, MPPS, VERIFICATION};
use crate::{accepts_transfer_syntax, is_storage};

/// Protocol version, reserved, two AE titles, reserved.
const FIXED_FIELDS: usize = 2 + 2 + 16 + 16 + 32;

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub id: u8,
    pub abstract_syntax: String,
    pub transfer_syntax: String,
}

/// SCP/SCU role selection for one SOP class (PS3.7 section D.3.3.4): the roles of the peer that requested the association.
/// In a request what it proposes, in an acceptance what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) scu: bool,
    pub(super) scp: bool,
}

/// The content of an A-ASSOCIATE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) version: u16,
    pub(super) called: String,
    pub(super) calling: String,
    pub(super) application_context: String,
    pub(super) contexts: Vec<PresentationContextProposed>,
    /// The largest PDU that the peer accepts, bytes; 0 means no limit.
    pub(super) max_pdu: u32,
    pub(super) implementation: String,
    /// SOP classes for which the peer proposes roles.
    pub(super) roles: Vec<(String, Role)>,
    /// Who the peer says it is.
    pub(super) identity: Option<identity::Said>,
}

/// The content of an A-ASSOCIATE-AC: for each presentation context its id, result (0 is accepted) and transfer syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) contexts: Vec<(u8, u8, String)>,
    pub(super) max_pdu: u32,
    /// SOP classes and the roles that we may have.
    pub(super) roles: Vec<(String, Role)>,
}

pub(super) fn read_request(body: &[u8]) -> Result<Request, Fault> {
    let (fixed, items) = split(body)?;
    let mut request = Request {
        version: u16::from_be_bytes([fixed[0], fixed[1]]),
        called: plain_text(&fixed[4..20]),
        calling: plain_text(&fixed[20..36]),
        application_context: String::new(),
        contexts: Vec::new(),
        max_pdu: 0,
        implementation: String::new(),
        roles: Vec::new(),
        identity: None,
    };
    for item in Items(items) {
        match item? {
            (0x10, value) => request.application_context = plain_text(value),
            (0x20, value) => request.contexts.push(read_proposal(value)?),
            (0x50, value) => {
                let said = read_user_information(value)?;
                (request.max_pdu, request.implementation, request.roles) =
                    (said.max_pdu, said.implementation, said.roles);
                request.identity = said.identity;
            }
            _ => {}
        }
    }
    Ok(request)
}

pub(super) fn read_accept(body: &[u8]) -> Result<Accept, Fault> {
    let (_, items) = split(body)?;
    let mut accept = Accept { contexts: Vec::new(), max_pdu: 0, roles: Vec::new() };
    for item in Items(items) {
        match item? {
            (0x21, value) => accept.contexts.push(read_result(value)?),
            (0x50, value) => {
                let said = read_user_information(value)?;
                (accept.max_pdu, accept.roles) = (said.max_pdu, said.roles);
            }
            _ => {}
        }
    }
    Ok(accept)
}

/// The services that a peer may use. Verification is for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) storage: bool,
    pub(super) commitment: bool,
    pub(super) mpps: bool,
    /// Who is expected.
    pub(super) worklist: bool,
}

impl Offer {
    fn has(self, class: &str) -> bool {
        match class {
            VERIFICATION => true,
            COMMITMENT => self.commitment,
            MPPS => self.mpps,
            WORKLIST => self.worklist,
            class => self.storage && is_storage(class),
        }
    }
}

/// What is read here is taken in the two encodings that every peer has.
fn takes(class: &str, syntax: &str) -> bool {
    if [COMMITMENT, MPPS, WORKLIST].contains(&class) {
        Syntax::of(syntax).is_some()
    } else {
        accepts_transfer_syntax(syntax)
    }
}

/// The roles that a peer may have that proposed them; for all other classes the default holds, which is not said. A peer
/// may ask us for storage commitment (SCU) and report it to us (SCP).
fn judge_roles(proposed: &[(String, Role)], accepted: &[Context]) -> Vec<(String, Role)> {
    let mut judged: Vec<(String, Role)> = Vec::new();
    for (class, role) in proposed {
        let is_accepted = accepted.iter().any(|context| context.abstract_syntax == *class);
        let may = match class.as_str() {
            COMMITMENT => *role,
            MPPS => Role { scu: role.scu, scp: false },
            _ => continue,
        };
        if is_accepted && judged.iter().all(|(other, _)| other != class) {
            judged.push((class.clone(), may));
        }
    }
    judged
}

/// The result for each proposed presentation context, in the peer's order. Of the transfer syntaxes that can be taken,
/// the one that the peer lists first is accepted.
pub(super) fn judge_contexts(
    proposed: &[PresentationContextProposed],
    offer: Offer,
) -> (Vec<PresentationContextResult>, Vec<Context>) {
    let mut accepted: Vec<Context> = Vec::new();
    let results = proposed.iter().map(|proposal| {
        let reject = |reason| PresentationContextResult {
            id: proposal.id,
            reason,
            // Not significant in a rejection, but some peers require it.
            transfer_syntax: "1.2.840.10008.1.2".into(),
        };
        if proposal.id.is_multiple_of(2) || accepted.iter().any(|context| context.id == proposal.id) {
            return reject(Verdict::NoReason);
        }
        let class = &proposal.abstract_syntax;
        if !offer.has(class) {
            return reject(Verdict::AbstractSyntaxNotSupported);
        }
        let Some(syntax) = proposal.transfer_syntaxes.iter().find(|uid| takes(class, uid)) else {
            return reject(Verdict::TransferSyntaxesNotSupported);
        };
        accepted.push(Context {
            id: proposal.id,
            abstract_syntax: proposal.abstract_syntax.clone(),
            transfer_syntax: syntax.clone(),
        });
        PresentationContextResult { id: proposal.id, reason: Verdict::Acceptance, transfer_syntax: syntax.clone() }
    });
    (results.collect(), accepted)
}

/// The answer to `request`. Roles that the peer did not propose are not mentioned, as the standard wants it. `believed`: the peer
/// asked to be told that its user identity was accepted, and it was.
pub(super) fn acceptance(
    request: &Request,
    results: Vec<PresentationContextResult>,
    accepted: &[Context],
    max_pdu: u32,
    believed: bool,
) -> AssociationAC {
    let mut said = our_user_information(max_pdu, judge_roles(&request.roles, accepted));
    if believed {
        let (kind, value) = identity::answer();
        said.push(UserVariableItem::Unknown(kind, value));
    }
    AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling.clone(),
        called_ae_title: request.called.clone(),
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: results,
        user_variables: said,
    }
}

pub(super) fn proposal(
    called: &str,
    calling: &str,
    contexts: Vec<PresentationContextProposed>,
    roles: Vec<(String, Role)>,
    max_pdu: u32,
) -> AssociationRQ {
    AssociationRQ {
        protocol_version: 1,
        calling_ae_title: calling.trim().to_owned(),
        called_ae_title: called.trim().to_owned(),
        application_context_name: APPLICATION_CONTEXT.into(),
        presentation_contexts: contexts,
        user_variables: our_user_information(max_pdu, roles),
    }
}

pub(super) fn is_dicom(application_context: &str) -> bool {
    application_context == APPLICATION_CONTEXT
}

/// How the reasons of a rejection begin that concern the AE titles.
pub(super) const CALLING_NOT_RECOGNISED: &str = "our AE title is not known to the peer";
pub(super) const CALLED_NOT_RECOGNISED: &str = "the peer does not answer to the AE title we called";

/// The reason of an A-ASSOCIATE-RJ in words (PS3.8 section 9.3.4).
pub(super) fn reject_reason(body: &[u8]) -> String {
    let &[_, result, source, reason, ..] = body else {
        return "no reason given".into();
    };
    let words = match (source, reason) {
        (1, 2) => "application context not supported",
        (1, 3) => CALLING_NOT_RECOGNISED,
        (1, 7) => CALLED_NOT_RECOGNISED,
        (2, 2) => "protocol version not supported",
        (3, 1) => "temporary congestion",
        (3, 2) => "local limit exceeded",
        _ => "no reason given",
    };
    let lasting = if result == 2 { "transient" } else { "permanent" };
    format!("{words} ({lasting}, source {source}, reason {reason})")
}

fn our_user_information(max_pdu: u32, roles: Vec<(String, Role)>) -> Vec<UserVariableItem> {
    let mut said = vec![
        UserVariableItem::MaxLength(max_pdu),
        UserVariableItem::ImplementationClassUID(CLASS_UID.into()),
        UserVariableItem::ImplementationVersionName(VERSION_NAME.into()),
    ];
    let role =
        |(class, Role { scu, scp })| UserVariableItem::ScuScpRoleSelectionSubItem(class, RequestorRoles { scu, scp });
    said.extend(roles.into_iter().map(role));
    said
}

fn malformed(what: &str) -> Fault {
    Fault::protocol(Reason::InvalidPduParameter, what)
}

fn split(body: &[u8]) -> Result<(&[u8; FIXED_FIELDS], &[u8]), Fault> {
    body.split_first_chunk().ok_or_else(|| malformed("an association PDU shorter than its fixed fields"))
}

fn read_proposal(value: &[u8]) -> Result<PresentationContextProposed, Fault> {
    let (&[id, _, _, _], items) =
        value.split_first_chunk().ok_or_else(|| malformed("a presentation context shorter than its header"))?;
    let mut proposal =
        PresentationContextProposed { id, abstract_syntax: String::new(), transfer_syntaxes: Vec::new() };
    for item in Items(items) {
        match item? {
            (0x30, uid) => proposal.abstract_syntax = plain_text(uid),
            (0x40, uid) => proposal.transfer_syntaxes.push(plain_text(uid)),
            _ => {}
        }
    }
    Ok(proposal)
}

fn read_result(value: &[u8]) -> Result<(u8, u8, String), Fault> {
    let (&[id, _, verdict, _], items) =
        value.split_first_chunk().ok_or_else(|| malformed("a presentation context shorter than its header"))?;
    let mut syntax = String::new();
    for item in Items(items) {
        if let (0x40, uid) = item? {
            syntax = plain_text(uid);
        }
    }
    Ok((id, verdict, syntax))
}

/// What the user information of the peer says.
#[derive(Debug, Default)]
struct Said {
    max_pdu: u32,
    implementation: String,
    roles: Vec<(String, Role)>,
    identity: Option<identity::Said>,
}

fn read_user_information(value: &[u8]) -> Result<Said, Fault> {
    let mut said = Said::default();
    for item in Items(value) {
        match item? {
            (0x51, value) => said.max_pdu = value.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)),
            (0x54, value) => said.roles.extend(read_role(value)),
            (0x55, value) => said.implementation = plain_text(value),
            (0x58, value) => said.identity = Some(identity::read(value)),
            _ => {}
        }
    }
    Ok(said)
}

/// Length of the UID, UID, role of SCU, role of SCP. What is too short is passed over, as an item that we do not know.
fn read_role(value: &[u8]) -> Option<(String, Role)> {
    let (&[high, low], rest) = value.split_first_chunk()?;
    let (uid, roles) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    let &[scu, scp, ..] = roles else { return None };
    Some((plain_text(uid), Role { scu: scu != 0, scp: scp != 0 }))
}

/// Iterates over items or sub-items: type, reserved byte, 16-bit length, value.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self.0.split_first_chunk().and_then(|(&[kind, _, high, low], rest)| {
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            Some((kind, value, rest))
        });
        let Some((kind, value, rest)) = item else {
            self.0 = &[];
            return Some(Err(malformed("an item that does not fit its PDU")));
        };
        self.0 = rest;
        Some(Ok((kind, value)))
    }
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::{Pdu, write_pdu};
    use proptest::prelude::*;

    use super::*;
    use crate::wire::PDU_HEADER;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const ALL: Offer = Offer { storage: true, commitment: true, mpps: true, worklist: true };

    #[test]
    fn an_association_names_the_implementation_that_results_name() {
        let said = our_user_information(16_384, Vec::new());
        let class = UserVariableItem::ImplementationClassUID(dicom::implementation::CLASS_UID.into());
        let version = UserVariableItem::ImplementationVersionName(dicom::implementation::VERSION_NAME.into());
        assert!(said.contains(&class) && said.contains(&version), "{said:?}");
    }

    fn context(id: u8, abstract_syntax: &str, syntaxes: &[&str]) -> PresentationContextProposed {
        let transfer_syntaxes = syntaxes.iter().map(|&uid| uid.into()).collect();
        PresentationContextProposed { id, abstract_syntax: abstract_syntax.into(), transfer_syntaxes }
    }

    fn request_bytes() -> Vec<u8> {
        let contexts = vec![context(1, CT, &["1.2.840.10008.1.2"]), context(3, VERIFICATION, &["1.2.840.10008.1.2"])];
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, &Pdu::AssociationRQ(proposal("SCANSIDE", "CT1", contexts, Vec::new(), 16_384))).unwrap();
        bytes.split_off(PDU_HEADER)
    }

    #[test]
    fn a_request_is_read_as_the_library_writes_it() {
        let request = read_request(&request_bytes()).unwrap();
        assert_eq!((request.called.as_str(), request.calling.as_str()), ("SCANSIDE", "CT1"));
        assert_eq!((request.version, request.max_pdu, request.contexts.len()), (1, 16_384, 2));
        assert!(is_dicom(&request.application_context));
    }

    #[test]
    fn the_peers_first_storable_transfer_syntax_is_taken() {
        let proposed = [
            context(1, CT, &["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2"]),
            context(3, CT, &["1.2.840.10008.1.2.4.94"]),
            context(5, "1.2.840.10008.5.1.1.9", &["1.2.840.10008.1.2"]),
            context(7, VERIFICATION, &["1.2.840.10008.1.2.2"]),
        ];
        let (results, accepted) = judge_contexts(&proposed, ALL);
        let verdicts: Vec<_> = results.into_iter().map(|result| result.reason).collect();
        let expected = [
            Verdict::Acceptance,
            Verdict::TransferSyntaxesNotSupported,
            Verdict::AbstractSyntaxNotSupported,
            Verdict::Acceptance,
        ];
        assert_eq!(verdicts, expected);
        assert_eq!(accepted[0].transfer_syntax, "1.2.840.10008.1.2.4.70");
        assert_eq!(accepted.len(), 2);
    }

    #[test]
    fn a_rejected_context_without_a_transfer_syntax_does_not_spoil_the_answer() {
        let mut body = vec![0; FIXED_FIELDS];
        body.extend([0x21, 0, 0, 4, 1, 0, 3, 0]);
        body.extend([0x21, 0, 0, 13, 3, 0, 0, 0, 0x40, 0, 0, 5]);
        body.extend(b"1.2.3");
        let accept = read_accept(&body).unwrap();
        assert_eq!(accept.contexts, [(1, 3, String::new()), (3, 0, "1.2.3".into())]);
    }

    #[test]
    fn services_are_offered_in_their_encodings_and_roles_are_answered_where_they_were_proposed() {
        const EXPLICIT: &str = "1.2.840.10008.1.2.1";
        let proposed = [
            context(1, COMMITMENT, &["1.2.840.10008.1.2.4.50", EXPLICIT]),
            context(3, MPPS, &["1.2.840.10008.1.2"]),
            context(5, CT, &[EXPLICIT]),
            context(7, MPPS, &["1.2.840.10008.1.2.2"]),
        ];
        let (_, accepted) = judge_contexts(&proposed, ALL);
        let syntaxes: Vec<_> = accepted.iter().map(|context| (context.id, context.transfer_syntax.as_str())).collect();
        assert_eq!(syntaxes, [(1, EXPLICIT), (3, "1.2.840.10008.1.2"), (5, EXPLICIT)]);
        let (both, scp) = (Role { scu: true, scp: true }, Role { scu: false, scp: true });
        let roles: Vec<_> =
            [(COMMITMENT, scp), (MPPS, both), (CT, both)].map(|(uid, role)| (uid.to_owned(), role)).into();
        let judged = judge_roles(&roles, &accepted);
        let may = Role { scu: true, scp: false };
        assert_eq!(
            judged,
            [(COMMITMENT.to_owned(), scp), (MPPS.to_owned(), may)],
            "none for storage: the default holds"
        );
        assert_eq!(judge_roles(&[], &accepted), []);
        // As it goes over the wire.
        let mut bytes = Vec::new();
        let asked = proposal("SCANSIDE", "CT1", proposed.to_vec(), roles.clone(), 16_384);
        write_pdu(&mut bytes, &Pdu::AssociationRQ(asked)).unwrap();
        assert_eq!(read_request(&bytes[PDU_HEADER..]).unwrap().roles, roles);
        let none = Offer { storage: false, commitment: false, mpps: false, worklist: false };
        assert!(judge_contexts(&proposed, none).1.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_negotiation_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_request(&body);
            let _ = read_accept(&body);
        }

        #[test]
        fn no_change_to_a_good_request_makes_negotiation_panic(at in 0usize..200, value: u8, cut in 0usize..300) {
            let mut body = request_bytes();
            if let Some(byte) = body.get_mut(at) {
                *byte = value;
            }
            body.truncate(cut);
            if let Ok(request) = read_request(&body) {
                let _ = judge_contexts(&request.contexts, ALL);
            }
        }
    }
}
