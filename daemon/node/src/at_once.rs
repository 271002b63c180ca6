//! A socket that sends TCP acknowledgements immediately.
//!
//! With default settings, a sender delays the end of a message until its earlier data is acknowledged (Nagle), and a
//! receiver delays acknowledgements: together they stall on every instance, and we cannot change the sender's settings.
//! The kernel resets TCP_QUICKACK by itself, so it is set again after every read.

use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt::set_tcp_quickack;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
        acknowledge(self.0.as_ref(), polled)
    }
}

/// After a read: what was read is acknowledged at once.
fn acknowledge(stream: &TcpStream, polled: Poll<std::io::Result<()>>) -> Poll<std::io::Result<()>> {
    if polled.is_ready() {
        // A failure only costs speed.
        let _ = set_tcp_quickack(stream, true);
    }
    polled
}

/// As [`AtOnce`], for both directions: TLS needs them together.
#[derive(Debug)]
pub(super) struct Whole(pub(super) TcpStream);

impl AsyncRead for Whole {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(context, buffer);
        acknowledge(&self.0, polled)
    }
}

impl AsyncWrite for Whole {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
