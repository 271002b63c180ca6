//! One example of every reason, refusal and fault, for tests that every language has to pass.

use dicom::pixels::error::DecodeError;
use models::findings::{ChestFinding, Evaluated, Side};
use models::growth::{Course, Difference, NoduleChange};
use models::refusal::{Fact, Gap, Place, Quantity, Shift, SlicePlane};
use models::remark::{Beyond, Lying, Remark, Sharer, SliceFault};
use models::review::NotApplied;
use models::task::ct_quality::{Cover, CtQuality, Kernel, Noise, Slices};
use models::{Acquisition, NotEvaluated, Reason, Refusal, Topic};

use crate::Refused;
use crate::impression::{Advice, Category, Follow};
use crate::refused::Mixed;
use crate::stills::NotRead;

/// Each pattern with an example of it. A variant that is in no pattern does not compile.
macro_rules! each {
    ($type:ty: $($pattern:pat => [$($example:expr),+ $(,)?],)+) => {{
        fn named(example: &$type) {
            match example {
                $($pattern => {})+
            }
        }
        let examples = vec![$({
            let of_one = vec![$($example),+];
            assert!(of_one.iter().all(|example| matches!(example, $pattern)));
            of_one
        }),+].concat();
        examples.iter().for_each(named);
        examples
    }};
}

/// All but what was stored: that has no words of its own.
pub fn reasons() -> Vec<Reason> {
    let kernel = || "Br64d".to_owned();
    let all = each! { Reason:
        Reason::NotInPackage { .. } => [Reason::NotInPackage { package: "pkg 4.1".into() }],
        Reason::TooYoung { .. } => [Reason::TooYoung { years: 7.0, least: 18.0 }],
        Reason::BodyPart { .. } => [Reason::BodyPart { part: "HEAD".into(), package: "CHEST".into() }],
        Reason::SpacingTooLarge { .. } => [Reason::SpacingTooLarge { mm: 5.25, most_mm: 2.5 }],
        Reason::SlicesTooThick { .. } => [Reason::SlicesTooThick { mm: 5.0, most_mm: 2.4 }],
        Reason::SpacingTooSmall { .. } => [Reason::SpacingTooSmall { mm: 0.61, least_mm: 2.4 }],
        Reason::Noisy { .. } => [Reason::Noisy { hu: 44.4, most_hu: 30.0 }],
        Reason::NoiseUnknown { .. } => [Reason::NoiseUnknown { most_hu: 30.0 }],
        Reason::PixelsTooLarge { .. } => [Reason::PixelsTooLarge { x_mm: 6.0, y_mm: 3.5, most_mm: 3.0 }],
        Reason::ContrastGiven => [Reason::ContrastGiven],
        Reason::ContrastMissing => [Reason::ContrastMissing],
        Reason::ContrastUnknown => [Reason::ContrastUnknown],
        Reason::KernelUnnamed => [Reason::KernelUnnamed],
        Reason::KernelSharp { .. } => [Reason::KernelSharp { kernel: kernel() }],
        Reason::KernelTexture => [Reason::KernelTexture],
        Reason::NoLungs => [Reason::NoLungs],
        Reason::NoSpine => [Reason::NoSpine],
        Reason::OtherSeries { .. } => [Reason::OtherSeries { series: "4 (1.0 mm, B31f)".into() }],
        Reason::Rejected { .. } => [Reason::Rejected { by: "李明".into() }],
        Reason::OneLung => [Reason::OneLung],
        Reason::AirSpace { .. } => [Reason::AirSpace { side: Side::Left, ml: 1834.4 }],
        Reason::FewSlices { .. } => [Reason::FewSlices { slices: 1 }],
        Reason::NoAir => [Reason::NoAir],
        Reason::ImplausibleAir { .. } => [Reason::ImplausibleAir { ml: 123.4 }],
        Reason::NoLungInScan { .. } => [Reason::NoLungInScan { ml: 12.6 }],
        Reason::LungsAtEdge => [Reason::LungsAtEdge],
        Reason::ScanEndsAbove => [Reason::ScanEndsAbove],
        Reason::ScanEndsBelow => [Reason::ScanEndsBelow],
        Reason::ScanEndsBoth => [Reason::ScanEndsBoth],
        Reason::OnlyBases => [Reason::OnlyBases],
        Reason::OnlyApices => [Reason::OnlyApices],
        Reason::BaseCut => [Reason::BaseCut],
        Reason::ApexCut => [Reason::ApexCut],
        Reason::ChestWallCut => [Reason::ChestWallCut],
        Reason::HeartMetal => [Reason::HeartMetal],
        Reason::AgatstonContrast => [Reason::AgatstonContrast],
        Reason::AgatstonNotGated => [Reason::AgatstonNotGated],
        Reason::AgatstonGatingUnknown => [Reason::AgatstonGatingUnknown],
        Reason::AgatstonVoltage { .. } => [Reason::AgatstonVoltage { kv: 99.6 }],
        Reason::AgatstonVoltageUnknown => [Reason::AgatstonVoltageUnknown],
        Reason::AgatstonSpacing { .. } => [Reason::AgatstonSpacing { mm: 1.25 }],
        Reason::AgatstonThickness { .. } => [Reason::AgatstonThickness { mm: 5.0 }],
        Reason::AgatstonKernel { .. } => [Reason::AgatstonKernel { kernel: kernel() }],
        Reason::AgatstonKernelUnknown => [Reason::AgatstonKernelUnknown],
        Reason::LittleSoftTissue { .. } => [Reason::LittleSoftTissue { patches: 7, needed: 100 }],
        Reason::NoNoise => [Reason::NoNoise],
        Reason::OnePlace { .. } => [Reason::OnePlace { slices: 9 }],
        Reason::NoVolume { .. } => [Reason::NoVolume { why: "value".into() }],
        Reason::Stored(_) => [Reason::stored("value")],
    };
    all.into_iter().filter(|reason| !matches!(reason, Reason::Stored(_))).collect()
}

