"""The loss: where the lesions are, and inside them what they are.

Lesion: cross-entropy and soft Dice (Milletari et al., "V-Net", 3DV 2016). The other channels: cross-entropy inside lesions, each
frame the same weight however large its lesions are.
"""

import torch
from torch.nn import functional

DICE, DESCRIPTORS = 1.0, 0.5


def value(logits, target):
    """Both [N, 9, 128, 128]; `target` from augment.targets."""
    lesion = target[:, :1]
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = (lesion > 0.5).float()
    area = inside.sum((2, 3))
    described = (entropy[:, 1:] * inside).sum((2, 3)) / area.clamp(min=1)
    described = described.mean(1).sum() / (area > 0).sum().clamp(min=1)
    # Lesions have half of the weight of the entropy, so that small ones have an effect.
    weight = 1 + 4 * lesion
    located = (entropy[:, :1] * weight).sum() / weight.sum()
    return located + DICE * dice(logits[:, :1], lesion) + DESCRIPTORS * described


def dice(logits, lesion):
    """Frame by frame; in a frame without a lesion nothing should be found."""
    probability = torch.sigmoid(logits)
    both = (probability * lesion).sum((1, 2, 3))
    either = (probability + lesion).sum((1, 2, 3))
    return (1 - (2 * both + 20) / (either + 20)).mean()
