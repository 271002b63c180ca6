//! HTTP routes of the page on which studies are read. `access` has allowed the request already.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use dicom::segmentation::{Frame, Segmentation};
use models::review::{Decision, Mark};
use serde::{Deserialize, Serialize};
use study::review::{Signed, Signing};

use super::access::Peer;
use super::pieces;
use super::routes::{asset, json, posted};
use super::{Signer, assets};
use crate::dbus;
use crate::reading::{Error, Reading, ReadingFault};

/// A page asks for whole stacks of pictures; what it got stays in its own memory.
const BYTES: &str = "application/octet-stream";

pub fn routes(reading: Reading, signer: Signer) -> Router {
    let documents =
        Router::new().route("/reading/result/{result}/document", get(document)).with_state((reading.clone(), signer));
    Router::new()
        .route("/studies", get(|| asset(Path(assets::STUDIES.into()))))
        .route("/reading/studies", get(studies))
        .route("/reading/study/{uid}", get(study))
        .route("/reading/series/{series}/stack", get(stack))
        .route("/reading/picture/{instance}/{frame}", get(pixels))
        .route("/reading/key/{result}/{channels}", get(key))
        .route("/reading/mammogram/{instance}/{frame}/{factor}", get(mammogram))
        .route("/reading/study/{uid}/breast", get(breast))
        .route("/reading/study/{uid}/lesions", get(lesions))
        .route("/reading/result/{result}/segments", get(segments))
        .route("/reading/result/{result}/segment/{number}", get(segment))
        .with_state(reading)
        .merge(documents)
}

/// A review is short, but every finding may have a comment.
const MOST_BYTES: usize = 256 * 1024;

pub fn signing(signer: Signer) -> Router {
    let limit = DefaultBodyLimit::max(MOST_BYTES);
    Router::new().route("/reading/review", post(sign)).layer(limit).with_state(signer)
}

type Answer = Result<Response, Error>;

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.kind() {
            ReadingFault::NotFound => StatusCode::NOT_FOUND,
            ReadingFault::CannotBeShown => StatusCode::UNPROCESSABLE_ENTITY,
            ReadingFault::Internal => {
                tracing::warn!(error = %self, "a page could not be given what it asked for");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        (status, self.to_string()).into_response()
    }
}

async fn studies(State(reading): State<Reading>) -> Answer {
    Ok(json(&reading.studies().await?))
}

async fn study(State(reading): State<Reading>, Path(uid): Path<String>) -> Answer {
    Ok(json(&reading.study(uid).await?))
}

async fn stack(State(reading): State<Reading>, Path(series): Path<i64>) -> Answer {
    Ok(json(&reading.stack(series).await?))
}

async fn pixels(State(reading): State<Reading>, Path((instance, frame)): Path<(i64, u32)>) -> Answer {
    Ok(pieces::whole(BYTES, reading.pixels(instance, frame).await?))
}

/// A key image of an exam that was recorded here, with one byte a pixel or three.
async fn key(State(reading): State<Reading>, Path((result, channels)): Path<(i64, u8)>) -> Answer {
    Ok(pieces::whole(BYTES, reading.key(result, channels == 3).await?))
}

/// How it is shown, as JSON with its length before it, and values of 16 bits; all little endian.
async fn mammogram(State(reading): State<Reading>, Path((instance, frame, factor)): Path<(i64, u32, u8)>) -> Answer {
    Ok(pieces::whole(BYTES, reading.mammogram(instance, frame, factor).await?))
}

async fn breast(State(reading): State<Reading>, Path(uid): Path<String>) -> Answer {
    Ok(json(&reading.breast(uid).await?))
}

async fn lesions(State(reading): State<Reading>, Path(uid): Path<String>) -> Answer {
    Ok(json(&reading.lesions_of(uid).await?))
}

#[derive(Debug, Serialize)]
struct Listed {
    rows: u32,
    columns: u32,
    segments: Vec<ListedSegment>,
}

#[derive(Debug, Serialize)]
struct ListedSegment {
    number: u16,
    label: String,
    colour: [u8; 3],
    is_anatomy: bool,
    /// Of each frame: the image that it belongs to, the number of its frame (0: the image has one only), and the pixels.
    frames: Vec<(String, u32, u32)>,
}

