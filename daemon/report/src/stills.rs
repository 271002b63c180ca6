//! What was made of the ultrasound images and clips of one series that a scanner sent: the lesions, what was looked at, and
//! what was not and why; and the same in one sentence. Pure.

use std::fmt;

use dicom::pixels::error::DecodeError;
use models::findings::Side;
use models::lesion::followed::Followed;
use models::lesion::sighting::Place;
use models::number::Number;
use models::review::marks::{ListedMark, Marked};
use models::task::us_breast::Sector;
use models::task::us_breast::lesion::Lesion;

use crate::judged;
pub use crate::judged::id;
use crate::words::Language;

/// Lesions that are reported, at most; the surest. What is beyond is counted.
pub const MOST_LESIONS: usize = 256;
/// Pictures of which key images are made, at most: those of the surest lesions.
pub const MOST_KEYS: usize = 16;
/// Lesions that a verdict names, at most (the gravest), and reasons that a sentence names; the report has more.
pub const NAMED: usize = 4;

/// Why nothing is said of an ultrasound picture. `Display` is English; pages say it in every language
/// (`words::not_read`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotRead {
    #[error("colours cover {percent} % of it (colour Doppler, elastography or the like)")]
    Painted { percent: usize },
    #[error("its header says that it is a colour Doppler image")]
    ColourFlow,
    #[error("its header says that it is a three-dimensional rendering")]
    Rendered,
    #[error("its header names no B-mode area (M-mode, a spectrum or drawings only)")]
    NoTissue,
    #[error("no ultrasound image was found in it")]
    NoSector,
    #[error("its header says that it shows another part of the body ({part})")]
    OtherPart { part: String },
    #[error("it needs {needed_mib} MiB to be decoded, {limit_mib} MiB are allowed (analyze.memory_mib)")]
    TooLarge { needed_mib: u64, limit_mib: u64 },
    #[error("it has {bits} bits per sample, too few for shades of grey")]
    Depth { bits: u16 },
    #[error("its colours cannot be read ({photometric})")]
    ColourSpace { photometric: String },
    #[error("{0}")]
    Pixels(DecodeError),
}

/// Why a lesion has no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoSize {
    /// The header does not say how large a pixel is.
    NoScale,
    /// It says so of an area that does not lie in the image, which was altered after it was made.
    OtherImage,
    /// With it the image would be smaller or larger than any of a breast.
    Implausible,
}

impl NoSize {
    pub fn words(self) -> &'static str {
        match self {
            Self::NoScale => "size not measured: the image has no scale",
            Self::Implausible => "size not measured: the scale in the header is not that of a breast",
            Self::OtherImage => "size not measured: the scale in the header is that of another image size",
        }
    }
}

impl fmt::Display for NoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// An image or clip of which something was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct StillImage {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Instance number.
    pub number: Option<i64>,
    /// Columns and rows.
    pub size: [u16; 2],
    /// Of a clip: how many frames were looked at, and how many it has.
    pub frames: Option<[usize; 2]>,
    /// The scanner did not name the area of the image: it was found in the picture.
    pub found: bool,
    /// Callipers, marks or text in colour were painted out.
    pub painted_out: bool,
    /// Which breast it shows, as its header says.
    pub side: Option<Side>,
}

/// A lesion in the picture that shows it best.
#[derive(Debug, Clone, PartialEq)]
pub struct StillLesion {
    /// Index in [`Stills::images`].
    pub image: usize,
    /// Of a clip: frame number from 1, and in how many of the frames that were looked at the lesion was seen.
    pub frame: Option<[u32; 2]>,
    /// In pixels of the whole image.
    pub lesion: Lesion,
    pub no_size: Option<NoSize>,
}

/// The ultrasound image in a picture that shows a lesion, for a key image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPicture {
    /// Index in [`Stills::images`], and the frame number from 1 of a clip.
    pub image: usize,
    pub frame: Option<u32>,
    pub sector: Sector,
    /// As it was shown to the network, row by row.
    pub grey: Vec<u8>,
}

