//! One captured picture: what it is, when it was taken, and the bytes, which go back to the device when it is dropped.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use super::berth::Berth;

/// How the bytes of a picture are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// One byte of luma for each pixel.
    Grey,
    /// Y0 Cb Y1 Cr for each two pixels.
    Yuyv,
    /// A plane of luma, then one of Cb Cr pairs for each 2x2 pixels.
    Nv12,
    /// Red, green, blue, one byte each.
    Rgb24,
    /// A JPEG file for each picture.
    Mjpeg,
}

impl PixelFormat {
    pub const ALL: [Self; 5] = [Self::Grey, Self::Yuyv, Self::Nv12, Self::Rgb24, Self::Mjpeg];

    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "GREY",
            Self::Yuyv => "YUYV",
            Self::Nv12 => "NV12",
            Self::Rgb24 => "RGB24",
            Self::Mjpeg => "MJPEG",
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which values stand for black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Range {
    /// 0 to 255.
    #[default]
    Full,
    /// Luma and RGB from 16 to 235, chroma from 16 to 240, as video cables carry it.
    Limited,
}

/// How luma is made of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Matrix {
    /// Standard definition, and JPEG.
    #[default]
    Bt601,
    /// High definition.
    Bt709,
}

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Colour {
    pub range: Range,
    pub matrix: Matrix,
}

/// Where one plane lies in a buffer. Lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Which buffer of the frame: drivers may give each plane its own.
    pub part: usize,
    pub offset: usize,
    /// From the start of a row to the start of the next.
    pub stride: usize,
    /// What of a row is picture.
    pub row: usize,
    pub rows: usize,
}

impl Layout {
    /// Bytes from the plane's start to the end of its last row; `None` when that is no sensible number.
    fn length(&self) -> Option<usize> {
        match self.rows {
            0 => Some(0),
            rows => self.stride.checked_mul(rows - 1)?.checked_add(self.row),
        }
    }

    /// One past the last byte in its buffer.
    fn end(&self) -> Option<usize> {
        self.offset.checked_add(self.length()?)
    }
}

/// Rows of luma or pixels, then of chroma, in bytes: (length of a row, rows) of each plane. Empty for JPEG.
pub(super) fn plane_sizes(format: PixelFormat, width: u32, height: u32) -> Vec<(usize, usize)> {
    let (width, height) = (width as usize, height as usize);
    match format {
        PixelFormat::Grey => vec![(width, height)],
        PixelFormat::Yuyv => vec![(width.div_ceil(2) * 4, height)],
        PixelFormat::Nv12 => vec![(width, height), (width.div_ceil(2) * 2, height.div_ceil(2))],
        PixelFormat::Rgb24 => vec![(width * 3, height)],
        PixelFormat::Mjpeg => Vec::new(),
    }
}

/// Everything about the pictures of a stream that does not change from one to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub colour: Colour,
    planes: Arc<[Layout]>,
}

impl Shape {
    /// Planes one after another in one buffer, rows without gaps.
    pub fn tight(format: PixelFormat, width: u32, height: u32, colour: Colour) -> Self {
        let mut offset = 0;
        let place = |(row, rows): (usize, usize)| {
            let layout = Layout { part: 0, offset, stride: row, row, rows };
            offset += row * rows;
            layout
        };
        let planes = plane_sizes(format, width, height).into_iter().map(place).collect();
        Self { format, width, height, colour, planes }
    }

    /// Planes where the driver has put them; `planes` is empty for JPEG.
    pub fn laid_out(format: PixelFormat, width: u32, height: u32, colour: Colour, planes: Vec<Layout>) -> Self {
        Self { format, width, height, colour, planes: planes.into() }
    }

    /// What buffer `part` must hold for the picture to be whole, in bytes; 0 for JPEG, whose length varies.
    pub fn bytes(&self, part: usize) -> usize {
        self.planes.iter().filter(|l| l.part == part).filter_map(Layout::end).max().unwrap_or(0)
    }

    pub fn planes(&self) -> &[Layout] {
        &self.planes
    }
}

/// Where the bytes of a frame live. Dropping the last reference gives them back to the device.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The used bytes of buffer `index`; empty where there is no such buffer.
    fn part(&self, index: usize) -> &[u8];

    /// The same memory as a dmabuf, for devices that read it without a copy.
    fn dmabuf(&self, _index: usize) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Buffer `index` as it stays for as long as the device has it; `None` where each picture has memory of its own.
    fn berth(&self, _index: usize) -> Option<&Berth> {
        None
    }
}

impl Storage for Vec<u8> {
    fn part(&self, index: usize) -> &[u8] {
        if index == 0 { self } else { &[] }
    }
}