fn not_applied(why: NotApplied) -> Remark {
    Remark::ReviewNotApplied { by: "李明".into(), why }
}

fn filled_in(fault: SliceFault) -> Remark {
    Remark::FilledIn { place: place(111), fault, apart_mm: 2.5 }
}

fn left_out(last: i64, why: Beyond) -> Remark {
    Remark::LeftOut { count: 6, total: 220, first: place(4), last: place(last), why }
}

pub fn remarks() -> Vec<Remark> {
    let turned = |said, drawn| Remark::Position { position: "HFP".into(), said, drawn };
    each! { Remark:
        Remark::Position { .. } => [turned(Lying::Prone, Lying::Supine), turned(Lying::Side, Lying::Prone)],
        Remark::PixelsNotSquare { .. } => [Remark::PixelsNotSquare { x_mm: 6.0, y_mm: 3.25 }],
        Remark::NotReceived { .. } => [Remark::NotReceived { missing: 2, declared: 300 }],
        Remark::Discontinued => [Remark::Discontinued],
        Remark::NotRead { .. } => [Remark::NotRead { series: vec!["3 (5.0 mm, B31f)".into(), "5".into()] }],
        Remark::Rejected { .. } => [Remark::Rejected { rejected: 2, total: 9, by: "李明".into() }],
        Remark::Edited { .. } => [Remark::Edited { edited: 2, total: 9, by: "李明".into() }],
        Remark::ReviewNotApplied { .. } => [
            not_applied(NotApplied::Package),
            not_applied(NotApplied::Gone { id: "x-2".into() }),
            not_applied(NotApplied::New { id: "y-1".into() }),
            not_applied(NotApplied::Name),
        ],
        Remark::Shared { .. } => [Remark::Shared {
            sharers: vec![
                (Sharer::Localiser, 2),
                (Sharer::DoseReport, 1),
                (Sharer::SecondaryCapture, 1),
                (Sharer::Reformat, 3),
                (Sharer::PresentationState, 1),
                (Sharer::Other, 1),
            ],
        }],
        Remark::CutOff { .. } => [Remark::CutOff { findings: ChestFinding::ALL.to_vec() }],
        Remark::Measured { .. } => [Remark::Measured { said: "US".into() }],
        Remark::Tilted { .. } => [Remark::Tilted { degrees: 12.3 }],
        Remark::FilledIn { .. } => [
            filled_in(SliceFault::Missing),
            filled_in(SliceFault::Blank),
            filled_in(SliceFault::Odd),
            filled_in(SliceFault::Written),
            filled_in(SliceFault::Unreadable),
            filled_in(SliceFault::Units),
            filled_in(SliceFault::Direction),
            filled_in(SliceFault::Pixels),
        ],
        Remark::LeftOut { .. } => [
            left_out(4, Beyond::Fault(SliceFault::Blank)),
            left_out(9, Beyond::Gap { apart_mm: 7.5, usual_mm: 1.25 }),
            left_out(9, Beyond::Spacing { mm: 5.0, usual_mm: 1.25 }),
        ],
    }
}

