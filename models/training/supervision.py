"""What a training phantom tells of itself: some give masks, some boxes, some only which findings they have, because that
is how real data comes. The loader hides the rest.
"""

from dataclasses import dataclass

import numpy as np

from findings import CHANNELS

MASKS, BOXES, STUDY = "masks", "boxes", "study"
# By seed: half of the phantoms, a quarter, a quarter.
KINDS = (MASKS, MASKS, BOXES, STUDY)


def kind(phantom):
    return KINDS[phantom.seed % len(KINDS)]


@dataclass
class Labels:
    """Of one crop. `lesion` and `known` are [channels, D, H, W]; what is not `known` may be anything."""

    lesion: np.ndarray
    known: np.ndarray
    # (channel, low, high) of the boxes that lie wholly in the crop: each of their slices holds some of the lesion.
    boxes: list


def labels(phantom, start, size, bits):
    """What is known of the crop at `start`; `bits` are the labels of its voxels and read for masks only."""
    shape = (len(CHANNELS),) + (size,) * 3
    how = kind(phantom)
    if how == MASKS:
        shifts = np.arange(len(CHANNELS), dtype=np.uint16)[:, None, None, None]
        return Labels((bits[None] >> shifts & 1).astype(bool), np.ones(shape, bool), [])
    out = Labels(np.zeros(shape, bool), np.ones(shape, bool), [])
    for channel, boxes in enumerate(phantom.boxes):
        if how == STUDY and len(boxes):
            out.known[channel] = False
        elif how == BOXES:
            for low, high in boxes - start:
                inside = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high))
                out.known[(channel, *inside)] = False
                if (low >= 0).all() and (high <= size).all():
                    out.boxes.append((channel, low, high))
    return out


def mirrored(hu, found):
    """Left and right exchanged. Not the other axes: fluid sinks to the back, air rises to the front."""
    size = found.lesion.shape[-1]
    flip = lambda corner, other: np.array([corner[0], corner[1], size - other[2]])
    boxes = [(c, flip(low, high), flip(high, low)) for c, low, high in found.boxes]
    return hu[..., ::-1], Labels(found.lesion[..., ::-1], found.known[..., ::-1], boxes)
