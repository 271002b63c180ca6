"""Cases on disk (made by `phantom mammography cases`): pictures, truth, seed ranges.

A view is turned so that the chest wall is at column 0, for both breasts: the two become mirror images, as radiologists hang them.
"""

import json
import pathlib

import numpy as np

# These ranges are disjoint; `load` refuses a folder with seeds of another range.
TRAINING_SEEDS = range(1_000_000, 1_900_000)
VALIDATION_SEEDS = range(1_900_000, 2_000_000)
EVALUATION_SEEDS = range(2_000_000, 3_000_000)

# The order of the channels of the network.
KINDS = ("mass", "calcifications", "asymmetry", "distortion")
PIXEL_MM = 0.4
# The order of the views of a case.
VIEWS = (("right", "cc"), ("left", "cc"), ("right", "mlo"), ("left", "mlo"))


class View:
    """One picture: uint8 [2, rows, columns], grey and fine detail, chest wall at column 0; lesions as (kind, column, row, half width, half height)."""

    def __init__(self, picture, truth, kinds):
        assert abs(truth["pixel_mm"] - PIXEL_MM) < 1e-3, "made for another pixel size"
        turn = truth["chest_wall_on_right"]
        self.picture = picture[:, :, ::-1] if turn else picture
        self.side, self.projection = truth["side"], truth["projection"]
        columns = truth["columns"]
        self.nipple = self.turned(truth["nipple"], columns, turn)
        self.lesions = []
        for lesion in truth["lesions"]:
            left, top, right, bottom = lesion["box"]
            column, row = self.turned(lesion["centre"], columns, turn)
            self.lesions.append((KINDS.index(kinds[lesion["id"]]), column, row, (right - left) / 2, (bottom - top) / 2, lesion["id"]))

    @staticmethod
    def turned(point, columns, turn):
        return (columns - 1 - point[0] if turn else point[0], point[1])


class Case:
    def __init__(self, path):
        self.truth = json.loads(path.read_text())
        self.seed = self.truth["woman"]["seed"]
        self.density = "ABCD".index(self.truth["woman"]["density"])
        pictures = np.load(path.with_suffix(".npy"), mmap_mode="r")
        kinds = {l["id"]: l["kind"] for l in self.truth["lesions"]}
        self.views = [View(p, t, kinds) for p, t in zip(pictures, self.truth["views"])]
        # A lesion counts where at least one view shows it.
        shown = {(v.side, l[5]) for v in self.views for l in v.lesions}
        self.lesions = sorted(shown)


def load(folder, seeds, prior=False):
    """All cases of a folder in the order of seeds, or their prior examinations."""
    paths = [p for p in sorted(pathlib.Path(folder).glob("*.json")) if p.stem.endswith("-prior") == prior]
    found = [Case(p) for p in paths]
    strangers = [c.seed for c in found if c.seed not in seeds]
    assert not strangers, f"seeds {strangers[:5]} do not belong to {seeds}"
    return found