pub fn topics() -> Vec<Topic> {
    let findings = ChestFinding::ALL.into_iter().map(Topic::Finding);
    let others = each! { Topic:
        Topic::Lungs => [Topic::Lungs],
        Topic::Lobes => [Topic::Lobes],
        Topic::Finding(_) => [Topic::Finding(ChestFinding::Nodule)],
        Topic::Noise => [Topic::Noise],
        Topic::Slices => [Topic::Slices],
        Topic::Unnamed => [Topic::Unnamed],
    };
    findings.chain(others).collect()
}

/// Why nothing is said of an ultrasound picture.
pub fn not_read() -> Vec<NotRead> {
    each! { NotRead:
        NotRead::Painted { .. } => [NotRead::Painted { percent: 17 }],
        NotRead::ColourFlow => [NotRead::ColourFlow],
        NotRead::Rendered => [NotRead::Rendered],
        NotRead::NoTissue => [NotRead::NoTissue],
        NotRead::NoSector => [NotRead::NoSector],
        NotRead::OtherPart { .. } => [NotRead::OtherPart { part: "THYROID".into() }],
        NotRead::TooLarge { .. } => [NotRead::TooLarge { needed_mib: 9000, limit_mib: 4096 }],
        NotRead::Depth { .. } => [NotRead::Depth { bits: 1 }],
        NotRead::ColourSpace { .. } => [NotRead::ColourSpace { photometric: "ARGB".into() }],
        NotRead::Pixels(_) => [NotRead::Pixels(DecodeError::Truncated { needed: 900, present: 87 })],
    }
}

pub fn refused() -> Vec<Refused> {
    let nothing = NotEvaluated { topic: Topic::Lungs, reason: Reason::NoLungInScan { ml: 3.4 } };
    each! { Refused:
        Refused::Volume(_) => [Refused::Volume(Refusal::TooFew { count: 1, needed: 3 })],
        Refused::Slice { .. } => [
            Refused::Slice { number: None, fault: DecodeError::NoPixelData },
            Refused::Slice { number: Some(12), fault: DecodeError::NoPixelData },
        ],
        Refused::Patients { .. } => [
            Refused::Patients { what: Mixed::Series, marks: vec!["0a1b2c3d".into(), "9f8e7d6c".into()] },
            Refused::Patients { what: Mixed::Study, marks: vec!["0a1b".into(), "9f8e".into(), "7c0d".into()] },
        ],
        Refused::Pictures { .. } => [
            Refused::Pictures { reasons: not_read().into_iter().zip(1..).collect() },
        ],
        Refused::Nothing(_) => [Refused::Nothing(nothing.clone())],
        Refused::NothingOfPart { .. } => [
            Refused::NothingOfPart { why: nothing.clone(), remarks: vec![Remark::Tilted { degrees: 12.3 }] },
        ],
    }
    .into_iter()
    // A sentence names only the first reasons, so each has one of its own, too.
    .chain(not_read().into_iter().map(|why| Refused::Pictures { reasons: vec![(why, 2)] }))
    .chain(refusals().into_iter().map(Refused::Volume))
    .chain(faults().into_iter().map(|fault| Refused::Slice { number: Some(31), fault }))
    .collect()
}

