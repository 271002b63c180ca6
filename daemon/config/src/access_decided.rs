//! A new key is decided about before it is shipped: may the fallback bring its older value back?

use super::{GUARDED, SWITCHES};
use crate::Settings;

/// Tables that come back only as they are today: see `narrow`.
const NARROWED: [&str; 11] = [
    "availability",
    "destination",
    "dicom.sender",
    "dicom.user",
    "inference",
    "inference_host",
    "live.worklist",
    "mpps",
    "prior",
    "ups",
    "worklist",
];

/// Keys that follow what is said today.
const FOLLOWED: [&str; 5] =
    ["analyze.mammography_views", "analyze.mg_breast", "analyze.mg_marks", "analyze.quality", "analyze.us_breast"];

/// Older values of these let nobody in, send nothing to anybody else and report nothing that was not reported: limits, times, places
/// on the disk, devices, names and certificates of the box itself. The addresses of the DICOM ports are among them: a box that cannot
/// be reached is what the fallback is to prevent, and who may send is asked at each address.
const HARMLESS: [&str; 60] = [
    "accelerator.library",
    "accelerator.provider",
    "accelerator.tensorrt",
    "accelerator.threads",
    "alarm.buzzer",
    "alarm.light",
    "analyze.max_attempts",
    "analyze.max_interruptions",
    "analyze.memory_mib",
    "analyze.packages",
    "analyze.retry_secs",
    "analyze.series",
    "analyze.unload_secs",
    "console.jpeg_quality",
    "console.key",
    "device.institution",
    "device.key_image_language",
    "device.serial_number",
    "device.station_name",
    "device.utc_is_right",
    "dicom.artim_secs",
    "dicom.commitment.accept",
    "dicom.commitment.max_instances",
    "dicom.commitment.max_open",
    "dicom.commitment.report_days",
    "dicom.commitment.retry_max_secs",
    "dicom.commitment.retry_secs",
    "dicom.commitment.wait_secs",
    "dicom.idle_secs",
    "dicom.listen",
    "dicom.max_associations",
    "dicom.max_pdu",
    "dicom.max_request_kib",
    "dicom.mpps.accept",
    "dicom.mpps.max_instances",
    "dicom.tls.certificate",
    "dicom.tls.key",
    "dicom.tls.listen",
    "live.auto_stop_secs",
    "live.deadline_ms",
    "live.device",
    "live.profile",
    "live.threads",
    "models.directory",
    "record.clip_secs",
    "record.jpeg_quality",
    "record.keep_secs",
    "sensors.every_secs",
    "sensors.source",
    "series.decode_ahead_mib",
    "series.quiet_secs",
    "series.release_grace_secs",
    "spool.check_mib_per_second",
    "spool.directory",
    "spool.evict_below_mib",
    "spool.keep_days",
    "spool.min_free_mib",
    "spool.ready_segments",
    "spool.segment_mib",
    "study.quiet_secs",
];

/// Every key, also those without a default: what the settings say of a key that they do not know. Tables that a site names, and lists, are one key.
fn keys(path: &str) -> Vec<String> {
    let asked = if path.is_empty() { "zz = 1".to_owned() } else { format!("[{path}]\nzz = 1") };
    let said = toml::from_str::<Settings>(&asked).err().map(|error| error.message().to_owned()).unwrap_or_default();
    let Some((_, expected)) = said.split_once("unknown field `zz`, expected ") else { return vec![path.to_owned()] };
    let names = expected.split('`').skip(1).step_by(2);
    names.flat_map(|name| keys(format!("{path}.{name}").trim_start_matches('.'))).collect()
}

#[test]
fn of_every_key_it_is_decided_whether_the_fallback_may_bring_its_older_value_back() {
    // Only what comes back as a whole is decided about as a whole.
    let is_in = |key: &str, listed: &[&str]| {
        let below = |table: &&&str| key.strip_prefix(**table).is_some_and(|rest| rest.starts_with('.'));
        listed.contains(&key) || listed.iter().filter(|table| NARROWED.contains(table)).any(|table| below(&table))
    };
    let switches = SWITCHES.map(|(key, _)| key);
    let (mut undecided, mut twice) = (Vec::new(), Vec::new());
    let all = keys("");
    assert!(all.len() > 120 && all.iter().any(|key| key == "console.token_file"), "{all:?}");
    for key in &all {
        let lists: [&[&str]; 5] = [&GUARDED, &switches, &NARROWED, &FOLLOWED, &HARMLESS];
        match lists.iter().filter(|list| is_in(key, list)).count() {
            0 => undecided.push(key.clone()),
            1 => {}
            _ => twice.push(key.clone()),
        }
    }
    assert_eq!((undecided, twice), (Vec::<String>::new(), Vec::<String>::new()));
    let exists = |listed: &str| all.iter().any(|key| is_in(key, &[listed]));
    let gone: Vec<_> = HARMLESS.iter().chain(&FOLLOWED).chain(&NARROWED).filter(|listed| !exists(listed)).collect();
    assert_eq!(gone, Vec::<&&str>::new(), "no such key any more");
}
