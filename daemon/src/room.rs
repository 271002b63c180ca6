//! Memory of answers over HTTP. It is taken before an answer is made, and free again when the client has taken that: clients that are slow, or
//! many, make others wait instead of the box grow.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an answer waits for others to be taken; shorter than a request may take.
const WITHIN: Duration = Duration::from_secs(20);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    /// In MiB.
    free: Arc<Semaphore>,
    mib: u32,
}

/// Nothing became free in time.
#[derive(Debug, thiserror::Error)]
#[error("answers that others have not taken yet need all the memory there is for them: ask again in a moment")]
pub struct Full;

/// Taken until it and all that is held in it are dropped.
#[derive(Debug, Clone)]
pub struct Place(#[expect(dead_code, reason = "it is only kept")] Arc<OwnedSemaphorePermit>);

/// Bytes of an answer, with their place.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Place {
    pub fn hold(&self, bytes: Vec<u8>) -> Held {
        Held { bytes, _place: self.clone() }
    }
}

impl Room {
    pub fn new(mib: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(mib as usize)), mib }
    }

    /// Waits for room for so many bytes. One that needs more than there is waits until it is alone.
    ///
    /// # Errors
    /// When others keep it for too long.
    pub async fn take(&self, bytes: u64) -> Result<Place, Full> {
        let wanted = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).saturating_add(1).min(self.mib);
        let place = tokio::time::timeout(WITHIN, self.free.clone().acquire_many_owned(wanted)).await;
        // Closed never.
        place.ok().and_then(Result::ok).map(|place| Place(Arc::new(place))).ok_or(Full)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A hundred clients that read nothing must not fill the memory.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_makes_others_wait_and_not_the_box_grow() {
        let room = Room::new(4);
        let first = room.take(3 << 20).await.unwrap().hold(vec![7; 3]);
        assert!(room.take(0).now_or_never().is_none(), "nothing is left, and it waits");
        assert!(matches!(room.take(1).await, Err(Full)), "and not for ever");
        assert_eq!(first.as_ref(), [7; 3]);
        drop(first);
        let large = room.take(1 << 40).await.unwrap();
        let parts = [large.hold(vec![1]), large.hold(vec![2])];
        drop(large);
        assert!(room.take(0).now_or_never().is_none(), "its parts are still to be taken");
        drop(parts);
        assert!(room.take(0).now_or_never().is_some_and(|place| place.is_ok()));
    }
}
