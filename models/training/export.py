"""Writes the package: network as ONNX (checked against PyTorch), model.toml with its hash.

    python export.py --weights network.pt --thresholds thresholds.json --package ../packages/ct-chest-nodules
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

VERSION = "0.1.0"

MANIFEST = """\
# Written by models/training/export.py; edit that instead.
id = "ct-chest-nodules"
version = "{version}"
task = "ct_chest"
network = "nodules.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
# Trained on synthetic phantoms: results are always marked "not for diagnosis".
clearance = "research"

[intended_use]
modality = "CT"
body_part = "CHEST"
max_slice_spacing_mm = 2.5

[input]
spacing_mm = {spacing}
patch = [{patch}, {patch}, {patch}]
overlap = {overlap}
window_hu = [{low}, {high}]

# Chosen by choose.py on validation phantoms, never on the evaluation phantoms.
[thresholds]
confidence = {confidence}
mask = {mask}
min_diameter_mm = {min_diameter_mm}
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
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    low, high = network.WINDOW_HU
    manifest = MANIFEST.format(
        version=VERSION, sha256=digest, spacing=network.SPACING_MM, patch=detect.PATCH, overlap=detect.OVERLAP,
        low=low, high=high, **json.loads(pathlib.Path(a.thresholds).read_text()),
    )
    (a.package / "model.toml").write_text(manifest)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {digest}")


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
