//! Watches the live path as a page does, and compares what was found with what a phantom's video shows.

pub mod figures;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Bytes before the JPEG in a binary message: sequence number and time.
const HEADER: usize = 16;
/// A lesion of which at least this area is visible for at least this time must be found.
pub const SEEN_MM2: f64 = 10.0;
pub const SEEN_S: f64 = 0.5;

/// A client of the live page.
#[derive(Debug)]
pub struct Audience {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// All overlays that were received.
    pub overlays: Vec<Value>,
    /// The latest status.
    pub status: Value,
    pub stats: Value,
    pub pictures: u64,
}

impl Audience {
    /// # Errors
    /// When nothing listens on the port.
    pub async fn join(port: u16) -> Result<Self> {
        let url = format!("ws://127.0.0.1:{port}/live");
        let mut request = url.as_str().into_client_request()?;
        // The origin that a page of the box has.
        request.headers_mut().insert("Origin", format!("http://127.0.0.1:{port}").parse()?);
        let (socket, _) = tokio_tungstenite::connect_async(request).await.with_context(|| url.clone())?;
        let (status, stats) = (Value::Null, Value::Null);
        Ok(Self { socket, overlays: Vec::new(), status, stats, pictures: 0 })
    }

    /// # Errors
    /// When the box ends the connection.
    pub async fn listen(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Ok(message) = timeout_at(end, self.socket.next()).await {
            self.hear(message.context("the box ended the connection")??).await?;
        }
        Ok(())
    }

    /// # Errors
    /// When the sign is not shown in time; the error gives the sign that is shown.
    pub async fn wait_for_sign(&mut self, wanted: &str, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        while self.status["sign"]["state"] != wanted {
            match timeout_at(end, self.socket.next()).await {
                Ok(message) => self.hear(message.context("the box ended the connection")??).await?,
                Err(_) => bail!("the sign is {} and not {wanted}", self.status["sign"]),
            }
        }
        Ok(())
    }

    pub fn forget(&mut self) {
        self.overlays.clear();
    }