impl KeyPicture {
    /// Does it show the lesion? A picture may have two areas: the middle of the lesion decides.
    pub fn shows(&self, one: &StillLesion) -> bool {
        let [left, top, right, bottom] = one.lesion.bounds;
        self.image == one.image
            && self.frame == one.frame.map(|[frame, _]| frame)
            && self.sector.holds([f32::midpoint(left, right), f32::midpoint(top, bottom)])
    }
}

/// What of an image was not looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    pub sop_instance_uid: String,
    /// Instance number.
    pub number: Option<i64>,
    pub why: NotRead,
    /// Which breast it shows, as its header says.
    pub side: Option<Side>,
    /// Another area of it, or another frame, was looked at.
    pub in_part: bool,
}

/// What was made of one series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stills {
    /// In the order of the series.
    pub images: Vec<StillImage>,
    /// In the order of the images; their numbers (`Lesion::id`) count from 1.
    pub lesions: Vec<StillLesion>,
    /// Lesions beyond [`MOST_LESIONS`], the least sure.
    pub more_lesions: usize,
    /// What only one looked-at frame of a clip showed: no lesion, and no reason to call the clip free of any.
    pub seen_once: usize,
    pub unread: Vec<Unread>,
    pub keys: Vec<KeyPicture>,
    /// All lesions, also those that a review took out of `lesions`.
    pub marked: Marked,
    /// Lesions that are surely known from the list over the years, by their numbers here.
    pub followed: Vec<(u32, Followed)>,
}

impl Stills {
    /// One sentence, with who has reviewed it.
    pub fn verdict(&self) -> String {
        self.marked.reviewed(verdict(self))
    }

    /// That sentence without a review.
    pub(crate) fn as_found(&self) -> String {
        if self.marked.review.is_some() { self.marked.as_found.clone() } else { verdict(self) }
    }

    /// Lists the lesions as a person decides about them.
    pub fn list(&mut self, package: String) {
        let one = |lesion: &StillLesion| {
            Some(ListedMark {
                id: id(lesion.lesion.id),
                kind: "lesion".to_owned(),
                words: described(self, lesion),
                words_zh: self.described_in(lesion, Language::Chinese),
                score: lesion.lesion.malignant,
                sop_instance_uid: self.images.get(lesion.image)?.sop_instance_uid.clone(),
                frame: lesion.frame.map(|[frame, _]| frame),
                bounds: lesion.lesion.bounds,
                values: judged::values(&lesion.lesion, &self.place(lesion)),
            })
        };
        let listed = self.lesions.iter().filter_map(one).collect();
        let (learnt, learnt_zh) = (judged::LEARNT.to_owned(), judged::LEARNT_ZH.to_owned());
        self.marked = Marked { package, listed, learnt, learnt_zh, as_found: verdict(self), ..Marked::default() };
    }

    /// Picture, size and score in another language.
    fn described_in(&self, one: &StillLesion, language: Language) -> String {
        let w = language.words();
        let number = self.images.get(one.image).and_then(|image| image.number);
        let picture = w.picture(number, one.frame.map(|[frame, _]| frame));
        w.titled(&picture, &judged::described(&one.lesion, one.no_size.unwrap_or(NoSize::NoScale), w))
    }

    /// Takes out what a review has rejected, and corrects what it has edited: the category is suggested anew from the descriptors that the
    /// person gave. An outline of another size does not stay.
    pub fn take_out(&mut self) {
        self.lesions.retain(|one| !self.marked.is_rejected(&id(one.lesion.id)));
        for one in &mut self.lesions {
            let Some(edit) = self.marked.edit(&id(one.lesion.id)) else { continue };
            if judged::correct(&mut one.lesion, edit) {
                one.no_size = None;
            }
        }
        self.keys.retain(|key| self.lesions.iter().any(|one| key.shows(one)));
    }

    /// Where a lesion is, as far as its image says, or a person.
    pub fn place(&self, one: &StillLesion) -> Place {
        let side = self.images.get(one.image).and_then(|image| image.side);
        let found = Place { side, ..Place::default() };
        judged::place(&found, self.marked.edit(&id(one.lesion.id)))
    }

    pub fn followed(&self, lesion: u32) -> Option<&Followed> {
        self.followed.iter().find(|(id, _)| *id == lesion).map(|(_, followed)| followed)
    }
}

