#!/usr/bin/env python3
"""Makes screen-text.onnx and characters.txt from the public package that has the network.

    pip download --no-deps rapidocr-onnxruntime==1.4.4
    make.py rapidocr_onnxruntime-1.4.4-py3-none-any.whl FOLDER

Needs onnx and numpy (models/training/requirements.txt).
"""
import hashlib
import pathlib
import sys
import zipfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

WHEEL = "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"
NETWORK = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
# Smaller tensors are left as they are: shapes, single factors.
LEAST_VALUES = 256


def halved(graph):
    """The nodes, with large weights in half precision; they are made single again when the network is loaded."""
    for node in graph.node:
        values = numpy_helper.to_array(node.attribute[0].t) if node.op_type == "Constant" else None
        if values is None or values.dtype != numpy.float32 or values.size < LEAST_VALUES:
            yield node
            continue
        name = node.output[0]
        node.attribute[0].t.CopyFrom(numpy_helper.from_array(values.astype(numpy.float16)))
        node.output[0] = f"{name}_half"
        yield node
        yield helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT)


def main(wheel, folder):
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL:
        sys.exit(f"{wheel} is another file")
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read(NETWORK))
    characters = next(entry.value for entry in model.metadata_props if entry.key == "character")
    nodes = list(halved(model.graph))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "screen-text.onnx"))
    (folder / "characters.txt").write_text(characters, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
