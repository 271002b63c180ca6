"""Writes the package: the fast network as ONNX for any processor, and for GPUs the large one in half precision, or without a large one
the fast one (each checked against PyTorch), a golden input with the answer of each, model.toml with the hash of every file.

    python export.py --fast fast.pt [--large large.pt] --thresholds thresholds.json --clips FOLDER --package ../../packages/us-breast
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16

import clips
import encoder
import manifest
import network
import padding
import train

# Largest allowed difference of probabilities: ONNX from PyTorch, half precision from single precision.
SAME, HALF = 1e-4, 0.02
# Number of frames for the comparison and the golden pair.
FRAMES = 4
# Frames of the accuracy set beside the golden one, each of another clip, and the least overlap (Dice) of what a variant outlines in all.
CASES, OVERLAP = 2, 0.98


class WithSigmoid(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return torch.sigmoid(self.net(image))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--fast", required=True)
    arguments.add_argument("--large", help="weights of the large network")
    arguments.add_argument("--thresholds", required=True, type=pathlib.Path)
    arguments.add_argument("--clips", required=True, help="validation clips; a frame of the first with a lesion is the golden input")
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    a = arguments.parse_args()

    fast = WithSigmoid(train.load(a.fast)[0]).eval()
    large = WithSigmoid(train.load(a.large)[0]).eval() if a.large else fast
    found = clips.load(a.clips, clips.VALIDATION_SEEDS)
    images = frames(found)
    a.package.mkdir(parents=True, exist_ok=True)
    gpu, gpu_expected = ("breast-large-fp16.onnx", "golden/expected-large.npy") if a.large else ("breast-fp16.onnx", "golden/expected.npy")
    single, half, scratch = (a.package / n for n in ("breast.onnx", gpu, "gpu.onnx"))
    for old in a.package.glob("*.onnx"):
        old.unlink()
    write(fast, single)
    compare(fast, single, images)
    write(large, scratch)
    compare(large, scratch, images)
    halve(scratch, half, images)
    print(f"fast: {single.stat().st_size} bytes, {milliseconds(single):.2f} ms a frame on one thread; "
          f"for GPUs: {half.stat().st_size} bytes, {milliseconds(scratch):.2f} ms in single precision")
    scratch.unlink()
    folder = a.package / "golden"
    folder.mkdir(exist_ok=True)
    (folder / "expected-large.npy").unlink(missing_ok=True)
    np.save(folder / "input.npy", images[:1])
    golden(fast, images[:1], folder / "expected.npy")
    if a.large:
        golden(large, images[:1], a.package / gpu_expected)
    thresholds = json.loads(a.thresholds.read_text())["thresholds"]
    # Another network outlines otherwise, rightly.
    cases = 0 if a.large else CASES
    accuracy(a.package, others(found)[:cases], thresholds["mask"])
    # The old signature is not valid for the new manifest. Another tool signs it.
    (a.package / "model.toml.minisig").unlink(missing_ok=True)
    files = sorted(f for f in a.package.rglob("*") if f.is_file() and f.name != "model.toml")
    hashes = {f.relative_to(a.package).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    (a.package / "model.toml").write_text(manifest.text(thresholds, hashes, gpu, gpu_expected, cases, OVERLAP))


def frames(found):
    """Network input of the frames with the largest lesions, float [FRAMES, 1, 256, 256]."""
    shown = [(int(np.count_nonzero(l)), i, n) for i, c in enumerate(found) for n, l in enumerate(c.labels)]
    chosen = sorted(shown, reverse=True)[:FRAMES]
    return clips.scaled(torch.from_numpy(np.stack([found[i].images[n] for _, i, n in chosen]))).numpy()


def others(found):
    """Network input of the frame with the largest lesion of each of the first clips, float [CASES, 1, 256, 256]."""
    chosen = [max(range(len(c.labels)), key=lambda n: np.count_nonzero(c.labels[n])) for c in found[:CASES]]
    return clips.scaled(torch.from_numpy(np.stack([c.images[n] for c, n in zip(found, chosen)]))).numpy()


def accuracy(package, images, mask):
    """The accuracy set: what the network in single precision answers. The one in half precision must outline the same."""
    folder = package / "accuracy"
    shutil.rmtree(folder, ignore_errors=True)
    if not len(images):
        return
    folder.mkdir()
    both = either = 0
    for number, image in enumerate(images, 1):
        expected = run(package / "breast.onnx", image[None])
        np.save(folder / f"{number}-input.npy", image[None])
        np.save(folder / f"{number}-expected.npy", expected)
        half = sorted(package.glob("*fp16.onnx"))[0]
        given = run(half, image[None])
        a, b = expected[:, 0] >= mask, given[:, 0] >= mask
        both, either = both + int((a & b).sum()), either + int(a.sum() + b.sum())
    print(f"accuracy set: half precision outlines {2 * both / either:.4f} of it (Dice)")
    assert either > 0 and 2 * both / either >= OVERLAP


def write(model, path, size=network.SIZE, used=None):
    """`used`: the networks in the order in which they run, where one runs more than once."""
    torch.onnx.export(
        model, (torch.rand(1, 1, size, size),), str(path), input_names=["image"], output_names=["map"],
        dynamic_axes={"image": {0: "n"}, "map": {0: "n"}}, opset_version=17, dynamo=False,
    )
    uneven = [m.pad for part in used or [model] for m in part.modules() if isinstance(m, encoder.Convolution) and m.pad[0] != m.pad[1]]
    onnx.save(padding.join(onnx.load(str(path)), [(a, a, b, b) for a, b in uneven]), str(path))


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path, image):
    return session(path).run(None, {"image": image})[0]


def compare(model, path, images):
    """Checks that the ONNX file gives the results of the network, also for other batches."""
    for image in (images[:1], images):
        with torch.no_grad():
            wanted = model(torch.from_numpy(image)).numpy()
        given = run(path, image)
        assert given.shape == wanted.shape, given.shape
        worst = float(np.abs(wanted - given).max())
        assert worst < SAME, f"ONNX differs from PyTorch by {worst}"


def halve(single, half, images):
    """Weights and sums in half precision; input and output stay in single precision. For GPUs; a CPU computes in single precision."""
    onnx.save(convert_float_to_float16(onnx.load(single), keep_io_types=True), half)
    worst = float(np.abs(run(single, images) - run(half, images)).max())
    print(f"half precision differs by {worst:.4f}")
    assert worst < HALF, f"half precision differs from single by {worst}"


def milliseconds(path, runs=50):
    """Median time of one frame, milliseconds."""
    opened, image = session(path), np.zeros((1, 1, network.SIZE, network.SIZE), np.float32)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        opened.run(None, {"image": image})
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def golden(model, image, path):
    """The answer of the network to the golden input."""
    with torch.no_grad():
        np.save(path, model(torch.from_numpy(image)).numpy())


if __name__ == "__main__":
    main()