/// One sentence: the lesions, or that there is none in what was looked at, and what was not looked at.
pub fn verdict(stills: &Stills) -> String {
    let images = looked(&stills.images);
    let all = stills.lesions.len() + stills.more_lesions;
    let mut parts = vec![if all == 0 {
        format!("breast ultrasound: no lesion in {images} looked at")
    } else {
        let several = if stills.images.len() > 1 && all > 1 { " (one lesion may be in several)" } else { "" };
        let mut gravest: Vec<&StillLesion> = stills.lesions.iter().collect();
        gravest.sort_by(|a, b| b.lesion.malignant.total_cmp(&a.lesion.malignant));
        let named = gravest.iter().take(NAMED).map(|one| described(stills, one)).collect::<Vec<_>>().join("; ");
        let more = all.saturating_sub(NAMED);
        let more = if more > 0 { format!("; {more} more") } else { String::new() };
        format!("breast ultrasound: {} in {images} looked at{several}: {named}{more}", counted(all, "lesion"))
    }];
    if stills.seen_once > 0 {
        parts.push(format!(
            "left out because only one frame of a clip shows it: {}",
            counted(stills.seen_once, "place")
        ));
    }
    for (in_part, part) in [(false, ""), (true, "part of ")] {
        let own = stills.unread.iter().filter(|one| one.in_part == in_part);
        let reasons = grouped(own.map(|one| &one.why));
        let said = |(why, count): &(NotRead, usize)| format!("{part}{} not looked at: {why}", counted(*count, "image"));
        let (named, rest) = named(&reasons);
        parts.extend(named.iter().map(said));
        parts.extend((rest > 0).then(|| format!("{part}{} not looked at", counted(rest, "more image"))));
    }
    parts.join("; ")
}

/// Each reason with how many images have it, in the order in which they came.
pub fn grouped<'a>(reasons: impl Iterator<Item = &'a NotRead>) -> Vec<(NotRead, usize)> {
    let mut grouped: Vec<(NotRead, usize)> = Vec::new();
    for why in reasons {
        match grouped.iter_mut().find(|(known, _)| known == why) {
            Some((_, count)) => *count += 1,
            None => grouped.push((why.clone(), 1)),
        }
    }
    grouped
}

/// The reasons that a sentence names, and how many images have others: no series makes it longer than a person reads.
pub(crate) fn named(reasons: &[(NotRead, usize)]) -> (&[(NotRead, usize)], usize) {
    let (named, rest) = reasons.split_at(reasons.len().min(NAMED));
    (named, rest.iter().map(|(_, count)| count).sum())
}

pub(crate) fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// How many images, and of how many clips how many frames.
pub(crate) fn looked(images: &[StillImage]) -> String {
    let clips: Vec<[usize; 2]> = images.iter().filter_map(|image| image.frames).collect();
    let stills = images.len() - clips.len();
    let [seen, of] = clips.iter().fold([0, 0], |[seen, of], clip| [seen + clip[0], of + clip[1]]);
    let clips = (!clips.is_empty()).then(|| format!("{} ({seen} of {of} frames)", counted(clips.len(), "clip")));
    let stills = (stills > 0).then(|| counted(stills, "image"));
    stills.into_iter().chain(clips).collect::<Vec<_>>().join(" and ")
}

fn described(stills: &Stills, one: &StillLesion) -> String {
    let image = stills.images.get(one.image);
    let number = image.and_then(|image| image.number).map_or_else(|| "an image".into(), |n| format!("image {n}"));
    let frame = one.frame.map(|[frame, _]| format!(" frame {frame}")).unwrap_or_default();
    let size = match (one.lesion.size_mm, one.no_size) {
        (Some([long, short]), _) => format!("{:.1} x {:.1} mm", Number(long.into()), Number(short.into())),
        (None, why) => why.unwrap_or(NoSize::NoScale).to_string(),
    };
    format!("{number}{frame}: {size}, malignancy score {:.2}", one.lesion.malignant)
}

#[cfg(test)]
pub(crate) mod tests {
    use dicom_dictionary_std::uids;

    use super::*;
    use crate::words::Language;

