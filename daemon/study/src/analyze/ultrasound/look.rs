//! Looks at the pictures of a series, one after the other: only one of them is in memory, and of clips only the frames that
//! are looked at.

use dicom::header::Header;
use dicom::pixels::colour::Conversion;
use dicom::pixels::error::DecodeError;
use dicom::pixels::pictures::Pictures as Decoder;
use dicom::regions;
use hal::LoadedModel;
use models::cast::single;
use models::manifest::Manifest;
use models::task::us_breast::clip::{self, Seen};
use models::task::us_breast::colour::{self, Colours};
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::{Detection, Sector, Task, sector};
use models::task::{self, Control};
use report::stills::{KeyPicture, MOST_KEYS, MOST_LESIONS, NAMED, NotRead, StillImage, StillLesion, Stills, Unread};

use super::areas::{self, Area, Areas};
use super::square::Square;
use super::{Pictures, Stored, wanted};
use crate::analyze::engine;
use crate::lesions::visit;
use crate::volume;

/// Fewer bits hold no shades of grey: a drawing, or an error of the header.
const LEAST_BITS: u16 = 6;

/// What a repetition may mend.
#[derive(Debug, thiserror::Error)]
pub(in crate::analyze) enum Error {
    #[error("{0}")]
    Picture(DecodeError),
    #[error("{0}")]
    Task(#[from] task::Error),
    #[error("{0}")]
    Engine(#[from] engine::Error),
}

/// Everything that can be said of the pictures.
///
/// # Errors
/// When bytes cannot be read now, or the network fails.
pub(super) fn look(
    manifest: &Manifest,
    model: &mut dyn LoadedModel,
    pictures: &Pictures<'_>,
    control: &dyn Control,
) -> Result<Stills, Error> {
    let mut found = Found::default();
    let count = pictures.all.len();
    // Where no image says that it is of a breast, all were asked for.
    let mixed = pictures.all.iter().any(|stored| wanted::is_breast(&stored.header));
    for (number, stored) in pictures.all.iter().enumerate() {
        let progress = |part: f64| control.progress("inference", (number as f64 + part) / count as f64);
        if let Some(part) = wanted::other_part(&stored.header).filter(|_| mixed) {
            found.unread.push(unread(&stored.header, NotRead::OtherPart { part }, false));
            continue;
        }
        let mut looker = Looker { manifest, model, control, progress: &progress };
        match looker.image(stored, pictures.limit_bytes) {
            Ok(image) => found.take(image, &stored.header),
            Err(Stop::NotRead(why)) => found.unread.push(unread(&stored.header, why, false)),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
    Ok(found.stills())
}

fn unread(header: &Header, why: NotRead, in_part: bool) -> Unread {
    let side = visit::side(&header.projection.laterality);
    Unread { sop_instance_uid: header.sop_instance_uid.clone(), number: header.instance_number, why, side, in_part }
}

/// Why one image was not looked at to its end.
enum Stop {
    NotRead(NotRead),
    Error(Error),
}

impl From<NotRead> for Stop {
    fn from(why: NotRead) -> Self {
        Self::NotRead(why)
    }
}

impl From<DecodeError> for Stop {
    fn from(fault: DecodeError) -> Self {
        if fault.is_transient() { Self::Error(Error::Picture(fault)) } else { Self::NotRead(NotRead::Pixels(fault)) }
    }
}

impl From<task::Error> for Stop {
    fn from(error: task::Error) -> Self {
        Self::Error(error.into())
    }
}

/// What one image showed.
struct Image {
    image: StillImage,
    lesions: Vec<OneLesion>,
    /// What only one frame showed, and was left out.
    once: usize,
    /// Why parts of it were not read.
    in_part: Vec<NotRead>,
}

struct OneLesion {
    seen: Seen,
    area: Area,
    grey: Vec<u8>,
}

struct Looker<'a> {
    manifest: &'a Manifest,
    model: &'a mut dyn LoadedModel,
    control: &'a dyn Control,
    /// How much of this image is done.
    progress: &'a dyn Fn(f64),
}

/// One area over the frames of an image.
struct Spot {
    area: Area,
    square: Option<Square>,
    task: Task,
    looked: Vec<(usize, Vec<Detection>)>,
    /// The area as it was shown to the network, of the frames with a lesion.
    shown: Vec<(usize, Vec<u8>)>,
}

impl Looker<'_> {
    fn image(&mut self, stored: &Stored<'_>, limit_bytes: u64) -> Result<Image, Stop> {
        let header = &stored.header;
        let needed = volume::picture_bytes(header, stored.file_bytes);
        if needed > limit_bytes {
            let (needed_mib, limit_mib) = (needed.div_ceil(1 << 20), limit_bytes >> 20);
            return Err(NotRead::TooLarge { needed_mib, limit_mib }.into());
        }
        let decoder = Decoder::open(&(stored.read)()?)?;
        // A deflated one has its pixels elsewhere, but says the same.
        let header = &decoder.header;
        if (1..LEAST_BITS).contains(&header.bits_stored) {
            return Err(NotRead::Depth { bits: header.bits_stored }.into());
        }
        let conversion = Conversion::of(header, &decoder.data_set)
            .map_err(|_| NotRead::ColourSpace { photometric: header.photometric.clone() })?;
        let areas = areas::of(header, &regions::of(&decoder.data_set))?;
        let found = matches!(areas, Areas::Unnamed(_));
        let (mut spots, mut in_part) = match &areas {
            Areas::Named(named, rest) => {
                let spots = named.iter().map(|area| self.spot(*area)).collect::<Result<Vec<_>, _>>()?;
                (spots, rest.clone())
            }
            Areas::Unnamed(_) => (Vec::new(), Vec::new()),
        };
        let size = [pixels(header.columns), pixels(header.rows)];
        let frames = clip::frames(decoder.count());
        let mut painted_out = false;
        for (done, frame) in frames.iter().copied().enumerate() {
            (self.progress)(done as f64 / frames.len() as f64);
            if self.control.cancelled() {
                return Err(Stop::Error(Error::Task(task::Error::cancelled())));
            }
            let samples = match decoder.decode(frame).unwrap_or(Err(DecodeError::NoPixelData)) {
                Ok(samples) => samples,
                // One bad frame is no reason to leave out its clip.
                Err(fault) if !fault.is_transient() => {
                    note(&mut in_part, NotRead::Pixels(fault));
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            let channels = if conversion.is_grey() { 1 } else { 3 };
            let mut bytes = vec![0; size[0] * size[1] * channels];
            conversion.convert(&samples, size[0], &mut bytes);
            drop(samples);
            let picture = Picture { bytes, size, is_grey: conversion.is_grey() };
            if let (Areas::Unnamed(no_size), true) = (&areas, spots.is_empty()) {
                match picture.sector() {
                    Some(sector) => spots.push(self.spot(Area { sector, mm: Err(*no_size) })?),
                    None => note(&mut in_part, NotRead::NoSector),
                }
            }
            for spot in &mut spots {
                match picture.grey(spot.area.sector) {
                    Ok((grey, _)) if sector::is_flat(&grey) => note(&mut in_part, NotRead::NoSector),
                    Ok((grey, painted)) => {
                        painted_out |= painted;
                        self.infer(spot, frame, grey)?;
                    }
                    Err(why) => note(&mut in_part, why),
                }
            }
        }
        let looked =
            frames.iter().filter(|frame| spots.iter().any(|spot| spot.looked.iter().any(|(f, _)| f == *frame)));
        let looked = looked.count();
        if looked == 0 {
            return Err(in_part.into_iter().next().unwrap_or(NotRead::NoSector).into());
        }
        let image = StillImage {
            sop_class_uid: header.sop_class_uid.clone(),
            sop_instance_uid: header.sop_instance_uid.clone(),
            number: header.instance_number,
            size: [side(header.columns), side(header.rows)],
            frames: (decoder.count() > 1).then(|| [looked, decoder.count()]),
            found,
            painted_out,
            side: visit::side(&header.projection.laterality),
        };
        let (mut lesions, mut once) = (Vec::new(), 0);
        for spot in spots {
            let (own, left_out) = spot.lesions();
            lesions.extend(own);
            once += left_out;
        }
        Ok(Image { image, lesions, once, in_part })
    }

    fn spot(&self, area: Area) -> Result<Spot, task::Error> {
        let square = Square::of(area.sector, area.mm.ok());
        let task = Task::new(self.manifest, square.map_or(area.sector, |square| square.sector()))?;
        Ok(Spot { area, square, task, looked: Vec::new(), shown: Vec::new() })
    }

    fn infer(&mut self, spot: &mut Spot, frame: usize, grey: Vec<u8>) -> Result<(), task::Error> {
        match &spot.square {
            Some(square) => spot.task.prepare(&square.stretch(&grey)),
            None => spot.task.prepare(&grey),
        };
        let map = spot.task.infer(self.model)?;
        let mm = spot.area.mm.ok().map(|[across, down]| single(across.min(down)));
        let mut lesions = spot.task.lesions(&map, mm);
        if let Some(square) = &spot.square {
            lesions = lesions.into_iter().map(|lesion| square.back(lesion)).collect();
        }
        if !lesions.is_empty() {
            spot.shown.push((frame, grey));
        }
        spot.looked.push((frame, lesions));
        Ok(())
    }
}

impl Spot {
    /// The lesions, and how many things only one frame showed.
    fn lesions(self) -> (Vec<OneLesion>, usize) {
        let of_frame = |frame| self.shown.iter().find(|(own, _)| *own == frame).map(|(_, grey)| grey.clone());
        let merged = clip::merged(&self.looked);
        let lesion = |seen: Seen| OneLesion { grey: of_frame(seen.frame).unwrap_or_default(), seen, area: self.area };
        (merged.seen.into_iter().map(lesion).collect(), merged.once)
    }
}

/// Each reason once.
fn note(reasons: &mut Vec<NotRead>, why: NotRead) {
    // Of a clip the frames differ a little in how much of them is painted.
    let same = |known: &NotRead| std::mem::discriminant(known) == std::mem::discriminant(&why);
    if !reasons.iter().any(same) {
        reasons.push(why);
    }
}

/// One decoded picture: grey, or red, green and blue.
struct Picture {
    bytes: Vec<u8>,
    size: [usize; 2],
    is_grey: bool,
}

impl Picture {
    fn sector(&self) -> Option<Sector> {
        if self.is_grey {
            return sector::find(&self.bytes, self.size);
        }
        let [width, height] = self.size;
        sector::find(&colour::grey(&self.bytes, width, Sector { x: 0, y: 0, width, height }), self.size)
    }

    /// The area in grey, without what was drawn over it in colour; whether anything was.
    fn grey(&self, area: Sector) -> Result<(Vec<u8>, bool), NotRead> {
        let width = self.size[0];
        if self.is_grey {
            let rows = self.bytes.chunks_exact(width.max(1)).skip(area.y).take(area.height);
            return Ok((rows.flat_map(|row| &row[area.x..area.x + area.width]).copied().collect(), false));
        }
        let mut grey = colour::grey(&self.bytes, width, area);
        match colour::judge(&self.bytes, width, area) {
            Colours::None | Colours::Tinted => Ok((grey, false)),
            Colours::Drawn(mask) => {
                colour::paint_out(&mut grey, &mask, area.width);
                Ok((grey, true))
            }
            Colours::Painted { percent } => Err(NotRead::Painted { percent }),
        }
    }
}

/// What all images together showed.
#[derive(Default)]
struct Found {
    images: Vec<StillImage>,
    lesions: Vec<(StillLesion, Option<KeyPicture>)>,
    more: usize,
    once: usize,
    unread: Vec<Unread>,
}

impl Found {
    fn take(&mut self, image: Image, header: &Header) {
        let index = self.images.len();
        let is_clip = image.image.frames.is_some();
        for OneLesion { seen, area, grey } in image.lesions {
            let frame = is_clip.then(|| [count(seen.frame + 1), count(seen.frames)]);
            let lesion = Lesion::of(0, &seen.best, area.mm.ok().map(|mm| mm.map(single)));
            let key = KeyPicture { image: index, frame: frame.map(|[frame, _]| frame), sector: area.sector, grey };
            self.lesions.push((StillLesion { image: index, frame, lesion, no_size: area.mm.err() }, Some(key)));
        }
        self.once += image.once;
        self.unread.extend(image.in_part.into_iter().map(|why| unread(header, why, true)));
        self.images.push(image.image);
        self.keep_surest();
    }

    /// Bounds what is kept: the surest lesions, and pictures of the surest of them.
    fn keep_surest(&mut self) {
        let lesion = |at: &usize| &self.lesions[*at].0.lesion;
        let mut order: Vec<usize> = (0..self.lesions.len()).collect();
        // The gravest, which the verdict names, come first, then the surest.
        order.sort_by(|a, b| lesion(b).malignant.total_cmp(&lesion(a).malignant));
        let gravest = order.len().min(NAMED);
        order[gravest..].sort_by(|a, b| lesion(b).confidence.total_cmp(&lesion(a).confidence));
        for at in order.iter().skip(MOST_KEYS) {
            self.lesions[*at].1 = None;
        }
        let mut kept: Vec<usize> = order.iter().copied().take(MOST_LESIONS).collect();
        self.more += order.len() - kept.len();
        kept.sort_unstable();
        let mut at = 0;
        self.lesions.retain(|_| {
            at += 1;
            kept.binary_search(&(at - 1)).is_ok()
        });
    }

    fn stills(self) -> Stills {
        let mut stills =
            Stills { images: self.images, more_lesions: self.more, seen_once: self.once, ..Stills::default() };
        stills.unread = self.unread;
        for ((mut one, key), id) in self.lesions.into_iter().zip(1..) {
            one.lesion.id = id;
            stills.lesions.push(one);
            // One page for each area of a picture.
            let known = |key: &KeyPicture| {
                stills.keys.iter().any(|k| (k.image, k.frame, k.sector) == (key.image, key.frame, key.sector))
            };
            if let Some(key) = key.filter(|key| !known(key)) {
                stills.keys.push(key);
            }
        }
        stills
    }
}

fn pixels(side: u32) -> usize {
    usize::try_from(side).unwrap_or(usize::MAX)
}

fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
