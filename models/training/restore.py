"""The CT network by its weights or by the ONNX file of a package, to train on from there. Train the latter with `--steady`: the statistics of its
normalisations are made up (exported.py)."""

import torch

import exported
import network


def load(path):
    """A network by its weights, or by the ONNX file of a package; of the latter in evaluation mode.

    Raises AssertionError when the file holds other convolutions than the network.
    """
    if not path.endswith(".onnx"):
        return network.load(path)
    net = network.ChestNet(network.WIDTHS).eval()
    return exported.fill(net, torch.zeros(1, len(network.WINDOWS_HU), 16, 16, 16), path)
