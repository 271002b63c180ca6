//! One page's WebSocket. It has at most [`WINDOW`] pictures on the way: the page says which have arrived, so what waits in
//! buffers between us is never more than that, and the next one is the newest. Who says nothing for a while is let go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use live::view::View;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::encode::{Encoded, Newest};
use super::message::{Seen, Text};

/// One is on the way while the page shows the other.
const WINDOW: usize = 2;
/// The page takes 3 s of silence for a lost connection.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
const STATS_EVERY: Duration = Duration::from_millis(500);
/// A message that does not get out, or a page that does not answer, for so long ends the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// All that a page sends is short.
pub const MOST_BYTES: usize = 1024;

/// What one page has been told.
struct Page {
    socket: WebSocket,
    /// Sequences on the way, oldest first.
    on_the_way: VecDeque<u64>,
    heard: Instant,
}

/// Why it ended, for the log.
type Ended = Result<&'static str, Error>;

/// Until the page goes, is lost, or shutdown.
pub async fn serve(socket: WebSocket, view: View, pictures: Newest, shutdown: CancellationToken) {
    let mut page = Page { socket, on_the_way: VecDeque::new(), heard: Instant::now() };
    match page.run(view, pictures, shutdown).await {
        Ok(why) => tracing::debug!(why, "a page left"),
        Err(error) => tracing::debug!(%error, "a page left"),
    }
}

impl Page {
    async fn run(&mut self, mut view: View, mut pictures: Newest, shutdown: CancellationToken) -> Ended {
        let mut alive = interval(ALIVE_EVERY);
        let mut stats = interval(STATS_EVERY);
        // A page that was slow is not told twice at once.
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        view.status.mark_changed();
        view.overlay.mark_changed();
        view.stats.mark_changed();
        view.recording.mark_changed();
        pictures.mark_changed();
        loop {
            let may_send = self.on_the_way.len() < WINDOW;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.close().await,
                Some(status) = next(&mut view.status) => self.tell(&Text::Status(&status)).await?,
                Some(recording) = next(&mut view.recording) => self.tell(&Text::Recording(&recording)).await?,
                message = self.socket.recv() => match message {
                    Some(message) => if !self.hear(&message?) { return Ok("it closed") },
                    None => return Ok("it is gone"),
                },
                Some(overlay) = next(&mut view.overlay) => self.tell(&Text::Overlay(&overlay)).await?,
                Some(picture) = next(&mut pictures), if may_send => if let Some(picture) = picture {
                    self.show(&picture).await?;
                },
                _ = stats.tick() => if view.stats.has_changed().unwrap_or(false) {
                    let stats = Arc::clone(&view.stats.borrow_and_update());
                    self.tell(&Text::Stats(&stats)).await?;
                },
                _ = alive.tick() => {
                    if self.heard.elapsed() > PATIENCE {
                        return Ok("it says nothing");
                    }
                    // Browsers answer a ping by themselves, also when the page is in the background.
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

    /// False when the page says goodbye, or something that no page of ours says.
    fn hear(&mut self, message: &Message) -> bool {
        self.heard = Instant::now();
        match message {
            Message::Text(text) => match serde_json::from_str(text) {
                Ok(Seen { seen }) => {
                    // Up to the last that has this number: a device that begins again repeats numbers.
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

    async fn close(&mut self) -> Ended {
        let reason = Utf8Bytes::from_static("the box is shutting down");
        self.send(Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }))).await?;
        Ok("shutdown")
    }
}

/// The next value; None for ever when there will be none, so that the other branches go on.
async fn next<T: Clone>(values: &mut watch::Receiver<T>) -> Option<T> {
    if values.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Some(values.borrow_and_update().clone())
}
