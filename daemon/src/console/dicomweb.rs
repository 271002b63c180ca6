//! HTTP routes of DICOMweb (PS3.18 sections 10.4 and 10.6), below `/dicom-web`. `access` has allowed the request already.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use custody::audit::Audit;
use futures_util::stream;
use serde::Serialize;

use super::access::Peer;
use super::pieces::{self, Pieces};
use super::routes::json_as;
use super::trail;
use crate::dbus;
use crate::dicomweb::{Error, Object, Query, Web, WebFault, Which};
use crate::room::Held;

pub const ROOT: &str = "/dicom-web";

/// What is served, and where it is written down who got what.
#[derive(Debug, Clone)]
struct Site {
    web: Web,
    audit: Audit,
}

impl FromRef<Site> for Web {
    fn from_ref(site: &Site) -> Self {
        site.web.clone()
    }
}

/// Gives objects away: to an address.
struct Giver(Site, IpAddr);

impl FromRequestParts<Site> for Giver {
    type Rejection = <Extension<Peer> as FromRequestParts<Site>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let Extension(peer) = Extension::<Peer>::from_request_parts(parts, site).await?;
        Ok(Self(site.clone(), peer.address.ip()))
    }
}

/// The address by which the client knows this service.
struct Base(String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = <Extension<Peer> as FromRequestParts<S>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Extension(peer) = Extension::<Peer>::from_request_parts(parts, state).await?;
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        // A proxy with TLS says so.
        let secure = peer.is_secure || parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        Ok(Self(format!("{}://{host}{ROOT}", if secure { "https" } else { "http" })))
    }
}

pub fn routes(web: Web, audit: Audit) -> Router {
    let at = |path: &str| format!("{ROOT}{path}");
    Router::new()
        .route(&at("/studies"), get(studies))
        .route(&at("/studies/{study}"), get(study))
        .route(&at("/studies/{study}/metadata"), get(study_metadata))
        .route(&at("/studies/{study}/series"), get(series))
        .route(&at("/studies/{study}/instances"), get(study_instances))
        .route(&at("/studies/{study}/series/{series}"), get(one_series))
        .route(&at("/studies/{study}/series/{series}/metadata"), get(series_metadata))
        .route(&at("/studies/{study}/series/{series}/instances"), get(series_instances))
        .route(&at("/studies/{study}/series/{series}/instances/{instance}"), get(instance))
        .route(&at("/studies/{study}/series/{series}/instances/{instance}/metadata"), get(instance_metadata))
        .route(&at("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"), get(frames))
        .with_state(Site { web, audit })
}

type Answer = Result<Response, Error>;

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.kind() {
            WebFault::NotFound => StatusCode::NOT_FOUND,
            WebFault::Wrong => StatusCode::BAD_REQUEST,
            WebFault::NotInThisForm => StatusCode::NOT_ACCEPTABLE,
            WebFault::Internal => {
                tracing::warn!(error = %self, "a DICOMweb client could not be given what it asked for");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}

fn query(uri: &Uri) -> Result<Query, Error> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    Ok(Query::parse(&pairs.into_owned().collect::<Vec<_>>())?)
}

fn json(rows: &impl Serialize) -> Response {
    json_as("application/dicom+json", rows)
}

fn which(study_uid: String, series_uid: Option<String>, sop_uid: Option<String>) -> Which {
    Which { study_uid, series_uid, sop_uid }
}

async fn studies(State(web): State<Web>, uri: Uri, base: Base) -> Answer {
    Ok(json(&web.studies(query(&uri)?, base.0).await?))
}

async fn series(State(web): State<Web>, Path(study): Path<String>, uri: Uri, base: Base) -> Answer {
    Ok(json(&web.series(study, query(&uri)?, base.0).await?))
}

async fn study_instances(State(web): State<Web>, Path(study): Path<String>, uri: Uri, base: Base) -> Answer {
    Ok(json(&web.instances(which(study, None, None), query(&uri)?, base.0).await?))
}

async fn series_instances(
    State(web): State<Web>,
    Path((study, series)): Path<(String, String)>,
    uri: Uri,
    base: Base,
) -> Answer {
    Ok(json(&web.instances(which(study, Some(series), None), query(&uri)?, base.0).await?))
}

async fn study(giver: Giver, Path(study): Path<String>, headers: HeaderMap) -> Answer {
    retrieve(giver, which(study, None, None), &headers).await
}

async fn one_series(giver: Giver, Path((study, series)): Path<(String, String)>, headers: HeaderMap) -> Answer {
    retrieve(giver, which(study, Some(series), None), &headers).await
}