fn place(number: i64) -> Place {
    Place { number: Some(number), axis: 'z', mm: -5.25 * number as f64 }
}

fn refusals() -> Vec<Refusal> {
    let nameless = Place { number: None, axis: 'y', mm: 7.5 };
    let (count, total) = (5, 40);
    let numbers = || vec![4, 8, 15, 16, 23];
    let lacks = |missing| Refusal::NoGeometry { missing, count, total, numbers: numbers() };
    let turned = |usual, other| Refusal::MixedOrientation { count, total, usual, other, numbers: numbers() };
    let other = |quantity| Refusal::OtherQuantity { quantity, said: "value".into(), count, total };
    let gap = |missing: usize, number| Gap { missing, before: place(number), after: place(number + 6) };
    each! { Refusal:
        Refusal::TooFew { .. } => [
            Refusal::TooFew { count: 1, needed: 3 },
            Refusal::TooFew { count: 2, needed: 3 },
        ],
        Refusal::NoGeometry { .. } => [
            lacks(Fact::Position), lacks(Fact::Direction), lacks(Fact::PixelSpacing), lacks(Fact::Pixels),
            Refusal::NoGeometry { missing: Fact::Position, count, total, numbers: Vec::new() },
        ],
        Refusal::MixedFrameOfReference { .. } => [Refusal::MixedFrameOfReference { count: 2 }],
        Refusal::MixedOrientation { .. } => [
            turned(SlicePlane::Axial, SlicePlane::Coronal),
            turned(SlicePlane::Sagittal, SlicePlane::Oblique),
        ],
        Refusal::MixedMatrix { .. } => [
            Refusal::MixedMatrix { count, total, usual: [512, 500], other: [256, 250], numbers: vec![4] },
        ],
        Refusal::MixedPixelSpacing { .. } => [
            Refusal::MixedPixelSpacing { count, total, usual: [0.7, 0.71], other: [0.9, 0.91], numbers: numbers() },
        ],
        Refusal::DuplicatePosition { .. } => [
            Refusal::DuplicatePosition { places: 1, first: place(3), second: nameless },
            Refusal::DuplicatePosition { places: 20, first: place(3), second: place(4) },
        ],
        Refusal::Tilt { .. } => [Refusal::Tilt { degrees: 12.3, drift_mm: 24.1, extent_mm: 301.0 }],
        Refusal::SidewaysShift { .. } => [
            Refusal::SidewaysShift { slice: place(6), shift_mm: 4.5 },
            Refusal::SidewaysShift { slice: nameless, shift_mm: 4.5 },
        ],
        Refusal::MissingSlices { .. } => [
            Refusal::MissingSlices { spacing_mm: 5.0, gaps: vec![gap(1, 10)] },
            Refusal::MissingSlices { spacing_mm: 5.0, gaps: vec![gap(1, 10), gap(2, 20), gap(3, 30), gap(4, 40)] },
        ],
        Refusal::UnevenSpacing { .. } => [
            Refusal::UnevenSpacing { min_mm: 1.0, max_mm: 1.6, at: [place(10), place(11)] },
        ],
        Refusal::NoRescale { .. } => [Refusal::NoRescale { count, total, numbers: numbers() }],
        Refusal::ModalityLut { .. } => [Refusal::ModalityLut { count, total }],
        Refusal::OtherQuantity { .. } => [
            other(Quantity::Concentration), other(Quantity::AtomicNumber), other(Quantity::ElectronDensity),
            other(Quantity::Modified), other(Quantity::Map), other(Quantity::Derived), other(Quantity::Unknown),
        ],
        Refusal::Monoenergetic { .. } => [
            Refusal::Monoenergetic { kev: Some(40.0), least: 60.0, most: 80.0 },
            Refusal::Monoenergetic { kev: None, least: 60.0, most: 80.0 },
        ],
        Refusal::OffScale { .. } => [
            Refusal::OffScale { shift: Shift::Twice, air_hu: -2024.0, tissue_hu: -984.0 },
            Refusal::OffScale { shift: Shift::NotAtAll, air_hu: 24.0, tissue_hu: 1064.0 },
        ],
        Refusal::NoAirScale { .. } => [Refusal::NoAirScale { background_hu: -0.0 }],
        Refusal::BlankSlices { .. } => [
            Refusal::BlankSlices { count: 1, total, first: place(11) },
            Refusal::BlankSlices { count, total, first: nameless },
        ],
        Refusal::OddSlices { .. } => [
            Refusal::OddSlices { count: 1, total, first: place(11), by_hu: 512.0, usual_hu: 21.0 },
            Refusal::OddSlices { count, total, first: nameless, by_hu: 512.0, usual_hu: 21.0 },
        ],
        Refusal::WrittenSlices { .. } => [
            Refusal::WrittenSlices { count: 1, total, first: place(11) },
            Refusal::WrittenSlices { count, total, first: nameless },
        ],
        Refusal::TooLarge { .. } => [Refusal::TooLarge { needed_mib: 9000, limit_mib: 4096 }],
        Refusal::TwoParts { .. } => [
            Refusal::TwoParts { before: place(11), after: place(12), by_hu: 512.0, usual_hu: 21.0 },
        ],
    }
}

