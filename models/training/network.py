"""The nodule network: a small 3-D encoder and decoder with residual blocks.

All convolutions run at half resolution or coarser: the stem reads 4x4x4 voxels with stride 2 and the head writes 2x2x2
voxels at once, so that a whole chest costs seconds on two CPU cores.
Input: HU clipped to WINDOW_HU and scaled to 0..1, [N, 1, D, H, W]; D, H and W multiples of 8. Output: logits, same shape.
"""

import torch
from torch import nn

WINDOW_HU = (-1000.0, 400.0)
SPACING_MM = 1.5
CHANNELS = (16, 32, 64)


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


class NoduleNet(nn.Module):
    def __init__(self, channels=CHANNELS):
        super().__init__()
        a, b, c = channels
        self.stem = nn.Sequential(nn.Conv3d(1, a, 4, stride=2, padding=1, bias=False), nn.BatchNorm3d(a), nn.ReLU(inplace=True))
        self.fine = convolution(a, a)
        self.middle = nn.Sequential(convolution(a, b, stride=2), Residual(b))
        self.coarse = nn.Sequential(convolution(b, c, stride=2), Residual(c))
        self.up_middle = nn.ConvTranspose3d(c, b, 2, stride=2)
        self.join_middle = convolution(b, b)
        self.up_fine = nn.ConvTranspose3d(b, a, 2, stride=2)
        self.join_fine = convolution(a, a)
        self.head = nn.ConvTranspose3d(a, 1, 2, stride=2)
        # Nodules are rare: start from a low probability.
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x):
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.join_middle(self.up_middle(coarse) + middle)
        fine = self.join_fine(self.up_fine(middle) + fine)
        return self.head(fine)


def scaled(hu):
    """HU (any float tensor) to the network's input range."""
    low, high = WINDOW_HU
    return (hu.clamp(low, high) - low) / (high - low)
