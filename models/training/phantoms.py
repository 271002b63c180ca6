"""Training volumes on disk (made by `phantom volume`): loading, seed ranges, crops."""

import json
import pathlib

import numpy as np

import network

# Seeds below are disjoint by construction; `check` refuses a folder that mixes them.
TRAINING_SEEDS = range(1_000_000, 1_900_000)
VALIDATION_SEEDS = range(1_900_000, 2_000_000)
EVALUATION_SEEDS = range(2_000_000, 3_000_000)
LUNG = 128


class Phantom:
    """One volume: HU and labels as memory maps [depth, rows, columns], and the planted truth."""

    def __init__(self, path):
        facts = json.loads(path.read_text())
        assert facts["spacing_mm"] == network.SPACING_MM, f"{path}: made for another spacing"
        self.seed = facts["truth"]["seed"]
        self.hu = np.load(path.with_suffix(".npy"), mmap_mode="r")
        self.labels = np.load(path.with_name(f"{self.seed}-labels.npy"), mmap_mode="r")
        self.nodules = facts["truth"]["nodules"]
        self.centres = [self.to_voxel(n["centre_mm"], facts["origin_mm"]) for n in self.nodules]
        self.origin_mm = facts["origin_mm"]

    @staticmethod
    def to_voxel(mm, origin):
        """x, y, z in mm to fractional depth, row, column."""
        return np.array([(mm[a] - origin[a]) / network.SPACING_MM for a in (2, 1, 0)])

    def crop(self, centre, size):
        """HU (air beyond the edge) and labels of a cube of `size` voxels around `centre`."""
        start = np.round(np.asarray(centre) - size / 2).astype(int)
        hu = np.full((size,) * 3, -1000, np.int16)
        labels = np.zeros((size,) * 3, np.uint8)
        low = np.maximum(start, 0)
        high = np.minimum(start + size, self.hu.shape)
        source = tuple(slice(a, b) for a, b in zip(low, high))
        target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start))
        hu[target] = self.hu[source]
        labels[target] = self.labels[source]
        return hu, labels

    def lung_voxel(self, rng):
        """Depth, row, column of a random lung voxel."""
        for _ in range(200):
            at = rng.integers(0, self.hu.shape)
            if self.labels[tuple(at)] & LUNG:
                return at
        return np.array(self.hu.shape) // 2


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


def flipped(rng, *arrays):
    """The same random flips and in-plane turn for all arrays (no axis of the chest is sacred to a nodule)."""
    axes = [a for a in range(3) if rng.random() < 0.5]
    turn = rng.random() < 0.5
    out = []
    for a in arrays:
        a = np.flip(a, axes)
        out.append(a.transpose(0, 2, 1) if turn else a)
    return out
