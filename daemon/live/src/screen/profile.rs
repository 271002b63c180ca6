//! Scanner profiles: facts about a scanner's screen, as data. They say which areas show the image, text that identifies
//! the patient, the depth scale and the freeze icon.
//!
//! To support a new scanner, copy a file of `daemon/live/profiles`, or let `learn` propose a profile.

use std::path::Path;

use hal::capture::convert::Part;
use models::task::us_breast::Sector;
use serde::{Deserialize, Serialize};

/// Why there is no scanner profile, or not the wanted one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or an unknown or missing key; with the line.
    #[error("{0}")]
    Syntax(String),
    /// A value that cannot be used.
    #[error("{key}: {reason}")]
    Value { key: &'static str, reason: String },
    #[error("the profile cannot be written as TOML: {0}")]
    Unwritable(String),
    #[error("{path}: {reason}")]
    Unreadable { path: String, reason: String },
    /// The file was read and is not a profile.
    #[error("{path}: {source}")]
    InFile { path: String, source: Box<Self> },
    #[error("{name:?} is not known; one of auto, {known}")]
    Unknown { name: String, known: String },
    /// `wanted` and `screen` are width and height, pixels.
    #[error("the profile {name} is for {}x{}, the picture has {}x{}", wanted[0], wanted[1], screen[0], screen[1])]
    OtherScreen { name: String, wanted: [usize; 2], screen: [usize; 2] },
    /// Width and height, pixels.
    #[error("no scanner profile for a screen of {}x{}: `scansidectl live profile learn` proposes one", .0[0], .0[1])]
    NoneForScreen([usize; 2]),
}

impl ProfileError {
    fn value(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Value { key, reason: reason.into() }
    }
}

/// The profiles that come with the software.
const SHIPPED: &[&str] =
    &[include_str!("../../profiles/phantom-1280x720.toml"), include_str!("../../profiles/phantom-1024x768.toml")];

/// A rectangle on the screen; as text [left, top, width, height], pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "[usize; 4]", into = "[usize; 4]")]
pub struct Area {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl From<[usize; 4]> for Area {
    fn from([x, y, width, height]: [usize; 4]) -> Self {
        Self { x, y, width, height }
    }
}

impl From<Area> for [usize; 4] {
    fn from(Area { x, y, width, height }: Area) -> Self {
        [x, y, width, height]
    }
}

impl From<Area> for Part {
    fn from(Area { x, y, width, height }: Area) -> Self {
        Self { x, y, width, height }
    }
}

impl From<Sector> for Area {
    fn from(Sector { x, y, width, height }: Sector) -> Self {
        Self { x, y, width, height }
    }
}

impl Area {
    /// Column after the last one, and row after the last one.
    pub fn end(&self) -> [usize; 2] {
        [self.x.saturating_add(self.width), self.y.saturating_add(self.height)]
    }

    fn lies_in(&self, [width, height]: [usize; 2]) -> bool {
        let [right, bottom] = self.end();
        self.width > 0 && self.height > 0 && right <= width && bottom <= height
    }
}

/// One scanner's screen.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// Width and height of the pictures, pixels.
    pub screen: [usize; 2],
    /// The image sector, which the network reads. It holds no text except what a user writes into the image.
    pub sector: Area,
    /// Where the scanner shows that its picture is frozen. Not used to detect a freeze (see `infer::still`); it
    /// documents the screen.
    pub freeze_icon: Option<Area>,
    /// Width of a pixel divided by its height, as somebody has measured it: grabbers stretch pictures. When it is absent or not 1, no sizes
    /// are given.
    pub pixel_aspect: Option<f32>,
    /// The way across the image plane, mm, over which the likeness of the probe's speckle falls to 1/e. When absent, 1 mm is assumed where
    /// the speed of the probe is estimated.
    pub elevation_mm: Option<f32>,
    /// When absent, no sizes are given.
    pub scale: Option<Scale>,
    /// Burned-in text.
    #[serde(default)]
    pub text: Vec<Text>,
}

/// How large a pixel is: fixed, or read from the ticks of the depth scale, which the scanner redraws when the depth
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub mm_per_pixel: Option<f32>,
    pub ticks: Option<Area>,
    /// Distance of neighbouring ticks, short ones included.
    pub mm_per_tick: Option<f32>,
}

