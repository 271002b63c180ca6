//! The reports of breasts conform: marks of mammograms to TID 4000, ultrasound to TID 4200, and what is beside them to TID 1500.
//! The documents stay in `target/tmp/report/breast` for inspection.

use std::fs;
use std::path::Path;

use dicom::mammogram::turn::Turn;
use dicom::pixels::SliceRef;
use models::findings::Side;
use models::lesion::followed::{Earlier, Followed};
use models::review::edit::{Edit, Field, Values};
use models::review::marks::ListedMark;
use models::review::{Decided, Decision, Document, Review};
use models::task::mammography_views::{MammographyViews, PartFound, Section, StandardView, ViewFound, ViewInParts};
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::{Mark, MarkedView, Marks, WithheldView};
use models::task::mg_breast::withheld::Withheld;
use models::task::mg_breast::{
    Breast, Category, Density, Nipple, NotRead as Unreadable, PictureRead, Reading, Remark, Side as At, Sureness,
};
use models::task::us_breast::Sector;
use models::task::us_breast::lesion::Lesion;
use report::stills::{KeyPicture, NotRead, StillImage, StillLesion, Stills, Unread};
use report::views::marks::{listed, take_out};
use report::views::{Before, Hung, Mammography};
use report::{Content, ResultObject, Source};

use crate::support;
use crate::testing::{self, Case};

const MAMMOGRAM: &str = "1.2.840.10008.5.1.4.1.1.1.2";
const ULTRASOUND: &str = "1.2.840.10008.5.1.4.1.1.6.1";

fn images(case: &Case, sop_class_uid: &str, count: usize) -> Vec<SliceRef> {
    let image = |index: usize| SliceRef {
        sop_class_uid: sop_class_uid.into(),
        sop_instance_uid: format!("1.2.3.{}", index + 1),
        ..case.instances[0].clone()
    };
    (0..count).map(image).collect()
}

fn earlier(lesion: u64) -> Followed {
    let earlier =
        Earlier { date: "2026-02-03".parse().unwrap(), modality: "US".into(), axes_mm: vec![10.2, 7.9], gone: false };
    Followed { lesion, earlier: Some(earlier) }
}

/// Four views; a mass in both of the right breast, an asymmetry and a cluster in one of the left, whose other view is withheld.
fn mammography(with_marks: bool) -> Mammography {
    let uid = |view: StandardView| format!("1.2.3.{}", view as usize + 1);
    let mark = |number: usize, kind: Kind, behind_nipple_mm: f32| Mark {
        number,
        kind,
        score: 0.62,
        at: [20.0, 30.0],
        bounds: [10.0, 20.0, 30.0, 40.0],
        at_mm: [4.0, 6.0],
        size_mm: [14.2, 9.7],
        behind_nipple_mm,
        below_nipple_mm: -5.0,
    };
    let marked = |view: StandardView, stage: Stage, marks: Vec<Mark>| MarkedView {
        view,
        sop_instance_uid: uid(view),
        stage,
        mm_per_pixel: 0.1,
        marks: if with_marks { marks } else { Vec::new() },
        candidates: Vec::new(),
    };
    let left = vec![mark(3, Kind::Asymmetry, 20.0), mark(4, Kind::Calcifications, 44.0)];
    let views = vec![
        marked(StandardView::RightCc, Stage::TwoViews, vec![mark(1, Kind::Mass, 30.0)]),
        marked(StandardView::LeftCc, Stage::OneView, left),
        marked(StandardView::RightMlo, Stage::TwoViews, vec![mark(2, Kind::Mass, 34.0)]),
    ];
    let withheld = vec![WithheldView { view: StandardView::LeftMlo, why: Withheld::Partial }];
    let marks = Marks { views, withheld, right: Some(0.62), left: Some(0.62), case: Some(0.62) };
    let found = |view| ViewFound { view, sop_instance_uid: uid(view), for_presentation: true, candidates: 1 };
    let views = MammographyViews {
        found: StandardView::ALL.into_iter().map(found).collect(),
        in_parts: Vec::new(),
        missing: Vec::new(),
        pictures: Vec::new(),
        marks: Some(marks),
    };
    let followed = if with_marks { vec![(1, earlier(12))] } else { Vec::new() };
    Mammography {
        views,
        hung: Vec::new(),
        followed,
        marked: models::review::marks::Marked::default(),
        before: Before::Unknown,
    }
}

