//! Changes the headers of a generic image to those of a vendor: patient, dates, scanner, dose.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::dose_report::{BODY_PHANTOM, coded, put_items};
use super::{Scan, put, put_number};
use crate::scanner::{Coding, Dose, Facts, Image, Series};
use crate::visit::{Patient, Protocol, Script, Visit};

/// Blood brighter than this (HU) has contrast medium in it.
const ENHANCED_HU: f32 = 90.0;

/// Replaces and adds the attributes of the visit; does not change the geometry.
pub(super) fn dress(o: &mut InMemDicomObject, scan: &Scan<'_>, series: Series, index: usize, z: f64) {
    person_and_day(o, scan);
    contrast(o, scan, series);
    let Some(vendor) = scan.visit.vendor else { return synchronized(o, scan, series) };
    let facts = vendor.facts();
    let dose = dose(scan, facts);
    equipment(o, scan, facts);
    let kernel = facts.kernel(scan.phantom.options.kernel);
    series_words(o, scan, facts, series, kernel);
    exposure(o, facts, series, dose);
    synchronized(o, scan, series);
    coding(o, facts.coding, series);
    let kernel = kernel.split('\\').next().unwrap_or(kernel);
    vendor.add_private(o, &Image { series, z, index, kernel, dose });
}

/// Dose of the spiral; its length is that of the slices.
pub(super) fn dose(scan: &Scan<'_>, facts: &Facts) -> Dose {
    let grid = &scan.phantom.grid;
    let length = (f64::from(grid.slices as f32 * grid.slice_mm) * 10.0).round() / 10.0;
    let dose = Dose::new(scan.phantom.seed, scan.phantom.options.noise_hu, length, facts);
    if scan.visit.protocol == Protocol::Calcium { dose.at(120) } else { dose }
}

/// Contrast medium, from the HU of the blood. Without contrast medium, calcium scoring has an empty Contrast/Bolus
/// Agent; other protocols leave the attribute out.
fn contrast(o: &mut InMemDicomObject, scan: &Scan<'_>, series: Series) {
    if series == Series::Localiser {
        return;
    }
    if scan.phantom.chest.blood_hu > ENHANCED_HU {
        put(o, tags::CONTRAST_BOLUS_AGENT, VR::LO, "Iohexol 350");
        put(o, tags::CONTRAST_BOLUS_ROUTE, VR::LO, "IV");
    } else if scan.visit.protocol == Protocol::Calcium {
        put(o, tags::CONTRAST_BOLUS_AGENT, VR::LO, "");
    }
}

/// One slice per heartbeat, triggered by the ECG (PS3.3 C.7.6.18.1 and what vendors add to Scan Options).
fn synchronized(o: &mut InMemDicomObject, scan: &Scan<'_>, series: Series) {
    if scan.visit.protocol == Protocol::Calcium && series != Series::Localiser {
        put(o, tags::SCAN_OPTIONS, VR::CS, "AXIAL\\ECG TRIGGER");
        put(o, tags::CARDIAC_SYNCHRONIZATION_TECHNIQUE, VR::CS, "PROSPECTIVE");
        put(o, tags::SERIES_DESCRIPTION, VR::LO, "Calcium score");
        put(o, tags::PROTOCOL_NAME, VR::LO, "Calcium score");
    }
}

/// Patient, dates, and how they are written.
pub(super) fn person_and_day(o: &mut InMemDicomObject, scan: &Scan<'_>) {
    let (seed, visit) = (scan.phantom.seed, scan.visit);
    let day = visit.day.da();
    for tag in
        [tags::INSTANCE_CREATION_DATE, tags::STUDY_DATE, tags::SERIES_DATE, tags::ACQUISITION_DATE, tags::CONTENT_DATE]
    {
        put(o, tag, VR::DA, day.clone());
    }
    if *visit != Visit::default() {
        put(o, tags::ACCESSION_NUMBER, VR::SH, format!("PH{}{:08}", &day[2..], seed % 100_000_000));
    }
    let Some(script) = visit.script else { return };
    let patient = Patient::new(seed, script);
    put(o, tags::SPECIFIC_CHARACTER_SET, VR::CS, script.term());
    put(o, tags::PATIENT_AGE, VR::AS, patient.age(visit.day));
    put(o, tags::PATIENT_BIRTH_DATE, VR::DA, patient.born.da());
    put(o, tags::PATIENT_SEX, VR::CS, if patient.female { "F" } else { "M" });
    put(o, tags::PATIENT_NAME, VR::PN, patient.name);
    if script != Script::Latin {
        put(o, tags::INSTITUTION_NAME, VR::LO, "虚构医院");
    }
}

