"""Which voxels are bright enough to be calcium, decided as in the daemon (models/src/task/ct_chest/coronary.rs)."""

import numpy as np
from scipy import ndimage

import detect
from findings import SPACING_MM

CALCIUM_HU = 130.0
# Blood brighter than this contains contrast medium; then calcium must be brighter by this many standard deviations of the noise.
ENHANCED_HU, ABOVE_BLOOD = 100.0, 3.0
# Edge of the blocks in which blood is measured, voxels; a smaller volume of enhanced blood than this counts as none, ml.
BLOCK, BLOOD_ML = 4, 10.0
# Calcium may extend this far beyond the network's region, voxels.
REACH = round(2.0 / SPACING_MM)


def least_hu(phantom):
    blood = blood_hu(phantom)
    return CALCIUM_HU if blood is None else max(CALCIUM_HU, blood + ABOVE_BLOOD * phantom.truth["options"]["noise_hu"])


def blood_hu(phantom):
    """HU of enhanced blood: the brightest tenth of the bright and thick parts between the lungs, in their front half; None without contrast medium."""
    lungs = detect.lung_rim(phantom.labels)
    rows = np.flatnonzero(lungs.any((0, 2)))
    columns = np.arange(lungs.shape[2])
    any_lung = lungs.any(2)[..., None]
    first = lungs.argmax(2)[..., None]
    last = len(columns) - 1 - lungs[..., ::-1].argmax(2)[..., None]
    between = any_lung & (columns >= first) & (columns < last) & ~lungs
    between[:, (rows[0] + rows[-1]) // 2 + 1 :] = False
    whole = blocks(between) == BLOCK**3
    mean = blocks(np.where(between, phantom.hu, 0).astype(np.int64)) / BLOCK**3
    bright = whole & (mean > ENHANCED_HU)
    blood = np.sort(mean[ndimage.binary_erosion(bright, border_value=1)])[::-1]
    if len(blood) * BLOCK**3 * detect.VOXEL_ML < BLOOD_ML:
        return None
    return blood[: -(-len(blood) // 10)].mean()


def blocks(values):
    """Sums over blocks; voxels at the ends that do not fill a block are left out."""
    d, h, w = (n // BLOCK for n in values.shape)
    parts = values[: d * BLOCK, : h * BLOCK, : w * BLOCK].reshape(d, BLOCK, h, BLOCK, w, BLOCK)
    return parts.sum((1, 3, 5))


def brightest(hu):
    """Maximum over each voxel and those around it: how far a region may extend."""
    return ndimage.maximum_filter(hu, 2 * REACH + 1)
