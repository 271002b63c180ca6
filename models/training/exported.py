"""The weights of a shipped network, read back from its ONNX file, to train on from there.

When a network is exported its batch normalisations become part of the convolutions. `fill` gives each convolution the exported weight, and its
normalisation the identity with the exported bias, so that the network in evaluation mode answers as the file does. The statistics are then made
up: train with normalisations that stay as they are, or measure the statistics first, with `settle`.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as Normalisation
from torch.nn.modules.conv import _ConvNd as Convolution


def fill(net, example, path):
    """`net`: of the exported kind, in evaluation mode; `example`: any input that it takes. Returns the network, changed.

    Raises AssertionError when the file holds other convolutions than the network.
    """
    graph = onnx.load(path).graph
    values = {v.name: numpy_helper.to_array(v) for v in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    # The exporter keeps their order of use, which is found by running the network once.
    given = [[values[n] for n in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    order = []
    hooks = [m.register_forward_hook(lambda m, *_: order.append(m)) for m in net.modules() if isinstance(m, (Convolution, Normalisation))]
    with torch.no_grad():
        net(example)
    for hook in hooks:
        hook.remove()
    convolutions = [m for m in order if isinstance(m, Convolution)]
    assert len(convolutions) == len(given), f"{path}: {len(given)} convolutions instead of {len(convolutions)}"
    with torch.no_grad():
        for i, module in enumerate(order):
            if not isinstance(module, Convolution):
                continue
            weight, *bias = given[convolutions.index(module)]
            assert weight.shape == tuple(module.weight.shape), f"{path}: weights {weight.shape} instead of {tuple(module.weight.shape)}"
            module.weight.copy_(torch.from_numpy(np.array(weight)))
            bias = torch.from_numpy(np.array(bias[0]))
            norm = order[i + 1] if i + 1 < len(order) else None
            if isinstance(norm, Normalisation):
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                norm.weight.fill_(1)
                norm.bias.copy_(bias)
            else:
                module.bias.copy_(bias)
    return net


@torch.no_grad()
def settle(net, images):
    """Gives every normalisation the mean and variance of what reaches it from `images` (an iterable of batches), and the weight and bias that
    undo them: answers in evaluation mode stay the same, and in training mode are nearly these."""
    norms = [m for m in net.modules() if isinstance(m, Normalisation)]
    sums = {m: [0, 0.0, 0.0] for m in norms}

    def see(m, given):
        x = given[0].double().transpose(0, 1).flatten(1)
        seen = sums[m]
        seen[0] += x.shape[1]
        seen[1] += x.sum(1)
        seen[2] += (x * x).sum(1)

    hooks = [m.register_forward_pre_hook(see) for m in norms]
    net.eval()
    for image in images:
        net(image)
    for hook in hooks:
        hook.remove()
    for m, (count, total, squares) in sums.items():
        mean = total / count
        variance = squares / count - mean * mean
        factor = m.weight.double() / (m.running_var.double() + m.eps).sqrt()
        bias = m.bias.double() - m.running_mean.double() * factor
        m.weight.copy_(factor * (variance + m.eps).sqrt())
        m.bias.copy_(bias + mean * factor)
        m.running_mean.copy_(mean)
        m.running_var.copy_(variance)
    return net
