//! The command line, as clap sees it.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::acceptance::args::{ACCEPTANCE_HELP, AcceptanceOptions};
use super::bundle::args::{BUNDLE_HELP, BundleOptions};
use super::lesions::args::{LESIONS_HELP, LesionsCommand, RECALLS_HELP, RecallsCommand, SideName};
use super::retention::args::{RETENTION_HELP, RetentionOptions};
use super::teaching::args::{TEACHING_HELP, TeachingOptions};
use crate::doctor::text::Language;

const AFTER_HELP: &str = "\
Examples:
  scansidectl status
  sudo scansidectl setup
  scansidectl doctor
  sudo scansidectl acceptance --report /media/usb
  scansidectl studies list --state processed
  scansidectl studies show 12
  scansidectl studies rerun 12 --wait
  scansidectl outbox retry pacs
  scansidectl export 12 --to /media/usb
  scansidectl teaching 12 --to case-1 --title 'A nodule' --author 'Li Ming'
  scansidectl models install /media/usb/ct-chest.scanside --activate
  scansidectl live status
  scansidectl analyze /media/usb/CT --out results
  scansidectl --json studies list | jq '.[].verdicts'

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon cannot be reached.
Times are in local time, in JSON in UTC.";

const STATUS_HELP: &str = "\
Examples:
  scansidectl status
  scansidectl --json status | jq -r .level_cause
  scansidectl status --wait-level reduced --within 600                  # until studies are received
  scansidectl status --wait-level reduced --or-disk-full --within 600   # whether an update works

Levels, the best first: full, reduced, no_new_studies, no_output. Exit codes of --wait-level: 0 it is
this level or a better one, 1 it was not in time, 3 the daemon was not on the bus in time.";

const ALARM_HELP: &str = "\
Examples:
  ls /sys/class/leds
  sudo scansidectl config set alarm.light green:status
  sudo scansidectl alarm --once
  sudo systemctl enable --now scanside-alarm

Steady: all is well. Slow: somebody should look (`scansidectl watch` says why). Fast, and the buzzer:
studies are not taken, the video of an exam is lost, or the daemon does not answer.";

const PEERS_HELP: &str = "\
Examples:
  scansidectl peers list
  scansidectl peers learn CT1 --write
  scansidectl peers echo pacs";

const CONFIG_HELP: &str = "\
Examples:
  scansidectl config check
  sudo scansidectl config set dicom.listen 0.0.0.0:104
  sudo scansidectl config set dicom.ae_titles '[\"SCANSIDE\", \"AI1\"]' --dry-run
  sudo scansidectl config unset series.quiet_secs
  sudo scansidectl config history
  sudo scansidectl config diff 3
  sudo scansidectl config revert

A change is judged together with all the rest, as the daemon does at its start, before anything is
written. Comments and order stay. What was before is kept: the last 20 changes, in the folder
`history` beside the files.";

const SETUP_HELP: &str = "\
Examples:
  sudo scansidectl setup
  sudo scansidectl setup --language zh
  sudo scansidectl setup --time-zone Asia/Shanghai --yes
  sudo scansidectl setup --ae-title SCANSIDE --port 104 --sender CT1@192.0.2.10 \\
      --destination PACS@192.0.2.20:104 --yes
  scansidectl --json setup --answers site.toml --dry-run

FILE of --answers has the keys ae_title, port, sender, destination, language, time_zone, with the
same values as the options. What is neither in it nor among the options stays as it is.";

const MODELS_HELP: &str = "\
Examples:
  scansidectl models install /media/usb/ct-chest-1.2.0.scanside --activate
  scansidectl models list
  scansidectl models cancel ct-chest@1.2.0
  scansidectl models rollback ct_chest
  scansidectl models shadow ct-chest@1.3.0
  scansidectl models shadow
  scansidectl models verify ct-chest-1.2.0.scanside
  scansidectl models pack my-package --key maker.key

PACKAGE is an id, or id@version when there are several versions.";

