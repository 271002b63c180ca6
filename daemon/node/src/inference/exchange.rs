//! One request and its whole answer over HTTP/1.1, within one deadline that nothing prolongs and one size that nothing exceeds.
//! Redirects are not followed: tensors go to the configured host only.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::error::{HostError, HostFault};
use super::wire::{Message, short};
use super::{HEADER_LENGTH, InferenceHost};
use crate::open;
use crate::stow::exchange::fault;
use crate::tls::Client;
use crate::web::login::Login;
use crate::web::url::Url;

const AGENT: &str = concat!("Scanside/", env!("CARGO_PKG_VERSION"));

/// A body that is there already.
#[derive(Debug)]
struct Whole(Bytes);

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.get_mut().0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    /// How many bytes of the body are JSON, where the host says so.
    pub(super) header: Option<usize>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// What the host says of an error, short.
    pub(super) fn said(&self) -> String {
        let error = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let text = error.as_ref().and_then(|error| error.get("error").or_else(|| error.get("detail"))?.as_str());
        text.map_or_else(String::new, |text| format!(": {}", short(text)))
    }
}

#[derive(Debug)]
struct Line {
    sender: SendRequest<Whole>,
    driver: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Says whether nobody waits for an answer any more. Asked often.
pub type Stopped = Arc<dyn Fn() -> bool + Send + Sync>;

/// How often that is asked during a request.
const LOOK: Duration = Duration::from_millis(100);

/// Returns when nobody waits any more.
async fn until(stopped: Option<&Stopped>) {
    let Some(stopped) = stopped else { return std::future::pending().await };
    while !stopped() {
        sleep(LOOK).await;
    }
}

/// The way to one host. Calls block: they come from a thread that analyses, never from one that serves others.
pub(super) struct Exchange {
    url: Url,
    login: Option<Login>,
    tls: Option<Client>,
    deadline: Duration,
    /// `None` only while it is dropped.
    open: Mutex<Option<(Runtime, Option<Line>)>>,
    stopped: Mutex<Option<Stopped>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("url", &self.url).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // May happen on a thread of another runtime, where waiting is not allowed.
        if let Some((runtime, line)) = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(line);
            runtime.shutdown_background();
        }
    }
}

impl Exchange {
    /// # Errors
    /// `NotReachable` when this process can open nothing any more.
    pub(super) fn new(settings: &InferenceHost) -> Result<Self, HostError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| HostError::new(HostFault::NotReachable, error.to_string()))?;
        Ok(Self {
            url: settings.url.clone(),
            login: settings.login(),
            tls: settings.tls.as_ref().filter(|_| settings.url.is_secure()).map(Client::from),
            deadline: settings.deadline(),
            open: Mutex::new(Some((runtime, None))),
            stopped: Mutex::default(),
        })
    }

    /// From now on a request ends as soon as this says so.
    pub(super) fn give_up_when(&self, stopped: Option<Stopped>) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
    }

    pub(super) fn get(&self, path: &str, most: usize) -> Result<Answer, HostError> {
        self.ask(&Method::GET, path, None, most)
    }

    pub(super) fn post(&self, path: &str, message: Message, most: usize) -> Result<Answer, HostError> {
        self.ask(&Method::POST, path, Some(message), most)
    }

    /// An answer of `most` bytes at most.
    fn ask(&self, method: &Method, path: &str, message: Option<Message>, most: usize) -> Result<Answer, HostError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((runtime, line)) = open.as_mut() else {
            return Err(HostError::new(HostFault::NotReachable, "closed"));
        };
        let (header, body) = message.map_or((None, None), |one| (Some(one.header), Some(Bytes::from(one.bytes))));
        let asked = Asked { exchange: self, method, path, header: header.flatten(), body: body.as_ref(), most };
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let late = || {
            let seconds = self.deadline.as_secs_f64();
            HostError::new(HostFault::TooLate, format!("{} did not answer within {seconds} s", self.url.address()))
        };
        let answer = runtime.block_on(async {
            tokio::select! {
                biased;
                () = until(stopped.as_ref()) => Err(HostError::new(HostFault::GivenUp, "nobody waits for it any more")),
                answer = timeout(self.deadline, asked.answered(line)) => answer.unwrap_or_else(|_| Err(late())),
            }
        });
        if answer.is_err() {
            *line = None;
        }
        answer
    }

    async fn connect(&self) -> Result<Line, HostError> {
        let failed = |error: crate::peer::Error| HostError::new(HostFault::NotReachable, error.to_string());
        let address = self.url.address();
        let stream = open::connect(&address).await.map_err(failed)?;
        let link = open::secured_as(stream, &address, self.tls.as_ref()).await.map_err(failed)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(link)).await.map_err(|error| failed(fault(&error, &address)))?;
        let driver = tokio::spawn(async move {
            // Its errors come with the request.
            let _ = connection.await;
        });
        Ok(Line { sender, driver })
    }
}

