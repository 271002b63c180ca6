#!/usr/bin/env python3
"""Which operators the shipped networks use. Exits with 1 when one is not sure to run on every accelerator.

A network runs on the CPU, on CUDA and on TensorRT only if each of them has a kernel for every operator in the version that the
network asks for. Where CUDA has none, ONNX Runtime silently copies to the CPU and back; TensorRT splits its engine. Needs Python
3.11 and nothing else.

    operators.py [NETWORK.onnx ...]     those of models/packages and of the tests when none is named
"""

import sys
from collections.abc import Iterator
from pathlib import Path

# ONNX Runtime 1.32 has no CUDA kernels for Pad from 19 and ConvTranspose from 22 on (onnxruntime#26393).
NEWEST_OPSET = 18
# Q/DQ take half precision from 19 on. Networks with them are for TensorRT only (a test of `models` sees to it), which has no such gap.
QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear"})
NEWEST_QUANTISED = 19

# Those of the shipped networks, and two that their successors are likely to need. To allow one more, look it up for 32-bit and
# 16-bit floats in ONNX Runtime's docs/OperatorKernels.md (CPU, CUDA) and in docs/operators.md of NVIDIA's ONNX parser.
ALLOWED = frozenset(
    """
    Add Cast Clip Concat Constant Conv Gather GlobalAveragePool MatMul Mul Relu Reshape Resize Shape Sigmoid Transpose Unsqueeze
    """.split()
)

# ---------------------------------------------------------------- protobuf, as much of it as is needed


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message; text and messages as bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"not a protobuf message (wire type {kind})")
        if at + length > len(data):
            raise ValueError("the file ends too early")
        yield number, data[at : at + length]
        at += length


# Field numbers of onnx.proto.
MODEL_GRAPH, MODEL_OPSET, MODEL_FUNCTION = 7, 8, 25
OPSET_DOMAIN, OPSET_VERSION = 1, 2
GRAPH_NODE, FUNCTION_NODE = 1, 7
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS = 6, 11


def operators(graph: bytes, nodes: int = GRAPH_NODE) -> Iterator[str]:
    """Every operator of a graph and of the graphs inside it; those of another domain as `domain.Name`."""
    for number, node in fields(graph):
        if number != nodes or not isinstance(node, bytes):
            continue
        name = domain = ""
        for part, value in fields(node):
            if part == NODE_OPERATOR and isinstance(value, bytes):
                name = value.decode()
            elif part == NODE_DOMAIN and isinstance(value, bytes):
                domain = value.decode()
            elif part == NODE_ATTRIBUTE and isinstance(value, bytes):
                for kind, inner in fields(value):
                    if kind in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS) and isinstance(inner, bytes):
                        yield from operators(inner)
        yield name if domain in ("", "ai.onnx") else f"{domain}.{name}"


def read(network: bytes) -> tuple[int, set[str]]:
    """Opset and operators of a network."""
    opset, found = 0, set()
    for number, value in fields(network):
        if number == MODEL_OPSET and isinstance(value, bytes):
            parts = dict(fields(value))
            if parts.get(OPSET_DOMAIN, b"") in (b"", b"ai.onnx"):
                opset = int(parts.get(OPSET_VERSION, 0))
        elif number == MODEL_GRAPH and isinstance(value, bytes):
            found |= set(operators(value))
        elif number == MODEL_FUNCTION and isinstance(value, bytes):
            found |= set(operators(value, FUNCTION_NODE))
    return opset, found


# ---------------------------------------------------------------- judgement


def faults(network: bytes) -> list[str]:
    """Why a network may not run everywhere."""
    try:
        opset, found = read(network)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        return [f"it cannot be read: {error}"]
    if not found or not opset:
        return ["it has no operators, or no opset"]
    reasons = [f"operator {name} is not in the list" for name in sorted(found - ALLOWED - QUANTISED)]
    newest = NEWEST_QUANTISED if found & QUANTISED else NEWEST_OPSET
    if opset > newest:
        reasons.append(f"opset {opset}, {newest} is the newest for which all have kernels")
    return reasons


def shipped(root: Path) -> list[Path]:
    """Networks of the packages, and the small ones that prove an accelerator."""
    return sorted(root.glob("models/packages/**/*.onnx")) + sorted(root.glob("*/src/**/*.onnx"))


def main(names: list[str]) -> int:
    root = Path(__file__).resolve().parents[2]
    paths = [Path(name) for name in names] or shipped(root)
    failed = not paths
    for path in paths:
        network = path.read_bytes()
        reasons = faults(network)
        for reason in reasons:
            print(f"operators: {path.name}: {reason}")
        if not reasons:
            opset, found = read(network)
            print(f"operators: {path.name}: opset {opset}, {len(found)} operators: {' '.join(sorted(found))}")
        failed = failed or bool(reasons)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
