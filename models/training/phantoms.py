"""Volumes on disk (made by `phantom volume`): loading, seed ranges, where the findings lie, crops."""

import json
import pathlib

import numpy as np
from scipy import ndimage

import network
from findings import CHANNELS

# Seeds below are disjoint by construction; `check` refuses a folder that mixes them.
TRAINING_SEEDS = range(1_000_000, 1_900_000)
VALIDATION_SEEDS = range(1_900_000, 2_000_000)
EVALUATION_SEEDS = range(2_000_000, 3_000_000)
# Parts of one channel within twice this of each other are one lesion: emphysema is thousands of holes.
MERGE_VOXELS = 2


class Phantom:
    """One volume: HU and labels as memory maps [depth, rows, columns], the planted truth, a box around each lesion."""

    def __init__(self, path):
        facts = json.loads(path.read_text())
        assert facts["spacing_mm"] == network.SPACING_MM, f"{path}: made for another spacing"
        self.truth = facts["truth"]
        self.seed = self.truth["seed"]
        self.origin_mm = facts["origin_mm"]
        self.hu = np.load(path.with_suffix(".npy"), mmap_mode="r")
        self.labels = np.load(path.with_name(f"{self.seed}-labels.npy"), mmap_mode="r")
        self.boxes = self.boxed(path.with_name(f"{self.seed}-boxes.npy"))

    def boxed(self, path):
        """For each channel the lesions' boxes, [number, (low, high), (depth, row, column)]; kept beside the volume."""
        if not path.exists():
            found = [(c, *corners) for c in range(len(CHANNELS)) for corners in lesion_boxes(self.labels, c)]
            np.save(path, np.array(found, np.int32).reshape(-1, 7))
        table = np.load(path)
        return [table[table[:, 0] == c, 1:].reshape(-1, 2, 3) for c in range(len(CHANNELS))]

    def to_voxel(self, mm):
        """x, y, z in mm to fractional depth, row, column."""
        return np.array([(mm[a] - self.origin_mm[a]) / network.SPACING_MM for a in (2, 1, 0)])

    def start(self, centre, size):
        """First voxel of the cube of `size` voxels around `centre`, moved into the volume."""
        low = np.round(np.asarray(centre) - size / 2).astype(int)
        return np.clip(low, 0, np.maximum(np.array(self.hu.shape) - size, 0))

    def crop(self, start, size):
        """HU (air beyond the edge) and labels of a cube."""
        hu = np.full((size,) * 3, -1000, np.int16)
        labels = np.zeros((size,) * 3, np.uint16)
        high = np.minimum(start + size, self.hu.shape)
        source = tuple(slice(a, b) for a, b in zip(start, high))
        target = tuple(slice(0, b - a) for a, b in zip(start, high))
        hu[target] = self.hu[source]
        labels[target] = self.labels[source]
        return hu, labels


def lesion_boxes(labels, channel):
    """Tight boxes, as (low depth, row, column, high depth, row, column), high excluded."""
    mask = (labels >> channel & 1).astype(bool)
    outer = ndimage.find_objects(mask.astype(np.uint8))
    if not outer:
        return []
    mask = np.pad(mask[outer[0]], MERGE_VOXELS)
    near = ndimage.maximum_filter(mask, 2 * MERGE_VOXELS + 1)
    marks, _ = ndimage.label(near, np.ones((3, 3, 3)))
    corner = np.array([s.start - MERGE_VOXELS for s in outer[0]])
    boxes = [box for box in ndimage.find_objects(marks * mask) if box]
    return [tuple(c + b.start for c, b in zip(corner, box)) + tuple(c + b.stop for c, b in zip(corner, box)) for box in boxes]


def load(folder, seeds):
    """Every phantom of a folder, in the order of seeds."""
    found = [Phantom(p) for p in sorted(pathlib.Path(folder).glob("*.json"))]
    check(found, seeds)
    return found


def check(found, seeds):
    assert not set(TRAINING_SEEDS) & set(EVALUATION_SEEDS), "training and evaluation seeds overlap"
    assert not set(VALIDATION_SEEDS) & set(EVALUATION_SEEDS), "validation and evaluation seeds overlap"
    assert not set(TRAINING_SEEDS) & set(VALIDATION_SEEDS), "training and validation seeds overlap"
    strangers = [p.seed for p in found if p.seed not in seeds]
    assert not strangers, f"seeds {strangers[:5]} do not belong to {seeds}"
