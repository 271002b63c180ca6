"""Adds to a package a network in 8 bits where that costs nothing: static quantisation after training, with Q/DQ nodes, for TensorRT.

    python quantise.py --package ../../packages/us-breast --phantoms FOLDER

FOLDER holds phantoms of the training seeds: some calibrate, the others choose. Each convolution is tried alone; those that change the answers
least get 8-bit inputs and weights (symmetric, a scale for each output channel), as many as possible while the answers keep within
the limits below. The rest stays in half precision. Writes NAME-int8.onnx and its variant into model.toml; a network of which too little
can be in 8 bits within the limits is not written.
"""

import argparse
import hashlib
import logging
import pathlib
import re
import tempfile

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

import given
import phantoms

# The first opset in which Q/DQ take half precision.
OPSET = 19
# Inputs that calibrate, and other ones that choose.
CALIBRATE, CHOOSE = 96, 32
# Choosing inputs on which each convolution is tried alone; the order is all that is taken from it.
ALONE = 6
# Of the golden tolerance: how much of it the golden input and the accuracy set may use (a card needs the rest, it computes in another
# order), and how much 99.9 % of the values of the choosing inputs.
GOLDEN_SHARE, CHOOSING_SHARE, QUANTILE = 0.6, 0.5, 0.999
# Part of the multiplications that must be in 8 bits: less is not worth one more engine to build on each box.
WORTH = 0.25
# Least overlap (Dice) of what is outlined in the choosing inputs, where a channel has this many values above its threshold.
OVERLAP, ENOUGH = 0.99, 500


class Inputs(CalibrationDataReader):
    def __init__(self, name, images):
        self.left = iter([{name: image} for image in images])

    def get_next(self):
        return next(self.left, None)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # As it stands in the file: ONNX Runtime would make 8-bit biases, with scales that half precision cannot hold.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    source = str(model) if isinstance(model, pathlib.Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def answers(model, images):
    opened = session(model)
    name = opened.get_inputs()[0].name
    return [opened.run(None, {name: image})[0] for image in images]


def halved(single, folder):
    """The network in half precision, inputs and outputs in single precision, in the opset that Q/DQ need."""
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(single), str(prepared), skip_symbolic_shape=True)
    model = onnx.version_converter.convert_version(onnx.load(prepared), OPSET)
    return convert_float_to_float16(model, keep_io_types=True)


def ranges(model, images, folder):
    """Least and greatest value of each tensor."""
    path = folder / "half.onnx"
    onnx.save(model, path)
    calibrator = create_calibrator(path, ["Conv"], str(folder / "augmented.onnx"), CalibrationMethod.MinMax)
    calibrator.collect_data(Inputs(model.graph.input[0].name, images))
    return calibrator.compute_data()


def quantised(model, known, convolutions):
    """A copy of the model in which these convolutions read 8 bits. Their outputs are left as they are: what reads them, rounds them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    options = {
        "ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "OpTypesToExcludeOutputQuantization": ["Conv"],
    }
    quantizer = QDQQuantizer(
        copy, per_channel=True, reduce_range=False, weight_qType=QuantType.QInt8, activation_qType=QuantType.QInt8,
        tensors_range=known, nodes_to_quantize=list(convolutions), nodes_to_exclude=[], op_types_to_quantize=["Conv"], extra_options=options,
    )
    quantizer.quantize_model()
    return quantizer.model.model


def masks(facts):
    """From which value on a voxel of each channel is outlined; None where the channel is no outline."""
    return [facts["thresholds"].get(name, {}).get("mask") for name in facts["outputs"]["channels"]]


def overlaps(facts, found, wanted, enough=1):
    """Dice of what each channel outlines, over all answers; of channels that outline enough."""
    dice = {}
    for channel, mask in enumerate(masks(facts)):
        if mask is None:
            continue
        a = [one[:, channel] >= mask for one in found]
        b = [one[:, channel] >= mask for one in wanted]
        both, either = sum(int((x & y).sum()) for x, y in zip(a, b)), sum(int(x.sum() + y.sum()) for x, y in zip(a, b))
        if either >= 2 * enough:
            dice[facts["outputs"]["channels"][channel]] = 2 * both / either
    return dice


class Judge:
    """What an 8-bit network must keep to, as the answers of the network in single precision have it."""

    def __init__(self, package, facts, single, choosing):
        self.facts, self.tolerance = facts, facts["golden"]["tolerance"]
        golden = {"input": facts["golden"]["input"], "expected": given.expected(facts)}
        pairs = [golden, *facts.get("accuracy", {}).get("cases", [])]
        self.proofs = [np.load(package / pair["input"]) for pair in pairs]
        self.expected = [np.load(package / pair["expected"]) for pair in pairs]
        self.choosing, self.wanted = choosing, answers(single, choosing)

    def figures(self, model, number=None):
        """Of all choosing inputs, or of the first so many."""
        proofs, found = answers(model, self.proofs), answers(model, self.choosing[:number])
        differences = [np.abs(a - b) for a, b in zip(found, self.wanted)]
        return {
            "golden": max(float(np.abs(a - b).max()) for a, b in zip(proofs, self.expected)),
            "quantile": float(np.mean([np.quantile(d, QUANTILE) for d in differences])),
            "worst": max(float(d.max()) for d in differences),
            "rms": float(np.sqrt(np.mean([np.mean(d.astype(np.float64) ** 2) for d in differences]))),
            "overlap": min([1.0, *overlaps(self.facts, found, self.wanted, ENOUGH).values()]),
        }

    def passes(self, figures):
        return (
            figures["golden"] <= GOLDEN_SHARE * self.tolerance
            and figures["quantile"] <= CHOOSING_SHARE * self.tolerance
            and figures["overlap"] >= OVERLAP
        )


def said(figures):
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def choose(model, known, convolutions, judge):
    """The most convolutions, in the order of what each does alone, with which the network passes; and its figures."""
    alone = {}
    for name in convolutions:
        alone[name] = judge.figures(quantised(model, known, [name]), ALONE)
        print(f"alone: {name}: {said(alone[name])}", flush=True)
    order = sorted(convolutions, key=lambda name: (alone[name]["golden"], alone[name]["rms"]))
    few, many, best = 0, len(order) + 1, None
    while many - few > 1:
        middle = (few + many) // 2
        figures = judge.figures(quantised(model, known, order[:middle]))
        print(f"{middle} of {len(order)}: {said(figures)}{'' if judge.passes(figures) else ': too much'}", flush=True)
        if judge.passes(figures):
            few, best = middle, figures
        else:
            many = middle
    return order[:few], best


def arithmetic(model, shape, names):
    """Part of all multiplications of convolutions that these make, of an input of that shape."""
    open_ = onnx.ModelProto()
    open_.CopyFrom(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    open_.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in convolutions)
    seen = session(open_)
    found = seen.run([node.output[0] for node in convolutions], {seen.get_inputs()[0].name: np.zeros(shape, np.float32)})
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    of = {node.name: sizes[node.input[1]] * int(np.prod(one.shape[2:])) for node, one in zip(convolutions, found)}
    return sum(of[name] for name in names) / max(1, sum(of.values()))


VARIANT = """[[variants]]
accelerator = "tensorrt"
precision = "int8"
network = "{}"
expected = "{}"

