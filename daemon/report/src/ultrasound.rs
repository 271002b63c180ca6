//! DICOM objects of an ultrasound exam: clips as Ultrasound Multi-frame Images, the best picture of each lesion as an
//! Ultrasound Image, its outline as a segmentation, and a structured report about the lesions.
//!
//! There is no source series, so patient and study come from the exam. The frames are the JPEG pictures of the live
//! path without drawings; outlines are coordinates in the report (TID 1410).

mod seg;
pub(crate) mod stills;

use std::time::Duration;

use dicom::header::Header;
use dicom::patient::Patient;
use dicom::request::Request;
use dicom::scan::RawElement;
use dicom_core::value::{PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use models::findings::Side;
use models::lesion::followed::Followed;
use models::lesion::sighting::Place;
use models::review::Review;
use models::review::marks::{ListedMark, Marked};
use models::task::us_breast::Sector;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::Coverage;
use models::task::us_breast::terms::Terms;

pub use crate::breast::Course;
use crate::breast::{self, Examination, Found, Looked, structured, suggested};
use crate::codes::{
    CERTAINTY_OF_FINDING, CLOCK_FACE, DISTANCE_FROM_NIPPLE, IMAGE_REGION, IMAGING_PROCEDURE, LONG_AXIS, MASS,
    MILLIMETRE, ORIGINAL_SOURCE, PERCENT, SHORT_AXIS, US,
};
use crate::content::{Item, Part, Relation, Value};
use crate::dataset::DataSet;
use crate::object::{Context, ObjectKind, date_and_time};
use crate::site::{Site, hour_code};
use crate::stills::NoSize;
use crate::uid::Uids;
use crate::words::breast::{coverage as covered, followed, suggestion};
use crate::words::edits::of_marks;
use crate::words::{Language, capital};
use crate::{Error, KeyImage, Provenance, ResultObject, Source, groups, judged, pages, sr};

pub const CLIP: ObjectKind = ObjectKind {
    name: "us",
    sop_class_uid: uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
    modality: "US",
    series_number: "97005",
    description: "Scanside ultrasound clips",
};

pub const KEY: ObjectKind = ObjectKind {
    name: "us-key",
    sop_class_uid: uids::ULTRASOUND_IMAGE_STORAGE,
    modality: "US",
    series_number: "97006",
    description: "Scanside ultrasound key images",
};

/// Patient, start time and recording of an exam.
#[derive(Debug, Clone, Copy)]
pub struct Exam<'a> {
    pub study_uid: &'a str,
    /// Unique for each recording, also within a study.
    pub recording_uid: &'a str,
    pub patient: &'a Patient,
    /// Start of the exam, RFC 3339, UTC.
    pub started_utc: &'a str,
    /// What whoever reads the results must know of the exam; in the report and beside every picture.
    pub remark: Option<&'a str>,
    /// What was asked for; `None`: the exam is not of the worklist.
    pub request: Option<&'a Request>,
    /// What of the breasts was looked at, as an estimate; empty where nobody said where the probe was.
    pub coverage: &'a Coverage,
}

/// Consecutive pictures of one size.
#[derive(Debug, Clone)]
pub struct Clip {
    pub frames: Vec<Shown>,
    pub columns: u16,
    pub rows: u16,
    pub colour: bool,
    /// Scale of the pictures, if the profile contains it.
    pub mm_per_pixel: Option<f64>,
    /// left, top, right, bottom of the image sector, pixels; right and bottom excluded.
    pub sector: [u32; 4],
    /// The scanner's burned-in text was masked.
    pub masked: bool,
    /// Which breast it shows; `None`: not known, or not one alone.
    pub side: Option<Side>,
}

/// One picture of a clip.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Capture time according to the video driver.
    pub at: Duration,
    /// A baseline JPEG file, greyscale or YCbCr.
    pub jpeg: Vec<u8>,
}

/// A lesion in the picture that shows it best.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Under which a person decides about it; unique in the exam.
    pub id: String,
    /// Index of its key image.
    pub key: usize,
    /// By which it is followed from version to version of a result.
    pub track: usize,
    pub lesion: Lesion,
    /// As far as somebody has said where it is.
    pub place: Place,
    /// Of a lesion that is surely known from the list over the years.
    pub followed: Option<Followed>,
}

