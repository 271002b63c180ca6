//! HTTP routes of the page on which studies are read. `access` has allowed the request already.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dicom::segmentation::{Frame, Segmentation};
use serde::Serialize;

use super::assets;
use super::routes::{asset, json};
use crate::reading::{Error, Reading, ReadingFault};

/// A page asks for whole stacks of pictures; what it got stays in its own memory.
const BYTES: &str = "application/octet-stream";

pub fn routes(reading: Reading) -> Router {
    Router::new()
        .route("/studies", get(|| asset(Path(assets::STUDIES.into()))))
        .route("/reading/studies", get(studies))
        .route("/reading/study/{uid}", get(study))
        .route("/reading/series/{series}/stack", get(stack))
        .route("/reading/picture/{instance}/{frame}", get(pixels))
        .route("/reading/result/{result}/segments", get(segments))
        .route("/reading/result/{result}/segment/{number}", get(segment))
        .route("/reading/result/{result}/document", get(document))
        .with_state(reading)
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
    let pixels = reading.pixels(instance, frame).await?;
    Ok(([(header::CONTENT_TYPE, BYTES)], pixels).into_response())
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

async fn document(State(reading): State<Reading>, Path(result): Path<i64>) -> Answer {
    let document = reading.document(result).await?;
    let names = [(header::CONTENT_TYPE, "application/pdf"), (header::CONTENT_DISPOSITION, "inline")];
    Ok((names, document).into_response())
}
