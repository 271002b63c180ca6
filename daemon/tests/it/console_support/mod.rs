//! Fixtures: a scripted live path, the server of the page on its own port, requests of a browser.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::settings;
use custody::level::Gate;
use futures_util::{SinkExt, StreamExt};
use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat};
use live::view::{self, Picture, Stage, View};
use live::worklist::Worklist;
use scansided::console::{HEADER, Server, Studies};
use scansided::health::heat;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The page on a free port of this machine, and the stage of its live path.
pub struct Site {
    pub stage: Stage,
    pub address: SocketAddr,
    pub gate: Gate,
    pub heat: watch::Sender<heat::Report>,
    trigger: CancellationToken,
    task: JoinHandle<()>,
}

impl Site {
    pub async fn start() -> Self {
        Self::with(settings::Console { address: "127.0.0.1:0".into(), ..settings::Console::default() }).await
    }

    pub async fn with(settings: settings::Console) -> Self {
        Self::expecting(settings, Worklist::default()).await
    }

    pub async fn expecting(settings: settings::Console, worklist: Worklist) -> Self {
        let (stage, view) = view::channel();
        Self::serving(settings, stage, Some(View { worklist, ..view }), None).await
    }

    /// A box without live video.
    pub async fn of_studies(settings: settings::Console, studies: Studies) -> Self {
        Self::serving(settings, view::channel().0, None, Some(studies)).await
    }

    async fn serving(settings: settings::Console, stage: Stage, view: Option<View>, studies: Option<Studies>) -> Self {
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        let server = Server::bind(&settings).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        let (gate, (heat, told)) = (Gate::default(), heat::channel());
        let server = server.with_gate(gate.clone()).with_heat(told).with_studies(studies);
        let task = tokio::spawn(server.serve(view, shutdown));
        Self { stage, address, gate, heat, trigger, task }
    }

    pub fn show(&self, sequence: u64) {
        self.stage.pictures.send_replace(Some(Arc::new(picture(sequence))));
    }

    pub async fn stop(self) {
        self.trigger.cancel();
        within("the server's end", self.task).await.unwrap();
    }

    /// Sends a request: method and path, more header lines, body.
    pub async fn ask(&self, what: &str, headers: &[&str], body: &str) -> Answer {
        let host = format!("Host: {}", self.address);
        let given = headers.iter().any(|line| line.starts_with("Host:"));
        let host = if given { String::new() } else { format!("{host}\r\n") };
        let lines = headers.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let length = body.len();
        let request =
            format!("{what} HTTP/1.1\r\n{host}{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within("an answer", stream.read_to_end(&mut answer)).await.unwrap();
        Answer::of(&String::from_utf8_lossy(&answer))
    }

    /// Sends a POST as the page does.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        let origin = format!("Origin: http://{}", self.address);
        self.ask(&format!("POST {path}"), &[&origin, "Content-Type: application/json"], body).await
    }

    /// Opens the WebSocket as the page does.
    pub async fn open(&self) -> Page {
        let origin = format!("http://{}", self.address);
        Page(self.knock(&[("Origin", &origin)]).await.unwrap())
    }

    /// As a browser with the cookie of a login.
    pub async fn open_as(&self, cookie: &str) -> Page {
        let origin = format!("http://{}", self.address);
        Page(self.knock(&[("Origin", &origin), ("Cookie", cookie)]).await.unwrap())
    }

    pub async fn knock(&self, headers: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{}/live", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The WebSocket of one open page.
pub struct Page(WebSocketStream<TcpStream>);

impl Page {
    async fn next(&mut self) -> Message {
        within("a message", self.0.next()).await.unwrap().unwrap()
    }

    /// Waits for the next text of this kind; acknowledges pictures before it.
    pub async fn text(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Message::Text(text) => {
                    let json: Value = serde_json::from_str(&text).unwrap();
                    if json["kind"] == kind {
                        return json["value"].clone();
                    }
                }
                Message::Binary(bytes) => self.seen(sequence_of(&bytes)).await,
                _ => {}
            }
        }
    }

    /// Waits for the next picture; returns sequence number and JPEG without acknowledging it.
    pub async fn picture(&mut self) -> (u64, Vec<u8>) {
        loop {
            if let Message::Binary(bytes) = self.next().await {
                return (sequence_of(&bytes), bytes[HEADER..].to_vec());
            }
        }
    }

    /// Whether a picture arrives within this time.
    pub async fn gets_a_picture_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.picture()).await.is_ok()
    }

    pub async fn seen(&mut self, sequence: u64) {
        self.say(&format!("{{\"seen\":{sequence}}}")).await;
    }

    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Waits until the server closes the connection. Returns its reason.
    pub async fn closed(&mut self) -> String {
        loop {
            match within("the end", self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map_or_else(String::new, |f| f.reason.to_string()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return String::new(),
            }
        }
    }
}

fn sequence_of(message: &[u8]) -> u64 {
    u64::from_le_bytes(message[..8].try_into().unwrap())
}

pub fn picture(sequence: u64) -> Picture {
    let shape = Shape::tight(PixelFormat::Grey, 640, 480, Colour::default());
    // Noise cannot be compressed, so buffers fill.
    let mut noise = u32::try_from(sequence).unwrap() + 1;
    let bytes = (0..640 * 480).map(|_| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    });
    let captured = Duration::from_millis(sequence * 33);
    let frame = Frame::new(shape, sequence, captured, Arc::new(bytes.collect::<Vec<u8>>()));
    Picture { sequence, captured, exam: 0, frame }
}