    async fn hear(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Binary(picture) if picture.len() > HEADER => {
                let mut sequence = [0; 8];
                sequence.copy_from_slice(&picture[..8]);
                self.pictures += 1;
                let seen = json!({ "seen": u64::from_le_bytes(sequence) });
                self.socket.send(Message::text(seen.to_string())).await?;
            }
            Message::Text(text) => {
                let mut heard: Value = serde_json::from_str(&text)?;
                let value = heard["value"].take();
                match heard["kind"].as_str() {
                    Some("overlay") => self.overlays.push(value),
                    Some("status") => self.status = value,
                    Some("stats") => self.stats = value,
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// One planted lesion.
#[derive(Debug, Serialize)]
pub struct Planted {
    pub id: u64,
    pub malignant: bool,
    /// It is visible enough, for long enough.
    pub expected: bool,
    pub found: bool,
    /// From its first picture to the first overlay on it, s of video.
    pub after_s: Option<f64>,
    /// Last score: 0 benign to 1 malignant.
    pub score: Option<f64>,
    /// Largest extent in any picture, planted and found, mm.
    pub size_mm: f64,
    pub found_mm: Option<f64>,
}

impl Planted {
    pub fn row(&self) -> Vec<String> {
        let number = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".into(), |v| format!("{v:.digits$}"));
        let found = match (self.found, self.expected) {
            (true, _) => "found",
            (false, true) => "MISSED",
            (false, false) => "hardly visible",
        };
        let kind = if self.malignant { "malignant" } else { "benign" };
        vec![
            self.id.to_string(),
            kind.into(),
            found.into(),
            number(self.after_s, 1),
            number(self.score, 2),
            format!("{:.1}", self.size_mm),
            number(self.found_mm, 1),
        ]
    }
}

#[derive(Debug, Serialize)]
pub struct Found {
    pub planted: Vec<Planted>,
    /// Lesions of the overlay that mostly were on no planted lesion.
    pub false_alarms: usize,
}

/// Compares picture by picture. The sequence number of an overlay gives the frame of the video, also after the video
/// has begun again.
///
/// # Errors
/// When the truth is not the truth of a video.
pub fn found(truth: &Value, overlays: &[Value]) -> Result<Found> {
    let frames = truth["frames"].as_array().filter(|f| !f.is_empty()).context("the truth has no frames")?;
    let fps = truth["fps"].as_f64().context("the truth has no frame rate")?;
    let mut planted: Vec<Planted> = Vec::new();
    for lesion in truth["lesions"].as_array().context("the truth has no lesions")? {
        let id = lesion["id"].as_u64().context("a lesion without id")?;
        let shown: Vec<&Value> = frames.iter().flat_map(visible).filter(|v| v["id"] == id).collect();
        let enough = shown.iter().filter(|v| v["area_mm2"].as_f64() >= Some(SEEN_MM2)).count();
        let extents = shown.iter().flat_map(|v| [&v["size_mm"][0], &v["size_mm"][1]]).filter_map(Value::as_f64);
        planted.push(Planted {
            id,
            malignant: lesion["malignant"] == true,
            expected: enough as f64 / fps >= SEEN_S,
            found: false,
            after_s: None,
            score: None,
            size_mm: extents.fold(0.0, f64::max),
            found_mm: None,
        });
    }
    let mut on: BTreeMap<u64, [usize; 2]> = BTreeMap::new();
    for overlay in overlays {
        let number = overlay["sequence"].as_u64().unwrap_or(0) as usize % frames.len();
        for lesion in overlay["lesions"].as_array().into_iter().flatten() {
            let hit = visible(&frames[number]).find(|v| holds(&v["screen_box"], &lesion["bounds"]));
            on.entry(lesion["id"].as_u64().unwrap_or(0)).or_default()[usize::from(hit.is_some())] += 1;
            let Some(one) = planted.iter_mut().find(|p| hit.is_some_and(|h| h["id"] == p.id)) else { continue };
            if !one.found {
                let first = frames.iter().position(|f| visible(f).any(|v| v["id"] == one.id)).unwrap_or(number);
                one.after_s = Some((number as f64 - first as f64) / fps);
            }
            one.found = true;
            one.score = lesion["malignant"].as_f64();
            let long = lesion["size_mm"][0].as_f64();
            one.found_mm = one.found_mm.into_iter().chain(long).reduce(f64::max);
        }
    }
    let false_alarms = on.values().filter(|[off, on]| off > on).count();
    Ok(Found { planted, false_alarms })
}

fn visible(frame: &Value) -> impl Iterator<Item = &Value> {
    frame["lesions"].as_array().into_iter().flatten()
}

/// Does the middle of the bounds (left, top, right, bottom) lie in the planted box?
fn holds(planted: &Value, bounds: &Value) -> bool {
    let middle = |a: usize| Some((bounds[a].as_f64()? + bounds[a + 2].as_f64()?) / 2.0);
    let within = |key: &str, extent: &str, at: Option<f64>| {
        let (low, size) = (planted[key].as_f64().unwrap_or(0.0), planted[extent].as_f64().unwrap_or(-1.0));
        at.is_some_and(|at| at >= low && at <= low + size)
    };
    within("x", "width", middle(0)) && within("y", "height", middle(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_is_compared_with_the_picture_it_was_made_from() {
        let shown = json!({ "id": 1, "screen_box": { "x": 10, "y": 10, "width": 20, "height": 10 },
            "size_mm": [8.0, 5.0], "area_mm2": 30.0 });
        let truth = json!({ "fps": 2.0, "lesions": [{ "id": 1, "malignant": true }],
            "frames": [{ "lesions": [] }, { "lesions": [shown] }] });
        let on = |sequence: u64, id: u64| {
            json!({ "sequence": sequence,
            "lesions": [{ "id": id, "bounds": [12.0, 12.0, 28.0, 18.0], "malignant": 0.9, "size_mm": [7.5, 5.0] }] })
        };
        let result = found(&truth, &[on(3, 4), on(0, 5)]).unwrap();
        assert!(result.planted[0].found && result.planted[0].expected);
        assert_eq!(result.planted[0].found_mm, Some(7.5));
        assert_eq!(result.false_alarms, 1);
    }
}