impl Seen {
    pub fn label(&self) -> String {
        format!("Lesion {}", self.lesion.id)
    }

    /// The tracking UID, the same in report and segmentation. It contains the key image, because lesion numbers may
    /// repeat after the screen has changed.
    pub fn tracking_uid(&self, context: &Context) -> String {
        context.uids.lasting(&format!("track breast lesion {}", self.track), self.lesion.id as usize)
    }
}

/// The image area of a key image, for the documents.
#[derive(Debug, Clone)]
pub struct ExamPicture {
    /// Index of the key image.
    pub key: usize,
    pub sector: Sector,
    /// Of the sector, row by row.
    pub grey: Vec<u8>,
}

/// A picture to which outlines refer, pixel for pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureRef {
    sop_class_uid: String,
    sop_uid: String,
    series_uid: String,
    /// The frame, of a clip.
    part: Part,
}

impl PictureRef {
    pub(crate) fn value(&self) -> Value {
        let (sop_class_uid, sop_uid) = (self.sop_class_uid.clone(), self.sop_uid.clone());
        Value::Image { sop_class_uid, sop_uid, part: self.part }
    }

    fn of(object: &ResultObject) -> Self {
        Self {
            sop_class_uid: object.sop_class_uid.clone(),
            sop_uid: object.sop_uid.clone(),
            series_uid: object.series_uid.clone(),
            part: Part::Whole,
        }
    }
}

/// Makes the objects of one exam, one at a time because clips are large. The same input gives the same bytes.
#[derive(Debug)]
pub struct Writer<'a> {
    provenance: &'a Provenance,
    uids: Uids,
    elements: Vec<RawElement>,
    header: Header,
    remark: Option<String>,
    request: Option<Request>,
    coverage: Coverage,
    marked: Marked,
}

/// The ids under which a person decides about lesions with these numbers, in the order in which they were found: numbers come again when the
/// picture has another size.
pub fn ids(numbers: &[u32]) -> Vec<String> {
    let one = |(index, number): (usize, &u32)| {
        let before = numbers[..index].iter().filter(|other| *other == number).count();
        let id = judged::id(*number);
        if before > 0 { format!("{id}.{}", before + 1) } else { id }
    };
    numbers.iter().enumerate().map(one).collect()
}

/// The lesions as a person decides about them, each in its key image. `as_found`: the verdict.
pub fn list(seen: &[Seen], keys: &[ResultObject], package: String, as_found: String) -> Marked {
    let one = |one: &Seen| {
        let said = |language: Language| {
            let w = language.words();
            let picture = w.picture(i64::try_from(one.key + 1).ok(), None);
            w.titled(&picture, &judged::described(&one.lesion, NoSize::NoScale, w))
        };
        Some(ListedMark {
            id: one.id.clone(),
            kind: "lesion".to_owned(),
            words: said(Language::English),
            words_zh: said(Language::Chinese),
            score: one.lesion.malignant,
            sop_instance_uid: keys.get(one.key)?.sop_uid.clone(),
            frame: None,
            bounds: one.lesion.bounds,
            values: judged::values(&one.lesion, &one.place),
        })
    };
    let (learnt, learnt_zh) = (judged::LEARNT.to_owned(), judged::LEARNT_ZH.to_owned());
    let listed = seen.iter().filter_map(one).collect();
    Marked { package, listed, learnt, learnt_zh, as_found, ..Marked::default() }
}

/// Takes out what a review has rejected, and corrects what it has edited.
pub fn take_out(seen: &mut Vec<Seen>, marked: &Marked) {
    seen.retain(|one| !marked.is_rejected(&one.id));
    for one in seen {
        if let Some(edit) = marked.edit(&one.id) {
            judged::correct(&mut one.lesion, edit);
            one.place = judged::place(&one.place, Some(edit));
        }
    }
}

