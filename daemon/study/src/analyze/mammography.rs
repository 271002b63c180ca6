//! Which standard views of a mammography are there, by the headers of its images; where that is asked for, what their pictures show
//! (`pictures`), and what a network marks in them.

use dicom::header::{Header, Projection};
use dicom_dictionary_std::uids;
use hal::LoadedModel;
use models::Package;
use models::review;
use models::review::marks::Marked;
use models::task::mammography_views::{MammographyViews, PartFound, Section, StandardView, ViewFound, ViewInParts};
use models::task::mg_breast::marks::{self, Marks, WithheldView};
use models::task::mg_breast::scorer::Scorer;
use models::task::mg_breast::withheld::{self, Marking};
use models::task::{Control, TaskFault};
use report::views::Mammography;

use super::engine::{self, Engine};
use super::examine::{Error, Subject};
use super::task::{self, Outcome, Ran};
use super::ultrasound::Pictures;
use super::views::{self, Image, View};

pub(super) mod pictures;

pub use pictures::view_name;

/// The set that the task wants.
pub(super) const VIEWS: &[View] = &[
    view(StandardView::RightCc, |header| standard_view(header) == Some(StandardView::RightCc)),
    view(StandardView::LeftCc, |header| standard_view(header) == Some(StandardView::LeftCc)),
    view(StandardView::RightMlo, |header| standard_view(header) == Some(StandardView::RightMlo)),
    view(StandardView::LeftMlo, |header| standard_view(header) == Some(StandardView::LeftMlo)),
];

const fn view(view: StandardView, shows: fn(&Header) -> bool) -> View {
    View { name: view.name(), needed: true, shows, part, preferred }
}

