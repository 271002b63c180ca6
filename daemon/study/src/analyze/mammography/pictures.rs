//! Reads the pictures of a mammography, one after the other: only one is in memory at its full size.

use dicom::header::Header;
use dicom::mammogram::{self, Mammogram};
use dicom::pixels::error::DecodeError;
use dicom::pixels::pictures::Pictures as Decoder;
use models::task::Control;
use models::task::mg_breast::{self, Expected, NotRead, Picture, PictureRead, Reading, Remark, Side};

use super::{for_presentation, for_processing, leaves_standard};
use crate::analyze::examine::Error;
use crate::analyze::ultrasound::{Pictures, Stored};
use crate::volume;

/// Fewer bits hold no shades of grey.
const LEAST_BITS: u16 = 6;

/// What is said of each, in the order of `pictures`.
///
/// # Errors
/// When bytes cannot be read now, or it was cancelled; what a picture does not allow is said of it.
pub(in crate::analyze) fn read(pictures: &Pictures<'_>, control: &dyn Control) -> Result<Vec<PictureRead>, Error> {
    let mut said = Vec::new();
    let shown: Vec<(String, String)> = pictures
        .all
        .iter()
        .filter(|stored| for_presentation(&stored.header) && !is_additional(&stored.header))
        .map(|stored| {
            (stored.header.projection.laterality.clone(), view(&stored.header.projection.code, &stored.header))
        })
        .collect();
    for (number, stored) in pictures.all.iter().enumerate() {
        if control.cancelled() {
            return Err(Error::Cancelled);
        }
        control.progress("volume", number as f64 / pictures.all.len() as f64);
        let own = (stored.header.projection.laterality.clone(), view(&stored.header.projection.code, &stored.header));
        let twin = for_processing(&stored.header) && shown.contains(&own);
        said.push(one(stored, pictures.limit_bytes, twin)?);
    }
    Ok(said)
}

/// What was looked at, and on which grid.
type Looked = (Mammogram, Result<(Reading, Picture), NotRead>);

/// `twin`: a picture for presentation shows the same view.
fn one(stored: &Stored<'_>, limit_bytes: u64, twin: bool) -> Result<PictureRead, Error> {
    let header = &stored.header;
    let needed = volume::picture_bytes(header, stored.file_bytes);
    let (facts, looked) = if is_additional(header) {
        (Mammogram::default(), Err(NotRead::Additional))
    } else if twin {
        (Mammogram::default(), Err(NotRead::Processed))
    } else if needed > limit_bytes {
        (Mammogram::default(), Err(NotRead::TooLarge))
    } else {
        look(stored)?
    };
    let laterality =
        if facts.laterality.is_empty() { header.projection.laterality.clone() } else { facts.laterality.clone() };
    let code = if facts.view.is_empty() { &header.projection.code } else { &facts.view };
    let view = view(code, header);
    let remarks = looked.as_ref().map(|(reading, _)| remarks(header, &facts, reading, &laterality, &view));
    let remarks = remarks.unwrap_or_default();
    let (read, picture) = match looked {
        Ok((reading, picture)) => (Ok(reading), Some(picture)),
        Err(why) => (Err(why), None),
    };
    Ok(PictureRead {
        sop_class_uid: header.sop_class_uid.clone(),
        sop_instance_uid: header.sop_instance_uid.clone(),
        laterality,
        view,
        remarks,
        read,
        picture,
    })
}

