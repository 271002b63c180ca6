//! Checks the values of a manifest after parsing: ranges, references and consistency.

use super::{
    BadValue, FORMAT, Large, Limits, Mammogram, Manifest, Picture, Reads, Threshold, Volume, mammogram, picture, volume,
};
use crate::findings::ChestFinding;

/// Names that a package keeps for itself.
const RESERVED: [&str; 2] = ["model.toml", "model.toml.minisig"];
/// Depth of directories in a package.
const MOST_LEVELS: usize = 4;

pub fn manifest(manifest: &Manifest) -> Result<(), BadValue> {
    let Manifest { format, id, version, task, licence, intended_use, .. } = manifest;
    ensure(*format == FORMAT, "format", || format!("{format}; this program reads {FORMAT}"))?;
    ensure(plain(id) && id.len() <= 64, "id", || format!("{id:?}: letters, digits, '.', '_' and '-' only"))?;
    ensure(semver::Version::parse(version).is_ok(), "version", || format!("{version:?} is no semantic version"))?;
    ensure(plain(task), "task", || format!("{task:?} is not the name of a task"))?;
    ensure(!licence.trim().is_empty(), "licence", || "empty".into())?;
    ensure(!intended_use.modality.is_empty(), "intended_use.modality", || "empty".into())?;
    ensure(!intended_use.body_part.is_empty(), "intended_use.body_part", || "empty".into())?;
    let age = intended_use.min_age_years.unwrap_or(0.0);
    ensure((0.0..=120.0).contains(&age), "intended_use.min_age_years", || format!("{age} years"))?;
    match &manifest.reads {
        Reads::Volume(volume) => {
            findings(volume)?;
            input(volume)?;
            channels(volume)?;
        }
        Reads::Picture(picture) => pictures(picture)?,
        Reads::Mammogram(one) => {
            mammograms(one)?;
            let scorer = &one.outputs.scorer;
            let listed = manifest.files.contains_key(scorer);
            ensure(listed, "outputs.scorer", || format!("{scorer:?} is not in [files]"))?;
        }
    }
    files(manifest)?;
    variants(manifest)
}

fn ensure(holds: bool, key: impl Into<String>, reason: impl FnOnce() -> String) -> Result<(), BadValue> {
    if holds { Ok(()) } else { Err(BadValue { key: key.into(), reason: reason() }) }
}

/// Can be a directory's name.
fn plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(allowed)
}

fn findings(volume: &Volume) -> Result<(), BadValue> {
    let findings = &volume.findings;
    ensure(!findings.is_empty(), "intended_use.findings", || "the package claims no finding".into())?;
    for (finding, limits) in findings {
        let low = limits.min_slice_spacing_mm.unwrap_or(0.0);
        let high = limits.max_slice_spacing_mm.unwrap_or(20.0);
        let key = || format!("intended_use.findings.{finding:?}");
        ensure(low >= 0.0 && low < high && high <= 20.0, key(), || format!("slice spacing {low} to {high} mm"))?;
        let noise = limits.max_noise_hu.unwrap_or(1.0);
        ensure(noise > 0.0 && noise.is_finite(), key(), || format!("max_noise_hu {noise}"))?;
        least_size(*finding, limits)?;
    }
    Ok(())
}

fn least_size(finding: ChestFinding, limits: &Limits) -> Result<(), BadValue> {
    let pairs = &limits.least_size;
    let Some([last_mm, _]) = pairs.last() else { return Ok(()) };
    let key = || format!("intended_use.findings.{finding:?}.least_size");
    ensure(finding != ChestFinding::Emphysema, key(), || "a share of the lungs has no least size".into())?;
    for [mm, size] in pairs {
        ensure(*mm > 0.0 && *mm <= 20.0, key(), || format!("slices of {mm} mm are not within 0 to 20 mm"))?;
        ensure((0.0..=1000.0).contains(size), key(), || format!("size {size} is not within 0 to 1000"))?;
    }
    for pair in pairs.windows(2) {
        let [[low_mm, low], [high_mm, high]] = [pair[0], pair[1]];
        ensure(low_mm < high_mm, key(), || format!("slices of {high_mm} mm come after {low_mm} mm: they must rise"))?;
        ensure(low <= high, key(), || {
            format!("size {high} comes after {low}: thicker slices cannot show smaller things")
        })?;
    }
    match limits.max_slice_spacing_mm {
        Some(most) => {
            let reached = (most - last_mm).abs() < 1e-9;
            ensure(reached, key(), || format!("ends at {last_mm} mm, max_slice_spacing_mm is {most} mm"))
        }
        None => ensure(false, key(), || "the finding has no max_slice_spacing_mm".into()),
    }
}

