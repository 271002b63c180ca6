"""Several looks at one picture as one network: each of its networks sees the picture at several sizes, as it is and mirrored, and the answers
are averaged. For stored pictures, where there is time for it.

Input: grey 0..1, [N, 1, 320, 320], as network.py has it but for the size. Output: probabilities [N, 9, 160, 160].
Sizes and mirrors are constant matrices around the networks, because no two accelerators resize alike. They are written as convolutions of one
pixel: Turing has no engine for products of matrices in single precision.
"""

import numpy as np
import torch
from torch import nn

import network

SIZE = 320
MAP = SIZE // network.STRIDE


def smaller(of, to):
    """[to, of]: each number the mean of those that it covers, as Image.Resampling.BOX has it."""
    matrix = np.zeros((to, of), np.float32)
    edges = np.linspace(0, of, to + 1)
    for row, (low, high) in enumerate(zip(edges, edges[1:])):
        for column in range(int(low), min(of, int(np.ceil(high - 1e-9)))):
            matrix[row, column] = min(high, column + 1) - max(low, column)
    return torch.from_numpy(matrix / matrix.sum(1, keepdims=True))


def larger(of, to):
    """[to, of]: linear between the middles of the numbers."""
    matrix = np.zeros((to, of), np.float32)
    for row in range(to):
        at = min(max((row + 0.5) * of / to - 0.5, 0), of - 1)
        first, part = int(at), at - int(at)
        matrix[row, first] += 1 - part
        matrix[row, min(first + 1, of - 1)] += part
    return torch.from_numpy(matrix)


def along_rows(matrix):
    """A 1x1 convolution that multiplies the channels, where the rows are, with the matrix [to, of]."""
    to, of = matrix.shape
    product = nn.Conv2d(of, to, 1, bias=False).requires_grad_(False)
    product.weight.copy_(matrix[:, :, None, None])
    return product


class Look(nn.Module):
    """One network on the picture at one size."""

    def __init__(self, net, size, mirrored):
        super().__init__()
        self.net = net
        down, up = smaller(SIZE, size), larger(size // network.STRIDE, MAP)
        turn = (lambda matrix: matrix.flip(1)) if mirrored else (lambda matrix: matrix)
        # Mirrored back on the way up: the small map is turned before it grows.
        self.rows, self.columns = along_rows(down), along_rows(turn(down))
        self.map_rows, self.map_columns = along_rows(up), along_rows(turn(up))

    def forward(self, image):
        # [N, channels, rows, columns] -> [N, rows, channels, columns] -> [N, columns, channels, rows] and back.
        small = self.columns(self.rows(image.transpose(1, 2)).transpose(1, 3)).permute(0, 2, 3, 1)
        answer = torch.sigmoid(self.net(small))
        return self.map_columns(self.map_rows(answer.transpose(1, 2)).transpose(1, 3)).permute(0, 2, 3, 1)


class Together(nn.Module):
    def __init__(self, nets, sizes):
        super().__init__()
        self.looks = nn.ModuleList(Look(net, size, mirrored) for net in nets for size in sizes for mirrored in (False, True))

    def forward(self, image):
        total = self.looks[0](image)
        for look in self.looks[1:]:
            total = total + look(image)
        return total * (1 / len(self.looks))
