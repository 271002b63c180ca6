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

const JSON: &str = "application/dicom+json";

fn json(rows: &impl Serialize) -> Response {
    json_as(JSON, rows)
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

async fn study_metadata(giver: Giver, Path(study): Path<String>) -> Answer {
    metadata(giver, which(study, None, None)).await
}

async fn series_metadata(giver: Giver, Path((study, series)): Path<(String, String)>) -> Answer {
    metadata(giver, which(study, Some(series), None)).await
}

async fn instance_metadata(giver: Giver, Path((study, series, instance)): Path<(String, String, String)>) -> Answer {
    metadata(giver, which(study, Some(series), Some(instance))).await
}

/// As [`retrieve`]: a study has thousands of objects, and reading them takes longer than an answer may take to begin.
async fn metadata(Giver(site, from): Giver, which: Which) -> Answer {
    let study = dbus::named("study", &which.study_uid);
    let objects = site.web.objects(which).await?;
    trail::taken(&site.audit, from, &study);
    given(site.web, Form::Metadata, objects).await
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
    let objects = web.objects(which).await?;
    trail::taken(&site.audit, from, &study);
    let form = Form::Files(accepted.transfer_syntax);
    if accepted.single && objects.len() == 1 {
        return Ok(pieces::whole("application/dicom", form.of(&web, &objects[0]).await?));
    }
    given(web, form, objects).await
}

async fn given(web: Web, form: Form, mut objects: Vec<Object>) -> Answer {
    // The first decides the status: later ones could only break off.
    let first = form.of(&web, &objects[0]).await?;
    let rest = objects.split_off(1);
    let mut due = Pieces::default();
    form.begin(&mut due);
    form.add(&mut due, first);
    let kind = form.kind();
    let parts = Rest { web, form, rest: rest.into_iter(), due, ended: false };
    let body = Body::from_stream(stream::unfold(parts, Rest::next));
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// In which form objects are given.
enum Form {
    /// Part 10 files, in this transfer syntax.
    Files(Option<String>),
    /// DICOM JSON, in one array.
    Metadata,
}

impl Form {
    fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => OBJECTS,
            Self::Metadata => JSON,
        }
    }

    async fn of(&self, web: &Web, object: &Object) -> Result<Held, Error> {
        match self {
            Self::Files(wanted) => web.file(object, wanted.as_deref()).await,
            Self::Metadata => web.metadata(object).await,
        }
    }

    fn begin(&self, due: &mut Pieces) {
        if matches!(self, Self::Metadata) {
            due.add("[");
        }
    }

    fn add(&self, due: &mut Pieces, content: Held) {
        match self {
            Self::Files(_) => part(due, "application/dicom", content),
            Self::Metadata => due.hold(content),
        }
    }

    fn add_next(&self, due: &mut Pieces, content: Held) {
        if matches!(self, Self::Metadata) {
            due.add(",");
        }
        self.add(due, content);
    }

    fn end(&self, due: &mut Pieces) {
        due.add(match self {
            Self::Files(_) => END,
            Self::Metadata => "]",
        });
    }
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
    form: Form,
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
                self.form.end(&mut self.due);
                continue;
            };
            match self.form.of(&self.web, &object).await {
                Ok(content) => self.form.add_next(&mut self.due, content),
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

#[cfg(test)]
mod tests {
    use custody::series::SeriesKey;
    use custody::spool::Spool;
    use custody::store::results::{self, ResultRow};
    use custody::store::{Durability, Store, jobs, now_utc, series};
    use dicom::kind::SeriesKind;
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::{tags, uids};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
    use serde_json::Value;
    use sha2::{Digest, Sha256};
    use tempfile::TempDir;

    use super::*;
    use crate::dicomweb::WebFault;
    use crate::reader::Reader;

    fn part10(sop_uid: &str) -> Vec<u8> {
        let text = [
            (tags::SOP_CLASS_UID, VR::UI, uids::SECONDARY_CAPTURE_IMAGE_STORAGE),
            (tags::SOP_INSTANCE_UID, VR::UI, sop_uid),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2"),
            (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.9"),
            (tags::MODALITY, VR::CS, "OT"),
        ];
        let set = InMemDicomObject::from_element_iter(text.map(|(tag, vr, text)| DataElement::new(tag, vr, text)));
        let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let mut bytes = Vec::new();
        set.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    /// A study of which three results are here.
    fn site() -> (TempDir, Web) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut rows = store.connect(Durability::Full).unwrap();
        let transaction = rows.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) = series::opened(&transaction, &key, "CT", SeriesKind::Ct, 1, &now_utc()).unwrap();
        let version = series::completed(&transaction, row.id, "quiet", &now_utc()).unwrap();
        let job_id = jobs::enqueue(&transaction, row.id, version, &now_utc()).unwrap();
        jobs::done(&transaction, job_id, None, "[]", &now_utc()).unwrap();
        for number in 1..=3 {
            let (sop_uid, file) = (format!("1.5.{number}"), format!("{number}.dcm"));
            let bytes = part10(&sop_uid);
            std::fs::write(folder.path().join(&file), &bytes).unwrap();
            let result = ResultRow {
                id: 0,
                job_id,
                kind: "sc".into(),
                sop_class: uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into(),
                sop_uid,
                study_uid: "1.2".into(),
                series_uid: "1.2.9".into(),
                file,
                length: bytes.len() as u64,
                sha256: hex::encode(Sha256::digest(&bytes)),
                simulated: false,
            };
            results::insert(&transaction, &result).unwrap();
        }
        transaction.commit().unwrap();
        let settings = custody::settings::Spool { directory: folder.path().to_owned(), ..Default::default() };
        let web = Web::new(Reader::new(store.clone()), Spool::new(&settings, &store), folder.path().to_owned());
        (folder, web)
    }

    async fn body(answer: Answer) -> Result<Bytes, axum::Error> {
        axum::body::to_bytes(answer.unwrap().into_body(), usize::MAX).await
    }

    fn of_series(series: &str, sop_uid: Option<&str>) -> Which {
        which("1.2".into(), Some(series.into()), sop_uid.map(str::to_owned))
    }

    async fn metadata(web: Web, which: Which) -> Answer {
        let objects = web.objects(which).await?;
        given(web, Form::Metadata, objects).await
    }

    async fn uids_of(web: &Web, which: Which) -> Vec<String> {
        let all: Vec<Value> = serde_json::from_slice(&body(metadata(web.clone(), which).await).await.unwrap()).unwrap();
        all.iter().map(|one| one["00080018"]["Value"][0].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn metadata_are_one_array_of_all_objects_and_end_early_at_one_that_cannot_be_given() {
        let (folder, web) = site();
        assert_eq!(uids_of(&web, which("1.2".into(), None, None)).await, ["1.5.1", "1.5.2", "1.5.3"]);
        // Only the hash tells: what rotted is not handed out as sound.
        let mut bytes = part10("1.5.2");
        let modality = bytes.windows(2).rposition(|at| at == b"OT").unwrap();
        bytes[modality] = b'P';
        std::fs::write(folder.path().join("2.dcm"), bytes).unwrap();
        let answer = metadata(web.clone(), which("1.2".into(), None, None)).await;
        assert_eq!(answer.as_ref().unwrap().status(), StatusCode::OK, "it had begun");
        assert!(body(answer).await.is_err(), "and is not taken for whole");
        let alone = metadata(web, of_series("1.2.9", Some("1.5.2"))).await;
        assert_eq!(alone.unwrap_err().kind(), WebFault::Internal);
    }

    #[tokio::test]
    async fn one_object_is_found_by_its_uid_without_a_look_at_the_others_and_in_its_own_series_only() {
        let (folder, web) = site();
        for other in ["1.dcm", "3.dcm"] {
            std::fs::remove_file(folder.path().join(other)).unwrap();
        }
        assert_eq!(uids_of(&web, of_series("1.2.9", Some("1.5.2"))).await, ["1.5.2"]);
        for (series, sop_uid) in [("1.2.3", "1.5.2"), ("1.2.9", "1.5.9"), ("1.2.9", "1.5.1")] {
            let absent = metadata(web.clone(), of_series(series, Some(sop_uid))).await;
            assert_eq!(absent.unwrap_err().kind(), WebFault::NotFound, "{series} {sop_uid}");
        }
    }
}
