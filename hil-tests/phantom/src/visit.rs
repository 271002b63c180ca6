//! One visit of a phantom to a scanner: which vendor's, on which day, and how its name is written.
//!
//! Patients are fictional, and their Chinese given names say so (示例 "example", 虚构 "made up"). The same seed is the
//! same patient at every visit, so that a study and its prior belong together.

use std::str::FromStr;

use super::random::Random;
use super::scanner::Vendor;

/// What the headers of a study say besides the image. [`Visit::default`] is a generic scanner and the name PHANTOM^CHEST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visit {
    /// None: a generic scanner.
    pub vendor: Option<Vendor>,
    /// None: `PHANTOM^CHEST`, born on 29 February 1960.
    pub script: Option<Script>,
    pub day: Day,
    /// Adds the other series that vendors reconstruct: 5 mm slices and coronal reformats.
    pub reformats: bool,
    pub protocol: Protocol,
}

impl Visit {
    /// Vendor and script chosen by the seed.
    pub fn by_seed(seed: u64) -> Self {
        Self { vendor: Some(Vendor::by_seed(seed)), script: Some(Script::by_seed(seed)), ..Self::default() }
    }
}

/// The purpose of the scan. [`super::Options::calcium`] samples a scan that fits the headers of the second one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Chest,
    /// Calcium scoring: no contrast medium, triggered by the ECG, 120 kV.
    Calcium,
}

/// How names are written: Specific Character Set (0008,0005).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    Latin,
    /// Chinese in GB18030.
    Gb18030,
    /// Chinese in UTF-8.
    Utf8,
}

impl Script {
    pub const ALL: [Self; 3] = [Self::Latin, Self::Gb18030, Self::Utf8];

    pub fn by_seed(seed: u64) -> Self {
        Self::ALL[Random::new(seed, 62).below(3)]
    }

    /// Defined Term of Specific Character Set (PS3.3 C.12.1.1.2).
    pub fn term(self) -> &'static str {
        match self {
            Self::Latin => "ISO_IR 100",
            Self::Gb18030 => "GB18030",
            Self::Utf8 => "ISO_IR 192",
        }
    }
}

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Default for Day {
    fn default() -> Self {
        Self { year: 2026, month: 1, day: 5 }
    }
}

impl Day {
    /// As DICOM writes it (DA): YYYYMMDD.
    pub fn da(self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    /// Whole years from this day to `later`.
    fn years_until(self, later: Self) -> u16 {
        let had_birthday = (later.month, later.day) >= (self.month, self.day);
        later.year.saturating_sub(self.year).saturating_sub(u16::from(!had_birthday))
    }
}

impl FromStr for Day {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let refused = || anyhow::anyhow!("\"{text}\" is not a date such as 2026-01-05");
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(refused()) };
        if (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return Err(refused());
        }
        let day = Self {
            year: year.parse().map_err(|_| refused())?,
            month: month.parse().map_err(|_| refused())?,
            day: day.parse().map_err(|_| refused())?,
        };
        let leap = day.year.is_multiple_of(4) && (!day.year.is_multiple_of(100) || day.year.is_multiple_of(400));
        let length = match day.month {
            2 => 28 + u8::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if (1..=length).contains(&day.day) && (1900..2100).contains(&day.year) { Ok(day) } else { Err(refused()) }
    }
}

/// Identity of the phantom of one seed, as in the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    pub name: String,
    pub female: bool,
    pub born: Day,
}

impl Patient {
    /// An adult of 20 to 88 years in 2026.
    pub fn new(seed: u64, script: Script) -> Self {
        let female = is_female(seed);
        let mut random = Random::new(seed, 61);
        let born = Day {
            year: 1938 + random.below(68) as u16,
            month: 1 + random.below(12) as u8,
            day: 1 + random.below(28) as u8,
        };
        Self { name: name(script, female, &mut random), female, born }
    }

    /// A woman who is `age_years` old on the default day.
    pub fn woman(seed: u64, script: Script, age_years: u16) -> Self {
        let mut random = Random::new(seed, 65);
        // Nobody has a birthday before the default day of the year.
        let born = Day { year: 2025 - age_years, month: 2 + random.below(11) as u8, day: 1 + random.below(28) as u8 };
        Self { name: name(script, true, &mut random), female: true, born }
    }

    /// Patient's Age (AS) on the day of the study.
    pub fn age(&self, on: Day) -> String {
        format!("{:03}Y", self.born.years_until(on).min(999))
    }
}

/// Patient's Sex of a seed, from a separate stream of random numbers, so that the anatomy can agree with it.
pub fn is_female(seed: u64) -> bool {
    Random::new(seed, 60).chance(0.5)
}

fn name(script: Script, female: bool, random: &mut Random) -> String {
    const FAMILIES: [[&str; 2]; 8] = [
        ["Zhang", "张"],
        ["Wang", "王"],
        ["Li", "李"],
        ["Chen", "陈"],
        ["Liu", "刘"],
        ["Ouyang", "欧阳"],
        ["Lü", "吕"],
        // Four bytes in GB18030: beyond GBK, as a few living surnames are.
        ["Yan", "䶮"],
    ];
    const GIVEN: [[&str; 2]; 6] = [
        ["Shili", "示例"],
        ["Xugou", "虚构"],
        ["Moni", "模拟"],
        ["Jiaxiang", "假想"],
        ["Ceshi", "测试"],
        // The last byte of 錦 in GB18030 is a backslash: readers that split values before they decode them fail on it.
        ["Xujin", "虚錦"],
    ];
    const LATIN: [&str; 4] = ["Phantom", "Nobody", "Sampleton", "Muster"];
    let [family, family_in_chinese] = FAMILIES[random.below(FAMILIES.len())];
    let [given, given_in_chinese] = GIVEN[random.below(GIVEN.len())];
    let latin = LATIN[random.below(LATIN.len())];
    match script {
        Script::Latin if female => format!("{latin}^Renée"),
        Script::Latin => format!("{latin}^Jérôme"),
        // Both ways exist in practice: Chinese in the ideographic group after pinyin, and alone in the first group.
        _ if random.chance(0.6) => format!("{family}^{given}={family_in_chinese}^{given_in_chinese}"),
        _ => format!("{family_in_chinese}{given_in_chinese}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_taken_as_written_and_impossible_days_are_refused() {
        assert_eq!("2024-02-29".parse::<Day>().unwrap().da(), "20240229");
        for wrong in
            ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-5", "20260105", "", "2026-01-05-01", "1066-01-01"]
        {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_patient_stays_the_same_person_and_ages_between_visits() {
        let earlier: Day = "2021-06-01".parse().unwrap();
        for seed in 0..40 {
            let patient = Patient::new(seed, Script::Utf8);
            assert_eq!(patient, Patient::new(seed, Script::Utf8));
            assert_eq!(patient.born, Patient::new(seed, Script::Latin).born);
            assert!(patient.age(earlier) < patient.age(Day::default()));
        }
        assert_eq!(Day { year: 1960, month: 2, day: 29 }.years_until(Day::default()), 65);
    }

    #[test]
    fn every_patient_is_an_adult_at_the_first_visit_and_both_sexes_occur() {
        let patients: Vec<Patient> = (0..200).map(|seed| Patient::new(seed, Script::Latin)).collect();
        assert!(patients.iter().all(|p| p.age(Day::default()).as_str() >= "020Y"));
        let women = patients.iter().filter(|p| p.female).count();
        assert!((60..140).contains(&women), "{women} of 200");
    }
}
