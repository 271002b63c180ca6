//! The protocol: health, metadata, infer. Every request has a limit on its size and on its time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use custody::audit::{Audit, Entry};
use hal::accel::Port;
use node::inference::metadata::{Model, Server, Tensor as Declared};
use node::inference::wire::{self, FP32};
use node::inference::{BINARY, HEADER_LENGTH};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Figures;
use super::door::Door;
use super::runner::{Asking, Offer, Refused, Runner};

/// Requests whose tensors are held at the same time.
const AT_ONCE: usize = 4;

/// An answer in JSON.
struct Json<T>(T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour(pub IpAddr);

#[derive(Debug)]
pub struct Site {
    pub door: Door,
    pub runner: Runner,
    pub figures: Figures,
    pub audit: Audit,
    /// Bytes of one request.
    pub largest: usize,
    /// From the last byte of a head to the answer.
    pub deadline: Duration,
    places: Arc<Semaphore>,
}

impl Site {
    pub fn new(door: Door, runner: Runner, figures: Figures, audit: Audit, largest: usize, deadline: Duration) -> Self {
        Self { door, runner, figures, audit, largest, deadline, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Notes who was refused; few rows for many requests.
    pub fn refuse(&self, from: IpAddr, why: &str) {
        self.figures.add(false);
        let who = who(from);
        self.audit.refused(Entry { who: &who, what: "infer", object: "network", result: why });
    }
}

fn who(from: IpAddr) -> String {
    format!("neighbour {}", from.to_canonical())
}

type Shared = Arc<Site>;

pub fn router(site: Shared) -> Router {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/", get(server))
        .route("/v2/health/live", get(|| async { Json(json!({})) }))
        .route("/v2/health/ready", get(|| async { Json(json!({})) }))
        .route("/v2/models/{model}", get(metadata))
        .route("/v2/models/{model}/ready", get(ready))
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", get(metadata))
        .route("/v2/models/{model}/versions/{version}/ready", get(ready))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
        .fallback(|| async { said(StatusCode::NOT_FOUND, "not part of the protocol here") })
        .layer(middleware::from_fn_with_state(site.clone(), known))
        .with_state(site)
}

/// Lets in who shows the token, where one is wanted; who comes from an unknown address has got no connection.
async fn known(
    State(site): State<Shared>,
    Extension(Neighbour(from)): Extension<Neighbour>,
    request: Request,
    next: Next,
) -> Response {
    if site.door.lets_in(request.headers()) {
        return next.run(request).await;
    }
    site.refuse(from, "no token, or a wrong one");
    said(StatusCode::UNAUTHORIZED, "the token of this box is wanted: Authorization: Bearer TOKEN")
}

async fn server() -> Json<Server> {
    Json(Server { name: "scanside".into(), version: env!("CARGO_PKG_VERSION").into(), extensions: vec![BINARY.into()] })
}

/// A path names a model, and perhaps a version.
#[derive(Debug, serde::Deserialize)]
struct Place {
    model: String,
    version: Option<String>,
}

impl Place {
    async fn offer(&self, site: &Site) -> Result<Offer, Response> {
        let found = timeout(site.deadline, site.runner.offer(&self.model)).await;
        let offer = found.unwrap_or_else(|_| Err(late())).map_err(refusal)?;
        self.is_of(&offer).then_some(offer).ok_or_else(|| said(StatusCode::NOT_FOUND, "no such version is active"))
    }

    fn is_of(&self, offer: &Offer) -> bool {
        offer.is_version(self.version.as_deref())
    }
}

async fn metadata(State(site): State<Shared>, Path(place): Path<Place>) -> Result<Json<Model>, Response> {
    let offer = place.offer(&site).await?;
    let ports = |ports: &[Port]| {
        let port = |port: &Port| Declared { name: port.name.clone(), datatype: FP32.into(), shape: port.shape.clone() };
        Some(ports.iter().map(port).collect())
    };
    Ok(Json(Model {
        name: place.model,
        platform: "onnxruntime_onnx".into(),
        inputs: ports(&offer.signature.inputs),
        outputs: ports(&offer.signature.outputs),
        parameters: Some(json!({ "sha256": offer.sha256, "package": offer.package, "accelerator": offer.on })),
        versions: Some(vec![offer.version]),
    }))
}

async fn ready(State(site): State<Shared>, Path(place): Path<Place>) -> Result<Json<serde_json::Value>, Response> {
    let offer = place.offer(&site).await?;
    Ok(Json(json!({ "name": offer.package, "ready": true })))
}

async fn infer(
    State(site): State<Shared>,
    Path(place): Path<Place>,
    Extension(Neighbour(from)): Extension<Neighbour>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let work = asked(&site, &place, &headers, body);
    let (offer, answer) = match timeout(site.deadline, work).await.unwrap_or_else(|_| Err(late())) {
        Ok(done) => done,
        Err(refused) => {
            site.refuse(
                from,
                match &refused {
                    Refused::NoModel(_) => "no such model",
                    Refused::BadInput(_) => "no request of the network",
                    Refused::Busy(_) => "busy",
                    Refused::Failed(_) => "failed",
                },
            );
            return refusal(refused);
        }
    };
    site.figures.add(true);
    let object = format!("package {} {}", offer.package, offer.version);
    site.audit.taken(Entry { who: &who(from), what: "infer", object: &object, result: "allowed" });
    let kind = if answer.header.is_some() { "application/octet-stream" } else { "application/json" };
    let length = answer.header.map(|length| (HEADER_LENGTH, length.to_string()));
    let mut response = ([(header::CONTENT_TYPE, kind)], answer.bytes).into_response();
    if let Some((name, value)) = length
        && let Ok(value) = value.parse()
    {
        response.headers_mut().insert(name, value);
    }
    response
}

/// One inference, from the bytes of the request to those of the answer.
async fn asked(site: &Site, place: &Place, headers: &HeaderMap, body: Body) -> Result<(Offer, wire::Message), Refused> {
    let bad = Refused::BadInput;
    // Compressed bodies would be of another size than they say.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(bad("a body is not compressed here".into()));
    }
    let length = headers.get(HEADER_LENGTH).map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let header = match length {
        Some(None) => return Err(bad(format!("{HEADER_LENGTH} is no number"))),
        Some(length) => length,
        None => None,
    };
    let busy = |_| Refused::Busy(format!("{AT_ONCE} requests are in work"));
    let held = site.places.clone().try_acquire_owned().map_err(busy)?;
    let too_long = |_| bad(format!("the body broke off, or has more than {} bytes", site.largest));
    let bytes = to_bytes(body, site.largest).await.map_err(too_long)?;
    // Numbers are read and written behind everything else, one request at a time.
    let (model, version) = (place.model.clone(), place.version.clone());
    site.runner.run(Asking { model, version, header, bytes, held }).await
}

fn late() -> Refused {
    Refused::Busy("not done in time: this box has work of its own".into())
}

fn refusal(refused: Refused) -> Response {
    let (code, why) = match refused {
        Refused::NoModel(why) => (StatusCode::NOT_FOUND, why),
        Refused::BadInput(why) => (StatusCode::BAD_REQUEST, why),
        Refused::Busy(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        Refused::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    said(code, &why)
}

fn said(code: StatusCode, why: &str) -> Response {
    (code, Json(json!({ "error": why }))).into_response()
}
