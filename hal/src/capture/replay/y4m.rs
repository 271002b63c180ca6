//! YUV4MPEG2 files: a line of text, then each picture after a line that begins with `FRAME`. Read picture by picture, so
//! that an hour of video needs no more memory than a second.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::Recording;
use crate::capture::config::MAX_SIDE;
use crate::capture::frame::Shape;
use crate::capture::{CaptureFault, Colour, Error, Matrix, PixelFormat, Range, Rate};

const MAGIC: &str = "YUV4MPEG2";
/// Longest line that is accepted, bytes.
const MAX_LINE: u64 = 1024;

/// A YUV4MPEG2 file: planar 4:2:0 (becomes NV12) or grey.
#[derive(Debug)]
pub struct Y4m<R = BufReader<File>> {
    name: String,
    input: R,
    header: Header,
    /// Bytes read so far.
    at: u64,
    /// Pictures read so far.
    index: u64,
    chroma: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    shape: Shape,
    rate: Rate,
    /// Length of the line in bytes.
    length: u64,
}

impl Y4m {
    /// Opens a file and reads its first line.
    ///
    /// # Errors
    /// `CaptureFault::NotPresent` when it cannot be opened, `CaptureFault::BadInput` when it is no such file; the message names the byte.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file =
            File::open(path).map_err(|e| Error::new(CaptureFault::NotPresent, format!("{}: {e}", path.display())))?;
        Self::new(path.display().to_string(), BufReader::with_capacity(1 << 16, file))
    }
}

impl<R: BufRead + Seek> Y4m<R> {
    /// Reads the first line of `input`.
    ///
    /// # Errors
    /// `CaptureFault::BadInput` when it is no such file; the message names the byte. `CaptureFault::Other` when it cannot be read.
    pub fn new(name: impl Into<String>, mut input: R) -> Result<Self, Error> {
        let name = name.into();
        let line = line(&mut input).map_err(|e| Error::new(e.0, format!("{name}: byte 0: {}", e.1)))?;
        let header = header(&line)
            .map_err(|(at, why)| Error::new(CaptureFault::BadInput, format!("{name}: byte {at}: {why}")))?;
        let at = header.length;
        Ok(Self { name, input, header, at, index: 0, chroma: Vec::new() })
    }

    fn error(&self, kind: CaptureFault, why: impl std::fmt::Display) -> Error {
        Error::new(kind, format!("{}: byte {}: {why}", self.name, self.at))
    }

    fn fill(&mut self, which: &str, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let why = format!("the file ends within the {which} of picture {}", self.index);
                self.error(CaptureFault::BadInput, why)
            }
            _ => self.error(CaptureFault::Other, e),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// A plane of Cb and a plane of Cr, interleaved into `out`.
    fn fill_chroma(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let mut planes = std::mem::take(&mut self.chroma);
        planes.resize(out.len(), 0);
        let result = self.fill("chroma", &mut planes);
        let (cb, cr) = planes.split_at(planes.len() / 2);
        for ((pair, cb), cr) in out.chunks_exact_mut(2).zip(cb).zip(cr) {
            pair.copy_from_slice(&[*cb, *cr]);
        }
        self.chroma = planes;
        result
    }
}

impl<R: BufRead + Seek + Send + std::fmt::Debug> Recording for Y4m<R> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn shape(&self) -> &Shape {
        &self.header.shape
    }

    fn rate(&self) -> Rate {
        self.header.rate
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Duration>, Error> {
        let line = line(&mut self.input).map_err(|(kind, why)| self.error(kind, why))?;
        if line.is_empty() {
            return Ok(None);
        }
        // Parameters of a single picture (interlacing) change nothing here.
        if line != "FRAME\n" && !line.starts_with("FRAME ") {
            return Err(self.error(CaptureFault::BadInput, format!("picture {} does not begin with FRAME", self.index)));
        }
        self.at += line.len() as u64;
        bytes.resize(self.header.shape.bytes(0), 0);
        let luma = self.header.shape.width as usize * self.header.shape.height as usize;
        let (luma, chroma) = bytes.split_at_mut(luma);
        self.fill("luma", luma)?;
        self.fill_chroma(chroma)?;
        let due = self.header.rate.due(self.index);
        self.index += 1;
        Ok(Some(due))
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.at = self.header.length;
        self.index = 0;
        self.input.seek(SeekFrom::Start(self.at)).map(|_| ()).map_err(|e| self.error(CaptureFault::Other, e))
    }
}