const LIVE_HELP: &str = "\
Examples:
  scansidectl live status
  scansidectl live worklist
  scansidectl live start --accession A-1
  scansidectl live start --study-uid 2.25.20
  scansidectl live start --patient-id P1 --name 'DOE^JANE' --birth-date 19700101
  scansidectl live mark
  scansidectl live stats
  scansidectl --json live stats | jq '.stages[] | select(.stage == \"overlay\").p99'
  scansidectl live stop
  scansidectl live profile learn --out scanner.toml
  scansidectl live replay scan.y4m";

const CERT_HELP: &str = "\
Examples:
  scansidectl cert ca --name 'Clinic DICOM CA'
  scansidectl cert make scanside --host scanside.clinic.example --host 192.0.2.5
  scansidectl cert make ct1 --host 192.0.2.10
  scansidectl cert request scanside --host 192.0.2.5
  scansidectl cert sign /media/usb/pacs.csr
  scansidectl cert renew /etc/scanside/tls/scanside.pem
  scansidectl --json cert show /etc/scanside/tls/*.pem

NAME.pem is the certificate and may be given away, as may ca.pem; NAME.key is its private key. What is
made with sudo belongs to the owner of the directory: make that the user of the daemon.";

const REVIEW_HELP: &str = "\
Examples:
  scansidectl studies review 12
  scansidectl studies review 12 --by 'Li Ming' --accept nodule-1 --reject nodule-2='a vessel'
  scansidectl studies review 12 --by 'Li Ming' --reject rib-fracture-1 --accept-rest --wait
  scansidectl studies review 12 --by 'Li Ming' --edit nodule-1:long_mm=12.4 nodule-1:short_mm=8.1 --accept-rest
  scansidectl studies review 12 --by 'Li Ming' --edit nodule-2:lobe=left_lower nodule-2:comment='below the fissure' --accept-rest

A review is signed only when every finding has a decision. A later review takes the place of an earlier one; what that had
edited and this one accepts stays edited. Without a decision the list shows which fields of a finding can be edited.";

const WATCH_HELP: &str = "\
Examples:
  scansidectl watch
  scansidectl watch --language zh
  scansidectl watch --plain
  scansidectl watch --until-idle
  scansidectl --json watch | jq 'select(.event == \"delivery\")'

The dashboard names no patients until `n` is pressed. It goes on when the daemon is restarted. A window of 80 x 24
shows every panel; a smaller one leaves out events, disk, live video, destinations, in this order.
NO_COLOR is respected.";

const AUDIT_HELP: &str = "\
Examples:
  scansidectl audit
  scansidectl audit --since '7 days'
  scansidectl audit verify
  scansidectl audit export --since 2026-01-01 --dicom audit.xml

Users of the bus are shown by their number (`id -nu NUMBER`).";

const EXPORT_HELP: &str = "\
Examples:
  scansidectl export 12 --to /media/usb
  scansidectl export 12 13 --images --to /media/usb
  scansidectl export --since 2026-01-31 --to /media/usb
  scansidectl --json export --since '3 days' --to results

Any DICOM viewer opens the folder by its DICOMDIR. Studies are added to what was exported there before.
Exit code 1 when anything was left out: what was still being received or analysed, has no results, cannot be
read. It is listed with the reason; the rest is on the medium. Ctrl-C leaves the medium as it was.";

/// Controls a Scanside imaging appliance.
#[derive(Debug, Parser)]
#[command(name = "scansidectl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// Print JSON (one value; `watch` and `live watch`: one value per line).
    #[arg(long, global = true)]
    pub json: bool,
    /// `system`, `session`, or a D-Bus address.
    #[arg(long, global = true, value_name = "ADDRESS", env = "SCANSIDE_BUS", default_value = "system")]
    pub bus: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whether the appliance works, and what it is doing.
    #[command(after_help = STATUS_HELP)]
    Status(StatusOptions),
    /// Asks what a new site needs (AE title, port, who sends, where results go, language), tries each answer, and writes the
    /// configuration.
    #[command(after_help = SETUP_HELP)]
    Setup(SetupOptions),
    /// Studies that were received.
    Studies {
        #[command(subcommand)]
        command: StudiesCommand,
    },
    /// Series with their state and verdict, newest first.
    Series {
        /// Number of rows (10000 at most).
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only series of this study.
        #[arg(long)]
        study: Option<String>,
        /// receiving, complete, processed, refused or evicted.
        #[arg(long)]
        state: Option<String>,
    },
    /// Lesions of the breast over the years: which sightings are one, how it changed, biopsies, treatment.
    #[command(after_help = LESIONS_HELP)]
    Lesions {
        #[command(subcommand)]
        command: LesionsCommand,
    },
    /// Who is to come again: what is due and overdue.
    #[command(after_help = RECALLS_HELP)]
    Recalls {
        #[command(subcommand)]
        command: RecallsCommand,
    },
    /// Results on their way to other systems.
    Outbox {
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Model packages: install, activate, roll back, and make them.
    #[command(after_help = MODELS_HELP)]
    Models {
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// The live path for ultrasound video: its state, its figures, the exam.
    #[command(after_help = LIVE_HELP)]
    Live {
        #[command(subcommand)]
        command: LiveCommand,
    },
    /// Objects that cannot be parsed, or that have the UID of another object.
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Analyse a folder of DICOM files without the daemon.
    Analyze(AnalyzeOptions),
    /// What is wrong with this box, the gravest first, with cause and remedy. Works without the daemon, too.
    ///
    /// Exit codes: 0 nothing is wrong, 1 warnings, 2 something is broken.
    Doctor(LookOptions),
    /// Test the whole box, from its own DICOM port to the archive, and write a signed report: when it is installed, and daily.
    #[command(after_help = ACCEPTANCE_HELP)]
    Acceptance(AcceptanceOptions),
    /// Show with a light and a buzzer how this box is, until it is ended (scanside-alarm.service does).
    #[command(after_help = ALARM_HELP)]
    Alarm {
        /// Look once, show it and leave it so.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        look: LookOptions,
    },
    /// The time of this box, whether it is to be believed, and how it compares with what the scanners send.
    Clock(LookOptions),
    /// Who sends, where results go, and who was turned away.
    #[command(after_help = PEERS_HELP)]
    Peers {
        #[command(subcommand)]
        command: PeersCommand,
    },
    /// What happened to a study, in order: arrivals, analysis, results, deliveries.
    Journal {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
    },
    /// Write a file for whoever helps: state, log and configuration without what identifies a patient.
    #[command(after_help = BUNDLE_HELP)]
    Bundle(BundleOptions),
    /// Write studies to a folder or USB stick, for a viewer, a referral or a site without an archive: results, with names of
    /// patients.
    #[command(after_help = EXPORT_HELP)]
    Export(ExportOptions),
    /// Make a teaching file of a study: de-identified images, pictures, a text and a quiz, checked that they name nobody.
    #[command(after_help = TEACHING_HELP)]
    Teaching(TeachingOptions),
    /// What is kept, how long and why; which studies go next; keep one from eviction.
    #[command(after_help = RETENTION_HELP)]
    Retention(RetentionOptions),
    /// Who did what: exports, reviews, packages, logins, changes of the configuration; each row is chained to the one before.
    #[command(after_help = AUDIT_HELP)]
    Audit(AuditOptions),
    /// The box at a glance: on a terminal a dashboard (q quits, ? explains its keys), else a line for each event.
    #[command(after_help = WATCH_HELP)]
    Watch {
        /// Lines instead of the dashboard; end when nothing is being received, analysed or sent.
        #[arg(long)]
        until_idle: bool,
        /// A line for each event, on a terminal too.
        #[arg(long)]
        plain: bool,
        /// Language of the dashboard; that of the terminal when absent.
        #[arg(long, value_enum)]
        language: Option<Language>,
    },
    /// Test with C-ECHO (by HTTP, if it has a url) whether a destination answers and accepts the box.
    Echo {
        /// Name of the destination in the configuration.
        destination: String,
    },
    /// Certificates for DICOM over TLS: a CA for this site, the box and its peers. Without daemon and network.
    #[command(after_help = CERT_HELP)]
    Cert {
        #[command(subcommand)]
        command: CertCommand,
    },
    /// The daemon's configuration files: check, change, compare, go back.
    #[command(after_help = CONFIG_HELP)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print shell completions.
    Completions { shell: Shell },
}

#[derive(Debug, Args)]
pub struct AuditOptions {
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
    /// Rows since then: `2026-01-31` (local time), or how long ago: `3 days`.
    #[arg(long, value_name = "TIME", global = true)]
    pub since: Option<String>,
    /// Number of rows; 0: all.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no row was changed, removed or put in between; names the first that does not fit. Exit code 1 if there is one.
    Verify,
    /// Write the rows for an audit record repository.
    Export {
        /// DICOM audit messages (PS3.15 A.5), one XML document a line.
        #[arg(long, value_name = "FILE")]
        dicom: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct ExportOptions {
    /// Numbers as in `studies list`, study instance UIDs, or the beginnings of such.
    #[arg(required_unless_present = "since")]
    pub study: Vec<String>,
    /// Folder, for example that of a USB stick; it must be there.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// All studies of which something came since then: `2026-01-31` (local time), or how long ago: `3 days`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Also what was received: images and other objects.
    #[arg(long)]
    pub images: bool,
}

#[derive(Debug, Subcommand)]
pub enum PeersCommand {
    /// Senders with what came from them, destinations, and callers that were turned away.
    List {
        /// Language; that of the terminal when absent.
        #[arg(long, value_enum)]
        language: Option<Language>,
    },
    /// Admit a sender that was turned away: shows the configuration entry, or writes it.
    Learn(LearnOptions),
    /// Make the entry of a user as whom a sender comes (user identity): reads the passcode from the first line of the input and prints its hash. Needs no daemon.
    User {
        /// The user name, as the scanner sends it.
        name: String,
        /// The name alone counts: there is no passcode.
        #[arg(long)]
        without_passcode: bool,
    },
    /// Test destinations step by step: address, connection, AE titles, kinds of object, C-ECHO; with a url: TLS, HTTP, login, STOW-RS. Needs no daemon.
    Echo {
        /// Name in the configuration, `worklist` for the worklist server, `mpps` for the manager of exams, `prior` for the archive of earlier studies, `ups` for the manager of tasks (with what it offers), or the name of an inference host; all when absent.
        destination: Option<String>,
        #[command(flatten)]
        look: LookOptions,
    },
}

#[derive(Debug, Args)]
pub struct LearnOptions {
    /// Its AE title, as in `peers list`.
    pub ae_title: String,
    /// Write the entry to the configuration; the daemon must be restarted after that.
    #[arg(long)]
    pub write: bool,
    /// Admit it from any address, not only from the one that it called from.
    #[arg(long)]
    pub any_address: bool,
    /// Configuration file or directory (repeatable); the usual ones when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct LookOptions {
    /// Language; that of the terminal when absent.
    #[arg(long, value_enum)]
    pub language: Option<Language>,
    /// Configuration file or directory (repeatable); the usual ones when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// A tree with `dev`, `proc` and `sys` in place of the machine's, for tests.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    pub root: PathBuf,
}

#[derive(Debug, Args)]
pub struct ReviewOptions {
    /// Number as in `studies list`, study instance UID, or the beginning of one.
    pub study: String,
    /// Series instance UID, when several series of the study have findings.
    #[arg(long, value_name = "UID")]
    pub series: Option<String>,
    /// A finding that stays, with a comment for the report if there is one (repeatable).
    #[arg(long, value_name = "ID[=COMMENT]", num_args = 1..)]
    pub accept: Vec<String>,
    /// A finding that is none (repeatable).
    #[arg(long, value_name = "ID[=COMMENT]", num_args = 1..)]
    pub reject: Vec<String>,
    /// A value of a finding that stays, as you see it; `comment` says why (repeatable).
    #[arg(long, value_name = "ID:FIELD=VALUE", num_args = 1..)]
    pub edit: Vec<String>,
    /// Accept every finding that is not named.
    #[arg(long)]
    pub accept_rest: bool,
    /// Name of the person who signs.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Show progress and end when the signed results are made.
    #[arg(long)]
    pub wait: bool,
}

impl ReviewOptions {
    /// Is anything decided?
    pub fn signs(&self) -> bool {
        let named = !self.accept.is_empty() || !self.edit.is_empty() || !self.reject.is_empty();
        self.accept_rest || named || self.by.is_some()
    }
}

#[derive(Debug, Subcommand)]
pub enum StudiesCommand {
    /// All studies, newest first.
    List {
        /// Number of rows (10000 at most).
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// receiving, analyzing, processed, refused or evicted.
        #[arg(long)]
        state: Option<String>,
    },
    /// One study: series, findings, deliveries.
    Show {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
    },
    /// Decide about objects that were sent again under the same UIDs with other content.
    #[command(group = clap::ArgGroup::new("which").required(true).args(["take_new", "keep_old"]))]
    Resolve {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
        /// What came last counts: its series are analysed again, and reported under what it says.
        #[arg(long)]
        take_new: bool,
        /// What is used now stays.
        #[arg(long)]
        keep_old: bool,
    },
    /// Decide about each finding of a chest CT and sign: what is rejected is taken out of the results, what is edited gets your
    /// values; they are made and sent anew. Without a decision: list the findings with their ids.
    #[command(after_help = REVIEW_HELP)]
    Review(ReviewOptions),
    /// Analyse a study again.
    Rerun {
        /// Number as in `studies list`, study instance UID, or the beginning of one.
        study: String,
        /// Do it before all other waiting work.
        #[arg(long)]
        urgent: bool,
        /// Show progress and end when it is done.
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// Results that wait, newest first: those to be sent, those held because a simulated device made them, those parked.
    List {
        /// Number of rows (10000 at most).
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Also results that were delivered.
        #[arg(long)]
        all: bool,
        /// Only results for this destination.
        #[arg(long)]
        destination: Option<String>,
    },
    /// Try now instead of waiting for the next attempt.
    Retry {
        /// Only this destination.
        destination: Option<String>,
        /// Only this delivery, by its number in `outbox list`; also one that is parked or dropped.
        #[arg(long, value_name = "NO", conflicts_with = "destination")]
        only: Option<i64>,
    },
    /// Do not try a delivery any more until somebody asks for it.
    Park {
        /// Number as in `outbox list`.
        delivery: i64,
    },
    /// Never send a result to this destination.
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Drop {
        /// Number as in `outbox list`.
        #[arg(group = "which")]
        delivery: Option<i64>,
        /// All that waits for this destination, also what is held or parked. For one that was renamed or removed.
        #[arg(long, value_name = "NAME", group = "which")]
        destination: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// All packages, with their state.
    List,
    /// One package: what it is for, who signed it, how its build on this box went.
    Show { package: String },
    /// Install from a .scanside file, or from a signed directory (a USB stick, for example).
    Install {
        file: PathBuf,
        /// Build it, and use it from now on if all checks pass.
        #[arg(long)]
        activate: bool,
    },
    /// Check and load a package and run its self-test; it is not used yet.
    Build { package: String },
    /// Use this package from now on, after the same checks as `build`. The one before is kept for `rollback`.
    Activate { package: String },
    /// End a build that waits or runs, also one that was to activate its package. What is used now stays in use.
    Cancel { package: String },
    /// Go back to the package that was used before.
    Rollback {
        /// Task as in `models list`; not needed when there is only one.
        task: Option<String>,
    },
    /// Switch the active package off: its task analyses nothing until another is activated.
    Deactivate { package: String },
    /// Remove a package that is not in use.
    Remove { package: String },
    /// Check signature and hashes: of a package on the appliance, or of a file or directory here.
    Verify {
        /// A file or directory here (checked without a daemon), or a package of the appliance.
        package: String,
        /// Directory of trusted keys (repeatable) instead of the configured ones; for files and directories.
        #[arg(long, value_name = "DIR")]
        keys: Vec<PathBuf>,
    },
    /// Run a package beside the active one on each study, or list where their results differed.
    Shadow {
        /// Without it, lists the differences so far.
        package: Option<String>,
        /// Stop running it.
        #[arg(long, requires = "package")]
        off: bool,
        /// Number of runs (10000 at most).
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Sign a package directory (writes model.toml.minisig), for those who make packages.
    Sign {
        directory: PathBuf,
        /// minisign secret key; if it is encrypted, its password is asked for.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Pack a package directory into one .scanside file, signing it first if a key is given.
    Pack {
        directory: PathBuf,
        /// minisign secret key; without it the directory must be signed already.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Output file; without it, ID-VERSION.scanside in the current directory.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum LiveCommand {
    /// State, video source, model and exam.
    Status,
    /// Latency of each stage and lost pictures: of the exam, or since the start of the daemon.
    Stats,
    /// Patients on the worklist.
    Worklist,
    /// Start an exam, or name the patient of an exam that started automatically.
    Start {
        #[arg(long, value_name = "ID", required_unless_present_any = ["accession", "study_uid"])]
        patient_id: Option<String>,
        /// As in DICOM: FAMILY^GIVEN.
        #[arg(long, required_unless_present_any = ["accession", "study_uid"])]
        name: Option<String>,
        #[arg(long, value_name = "YYYYMMDD")]
        birth_date: Option<String>,
        /// Accession number of the order; without ID and name, the patient is taken from the worklist.
        #[arg(long, value_name = "NUMBER")]
        accession: Option<String>,
        /// Study UID of the order (`--json live worklist` has them): of several orders of a patient the one that is meant. Without ID and
        /// name, the patient is taken from the worklist.
        #[arg(long, value_name = "UID")]
        study_uid: Option<String>,
        /// Start although the scanner's screen shows another patient. Look at it first.
        #[arg(long)]
        despite_screen: bool,
    },
    /// End the exam; its recording becomes clips, key images and a report, which are sent.
    Stop,
    /// Freeze the picture on the page; the scanner is not affected.
    Freeze,
    /// Show live pictures again.
    Unfreeze,
    /// Keep this moment of the exam.
    Mark,
    /// Say which breast is scanned from now on. Lesions that are seen meanwhile are in it.
    Side { side: ScannedSide },
    /// Say where a lesion of the exam is, for example `live place 2 --clock 10 --distance 40`.
    #[command(group = ArgGroup::new("where").required(true).multiple(true).args(["side", "clock", "distance"]))]
    Place {
        /// Its number on the page.
        lesion: u32,
        #[arg(long)]
        side: Option<SideName>,
        /// Hour, 1 to 12, as seen by somebody who faces the patient.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=12))]
        clock: Option<u32>,
        /// From the nipple, mm.
        #[arg(long, value_name = "MM")]
        distance: Option<f64>,
    },
    /// Say where the probe is in the breast that is scanned, for example `live probe 3-middle --plane radial`, or move it by a step. Where
    /// it is said, the time spent there is counted (`live coverage`), and new lesions are placed at its hour.
    #[command(group = ArgGroup::new("whereto").multiple(true).args(["spot", "plane", "side"]))]
    #[command(group = ArgGroup::new("move").args(["step", "unsaid"]).conflicts_with("whereto"))]
    #[command(arg_required_else_help = true)]
    Probe {
        /// Hour on the clock and ring (inner: to 30 mm from the nipple, middle: to 60 mm, outer) as `3-middle`; or `nipple`, `axilla`.
        spot: Option<String>,
        /// Along the line from the nipple, or across it.
        #[arg(long, value_parser = ["radial", "antiradial"])]
        plane: Option<String>,
        /// The breast, when it is another one from now on.
        #[arg(long)]
        side: Option<SideName>,
        /// Move it from where it is said to be.
        #[arg(long, value_parser = ["next-hour", "previous-hour", "outward", "inward", "turn"])]
        step: Option<String>,
        /// It is not said any more.
        #[arg(long)]
        unsaid: bool,
    },
    /// What of each breast was looked at in the running exam: a freehand estimate.
    Coverage,
    /// Show each change of state and exam as it happens.
    Watch,
    /// Scanner profiles: where image, text and depth scale are on the screen.
    Profile {
        #[command(subcommand)]
        command: ProfileCommand,
    },
    /// Run a recording through the live path without the daemon: every picture is analysed, however long it takes.
    Replay(ReplayOptions),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScannedSide {
    Left,
    Right,
    /// It is not said any more.
    None,
}

/// The range is that of a profile.
fn aspect(text: &str) -> Result<f32, String> {
    let aspect = text.parse().ok().filter(|aspect| (0.25..=4.0).contains(aspect));
    aspect.ok_or_else(|| "a number from 0.25 to 4".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Propose a profile from the scanner's picture. Scan meanwhile, and check the proposal before you use it.
    Learn {
        /// How long to look at the picture, seconds.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=20))]
        seconds: u32,
        /// Name of the profile; made from the size of the screen when absent.
        #[arg(long)]
        name: Option<String>,
        /// Width of a pixel divided by its height, as you have measured it: how many pixels high a circle is, divided by how many it is wide. Until it
        /// is said no sizes are given, because grabbers stretch pictures.
        #[arg(long, value_name = "RATIO", value_parser = aspect)]
        pixel_aspect: Option<f32>,
        /// Write the profile here instead of to standard output; the file must not exist.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// All objects in quarantine, newest first, with reason and sender.
    List {
        /// Number of rows (10000 at most).
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// Where certificates are kept.
const TLS_DIRECTORY: &str = "/etc/scanside/tls";
pub const CA_DAYS: u32 = 3650;
/// The longest that Apple's and other TLS stacks took for a machine.
pub const MACHINE_DAYS: u32 = 825;

#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Make a CA: ca.pem and ca.key. Every peer that trusts ca.pem trusts what this CA issues.
    Ca {
        /// What peers show as the issuer.
        #[arg(long, default_value = "Scanside site CA")]
        name: String,
        #[arg(long = "dir", value_name = "DIR", default_value = TLS_DIRECTORY)]
        directory: PathBuf,
        #[arg(long, default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace files that exist.
        #[arg(long)]
        force: bool,
    },
    /// Make key and certificate of a machine (this box, a scanner, an archive), issued by the CA in DIR.
    Make {
        /// Name of the files, for example `scanside` or `ct1`.
        #[arg(value_parser = file_name)]
        name: String,
        /// Host name or address by which peers call the machine (repeatable).
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[arg(long = "dir", value_name = "DIR", default_value = TLS_DIRECTORY)]
        directory: PathBuf,
        #[arg(long, default_value_t = MACHINE_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace files that exist.
        #[arg(long)]
        force: bool,
    },
    /// Make a key and a request (NAME.csr) for the hospital's own CA.
    Request {
        #[arg(value_parser = file_name)]
        name: String,
        /// Host name or address by which peers call the machine (repeatable).
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
        #[arg(long = "dir", value_name = "DIR", default_value = TLS_DIRECTORY)]
        directory: PathBuf,
        /// Make a new key although there is one.
        #[arg(long)]
        force: bool,
    },
    /// Sign the request (.csr) of a peer that has made its own key; the certificate is written beside it.
    Sign {
        request: PathBuf,
        #[arg(long = "dir", value_name = "DIR", default_value = TLS_DIRECTORY)]
        directory: PathBuf,
        #[arg(long, default_value_t = MACHINE_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace a certificate that exists.
        #[arg(long)]
        force: bool,
    },
    /// Give a certificate new dates; names and key stay. The running daemon takes the new one by itself.
    Renew {
        file: PathBuf,
        /// Where the CA is; without it, beside the file.
        #[arg(long = "dir", value_name = "DIR")]
        directory: Option<PathBuf>,
        /// Without it as when it was made.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
    },
    /// Fingerprint, names and end of certificates.
    Show {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// The name of a file without its ending, in no other directory.
fn file_name(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if text.is_empty() || text == "ca" || text.starts_with('.') || !plain {
        return Err("letters, digits, '-', '_' and '.' make a name; `ca` is taken".into());
    }
    Ok(text.to_owned())
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read and validate the configuration; print what is in effect, or the mistakes.
    Check {
        /// Files or directories instead of the usual ones.
        paths: Vec<PathBuf>,
    },
    /// Change one key. The file changes only when the whole configuration is valid with it.
    Set {
        /// For example `dicom.max_pdu` or `destination.pacs.address`.
        key: String,
        /// As in the file; a text needs no quotes, a list of one no brackets.
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Take one key out of the site's files: its default counts again.
    Unset {
        key: String,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// The changes that were made with scansidectl, the newest last. `diff N` and `revert N` take their numbers.
    History {
        /// Configuration file or directory (repeatable); the usual ones when absent.
        #[arg(long, value_name = "PATH")]
        config: Vec<PathBuf>,
    },
    /// What the configuration of now says differently from an older one.
    Diff {
        /// Number as in `history`: what was before that change; or `good`: the one that the daemon was last seen to work with.
        /// When absent, `good`, or else the newest change.
        #[arg(value_name = "N")]
        with: Option<String>,
        /// Configuration file or directory (repeatable); the usual ones when absent.
        #[arg(long, value_name = "PATH")]
        config: Vec<PathBuf>,
        /// Where the daemon keeps the last good one.
        #[arg(long, value_name = "DIR", hide = true, default_value = "/var/lib/scanside")]
        state: PathBuf,
    },
    /// Go back to what was before a change; checked like any change, and itself one that can be reverted.
    Revert {
        /// Number as in `history`; the newest when absent.
        #[arg(value_name = "N")]
        number: Option<u32>,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

#[derive(Debug, Args)]
pub struct ChangeOptions {
    /// Show what would change, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Configuration file or directory (repeatable); the usual ones when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Wait until the box is at this level or a better one.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub wait_level: Option<LevelName>,
    /// How long, in seconds.
    #[arg(long, default_value_t = 60, requires = "wait_level", value_name = "SECS")]
    pub within: u64,
    /// A box that refuses studies only because its disk is full counts, too: no other software would help it.
    #[arg(long, requires = "wait_level")]
    pub or_disk_full: bool,
}

/// The best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum LevelName {
    Full,
    Reduced,
    NoNewStudies,
    NoOutput,
}

#[derive(Debug, Args)]
pub struct SetupOptions {
    /// TOML file with the answers: nothing is asked but whether to write.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// AE title of this box.
    #[arg(long, value_name = "AE")]
    pub ae_title: Option<String>,
    /// Port for DICOM.
    #[arg(long)]
    pub port: Option<String>,
    /// Who sends: AE@HOST, or AE alone for any address.
    #[arg(long, value_name = "AE@HOST")]
    pub sender: Option<String>,
    /// Where results go.
    #[arg(long, value_name = "AE@HOST:PORT")]
    pub destination: Option<String>,
    /// Language of the key images and of what is asked here: en or zh-CN.
    #[arg(long)]
    pub language: Option<String>,
    /// Time zone of the clinic, as Asia/Shanghai; UTC where the box is to count days in UTC.
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Ask nothing: what is not given stays as it is, the result is written and the service restarted.
    #[arg(long)]
    pub yes: bool,
    /// Write also when a check has failed.
    #[arg(long)]
    pub keep_anyway: bool,
    /// Do not restart the service.
    #[arg(long)]
    pub no_restart: bool,
    #[command(flatten)]
    pub change: ChangeOptions,
    /// A tree with `dev`, `proc` and `sys` in place of the machine's, for tests.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    pub root: PathBuf,
}

#[derive(Debug, Args)]
pub struct AnalyzeOptions {
    /// Folder of DICOM files; subfolders are searched too.
    pub directory: PathBuf,
    /// Folder for DICOM results and pictures.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Configuration file or directory (repeatable); the usual ones when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Directory of model packages instead of the configured one.
    #[arg(long, value_name = "DIR")]
    pub packages: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReplayOptions {
    /// YUV4MPEG2 video, or a DICOM ultrasound image with one or many frames.
    pub file: PathBuf,
    /// Scanner profile instead of the configured one.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Configuration file or directory (repeatable); the usual ones when absent.
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Directory of model packages instead of the configured one.
    #[arg(long, value_name = "DIR")]
    pub packages: Option<PathBuf>,
}
