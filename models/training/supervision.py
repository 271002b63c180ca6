"""Which labels a training phantom gives: some give masks, some boxes, some only the list of their findings, because real data is like that.
The loader hides the rest.
"""

from dataclasses import dataclass

import torch

from findings import CHANNELS, SPACING_MM

MASKS, BOXES, STUDY = "masks", "boxes", "study"
# Chosen by the seed: half of the phantoms, a quarter, a quarter.
KINDS = (MASKS, MASKS, BOXES, STUDY)
# A lesion with this many voxels has the same weight as the background; no voxel has more weight than one of a lesion with LEAST voxels.
AVERAGE, LEAST = 400, 8


def kind(phantom):
    return KINDS[phantom.seed % len(KINDS)]


@dataclass
class Labels:
    """Labels of one crop. Tensors are [channels, D, H, W]; where `known` is false, labels may have any value."""

    lesion: torch.Tensor
    known: torch.Tensor
    # Weight of lesion voxels: a small lesion counts nearly as much as a large one.
    weight: torch.Tensor
    # (channel, low, high) of the boxes that are completely inside the crop: each of their slices contains part of the lesion.
    boxes: list


def labels(phantom, start, size, bits, least_mm=0.0):
    """The known labels of the crop at `start`; `bits` are the labels of its voxels, which are used for masks only. Lesions shorter than
    `least_mm` along z are not known: the slices are too thick for them."""
    shape = (len(CHANNELS),) + (size,) * 3
    how = kind(phantom)
    known = torch.ones(shape, dtype=torch.bool, device=bits.device)
    weight = torch.zeros(shape, device=bits.device)
    if how == MASKS:
        shifts = torch.arange(len(CHANNELS), dtype=torch.int16, device=bits.device)[:, None, None, None]
        out = Labels((bits[None] >> shifts & 1).bool(), known, weight, [])
    else:
        out = Labels(torch.zeros_like(known), known, weight, [])
    if how == STUDY:
        for channel in set(phantom.lesions[:, 0].tolist()):
            out.known[channel] = False
        return out
    low, high = phantom.lesions[:, 2:5] - start, phantom.lesions[:, 5:8] - start
    for i in ((high > 0) & (low < size)).all(1).nonzero()[0]:
        channel, voxels = phantom.lesions[i, :2].tolist()
        inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low[i].tolist(), high[i].tolist()))
        too_short = (high[i] - low[i])[0] * SPACING_MM < least_mm
        if too_short:
            out.known[(channel, *inside)] = False
        elif how == MASKS:
            out.weight[(channel, *inside)] = (AVERAGE / max(voxels, LEAST)) ** 0.5
        else:
            out.known[(channel, *inside)] = False
            if (low[i] >= 0).all() and (high[i] <= size).all():
                out.boxes.append((channel, low[i].tolist(), high[i].tolist()))
    out.weight *= out.lesion & out.known
    return out


def mirrored(found):
    """Exchanges left and right. No other axis is flipped, because fluid sinks to the back and air rises to the front."""
    size = found.lesion.shape[-1]
    flip = lambda corner, other: [corner[0], corner[1], size - other[2]]
    boxes = [(c, flip(low, high), flip(high, low)) for c, low, high in found.boxes]
    return Labels(*(t.flip(-1) for t in (found.lesion, found.known, found.weight)), boxes)