/// One line with its end, empty at the end of the file.
fn line(input: &mut impl BufRead) -> Result<String, (CaptureFault, String)> {
    let mut bytes = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(|e| (CaptureFault::Other, e.to_string()))?;
    match bytes.last() {
        None => Ok(String::new()),
        Some(b'\n') if bytes.is_ascii() => Ok(bytes.into_iter().map(char::from).collect()),
        _ => Err((CaptureFault::BadInput, format!("here must be a line of text of at most {MAX_LINE} bytes"))),
    }
}

/// The first line; on failure the byte at which it stopped making sense, and why.
fn header(line: &str) -> Result<Header, (usize, String)> {
    let Some(fields) = line.strip_prefix(MAGIC).filter(|rest| rest.starts_with([' ', '\n'])) else {
        return Err((0, format!("this is no YUV4MPEG2 file: it does not begin with {MAGIC}")));
    };
    let (mut width, mut height, mut rate, mut format, mut colour) = (None, None, None, None, Colour::default());
    let mut range = None;
    let mut at = MAGIC.len();
    for field in fields.trim_end_matches('\n').split(' ') {
        let here = |why: String| (at, why);
        match field.split_at_checked(1) {
            Some(("W", text)) => width = Some(side("width", text).map_err(here)?),
            Some(("H", text)) => height = Some(side("height", text).map_err(here)?),
            Some(("F", text)) => rate = Some(fraction(text).map_err(here)?),
            Some(("C", text)) => format = Some(layout(text).map_err(here)?),
            Some(("I", "p" | "?")) => {}
            Some(("I", other)) => return Err((at, format!("interlaced video (I{other}) is not supported"))),
            Some(("X", "COLORRANGE=FULL")) => range = Some(Range::Full),
            Some(("X", "COLORRANGE=LIMITED")) => range = Some(Range::Limited),
            // Pixel aspect and comments.
            Some(("A" | "X", _)) | None => {}
            Some((other, _)) => return Err((at, format!("unknown field {other:?}"))),
        }
        at += field.len() + 1;
    }
    let missing = |what: &str| (at, format!("the header names no {what}"));
    let width = width.ok_or_else(|| missing("width (W)"))?;
    let height = height.ok_or_else(|| missing("height (H)"))?;
    let rate = rate.ok_or_else(|| missing("frame rate (F)"))?;
    // Without C the format says 4:2:0.
    let format = format.unwrap_or(PixelFormat::Nv12);
    // Grey is a picture, 4:2:0 is video.
    colour.range = range.unwrap_or(if format == PixelFormat::Grey { Range::Full } else { Range::Limited });
    colour.matrix = if height >= 720 { Matrix::Bt709 } else { Matrix::Bt601 };
    Ok(Header { shape: Shape::tight(format, width, height, colour), rate, length: line.len() as u64 })
}

fn side(name: &str, text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(value) if (1..=MAX_SIDE).contains(&value) => Ok(value),
        _ => Err(format!("{name} {text:?} is not a number from 1 to {MAX_SIDE}")),
    }
}

fn fraction(text: &str) -> Result<Rate, String> {
    let parse = || {
        let (frames, seconds) = text.split_once(':')?;
        Rate::new(frames.parse().ok()?, seconds.parse().ok()?)
    };
    parse().ok_or_else(|| format!("frame rate {text:?} is not two numbers like 30:1"))
}

