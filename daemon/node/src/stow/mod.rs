//! Results to an archive by DICOMweb: STOW-RS (PS3.18 section 10.5), and whether it has them by QIDO-RS or WADO-RS.
//!
//! ```text
//! Service (url, login, TLS) -> Session: one request for each object, over one connection as long as the archive keeps it
//!   body: multipart/related      exchange: HTTP with time limits      web::reply: what the answer says of the object
//!   outcome::http: what that means      proof: whether the archive has an object
//! ```
//!
//! One object in a request, as in a C-STORE: the answer is that object's proof, and a connection that breaks leaves one object in
//! doubt and not a batch.

pub(crate) mod body;
pub(crate) mod exchange;
mod proof;

use std::time::Duration;

use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};

pub use self::proof::{Object, Presence};

use self::body::Body;
use self::exchange::{Answer, Connection, Limits};
use crate::outcome::http::{self, Judged};
use crate::outcome::{self, Outcome};
use crate::peer::Error;
pub use crate::peer::Service;
use crate::send::File;
pub use crate::web::login::Login;
use crate::web::login::Shown;
use crate::web::reply::{self, Reply};
pub use crate::web::url::Url;

const JSON: &str = "application/dicom+json";
const AGENT: &str = concat!("Scanside/", env!("CARGO_PKG_VERSION"));

/// What an archive said to an object that it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// A DIMSE status: 0, 0x0111 or a warning.
    pub status: u16,
    /// What there is to tell beyond "delivered".
    pub remark: Option<String>,
}

impl Taken {
    pub fn of(status: u16) -> Self {
        Self { status, remark: (status != 0).then(|| outcome::words(status).to_owned()) }
    }

    /// The archive has a remark that people are told.
    pub fn is_warned(&self) -> bool {
        // A success with a remark is one that its answer does not name.
        self.remark.is_some() && (self.status == 0 || outcome::of(self.status) != Outcome::Stored)
    }
}

/// Requests to one archive. Dropping it closes the connection.
#[derive(Debug)]
pub struct Session {
    service: Service,
    shown: Option<Shown>,
    pub(crate) connection: Option<Connection>,
    /// The last request went over a connection that had answered before.
    was_used: bool,
    limits: Limits,
}

impl Session {
    /// Reads the login and connects.
    ///
    /// # Errors
    /// Of kind `Connection` or `Everything`.
    pub async fn open(service: &Service) -> Result<Self, Error> {
        let mut session = Self::new(service)?;
        session.connection = Some(Connection::open(service).await?);
        Ok(session)
    }

    pub(crate) fn new(service: &Service) -> Result<Self, Error> {
        let shown = match &service.login {
            Some(login) => {
                let shown = login.show().map_err(|reason| Error::Login { file: login.file().to_owned(), reason })?;
                Some(shown)
            }
            None => None,
        };
        Ok(Self { service: service.clone(), shown, connection: None, was_used: false, limits: Limits::default() })
    }

    /// Waits so long at most while nothing moves, and for an answer.
    #[doc(hidden)]
    pub fn set_limits(&mut self, stall: Duration, answer: Duration) {
        self.limits = Limits { stall, answer };
    }

    /// Sends one file. `object` says where it is looked for, should the answer not name it.
    ///
    /// # Errors
    /// Of kind `Connection`: it is not known whether the archive has it. Of the other kinds: it has not taken it.
    pub async fn store(&mut self, file: &File, object: &Object<'_>) -> Result<Taken, Error> {
        let answer = match self.send(file).await {
            // Between two requests an archive may close a connection that it keeps open: that says nothing of the object.
            Err(Error::Broken { .. }) if self.was_used => self.send(file).await?,
            answer => answer?,
        };
        let reply = Reply::read(&answer.body);
        match http::judge(answer.code, reply.as_ref(), object.sop_uid) {
            Judged::Taken(status) => Ok(Taken::of(status)),
            Judged::Refused(status) => Err(Error::Refused { status, comment: String::new() }),
            Judged::Contradictory => {
                let remark = "there, although the archive names the object as failed: a query has found it";
                let refused = Error::Refused { status: http::PROCESSING_FAILURE, comment: String::new() };
                self.found(object, remark, refused).await
            }
            Judged::Unnamed if (200..300).contains(&answer.code) => {
                let remark = "stored, although the archive's answer does not name the object: a query has found it";
                let refused = self.refused(&answer);
                self.found(object, remark, refused).await
            }
            Judged::Unnamed => Err(self.refused(&answer)),
        }
    }

    /// After an answer that does not say whether the archive has the object: with `remark` when it is found there, else `refused`.
    async fn found(&mut self, object: &Object<'_>, remark: &str, refused: Error) -> Result<Taken, Error> {
        match self.has(object, false).await {
            Ok(Presence::There) => Ok(Taken { status: 0, remark: Some(remark.to_owned()) }),
            Ok(Presence::Absent | Presence::Unknown) => Err(refused),
            // Who may not ask may store.
            Err(Error::Http { code, .. }) if proof::is_refusal(code) => Err(refused),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn refused(&self, answer: &Answer) -> Error {
        let secrets = self.shown.as_ref().map_or(&[][..], |shown| &shown.secrets);
        // An answer to a login may repeat it, in any form.
        let is_about_login = matches!(answer.code, 401 | 403 | 407);
        let said =
            if is_about_login { String::new() } else { reply::said(&answer.content_type, &answer.body, secrets) };
        Error::Http { code: answer.code, said }
    }

    async fn send(&mut self, file: &File) -> Result<Answer, Error> {
        let unreadable = |error: std::io::Error| Error::File { path: file.path.clone(), reason: error.to_string() };
        let opened = tokio::fs::File::open(&file.path).await.map_err(unreadable)?;
        let length = opened.metadata().await.map_err(unreadable)?.len();
        let boundary = boundary();
        let body = Body::of_part(&boundary, opened, length);
        self.post(&boundary, body).await.map_err(|error| match error {
            Error::File { reason, .. } => Error::File { path: file.path.clone(), reason },
            error => error,
        })
    }

    pub(crate) async fn post(&mut self, boundary: &str, body: Body) -> Result<Answer, Error> {
        let related = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        self.request(Method::POST, "/studies", Some(&related), body).await
    }

    pub(crate) async fn get(&mut self, below: &str) -> Result<Answer, Error> {
        self.request(Method::GET, below, None, Body::empty()).await
    }

    async fn request(
        &mut self,
        method: Method,
        below: &str,
        content_type: Option<&str>,
        body: Body,
    ) -> Result<Answer, Error> {
        let (service, limits) = (&self.service, self.limits);
        let unfit =
            |error: hyper::http::Error| Error::Broken { address: service.url.address(), reason: error.to_string() };
        let mut request = Request::builder()
            .method(method)
            .uri(service.url.below(below))
            .header(HOST, service.url.authority())
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .header(ACCEPT, HeaderValue::from_static(JSON));
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(shown) = &self.shown {
            request = request.header(AUTHORIZATION, shown.header.clone());
        }
        let request = request.body(body).map_err(unfit)?;
        let open = match self.connection.take() {
            Some(mut connection) => connection.is_open().await.then_some(connection),
            None => None,
        };
        let open = match open {
            Some(open) => open,
            None => Connection::open(service).await?,
        };
        self.was_used = open.is_used;
        let answer = self.connection.insert(open).exchange(request, limits).await;
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }
}

/// In no file: its second part is as good as random.
pub(crate) fn boundary() -> String {
    format!("scanside-{}", dicom::uid::of_moment("multipart"))
}
