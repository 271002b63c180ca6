//! Takes out of text what may identify a patient, before it leaves the box. Names cannot be listed, so text from outside is
//! kept only as far as it consists of plain lower-case words, short numbers, addresses and terms that are known to be
//! harmless. What identifies the patients that this box knows is removed besides, however it is written.

use std::collections::BTreeSet;

/// Words with capitals that stay.
const TERMS: &[&str] = &[
    "A-ABORT",
    "A-ASSOCIATE-RJ",
    "A-ASSOCIATE-RQ",
    "A-RELEASE",
    "AE",
    "API",
    "C-ECHO",
    "C-FIND",
    "C-STORE",
    "CPU",
    "CT",
    "CUDA",
    "D-Bus",
    "DICOM",
    "DX",
    "GPU",
    "GiB",
    "HTTP",
    "HU",
    "Hounsfield",
    "I",
    "IP",
    "JPEG",
    "KiB",
    "LUT",
    "Linux",
    "MG",
    "MPPS",
    "MR",
    "MiB",
    "Modality",
    "No",
    "NVIDIA",
    "ONNX",
    "OS",
    "PACS",
    "PDF",
    "PDU",
    "READY",
    "RGB",
    "RLE",
    "Runtime",
    "SC",
    "SCANSIDE",
    "SEG",
    "SOP",
    "SQLite",
    "SR",
    "TCP",
    "TLS",
    "TensorRT",
    "UID",
    "US",
    "USB",
    "UTC",
    "V4L2",
    "VR",
    "WAL",
];
/// Words with capitals of the doctor's own sentences, none of which is a name.
const OWN: &[&str] = &[
    "A",
    "After",
    "Analysis",
    "Another",
    "Archives",
    "At",
    "C-GET",
    "C-MOVE",
    "CA",
    "Damaged",
    "Each",
    "Exams",
    "For",
    "Held",
    "Inference",
    "It",
    "Its",
    "Live",
    "Memory",
    "Model",
    "Nobody",
    "Nothing",
    "RIS",
    "Results",
    "STOW-RS",
    "Scanners",
    "Somebody",
    "Studies",
    "The",
    "This",
    "UPS",
    "What",
    "Without",
];
/// Digits of a number that may be an ID or a date.
const LONG_NUMBER: usize = 5;

/// Knows the identities that this box has seen, and words with capitals that are the site's own.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// Lower case, the longest first.
    identities: Vec<String>,
    harmless: BTreeSet<String>,
}

impl Scrubber {
    /// `identities`: names, IDs, accession numbers, dates, UIDs, descriptions. `harmless`: AE titles, names of destinations
    /// and packages.
    pub fn new(identities: impl IntoIterator<Item = String>, harmless: impl IntoIterator<Item = String>) -> Self {
        let mut parts = BTreeSet::new();
        for identity in identities {
            let identity = identity.trim().to_lowercase();
            let words = identity.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-').map(str::to_owned);
            let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
            // A name of two short words is found as a whole, however they are put together.
            let turned: Vec<String> = words.iter().rev().cloned().collect();
            let joined: Vec<String> =
                [" ", ",", ", ", "^"].into_iter().flat_map(|by| [words.join(by), turned.join(by)]).collect();
            parts.extend(words.into_iter().chain(joined).chain([identity.clone()]).filter(|part| identifies(part)));
        }
        let harmless: BTreeSet<String> = harmless.into_iter().collect();
        let mut identities: Vec<String> =
            parts.into_iter().filter(|part| !harmless.iter().any(|word| word.eq_ignore_ascii_case(part))).collect();
        identities.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self { identities, harmless }
    }

    /// Text of our own making: only what is known to identify is taken out.
    pub fn known(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for identity in &self.identities {
            // Lower case may have another length (in Turkish, for example); then only the exact form is found.
            while let Some(at) = find(&text, identity) {
                text.replace_range(at..at + identity.len(), "...");
            }
        }
        text
    }

    /// Text that may quote anything.
    pub fn foreign(&self, text: &str) -> String {
        let words: Vec<String> = self.known(text).split(' ').map(|word| self.word(word)).collect();
        words.join(" ")
    }

    fn word(&self, word: &str) -> String {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let host = core.rsplit_once(':').map_or(core, |(host, _)| host);
        let listed = |text: &str| TERMS.contains(&text) || OWN.contains(&text) || self.harmless.contains(text);
        if core.is_empty() || listed(core) || host.parse::<std::net::IpAddr>().is_ok() || is_code(core) {
            return word.to_owned();
        }
        // A path may be named after anyone; where in the file it is may stay.
        if word.contains('/') {
            let line: String = word.chars().skip_while(|c| *c != ':').take(8).collect();
            return format!("(path){line}");
        }
        let plain = core.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.'=%(){}[],;:".contains(c));
        let digits = core.chars().filter(char::is_ascii_digit).count();
        if plain && digits < LONG_NUMBER { word.to_owned() } else { word.replace(core, "...") }
    }

    /// All strings of a JSON value; keys are ours.
    pub fn json(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.known(&text)),
            Value::Array(all) => Value::Array(all.into_iter().map(|one| self.json(one)).collect()),
            Value::Object(all) => Value::Object(all.into_iter().map(|(key, one)| (key, self.json(one))).collect()),
            other => other,
        }
    }
}

/// Without knowledge of any identity.
pub fn scrub(text: &str) -> String {
    Scrubber::default().foreign(text)
}

/// `0xa700`.
fn is_code(core: &str) -> bool {
    core.strip_prefix("0x").is_some_and(|rest| rest.len() <= 4 && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Shorter parts are in every other word.
fn identifies(part: &str) -> bool {
    let letters = part.chars().filter(|c| c.is_alphanumeric()).count();
    letters >= if part.is_ascii() { 3 } else { 1 }
}

fn find(text: &str, lower: &str) -> Option<usize> {
    let all = text.to_lowercase();
    let at = if all.len() == text.len() { all.find(lower) } else { text.find(lower) };
    at.filter(|at| text.is_char_boundary(*at) && text.is_char_boundary(at + lower.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_foreign_text_only_plain_words_terms_and_addresses_stay() {
        assert_eq!(
            scrub(
                "series 1.2.840.113619.2.5 of DOE^JANE refused: 3 slices missing, id=P1234567, Jane Doe, born 1970-01-01"
            ),
            "series ... of ... refused: 3 slices missing, ..., ... ..., born ..."
        );
        let kept = "connection to 192.0.2.20:104 refused (0xA700), no C-STORE for 12 s";
        assert_eq!(scrub(kept), kept);
        assert_eq!(scrub("姓名 王小明 /media/usb/Jane/x.toml:3: no"), "... ... (path):3: no");
    }

    #[test]
    fn what_identifies_a_known_patient_is_found_however_it_is_written() {
        let identities = ["DOE^JANE".to_owned(), "P-77".to_owned(), "王小明".to_owned()];
        let scrubber = Scrubber::new(identities, ["CT1".to_owned()]);
        assert_eq!(scrubber.known("jane doe (p-77), 王小明, janet"), "... (...), ..., ...t");
        assert_eq!(scrubber.foreign("from CT1: doe,jane"), "from CT1: ...");
    }

    #[test]
    fn a_name_of_two_short_words_is_found_in_either_order() {
        let scrubber = Scrubber::new(["LI^NA".to_owned()], None::<String>);
        for said in ["Li Na", "na li", "li,na", "Na, Li", "LI^NA"] {
            assert_eq!(scrubber.known(&format!("of {said} twice")), "of ... twice", "{said}");
        }
    }
}
