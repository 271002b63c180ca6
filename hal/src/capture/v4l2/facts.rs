//! What the kernel's numbers mean, as pure functions: formats, colours, layouts, signal, errors, counters.

use rustix::io::Errno;

use super::ioctl::{self, DvTimings, PlaneFormat};
use crate::capture::frame::{Layout, Shape, plane_sizes};
use crate::capture::{CaptureFault, Colour, Error, Matrix, PixelFormat, Range, Rate};

/// The kernel's names of the formats we read, ours first; the second name of NV12 has a buffer for each plane.
const NAMES: [(PixelFormat, [u8; 4]); 7] = [
    (PixelFormat::Yuyv, *b"YUYV"),
    (PixelFormat::Nv12, *b"NV12"),
    (PixelFormat::Nv12, *b"NM12"),
    (PixelFormat::Rgb24, *b"RGB3"),
    (PixelFormat::Grey, *b"GREY"),
    (PixelFormat::Mjpeg, *b"MJPG"),
    (PixelFormat::Mjpeg, *b"JPEG"),
];

pub(super) fn pixel_format(fourcc: [u8; 4]) -> Option<PixelFormat> {
    NAMES.iter().find(|(_, name)| *name == fourcc).map(|(format, _)| *format)
}

/// Text that ends at the first zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A picture as either interface describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) fourcc: [u8; 4],
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) field: u32,
    pub(super) colorspace: u32,
    pub(super) encoding: u32,
    pub(super) quantization: u32,
    /// Buffers of a picture, and the stride of each, in bytes.
    pub(super) buffers: usize,
    pub(super) strides: [u32; ioctl::MAX_PLANES],
}

impl From<ioctl::Picture> for Described {
    fn from(p: ioctl::Picture) -> Self {
        let mut strides = [0; ioctl::MAX_PLANES];
        strides[0] = p.stride;
        Self {
            fourcc: p.fourcc,
            width: p.width,
            height: p.height,
            field: p.field,
            colorspace: p.colorspace,
            encoding: p.encoding,
            quantization: p.quantization,
            buffers: 1,
            strides,
        }
    }
}

impl From<ioctl::PictureMulti> for Described {
    fn from(p: ioctl::PictureMulti) -> Self {
        Self {
            fourcc: p.fourcc,
            width: p.width,
            height: p.height,
            field: p.field,
            colorspace: p.colorspace,
            encoding: p.encoding.into(),
            quantization: p.quantization.into(),
            buffers: usize::from(p.count).clamp(1, ioctl::MAX_PLANES),
            strides: p.planes.map(|PlaneFormat { stride, .. }| stride),
        }
    }
}

/// Where the planes of a picture lie; `None` for formats we do not read.
pub(super) fn shape(picture: &Described) -> Option<Shape> {
    let format = pixel_format(picture.fourcc)?;
    let mut planes: Vec<Layout> = Vec::new();
    for (index, (row, rows)) in plane_sizes(format, picture.width, picture.height).into_iter().enumerate() {
        let stride = |part: usize| match picture.strides[part] as usize {
            0 => row,
            stride => stride,
        };
        planes.push(match planes.last() {
            Some(_) if picture.buffers > index => Layout { part: index, offset: 0, stride: stride(index), row, rows },
            // In one buffer chroma follows the last row of luma, its gap included, with the same stride.
            Some(luma) => Layout { part: 0, offset: luma.stride * luma.rows, stride: stride(0), row, rows },
            None => Layout { part: 0, offset: 0, stride: stride(0), row, rows },
        });
    }
    Some(Shape::laid_out(format, picture.width, picture.height, colour(format, picture), planes))
}

