//! Properties as they come with `GetAll` and `PropertiesChanged` -> what is known of the appliance. Pure. What a future appliance adds is
//! left out; what is absent stays as it was.

use std::collections::HashMap;

use zbus::OwnedVariant;

use crate::{Exam, Live, Stats, Status};

pub type Entries = HashMap<String, OwnedVariant>;

/// Those of Manager1.
pub fn of_appliance(status: &mut Status, entries: &Entries) {
    set(&mut status.version, text(entries, "Version"));
    set(&mut status.simulated, flag(entries, "Simulated"));
    set(&mut status.dicom_address, text(entries, "DicomAddress"));
    set(&mut status.accelerator, text(entries, "Accelerator"));
    set(&mut status.level, text(entries, "Level"));
    set(&mut status.level_reason, text(entries, "LevelReason"));
    set(&mut status.level_cause, text(entries, "LevelCause"));
    set(&mut status.heat, text(entries, "Heat"));
    set(&mut status.heat_reason, text(entries, "HeatReason").map(some));
    set(&mut status.free_bytes, large(entries, "FreeBytes"));
    set(&mut status.studies_left, signed(entries, "StudiesLeft").map(|left| u64::try_from(left).ok()));
    set(&mut status.memory_bytes, large(entries, "MemoryBytes"));
    set(&mut status.memory_limit_bytes, large(entries, "MemoryLimitBytes"));
    set(&mut status.studies, number(entries, "Studies"));
    set(&mut status.instances, large(entries, "Instances"));
    set(&mut status.series_receiving, number(entries, "SeriesReceiving"));
    set(&mut status.jobs_queued, number(entries, "JobsQueued"));
    set(&mut status.jobs_running, number(entries, "JobsRunning"));
    set(&mut status.jobs_parked, number(entries, "JobsParked"));
    set(&mut status.deliveries_pending, number(entries, "DeliveriesPending"));
    set(&mut status.deliveries_held, number(entries, "DeliveriesHeld"));
    set(&mut status.deliveries_parked, number(entries, "DeliveriesParked"));
    set(&mut status.oldest_pending_utc, text(entries, "OldestPendingUtc").map(some));
    set(&mut status.steps_waiting, number(entries, "StepsWaiting"));
    set(&mut status.steps_parked, number(entries, "StepsParked"));
    set(&mut status.tasks_open, number(entries, "TasksOpen"));
    set(&mut status.notices_waiting, number(entries, "NoticesWaiting"));
    set(&mut status.notices_parked, number(entries, "NoticesParked"));
    set(&mut status.quarantined, number(entries, "Quarantined"));
}

/// Those of Live1, and its figures if they are among them.
pub fn of_live(live: &mut Live, entries: &Entries) -> Option<Stats> {
    set(&mut live.sign, text(entries, "Sign"));
    set(&mut live.reason, text(entries, "Reason").map(some));
    set(&mut live.source, text(entries, "Source"));
    set(&mut live.profile, text(entries, "Profile"));
    set(&mut live.model, text(entries, "Model").map(some));
    set(&mut live.label, text(entries, "Label").map(some));
    set(&mut live.simulated, flag(entries, "Simulated"));
    set(&mut live.recording, text(entries, "Recording"));
    set(&mut live.recording_reason, text(entries, "RecordingReason").map(some));
    set(&mut live.exam, dictionary(entries, "Exam").map(|exam| Exam::of(&exam)));
    dictionary(entries, "Stats").map(|stats| Stats::of(&stats))
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn text(entries: &Entries, name: &str) -> Option<String> {
    entries.get(name).and_then(|value| <&str>::try_from(value).ok()).map(str::to_owned)
}

fn flag(entries: &Entries, name: &str) -> Option<bool> {
    entries.get(name).and_then(|value| bool::try_from(value).ok())
}

fn number(entries: &Entries, name: &str) -> Option<u32> {
    entries.get(name).and_then(|value| u32::try_from(value).ok())
}

fn large(entries: &Entries, name: &str) -> Option<u64> {
    entries.get(name).and_then(|value| u64::try_from(value).ok())
}

fn signed(entries: &Entries, name: &str) -> Option<i64> {
    entries.get(name).and_then(|value| i64::try_from(value).ok())
}

fn dictionary(entries: &Entries, name: &str) -> Option<Entries> {
    let value = entries.get(name)?.try_clone().ok()?;
    Entries::try_from(value).ok()
}
