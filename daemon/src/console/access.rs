//! Decides which requests are allowed. Each of three checks prevents another attack:
//!
//! - `Host` must be an IP address, `localhost` or a configured name. This prevents DNS rebinding, where an attacker's
//!   domain name resolves to this machine.
//! - `Origin` must be our own page for requests that change something and for the WebSocket. Browsers let any page open
//!   a WebSocket to any host, so this is checked on loopback too. Over TLS it must be one that came by TLS.
//! - The cookie of a login, or the token itself, is required, unless the browser runs on this machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::door::Door;
use super::places::Place;

/// Who may come in: the logins, and the names of this box.
#[derive(Debug, Clone)]
pub struct Entrance {
    pub door: Arc<Door>,
    pub hosts: Arc<[String]>,
}

/// The connection on which a request came.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub place: Arc<Place>,
    /// By TLS.
    pub is_secure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Welcome,
    WrongHost,
    WrongOrigin,
    LoginFirst,
}

/// Pages: whoever asks for one without a login is sent to the login.
const PAGES: [&str; 3] = ["/", "/studies", "/recalls"];
/// Paths that need no login.
const BEFORE_LOGIN: [&str; 2] = ["/login", "/assets/"];

/// Rejects requests that are not allowed, before they reach the routes.
pub async fn guard(
    State(entrance): State<Entrance>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let open = BEFORE_LOGIN.iter().any(|open| path.starts_with(open));
    let needs_origin = request.method() == Method::POST || path == "/live";
    let from = peer.address.ip();
    peer.place.asked();
    // Asked before `open`, so that the files of the page, too, tell who is logged in.
    let headers = request.headers();
    let pass = entrance.door.knows(headers, from);
    let logged_in = pass.is_some() || entrance.door.is_shown_token(headers, from);
    if logged_in {
        peer.place.proved();
    }
    let wanted = Wanted { origin: needs_origin, secure: peer.is_secure };
    let verdict = judge(request.headers(), from, wanted, &entrance.hosts, open || logged_in);
    let page = PAGES.contains(&path);
    if let Some(pass) = pass {
        request.extensions_mut().insert(pass);
    }
    match verdict {
        Verdict::Welcome => next.run(request).await,
        Verdict::LoginFirst if page => Redirect::to("/login").into_response(),
        Verdict::LoginFirst => (StatusCode::UNAUTHORIZED, "log in first").into_response(),
        Verdict::WrongHost => wrong_host(),
        Verdict::WrongOrigin => {
            (StatusCode::FORBIDDEN, "requests from pages of other sites are refused").into_response()
        }
    }
}

/// What is wanted of the page that asks.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// That it says it is ours.
    origin: bool,
    /// That it came by TLS, as this request does.
    secure: bool,
}

/// The answer to who calls this box by a name that is not its own.
pub fn wrong_host() -> Response {
    let words = "open this page by an IP address, as localhost, or by a name listed in console.hosts";
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

fn judge(headers: &HeaderMap, peer: IpAddr, wanted: Wanted, hosts: &[String], known: bool) -> Verdict {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return Verdict::WrongHost };
    let name = name_of(host);
    if !is_ours(name, hosts) {
        return Verdict::WrongHost;
    }
    if wanted.origin && !text(header::ORIGIN).is_some_and(|origin| is_same(origin, host, wanted.secure)) {
        return Verdict::WrongOrigin;
    }
    let here = peer.to_canonical().is_loopback() && is_loopback(name);
    if here || known { Verdict::Welcome } else { Verdict::LoginFirst }
}

/// The host without port and brackets: `[::1]:8484` -> `::1`, `box:8484` -> `box`.
pub fn name_of(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

pub fn is_ours(name: &str, hosts: &[String]) -> bool {
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Without TLS https is accepted too, because there may be a TLS proxy.
fn is_same(origin: &str, host: &str, secure: bool) -> bool {
    let plain = origin.strip_prefix("http://").filter(|_| !secure);
    let of = plain.or_else(|| origin.strip_prefix("https://"));
    of.is_some_and(|of| of.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const TABLET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn asked(host: &str, origin: Option<&str>, peer: IpAddr, known: bool) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let wanted = Wanted { origin: origin.is_some(), secure: false };
        judge(&headers, peer, wanted, &["box.example".to_owned()], known)
    }

    #[test]
    fn who_gets_in() {
        use Verdict::{LoginFirst, Welcome, WrongHost, WrongOrigin};
        let cases = [
            ("127.0.0.1:8484", None, HERE, false, Welcome),
            ("localhost:8484", None, HERE, false, Welcome),
            ("[::1]:8484", None, IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), false, Welcome),
            ("evil.example:8484", None, HERE, true, WrongHost),
            ("127.0.0.1.evil.example:8484", None, HERE, true, WrongHost),
            ("127.0.0.1:8484", Some("http://127.0.0.1:8484"), HERE, false, Welcome),
            ("127.0.0.1:8484", Some("http://evil.example"), HERE, true, WrongOrigin),
            ("127.0.0.1:8484", Some("http://127.0.0.1:9"), HERE, true, WrongOrigin),
            ("127.0.0.1:8484", Some("null"), HERE, true, WrongOrigin),
            ("192.0.2.1:8484", None, TABLET, false, LoginFirst),
            ("192.0.2.1:8484", None, TABLET, true, Welcome),
            ("box.example:8484", Some("https://BOX.example:8484"), TABLET, true, Welcome),
            ("localhost:8484", None, TABLET, false, LoginFirst),
            ("box.example", None, HERE, false, LoginFirst),
        ];
        for (host, origin, peer, known, verdict) in cases {
            assert_eq!(asked(host, origin, peer, known), verdict, "{host} {origin:?} {peer} {known}");
        }
        let wanted = Wanted { origin: false, secure: false };
        assert_eq!(judge(&HeaderMap::new(), HERE, wanted, &[], true), WrongHost, "HTTP/1.0");
    }

    #[test]
    fn where_an_origin_is_needed_none_is_wrong() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        let wanted = Wanted { origin: true, secure: false };
        assert_eq!(judge(&headers, HERE, wanted, &[], true), Verdict::WrongOrigin);
    }

    #[test]
    fn over_tls_no_page_that_came_without_it_may_ask() {
        for (origin, secure, same) in [
            ("http://box:1", false, true),
            ("https://box:1", false, true),
            ("http://box:1", true, false),
            ("https://box:1", true, true),
        ] {
            assert_eq!(is_same(origin, "box:1", secure), same, "{origin} {secure}");
        }
    }
}