/// Which views there are. `images` are in the order of arrival.
pub fn judge(images: &[Image<'_>]) -> MammographyViews {
    let (mut found, mut in_parts, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (view, shown) in StandardView::ALL.into_iter().zip(views::find(VIEWS, images)) {
        let parts = parts(view, images);
        match shown {
            Some(shown) => {
                let header = images[shown.taken].header;
                found.push(ViewFound {
                    view,
                    sop_instance_uid: header.sop_instance_uid.clone(),
                    for_presentation: for_presentation(header),
                    candidates: shown.candidates,
                });
            }
            None if parts.is_empty() => missing.push(view),
            None => {}
        }
        if !parts.is_empty() {
            in_parts.push(ViewInParts { view, parts });
        }
    }
    MammographyViews { found, in_parts, missing, pictures: Vec::new(), marks: None }
}

/// The images that show a part of a view.
fn parts(view: StandardView, images: &[Image<'_>]) -> Vec<PartFound> {
    let own = images.iter().map(|image| image.header);
    let own = own.filter(|header| part(header) && standard_view(header) == Some(view));
    let one =
        |header: &Header| PartFound { sop_instance_uid: header.sop_instance_uid.clone(), sections: sections(header) };
    own.map(one).collect()
}

/// The sections that the header of a part names. Codes of vendors are left out.
fn sections(header: &Header) -> Vec<Section> {
    header.projection.sections.iter().filter_map(|code| Section::of_code(code)).collect()
}

/// Only a part of a view, as its header says.
fn part(header: &Header) -> bool {
    header.projection.partial
}

/// # Errors
/// What a repetition may mend; what a picture does not allow is said of it.
pub(super) fn run(engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
    let begun = std::time::Instant::now();
    let mut study = Mammography {
        views: judge(subject.study),
        hung: Vec::new(),
        followed: Vec::new(),
        marked: Marked::default(),
        before: subject.before.clone(),
    };
    let mut used = None;
    match subject.pictures {
        None => {}
        Some(pictures) if pictures.marking == Marking::Off => {
            let read = pictures::read(pictures, &study.views.found, None, control)?;
            read.into_study(&mut study);
        }
        Some(pictures) => {
            let looked: Result<_, Error> =
                engine.mg_breast(control, |package, model| marked(&mut study, package, model, pictures, control));
            let (marks, by) = looked?;
            judge_marks(
                &mut study,
                marks,
                subject,
                &review::package(&by.manifest.id, &by.manifest.version, &by.sha256),
            );
            used = Some(by);
        }
    }
    let timings_ms = vec![("views".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    Ok(Ran { outcome: Outcome::Views(study), used, timings_ms })
}

/// Lists the marks for a person, and takes out what a review has rejected.
fn judge_marks(study: &mut Mammography, marks: Marks, subject: &Subject<'_>, package: &str) {
    study.views.marks = Some(marks);
    let as_found = report::views::verdict(&study.views);
    let Some(marks) = &mut study.views.marks else { return };
    study.marked = report::views::marks::listed(marks, package.to_owned(), as_found);
    let signed = subject.marks_review;
    study.marked.judge(signed, signed.is_none_or(|review| task::can_write(subject, &review.by)));
    report::views::marks::take_out(marks, &mut study.marked);
}

/// Reads the pictures and runs the network on those that it may be given.
fn marked(
    study: &mut Mammography,
    package: &Package,
    model: &mut dyn LoadedModel,
    pictures: &Pictures<'_>,
    control: &dyn Control,
) -> Result<Marks, Error> {
    let broken = |why: String| {
        let message = format!("{} {}: {why}", package.manifest.id, package.manifest.version);
        Error::Engine(models::task::Error::new(TaskFault::BadModel, message).into())
    };
    let plan = package.manifest.mammogram().ok_or_else(|| broken("it reads no mammograms".into()))?;
    let weights = package.read(&plan.outputs.scorer).map_err(|error| broken(error.to_string()))?;
    let scorer = Scorer::parse(&weights).map_err(|why| broken(format!("{}: {why}", plan.outputs.scorer)))?;
    let mut read = pictures::read(pictures, &study.views.found, Some(&plan.input), control)?;
    let (mut given, mut held) = (Vec::new(), Vec::new());
    for prepared in std::mem::take(&mut read.prepared) {
        let said = read.said.iter().find(|said| said.sop_instance_uid == prepared.sop_instance_uid);
        let why = said.and_then(|said| withheld::why(said, prepared.header, pictures.marking));
        let view = prepared.view;
        match (why, prepared.given) {
            (None, Some(one)) => given.push(one),
            (why, _) => held.push(WithheldView { view, why: why.unwrap_or(withheld::Withheld::NotRead) }),
        }
    }
    let only = study.views.only_in_parts().map(|one| WithheldView { view: one.view, why: withheld::Withheld::Partial });
    held.extend(only);
    read.into_study(study);
    marks::run(&given, held, &package.manifest, &scorer, model, control).map_err(|error| match error.kind() {
        TaskFault::Cancelled => Error::Cancelled,
        _ => engine::Error::from(error).into(),
    })
}

/// The standard view that an image shows; `None` for additional views and for what is no mammogram.
fn standard_view(header: &Header) -> Option<StandardView> {
    if !for_presentation(header) && !for_processing(header) {
        return None;
    }
    if is_additional(header) || is_other_kind(header) {
        return None;
    }
    let right = match header.projection.laterality.as_str() {
        "R" => true,
        "L" => false,
        // `B`, or nothing: which breast is not known.
        _ => return None,
    };
    Some(match (cranio_caudal(&header.projection)?, right) {
        (true, true) => StandardView::RightCc,
        (true, false) => StandardView::LeftCc,
        (false, true) => StandardView::RightMlo,
        (false, false) => StandardView::LeftMlo,
    })
}

/// True for cranio-caudal, false for medio-lateral oblique, `None` for other projections. The code (CID 4014, SCT or its
/// older SRT form) decides; View Position only where there is no code.
fn cranio_caudal(projection: &Projection) -> Option<bool> {
    match projection.code.as_str() {
        "399162004" | "R-10242" => Some(true),
        "399368009" | "R-10226" => Some(false),
        "" => match projection.position.as_str() {
            "CC" => Some(true),
            "MLO" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Modifiers (CID 4015) that do not make it an additional view: implant displaced, nipple in profile. Magnification, spot
/// compression, cleavage and the others do.
fn leaves_standard(modifier: &str) -> bool {
    DISPLACED.contains(&modifier) || matches!(modifier, "442581004" | "R-40AB3")
}

fn is_additional(header: &Header) -> bool {
    header.projection.modifiers.iter().any(|modifier| !leaves_standard(modifier))
}

/// Of a biopsy (value 3 of Image Type), or the sum, the difference or the high energy of exposures with contrast agent (values 4
/// and 5): no plain mammogram (PS3.3 section C.8.11.7.1.4). One of low energy is.
fn is_other_kind(header: &Header) -> bool {
    let value = |number: usize| header.image_type.get(number - 1).map_or("", String::as_str);
    let biopsy = ["STEREO_", "PREFIRE_", "POSTFIRE_"].iter().any(|begins| value(3).starts_with(begins));
    biopsy || matches!(value(4), "ADDITION" | "SUBTRACTION") || value(5) == "HIGH_ENERGY"
}

/// Implant displaced (CID 4015), SCT and its older SRT form.
const DISPLACED: [&str; 2] = ["399209000", "R-102D5"];

/// Of a breast with an implant, pictures with it and with it displaced are no repetitions of each other: those of the whole breast,
/// which every view has, are taken.
fn preferred(header: &Header) -> bool {
    for_presentation(header) && !header.projection.modifiers.iter().any(|one| DISPLACED.contains(&one.as_str()))
}

fn for_presentation(header: &Header) -> bool {
    header.sop_class_uid == uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION
}

/// A picture that is not made to be looked at.
pub fn for_processing(header: &Header) -> bool {
    header.sop_class_uid == uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(laterality: &str, code: &str, position: &str) -> Header {
        Header {
            sop_class_uid: uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION.into(),
            projection: Projection {
                laterality: laterality.into(),
                position: position.into(),
                code: code.into(),
                ..Projection::default()
            },
            ..Header::default()
        }
    }

    #[test]
    fn a_view_is_known_by_its_code_else_by_its_position() {
        for (laterality, code, position, expected) in [
            ("R", "399162004", "", Some(StandardView::RightCc)),
            ("L", "R-10226", "", Some(StandardView::LeftMlo)),
            ("R", "", "MLO", Some(StandardView::RightMlo)),
            ("L", "", "CC", Some(StandardView::LeftCc)),
            ("L", "399260004", "CC", None), // medio-lateral by its code
            ("L", "", "ML", None),
            ("", "399162004", "CC", None),
            ("B", "399162004", "CC", None),
        ] {
            assert_eq!(standard_view(&header(laterality, code, position)), expected, "{laterality} {code} {position}");
        }
        let mut other = header("R", "399162004", "");
        other.sop_class_uid = uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into();
        assert_eq!(standard_view(&other), None);
    }

    #[test]
    fn a_magnified_or_spot_view_is_an_additional_one_and_a_displaced_implant_is_not() {
        let mut header = header("R", "399162004", "CC");
        for (modifier, standard) in [
            ("399163009", false),
            ("R-102D7", false),
            ("399055006", false),
            ("399161006", false),
            ("399209000", true),
            ("R-40AB3", true),
        ] {
            header.projection.modifiers = vec![modifier.into()];
            assert_eq!(standard_view(&header).is_some(), standard, "{modifier}");
        }
    }

    #[test]
    fn a_picture_of_a_biopsy_or_with_contrast_agent_stands_for_no_view() {
        let of = |values: &str| Header {
            image_type: values.split('\\').map(str::to_owned).collect(),
            ..header("R", "399162004", "CC")
        };
        for (values, standard) in [
            ("ORIGINAL\\PRIMARY\\", true),
            ("DERIVED\\PRIMARY\\TOMOSYNTHESIS\\GENERATED_2D", true),
            ("ORIGINAL\\PRIMARY\\\\\\LOW_ENERGY", true),
            ("ORIGINAL\\PRIMARY\\STEREO_SCOUT", false),
            ("ORIGINAL\\PRIMARY\\PREFIRE_MINUS", false),
            ("DERIVED\\PRIMARY\\\\SUBTRACTION", false),
            ("ORIGINAL\\PRIMARY\\\\\\HIGH_ENERGY", false),
        ] {
            assert_eq!(standard_view(&of(values)).is_some(), standard, "{values}");
        }
    }

    #[test]
    fn a_part_never_stands_for_its_view_and_is_named_with_its_sections() {
        let part = |uid: &str, codes: &[&str]| {
            let mut part = Header { sop_instance_uid: uid.into(), ..header("L", "", "MLO") };
            part.projection.partial = true;
            part.projection.sections = codes.iter().map(|code| (*code).to_owned()).collect();
            part
        };
        let whole = Header { sop_instance_uid: "1".into(), ..header("R", "", "MLO") };
        let mut beside = part("4", &["264217000"]);
        beside.projection.laterality = "R".into();
        let headers = [whole, part("2", &["264217000", "255551008"]), part("3", &["99PART"]), beside];
        let images: Vec<Image<'_>> = headers.iter().map(|header| Image { header, complete: true }).collect();
        let judged = judge(&images);
        assert_eq!(judged.found.iter().map(|found| found.sop_instance_uid.as_str()).collect::<Vec<_>>(), ["1"]);
        assert_eq!(judged.missing, [StandardView::RightCc, StandardView::LeftCc]);
        let only: Vec<_> = judged.only_in_parts().collect();
        let [ViewInParts { view: StandardView::LeftMlo, parts }] = only.as_slice() else { panic!("{only:?}") };
        assert_eq!(parts[0].sections, [Section::Superior, Section::Posterior]);
        assert!(parts[1].sections.is_empty(), "a code of a vendor");
        assert_eq!(judged.in_parts.len(), 2, "the part beside the whole view is named, too");
    }

    #[test]
    fn the_last_image_for_presentation_stands_for_a_view() {
        let named = |uid: &str, header: Header| Header { sop_instance_uid: uid.into(), ..header };
        let raw = |uid: &str, mut header: Header| {
            header.sop_class_uid = uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING.into();
            named(uid, header)
        };
        let headers = [
            named("1", header("R", "", "CC")),
            named("2", header("R", "", "CC")),
            raw("3", header("R", "", "CC")),
            raw("4", header("L", "", "CC")),
        ];
        let images: Vec<Image<'_>> = headers.iter().map(|header| Image { header, complete: true }).collect();
        let judged = judge(&images);
        let taken = |place: usize| {
            let found: &ViewFound = &judged.found[place];
            (found.view, found.sop_instance_uid.as_str(), found.for_presentation, found.candidates)
        };
        assert_eq!(taken(0), (StandardView::RightCc, "2", true, 2));
        assert_eq!(taken(1), (StandardView::LeftCc, "4", false, 1));
        assert_eq!(judged.missing, [StandardView::RightMlo, StandardView::LeftMlo]);
    }
}
