//! The pixels of one picture, ready for a page to draw.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody::instance::Instance;
use custody::spool::Spool;
use custody::store;
use dicom::kind::SeriesKind;
use dicom::mammogram::turn::{self, Turn};
use dicom::mammogram::{self, display};
use dicom::pixels::colour::Conversion;
use dicom::pixels::pictures::Pictures;
use serde::Serialize;
use study::volume::{self, Slice, build};

use super::Error;
use super::looks::{self, Look};

/// The most memory that decoding one picture may need. Larger ones are not shown; analysis has a budget of its own.
const MOST_BYTES: u64 = 512 << 20;
/// How long the slices of a multi-frame instance stay decoded: a person looks at the next one within this time.
const KEPT: Duration = Duration::from_secs(60);

/// Decodes pictures. The slices of the last multi-frame instance are kept for a while, because they are decoded together.
#[derive(Debug, Clone)]
pub struct Decoder {
    spool: Spool,
    last: Arc<Mutex<Option<Slices>>>,
}

/// What a page is told of a mammogram beside its values.
#[derive(Debug, Serialize)]
struct Told {
    columns: usize,
    rows: usize,
    factor: usize,
    /// Of a stored pixel, in the breast.
    mm: Option<f64>,
    /// `None`: the header does not say how the picture lies.
    turn: Option<Turn>,
    film: bool,
    implant: bool,
    partial: bool,
    /// See `dicom::mammogram::display`.
    named: [f64; 2],
    window: [f64; 2],
    ends: [f64; 2],
    greys: Vec<f32>,
    /// Where the file has several tables or windows: all of them.
    looks: Vec<Look>,
}

#[derive(Debug, Clone)]
struct Slices {
    instance: i64,
    slices: Arc<[Slice]>,
}

impl Decoder {
    pub fn new(spool: Spool) -> Self {
        Self { spool, last: Arc::default() }
    }

    /// Row-major pixels of one frame (counted from 1), as [`super::stack::Pixels`] names them; 16 bits are little endian.
    /// Blocks.
    ///
    /// # Errors
    /// When there is no such frame, or it cannot be decoded or only with too much memory.
    pub fn pixels(&self, kind: SeriesKind, instance: &Instance, frame: u32) -> Result<Vec<u8>, Error> {
        let (header, file) = (&instance.header, instance.location.length());
        let needed = match kind.is_volume() {
            true => volume::slices_bytes(header, file),
            false => volume::picture_bytes(header, file),
        };
        if needed > MOST_BYTES {
            return Err(Error::TooLarge { needed_mib: needed >> 20, most_mib: MOST_BYTES >> 20 });
        }
        if kind.is_volume() { self.hounsfield(instance, frame) } else { self.shown(instance, frame) }
    }

    fn hounsfield(&self, instance: &Instance, frame: u32) -> Result<Vec<u8>, Error> {
        let slices = match self.kept(instance.id) {
            Some(slices) => slices,
            None => self.keep(instance, build::decode(&self.spool, instance)?.into()),
        };
        let slice = (frame as usize).checked_sub(1).and_then(|index| slices.get(index)).ok_or(Error::NotFound)?;
        Ok(slice.hu.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn kept(&self, instance: i64) -> Option<Arc<[Slice]>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| last.instance == instance).map(|last| last.slices.clone())
    }

    fn keep(&self, instance: &Instance, slices: Arc<[Slice]>) -> Arc<[Slice]> {
        if slices.len() > 1 {
            let kept = Slices { instance: instance.id, slices: slices.clone() };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
            let (last, kept) = (self.last.clone(), Arc::downgrade(&slices));
            tokio::spawn(async move {
                tokio::time::sleep(KEPT).await;
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.as_ref().is_some_and(|last| std::ptr::eq(Arc::as_ptr(&last.slices), kept.as_ptr())) {
                    *last = None;
                }
            });
        }
        slices
    }

    /// A mammogram in 16 bits with what is needed to show it, as JSON with its length before it (32 bits, little endian). `factor`: means of
    /// squares of so many pixels a side. Blocks.
    ///
    /// # Errors
    /// When there is no such frame, or it cannot be decoded or only with too much memory.
    pub fn mammogram(&self, instance: &Instance, frame: u32, factor: usize) -> Result<Vec<u8>, Error> {
        let needed = volume::picture_bytes(&instance.header, instance.location.length());
        if needed > MOST_BYTES {
            return Err(Error::TooLarge { needed_mib: needed >> 20, most_mib: MOST_BYTES >> 20 });
        }
        let pictures = Pictures::open(&self.spool.read_checked(instance)?)?;
        let header = &pictures.header;
        if header.samples_per_pixel > 1 {
            return Err(Error::Colour("a mammogram has one value for each pixel".into()));
        }
        let index = (frame as usize).checked_sub(1).ok_or(Error::NotFound)?;
        let samples = pictures.decode(index).ok_or(Error::NotFound)??;
        let facts = mammogram::of(header, &pictures.data_set);
        let display = display::of(header, &pictures.data_set, &samples);
        let bits_allocated = samples.bits_allocated;
        drop(samples);
        let (size, values) = display::reduced(&display.values, [header.columns as usize, header.rows as usize], factor);
        let told = Told {
            columns: size[0],
            rows: size[1],
            factor,
            mm: facts.mm,
            turn: turn::of(&facts.laterality, &facts.orientation),
            film: facts.film,
            implant: facts.implant,
            partial: facts.partial,
            named: display.named,
            window: display.window,
            ends: display.curve.ends,
            greys: display.curve.greys,
            looks: looks::all(header, &pictures.data_set, bits_allocated),
        };
        let told = serde_json::to_vec(&told).map_err(store::Error::from)?;
        let mut bytes = Vec::with_capacity(4 + told.len() + 2 * values.len());
        bytes.extend(u32::try_from(told.len()).unwrap_or(0).to_le_bytes());
        bytes.extend(told);
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        Ok(bytes)
    }

    fn shown(&self, instance: &Instance, frame: u32) -> Result<Vec<u8>, Error> {
        shown(&self.spool.read_checked(instance)?, frame, false)
    }
}

/// Row-major pixels of one frame of a Part 10 file; grey ones as colours where a page wants that. Blocks.
///
/// # Errors
/// As for [`Decoder::pixels`].
pub fn shown(part10: &[u8], frame: u32, wants_colour: bool) -> Result<Vec<u8>, Error> {
    let pictures = Pictures::open(part10)?;
    let header = &pictures.header;
    let conversion = Conversion::of(header, &pictures.data_set).map_err(|error| Error::Colour(error.to_string()))?;
    let index = (frame as usize).checked_sub(1).ok_or(Error::NotFound)?;
    let samples = pictures.decode(index).ok_or(Error::NotFound)??;
    let channels = if conversion.is_grey() { 1 } else { 3 };
    let (rows, columns) = (header.rows as usize, header.columns as usize);
    let mut bytes = vec![0; rows * columns * channels];
    conversion.convert(&samples, columns, &mut bytes);
    if wants_colour && channels == 1 {
        bytes = bytes.into_iter().flat_map(|grey| [grey; 3]).collect();
    }
    Ok(bytes)
}