/// An area of burned-in text.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub says: String,
    pub area: Area,
    /// It identifies the patient or the examination: blacked out in recordings when `record.mask_text` is set.
    #[serde(default)]
    pub identifies: bool,
}

impl Profile {
    /// Of a screen of which only the sector is known: no sizes, no text.
    pub fn of_sector(screen: [usize; 2], sector: Area) -> Self {
        let name = "found-in-the-picture".to_owned();
        Self {
            name,
            screen,
            sector,
            freeze_icon: None,
            pixel_aspect: None,
            scale: None,
            elevation_mm: None,
            text: Vec::new(),
        }
    }

    /// # Errors
    /// [`ProfileError::Syntax`] with the line, [`ProfileError::Value`] with the key.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let wrong = |error: toml::de::Error| ProfileError::Syntax(error.to_string().trim_end().to_owned());
        let profile: Self = toml::from_str(text).map_err(wrong)?;
        profile.check()?;
        Ok(profile)
    }

    /// The profile as the text of a TOML file.
    ///
    /// # Errors
    /// Not in practice: every profile has a TOML form.
    pub fn to_toml(&self) -> Result<String, ProfileError> {
        toml::to_string(self).map_err(|error| ProfileError::Unwritable(error.to_string()))
    }

    /// Returns the first value that cannot be used, with its key.
    fn check(&self) -> Result<(), ProfileError> {
        let wrong = |key, reason: String| Err(ProfileError::value(key, reason));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return wrong("name", format!("{:?}: 1 to 64 letters, digits, '.', '_' and '-'", self.name));
        }
        if self.name == "auto" || self.name == "off" {
            return wrong("name", format!("{:?} has a meaning of its own and cannot name a profile", self.name));
        }
        if !self.screen.iter().all(|side| (64..=16_384).contains(side)) {
            return wrong("screen", format!("{:?}: each side must be 64 to 16384 pixels", self.screen));
        }
        let scale = self.scale.and_then(|scale| scale.ticks);
        let named = [("sector", Some(self.sector)), ("freeze_icon", self.freeze_icon), ("scale.ticks", scale)];
        let areas = named.into_iter().filter_map(|(key, area)| Some((key, area?)));
        for (key, area) in areas.chain(self.text.iter().map(|text| ("text.area", text.area))) {
            if !area.lies_in(self.screen) {
                let corners = <[usize; 4]>::from(area);
                return wrong(key, format!("{corners:?} does not lie on a screen of {:?}", self.screen));
            }
        }
        if self.sector.width < 32 || self.sector.height < 32 {
            return wrong("sector", format!("{:?} is smaller than 32x32 pixels", <[usize; 4]>::from(self.sector)));
        }
        if let Some(aspect) = self.pixel_aspect.filter(|aspect| !(0.25..=4.0).contains(aspect)) {
            return wrong("pixel_aspect", format!("{aspect} is not within 0.25 to 4"));
        }
        if self.elevation_mm.is_some_and(|mm| !(0.1..=5.0).contains(&mm)) {
            return wrong("elevation_mm", "must be 0.1 to 5 mm".to_owned());
        }
        self.scale.map_or(Ok(()), |scale| scale.check())
    }

    /// Millimetres of tissue per pixel, where it is fixed.
    pub fn fixed_scale(&self) -> Option<f32> {
        self.scale.filter(|_| self.is_square()).and_then(|scale| scale.mm_per_pixel)
    }

    /// Area of the ticks, and the distance of neighbouring ticks in millimetres.
    pub fn ticks(&self) -> Option<(Area, f32)> {
        self.drawn_ticks().filter(|_| self.is_square())
    }

    /// The same, whatever the shape of the pixels: what holds down the picture need not hold across it.
    pub fn drawn_ticks(&self) -> Option<(Area, f32)> {
        let scale = self.scale?;
        Some((scale.ticks?, scale.mm_per_tick?))
    }

    fn is_square(&self) -> bool {
        self.pixel_aspect.is_some_and(|aspect| (aspect - 1.0).abs() < 0.01)
    }
}

