//! Reads the pictures of a mammography, one after the other: only one is in memory at its full size.

use dicom::header::Header;
use dicom::mammogram::{self, Mammogram, turn};
use dicom::pixels::error::DecodeError;
use dicom::pixels::pictures::Pictures as Decoder;
use models::manifest::mammogram::Input;
use models::task::Control;
use models::task::mammography_views::{StandardView, ViewFound};
use models::task::mg_breast::marks::Given;
use models::task::mg_breast::withheld;
use models::task::mg_breast::{self, Channels, Expected, NotRead, Picture, PictureRead, Place, Reading, Remark, Side};
use report::views::{Hung, Mammography};

use super::{for_presentation, for_processing, is_additional, is_other_kind, part, sections};
use crate::analyze::examine::Error;
use crate::analyze::ultrasound::{Pictures, Stored};
use crate::volume;

/// Fewer bits hold no shades of grey.
const LEAST_BITS: u16 = 6;

/// What came of the pictures of a study.
pub(super) struct Read {
    /// Of each, in their order.
    pub(super) said: Vec<PictureRead>,
    /// Of the standard views: for a key image.
    hung: Vec<Hung>,
    /// Of the standard views, where a network is to be given them.
    pub(super) prepared: Vec<Prepared>,
}

/// A standard view for a network.
pub(super) struct Prepared {
    pub(super) view: StandardView,
    pub(super) sop_instance_uid: String,
    pub(super) header: withheld::Header,
    /// `None` when the picture was not read, or has no millimetres.
    pub(super) given: Option<Given>,
}

impl Read {
    pub(super) fn into_study(self, study: &mut Mammography) {
        study.views.pictures = self.said;
        study.hung = self.hung;
    }
}

/// Reads all. `found`: which pictures stand for the standard views. `input`: of the network that the standard views are prepared for.
///
/// # Errors
/// When bytes cannot be read now, or it was cancelled; what a picture does not allow is said of it.
pub(super) fn read(
    pictures: &Pictures<'_>,
    found: &[ViewFound],
    input: Option<&Input>,
    control: &dyn Control,
) -> Result<Read, Error> {
    let mut read = Read { said: Vec::new(), hung: Vec::new(), prepared: Vec::new() };
    // Raw pictures last: they are left out where the picture for presentation of the same view could be read.
    let mut order: Vec<usize> = (0..pictures.all.len()).collect();
    order.sort_by_key(|place| for_processing(&pictures.all[*place].header));
    let mut shown: Vec<Named<'_>> = Vec::new();
    let mut said_at = Vec::new();
    for (number, place) in order.into_iter().enumerate() {
        let stored = &pictures.all[place];
        if control.cancelled() {
            return Err(Error::Cancelled);
        }
        control.progress("volume", number as f64 / pictures.all.len() as f64);
        let view = by_header(&stored.header);
        let twin = for_processing(&stored.header) && shown.contains(&view);
        let standard = found.iter().find(|found| found.sop_instance_uid == stored.header.sop_instance_uid);
        let (said, looked) = one(stored, pictures.limit_bytes, twin, input.filter(|_| standard.is_some()))?;
        if let Some(standard) = standard {
            read.keep(standard.view, &said, looked, input.is_some());
        }
        let is_plain = !is_additional(&stored.header) && !is_other_kind(&stored.header);
        let is_shown = said.read.is_ok() && for_presentation(&stored.header) && is_plain;
        if is_shown && !view.0.is_empty() && !view.1.is_empty() {
            shown.push(view);
        }
        said_at.push((place, said));
    }
    said_at.sort_by_key(|(place, _)| *place);
    read.said = said_at.into_iter().map(|(_, said)| said).collect();
    Ok(read)
}

