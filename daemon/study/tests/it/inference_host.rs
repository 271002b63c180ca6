//! `FakeHost`: a server of the inference protocol whose answers the test chooses. HTTP is read and written by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hal::Tensor;
use hal::accel::LoadedModel;
use node::inference::wire::{self, Named};
use sha2::{Digest, Sha256};

/// What it does with one request for an inference.
#[derive(Debug, Clone)]
pub enum Act {
    /// Runs the network and answers.
    Run,
    /// These outputs, whatever was asked.
    Say(Vec<Named>),
    /// These bytes, HTTP and all.
    Raw(Vec<u8>),
    /// HTTP with this code and these words as an error.
    Error(u16, &'static str),
    /// Nothing, until the host ends.
    Hang,
    /// The head of an answer, then a byte now and then without end.
    Drip,
    /// An answer in chunks without end.
    Flood,
    /// Closes the connection.
    HangUp,
}

type Script = Box<dyn FnMut(usize) -> Act + Send>;

struct Shared {
    model: Mutex<Option<Box<dyn LoadedModel>>>,
    script: Mutex<Script>,
    /// What it is called, and what it says of itself.
    name: String,
    metadata: Mutex<serde_json::Value>,
    takes_bytes: bool,
    /// The version that it says has answered.
    version: Mutex<String>,
    is_ready: AtomicBool,
    connections: AtomicUsize,
    infers: AtomicUsize,
    ended: (Mutex<bool>, Condvar),
}

pub struct FakeHost {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<std::thread::JoinHandle<()>>,
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        *self.shared.ended.0.lock().unwrap() = true;
        self.shared.ended.1.notify_all();
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Metadata of a model of one input and one output with these shapes.
pub fn metadata(name: &str, onnx: &[u8], ports: [(&str, &[i64]); 2]) -> serde_json::Value {
    let port = |(name, shape): (&str, &[i64])| serde_json::json!([{"name": name, "datatype": "FP32", "shape": shape}]);
    serde_json::json!({
        "name": name, "versions": ["1"], "platform": "onnxruntime_onnx",
        "inputs": port(ports[0]), "outputs": port(ports[1]),
        "parameters": {"sha256": hex::encode(Sha256::digest(onnx))},
    })
}

impl FakeHost {
    pub fn start(metadata: serde_json::Value, model: Option<Box<dyn LoadedModel>>, takes_bytes: bool) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), metadata, model, takes_bytes)
    }

    pub fn at(
        address: SocketAddr,
        metadata: serde_json::Value,
        model: Option<Box<dyn LoadedModel>>,
        takes_bytes: bool,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            script: Mutex::new(Box::new(|_| Act::Run)),
            name: metadata["name"].as_str().unwrap().to_owned(),
            metadata: Mutex::new(metadata),
            takes_bytes,
            version: Mutex::new("1".into()),
            is_ready: AtomicBool::new(true),
            connections: AtomicUsize::new(0),
            infers: AtomicUsize::new(0),
            ended: Default::default(),
        });
        let own = shared.clone();
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *own.ended.0.lock().unwrap() {
                    return;
                }
                let (Ok(stream), own) = (stream, own.clone()) else { continue };
                own.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || drop(serve(&own, stream)));
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    /// What it does with each request from now on, by its number from 0.
    pub fn acts(&self, script: impl FnMut(usize) -> Act + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
        self.shared.infers.store(0, Ordering::SeqCst);
    }

    pub fn says(&self, change: impl FnOnce(&mut serde_json::Value)) {
        change(&mut self.shared.metadata.lock().unwrap());
    }

    /// From now on it says that another version has answered.
    pub fn answers_as(&self, version: &str) {
        *self.shared.version.lock().unwrap() = version.to_owned();
    }

    pub fn set_ready(&self, ready: bool) {
        self.shared.is_ready.store(ready, Ordering::SeqCst);
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Requests for an inference since the script was set.
    pub fn infers(&self) -> usize {
        self.shared.infers.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut header) = (String::new(), 0_usize, None);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "inference-header-content-length" => header = Some(value.trim().parse().unwrap()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let model = format!("/v2/models/{}", shared.name);
        let ready = if shared.is_ready.load(Ordering::SeqCst) { 200 } else { 503 };
        match path {
            "/v2/health/live" => say(&mut writer, 200, b"{}")?,
            "/v2/health/ready" => say(&mut writer, ready, b"{}")?,
            "/v2" => {
                let extensions: &[&str] = if shared.takes_bytes { &["binary_tensor_data"] } else { &[] };
                let server = serde_json::json!({"name": "fake", "version": "1", "extensions": extensions});
                say(&mut writer, 200, server.to_string().as_bytes())?;
            }
            path if path == model => {
                let said = shared.metadata.lock().unwrap().to_string();
                say(&mut writer, 200, said.as_bytes())?;
            }
            path if path == format!("{model}/ready") => say(&mut writer, ready, b"{}")?,
            path if path == format!("{model}/infer") => {
                if header.is_some() && !shared.takes_bytes {
                    say(&mut writer, 400, br#"{"error":"not JSON"}"#)?;
                    continue;
                }
                let number = shared.infers.fetch_add(1, Ordering::SeqCst);
                let act = (shared.script.lock().unwrap())(number);
                if !infer(shared, &mut writer, header, &body, act)? {
                    return Ok(());
                }
            }
            _ => say(&mut writer, 404, br#"{"error":"no such model"}"#)?,
        }
    }
}

/// Says whether the connection goes on.
fn infer(
    shared: &Shared,
    writer: &mut TcpStream,
    header: Option<usize>,
    body: &[u8],
    act: Act,
) -> std::io::Result<bool> {
    let asked = wire::read_request(header, body).unwrap();
    let is_binary = asked.outputs.iter().any(|(_, bytes)| *bytes);
    let version = shared.version.lock().unwrap().clone();
    let answer =
        |outputs: &[Named]| wire::answer(&shared.name, &version, None, outputs, &vec![is_binary; outputs.len()]);
    let message = match act {
        Act::Run => {
            let inputs: Vec<Tensor> = asked.inputs.into_iter().map(|one| one.tensor).collect();
            let mut model = shared.model.lock().unwrap();
            let model = model.as_mut().unwrap();
            let names = model.outputs().to_vec();
            match model.run(&inputs) {
                Ok(made) => {
                    let outputs = names.into_iter().zip(made).map(|(name, tensor)| Named { name, tensor });
                    answer(&outputs.collect::<Vec<_>>())
                }
                Err(error) => {
                    let said = serde_json::json!({"error": error.to_string()}).to_string();
                    say(writer, 400, said.as_bytes())?;
                    return Ok(true);
                }
            }
        }
        Act::Say(outputs) => answer(&outputs),
        Act::Raw(bytes) => {
            writer.write_all(&bytes)?;
            return Ok(false);
        }
        Act::Error(code, words) => {
            say(writer, code, serde_json::json!({ "error": words }).to_string().as_bytes())?;
            return Ok(true);
        }
        Act::Hang => {
            wait(shared, Duration::from_secs(60));
            return Ok(false);
        }
        Act::Drip => {
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")?;
            while !wait(shared, Duration::from_millis(20)) {
                writer.write_all(b" ")?;
            }
            return Ok(false);
        }
        Act::Flood => {
            writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let chunk = [b"10000\r\n".as_slice(), &[b'1'; 0x10000], b"\r\n"].concat();
            // Ends when the client closes the connection.
            while writer.write_all(&chunk).is_ok() {}
            return Ok(false);
        }
        Act::HangUp => return Ok(false),
    };
    let extra = message.header.map(|length| format!("Inference-Header-Content-Length: {length}\r\n"));
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}\r\n", message.bytes.len(), extra.unwrap_or_default());
    writer.write_all(head.as_bytes())?;
    writer.write_all(&message.bytes)?;
    Ok(true)
}

/// Until the host ends, or so long; says whether it has ended.
fn wait(shared: &Shared, time: Duration) -> bool {
    let ended = shared.ended.0.lock().unwrap();
    *shared.ended.1.wait_timeout_while(ended, time, |ended| !*ended).unwrap().0
}

fn say(writer: &mut TcpStream, code: u16, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    writer.write_all(&[head.as_bytes(), body].concat())
}