/// A drawn picture of a view, as it was read: half an ellipse of breast at the chest wall, brighter in its middle.
fn pictured(view: StandardView, percent: Option<f32>, remarks: &[Remark]) -> (PictureRead, Hung) {
    let size = [160usize, 260usize];
    let is_right = view.is_right();
    let across = |x: usize| if is_right { (size[0] - x) as f32 } else { x as f32 };
    let inside = |x: usize, y: usize| (across(x) / 130.0).powi(2) + ((y as f32 - 130.0) / 115.0).powi(2);
    let level = |at: usize| {
        let far = inside(at % size[0], at / size[0]);
        if far > 1.0 { 4 } else { (210.0 - 120.0 * far) as u8 }
    };
    let skin = (0..=40).map(|step| {
        let angle = std::f32::consts::PI * step as f32 / 40.0;
        let x = 130.0 * angle.sin();
        [if is_right { size[0] as f32 - x } else { x }, 130.0 - 115.0 * angle.cos()]
    });
    let reading = Reading {
        mm_per_pixel: Some(0.4),
        chest_wall: if is_right { At::Right } else { At::Left },
        breast: Breast { outline: skin.collect(), part_of_picture: 0.5, area_cm2: Some(90.0), depth_mm: Some(52.0) },
        muscle: None,
        nipple: Nipple {
            at: [if is_right { 30.0 } else { 130.0 }, 130.0],
            sureness: Sureness::Estimated,
            to_chest_wall_mm: Some(52.0),
            to_muscle_mm: None,
        },
        density: percent.map(|percent| Density { percent, category: Category::of(percent) }),
    };
    let read = PictureRead {
        sop_class_uid: MAMMOGRAM.into(),
        sop_instance_uid: format!("1.2.3.{}", view as usize + 1),
        laterality: if is_right { "R" } else { "L" }.into(),
        view: if view.is_oblique() { "MLO" } else { "CC" }.into(),
        part: None,
        remarks: remarks.to_vec(),
        read: Ok(reading),
    };
    let (sop_class_uid, sop_instance_uid) = (read.sop_class_uid.clone(), read.sop_instance_uid.clone());
    let grey = (0..size[0] * size[1]).map(level).collect();
    (read, Hung { view, sop_class_uid, sop_instance_uid, grey, size, turn: None })
}

/// A study whose pictures were read: four views, without marks unless `marked`.
fn read_study(marked: bool) -> Mammography {
    let mut study = mammography(marked);
    if !marked {
        study.views.marks = None;
    }
    let percents = [Some(12.4), Some(22.6), Some(17.0), None];
    for (view, percent) in StandardView::ALL.into_iter().zip(percents) {
        let remarks: &[Remark] = if percent.is_none() { &[Remark::NoMuscle] } else { &[] };
        let (read, hung) = pictured(view, percent, remarks);
        study.views.pictures.push(read);
        study.hung.push(hung);
    }
    study.before = Before::On("20240203".into());
    study
}

/// The same study as other scanners may store it: the right oblique view on its head, the left one on its side, both as their headers say; of the left CC
/// view the header says the opposite of what is seen.
fn turned() -> Mammography {
    let mut study = read_study(false);
    for (read, hung) in study.views.pictures.iter_mut().zip(&mut study.hung) {
        let (mirrored, upended) = (hung.view == StandardView::LeftCc, hung.view == StandardView::RightMlo);
        let transposed = hung.view == StandardView::LeftMlo;
        hung.turn = Some(Turn { transposed, mirrored, upended });
        if mirrored {
            read.remarks.push(Remark::OtherSide);
        }
        let reading = read.read.as_mut().unwrap();
        let [width, height] = hung.size;
        let points = reading.breast.outline.iter_mut().chain([&mut reading.nipple.at]);
        if upended {
            hung.grey = hung.grey.chunks(width).rev().flatten().copied().collect();
            points.for_each(|point| point[1] = height as f32 - point[1]);
        } else if transposed {
            hung.grey = (0..width * height).map(|at| hung.grey[at % height * width + at / height]).collect();
            hung.size = [height, width];
            points.for_each(|point| point.swap(0, 1));
            reading.chest_wall = At::Top;
        }
    }
    study
}

