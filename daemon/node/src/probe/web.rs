//! Tests an archive with a URL step by step: name, connection, TLS, HTTP, login, STOW-RS, and whether it answers queries. Stores
//! nothing: the request to store has no object in it.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Cause, Probe, Step, reach};
use crate::outcome::Outcome;
use crate::outcome::http;
use crate::peer::{Error, Service};
use crate::stow::body::Body;
use crate::stow::exchange::{self, Connection};
use crate::stow::{Session, boundary};
use crate::tls::link::Link;
use crate::web::reply;

/// Each step may take `patience`.
pub async fn run(service: &Service, patience: Duration) -> Probe {
    let mut probe = Probe::default();
    let stream = match reach(&mut probe, &service.url.address(), patience).await {
        Ok(stream) => stream,
        Err((step, cause, what)) => return probe.fail(step, cause, what),
    };
    let link = match secure(&mut probe, stream, service, patience).await {
        Ok(link) => link,
        Err((cause, what)) => return probe.fail(Step::Tls, cause, what),
    };
    let mut session = match Session::new(service) {
        Ok(session) => session,
        Err(error) => return probe.fail(Step::Login, Cause::LoginUnreadable, error.to_string()),
    };
    match Connection::over(link, service).await {
        Ok(connection) => session.connection = Some(connection),
        Err(error) => return probe.fail(Step::Http, Cause::NotHttp, error.to_string()),
    }
    session.set_limits(patience, patience);

    let begun = Instant::now();
    let boundary = boundary();
    let answer = match session.post(&boundary, Body::of_no_part(&boundary)).await {
        Ok(answer) => answer,
        Err(error) => return probe.fail(Step::Http, cause_of(&error), error.to_string()),
    };
    probe.pass(Step::Http, format!("answers {}", answer.code), begun);
    let said = session.refused(&answer).to_string();
    match answer.code {
        401 | 403 | 407 => return probe.fail(Step::Login, Cause::LoginRefused, said),
        code if code < 200 || (code >= 300 && http::of(code) == Outcome::Hold) => {
            let cause = if code == 429 || code > 501 { Cause::NotReady } else { Cause::NoStow };
            return probe.fail(Step::Store, cause, said);
        }
        _ => {}
    }
    let how = if service.login.is_some() { "taken" } else { "none needed" };
    probe.pass(Step::Login, how, begun);
    let stored = begun;
    let begun = Instant::now();
    // A study that cannot be there: the answer tells of no patient.
    let nobody = dicom::uid::of_moment("nobody");
    let asked = session.get(&format!("/studies?StudyInstanceUID={nobody}&limit=1")).await;
    // An archive answers 400 to a request without an object; to a query, too, does what never reads DICOM: a port for https that got
    // http, or a proxy that does not know this name.
    if let (400, Ok(also)) = (answer.code, &asked)
        && also.code == 400
    {
        let what =
            format!("{said}, to a query, too: does the url say http for https, or a name that it does not know?");
        return probe.fail(Step::Store, Cause::NoStow, what);
    }
    let offered = match asked {
        Ok(answer) => answer.code == 204 || (answer.code == 200 && reply::found(&answer.body).is_some()),
        Err(_) => false,
    };
    probe.pass(Step::Store, "offered", stored);
    probe.pass(Step::Query, if offered { "offered" } else { "not offered: delivered means that it said so" }, begun);
    probe
}

async fn secure(
    probe: &mut Probe,
    stream: TcpStream,
    service: &Service,
    patience: Duration,
) -> Result<Link, (Cause, String)> {
    if service.tls.is_none() {
        return Ok(Link::Plain(stream));
    }
    let begun = Instant::now();
    match timeout(patience, exchange::secured(stream, service)).await {
        Ok(Ok(link)) => {
            probe.pass(Step::Tls, "certificate trusted", begun);
            Ok(link)
        }
        Ok(Err(error)) => Err((Cause::Tls, error.to_string())),
        Err(_) => Err((Cause::Silent, format!("no TLS handshake within {} s", patience.as_secs()))),
    }
}

fn cause_of(error: &Error) -> Cause {
    match error {
        Error::Tls { .. } => Cause::Tls,
        Error::NotHttp { .. } => Cause::NotHttp,
        Error::Silent { .. } => Cause::Silent,
        _ => Cause::Aborted,
    }
}
