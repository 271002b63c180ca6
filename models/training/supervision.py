"""What a training phantom tells of itself: some give masks, some boxes, some only which findings they have, because that
is how real data comes. The loader hides the rest.
"""

from dataclasses import dataclass

import torch

from findings import CHANNELS

MASKS, BOXES, STUDY = "masks", "boxes", "study"
# By seed: half of the phantoms, a quarter, a quarter.
KINDS = (MASKS, MASKS, BOXES, STUDY)
# A lesion of so many voxels weighs as much as the background; no voxel weighs more than those of a lesion of LEAST.
AVERAGE, LEAST = 400, 8


def kind(phantom):
    return KINDS[phantom.seed % len(KINDS)]


@dataclass
class Labels:
    """Of one crop. Tensors are [channels, D, H, W]; what is not `known` may be anything."""

    lesion: torch.Tensor
    known: torch.Tensor
    # Of lesion voxels: a small lesion counts nearly as much as a large one.
    weight: torch.Tensor
    # (channel, low, high) of the boxes that lie wholly in the crop: each of their slices holds some of the lesion.
    boxes: list


def labels(phantom, start, size, bits):
    """What is known of the crop at `start`; `bits` are the labels of its voxels and read for masks only."""
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
        if how == MASKS:
            out.weight[(channel, *inside)] = (AVERAGE / max(voxels, LEAST)) ** 0.5
        else:
            out.known[(channel, *inside)] = False
            if (low[i] >= 0).all() and (high[i] <= size).all():
                out.boxes.append((channel, low[i].tolist(), high[i].tolist()))
    out.weight *= out.lesion
    return out


def mirrored(found):
    """Left and right exchanged. Not the other axes: fluid sinks to the back, air rises to the front."""
    size = found.lesion.shape[-1]
    flip = lambda corner, other: [corner[0], corner[1], size - other[2]]
    boxes = [(c, flip(low, high), flip(high, low)) for c, low, high in found.boxes]
    return Labels(*(t.flip(-1) for t in (found.lesion, found.known, found.weight)), boxes)