/// The same study, with another kind and size of its third mark, by a person.
fn edited() -> Mammography {
    let mut study = read_study(true);
    let marks = study.views.marks.as_mut().unwrap();
    study.marked = listed(marks, "mg-breast 1 ab".into(), String::new());
    let values = [(Field::Kind, "distortion"), (Field::LongMm, "21.5"), (Field::ShortMm, "12.5")];
    let values: Values = values.into_iter().map(|(field, value)| (field, value.to_owned())).collect();
    let decide = |one: &ListedMark| {
        let edit = (one.id == "mark-3").then(|| Edit { by: "Li Ming".into(), values: values.clone() });
        let decision = if edit.is_some() { Decision::Edited } else { Decision::Accepted };
        Decided { listed: one.clone(), decision, comment: String::new(), edit }
    };
    let review = Review {
        by: "Wang Fang".into(),
        utc: "2026-11-28T21:30:00.000Z".into(),
        package: "mg-breast 1 ab".into(),
        decisions: study.marked.listed.iter().map(decide).collect(),
        predecessor: Document {
            study_uid: "2.25.7".into(),
            series_uid: "2.25.8".into(),
            sop_class: "1.2.840.10008.5.1.4.1.1.88.34".into(),
            sop_uid: "2.25.9".into(),
        },
    };
    study.marked.judge(Some(&review), true);
    assert!(study.marked.review.is_some());
    take_out(marks, &mut study.marked);
    study
}

/// An implant on the left, whose MLO is there in two parts only; no right MLO; a magnification view and a negative.
fn incomplete() -> Mammography {
    let mut study = read_study(false);
    let parts = [vec![Section::Superior], vec![Section::Inferior, Section::Posterior]];
    study.views.found.truncate(2);
    study.views.missing = vec![StandardView::RightMlo];
    study.views.pictures.truncate(2);
    study.hung.truncate(2);
    for (sections, number) in parts.iter().zip([3, 4]) {
        let (mut part, _) = pictured(StandardView::LeftMlo, None, &[Remark::Partial, Remark::Implant]);
        part.sop_instance_uid = format!("1.2.3.{number}");
        part.part = Some(sections.clone());
        part.read = part.read.map(Reading::of_part);
        study.views.pictures.push(part);
    }
    let found =
        |(sections, number): (Vec<Section>, i32)| PartFound { sop_instance_uid: format!("1.2.3.{number}"), sections };
    let parts = parts.into_iter().zip([3, 4]).map(found).collect();
    study.views.in_parts = vec![ViewInParts { view: StandardView::LeftMlo, parts }];
    let left = &mut study.views.pictures[1];
    left.remarks = vec![Remark::Implant];
    if let Ok(reading) = &mut left.read {
        reading.density = None;
    }
    let unread = |laterality: &str, why| PictureRead {
        sop_instance_uid: "1.2.3.4".into(),
        laterality: laterality.into(),
        part: None,
        remarks: Vec::new(),
        read: Err(why),
        ..study.views.pictures[0].clone()
    };
    let more = [unread("R", Unreadable::Additional), unread("L", Unreadable::OtherKind)];
    study.views.pictures.extend(more);
    study.before = Before::Nothing;
    study
}

