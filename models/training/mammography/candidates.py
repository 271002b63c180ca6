"""Candidates of a case and what the other views say about each: the input of the scorer.

Positions are on the network's map, chest wall at column 0, relative to the nipple as it is found in the picture (the place of the breast
that is farthest from the chest wall), never as the truth has it.
"""

import numpy as np
import torch
from scipy import ndimage

import cases
import network

MM = cases.PIXEL_MM * network.STRIDE
# The best peaks of a view, at least this far from each other.
PEAKS, APART_MM = 6, 8.0
# A lesion is hit by a candidate within its box or this far from its centre.
NEAR_MM = 10.0
# Along the depth, the two views of a breast agree within this; the same place of the other breast, or a year before, lies within these.
DEPTH_MM, MIRROR_MM, PRIOR_MM = 9.0, 20.0, 14.0
# Below this a map says nothing.
FLOOR = -8.0

OWN = ("peak", *(f"own_{k}" for k in cases.KINDS), "grey", "contrast", "behind")
TWO_VIEWS = ("pair_best", *(f"pair_{k}" for k in cases.KINDS), "pair_own", "pair_contrast")
TWO_BREASTS = ("other_best", "other_own", "other_grey", "other_contrast")
PRIOR = ("prior_best", "prior_own", "prior_grey", "prior_contrast")
FEATURES = OWN + TWO_VIEWS + TWO_BREASTS + PRIOR
# What the scorer of each ablation may see.
STAGES = {
    "one view": OWN,
    "two views": OWN + TWO_VIEWS,
    "two breasts": OWN + TWO_VIEWS + TWO_BREASTS,
    "with prior": OWN + TWO_VIEWS + TWO_BREASTS + PRIOR,
}


class Seen:
    """What the network says about one view, and smoothed grey, on the network's map."""

    def __init__(self, view, net):
        self.view = view
        _, rows, columns = view.picture.shape
        padded = np.zeros((2, -(-rows // 16) * 16, -(-columns // 16) * 16), np.float32)
        padded[:, :rows, :columns] = view.picture / np.float32(255)
        logits = net(padded[None])[0]
        step = network.STRIDE
        grey = padded[0].reshape(padded.shape[1] // step, step, -1, step).mean((1, 3))
        self.breast = ndimage.binary_opening(grey > 0.04, iterations=2)
        self.logits = np.where(self.breast, logits, FLOOR).clip(FLOOR, 8.0)
        self.grey = ndimage.gaussian_filter(grey, 3.0 / MM)
        # How far a place stands out of its surroundings.
        self.contrast = self.grey - ndimage.gaussian_filter(grey, 14.0 / MM)
        self.nipple = self.farthest()

    def farthest(self):
        """Column and row of the nipple. Of an oblique view the lower part alone: above lies the armpit."""
        front = np.where(self.breast, np.arange(self.breast.shape[1]), 0).max(1)
        if self.view.projection == "mlo":
            front[: int(0.45 * len(front))] = 0
        column = int(front.max())
        return float(column), float(np.mean(np.nonzero(front >= column - 1)[0]))

    def peaks(self):
        best = self.logits.max(0)
        size = 2 * int(APART_MM / MM / 2) + 1
        top = (best == ndimage.maximum_filter(best, size)) & self.breast & (best > FLOOR)
        rows, columns = np.nonzero(top)
        order = np.argsort(-best[rows, columns])[:PEAKS]
        return [(int(rows[i]), int(columns[i])) for i in order]

    def hit(self, row, column):
        """Id of the lesion that a place belongs to; None for none."""
        x, y = ((v + 0.5) * network.STRIDE - 0.5 for v in (column, row))
        for _, cx, cy, wide, high, ident in self.view.lesions:
            near = NEAR_MM / cases.PIXEL_MM
            if abs(x - cx) <= max(wide, near) and abs(y - cy) <= max(high, near):
                return ident
        return None

    def around(self, behind, aside, reach_mm, kind):
        """The most lesion-like within a distance of a place given relative to the nipple: best logit, of one kind, grey, contrast."""
        rows, columns = self.breast.shape
        column, row = self.nipple[0] - behind, self.nipple[1] + aside
        y, x = np.ogrid[:rows, :columns]
        near = ((x - column) ** 2 + (y - row) ** 2 <= (reach_mm / MM) ** 2) & self.breast
        return self.most(near, kind)

    def band(self, behind, kind):
        """The same within a band at one distance behind the nipple."""
        columns = np.arange(self.breast.shape[1])
        near = self.breast & (np.abs(self.nipple[0] - columns - behind) <= DEPTH_MM / MM)[None]
        return self.most(near, kind)

    def most(self, near, kind):
        if not near.any():
            return [FLOOR] * (len(cases.KINDS) + 2) + [0.0, 0.0]
        kinds = self.logits[:, near].max(1)
        return [kinds.max(), *kinds, kinds[kind], self.grey[near].max(), self.contrast[near].max()]


def rows_of(case, prior, net):
    """Every candidate of a case: features [number, FEATURES], and (view, row, column, lesion id or None). `net` takes and gives numpy arrays."""
    seen = [Seen(v, net) for v in case.views]
    before = [Seen(v, net) for v in prior.views] if prior else None
    features, places = [], []
    for index, here in enumerate(seen):
        partner, mirror = seen[(index + 2) % 4], seen[index ^ 1]
        for row, column in here.peaks():
            logits = here.logits[:, row, column]
            kind = int(logits.argmax())
            behind, aside = here.nipple[0] - column, row - here.nipple[1]
            contrast, grey = here.contrast[row, column], here.grey[row, column]
            own = [logits.max(), *logits, grey, contrast, behind * MM / 50]
            pair = partner.band(behind, kind)
            pair = pair[:6] + [pair[7]]
            best, *_, same, bright, stands = mirror.around(behind, aside, MIRROR_MM, kind)
            other = [best, same, grey - bright, contrast - stands]
            if before:
                best, *_, same, bright, stands = before[index].around(behind, aside, PRIOR_MM, kind)
                past = [best, same, grey - bright, contrast - stands]
            else:
                past = [0.0] * len(PRIOR)
            features.append(own + pair + other + past)
            places.append((index, row, column, here.hit(row, column)))
    return np.array(features, np.float32).reshape(-1, len(FEATURES)), places


def density(case, net=None):
    """Numbers from which the class of density is told: the grey of all views within the breast."""
    parts = []
    for v in case.views:
        grey = v.picture[0][::2, ::2].astype(np.float32) / 255
        inside = ndimage.binary_erosion(grey > 0.04, iterations=8)
        # The muscle is not gland: the upper part of an oblique view at the chest wall is left out.
        if v.projection == "mlo":
            rows, columns = inside.shape
            y, x = np.ogrid[:rows, :columns]
            inside = inside & (x / (0.45 * columns) + y / (0.62 * rows) > 1)
        values = grey[inside] if inside.any() else np.zeros(1, np.float32)
        low = np.quantile(values, 0.08)
        parts.append([values.mean() - low, values.std(), np.mean(values > low + 0.12), np.mean(values > low + 0.25), inside.mean(), *(np.quantile(values, q) - low for q in (0.3, 0.5, 0.7, 0.9))])
    return np.mean(parts, 0)


def runner(net):
    """A PyTorch network as a function of numpy arrays."""

    @torch.no_grad()
    def run(given):
        return net(torch.from_numpy(given)).numpy()

    return run
