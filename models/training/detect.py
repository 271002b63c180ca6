"""Finding nodules in a volume the way the engine does: patches, mask, components. Used to choose thresholds only; the
figures in the card come from the engine itself.
"""

import numpy as np
import torch
from scipy import ndimage

import network
import phantoms

PATCH, OVERLAP = 96, 24
# Voxels around the lungs that are looked at.
MARGIN = 8
OUTSIDE_LUNG_MM = 3.0


def starts(extent):
    """First voxels of the patches along one axis; neighbours share at least OVERLAP voxels."""
    if extent <= PATCH:
        return [0]
    count = -(-(extent - OVERLAP) // (PATCH - OVERLAP))
    return [round(i * (extent - PATCH) / (count - 1)) for i in range(count)]


def probability(net, hu):
    """Probability of every voxel; where patches overlap, each voxel is taken from the patch it lies deepest in."""
    shape = hu.shape
    padded = np.pad(hu, [(0, max(PATCH - s, 0)) for s in shape], constant_values=-1000)
    out = np.zeros(padded.shape, np.float32)
    depth_of = np.zeros(padded.shape, np.int8)
    edge = np.minimum(np.arange(PATCH), np.arange(PATCH)[::-1])
    inner = np.minimum(np.minimum(edge[:, None, None], edge[None, :, None]), edge[None, None, :]).astype(np.int8) + 1
    for z in starts(padded.shape[0]):
        for y in starts(padded.shape[1]):
            for x in starts(padded.shape[2]):
                box = (slice(z, z + PATCH), slice(y, y + PATCH), slice(x, x + PATCH))
                with torch.no_grad():
                    image = network.scaled(torch.from_numpy(padded[box].astype(np.float32)))[None, None]
                    found = torch.sigmoid(net(image))[0, 0].numpy()
                better = inner > depth_of[box]
                out[box][better] = found[better]
                depth_of[box][better] = inner[better]
    return out[tuple(slice(0, s) for s in shape)]


def in_lungs(net, phantom):
    """Probability within the box around the lungs (zero outside), and the lungs."""
    lung = (phantom.labels & phantoms.LUNG) > 0
    box = tuple(slice(max(s.start - MARGIN, 0), s.stop + MARGIN) for s in ndimage.find_objects(lung.astype(np.uint8))[0])
    prob = np.zeros(lung.shape, np.float32)
    prob[box] = probability(net, phantom.hu[box])
    return prob, lung


def components(prob, lung, mask_threshold):
    """Candidates: centre (depth, row, column), diameter (mm, of the sphere of the same volume), highest probability."""
    # As the engine: beyond the rim of the lungs nothing is believed.
    rim = ndimage.binary_dilation(lung, iterations=round(OUTSIDE_LUNG_MM / network.SPACING_MM))
    marks, _ = ndimage.label((prob >= mask_threshold) & rim)
    found = []
    for number, box in enumerate(ndimage.find_objects(marks), 1):
        where = marks[box] == number
        volume = where.sum() * network.SPACING_MM**3
        centre = [c + b.start for c, b in zip(ndimage.center_of_mass(where), box)]
        found.append((np.array(centre), (6 * volume / np.pi) ** (1 / 3), float(prob[box][where].max())))
    return found


def match(found, phantom):
    """Pairs candidates with planted nodules: the centre lies inside one (within 4 mm of the centre of a small one).

    Returns the indices of the hit nodules and the number of candidates that are none.
    """
    hits, false = set(), 0
    for centre, _, _ in found:
        near = [
            i
            for i, (c, n) in enumerate(zip(phantom.centres, phantom.nodules))
            if np.linalg.norm(centre - c) * network.SPACING_MM <= max(n["diameter_mm"] / 2, 4.0)
        ]
        hits.update(near)
        false += not near
    return hits, false