fn faults() -> Vec<DecodeError> {
    let value = || "value".to_owned();
    each! { DecodeError:
        DecodeError::NoPixelData => [DecodeError::NoPixelData],
        DecodeError::Read { .. } => [DecodeError::Read { reason: value() }],
        DecodeError::Damaged => [DecodeError::Damaged],
        DecodeError::Gone => [DecodeError::Gone],
        DecodeError::NotGrey { .. } => [DecodeError::NotGrey { what: value() }],
        DecodeError::NotAPicture { .. } => [DecodeError::NotAPicture { what: value() }],
        DecodeError::Size { .. } => [DecodeError::Size { rows: 70_000, columns: 60_000, frames: 2 }],
        DecodeError::Truncated { .. } => [DecodeError::Truncated { needed: 900, present: 17 }],
        DecodeError::TransferSyntax { .. } => [
            DecodeError::TransferSyntax { uid: "1.2.840".into(), name: value() },
        ],
        DecodeError::JpegExtended { .. } => [DecodeError::JpegExtended { precision: 12 }],
        DecodeError::Fragments { .. } => [DecodeError::Fragments { reason: value() }],
        DecodeError::Disagrees { .. } => [
            DecodeError::Disagrees { frame: 7, found: "512 x 500".into(), expected: "512 x 512".into() },
        ],
        DecodeError::Codec { .. } => [DecodeError::Codec { frame: 7, reason: value() }],
        DecodeError::NoDecoder { .. } => [DecodeError::NoDecoder { frame: 7, reason: value() }],
        DecodeError::Scale { .. } => [DecodeError::Scale { slope: 0.5, intercept: -3.25 }],
        DecodeError::DataSet { .. } => [DecodeError::DataSet { reason: value() }],
    }
}

