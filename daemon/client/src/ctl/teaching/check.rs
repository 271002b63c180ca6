//! Reads back what was written and searches all of it, but for pixels, for what identifies in the source.

use std::fs;
use std::path::{Path, PathBuf};

use dicom::deidentify::secrets::{Find, Secrets};
use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use super::folder::failed;
use crate::ctl::failure::Failure;

/// # Errors
/// What is still there, and where; when something cannot be read.
pub fn folder(root: &Path, secrets: &Secrets) -> Result<(), Failure> {
    for path in files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path);
        let bytes = fs::read(&path).map_err(|error| failed(&path, &error))?;
        let in_name = secrets.in_text(name.to_string_lossy().as_bytes());
        let find = match path.extension().and_then(|extension| extension.to_str()) {
            Some("dcm") => secrets.in_object(&bytes).map_err(|error| unread(name, &error.to_string()))?,
            Some("png") => secrets.in_text(&without_pixels(&bytes).ok_or_else(|| unread(name, "it is no PNG"))?),
            _ => secrets.in_text(&without_data(&bytes)),
        };
        if let Some(find) = in_name.or(find) {
            return Err(found(name, &find));
        }
    }
    Ok(())
}

fn found(name: &Path, find: &Find) -> Failure {
    let text = format!(
        "{} still holds a value of the source, at byte {}: {}; nothing was kept",
        name.display(),
        find.at,
        attribute(find.of)
    );
    Failure::new(
        text,
        "report this with the attribute's name; a word that only happens to be part of a name: --allow WORD",
    )
}

fn unread(name: &Path, why: &str) -> Failure {
    let text = format!("{} cannot be read back, so it cannot be checked: {why}; nothing was kept", name.display());
    Failure::new(text, "is the medium faulty? Try another one")
}

/// Its name and tag.
pub fn attribute(tag: Tag) -> String {
    let alias = StandardDataDictionary.by_tag(tag).map_or("a private attribute", |entry| entry.alias());
    format!("{alias} {tag}")
}

fn files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| failed(&folder, &error))? {
            let path = entry.map_err(|error| failed(&folder, &error))?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

/// A PNG without the chunks that hold compressed pixels.
fn without_pixels(png: &[u8]) -> Option<Vec<u8>> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let chunk = rest.get(4..length.checked_add(12)?)?;
        if !chunk.starts_with(b"IDAT") {
            out.extend_from_slice(chunk);
        }
        rest = &rest[length + 12..];
    }
    Some(out)
}

/// A text without what is embedded as base64: pixels of pictures and outlines.
fn without_data(text: &[u8]) -> Vec<u8> {
    const BEGIN: &[u8] = b";base64,";
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        if text[at..].starts_with(BEGIN) {
            at += BEGIN.len();
            let is_data = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            at += text[at..].iter().take_while(|byte| is_data(byte)).count();
            out.push(b' ');
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_pixels_are_passed_over_and_what_follows_is_not() {
        assert_eq!(
            without_data(b"<img src=\"data:image/png;base64,QUJD+/=\"> Li Ming"),
            b"<img src=\"data:image/png \"> Li Ming"
        );
        let chunk = |kind: &[u8], body: &[u8]| {
            [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], kind, body, &[0; 4]].concat()
        };
        let png = [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IDAT", b"Eva"), &chunk(b"tEXt", b"Author\0Ada")].concat();
        let left = without_pixels(&png).unwrap();
        assert!(left.windows(3).any(|part| part == b"Ada") && !left.windows(3).any(|part| part == b"Eva"));
        assert!(without_pixels(b"GIF89a").is_none() && without_pixels(&png[..png.len() - 1]).is_none());
    }
}
