"""Begins with what an earlier network knows: weights of this one, or the ONNX file of the narrower nodule network."""

import onnx
import torch
from onnx import numpy_helper


def start(net, path, image):
    """`image` is a batch of the network's input, for the statistics of the layers."""
    if not path.endswith(".onnx"):
        net.load_state_dict(torch.load(path, weights_only=True))
        return
    graph = onnx.load(path).graph
    values = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    of = lambda kind: [[values[name] for name in node.input[1:3]] for node in graph.node if node.op_type == kind]
    with torch.no_grad():
        biases = {}
        for (layer, norm), (weight, bias) in zip(convolutions(net), of("Conv"), strict=True):
            embed(layer.weight, weight)
            biases[norm] = bias
        # The last one is the nodule head: heads are learnt anew.
        for up, (weight, bias) in zip((net.up_middle, net.up_fine), of("ConvTranspose")):
            embed(up.voxels.weight, weight.flatten(2).permute(1, 2, 0).flatten(0, 1)[..., None, None, None])
            up.voxels.bias[: 8 * len(bias)] = bias.repeat_interleave(8)
        # What is coarser than the old network begins silent.
        net.up_coarse.voxels.weight.zero_()
        net.up_coarse.voxels.bias.zero_()
        unfold(net, biases, image)


def convolutions(net):
    """The layers that both networks have, with their batch norms, in the order of the forward pass."""
    block = lambda first: [(first[0], first[1])]
    stage = lambda s: block(s[0]) + block(s[1].body[0]) + [(s[1].body[1], s[1].body[2])]
    return (block(net.stem) + block(net.fine) + stage(net.middle) + stage(net.coarse)
            + block(net.join_middle) + block(net.join_fine))


def embed(wide, narrow):
    """Writes the old weights into the first outputs and inputs; new inputs are not heard by old outputs."""
    outputs, inputs = narrow.shape[:2]
    wide[:outputs] = 0
    wide[:outputs, :inputs] = narrow


def unfold(net, biases, image):
    """ONNX has the batch norms folded into the weights. Gives each the statistics it would see, and a scale that undoes them."""

    def meet(norm, inputs):
        x, bias = inputs[0], biases[norm]
        norm.running_mean.copy_(x.mean((0, 2, 3, 4)))
        norm.running_var.copy_(x.var((0, 2, 3, 4)))
        old = len(bias)
        norm.weight[:old] = (norm.running_var[:old] + norm.eps).sqrt()
        norm.bias[:old] = norm.running_mean[:old] + bias

    hooks = [norm.register_forward_pre_hook(meet) for norm in biases]
    net.eval()(image)
    for hook in hooks:
        hook.remove()
    net.train()
