//! Are the values of a CT Hounsfield units? By what the header says of them, and by what air and soft tissue measure. Pure.

use dicom::header::Header;
use models::Volume;
use models::refusal::{Quantity, Refusal, Shift};
use models::remark::Remark;

/// What the values of one slice are, as its header says.
#[derive(Debug, Clone, PartialEq)]
pub enum Units {
    Hounsfield,
    /// No rescale.
    Raw,
    /// A Modality LUT Sequence instead of a rescale.
    ModalityLut,
    /// Another quantity, and the value of the header that says so.
    Other {
        quantity: Quantity,
        said: String,
    },
    /// Virtual monoenergetic, keV where the header says it.
    Monoenergetic {
        kev: Option<f64>,
    },
}

/// What a header says of the values, of an instance or of one of its frames.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    pub image_type: Vec<String>,
    pub rescale_type: String,
    pub has_rescale: bool,
    pub has_modality_lut: bool,
    pub kev: Option<f64>,
    pub description: String,
}

impl From<&Header> for Said {
    fn from(header: &Header) -> Self {
        Self {
            image_type: header.image_type.clone(),
            rescale_type: header.rescale_type.clone(),
            has_rescale: header.rescale_slope.is_some() && header.rescale_intercept.is_some(),
            has_modality_lut: header.has_modality_lut,
            kev: header.monoenergetic_kev,
            description: header.series_description.clone(),
        }
    }
}

/// Between these, soft tissue and lung of a virtual monoenergetic image read within a few HU as at 120 kV, whose mean
/// energy is about 70 keV; below, contrast agent and calcium are far too bright, above too dark. (Matsumoto et al.,
/// Radiology 259 (2011) 257-262: least noise and right values at about 70 keV.)
const USUAL_KEV: std::ops::RangeInclusive<f64> = 60.0..=80.0;

/// Image Type (0008,0008), value 4 of multi-energy images (PS3.3 C.8.2.1.1.1), and what vendors write instead. A word
/// counts as a part of a value.
const WORDS: [(&str, Quantity); 19] = [
    ("IODINE", Quantity::Concentration),
    ("IODIN_", Quantity::Concentration),
    ("MAT_SPECIFIC", Quantity::Concentration),
    ("MAT_FRACTIONAL", Quantity::Concentration),
    ("MAT_VALUE_BASED", Quantity::Concentration),
    ("EFF_ATOMIC_NUM", Quantity::AtomicNumber),
    ("Z_EFF", Quantity::AtomicNumber),
    ("ZEFF", Quantity::AtomicNumber),
    ("ELECTRON_DENSITY", Quantity::ElectronDensity),
    ("RHO_", Quantity::ElectronDensity),
    ("MAT_REMOVED", Quantity::Modified),
    ("MAT_MODIFIED", Quantity::Modified),
    ("VNC", Quantity::Modified),
    ("VUE", Quantity::Modified),
    ("SUBTRACT", Quantity::Modified),
    ("PERFUSION", Quantity::Map),
    ("_PBV", Quantity::Map),
    ("PARAMETRIC", Quantity::Map),
    ("PARAMETER MAP", Quantity::Map),
];

/// Rescale Type (0028,1054), PS3.3 C.11.1.1.2.
fn by_rescale_type(rescale_type: &str) -> Option<Quantity> {
    Some(match rescale_type {
        "" | "HU" => return None,
        "MGML" => Quantity::Concentration,
        "Z_EFF" => Quantity::AtomicNumber,
        "ED" | "EDW" => Quantity::ElectronDensity,
        "HU_MOD" => Quantity::Modified,
        "PCT" => Quantity::Map,
        _ => Quantity::Unknown,
    })
}

