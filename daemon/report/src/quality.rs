//! Image quality of a CT series as one line, and as a measurement group (TID 1501) of its structured report.

use models::findings::Evaluated;
use models::task::ct_quality::{CtQuality, Kernel, Noise, Slices};

use crate::codes::{
    CT_QUALITY, DOUBLED_SLICES, HOUNSFIELD, KERNEL_CLASS, KERNEL_SHARP, KERNEL_SMOOTH, MILLIMETRE, MISSING_SLICES,
    NO_UNITS, NOISE, NOISE_FREQUENCY, PER_MILLIMETRE, SLICE_SPACING, SLICE_THICKNESS, UNEVEN_SLICES,
};
use crate::content::{Item, Relation};
use crate::groups::{algorithm, begin, comment};
use crate::object::Context;
use crate::words::{self, Language};

/// Our own rules, no network.
const ALGORITHM: &str = "Scanside CT image quality";

/// One line in English, for bus, log and structured report: noise, kernel, slices, and what was not assessed.
pub fn verdict(quality: &CtQuality) -> String {
    format!("CT image quality: {}", words::quality(quality, Language::English))
}

/// What was measured, and the line of [`verdict`] as a comment.
pub(crate) fn group(context: &Context, quality: &CtQuality) -> Item {
    let group = begin("1501", "CT image quality", context.uids.of("track quality", 0), CT_QUALITY).with_all(algorithm(
        ALGORITHM,
        &context.provenance.software_version,
        None,
    ));
    let noise = match &quality.noise {
        Evaluated::Done(noise) => noise_items(noise),
        Evaluated::NotEvaluated(_) => Vec::new(),
    };
    let slices = match &quality.slices {
        Evaluated::Done(slices) => slice_items(slices),
        Evaluated::NotEvaluated(_) => Vec::new(),
    };
    group.with_all(noise).with_all(slices).with(comment(verdict(quality)))
}

fn noise_items(noise: &Noise) -> Vec<Item> {
    let class = match noise.kernel {
        Kernel::Smooth => KERNEL_SMOOTH,
        Kernel::Sharp => KERNEL_SHARP,
    };
    vec![
        Item::number(NOISE, noise.hu, 1, HOUNSFIELD),
        Item::number(NOISE_FREQUENCY, noise.frequency_per_mm, 2, PER_MILLIMETRE),
        Item::code(Relation::Contains, KERNEL_CLASS, class),
    ]
}

fn slice_items(slices: &Slices) -> Vec<Item> {
    let mut items = vec![Item::number(SLICE_SPACING, slices.spacing_mm, 3, MILLIMETRE)];
    items.extend(slices.thickness_mm.map(|mm| Item::number(SLICE_THICKNESS, mm, 3, MILLIMETRE)));
    for (name, count) in
        [(MISSING_SLICES, slices.missing), (DOUBLED_SLICES, slices.doubled), (UNEVEN_SLICES, slices.uneven)]
    {
        items.push(Item::number(name, count as f64, 0, NO_UNITS));
    }
    items
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;
    use models::task::ct_quality::Cover;
    use models::{NotEvaluated, Reason, Topic};

    use super::*;
    use crate::{Content, NOT_FOR_DIAGNOSIS, testing, write};

    fn quality() -> CtQuality {
        CtQuality {
            noise: Evaluated::Done(Noise { hu: 12.34, frequency_per_mm: 0.251, kernel: Kernel::Smooth, patches: 4000 }),
            slices: Evaluated::Done(Slices {
                count: 38,
                spacing_mm: 1.0,
                thickness_mm: Some(1.5),
                cover: Some(Cover::Overlap(0.5)),
                missing: 2,
                doubled: 0,
                uneven: 0,
            }),
        }
    }

    #[test]
    fn the_line_names_noise_kernel_slices_and_what_was_not_assessed() {
        let mut quality = quality();
        assert_eq!(
            verdict(&quality),
            "CT image quality: noise 12.3 HU, smooth kernel (mean noise frequency 0.25 /mm); 38 slices every 1.00 mm, \
             1.50 mm thick (overlap 0.50 mm), 2 missing; motion not assessed"
        );
        assert_eq!(
            words::quality(&quality, Language::Chinese),
            "噪声 12.3 HU，平滑重建核（噪声平均频率 0.25 /mm）；共 38 层，层间距 1.00 mm，层厚 1.50 mm（重叠 0.50 mm），\
             缺少 2 层；未评估运动伪影"
        );
        let reason = Reason::stored("no soft tissue");
        quality.noise = Evaluated::NotEvaluated(NotEvaluated { topic: Topic::Noise, reason });
        assert!(verdict(&quality).starts_with("CT image quality: noise not evaluated: no soft tissue; 38 slices"));
    }

    #[test]
    fn the_report_is_one_sr_with_the_numbers_the_mark_and_uids_of_its_own() {
        let mut case = testing::case(4);
        case.provenance.model = None;
        let quality = quality();
        let write = |content| write(&case.source(), content, &case.provenance).unwrap();
        let objects = write(Content::Quality { quality: &quality });
        assert_eq!(objects, write(Content::Quality { quality: &quality }), "a retry makes the same bytes");
        let [report] = objects.as_slice() else { panic!("{} objects", objects.len()) };
        assert_eq!(report.kind, "sr");
        let chest = write(Content::Findings { findings: &case.findings, volume: &case.volume, quality: None });
        assert!(chest.iter().all(|object| object.sop_uid != report.sop_uid && object.series_uid != report.series_uid));
        let bytes = |text: &str| report.part10.windows(text.len()).any(|window| window == text.as_bytes());
        for text in ["12.3", "0.25", "CT image quality", "Smooth kernel", "2 missing", NOT_FOR_DIAGNOSIS] {
            assert!(bytes(text), "{text}");
        }
        let read = dicom_object::from_reader(report.part10.as_slice()).unwrap();
        let series = read.element(tags::SERIES_NUMBER).unwrap().to_str().unwrap().into_owned();
        assert_eq!(series.trim(), "97007");
    }
}