/// Image quality: with and without faults, and not evaluated.
pub fn qualities() -> Vec<CtQuality> {
    let covers = each! { Cover:
        Cover::Contiguous => [Cover::Contiguous],
        Cover::Overlap(_) => [Cover::Overlap(0.5)],
        Cover::Gap(_) => [Cover::Gap(1.25)],
    };
    let kernels = each! { Kernel:
        Kernel::Smooth => [Kernel::Smooth],
        Kernel::Sharp => [Kernel::Sharp],
    };
    let covers = [None].into_iter().chain(covers.into_iter().map(Some));
    let measured = covers.zip(kernels.into_iter().cycle()).enumerate().map(|(faults, (cover, kernel))| {
        let slices = Slices {
            count: 38,
            spacing_mm: 1.0,
            thickness_mm: cover.map(|_| 1.5),
            cover,
            missing: faults,
            doubled: 2 * faults,
            uneven: 3 * faults,
        };
        let noise = Noise { hu: 12.34, frequency_per_mm: 0.251, kernel, patches: 4000 };
        CtQuality { noise: Evaluated::Done(noise), slices: Evaluated::Done(slices) }
    });
    let none = CtQuality {
        noise: Evaluated::NotEvaluated(NotEvaluated { topic: Topic::Noise, reason: Reason::NoNoise }),
        slices: Evaluated::NotEvaluated(NotEvaluated { topic: Topic::Slices, reason: Reason::OnePlace { slices: 4 } }),
    };
    measured.chain([none]).collect()
}

/// Every recommendation and every class of the rules that are quoted.
pub fn advice() -> Vec<Advice> {
    use Follow::{
        GroundGlass, No, OptionalAtOneYear, PartLarge, PartMiddle, PartSmall, PartSolid, SeveralSmallSubsolid,
        SeveralSolid, SeveralSubsolid, SixToTwelveMonths, ThreeMonths,
    };
    let follows = [
        No,
        OptionalAtOneYear,
        GroundGlass,
        SixToTwelveMonths,
        SeveralSmallSubsolid,
        SeveralSolid,
        SeveralSubsolid,
        PartSolid,
        ThreeMonths,
        PartSmall,
        PartMiddle,
        PartLarge,
    ];
    let thick = Advice::Fleischner { follow: ThreeMonths, measured_mm: Some(5.0) };
    let fleischner = follows.map(|follow| Advice::Fleischner { follow, measured_mm: None });
    let all = [Category::Zero, Category::One, Category::Two, Category::Three, Category::FourA, Category::FourB];
    let categories = all.into_iter().map(|category| Advice::LungRads { category, from_mm: None });
    let thick_rads = Advice::LungRads { category: Category::Two, from_mm: Some(9.0) };
    let classes = [0, 1, 2, 3].map(|class| Advice::CacDrs { class, by_score: class % 2 == 0 });
    fleischner.into_iter().chain([thick]).chain(categories).chain([thick_rads]).chain(classes).collect()
}

pub fn nodule_changes() -> Vec<NoduleChange> {
    let change = |course, doubling_days| NoduleChange {
        number: 4,
        side: Side::Left,
        lobe: None,
        volume_mm3: [523.0, 812.0],
        course,
        doubling_days,
    };
    vec![change(Course::Grown, Some(210.4)), change(Course::Smaller, None), change(Course::Unchanged, None)]
}

pub fn differences() -> Vec<Difference> {
    each! { Difference:
        Difference::Scanner => [Difference::Scanner],
        Difference::Kernel(_) => [Difference::Kernel(["B30f".into(), "B70f".into()])],
        Difference::Thickness(_) => [Difference::Thickness([1.0, 5.0])],
        Difference::Contrast => [Difference::Contrast],
        Difference::LungVolume(_) => [Difference::LungVolume([5210.0, 3140.0])],
    }
}

/// A header that says everything, one that says nothing, and one of a scan without contrast agent.
pub fn acquisitions() -> Vec<Acquisition> {
    let full = Acquisition {
        contrast: Some(true),
        kernel: Some("B30f".into()),
        kvp: Some(120.0),
        slice_thickness_mm: Some(1.5),
        cardiac_gated: Some(true),
        manufacturer: Some("ACME".into()),
        scanner: Some("Scan 64".into()),
        ..Acquisition::default()
    };
    vec![Acquisition::default(), Acquisition { contrast: Some(false), ..full.clone() }, full]
}