pub(super) fn units(said: &Said) -> Units {
    if !said.has_rescale {
        return if said.has_modality_lut { Units::ModalityLut } else { Units::Raw };
    }
    let rescale_type = said.rescale_type.trim().to_uppercase();
    if let Some(quantity) = by_rescale_type(&rescale_type) {
        return Units::Other { quantity, said: printable(&rescale_type) };
    }
    let types: Vec<String> = said.image_type.iter().map(|value| value.trim().to_uppercase()).collect();
    for value in &types {
        if let Some((_, quantity)) = WORDS.iter().find(|(word, _)| value.contains(word)) {
            return Units::Other { quantity: *quantity, said: printable(value) };
        }
    }
    let named = types.iter().any(|value| value.starts_with("VMI") || value.starts_with("MONO"));
    let kev = said.kev.or_else(|| types.iter().map(String::as_str).chain([&*said.description]).find_map(kev));
    match kev {
        Some(kev) if !USUAL_KEV.contains(&kev) => return Units::Monoenergetic { kev: Some(kev) },
        None if named => return Units::Monoenergetic { kev: None },
        _ => {}
    }
    // A lossy copy of an original is DERIVED\PRIMARY; a reconstruction sent later ORIGINAL\SECONDARY.
    if let [first, second, ..] = types.as_slice()
        && first == "DERIVED"
        && second == "SECONDARY"
        && !named
        && kev.is_none()
    {
        return Units::Other { quantity: Quantity::Derived, said: "DERIVED\\SECONDARY".into() };
    }
    Units::Hounsfield
}

impl Units {
    /// Does the header leave it open? Whoever writes a CT anew calls it DERIVED\SECONDARY, and libraries write a Rescale Type of "US" or none that
    /// is defined. Then the values decide.
    fn is_doubtful(&self) -> bool {
        matches!(self, Self::Other { quantity: Quantity::Derived | Quantity::Unknown, .. })
    }
}

/// Why a series is refused of which no header says what its values are, unless they measure as Hounsfield units do ([`measures_as_hu`]).
pub(super) fn doubt<'a>(slices: impl Iterator<Item = (&'a Units, Option<i64>)> + Clone) -> Option<Refusal> {
    let all = slices.clone().all(|(units, _)| units.is_doubtful());
    refusal(slices).filter(|_| all)
}

/// What a header says that leaves it open, and was overruled by the values.
pub(super) fn overruled<'a>(mut slices: impl Iterator<Item = &'a Units>) -> Option<Remark> {
    slices.find_map(|units| match units {
        Units::Other { said, .. } if units.is_doubtful() => Some(Remark::Measured { said: said.clone() }),
        _ => None,
    })
}

/// The number before `keV`: `MonoE 70keV` is 70.
fn kev(text: &str) -> Option<f64> {
    let upper = text.to_ascii_uppercase();
    let before = upper.split_once("KEV")?.0.trim_end();
    let start = before.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |i| i + 1);
    before.get(start..)?.parse().ok().filter(|kev| (10.0..500.0).contains(kev))
}

/// As much of a value as is shown.
fn printable(value: &str) -> String {
    value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(32).collect()
}

