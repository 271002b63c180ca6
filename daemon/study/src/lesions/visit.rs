//! What one exam or one task of a study saw of lesions, as sightings. Pure.

use std::collections::BTreeSet;

use dicom::header::Header;
use dicom::patient::Patient;
use hal::clock::local_day_of;
use jiff::civil::Date;
use models::findings::Side;
use models::lesion::sighting::{By, InView, Method, Person, Place, Projection, Shown, Sighting};
use models::review::marks::Marked;
use models::task::mammography_views::{MammographyViews, StandardView};
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};
use models::task::mg_breast::withheld::Withheld;
use models::task::us_breast::lesion::Lesion;
use report::stills::{self, StillImage, StillLesion, Stills};
use report::views::marks;

/// One visit of a patient. It counts as an exam also when nothing was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    pub person: Person,
    pub date: Date,
    pub modality: &'static str,
    pub study_uid: String,
    /// What was analysed: a repeated analysis of it is the same visit.
    pub source: String,
    /// Which breasts the pictures show; empty: they do not all say it.
    pub sides: Vec<Side>,
    /// Perhaps the other breast, too: whoever scanned may have looked at it without saying so, or nothing was read in its images.
    pub may_show_more: bool,
    /// It was neither cut short nor made without a model.
    pub is_whole: bool,
    /// A simulated device or accelerator had a part in it.
    pub simulated: bool,
    /// SOP Instance UIDs of the pictures that were looked at: only in these something is not found any more. `None`: in all.
    pub looked_at: Option<BTreeSet<String>>,
    /// Pictures of it were evicted or damaged since they came: an earlier analysis may know more.
    pub has_gone: bool,
    pub sightings: Vec<Sighting>,
}

/// What all sightings of a visit share.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// Id and version; empty when it is not known.
    pub package: &'a str,
    pub simulated: bool,
}

/// When a study came here.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// RFC 3339.
    pub utc: &'a str,
    /// This box knows the time.
    pub is_sure: bool,
}

pub fn person_of(header: &Header) -> Person {
    Person {
        id: header.patient_id.trim().to_owned(),
        issuer: header.issuer_of_patient_id.clone(),
        name: header.patient_name.clone(),
        birth_date: header.birth_date.clone(),
        sex: header.sex.clone(),
    }
}

/// Of a study that was received. `arrived`: for one whose header has no date, or one that cannot be.
pub fn of_header(header: &Header, modality: &'static str, source: String, arrived: Arrived<'_>) -> Option<Visit> {
    let person = person_of(header);
    let date = possible(day(&header.study_date), local_day_of(arrived.utc), arrived.is_sure)?;
    let study_uid = header.study_instance_uid.clone();
    Some(Visit {
        person,
        date,
        modality,
        study_uid,
        source,
        sides: Vec::new(),
        may_show_more: false,
        is_whole: true,
        simulated: false,
        looked_at: Some(BTreeSet::new()),
        has_gone: false,
        sightings: Vec::new(),
    })
}

/// A study is not of a day after it arrived: then the clock of the scanner is wrong, unless that of this box may be. A day of
/// zones is allowed for.
fn possible(study: Option<Date>, arrived: Option<Date>, is_sure: bool) -> Option<Date> {
    let latest = arrived.filter(|_| is_sure).map(|arrived| arrived.tomorrow().unwrap_or(arrived));
    study.filter(|study| latest.is_none_or(|latest| *study <= latest)).or(arrived)
}

/// Of an exam that was recorded here. `is_whole`: see [`Visit`].
pub fn of_exam(
    patient: &Patient,
    study_uid: &str,
    recording_uid: &str,
    started_utc: &str,
    is_whole: bool,
) -> Option<Visit> {
    let person = Person {
        id: patient.id.trim().to_owned(),
        name: patient.name.clone(),
        birth_date: patient.birth_date.clone(),
        ..Person::default()
    };
    let date = local_day_of(started_utc)?;
    let (study_uid, source) = (study_uid.to_owned(), super::source_of_recording(recording_uid));
    Some(Visit {
        person,
        date,
        modality: "US",
        study_uid,
        source,
        sides: Vec::new(),
        may_show_more: true,
        is_whole,
        simulated: false,
        looked_at: None,
        has_gone: false,
        sightings: Vec::new(),
    })
}

