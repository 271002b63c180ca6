"""Trains the chest network on crops. Fixed seeds; one thread of a CPU gives the same weights again, a GPU nearly the same.

    python train.py --phantoms FOLDER --out network.pt [--steps 2500] [--device cuda --batch 48]
"""

import argparse
import copy
import math
import time

import torch

import losses
import network
import phantoms
import restore
from sampler import Sampler, inner

# Decay of the slow average of the network, which is the teacher and is saved.
MEMORY = 0.995
TAUGHT, BOXED = 0.5, 0.3
WARM_UP = 0.05


def rate(progress):
    """Fraction of the highest learning rate at a fraction of the training: a short rise, then a cosine down to 1 %."""
    if progress < WARM_UP:
        return 0.05 + 0.95 * progress / WARM_UP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


@torch.no_grad()
def follow(teacher, net, step):
    """Moves the teacher a little towards the network; faster at the beginning."""
    floats = lambda some: [t for t in some.state_dict().values() if t.dtype.is_floating_point]
    torch._foreach_lerp_(floats(teacher), floats(net), 1 - min(MEMORY, 1 - 1 / step))


def seen(net, image, half):
    """Logits without the rim; the network is computed in bfloat16 when `half`."""
    with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
        return inner(net(image.contiguous(memory_format=torch.channels_last_3d)).float())


def loss(net, teacher, batch, heard, half):
    """The total loss of a batch, and the probabilities (without gradient). `heard`: weight of the teacher, 0 to 1."""
    logits = seen(net, batch.image, half)
    probability = torch.sigmoid(logits.detach())
    value = losses.known(logits, batch, probability) + BOXED * losses.boxed(logits, batch.boxes)
    weak = [n for n, whole in enumerate(batch.whole) if not whole]
    if heard and weak:
        with torch.no_grad():
            told = torch.sigmoid(seen(teacher, batch.image[weak], half))
        value = value + TAUGHT * heard * losses.taught(logits[weak], told, ~batch.known[weak])
    return value, probability


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--phantoms", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--steps", type=int, default=2500)
    arguments.add_argument("--minutes", type=float, help="stop after this time instead; gives other weights on another machine")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments.add_argument("--batch", type=int, default=4, help="crops for each step, a multiple of four")
    arguments.add_argument("--widths", type=int, nargs=4, default=network.WIDTHS, help="channels at each level")
    arguments.add_argument("--start", help="weights to begin with, or the ONNX file of a package (then with --steady)")
    arguments.add_argument("--steady", action="store_true", help="statistics of the batch normalisation stay as they are")
    arguments.add_argument("--half", action="store_true", help="bfloat16 also on a CPU: for processors with matrix units (AMX)")
    arguments.add_argument("--thin", action="store_true", help="all crops as they were scanned, none as thicker slices or other kernels")
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--teach", type=int, nargs=2, default=(200, 600), help="step from which on the teacher is used, and step from which on with full weight")
    arguments.add_argument("--seed", type=int, default=20260105)
    arguments.add_argument("--growing", action="store_true", help="look for new phantoms in the folder from time to time")
    arguments.add_argument("--must-fall", action="store_true", help="fail when the loss on the first crops does not fall")
    a = arguments.parse_args()

    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    half = a.half or a.device == "cuda"
    net = restore.load(a.start) if a.start else network.ChestNet(a.widths)
    net = net.to(a.device, memory_format=torch.channels_last_3d)
    sampler = Sampler(phantoms.load(a.phantoms, phantoms.TRAINING_SEEDS), a.seed, a.device, not a.thin)
    teacher = copy.deepcopy(net).eval()
    net.train(not a.steady)
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.rate, weight_decay=1e-3)
    print(f"{len(sampler.all)} phantoms, {sum(p.numel() for p in net.parameters())} parameters", flush=True)
    torch.backends.cudnn.benchmark = True
    began, smooth, step, progress = time.time(), None, 0, 0.0
    following = sampler.draw(a.batch)
    while progress < 1:
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = a.rate * rate(progress)
        batch = following
        heard = min(max((step - a.teach[0]) / (a.teach[1] - a.teach[0]), 0), 1)
        value, probability = loss(net, teacher, batch, heard, half)
        if step == 1:
            first = (batch, value.item())
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        follow(teacher, net, step)
        # Done before the mistakes are read, because reading them waits for the GPU.
        following = sampler.draw(a.batch)
        sampler.learn(batch, probability)
        passed = time.time() - began
        progress = passed / 60 / a.minutes if a.minutes else step / a.steps
        smooth = value.detach() if smooth is None else smooth.lerp(value.detach(), 0.03)
        if step % 200 == 0 or progress >= 1:
            torch.save(teacher.state_dict(), a.out)
        if step % 20 == 0 or progress >= 1:
            print(f"step {step} loss {smooth.item():.4f} hard {len(sampler.hard)} {passed:.0f} s", flush=True)
        if a.growing and step % 100 == 0:
            sampler.take(phantoms.load(a.phantoms, phantoms.TRAINING_SEEDS, sampler.all))
    if a.must_fall:
        batch, before = first
        with torch.no_grad():
            after = loss(net, teacher, batch, 0, half)[0].item()
        print(f"loss on the first crops: {before:.4f} at the beginning, {after:.4f} at the end")
        if not after < before:
            raise SystemExit("the loss did not fall")


if __name__ == "__main__":
    main()
