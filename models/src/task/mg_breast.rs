//! What is in one mammogram, measured without a network: the breast against its background, the side of the chest wall, the edge
//! of the pectoral muscle, the nipple, and how much of the breast is dense. Nothing of this is a finding.
//!
//! Every step is a pure function of one [`Picture`]. They work on [`Upright`] pictures, in which the chest wall is at the
//! left; `read` turns what was measured back to the picture that was given.

pub mod channels;
pub mod density;
pub mod kind;
mod level;
pub mod marks;
pub mod muscle;
pub mod nipple;
pub mod outline;
pub mod picture;
pub mod said;
pub mod scorer;
pub mod seen;
pub mod side;
pub mod withheld;

use serde::Serialize;

use crate::cast;
use crate::manifest::mammogram::Input;

pub use channels::{Channels, Place};
pub use density::{Category, Density};
pub use muscle::Muscle;
pub use nipple::{Nipple, Sureness};
pub use outline::Breast;
pub use picture::Picture;
pub use said::{NotRead, PictureRead, Remark};
pub use side::{Side, Upright};

/// What is known of a picture from its header before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// The projection shows the pectoral muscle (MLO, ML, LM); it is not looked for otherwise.
    pub muscle: bool,
    /// Values of the picture grow with density, so that a percentage can be measured. False for slices of a tomosynthesis.
    pub density: bool,
}

/// Why nothing is measured in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// Fewer pixels than a breast needs.
    TooSmall,
    /// All pixels have the same value, or nearly.
    Blank,
    /// Nothing in it has the size, place and shape of a breast.
    NoBreast,
    /// It looks like a negative: the background is bright and the breast dark.
    Inverted,
}

/// What was measured in one picture. Points are in pixels of that picture, x to the right and y down, 0 at its corner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// Millimetres for one pixel; without it no length is given.
    pub mm_per_pixel: Option<f32>,
    /// The side of the picture at which the chest wall lies.
    pub chest_wall: Side,
    pub breast: Breast,
    /// `None`: not looked for, or not seen.
    pub muscle: Option<Muscle>,
    pub nipple: Nipple,
    pub density: Option<Density>,
}

impl Reading {
    /// What holds where the picture shows only a part of the breast: areas and depths would be those of the part, and the nipple
    /// may be elsewhere.
    #[must_use]
    pub fn of_part(self) -> Self {
        Self {
            breast: Breast { area_cm2: None, depth_mm: None, ..self.breast },
            nipple: Nipple { to_chest_wall_mm: None, to_muscle_mm: None, ..self.nipple },
            density: None,
            ..self
        }
    }
}

/// Reads one picture.
///
/// # Errors
/// Why there is nothing to be measured.
pub fn read(picture: &Picture, expected: Expected) -> Result<Reading, Unreadable> {
    read_in(picture, expected).map(|(reading, _)| reading)
}

/// Reads one picture, and prepares it for a network: `of` makes the channels of the full picture, once its chest wall is known.
/// What is no breast is black in them. No channels where the picture has no millimetres.
///
/// # Errors
/// As [`read`].
pub fn read_for_network(
    picture: &Picture,
    expected: Expected,
    input: &Input,
    place: impl FnOnce(Side) -> Place,
    level: impl Fn(usize, usize) -> f32,
) -> Result<(Reading, Option<(Place, Channels)>), Unreadable> {
    let (reading, upright) = read_in(picture, expected)?;
    let prepared = picture.mm.and_then(|mm| {
        let place = place(reading.chest_wall);
        let mut channels = Channels::of(input, &place, reading.chest_wall, level)?;
        let covered = channels::Covered::new(&upright, mm * cast::single(place.magnified));
        channels.blank(input.pixel_mm, |point| covered.holds(point));
        Some((place, channels))
    });
    Ok((reading, prepared))
}

fn read_in(picture: &Picture, expected: Expected) -> Result<(Reading, Upright), Unreadable> {
    let found = outline::find(picture)?;
    let upright = Upright::new(picture, &found);
    let muscle = if expected.muscle { muscle::find(&upright) } else { None };
    let nipple = nipple::find(&upright, muscle.as_ref());
    let density = if expected.density { density::measure(&upright, muscle.as_ref()) } else { None };
    let back = |points: &[[f32; 2]]| points.iter().map(|point| upright.back(*point)).collect::<Vec<_>>();
    let reading = Reading {
        mm_per_pixel: picture.mm,
        chest_wall: upright.chest_wall,
        breast: Breast { outline: back(&upright.outline()), ..upright.breast() },
        muscle: muscle.map(|muscle| Muscle {
            edge: back(&muscle.edge),
            line: muscle.line.map(|p| upright.back(p)),
            ..muscle
        }),
        nipple: Nipple { at: upright.back(nipple.at), ..nipple },
        density,
    };
    Ok((reading, upright))
}

#[cfg(test)]
mod tests;
