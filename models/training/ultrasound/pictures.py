"""Real pictures on disk: a folder with `labels.csv`, `NAME.png` (8-bit grey) and `NAME-mask.png` (1 bit, where a lesion is outlined).

Columns of labels.csv that are read: name, label (normal, benign, malignant), fold, label_conflict. Near duplicates share a fold. Where
two labels contradict each other nothing is learnt about malignancy.
"""

import csv
import pathlib
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from channels import CHANNELS, LESION, MALIGNANT

# Longer side of a picture in the store, pixels.
EDGE = 320


@dataclass
class Picture:
    name: str
    label: str
    fold: int
    conflict: bool
    # uint8 [rows, columns] grey; bool of the same shape, the outlined lesions.
    grey: np.ndarray
    mask: np.ndarray


def load(folder):
    """All pictures of a folder, in the order of its list."""
    folder = pathlib.Path(folder)
    with open(folder / "labels.csv", newline="") as file:
        return [picture(folder, row) for row in csv.DictReader(file)]


def picture(folder, row):
    grey = Image.open(folder / f"{row['name']}.png").convert("L")
    scale = EDGE / max(grey.size)
    grey = grey.resize([max(1, round(n * scale)) for n in grey.size], Image.Resampling.BOX)
    path = folder / f"{row['name']}-mask.png"
    mask = np.zeros(grey.size[::-1], bool)
    if path.exists():
        mask = np.asarray(Image.open(path).convert("L").resize(grey.size, Image.Resampling.NEAREST)) > 0
    return Picture(row["name"], row["label"], int(row["fold"]), row["label_conflict"] == "1", np.asarray(grey), mask)


class Store:
    """Pictures on the device: `grey` and `mask` uint8 [number, EDGE, EDGE], at the top left, and what is known of each."""

    def __init__(self, found, device):
        grey = np.zeros((len(found), EDGE, EDGE), np.uint8)
        mask = np.zeros_like(grey)
        for i, p in enumerate(found):
            rows, columns = p.grey.shape
            grey[i, :rows, :columns] = p.grey
            mask[i, :rows, :columns] = p.mask
        self.grey, self.mask = (torch.from_numpy(a).to(device) for a in (grey, mask))
        # Columns, rows.
        self.size = torch.tensor([p.grey.shape[::-1] for p in found], dtype=torch.float32, device=device)
        self.malignant = torch.tensor([p.label == "malignant" for p in found], device=device)
        self.sure = torch.tensor([not p.conflict for p in found], device=device)
        # Drawn so often: malignant pictures are fewer than benign ones, and a normal one teaches what is no lesion.
        often = {"benign": 1.0, "malignant": 1.6, "normal": 1.6}
        self.often = torch.tensor([often[p.label] for p in found], device=device)

    def draw(self, count, random):
        return torch.multinomial(self.often, count, replacement=True, generator=random)


def known(device, real, sure):
    """[N, 9] 1 where a channel of a lesion is known: of phantoms all; of pictures the outline and, where `sure`, malignancy."""
    given = torch.ones(len(real), len(CHANNELS), device=device)
    given[real, LESION + 1 :] = 0
    given[real & sure, MALIGNANT] = 1
    return given