fn input(volume: &Volume) -> Result<(), BadValue> {
    let input = &volume.input;
    let spacing = input.spacing_mm;
    ensure((0.3..=5.0).contains(&spacing), "input.spacing_mm", || format!("{spacing} is not within 0.3 to 5"))?;
    let patch = input.patch;
    let good = patch.iter().all(|n| (8..=512).contains(n) && n.is_multiple_of(8));
    ensure(good, "input.patch", || format!("{patch:?}: each extent must be 8 to 512 voxels, a multiple of 8"))?;
    let fits = patch.iter().all(|n| input.overlap <= n / 2);
    ensure(fits, "input.overlap", || format!("{} is more than half of a patch", input.overlap))?;
    let count = input.windows_hu.len();
    ensure((1..=8).contains(&count), "input.windows_hu", || format!("{count} windows; 1 to 8 are allowed"))?;
    for window in &input.windows_hu {
        let good = window.iter().all(|v| v.is_finite()) && window[0] < window[1];
        ensure(good, "input.windows_hu", || format!("{window:?} is not [low, high]"))?;
    }
    Ok(())
}

/// A second look moves its patch by up to 14 voxels beside the place.
const LEAST_PATCH_TO_LOOK_AGAIN: usize = 48;

fn channels(volume: &Volume) -> Result<(), BadValue> {
    let channels = &volume.outputs.channels;
    ensure(!channels.is_empty(), "outputs.channels", || "empty".into())?;
    for (index, channel) in channels.iter().enumerate() {
        let name = channel.as_str();
        ensure(!channels[..index].contains(channel), "outputs.channels", || format!("{name} twice"))?;
        let key = format!("thresholds.{name}");
        ensure(volume.thresholds.contains_key(channel), key, || "missing".into())?;
    }
    let again = volume.thresholds.values().any(|one| one.look_again.is_some());
    let wide = volume.input.patch.iter().all(|n| *n >= LEAST_PATCH_TO_LOOK_AGAIN);
    ensure(!again || wide, "thresholds", || {
        format!("look_again needs patches of {LEAST_PATCH_TO_LOOK_AGAIN} voxels and more")
    })?;
    for (channel, one) in &volume.thresholds {
        let key = format!("thresholds.{}", channel.as_str());
        ensure(channels.contains(channel), &key, || "the network has no such channel".into())?;
        threshold(&key, one)?;
        let nodule = *channel == volume::Channel::Nodule;
        ensure(one.large.is_none() || nodule, format!("{key}.large"), || "only nodules have it".into())?;
        let opacity = matches!(channel, volume::Channel::GroundGlass | volume::Channel::Consolidation);
        ensure(one.spread.is_none() || opacity, format!("{key}.spread"), || "only opacities have it".into())?;
    }
    Ok(())
}

fn threshold(key: &str, one: &Threshold) -> Result<(), BadValue> {
    let Threshold { confidence, mask, min_size, look_again, large, spread } = one;
    for (part, value) in [("confidence", confidence), ("mask", mask)] {
        probability(&format!("{key}.{part}"), *value)?;
    }
    if let Some(again) = look_again {
        let good = *mask <= *again && *again <= *confidence;
        ensure(good, format!("{key}.look_again"), || format!("{again} is not between mask and confidence"))?;
    }
    if let Some(spread) = spread {
        probability(&format!("{key}.spread"), *spread)?;
        ensure(spread <= mask, format!("{key}.spread"), || format!("{spread} is more than mask"))?;
    }
    if let Some(Large { from, confidence: more }) = large {
        ensure((0.0..=1000.0).contains(from), format!("{key}.large.from"), || format!("{from}"))?;
        probability(&format!("{key}.large.confidence"), *more)?;
        let wanted = format!("{key}.large.confidence");
        ensure(more >= confidence, wanted, || format!("{more} is less than that of all, {confidence}"))?;
    }
    ensure((0.0..=1000.0).contains(min_size), format!("{key}.min_size"), || format!("{min_size}"))
}

fn probability(key: &str, value: f32) -> Result<(), BadValue> {
    ensure(value > 0.0 && value < 1.0, key, || format!("{value} is not between 0 and 1"))
}

fn pictures(picture: &Picture) -> Result<(), BadValue> {
    ensure(!picture.findings.is_empty(), "intended_use.findings", || "the package claims no finding".into())?;
    let (size, stride) = (picture.input.size, picture.outputs.stride);
    let good = size.iter().all(|n| (32..=2048).contains(n) && n.is_multiple_of(8));
    ensure(good, "input.size", || format!("{size:?}: each side must be 32 to 2048 pixels, a multiple of 8"))?;
    ensure([1, 2, 4, 8].contains(&stride), "outputs.stride", || format!("{stride} is not 1, 2, 4 or 8"))?;
    let channels = &picture.outputs.channels;
    let first = channels.first() == Some(&picture::Channel::Lesion);
    ensure(first, "outputs.channels", || "the first must be \"lesion\"".into())?;
    for (index, channel) in channels.iter().enumerate() {
        ensure(!channels[..index].contains(channel), "outputs.channels", || format!("{channel:?} twice"))?;
    }
    for channel in picture::Channel::ALL {
        ensure(channels.contains(&channel), "outputs.channels", || format!("{channel:?} is missing"))?;
    }
    threshold("thresholds.lesion", &picture.lesion)?;
    let Threshold { confidence, mask, min_size, .. } = picture.lesion;
    let plain = picture.lesion == Threshold::plain(confidence, mask, min_size);
    ensure(plain, "thresholds.lesion", || "look_again, large and spread are of networks that read volumes".into())?;
    probability("thresholds.malignant.confidence", picture.malignant)
}