impl Read {
    /// What is needed later of a standard view.
    fn keep(&mut self, view: StandardView, said: &PictureRead, looked: Looked, for_network: bool) {
        let uid = || said.sop_instance_uid.clone();
        if let (Some(picture), true) = (looked.picture, said.read.is_ok()) {
            self.hung.push(Hung {
                view,
                sop_class_uid: said.sop_class_uid.clone(),
                sop_instance_uid: uid(),
                size: [picture.width, picture.height],
                grey: picture.bytes(),
                turn: turn::of(if view.is_right() { "R" } else { "L" }, &looked.facts.orientation),
            });
        }
        if for_network {
            let given =
                looked.prepared.map(|(place, channels)| Given { view, sop_instance_uid: uid(), channels, place });
            let header = withheld::Header {
                mm: looked.facts.mm.map(|mm| mm * looked.facts.magnified),
                phantom: looked.facts.phantom,
            };
            self.prepared.push(Prepared { view, sop_instance_uid: uid(), header, given });
        }
    }
}

/// Breast, view, and for a part its sections.
type Named<'a> = (&'a str, &'a str, Option<&'a [String]>);

/// What a header says that is shown. A part is another thing than the whole view, and than another part.
fn by_header(header: &Header) -> Named<'_> {
    let view = view_name(&header.projection.code, &header.projection.position);
    let part = part(header).then_some(header.projection.sections.as_slice());
    (&header.projection.laterality, view, part)
}

/// What its elements say of a picture, what was read in it, and the picture itself.
struct Looked {
    facts: Mammogram,
    read: Result<Reading, NotRead>,
    /// As it was read.
    picture: Option<Picture>,
    /// For a network.
    prepared: Option<(Place, Channels)>,
}

impl Looked {
    fn not(facts: Mammogram, why: NotRead) -> Self {
        Self { facts, read: Err(why), picture: None, prepared: None }
    }
}

/// `twin`: a picture for presentation shows the same view.
fn one(
    stored: &Stored<'_>,
    limit_bytes: u64,
    twin: bool,
    input: Option<&Input>,
) -> Result<(PictureRead, Looked), Error> {
    let header = &stored.header;
    let needed = volume::picture_bytes(header, stored.file_bytes);
    let looked = if is_additional(header) {
        Looked::not(Mammogram::default(), NotRead::Additional)
    } else if is_other_kind(header) {
        Looked::not(Mammogram::default(), NotRead::OtherKind)
    } else if twin {
        Looked::not(Mammogram::default(), NotRead::Processed)
    } else if needed > limit_bytes {
        Looked::not(Mammogram::default(), NotRead::TooLarge)
    } else {
        look(stored, input)?
    };
    let facts = &looked.facts;
    let (laterality, view) = by_both(header, facts);
    let remarks =
        looked.read.as_ref().map(|reading| remarks(header, facts, reading, laterality, view)).unwrap_or_default();
    let said = PictureRead {
        sop_class_uid: header.sop_class_uid.clone(),
        sop_instance_uid: header.sop_instance_uid.clone(),
        laterality: laterality.to_owned(),
        view: view.to_owned(),
        part: (part(header) || facts.partial).then(|| sections(header)),
        remarks,
        read: looked.read.clone(),
    };
    Ok((said, looked))
}

/// Which breast and which view all elements say, else the header.
fn by_both<'a>(header: &'a Header, facts: &'a Mammogram) -> (&'a str, &'a str) {
    let laterality = if facts.laterality.is_empty() { &header.projection.laterality } else { &facts.laterality };
    let code = if facts.view.is_empty() { &header.projection.code } else { &facts.view };
    (laterality, view_name(code, &header.projection.position))
}

