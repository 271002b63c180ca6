//! What a report of a breast says, whichever pictures it comes from: the lesions with place, size, descriptors, suggested
//! category and earlier size. The structured report (`structured`) and the document (`pdf::breast`) say the same because both
//! read it here. Pure.

pub mod structured;

use std::collections::HashSet;

use models::lesion::followed::Followed;
use models::lesion::sighting::Place;
use models::number::Number;
use models::review::marks::Marked;
use models::task::us_breast::assessment::{self, Category, Suggested, Withheld};
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::Coverage;
use models::task::us_breast::terms::Terms;

use crate::encapsulated;
use crate::object::Context;
use crate::pdf::{self, Picture};
use crate::stills::{NoSize, Stills};
use crate::ultrasound::PictureRef;
use crate::words::breast::{followed, place, suggestion};
use crate::words::edits::of_marks;
use crate::words::{Language, Words, capital};
use crate::{Error, KeyImage, ResultObject, identity};

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Images and clips that a scanner sent: images, clips, frames that were looked at of how many; images that were not, or not
    /// wholly; lesions that are not listed; things that only one frame of a clip showed.
    Stored { images: usize, clips: usize, frames: [usize; 2], unread: usize, more: usize, once: usize },
    /// An exam that was recorded here.
    Recorded { clips: usize, pictures: usize, course: Course },
}

/// What became of an exam that was recorded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// A network looked at the pictures.
    pub is_looked_at: bool,
    /// It ended as a person wanted, and all that was seen is reported.
    pub is_whole: bool,
}

/// Nothing is missing.
pub const WHOLE: Course = Course { is_looked_at: true, is_whole: true };

/// One lesion as it is reported.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub lesion: &'a Lesion,
    pub place: Place,
    pub no_size: Option<NoSize>,
    /// Instance number and frame of the picture that shows it.
    pub shown: Option<(Option<i64>, Option<u32>)>,
    pub followed: Option<&'a Followed>,
    pub terms: Terms,
    pub suggested: Result<Suggested, Withheld>,
    pub picture: Option<PictureRef>,
}

impl<'a> Found<'a> {
    pub fn new(lesion: &'a Lesion, place: Place, picture: Option<PictureRef>) -> Self {
        let terms = Terms::of(&lesion.descriptors);
        let suggested = suggested(lesion, &terms);
        Self { lesion, place, no_size: None, shown: None, followed: None, terms, suggested, picture }
    }
}

/// The category of one lesion.
pub fn suggested(lesion: &Lesion, terms: &Terms) -> Result<Suggested, Withheld> {
    assessment::suggest(terms, lesion.confidence, lesion.malignant)
}

#[derive(Debug, Clone)]
pub struct Examination<'a> {
    pub looked: Looked,
    pub lesions: Vec<Found<'a>>,
    /// What whoever reads it must know of the exam, as the other objects say it: also who has reviewed it.
    pub remark: Option<String>,
    /// What a person has decided about the lesions.
    pub marked: Option<&'a Marked>,
    /// What of the breasts was looked at: of an exam that was recorded here, where whoever scanned said where the probe was.
    pub coverage: Coverage,
}

impl<'a> Examination<'a> {
    /// Of stored images. `pictures`: what shows each lesion, in their order.
    pub fn of_stills(stills: &'a Stills, pictures: &[PictureRef]) -> Self {
        let clips: Vec<[usize; 2]> = stills.images.iter().filter_map(|image| image.frames).collect();
        let frames = clips.iter().fold([0, 0], |[seen, of], clip| [seen + clip[0], of + clip[1]]);
        let lesions = stills.lesions.iter().zip(0..).map(|(one, index)| {
            let image = stills.images.get(one.image);
            Found {
                no_size: one.no_size,
                shown: Some((image.and_then(|image| image.number), one.frame.map(|[frame, _]| frame))),
                followed: stills.followed(one.lesion.id),
                ..Found::new(&one.lesion, stills.place(one), pictures.get::<usize>(index).cloned())
            }
        });
        Self {
            looked: Looked::Stored {
                images: stills.images.len() - clips.len(),
                clips: clips.len(),
                frames,
                // An image can have several reasons.
                unread: stills.unread.iter().map(|one| &one.sop_instance_uid).collect::<HashSet<_>>().len(),
                more: stills.more_lesions,
                once: stills.seen_once,
            },
            lesions: lesions.collect(),
            remark: Some(stills.marked.said()).filter(|said| !said.is_empty()),
            marked: Some(&stills.marked),
            coverage: Coverage::default(),
        }
    }