/// Three lesions: suspicious and known, probably benign, a cyst without scale.
fn stills() -> Stills {
    let image = |number: i64, side| StillImage {
        sop_class_uid: ULTRASOUND.into(),
        sop_instance_uid: format!("1.2.3.{number}"),
        number: Some(number),
        size: [320, 240],
        frames: None,
        found: false,
        painted_out: false,
        side,
    };
    let lesion = |id: u32, words: &str, size_mm: Option<[f32; 2]>| Lesion {
        id,
        outline: vec![[110.0, 90.0], [190.0, 80.0], [210.0, 140.0], [120.0, 150.0]],
        bounds: [110.0, 80.0, 210.0, 150.0],
        confidence: 0.97,
        malignant: if id == 1 { 0.71 } else { 0.12 },
        descriptors: words.split(", ").map(str::to_owned).collect(),
        size_mm,
    };
    let all = [
        lesion(1, "irregular, not parallel, not circumscribed, heterogeneous, posterior shadowing", Some([12.3, 8.1])),
        lesion(2, "oval, parallel, circumscribed, hypoechoic, no posterior features", Some([9.0, 5.0])),
        lesion(3, "round, parallel, circumscribed, anechoic, posterior enhancement", None),
    ];
    let lesions = all.into_iter().enumerate().map(|(image, lesion)| {
        let no_size = lesion.size_mm.is_none().then_some(report::stills::NoSize::NoScale);
        StillLesion { image, frame: None, lesion, no_size }
    });
    let grey = (0..320 * 240).map(|at: usize| ((at % 320) / 2 + (at * 7919) % 64) as u8).collect();
    Stills {
        images: vec![image(1, Some(Side::Left)), image(2, Some(Side::Left)), image(3, Some(Side::Right))],
        lesions: lesions.collect(),
        unread: vec![Unread {
            sop_instance_uid: "1.2.3.4".into(),
            number: Some(4),
            why: NotRead::ColourFlow,
            side: None,
            in_part: false,
        }],
        keys: vec![KeyPicture { image: 0, frame: None, sector: Sector { x: 0, y: 0, width: 320, height: 240 }, grey }],
        followed: vec![(1, earlier(41))],
        ..Stills::default()
    }
}

fn written(case: &Case, images: &[SliceRef], content: Content) -> Vec<ResultObject> {
    let source = Source { instances: images, ..case.source() };
    report::write(&source, content, &case.provenance).unwrap()
}

#[test]
fn mammography_cad_and_breast_reports_conform() {
    let case = testing::case(2);
    let (marked, unmarked) = (mammography(true), mammography(false));
    let mut withheld = mammography(true);
    let marks = withheld.views.marks.as_mut().unwrap();
    marks.views.clear();
    let (plain, both, edited, parts) = (read_study(false), read_study(true), edited(), incomplete());
    let (stills, empty) = (stills(), Stills { images: stills().images, ..Stills::default() });
    let mut no_side = stills.clone();
    no_side.images[1].side = None;
    let [mammograms, ultrasound] = [images(&case, MAMMOGRAM, 4), images(&case, ULTRASOUND, 4)];
    let cases = [
        ("marked", written(&case, &mammograms, Content::Views { views: &marked })),
        ("unmarked", written(&case, &mammograms, Content::Views { views: &unmarked })),
        ("withheld", written(&case, &mammograms, Content::Views { views: &withheld })),
        ("read", written(&case, &mammograms, Content::Views { views: &plain })),
        ("turned", written(&case, &mammograms, Content::Views { views: &turned() })),
        ("read-marked", written(&case, &mammograms, Content::Views { views: &both })),
        ("read-edited", written(&case, &mammograms, Content::Views { views: &edited })),
        ("parts", written(&case, &mammograms, Content::Views { views: &parts })),
        ("stills", written(&case, &ultrasound, Content::Stills { stills: &stills })),
        ("no-side", written(&case, &ultrasound, Content::Stills { stills: &no_side })),
        ("empty", written(&case, &ultrasound, Content::Stills { stills: &empty })),
    ];
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report/breast");
    fs::create_dir_all(&directory).unwrap();
    let (mut complaints, mut reports) = (Vec::new(), Vec::new());
    for (name, objects) in &cases {
        for (index, object) in objects.iter().enumerate() {
            let file = directory.join(format!("{name}-{index}-{}.dcm", object.kind));
            fs::write(&file, &object.part10).unwrap();
            if let ("pdf", Some(at)) = (object.kind, object.part10.windows(5).position(|w| w == b"%PDF-")) {
                fs::write(file.with_extension("pdf"), &object.part10[at..]).unwrap();
            }
            complaints.extend(support::dciodvfy(&file));
            if let Some(template) = support::template_of(object.kind) {
                complaints.extend(support::dsrdump(&file));
                reports.push((file, template));
            }
        }
    }
    let count = |kind: &str| cases.iter().flat_map(|(_, all)| all).filter(|object| object.kind == kind).count();
    assert_eq!((count("mg-cad"), count("breast-report"), count("pdf")), (5, 8, 16));
    complaints.extend(support::templates(&reports));
    assert_eq!(complaints, Vec::<String>::new());
}
