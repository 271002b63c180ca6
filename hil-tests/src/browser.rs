//! Runs a headless Chromium and controls it over the DevTools protocol: opens a page, presses keys, evaluates
//! JavaScript, takes a screenshot. Records every address that the page requested.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const START_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const NAMES: [&str; 2] = ["chromium", "chromium-browser"];

/// Switches off what a browser does on its own, and the resolution of names other than this machine's.
const ARGUMENTS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

/// The browser ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    _process: Child,
    _profile: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    asked: u64,
    addresses: Vec<String>,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts Chromium with one empty page; `None` where it is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub async fn start(width: u32, height: u32) -> Result<Option<Self>> {
        let profile = tempfile::Builder::new().prefix("scanside-browser-").tempdir()?;
        let Some(mut process) = NAMES.iter().find_map(|name| spawn(name, profile.path()).ok()) else {
            return Ok(None);
        };
        let address = timeout(START_WITHIN, listening(&mut process)).await.context("Chromium does not start")??;
        let (socket, _) = tokio_tungstenite::connect_async(&address).await.context("DevTools")?;
        let (asked, addresses, complaints) = (0, Vec::new(), Vec::new());
        let session = String::new();
        let mut browser = Self { _process: process, _profile: profile, socket, session, asked, addresses, complaints };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await?;
        }
        browser.resize(width, height).await?;
        Ok(Some(browser))
    }

    /// # Errors
    /// When Chromium has ended or refuses the command, as for all methods below.
    pub async fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// The language that pages opened from now on are told, such as `zh-CN`.
    pub async fn speak(&mut self, language: &str) -> Result<()> {
        let agent = self.evaluate("navigator.userAgent").await?;
        let told = json!({ "userAgent": agent, "acceptLanguage": language });
        self.call("Emulation.setUserAgentOverride", told).await.map(drop)
    }

    /// The time zone of pages opened from now on.
    pub async fn live_in(&mut self, zone: &str) -> Result<()> {
        self.call("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await.map(drop)
    }

    pub async fn open(&mut self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({ "url": url })).await?;
        match answer["errorText"].as_str() {
            Some(error) => bail!("{url}: {error}"),
            None => Ok(()),
        }
    }

    /// Returns the value of a JavaScript expression; waits for promises.
    pub async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", ask).await?;
        match answer.get("exceptionDetails") {
            Some(details) => bail!("{expression}: {details}"),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until the expression is true.
    ///
    /// # Errors
    /// When it does not become true in time; the error names `what`.
    pub async fn wait(&mut self, what: &str, within: Duration, expression: &str) -> Result<Duration> {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let begun = tokio::time::Instant::now();
        while self.evaluate(expression).await.unwrap_or_default() != true {
            if begun.elapsed() > within {
                bail!("waited {within:?} in vain for {what}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(begun.elapsed())
    }

    /// One key, as a person presses it: `Tab`, ` `, `m`, ...
    pub async fn press(&mut self, key: &str) -> Result<()> {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "PageUp" => 33,
            "PageDown" => 34,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            " " => 32,
            letter => i64::from(letter.to_ascii_uppercase().bytes().next().context("no key")?),
        };
        let text = match key {
            "Enter" => "\r",
            name if name.len() > 1 => "",
            letter => letter,
        };
        let event =
            |kind: &str, text: &str| json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", event("keyDown", text)).await?;
        self.call("Input.dispatchKeyEvent", event("keyUp", "")).await.map(drop)
    }

    pub async fn type_text(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({ "text": text })).await.map(drop)
    }

    /// The pointer goes down at the first point, pixels of the page, and up at the second.
    pub async fn drag(&mut self, from: [f64; 2], to: [f64; 2]) -> Result<()> {
        let middle = [0, 1].map(|axis| f64::midpoint(from[axis], to[axis]));
        for (kind, [x, y]) in
            [("mousePressed", from), ("mouseMoved", middle), ("mouseMoved", to), ("mouseReleased", to)]
        {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    /// Writes a screenshot as PNG.
    pub async fn screenshot(&mut self, file: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let png = decoded(answer["data"].as_str().context("no picture")?)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, png).with_context(|| file.display().to_string())
    }

    /// All addresses that the page has requested so far, WebSockets included.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Errors in the page's console: exceptions, and violations of the content security policy.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.asked += 1;
        let mut call = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(call.to_string())).await?;
        timeout(ANSWER_WITHIN, self.answer()).await.with_context(|| format!("{method}: no answer"))?
    }

    async fn answer(&mut self) -> Result<Value> {
        loop {
            let message = self.socket.next().await.context("Chromium is gone")??;
            let Message::Text(text) = message else { continue };
            let heard: Value = serde_json::from_str(&text)?;
            if heard["id"] == self.asked {
                return match heard.get("error") {
                    Some(error) => Err(anyhow!("{error}")),
                    None => Ok(heard["result"].clone()),
                };
            }
            self.note(&heard);
        }
    }

    fn note(&mut self, heard: &Value) {
        let event = &heard["params"];
        match heard["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.addresses.extend(event["request"]["url"].as_str().map(Into::into))
            }
            Some("Network.webSocketCreated") => self.addresses.extend(event["url"].as_str().map(Into::into)),
            Some("Runtime.exceptionThrown") => self.complaints.push(event["exceptionDetails"].to_string()),
            // When the box refuses a request, the console reports a network error; for us that is a normal answer.
            Some("Log.entryAdded") if event["entry"]["level"] == "error" && event["entry"]["source"] != "network" => {
                self.complaints.push(event["entry"].to_string());
            }
            _ => {}
        }
    }
}

fn spawn(name: &str, profile: &Path) -> std::io::Result<Child> {
    Command::new(name)
        .args(ARGUMENTS)
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("about:blank")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Returns the DevTools address, which Chromium prints at its start.
async fn listening(process: &mut Child) -> Result<String> {
    let mut lines = BufReader::new(process.stderr.take().context("no standard error")?).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            let address = address.to_owned();
            // Read on, or Chromium would block on a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(address);
        }
        said = said + &line + "\n";
    }
    bail!("Chromium ended: {said}")
}

/// Base64 (RFC 4648), as DevTools sends pictures.
fn decoded(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("no base64"),
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
        }
        assert!(decoded("Z!").is_err());
    }
}
