"""The text of model.toml for the mammography package; mirrors that of the CT package."""

import cases
import network
from candidates import STAGES

VERSION = "0.1.0"
# The engine has no prior mammogram: that stage of the ablation is not in the package. Names as in models/src/task/mg_breast/kind.rs.
ENGINE_STAGES = {name.replace(" ", "_"): name for name in STAGES if name != "with prior"}
# Rows and columns are filled up with 0 to multiples of this.
MULTIPLE = 16

HEAD = """\
# Written by models/training/mammography/export.py; edit models/training/mammography/manifest.py instead.
format = 1
id = "mg-breast"
version = "{version}"
task = "mg_breast"
licence = "Apache-2.0"
# Trained on phantoms only: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "MG"
body_part = "BREAST"

[intended_use.findings.breast_mark]

[input]
# One view, chest wall at column 0, grey and fine detail; see models/training/mammography/README.md.
pixel_mm = {pixel}
fine_mm = 0.2
around_mm = 0.6
detail = 0.25
multiple = {multiple}

[outputs]
# Pixels of the input for one of the map.
stride = {stride}
channels = [
{channels}]
scorer = "scorer.json"

# Chosen by scorer.py on validation phantoms, each scored by a scorer that did not learn from it: {rate} false marks a picture. The
# first is for a view alone, the others for what other views allow.
{thresholds}
[[variants]]
accelerator = "any"
precision = "fp32"
network = "candidates.onnx"
expected = "golden/expected.npy"

# A part of a view of a validation phantom: {golden}.
[golden]
input = "golden/input.npy"
tolerance = 0.01

# sha256 of every file
[files]
"""


def text(thresholds, rate, golden, hashes):
    """`thresholds` by stage; `golden` says which picture it is."""
    head = HEAD.format(
        version=VERSION,
        pixel=cases.PIXEL_MM,
        multiple=MULTIPLE,
        stride=network.STRIDE,
        channels="".join(f'    "{name}",\n' for name in cases.KINDS),
        thresholds="\n".join(f"[thresholds.{name}]\nconfidence = {thresholds[name]}\n" for name in ENGINE_STAGES),
        rate=rate,
        golden=golden,
    )
    return head + "".join(f'"{name}" = "{digest}"\n' for name, digest in hashes.items())
