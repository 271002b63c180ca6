//! The answers of `setup`: as people type them, as they stand in the configuration, and as changes of it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use config::Settings;
use config::edit::Change;
use config::value::inline;
use node::settings::Destination;
use serde::Deserialize;

use super::zone;
use crate::ctl::args::SetupOptions;
use crate::ctl::failure::Failure;
use crate::doctor::clock::is_utc;

/// The name of a destination that setup makes.
const DESTINATION: &str = "pacs";
/// The same, where that is the name of one with a URL.
const BESIDE_URL: &str = "pacs-dicom";
/// The answer for nobody and nowhere.
pub const NONE: &str = "-";

/// What is asked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    AeTitle,
    Port,
    Sender,
    Destination,
    Language,
    TimeZone,
}

impl Question {
    pub const ALL: [Self; 6] =
        [Self::AeTitle, Self::Port, Self::Sender, Self::Destination, Self::Language, Self::TimeZone];

    pub fn code(self) -> &'static str {
        match self {
            Self::AeTitle => "ae_title",
            Self::Port => "port",
            Self::Sender => "sender",
            Self::Destination => "destination",
            Self::Language => "language",
            Self::TimeZone => "time_zone",
        }
    }
}

/// Text as typed; checked one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    pub ae_title: String,
    pub port: String,
    pub sender: String,
    pub destination: String,
    pub language: String,
    /// [`NONE`]: it stays as it is, and nobody has said anything of it.
    pub time_zone: String,
}

/// As in the file of `--answers`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    ae_title: Option<String>,
    port: Option<toml::Value>,
    sender: Option<String>,
    destination: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
}

impl Given {
    /// The file, and the options, which win.
    pub fn of(options: &SetupOptions) -> Result<Self, Failure> {
        let file = options.answers.as_deref().map(read).transpose()?.unwrap_or_default();
        Ok(Self {
            ae_title: options.ae_title.clone().or(file.ae_title),
            port: options.port.clone().map(toml::Value::from).or(file.port),
            sender: options.sender.clone().or(file.sender),
            destination: options.destination.clone().or(file.destination),
            language: options.language.clone().or(file.language),
            time_zone: options.time_zone.clone().or(file.time_zone),
        })
    }

    pub fn get(&self, question: Question) -> Option<String> {
        match question {
            Question::AeTitle => self.ae_title.clone(),
            Question::Port => {
                self.port.as_ref().map(|port| port.as_str().map_or_else(|| port.to_string(), str::to_owned))
            }
            Question::Sender => self.sender.clone(),
            Question::Destination => self.destination.clone(),
            Question::Language => self.language.clone(),
            Question::TimeZone => self.time_zone.clone(),
        }
    }
}

fn read(file: &Path) -> Result<Given, Failure> {
    let wrong = |why: String| Failure::new(format!("{}: {why}", file.display()), "see `scansidectl setup --help`");
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// `AE@HOST`; the AE title may hold an `@` itself, a host may not.
pub fn peer(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((title, host)) if !host.is_empty() => (title.trim(), Some(host.trim())),
        _ => (text.trim_end_matches('@').trim(), None),
    }
}

impl Answers {
    /// What is configured now.
    pub fn present(settings: &Settings) -> Self {
        let sender = settings.dicom.sender.first().map(|sender| match sender.address {
            Some(address) => format!("{}@{address}", sender.ae_title.trim()),
            None => sender.ae_title.trim().to_owned(),
        });
        let destination = dicom_destination(settings);
        let destination = destination.map(|(_, one)| format!("{}@{}", one.ae_title.trim(), one.address));
        Self {
            ae_title: settings.dicom.ae_titles.first().cloned().unwrap_or_else(|| "SCANSIDE".into()),
            port: settings.dicom.listen.port().to_string(),
            sender: sender.unwrap_or_else(|| NONE.into()),
            destination: destination.unwrap_or_else(|| NONE.into()),
            language: settings.device.key_image_language.clone(),
            time_zone: if settings.device.utc_is_right { zone::UTC } else { NONE }.into(),
        }
    }

    /// With the zone of the machine where that is surely somebody's choice.
    pub fn in_zone(self, zone: Option<&str>) -> Self {
        match zone.filter(|zone| !is_utc(zone)) {
            Some(zone) => Self { time_zone: zone.to_owned(), ..self },
            None => self,
        }
    }

