"""The loss, channel by channel, for crops with masks, with boxes, and with study labels only.

Where voxels are known, cross-entropy (lesions weighted, background by how wrong it is) and soft Dice (Milletari et al.,
"V-Net", 3DV 2016). In a box that lies wholly in the crop every slice along each axis holds some of the lesion: the
projection term of BoxInst (Tian et al., CVPR 2021) in three dimensions. Voxels that are not known learn what a slow
average of the network (Mean Teacher, Tarvainen and Valpola, NeurIPS 2017) is sure of.
"""

import torch
from torch.nn import functional

# The teacher is used where its probability is below or above these.
SURE_EMPTY, SURE_LESION = 0.1, 0.8
# Weight that is added to the hardest background, in voxels, so that a crop without mistakes costs nothing.
CALM = 50.0
AXES = (0, 2, 3, 4)


class Entropy(torch.autograd.Function):
    """Sum of the weighted cross-entropies. Its gradient is written by hand, because autograd would go through these large arrays more often."""

    @staticmethod
    def forward(context, logits, lesion, weight, probability):
        context.save_for_backward(lesion, weight, probability)
        return (functional.softplus(logits).sub_(logits * lesion).mul_(weight)).sum()

    @staticmethod
    def backward(context, gradient):
        lesion, weight, probability = context.saved_tensors
        return (probability - lesion).mul_(weight).mul_(gradient), None, None, None


def known(logits, batch, probability):
    """Loss of the voxels whose label is known. `probability` without gradient."""
    lesion = batch.lesion.float()
    empty = batch.empty.float()
    # In each channel the lesions, the hardest background and the whole background have the same weight, however large they are.
    weight = probability.square().mul_(empty)
    weight.div_(sums(weight) + CALM).add_(empty.div_(sums(empty).clamp(min=1.0)))
    weight.add_(batch.weight / sums(batch.weight).clamp(min=1.0))
    value = Entropy.apply(logits, lesion, weight, probability)
    for channel in batch.lesion.flatten(2).any(2).any(0).nonzero().flatten().tolist():
        value = value + 0.5 * dice(logits[:, channel], lesion[:, channel], batch.known[:, channel])
    return value / logits.shape[1]


def dice(logits, lesion, seen):
    probability = torch.sigmoid(logits) * seen
    return 1 - (2 * (probability * lesion).sum() + 10) / (probability.sum() + lesion.sum() + 10)


def sums(values):
    return values.sum(AXES, keepdim=True)


def boxed(logits, boxes):
    """Loss of slices through boxes: the voxel with the highest probability in each slice is lesion."""
    terms = []
    for n, channel, low, high in boxes:
        part = logits[(n, channel, *(slice(a, b) for a, b in zip(low, high)))]
        slices = [part.amax(others) for others in ((1, 2), (0, 2), (0, 1))]
        terms.append(sum(functional.softplus(-s).mean() for s in slices) / 3)
    return torch.stack(terms).mean() if terms else logits.new_zeros(())


def taught(logits, teacher, unknown):
    """Loss of the voxels without a known label: where the teacher is sure, with equal weight for lesion and background. `teacher`: probabilities."""
    lesion = (unknown & (teacher > SURE_LESION)).float()
    empty = (unknown & (teacher < SURE_EMPTY)).float()
    weight = lesion / (sums(lesion) + CALM) + empty / (sums(empty) + CALM)
    return Entropy.apply(logits, lesion, weight, torch.sigmoid(logits.detach())) / logits.shape[1]
