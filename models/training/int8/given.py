"""What the networks of the packages are given from phantoms on disk, and where the phantoms have their lesions. Needs no PyTorch."""

import json
import pathlib
import sys
import tomllib
from dataclasses import dataclass

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import phantoms  # noqa: E402

# Edge of the cubes that a chest network is calibrated on, voxels.
CUBE = 64


@dataclass
class Case:
    """One picture or volume: the whole input [1, channels, ...], its truth [outputs, ...] on the grid of the answer, the volume of a voxel
    (ml) or the area of a pixel (mm2) of that grid."""

    seed: int
    image: np.ndarray
    truth: np.ndarray
    unit: float


def manifest(package):
    return tomllib.loads((package / "model.toml").read_text())


def network(facts, accelerator, precision):
    """The file of a variant; None where there is none."""
    fits = (v for v in facts["variants"] if v["accelerator"] == accelerator and v["precision"] == precision)
    return next((v["network"] for v in fits), None)


def expected(facts):
    """What the network in single precision answers to the golden input, a file of the package."""
    own = next(v for v in facts["variants"] if v["accelerator"] == "any").get("expected")
    return own or facts["golden"]["expected"]


def is_picture(facts):
    return facts["task"] == "us_breast"


def cases(facts, folder, seeds):
    """Every case of a folder, one after the other."""
    found = sorted(pathlib.Path(folder).glob("*.json"))
    assert found, f"{folder} contains no phantoms"
    strangers = [path.stem for path in found if int(path.stem.split("-")[0]) not in seeds]
    assert not strangers, f"seeds {strangers[:5]} do not belong to {seeds}"
    for path in found:
        yield from pictures(facts, path) if is_picture(facts) else [volume(facts, path)]


def pictures(facts, path):
    said = json.loads(path.read_text())
    seed, stride, channels = said["truth"]["seed"], facts["outputs"]["stride"], facts["outputs"]["channels"]
    assert said["channels"] == channels and [said["size"]] * 2 == facts["input"]["size"], f"{path}: made for another network"
    images = np.load(path.with_name(f"{seed}-images.npy"))
    labels = np.load(path.with_name(f"{seed}-labels.npy"))
    mm = said["truth"]["mm_per_pixel"] * said["screen_pixels_per_pixel"] * stride
    for image, label in zip(images, labels):
        bits = np.stack([label >> bit & 1 for bit in range(len(channels))]).astype(np.float32)
        rows, columns = (n // stride for n in label.shape)
        truth = bits.reshape(len(channels), rows, stride, columns, stride).mean((2, 4)) > 0.5
        yield Case(seed, image[None, None].astype(np.float32) / 255, truth, mm * mm)


def volume(facts, path):
    phantom = phantoms.Phantom(path)
    bits = range(len(facts["outputs"]["channels"]))
    truth = np.stack([(phantom.labels >> bit & 1).astype(bool) for bit in bits])
    return Case(phantom.seed, windows(facts, np.asarray(phantom.hu)), truth, facts["input"]["spacing_mm"] ** 3 / 1000)


def windows(facts, hu):
    """HU as the network sees them, float32 [1, windows, D, H, W]."""
    scaled = [(np.clip(hu, low, high) - low) / (high - low) for low, high in facts["input"]["windows_hu"]]
    return np.stack(scaled)[None].astype(np.float32)


def samples(facts, folder, seeds, number):
    """`number` network inputs: pictures evenly from all clips, or cubes around one lesion of each channel in turn."""
    if is_picture(facts):
        found = [case.image for case in cases(facts, folder, seeds)]
        return [found[i] for i in np.linspace(0, len(found) - 1, min(number, len(found))).astype(int)]
    paths = sorted(pathlib.Path(folder).glob("*.json"))
    loaded = [phantoms.Phantom(path) for path in paths]
    phantoms.check(loaded, seeds)
    return [cube(facts, loaded[i % len(loaded)], i // len(loaded)) for i in range(number)]


def cube(facts, phantom, turn):
    boxes = phantom.lesions[:, 2:].reshape(-1, 2, 3)
    centre = boxes[turn % len(boxes)].mean(0) if len(boxes) else np.array(phantom.hu.shape) // 2
    low = phantom.start(centre, CUBE)
    return windows(facts, np.asarray(phantom.hu[tuple(slice(at, at + CUBE) for at in low)]))
