"""Finds candidates in a volume as the daemon does: patches, blend, mask, components. Used only to choose thresholds; the figures of
the card are measured with scansidectl.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

import network
from findings import CHANNELS, LUNG, SPACING_MM

PATCH, OVERLAP = 96, 24
OUTSIDE_LUNG_MM = 3.0
# Largest number of candidates of one channel.
MOST, LEAST_PEAK = 200, 0.25
VOXEL_ML = SPACING_MM**3 / 1000


def starts(extent):
    """First voxels of the patches along one axis; neighbours share at least OVERLAP voxels."""
    if extent <= PATCH:
        return [0]
    count = -(-(extent - PATCH) // (PATCH - OVERLAP)) + 1
    return [i * (extent - PATCH) // (count - 1) for i in range(count)]


@torch.no_grad()
def probability(net, hu):
    """[channels, D, H, W], float16; patches are blended by weights that rise towards their middle."""
    shape = hu.shape
    padded = np.pad(hu, [(0, max(PATCH - s, 0)) for s in shape], constant_values=-1000)
    taper = np.minimum(np.arange(PATCH), np.arange(PATCH)[::-1]) + 1.0
    weight = (taper[:, None, None] * taper[:, None] * taper).astype(np.float32) / (PATCH / 2) ** 3
    total = np.zeros(padded.shape, np.float32)
    out = np.zeros((len(CHANNELS), *padded.shape), np.float32)
    for z in starts(padded.shape[0]):
        for y in starts(padded.shape[1]):
            for x in starts(padded.shape[2]):
                box = (slice(z, z + PATCH), slice(y, y + PATCH), slice(x, x + PATCH))
                image = network.scaled(torch.from_numpy(padded[box].astype(np.float32))[None, None])
                image = image.contiguous(memory_format=torch.channels_last_3d)
                out[(slice(None), *box)] += torch.sigmoid(net(image).float())[0].numpy() * weight
                total[box] += weight
    return (out / total).astype(np.float16)[(slice(None), *(slice(0, s) for s in shape))]


def lung_rim(labels):
    """As in the daemon: nodules are accepted in the lungs and slightly around them."""
    return ndimage.binary_dilation((labels & LUNG) > 0, iterations=round(OUTSIDE_LUNG_MM / SPACING_MM))


@dataclass
class Candidate:
    centre: np.ndarray
    # Highest probability.
    peak: float
    volume_ml: float
    # On the slice of greatest extent, mm: axes of the ellipse with the same moments.
    long_mm: float
    short_mm: float
    # Highest of the values that `components` was given.
    brightest: float = 0.0

    @property
    def diameter_mm(self):
        return (self.long_mm + self.short_mm) / 2


def components(probability, mask, values=None):
    """Candidates whose voxels reach `mask`, without those that no threshold accepts, and without the faintest ones when there are very many."""
    marks, count = ndimage.label(probability >= mask)
    peaks = ndimage.maximum(probability, marks, np.arange(1, count + 1)) if count else np.zeros(0)
    boxes = ndimage.find_objects(marks)
    found = []
    for index in np.argsort(-peaks)[:MOST]:
        if peaks[index] < LEAST_PEAK:
            break
        box = boxes[index]
        points = np.argwhere(marks[box] == index + 1)
        slices = np.bincount(points[:, 0])
        long_mm, short_mm = axes(points[points[:, 0] == slices.argmax(), 1:])
        centre = points.mean(0) + [b.start for b in box]
        brightest = 0.0 if values is None else float(values[box][marks[box] == index + 1].max())
        found.append(Candidate(centre, float(peaks[index]), len(points) * VOXEL_ML, long_mm, short_mm, brightest))
    return found


def axes(pixels):
    # A pixel has an extent itself: 1/12 is the variance of a uniform distribution of width 1.
    spread = np.cov(pixels.T, bias=True).reshape(2, 2) + np.eye(2) / 12
    short, long = np.sqrt(np.linalg.eigvalsh(spread)) * 4 * SPACING_MM
    return long, short
