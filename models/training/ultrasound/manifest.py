"""The text of model.toml for the breast ultrasound package; mirrors that of the CT package."""

import network
import together
from channels import CHANNELS

VERSION = "0.3.1"

HEAD = """\
# Written by models/training/ultrasound/export.py; edit models/training/ultrasound/manifest.py instead.
format = 1
id = "us-breast"
version = "{version}"
task = "us_breast"
licence = "Apache-2.0"
# Trained on phantoms and a few hundred real pictures: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "US"
body_part = "BREAST"
min_age_years = 18.0

[intended_use.findings.breast_lesion]

[input]
# The sector of the screen, scaled so that its longer side fits (each pixel the mean of the area it covers), at the top left,
# black elsewhere; grey 0..255 becomes 0..1.
size = [{size}, {size}]
resize = "letterbox"

[outputs]
# Pixels of the input for one of the map.
stride = {stride}
# The first says where lesions are; the mean of each other over a lesion's mask says what it is.
channels = [
{channels}]

# Chosen by judge.py on real pictures that were kept out of training, and checked by choose.py on validation phantoms. A pixel belongs to a candidate from `mask` on; the
# candidate counts when its highest probability reaches `confidence` and its area `min_size` mm2.
[thresholds.lesion]
confidence = {confidence}
mask = {mask}
min_size = {min_size}

# Of the means over a mask.
[thresholds.malignant]
confidence = {malignant}

[[variants]]
accelerator = "cuda"
precision = "fp16"
network = "{gpu}"
expected = "{gpu_expected}"

[[variants]]
accelerator = "tensorrt"
precision = "fp16"
network = "{gpu}"
expected = "{gpu_expected}"

[[variants]]
accelerator = "any"
precision = "fp32"
network = "breast.onnx"
expected = "golden/expected.npy"

# Each variant names what it answers, because a GPU may have a larger network.
[golden]
input = "golden/input.npy"
tolerance = 0.02

{accuracy}# sha256 of every file
[files]
"""

STILLS_VERSION = "0.1.0"


def of_stills(thresholds, hashes):
    """model.toml of the package for stored pictures: one network for every accelerator."""
    head = STILLS.format(version=STILLS_VERSION, size=together.SIZE, stride=network.STRIDE, channels=named(), **thresholds)
    return head + "".join(f'"{name}" = "{digest}"\n' for name, digest in hashes.items())


def named():
    return "".join(f'    "{name}",\n' for name in CHANNELS)


STILLS = """\
# Written by models/training/ultrasound/stills.py; edit models/training/ultrasound/manifest.py instead.
format = 1
id = "us-breast-stills"
version = "{version}"
task = "us_breast_stills"
licence = "Apache-2.0"
# Trained on phantoms and a few hundred real pictures: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "US"
body_part = "BREAST"
min_age_years = 18.0

[intended_use.findings.breast_lesion]

[input]
# The ultrasound image, scaled so that its longer side fits (each pixel the mean of the area it covers), at the top left, black elsewhere;
# grey 0..255 becomes 0..1.
size = [{size}, {size}]
resize = "letterbox"

[outputs]
# Pixels of the input for one of the map.
stride = {stride}
# The first says where lesions are; the mean of each other over a lesion's mask says what it is.
channels = [
{channels}]

# Chosen by stills.py on real pictures that were kept out of training. A pixel belongs to a candidate from `mask` on; the candidate counts
# when its highest probability reaches `confidence` and its area `min_size` mm2.
[thresholds.lesion]
confidence = {confidence}
mask = {mask}
min_size = 6.0

# Of the means over a mask.
[thresholds.malignant]
confidence = 0.5

[[variants]]
accelerator = "any"
precision = "fp32"
network = "breast-stills.onnx"
expected = "golden/expected.npy"

[golden]
input = "golden/input.npy"
tolerance = 0.02

# sha256 of every file
[files]
"""

ACCURACY = """# What a variant outlines in these must be what the network in single precision outlines.
[accuracy]
least_overlap = {overlap}

{cases}"""
CASE = '[[accuracy.cases]]\ninput = "{}"\nexpected = "{}"\n\n'


def text(thresholds, hashes, gpu, gpu_expected, cases, overlap):
    """`gpu`: file of the network for GPUs, `gpu_expected`: of what it answers to the golden input, `cases`: of the accuracy set beside it."""
    pairs = [("golden/input.npy", "golden/expected.npy")]
    pairs += [(f"accuracy/{n}-input.npy", f"accuracy/{n}-expected.npy") for n in range(1, cases + 1)]
    accuracy = ACCURACY.format(overlap=overlap, cases="".join(CASE.format(*pair) for pair in pairs)) if cases else ""
    head = HEAD.format(
        accuracy=accuracy,
        version=VERSION,
        gpu=gpu,
        gpu_expected=gpu_expected,
        size=network.SIZE,
        stride=network.STRIDE,
        channels=named(),
        **thresholds,
    )
    return head + "".join(f'"{name}" = "{digest}"\n' for name, digest in hashes.items())
