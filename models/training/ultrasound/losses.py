"""The loss: where the lesions are, whether there is one at all, and inside them what they are.

Lesion: cross-entropy and soft Dice (Milletari et al., "V-Net", 3DV 2016). A frame as a whole: cross-entropy of its surest pixels, because
one false lesion in a normal picture is one too many however small it is. The other channels: cross-entropy inside lesions, each
frame the same weight however large its lesions are.
"""

import torch
from torch.nn import functional

DICE, DESCRIPTORS, FRAME = 1.0, 0.5, 0.3
# So many of the surest pixels speak for the frame; a lesion of fewer is not asked for.
SUREST = 24


def value(logits, target, known):
    """`logits` and `target` (from augment.targets) [N, 9, 128, 128]; `known` [N, 9], 1 where a channel's label is known."""
    lesion = target[:, :1]
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = (lesion > 0.5).float()
    area = inside.sum((2, 3))
    described = (entropy[:, 1:] * inside).sum((2, 3)) / area.clamp(min=1) * known[:, 1:]
    described = described.sum() / (known[:, 1:] * (area > 0)).sum().clamp(min=1)
    # Lesions have half of the weight of the entropy, so that small ones have an effect.
    weight = 1 + 4 * lesion
    located = (entropy[:, :1] * weight).sum() / weight.sum()
    return located + DICE * dice(logits[:, :1], lesion) + DESCRIPTORS * described + FRAME * frame(logits[:, 0], lesion[:, 0])


def dice(logits, lesion):
    """Frame by frame; in a frame without a lesion nothing should be found."""
    probability = torch.sigmoid(logits)
    both = (probability * lesion).sum((1, 2, 3))
    either = (probability + lesion).sum((1, 2, 3))
    return (1 - (2 * both + 20) / (either + 20)).mean()


def frame(logits, lesion):
    surest = logits.flatten(1).topk(SUREST).values.mean(1)
    area = lesion.sum((1, 2))
    # A frame that shows only a shred of a lesion is neither.
    clear = ((area == 0) | (area >= SUREST)).float()
    entropy = functional.binary_cross_entropy_with_logits(surest, (area > 0).float(), reduction="none")
    return (entropy * clear).sum() / clear.sum().clamp(min=1)
