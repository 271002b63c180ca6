//! The command line of lesions and recalls, as clap sees it.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use models::findings::Side;
use models::lesion::due::Interval;
use models::lesion::entry::Outcome;

pub const LESIONS_HELP: &str = "\
Examples:
  scansidectl lesions list --patient P1
  scansidectl lesions show 17
  scansidectl lesions place 43 --side left --clock 10 --distance 40 --by 'Li Ming'
  scansidectl lesions link 43 17 --by 'Li Ming'
  scansidectl lesions measure 17 --modality US --size 12x9x8 --by 'Li Ming'
  scansidectl lesions biopsy 17 --marker 'coil' --date 2026-11-02 --by 'Li Ming'
  scansidectl lesions result 17 benign --text 'fibroadenoma' --date 2026-11-05 --by 'Li Ming'
  scansidectl lesions treat 17 'chemotherapy' --by 'Li Ming'
  scansidectl lesions withdraw 51 --reason 'wrong patient' --by 'Li Ming'

A lesion has the number of its first sighting. Nothing that was entered is changed or removed: a
correction is another entry. Dates are today's when absent.";

pub const RECALLS_HELP: &str = "\
Examples:
  scansidectl recalls list
  scansidectl recalls list --overdue
  scansidectl recalls list --on 2027-03-01
  scansidectl recalls set 17 --in 6m --modality US --why 'probably harmless' --by 'Li Ming'
  scansidectl recalls done 52 --by 'Li Ming'
  scansidectl recalls cancel 52 --reason 'moved away' --by 'Li Ming'
  scansidectl recalls export --csv recalls.csv
  scansidectl recalls export --fhir recalls.json --all

A recall is done by itself when an exam of the patient comes, at most 30 days early, that surely shows the
breast. `lesions show` names the entry with which this can be undone: `lesions withdraw`.";

/// Who enters it.
#[derive(Debug, Args)]
pub struct By {
    /// Name of the person who enters this.
    #[arg(long, value_name = "NAME")]
    pub by: String,
}

#[derive(Debug, Subcommand)]
pub enum LesionsCommand {
    /// Lesions, and sightings about which nobody has decided.
    List {
        /// Only of this Patient ID.
        #[arg(long, value_name = "ID")]
        patient: Option<String>,
        /// Number of patients (0: all), those with the newest entries.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// One lesion: sightings, change, biopsies, treatment, recalls.
    Show {
        /// Of the lesion, or of a sighting of it.
        lesion: u64,
    },
    /// A sighting is of this lesion.
    Link {
        sighting: u64,
        lesion: u64,
        #[command(flatten)]
        by: By,
    },
    /// A sighting is of a lesion of its own.
    Split {
        sighting: u64,
        #[command(flatten)]
        by: By,
    },
    /// Where a sighting is. This may decide of which lesion it is.
    #[command(group = ArgGroup::new("where").required(true).multiple(true).args(["side", "clock", "distance"]))]
    Place {
        sighting: u64,
        #[arg(long)]
        side: Option<SideName>,
        /// Hour, 1 to 12, as seen by somebody who faces the patient.
        #[arg(long)]
        clock: Option<u8>,
        /// From the nipple, mm.
        #[arg(long, value_name = "MM")]
        distance: Option<f64>,
        #[command(flatten)]
        by: By,
    },
    /// A size that a person measured, or that the lesion is gone.
    #[command(group = ArgGroup::new("what").required(true).args(["size", "gone"]))]
    Measure {
        lesion: u64,
        /// One to three axes, mm, such as 12x9x8.
        #[arg(long, value_parser = axes)]
        size: Option<Axes>,
        /// It was looked for and is not there any more.
        #[arg(long)]
        gone: bool,
        /// US, MG, MR, ...
        #[arg(long)]
        modality: String,
        #[arg(long)]
        date: Option<Date>,
        #[command(flatten)]
        by: By,
    },
    /// A biopsy, with the marker that was left.
    Biopsy {
        lesion: u64,
        #[arg(long)]
        date: Option<Date>,
        #[arg(long, default_value = "")]
        marker: String,
        #[command(flatten)]
        by: By,
    },
    /// The result of a biopsy.
    Result {
        lesion: u64,
        outcome: OutcomeName,
        #[arg(long)]
        date: Option<Date>,
        /// In words.
        #[arg(long, default_value = "")]
        text: String,
        #[command(flatten)]
        by: By,
    },
    /// A treatment begins: change is judged from here on.
    Treat {
        lesion: u64,
        /// Which one.
        what: String,
        #[arg(long)]
        date: Option<Date>,
        #[command(flatten)]
        by: By,
    },
    /// An entry of a person was an error and does not count.
    Withdraw {
        entry: u64,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
}

#[derive(Debug, Subcommand)]
pub enum RecallsCommand {
    /// Who is to come again, the most overdue first.
    List {
        /// Only of this Patient ID.
        #[arg(long, value_name = "ID")]
        patient: Option<String>,
        /// Only those whose day has passed, or whose exam is of another patient now.
        #[arg(long)]
        overdue: bool,
        #[command(flatten)]
        which: Which,
    },
    /// A lesion is to be looked at again.
    #[command(group = ArgGroup::new("day").required(true).args(["due", "after", "suggested"]))]
    Set {
        lesion: u64,
        /// On this day.
        #[arg(long, value_name = "DATE")]
        due: Option<Date>,
        /// After this time from today: 10d, 2w, 6m, 1y.
        #[arg(long = "in", value_name = "INTERVAL")]
        after: Option<Interval>,
        /// As the published rule says that `lesions show` names.
        #[arg(long)]
        suggested: bool,
        /// US, MG, ...; any when absent.
        #[arg(long, default_value = "")]
        modality: String,
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        by: By,
    },
    /// It was done, here or elsewhere.
    Done {
        recall: u64,
        #[arg(long)]
        date: Option<Date>,
        #[command(flatten)]
        by: By,
    },
    /// It is not needed any more.
    Cancel {
        recall: u64,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
    /// Write the list to a file that must not exist; `-` is standard output.
    #[command(group = ArgGroup::new("form").required(true).args(["csv", "fhir"]))]
    Export {
        /// As CSV, for a spreadsheet.
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
        /// As an HL7 FHIR R4 bundle.
        #[arg(long, value_name = "FILE")]
        fhir: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
pub struct Which {
    /// Also those that are done or cancelled.
    #[arg(long)]
    pub all: bool,
    /// What is due and overdue on this day instead of today.
    #[arg(long, value_name = "DATE")]
    pub on: Option<Date>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SideName {
    Left,
    Right,
}

impl From<SideName> for Side {
    fn from(name: SideName) -> Self {
        match name {
            SideName::Left => Self::Left,
            SideName::Right => Self::Right,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OutcomeName {
    Benign,
    Malignant,
    Uncertain,
}

impl From<OutcomeName> for Outcome {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Benign => Self::Benign,
            OutcomeName::Malignant => Self::Malignant,
            OutcomeName::Uncertain => Self::Uncertain,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Axes(pub Vec<f64>);

fn axes(text: &str) -> Result<Axes, String> {
    let all = text.split(['x', 'X', '*']).map(|part| part.trim().parse()).collect::<Result<Vec<f64>, _>>();
    all.map(Axes).map_err(|_| "write the axes in mm, such as 12x9x8".to_owned())
}