impl<'a> Writer<'a> {
    pub fn new(exam: &Exam, provenance: &'a Provenance) -> Self {
        let header = Header { study_instance_uid: exam.study_uid.to_owned(), ..Header::default() };
        let (uids, elements) = (Uids::of_exam(exam.recording_uid, provenance), identity(exam, &provenance.offset));
        let (remark, request) = (exam.remark.map(str::to_owned), exam.request.cloned());
        let (coverage, marked) = (exam.coverage.clone(), Marked::default());
        Self { provenance, uids, elements, header, remark, request, coverage, marked }
    }

    /// What a person has decided about the lesions: report, segmentation and documents are those of that version. Clips and key images are
    /// the same in all.
    #[must_use]
    pub fn judged(self, marked: &Marked) -> Self {
        Self { uids: self.uids.judged(marked), marked: marked.clone(), ..self }
    }

    fn with<T>(&self, write: impl FnOnce(&Context) -> T) -> T {
        let source = Source {
            elements: &self.elements,
            header: &self.header,
            instances: &[],
            series_uids: &[],
            revision: "",
            withdrawn: "",
        };
        let request = self.request.as_ref();
        let review = self.marked.review.as_ref().map(Review::signature);
        write(&Context { source: &source, provenance: self.provenance, uids: &self.uids, review, request })
    }

    /// The same for objects that say what is known of the lesions.
    fn knowing<T>(&self, seen: &[Seen], write: impl FnOnce(&Context) -> T) -> T {
        let uids = self.uids.knowing(seen.iter().map(|one| one.followed.as_ref()));
        self.with(|context| write(&Context { uids: &uids, ..*context }))
    }

    /// The Ultrasound Multi-frame Image of a clip; `index` counts from 0.
    ///
    /// # Errors
    /// When a value does not fit into an object.
    pub fn clip(&self, clip: &Clip, index: usize) -> Result<ResultObject, Error> {
        self.with(|context| image(context, CLIP, clip, index, self.remark.as_deref()))
    }

    /// The Ultrasound Image with the only frame of `key`.
    ///
    /// # Errors
    /// When a value does not fit into an object.
    pub fn key(&self, key: &Clip, index: usize) -> Result<ResultObject, Error> {
        self.with(|context| image(context, KEY, key, index, self.remark.as_deref()))
    }

    /// The segmentation of the lesions whose key images have this size; one object for each size.
    ///
    /// # Errors
    /// When a value does not fit into an object.
    pub fn segmentation(
        &self,
        keys: &[ResultObject],
        seen: &[&Seen],
        size: [u16; 2],
        index: usize,
    ) -> Result<ResultObject, Error> {
        let keys: Vec<PictureRef> = keys.iter().map(PictureRef::of).collect();
        self.with(|context| seg::write(context, &keys, seen, size, index))
    }

    /// The report (TID 1500). It refers to clips and key images but does not need their bytes.
    ///
    /// # Errors
    /// When a value does not fit into an object.
    pub fn report(
        &self,
        clips: &[ResultObject],
        keys: &[ResultObject],
        seen: &[Seen],
        course: Course,
    ) -> Result<ResultObject, Error> {
        self.knowing(seen, |context| {
            let edits = of_marks(&self.marked, Language::English.words());
            let comment = |id: &str| {
                let edited = edits.iter().find(|(edited, _)| edited == id).map(|(_, words)| words.as_str());
                let comment = edited.or_else(|| Some(self.marked.review.as_ref()?.comment(id)));
                comment.filter(|comment| !comment.is_empty()).map(|comment| groups::said(context, comment.to_owned()))
            };
            let of = |s: &Seen| Some(lesion(context, s, &PictureRef::of(keys.get(s.key)?)).with_all(comment(&s.id)));
            let mut groups: Vec<Item> = seen.iter().filter_map(of).collect();
            if groups.is_empty() {
                groups.push(nothing(context, none_seen(course).into()));
            }
            let images: Vec<&ResultObject> = clips.iter().chain(keys).collect();
            let non_mass = Language::English.words().breast().non_mass.to_owned();
            let covered = covered(&self.coverage, Language::English.words());
            let judged =
                Some(self.marked.said()).filter(|said| !said.is_empty()).map(|said| groups::said(context, said));
            let said = self.remark.iter().cloned().chain([non_mass]).chain(covered).map(groups::comment);
            sr::ultrasound(context, groups, &images, US, IMAGING_PROCEDURE, judged.into_iter().chain(said).collect())
        })
    }

