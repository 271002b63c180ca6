//! Large answers, piece by piece: their memory is free when the last piece was taken, and nothing is copied to put them together.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::room::Held;

/// A connection has no more than a few of these at a time, bytes.
const PIECE: usize = 256 << 10;

/// What is still to be given, in order.
#[derive(Debug, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub fn add(&mut self, bytes: impl Into<Bytes>) {
        self.0.push_back(bytes.into());
    }

    pub fn hold(&mut self, held: Held) {
        self.0.push_back(Bytes::from_owner(held));
    }

    fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// All of it, of which the length is known before.
    pub fn into_response(self, kind: &'static str) -> Response {
        let length = HeaderValue::from(self.length());
        let body = Body::from_stream(stream::iter(self.map(Ok::<_, Infallible>)));
        ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_LENGTH, length)], body)
            .into_response()
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut first = self.0.pop_front()?;
        if first.len() <= PIECE {
            return Some(first);
        }
        let piece = first.split_to(PIECE);
        self.0.push_front(first);
        Some(piece)
    }
}

/// One thing.
pub fn whole(kind: &'static str, held: Held) -> Response {
    let mut pieces = Pieces::default();
    pieces.hold(held);
    pieces.into_response(kind)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::room::Room;

    #[tokio::test]
    async fn the_memory_of_an_answer_is_free_when_its_last_piece_was_taken() {
        let room = Room::new(1);
        let bytes: Vec<u8> = (0..PIECE + 7).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut pieces = Pieces::default();
        pieces.add("head");
        pieces.hold(room.take(0).await.unwrap().hold(bytes.clone()));
        pieces.add("tail");
        let mut taken = Vec::new();
        for expected in [4, PIECE, 7] {
            assert!(room.take(0).now_or_never().is_none(), "{expected}");
            let piece = pieces.next().unwrap();
            assert_eq!(piece.len(), expected);
            taken.extend_from_slice(&piece);
        }
        assert!(room.take(0).now_or_never().is_some(), "only the tail is left");
        taken.extend_from_slice(&pieces.next().unwrap());
        assert_eq!(taken, [b"head", &bytes[..], b"tail"].concat());
        assert!(pieces.next().is_none());
    }
}
