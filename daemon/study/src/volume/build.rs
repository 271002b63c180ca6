//! Builds a `Volume` from slices, or says why not.

use std::sync::Arc;

use custody::instance::Instance;
use custody::spool::{self, Spool};
use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use models::refusal::Place;
use models::remark::SliceFault;
use models::{Refusal, Remark, Volume};
use report::Refused;

use super::back::Back;
use super::geometry::{Arranged, SliceGeometry};
use super::judge::{self, Fault};
use super::sound::{self, Sound};
use super::units::Units;
use super::{Slice, decode, geometry, shear, units};

/// Why a series does not give a volume.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    #[error("{} cannot be used: {source}", report::refused::named(*number))]
    Decode {
        sop_instance_uid: String,
        /// Instance number.
        number: Option<i64>,
        source: DecodeError,
    },
    #[error(transparent)]
    Refused(Refusal),
}

impl VolumeError {
    /// A stable word for each kind of error, for callers, D-Bus and statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decode { source, .. } => source.kind(),
            Self::Refused(refusal) => refusal.kind(),
        }
    }

    /// Whether trying again may help; otherwise the series is refused with this reason.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Decode { source, .. } if source.is_transient())
    }
}

impl From<VolumeError> for Refused {
    fn from(error: VolumeError) -> Self {
        match error {
            VolumeError::Decode { number, source, .. } => Self::Slice { number, fault: source },
            VolumeError::Refused(refusal) => Self::Volume(refusal),
        }
    }
}

/// Decodes one instance in the spool: one slice, or one per frame. Blocks.
///
/// # Errors
/// `Read` when the spool cannot read the bytes; otherwise why the pixels cannot be decoded.
pub fn decode(spool: &Spool, instance: &Instance) -> Result<Vec<Slice>, DecodeError> {
    let part10 = spool.read_checked(instance).map_err(|error| match error {
        spool::Error::Damaged { .. } => DecodeError::Damaged,
        error => DecodeError::Read { reason: error.to_string() },
    })?;
    decode::decode_part10(&instance.header, &part10)
}

/// A volume, and how it goes together with the slices that were sent.
#[derive(Debug, Clone)]
pub struct Built {
    pub volume: Volume,
    /// For each slice of the volume; one that was filled in has the reference of the slice before it.
    pub sources: Vec<SliceRef>,
    pub back: Back,
    /// What was left out or altered.
    pub remarks: Vec<Remark>,
}

/// An instance that was decoded, or why it was not.
#[derive(Debug)]
pub struct Decoded {
    pub sop_instance_uid: String,
    /// As its header says; of an instance with several frames that of none.
    pub geometry: SliceGeometry,
    pub frames: u32,
    pub slices: Result<Vec<Slice>, DecodeError>,
}

impl Decoded {
    pub fn new(header: &Header, slices: Result<Vec<Slice>, DecodeError>) -> Self {
        Self {
            sop_instance_uid: header.sop_instance_uid.clone(),
            geometry: SliceGeometry::from(header),
            frames: header.number_of_frames.max(1),
            slices,
        }
    }
}

/// May the series be read without the slice? Not when a repetition may mend it, or when it was damaged here: then it is asked
/// for again.
fn is_dispensable(error: &DecodeError) -> bool {
    !error.is_transient() && !matches!(error, DecodeError::Damaged)
}

/// Makes a volume of the instances of a series. Single ones that cannot be decoded are left out, and named.
///
/// # Errors
/// Why one cannot be decoded; when the slices do not make a volume.
pub fn volume(parts: Vec<Decoded>) -> Result<Built, VolumeError> {
    let mut slices = Vec::with_capacity(parts.len());
    let mut unreadable = Vec::new();
    let mut first_error = None;
    for Decoded { sop_instance_uid, geometry, frames, slices: decoded } in parts {
        match decoded {
            Ok(decoded) => slices.extend(decoded),
            Err(source) => {
                let is_dispensable = frames == 1 && is_dispensable(&source);
                let error = VolumeError::Decode { sop_instance_uid, number: geometry.number, source };
                if !is_dispensable {
                    return Err(error);
                }
                first_error.get_or_insert(error);
                unreadable.push(geometry);
            }
        }
    }
    assemble_without(slices, unreadable).map_err(|refusal| first_error.unwrap_or(VolumeError::Refused(refusal)))
}