/// One captured picture. Clones share the bytes.
#[derive(Clone)]
pub struct Frame {
    pub shape: Shape,
    /// Counts the pictures of the device, those that were lost included.
    pub sequence: u64,
    /// When it was taken, on the device's monotonic clock ([`crate::clock::System`] for real ones).
    pub timestamp: Duration,
    storage: Arc<dyn Storage>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { format, width, height, .. } = self.shape;
        write!(f, "Frame {} ({format} {width}x{height}, at {:?})", self.sequence, self.timestamp)
    }
}

/// The bytes of one plane from its first row on. It may be shorter than it should be: a device may fail.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    pub bytes: &'a [u8],
    /// Bytes from the start of a row to the start of the next.
    pub stride: usize,
}

impl Frame {
    pub fn new(shape: Shape, sequence: u64, timestamp: Duration, storage: Arc<dyn Storage>) -> Self {
        Self { shape, sequence, timestamp, storage }
    }

    /// Plane `index`; `None` where the format has none of that number, or its buffer ends before it begins.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        let layout = self.shape.planes.get(index)?;
        let bytes = self.storage.part(layout.part).get(layout.offset..)?;
        Some(Plane { bytes, stride: layout.stride })
    }

    /// Everything the device wrote into buffer `index`; the JPEG file for [`PixelFormat::Mjpeg`].
    pub fn part(&self, index: usize) -> &[u8] {
        self.storage.part(index)
    }

    /// The buffer of plane `index` as a dmabuf, where the driver exports it.
    pub fn dmabuf(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.storage.dmabuf(self.part_of(index))
    }

    /// The buffer of plane `index`, where the device uses it again.
    pub fn berth(&self, index: usize) -> Option<&Berth> {
        self.storage.berth(self.part_of(index))
    }

    fn part_of(&self, plane: usize) -> usize {
        self.shape.planes.get(plane).map_or(0, |layout| layout.part)
    }

    /// Whether every row of every plane is there (for JPEG: whether there is anything at all).
    pub fn is_complete(&self) -> bool {
        if self.shape.format == PixelFormat::Mjpeg {
            return !self.storage.part(0).is_empty();
        }
        let whole = |l: &Layout| l.end().is_some_and(|end| end <= self.storage.part(l.part).len());
        self.shape.planes.iter().all(whole)
    }

    /// Pictures lost between the one numbered `previous` and this one.
    pub fn dropped_since(&self, previous: u64) -> u64 {
        self.sequence.saturating_sub(previous).saturating_sub(1)
    }

    /// The same picture under another number.
    #[must_use]
    pub(crate) fn numbered(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// The same picture with all but the first `bytes` of each buffer gone.
    #[cfg(any(test, feature = "sim"))]
    #[must_use]
    pub(crate) fn cut_to(self, bytes: usize) -> Self {
        let storage = Arc::new(Cut { whole: self.storage.clone(), bytes });
        Self { storage, ..self }
    }
}

#[cfg(any(test, feature = "sim"))]
#[derive(Debug)]
struct Cut {
    whole: Arc<dyn Storage>,
    bytes: usize,
}

#[cfg(any(test, feature = "sim"))]
impl Storage for Cut {
    fn part(&self, index: usize) -> &[u8] {
        let whole = self.whole.part(index);
        &whole[..self.bytes.min(whole.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_lie_one_after_another_and_odd_sizes_are_rounded_up() {
        let shape = Shape::tight(PixelFormat::Nv12, 5, 3, Colour::default());
        assert_eq!(shape.bytes(0), 5 * 3 + 6 * 2);
        let frame = Frame::new(shape, 7, Duration::ZERO, Arc::new(vec![0; 27]));
        assert!(frame.is_complete());
        assert_eq!(frame.plane(1).map(|p| (p.bytes.len(), p.stride)), Some((12, 6)));
        assert!(frame.plane(2).is_none());
        assert!(!frame.clone().cut_to(26).is_complete());
        assert!(frame.cut_to(3).plane(1).is_none());
    }

    #[test]
    fn lost_pictures_are_the_gap_in_the_numbers() {
        let frame =
            Frame::new(Shape::tight(PixelFormat::Grey, 1, 1, Colour::default()), 7, Duration::ZERO, Arc::new(vec![0]));
        assert_eq!([6, 5, 0, 7, 9].map(|previous| frame.dropped_since(previous)), [0, 1, 6, 0, 0]);
    }

    #[test]
    fn absurd_layouts_are_incomplete_frames() {
        let layout = Layout { part: 0, offset: usize::MAX, stride: usize::MAX, row: 2, rows: 3 };
        let shape = Shape::laid_out(PixelFormat::Grey, 2, 3, Colour::default(), vec![layout]);
        let frame = Frame::new(shape, 0, Duration::ZERO, Arc::new(vec![0; 6]));
        assert!(!frame.is_complete() && frame.plane(0).is_none());
    }
}
