//! The command line of `teaching`, as clap sees it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use report::teaching::{Category, Level};

use crate::doctor::text::Language;

pub const TEACHING_HELP: &str = "\
Examples:
  scansidectl teaching 12 --to case-1 --title 'A nodule beside a vessel' --author 'Li Ming'
  scansidectl teaching 12 --to case-1 --title 'Spiculated mass' --author 'Li Ming' --level primary \\
      --history 'Woman, felt a lump' --diagnosis 'Invasive carcinoma' --keywords mass,spiculated \\
      --text discussion.txt
  scansidectl teaching 12 --to case-1 --title Cyst --author 'Li Ming' --area 120,60,700,560

The folder holds de-identified DICOM copies with an IHE teaching file manifest, pictures with and
without outlines, a text, and quiz.html, which any browser opens without a network. Images in which
something may be written, and that do not tell where, are left out with the reason (exit code 1);
--area says where the image is. What was written is read back and searched for names, IDs, dates and
UIDs of the source: when any is found there is no folder. The shape of a face in a CT of the head
stays. Outlines are those of the box. Look at the pictures before you hand the folder on.";

#[derive(Debug, Args)]
pub struct TeachingOptions {
    /// Number as in `studies list`, study instance UID, or the beginning of one.
    pub study: String,
    /// The folder that is made; it must not be there yet.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// What there is to see, in one line. The quiz shows it at the end.
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    pub title: String,
    /// Who wrote the case.
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub author: String,
    /// The author's department or clinic.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub affiliation: String,
    /// What a reader would know before the images.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub history: String,
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub diagnosis: String,
    /// A file (UTF-8) with the discussion of the case.
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Separated by commas.
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub keywords: Vec<String>,
    /// For whom it is.
    #[arg(long, value_enum)]
    pub level: Option<LevelName>,
    /// What it is about; by the images when absent.
    #[arg(long, value_enum)]
    pub category: Option<CategoryName>,
    /// Where the image is in pictures that do not tell: left, top, right, bottom in pixels. All else in them becomes black.
    #[arg(long, value_name = "L,T,R,B", value_parser = area)]
    pub area: Option<[u32; 4]>,
    /// A word that is part of a name in the study and harmless here (repeatable).
    #[arg(long, value_name = "WORD")]
    pub allow: Vec<String>,
    /// The most pictures with outlines.
    #[arg(long, default_value_t = 12)]
    pub pictures: usize,
    /// Language of the text; that of the terminal when absent. The quiz has both.
    #[arg(long, value_enum)]
    pub language: Option<Language>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelName {
    Primary,
    Intermediate,
    Advanced,
}

impl LevelName {
    pub fn level(self) -> Level {
        match self {
            Self::Primary => Level::Primary,
            Self::Intermediate => Level::Intermediate,
            Self::Advanced => Level::Advanced,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CategoryName {
    Musculoskeletal,
    Pulmonary,
    Cardiovascular,
    Gastrointestinal,
    Genitourinary,
    Neuro,
    Vascular,
    Nuclear,
    Ultrasound,
    Pediatric,
    Breast,
}

impl CategoryName {
    pub fn category(self) -> Category {
        match self {
            Self::Musculoskeletal => Category::Musculoskeletal,
            Self::Pulmonary => Category::Pulmonary,
            Self::Cardiovascular => Category::Cardiovascular,
            Self::Gastrointestinal => Category::Gastrointestinal,
            Self::Genitourinary => Category::Genitourinary,
            Self::Neuro => Category::Neuro,
            Self::Vascular => Category::Vascular,
            Self::Nuclear => Category::Nuclear,
            Self::Ultrasound => Category::Ultrasound,
            Self::Pediatric => Category::Pediatric,
            Self::Breast => Category::Breast,
        }
    }
}

fn one_line(typed: &str) -> Result<String, String> {
    let text = typed.trim();
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err("it must be one line that is not empty".into());
    }
    Ok(text.to_owned())
}

fn area(typed: &str) -> Result<[u32; 4], String> {
    let wrong = || "for example 120,60,700,560: left, top, right, bottom".to_owned();
    let numbers: Vec<u32> =
        typed.split(',').map(|part| part.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let area: [u32; 4] = numbers.try_into().map_err(|_| wrong())?;
    if area[0] < area[2] && area[1] < area[3] { Ok(area) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_has_a_left_and_a_right_a_top_and_a_bottom() {
        assert_eq!(area("120, 60,700,560"), Ok([120, 60, 700, 560]));
        for wrong in ["", "1,2,3", "1,2,3,4,5", "5,0,5,9", "a,b,c,d", "-1,0,5,5"] {
            assert!(area(wrong).is_err(), "{wrong}");
        }
    }
}