/// Orders decoded slices and makes a volume of them. No voxel is copied, unless the gantry was tilted: the volume shares the
/// planes of the slices. The references are in volume order.
///
/// # Errors
/// When the slices do not form a regular grid, or too many of them are bad.
pub fn assemble(slices: Vec<Slice>) -> Result<Built, Refusal> {
    assemble_without(slices, Vec::new())
}

/// More bad slices than this one after the other are found in no series that is read.
const MOST_ROUNDS: usize = 32;

fn assemble_without(slices: Vec<Slice>, unreadable: Vec<SliceGeometry>) -> Result<Built, Refusal> {
    let mut faults = vec![None; slices.len()];
    faults.extend(unreadable.iter().map(|_| Some(SliceFault::Unreadable)));
    let mut places: Vec<SliceGeometry> = slices.iter().map(|s| s.geometry.clone()).collect();
    places.extend(unreadable);
    let mut found = sound::sound(&places, &faults, None)?;
    // Raw values, and those of other quantities, must not be read as Hounsfield units.
    let said = slices.iter().map(|slice| (&slice.units, slice.geometry.number));
    let doubt = units::doubt(said.clone());
    if let Some(refusal) = units::refusal(said).filter(|_| doubt.is_none()) {
        for (slice, fault) in slices.iter().zip(&mut faults).filter(|(slice, _)| slice.units != Units::Hounsfield) {
            tracing::debug!(number = slice.geometry.number, "no Hounsfield units");
            fault.get_or_insert(SliceFault::Units);
        }
        found = sound::sound(&places, &faults, Some(refusal))?;
    }
    let mut first_refusal = None;
    for _ in 0..MOST_ROUNDS {
        let mut built = build(&slices, &found);
        if doubt.is_some() {
            built.remarks.extend(units::overruled(slices.iter().map(|slice| &slice.units)));
        }
        if let Some(refusal) = units::off_scale(&built.volume) {
            return Err(refusal);
        }
        if let Some(refusal) = doubt.as_ref().filter(|_| !units::measures_as_hu(&built.volume)) {
            return Err(refusal.clone());
        }
        // Only what was sent is judged: a plane that was filled in halves a step between two parts, and hides it.
        let sent: Vec<Sent> = on_grid(&found.arranged)
            .into_iter()
            .enumerate()
            .filter_map(|(plane, slice)| slice.map(|slice| Sent { plane, slice, number: places[slice].number }))
            .collect();
        let planes: Vec<Arc<[i16]>> = sent.iter().map(|one| built.volume.slices[one.plane].clone()).collect();
        let bad = judge::judge(&planes, built.volume.geometry.dims[0]);
        let Some(refusal) = refuse_odd(&built.volume, &sent, &bad) else { return Ok(built) };
        let refusal = first_refusal.get_or_insert(refusal).clone();
        let worst = worst(&bad);
        // Two parts that do not belong together: no slice of them is the bad one.
        if worst.is_empty() {
            return Err(refusal);
        }
        for (index, fault) in worst {
            faults[sent[index].slice] = Some(fault);
        }
        found = sound::sound(&places, &faults, Some(refusal))?;
    }
    Err(first_refusal.unwrap_or(Refusal::TooFew { count: 0, needed: geometry::MIN_SLICES }))
}

/// A plane of the volume that was sent, not filled in.
struct Sent {
    /// In the volume.
    plane: usize,
    /// Among the slices.
    slice: usize,
    number: Option<i64>,
}

/// The slice at each place of the grid; `None` where one is filled in.
fn on_grid(arranged: &Arranged) -> Vec<Option<usize>> {
    let mut order = arranged.order.iter().copied();
    let slices = arranged.geometry.dims[2];
    (0..slices).map(|k| if arranged.filled.contains(&k) { None } else { order.next() }).collect()
}

