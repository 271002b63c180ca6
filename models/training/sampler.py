"""Draws crops: around lesions of each channel in turn, anywhere, and where the network was wrong before."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

import network
import supervision
from findings import CHANNELS

CROP = 64
# Voxels at each face that are only seen, not judged: at the edge the network lacks context, and the loss costs as much as it.
RIM = 8
INNER = CROP - 2 * RIM
# Crops of a batch: two around lesions and one elsewhere that have masks, one that has boxes or a study label only.
BATCH = 4
# Largest distance of a crop's centre from the place it is drawn for, voxels.
JITTER = 16
# Points of a box that are tried: a crescent fills little of its own.
TRIES = 50
# How often each channel's turn comes; once where nothing is said. Broken ribs look most like what they are not.
OFTEN = {"rib_fracture": 9, "coronary_calcification": 3, "consolidation": 2, "pneumothorax": 2}
TURNS = tuple(i for i, c in enumerate(CHANNELS) for _ in range(OFTEN.get(c.name, 1)))
# Has no divisor in common with their number: equal ones do not follow each other.
STRIDE = 7
# Edge of the blocks in which the network's worst mistakes are remembered.
BLOCK = 4


@dataclass
class Batch:
    image: torch.Tensor
    # All [N, channels, D, H, W], without the rim.
    lesion: torch.Tensor
    known: torch.Tensor
    # Known and no lesion.
    empty: torch.Tensor
    weight: torch.Tensor
    # (crop, channel, low, high), without the rim.
    boxes: list
    # (phantom, first voxel within the rim, mirrored) of each crop.
    places: list


def inner(output):
    """An output of the network without the rim."""
    return output[..., RIM:-RIM, RIM:-RIM, RIM:-RIM].contiguous()


class Sampler:
    def __init__(self, found, seed):
        self.rng = np.random.default_rng(seed)
        self.turn = 0
        self.hard = []
        self.take(found)

    def take(self, found):
        """The phantoms to draw from, from now on."""
        self.by_kind = {k: [p for p in found if supervision.kind(p) == k] for k in supervision.KINDS}
        self.by_channel = {
            k: [[p for p in some if len(p.boxes[c])] for c in range(len(CHANNELS))] for k, some in self.by_kind.items()
        }
        self.all = found

    def draw(self):
        hus, labels, places = [], [], []
        for i in range(BATCH):
            phantom, centre = self.place(i)
            start = phantom.start(centre, CROP)
            hu, bits = phantom.crop(start, CROP)
            start = start + RIM
            found = supervision.labels(phantom, start, INNER, bits[RIM:-RIM, RIM:-RIM, RIM:-RIM])
            mirrored = bool(self.rng.random() < 0.5)
            if mirrored:
                hu, found = supervision.mirrored(hu, found)
            hus.append(self.varied(hu))
            labels.append(found)
            places.append((phantom, start, mirrored))
        self.turn += 1
        stack = lambda arrays: torch.from_numpy(np.stack(arrays))
        return Batch(
            image=network.scaled(stack(hus)[:, None]),
            lesion=stack([f.lesion for f in labels]),
            known=stack([f.known for f in labels]),
            empty=stack([f.known & ~f.lesion for f in labels]),
            weight=stack([weights(f.lesion) for f in labels]),
            boxes=[(n, *box) for n, f in enumerate(labels) for box in f.boxes],
            places=places,
        )

    def varied(self, hu):
        """Calibration and dose differ between scanners."""
        shift, noise = self.rng.normal(0, 6), self.rng.uniform(0, 12)
        return hu.astype(np.float32) + np.float32(shift) + self.rng.standard_normal(hu.shape, np.float32) * np.float32(noise)

    def place(self, i):
        if i < 2:
            return self.around(supervision.MASKS, TURNS[(2 * self.turn + i) * STRIDE % len(TURNS)])
        if i == 2:
            if len(self.hard) >= 20 and self.turn % 4:
                phantom, centre = self.hard[self.rng.integers(len(self.hard))]
                return phantom, centre + self.jitter()
            return self.anywhere(self.by_kind[supervision.MASKS])
        if self.turn % 2:
            return self.around(supervision.BOXES, TURNS[self.turn // 2 * STRIDE % len(TURNS)])
        return self.anywhere(self.by_kind[supervision.STUDY])

    def jitter(self):
        return self.rng.integers(-JITTER, JITTER + 1, 3)

    def around(self, kind, channel):
        """Near a random point of a random lesion; of its box, where there are no masks."""
        some = self.by_channel[kind][channel]
        if not some:
            return self.anywhere(self.by_kind[kind])
        phantom = some[self.rng.integers(len(some))]
        boxes = phantom.boxes[channel]
        low, high = boxes[self.rng.integers(len(boxes))]
        for _ in range(TRIES):
            at = self.rng.integers(low, high)
            if kind != supervision.MASKS or phantom.labels[tuple(at)] >> channel & 1:
                break
        return phantom, at + self.jitter()

    def anywhere(self, some):
        some = some or self.all
        phantom = some[self.rng.integers(len(some))]
        return phantom, self.rng.integers(0, phantom.hu.shape)

    def learn(self, batch, probability):
        """Remembers where a block that is known to be empty, and its neighbours too, came out brighter than 0.3."""
        pool = torch.nn.functional.max_pool3d
        taken = pool((batch.lesion | ~batch.known).float(), BLOCK)
        taken = pool(taken, 3, stride=1, padding=1)
        bright = pool(probability, BLOCK).masked_fill(taken > 0, 0).amax(1)
        for worst, (phantom, start, mirrored) in zip(bright.numpy(), batch.places):
            if worst.max() > 0.3:
                at = np.array(np.unravel_index(worst.argmax(), worst.shape)) * BLOCK + BLOCK // 2
                at[2] = INNER - 1 - at[2] if mirrored else at[2]
                self.hard.append((phantom, start + at))
        self.hard = self.hard[-400:]


def weights(lesion):
    """Weight of each lesion voxel: a small lesion counts nearly as much as a large one."""
    out = np.zeros(lesion.shape, np.float32)
    for channel in np.flatnonzero(lesion.any((1, 2, 3))):
        marks, count = ndimage.label(lesion[channel])
        sizes = np.bincount(marks.ravel(), minlength=count + 1)
        by_mark = np.sqrt(400.0 / np.maximum(sizes, 8))
        by_mark[0] = 0
        out[channel] = by_mark[marks]
    return out
