//! A light of the kernel's LED class, or a buzzer that it knows as one (a GPIO line of `gpio-leds`).
//!
//! Source: Linux, Documentation/leds/leds-class.rst, Documentation/ABI/testing/sysfs-class-led (`brightness`: 0 is off and ends a trigger;
//! `trigger`: the chosen one in brackets); `delay_on` and `delay_off` in milliseconds
//! (drivers/leds/trigger/ledtrig-timer.c).

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::{Error, Indicator, IndicatorFault, Rhythm};
use crate::root::Root;

/// Of a name of a device in the kernel (NAME_MAX).
const LONGEST_NAME: usize = 255;
/// A file of sysfs is one page at most; the list of triggers is the longest.
const MOST_BYTES: u64 = 4096;

#[derive(Debug)]
pub struct Led {
    name: String,
    folder: PathBuf,
    /// What was shown last.
    shown: Option<Rhythm>,
}

/// Whether it can be the name of a folder, and of no other place.
pub(super) fn is_name(name: &str) -> bool {
    let is_sound = !name.is_empty() && name.len() <= LONGEST_NAME && name != "." && name != "..";
    is_sound && !name.chars().any(|c| c == '/' || c.is_control())
}

impl Led {
    pub(super) fn of(root: &Root, name: &str) -> Self {
        Self { name: name.to_owned(), folder: root.led_class().join(name), shown: None }
    }

    fn read(&self, file: &str) -> Option<String> {
        let path = self.folder.join(file);
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        let mut text = String::new();
        file.metadata().ok()?.is_file().then_some(())?;
        file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(file);
        let opened = OpenOptions::new().write(true).truncate(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let written = opened.and_then(|mut file| {
            if !file.metadata()?.is_file() {
                return Err(ErrorKind::InvalidInput.into());
            }
            file.write_all(text.as_bytes())
        });
        written.map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => IndicatorFault::NotPresent,
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => IndicatorFault::NotAllowed,
                ErrorKind::InvalidInput if file == "trigger" => IndicatorFault::CannotBlink,
                _ => IndicatorFault::Other,
            };
            Error::new(kind, format!("{}: {error}", path.display()))
        })
    }

    /// The trigger that is chosen.
    fn trigger(&self) -> Option<String> {
        let all = self.read("trigger")?;
        let chosen =
            all.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen.to_owned());
        Some(chosen.unwrap_or(all))
    }

    /// Nobody else has switched it meanwhile.
    fn still_shows(&self, rhythm: Rhythm) -> bool {
        let number = |file| self.read(file).and_then(|text| text.parse::<u32>().ok());
        let trigger = self.trigger();
        self.shown == Some(rhythm)
            && match rhythm {
                Rhythm::Off => number("brightness") == Some(0),
                Rhythm::On => trigger.as_deref() == Some("none") && number("brightness").is_some_and(|now| now > 0),
                Rhythm::Blink { on_ms, off_ms } => {
                    trigger.as_deref() == Some("timer")
                        && (number("delay_on"), number("delay_off")) == (Some(on_ms), Some(off_ms))
                }
            }
    }
}

impl Indicator for Led {
    fn name(&self) -> &str {
        &self.name
    }

    fn show(&mut self, rhythm: Rhythm) -> Result<(), Error> {
        if self.still_shows(rhythm) {
            return Ok(());
        }
        self.shown = None;
        let full = self.read("max_brightness").filter(|text| text.parse::<u32>().is_ok_and(|most| most > 0));
        let full = full.unwrap_or_else(|| "1".into());
        self.write("trigger", "none")?;
        self.write("brightness", if rhythm == Rhythm::Off { "0" } else { &full })?;
        if let Rhythm::Blink { on_ms, off_ms } = rhythm {
            self.write("trigger", "timer")?;
            self.write("delay_on", &on_ms.to_string())?;
            self.write("delay_off", &off_ms.to_string())?;
        }
        self.shown = Some(rhythm);
        Ok(())
    }
}