    /// The documents in every language, with `pictures`, and the breast imaging report (TID 4200).
    ///
    /// # Errors
    /// When a value does not fit into an object.
    pub fn breast(
        &self,
        clips: &[ResultObject],
        keys: &[ResultObject],
        seen: &[Seen],
        course: Course,
        pictures: &[ExamPicture],
    ) -> Result<Vec<ResultObject>, Error> {
        let exam = Examination {
            looked: Looked::Recorded { clips: clips.len(), pictures: keys.len(), course },
            lesions: seen.iter().map(|one| reported(one, keys)).collect(),
            remark: self.remark(),
            marked: Some(&self.marked),
            coverage: self.coverage.clone(),
        };
        let images: Vec<&ResultObject> = clips.iter().chain(keys).collect();
        self.knowing(seen, |context| {
            let draw = |language: &Language| -> Vec<KeyImage> {
                let signed = context.review;
                pictures.iter().map(|one| pages::exam_page(one, seen, signed, self.provenance, *language)).collect()
            };
            let drawn: Vec<Vec<KeyImage>> = Language::ALL.iter().map(draw).collect();
            let draft = context.unsigned();
            let mut objects = breast::documents(&draft, &exam, &drawn, &images)?;
            objects.push(structured::write(&draft, &exam, &images)?);
            Ok(objects)
        })
    }

    /// What must be known of the exam, and who has reviewed it.
    fn remark(&self) -> Option<String> {
        let said: Vec<String> =
            self.remark.iter().cloned().chain([self.marked.said()]).filter(|one| !one.is_empty()).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Of an exam without a lesion.
fn none_seen(course: Course) -> &'static str {
    match (course.is_looked_at, course.is_whole) {
        (false, _) => "Lesions were not evaluated: no network looked at the pictures.",
        (true, false) => "No lesion was seen in the pictures that were looked at.",
        (true, true) => "No lesion was seen.",
    }
}

fn reported<'a>(one: &'a Seen, keys: &[ResultObject]) -> Found<'a> {
    let picture = keys.get(one.key).map(PictureRef::of);
    Found { followed: one.followed.as_ref(), ..Found::new(&one.lesion, one.place.clone(), picture) }
}

