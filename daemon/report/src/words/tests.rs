//! What every language has to say.

use models::findings::{PartlySeen, SizeUnit};
use models::refusal::Place;

use super::*;
use crate::testing;

#[test]
fn a_reason_loses_the_words_that_the_line_has_already() {
    let findings = ChestFindings::none(&Reason::stored("slices too thick"));
    for line in lines(&findings, Language::English) {
        assert_eq!((line.state, line.text.as_str()), (FindingState::NotEvaluated, "slices too thick"));
    }
}

#[test]
fn nothing_found_is_not_silence() {
    let findings = ChestFindings {
        nodules: Evaluated::Done(Vec::new()),
        lymph_nodes: Evaluated::Done(Vec::new()),
        ..ChestFindings::none(&Reason::stored("x"))
    };
    let line = line(&findings, ChestFinding::Nodule, Language::English);
    assert_eq!((line.state, line.text.as_str()), (FindingState::NotFound, "none found"));
}

#[test]
fn all_nine_have_numbers_in_both_languages() {
    let case = testing::case(9);
    for language in [Language::English, Language::Chinese] {
        for line in lines(&case.findings, language) {
            assert_eq!(line.state, FindingState::Found, "{line:?}");
            assert!(line.text.chars().any(|c| c.is_ascii_digit()) || line.finding == ChestFinding::Bronchiectasis);
        }
    }
}

#[test]
fn the_same_place_is_named_once_with_its_number() {
    let w = Language::English.words();
    let lobes = |names: &[&str]| listed(names.iter().map(|n| (*n).to_owned()), w);
    assert_eq!(lobes(&["left lower lobe", "left lower lobe"]), "left lower lobe (2 places)");
    assert_eq!(lobes(&["a", "b", "c", "d", "e", "e", "a"]), "a (2 places); b; c; d; 2 more");
    assert_eq!(listed(std::iter::empty(), w), "");
}

/// Names, states, headings and short words of a language.
fn fixed(language: Language) -> Vec<&'static str> {
    let (w, d) = (language.words(), language.words().document());
    let parts = [LungPart::Both, LungPart::Lung(Side::Right), LungPart::Lung(Side::Left)];
    let parts = parts.into_iter().chain(LobeName::ALL.map(LungPart::Lobe)).map(|part| w.part(part));
    let kinds = [NoduleType::Solid, NoduleType::PartSolid, NoduleType::GroundGlass, NoduleType::Calcified];
    let mut all: Vec<&str> = ChestFinding::ALL.into_iter().map(|finding| w.name(finding)).chain(parts).collect();
    all.extend(kinds.map(|kind| w.nodule_type(kind)));
    all.extend([Form::Nodule, Form::Mass].map(|form| w.form(form)));
    all.extend([Side::Right, Side::Left].map(|side| w.side(side)));
    all.extend([0, 1, 2, 3].map(|grade| w.grade(grade)));
    all.extend([w.tag(), w.none_found(), w.separator(), w.comma(), w.motion_not_assessed()]);
    all.extend(w.refusal_head());
    let p = w.page();
    all.extend([
        p.title,
        p.overview,
        p.draft,
        p.coronal,
        p.coronal_lobes,
        p.both,
        p.laa_950,
        p.colours,
        p.ground_glass,
    ]);
    all.extend([p.consolidation, p.emphysema, p.images]);
    all.extend(p.lungs);
    all.extend(p.states);
    all.extend([w.nothing_found(), w.no_prior(), d.technique, d.impression]);
    all.extend([d.title, d.dicom_title, d.head, d.comparison, d.lungs, d.quality, d.made, d.draft, d.note]);
    all.extend([d.reviewed_title, d.reviewed_dicom_title]);
    all.extend(breast::tests::fixed(w));
    all.extend(mammography::tests::fixed(w));
    all.extend(d.extents);
    all.extend(d.states);
    all.extend(d.patient);
    all
}

#[test]
fn no_word_of_a_language_is_empty_or_left_in_english() {
    let english = fixed(Language::English);
    for language in Language::ALL {
        for (word, original) in fixed(*language).into_iter().zip(&english) {
            assert!(!word.is_empty(), "{language:?}: {original}");
            assert!(*language == Language::English || word != *original, "{language:?}: {original}");
        }
    }
}

