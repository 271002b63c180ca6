"""Random changes of training frames, computed on the device: as another scanner, another operator or another setting would give."""

import math

import torch
from torch.nn import functional

import network
from channels import CHANNELS

# Scale and stretch of phantoms are small, so that shapes and speckle stay realistic; frames are never flipped upside down.
SCALE, STRETCH, SHIFT = 1.25, 1.06, 0.12
# Of real pictures: at least this share of each side is seen, stretched by at most this, turned by at most this many degrees.
LEAST_SIDE, PICTURE_STRETCH, TURN = 0.55, 1.2, 10.0
WHOLE = 0.3
GAMMA, GAIN, NOISE = 1.5, 1.35, 0.03
# How often each of these is done.
BLURRED, SHARPENED, GRAINY, SHADOWED, COMPENSATED, MARKED = 0.25, 0.15, 0.35, 0.2, 0.4, 0.25
MARKS, ARM = 6, 4


def unpacked(labels):
    """int16 [N, H, W] to float [N, 9, H, W]."""
    bits = torch.arange(len(CHANNELS), device=labels.device, dtype=torch.int16)
    return (labels[:, None] >> bits[:, None, None] & 1).float()


def targets(labels):
    """Fraction of each output pixel that is lesion, malignant lesion and so on."""
    return functional.avg_pool2d(unpacked(labels), 2)


class Draw:
    """Random numbers for a batch."""

    def __init__(self, count, device, random):
        self.count, self.device, self.random = count, device, random

    def between(self, low, high):
        return torch.empty(self.count, device=self.device).uniform_(low, high, generator=self.random)

    def factor(self, most):
        return torch.exp(self.between(-math.log(most), math.log(most)))

    def chance(self, of):
        return (self.between(0, 1) < of).view(-1, 1, 1, 1)

    def field(self, rows, columns, size):
        """Smooth random numbers [N, 1, size, size] around 0, from so many knots."""
        knots = torch.empty(self.count, 1, rows, columns, device=self.device).normal_(generator=self.random)
        return functional.interpolate(knots, (size, size), mode="bicubic", align_corners=True)


def moved(image, labels, random):
    """Frames of phantoms [N, 1, 256, 256] 0..1 and labels int16 [N, 256, 256], both transformed in the same way."""
    draw = Draw(len(image), image.device, random)
    scale, stretch = draw.factor(SCALE), draw.factor(STRETCH)
    flip = torch.sign(draw.between(-1, 1))
    zero = torch.zeros_like(scale)
    rows = [torch.stack([flip * scale * stretch, zero, draw.between(-SHIFT, SHIFT)], 1)]
    rows.append(torch.stack([zero, scale / stretch, draw.between(-SHIFT, SHIFT)], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), image.shape, align_corners=False)
    image = functional.grid_sample(image, grid, align_corners=False)
    labels = functional.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)
    return image, labels[:, 0].to(torch.int16)


def windows(store, chosen, random):
    """A window of each chosen picture as the network would be given it: [N, 1, 256, 256] 0..1 and labels int16 [N, 256, 256].

    The window stands for another choice of the sector. It is stretched and turned a little; beyond the picture there is black.
    """
    draw = Draw(len(chosen), store.grey.device, random)
    size = store.size[chosen]
    whole = draw.between(0, 1) < WHOLE
    share = torch.where(whole[:, None], 1.0, torch.stack([draw.between(LEAST_SIDE, 1), draw.between(LEAST_SIDE, 1)], 1))
    window = size * share
    start = (size - window) * torch.stack([draw.between(0, 1), draw.between(0, 1)], 1)
    stretch = torch.where(whole, 1.0, draw.factor(PICTURE_STRETCH))
    shown = window * torch.stack([stretch, 1 / stretch], 1)
    shown = shown * (network.SIZE / shown.amax(1, keepdim=True))
    # Pixels of the network's input, from the window's middle, as a share of it.
    at = torch.arange(network.SIZE, device=size.device) + 0.5
    x = (at[None, None, :] / shown[:, 0, None, None] - 0.5).expand(-1, network.SIZE, -1)
    y = (at[None, :, None] / shown[:, 1, None, None] - 0.5).expand(-1, -1, network.SIZE)
    inside = (x.abs() <= 0.5) & (y.abs() <= 0.5)
    x = x * torch.sign(draw.between(-1, 1)).view(-1, 1, 1)
    angle = torch.where(whole, 0.0, draw.between(-TURN, TURN) * math.pi / 180).view(-1, 1, 1)
    wide, high = window[:, 0].view(-1, 1, 1), window[:, 1].view(-1, 1, 1)
    middle = start + window / 2
    turned_x = middle[:, 0].view(-1, 1, 1) + x * wide * torch.cos(angle) - y * high * torch.sin(angle)
    turned_y = middle[:, 1].view(-1, 1, 1) + x * wide * torch.sin(angle) + y * high * torch.cos(angle)
    edge = store.grey.shape[-1]
    grid = torch.stack([turned_x, turned_y], -1) * 2 / edge - 1
    both = torch.stack([store.grey[chosen], store.mask[chosen] * 255], 1).float() / 255
    both = functional.grid_sample(both, grid, align_corners=False) * inside[:, None]
    lesion = (both[:, 1] > 0.5).to(torch.int16)
    bits = 1 + 2 * store.malignant[chosen].to(torch.int16)
    return both[:, :1], lesion * bits.view(-1, 1, 1)


def looked(image, random):
    """Grey values [N, 1, 256, 256] as another setting of the scanner, or another scanner, would show them. Black stays black."""
    n, size = len(image), image.shape[-1]
    draw = Draw(n, image.device, random)
    shape = (n, 1, 1, 1)
    seen = image > 0
    blurred = functional.avg_pool2d(image, 3, 1, 1)
    image = torch.where(draw.chance(BLURRED), 0.5 * (image + blurred), image)
    image = torch.where(draw.chance(SHARPENED), image + 0.7 * (image - blurred), image)
    # Speckle of another size multiplies what is there.
    grain = draw.field(size // 3, size // 2, size) * draw.between(0, 0.25).view(shape)
    image = torch.where(draw.chance(GRAINY), image * (1 + grain), image)
    # Gain by depth, and shadows of bad contact or of ribs: bands from the probe down.
    depth = draw.field(4, 1, size) * 0.15
    image = torch.where(draw.chance(COMPENSATED), image * (1 + depth), image)
    band = torch.sigmoid(draw.field(1, 9, size) * 4 - 5)
    image = torch.where(draw.chance(SHADOWED), image * (1 - 0.8 * band), image)
    noise = torch.empty_like(image).normal_(generator=random) * draw.between(0, NOISE).view(shape)
    image = (image + noise).clamp(1e-4, 1) ** draw.factor(GAMMA).view(shape) * draw.factor(GAIN).view(shape)
    return marked(image.clamp(0, 1) * seen, draw)


def marked(image, draw):
    """Crosses as callipers have them, anywhere: they must not say that there is a lesion."""
    n, size = len(image), image.shape[-1]
    at = torch.randint(ARM, size - ARM, (n, MARKS, 2), device=image.device, generator=draw.random)
    arm = torch.arange(-ARM, ARM + 1, device=image.device)
    there = torch.zeros(n, size, size, device=image.device)
    which = torch.arange(n, device=image.device).view(n, 1, 1)
    there[which, at[..., :1] + arm, at[..., 1:]] = 1
    there[which, at[..., :1], at[..., 1:] + arm] = 1
    return torch.where(draw.chance(MARKED), torch.maximum(image, 0.9 * there[:, None]), image)
