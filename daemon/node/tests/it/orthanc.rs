//! `Orthanc`: a server with DICOM and DICOMweb, configured by the test and looked into by its REST interface.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::fixtures::PATIENCE;

const PROGRAM: &str = "/usr/sbin/Orthanc";
const PLUGINS: &str = "/usr/share/orthanc/plugins";
/// User and password, as `Authorization: Basic` has them.
pub const USER: (&str, &str) = ("box", "secret");
const LOGIN: &str = "Ym94OnNlY3JldA==";

pub struct Orthanc {
    pub dicom: SocketAddr,
    pub http: SocketAddr,
    pub folder: TempDir,
    /// Killed when this is dropped.
    _child: Child,
}

impl Orthanc {
    pub const AE_TITLE: &str = "ORTHANC";

    /// With these settings beside those that it needs; `None`, and a skipped test, where it is not installed.
    pub async fn start(more: Value) -> Option<Self> {
        let plugin = |name: &str| Path::new(PLUGINS).join(name);
        let (web, worklists) = (plugin("libOrthancDicomWeb.so"), plugin("libModalityWorklists.so"));
        if !Path::new(PROGRAM).is_file() || !web.is_file() {
            needs::skip(needs::Lack::Software, "Orthanc and its plugin for DICOMweb are not installed");
            return None;
        }
        // It cannot choose free ports. These were free a moment ago; if another process took one, it ends: next.
        for _ in 0..20 {
            let (dicom, http) = {
                let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let (dicom, http) = (free(), free());
                (dicom.local_addr().unwrap(), http.local_addr().unwrap())
            };
            let folder = tempfile::tempdir().unwrap();
            let mut settings = json!({
                "Name": "test",
                "StorageDirectory": folder.path().join("storage"),
                "IndexDirectory": folder.path().join("index"),
                "HttpPort": http.port(),
                "AuthenticationEnabled": true,
                "RegisteredUsers": { (USER.0): USER.1 },
                "DicomAet": Self::AE_TITLE,
                "DicomPort": dicom.port(),
                "DicomAlwaysAllowStore": true,
                "DicomCheckCalledAet": true,
                "OverwriteInstances": true,
                "Plugins": [web, worklists],
                "DicomWeb": { "Enable": true, "Root": "/dicom-web/" },
            });
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let file = folder.path().join("orthanc.json");
            std::fs::write(&file, settings.to_string()).unwrap();
            let log = std::fs::File::create(folder.path().join("log")).unwrap();
            let mut child = Command::new(PROGRAM)
                .arg(&file)
                // Both sides, or each message waits for a delayed acknowledgement.
                .env("TCP_NODELAY", "1")
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let both = async {
                for address in [dicom, http] {
                    while TcpStream::connect(address).await.is_err() {
                        if child.try_wait().unwrap().is_some() {
                            return false;
                        }
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    }
                }
                true
            };
            if tokio::time::timeout(PATIENCE, both).await.expect("Orthanc starts") {
                return Some(Self { dicom, http, folder, _child: child });
            }
        }
        panic!("Orthanc found no free port");
    }

    pub fn url(&self) -> String {
        format!("http://{}/dicom-web", self.http)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Code and body of an answer of its REST interface.
    pub async fn request(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let asked = async {
            let mut stream = TcpStream::connect(self.http).await.unwrap();
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {LOGIN}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                self.http,
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("Orthanc answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]);
        assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), answer[end + 4..].to_vec())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (code, body) = self.request("GET", path, "").await;
        assert_eq!(code, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// `Err`: what it said.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let (code, answer) = self.request("POST", path, &body.to_string()).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        if code != 200 {
            return Err(format!("{code}: {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Its own names of the objects that it has.
    pub async fn instances(&self) -> Vec<String> {
        serde_json::from_value(self.get("/instances").await).unwrap()
    }

    /// SOP Instance UIDs of these, sorted.
    pub async fn uids(&self) -> Vec<String> {
        let mut uids = Vec::new();
        for id in self.instances().await {
            let tags = self.get(&format!("/instances/{id}")).await;
            uids.push(tags["MainDicomTags"]["SOPInstanceUID"].as_str().unwrap().to_owned());
        }
        uids.sort();
        uids
    }
}
