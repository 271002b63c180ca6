//! The typeface of the document: Latin and GB 2312. Only the glyphs in use are embedded, with their characters, so that
//! text can be searched and copied.

use std::collections::BTreeMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, Tag};

use super::Error;
use crate::letters::{self, MISSING, SANS};

/// Name of the subset; PDF requires six capital letters before it.
const NAME: &str = "SCNSDE+ScansideSans";

pub struct Font {
    face: Face<'static>,
    glyphs: GlyphRemapper,
    used: BTreeMap<u16, (char, f32)>,
}

impl Font {
    /// # Errors
    /// When the built-in font is damaged.
    pub fn new() -> Result<Self, Error> {
        let face = Face::parse(SANS, 0).map_err(|e| Error::Font(e.to_string()))?;
        Ok(Self { face, glyphs: GlyphRemapper::new(), used: BTreeMap::new() })
    }

    fn glyph(&self, c: char) -> Option<u16> {
        let id = self.face.glyph_index(c).or_else(|| self.face.glyph_index(MISSING))?;
        Some(id.0)
    }

    /// Advance width in thousandths of the font size.
    fn advance(&self, glyph: u16) -> f32 {
        let units = f32::from(self.face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or(0));
        units * 1000.0 / f32::from(self.face.units_per_em())
    }

    /// Width of a text in points.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().filter_map(|c| self.glyph(c)).map(|g| self.advance(g)).sum::<f32>() * size / 1000.0
    }

    /// Encodes text as two-byte glyph numbers of the subset.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        for c in text.chars() {
            let Some(glyph) = self.glyph(c) else { continue };
            let id = self.glyphs.remap(glyph);
            let shown = if self.face.glyph_index(c).is_some() { c } else { MISSING };
            let advance = self.advance(glyph);
            self.used.entry(id).or_insert((shown, advance));
            bytes.extend(id.to_be_bytes());
        }
        bytes
    }

    /// Breaks text into lines of at most `width` points.
    pub fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        letters::wrap(text, width, |piece| self.width(piece, size))
    }

    /// Writes a Type 0 font with a CID font of CFF outlines (ISO 32000-1, section 9.7). `ids`: font, descendant,
    /// descriptor, map, file.
    ///
    /// # Errors
    /// When the subset cannot be made.
    pub fn write(&self, pdf: &mut Pdf, ids: [Ref; 5]) -> Result<(), Error> {
        let subset = subsetter::subset(SANS, 0, &self.glyphs).map_err(|e| Error::Font(e.to_string()))?;
        let outlines = ttf_parser::RawFace::parse(&subset, 0)
            .ok()
            .and_then(|face| face.table(Tag::from_bytes(b"CFF ")))
            .ok_or_else(|| Error::Font("the subset has no outlines".into()))?;
        let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
        let [font, descendant, descriptor, map, file] = ids;
        let name = Name(NAME.as_bytes());
        pdf.type0_font(font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(descendant)
            .to_unicode(map);
        let mut cid = pdf.cid_font(descendant);
        cid.subtype(CidFontType::Type0).base_font(name).system_info(system).font_descriptor(descriptor);
        cid.default_width(1000.0);
        let mut widths = cid.widths();
        for (id, (_, advance)) in &self.used {
            widths.consecutive(*id, [*advance]);
        }
        widths.finish();
        cid.finish();
        let scale = 1000.0 / f32::from(self.face.units_per_em());
        let b = self.face.global_bounding_box();
        let bounds = [b.x_min, b.y_min, b.x_max, b.y_max].map(|v| f32::from(v) * scale);
        pdf.font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(bounds[0], bounds[1], bounds[2], bounds[3]))
            .italic_angle(0.0)
            .ascent(f32::from(self.face.ascender()) * scale)
            .descent(f32::from(self.face.descender()) * scale)
            .cap_height(f32::from(self.face.capital_height().unwrap_or(733)) * scale)
            .stem_v(80.0)
            .font_file3(file);
        let mut unicode = UnicodeCmap::new(Name(b"Custom"), system);
        for (id, (c, _)) in &self.used {
            unicode.pair(*id, *c);
        }
        let unicode = unicode.finish();
        pdf.cmap(map, &unicode);
        let packed = super::deflate(outlines);
        let mut stream = pdf.stream(file, &packed);
        stream.filter(Filter::FlateDecode);
        stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
        stream.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing() {
        let font = Font::new().unwrap();
        let text = "Ground glass 12.4 % of both lungs，磨玻璃影占双肺百分之十二，实变百分之三。Averyveryverylongwordwithoutspaces";
        let lines = font.wrap(text, 10.0, 90.0);
        assert!(lines.iter().all(|l| font.width(l, 10.0) <= 100.0), "{lines:?}");
        let without = |t: &str| t.replace(' ', "");
        assert_eq!(without(&lines.concat()), without(text));
    }

    #[test]
    fn latin_accents_and_all_of_gb2312_have_glyphs_and_others_become_an_empty_box() {
        let mut font = Font::new().unwrap();
        for c in "Jérôme 张三丰 诊断 鼹 ≤ ±".chars() {
            assert!(font.face.glyph_index(c).is_some(), "{c}");
        }
        assert!(font.face.glyph_index(MISSING).is_some());
        assert_eq!(font.encode("\u{1F600}"), font.encode("\u{25a1}"));
        assert_ne!(font.encode("\u{1F600}"), font.encode("?"));
    }
}
