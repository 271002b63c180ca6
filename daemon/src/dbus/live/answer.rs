//! Converts values of the live path to D-Bus dictionaries.

use std::collections::HashMap;

use live::guidance::Item;
use live::name::Agreement;
use live::screen::lesson::Proposal;
use live::screen::profile::Area;
use live::view::{Exam, Guidance, Latency, Recording, Stats};
use live::worklist::served::Server;
use live::worklist::{Entry, Listing};
use models::lesion::sighting::Place;
use models::task::us_breast::scan::coverage::Looked;
use zbus::{OwnedVariant, Variant};

use super::Dictionary;

fn dictionary<const N: usize>(entries: [(&str, OwnedVariant); N]) -> Dictionary {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Only values without file descriptors are passed here, and these can always be owned.
fn owned<'a>(value: impl Into<Variant<'a>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap_or_else(|_| OwnedVariant::from(false))
}

pub fn exam(exam: &Exam, on_screen: Option<Agreement>) -> Dictionary {
    let Exam { number: _, study_uid, patient, started_utc, marks, side, probe, places, by_probe: _, request: _ } = exam;
    let mut entries = dictionary([
        ("StudyUid", owned(study_uid.as_str())),
        ("PatientId", owned(patient.id.as_str())),
        ("PatientName", owned(patient.name.as_str())),
        ("BirthDate", owned(patient.birth_date.as_str())),
        ("AccessionNumber", owned(patient.accession_number.as_str())),
        ("StartedUtc", owned(started_utc.as_str())),
        ("Marks", owned(*marks)),
    ]);
    if let Some(side) = side {
        entries.insert("Side".into(), owned(side.as_str()));
    }
    if let Some(probe) = probe {
        entries.insert("ProbeSpot".into(), owned(probe.spot.to_string()));
        entries.extend(probe.plane.map(|plane| ("ProbePlane".to_owned(), owned(plane.as_str()))));
    }
    if !places.is_empty() {
        let places: Vec<_> = places.iter().map(|(lesion, place)| located(*lesion, place)).collect();
        entries.insert("Places".into(), owned(places));
    }
    if let Some(agreement) = on_screen {
        entries.insert("OnScreen".into(), owned(agreement.as_str()));
        entries.insert("OnScreenWords".into(), owned(agreement.words()));
    }
    entries
}

/// Where a lesion is, as far as it was said.
fn located(lesion: u32, place: &Place) -> HashMap<String, Variant<'static>> {
    let side = place.side.map(|side| ("Side".to_owned(), Variant::from(side.as_str())));
    let clock = place.clock.map(|hour| ("Clock".to_owned(), Variant::from(u32::from(hour))));
    let distance = place.distance_mm.map(|mm| ("DistanceMm".to_owned(), Variant::from(mm)));
    let lesion = ("Lesion".to_owned(), Variant::from(lesion));
    std::iter::once(lesion).chain(side).chain(clock).chain(distance).collect()
}

pub fn guidance(guidance: &Guidance) -> Dictionary {
    let Guidance { exam: _, items, coverage, estimate } = guidance;
    dictionary([
        ("Items", owned(items.iter().map(judged).collect::<Vec<_>>())),
        ("Coverage", owned(coverage.looked().iter().map(looked).collect::<Vec<_>>())),
        ("Estimate", owned(estimate.en)),
    ])
}

fn judged(item: &Item) -> HashMap<String, Variant<'static>> {
    let figures: Vec<HashMap<String, Variant<'static>>> = item
        .figures
        .iter()
        .map(|figure| {
            [
                ("Name".to_owned(), Variant::from(figure.name)),
                ("Value".to_owned(), Variant::from(figure.value)),
                ("Unit".to_owned(), Variant::from(figure.unit)),
            ]
            .into()
        })
        .collect();
    let texts = [("Name", item.name), ("State", item.state), ("Words", item.words.en), ("WordsZh", item.words.zh)];
    let texts = texts.map(|(name, text)| (name.to_owned(), Variant::from(text)));
    texts.into_iter().chain([("Figures".to_owned(), Variant::from(figures))]).collect()
}

