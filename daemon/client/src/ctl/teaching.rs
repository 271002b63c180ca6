//! `teaching`: makes a teaching file of a study, a folder that names nobody: de-identified copies with the IHE manifest, pictures,
//! a text and a quiz. Then it reads all of it back and searches for what identifies; a find undoes the folder.

pub mod args;
mod check;
mod folder;
mod outline;
mod picture;
mod quiz;
mod source;
mod summary;
mod write;

use std::path::Path;

use dicom::deidentify::Case;
use dicom::deidentify::secrets::Secrets;
use report::provenance::MANUFACTURER;

use self::args::TeachingOptions;
use self::folder::Folder;
use self::summary::Made;
use super::failure::Failure;
use super::output::Output;
use super::studies;
use crate::ManagerProxy;
use crate::doctor::text::Language;

/// What a person wrote.
#[derive(Debug, Clone)]
struct Words {
    discussion: String,
    keywords: Vec<String>,
    language: Language,
}

pub async fn run(manager: &ManagerProxy<'_>, options: &TeachingOptions, output: &Output) -> Result<(), Failure> {
    let words = words(options)?;
    let study = studies::find(manager, &options.study).await?;
    if study.patients > 1 {
        let text = format!("the study holds objects of {} patients: it is no case", study.patients);
        return Err(Failure::new(text, "see `scansidectl studies show`; mend it where it comes from"));
    }
    let mut folder = Folder::begin(&options.to)?;
    let case = Case::new(salt()?);
    let mut secrets = Secrets::default();
    // The box's own outlines name it as their creator.
    secrets.allow(MANUFACTURER);
    options.allow.iter().for_each(|word| secrets.allow(word));
    let mut made = Made::new(&case);
    source::copy(manager, &study.study_uid, &case, options.area, &mut folder, &mut secrets, &mut made, output).await?;
    if made.copies.is_empty() {
        made.tell(&options.to, output, false)?;
        return Err(Failure::new(
            "no image of this study can become part of a teaching file",
            "its images are left out with the reasons above; --area L,T,R,B says where the image is in pictures with text",
        ));
    }
    named(options, &words, &mut secrets)?;
    write::all(options, &words, &case, &mut folder, &mut made)?;
    check::folder(folder.path(), &secrets)?;
    made.checked_for = secrets.count();
    folder.finish()?;
    made.tell(&options.to, output, true)
}

fn words(options: &TeachingOptions) -> Result<Words, Failure> {
    let discussion = match &options.text {
        None => String::new(),
        Some(file) => read(file)?,
    };
    let keywords = options.keywords.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    let language = options.language.unwrap_or_else(Language::of_environment);
    Ok(Words { discussion, keywords, language })
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display()), "give a text file in UTF-8"))?;
    Ok(text.trim().to_owned())
}

fn salt() -> Result<[u8; 32], Failure> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| Failure::new(format!("no random numbers: {error}"), "try again"))?;
    Ok(salt)
}

/// Nobody's name in what a person wrote. Who writes a case may have operated the scanner: that author, and the clinic, are named
/// on purpose.
fn named(options: &TeachingOptions, words: &Words, secrets: &mut Secrets) -> Result<(), Failure> {
    for text in [&options.author, &options.affiliation] {
        secrets.excuse(text);
    }
    let keywords = words.keywords.join(", ");
    let all: [(&str, &str); 7] = [
        ("--title", &options.title),
        ("--author", &options.author),
        ("--affiliation", &options.affiliation),
        ("--history", &options.history),
        ("--diagnosis", &options.diagnosis),
        ("--keywords", &keywords),
        ("the text", &words.discussion),
    ];
    for (what, text) in all {
        if let Some(find) = secrets.in_words(text) {
            let attribute = check::attribute(find.of);
            let place = text.get(..find.at).map_or(find.at, |before| before.chars().count()) + 1;
            return Err(Failure::new(
                format!("{what} holds something of the source, at character {place}: {attribute}"),
                "write it without; a word that only happens to be part of a name: --allow WORD",
            ));
        }
    }
    Ok(())
}