struct Asked<'a> {
    exchange: &'a Exchange,
    method: &'a Method,
    path: &'a str,
    header: Option<usize>,
    body: Option<&'a Bytes>,
    most: usize,
}

impl Asked<'_> {
    /// Over the connection that there is, or a new one. What a host ends between two requests is opened again once: nothing is
    /// changed by a request, so it may be asked twice.
    async fn answered(&self, line: &mut Option<Line>) -> Result<Answer, HostError> {
        if let Some(mut old) = line.take()
            && old.sender.ready().await.is_ok()
            && let Ok(response) = old.sender.send_request(self.request()?).await
        {
            return self.read(response, old, line).await;
        }
        let mut new = self.exchange.connect().await?;
        let response = new.sender.send_request(self.request()?).await.map_err(|error| self.broken(&error))?;
        self.read(response, new, line).await
    }

    fn broken(&self, error: &hyper::Error) -> HostError {
        let error = fault(error, &self.exchange.url.address());
        let is_http = !matches!(error, crate::peer::Error::NotHttp { .. });
        let kind = if is_http { HostFault::NotReachable } else { HostFault::NotTheProtocol };
        HostError::new(kind, error.to_string())
    }

    fn request(&self) -> Result<Request<Whole>, HostError> {
        let unfit = |reason: String| HostError::new(HostFault::NotReachable, reason);
        let url = &self.exchange.url;
        let mut request = Request::builder()
            .method(self.method)
            .uri(url.below(self.path))
            .header(HOST, url.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json, application/octet-stream");
        if let Some(login) = &self.exchange.login {
            let shown = login.show().map_err(|why| unfit(format!("{}: {why}", login.file().display())))?;
            request = request.header(AUTHORIZATION, shown.header);
        }
        if self.body.is_some() {
            let kind = if self.header.is_some() { "application/octet-stream" } else { "application/json" };
            request = request.header(CONTENT_TYPE, kind);
        }
        if let Some(length) = self.header {
            request = request.header(HEADER_LENGTH, length);
        }
        request.body(Whole(self.body.cloned().unwrap_or_default())).map_err(|error| unfit(error.to_string()))
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        own: Line,
        line: &mut Option<Line>,
    ) -> Result<Answer, HostError> {
        let code = response.status().as_u16();
        let number = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(|value| value.trim().parse::<usize>())
        };
        if (300..400).contains(&code) {
            let said = format!("{} sends elsewhere (HTTP {code}), which is not followed", self.exchange.url.address());
            return Err(HostError::new(HostFault::NotTheProtocol, said));
        }
        let too_long = |length: usize| {
            let said = format!("an answer of {length} bytes or more, where {} are the most", self.most);
            HostError::new(HostFault::BadAnswer, said)
        };
        if let Some(Ok(length)) = number(CONTENT_LENGTH.as_str())
            && length > self.most
        {
            return Err(too_long(length));
        }
        let header = match number(HEADER_LENGTH).transpose() {
            Ok(header) => header,
            Err(_) => return Err(HostError::new(HostFault::BadAnswer, format!("its {HEADER_LENGTH} is no number"))),
        };
        let (mut incoming, mut body) = (response.into_body(), Vec::new());
        while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            if let Ok(bytes) = frame.into_data() {
                if body.len() + bytes.len() > self.most {
                    return Err(too_long(body.len() + bytes.len()));
                }
                body.extend_from_slice(&bytes);
            }
        }
        *line = Some(own);
        Ok(Answer { code, header, body })
    }
}
