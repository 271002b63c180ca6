//! Results made from real CT slices, checked by third-party tools: dciodvfy, dcentvfy, PixelMed, dsrdump, highdicom.
//!
//! Checks are skipped for tools and folders that are missing. Objects and pages stay in `target/tmp/report` for
//! inspection.

#![allow(clippy::unwrap_used, reason = "tests")]

mod breast;
mod support;
mod teaching;
#[allow(dead_code, reason = "the unit tests beside the code use the rest")]
#[path = "../../src/testing.rs"]
mod testing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use models::findings::{CalciumScore, CoronaryCalcium, Emphysema, Evaluated, Pneumonia};
use models::refusal::{Gap, Place};
use models::review::{self, Decided, Decision, Document, Listed, Review};
use models::{ChestFindings, Geometry, NotEvaluated, Reason, Reasons, Refusal};
use report::rejection::{self, Rejected, Rejection};
#[allow(unused_imports, reason = "the made-up chest takes them from here")]
use report::{self, Content, ModelIdentity, Provenance, Refused, Source, words};
use support::Series;

fn source(series: &Series) -> Source<'_> {
    Source {
        elements: &series.elements,
        header: &series.header,
        instances: &series.instances,
        series_uids: &[],
        revision: "",
        withdrawn: "",
    }
}

/// Writes the objects of one case and asserts that no tool complains.
fn judge(name: &str, series: &Series, content: Content, shared: &Path) {
    let provenance = testing::provenance();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    fs::create_dir_all(&directory).unwrap();
    let objects = report::write(&source(series), content, &provenance).unwrap();
    let (mut complaints, mut reports) = (Vec::new(), Vec::new());
    for (index, object) in objects.iter().enumerate() {
        let file = directory.join(format!("{index:02}-{}.dcm", object.kind));
        fs::write(&file, &object.part10).unwrap();
        if let ("pdf", Some(at)) = (object.kind, object.part10.windows(5).position(|w| w == b"%PDF-")) {
            fs::write(directory.join(format!("{index:02}.pdf")), &object.part10[at..]).unwrap();
        }
        complaints.extend(support::complaints(object.kind, &file, &series.files, shared));
        reports.extend(support::template_of(object.kind).map(|template| (file, template)));
    }
    complaints.extend(support::templates(&reports));
    if let Content::Findings { findings, volume, .. } = content {
        for (index, page) in
            report::key_images(findings, volume, &provenance, words::Language::English).iter().enumerate()
        {
            save(&directory, index, page);
        }
    }
    if let Content::Refused { reason } = content {
        save(&directory, 0, &report::refusal_page(reason, &source(series), &provenance));
    }
    assert!(complaints.is_empty(), "{name}:\n{}", complaints.join("\n"));
}

fn save(directory: &Path, index: usize, page: &report::KeyImage) {
    let header = format!("P6 {} {} 255\n", page.width, page.height);
    fs::write(directory.join(format!("{index:02}.ppm")), [header.as_bytes(), &page.rgb].concat()).unwrap();
}

fn fixtures(shared: &Path) -> Series {
    let files = support::folder(&shared.join("validators/fixtures"), "dcm");
    support::series(files)
}

fn with_shared(test: impl FnOnce(&Path)) {
    match support::shared() {
        Some(shared) => test(&shared),
        None => needs::skip(needs::Lack::SharedData, "../shared/data not present"),
    }
}

const THICK: &str = "nodules not evaluated: slice spacing 5.0 mm, package needs <= 2.5 mm";