/// Why a series whose slices have these units, by their numbers, is no CT in Hounsfield units.
pub(super) fn refusal<'a>(slices: impl Iterator<Item = (&'a Units, Option<i64>)> + Clone) -> Option<Refusal> {
    let first = slices.clone().find(|(units, _)| **units != Units::Hounsfield)?.0;
    let total = slices.clone().count();
    let mut numbers: Vec<i64> = Vec::new();
    let mut count = 0;
    for (_, number) in slices.filter(|(units, _)| *units == first) {
        count += 1;
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Some(match first.clone() {
        Units::Hounsfield => return None,
        Units::Raw => Refusal::NoRescale { count, total, numbers },
        Units::ModalityLut => Refusal::ModalityLut { count, total },
        Units::Other { quantity, said } => Refusal::OtherQuantity { quantity, said, count, total },
        Units::Monoenergetic { kev } => {
            Refusal::Monoenergetic { kev, least: *USUAL_KEV.start(), most: *USUAL_KEV.end() }
        }
    })
}

/// Soft tissue and fat, HU.
const TISSUE_HU: std::ops::RangeInclusive<i32> = -250..=250;
/// Nothing that is scanned measures less: air is -1000.
const BELOW_AIR_HU: i32 = -1150;
/// Room air and lung, HU.
const AIRY_HU: i32 = -500;
/// Soft tissue without its intercept.
const RAW_TISSUE: std::ops::RangeInclusive<i32> = 800..=1300;
/// Fewer voxels than this say nothing.
const ENOUGH: usize = 10_000;

/// Values that are on no Hounsfield scale, whatever the header says: the intercept twice, or not at all; or a background of 0
/// as maps have it. `None` when air and soft tissue are where they should be, or cannot be told.
pub(super) fn off_scale(volume: &Volume) -> Option<Refusal> {
    let values = Histogram::of(volume);
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    if values.total < ENOUGH {
        return None;
    }
    // Outside the reconstructed circle scanners write one value, far below air.
    let filler = values.most_frequent(i32::from(i16::MIN)..=-1024).filter(|(_, n)| share(*n, values.total) > 0.05);
    let rest = values.total - filler.map_or(0, |(_, n)| n);
    let within = |range: std::ops::RangeInclusive<i32>| {
        let own = filler.filter(|(value, _)| range.contains(value)).map_or(0, |(_, n)| n);
        share(values.count(range) - own, rest)
    };
    let tissue = within(TISSUE_HU);
    let airy = within(i32::from(i16::MIN)..=AIRY_HU);
    let measured = |from: i32, split: i32, to: i32| [from..=split, split + 1..=to].map(|range| values.peak(range));
    if tissue < 0.03 && within(i32::from(i16::MIN)..=BELOW_AIR_HU) > 0.1 {
        let [air_hu, tissue_hu] = measured(-4096, -1500, AIRY_HU);
        return Some(Refusal::OffScale { shift: Shift::Twice, air_hu, tissue_hu });
    }
    if airy < 0.005 && within(RAW_TISSUE) > 0.1 {
        let [air_hu, tissue_hu] = measured(-500, 500, 2000);
        return Some(Refusal::OffScale { shift: Shift::NotAtAll, air_hu, tissue_hu });
    }
    let background = values.most_frequent(TISSUE_HU)?;
    let flat = share(background.1, values.total);
    (airy < 0.005 && filler.is_none() && (0.1..0.9).contains(&flat))
        .then(|| Refusal::NoAirScale { background_hu: f64::from(background.0) })
}

/// Air or lung where they should be, and soft tissue or fat: what no map of another quantity shows together.
pub(super) fn measures_as_hu(volume: &Volume) -> bool {
    /// Water is 0: muscle and blood are above it, fat below.
    const TISSUE_PEAK: std::ops::RangeInclusive<f64> = -130.0..=90.0;
    const AIR_PEAK: std::ops::RangeInclusive<f64> = -1060.0..=-650.0;
    let values = Histogram::of(volume);
    let share = |range| values.count(range) as f64 / values.total.max(1) as f64;
    values.total >= ENOUGH
        && share(TISSUE_HU) > 0.1
        && share(-1100..=AIRY_HU) > 0.05
        && TISSUE_PEAK.contains(&values.peak(TISSUE_HU))
        && AIR_PEAK.contains(&values.peak(-1100..=AIRY_HU))
}

/// How often each value is there, in a sample of the volume.
struct Histogram {
    counts: Vec<usize>,
    total: usize,
}

impl Histogram {
    const STRIDE: usize = 4;
    const SLICES: usize = 48;

    fn of(volume: &Volume) -> Self {
        let mut counts = vec![0; usize::from(u16::MAX) + 1];
        let step = (volume.slices.len() / Self::SLICES).max(1);
        let columns = volume.geometry.dims[0].max(1);
        let mut total = 0;
        for slice in volume.slices.iter().step_by(step) {
            for row in slice.chunks(columns).step_by(Self::STRIDE) {
                for hu in row.iter().step_by(Self::STRIDE) {
                    counts[Self::bin(i32::from(*hu))] += 1;
                    total += 1;
                }
            }
        }
        Self { counts, total }
    }

    fn bin(hu: i32) -> usize {
        usize::try_from(hu - i32::from(i16::MIN)).unwrap_or(0).min(usize::from(u16::MAX))
    }

    fn count(&self, range: std::ops::RangeInclusive<i32>) -> usize {
        self.counts[Self::bin(*range.start())..=Self::bin(*range.end())].iter().sum()
    }

    /// The value that is there most often, and how often.
    fn most_frequent(&self, range: std::ops::RangeInclusive<i32>) -> Option<(i32, usize)> {
        range.map(|hu| (hu, self.counts[Self::bin(hu)])).max_by_key(|(_, n)| *n).filter(|(_, n)| *n > 0)
    }

    /// Middle of the 20 HU that hold most values.
    fn peak(&self, range: std::ops::RangeInclusive<i32>) -> f64 {
        let most = range.step_by(10).max_by_key(|hu| self.count(*hu..=hu + 19));
        most.map_or(0.0, |hu| f64::from(hu) + 10.0)
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