/// Which segments there are, and in which pictures.
async fn segments(State(reading): State<Reading>, Path(result): Path<i64>) -> Answer {
    let Segmentation { rows, columns, segments } = &*reading.segmentation(result).await?;
    let frame = |frame: &Frame| {
        let pixels = frame.runs.iter().map(|[_, length]| length).sum();
        (frame.sop_instance_uid.clone(), frame.frame.unwrap_or(0), pixels)
    };
    let listed = segments.iter().map(|segment| ListedSegment {
        number: segment.number,
        label: segment.label.clone(),
        colour: segment.colour,
        is_anatomy: segment.is_anatomy,
        frames: segment.frames.iter().map(frame).collect(),
    });
    Ok(json(&Listed { rows: *rows, columns: *columns, segments: listed.collect() }))
}

/// The pixels of one segment: of each of its frames the number of runs, then first pixel and length of each run; 32-bit
/// numbers, little endian.
async fn segment(State(reading): State<Reading>, Path((result, number)): Path<(i64, u16)>) -> Answer {
    let segmentation = reading.segmentation(result).await?;
    let segment = segmentation.segments.iter().find(|segment| segment.number == number).ok_or(Error::NotFound)?;
    let mut bytes = Vec::new();
    for frame in &segment.frames {
        bytes.extend_from_slice(&u32::try_from(frame.runs.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(frame.runs.iter().flatten().flat_map(|value| value.to_le_bytes()));
    }
    Ok(([(header::CONTENT_TYPE, BYTES)], bytes).into_response())
}

async fn document(
    State((reading, signer)): State<(Reading, Signer)>,
    Extension(peer): Extension<Peer>,
    Path(result): Path<i64>,
) -> Answer {
    let document = reading.document(result).await?;
    signer.taken(peer.address.ip(), &format!("document of result {result}"));
    Ok(([(header::CONTENT_DISPOSITION, "inline")], pieces::whole("application/pdf", document)).into_response())
}

/// What a person signs: every finding that the page lists, with its decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Review {
    series_uid: String,
    /// SOP Instance UID of the report whose findings are shown.
    report: String,
    by: String,
    decisions: Vec<Decided>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    id: String,
    decision: Decision,
    #[serde(default)]
    comment: String,
    /// Of one that is edited: its fields and their values.
    #[serde(default)]
    edit: BTreeMap<String, String>,
}

async fn sign(
    State(signer): State<Signer>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Review { series_uid, report, by, decisions } = match posted(&headers, &body) {
        Ok(review) => review,
        Err(wrong) => return wrong.into_response(),
    };
    let mark = |Decided { id, decision, comment, edit }: Decided| {
        let edit = edit.into_iter().collect();
        Mark { id, decision, comment, edit }
    };
    let marks = decisions.into_iter().map(mark).collect();
    let signing = Signing { series_uid, by, marks, accept_rest: false, seen: Some(report) };
    match signer.sign(peer.address.ip(), signing).await {
        Ok(signed) => {
            let Signed { accepted, edited, rejected, .. } = signed;
            let edited = if edited > 0 { format!("{edited} edited, ") } else { String::new() };
            format!("Signed: {accepted} accepted, {edited}{rejected} rejected. The results are written again.")
                .into_response()
        }
        Err(error) => refusal(&error),
    }
}

pub(super) fn refusal(error: &dbus::Error) -> Response {
    use dbus::Error::{InvalidArgument, NotFound, NotPossible, Restricted};
    match error {
        NotFound(why) => (StatusCode::NOT_FOUND, why.clone()).into_response(),
        InvalidArgument(why) => (StatusCode::UNPROCESSABLE_ENTITY, why.clone()).into_response(),
        NotPossible(why) => (StatusCode::CONFLICT, why.clone()).into_response(),
        Restricted(why) => (StatusCode::SERVICE_UNAVAILABLE, why.clone()).into_response(),
        other => (StatusCode::INTERNAL_SERVER_ERROR, other.to_string()).into_response(),
    }
}