/// Sentences of a language about every example, in the same order for all.
fn sentences(language: Language) -> Vec<(String, String)> {
    let w = language.words();
    let reasons = examples::reasons().into_iter().map(|r| (format!("{r:?}"), w.reason(&r)));
    let remarks = examples::remarks().into_iter().map(|r| (format!("{r:?}"), w.remark(&r)));
    let refused = examples::refused().into_iter().map(|r| (format!("{r:?}"), super::refused(&r, language)));
    let quality = examples::qualities().into_iter().map(|q| (format!("{q:?}"), super::quality(&q, language)));
    let received = [("CT", Some(3)), ("", None)].map(|(m, n)| ("received".to_owned(), w.received(9, m, n)));
    let page = [w.more_in_report(5), w.slice(7, 40, -12.34)].map(|said| ("page".to_owned(), said));
    let pictures = [
        w.picture(Some(12), Some(34)),
        w.picture(None, None),
        w.lesion(5),
        w.malignant(0.876),
        w.no_size(NoSize::NoScale).to_owned(),
        w.no_size(NoSize::OtherImage).to_owned(),
        w.breast_ultrasound().to_owned(),
    ];
    let pictures = pictures.map(|said| ("picture".to_owned(), said));
    let marks = crate::views::marks::tests::sentences(language).into_iter().map(|said| ("marks".to_owned(), said));
    let least = [(4.5, SizeUnit::Millimetre), (0.05, SizeUnit::Millilitre)].map(|(size, unit)| {
        let finding = ChestFinding::Nodule;
        ("least size".to_owned(), w.least_size(&LeastSize { finding, size, unit, slice_mm: 5.0 }))
    });
    let largest = |about: &str| Largest { diameter_mm: 41.25, about: about.to_owned(), place: "7" };
    let lesions = [w.masses(2, &largest("")), w.nodules(1, &largest(""))].map(|said| ("lesions".to_owned(), said));
    let advice = examples::advice().into_iter().map(|a| (format!("{a:?}"), w.advice(&a)));
    let changes = examples::nodule_changes().into_iter().map(|c| (format!("{c:?}"), w.nodule_change(&c, "7")));
    let differences = examples::differences().into_iter().map(|d| (format!("{d:?}"), w.differences(&[d])));
    let unmatched = [[1, 0], [0, 1], [2, 3]].map(|counts| ("unmatched".to_owned(), w.unmatched(counts)));
    let technique = examples::acquisitions().into_iter().map(|acquisition| {
        let technique = Technique { slices: 301, spacing_mm: 1.25, acquisition: &acquisition };
        (format!("{acquisition:?}"), w.technique(&technique))
    });
    let not_compared = [Missing::Now, Missing::Then, Missing::Days];
    let not_compared = not_compared.into_iter().map(|why| ("not compared".to_owned(), w.not_compared("20260101", why)));
    let compared = [("compared".to_owned(), w.nodules_compared("20260101"))].into_iter().chain(not_compared);
    let page =
        page.into_iter().chain(pictures).chain(least).chain(lesions).chain(advice).chain(changes).chain(differences);
    let breast = breast::tests::sentences(w).into_iter().map(|said| ("breast".to_owned(), said));
    let mammograms = mammography::tests::sentences(w).into_iter().map(|said| ("mammogram".to_owned(), said));
    let page = page.chain(breast).chain(mammograms).chain(unmatched).chain(technique).chain(compared).chain(marks);
    reasons.chain(remarks).chain(refused).chain(quality).chain(received).chain(page).collect()
}

/// Numbers in the order of their digits, as a language may turn a sentence round.
fn numbers(sentence: &str) -> Vec<&str> {
    let mut all: Vec<&str> = sentence.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').collect();
    all.retain(|piece| piece.contains(|c: char| c.is_ascii_digit()));
    all.sort_unstable();
    all
}

#[test]
fn every_language_says_every_reason_and_refusal_with_the_same_values() {
    for language in Language::ALL {
        for ((what, said), (_, english)) in sentences(*language).into_iter().zip(sentences(Language::English)) {
            assert!(!said.trim().is_empty(), "{language:?}: {what}");
            assert_eq!(numbers(&said), numbers(&english), "{language:?}: {what}");
            assert!(*language == Language::English || said != english, "{language:?}: {what} is still English");
        }
    }
}