/// Patient and study attributes as a scanner would send them, in UTF-8.
fn identity(exam: &Exam, offset: &str) -> Vec<RawElement> {
    let (date, time) = date_and_time(exam.started_utc, offset);
    let element = |tag: Tag, vr: VR, text: &str| RawElement { tag, vr, value: text.as_bytes().to_vec() };
    vec![
        element(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        element(tags::STUDY_DATE, VR::DA, &date),
        element(tags::STUDY_TIME, VR::TM, &time),
        element(tags::ACCESSION_NUMBER, VR::SH, &exam.patient.accession_number),
        element(tags::PATIENT_NAME, VR::PN, &exam.patient.name),
        element(tags::PATIENT_ID, VR::LO, &exam.patient.id),
        element(tags::PATIENT_BIRTH_DATE, VR::DA, &exam.patient.birth_date),
        element(tags::STUDY_INSTANCE_UID, VR::UI, exam.study_uid),
    ]
}

/// An Ultrasound Image or Ultrasound Multi-frame Image (PS3.3 sections A.6 and A.7).
fn image(
    context: &Context,
    kind: ObjectKind,
    clip: &Clip,
    index: usize,
    remark: Option<&str>,
) -> Result<ResultObject, Error> {
    let mut set = context.begin(kind, index)?;
    set.texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"]);
    set.empty(tags::PATIENT_ORIENTATION, VR::CS);
    // Pictures of one series may be of both.
    set.empty(tags::LATERALITY, VR::CS);
    if let Some(side) = clip.side {
        set.text(tags::IMAGE_LATERALITY, VR::CS, if side == Side::Right { "R" } else { "L" });
    }
    set.text(tags::BURNED_IN_ANNOTATION, VR::CS, if clip.masked { "NO" } else { "YES" });
    let comments: Vec<&str> = context.provenance.mark().into_iter().chain(remark).collect();
    if !comments.is_empty() {
        set.text(tags::IMAGE_COMMENTS, VR::LT, &comments.join("; "));
    }
    if kind == CLIP {
        set.text(tags::NUMBER_OF_FRAMES, VR::IS, &clip.frames.len().to_string());
        // Cameras have no constant frame rate, so each frame has its time since the previous one, in ms (PS3.3 section
        // C.7.6.5).
        let times: Vec<f64> = std::iter::once(0.0)
            .chain(clip.frames.windows(2).map(|w| w[1].at.saturating_sub(w[0].at).as_micros() as f64 / 1000.0))
            .take(clip.frames.len())
            .collect();
        set.decimals(tags::FRAME_TIME_VECTOR, &times);
        set.primitive(tags::FRAME_INCREMENT_POINTER, VR::AT, PrimitiveValue::from(tags::FRAME_TIME_VECTOR));
    }
    set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, if clip.colour { "YBR_FULL_422" } else { "MONOCHROME2" });
    let samples = if clip.colour { 3 } else { 1 };
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, samples),
        (tags::ROWS, clip.rows),
        (tags::COLUMNS, clip.columns),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.shorts(tag, &[value]);
    }
    if clip.colour {
        set.shorts(tags::PLANAR_CONFIGURATION, &[0]);
    }
    let compressed: usize = clip.frames.iter().map(|f| f.jpeg.len()).sum();
    let raw = clip.frames.len() * usize::from(clip.rows) * usize::from(clip.columns) * usize::from(samples);
    set.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
    set.decimals(
        tags::LOSSY_IMAGE_COMPRESSION_RATIO,
        &[(100.0 * raw as f64 / compressed.max(1) as f64).round() / 100.0],
    );
    set.text(tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, "ISO_10918_1");
    if let Some(scale) = clip.mm_per_pixel {
        set.sequence(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, vec![region(clip, scale)]);
    }
    pixels(&clip.frames, &mut set);
    context.finish_as(kind, index, set, compressed, uids::JPEG_BASELINE8_BIT)
}

/// The physical size of a pixel in the image sector (PS3.3 section C.8.5.5).
fn region(clip: &Clip, mm_per_pixel: f64) -> DataSet {
    let mut item = DataSet::new();
    let [left, top, right, bottom] = clip.sector;
    let long = |set: &mut DataSet, tag, value: u32| set.primitive(tag, VR::UL, PrimitiveValue::from(value));
    long(&mut item, tags::REGION_LOCATION_MIN_X0, left);
    long(&mut item, tags::REGION_LOCATION_MIN_Y0, top);
    long(&mut item, tags::REGION_LOCATION_MAX_X1, right.saturating_sub(1));
    long(&mut item, tags::REGION_LOCATION_MAX_Y1, bottom.saturating_sub(1));
    // Units of both axes are centimetres; the region is a two-dimensional tissue image. Nothing else is known about it.
    const CENTIMETRES: u16 = 3;
    item.shorts(tags::PHYSICAL_UNITS_X_DIRECTION, &[CENTIMETRES]);
    item.shorts(tags::PHYSICAL_UNITS_Y_DIRECTION, &[CENTIMETRES]);
    for tag in [tags::PHYSICAL_DELTA_X, tags::PHYSICAL_DELTA_Y] {
        item.primitive(tag, VR::FD, PrimitiveValue::from(mm_per_pixel / 10.0));
    }
    item.shorts(tags::REGION_SPATIAL_FORMAT, &[1]);
    item.shorts(tags::REGION_DATA_TYPE, &[1]);
    long(&mut item, tags::REGION_FLAGS, 0);
    item
}

