//! What a vendor's scanner does, as read from its file in `hil-tests/vendors`. A difference between vendors is a field here, never a
//! branch by name; a key that is not known is an error. `hil-tests/vendors/README.md` says where the values come from.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One vendor's scanner.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// What people call it.
    pub name: String,
    /// Published documents that the values come from.
    pub sources: Vec<String>,
    /// What no document says, and was chosen here.
    pub assumed: Vec<String>,
    pub node: Node,
    /// A C-ECHO comes before these.
    #[serde(default)]
    pub echo_before: Vec<Step>,
    pub worklist: Option<Query>,
    pub storage: Storage,
    pub mpps: Option<Performed>,
    pub commitment: Option<Committing>,
    pub images: Images,
    #[serde(default)]
    pub header: Header,
}

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Worklist,
    Mpps,
    Images,
    Commitment,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub ae_title: String,
    pub implementation_class_uid: String,
    #[serde(default)]
    pub implementation_version_name: String,
    /// The largest PDU that it takes, bytes; 0: no limit.
    pub max_pdu: u32,
    /// It sends no larger fragments than this, bytes; absent: as large as the box takes.
    pub fragment_bytes: Option<usize>,
}

/// The question for the worklist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub syntaxes: Vec<String>,
    /// Keys that are matched. None: everything is asked for.
    pub matches: Vec<Key>,
    /// Further keys that are returned: group and element, such as `"0010,1030"`. Of the step: `"0040,0100/0040,0007"`.
    #[serde(default)]
    pub returns: Vec<String>,
    /// Specific Character Set of the question.
    #[serde(default)]
    pub character_set: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    Modality,
    /// Today.
    Date,
    /// The day before, today, and the day after.
    DateRange,
    /// Its own AE title.
    Station,
    PatientId,
    Accession,
    /// The first letters of the name and a `*`.
    NameBeginning,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Transfer syntaxes that are proposed for each class.
    pub syntaxes: Vec<String>,
    pub contexts: Contexts,
    /// Classes that are proposed although no image is of them.
    #[serde(default)]
    pub more_classes: Vec<String>,
    /// In which transfer syntax the images are sent.
    pub sends: String,
    /// Images in one association; absent: all.
    pub per_association: Option<usize>,
    #[serde(default)]
    pub order: Order,
    /// An association of its own for each series.
    #[serde(default)]
    pub series_apart: bool,
    /// Seconds between two associations, in the scanner's time: a minute is 10 ms here.
    #[serde(default)]
    pub pause_secs: f64,
    /// When it sends again what was not stored.
    pub retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contexts {
    /// One context of a class for each transfer syntax.
    OnePerSyntax,
    /// One context of a class with all of them.
    OnePerClass,
    /// Twice the same context, with all of them.
    Twice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Ascending,
    Descending,
    /// One of each series in turn.
    Interleaved,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// How often, by itself. 0: a person must send the study again.
    pub times: u32,
    /// Only what was not stored, or the whole study.
    #[serde(default)]
    pub whole_study: bool,
}

/// The performed procedure step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Performed {
    pub begins: Begins,
    pub syntaxes: Vec<String>,
    /// Scheduled steps that it performs at once.
    #[serde(default = "one")]
    pub scheduled_steps: usize,
    /// N-SETs in progress, before the last one: one for each series.
    #[serde(default)]
    pub tells_each_series: bool,
    pub ends: Ends,
    /// It leaves the SOP Instance UID to the box.
    #[serde(default)]
    pub uid_from_peer: bool,
}

fn one() -> usize {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begins {
    BeforeImages,
    /// After the first association with images.
    WithImages,
    AfterImages,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    Completed,
    Discontinued,
}

/// Storage commitment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committing {
    pub asks: Asks,
    pub syntaxes: Vec<String>,
    /// It proposes the role of the SCU expressly.
    #[serde(default)]
    pub role_item: bool,
    pub report: Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// One transaction for the study, after its last image.
    AfterStudy,
    /// One for each series.
    AfterSeries,
    /// One for each association with images, when it has ended.
    AfterAssociation,
}

/// Where it listens for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// On its port, to which the box opens an association.
    OnItsPort,
    /// On the association of the question, which it keeps open.
    SameAssociation,
}

/// Where the images come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Images {
    /// A chest CT with localiser and dose report. `headers`: ge, siemens, philips, canon or united_imaging of the phantom; absent: plain.
    Chest {
        headers: Option<String>,
        #[serde(default)]
        reformats: bool,
    },
    /// The four views of a mammography. `headers`: ge, hologic, siemens, fujifilm or giotto.
    Mammograms { headers: String },
    /// Stills and clips of ultrasound.
    Ultrasound { stills: usize, clips: usize, body_part: String },
}

