"""Writes the package: network as ONNX (checked against PyTorch), its half-precision twin (checked against the first), a
golden pair, model.toml with the hash of every file.

    python export.py --weights network.pt --thresholds thresholds.json --phantoms FOLDER --package ../packages/ct-chest
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16

import detect
import manifest
import network
import phantoms
import sampler

# Edge of the golden cube, voxels.
GOLDEN = 16
# Largest allowed difference of probabilities: ONNX from PyTorch, half precision from single precision.
SAME, HALF = 1e-4, 0.02


class WithSigmoid(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return torch.sigmoid(self.net(image))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--thresholds", required=True, type=pathlib.Path)
    arguments.add_argument("--phantoms", required=True, help="validation phantoms; the first gives the golden input")
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--calibration", type=pathlib.Path, help="also write patches here, for INT8 quantisation")
    a = arguments.parse_args()

    net = network.load(a.weights)
    model = WithSigmoid(net).eval()
    found = phantoms.load(a.phantoms, phantoms.VALIDATION_SEEDS)
    a.package.mkdir(parents=True, exist_ok=True)
    single, half = a.package / "chest.onnx", a.package / "chest-fp16.onnx"
    # That of the network before; int8/quantise.py makes it anew.
    (a.package / "chest-int8.onnx").unlink(missing_ok=True)
    write(model, single)
    patches = [patch(p, 64) for p in found[:4]]
    compare(model, single, patches)
    halve(single, half, patches)
    golden(model, found[0], a.package / "golden")
    if a.calibration:
        calibration(found, a.calibration)
    # The old signature is not valid for the new manifest. Another tool signs it.
    (a.package / "model.toml.minisig").unlink(missing_ok=True)
    files = sorted(f for f in a.package.rglob("*") if f.is_file() and f.name != "model.toml")
    hashes = {f.relative_to(a.package).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    (a.package / "model.toml").write_text(manifest.text(json.loads(a.thresholds.read_text()), hashes))
    print(f"{single}: {single.stat().st_size} bytes")


def write(model, path):
    example = torch.rand(1, len(network.WINDOWS_HU), 32, 32, 32)
    axes = {0: "n", 2: "depth", 3: "rows", 4: "columns"}
    torch.onnx.export(
        model, (example,), str(path), input_names=["image"], output_names=["probability"],
        dynamic_axes={"image": axes, "probability": axes}, opset_version=17, dynamo=False,
    )


def patch(phantom, size):
    """Network input around the phantom's first lesion; in the middle where there is none."""
    boxes = phantom.lesions[:, 2:].reshape(-1, 2, 3)
    centre = boxes[0].mean(0) if len(boxes) else np.array(phantom.hu.shape) // 2
    hu = sampler.crop(torch.from_numpy(phantom.hu), phantom.start(centre, size), size, sampler.AIR_HU)
    return network.scaled(hu.float()[None, None]).numpy()


def run(path, image):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def compare(model, path, patches):
    """Checks that the ONNX file gives the results of the network, also for other sizes and batches."""
    windows = len(network.WINDOWS_HU)
    for image in [*patches, np.concatenate(patches[:1] * 2), np.random.rand(2, windows, 32, 48, 64).astype(np.float32)]:
        with torch.no_grad():
            wanted = model(torch.from_numpy(image)).numpy()
        given = run(path, image)
        assert given.shape == wanted.shape, given.shape
        worst = float(np.abs(wanted - given).max())
        assert worst < SAME, f"ONNX differs from PyTorch by {worst}"


def halve(single, half, patches):
    """Weights and sums in half precision; input and output stay in single precision. For GPUs; a CPU computes in single precision."""
    onnx.save(convert_float_to_float16(onnx.load(single), keep_io_types=True), half)
    worst = max(float(np.abs(run(single, p) - run(half, p)).max()) for p in patches)
    print(f"half precision differs by {worst:.4f}")
    assert worst < HALF, f"half precision differs from single by {worst}"


def golden(model, phantom, folder):
    """The golden pair: a small cube of a phantom, around a lesion if there is one, and the network's answer to it."""
    image = patch(phantom, GOLDEN)
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    folder.mkdir(exist_ok=True)
    np.save(folder / "input.npy", image)
    np.save(folder / "expected.npy", expected)


def calibration(found, folder):
    """Patches as the daemon cuts them, one file for each phantom, for static quantisation."""
    folder.mkdir(parents=True, exist_ok=True)
    for phantom in found:
        np.savez_compressed(folder / f"{phantom.seed}.npz", image=patch(phantom, detect.PATCH))


if __name__ == "__main__":
    main()