fn looked(one: &Looked) -> HashMap<String, Variant<'static>> {
    let texts = [
        ("Side", Variant::from(one.side.as_str())),
        ("Spot", Variant::from(one.spot.to_string())),
        ("State", Variant::from(one.state().as_str())),
    ];
    let figures = [
        ("GoodSecs", one.good_secs),
        ("GoodMm", one.good_mm),
        ("FastSecs", one.fast_secs),
        ("PoorSecs", one.poor_secs),
        ("UnjudgedSecs", one.unjudged_secs),
    ];
    let figures = figures.map(|(name, value)| (name, Variant::from(value)));
    let planes = [("Radial", Variant::from(one.radial)), ("Antiradial", Variant::from(one.antiradial))];
    texts.into_iter().chain(figures).chain(planes).map(|(name, value)| (name.to_owned(), value)).collect()
}

pub fn stats(stats: &Stats, recording: &Recording) -> Dictionary {
    let stage = |(name, latency): &(String, Latency)| -> HashMap<String, Variant<'static>> {
        let Latency { count, p50, p99, p999, max } = *latency;
        let numbers = [("P50", p50), ("P99", p99), ("P999", p999), ("Max", max)];
        let mut entries: HashMap<_, _> = numbers.map(|(name, ms)| (name.to_owned(), Variant::from(ms))).into();
        entries.insert("Stage".into(), Variant::from(name.clone()));
        entries.insert("Count".into(), Variant::from(count));
        entries
    };
    dictionary([
        ("Pictures", owned(stats.pictures)),
        ("Lost", owned(stats.lost)),
        ("Inferred", owned(stats.inferred)),
        ("Recorded", owned(recording.pictures)),
        ("Skipped", owned(recording.skipped)),
        ("Stages", owned(stats.stages.iter().map(stage).collect::<Vec<_>>())),
        ("Late", owned(stats.late)),
        ("OverlayCounts", owned(stats.overlay_counts.clone())),
    ])
}

pub fn entry(entry: &Entry) -> Dictionary {
    let Entry { patient, study_uid, date, time, modality, description, request: _, besides: _ } = entry;
    dictionary([
        ("PatientId", owned(patient.id.as_str())),
        ("PatientName", owned(patient.name.as_str())),
        ("BirthDate", owned(patient.birth_date.as_str())),
        ("AccessionNumber", owned(patient.accession_number.as_str())),
        ("StudyUid", owned(study_uid.as_str())),
        ("Date", owned(date.as_str())),
        ("Time", owned(time.as_str())),
        ("Modality", owned(modality.as_str())),
        ("Description", owned(description.as_str())),
    ])
}

pub fn server(server: &Server) -> Dictionary {
    let Server { name, answered_utc, trouble } = server;
    dictionary([
        ("Name", owned(name.as_str())),
        ("AnsweredUtc", owned(answered_utc.as_str())),
        ("Trouble", owned(trouble.as_str())),
    ])
}

/// Skipped entries as text, for example `3: damaged DICOM files`.
pub fn skipped(listing: &Listing) -> Vec<String> {
    listing.skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect()
}

pub fn proposal(proposal: &Proposal) -> Dictionary {
    let Proposal { profile, pictures, mm_per_pixel, .. } = proposal;
    let pixels = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let area = |Area { x, y, width, height }: Area| owned((pixels(x), pixels(y), pixels(width), pixels(height)));
    let mut summary = dictionary([
        ("Pictures", owned(pixels(*pictures))),
        ("Screen", owned((pixels(profile.screen[0]), pixels(profile.screen[1])))),
        ("Sector", area(profile.sector)),
        ("TextAreas", owned(pixels(profile.text.len()))),
    ]);
    if let Some((ticks, mm_per_tick)) = profile.drawn_ticks() {
        summary.insert("Ticks".into(), area(ticks));
        summary.insert("MmPerTick".into(), owned(f64::from(mm_per_tick)));
    }
    if let Some(mm) = mm_per_pixel {
        summary.insert("MmPerPixel".into(), owned(f64::from(*mm)));
    }
    summary
}