#[test]
fn english_is_what_bus_log_and_database_say() {
    for reason in examples::reasons() {
        assert_eq!(Language::English.words().reason(&reason), reason.to_string());
    }
    for one in examples::refused() {
        assert_eq!(refused(&one, Language::English), one.to_string());
    }
    for topic in examples::topics() {
        let why = NotEvaluated { topic, reason: Reason::NoLungs };
        assert_eq!(not_evaluated(&why, Language::English), why.to_string());
    }
}

#[test]
fn the_font_has_every_character_of_every_sentence() {
    for language in Language::ALL {
        let fixed = fixed(*language).into_iter().map(|word| (word.to_owned(), word.to_owned()));
        for (what, said) in sentences(*language).into_iter().chain(fixed) {
            let missing = said.chars().find(|c| !crate::letters::has(*c));
            assert_eq!(missing, None, "{language:?}: {what}");
        }
    }
}

#[test]
fn a_stored_reason_is_said_as_it_is() {
    let stored = Reason::stored("something new, package needs more");
    assert_eq!(Language::Chinese.words().reason(&stored), "something new, package needs more");
}

#[test]
fn a_language_names_what_was_not_evaluated() {
    for language in Language::ALL {
        for topic in examples::topics() {
            let said = language.words().not_evaluated(topic, "7.5");
            assert!(said.ends_with("7.5") && (topic == Topic::Unnamed) == (said == "7.5"), "{said}");
            let english = Language::English.words().not_evaluated(topic, "7.5");
            assert!(*language == Language::English || topic == Topic::Unnamed || said != english, "{said}");
        }
    }
}

#[test]
fn each_limit_refuses_with_its_own_sentence_in_chinese() {
    let said = |reason: Reason| Language::Chinese.words().reason(&reason);
    let thick = said(Reason::SpacingTooLarge { mm: 5.0, most_mm: 2.5 });
    assert_eq!(thick, "层间距 5.0 mm，模型包要求不大于 2.5 mm");
    let sharp = said(Reason::KernelSharp { kernel: "B70f".into() });
    assert_eq!(sharp, "重建核 B70f 为锐利核，模型包要求软组织核");
    let kernel = "Br64d".into();
    let protocol = [Reason::AgatstonNotGated, Reason::AgatstonVoltage { kv: 100.0 }, Reason::AgatstonKernel { kernel }];
    let joined = reasons(&protocol, Language::Chinese.words());
    assert_eq!(joined, "无心电门控，管电压 100 kV（应为 120 kV），锐利重建核 Br64d");
    let all: std::collections::BTreeSet<String> =
        examples::reasons().into_iter().filter(|r| !matches!(r, Reason::AgatstonContrast)).map(said).collect();
    assert_eq!(all.len() + 1, examples::reasons().len(), "two reasons have one sentence");
}

#[test]
fn chinese_sentences_hold_no_english_words() {
    // Names of measures, units, attributes and formats that Chinese reports write in Latin letters, and the values
    // of the examples.
    const KEPT: [&str; 37] = [
        "CC",
        "MLO",
        "IP",
        "LAA",
        "Agatston",
        "Lung",
        "RADS",
        "ml",
        "mm",
        "HU",
        "US",
        "MiB",
        "kV",
        "keV",
        "HFP",
        "CT",
        "JPEG",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "Rows",
        "Columns",
        "RescaleSlope",
        "RescaleIntercept",
        "value",
        "pkg",
        "Br",
        "HEAD",
        "CHEST",
        "Fleischner",
        "PET",
        "CAC",
        "DRS",
        "ACME",
        "ARGB",
        "THYROID",
        "Scan",
    ];
    let plain = |what: &str, text: &str| {
        for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 1) {
            assert!(KEPT.contains(&word), "{word} in {text} ({what})");
        }
    };
    let findings = testing::case(9).findings;
    for line in lines(&findings, Language::Chinese) {
        plain(line.finding.words(), &line.text);
    }
    for (what, said) in sentences(Language::Chinese) {
        plain(&what, &said);
    }
}

