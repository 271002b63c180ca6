"""From the network's map to lesions and alarms, nearly as in the daemon: mask, components, tracks. Used to choose thresholds
only.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage

import clips
from channels import LESION

# Components smaller than this are noise, pixels of the map.
LEAST_PIXELS = 4
# A track continues over this many missing frames, and raises an alarm after CONFIRMED hits in the last WINDOW frames.
GAP, CONFIRMED, WINDOW = 2, 3, 5
# Two boxes with at least this intersection over union are the same lesion.
SAME = 0.2


@torch.no_grad()
def maps(net, clip, device="cpu", batch=50):
    """Probabilities of all frames, float16 [number, 9, 128, 128]."""
    images = torch.from_numpy(clip.images).to(device)
    parts = [torch.sigmoid(net(clips.scaled(images[i : i + batch]))).half().cpu().numpy() for i in range(0, len(images), batch)]
    return np.concatenate(parts)


@dataclass
class Candidate:
    frame: int
    # Left, top, right, bottom, pixels of the map.
    box: tuple
    peak: float
    area_mm2: float
    # Mean of each channel over the mask.
    means: np.ndarray
    # ID of the planted lesion at this place, or None.
    lesion: int | None


@dataclass
class Track:
    hits: list = field(default_factory=list)

    @property
    def alarm(self):
        frames = [h.frame for h in self.hits]
        return any(last - first < WINDOW for first, last in zip(frames, frames[CONFIRMED - 1 :]))

    @property
    def lesions(self):
        """The lesions on which more than half of the hits are; empty for a false alarm."""
        on = [h.lesion for h in self.hits if h.lesion is not None]
        return set(on) if 2 * len(on) > len(self.hits) else set()


def candidates(clip, frame, probability, mask):
    """Components of one frame [9, 128, 128]."""
    marks, _ = ndimage.label(probability[LESION] >= mask)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(marks), 1):
        inside = marks[rows, columns] == number
        pixels = np.count_nonzero(inside)
        if pixels < LEAST_PIXELS:
            continue
        part = probability[:, rows, columns][:, inside].astype(np.float32)
        box = (columns.start, rows.start, columns.stop, rows.stop)
        area = pixels * clip.mm_per_pixel**2
        found.append(Candidate(frame, box, float(part[LESION].max()), area, part.mean(1), on(clip, frame, box)))
    return found


def on(clip, frame, box):
    """The lesion whose box overlaps most, of those that overlap enough or contain the centre of the candidate."""
    best = (0.0, None)
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    for lesion in clip.truth["frames"][frame]["lesions"]:
        b = clip.box(lesion)
        holds = b[0] <= middle[0] <= b[2] and b[1] <= middle[1] <= b[3]
        alike = overlap(box, b) + holds
        if holds or alike > SAME:
            best = max(best, (alike, lesion["id"]), key=lambda p: p[0])
    return best[1]


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
    return both / max(area(a) + area(b) - both, 1e-6)


def tracks(frames):
    """Links the candidates of successive frames; pairs with the largest overlap first."""
    open_, done = [], []
    for number, found in enumerate(frames):
        done += [t for t in open_ if number - t.hits[-1].frame > GAP + 1]
        open_ = [t for t in open_ if number - t.hits[-1].frame <= GAP + 1]
        pairs = [(overlap(t.hits[-1].box, c.box), i, j) for i, t in enumerate(open_) for j, c in enumerate(found)]
        taken_tracks, taken = set(), set()
        for alike, i, j in sorted(pairs, reverse=True):
            if alike > SAME and i not in taken_tracks and j not in taken:
                open_[i].hits.append(found[j])
                taken_tracks.add(i)
                taken.add(j)
        open_ += [Track([c]) for j, c in enumerate(found) if j not in taken]
    return done + open_