impl Scale {
    fn check(&self) -> Result<(), ProfileError> {
        let range = |key: &'static str, value: f32, low: f32, high: f32| {
            let inside = (low..=high).contains(&value);
            let outside = || Err(ProfileError::value(key, format!("{value} mm is not within {low} to {high}")));
            if inside { Ok(()) } else { outside() }
        };
        match (self.mm_per_pixel, self.ticks, self.mm_per_tick) {
            (Some(mm), None, None) => range("scale.mm_per_pixel", mm, 0.005, 2.0),
            (None, Some(_), Some(mm)) => range("scale.mm_per_tick", mm, 0.5, 50.0),
            _ => Err(ProfileError::value("scale", "give either mm_per_pixel, or ticks and mm_per_tick")),
        }
    }
}

/// The available profiles, and the one that the configuration names.
#[derive(Debug, Clone)]
pub struct Profiles {
    all: Vec<Profile>,
    /// `None`: chosen by the size of the screen.
    wanted: Option<Profile>,
}

impl Profiles {
    /// `wanted` is `auto`, the name of a shipped profile, or a path to a file.
    ///
    /// # Errors
    /// When there is no such profile, or the file is not a profile.
    pub fn load(wanted: &str) -> Result<Self, ProfileError> {
        let all = SHIPPED.iter().map(|text| Profile::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let wanted = match wanted {
            "auto" => None,
            path if is_path(path) => {
                let unreadable = |error: std::io::Error| {
                    let (path, reason) = (path.to_owned(), error.to_string());
                    ProfileError::Unreadable { path, reason }
                };
                let text = std::fs::read_to_string(path).map_err(unreadable)?;
                let wrong = |error| ProfileError::InFile { path: path.to_owned(), source: Box::new(error) };
                Some(Profile::parse(&text).map_err(wrong)?)
            }
            name => {
                let known = || all.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
                let found = all.iter().find(|profile| profile.name == name).cloned();
                Some(found.ok_or_else(|| ProfileError::Unknown { name: name.to_owned(), known: known() })?)
            }
        };
        Ok(Self { all, wanted })
    }

    /// For pictures of a scanner (`simulated` is false) only a profile that is named counts: the shipped ones are of phantoms, and a screen
    /// of the same size shows neither image nor text where theirs are.
    pub fn for_pictures(mut self, simulated: bool) -> Self {
        if !simulated {
            self.all.clear();
        }
        self
    }

    /// Only these profiles, chosen by the size of the screen.
    pub fn of(all: Vec<Profile>) -> Self {
        Self { all, wanted: None }
    }

    /// The profile that the configuration names, if it names one.
    pub fn wanted(&self) -> Option<&Profile> {
        self.wanted.as_ref()
    }

    /// The profile for a screen of this width and height, pixels.
    ///
    /// # Errors
    /// [`ProfileError::OtherScreen`] when the named one does not fit, [`ProfileError::NoneForScreen`] when none does.
    pub fn choose(&self, screen: [usize; 2]) -> Result<&Profile, ProfileError> {
        match &self.wanted {
            Some(wanted) if wanted.screen == screen => Ok(wanted),
            Some(Profile { name, screen: wanted, .. }) => {
                Err(ProfileError::OtherScreen { name: name.clone(), wanted: *wanted, screen })
            }
            None => {
                let found = self.all.iter().find(|profile| profile.screen == screen);
                found.ok_or(ProfileError::NoneForScreen(screen))
            }
        }
    }
}

/// Whether `text` is a path and not the name of a profile.
pub fn is_path(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(|extension| extension == "toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Live;

    const GOOD: &str = "name = \"one\"\nscreen = [640, 480]\nsector = [10, 20, 600, 400]\n";

    #[test]
    fn every_profile_of_the_folder_is_shipped() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), SHIPPED.len());
    }

    #[test]
    fn shipped_profiles_are_good_and_chosen_by_the_size_of_the_screen() {
        let profiles = Profiles::load("auto").unwrap();
        for (screen, name) in [([1280, 720], "phantom-1280x720"), ([1024, 768], "phantom-1024x768")] {
            let profile = profiles.choose(screen).unwrap();
            assert_eq!(profile.name, name);
            assert!(profile.ticks().is_some() && profile.text.iter().any(|text| text.identifies));
            assert_eq!(Profile::parse(&profile.to_toml().unwrap()).unwrap(), *profile, "written and read again");
        }
        assert!(profiles.choose([800, 600]).unwrap_err().to_string().contains("800x600"));
    }

    #[test]
    fn a_phantoms_profile_is_never_chosen_for_a_scanner() {
        let live =
            |device: &str, profile: &str| Live { device: device.into(), profile: profile.into(), ..Live::default() };
        for screen in [[1280, 720], [1024, 768]] {
            let refused = live("/a/video/device", "auto").profiles().unwrap().choose(screen).unwrap_err();
            assert_eq!(refused, ProfileError::NoneForScreen(screen));
            assert!(refused.to_string().contains("live profile learn"), "{refused}");
            assert!(live("replay:phantom.y4m", "auto").profiles().unwrap().choose(screen).is_ok());
        }
        let named = live("/a/video/device", "phantom-1280x720").profiles().unwrap();
        assert!(named.choose([1280, 720]).is_ok(), "the kernel's pretend device may be given one by name");
    }

    #[test]
    fn a_named_profile_is_used_for_its_own_screen_only() {
        let profiles = Profiles::load("phantom-1024x768").unwrap();
        assert!(profiles.choose([1024, 768]).is_ok());
        assert!(profiles.choose([1280, 720]).unwrap_err().to_string().contains("1024x768"));
        assert!(Profiles::load("siemens").unwrap_err().to_string().contains("phantom-1280x720"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.toml");
        std::fs::write(&path, GOOD).unwrap();
        assert!(Profiles::load(path.to_str().unwrap()).unwrap().choose([640, 480]).is_ok());
        std::fs::write(&path, "name = 1").unwrap();
        let error = Profiles::load(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("own.toml") && error.contains("line 1"), "{error}");
        assert!(Profiles::load("/nonexistent/p.toml").unwrap_err().to_string().contains("/nonexistent/p.toml"));
    }

    #[test]
    fn each_mistake_is_named_by_its_key() {
        assert_eq!(Profile::parse(GOOD).unwrap().fixed_scale(), None);
        for (more, key) in [
            ("sectors = 1\n", "sectors"),
            ("freeze_icon = [630, 0, 20, 20]\n", "freeze_icon"),
            ("pixel_aspect = nan\n", "pixel_aspect"),
            ("elevation_mm = 0.0\n", "elevation_mm"),
            ("[scale]\nmm_per_pixel = 0.0\n", "scale.mm_per_pixel"),
            ("[scale]\nticks = [0, 0, 10, 400]\n", "scale"),
            ("[scale]\nmm_per_pixel = 0.1\nmm_per_tick = 5.0\n", "scale"),
            ("[scale]\nticks = [0, 0, 10, 400]\nmm_per_tick = 500.0\n", "scale.mm_per_tick"),
            ("[[text]]\nsays = \"x\"\narea = [0, 470, 10, 20]\n", "text.area"),
        ] {
            let error = Profile::parse(&format!("{GOOD}{more}")).unwrap_err().to_string();
            assert!(error.contains(key), "{more}: {error}");
        }
        for (from, to, key) in [
            ("\"one\"", "\"../one\"", "name"),
            ("\"one\"", "\"auto\"", "name"),
            ("[640, 480]", "[640, 0]", "screen"),
            ("[10, 20, 600, 400]", "[10, 20, 640, 400]", "sector"),
            ("[10, 20, 600, 400]", "[10, 20, 30, 400]", "sector"),
        ] {
            let error = Profile::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(key), "{to}: {error}");
        }
    }

    #[test]
    fn pixels_that_are_not_square_give_no_size() {
        let of = |aspect: &str| Profile::parse(&format!("{GOOD}{aspect}[scale]\nmm_per_pixel = 0.1\n")).unwrap();
        assert_eq!(of("pixel_aspect = 1.0\n").fixed_scale(), Some(0.1));
        assert_eq!(of("pixel_aspect = 1.2\n").fixed_scale(), None);
        assert_eq!(of("").fixed_scale(), None, "nobody has said that they are square");
        let ticks = "[scale]\nticks = [0, 0, 10, 400]\nmm_per_tick = 5.0\n";
        let learnt = Profile::parse(&format!("{GOOD}{ticks}")).unwrap();
        assert!(learnt.ticks().is_none() && learnt.drawn_ticks().is_some());
    }
}
