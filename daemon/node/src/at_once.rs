//! A socket that acknowledges at once.
//!
//! A sender with default sockets holds the end of a message back until what it sent before is acknowledged (Nagle),
//! and a receiver with default sockets holds acknowledgements back: together they stall on every instance, and the
//! sender's settings are not ours to change. TCP_QUICKACK does not last, so it is set again after every read.

use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

#[derive(Debug)]
pub(super) struct AtOnce(pub(super) OwnedReadHalf);

impl AsyncRead for AtOnce {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(context, buffer);
        if polled.is_ready() {
            let stream: &TcpStream = self.0.as_ref();
            // Only speed depends on it.
            let _ = set_tcp_quickack(stream, true);
        }
        polled
    }
}