#[test]
fn what_was_found_in_a_part_says_so_and_why() {
    let mut findings = testing::case(9).findings;
    let part = PartlySeen { finding: ChestFinding::PleuralEffusion, reason: Reason::LungsAtEdge };
    findings.partly_seen.push(part);
    let said = |language| line(&findings, ChestFinding::PleuralEffusion, language).text;
    let english = said(Language::English);
    assert!(english.ends_with("; in the part that was seen (the lungs reach the edge of the image)"), "{english}");
    assert!(said(Language::Chinese).ends_with("；仅限扫描所见部分（肺超出图像边缘）"));
    let whole = line(&findings, ChestFinding::Pneumothorax, Language::English).text;
    assert!(!whole.contains("part that was seen"), "{whole}");
}

#[test]
fn what_is_too_small_for_the_slices_is_never_called_absent() {
    let mut findings = testing::case(9).findings;
    findings.nodules = Evaluated::Done(Vec::new());
    for (finding, unit) in
        [(ChestFinding::Nodule, SizeUnit::Millimetre), (ChestFinding::PleuralEffusion, SizeUnit::Millilitre)]
    {
        findings.least_sizes.push(LeastSize { finding, size: 10.0, unit, slice_mm: 5.0 });
    }
    let said = |finding, language| line(&findings, finding, language).text;
    let none = said(ChestFinding::Nodule, Language::English);
    assert_eq!(none, "none found; smaller than 10 mm not evaluated at this spacing (5.0 mm)");
    let none = said(ChestFinding::Nodule, Language::Chinese);
    assert_eq!(none, "未发现；小于 10 mm 者在此层间距（5.0 mm）下未评估");
    let found = said(ChestFinding::PleuralEffusion, Language::English);
    assert!(found.ends_with(" ml; smaller than 10 ml not evaluated at this spacing (5.0 mm)"), "{found}");
    assert!(!said(ChestFinding::Pneumothorax, Language::English).contains("smaller"));
    let calcium = LeastSize {
        finding: ChestFinding::CoronaryCalcification,
        size: 0.08,
        unit: SizeUnit::Millilitre,
        slice_mm: 5.0,
    };
    let both = [Language::English, Language::Chinese].map(|language| language.words().least_size(&calcium));
    assert_eq!(both[0], "less than 80 mm3 of calcium may be missed at this spacing (5.0 mm)");
    assert_eq!(both[1], "此层间距（5.0 mm）下可能漏检少于 80 mm3 的钙化");
}

#[test]
fn a_mass_is_called_a_mass_and_measured_by_its_longest_diameter() {
    let mut findings = testing::case(9).findings;
    let Evaluated::Done(nodules) = &mut findings.nodules else { panic!() };
    (nodules[1].form, nodules[1].long_axis_mm) = (Form::Mass, 44.5);
    let said = |language| line(&findings, ChestFinding::Nodule, language).text;
    let english = said(Language::English);
    assert!(english.starts_with("1 mass, longest diameter 44.5 mm, solid, Lung-RADS 4A, "), "{english}");
    assert!(english.contains("; 2 nodules, largest 11.4 mm, "), "{english}");
    assert!(said(Language::Chinese).starts_with("肿块 1 个，最大长径 44.5 mm，"));
}

#[test]
fn a_lobe_is_called_estimated_wherever_it_is_named_unless_its_fissures_were_seen() {
    let mut findings = testing::case(9).findings;
    let Evaluated::Done(lobes) = &mut findings.lobes else { panic!() };
    lobes.iter_mut().for_each(|lobe| lobe.estimated = lobe.name != LobeName::LeftLower);
    for (language, word) in [(Language::English, "(estimated)"), (Language::Chinese, "（估算）")] {
        let named = |one| part(&findings, one, language.words());
        for lobe in LobeName::ALL {
            assert_eq!(named(LungPart::Lobe(lobe)).contains(word), lobe != LobeName::LeftLower, "{lobe:?}");
        }
        assert!(!named(LungPart::Lung(Side::Left)).contains(word));
        let nodules = line(&findings, ChestFinding::Nodule, language).text;
        assert!(nodules.contains(word), "the largest lies in the right upper lobe: {nodules}");
    }
}

