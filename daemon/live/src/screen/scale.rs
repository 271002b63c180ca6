//! How large a pixel of a picture is, by its profile.

use hal::capture::convert;
use hal::capture::{self, Frame};

use super::profile::Profile;
use super::ticks;

/// Millimetres of tissue per pixel; `None` where nobody knows. The scanner redraws its scale when the depth changes, which is when people are
/// about to measure: when it cannot be read, there is none. `grey` is memory that is used again.
///
/// # Errors
/// When the bytes of the picture do not hold together.
pub fn read(profile: &Profile, frame: &Frame, grey: &mut Vec<u8>) -> Result<Option<f32>, capture::Error> {
    let Some((area, mm_per_tick)) = profile.ticks() else { return Ok(profile.fixed_scale()) };
    convert::grey_part(frame, area.into(), grey)?;
    Ok(ticks::find(grey, area.width).map(|ticks| mm_per_tick / ticks.spacing))
}
