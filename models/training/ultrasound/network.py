"""The breast ultrasound network: an encoder that began with photographs, and a light decoder of depthwise-separable convolutions.

Input: grey 0..1, [N, 1, 256, 256], the sector scaled so that its longer side fits (mean over the covered area), at the top left,
black elsewhere. Output: logits [N, 9, 128, 128], channels in the order of channels.CHANNELS.
"""

import torch
from torch import nn
from torch.nn import functional

from channels import CHANNELS
from encoder import Encoder

SIZE, STRIDE = 256, 2
# Size of the encoder: for a CPU core and for a GPU.
VARIANTS = {"fast": 0, "large": 2}
# Channels of the decoder at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input.
WIDTHS = {"fast": (16, 24, 48, 96, 160), "large": (32, 48, 96, 160, 256)}


def pointwise(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """A residual depthwise-separable convolution."""

    def __init__(self, channels, size=3):
        super().__init__()
        filtered = nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels, bias=False)
        self.body = nn.Sequential(filtered, nn.BatchNorm2d(channels), nn.ReLU(inplace=True), pointwise(channels, channels))

    def forward(self, x):
        return torch.relu(x + self.body(x))


class Up(nn.Module):
    """Joins coarse features with the finer ones of half the stride."""

    def __init__(self, inputs, skip, outputs):
        super().__init__()
        self.narrow = pointwise(inputs, outputs)
        self.skip = pointwise(skip, outputs)
        self.join = Block(outputs, 5)

    def forward(self, coarse, fine):
        grown = functional.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest")
        return self.join(torch.relu(self.skip(fine) + grown))


class LesionNet(nn.Module):
    def __init__(self, variant="fast"):
        super().__init__()
        self.size = VARIANTS[variant]
        self.encoder = Encoder(self.size)
        widths = WIDTHS[variant]
        # Shadows are long, so the coarsest level needs a large field of view.
        self.context = nn.Sequential(pointwise(self.encoder.channels[-1], widths[-1]), nn.ReLU(inplace=True), Block(widths[-1], 5))
        pairs = zip(widths[1:], self.encoder.channels[:-1], widths[:-1])
        self.ups = nn.ModuleList(Up(*pair) for pair in pairs)
        self.head = nn.Conv2d(widths[0], len(CHANNELS), 1)
        # Most pixels are no lesion: start from a low probability.
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias[:1], -3.0)

    def forward(self, x):
        *fine, x = self.encoder(x)
        x = self.context(x)
        for up, skip in zip(reversed(self.ups), reversed(fine)):
            x = up(x, skip)
        return self.head(x)
