//! The WebSocket of one page. At most [`WINDOW`] pictures are on the way, because the page acknowledges each one. So
//! buffers on the network never hold more, and the next picture sent is always the newest. A page that stays silent is
//! disconnected.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use custody::level::Level;
use live::view::View;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::door::Pass;
use super::encode::{Encoded, Newest};
use super::message::{Seen, Text};
use crate::health::heat;

/// One picture is on the way while the page shows the other.
const WINDOW: usize = 2;
/// The page treats 3 s without a message as a lost connection.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
const STATS_EVERY: Duration = Duration::from_millis(500);
/// The connection ends when a message cannot be sent, or the page does not answer, for this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest message from a page; all of them are short.
pub const MOST_BYTES: usize = 1024;

/// The connection to one page.
struct Page {
    socket: WebSocket,
    /// Sequence numbers of pictures that are not acknowledged yet, oldest first.
    on_the_way: VecDeque<u64>,
    heard: Instant,
}

type Levels = watch::Receiver<(Level, String)>;

/// Why the connection ended, for the log.
type Ended = Result<&'static str, Error>;

/// What ends it from this side.
#[derive(Debug)]
pub struct Until {
    /// By which the page was opened; `None`: on this machine, or by the token itself.
    pub login: Option<Pass>,
    pub shutdown: CancellationToken,
}

impl Until {
    /// Waits for it. Returns code and reason for the page.
    async fn over(&self) -> (u16, &'static str) {
        let login = async {
            match &self.login {
                Some(login) => login.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = login => (close_code::POLICY, "the login is over"),
            () = self.shutdown.cancelled() => (close_code::AWAY, "the box is shutting down"),
        }
    }
}

/// Serves one page until it closes, the connection is lost, its login ends, or shutdown.
pub async fn serve(socket: WebSocket, view: View, pictures: Newest, machine: (Levels, heat::Told), until: Until) {
    let mut page = Page { socket, on_the_way: VecDeque::new(), heard: Instant::now() };
    match page.run(view, pictures, machine, until).await {
        Ok(why) => tracing::debug!(why, "a page left"),
        Err(error) => tracing::debug!(%error, "a page left"),
    }
}

impl Page {
    async fn run(
        &mut self,
        mut view: View,
        mut pictures: Newest,
        (mut level, mut heat): (Levels, heat::Told),
        until: Until,
    ) -> Ended {
        let mut over = std::pin::pin!(until.over());
        let mut alive = interval(ALIVE_EVERY);
        let mut stats = interval(STATS_EVERY);
        // After a delay, do not send several messages at once.
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        view.status.mark_changed();
        view.overlay.mark_changed();
        view.stats.mark_changed();
        view.recording.mark_changed();
        view.guide.mark_changed();
        pictures.mark_changed();
        level.mark_changed();
        heat.mark_changed();
        loop {
            let may_send = self.on_the_way.len() < WINDOW;
            tokio::select! {
                biased;
                (code, reason) = over.as_mut() => return self.close(code, reason).await,
                Some(status) = next(&mut view.status) => self.tell(&Text::Status(&status)).await?,
                Some((level, reason)) = next(&mut level) => self.tell(&Text::Level { level, reason: &reason }).await?,
                Some(heat) = next(&mut heat) => {
                    let (condition, words) = (heat.condition, heat.words());
                    self.tell(&Text::Heat { condition, words: &words }).await?;
                }
                Some(guide) = next(&mut view.guide) => self.tell(&Text::Guide(&guide)).await?,
                Some(recording) = next(&mut view.recording) => self.tell(&Text::Recording(&recording)).await?,
                message = self.socket.recv() => match message {
                    Some(message) => if !self.hear(&message?) { return Ok("the page closed the connection") },
                    None => return Ok("the connection was lost"),
                },
                Some(overlay) = next(&mut view.overlay) => self.tell(&Text::Overlay(&overlay)).await?,
                Some(picture) = next(&mut pictures), if may_send => {
                    // Not one that was encoded while its exam ended.
                    let goes_on = |exam| view.pictures.borrow().as_ref().is_some_and(|now| now.exam == exam);
                    if let Some(picture) = picture.filter(|picture| goes_on(picture.exam)) {
                        self.show(&picture).await?;
                    }
                },
                _ = stats.tick() => if view.stats.has_changed().unwrap_or(false) {
                    let stats = Arc::clone(&view.stats.borrow_and_update());
                    self.tell(&Text::Stats(&stats)).await?;
                },
                _ = alive.tick() => {
                    if self.heard.elapsed() > PATIENCE {
                        return Ok("the page did not answer");
                    }
                    // Browsers answer a ping automatically, even if the page is in the background.
                    self.send(Message::Ping(Default::default())).await?;
                    self.tell(&Text::Alive).await?;
                }
            }
        }
    }

    async fn tell(&mut self, text: &Text<'_>) -> Result<(), Error> {
        self.send(Message::Text(text.json().into())).await
    }

    async fn show(&mut self, picture: &Encoded) -> Result<(), Error> {
        self.on_the_way.push_back(picture.sequence);
        self.send(Message::Binary(picture.message.clone())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        timeout(PATIENCE, self.socket.send(message)).await.map_err(Error::new)?
    }

    /// Handles a message from the page. Returns false when the page closes, or sends something that is not valid.
    fn hear(&mut self, message: &Message) -> bool {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => match serde_json::from_str(text) {
                Ok(Seen { seen }) => {
                    // The last one with this number counts, because a restarted device repeats numbers.
                    if let Some(place) = self.on_the_way.iter().rposition(|sequence| *sequence == seen) {
                        self.on_the_way.drain(..=place);
                    }
                    true
                }
                Err(_) => false,
            },
            Message::Ping(_) | Message::Pong(_) => true,
            Message::Binary(_) | Message::Close(_) => false,
        }
    }

    async fn close(&mut self, code: u16, why: &'static str) -> Ended {
        let reason = Utf8Bytes::from_static(why);
        self.send(Message::Close(Some(CloseFrame { code, reason }))).await?;
        Ok(why)
    }
}

/// Waits for the next value. Waits for ever when there will be none, so that the other branches of `select!` continue.
async fn next<T: Clone>(values: &mut watch::Receiver<T>) -> Option<T> {
    if values.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Some(values.borrow_and_update().clone())
}
