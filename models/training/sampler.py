"""Draws crops: around lesions of each channel in turn, at random places, and where the network was wrong before."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

import network
import supervision
import thickness
from findings import CHANNELS

CROP = 64
# Voxels at each face that are input only and not part of the loss: at the edge the network lacks context, and computing the loss takes as
# much time as the network.
RIM = 8
INNER = CROP - 2 * RIM
# Of four crops in a batch, two are around lesions and one is elsewhere, all three with masks; one has only boxes or a study label.
FOUR = 4
# Largest distance of a crop's centre from the place for which it is drawn, voxels.
JITTER = 16
# How many points of a box are tried: a crescent fills only a small part of its box.
TRIES = 50
# How often a channel is drawn in each round; once when not listed. Rib fractures more often, because they are the hardest to
# distinguish from other things.
OFTEN = {"rib_fracture": 9, "nodule": 3, "coronary_calcification": 3, "consolidation": 2, "pneumothorax": 2}
TURNS = tuple(i for i, c in enumerate(CHANNELS) for _ in range(OFTEN.get(c.name, 1)))
# Has no common divisor with their number, so that the same channel is not drawn twice in a row.
STRIDE = 7
# Edge of the blocks in which the network's worst mistakes are remembered, and how many mistakes.
BLOCK, REMEMBERED = 4, 2000
AIR_HU = -1000


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
    # For each crop: whether the labels of all of its voxels are known.
    whole: list


def inner(output):
    """An output of the network without the rim."""
    return output[..., RIM:-RIM, RIM:-RIM, RIM:-RIM].contiguous()


def crop(volume, start, size, outside):
    """The cube of `size` voxels from `start` on; `outside` beyond the volume."""
    part = volume[tuple(slice(int(a), int(a) + size) for a in start)]
    missing = [size - n for n in part.shape]
    return functional.pad(part, (0, missing[2], 0, missing[1], 0, missing[0]), value=outside) if any(missing) else part


class Sampler:
    """Volumes, crops and labels stay on `device`; which crops are drawn depends on `seed` only. `thick`: most crops are shown as thicker
    slices and other kernels would show them."""

    def __init__(self, found, seed, device="cpu", thick=True):
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator(device).manual_seed(seed)
        self.device = device
        self.thick = thick
        self.volumes = {}
        self.turn = 0
        self.hard = []
        self.take(found)

    def take(self, found):
        """Sets the phantoms from which crops are drawn from now on."""
        for p in found:
            if p.seed not in self.volumes:
                arrays = p.hu, p.labels.view(np.int16)
                self.volumes[p.seed] = tuple(torch.from_numpy(a).to(self.device) for a in arrays)
        self.by_kind = {k: [p for p in found if supervision.kind(p) == k] for k in supervision.KINDS}
        self.by_channel = {
            k: [[p for p in some if c in p.lesions[:, 0]] for c in range(len(CHANNELS))] for k, some in self.by_kind.items()
        }
        self.all = found

    def draw(self, crops=FOUR):
        hus, labels, places = [], [], []
        for i in range(crops):
            phantom, centre = self.place(i % FOUR)
            start = phantom.start(centre, CROP)
            hu, bits = self.volumes[phantom.seed]
            hu = crop(hu, start, CROP, AIR_HU).float()
            start = start + RIM
            slices = thickness.drawn(self.rng) if self.thick else (0, 0)
            least_mm = thickness.LEAST_PART * max(slices)
            found = supervision.labels(phantom, start, INNER, crop(bits, start, INNER, 0), least_mm)
            mirrored = bool(self.rng.random() < 0.5)
            if mirrored:
                hu, found = hu.flip(-1), supervision.mirrored(found)
            if self.thick:
                hu = thickness.kernel(thickness.thick(hu, slices, self.rng), self.rng)
            hus.append(self.varied(hu))
            labels.append(found)
            places.append((phantom, start, mirrored))
            self.turn += i % FOUR == FOUR - 1
        stack = lambda name: torch.stack([getattr(found, name) for found in labels])
        known, lesion = stack("known"), stack("lesion")
        return Batch(
            image=network.scaled(torch.stack(hus)[:, None]),
            lesion=lesion,
            known=known,
            empty=known & ~lesion,
            weight=stack("weight"),
            boxes=[(n, *box) for n, found in enumerate(labels) for box in found.boxes],
            places=places,
            whole=[supervision.kind(phantom) == supervision.MASKS for phantom, _, _ in places],
        )

    def varied(self, hu):
        """Random shift and noise, because calibration and dose differ between scanners."""
        shift, noise = self.rng.normal(0, 6), self.rng.uniform(0, 12)
        return hu + shift + noise * torch.randn(hu.shape, generator=self.noise, device=self.device)

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
        """A place near a random point of a random lesion, or of its box when there are no masks."""
        some = self.by_channel[kind][channel]
        if not some:
            return self.anywhere(self.by_kind[kind])
        phantom = some[self.rng.integers(len(some))]
        boxes = phantom.boxes(channel)
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
        """Remembers blocks that are known to be empty, with empty neighbours, in which the probability exceeds 0.3."""
        pool = functional.max_pool3d
        taken = pool((batch.lesion | ~batch.known).float(), BLOCK)
        taken = pool(taken, 3, stride=1, padding=1)
        bright = pool(probability, BLOCK).masked_fill(taken > 0, 0).amax(1)
        worst, where = (t.tolist() for t in bright.flatten(1).max(1))
        for brightness, index, (phantom, start, mirrored) in zip(worst, where, batch.places):
            if brightness > 0.3:
                at = np.array(np.unravel_index(index, bright.shape[1:])) * BLOCK + BLOCK // 2
                at[2] = INNER - 1 - at[2] if mirrored else at[2]
                self.hard.append((phantom, start + at))
        self.hard = self.hard[-REMEMBERED:]