fn day(text: &str) -> Option<Date> {
    Date::strptime("%Y%m%d", text.get(..8)?).ok()
}

impl Visit {
    fn sighting(&self, common: Common<'_>, place: Place, axes_mm: Vec<f64>, shown: Shown) -> Sighting {
        Sighting {
            person: self.person.clone(),
            date: self.date,
            method: Method { modality: self.modality.to_owned(), by: By::Software(common.package.to_owned()) },
            place,
            axes_mm,
            gone: false,
            shown: Shown {
                study_uid: self.study_uid.clone(),
                source: self.source.clone(),
                // JSON has no other numbers.
                bounds: shown.bounds.filter(|bounds| bounds.iter().all(|at| at.is_finite())),
                ..shown
            },
            simulated: common.simulated,
        }
    }

    /// Whether it says something of the picture that shows this, be it that nothing is there.
    pub fn has_looked_at(&self, seen: &Sighting) -> bool {
        self.looked_at.as_ref().is_none_or(|pictures| pictures.contains(&seen.shown.object_uid))
    }

    /// Lesions that were followed through an exam, and where they are as far as whoever scanned has said. `sides`: the breasts
    /// that were named.
    #[must_use]
    pub fn with_exam(mut self, lesions: &[(Lesion, Place)], sides: &[Side], common: Common<'_>) -> Self {
        let shown = |lesion: &Lesion| Shown {
            object_uid: self.source.clone(),
            label: label(lesion),
            // Lesions of an exam are numbered; the picture that shows one best may be another one's, too.
            bounds: None,
            ..Shown::default()
        };
        let all = lesions.iter().map(|(one, place)| self.sighting(common, place.clone(), axes(one), shown(one)));
        self.sightings = all.collect();
        self.sides = sides.to_vec();
        self.simulated = common.simulated;
        self
    }

    /// Lesions in stored images.
    #[must_use]
    pub fn with_stills(mut self, stills: &Stills, common: Common<'_>) -> Self {
        let of = |one: &StillLesion| {
            let image = stills.images.get(one.image)?;
            let shown = Shown {
                object_uid: image.sop_instance_uid.clone(),
                frame: one.frame.map(|[frame, _]| frame),
                label: label(&one.lesion),
                bounds: Some(one.lesion.bounds),
                ..Shown::default()
            };
            let axes = unless_edited(&stills.marked, &stills::id(one.lesion.id), axes(&one.lesion));
            Some(self.sighting(common, stills.place(one), axes, shown))
        };
        self.sightings = stills.lesions.iter().filter_map(of).collect();
        let sides = shown_by(stills).into_iter().collect::<Option<Vec<Side>>>();
        self.sides = sides.unwrap_or_default();
        // The other images with that header were perhaps labelled as wrongly.
        self.is_whole &= !corrected(stills).any(|side| self.sides.contains(&side));
        let mut unread = stills.unread.iter().filter(|one| !one.in_part);
        self.may_show_more |= unread.any(|one| one.side.is_none_or(|side| !self.sides.contains(&side)));
        self.simulated = common.simulated;
        self.looked_at = Some(stills.images.iter().map(|image| image.sop_instance_uid.clone()).collect());
        self
    }

    /// Marks in a mammography. `marked`: what a person has decided about them.
    #[must_use]
    pub fn with_marks(mut self, marks: &Marks, marked: &Marked, common: Common<'_>) -> Self {
        let all = marks.views.iter().flat_map(|view| view.marks.iter().map(move |mark| (view, mark)));
        self.sightings = all.map(|(view, mark)| self.mark(view, mark, marked, common)).collect();
        self.sides = marks.views.iter().map(side_of).collect();
        self.simulated = common.simulated;
        self.looked_at = Some(marks.views.iter().map(|view| view.sop_instance_uid.clone()).collect());
        self
    }

