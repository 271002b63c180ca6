//! The recall list as an HL7 FHIR R4 Bundle (<https://hl7.org/fhir/R4/bundle.html>) of type `collection`: each patient once, of
//! each lesion its last size as an Observation, and each recall as a Task. References point inside the bundle.

use std::collections::BTreeSet;

use models::findings::Side;
use models::lesion::due::Standing;
use models::lesion::sighting::Person;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::lesions::listed::RecallRow;

const SIMULATED: &str = "SIMULATED: not for clinical use";

/// `utc`: when the list was made.
pub fn bundle(rows: &[RecallRow], utc: &str) -> Value {
    let mut entries = Vec::new();
    let mut there = BTreeSet::new();
    for row in rows {
        let patient = patient_urn(&row.person);
        let lesion = urn(&["lesion", &row.lesion.to_string(), &patient]);
        if there.insert(patient.clone()) {
            entries.push(json!({ "fullUrl": patient, "resource": of_person(&row.person) }));
        }
        if row.last_date.is_some() && there.insert(lesion.clone()) {
            entries.push(json!({ "fullUrl": lesion, "resource": observation(row, &lesion, &patient) }));
        }
        let focus = there.contains(&lesion).then_some(lesion.as_str());
        let task = urn(&["recall", &row.id.to_string(), &row.entered.to_string(), &patient]);
        entries.push(json!({ "fullUrl": task, "resource": of_recall(row, &task, &patient, focus) }));
    }
    let mut bundle = json!({ "resourceType": "Bundle", "type": "collection", "timestamp": utc });
    // An empty array is no FHIR.
    if !entries.is_empty() {
        bundle["entry"] = Value::Array(entries);
    }
    bundle
}

/// Numbers are given anew by every box, and after a loss of the database: a receiver that looks for them would join women.
fn identifier(own: &str) -> Value {
    json!([{ "system": "urn:ietf:rfc:3986", "value": own }])
}

/// The same for the same thing, so that a list that is read twice makes nothing twice.
fn urn(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    // A UUID of version 8 (RFC 9562 section 5.8).
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex = hex::encode(bytes);
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn patient_urn(person: &Person) -> String {
    urn(&["patient", &person.id, &person.issuer, &person.name, &person.birth_date])
}

fn of_person(person: &Person) -> Value {
    let mut patient = Map::new();
    patient.insert("resourceType".into(), "Patient".into());
    if let Some(id) = text(&person.id) {
        let mut identifier = Map::from_iter([("value".to_owned(), id)]);
        if let Some(issuer) = text(&person.issuer) {
            identifier.insert("assigner".into(), json!({ "display": issuer }));
        }
        patient.insert("identifier".into(), json!([identifier]));
    }
    // PS3.5 section 6.2: family^given^middle^prefix^suffix, in one way of writing or several.
    let written = person.name.split('=').find(|group| !group.trim().is_empty()).unwrap_or_default();
    let mut parts = written.split('^').map(str::trim);
    let (family, given) = (parts.next().and_then(text), parts.next().and_then(text));
    if family.is_some() || given.is_some() {
        let mut name = Map::new();
        name.extend(family.map(|family| ("family".to_owned(), family)));
        name.extend(given.map(|given| ("given".to_owned(), json!([given]))));
        patient.insert("name".into(), json!([name]));
    }
    let gender = match person.sex.as_str() {
        "F" => "female",
        "M" => "male",
        "O" => "other",
        _ => "unknown",
    };
    patient.insert("gender".into(), gender.into());
    if let Ok(date) = jiff::civil::Date::strptime("%Y%m%d", &person.birth_date) {
        patient.insert("birthDate".into(), date.to_string().into());
    }
    Value::Object(patient)
}

/// The last longest diameter of the lesion. Body site and measurement in SNOMED CT as in the reports; units in UCUM.
fn observation(row: &RecallRow, own: &str, patient: &str) -> Value {
    let mut found = json!({
        "resourceType": "Observation",
        "identifier": identifier(own),
        "status": "preliminary",
        "code": { "coding": [{ "system": "http://snomed.info/sct", "code": "103339001", "display": "Long axis" }] },
        "subject": { "reference": patient },
        "bodySite": site(row),
    });
    if let Some(date) = row.last_date {
        found["effectiveDateTime"] = date.to_string().into();
    }
    match row.last_longest_mm {
        Some(mm) => {
            let value = (mm * 10.0).round() / 10.0;
            found["valueQuantity"] =
                json!({ "value": value, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm" });
        }
        None => found["dataAbsentReason"] = json!({ "text": "not measured" }),
    }
    if let Some(modality) = text(&row.last_modality) {
        found["method"] = json!({ "text": modality });
    }
    if row.simulated {
        found["note"] = json!([{ "text": SIMULATED }]);
    }
    found
}

fn site(row: &RecallRow) -> Value {
    let coding = match row.side {
        Some(Side::Left) => json!({ "system": "http://snomed.info/sct", "code": "80248007", "display": "Left breast" }),
        Some(Side::Right) => {
            json!({ "system": "http://snomed.info/sct", "code": "73056007", "display": "Right breast" })
        }
        None => json!({ "system": "http://snomed.info/sct", "code": "76752008", "display": "Breast" }),
    };
    let clock = row.clock.map(|clock| format!("{clock} o'clock"));
    let distance = row.distance_mm.map(|mm| format!("{mm:.0} mm from the nipple"));
    let said: Vec<String> = clock.into_iter().chain(distance).collect();
    if said.is_empty() { json!({ "coding": [coding] }) } else { json!({ "coding": [coding], "text": said.join(", ") }) }
}

fn of_recall(row: &RecallRow, own: &str, patient: &str, focus: Option<&str>) -> Value {
    let status = match row.standing {
        Standing::Done => "completed",
        Standing::Cancelled => "cancelled",
        Standing::Moved => "on-hold",
        Standing::Open | Standing::Due | Standing::Overdue => "requested",
    };
    let modality = if row.modality.is_empty() { "any modality" } else { &row.modality };
    let mut task = json!({
        "resourceType": "Task",
        "identifier": identifier(own),
        "status": status,
        "businessStatus": { "text": row.standing.as_str() },
        "intent": "order",
        "code": { "text": format!("Follow-up of a lesion of the breast ({modality})") },
        "for": { "reference": patient },
        "authoredOn": row.entered.to_string(),
        "restriction": { "period": { "end": row.due.to_string() } },
    });
    if let Some(focus) = focus {
        task["focus"] = json!({ "reference": focus });
    }
    if let Some(why) = text(&row.why) {
        task["description"] = why;
    }
    if let Some(by) = text(&row.by) {
        task["requester"] = json!({ "display": by });
    }
    let simulated = row.simulated.then(|| SIMULATED.into());
    let came = row.came.as_ref().map(|came| format!("An exam of {} may be the one.", came.date).into());
    let notes: Vec<Value> = [text(&row.rule), came, simulated].into_iter().flatten().collect();
    if !notes.is_empty() {
        task["note"] = notes.into_iter().map(|note| json!({ "text": note })).collect();
    }
    if let Some(reason) = text(&row.reason) {
        task["statusReason"] = json!({ "text": reason });
    }
    if let Some(done) = row.done {
        task["executionPeriod"] = json!({ "end": done.to_string() });
    }
    task
}

/// FHIR knows no empty strings.
fn text(value: &str) -> Option<Value> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.into())
}