/// Encapsulated pixel data: one fragment per frame, and the table of their offsets (PS3.5 section A.4).
fn pixels(frames: &[Shown], set: &mut DataSet) {
    let mut offset = 0u32;
    let mut offsets = Vec::with_capacity(frames.len());
    let mut fragments = Vec::with_capacity(frames.len());
    for frame in frames {
        let mut bytes = frame.jpeg.clone();
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        offsets.push(offset);
        offset = offset.saturating_add(u32::try_from(bytes.len() + 8).unwrap_or(u32::MAX));
        fragments.push(bytes);
    }
    let sequence = PixelFragmentSequence::new(offsets, fragments);
    set.0.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
}

/// Planar ROI measurements and qualitative evaluations (TID 1410).
fn lesion(context: &Context, seen: &Seen, key: &PictureRef) -> Item {
    let lesion = &seen.lesion;
    let mut points = lesion.outline.clone();
    points.extend(lesion.outline.first().copied());
    // A person measured another size: only the place is known.
    let [left, top, right, bottom] = lesion.bounds;
    let (kind, points) = match points.is_empty() {
        true => ("POINT", vec![[f32::midpoint(left, right), f32::midpoint(top, bottom)]]),
        false => ("POLYLINE", points),
    };
    let image = Value::Image { sop_class_uid: key.sop_class_uid.clone(), sop_uid: key.sop_uid.clone(), part: key.part };
    let region = Item::new(Relation::Contains, IMAGE_REGION, Value::Coordinates { kind, points }).with(Item::new(
        Relation::SelectedFrom,
        ORIGINAL_SOURCE,
        image,
    ));
    let length = |name, mm: f32| {
        let item = Item::number(name, f64::from(mm), 1, MILLIMETRE);
        if kind == "POINT" { groups::chosen(item) } else { item }
    };
    let sizes = lesion.size_mm.map(|[long, short]| [length(LONG_AXIS, long), length(SHORT_AXIS, short)]);
    let described = (!lesion.descriptors.is_empty())
        .then(|| groups::comment(format!("BI-RADS descriptors: {}", lesion.descriptors.join(", "))));
    // As whoever scanned said it.
    let distance = seen.place.distance_mm.map(|mm| Item::number(DISTANCE_FROM_NIPPLE, mm, 0, MILLIMETRE));
    let hour = seen.place.clock.and_then(hour_code).map(|hour| Item::code(Relation::Contains, CLOCK_FACE, hour));
    let w = Language::English.words();
    let score = format!("Benign (0) to malignant (1), not calibrated: {:.2}", lesion.malignant);
    groups::begin("1410", &seen.label(), seen.tracking_uid(context), MASS)
        .with(region)
        .with_all(groups::model(context))
        .with(groups::site(Site::breast(seen.place.side)))
        .with_all(sizes.into_iter().flatten())
        .with_all(distance)
        .with(Item::number(CERTAINTY_OF_FINDING, f64::from(lesion.confidence) * 100.0, 1, PERCENT))
        .with_all(hour)
        .with_all(described)
        .with(groups::comment(capital(&suggestion(&suggested(lesion, &Terms::of(&lesion.descriptors)), w))))
        .with(groups::comment(score))
        .with_all(seen.followed.as_ref().map(|known| groups::comment(capital(&followed(known, w)))))
}

/// The group that says that no lesion was found (TID 1501), in these words.
fn nothing(context: &Context, words: String) -> Item {
    groups::begin("1501", "Breast lesions", context.uids.lasting("track breast lesions", 0), MASS)
        .with_all(groups::model(context))
        .with(groups::site(Site::breast(None)))
        .with(groups::comment(words))
}

#[cfg(test)]
mod tests {
    use dicom::request::{Code, Reference};

    use super::*;
    use crate::testing;
    use dicom_object::InMemDicomObject;

    fn clip(frames: usize) -> Clip {
        let shown = |i: usize| Shown { at: Duration::from_millis(33 * i as u64), jpeg: vec![i as u8 + 1; 5 + i] };
        Clip {
            frames: (0..frames).map(shown).collect(),
            columns: 64,
            rows: 48,
            colour: false,
            mm_per_pixel: Some(0.08),
            sector: [4, 2, 60, 46],
            masked: true,
            side: Some(Side::Left),
        }
    }

    fn written(clips: &[Clip], seen: &[Seen]) -> Vec<(ResultObject, InMemDicomObject)> {
        written_of(clips, seen, None)
    }