    /// The category of the gravest lesion. A lesion that is not listed may be that, and one in a picture that was not looked at, and one that a
    /// person has rejected.
    pub fn overall(&self) -> Result<Category, Withheld> {
        let overall = assessment::overall(self.lesions.iter().map(|one| &one.suggested))?;
        if overall == Category::Suspicious {
            return Ok(overall);
        }
        match self.looked {
            Looked::Stored { more: 1.., .. } | Looked::Stored { once: 1.., .. } => Err(Withheld::SomeLesions),
            Looked::Stored { unread: 1.., .. } => Err(Withheld::SomePictures),
            // Between the frames that were looked at others may show a graver one.
            Looked::Stored { frames: [seen, of], .. } if seen < of => Err(Withheld::SomePictures),
            Looked::Recorded { course, .. } if course != WHOLE => Err(Withheld::SomePictures),
            Looked::Stored { .. } | Looked::Recorded { .. } if self.remark.is_some() => Err(Withheld::Remarked),
            Looked::Stored { .. } | Looked::Recorded { .. } => Ok(overall),
        }
    }

    /// What was looked at and what was not.
    pub fn looked(&self, w: &dyn Words) -> Vec<String> {
        let mut said = vec![self.looked_at(w)];
        if let Looked::Stored { unread, more, once, .. } = self.looked {
            said.extend((unread > 0).then(|| w.not_looked_at(unread)));
            said.extend((more > 0).then(|| w.more_lesions(more)));
            said.extend((once > 0).then(|| w.seen_once(once)));
        }
        if let Looked::Recorded { course: Course { is_whole: false, .. }, .. } = self.looked {
            said.push(w.breast().cut_short.to_owned());
        }
        said.extend(self.remark.clone());
        said.extend(self.marked.iter().flat_map(|marked| of_marks(marked, w)).map(|(_, words)| words));
        said
    }

    fn looked_at(&self, w: &dyn Words) -> String {
        match self.looked {
            Looked::Stored { images, clips, frames, .. } => w.looked_at(images, clips, frames),
            Looked::Recorded { clips, pictures, .. } => w.recorded(clips, pictures),
        }
    }

    /// The category of the exam, or that nothing was found, and that none is suggested.
    pub fn impression(&self, w: &dyn Words) -> String {
        let nothing = self.lesions.is_empty().then(|| self.nothing(w));
        let category = self.overall().map_or_else(|why| w.no_category(why), |category| w.category(category));
        capital(&nothing.into_iter().chain([category]).collect::<Vec<_>>().join(w.separator()))
    }

    /// That no lesion was found, or that nobody has looked for one.
    pub fn nothing(&self, w: &dyn Words) -> String {
        match self.looked {
            Looked::Recorded { course: Course { is_looked_at: false, .. }, .. } => w.breast().not_evaluated.to_owned(),
            Looked::Stored { .. } | Looked::Recorded { .. } => w.no_lesion_in(&self.looked_at(w)),
        }
    }

    /// Lesions that are known from earlier exams, with their size then; or that none is.
    pub fn comparison(&self, w: &dyn Words) -> Vec<String> {
        let known: Vec<String> = self
            .lesions
            .iter()
            .filter_map(|one| Some(w.titled(&w.lesion(one.lesion.id), &followed(one.followed?, w))))
            .collect();
        if known.is_empty() && !self.lesions.is_empty() { vec![w.breast().none_known.to_owned()] } else { known }
    }
}

/// The lines about one lesion: where and how large, what it looks like, which category.
pub fn lines(one: &Found<'_>, w: &dyn Words) -> [String; 3] {
    let size = match one.lesion.size_mm {
        Some([long, short]) => format!("{:.1} x {:.1} mm", Number(long.into()), Number(short.into())),
        None => w.no_size(one.no_size.unwrap_or(NoSize::NoScale)).to_owned(),
    };
    let shown = one.shown.map(|(number, frame)| w.picture(number, frame));
    let place = [Some(place(&one.place, w)), shown].into_iter().flatten().collect::<Vec<_>>().join(w.separator());
    let terms: Vec<&str> = one.terms.known().map(|term| w.term(term)).collect();
    let terms = terms.join(w.comma());
    [format!("{}{}{size}", capital(&place), w.separator()), terms, capital(&suggestion(&one.suggested, w))]
}

/// The document in every language. `drawn`: the pages of each language, in the order of [`Language::ALL`]. `own`: images of ours that it is
/// made of.
///
/// # Errors
/// When the font cannot be embedded, or a value does not fit into an object.
pub fn documents(
    context: &Context,
    examination: &Examination<'_>,
    drawn: &[Vec<KeyImage>],
    own: &[&ResultObject],
) -> Result<Vec<ResultObject>, Error> {
    let patient = identity::Patient::of(context.source);
    let write = |(index, language): (usize, &Language)| {
        let pictures: Vec<Picture> = drawn.get(index).map(|pages| pdf::pictures(pages)).unwrap_or_default();
        let draft = pdf::breast::Draft {
            patient: &patient,
            examination,
            provenance: context.provenance,
            pictures: &pictures,
            language: *language,
        };
        let document = pdf::breast::write(&draft).map_err(|e| Error::Encode { kind: "pdf", source: Box::new(e) })?;
        encapsulated::write(context, language.words().breast().dicom_title, index, document, own)
    };
    Language::ALL.iter().enumerate().map(write).collect()
}

#[cfg(test)]
mod tests;