fn build(slices: &[Slice], found: &Sound) -> Built {
    let Arranged { geometry, tilt, filled, .. } = &found.arranged;
    let grid = on_grid(&found.arranged);
    let mut planes: Vec<Arc<[i16]>> = Vec::with_capacity(grid.len());
    let mut sources: Vec<SliceRef> = Vec::with_capacity(grid.len());
    for (k, index) in grid.iter().enumerate() {
        // Never the first: what is filled in lies between two.
        let Some(slice) = index.or_else(|| grid[..k].iter().rev().find_map(|index| *index)).map(|i| &slices[i]) else {
            continue;
        };
        planes.push(slice.hu.clone());
        sources.push(SliceRef {
            sop_class_uid: slice.sop_class_uid.clone(),
            sop_instance_uid: slice.sop_instance_uid.clone(),
            frame: slice.frame,
            position_mm: slice.geometry.position_mm.unwrap_or_default(),
        });
    }
    let fill = |mut planes: Vec<Arc<[i16]>>| {
        for k in filled {
            planes[*k] = sound::between(&planes[k - 1], &planes[k + 1]).into();
        }
        planes
    };
    let (analysed, planes) = match tilt {
        None => (fill(planes), Vec::new()),
        Some(tilt) => {
            let upright = shear::upright(&planes, tilt.original.dims[0], geometry.dims, tilt);
            (fill(upright), fill(planes))
        }
    };
    Built {
        volume: Volume { geometry: geometry.clone(), slices: analysed },
        sources,
        back: Back { tilt: tilt.clone(), filled: filled.clone(), planes },
        remarks: found.remarks.clone(),
    }
}

/// The slices to be left out first. A bad slice makes its neighbours look odd: of several side by side only the worst is
/// taken, and then all are judged again.
fn worst(faults: &[Fault]) -> Vec<(usize, SliceFault)> {
    let mut all: Vec<(usize, f64, SliceFault)> = Vec::new();
    for fault in faults {
        let (slice, badness, what) = match *fault {
            Fault::Blank { slice } => (slice, f64::INFINITY, SliceFault::Blank),
            Fault::Written { slice } => (slice, f64::INFINITY, SliceFault::Written),
            Fault::Odd { slice, by_hu, usual_hu } => (slice, by_hu / usual_hu.max(1.0), SliceFault::Odd),
            Fault::Step { .. } => continue,
        };
        all.push((slice, badness, what));
    }
    let beaten = |one: &(usize, f64, SliceFault)| {
        all.iter()
            .any(|other| other.0.abs_diff(one.0) == 1 && (other.1 > one.1 || (other.1 == one.1 && other.0 < one.0)))
    };
    all.iter().filter(|one| !beaten(one)).map(|(slice, _, what)| (*slice, *what)).collect()
}

/// The first slice that does not belong to its neighbours, and how many there are.
fn refuse_odd(volume: &Volume, sent: &[Sent], faults: &[Fault]) -> Option<Refusal> {
    let (count, total) = (faults.len(), volume.slices.len());
    let place = |index: usize| {
        let axis = geometry::main_axis(volume.geometry.axes[2]);
        let mm = volume.geometry.to_patient([0.0, 0.0, sent[index].plane as f64])[axis];
        Place { number: sent[index].number, axis: ['x', 'y', 'z'][axis], mm }
    };
    Some(match *faults.first()? {
        Fault::Blank { slice } => Refusal::BlankSlices { count, total, first: place(slice) },
        Fault::Written { slice } => Refusal::WrittenSlices { count, total, first: place(slice) },
        Fault::Odd { slice, by_hu, usual_hu } => {
            Refusal::OddSlices { count, total, first: place(slice), by_hu, usual_hu }
        }
        Fault::Step { before, by_hu, usual_hu } => {
            Refusal::TwoParts { before: place(before), after: place(before + 1), by_hu, usual_hu }
        }
    })
}