    fn written_of(clips: &[Clip], seen: &[Seen], request: Option<&Request>) -> Vec<(ResultObject, InMemDicomObject)> {
        let patient = Patient { id: "P7".into(), name: "Wang^XiaoDong".into(), ..Patient::default() };
        let started_utc = "2026-11-24T03:00:00.000Z";
        let remark = Some("WRONG PATIENT?");
        let exam = Exam {
            study_uid: "2.25.77",
            recording_uid: "2.25.78",
            patient: &patient,
            started_utc,
            remark,
            request,
            coverage: &Coverage::default(),
        };
        let provenance = testing::case(1).provenance;
        let writer = Writer::new(&exam, &provenance);
        let mut objects: Vec<_> = clips.iter().enumerate().map(|(i, clip)| writer.clip(clip, i).unwrap()).collect();
        let first = |clip: &Clip| Clip { frames: clip.frames[..1].to_vec(), ..clip.clone() };
        let keys: Vec<_> = clips.iter().enumerate().map(|(i, clip)| writer.key(&first(clip), i).unwrap()).collect();
        let report = writer.report(&objects, &keys, seen, breast::WHOLE).unwrap();
        if !seen.is_empty() {
            let seen: Vec<_> = seen.iter().collect();
            objects.push(writer.segmentation(&keys, &seen, [64, 48], 0).unwrap());
        }
        objects.extend(keys.into_iter().chain([report]));
        let read = |object: ResultObject| {
            let parsed = dicom_object::from_reader(object.part10.as_slice()).unwrap().into_inner();
            (object, parsed)
        };
        objects.into_iter().map(read).collect()
    }

    fn lesion_in_the_middle() -> Lesion {
        Lesion {
            id: 2,
            outline: vec![[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]],
            bounds: [10.0, 10.0, 20.0, 20.0],
            confidence: 0.9,
            malignant: 0.25,
            descriptors: vec!["oval".into()],
            size_mm: Some([8.0, 6.5]),
        }
    }

    fn text(object: &InMemDicomObject, tag: Tag) -> String {
        object.element(tag).unwrap().to_str().unwrap().trim_end().to_owned()
    }

    #[test]
    fn every_object_says_what_was_asked_for_to_who_ordered_the_exam() {
        let code =
            Code { value: "US1".into(), scheme: "99RIS".into(), meaning: "Mamma 乳腺".into(), ..Code::default() };
        let request = Request {
            procedure_id: "RP-1".into(),
            procedure_codes: vec![code],
            step_id: "S-1".into(),
            step_description: "breast, both".into(),
            studies: vec![Reference { sop_class: "1.2.840.10008.3.1.2.3.1".into(), sop_uid: "1.2.3".into() }],
            ..Request::default()
        };
        let item = |parsed: &InMemDicomObject, tag: Tag| {
            parsed.element(tag).ok().and_then(|element| element.items()?.first().cloned())
        };
        for (object, parsed) in written_of(
            &[clip(2)],
            &[Seen {
                id: "lesion-2".into(),
                key: 0,
                track: 0,
                lesion: lesion_in_the_middle(),
                place: Place::default(),
                followed: None,
            }],
            Some(&request),
        ) {
            let (here, elsewhere) = match object.kind {
                "sr" => (tags::REFERENCED_REQUEST_SEQUENCE, tags::REQUEST_ATTRIBUTES_SEQUENCE),
                _ => (tags::REQUEST_ATTRIBUTES_SEQUENCE, tags::REFERENCED_REQUEST_SEQUENCE),
            };
            assert!(item(&parsed, elsewhere).is_none(), "{}", object.kind);
            let asked = item(&parsed, here).unwrap();
            assert_eq!(text(&asked, tags::REQUESTED_PROCEDURE_ID), "RP-1");
            let code = item(&asked, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE).unwrap();
            assert_eq!(
                code.element(tags::CODE_MEANING).unwrap().to_bytes().unwrap().trim_ascii(),
                "Mamma 乳腺".as_bytes()
            );
            match object.kind {
                "sr" => {
                    assert_eq!(text(&asked, tags::STUDY_INSTANCE_UID).trim_end_matches('\0'), "2.25.77");
                    assert!(
                        asked.element(tags::ACCESSION_NUMBER).is_ok()
                            && item(&asked, tags::REFERENCED_STUDY_SEQUENCE).is_some()
                    );
                }
                _ => assert_eq!(text(&asked, tags::SCHEDULED_PROCEDURE_STEP_ID), "S-1"),
            }
        }
        let listed_only = Request { step_description: "breast".into(), ..Request::default() };
        for (object, parsed) in written_of(&[clip(1)], &[], Some(&listed_only)) {
            assert!(
                item(&parsed, tags::REQUEST_ATTRIBUTES_SEQUENCE).is_none(),
                "{}: an item without an ID",
                object.kind
            );
        }
    }