/// `V4L2_MAP_QUANTIZATION_DEFAULT` and `V4L2_MAP_YCBCR_ENC_DEFAULT`, as far as our formats go.
fn colour(format: PixelFormat, picture: &Described) -> Colour {
    const COLORSPACE_JPEG: u32 = 7;
    const COLORSPACE_REC709: u32 = 3;
    const COLORSPACE_DCI_P3: u32 = 12;
    let compressed_or_rgb = matches!(format, PixelFormat::Rgb24 | PixelFormat::Mjpeg);
    let range = match picture.quantization {
        1 => Range::Full,
        2 => Range::Limited,
        _ if compressed_or_rgb || picture.colorspace == COLORSPACE_JPEG => Range::Full,
        _ => Range::Limited,
    };
    let matrix = match picture.encoding {
        // V4L2_YCBCR_ENC_601, _709.
        1 => Matrix::Bt601,
        2 => Matrix::Bt709,
        _ if matches!(picture.colorspace, COLORSPACE_REC709 | COLORSPACE_DCI_P3) => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    Colour { range, matrix }
}

/// Why nothing arrives at an input, by its status.
pub(super) fn no_signal(status: u32) -> Option<&'static str> {
    [
        (ioctl::INPUT_NO_POWER, "the input has no power"),
        (ioctl::INPUT_NO_SIGNAL, "no signal at the input"),
        (ioctl::INPUT_NO_SYNC, "the signal at the input has no sync"),
        (ioctl::INPUT_NO_CARRIER, "no carrier at the input"),
    ]
    .into_iter()
    .find(|(flag, _)| status & flag != 0)
    .map(|(_, why)| why)
}

/// Pictures in a second of what arrives; `None` when the timings do not say, and for interlaced video.
pub(super) fn rate(timings: &DvTimings) -> Option<Rate> {
    if timings.interlaced != 0 {
        return None;
    }
    let total = |visible: u32, blank: [u32; 3]| u64::from(visible) + blank.map(u64::from).iter().sum::<u64>();
    let clock = u64::from(timings.clock[0]) | u64::from(timings.clock[1]) << 32;
    let pixels = total(timings.width, timings.horizontal) * total(timings.height, timings.vertical);
    let thousandths = u128::from(clock) * 1000 / u128::from(pixels.max(1));
    match u32::try_from(thousandths).ok()? {
        whole if whole % 1000 == 0 => Rate::new(whole / 1000, 1),
        thousandths => Rate::new(thousandths, 1000),
    }
}

/// The kernel's 32-bit frame number as one that does not begin again. A driver that does not count is counted for.
pub(super) fn widen(previous: Option<u64>, sequence: u32) -> u64 {
    let Some(previous) = previous else { return sequence.into() };
    // The low half is all the kernel knows.
    let low = u32::try_from(previous & u64::from(u32::MAX)).unwrap_or(0);
    match sequence.wrapping_sub(low) {
        step @ 1..=0x7fff_ffff => previous + u64::from(step),
        _ => previous + 1,
    }
}