/// Manufacturer, model and the words of study and protocol.
pub(super) fn equipment(o: &mut InMemDicomObject, scan: &Scan<'_>, facts: &Facts) {
    let in_chinese = matches!(scan.visit.script, Some(Script::Gb18030 | Script::Utf8));
    put(o, tags::MANUFACTURER, VR::LO, facts.manufacturer);
    put(o, tags::MANUFACTURER_MODEL_NAME, VR::LO, facts.model);
    put(o, tags::SOFTWARE_VERSIONS, VR::LO, facts.software);
    put(o, tags::STATION_NAME, VR::SH, facts.station);
    put(o, tags::DEVICE_SERIAL_NUMBER, VR::LO, "000000");
    put(o, tags::STUDY_DESCRIPTION, VR::LO, if in_chinese { facts.study_in_chinese } else { facts.study });
}

fn series_words(o: &mut InMemDicomObject, scan: &Scan<'_>, facts: &Facts, series: Series, kernel: &str) {
    let options = &scan.phantom.options;
    let image_type = match series {
        Series::Localiser => facts.localiser_type,
        Series::Thin | Series::Thick => facts.axial_type,
        Series::Coronal => facts.coronal_type,
    };
    let slice_mm = if series == Series::Thick { super::reformat::thick_mm(options.slice_mm) } else { options.slice_mm };
    put(o, tags::IMAGE_TYPE, VR::CS, image_type);
    put(o, tags::SERIES_DESCRIPTION, VR::LO, facts.series_description(series, slice_mm, kernel));
    put(o, tags::PROTOCOL_NAME, VR::LO, facts.protocol);
    match (series, facts.localiser_kernel) {
        (Series::Localiser, Some(name)) => put(o, tags::CONVOLUTION_KERNEL, VR::SH, name),
        (Series::Localiser, None) => {
            o.remove_element(tags::CONVOLUTION_KERNEL);
        }
        _ => put(o, tags::CONVOLUTION_KERNEL, VR::SH, kernel),
    }
}

fn exposure(o: &mut InMemDicomObject, facts: &Facts, series: Series, dose: Dose) {
    let localiser = series == Series::Localiser;
    let current = if localiser { 35 } else { dose.tube_current_ma };
    let seconds = if localiser { dose.length_mm / 100.0 } else { facts.rotation_s };
    put(o, tags::KVP, VR::DS, format!("{}", dose.kvp));
    put(o, tags::X_RAY_TUBE_CURRENT, VR::IS, format!("{current}"));
    put(o, tags::EXPOSURE_TIME, VR::IS, format!("{:.0}", seconds * 1000.0));
    put(o, tags::EXPOSURE, VR::IS, format!("{:.0}", f64::from(current) * seconds));
    put(o, tags::GENERATOR_POWER, VR::IS, format!("{}", current * u32::from(dose.kvp) / 1000));
    put(o, tags::FILTER_TYPE, VR::SH, facts.filter);
    put(o, tags::FOCAL_SPOTS, VR::DS, "1.2");
    put(o, tags::SCAN_OPTIONS, VR::CS, facts.scan_options[usize::from(localiser)]);
    put(o, tags::ROTATION_DIRECTION, VR::CS, "CW");
    put(o, tags::TABLE_HEIGHT, VR::DS, "150.0");
    put(o, tags::DISTANCE_SOURCE_TO_DETECTOR, VR::DS, "1085.6");
    put(o, tags::DISTANCE_SOURCE_TO_PATIENT, VR::DS, "595.0");
    if matches!(series, Series::Thin | Series::Thick) {
        put_float(o, tags::CTD_IVOL, dose.ctdi_vol_mgy);
        put_items(o, tags::CTDI_PHANTOM_TYPE_CODE_SEQUENCE, vec![coded(BODY_PHANTOM)]);
        put_float(o, tags::SPIRAL_PITCH_FACTOR, facts.pitch);
        put_float(o, tags::REVOLUTION_TIME, facts.rotation_s);
        put_float(o, tags::SINGLE_COLLIMATION_WIDTH, facts.collimation_mm[0]);
        put_float(o, tags::TOTAL_COLLIMATION_WIDTH, facts.collimation_mm[1]);
        put_float(o, tags::TABLE_FEED_PER_ROTATION, facts.table_feed());
        put_float(o, tags::TABLE_SPEED, facts.table_feed() / facts.rotation_s);
    }
}

