"""The weights of a shipped network, read back from its ONNX file, to train on from there.

When the network was exported its batch normalisations became part of the convolutions. Here each convolution gets the exported weight, and its
normalisation the identity with the exported bias, so that the network in evaluation mode answers as the file does. Train it with
`--steady`: the statistics of the normalisations are made up.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

import network


def load(path):
    """A network by its weights, or by the ONNX file of a package; of the latter in evaluation mode.

    Raises AssertionError when the file holds other convolutions than the network.
    """
    if not path.endswith(".onnx"):
        return network.load(path)
    graph = onnx.load(path).graph
    values = {v.name: numpy_helper.to_array(v) for v in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    # The exporter keeps their order of use, which is found by running the network once.
    exported = [[values[n] for n in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    widths = network.WIDTHS
    net = network.ChestNet(widths).eval()
    order = []
    hooks = [m.register_forward_hook(lambda m, *_: order.append(m)) for m in net.modules() if isinstance(m, (nn.Conv3d, nn.BatchNorm3d))]
    with torch.no_grad():
        net(torch.zeros(1, len(network.WINDOWS_HU), 16, 16, 16))
    for hook in hooks:
        hook.remove()
    convolutions = [m for m in order if isinstance(m, nn.Conv3d)]
    assert len(convolutions) == len(exported), f"{path}: {len(exported)} convolutions instead of {len(convolutions)}"
    with torch.no_grad():
        for i, module in enumerate(order):
            if not isinstance(module, nn.Conv3d):
                continue
            weight, *bias = exported[convolutions.index(module)]
            assert weight.shape == tuple(module.weight.shape), f"{path}: weights {weight.shape} instead of {tuple(module.weight.shape)}"
            module.weight.copy_(torch.from_numpy(np.array(weight)))
            bias = torch.from_numpy(np.array(bias[0]))
            norm = order[i + 1] if i + 1 < len(order) else None
            if isinstance(norm, nn.BatchNorm3d):
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                norm.weight.fill_(1)
                norm.bias.copy_(bias)
            else:
                module.bias.copy_(bias)
    return net
