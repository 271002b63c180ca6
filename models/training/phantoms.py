"""Volumes on disk (made by `phantom volume`): loading, seed ranges, where the findings lie.

    python phantoms.py FOLDER    finds the lesions of every phantom there; what loads it later need not
"""

import json
import pathlib
import sys

import numpy as np
from scipy import ndimage

from findings import CHANNELS, SPACING_MM

# These ranges are disjoint; `check` asserts that, and refuses a folder with seeds of another range.
TRAINING_SEEDS = range(1_000_000, 1_900_000)
VALIDATION_SEEDS = range(1_900_000, 2_000_000)
EVALUATION_SEEDS = range(2_000_000, 3_000_000)
# Parts of one channel whose distance is at most twice this are one lesion, because emphysema consists of thousands of holes.
MERGE_VOXELS = 2


class Phantom:
    """One volume: HU and labels as memory maps [depth, rows, columns], the planted truth, where its lesions lie."""

    def __init__(self, path):
        facts = json.loads(path.read_text())
        assert facts["spacing_mm"] == SPACING_MM, f"{path}: made for another spacing"
        self.truth = facts["truth"]
        self.seed = self.truth["seed"]
        self.origin_mm = facts["origin_mm"]
        # Copy on write: nothing writes to it.
        self.hu = np.load(path.with_suffix(".npy"), mmap_mode="c")
        self.labels = np.load(path.with_name(f"{self.seed}-labels.npy"), mmap_mode="c")
        self.lesions = self.listed(path.with_name(f"{self.seed}-lesions.npy"))

    def listed(self, path):
        """Every lesion: channel, voxels, then its box: low and high (excluded) depth, row, column. Stored in a file beside the volume."""
        if not path.exists():
            found = [(c, *lesion) for c in range(len(CHANNELS)) for lesion in lesions(self.labels, c)]
            np.save(path, np.array(found, np.int64).reshape(-1, 8))
        return np.load(path)

    def boxes(self, channel):
        """[number, (low, high), (depth, row, column)]"""
        return self.lesions[self.lesions[:, 0] == channel, 2:].reshape(-1, 2, 3)

    def to_voxel(self, mm):
        """x, y, z in mm to fractional depth, row, column."""
        return np.array([(mm[a] - self.origin_mm[a]) / SPACING_MM for a in (2, 1, 0)])

    def start(self, centre, size):
        """First voxel of the cube of `size` voxels around `centre`, moved into the volume."""
        low = np.round(np.asarray(centre) - size / 2).astype(int)
        return np.clip(low, 0, np.maximum(np.array(self.hu.shape) - size, 0))


def lesions(labels, channel):
    """(voxels, low depth, row, column, high depth, row, column) of each lesion, high excluded."""
    mask = (labels >> channel & 1).astype(bool)
    outer = ndimage.find_objects(mask.astype(np.uint8))
    if not outer:
        return []
    mask = np.pad(mask[outer[0]], MERGE_VOXELS)
    near = ndimage.maximum_filter(mask, 2 * MERGE_VOXELS + 1)
    marks = ndimage.label(near, np.ones((3, 3, 3)))[0] * mask
    corner = np.array([s.start - MERGE_VOXELS for s in outer[0]])
    voxels = np.bincount(marks.ravel())
    found = [(voxels[i + 1], box) for i, box in enumerate(ndimage.find_objects(marks)) if box]
    ends = lambda box: tuple(c + b.start for c, b in zip(corner, box)) + tuple(c + b.stop for c, b in zip(corner, box))
    return [(count, *ends(box)) for count, box in found]


def load(folder, seeds, known=()):
    """All phantoms of a folder, in the order of seeds; those in `known` are not read again."""
    known = {p.seed: p for p in known}
    paths = sorted(pathlib.Path(folder).glob("*.json"))
    found = [known.get(int(p.stem)) or Phantom(p) for p in paths]
    check(found, seeds)
    return found


def check(found, seeds):
    assert not set(TRAINING_SEEDS) & set(EVALUATION_SEEDS), "training and evaluation seeds overlap"
    assert not set(VALIDATION_SEEDS) & set(EVALUATION_SEEDS), "validation and evaluation seeds overlap"
    assert not set(TRAINING_SEEDS) & set(VALIDATION_SEEDS), "training and validation seeds overlap"
    strangers = [p.seed for p in found if p.seed not in seeds]
    assert not strangers, f"seeds {strangers[:5]} do not belong to {seeds}"


if __name__ == "__main__":
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        Phantom(path)