/// What the task does is built for one size of pixels and map; another network of this kind says so in its own task.
fn mammograms(one: &Mammogram) -> Result<(), BadValue> {
    ensure(!one.findings.is_empty(), "intended_use.findings", || "the package claims no finding".into())?;
    let mammogram::Input { pixel_mm, fine_mm, around_mm, detail, multiple } = one.input;
    ensure((0.2..=1.0).contains(&pixel_mm), "input.pixel_mm", || format!("{pixel_mm} is not within 0.2 to 1"))?;
    let parts = pixel_mm / fine_mm;
    let whole = (1.0..=8.0).contains(&parts) && (parts - parts.round()).abs() < 1e-6;
    ensure(whole, "input.fine_mm", || format!("{fine_mm} is not a whole part of {pixel_mm}, 1 to 8"))?;
    ensure((0.1..=5.0).contains(&around_mm), "input.around_mm", || format!("{around_mm} is not within 0.1 to 5"))?;
    ensure(detail > 0.0 && detail <= 1.0, "input.detail", || format!("{detail} is not within 0 to 1"))?;
    let stride = one.outputs.stride;
    ensure([2, 4, 8].contains(&stride), "outputs.stride", || format!("{stride} is not 2, 4 or 8"))?;
    let fits = (stride..=64).contains(&multiple) && multiple.is_multiple_of(stride);
    ensure(fits, "input.multiple", || format!("{multiple} is not a multiple of the stride, up to 64"))?;
    let same = one.outputs.channels == mammogram::Kind::ALL;
    ensure(same, "outputs.channels", || format!("must be {:?}", mammogram::Kind::ALL.map(mammogram::Kind::name)))?;
    for stage in mammogram::Stage::ALL {
        probability(&format!("thresholds.{}.confidence", stage.name()), one.thresholds.of(stage))?;
    }
    Ok(())
}

/// A package must not reach out of its own directory, and no two names may be one file on any file system.
fn files(manifest: &Manifest) -> Result<(), BadValue> {
    let mut lower = std::collections::BTreeSet::new();
    for (name, hash) in &manifest.files {
        let key = || format!("files.{name:?}");
        ensure(path(name), key(), || "not a plain path inside the package".into())?;
        ensure(lower.insert(name.to_ascii_lowercase()), key(), || "differs from another only in case".into())?;
        let digits = hash.len() == 64 && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        ensure(digits, key(), || "not 64 lower-case hexadecimal digits".into())?;
    }
    Ok(())
}

/// Is this a relative path of plain names that a package may hold?
pub fn path(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() <= MOST_LEVELS
        && name.len() <= 200
        && parts.iter().all(|part| plain(part))
        && !RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

fn variants(manifest: &Manifest) -> Result<(), BadValue> {
    ensure(!manifest.variants.is_empty(), "variants", || "the package has no network".into())?;
    let listed = |key: &str, name: &str| {
        ensure(manifest.files.contains_key(name), key, || format!("{name:?} is not in [files]"))
    };
    for variant in &manifest.variants {
        listed("variants.network", &variant.network)?;
        if let Some(expected) = &variant.expected {
            listed("variants.expected", expected)?;
        }
    }
    ensure(manifest.variants.iter().any(|v| v.accelerator.fits("cpu")), "variants", || "none runs on the CPU".into())?;
    if let Some(accuracy) = &manifest.accuracy {
        let least = accuracy.least_overlap;
        ensure(least > 0.0 && least <= 1.0, "accuracy.least_overlap", || format!("{least} is not within 0 to 1"))?;
        ensure(!accuracy.cases.is_empty(), "accuracy.cases", || "there is none".into())?;
        for case in &accuracy.cases {
            listed("accuracy.cases.input", &case.input)?;
            listed("accuracy.cases.expected", &case.expected)?;
        }
    }
    if let Some(golden) = &manifest.golden {
        listed("golden.input", &golden.input)?;
        for variant in &manifest.variants {
            let expected = manifest.expected(variant);
            ensure(expected.is_some(), "golden.expected", || format!("missing for {:?}", variant.network))?;
        }
        if let Some(expected) = &golden.expected {
            listed("golden.expected", expected)?;
        }
        let tolerance = golden.tolerance;
        ensure(tolerance > 0.0 && tolerance <= 0.2, "golden.tolerance", || {
            format!("{tolerance} is not within 0 to 0.2")
        })?;
    }
    Ok(())
}
