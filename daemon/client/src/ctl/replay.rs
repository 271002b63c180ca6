//! `live replay FILE`: a recording through the live path, without a daemon. Every picture is looked at.

use std::collections::BTreeMap;

use comfy_table::Cell;
use live::rehearsal::{self, Seen};
use live::screen::profile::{Area, Profiles};
use live::source::device;
use live::track::Policy;
use live::view::Sign;
use models::task::us_breast::lesion::Lesion;
use study::model::Shelf;
use study::model::for_live::FromShelf;

use super::args::ReplayOptions;
use super::config::broken;
use super::failure::Failure;
use super::output::{Output, Tone, count};

pub fn run(options: &ReplayOptions, output: &Output) -> Result<(), Failure> {
    let mut settings = config::load(&options.config).map_err(|error| broken(&error))?;
    if let Some(packages) = &options.packages {
        settings.analyze.packages.clone_from(packages);
        // Only these: what is installed on this machine does not count.
        settings.models.directory = Some(std::path::PathBuf::new());
    }
    let wanted = options.profile.as_ref().unwrap_or(&settings.live.profile);
    let profiles = Profiles::load(wanted)
        .map_err(|error| Failure::new(error.to_string(), "--profile takes auto, the name of a profile, or a file"))?;
    let mut recording = device::recording(&options.file).map_err(|error| damaged(&error))?;
    let (profiles, found) = rehearsal::profiles_for(recording.as_mut(), profiles).map_err(|error| damaged(&error))?;
    let supply = Box::new(FromShelf(Shelf::view(&settings.study()).for_live(settings.live.threads)));
    let mut told = Told { found, ..Told::default() };
    let mut broken_pipe = None;
    rehearsal::run(recording.as_mut(), profiles, supply, |_, seen| {
        told.take(&seen);
        if output.is_json() {
            broken_pipe = output.json(&seen).err();
        }
        broken_pipe.is_none()
    })
    .map_err(|error| damaged(&error))?;
    match broken_pipe {
        Some(failure) => Err(failure),
        None if output.is_json() => told.looked(),
        None => told.print(output),
    }
}

fn damaged(error: &hal::capture::Error) -> Failure {
    Failure::new(error.to_string(), "give a YUV4MPEG2 file or a DICOM ultrasound image")
}

/// What people want to know in the end.
#[derive(Default)]
struct Told {
    pictures: u64,
    looked_at: u64,
    sign: Sign,
    /// Where the image was found, when no profile fits.
    found: Option<Area>,
    /// First and last seen, s; as it was last.
    lesions: BTreeMap<u32, ([f64; 2], Lesion)>,
}

impl Told {
    fn take(&mut self, seen: &Seen) {
        self.pictures += 1;
        self.sign = seen.sign.clone();
        let Some(overlay) = &seen.overlay else { return };
        self.looked_at += 1;
        for lesion in &overlay.lesions {
            let entry = self.lesions.entry(lesion.id).or_insert_with(|| ([seen.time_s; 2], lesion.clone()));
            (entry.0[1], entry.1) = (seen.time_s, lesion.clone());
        }
    }

    /// # Errors
    /// When no picture was analysed, with the reason: then "no lesion" would mean nothing.
    fn looked(&self) -> Result<(), Failure> {
        if self.looked_at > 0 {
            return Ok(());
        }
        let reason = match &self.sign {
            Sign::NoOverlay { reason }
            | Sign::Paused { reason }
            | Sign::NoSignal { reason }
            | Sign::Failed { reason } => reason.as_str(),
            Sign::Off | Sign::Ready if self.pictures == 0 => "the recording has no pictures",
            Sign::Off | Sign::Ready => "the model gave no answer",
        };
        let pictures = count(self.pictures, "picture", "pictures");
        Err(Failure::new(
            format!("nothing was analysed ({pictures}), so nothing can be said of lesions: {reason}"),
            "--profile NAME or FILE says where the picture is on the screen, --packages which model is used",
        ))
    }

    fn print(&self, output: &Output) -> Result<(), Failure> {
        self.looked()?;
        let pictures = count(self.pictures, "picture", "pictures");
        output.line(&format!("{pictures}, {} analysed.", self.looked_at))?;
        if let Some(Area { x, y, width, height }) = self.found {
            output.line(&format!(
                "No scanner profile fits: the image was found in the picture, {width}x{height} pixels at {x}, {y}. Sizes are not \
                 measured."
            ))?;
        }
        if let Sign::NoOverlay { reason } | Sign::Paused { reason } = &self.sign {
            output.line(&output.paint(&format!("At the end: {reason}."), Tone::Busy))?;
        }
        // Fewer pictures than the tracker looks at to be sure of a lesion.
        if self.lesions.is_empty() && self.looked_at < u64::from(Policy::default().window) {
            return output.line(&format!(
                "Nothing can be said of lesions: one is shown when several pictures have it, and only {} analysed.",
                if self.looked_at == 1 { "1 was".to_owned() } else { format!("{} were", self.looked_at) }
            ));
        }
        if self.lesions.is_empty() {
            let analysed = count(self.looked_at, "picture", "pictures");
            return output.line(&format!("No lesion was found in the {analysed} analysed."));
        }
        let mut table = output.table(&["Lesion", "First s", "Last s", "Malignant", "Size mm", "Signs"]);
        for (id, ([first, last], lesion)) in &self.lesions {
            let size = lesion.size_mm.map_or_else(|| "-".into(), |[long, across]| format!("{long:.1} x {across:.1}"));
            table.add_row(vec![
                Cell::new(id),
                Cell::new(format!("{first:.2}")),
                Cell::new(format!("{last:.2}")),
                Cell::new(format!("{:.2}", lesion.malignant)),
                Cell::new(size),
                Cell::new(lesion.descriptors.join(", ")),
            ]);
        }
        output.print(table)
    }
}
