//! HTTP routes of the page of recalls and lesions. `access` has allowed the request already.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use hal::clock::{now_utc, today};
use models::lesion::entry::Entry;
use serde::Deserialize;
use study::lesions::export::{csv, fhir};
use study::lesions::listed::{RecallRow, Wanted};

use super::access::Peer;
use super::routes::{asset, json, json_as, posted};
use super::{Signer, assets, reading::refusal};
use crate::reading::{Error, Reading};

/// Patients whose lesions a page lists at most, those with the newest lines.
const MOST_PATIENTS: usize = 200;

#[derive(Clone)]
struct Site {
    reading: Reading,
    signer: Signer,
}

pub fn routes(reading: Reading, signer: Signer) -> Router {
    Router::new()
        .route("/recalls", get(|| asset(Path(assets::RECALLS.into()))))
        .route("/reading/recalls", get(recalls))
        .route("/reading/recalls.csv", get(as_csv))
        .route("/reading/recalls.fhir", get(as_fhir))
        .route("/reading/lesions", get(lesions))
        .route("/reading/lesion/{number}", get(lesion))
        .route("/reading/lesion", post(enter))
        .with_state(Site { reading, signer })
}

type Answer = Result<Response, Error>;

/// `all=true`: also those that are done or cancelled.
async fn rows(site: &Site, asked: Option<String>) -> Result<Vec<RecallRow>, Error> {
    let all = asked.as_deref() == Some("all=true");
    site.reading.recalls(Wanted { all, patient: None }, today()).await
}

async fn recalls(State(site): State<Site>, RawQuery(asked): RawQuery) -> Answer {
    Ok(json(&rows(&site, asked).await?))
}

/// A list that is taken away names patients: it is given when the audit trail has a row of it.
async fn as_csv(State(site): State<Site>, Extension(peer): Extension<Peer>, RawQuery(asked): RawQuery) -> Answer {
    let text = csv::written(&rows(&site, asked).await?);
    if let Err(error) = site.signer.given(peer.address.ip(), "list of recalls (CSV)").await {
        return Ok(refusal(&error));
    }
    let names = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"recalls.csv\""),
    ];
    Ok((names, text).into_response())
}

async fn as_fhir(State(site): State<Site>, Extension(peer): Extension<Peer>, RawQuery(asked): RawQuery) -> Answer {
    let bundle = fhir::bundle(&rows(&site, asked).await?, &now_utc());
    if let Err(error) = site.signer.given(peer.address.ip(), "list of recalls (FHIR)").await {
        return Ok(refusal(&error));
    }
    let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"recalls.json\"")];
    Ok((name, json_as("application/fhir+json", &bundle)).into_response())
}

async fn lesions(State(site): State<Site>) -> Answer {
    Ok(json(&site.reading.lesions(MOST_PATIENTS).await?))
}

async fn lesion(State(site): State<Site>, Path(number): Path<u64>) -> Answer {
    Ok(json(&site.reading.lesion(number).await?))
}

/// What a person enters, with the name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entering {
    by: String,
    entry: Entry,
}

async fn enter(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Entering { by, entry } = match posted(&headers, &body) {
        Ok(entering) => entering,
        Err(wrong) => return wrong.into_response(),
    };
    match site.signer.enter(peer.address.ip(), by, entry).await {
        Ok(number) => format!("Entered as {number}.").into_response(),
        Err(error) => refusal(&error),
    }
}