fn look(stored: &Stored<'_>) -> Result<Looked, Error> {
    let decoder = match (stored.read)().and_then(|bytes| Decoder::open(&bytes)) {
        Ok(decoder) => decoder,
        Err(fault) if fault.is_transient() => return Err(Error::Picture(fault)),
        Err(fault) => return Ok((Mammogram::default(), Err(NotRead::Pixels(fault.to_string())))),
    };
    let header = &decoder.header;
    let facts = mammogram::of(header, &decoder.data_set);
    if header.samples_per_pixel > 1 || (1..LEAST_BITS).contains(&header.bits_stored) {
        return Ok((facts, Err(NotRead::NotGrey)));
    }
    let samples = match decoder.decode(0).unwrap_or(Err(DecodeError::NoPixelData)) {
        Ok(samples) => samples,
        Err(fault) if fault.is_transient() => return Err(Error::Picture(fault)),
        Err(fault) => return Ok((facts, Err(NotRead::Pixels(fault.to_string())))),
    };
    let levels = mammogram::levels(header, &decoder.data_set, &samples);
    drop(samples);
    let side = |side: u32| usize::try_from(side).unwrap_or(0);
    let size = [side(header.columns), side(header.rows)];
    let level = |x: usize, y: usize| levels.get(y * size[0] + x).copied().unwrap_or(0.0);
    let picture = Picture::reduced(size, facts.mm, level);
    let code = if facts.view.is_empty() { &header.projection.code } else { &facts.view };
    let expected = Expected {
        muscle: shows_muscle(&view(code, header)),
        density: !(facts.implant || facts.partial || facts.film),
    };
    let mut read = mg_breast::read(&picture, expected);
    // With the muscle in it the dense part of a breast is too large.
    if let Ok(reading) = &mut read
        && expected.muscle
        && reading.muscle.is_none()
    {
        reading.density = None;
    }
    Ok((facts, read.map(|reading| (reading, picture)).map_err(NotRead::Picture)))
}

fn remarks(header: &Header, facts: &Mammogram, reading: &Reading, laterality: &str, view: &str) -> Vec<Remark> {
    [
        (for_processing(header), Remark::ForProcessing),
        (facts.film, Remark::Film),
        (facts.implant, Remark::Implant),
        (facts.partial, Remark::Partial),
        (facts.mm.is_none(), Remark::NoSpacing),
        (!matches!(laterality, "L" | "R") || view.is_empty(), Remark::Unnamed),
        (chest_wall(&facts.orientation).is_some_and(|side| side != reading.chest_wall), Remark::OtherSide),
        (shows_muscle(view) && reading.muscle.is_none(), Remark::NoMuscle),
    ]
    .into_iter()
    .filter_map(|(holds, remark)| holds.then_some(remark))
    .collect()
}

/// The side of the chest wall by Patient Orientation, which names the directions to the right and down: `P` is towards the
/// back, `A` to the nipple.
fn chest_wall([right, down]: &[String; 2]) -> Option<Side> {
    let names = |text: &str| (text.contains('A'), text.contains('P'));
    match (names(right), names(down)) {
        ((true, false), _) => Some(Side::Left),
        ((false, true), _) => Some(Side::Right),
        (_, (true, false)) => Some(Side::Top),
        (_, (false, true)) => Some(Side::Bottom),
        _ => None,
    }
}

/// In words: by the code (CID 4014, SCT or its older SRT form), else View Position.
fn view(code: &str, header: &Header) -> String {
    match code {
        "399162004" | "R-10242" => "CC".into(),
        "399368009" | "R-10226" => "MLO".into(),
        "399260004" | "R-10224" => "ML".into(),
        "399352003" | "R-10228" => "LM".into(),
        "399099002" | "R-10230" => "LMO".into(),
        "399196006" | "R-10244" => "FB".into(),
        "399188001" | "R-102D0" => "SIO".into(),
        "399192008" | "R-1024A" => "XCCL".into(),
        "399101009" | "R-1024B" => "XCCM".into(),
        _ => header.projection.position.clone(),
    }
}

fn shows_muscle(view: &str) -> bool {
    matches!(view, "MLO" | "ML" | "LM" | "LMO")
}

fn is_additional(header: &Header) -> bool {
    header.projection.modifiers.iter().any(|modifier| !leaves_standard(modifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_of_the_chest_wall_follows_from_patient_orientation() {
        for (right, down, expected) in [
            ("A", "F", Some(Side::Left)),
            ("P", "FL", Some(Side::Right)),
            ("A", "L", Some(Side::Left)),
            ("F", "P", Some(Side::Bottom)),
            ("F", "A", Some(Side::Top)),
            ("", "", None),
            ("L", "F", None),
        ] {
            assert_eq!(chest_wall(&[right.into(), down.into()]), expected, "{right} {down}");
        }
    }

    #[test]
    fn a_view_is_named_by_its_code_else_by_its_position() {
        let header = |position: &str| {
            let mut header = Header::default();
            header.projection.position = position.into();
            header
        };
        assert_eq!(view("R-10226", &header("CC")), "MLO");
        assert_eq!(view("", &header("ML")), "ML");
        assert_eq!(view("", &header("")), "");
    }
}
