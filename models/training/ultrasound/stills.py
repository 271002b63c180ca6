"""Writes the package for stored pictures: networks that were trained already, together (together.py), as one ONNX file; a golden pair, the table of
its card, model.toml with the hash of every file. Mask and confidence are chosen on real pictures that no network of it learnt from.

    python stills.py --weights ../../packages/us-breast/breast.onnx large.pt --sizes 224 288 --pictures FOLDER --fold 0 --clips FOLDER \\
        --package ../../packages/us-breast-stills
"""

import argparse
import hashlib
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn.utils.fusion import fuse_conv_bn_eval

import card
import clips
import export
import judge
import manifest
import pictures
import together
import train

# Halves of what is stored: an accelerator computes with them in single precision.
HALVED = 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weights", required=True, nargs="+", help="trained networks, or the ONNX file of a package")
    arguments.add_argument("--sizes", required=True, nargs="+", type=int, help="of the picture, pixels")
    arguments.add_argument("--pictures", required=True)
    arguments.add_argument("--fold", required=True, type=int, help="which no network learnt from")
    arguments.add_argument("--clips", required=True, help="phantoms; the frame with the largest lesion is the golden input")
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    a = arguments.parse_args()

    model = together.Together([halved(train.load(path)[0]) for path in a.weights], a.sizes).eval()
    package, network = a.package, a.package / "breast-stills.onnx"
    (package / "golden").mkdir(parents=True, exist_ok=True)
    write(model, network)
    image = golden_input(a.clips)
    np.save(package / "golden" / "input.npy", image)
    with torch.no_grad():
        wanted = model(torch.from_numpy(image)).numpy()
    np.save(package / "golden" / "expected.npy", wanted)
    session = export.session(network)
    worst = float(np.abs(wanted - session.run(None, {"image": image})[0]).max())
    assert worst < export.SAME, f"ONNX differs from PyTorch by {worst}"
    print(f"{network.stat().st_size} bytes, differs from PyTorch by {worst:.1e}")

    found = [p for p in pictures.load(a.pictures) if p.fold == a.fold]
    answers = judge.maps(lambda given: session.run(None, {"image": given})[0], found, together.SIZE)
    cases = judge.cases(found, answers, together.SIZE)
    row, mask, confidence = quiet(cases)
    thresholds = {"mask": mask, "confidence": confidence}
    files = sorted(f for f in package.rglob("*") if f.is_file() and f.name != "model.toml")
    hashes = {f.relative_to(package).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    (package / "model.toml").write_text(manifest.of_stills(thresholds, hashes))
    name = f"us-breast-stills {manifest.STILLS_VERSION} (network sha256 {hashes[network.name][:12]}...)"
    text = judge.written(row, a.fold, name)
    print(text)
    card.write(package, "stills.py", text)


def quiet(cases):
    """The thresholds at which no normal picture has a false lesion, and hits and Dice are highest."""
    return max((row for row in judge.tables(cases) if row[0]["false_on_normal"] == 0), key=lambda row: row[0]["hit"] + row[0]["dice"])


def halved(net):
    """Its weights as they will be stored: with the normalisations in them, which an export would make part of them afterwards."""
    for part in [m for m in net.modules() if isinstance(m, torch.nn.Sequential)]:
        for at in range(len(part) - 1):
            if isinstance(part[at], torch.nn.Conv2d) and isinstance(part[at + 1], torch.nn.BatchNorm2d):
                part[at], part[at + 1] = fuse_conv_bn_eval(part[at], part[at + 1]), torch.nn.Identity()
    with torch.no_grad():
        for weight in net.parameters():
            if weight.numel() >= HALVED:
                weight.copy_(weight.half().float())
    return net


def golden_input(folder):
    """The frame with the largest lesion, float [1, 1, 320, 320]."""
    frame = torch.from_numpy(export.frames(clips.load(folder, clips.TRAINING_SEEDS)[:8])[:1])
    return torch.nn.functional.interpolate(frame, (together.SIZE,) * 2, mode="bilinear").numpy()


def write(model, path):
    export.write(model, path, together.SIZE, [look.net for look in model.looks])
    onnx.save(stored_once(onnx.load(str(path))), str(path))


def stored_once(model):
    """Weights that several looks use are stored once, and large ones in half precision, from which a Cast makes them whole again."""
    graph = model.graph
    first, names, kept = {}, {}, []
    for value in graph.initializer:
        content = (tuple(value.dims), value.data_type, numpy_helper.to_array(value).tobytes())
        names[value.name] = first.setdefault(content, value.name)
        if names[value.name] == value.name:
            kept.append(value)
    # The exporter passes on what several looks use.
    passed = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    for node in graph.node:
        node.input[:] = [names.get(passed.get(name, name), passed.get(name, name)) for name in node.input]
    casts = []
    for value in kept:
        array = numpy_helper.to_array(value)
        if array.dtype == np.float32 and array.size >= HALVED and np.array_equal(array, array.astype(np.float16).astype(np.float32)):
            name = value.name
            value.CopyFrom(numpy_helper.from_array(array.astype(np.float16), name + "_half"))
            casts.append(helper.make_node("Cast", [value.name], [name], to=TensorProto.FLOAT))
    nodes = casts + [node for node in graph.node if node.op_type != "Identity"]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