#[test]
fn the_impression_says_the_gravest_first_with_what_the_rules_say() {
    let case = testing::case(9);
    for language in Language::ALL {
        let lines = impression(&case.findings, &case.volume, *language);
        assert_eq!(lines.len(), ChestFinding::COUNT, "{language:?}");
        let advised = |finding| {
            let heading = name(finding, *language);
            lines.iter().find(|one| one.text.starts_with(&heading)).map(|one| one.advice.clone()).unwrap_or_default()
        };
        let nodules = advised(ChestFinding::Nodule);
        assert!(nodules[0].contains("Fleischner") && nodules[1].contains("Lung-RADS v2022"), "{nodules:?}");
        assert!(advised(ChestFinding::CoronaryCalcification)[0].contains("A2"), "184 is in 100 to 299");
        assert_eq!(advised(ChestFinding::Pneumothorax), [""; 0]);
    }
    let nothing = ChestFindings { nodules: Evaluated::Done(Vec::new()), ..ChestFindings::none(&Reason::NoLungs) };
    let said = impression(&nothing, &case.volume, Language::English);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].text, "Nothing was found of what could be evaluated.");
    let unseen = ChestFindings::none(&Reason::NoLungs);
    assert_eq!(impression(&unseen, &case.volume, Language::English), [], "what was not looked at is not called normal");
}

#[test]
fn the_comparison_names_pneumonia_nodules_and_what_differs_between_the_scans() {
    let mut findings = testing::case(9).findings;
    let said = comparisons(&findings, Language::English);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("2025-12-01"), "{said:?}");
    assert!(said[1].contains("540 -> 905 mm3 (+68 %), grown, volume doubles in 42 days"), "{said:?}");
    assert!(said[2].contains("kernel (B70f, B30f)"), "{said:?}");
    let comparison = findings.comparison.as_mut().unwrap();
    (comparison.changes, comparison.differences) = (Vec::new(), Vec::new());
    assert_eq!(comparisons(&findings, Language::English), said[1..2]);
}

/// Sentences of a language about numbers that are nothing, or less.
fn about_nothing(language: Language) -> Vec<String> {
    let (w, nothing) = (language.words(), -0.0);
    let reasons = [
        Reason::ImplausibleAir { ml: nothing },
        Reason::NoLungInScan { ml: -0.4 },
        Reason::Noisy { hu: nothing, most_hu: nothing },
    ];
    let mut all: Vec<String> = reasons.iter().map(|reason| w.reason(reason)).collect();
    for noise in [Denoised::Yes, Denoised::No, Denoised::Unknown] {
        all.push(w.emphysema(nothing, Some(-0.04), Some(nothing), noise));
    }
    all.push(w.volume_on_side(Side::Right, nothing));
    all.push(w.pneumothorax(Side::Left, -0.3, nothing));
    all.push(w.agatston(nothing));
    all.push(w.pneumonia("7", nothing, -0.01));
    all.push(w.slice(1, 9, -0.04));
    all.push(w.comparison("20260101", "x", [1.0, 0.96], [nothing, nothing]));
    let change = |volume_mm3| NoduleChange { volume_mm3, ..examples::nodule_changes().remove(0) };
    all.extend([[nothing, 3.0], [3.0, nothing], [100.0, 99.9]].map(|volumes| w.nodule_change(&change(volumes), "x")));
    let place = Place { number: None, axis: 'z', mm: -0.03 };
    all.push(w.refusal(&Refusal::SidewaysShift { slice: place, shift_mm: nothing }));
    all.push(w.refusal(&Refusal::NoAirScale { background_hu: nothing }));
    all
}

#[test]
fn nothing_is_never_written_as_less_than_nothing() {
    for language in Language::ALL {
        for said in about_nothing(*language) {
            let number = |text: &str| {
                text.starts_with("-0")
                    && !text[1..].trim_start_matches(['0', '.']).starts_with(|c: char| c.is_ascii_digit())
            };
            let less = said.match_indices('-').find(|(at, _)| number(&said[*at..]));
            assert_eq!(less, None, "{language:?}: {said}");
        }
    }
}
