"""Writes a candidate package: the network as ONNX (checked against PyTorch), the scorer, the figures, the hash of every file.

    python export.py --weights candidates.pt --scorer scorer.json --figures figures.json --cases FOLDER --package FOLDER

The package says what the network saw and gave; the daemon does not read mammograms with it yet, so there is no model.toml.
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import time

import numpy as np
import onnxruntime
import torch

import cases
import network
import train

# Largest allowed difference of probabilities, ONNX from PyTorch.
SAME = 1e-4
# Rows and columns of the largest field, 24 by 30 cm.
LARGEST = (752, 608)


class WithSigmoid(torch.nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, view):
        return torch.sigmoid(self.net(view))


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def padded(view):
    """Input [1, 2, rows, columns] of a view, rows and columns multiples of 16, 0 beyond the picture."""
    _, rows, columns = view.picture.shape
    given = np.zeros((1, 2, -(-rows // 16) * 16, -(-columns // 16) * 16), np.float32)
    given[0, :, :rows, :columns] = view.picture / np.float32(255)
    return given


def seconds(path, threads=2, runs=5):
    """Of the four views of the largest field."""
    opened, given = session(path, threads), np.random.default_rng(0).random((1, 2, *LARGEST), np.float32)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(4):
            opened.run(None, {"view": given})
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--scorer", required=True, type=pathlib.Path)
    arguments.add_argument("--figures", required=True, type=pathlib.Path)
    arguments.add_argument("--cases", required=True, help="validation cases; a view of the first with a lesion is the golden input")
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    torch.set_num_threads(1)
    net = WithSigmoid(train.load(a.weights)).eval()
    (a.package / "golden").mkdir(parents=True, exist_ok=True)
    path = a.package / "candidates.onnx"
    torch.onnx.export(
        net, (torch.rand(1, 2, *LARGEST),), str(path), input_names=["view"], output_names=["map"],
        dynamic_axes={"view": {0: "n", 2: "rows", 3: "columns"}, "map": {0: "n", 2: "map_rows", 3: "map_columns"}}, opset_version=17, dynamo=False,
    )
    ill = [v for c in cases.load(a.cases, cases.VALIDATION_SEEDS) for v in c.views if v.lesions][:4]
    for view in ill:
        given = padded(view)
        with torch.no_grad():
            wanted = net(torch.from_numpy(given)).numpy()
        worst = float(np.abs(wanted - session(path, 1).run(None, {"view": given})[0]).max())
        assert worst < SAME, f"ONNX differs from PyTorch by {worst}"
        if view is ill[0]:
            np.save(a.package / "golden" / "input.npy", given)
            np.save(a.package / "golden" / "expected.npy", wanted)
    shutil.copy(a.scorer, a.package / "scorer.json")
    figures = json.loads(a.figures.read_text())
    figures["seconds for four views of the largest field, two threads"] = round(seconds(path), 3)
    (a.package / "figures.json").write_text(json.dumps(figures, indent=1))
    files = sorted(f for f in a.package.rglob("*") if f.is_file() and f.name != "sha256.txt")
    lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(a.package).as_posix()}" for f in files]
    (a.package / "sha256.txt").write_text("\n".join(lines) + "\n")
    print(f"{path}: {path.stat().st_size} bytes, {figures['seconds for four views of the largest field, two threads']} s for four views")


if __name__ == "__main__":
    main()
