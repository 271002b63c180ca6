"""The chest network: one 3-D encoder and decoder with residual blocks, one small head for each channel.

All convolutions run at half resolution or coarser: the stem reads 4x4x4 voxels with stride 2 and each head writes 2x2x2
voxels at once, so that a whole chest costs seconds on two CPU cores. The coarsest level sees about 20 cm.
Input: HU clipped to each of WINDOWS_HU and scaled to 0..1, [N, 3, D, H, W]; D, H and W multiples of 16. Output: logits,
[N, 10, D, H, W], channels in the order of findings.CHANNELS.
"""

import torch
from torch import nn

from findings import CHANNELS

# Lung, soft tissue, bone.
WINDOWS_HU = ((-1000.0, 400.0), (-160.0, 240.0), (0.0, 1000.0))
WIDTHS = (24, 48, 64, 96)
# Features of each head.
FEATURES = 8


def convolution(inputs, outputs, stride=1):
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm3d(channels),
        )

    def forward(self, x):
        return torch.relu(x + self.body(x))


class Up(nn.Module):
    """Each voxel becomes 2x2x2: the same as a transposed convolution with kernel and stride 2, written in a way that runs faster."""

    def __init__(self, inputs, outputs, groups=1):
        super().__init__()
        self.outputs = outputs
        self.voxels = nn.Conv3d(inputs, outputs * 8, 1, groups=groups)

    def forward(self, x):
        n, _, d, h, w = x.shape
        parts = self.voxels(x).reshape(n, self.outputs, 2, 2, 2, d, h, w)
        return parts.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, self.outputs, 2 * d, 2 * h, 2 * w)


class Heads(nn.Module):
    """Each channel has its own features (1x1x1), from which its 2x2x2 voxels are computed."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.features = nn.Conv3d(inputs, FEATURES * channels, 1)
        self.up = Up(FEATURES * channels, channels, groups=channels)
        # All findings are rare: start from a low probability.
        nn.init.constant_(self.up.voxels.bias, -2.0)

    def forward(self, x):
        return self.up(torch.relu(self.features(x)))


class ChestNet(nn.Module):
    def __init__(self, widths=WIDTHS):
        super().__init__()
        a, b, c, d = widths
        stem = nn.Conv3d(len(WINDOWS_HU), a, 4, stride=2, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm3d(a), nn.ReLU(inplace=True))
        self.fine = convolution(a, a)
        self.middle = nn.Sequential(convolution(a, b, stride=2), Residual(b))
        self.coarse = nn.Sequential(convolution(b, c, stride=2), Residual(c))
        self.context = nn.Sequential(convolution(c, d, stride=2), Residual(d), Residual(d))
        self.up_coarse = Up(d, c)
        self.up_middle = Up(c, b)
        self.join_middle = convolution(b, b)
        self.up_fine = Up(b, a)
        self.join_fine = convolution(a, a)
        self.heads = Heads(a, len(CHANNELS))

    def forward(self, x):
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        coarse = coarse + self.up_coarse(self.context(coarse))
        middle = self.join_middle(self.up_middle(coarse) + middle)
        fine = self.join_fine(self.up_fine(middle) + fine)
        return self.heads(fine)


def scaled(hu):
    """Converts HU [N, 1, D, H, W] (any float tensor) to the network's input."""
    return torch.cat([(hu.clamp(low, high) - low) / (high - low) for low, high in WINDOWS_HU], 1)


def load(path):
    """A network with the weights of a file; its widths follow from them."""
    weights = torch.load(path, weights_only=True, map_location="cpu")
    wide = lambda name: weights[name].shape[0]
    net = ChestNet((wide("stem.0.weight"), wide("middle.0.0.weight"), wide("coarse.0.0.weight"), wide("context.0.0.weight")))
    net.load_state_dict(weights)
    return net
