"""Lesion candidates in one view: a fully convolutional network on pixels of 0.4 mm.

Input: [N, 2, rows, columns], grey and fine detail, both 0..1, chest wall at column 0. Rows and columns are multiples of 16.
Output: logits [N, 4, rows / 4, columns / 4], one channel for each of cases.KINDS: a lesion is near.
"""

import torch
from torch import nn

from cases import KINDS

STRIDE = 4


def convolution(inputs, outputs, stride=1, spread=1):
    filtered = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=spread, dilation=spread, bias=False)
    return nn.Sequential(filtered, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Block(nn.Module):
    def __init__(self, channels, spread=1):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels, 1, spread), nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return torch.relu(x + self.body(x))


class CandidateNet(nn.Module):
    def __init__(self, widths=(12, 20, 40)):
        super().__init__()
        a, b, c = widths
        self.fine = nn.Sequential(convolution(2, a, 2), convolution(a, b, 2), Block(b))
        # Asymmetries and distortions are large: the coarse level sees about 80 mm.
        self.coarse = nn.Sequential(convolution(b, c, 2), Block(c), Block(c, 2), Block(c, 3))
        self.narrow = nn.Conv2d(c, b, 1)
        self.join = convolution(b, b)
        self.head = nn.Conv2d(b, len(KINDS), 1)
        # Most places hold no lesion: start from a low probability.
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x):
        fine = self.fine(x)
        coarse = nn.functional.interpolate(self.narrow(self.coarse(fine)), scale_factor=2.0, mode="nearest")
        return self.head(self.join(torch.relu(fine + coarse)))
