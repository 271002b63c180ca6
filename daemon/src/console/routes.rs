//! HTTP routes of the page. `access` has allowed the request already.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use custody::audit::Audit;
use custody::level::Gate;
use dicom::patient::Patient;
use live::ask::{self, Chosen, Refusal, RefusalKind, ask};
use live::view::{By, Command, Numbered, ProbeOrder, View};
use live::worklist::{Listing, Order};
use models::findings::Side;
use models::lesion::sighting::Place;
use models::task::us_breast::scan::probe::{Plane, Spot, Step};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::{Entrance, Peer, guard};
use super::door::{Denied, Pass};
use super::encode::Pictures;
use super::places::Guest;
use super::socket::Until;
use super::{Studies, assets, dicomweb, lesions, reading, socket, trail};
use crate::health::heat;
use crate::metrics::Metrics;

/// Time limit of a request, for clients that stop sending.
const WITHIN: Duration = Duration::from_secs(30);
/// The largest request body; all of them are short.
const MOST_BYTES: usize = 4096;

/// State that the handlers of the live page share.
#[derive(Debug, Clone)]
pub struct Live {
    pub view: View,
    pub pictures: Pictures,
    pub gate: Gate,
    pub heat: heat::Told,
    pub audit: Audit,
    /// Limits how many pages can be open at the same time.
    pub viewers: Arc<Semaphore>,
    /// The same for pages on other machines: fewer, so that the kiosk always finds a place.
    pub viewers_elsewhere: Arc<Semaphore>,
    pub shutdown: CancellationToken,
}

/// The pages that there are: the first page is the live one, of a box without live video the list of studies.
pub fn router(entrance: &Entrance, live: Option<Live>, studies: Option<Studies>) -> Router {
    let first = match live {
        Some(_) => get(|| asset(Path(assets::INDEX.into()))),
        None => get(|| async { Redirect::to("/studies") }),
    };
    let pages = Pages { live: live.is_some(), studies: studies.is_some(), login: false };
    let mut router = Router::new()
        .route("/", first)
        .route("/login", get(|| asset(Path(assets::LOGIN.into()))).post(login))
        .route("/logout", post(logout))
        .route("/assets/{name}", get(asset))
        .route("/session", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/pages",
            get(move |login: Option<Extension<Pass>>| async move { json(&pages.seen_by(login.is_some())) }),
        )
        .with_state(entrance.clone());
    if let Some(live) = live {
        router = router.merge(live_routes(live));
    }
    if let Some(Studies { signer, reading, web, metrics }) = studies {
        let figures = Router::new().route("/metrics", get(figures)).with_state(metrics);
        router = router
            .merge(lesions::routes(reading.clone(), signer.clone()))
            .merge(reading::routes(reading, signer.clone()))
            .merge(reading::signing(signer))
            .merge(dicomweb::routes(web, entrance.door.audit.clone()))
            .merge(figures);
    }
    router
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(entrance.clone(), guard))
        .layer(from_fn(hardened))
}

async fn figures(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.text().await).into_response()
}

/// Which pages this box has, and whether who asks is there by a login, which can end.
#[derive(Debug, Clone, Copy, Serialize)]
struct Pages {
    live: bool,
    studies: bool,
    login: bool,
}

impl Pages {
    fn seen_by(self, login: bool) -> Self {
        Self { login, ..self }
    }
}

fn live_routes(site: Live) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/worklist", get(worklist))
        .route("/exam/start", post(start_exam))
        .route("/exam/stop", post(stop_exam))
        .route("/freeze", post(freeze))
        .route("/mark", post(mark))
        .route("/exam/side", post(side))
        .route("/exam/place", post(place))
        .route("/exam/probe", post(probe))
        .with_state(site)
}

/// Security headers, because the page shows patient images: no content from other sites, no inline scripts, no
/// embedding in frames, no caching.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

