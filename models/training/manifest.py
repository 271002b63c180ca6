"""The text of model.toml; `models/src/manifest.rs` defines the keys."""

import json

import detect
import network
from findings import LIMITS, NAMES, SPACING_MM

VERSION = "0.4.3"

HEAD = """\
# Written by models/training/export.py; edit models/training/manifest.py instead.
format = 1
id = "ct-chest"
version = "{version}"
task = "ct_chest"
licence = "Apache-2.0"
# Trained on synthetic phantoms: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "CT"
body_part = "CHEST"
min_age_years = 18.0

{limits}
[input]
spacing_mm = {spacing}
patch = [{patch}, {patch}, {patch}]
overlap = {overlap}
windows_hu = {windows}

[outputs]
channels = [
{channels}]

# Chosen by choose.py on validation phantoms, never on the evaluation phantoms; CARD.md names those that were raised by hand.
{thresholds}
[[variants]]
accelerator = "cuda"
precision = "fp16"
network = "chest-fp16.onnx"

[[variants]]
accelerator = "tensorrt"
precision = "fp16"
network = "chest-fp16.onnx"

[[variants]]
accelerator = "any"
precision = "fp32"
network = "chest.onnx"

[golden]
input = "golden/input.npy"
expected = "golden/expected.npy"
tolerance = 0.02

# sha256 of every file
[files]
"""


def limits(finding, limit):
    """`limit` is the largest slice spacing, mm, or the keys of `Limits` (models/src/manifest/volume.rs) with their values."""
    keys = limit if isinstance(limit, dict) else {"max_slice_spacing_mm": limit}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    return f"[intended_use.findings.{finding}]\n" + "".join(lines)


THRESHOLD = ("confidence", "mask", "min_size", "look_again", "large", "spread")


def threshold(channel, keys):
    """Of `keys` those of `Threshold` (models/src/manifest/volume.rs) are written; `choose.py` notes more than these. `large` is a table."""

    def value(of):
        if isinstance(of, dict):
            return "{ " + ", ".join(f"{key} = {json.dumps(one)}" for key, one in of.items()) + " }"
        return json.dumps(of)

    return f"[thresholds.{channel}]\n" + "".join(f"{key} = {value(keys[key])}\n" for key in THRESHOLD if key in keys)


def text(thresholds, hashes):
    head = HEAD.format(
        version=VERSION,
        limits="\n".join(limits(*pair) for pair in LIMITS.items()),
        spacing=SPACING_MM,
        patch=detect.PATCH,
        overlap=detect.OVERLAP,
        windows=[list(window) for window in network.WINDOWS_HU],
        channels="".join(f'    "{name}",\n' for name in NAMES),
        thresholds="\n".join(threshold(name, thresholds[name]) for name in NAMES),
    )
    return head + "".join(f'"{name}" = "{digest}"\n' for name, digest in hashes.items())
