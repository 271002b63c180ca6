"""The breast ultrasound network: a U-Net of depthwise-separable convolutions, small enough for one CPU core.

Input: grey 0..1, [N, 1, 256, 256], the sector scaled so that its longer side fits (mean over the covered area), at the top left,
black elsewhere. Output: logits [N, 9, 128, 128], channels in the order of channels.CHANNELS.
"""

import torch
from torch import nn
from torch.nn import functional

from channels import CHANNELS

SIZE, STRIDE = 256, 2
# Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input: for a CPU core and for a GPU.
WIDTHS = {"fast": (24, 48, 64, 128, 192), "large": (48, 96, 160, 256, 384)}
# Blocks at each level on the way down.
DEPTHS = {"fast": (2, 2, 3, 3, 3), "large": (2, 3, 3, 4, 4)}


def pointwise(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def depthwise(channels, size=3, stride=1):
    convolution = nn.Conv2d(channels, channels, size, stride=stride, padding=size // 2, groups=channels, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class Block(nn.Module):
    def __init__(self, channels, size=3):
        super().__init__()
        self.body = nn.Sequential(depthwise(channels, size), pointwise(channels, channels))

    def forward(self, x):
        return torch.relu(x + self.body(x))


class Down(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(depthwise(inputs, stride=2), pointwise(inputs, outputs), nn.ReLU(inplace=True))


class Up(nn.Module):
    """Joins coarse features with the finer ones of half the stride."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.narrow = pointwise(inputs, outputs)
        self.join = Block(outputs)

    def forward(self, coarse, fine):
        return self.join(torch.relu(fine + functional.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest")))


class LesionNet(nn.Module):
    def __init__(self, variant="fast"):
        super().__init__()
        widths, depths = WIDTHS[variant], DEPTHS[variant]
        stem = nn.Conv2d(1, widths[0], 3, stride=2, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        # Shadows are long, so the coarsest level needs a large field of view.
        levels = [nn.Sequential(*(Block(w, 5 if w == widths[-1] else 3) for _ in range(d))) for w, d in zip(widths, depths)]
        self.levels = nn.ModuleList(levels)
        self.downs = nn.ModuleList(Down(a, b) for a, b in zip(widths, widths[1:]))
        self.ups = nn.ModuleList(Up(b, a) for a, b in zip(widths, widths[1:]))
        self.head = nn.Conv2d(widths[0], len(CHANNELS), 1)
        # Most pixels are no lesion: start from a low probability.
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias[:1], -3.0)

    def forward(self, x):
        x = self.levels[0](self.stem(x))
        fine = []
        for down, level in zip(self.downs, self.levels[1:]):
            fine.append(x)
            x = level(down(x))
        for up, skip in zip(reversed(self.ups), reversed(fine)):
            x = up(x, skip)
        return self.head(x)