async fn hardened(request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub async fn asset(Path(name): Path<String>) -> Response {
    match assets::find(&name) {
        Some((_, kind, bytes)) => ([(header::CONTENT_TYPE, *kind)], *bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn live(
    State(site): State<Live>,
    Extension(peer): Extension<Peer>,
    login: Option<Extension<Pass>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let elsewhere = match peer.place.guest() {
        Guest::Here => Ok(None),
        Guest::LoggedIn | Guest::Stranger => site.viewers_elsewhere.clone().try_acquire_owned().map(Some),
    };
    let place = elsewhere.and_then(|elsewhere| Ok((elsewhere, site.viewers.clone().try_acquire_owned()?)));
    let Ok(place) = place else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open").into_response();
    };
    upgrade.max_message_size(socket::MOST_BYTES).on_upgrade(async move |socket| {
        let newest = site.pictures.subscribe();
        let until = Until { login: login.map(|Extension(pass)| pass), shutdown: site.shutdown };
        socket::serve(socket, site.view, newest, (site.gate.subscribe(), site.heat), until).await;
        drop(place);
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

async fn login(
    State(entrance): State<Entrance>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Login { token } = match posted(&headers, &body) {
        Ok(login) => login,
        Err(wrong) => return wrong.into_response(),
    };
    match entrance.door.enter(&token, peer.address.ip()).await {
        Ok(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        Err(Denied::WrongToken) => (StatusCode::FORBIDDEN, "the token is wrong").into_response(),
        Err(Denied::Busy) => {
            (StatusCode::TOO_MANY_REQUESTS, "a wrong token came from this address; try again in a few seconds")
                .into_response()
        }
        Err(Denied::Closed) => {
            (StatusCode::FORBIDDEN, "no token is configured: the page can only be opened on this machine")
                .into_response()
        }
    }
}

async fn logout(
    State(entrance): State<Entrance>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, entrance.door.leave(&headers, peer.address.ip()))])
}

/// The worklist; empty if none is configured.
async fn worklist(State(site): State<Live>) -> Response {
    let listing = match site.view.worklist.is_configured() {
        true => site.view.worklist.read().await,
        false => Ok(Listing::default()),
    };
    match listing {
        Ok(listing) => json(&listing),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()).into_response(),
    }
}

/// The patient as typed, or the accession number of a worklist entry; with the study UID of the entry that was chosen, that one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartExam {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    birth_date: String,
    #[serde(default)]
    accession_number: String,
    #[serde(default)]
    worklist: String,
    #[serde(default)]
    study_uid: String,
    #[serde(default)]
    despite_screen: bool,
    /// When the exam began that the page showed as the form was opened; empty: none ran.
    seen: Option<String>,
}

async fn start_exam(
    State(site): State<Live>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let StartExam { id, name, birth_date, accession_number, worklist, study_uid, despite_screen, seen } =
        match posted(&headers, &body) {
            Ok(typed) => typed,
            Err(wrong) => return wrong.into_response(),
        };
    let typed = Patient { id, name, birth_date, accession_number };
    let chosen = Chosen { accession_number: worklist, study_uid };
    let outcome = match ask::order(&site.view, typed, &chosen).await {
        Ok(order) => {
            let order = Order { despite_screen, seen, ..order };
            ask(&site.view, |reply| Command::StartExam(order, reply)).await
        }
        Err(refusal) => Err(refusal),
    };
    trail::commanded(&site.audit, peer.address.ip(), "start-exam", &outcome);
    answer(outcome)
}

async fn stop_exam(State(site): State<Live>, Extension(peer): Extension<Peer>) -> Response {
    let outcome = ask(&site.view, Command::StopExam).await;
    trail::commanded(&site.audit, peer.address.ip(), "stop-exam", &outcome);
    answer(outcome)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Freeze {
    on: bool,
}

async fn freeze(State(site): State<Live>, headers: HeaderMap, body: Bytes) -> Response {
    match posted(&headers, &body) {
        Ok(Freeze { on }) => answer(ask(&site.view, |reply| Command::Freeze(on, By::Page, reply)).await),
        Err(wrong) => wrong.into_response(),
    }
}

async fn mark(State(site): State<Live>) -> Response {
    answer(ask(&site.view, Command::Mark).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scanned {
    side: Option<Side>,
}

async fn side(State(site): State<Live>, headers: HeaderMap, body: Bytes) -> Response {
    match posted(&headers, &body) {
        Ok(Scanned { side }) => answer(ask(&site.view, |reply| Command::Side(side, reply)).await),
        Err(wrong) => wrong.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    lesion: u32,
    place: Place,
    /// What the page showed when the form was opened.
    seen: Numbered,
}

async fn place(State(site): State<Live>, headers: HeaderMap, body: Bytes) -> Response {
    match posted(&headers, &body) {
        Ok(Placed { lesion, place, seen }) => {
            let place = Place { in_view: None, ..place };
            answer(ask(&site.view, |reply| Command::Place(lesion, place, Some(seen), reply)).await)
        }
        Err(wrong) => wrong.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probed {
    side: Option<Side>,
    spot: Option<Spot>,
    plane: Option<Plane>,
    step: Option<Step>,
    /// When the exam began that the page shows.
    seen: String,
}

async fn probe(State(site): State<Live>, headers: HeaderMap, body: Bytes) -> Response {
    match posted(&headers, &body) {
        Ok(Probed { side, spot, plane, step, seen }) => {
            let order = match step {
                Some(step) => ProbeOrder::Step(step),
                None if side.is_none() && spot.is_none() && plane.is_none() => ProbeOrder::Unsaid,
                None => ProbeOrder::At { side, spot, plane },
            };
            answer(ask(&site.view, |reply| Command::Probe(order, Some(seen), reply)).await)
        }
        Err(wrong) => wrong.into_response(),
    }
}

/// The answer of the live path as plain text.
fn answer(answered: Result<String, Refusal>) -> Response {
    match answered {
        Ok(words) => words.into_response(),
        Err(refusal) => {
            let status = match refusal.kind() {
                RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
                RefusalKind::NotPossible => StatusCode::CONFLICT,
                RefusalKind::Silent => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, refusal.to_string()).into_response()
        }
    }
}

/// The day of the box comes with each answer: it judges what lies in the future, and the tablet may be in another zone.
pub const TODAY: &str = "scanside-today";

pub fn json(value: &impl Serialize) -> Response {
    ([(TODAY, hal::clock::today().to_string())], json_as("application/json", value)).into_response()
}

pub fn json_as(kind: &'static str, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(json) => ([(header::CONTENT_TYPE, kind)], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Status and text for an invalid request body.
pub type Wrong = (StatusCode, String);

/// Parses a JSON body. Requiring JSON prevents requests from forms on other sites, for which browsers would first send
/// a preflight request.
pub fn posted<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Wrong> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON (Content-Type: application/json)".into()));
    }
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}
