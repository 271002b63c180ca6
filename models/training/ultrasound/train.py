"""Trains the breast ultrasound network. Fixed seeds; one CPU thread and --steps give the same weights again.

    python train.py --clips FOLDER --out network.pt [--variant large] [--device cuda --minutes 3.5]
"""

import argparse
import contextlib
import copy
import math
import time

import torch

import augment
import clips
import losses
import network

# Decay of the slow average of the network, which is saved.
MEMORY = 0.998
WARM_UP = 0.05


def rate(progress):
    """Fraction of the highest learning rate at a fraction of the training: a short rise, then a cosine down to 1 %."""
    if progress < WARM_UP:
        return 0.05 + 0.95 * progress / WARM_UP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


class Average:
    """A copy of the network that follows it slowly; faster at the beginning."""

    def __init__(self, net):
        self.net = copy.deepcopy(net).eval()
        pairs = zip(self.net.state_dict().values(), net.state_dict().values())
        self.means, self.now = zip(*((mean, now) for mean, now in pairs if mean.dtype.is_floating_point))

    @torch.no_grad()
    def follow(self, step):
        torch._foreach_lerp_(self.means, self.now, max(1 - MEMORY, 1 / (1 + step / 8)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--variant", choices=network.WIDTHS, default="fast")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--minutes", type=float, help="stop after this time instead; gives other weights on another machine")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rate", type=float, default=4e-3)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--seed", type=int, default=20260105)
    arguments.add_argument("--must-fall", action="store_true", help="fail when the loss on the first frames does not fall")
    a = arguments.parse_args()

    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = True
    random = torch.Generator(a.device).manual_seed(a.seed)
    images, labels = clips.tensors(clips.load(a.clips, clips.TRAINING_SEEDS), a.device)
    net = network.LesionNet(a.variant).to(a.device, memory_format=torch.channels_last)
    average = Average(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.rate, weight_decay=1e-3)
    half = torch.autocast("cuda", torch.bfloat16) if a.device == "cuda" else contextlib.nullcontext()
    print(f"{len(images)} frames, {sum(p.numel() for p in net.parameters())} parameters", flush=True)

    def loss(image, target):
        with half:
            logits = net(image.contiguous(memory_format=torch.channels_last))
        return losses.value(logits.float(), target)

    began, step, progress, total = time.time(), 0, 0.0, 0.0
    while progress < 1:
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = a.rate * rate(progress)
        chosen = torch.randint(len(images), (a.batch,), device=a.device, generator=random)
        image, moved = augment.changed(clips.scaled(images[chosen]), labels[chosen], random)
        target = augment.targets(moved)
        value = loss(image, target)
        if step == 1:
            first = (image, target, value.item())
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        average.follow(step)
        total = total + value.detach()
        passed = time.time() - began
        progress = passed / 60 / a.minutes if a.minutes else step / a.steps
        if step % 200 == 0 or progress >= 1:
            print(f"step {step} loss {float(total) / (step % 200 or 200):.4f} {passed:.0f} s", flush=True)
            total = 0.0
            torch.save({"variant": a.variant, "weights": average.net.state_dict()}, a.out)
    if a.must_fall:
        with torch.no_grad():
            after = loss(*first[:2]).item()
        print(f"loss on the first frames: {first[2]:.4f} at the beginning, {after:.4f} at the end")
        if not after < first[2]:
            raise SystemExit("the loss did not fall")


def load(path):
    """The trained network, on the CPU and in evaluation mode, and the name of its variant."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = network.LesionNet(saved["variant"])
    net.load_state_dict(saved["weights"])
    return net.eval(), saved["variant"]


if __name__ == "__main__":
    main()
