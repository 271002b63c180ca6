"""What thick slices and other kernels do to a crop, on the grid of 1.5 mm on which the network sees it.

A slice of thickness t is the mean of the tissue over t (a rectangular profile); slices lie s apart and the engine fills the grid
between their middles linearly. Both are linear along z: one matrix for each crop.
"""

import numpy as np
import torch
from torch.nn import functional

from findings import SPACING_MM

# (thickness, spacing) in mm as clinics reconstruct, and how often: thin as the phantom was scanned, contiguous, overlapping, gapped.
SLICES = ((0, 0), (2.5, 2.5), (3, 3), (5, 5), (5, 5), (5, 2.5), (5, 4), (7, 7), (8, 8), (8, 4), (5, 7), (10, 10))
THIN = 0.4
# A lesion that is shorter along z than this part of a slice is not asked for: hardly anything of it is left.
LEAST_PART = 0.8
SOFT, SHARP = 0.2, 0.25


def drawn(rng):
    """Thickness and spacing of the slices of one crop, mm; (0, 0) when it stays thin."""
    return (0, 0) if rng.random() < THIN else SLICES[rng.integers(1, len(SLICES))]


def matrix(size, thickness, spacing, phase):
    """[size, size]: the column of `size` voxels of the grid as the engine would see it. `phase` 0 to 1: where the first slice lies."""
    edges = np.arange(size + 1) * SPACING_MM
    middles = np.arange(-1, int(size * SPACING_MM / spacing) + 3) * spacing + (phase - 1) * spacing
    rows = []
    for middle in middles:
        low, high = middle - thickness / 2, middle + thickness / 2
        share = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
        if share.sum() == 0:
            # Beyond the crop: as at its end. That is in the rim, which the loss does not see.
            share[0 if middle < 0 else -1] = 1
        rows.append(share / share.sum())
    at = (np.arange(size) + 0.5) * SPACING_MM
    place = (at - middles[0]) / spacing
    below = np.clip(np.floor(place).astype(int), 0, len(middles) - 2)
    part = (place - below)[:, None]
    rows = np.array(rows)
    return torch.from_numpy(((1 - part) * rows[below] + part * rows[below + 1]).astype(np.float32))


def thick(hu, slices, rng):
    """HU [D, H, W] as slices of this thickness and spacing show it."""
    thickness, spacing = slices
    if not thickness:
        return hu
    return torch.tensordot(matrix(hu.shape[0], thickness, spacing, rng.random()).to(hu.device), hu, dims=1)


def kernel(hu, rng):
    """HU [D, H, W] as a softer or a sharper kernel would show them, in the slice's plane."""
    kind = rng.random()
    if kind > SOFT + SHARP:
        return hu
    blurred = functional.avg_pool2d(functional.pad(hu[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    share = rng.uniform(0.3, 0.8)
    return hu + share * (blurred - hu) if kind < SOFT else hu + share * (hu - blurred)
