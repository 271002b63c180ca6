//! How a series was acquired, read from the elements of its first slice.

use dicom::header::Header;
use dicom::scan::RawElement;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use models::Acquisition;

/// What the header does not say is `None`.
pub fn acquisition(header: &Header, elements: &[RawElement]) -> Acquisition {
    let text = |tag| ascii(elements, tag);
    let filled = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    Acquisition {
        body_part: filled(&header.body_part),
        age_years: text(tags::PATIENT_AGE)
            .as_deref()
            .and_then(age)
            .or_else(|| between(&text(tags::PATIENT_BIRTH_DATE)?, &text(tags::STUDY_DATE)?)),
        contrast: text(tags::CONTRAST_BOLUS_AGENT).and_then(|agent| contrast(&agent)),
        kernel: filled(&header.kernel),
        kvp: text(tags::KVP).and_then(|kvp| kvp.parse().ok()).filter(|kvp: &f64| *kvp > 0.0),
        slice_thickness_mm: header.slice_thickness.filter(|mm| *mm > 0.0),
        cardiac_gated: gated(
            text(tags::SCAN_OPTIONS).as_deref(),
            text(tags::CARDIAC_SYNCHRONIZATION_TECHNIQUE).as_deref(),
        ),
        manufacturer: filled(&header.manufacturer),
        scanner: text(tags::MANUFACTURER_MODEL_NAME).as_deref().and_then(filled),
    }
}

fn ascii(elements: &[RawElement], tag: Tag) -> Option<String> {
    let element = elements.iter().find(|element| element.tag == tag)?;
    Some(String::from_utf8_lossy(&element.value).trim_matches(['\0', ' ']).to_owned())
}

/// An agent is named, or the field says that there was none. An empty one says nothing (type 2 of the Contrast/Bolus module), and an oral
/// agent says nothing of the blood. People type it: "NO CONTRAST", "W/O", "NON-CON"; but "NON-IONIC" is an agent.
fn contrast(agent: &str) -> Option<bool> {
    let agent = agent.trim().to_ascii_uppercase();
    let word = agent.split([' ', '_', ',', ';', '.']).next().unwrap_or_default();
    let none = ["N", "C-", "-", "0"].contains(&agent.as_str())
        || ["NONE", "NO", "NOT", "WITHOUT", "NATIVE", "NIL", "PLAIN", "W/O", "WO"].contains(&word)
        || ["NON-CON", "NON CON", "NONCON", "NON-ENH", "UNENH"].iter().any(|none| agent.starts_with(none));
    let is_oral_only = agent.contains("ORAL") && !agent.contains("IV") && !agent.contains("I.V");
    if agent.is_empty() || (is_oral_only && !none) { None } else { Some(!none) }
}

/// Age String: `063Y`, `018M`, `010W`, `005D` (PS3.5 6.2), in years.
fn age(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let days = match unit {
        "Y" => 365.25,
        "M" => 365.25 / 12.0,
        "W" => 7.0,
        "D" => 1.0,
        _ => return None,
    };
    // Zero stands for an unknown age: scanners write 000Y or 000D of who came as an emergency.
    let number = number.trim().parse::<f64>().ok().filter(|number| *number > 0.0)?;
    Some(number * days / 365.25)
}

/// Years between two dates as DA. A birth on the day of the study was put in by who took the names out.
fn between(birth: &str, study: &str) -> Option<f64> {
    let days = days_between(birth, study)?;
    (days > 0).then(|| f64::from(days) / 365.25)
}

/// Days between two dates as DA.
pub fn days_between(then: &str, now: &str) -> Option<i32> {
    let date = |text: &str| jiff::civil::Date::strptime("%Y%m%d", text).ok();
    Some(date(then)?.until(date(now)?).ok()?.get_days())
}

/// PS3.3 C.8.15.3: a technique other than NONE. Scan Options has no defined terms for CT; vendors write GATED, ECG,
/// CARDIAC or TRIGGER in it, and also say what was not, or what went with the breath.
fn gated(options: Option<&str>, technique: Option<&str>) -> Option<bool> {
    if let Some(technique) = technique.filter(|t| !t.is_empty()) {
        return Some(!technique.eq_ignore_ascii_case("NONE"));
    }
    let options = options.filter(|o| !o.is_empty())?.to_ascii_uppercase();
    let has = |value: &str, words: &[&str]| words.iter().any(|word| value.contains(word));
    let by_heart = |value: &str| {
        has(value, &["GATED", "GATING", "ECG", "EKG", "CARDIAC", "TRIGGER"])
            && !has(value, &["NON", "NOT", "UNGATED", "WITHOUT", "RESP", "BREATH", "PULM"])
            && !value.split([' ', '_', '-']).any(|word| word == "NO" || word == "OFF")
    };
    Some(options.split('\\').any(by_heart))
}

