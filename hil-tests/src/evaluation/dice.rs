//! How well the segments of a result cover what was planted: the Dice coefficient (Dice, "Measures of the amount of
//! ecologic association between species", 1945) on the grid of the scan.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use phantom::{Channel, Grid, Slice};

/// Labels of the segments; several of one kind are numbered.
const LABELS: [(Channel, &str); 11] = [
    (Channel::Nodule, "Nodule"),
    (Channel::Nodule, "Mass"),
    (Channel::GroundGlass, "Ground-glass opacities"),
    (Channel::Consolidation, "Consolidations"),
    (Channel::RibFracture, "Rib fracture"),
    (Channel::Emphysema, "Emphysema"),
    (Channel::Bronchiectasis, "Bronchiectasis"),
    (Channel::PleuralEffusion, "Pleural effusion"),
    (Channel::Pneumothorax, "Pneumothorax"),
    (Channel::CoronaryCalcification, "Coronary artery calcification"),
    (Channel::LymphNode, "Lymph node"),
];

/// 0 to 1 for each channel that has planted voxels; all regions of one channel count together.
///
/// # Errors
/// When the segmentation cannot be read or is not on `grid`.
pub fn of(segmentation: Option<&Path>, grid: &Grid, planted: &[Slice]) -> Result<Vec<(Channel, f64)>> {
    let mut found: Vec<Vec<u16>> = planted.iter().map(|slice| vec![0; slice.labels.len()]).collect();
    if let Some(path) = segmentation {
        paint(path, grid, &mut found).with_context(|| path.display().to_string())?;
    }
    let mut counts = [[0u64; 3]; Channel::ALL.len()];
    for (slice, marks) in planted.iter().zip(&found) {
        for (label, mark) in slice.labels.iter().zip(marks).filter(|(label, mark)| **label | **mark != 0) {
            for (channel, [both, planted, found]) in Channel::ALL.iter().zip(&mut counts) {
                let (p, f) = (label & channel.bit() != 0, mark & channel.bit() != 0);
                *both += u64::from(p && f);
                *planted += u64::from(p);
                *found += u64::from(f);
            }
        }
    }
    let scored = Channel::ALL.into_iter().zip(counts).filter(|(_, [_, planted, _])| *planted > 0);
    Ok(scored
        .map(|(channel, [both, planted, found])| (channel, 2.0 * both as f64 / (planted + found) as f64))
        .collect())
}

/// Sets the bits of each frame's channel in its slice.
fn paint(path: &Path, grid: &Grid, found: &mut [Vec<u16>]) -> Result<()> {
    let object = dicom_object::open_file(path)?;
    let size = grid.rows * grid.columns;
    let channels = object
        .element(tags::SEGMENT_SEQUENCE)?
        .items()
        .context("no segments")?
        .iter()
        .map(|item| Ok((number(item, tags::SEGMENT_NUMBER)?, channel(&item.element(tags::SEGMENT_LABEL)?.to_str()?))))
        .collect::<Result<Vec<_>>>()?;
    let pixels = object.element(tags::PIXEL_DATA)?.to_bytes()?;
    let frames = object.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?.items().context("no frames")?;
    ensure!(pixels.len() * 8 >= frames.len() * size, "{} bytes for {} frames", pixels.len(), frames.len());
    for (index, frame) in frames.iter().enumerate() {
        let segment = number(first(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)?, tags::REFERENCED_SEGMENT_NUMBER)?;
        let Some(channel) = channels.iter().find(|(n, _)| *n == segment).and_then(|(_, channel)| *channel) else {
            continue;
        };
        let position =
            first(frame, tags::PLANE_POSITION_SEQUENCE)?.element(tags::IMAGE_POSITION_PATIENT)?.to_multi_float64()?;
        let z = position.get(2).context("a position without z")?;
        let k = ((z - f64::from(grid.origin_mm[2])) / f64::from(grid.slice_mm)).round();
        ensure!(k >= 0.0 && (k as usize) < found.len(), "frame {index} at z = {z} mm lies outside the scan");
        for (i, mark) in found[k as usize].iter_mut().enumerate() {
            let bit = index * size + i;
            if pixels[bit >> 3] >> (bit & 7) & 1 != 0 {
                *mark |= channel.bit();
            }
        }
    }
    Ok(())
}

fn first(item: &InMemDicomObject, tag: dicom_core::Tag) -> Result<&InMemDicomObject> {
    item.element(tag)?.items().and_then(|items| items.first()).with_context(|| format!("{tag} is empty"))
}

fn number(item: &InMemDicomObject, tag: dicom_core::Tag) -> Result<u16> {
    Ok(item.element(tag)?.to_int()?)
}

/// The channel of a segment, by its label without the number.
pub fn label(channel: Channel) -> &'static str {
    LABELS.iter().find(|(c, _)| *c == channel).map_or("", |(_, name)| name)
}

/// `None` for lungs and lobes.
fn channel(label: &str) -> Option<Channel> {
    let kind = label.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    LABELS.iter().find(|(_, name)| *name == kind).map(|(channel, _)| *channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_known_with_and_without_a_number() {
        assert_eq!(channel("Rib fracture 12"), Some(Channel::RibFracture));
        assert_eq!(channel("Consolidations"), Some(Channel::Consolidation));
        assert_eq!(channel("Right lung"), None);
    }

    #[test]
    fn what_is_planted_and_not_segmented_scores_nothing() {
        let grid = Grid { columns: 2, rows: 1, slices: 1, pixel_mm: 1.0, slice_mm: 1.0, origin_mm: [0.0; 3] };
        let slice = Slice { hu: vec![0, 0], labels: vec![Channel::Nodule.bit(), 0], ..Slice::default() };
        assert_eq!(of(None, &grid, &[slice]).unwrap(), [(Channel::Nodule, 0.0)]);
    }
}
