"""Clips on disk (made by `phantom ultrasound frames`): loading and the seed ranges, which are those of the CT phantoms."""

import json
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

import network
from channels import CHANNELS

TRAINING_SEEDS = range(1_000_000, 1_900_000)
VALIDATION_SEEDS = range(1_900_000, 2_000_000)
EVALUATION_SEEDS = range(2_000_000, 3_000_000)


class Clip:
    """Frames [number, 256, 256] uint8, labels of the same shape (bit i: channel i), the planted truth."""

    def __init__(self, path):
        facts = json.loads(path.read_text())
        assert facts["size"] == network.SIZE, f"{path}: made for another size"
        assert tuple(facts["channels"]) == CHANNELS, f"{path}: made for other channels"
        self.truth = facts["truth"]
        self.seed = self.truth["seed"]
        self.scale = facts["screen_pixels_per_pixel"]
        self.images = np.load(path.with_name(f"{self.seed}-images.npy"))
        self.labels = np.load(path.with_name(f"{self.seed}-labels.npy"))

    @property
    def mm_per_pixel(self):
        """Of the network's output."""
        return self.truth["mm_per_pixel"] * self.scale * network.STRIDE

    def box(self, lesion):
        """A visible lesion's box in pixels of the output: left, top, right, bottom."""
        b = lesion["sector_box"]
        corners = (b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"])
        return tuple(c / self.scale / network.STRIDE for c in corners)


def load(folder, seeds):
    """All clips of a folder, in the order of seeds."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(Clip, sorted(pathlib.Path(folder).glob("*.json"))))
    assert found, f"{folder} contains no clips"
    check(found, seeds)
    return found


def check(found, seeds):
    ranges = (TRAINING_SEEDS, VALIDATION_SEEDS, EVALUATION_SEEDS)
    assert all(a.stop <= b.start for a, b in zip(ranges, ranges[1:])), "seed ranges overlap"
    strangers = [c.seed for c in found if c.seed not in seeds]
    assert not strangers, f"seeds {strangers[:5]} do not belong to {seeds}"


def tensors(found, device):
    """All frames and labels of all clips on the device: uint8 and int16, [number, 256, 256]."""
    images = torch.from_numpy(np.concatenate([c.images for c in found]))
    labels = torch.from_numpy(np.concatenate([c.labels for c in found]).astype(np.int16))
    return images.to(device), labels.to(device)


def scaled(images):
    """Converts uint8 [N, 256, 256] to the network's input."""
    return images[:, None].float() / 255