/// An error of the kernel in our kinds. `doing` says at what.
pub(super) fn error(path: &str, doing: &str, errno: Errno) -> Error {
    let (kind, why) = match errno {
        Errno::NOENT => (CaptureFault::NotPresent, "there is no such device".to_owned()),
        Errno::NOTTY => (CaptureFault::NotPresent, "this is no video device".to_owned()),
        Errno::NODEV | Errno::NXIO | Errno::IO | Errno::SHUTDOWN => {
            (CaptureFault::Disconnected, "the device has gone".into())
        }
        Errno::NOLINK => (CaptureFault::NoSignal, "no signal at the input".into()),
        Errno::NOLCK => (CaptureFault::NoSignal, "the signal at the input is not stable".into()),
        Errno::PIPE => (CaptureFault::SourceChanged, "the stream has ended".into()),
        Errno::BUSY => (CaptureFault::Busy, "another process uses the device".into()),
        other => (CaptureFault::Other, other.to_string()),
    };
    Error::new(kind, format!("{path}: {doing}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(fourcc: &[u8; 4], buffers: usize, strides: &[u32]) -> Described {
        let mut all = [0; ioctl::MAX_PLANES];
        all[..strides.len()].copy_from_slice(strides);
        Described {
            fourcc: *fourcc,
            width: 6,
            height: 5,
            field: ioctl::FIELD_NONE,
            colorspace: 0,
            encoding: 0,
            quantization: 0,
            buffers,
            strides: all,
        }
    }

    #[test]
    fn planes_lie_where_the_driver_says() {
        let yuyv = shape(&picture(b"YUYV", 1, &[16])).unwrap();
        assert_eq!(yuyv.planes(), [Layout { part: 0, offset: 0, stride: 16, row: 12, rows: 5 }]);
        let luma = Layout { part: 0, offset: 0, stride: 8, row: 6, rows: 5 };
        let chroma = Layout { part: 0, offset: 40, stride: 8, row: 6, rows: 3 };
        assert_eq!(shape(&picture(b"NV12", 1, &[8])).unwrap().planes(), [luma, chroma]);
        let chroma = Layout { part: 1, offset: 0, stride: 10, row: 6, rows: 3 };
        assert_eq!(shape(&picture(b"NM12", 2, &[8, 10])).unwrap().planes(), [luma, chroma]);
        assert_eq!(shape(&picture(b"GREY", 1, &[0])).unwrap().planes()[0].stride, 6, "a driver that says nothing");
        assert_eq!(shape(&picture(b"MJPG", 1, &[0])).unwrap().planes(), []);
        assert_eq!(shape(&picture(b"H264", 1, &[0])), None);
    }

    #[test]
    fn colours_follow_the_kernels_defaults() {
        let of = |fourcc: &[u8; 4], colorspace, encoding, quantization| {
            let picture = Described { colorspace, encoding, quantization, ..picture(fourcc, 1, &[]) };
            let Colour { range, matrix } = shape(&picture).unwrap().colour;
            (range, matrix)
        };
        assert_eq!(of(b"YUYV", 8, 0, 0), (Range::Limited, Matrix::Bt601));
        assert_eq!(of(b"YUYV", 3, 0, 0), (Range::Limited, Matrix::Bt709));
        assert_eq!(of(b"YUYV", 8, 2, 1), (Range::Full, Matrix::Bt709));
        assert_eq!(of(b"RGB3", 8, 0, 0).0, Range::Full);
        assert_eq!(of(b"RGB3", 8, 0, 2).0, Range::Limited);
    }

    #[test]
    fn numbers_of_frames_go_on_where_32_bits_end() {
        assert_eq!(widen(None, 7), 7);
        assert_eq!(widen(Some(7), 9), 9);
        assert_eq!(widen(Some(u64::from(u32::MAX)), 1), u64::from(u32::MAX) + 2);
        assert_eq!(widen(Some(7), 7), 8, "a driver that does not count");
        assert_eq!(widen(Some(7), 0), 8, "a driver that begins again");
    }

    #[test]
    fn the_rate_is_that_of_the_cable() {
        // CTA-861 720p60: 74.25 MHz, 1650 x 750 in all; VESA 1024x768 at 60.004.
        let hd = DvTimings {
            kind: 0,
            width: 1280,
            height: 720,
            interlaced: 0,
            polarities: 0,
            clock: [74_250_000, 0],
            horizontal: [110, 40, 220],
            vertical: [5, 5, 20],
            vertical_second: [0; 3],
            standards: 0,
            flags: 0,
            aspect: [0; 2],
            vic: [0; 2],
            reserved: [0; 50],
        };
        assert_eq!(rate(&hd), Rate::new(60, 1));
        let vesa = DvTimings {
            width: 1024,
            height: 768,
            clock: [65_000_000, 0],
            horizontal: [24, 136, 160],
            vertical: [3, 6, 29],
            ..hd
        };
        assert_eq!(rate(&vesa), Rate::new(60_003, 1000));
        assert_eq!(rate(&DvTimings { clock: [0; 2], ..hd }), None);
        assert_eq!(rate(&DvTimings { interlaced: 1, ..hd }), None);
    }

    #[test]
    fn errors_have_the_kind_that_helps() {
        for (errno, kind) in [
            (Errno::NOENT, CaptureFault::NotPresent),
            (Errno::NODEV, CaptureFault::Disconnected),
            (Errno::NOLINK, CaptureFault::NoSignal),
            (Errno::BUSY, CaptureFault::Busy),
            (Errno::PIPE, CaptureFault::SourceChanged),
            (Errno::ACCESS, CaptureFault::Other),
        ] {
            assert_eq!(error("video0", "opening", errno).kind(), kind);
        }
        assert_eq!(no_signal(0x2), Some("no signal at the input"));
        assert_eq!(no_signal(0x4), None, "no colour is a signal");
    }
}