#[cfg(test)]
mod tests {
    use dicom_core::VR;

    use super::*;

    fn element(tag: Tag, value: &str) -> RawElement {
        RawElement { tag, vr: VR::LO, value: value.as_bytes().to_vec() }
    }

    #[test]
    fn facts_come_from_the_header_and_what_is_missing_stays_unknown() {
        let elements = [
            element(tags::PATIENT_AGE, "063Y"),
            element(tags::CONTRAST_BOLUS_AGENT, "IOHEXOL "),
            element(tags::KVP, "120 "),
            element(tags::SCAN_OPTIONS, "HELICAL\\ECG GATED"),
        ];
        let found = acquisition(&Header { kernel: "B30f".into(), ..Header::default() }, &elements);
        assert_eq!(found.age_years, Some(63.0));
        assert_eq!((found.contrast, found.kvp, found.cardiac_gated), (Some(true), Some(120.0), Some(true)));
        assert_eq!(found.kernel.as_deref(), Some("B30f"));
        assert_eq!(acquisition(&Header::default(), &[]), Acquisition::default());
    }

    #[test]
    fn an_age_comes_from_the_birth_date_when_it_is_not_given() {
        let elements = [element(tags::PATIENT_BIRTH_DATE, "20100101"), element(tags::STUDY_DATE, "20260101")];
        let age = acquisition(&Header::default(), &elements).age_years.unwrap();
        assert!((age - 16.0).abs() < 0.01, "{age}");
        assert!((super::age("018M").unwrap() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn an_age_of_zero_is_none_and_no_child() {
        for unknown in ["000Y", "000D", "0Y"] {
            assert_eq!(super::age(unknown), None, "{unknown}");
        }
        assert!(super::age("003M").is_some_and(|years| years < 1.0));
        let taken_out = [element(tags::PATIENT_BIRTH_DATE, "20260101"), element(tags::STUDY_DATE, "20260101")];
        assert_eq!(acquisition(&Header::default(), &taken_out).age_years, None);
    }

    #[test]
    fn what_people_type_for_no_contrast_agent_is_none() {
        for none in ["NO CONTRAST", "non-con", "W/O", "WITHOUT IV CONTRAST", "NIL", "NONE GIVEN", "C-", "Plain", "-"] {
            assert_eq!(super::contrast(none), Some(false), "{none}");
        }
        for given in ["OMNIPAQUE 350", "IV", "ORAL & IV", "NON-IONIC 300", "NORMAL DOSE"] {
            assert_eq!(super::contrast(given), Some(true), "{given}");
        }
        assert_eq!(super::contrast("ORAL"), None, "it says nothing of the blood");
    }

    #[test]
    fn an_empty_agent_means_unknown_as_an_absent_one_does() {
        let with = |agent| acquisition(&Header::default(), &[element(tags::CONTRAST_BOLUS_AGENT, agent)]).contrast;
        assert_eq!((with(""), with("NONE "), with("ULTRAVIST")), (None, Some(false), Some(true)));
    }

    #[test]
    fn gating_that_was_not_or_that_went_with_the_breath_is_none_by_the_heart() {
        let by_heart = |options| acquisition(&Header::default(), &[element(tags::SCAN_OPTIONS, options)]).cardiac_gated;
        for options in
            ["NON-GATED", "UNGATED", "HELICAL\\NON GATED", "RESPIRATORY GATED", "RESP_TRIGGER", "ECG OFF", "HELICAL"]
        {
            assert_eq!(by_heart(options), Some(false), "{options}");
        }
        for options in ["ECG GATED", "HELICAL\\CARDIAC", "RESPIRATORY GATED\\ECG GATED", "TRIGGERED"] {
            assert_eq!(by_heart(options), Some(true), "{options}");
        }
        assert_eq!(by_heart(""), None);
    }
}