/// What it writes into every header, beside what an image of its kind has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// A group length (gggg,0000) for each group, as it was usual.
    pub group_lengths: bool,
    pub element: Vec<Element>,
}

/// One element: with `text`, `hex` (the bytes of the value) or neither (empty).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Group and element, such as `"0009,0010"`.
    pub tag: String,
    pub vr: String,
    pub text: Option<String>,
    pub hex: Option<String>,
}

impl Habits {
    /// # Errors
    /// When the file cannot be read, has a key or a word that is not known, or misses one.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let habits: Self = toml::from_str(text)?;
        ensure!(
            !habits.sources.is_empty() || !habits.assumed.is_empty(),
            "sources or assumed: say where it comes from"
        );
        ensure!(habits.storage.syntaxes.contains(&habits.storage.sends), "storage.sends is not proposed");
        let first = habits.storage.syntaxes.first();
        ensure!(
            habits.storage.contexts == Contexts::OnePerSyntax || first == Some(&habits.storage.sends),
            "storage.sends is not the first of storage.syntaxes: of one context with several the box takes the first"
        );
        ensure!(habits.node.ae_title.len() <= 16, "node.ae_title has more than 16 letters");
        ensure!(habits.storage.per_association != Some(0), "storage.per_association is 0");
        for element in &habits.header.element {
            element.tag().with_context(|| format!("header.element {:?}", element.tag))?;
            element.bytes().with_context(|| format!("header.element {:?}", element.tag))?;
            ensure!(element.vr.len() == 2, "header.element {:?}: vr {:?}", element.tag, element.vr);
        }
        Ok(habits)
    }

    /// Every vendor's file in this folder, in the order of their names, with the name of the file.
    ///
    /// # Errors
    /// As [`Habits::read`].
    pub fn all(folder: &Path) -> Result<Vec<(String, Self)>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                all.push((name, Self::read(&path)?));
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(all)
    }
}

impl Element {
    /// # Errors
    /// When it is none.
    pub fn tag(&self) -> Result<(u16, u16)> {
        tag(&self.tag)
    }

    /// # Errors
    /// When both `text` and `hex` are there, or `hex` is none.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        ensure!(self.text.is_none() || self.hex.is_none(), "text and hex");
        match (&self.text, &self.hex) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (_, Some(digits)) => Ok(hex::decode(digits.replace(' ', ""))?),
            _ => Ok(Vec::new()),
        }
    }
}

/// `"0010,0020"`.
///
/// # Errors
/// When it is none.
pub fn tag(text: &str) -> Result<(u16, u16)> {
    let (group, element) = text.split_once(',').context("not group,element")?;
    Ok((u16::from_str_radix(group, 16)?, u16::from_str_radix(element, 16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        name = "A"
        sources = ["a document"]
        assumed = []
        [node]
        ae_title = "A"
        implementation_class_uid = "1.2"
        max_pdu = 0
        [storage]
        syntaxes = ["1.2.840.10008.1.2"]
        contexts = "one_per_class"
        sends = "1.2.840.10008.1.2"
        retry = { times = 0 }
        [images]
        kind = "ultrasound"
        stills = 1
        clips = 0
        body_part = "BREAST"
    "#;

    #[test]
    fn a_key_a_word_or_a_value_that_is_not_known_is_refused_by_name() {
        Habits::parse(LEAST).unwrap();
        for (bad, word) in [
            (LEAST.replace("max_pdu", "max_pdus"), "max_pdus"),
            (LEAST.replace("one_per_class", "one_per_day"), "one_per_day"),
            (LEAST.replace("stills = 1", "stills = 1\nfilms = 2"), "films"),
            (LEAST.replace("sends = \"1.2.840.10008.1.2\"", "sends = \"1.2.840.10008.1.2.1\""), "not proposed"),
            (format!("{LEAST}\n[header]\nelement = [{{ tag = \"9\", vr = \"LO\" }}]"), "group,element"),
            (LEAST.replace("\"a document\"", ""), "where it comes from"),
        ] {
            let error = format!("{:#}", Habits::parse(&bad).unwrap_err());
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn every_vendor_s_file_is_read() {
        let all = Habits::all(&crate::vendor::folder()).unwrap();
        let mut titles: Vec<_> = all.iter().map(|(_, habits)| habits.node.ae_title.clone()).collect();
        titles.sort();
        titles.dedup();
        assert!(titles.len() == all.len() && all.len() >= 10, "each has its own AE title: {titles:?}");
    }
}
