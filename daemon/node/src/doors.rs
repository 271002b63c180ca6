//! Entrances for the fuzzer and the mutation loop of the bench (`hil-tests/tests/mutation`): what reads the bytes of a peer,
//! without a network. Not for programs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::elements::Syntax;
use crate::message::Command;
use crate::negotiate::{self, Offer};
use crate::places::Places;
use crate::serve::{self, Connection};
use crate::status::Answer;
use crate::{Intake, commitment};

/// The body of an A-ASSOCIATE-RQ or -AC, and the answer to it.
pub fn negotiation(body: &[u8]) {
    let _ = negotiate::read_accept(body);
    let _ = negotiate::reject_reason(body);
    if let Ok(request) = negotiate::read_request(body) {
        let offer = Offer { storage: true, commitment: true, mpps: true, worklist: true };
        let (results, contexts) = negotiate::judge_contexts(&request.contexts, offer);
        negotiate::acceptance(&request, results, &contexts, 16_384, false);
    }
}

/// A command set, and the answer to it.
pub fn command(bytes: &[u8]) {
    if let Some(command) = Command::parse(bytes) {
        command.response(&Answer::success());
    }
}

/// The data set of an N-EVENT-REPORT, in either syntax.
pub fn report(bytes: &[u8]) {
    for syntax in [Syntax::Implicit, Syntax::Explicit] {
        let _ = commitment::read_report(bytes, syntax);
    }
}

/// All that one peer sends, from the first byte to the last.
pub async fn connection(bytes: &[u8], intake: &Intake) {
    let connection = Connection {
        number: 1,
        peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1),
        tls: None,
        places: Places::new(1),
        evicted: Arc::default(),
        shutdown: CancellationToken::new(),
    };
    serve::serve(bytes, tokio::io::sink(), connection, intake).await;
}
