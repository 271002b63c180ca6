//! Builds a `Volume` from slices, or says why not.

use custody::instance::Instance;
use custody::spool::{self, Spool};
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use models::refusal::Place;
use models::{Refusal, Volume};
use report::Refused;

use super::judge::{self, Fault};
use super::{Slice, decode, geometry, units};

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
    pub(super) fn decode(instance: &Instance, source: DecodeError) -> Self {
        let header = &instance.header;
        Self::Decode { sop_instance_uid: header.sop_instance_uid.clone(), number: header.instance_number, source }
    }

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

/// Orders decoded slices and makes a volume of them. No voxel is copied: the volume shares the planes of the slices.
/// The references are in volume order.
///
/// # Errors
/// When the slices do not form a regular grid.
pub fn assemble(slices: Vec<Slice>) -> Result<(Volume, Vec<SliceRef>), Refusal> {
    let places: Vec<_> = slices.iter().map(|s| s.geometry.clone()).collect();
    let arranged = geometry::arrange(&places)?;
    // Raw values, and those of other quantities, must not be read as Hounsfield units.
    if let Some(refusal) = units::refusal(slices.iter().map(|slice| (&slice.units, slice.geometry.number))) {
        return Err(refusal);
    }
    let mut planes = Vec::with_capacity(slices.len());
    let mut sources = Vec::with_capacity(slices.len());
    let order = arranged.order;
    for index in order.iter().copied() {
        let slice = &slices[index];
        planes.push(slice.hu.clone());
        sources.push(SliceRef {
            sop_class_uid: slice.sop_class_uid.clone(),
            sop_instance_uid: slice.sop_instance_uid.clone(),
            frame: slice.frame,
            position_mm: slice.geometry.position_mm.unwrap_or_default(),
        });
    }
    let volume = Volume { geometry: arranged.geometry, slices: planes };
    let numbers: Vec<Option<i64>> = order.iter().map(|index| places[*index].number).collect();
    match units::off_scale(&volume).or_else(|| refuse_odd(&volume, &numbers)) {
        Some(refusal) => Err(refusal),
        None => Ok((volume, sources)),
    }
}

/// The first slice that does not belong to its neighbours, and how many there are.
fn refuse_odd(volume: &Volume, numbers: &[Option<i64>]) -> Option<Refusal> {
    let faults = judge::judge(&volume.slices, volume.geometry.dims[0]);
    let (count, total) = (faults.len(), volume.slices.len());
    let place = |slice: usize| {
        let axis = geometry::main_axis(volume.geometry.axes[2]);
        let mm = volume.geometry.to_patient([0.0, 0.0, slice as f64])[axis];
        Place { number: numbers[slice], axis: ['x', 'y', 'z'][axis], mm }
    };
    Some(match *faults.first()? {
        Fault::Blank { slice } => Refusal::BlankSlices { count, total, first: place(slice) },
        Fault::Odd { slice, by_hu, usual_hu } => {
            Refusal::OddSlices { count, total, first: place(slice), by_hu, usual_hu }
        }
        Fault::Step { before, by_hu, usual_hu } => {
            Refusal::TwoParts { before: place(before), after: place(before + 1), by_hu, usual_hu }
        }
    })
}
