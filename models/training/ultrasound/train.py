"""Trains the breast ultrasound network on phantoms, on real pictures, or both. Fixed seeds; one CPU thread and --steps give the same
weights again.

    python train.py --clips FOLDER --out network.pt [--variant large] [--device cuda --minutes 3.5]
    python train.py --clips FOLDER --pictures FOLDER --without-fold 0 ...    also real pictures, but for those of fold 0
    python train.py --start network.pt ...                                   goes on with a trained network, or the ONNX file of a package
"""

import argparse
import contextlib
import copy
import math
import pathlib
import sys
import time

import torch

import augment
import clips
import losses
import network
import pictures

# What this network shares with that of CT.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import exported  # noqa: E402

# Decay of the slow average of the network, which is saved.
MEMORY = 0.999
WARM_UP = 0.05
# Batches from which the statistics of a network that comes from an ONNX file are measured.
SETTLING = 24
# The encoder knows much already, and learns at this part of the rate.
ENCODER = 0.15


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


class Source:
    """Gives batches of phantoms and real pictures, or of the one kind that there is."""

    def __init__(self, a, random):
        self.device, self.random, self.share = a.device, random, a.share
        self.clips, self.store, self.names = None, None, []
        if a.clips:
            self.clips = clips.tensors(clips.load(a.clips, clips.TRAINING_SEEDS), a.device)
            self.names.append(f"{len(self.clips[0])} frames of phantoms")
        if a.pictures:
            found = [p for p in pictures.load(a.pictures) if p.fold != a.without_fold]
            self.store = pictures.Store(found, a.device)
            self.names.append(f"{len(found)} real pictures")
        assert self.names, "nothing to learn from: name --clips or --pictures"

    def __str__(self):
        return " and ".join(self.names)

    def batch(self, count):
        """Input [count, 1, 256, 256], targets [count, 9, 128, 128], known channels [count, 9]."""
        real = count if self.clips is None else 0 if self.store is None else round(count * self.share)
        images, labels = [], []
        sure = torch.zeros(count, dtype=torch.bool, device=self.device)
        if real:
            chosen = self.store.draw(real, self.random)
            sure[:real] = self.store.sure[chosen]
            parts = augment.windows(self.store, chosen, self.random)
            images.append(parts[0])
            labels.append(parts[1])
        if real < count:
            frames, bits = self.clips
            chosen = torch.randint(len(frames), (count - real,), device=self.device, generator=self.random)
            parts = augment.moved(clips.scaled(frames[chosen]), bits[chosen], self.random)
            images.append(parts[0])
            labels.append(parts[1])
        from_picture = torch.arange(count, device=self.device) < real
        image = augment.looked(torch.cat(images), self.random)
        return image, augment.targets(torch.cat(labels)), pictures.known(self.device, from_picture, sure)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", help="phantoms; without them only real pictures are learnt from")
    arguments.add_argument("--pictures", help="real pictures")
    arguments.add_argument("--without-fold", type=int, help="this fold of the real pictures is not learnt from")
    arguments.add_argument("--share", type=float, default=0.6, help="of real pictures in a batch")
    arguments.add_argument("--frozen", type=int, default=0, help="so many stages of the encoder stay as they are")
    arguments.add_argument("--photographs", help="folder with the encoder's public weights, instead of its Python package; 'no' for none")
    arguments.add_argument("--start", help="a trained network or the ONNX file of a package to go on with; its encoder needs no photographs")
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--variant", choices=network.VARIANTS, default="fast")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--minutes", type=float, help="stop after this time instead; gives other weights on another machine")
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--rate", type=float, default=4e-3)
    arguments.add_argument("--half", action="store_true", help="bfloat16 also on a CPU, where the processor has it")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--seed", type=int, default=20260105)
    arguments.add_argument("--must-fall", action="store_true", help="fail when the loss on the first frames does not fall")
    a = arguments.parse_args()

    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    torch.backends.cudnn.benchmark = True
    random = torch.Generator(a.device).manual_seed(a.seed)
    source = Source(a, random)
    net = network.LesionNet(a.variant)
    if a.start:
        net = load(a.start)[0]
        if a.start.endswith(".onnx"):
            exported.settle(net, (source.batch(a.batch)[0].cpu() for _ in range(SETTLING)))
        net.train()
    elif a.photographs != "no":
        net.encoder.learn_from_photographs(a.photographs, net.size)
    net.encoder.freeze(a.frozen)
    net = net.to(a.device, memory_format=torch.channels_last)
    average = Average(net)
    learnt = lambda part: [p for p in part.parameters() if p.requires_grad]
    rest = [part for name, part in net.named_children() if name != "encoder"]
    groups = [{"params": learnt(net.encoder), "times": ENCODER}, {"params": sum(map(learnt, rest), []), "times": 1.0}]
    optimiser = torch.optim.AdamW(groups, lr=a.rate, weight_decay=1e-2)
    half = torch.autocast(a.device, torch.bfloat16) if a.half or a.device == "cuda" else contextlib.nullcontext()
    print(f"{source}, {sum(p.numel() for p in net.parameters())} parameters", flush=True)

    def loss(image, target, known):
        with half:
            logits = net(image.contiguous(memory_format=torch.channels_last))
        return losses.value(logits.float(), target, known)

    began, step, progress, total = time.time(), 0, 0.0, 0.0
    while progress < 1:
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = a.rate * group["times"] * rate(progress)
        batch = source.batch(a.batch)
        value = loss(*batch)
        if step == 1:
            first = (batch, value.item())
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
            after = loss(*first[0]).item()
        print(f"loss on the first frames: {first[1]:.4f} at the beginning, {after:.4f} at the end")
        if not after < first[1]:
            raise SystemExit("the loss did not fall")


def load(path):
    """The trained network, on the CPU and in evaluation mode, and the name of its variant. An ONNX file holds the fast one."""
    if str(path).endswith(".onnx"):
        net = network.LesionNet("fast").eval()
        return exported.fill(net, torch.zeros(1, 1, network.SIZE, network.SIZE), path), "fast"
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = network.LesionNet(saved["variant"])
    net.load_state_dict(saved["weights"])
    return net.eval(), saved["variant"]


if __name__ == "__main__":
    main()
