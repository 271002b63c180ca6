//! With a certificate the page is encrypted for other machines. The browser on this machine needs no encryption and keeps its
//! address; another one that asks without TLS is told the address with it, and gets nothing else.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use node::tls::HANDSHAKE;
use tokio::net::TcpStream;

use super::access::{is_ours, name_of, wrong_host};

/// Whether the first byte that comes begins a TLS connection. The caller limits the time.
///
/// # Errors
/// When the connection ends before.
pub async fn speaks_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == HANDSHAKE),
    }
}

/// What other machines get without TLS.
pub fn elsewhere(hosts: Arc<[String]>) -> Router {
    Router::new().fallback(sent_on).with_state(hosts)
}

/// Sends whoever reads a page to the same address by TLS. Whoever sends something is refused: what was sent was readable on its way,
/// and must not seem to have arrived well. No other host is named than this one, or anybody could be sent anywhere.
async fn sent_on(State(hosts): State<Arc<[String]>>, asked: Uri, method: Method, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_ours(name_of(host), &hosts) {
        return wrong_host();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return (StatusCode::FORBIDDEN, "use https: this box answers other machines by TLS only").into_response();
    }
    let path = asked.path_and_query().map_or("/", |path| path.as_str());
    let place = [(header::LOCATION, format!("https://{host}{path}"))];
    (StatusCode::TEMPORARY_REDIRECT, place, "use https").into_response()
}