fn coding(o: &mut InMemDicomObject, coding: Coding, series: Series) {
    put(o, tags::RESCALE_INTERCEPT, VR::DS, format!("{}", coding.intercept));
    put_number(o, tags::BITS_STORED, coding.bits);
    put_number(o, tags::HIGH_BIT, coding.bits - 1);
    put_number(o, tags::PIXEL_REPRESENTATION, u16::from(coding.signed));
    if let (Some(padding), Series::Thin | Series::Thick) = (coding.padding, series) {
        o.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(padding)));
    }
}

fn put_float(o: &mut InMemDicomObject, tag: Tag, value: f64) {
    o.put(DataElement::new(tag, VR::FD, PrimitiveValue::from(value)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dicom_dictionary_std::uids;
    use dicom_object::DefaultDicomObject;

    use super::*;
    use crate::dicom::Study;
    use crate::scanner::Vendor;
    use crate::{Kernel, Options, Phantom};

    /// Large enough to be read back, small enough to take little time.
    fn tiny() -> Options {
        Options { columns: 64, rows: 64, slices: 6, pixel_mm: 5.0, nodules: Some(0), ..Options::small() }
    }

    fn study(seed: u64, visit: &Visit) -> Study {
        Phantom::visiting(seed, &tiny(), visit).unwrap().0
    }

    fn read(study: &Study, folder: &str) -> Vec<DefaultDicomObject> {
        let those = study.instances.iter().filter(|i| i.file_name.starts_with(folder));
        those.map(|i| dicom_object::from_reader(i.part10.as_slice()).unwrap()).collect()
    }

    fn text(o: &InMemDicomObject, tag: Tag) -> String {
        o.element(tag).unwrap().to_str().unwrap().to_string()
    }

    #[test]
    fn every_vendor_s_stored_values_are_the_hounsfield_units_that_were_sampled() {
        let (slices, _) = Phantom::new(3, &tiny()).render();
        for vendor in Vendor::ALL {
            let visit = Visit { vendor: Some(vendor), script: Some(Script::Latin), ..Visit::default() };
            let thin = read(&study(3, &visit), "CT/");
            assert_eq!(thin.len(), slices.len());
            for (o, slice) in thin.iter().zip(slices.iter().rev()) {
                assert_eq!(text(o, tags::MANUFACTURER), vendor.facts().manufacturer);
                assert!(o.iter().any(|e| e.header().tag.group() % 2 == 1), "{vendor:?} has private elements");
                let intercept: i32 = text(o, tags::RESCALE_INTERCEPT).parse().unwrap();
                let signed = o.element(tags::PIXEL_REPRESENTATION).unwrap().to_int::<u16>().unwrap() == 1;
                let stored = o.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
                let value = |v: u16| if signed { i32::from(v as i16) } else { i32::from(v) };
                let mut compared = 0;
                for (v, hu) in stored.iter().zip(&slice.hu) {
                    if vendor.facts().coding.padding != Some(*v as i16) {
                        assert_eq!(value(*v) + intercept, i32::from(*hu), "{vendor:?}");
                        compared += 1;
                    }
                }
                assert!(compared * 4 > stored.len() * 3, "{vendor:?}: {compared} of {}", stored.len());
            }
        }
    }

    #[test]
    fn calcium_scoring_says_what_an_agatston_score_needs_to_know() {
        for vendor in Vendor::ALL.into_iter().map(Some).chain([None]) {
            let visit = Visit { vendor, protocol: Protocol::Calcium, ..Visit::default() };
            let (study, _) = Phantom::visiting(8, &tiny().calcium(), &visit).unwrap();
            let o = &read(&study, "CT/")[0];
            assert_eq!(text(o, tags::CONTRAST_BOLUS_AGENT), "", "{vendor:?}");
            assert_eq!(text(o, tags::CARDIAC_SYNCHRONIZATION_TECHNIQUE), "PROSPECTIVE");
            assert_eq!(text(o, tags::KVP).parse::<f64>().unwrap(), 120.0);
            assert_eq!(text(o, tags::SLICE_THICKNESS).parse::<f64>().unwrap(), 3.0);
            let kernel = text(o, tags::CONVOLUTION_KERNEL);
            assert_eq!(kernel, vendor.map_or_else(|| Kernel::Smooth.name(), |v| v.facts().kernel(Kernel::Smooth)));
        }
    }

    #[test]
    fn names_in_every_script_come_back_as_they_were_meant() {
        for seed in 0..30 {
            for script in Script::ALL {
                let name = Patient::new(seed, script).name;
                let study = study(seed, &Visit { script: Some(script), ..Visit::default() });
                let o = &read(&study, "CT/")[0];
                assert_eq!(text(o, tags::SPECIFIC_CHARACTER_SET), script.term());
                if script == Script::Gb18030 && name.ends_with('錦') {
                    // dicom-rs splits values at backslashes before it decodes them, so the test has to look at the bytes.
                    let written = [0xD0, 0xE9, 0xE5, 0x5C];
                    assert!(study.instances[1].part10.windows(4).any(|w| w == written), "seed {seed}");
                } else {
                    assert_eq!(text(o, tags::PATIENT_NAME), name, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn chinese_is_written_in_the_bytes_of_its_character_set() {
        for (script, bytes) in [(Script::Gb18030, "虚构医院".len() / 3 * 2), (Script::Utf8, "虚构医院".len())] {
            let study = study(1, &Visit { script: Some(script), ..Visit::default() });
            let file = &study.instances[1].part10;
            // (0008,0080) LO and its length in two bytes.
            let head = [0x08, 0x00, 0x80, 0x00, b'L', b'O', bytes as u8, 0];
            assert!(file.windows(8).any(|w| w == head), "{script:?}");
        }
    }

    #[test]
    fn a_prior_is_another_study_of_the_same_patient_on_an_earlier_day() {
        let now = Visit::by_seed(5);
        let then = Visit { day: "2025-06-30".parse().unwrap(), ..now.clone() };
        let (now, then) = (study(5, &now), study(5, &then));
        let (a, b) = (&read(&now, "CT/")[0], &read(&then, "CT/")[0]);
        for same in [tags::PATIENT_ID, tags::PATIENT_NAME, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX] {
            assert_eq!(text(a, same), text(b, same));
        }
        for other in [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::ACCESSION_NUMBER] {
            assert_ne!(text(a, other), text(b, other));
        }
        assert!(text(b, tags::STUDY_DATE) < text(a, tags::STUDY_DATE));
    }

    #[test]
    fn a_vendor_s_study_holds_localisers_reformats_and_a_dose_report_under_unique_names() {
        for vendor in Vendor::ALL {
            let visit = Visit { vendor: Some(vendor), reformats: true, ..Visit::default() };
            let study = study(2, &visit);
            let names: BTreeSet<_> = study.instances.iter().map(|i| &i.sop_instance_uid).collect();
            assert_eq!(names.len(), study.instances.len());
            assert_eq!(read(&study, "LOCALIZER/").len(), 1 + usize::from(vendor.facts().lateral_too));
            assert!(!read(&study, "CORONAL/").is_empty());
            let thick = read(&study, "THICK/");
            assert_eq!((thick.len(), text(&thick[0], tags::SLICE_THICKNESS)), (3, "5.000".into()));
            let [dose] = &read(&study, "DOSE/")[..] else { panic!("one dose report") };
            assert_eq!(text(dose, tags::SOP_CLASS_UID), uids::X_RAY_RADIATION_DOSE_SR_STORAGE);
            assert_eq!(text(dose, tags::STUDY_INSTANCE_UID), study.study_instance_uid);
        }
    }

    #[test]
    fn the_dose_report_adds_up_to_its_events_and_agrees_with_the_images() {
        fn numbers(o: &InMemDicomObject, name: &str, found: &mut Vec<f64>) {
            let Ok(content) = o.element(tags::CONTENT_SEQUENCE) else { return };
            for item in content.items().unwrap() {
                let concept = &item.element(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap().items().unwrap()[0];
                if text(concept, tags::CODE_VALUE) == name {
                    let value = &item.element(tags::MEASURED_VALUE_SEQUENCE).unwrap().items().unwrap()[0];
                    found.push(text(value, tags::NUMERIC_VALUE).parse().unwrap());
                }
                numbers(item, name, found);
            }
        }
        let study = study(2, &Visit { vendor: Some(Vendor::Siemens), ..Visit::default() });
        let dose = &read(&study, "DOSE/")[0];
        let all = |name: &str| {
            let mut found = Vec::new();
            numbers(dose, name, &mut found);
            found
        };
        let (total, events, mgy) = (all("113813"), all("113838"), all("113830"));
        assert_eq!((total.len(), events.len(), mgy.len()), (1, 2, 2));
        assert!((total[0] - events.iter().sum::<f64>()).abs() < 0.02);
        let image = read(&study, "CT/")[0].element(tags::CTD_IVOL).unwrap().to_float64().unwrap();
        assert!((mgy[1] - image).abs() < 0.006);
    }
}
