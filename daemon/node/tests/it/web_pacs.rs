//! `WebPacs`: an archive with DICOMweb whose answers the test chooses. HTTP is read and written by hand, not by the library under
//! test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Code, type and body.
    Say(u16, &'static str, String),
    /// As `Say`, and closes the connection, as servers of HTTP/1.0 do.
    SayAndClose(u16, &'static str, String),
    /// As `Say`, and closes the connection without having said so.
    SayAndVanish(u16, &'static str, String),
    /// Closes the connection instead of answering.
    HangUp,
    /// Closes it in the middle of the answer.
    CutAnswer,
    /// Says nothing.
    Silence,
    /// Answers, and not by HTTP.
    Garble,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The one part of a STOW-RS request; `None` when it has none.
    pub fn part(&self) -> Option<&[u8]> {
        let boundary = self.header("content-type").rsplit_once("boundary=")?.1;
        let (begin, end) =
            (format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"), format!("\r\n--{boundary}--\r\n"));
        self.body.strip_prefix(begin.as_bytes())?.strip_suffix(end.as_bytes())
    }

    /// SOP Instance UID of that part.
    pub fn uid(&self) -> Option<String> {
        let mut part = self.part()?;
        dicom::file_meta::read(&mut part).ok().map(|meta| meta.sop_instance_uid)
    }

    /// The UID that a question is about, by query or metadata.
    pub fn asked(&self) -> Option<String> {
        if let Some((_, uid)) = self.path.split_once("SOPInstanceUID=") {
            return Some(uid.to_owned());
        }
        Some(self.path.strip_suffix("/metadata")?.rsplit('/').next()?.to_owned())
    }
}

pub const JSON: &str = "application/dicom+json";

/// The answer of an archive that took the object, with a warning if there is one.
pub fn referenced(uid: &str, warning: Option<u16>) -> String {
    let warning = warning.map_or_else(String::new, |code| format!(r#","00081196":{{"vr":"US","Value":[{code}]}}"#));
    format!(r#"{{"00081199":{{"vr":"SQ","Value":[{{"00081155":{{"vr":"UI","Value":["{uid}"]}}{warning}}}]}}}}"#)
}

pub fn failed(uid: &str, reason: u16) -> String {
    format!(
        r#"{{"00081198":{{"vr":"SQ","Value":[{{"00081155":{{"vr":"UI","Value":["{uid}"]}},"00081197":{{"vr":"US","Value":[{reason}]}}}}]}}}}"#
    )
}

pub fn found(uid: &str) -> String {
    format!(r#"[{{"00080018":{{"vr":"UI","Value":["{uid}"]}}}}]"#)
}

/// What a sound archive does: takes what is sent, and knows what it has.
pub fn sound(has: &Mutex<Vec<String>>, request: &Request) -> Act {
    let mut has = has.lock().unwrap();
    match (request.uid(), request.asked()) {
        (Some(uid), _) => {
            let answer = referenced(&uid, None);
            has.push(uid);
            Act::Say(200, JSON, answer)
        }
        (None, Some(asked)) if has.contains(&asked) => Act::Say(200, JSON, found(&asked)),
        (None, Some(_)) => Act::Say(204, JSON, String::new()),
        (None, None) => Act::Say(if request.method == "POST" { 400 } else { 204 }, "text/plain", String::new()),
    }
}

type Rule = dyn Fn(&Request) -> Act + Send + Sync;

pub struct WebPacs {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: watch::Receiver<usize>,
    changed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for WebPacs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl WebPacs {
    pub async fn start(rule: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with("127.0.0.1:0".parse().unwrap(), None, None, rule).await
    }

    /// `early`: this code is answered before anything of a body is read. With `tls`, by TLS.
    pub async fn start_with(
        address: SocketAddr,
        tls: Option<Tls>,
        early: Option<u16>,
        rule: impl Fn(&Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let ((counted, changed), (opened, connections)) = (watch::channel(0), watch::channel(0));
        let (rule, theirs, counted): (Arc<Rule>, _, _) = (Arc::new(rule), seen.clone(), Arc::new(counted));
        let task = tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                opened.send_modify(|count| *count += 1);
                let (tls, rule, seen, counted) = (tls.clone(), rule.clone(), theirs.clone(), counted.clone());
                serving.spawn(async move {
                    match tls {
                        None => serve(stream, early, &*rule, &seen, &counted).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, early, &*rule, &seen, &counted).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, seen, connections, changed, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/dicom-web", self.address)
    }

    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Of all objects that came, taken or not, in order.
    pub fn uids(&self) -> Vec<String> {
        self.seen().iter().filter_map(Request::uid).collect()
    }

    /// Waits until `count` requests have arrived.
    #[allow(dead_code, reason = "for the tests of the outbox")]
    pub async fn until_seen(&mut self, count: usize) {
        let enough = self.changed.wait_for(|seen| *seen >= count);
        tokio::time::timeout(super::fixtures::PATIENCE, enough).await.expect("requests come").unwrap();
    }
}

pub type Tls = tokio_rustls::TlsAcceptor;

/// Serves until the connection ends.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    early: Option<u16>,
    rule: &Rule,
    seen: &Mutex<Vec<Request>>,
    counted: &watch::Sender<usize>,
) -> Option<()> {
    loop {
        let (mut request, length) = head(&mut stream).await?;
        if let Some(code) = early {
            let answer = format!("HTTP/1.1 {code} Early\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            // As a careful server does: what is unread would reset the connection and take the answer with it.
            let mut rest = vec![0; 1 << 16];
            while stream.read(&mut rest).await.ok()? > 0 {}
            return None;
        }
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).await.ok()?;
        let act = rule(&request);
        seen.lock().unwrap().push(request);
        counted.send_modify(|count| *count += 1);
        let (code, kind, body, close, say_so) = match act {
            Act::Say(code, kind, body) => (code, kind, body, false, false),
            Act::SayAndClose(code, kind, body) => (code, kind, body, true, true),
            Act::SayAndVanish(code, kind, body) => (code, kind, body, true, false),
            Act::HangUp => return None,
            Act::Silence => std::future::pending().await,
            Act::Garble => {
                stream.write_all(b"\x02\0\0\0\0\x04\0\0\0\0\r\n\r\n").await.ok()?;
                return None;
            }
            Act::CutAnswer => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"0008").await.ok()?;
                stream.flush().await.ok()?;
                return None;
            }
        };
        let length = if code == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let end = if say_so { "Connection: close\r\n" } else { "" };
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let answer = format!("HTTP/1.1 {code} Said\r\n{kind}{length}{end}\r\n{body}");
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if close {
            let _ = stream.shutdown().await;
            return None;
        }
    }
}

/// The head of a request, and the length of its body; `None` at the end of the connection.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Request, usize)> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").parse().unwrap_or(0);
    Some((request, length))
}

/// A server that is there and takes nothing: the buffers of the system fill.
pub async fn deaf() -> (SocketAddr, JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { listener.accept().await.unwrap().0 });
    (address, task)
}

/// A server that answers each request before it has read its body, reads no more of it, and closes nothing.
#[allow(dead_code, reason = "for the tests of requests")]
pub async fn early_and_open(code: u16) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if head(&mut stream).await.is_some() {
                let answer = format!("HTTP/1.1 {code} Early\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                open.push(stream);
            }
        }
    });
    (address, task)
}
