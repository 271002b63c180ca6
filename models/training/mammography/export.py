"""Writes the model package: the network as ONNX (checked against PyTorch), scorer, golden pair, card, model.toml.

    python export.py --weights candidates.pt --scorer scorer.json --figures figures.json --cases FOLDER --package FOLDER

CARD.md of the package is kept and gets the figures between its marks (card.py writes the engine's); without one, a short one is written.
"""

import argparse
import hashlib
import json
import pathlib
import time

import numpy as np
import onnxruntime
import torch

import candidates
import card
import cases
import manifest
import network
import scorer as scoring
import train

# Largest allowed difference of probabilities, ONNX from PyTorch.
SAME = 1e-4
# Rows and columns of the largest field, 24 by 30 cm.
LARGEST = (752, 608)
# Rows and columns of the golden input: a part of a view around its first lesion.
GOLDEN = (256, 256)


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
    """Input [1, 2, rows, columns] of a view, rows and columns filled up with 0 to multiples."""
    _, rows, columns = view.picture.shape
    given = np.zeros((1, 2, -(-rows // manifest.MULTIPLE) * manifest.MULTIPLE, -(-columns // manifest.MULTIPLE) * manifest.MULTIPLE), np.float32)
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


def corner(view):
    """Row and column at which the golden part of a view begins."""
    _, column, row, *_ = view.lesions[0]
    _, rows, columns = view.picture.shape
    return [int(np.clip(at - size / 2, 0, max(0, most - size))) for at, size, most in ((row, GOLDEN[0], rows), (column, GOLDEN[1], columns))]


def engine_scorer(scorer):
    """Weights with the names of their numbers, for each stage that the engine has."""
    stages = {}
    for name, stage in manifest.ENGINE_STAGES.items():
        names = candidates.STAGES[stage]
        weights, bias = scorer[stage]
        features = [*names, *(f"{a} * {b}" for a, b in scoring.pairs(names))]
        assert len(features) == len(weights), stage
        stages[name] = {"features": features, "weights": weights, "bias": bias}
    return stages


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
    ill = [(c, v) for c in cases.load(a.cases, cases.VALIDATION_SEEDS) for v in c.views if v.lesions][:4]
    named = ""
    for number, (case, view) in enumerate(ill):
        given = padded(view)
        if number == 0:
            top, left = corner(view)
            given = np.ascontiguousarray(given[:, :, top : top + GOLDEN[0], left : left + GOLDEN[1]])
            named = f"seed {case.seed}, {view.side} {view.projection}, from row {top} and column {left}"
        with torch.no_grad():
            wanted = net(torch.from_numpy(given)).numpy()
        worst = float(np.abs(wanted - session(path, 1).run(None, {"view": given})[0]).max())
        assert worst < SAME, f"ONNX differs from PyTorch by {worst}"
        if number == 0:
            np.save(a.package / "golden" / "input.npy", given)
            np.save(a.package / "golden" / "expected.npy", wanted)
    scorer = json.loads(a.scorer.read_text())
    (a.package / "scorer.json").write_text(json.dumps(engine_scorer(scorer), indent=1) + "\n")
    thresholds = {name: scorer["thresholds"][stage] for name, stage in manifest.ENGINE_STAGES.items()}
    took = seconds(path)
    card.put(a.package, "python", card.python_table(json.loads(a.figures.read_text()), took))
    write_manifest(a.package, manifest.text(thresholds, scoring.FALSE_PER_VIEW, named, hashes(a.package)))
    print(f"{path}: {path.stat().st_size} bytes, {took:.3f} s for four views")


def hashes(package):
    files = sorted(f for f in package.rglob("*") if f.is_file() and f.name != "model.toml")
    return {f.relative_to(package).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def write_manifest(package, text):
    (package / "model.toml").write_text(text)


if __name__ == "__main__":
    main()
