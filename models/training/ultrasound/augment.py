"""Random changes of training frames, computed on the device: as another scanner, another operator or another setting would give."""

import math

import torch
from torch.nn import functional

from channels import CHANNELS

# Scale and stretch are small, so that shapes and speckle stay realistic; frames are never flipped upside down.
SCALE, STRETCH, SHIFT = 1.25, 1.06, 0.12
GAMMA, GAIN, NOISE = 1.4, 1.3, 0.025
BLURRED = 0.25


def unpacked(labels):
    """int16 [N, H, W] to float [N, 9, H, W]."""
    bits = torch.arange(len(CHANNELS), device=labels.device, dtype=torch.int16)
    return (labels[:, None] >> bits[:, None, None] & 1).float()


def targets(labels):
    """Fraction of each output pixel that is lesion, malignant lesion and so on."""
    return functional.avg_pool2d(unpacked(labels), 2)


def changed(image, labels, random):
    """Image [N, 1, 256, 256] 0..1 and labels int16 [N, 256, 256], both transformed in the same way."""
    n, device = len(image), image.device

    def draw(low, high):
        return torch.empty(n, device=device).uniform_(low, high, generator=random)

    def factor(most):
        return torch.exp(draw(-math.log(most), math.log(most)))

    scale, stretch = factor(SCALE), factor(STRETCH)
    flip = torch.sign(draw(-1, 1))
    zero = torch.zeros_like(scale)
    rows = [torch.stack([flip * scale * stretch, zero, draw(-SHIFT, SHIFT)], 1)]
    rows.append(torch.stack([zero, scale / stretch, draw(-SHIFT, SHIFT)], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), image.shape, align_corners=False)
    image = functional.grid_sample(image, grid, align_corners=False)
    moved = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
    shape = (n, 1, 1, 1)
    blurred = functional.avg_pool2d(image, 3, 1, 1)
    image = torch.where((draw(0, 1) < BLURRED).view(shape), 0.5 * (image + blurred), image)
    noise = torch.empty_like(image).normal_(generator=random) * draw(0, NOISE).view(shape)
    image = (image + noise * (image > 0)).clamp(0, 1) ** factor(GAMMA).view(shape) * factor(GAIN).view(shape)
    return image.clamp(0, 1), moved[:, 0].to(torch.int16)
