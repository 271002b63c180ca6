"""Writes the package: network as ONNX (checked against PyTorch), a golden pair, model.toml with the hash of every file.

    python export.py --weights network.pt --thresholds thresholds.json --phantoms FOLDER --package ../packages/ct-chest-nodules
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import onnxruntime
import torch

import detect
import network
import phantoms

VERSION = "0.1.0"
# Edge of the golden cube, voxels.
GOLDEN = 24

MANIFEST = """\
# Written by models/training/export.py; edit that instead.
format = 1
id = "ct-chest-nodules"
version = "{version}"
task = "ct_chest"
licence = "Apache-2.0"
# Trained on synthetic phantoms: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "CT"
body_part = "CHEST"

[intended_use.findings.nodule]
max_slice_spacing_mm = 2.5

[input]
spacing_mm = {spacing}
patch = [{patch}, {patch}, {patch}]
overlap = {overlap}
windows_hu = [[{low}, {high}]]

[outputs]
channels = ["nodule"]

# Chosen by choose.py on validation phantoms, never on the evaluation phantoms.
[thresholds.nodule]
confidence = {confidence}
mask = {mask}
min_size = {min_diameter_mm}

[[variants]]
accelerator = "any"
precision = "fp32"
network = "nodules.onnx"

[golden]
input = "golden/input.npy"
expected = "golden/expected.npy"
tolerance = 0.02

# sha256 of every file
[files]
"""


class WithSigmoid(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return torch.sigmoid(self.net(image))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--thresholds", required=True)
    arguments.add_argument("--phantoms", required=True, help="validation phantoms; the first gives the golden input")
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    a = arguments.parse_args()

    net = network.NoduleNet()
    net.load_state_dict(torch.load(a.weights, weights_only=True))
    model = WithSigmoid(net).eval()
    a.package.mkdir(parents=True, exist_ok=True)
    path = a.package / "nodules.onnx"
    example = torch.rand(1, 1, 32, 32, 32)
    axes = {0: "n", 2: "depth", 3: "rows", 4: "columns"}
    torch.onnx.export(
        model, (example,), str(path), input_names=["image"], output_names=["probability"],
        dynamic_axes={"image": axes, "probability": axes}, opset_version=17, dynamo=False,
    )
    compare(model, path)
    golden(model, phantoms.load(a.phantoms, phantoms.VALIDATION_SEEDS)[0], a.package / "golden")
    low, high = network.WINDOW_HU
    manifest = MANIFEST.format(
        version=VERSION, spacing=network.SPACING_MM, patch=detect.PATCH, overlap=detect.OVERLAP, low=low, high=high,
        **json.loads(pathlib.Path(a.thresholds).read_text()),
    )
    # The manifest is signed anew, with another tool.
    (a.package / "model.toml.minisig").unlink(missing_ok=True)
    for file in sorted(f for f in a.package.rglob("*") if f.is_file() and f.name != "model.toml"):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest += f'"{file.relative_to(a.package).as_posix()}" = "{digest}"\n'
    (a.package / "model.toml").write_text(manifest)
    print(f"{path}: {path.stat().st_size} bytes")


def golden(model, phantom, folder):
    """A small cube of a phantom, around a nodule where there is one, and what the network says of it."""
    centre = phantom.centres[0] if phantom.centres else np.array(phantom.hu.shape) // 2
    hu, _ = phantom.crop(centre, GOLDEN)
    image = network.scaled(torch.from_numpy(hu.astype(np.float32)))[None, None]
    with torch.no_grad():
        expected = model(image).numpy()
    folder.mkdir(exist_ok=True)
    np.save(folder / "input.npy", image.numpy())
    np.save(folder / "expected.npy", expected)


def compare(model, path):
    """The file gives what the network gives, for other sizes and batches too."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in [(1, 1, 96, 96, 96), (2, 1, 32, 48, 64)]:
        image = torch.rand(shape)
        with torch.no_grad():
            wanted = model(image).numpy()
        (given,) = session.run(None, {"image": image.numpy()})
        assert given.shape == shape, given.shape
        worst = float(np.abs(wanted - given).max())
        assert worst < 1e-4, f"ONNX differs from PyTorch by {worst}"


if __name__ == "__main__":
    main()
