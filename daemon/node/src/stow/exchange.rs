//! HTTP/1.1 over one connection: a request, and its whole answer within time limits.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::Body;
use crate::peer::{Error, Service};
use crate::tls::link::Link;
use crate::{open, tls};

/// While the archive takes nothing of a body.
const STALL: Duration = Duration::from_secs(30);
/// For an answer, since archives index an object before they answer.
const ANSWER: Duration = Duration::from_secs(120);
/// For the rest of an answer.
const REST: Duration = Duration::from_secs(30);
/// Until a connection that has answered is ready for the next request.
const READY: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read; that to one object has a few hundred.
pub(crate) const LARGEST: usize = 1 << 20;

/// Time limits of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) stall: Duration,
    pub(crate) answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stall: STALL, answer: ANSWER }
    }
}

/// An answer of the archive.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Lower case.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    /// The body is only the first [`LARGEST`] bytes of the answer.
    pub(crate) is_cut: bool,
}

/// A connection that speaks HTTP. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
    address: String,
    /// It has answered before: the archive may have closed it meanwhile.
    pub(crate) is_used: bool,
    /// The last request and its answer went over it whole. An archive that answers early may never read the rest of a request,
    /// and keep the connection all the same.
    is_whole: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn open(service: &Service) -> Result<Self, Error> {
        let stream = open::connect(&service.url.address()).await?;
        Self::over(secured(stream, service).await?, service).await
    }

    /// Over a connection that stands.
    pub(crate) async fn over(link: Link, service: &Service) -> Result<Self, Error> {
        let address = service.url.address();
        let (sender, connection) = match http1::handshake(TokioIo::new(link)).await {
            Ok(made) => made,
            Err(error) => return Err(fault(&error, &address)),
        };
        let driver = tokio::spawn(async move {
            // Its errors come with the request.
            let _ = connection.await;
        });
        Ok(Self { sender, driver, address, is_used: false, is_whole: true })
    }

    /// Whether another request can go over it.
    pub(crate) async fn is_open(&mut self) -> bool {
        // Without an end where the archive does not read what is still in the buffers.
        self.is_whole && matches!(timeout(READY, self.sender.ready()).await, Ok(Ok(())))
    }

    pub(crate) async fn exchange(&mut self, request: Request<Body>, limits: Limits) -> Result<Answer, Error> {
        let silent = |what: &'static str, limit: Duration| Error::Silent {
            address: self.address.clone(),
            what,
            seconds: limit.as_secs_f64(),
        };
        let progress = request.body().progress();
        let mut sent = Box::pin(self.sender.send_request(request));
        let response = loop {
            let (last, is_sent) = progress.last();
            let (limit, what) = if is_sent { (limits.answer, "answer") } else { (limits.stall, "take the object") };
            if last.elapsed() >= limit {
                return Err(silent(what, limit));
            }
            // Which limit counts may change meanwhile: it is looked at again after the shorter one.
            let look = Instant::now() + limits.stall.min(limits.answer);
            tokio::select! {
                response = &mut sent => break response,
                () = sleep_until(look.min(last + limit)) => {}
            }
        };
        drop(sent);
        let response = response.map_err(|error| match progress.fault() {
            Some(reason) => Error::File { path: std::path::PathBuf::new(), reason },
            None => fault(&error, &self.address),
        })?;
        let answer = match timeout(REST.min(limits.answer), read(response)).await {
            Ok(read) => read.map_err(|error| fault(&error, &self.address))?,
            Err(_) => return Err(silent("finish its answer", REST.min(limits.answer))),
        };
        self.is_used = true;
        self.is_whole = progress.last().1 && !answer.is_cut;
        Ok(answer)
    }
}

/// The whole answer, as far as it is not longer than answers are.
async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, hyper::Error> {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let code = response.status().as_u16();
    let mut incoming = response.into_body();
    let (mut body, mut is_cut) = (Vec::new(), false);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        if let Ok(bytes) = frame?.into_data() {
            body.extend_from_slice(&bytes);
        }
        if body.len() > LARGEST {
            body.truncate(LARGEST);
            is_cut = true;
            break;
        }
    }
    Ok(Answer { code, content_type, body, is_cut })
}

/// With TLS 1.3 the archive judges our certificate after the handshake: its alert comes in place of the answer.
pub(crate) fn fault(error: &hyper::Error, address: &str) -> Error {
    let address = address.to_owned();
    if error.is_parse() {
        return Error::NotHttp { address };
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return match tls::in_io(io) {
                Some(fault) => Error::Tls { address, fault },
                None => Error::Broken { address, reason: io.to_string() },
            };
        }
        source = inner.source();
    }
    let reason = if error.is_incomplete_message() { "closed without an answer".into() } else { error.to_string() };
    Error::Broken { address, reason }
}

/// With TLS where the URL says https.
pub(crate) async fn secured(stream: TcpStream, service: &Service) -> Result<Link, Error> {
    open::secured_as(stream, &service.url.address(), service.tls.as_ref()).await
}
