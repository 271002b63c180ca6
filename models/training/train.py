"""Trains the nodule network on crops. Fixed seeds; one thread gives the same weights again.

    python train.py --phantoms FOLDER --out network.pt [--steps 800]
"""

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

import network
import phantoms

CROP = 48
BATCH = 8
# A crop of each kind in a batch: around a nodule, anywhere in a lung, where the network was wrong before.
AROUND_NODULE, ANYWHERE = 4, 2


class Sampler:
    """Draws crops; remembers where nodule-free crops came out bright and goes back there."""

    def __init__(self, found, seed):
        self.found = found
        self.rng = np.random.default_rng(seed)
        self.hard = []

    def draw(self):
        crops, places = [], []
        for i in range(BATCH):
            p, centre = self.place(i)
            hu, labels = p.crop(centre, CROP)
            hu, labels = phantoms.flipped(self.rng, hu, labels)
            crops.append((hu.astype(np.float32), (labels & 127).astype(np.int64)))
            places.append((p, centre))
        hu = torch.from_numpy(np.stack([c[0] for c in crops]))[:, None]
        labels = torch.from_numpy(np.stack([c[1] for c in crops]))[:, None]
        return network.scaled(hu), labels, places

    def place(self, i):
        rng = self.rng
        if i >= AROUND_NODULE + ANYWHERE and len(self.hard) >= 20:
            p, centre = self.hard[rng.integers(len(self.hard))]
            return p, centre + rng.integers(-6, 7, 3)
        p = self.found[rng.integers(len(self.found))]
        if i < AROUND_NODULE and p.centres:
            return p, p.centres[rng.integers(len(p.centres))] + rng.integers(-17, 18, 3)
        return p, p.lung_voxel(rng)

    def learn(self, places, probability, labels):
        """Keeps the places where a voxel far from any nodule was brighter than 0.3."""
        near = functional.max_pool3d((labels > 0).float(), 5, stride=1, padding=2) > 0
        worst = probability.masked_fill(near, 0).flatten(1).max(1).values
        for (p, centre), value in zip(places, worst.tolist()):
            if value > 0.3:
                self.hard.append((p, np.asarray(centre)))
        self.hard = self.hard[-400:]


def weights(labels):
    """Weight of each nodule voxel: small nodules count nearly as much as large ones."""
    w = torch.zeros(labels.shape)
    for n in range(labels.shape[0]):
        for number in labels[n].unique().tolist():
            if number:
                where = labels[n] == number
                w[n][where] = (400.0 / where.sum().clamp(min=8)).sqrt()
    return w


def loss(logits, labels):
    """Weighted cross-entropy on nodules, cross-entropy on the hardest background, and soft Dice."""
    target = (labels > 0).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    w = weights(labels)
    positive = (entropy * w).sum() / w.sum().clamp(min=1.0)
    background = (entropy * (1 - target)).flatten(1)
    hardest = background.topk(1000, dim=1).values
    negative = hardest.mean() + background.mean()
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * target * (w + 1)).sum() + 10
    dice = 1 - overlap / ((probability * (w + 1)).sum() + (target * (w + 1)).sum() + 10)
    return positive + negative + 0.5 * dice


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--phantoms", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--steps", type=int, default=800)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--start", help="continue from these weights")
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--seed", type=int, default=20260105)
    arguments.add_argument("--must-fall", action="store_true", help="fail when the loss of the first crops did not fall")
    a = arguments.parse_args()

    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    sampler = Sampler(phantoms.load(a.phantoms, phantoms.TRAINING_SEEDS), a.seed)
    net = network.NoduleNet()
    if a.start:
        net.load_state_dict(torch.load(a.start, weights_only=True))
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, a.rate, total_steps=a.steps, pct_start=0.1)
    print(f"{len(sampler.found)} phantoms, {sum(p.numel() for p in net.parameters())} parameters", flush=True)
    began, smooth = time.time(), None
    for step in range(1, a.steps + 1):
        image, labels, places = sampler.draw()
        logits = net(image)
        value = loss(logits, labels)
        if step == 1:
            first = (image, labels, value.item())
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        sampler.learn(places, torch.sigmoid(logits.detach()), labels)
        smooth = value.item() if smooth is None else 0.95 * smooth + 0.05 * value.item()
        if step % 20 == 0 or step == a.steps:
            torch.save(net.state_dict(), a.out)
            print(f"step {step} loss {smooth:.3f} hard {len(sampler.hard)} {time.time() - began:.0f} s", flush=True)
    if a.must_fall:
        image, labels, before = first
        with torch.no_grad():
            after = loss(net(image), labels).item()
        print(f"loss of the first crops: {before:.3f} at first, {after:.3f} in the end")
        if not after < before:
            raise SystemExit("the loss did not fall")


if __name__ == "__main__":
    main()