fn look(stored: &Stored<'_>, input: Option<&Input>) -> Result<Looked, Error> {
    let decoder = match (stored.read)().and_then(|bytes| Decoder::open(&bytes)) {
        Ok(decoder) => decoder,
        Err(fault) => return undecoded(Mammogram::default(), fault),
    };
    let header = &decoder.header;
    let facts = mammogram::of(header, &decoder.data_set);
    if header.samples_per_pixel > 1 || (1..LEAST_BITS).contains(&header.bits_stored) {
        return Ok(Looked::not(facts, NotRead::NotGrey));
    }
    let samples = match decoder.decode(0).unwrap_or(Err(DecodeError::NoPixelData)) {
        Ok(samples) => samples,
        Err(fault) => return undecoded(facts, fault),
    };
    let levels = mammogram::levels(header, &decoder.data_set, &samples);
    drop(samples);
    let side = |side: u32| usize::try_from(side).unwrap_or(0);
    let size = [side(header.columns), side(header.rows)];
    let level = |x: usize, y: usize| levels.get(y * size[0] + x).copied().unwrap_or(0.0);
    let picture = Picture::reduced(size, facts.mm, level);
    let expected = Expected {
        muscle: shows_muscle(by_both(header, &facts).1),
        density: !(facts.implant || facts.partial || facts.film),
    };
    let looked = match (input, facts.mm) {
        (Some(input), Some(mm)) => {
            let magnified = facts.magnified;
            let place = |side: Side| Place { size, mm: mm * magnified, magnified, mirrored: side == Side::Right };
            mg_breast::read_for_network(&picture, expected, input, place, level)
        }
        _ => mg_breast::read(&picture, expected).map(|reading| (reading, None)),
    };
    let (mut read, prepared) = match looked {
        Ok((reading, prepared)) => (Ok(reading), prepared),
        Err(why) => (Err(NotRead::Picture(why)), None),
    };
    if facts.partial {
        read = read.map(Reading::of_part);
    }
    // With the muscle in it the dense part of a breast is too large.
    if let Ok(reading) = &mut read
        && expected.muscle
        && reading.muscle.is_none()
    {
        reading.density = None;
    }
    Ok(Looked { facts, read, picture: Some(picture), prepared })
}

/// What a repetition may mend is an error, the rest is said of the picture.
fn undecoded(facts: Mammogram, fault: DecodeError) -> Result<Looked, Error> {
    if fault.is_transient() {
        return Err(Error::Picture(fault));
    }
    Ok(Looked::not(facts, NotRead::Pixels(fault.to_string())))
}

fn remarks(header: &Header, facts: &Mammogram, reading: &Reading, laterality: &str, view: &str) -> Vec<Remark> {
    [
        (for_processing(header), Remark::ForProcessing),
        (facts.film, Remark::Film),
        (facts.implant, Remark::Implant),
        (facts.partial, Remark::Partial),
        (facts.mm.is_none(), Remark::NoSpacing),
        (!matches!(laterality, "L" | "R") || view.is_empty(), Remark::Unnamed),
        // A part need not show the chest wall, nor the muscle.
        (!facts.partial && lies_at_other_side(facts, reading), Remark::OtherSide),
        (!facts.partial && shows_muscle(view) && reading.muscle.is_none(), Remark::NoMuscle),
    ]
    .into_iter()
    .filter_map(|(holds, remark)| holds.then_some(remark))
    .collect()
}

fn lies_at_other_side(facts: &Mammogram, reading: &Reading) -> bool {
    chest_wall(&facts.orientation).is_some_and(|side| side != reading.chest_wall)
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
pub fn view_name<'a>(code: &str, position: &'a str) -> &'a str {
    match code {
        "399162004" | "R-10242" => "CC",
        "399368009" | "R-10226" => "MLO",
        "399260004" | "R-10224" => "ML",
        "399352003" | "R-10228" => "LM",
        "399099002" | "R-10230" => "LMO",
        "399196006" | "R-10244" => "FB",
        "399188001" | "R-102D0" => "SIO",
        "399192008" | "R-1024A" => "XCCL",
        "399101009" | "R-1024B" => "XCCM",
        "441555000" | "R-40AAA" => "ISO",
        _ => position,
    }
}

fn shows_muscle(view: &str) -> bool {
    matches!(view, "MLO" | "ML" | "LM" | "LMO")
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
        assert_eq!(view_name("R-10226", "CC"), "MLO");
        assert_eq!(view_name("", "ML"), "ML");
        assert_eq!(view_name("", ""), "");
    }
}