fn layout(text: &str) -> Result<PixelFormat, String> {
    match text {
        "mono" => Ok(PixelFormat::Grey),
        // They differ in where chroma was sampled, by half a pixel.
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(PixelFormat::Nv12),
        other => Err(format!("pictures of kind C{other} are not supported (C420 and Cmono are)")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn open(bytes: &[u8]) -> Result<Y4m<Cursor<Vec<u8>>>, Error> {
        Y4m::new("clip.y4m", Cursor::new(bytes.to_vec()))
    }

    fn all(bytes: &[u8]) -> Result<Vec<(Duration, Vec<u8>)>, Error> {
        let mut file = open(bytes)?;
        let mut pictures = Vec::new();
        let mut picture = Vec::new();
        while let Some(due) = file.read(&mut picture)? {
            pictures.push((due, picture.clone()));
        }
        Ok(pictures)
    }

    #[test]
    fn pictures_come_with_the_times_of_the_header() {
        let file = b"YUV4MPEG2 W3 H1 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG\nFRAME\nabcUVWXFRAME Ip\ndefuvwx";
        let pictures = all(file).unwrap();
        assert_eq!(pictures[0], (Duration::ZERO, b"abcUWVX".to_vec()));
        assert_eq!(pictures[1], (Duration::from_nanos(33_366_666), b"defuwvx".to_vec()));
        assert_eq!(pictures.len(), 2);
    }

    #[test]
    fn grey_is_full_range_unless_it_says_otherwise_and_high_definition_is_709() {
        let colour = |header: &str| open(header.as_bytes()).unwrap().shape().colour;
        assert_eq!(colour("YUV4MPEG2 W3 H1 F1:1 Cmono\n"), Colour::default());
        assert_eq!(colour("YUV4MPEG2 W3 H720 F1:1\n"), Colour { range: Range::Limited, matrix: Matrix::Bt709 });
        assert_eq!(colour("YUV4MPEG2 W3 H1 F1:1 XCOLORRANGE=FULL\n").range, Range::Full);
    }

    #[test]
    fn a_bad_file_is_refused_with_the_byte() {
        for (file, words) in [
            ("", "byte 0: this is no YUV4MPEG2 file"),
            ("RIFF....", "byte 0: here must be a line"),
            ("YUV4MPEG2 W0 H2 F1:1\n", "byte 10: width \"0\""),
            ("YUV4MPEG2 W2 H99999 F1:1\n", "byte 13: height \"99999\""),
            ("YUV4MPEG2 W2 H2 F1:0\n", "byte 16: frame rate \"1:0\""),
            ("YUV4MPEG2 W2 H2 F1:1 C444\n", "byte 21: pictures of kind C444"),
            ("YUV4MPEG2 W2 H2 F1:1 It\n", "byte 21: interlaced"),
            ("YUV4MPEG2 W2 H2\n", "byte 16: the header names no frame rate"),
            ("YUV4MPEG2 W2 H2 F1:1 Cmono\nFRAME\nabcdFRAM\nabcd", "byte 37: picture 1 does not begin with FRAME"),
            ("YUV4MPEG2 W2 H2 F1:1 Cmono\nFRAME\nabc", "byte 33: the file ends within the luma of picture 0"),
            ("YUV4MPEG2 W2 H2 F1:1\nFRAME\nabcdU", "byte 31: the file ends within the chroma of picture 0"),
        ] {
            let error = all(file.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), CaptureFault::BadInput, "{file}");
            assert!(error.to_string().starts_with(&format!("clip.y4m: {words}")), "{file:?}: {error}");
        }
        assert_eq!(Y4m::open(Path::new("nowhere.y4m")).unwrap_err().kind(), CaptureFault::NotPresent);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(width in 1..20u32, height in 1..20u32, count in 0..4usize, mono: bool) {
            let kind = if mono { "mono" } else { "420" };
            let mut file = format!("YUV4MPEG2 W{width} H{height} F25:1 C{kind}\n").into_bytes();
            let length = open(&file).unwrap().shape().bytes(0);
            for index in 0..count {
                file.extend_from_slice(b"FRAME\n");
                file.extend(std::iter::repeat_n(index as u8, length));
            }
            let want: Vec<_> = (0..count).map(|i| (Duration::from_millis(40 * i as u64), vec![i as u8; length])).collect();
            prop_assert_eq!(all(&file).unwrap(), want);
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            start in "YUV4MPEG2( [WHFCIAX][0-9a-z:]{0,5}){0,5}\n?", rest in proptest::collection::vec(any::<u8>(), 0..200),
            hits in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..3)
        ) {
            let mut file = [start.as_bytes(), &rest].concat();
            for (at, value) in hits {
                let length = file.len();
                file[at % length] = value;
            }
            if let Err(error) = all(&file) {
                prop_assert_eq!(error.kind(), CaptureFault::BadInput);
                prop_assert!(error.to_string().contains("byte "));
            }
        }
    }
}
