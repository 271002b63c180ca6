//! Writes what belongs to the copies: the objects of the IHE profile, pictures, the text, the quiz, and all of it as JSON.

use std::collections::HashSet;

use dicom::deidentify::Case;
use dicom::segmentation;
use report::teaching::{self, Belongs, Category, Lesson, Member};
use serde_json::json;

use super::args::{CategoryName, TeachingOptions};
use super::folder::Folder;
use super::outline::{self, Chosen};
use super::picture::{self, Picture};
use super::summary::{Kept, Made};
use super::{Words, quiz};
use crate::ctl::failure::Failure;
use crate::doctor::text::Language;

/// One picture of the case, as it is in the folder.
#[derive(Debug, Clone)]
pub struct Page {
    pub chosen: Chosen,
    pub picture: Picture,
    pub png: Vec<u8>,
    pub file: String,
    pub outlined: String,
}

pub fn all(
    options: &TeachingOptions,
    words: &Words,
    case: &Case,
    folder: &mut Folder,
    made: &mut Made,
) -> Result<(), Failure> {
    objects(options, words, case, folder, &made.copies)?;
    let pages = pages(options.pictures, folder, made)?;
    folder.write("case.txt", text(options, words, case, &pages).as_bytes())?;
    let listed = json!({
        "case": case.name,
        "title": options.title,
        "author": options.author,
        "affiliation": options.affiliation,
        "history": options.history,
        "diagnosis": options.diagnosis,
        "keywords": words.keywords,
        "discussion": words.discussion,
        "objects": made.copies.iter().map(|copy| json!({ "file": copy.file, "sop_uid": copy.sop_uid, "modality": copy.modality, "masked": copy.masked })).collect::<Vec<_>>(),
        "pictures": pages.iter().map(|page| json!({
            "file": page.file, "with_outlines": page.outlined, "sop_uid": page.chosen.sop_uid, "frame": page.chosen.frame,
            "findings": page.chosen.marks.iter().map(|mark| &mark.label).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let listed = serde_json::to_string_pretty(&listed).map_err(|error| bug(&error))?;
    folder.write("case.json", listed.as_bytes())?;
    made.pictures = pages.len();
    made.quiz = !pages.is_empty();
    if made.quiz {
        let page = quiz::page(options, words, case, &pages).map_err(|error| bug(&error))?;
        folder.write("quiz.html", page.as_bytes())?;
    }
    Ok(())
}

fn bug(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(error.to_string(), "report this as a bug")
}

fn objects(
    options: &TeachingOptions,
    words: &Words,
    case: &Case,
    folder: &mut Folder,
    copies: &[Kept],
) -> Result<(), Failure> {
    let Some(first) = copies.first() else { return Ok(()) };
    let belongs = Belongs { patient_name: &case.patient_name, patient_id: &case.name, study_uid: &first.study_uid };
    let (outlines, images): (Vec<&Kept>, Vec<&Kept>) = copies.iter().partition(|copy| copy.is_segmentation());
    let members = images.into_iter().chain(outlines).map(|copy| Member {
        series_uid: &copy.series_uid,
        sop_class_uid: &copy.sop_class_uid,
        sop_uid: &copy.sop_uid,
    });
    let members: Vec<Member> = members.collect();
    let category = options.category.map(CategoryName::category);
    let lesson = Lesson {
        author: &options.author,
        affiliation: &options.affiliation,
        title: &options.title,
        keywords: &words.keywords,
        history: &options.history,
        discussion: &words.discussion,
        diagnosis: &options.diagnosis,
        category: category.unwrap_or_else(|| by_modality(&first.modality)),
        level: options.level.map(super::args::LevelName::level),
        chinese: words.language == Language::Chinese,
    };
    let written = teaching::write(&belongs, &members, &lesson, |what| case.uid(&format!("teaching {what}")));
    let [manifest, information] = written.map_err(|error| bug(&error))?;
    folder.write("dicom/MANIFEST.dcm", &manifest.part10)?;
    folder.write("dicom/TEACHING.dcm", &information.part10)
}

/// What the box reads of such images.
fn by_modality(modality: &str) -> Category {
    match modality {
        "MG" => Category::Breast,
        "US" => Category::Ultrasound,
        "NM" | "PT" => Category::Nuclear,
        _ => Category::Pulmonary,
    }
}

fn pages(most: usize, folder: &mut Folder, made: &mut Made) -> Result<Vec<Page>, Failure> {
    let mut segmentations = Vec::new();
    for copy in made.copies.iter().filter(|copy| copy.is_segmentation()) {
        // Those of others may be fractional: they have no outlines.
        segmentations.extend(segmentation::read(&folder.read(&copy.file)?).ok());
    }
    let images: HashSet<String> = made.copies.iter().map(|copy| copy.sop_uid.clone()).collect();
    let mut pages: Vec<Page> = Vec::new();
    for chosen in outline::chosen(&segmentations, &images, most) {
        let Some(copy) = made.copies.iter().find(|copy| copy.sop_uid == chosen.sop_uid) else { continue };
        let drawn = picture::draw(&folder.read(&copy.file)?, &chosen);
        let Ok(picture) = drawn else { continue };
        let number = pages.len() + 1;
        let (file, outlined) = (format!("pictures/{number:02}.png"), format!("pictures/{number:02}-outline.png"));
        let png = picture::png(picture.size, &picture.rgb).map_err(|error| bug(&error))?;
        folder.write(&file, &png)?;
        let with =
            picture::png(picture.size, &picture::with_outlines(&picture, &chosen)).map_err(|error| bug(&error))?;
        folder.write(&outlined, &with)?;
        pages.push(Page { chosen, picture, png, file, outlined });
    }
    Ok(pages)
}

/// What is said of the outlines, in both languages.
pub const NOTICE: [&str; 2] = [
    "For teaching, not for diagnosis. The outlines were computed by Scanside; a person may see it otherwise.",
    "仅供教学，不用于诊断。轮廓由 Scanside 计算得出，人的判断可能不同。",
];

fn text(options: &TeachingOptions, words: &Words, case: &Case, pages: &[Page]) -> String {
    let say = |english: &str, chinese: &str| words.language.pick(english, chinese);
    let level = options.level.map(|level| match level {
        super::args::LevelName::Primary => say("primary", "初级"),
        super::args::LevelName::Intermediate => say("intermediate", "中级"),
        super::args::LevelName::Advanced => say("advanced", "高级"),
    });
    let keywords = words.keywords.join(", ");
    let mut out = format!("{} {}\n", say("Teaching file", "教学病例"), case.name);
    for (name, value) in [
        (say("Title", "标题"), options.title.as_str()),
        (say("Author", "作者"), &options.author),
        (say("Affiliation", "单位"), &options.affiliation),
        (say("Level", "难度"), level.as_deref().unwrap_or_default()),
        (say("Keywords", "关键词"), &keywords),
        (say("History", "病史"), &options.history),
        (say("Diagnosis", "诊断"), &options.diagnosis),
    ] {
        if !value.is_empty() {
            out.push_str(&format!("{name}: {value}\n"));
        }
    }
    if !words.discussion.is_empty() {
        out.push_str(&format!("\n{}\n{}\n", say("Discussion", "讨论"), words.discussion));
    }
    if !pages.is_empty() {
        out.push_str(&format!("\n{}\n", say("Pictures", "图片")));
    }
    for page in pages {
        let labels: Vec<&str> = page.chosen.marks.iter().map(|mark| mark.label.as_str()).collect();
        out.push_str(&format!("{}, {}: {}\n", page.file, page.outlined, labels.join(", ")));
    }
    let done = say(
        "De-identified by the basic profile of DICOM PS3.15: names, IDs, dates and UIDs of the source are not in this folder.",
        "已按 DICOM PS3.15 基本配置去标识：本文件夹不含来源的姓名、编号、日期和 UID。",
    );
    out.push_str(&format!("\n{}\n{done}\n", words.language.pick(NOTICE[0], NOTICE[1])));
    out
}