    pub(crate) fn image(number: i64, frames: Option<[usize; 2]>) -> StillImage {
        StillImage {
            sop_class_uid: uids::ULTRASOUND_IMAGE_STORAGE.into(),
            sop_instance_uid: format!("1.2.3.{number}"),
            number: Some(number),
            size: [64, 48],
            frames,
            found: frames.is_some(),
            painted_out: false,
            side: None,
        }
    }

    fn found(image: usize, frame: Option<[u32; 2]>, size_mm: Option<[f32; 2]>) -> StillLesion {
        let lesion = Lesion {
            id: u32::try_from(image).unwrap() + 1,
            outline: vec![[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]],
            bounds: [10.0, 10.0, 20.0, 20.0],
            confidence: 0.97,
            malignant: 0.87,
            descriptors: vec!["irregular".into()],
            size_mm,
        };
        let no_size = size_mm.is_none().then_some(NoSize::NoScale);
        StillLesion { image, frame, lesion, no_size }
    }

    pub(crate) fn stills() -> Stills {
        let sector = Sector { x: 4, y: 4, width: 40, height: 40 };
        Stills {
            images: vec![image(1, None), image(2, Some([32, 120]))],
            lesions: vec![found(0, None, Some([12.34, 8.1])), found(1, Some([17, 5]), None)],
            more_lesions: 0,
            seen_once: 0,
            unread: vec![
                Unread {
                    sop_instance_uid: "1.2.3.3".into(),
                    number: Some(3),
                    why: NotRead::Painted { percent: 9 },
                    side: None,
                    in_part: false,
                },
                Unread {
                    sop_instance_uid: "1.2.3.4".into(),
                    number: None,
                    why: NotRead::ColourFlow,
                    side: None,
                    in_part: true,
                },
            ],
            keys: vec![KeyPicture { image: 1, frame: Some(17), sector, grey: vec![99; 1600] }],
            marked: Marked::default(),
            followed: Vec::new(),
        }
    }

    #[test]
    fn the_verdict_says_what_was_found_what_was_looked_at_and_what_was_not() {
        let mut stills = stills();
        assert_eq!(
            verdict(&stills),
            "breast ultrasound: 2 lesions in 1 image and 1 clip (32 of 120 frames) looked at (one lesion may be in several): \
             image 1: 12.3 x 8.1 mm, malignancy score 0.87; image 2 frame 17: size not measured: the image has no scale, \
             malignancy score 0.87; 1 image not looked at: colours cover 9 % of it (colour Doppler, elastography or the like); \
             part of 1 image not looked at: its header says that it is a colour Doppler image"
        );
        stills.lesions.clear();
        stills.unread.clear();
        let none = "breast ultrasound: no lesion in 1 image and 1 clip (32 of 120 frames) looked at";
        assert_eq!(verdict(&stills), none);
        stills.images = vec![image(1, None); 3];
        stills.lesions = vec![found(0, None, Some([5.0, 4.0])); 6];
        stills.more_lesions = 2;
        assert!(verdict(&stills).starts_with("breast ultrasound: 8 lesions in 3 images looked at"));
        assert!(verdict(&stills).ends_with("; 4 more"), "{}", verdict(&stills));
        stills.lesions[5].lesion.malignant = 0.99;
        assert!(
            verdict(&stills).contains(": image 1: 5.0 x 4.0 mm, malignancy score 0.99; "),
            "the gravest is named first"
        );
    }

    #[test]
    fn no_sentence_grows_with_the_number_of_images_that_were_not_read() {
        let reasons: Vec<_> = (1..=300).map(|percent| (NotRead::Painted { percent }, 1)).collect();
        let unread = |(why, _): &(NotRead, usize)| Unread {
            sop_instance_uid: "1.2.3.5".into(),
            number: None,
            why: why.clone(),
            side: None,
            in_part: false,
        };
        let stills = Stills { unread: reasons.iter().map(unread).collect(), ..stills() };
        assert!(verdict(&stills).ends_with("; 296 more images not looked at"), "{}", verdict(&stills));
        let refused = crate::Refused::Pictures { reasons };
        assert!(refused.to_string().ends_with("; 296 more for other reasons"), "{refused}");
        for language in Language::ALL {
            let said = crate::words::refused(&refused, *language);
            assert!(said.contains("296") && said.len() < 700, "{said}");
        }
    }
}