    /// A mammography. Its headers say which breasts were imaged; where its pictures were looked at for marks, these say more.
    /// `marked`: what a person has decided about marks.
    #[must_use]
    pub fn with_views(self, views: &MammographyViews, marked: Option<&Marked>, common: Common<'_>) -> Self {
        let withheld = views.marks.iter().flat_map(|marks| &marks.withheld);
        let doubtful: Vec<StandardView> = withheld.filter(|one| is_doubtful(one.why)).map(|one| one.view).collect();
        let found = views.found.iter().map(|found| found.view);
        let sides: Vec<Side> = found.filter(|view| !doubtful.contains(view)).map(side_in).collect();
        let mut visit = match (&views.marks, marked) {
            (Some(marks), Some(marked)) => self.with_marks(marks, marked, common),
            _ => self,
        };
        visit.sides = sides;
        let mut parts = doubtful.into_iter().chain(views.in_parts.iter().map(|parts| parts.view)).map(side_in);
        visit.may_show_more |= parts.any(|side| !visit.sides.contains(&side));
        visit.simulated = common.simulated;
        visit
    }

    fn mark(&self, view: &MarkedView, mark: &Mark, marked: &Marked, common: Common<'_>) -> Sighting {
        let place = Place {
            side: Some(side_of(view)),
            in_view: Some(InView {
                projection: if view.view.is_oblique() { Projection::Mlo } else { Projection::Cc },
                behind_nipple_mm: mark.behind_nipple_mm.into(),
                below_nipple_mm: mark.below_nipple_mm.into(),
            })
            .filter(|at| at.behind_nipple_mm.is_finite() && at.below_nipple_mm.is_finite()),
            ..Place::default()
        };
        let shown = Shown {
            object_uid: view.sop_instance_uid.clone(),
            label: format!("Mark {}", mark.number),
            bounds: Some(mark.bounds),
            ..Shown::default()
        };
        let axes = unless_edited(marked, &marks::id(mark.number), rounded(&mark.size_mm));
        self.sighting(common, place, axes, shown)
    }
}

/// Which breasts the images that were looked at show. A person who corrects the side of a lesion corrects that of its image.
fn shown_by(stills: &Stills) -> Vec<Option<Side>> {
    let of = |(index, image): (usize, &StillImage)| {
        let lesions = stills.lesions.iter().filter(move |one| one.image == index);
        let said: Vec<Option<Side>> = lesions.map(|one| stills.place(one).side).collect();
        if said.is_empty() { vec![image.side] } else { said }
    };
    stills.images.iter().enumerate().flat_map(of).collect()
}

/// The sides that headers name and a person has corrected.
fn corrected(stills: &Stills) -> impl Iterator<Item = Side> {
    let header = |one: &StillLesion| stills.images.get(one.image).and_then(|image| image.side);
    stills.lesions.iter().filter_map(move |one| header(one).filter(|side| stills.place(one).side != Some(*side)))
}

fn side_of(view: &MarkedView) -> Side {
    side_in(view.view)
}

/// Whether a view that no mark was looked for in may be another one than its header says, or show no breast.
fn is_doubtful(why: Withheld) -> bool {
    matches!(why, Withheld::NotRead | Withheld::ChestWall | Withheld::OtherSide | Withheld::Partial)
}

fn side_in(view: StandardView) -> Side {
    if view.is_right() { Side::Right } else { Side::Left }
}

/// `L` or `R` of a header.
pub fn side(laterality: &str) -> Option<Side> {
    match laterality {
        "L" => Some(Side::Left),
        "R" => Some(Side::Right),
        _ => None,
    }
}

fn label(lesion: &Lesion) -> String {
    format!("Lesion {}", lesion.id)
}

/// What a person has measured is none of the software, and the two are not compared (decision 0029): here it has no size.
fn unless_edited(marked: &Marked, id: &str, axes: Vec<f64>) -> Vec<f64> {
    if marked.is_resized(id) { Vec::new() } else { axes }
}

fn axes(lesion: &Lesion) -> Vec<f64> {
    lesion.size_mm.map(|size| rounded(&size)).unwrap_or_default()
}

/// To a tenth of a millimetre, as reports give it.
fn rounded(mm: &[f32; 2]) -> Vec<f64> {
    mm.iter().map(|mm| (f64::from(*mm) * 10.0).round() / 10.0).filter(|mm| *mm > 0.0 && mm.is_finite()).collect()
}