    #[test]
    fn a_clip_keeps_its_frames_byte_for_byte_and_says_when_each_came() {
        let clip = clip(3);
        let objects = written(std::slice::from_ref(&clip), &[]);
        let (_, object) = &objects[0];
        assert_eq!(text(object, tags::NUMBER_OF_FRAMES), "3");
        assert_eq!(object.element(tags::FRAME_TIME_VECTOR).unwrap().to_multi_float64().unwrap(), [0.0, 33.0, 33.0]);
        let fragments = object.element(tags::PIXEL_DATA).unwrap().value().fragments().unwrap().to_vec();
        for (fragment, frame) in fragments.iter().zip(&clip.frames) {
            assert_eq!(fragment[..frame.jpeg.len()], frame.jpeg);
        }
        assert_eq!(text(object, tags::PATIENT_ID), "P7");
    }

    #[test]
    fn what_must_be_known_of_the_exam_is_in_the_report_and_beside_every_picture() {
        for (object, parsed) in written(&[clip(2)], &[]) {
            let said = match object.kind {
                "sr" => format!("{parsed:?}"),
                _ => text(&parsed, tags::IMAGE_COMMENTS),
            };
            assert!(said.contains("WRONG PATIENT?"), "{}: {said}", object.kind);
        }
    }

    #[test]
    fn the_report_points_at_the_picture_where_the_lesion_was_seen_best() {
        let place = Place { side: Some(Side::Left), clock: Some(2), distance_mm: Some(40.2), in_view: None };
        let seen =
            Seen { id: "lesion-2".into(), key: 1, track: 1, lesion: lesion_in_the_middle(), place, followed: None };
        let objects = written(&[clip(2), clip(2)], &[seen]);
        let kinds: Vec<_> = objects.iter().map(|(object, _)| object.kind).collect();
        assert_eq!(kinds, ["us", "us", "seg", "us-key", "us-key", "sr"]);
        let report = format!("{:?}", objects[5].1);
        let segmentation = format!("{:?}", objects[2].1);
        for text in [&report, &segmentation] {
            assert!(text.contains(&objects[4].0.sop_uid), "the second key image is referred to");
        }
        for said in ["Left", "2 o'clock position", "Distance from nipple", "40"] {
            assert!(report.contains(said), "{said}");
        }
        assert_eq!(text(&objects[4].1, tags::IMAGE_LATERALITY), "L");
        assert!(report.contains(&objects[0].0.sop_uid), "clips are in the image library");
        assert_eq!(text(&objects[5].1, tags::STUDY_INSTANCE_UID), "2.25.77");
        assert_ne!(objects[0].0.sop_uid, objects[1].0.sop_uid);
        assert_eq!(objects[0].0.series_uid, objects[1].0.series_uid);
        assert_eq!(text(&objects[4].1, tags::SOP_CLASS_UID), uids::ULTRASOUND_IMAGE_STORAGE);
        let bits = objects[2].1.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        assert_eq!(bits.iter().map(|byte| byte.count_ones()).sum::<u32>(), 100, "10 x 10 pixels");
        let first = bits.iter().enumerate().find(|(_, byte)| **byte != 0).unwrap();
        assert_eq!(first.0 * 8 + first.1.trailing_zeros() as usize, 10 * 64 + 10);
    }
}