    pub fn get(&self, question: Question) -> &str {
        match question {
            Question::AeTitle => &self.ae_title,
            Question::Port => &self.port,
            Question::Sender => &self.sender,
            Question::Destination => &self.destination,
            Question::Language => &self.language,
            Question::TimeZone => &self.time_zone,
        }
    }

    pub fn put(&mut self, question: Question, answer: String) {
        *match question {
            Question::AeTitle => &mut self.ae_title,
            Question::Port => &mut self.port,
            Question::Sender => &mut self.sender,
            Question::Destination => &mut self.destination,
            Question::Language => &mut self.language,
            Question::TimeZone => &mut self.time_zone,
        } = answer;
    }

    /// Where the box would listen.
    pub fn listen(&self, settings: &Settings) -> SocketAddr {
        SocketAddr::new(settings.dicom.listen.ip(), self.port.parse().unwrap_or_else(|_| settings.dicom.listen.port()))
    }

    /// The title by which results are sent: that of the box where the two are the same now, or nothing says otherwise.
    pub fn calling(&self, settings: &Settings) -> String {
        let old = settings.dicom.ae_titles.first();
        match dicom_destination(settings) {
            Some((_, one)) if Some(&one.calling_ae_title) != old => one.calling_ae_title.clone(),
            _ => self.ae_title.clone(),
        }
    }

    /// What must change so that the configuration says the same. `address` is that of the sender's host.
    pub fn changes(&self, settings: &Settings, address: Option<IpAddr>) -> Vec<Change> {
        let mut changes = Vec::new();
        let quoted = |text: &str| inline(&toml::Value::from(text));
        let mut set = |key: String, value: String| changes.push(Change::Set { key, value });
        let present = Self::present(settings);
        if self.ae_title != present.ae_title {
            let others = settings.dicom.ae_titles.iter().skip(1).cloned();
            let titles = std::iter::once(self.ae_title.clone()).chain(others).map(toml::Value::from).collect();
            set("dicom.ae_titles".into(), inline(&toml::Value::Array(titles)));
        }
        if self.port != present.port {
            set("dicom.listen".into(), quoted(&self.listen(settings).to_string()));
        }
        if self.language != present.language {
            set("device.key_image_language".into(), quoted(&self.language));
        }
        // The zone itself is the machine's; only that UTC is meant stands in the configuration.
        let is_right = is_utc(&self.time_zone);
        if self.time_zone != NONE && is_right != settings.device.utc_is_right {
            set("device.utc_is_right".into(), is_right.to_string());
        }
        if self.destination == NONE
            && let [name] = dicom_destinations(settings)[..]
        {
            changes.push(Change::Unset { key: format!("destination.{name}") });
        } else if self.destination != NONE
            && let (title, Some(host)) = peer(&self.destination)
        {
            let known = dicom_destination(settings);
            let free = if settings.destination.contains_key(DESTINATION) { BESIDE_URL } else { DESTINATION };
            let name = known.map_or(free, |(name, _)| name.as_str());
            let known = known.map(|(_, destination)| destination);
            let calling = self.calling(settings);
            let old = known.map_or("SCANSIDE", |one| one.calling_ae_title.as_str());
            for (key, old, new) in [
                ("address", known.map(|one| one.address.as_str()), host),
                ("ae_title", known.map(|one| one.ae_title.as_str()), title),
                ("calling_ae_title", Some(old), calling.as_str()),
            ] {
                if old != Some(new) {
                    set(format!("destination.{name}.{key}"), quoted(new));
                }
            }
        }
        let (title, _) = peer(&self.sender);
        let known = settings
            .dicom
            .sender
            .iter()
            .any(|one| one.ae_title.trim() == title && (one.address.is_none() || one.address == address));
        if self.sender != NONE && !known {
            let mut entry = toml::Table::from_iter([("ae_title".to_owned(), toml::Value::from(title))]);
            if let Some(address) = address {
                entry.insert("address".into(), address.to_string().into());
            }
            changes.push(Change::Push { key: "dicom.sender".into(), entry });
        }
        changes
    }
}