"""


def enter(package, facts, name):
    """The variant and the hash of its network into model.toml; after those of other precisions, so that it has to be faster."""
    path = package / "model.toml"
    text = re.sub(r'\[\[variants\]\]\naccelerator = "tensorrt"\nprecision = "int8"\n(.+\n)+\n', "", path.read_text())
    text = re.sub(rf'^"{re.escape(name)}" = ".*"\n', "", text, flags=re.M)
    if (package / name).exists():
        variant = VARIANT.format(name, given.expected(facts))
        text = text.replace('[[variants]]\naccelerator = "any"', f'{variant}[[variants]]\naccelerator = "any"', 1)
        digest = hashlib.sha256((package / name).read_bytes()).hexdigest()
        head, files, lines = text.partition("[files]\n")
        text = head + files + "".join(sorted([*lines.splitlines(True), f'"{name}" = "{digest}"\n']))
    path.write_text(text)
    # The old signature is not valid for the new manifest. Another tool signs it.
    (package / "model.toml.minisig").unlink(missing_ok=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--phantoms", required=True, help="phantoms of the training seeds")
    arguments.add_argument("--calibrate", type=int, default=CALIBRATE)
    arguments.add_argument("--choose", type=int, default=CHOOSE)
    arguments.add_argument("--all", type=pathlib.Path, help="only for comparison: every convolution in 8 bits, into this file")
    a = arguments.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    facts = given.manifest(a.package)
    single = a.package / given.network(facts, "any", "fp32")
    written = single.with_name(f"{single.stem}-int8.onnx")
    if not a.all:
        written.unlink(missing_ok=True)
    images = given.samples(facts, a.phantoms, phantoms.TRAINING_SEEDS, a.calibrate + a.choose)
    # Every so manieth chooses, so that both parts have every kind.
    step = max(2, len(images) // max(1, a.choose))
    choosing = images[::step]
    calibrating = [image for at, image in enumerate(images) if at % step]
    print(f"{len(calibrating)} inputs calibrate, {len(choosing)} choose")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = halved(single, folder)
        known = ranges(model, calibrating, folder)
        judge = Judge(a.package, facts, single, choosing)
        print(f"no 8 bits: {said(judge.figures(model))}", flush=True)
        convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
        if a.all:
            chosen, figures = convolutions, judge.figures(quantised(model, known, convolutions))
        else:
            chosen, figures = choose(model, known, convolutions, judge)
        part = arithmetic(model, choosing[0].shape, chosen)
        print(f"{len(chosen)} of {len(convolutions)} convolutions, {100 * part:.0f} % of the multiplications: {said(figures or {})}")
        if a.all:
            onnx.save(quantised(model, known, chosen), a.all)
            return
        if part >= WORTH:
            onnx.save(quantised(model, known, chosen), written)
        else:
            print(f"{single.name}: that is too little for a network in 8 bits")
    enter(a.package, facts, written.name)


if __name__ == "__main__":
    main()
