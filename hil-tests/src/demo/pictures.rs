//! Converts the secondary captures that arrived at the archive to PNG files.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::tags;

/// Writes the picture as `NN-title.png`; the title is the Image Comments of the object.
///
/// # Errors
/// When the object is not an uncompressed 8-bit picture, or the file cannot be written.
pub fn write(object: &Path, number: usize, folder: &Path) -> Result<PathBuf> {
    let dicom = dicom_object::open_file(object).with_context(|| object.display().to_string())?;
    let number_of = |tag| -> Result<u32> { Ok(dicom.element(tag)?.to_int::<u32>()?) };
    let (rows, columns) = (number_of(tags::ROWS)?, number_of(tags::COLUMNS)?);
    let samples = number_of(tags::SAMPLES_PER_PIXEL)?;
    ensure!(number_of(tags::BITS_ALLOCATED)? == 8, "not an 8-bit picture");
    let colour = match samples {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        n => anyhow::bail!("{n} samples per pixel"),
    };
    let pixels = dicom.element(tags::PIXEL_DATA)?.to_bytes()?;
    let size = rows as usize * columns as usize * samples as usize;
    ensure!(pixels.len() >= size, "{} bytes of pixels, {size} expected", pixels.len());

    let text = |tag| dicom.element(tag).ok().and_then(|e| e.to_str().ok()).map(|t| t.trim().to_owned());
    let title = text(tags::IMAGE_COMMENTS).or_else(|| text(tags::DERIVATION_DESCRIPTION)).unwrap_or_default();
    let path = folder.join(format!("{number:02}-{}.png", file_word(&title)));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), columns, rows);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels[..size])?;
    Ok(path)
}

/// The letters and digits of a title, for a file name. No other content of an object gets into a path.
fn file_word(title: &str) -> String {
    let mut word = String::new();
    for c in title.chars().take(48) {
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        } else if !word.ends_with('-') && !word.is_empty() {
            word.push('-');
        }
    }
    let word = word.trim_end_matches('-');
    if word.is_empty() { "picture".into() } else { word.into() }
}

#[cfg(test)]
mod tests {
    use super::file_word;

    #[test]
    fn a_title_becomes_a_harmless_file_name() {
        assert_eq!(file_word("Nodule 1: 8.2 mm, right / ../etc"), "nodule-1-8-2-mm-right-etc");
        assert_eq!(file_word("结节"), "picture");
    }
}