/// Names of all destinations that are reached by DICOM.
pub fn dicom_destinations(settings: &Settings) -> Vec<&String> {
    settings.destination.iter().filter(|(_, one)| one.url.is_none()).map(|(name, _)| name).collect()
}

/// The first destination that is reached by DICOM: the questions are about no other.
pub fn dicom_destination(settings: &Settings) -> Option<(&String, &Destination)> {
    settings.destination.iter().find(|(_, one)| one.url.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_answers_change_nothing() {
        let mut settings = Settings::default();
        assert_eq!(Answers::present(&settings).changes(&settings, None), []);
        settings.dicom.sender.push(node::settings::Sender { ae_title: "CT1".into(), ..Default::default() });
        assert_eq!(Answers::present(&settings).changes(&settings, None), []);
    }

    #[test]
    fn only_who_says_utc_confirms_it_and_another_zone_takes_that_back() {
        let mut settings = Settings::default();
        let said = |zone: &str, settings: &Settings| {
            let mut answers = Answers::present(settings);
            answers.time_zone = zone.into();
            answers.changes(settings, None)
        };
        let set = |value: &str| vec![Change::Set { key: "device.utc_is_right".into(), value: value.into() }];
        assert_eq!(said(NONE, &settings), []);
        assert_eq!(said("Asia/Shanghai", &settings), []);
        assert_eq!(said("Etc/UTC", &settings), set("true"));
        settings.device.utc_is_right = true;
        assert_eq!((said("UTC", &settings), said(NONE, &settings)), (vec![], vec![]));
        assert_eq!(said("Asia/Shanghai", &settings), set("false"));
        let present = |zone| Answers::present(&Settings::default()).in_zone(zone).time_zone;
        assert_eq!([present(None), present(Some("UTC")), present(Some("Asia/Tokyo"))], [NONE, NONE, "Asia/Tokyo"]);
    }

    fn with_destinations(names: &[&str]) -> Settings {
        let mut settings = Settings::default();
        for name in names {
            let one = toml::from_str("address = \"192.0.2.20:104\"\nae_title = \"PACS\"").unwrap();
            settings.destination.insert((*name).to_owned(), one);
        }
        settings
    }

    #[test]
    fn the_answer_for_nowhere_takes_the_destination_out_and_of_several_none() {
        let nowhere = |settings: &Settings| {
            let mut answers = Answers::present(settings);
            answers.destination = NONE.into();
            answers.changes(settings, None)
        };
        assert_eq!(nowhere(&with_destinations(&["pacs"])), [Change::Unset { key: "destination.pacs".into() }]);
        assert_eq!(nowhere(&with_destinations(&[])), []);
        assert_eq!(nowhere(&with_destinations(&["pacs", "viewer"])), [], "which one is not known");
        let mut settings = with_destinations(&[]);
        let web = toml::from_str("url = \"https://192.0.2.20/dicom-web\"").unwrap();
        settings.destination.insert("web".into(), web);
        assert_eq!(nowhere(&settings), [], "the question is about those of DICOM");
    }

    #[test]
    fn peers_are_read_as_they_are_written() {
        assert_eq!(peer("PACS@pacs.example:104"), ("PACS", Some("pacs.example:104")));
        assert_eq!(peer("A@B@192.0.2.1:104"), ("A@B", Some("192.0.2.1:104")));
        assert_eq!(peer("CT1"), ("CT1", None));
        assert_eq!(peer("CT1@"), ("CT1", None));
    }

    #[test]
    fn results_go_by_the_new_title_of_the_box_unless_they_had_one_of_their_own() {
        let settings = Settings::default();
        let mut answers = Answers::present(&settings);
        answers.ae_title = "BOX7".into();
        answers.destination = "PACS@192.0.2.20:104".into();
        let keys: Vec<String> = answers
            .changes(&settings, None)
            .into_iter()
            .map(|change| match change {
                Change::Set { key, value } => format!("{key}={value}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            keys,
            [
                "dicom.ae_titles=[\"BOX7\"]",
                "destination.pacs.address=\"192.0.2.20:104\"",
                "destination.pacs.ae_title=\"PACS\"",
                "destination.pacs.calling_ae_title=\"BOX7\""
            ]
        );
    }
}