#[test]
fn lungs_and_nodules_on_a_whole_chest_conform() {
    with_shared(|shared| {
        let series = support::series(support::folder(&shared.join("data/ct-chest-philips-5mm"), "dcm"));
        let findings = testing::findings(&series.volume.geometry);
        judge(
            "philips",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

/// Every kind of result of a CT, for both reasons: patient and study are those of an object that was delivered.
#[test]
fn a_rejection_note_conforms() {
    with_shared(|shared| {
        let series = fixtures(shared);
        let (findings, provenance) = (testing::findings(&series.volume.geometry), testing::provenance());
        let content = Content::Findings { findings: &findings, volume: &series.volume, quality: None };
        let objects = report::write(&source(&series), content, &provenance).unwrap();
        let delivered = dicom::scan::scan(std::io::Cursor::new(&objects[0].part10)).unwrap();
        let of = Source { elements: &delivered.elements, header: &delivered.header, instances: &[], ..source(&series) };
        let rejected: Vec<_> = objects
            .iter()
            .map(|object| Rejected {
                sop_class_uid: object.sop_class_uid.clone(),
                sop_uid: object.sop_uid.clone(),
                series_uid: object.series_uid.clone(),
            })
            .collect();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report/rejection");
        fs::create_dir_all(&directory).unwrap();
        let (mut uids, mut notes) = (std::collections::BTreeSet::new(), Vec::new());
        for reason in Rejection::ALL {
            let note = rejection::write(&of, &rejected, reason, &provenance).unwrap();
            let again = rejection::write(&of, &rejected[..1], reason, &provenance).unwrap();
            assert_eq!(note.study_uid, objects[0].study_uid);
            let file = directory.join(format!("{}.dcm", reason.word()));
            fs::write(&file, &note.part10).unwrap();
            let names = |uid: &str| note.part10.windows(uid.len()).any(|window| window == uid.as_bytes());
            assert!(rejected.iter().all(|one| names(&one.sop_uid) && names(&one.series_uid)));
            assert_eq!(support::complaints(note.kind, &file, &series.files, shared), Vec::<String>::new());
            uids.extend([note.sop_uid, again.sop_uid]);
            notes.extend(support::template_of(note.kind).map(|template| (file, template)));
        }
        assert_eq!(support::templates(&notes), Vec::<String>::new());
        assert_eq!(uids.len(), 4, "another reason or other objects: another note");
    });
}

#[test]
fn a_single_nodule_on_a_single_slice_conforms() {
    with_shared(|shared| {
        let series = fixtures(shared);
        let mut findings = testing::findings(&series.volume.geometry);
        if let Evaluated::Done(nodules) = &mut findings.nodules {
            nodules.truncate(1);
            nodules[0].mask = testing::ball(series.volume.geometry.dims, [150, 240, 3], [6.0, 6.0, 0.9]);
        }
        judge(
            "single",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

#[test]
fn a_negative_result_conforms() {
    with_shared(|shared| {
        let series = fixtures(shared);
        let planted = testing::findings(&series.volume.geometry);
        let findings = ChestFindings {
            nodules: Evaluated::Done(Vec::new()),
            pneumonia: Evaluated::Done(Pneumonia {
                confidence: 0.0,
                ground_glass: Vec::new(),
                consolidation: Vec::new(),
                extents: Vec::new(),
            }),
            rib_fractures: Evaluated::Done(Vec::new()),
            emphysema: Evaluated::Done(Emphysema {
                laa950_percent: 0.4,
                right_percent: Some(0.3),
                left_percent: None,
                noise_hu: Some(17.0),
                smoothed: true,
                regions: Vec::new(),
            }),
            bronchiectasis: Evaluated::Done(Vec::new()),
            pleural_effusions: Evaluated::Done(Vec::new()),
            pneumothoraces: Evaluated::Done(Vec::new()),
            coronary_calcium: Evaluated::Done(CoronaryCalcium {
                score: CalciumScore::Agatston(0.0),
                lesions: Vec::new(),
            }),
            lymph_nodes: Evaluated::Done(Vec::new()),
            ..planted
        };
        judge(
            "negative",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

#[test]
fn nodules_not_evaluated_conform() {
    with_shared(|shared| {
        let series = support::series(support::folder(&shared.join("data/ct-chest-siemens-b40f"), "dcm"));
        let mut findings = ChestFindings {
            nodules: Evaluated::NotEvaluated(NotEvaluated::stored(THICK)),
            ..testing::findings(&series.volume.geometry)
        };
        if let Evaluated::Done(calcium) = &mut findings.coronary_calcium {
            calcium.score = CalciumScore::Ordinal { grade: 2, reason: Reasons(vec![Reason::AgatstonNotGated]) };
        }
        judge(
            "not-evaluated",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

#[test]
fn nothing_evaluated_makes_no_segmentation_and_conforms() {
    with_shared(|shared| {
        let series = fixtures(shared);
        let findings = ChestFindings {
            lungs: Evaluated::NotEvaluated(NotEvaluated::stored(
                "lungs not evaluated: no air-filled region of adult size",
            )),
            nodules: Evaluated::NotEvaluated(NotEvaluated::stored(THICK)),
            ..ChestFindings::none(&Reason::stored("nothing"))
        };
        judge(
            "nothing",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

#[test]
fn a_refusal_conforms() {
    with_shared(|shared| {
        let place = |number, mm| Place { number: Some(number), axis: 'z', mm };
        let gap = Gap { missing: 2, before: place(17, -259.0), after: place(18, -244.0) };
        let reason = Refused::Volume(Refusal::MissingSlices { spacing_mm: 5.0, gaps: vec![gap] });
        judge("refused", &fixtures(shared), Content::Refused { reason: &reason }, shared);
    });
}

/// The fixtures under a Chinese name.
fn chinese(shared: &Path) -> Series {
    let mut series = fixtures(shared);
    for element in &mut series.elements {
        match (element.tag.group(), element.tag.element()) {
            (0x0008, 0x0005) => element.value = b"GB18030 ".to_vec(),
            (0x0010, 0x0010) => element.value = b"Zhang^San=\xd5\xc5^\xc8\xfd ".to_vec(),
            _ => {}
        }
    }
    // The tools would compare the name with the source files, which have another one, so this case has no source files.
    series.files = Vec::<PathBuf>::new();
    series
}

#[test]
fn a_chinese_patient_conforms() {
    with_shared(|shared| {
        let series = chinese(shared);
        let findings = testing::findings(&series.volume.geometry);
        judge(
            "gb18030",
            &series,
            Content::Findings { findings: &findings, volume: &series.volume, quality: None },
            shared,
        );
    });
}

/// Every second finding is rejected, every other one has a comment.
#[test]
fn a_reviewed_result_conforms() {
    with_shared(|shared| {
        let chinese = ("reviewed-gb18030", chinese(shared), "\u{674e}\u{660e}", "\u{5df2}\u{77e5}");
        for (name, series, by, comment) in [("reviewed", fixtures(shared), "Li Ming", "known since 2019"), chinese] {
            let mut findings = testing::findings(&series.volume.geometry);
            let decide = |(index, listed): (usize, Listed)| Decided {
                decision: if index % 2 == 1 { Decision::Rejected } else { Decision::Accepted },
                comment: comment.to_owned(),
                listed,
                edit: None,
            };
            let review = Review {
                by: by.into(),
                utc: "2026-11-28T21:30:00.000Z".into(),
                package: "any".into(),
                decisions: review::list(&findings).into_iter().enumerate().map(decide).collect(),
                predecessor: Document {
                    study_uid: series.header.study_instance_uid.clone(),
                    series_uid: "2.25.8".into(),
                    sop_class: "1.2.840.10008.5.1.4.1.1.88.34".into(),
                    sop_uid: "2.25.9".into(),
                },
            };
            review::apply(&mut findings, Some(&review), "any", true);
            assert!(findings.review.is_some());
            let content = Content::Findings { findings: &findings, volume: &series.volume, quality: None };
            judge(name, &series, content, shared);
        }
    });
}

/// A size, a type and a place are edited, by a person whose name is in Chinese, too.
#[test]
fn an_edited_result_conforms() {
    with_shared(|shared| {
        let all = [("edited", fixtures(shared), "Li Ming"), ("edited-gb18030", chinese(shared), "\u{674e}\u{660e}")];
        for (name, series, by) in all {
            let mut findings = testing::findings(&series.volume.geometry);
            let decide = |listed: Listed| {
                let asked: &[(&str, &str)] = match listed.id.as_str() {
                    "nodule-1" => &[("long_mm", "12.4"), ("short_mm", "8"), ("type", "part_solid")],
                    "nodule-2" => &[("lobe", "left_upper")],
                    "rib-fracture-1" => &[("rib", "9")],
                    "lymph-node-1" => &[("long_mm", "21"), ("short_mm", "14")],
                    _ => &[],
                };
                let asked: Vec<_> =
                    asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                let values = review::edit::check(&listed.values, &asked).ok();
                let edit = values.map(|values| review::edit::Edit { by: by.into(), values });
                let decision = if edit.is_some() { Decision::Edited } else { Decision::Accepted };
                Decided { listed, decision, comment: String::new(), edit }
            };
            let review = Review {
                by: by.into(),
                utc: "2026-11-28T21:30:00.000Z".into(),
                package: "any".into(),
                decisions: review::list(&findings).into_iter().map(decide).collect(),
                predecessor: Document {
                    study_uid: series.header.study_instance_uid.clone(),
                    series_uid: "2.25.8".into(),
                    sop_class: "1.2.840.10008.5.1.4.1.1.88.34".into(),
                    sop_uid: "2.25.9".into(),
                },
            };
            review::apply(&mut findings, Some(&review), "any", true);
            assert_eq!(findings.review.as_ref().map(|review| review.edited().count()), Some(4));
            let content = Content::Findings { findings: &findings, volume: &series.volume, quality: None };
            judge(name, &series, content, shared);
        }
    });
}

/// Asserts that all segments are written, and prints how long it took (`--nocapture`).
#[test]
fn a_chest_of_300_slices_is_written_whole() {
    let geometry = Geometry {
        dims: [512, 512, 300],
        spacing_mm: [0.7, 0.7, 1.0],
        origin_mm: [-180.0, -180.0, 0.0],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    let case = testing::case(300);
    let findings = testing::findings(&geometry);
    let plane: Arc<[i16]> = (0..512 * 512).map(|i| (i % 977) as i16 - 1000).collect();
    let volume = models::Volume { geometry, slices: vec![plane; 300] };
    let start = std::time::Instant::now();
    let content = Content::Findings { findings: &findings, volume: &volume, quality: None };
    let objects = report::write(&case.source(), content, &case.provenance).unwrap();
    eprintln!("all objects of 300 slices of 512 x 512, lobes, nine findings: {:?}", start.elapsed());
    let mut kinds: Vec<&str> = vec!["seg", "sc"];
    kinds.extend(["sc"; 9]);
    kinds.extend(["pdf", "pdf", "sr"]);
    assert_eq!(objects.iter().map(|o| o.kind).collect::<Vec<_>>(), kinds);
    let masks = report_masks(&findings);
    let frames: usize = masks.iter().map(|m| m.size[2]).sum();
    assert!(objects[0].part10.len() > (frames - 2 * masks.len()) * 512 * 512 / 8);
}

fn report_masks(findings: &ChestFindings) -> Vec<&models::findings::Mask> {
    let (Evaluated::Done(lungs), Evaluated::Done(nodules)) = (&findings.lungs, &findings.nodules) else {
        return Vec::new();
    };
    lungs.iter().map(|l| &l.mask).chain(nodules.iter().map(|n| &n.mask)).collect()
}