async fn instance(
    giver: Giver,
    Path((study, series, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    retrieve(giver, which(study, Some(series), Some(instance)), &headers).await
}

async fn study_metadata(State(web): State<Web>, Path(study): Path<String>) -> Answer {
    metadata(&web, which(study, None, None)).await
}

async fn series_metadata(State(web): State<Web>, Path((study, series)): Path<(String, String)>) -> Answer {
    metadata(&web, which(study, Some(series), None)).await
}

async fn instance_metadata(
    State(web): State<Web>,
    Path((study, series, instance)): Path<(String, String, String)>,
) -> Answer {
    metadata(&web, which(study, Some(series), Some(instance))).await
}

async fn metadata(web: &Web, which: Which) -> Answer {
    let mut all = Vec::new();
    for object in web.objects(which).await? {
        all.push(web.metadata(&object).await?);
    }
    Ok(json(&all))
}

/// What a client will take, of its Accept header: the transfer syntax, and whether one object may come without parts.
struct Accepted {
    transfer_syntax: Option<String>,
    single: bool,
}

impl Accepted {
    /// `None` when nothing of it can be given.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let all = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<&str> = all.flat_map(|value| value.split(',')).map(str::trim).collect();
        if all.is_empty() {
            return Some(Self { transfer_syntax: None, single: false });
        }
        all.into_iter().find_map(|one| {
            let mut parts = one.split(';').map(str::trim);
            let kind = parts.next()?.to_ascii_lowercase();
            let parameters: Vec<(String, &str)> = parts
                .filter_map(|part| part.split_once('='))
                .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
                .collect();
            let of = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
            let takes = match kind.as_str() {
                "multipart/related" => of("type").is_none_or(|kind| ["application/dicom", "*/*"].contains(&kind)),
                "application/dicom" | "*/*" | "multipart/*" | "application/*" => true,
                _ => false,
            };
            let transfer_syntax = of("transfer-syntax").map(str::to_owned);
            takes.then(|| Self { transfer_syntax, single: kind == "application/dicom" })
        })
    }
}

/// Objects one after the other: only one of them is in memory.
async fn retrieve(Giver(site, from): Giver, which: Which, headers: &HeaderMap) -> Answer {
    let Some(accepted) = Accepted::of(headers) else {
        let words =
            "objects are given as multipart/related; type=\"application/dicom\", one alone as application/dicom";
        return Ok((StatusCode::NOT_ACCEPTABLE, words).into_response());
    };
    let web = site.web;
    let study = dbus::named("study", &which.study_uid);
    let mut objects = web.objects(which).await?;
    trail::taken(&site.audit, from, &study);
    let wanted = accepted.transfer_syntax;
    // The first decides the status: later ones could only break off.
    let first = web.file(&objects[0], wanted.as_deref()).await?;
    if accepted.single && objects.len() == 1 {
        return Ok(pieces::whole("application/dicom", first));
    }
    let rest = objects.split_off(1);
    let mut due = Pieces::default();
    part(&mut due, "application/dicom", first);
    let parts = Rest { web, wanted, rest: rest.into_iter(), due, ended: false };
    let body = Body::from_stream(stream::unfold(parts, Rest::next));
    Ok(([(header::CONTENT_TYPE, OBJECTS)], body).into_response())
}

/// Separates the parts. As long as a hash of random content, so that no object contains it.
macro_rules! boundary {
    () => {
        "scanside-7b1f0c5a92d64e3f8a4e9d27c6b35f10"
    };
}
const BOUNDARY: &str = boundary!();
/// After the last part.
const END: &str = concat!("--", boundary!(), "--\r\n");
const OBJECTS: &str = concat!("multipart/related; type=\"application/dicom\"; boundary=", boundary!());
const FRAMES: &str = concat!("multipart/related; type=\"application/octet-stream\"; boundary=", boundary!());

struct Rest {
    web: Web,
    wanted: Option<String>,
    rest: std::vec::IntoIter<Object>,
    /// Of the objects that were read.
    due: Pieces,
    ended: bool,
}

impl Rest {
    /// An object that cannot be given ends the answer before its end, so that the client does not take it for whole.
    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        loop {
            if let Some(piece) = self.due.next() {
                return Some((Ok(piece), self));
            }
            if self.ended {
                return None;
            }
            let Some(object) = self.rest.next() else {
                self.ended = true;
                self.due.add(END);
                continue;
            };
            match self.web.file(&object, self.wanted.as_deref()).await {
                Ok(file) => part(&mut self.due, "application/dicom", file),
                Err(error) => {
                    self.ended = true;
                    tracing::warn!(%error, "a DICOMweb answer ended early");
                    return Some((Err(error), self));
                }
            }
        }
    }
}

fn part(due: &mut Pieces, kind: &str, content: Held) {
    let length = content.as_ref().len();
    due.add(format!("--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"));
    due.hold(content);
    due.add("\r\n");
}

async fn frames(
    Giver(Site { web, audit }, from): Giver,
    Path((study, series, instance, frames)): Path<(String, String, String, String)>,
) -> Answer {
    let numbers: Result<Vec<u32>, _> = frames.split(',').map(str::parse).collect();
    let Ok(numbers) = numbers else {
        return Ok((StatusCode::BAD_REQUEST, "frames are numbers from 1, with commas").into_response());
    };
    let named = dbus::named("study", &study);
    let object = web.objects(which(study, Some(series), Some(instance))).await?.swap_remove(0);
    trail::taken(&audit, from, &named);
    let mut due = Pieces::default();
    for frame in web.frames(&object, numbers).await? {
        part(&mut due, "application/octet-stream", frame);
    }
    due.add(END);
    Ok(due.into_response(FRAMES))
}
