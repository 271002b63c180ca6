"""Trains the candidate network on crops of phantom views, on one thread.

    python train.py --cases FOLDER --out candidates.pt --minutes 25
"""

import argparse
import time

import numpy as np
import torch
from torch.nn import functional

import cases
import network

CROP = 224
# Parts of the crops that are made around a lesion; the others lie anywhere on the breast.
AROUND = 0.65
# The weights that are kept are a running mean over about this: 1 / (1 - MEAN) steps.
MEAN = 0.98


def crop(view, random):
    """Input [2, CROP, CROP] and target [4, CROP / 4, CROP / 4]."""
    _, rows, columns = view.picture.shape
    if view.lesions and random.random() < AROUND:
        _, column, row, *_ = view.lesions[random.integers(len(view.lesions))]
        column, row = column + random.normal(0, 40), row + random.normal(0, 40)
    else:
        column, row = random.uniform(0, max(CROP / 2, view.nipple[0])), random.uniform(0, rows)
    left = int(np.clip(column - CROP / 2, 0, columns - CROP))
    top = int(np.clip(row - CROP / 2, 0, rows - CROP))
    given = np.ascontiguousarray(view.picture[:, top : top + CROP, left : left + CROP]).astype(np.float32) / 255
    wanted = target(view, top, left, CROP, CROP)
    # Upside down is another woman.
    if random.random() < 0.5:
        given, wanted = given[:, ::-1].copy(), wanted[:, ::-1].copy()
    given[0] = np.clip(given[0] * random.uniform(0.8, 1.2) + random.uniform(-0.06, 0.06) * (given[0] > 0), 0, 1)
    given[1] = np.clip(given[1] * random.uniform(0.7, 1.3), 0, 1)
    return given, wanted


def target(view, top, left, rows, columns):
    """Heat of each kind, 1 at the centre of a lesion; Gaussian with a third of its half size, at least 2 mm."""
    step = network.STRIDE
    heat = np.zeros((len(cases.KINDS), rows // step, columns // step), np.float32)
    y = (np.arange(rows // step) * step + (step - 1) / 2 + top)[:, None]
    x = (np.arange(columns // step) * step + (step - 1) / 2 + left)[None]
    for kind, column, row, wide, high, _ in view.lesions:
        sigma = [max(5.0, 0.4 * wide), max(5.0, 0.4 * high)]
        one = np.exp(-0.5 * (((x - column) / sigma[0]) ** 2 + ((y - row) / sigma[1]) ** 2))
        heat[kind] = np.maximum(heat[kind], one)
    return heat


def loss(logits, wanted):
    """Cross entropy with soft targets, easy places weighted down (focal)."""
    probability = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = (wanted - probability).abs() ** 2 * (1 + 6 * wanted)
    return (weight * entropy).sum() / max(1.0, float((wanted > 0.8).sum()))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--minutes", type=float)
    arguments.add_argument("--steps", type=int, default=12000, help="at most")
    arguments.add_argument("--batch", type=int, default=12)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--seed", type=int, default=20261129)
    arguments.add_argument("--must-fall", action="store_true", help="fail unless the loss fell")
    a = arguments.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    random = np.random.default_rng(a.seed)
    views = [v for c in cases.load(a.cases, cases.TRAINING_SEEDS) for v in c.views]
    ill = [v for v in views if v.lesions]
    print(f"{len(views)} views, {len(ill)} with a lesion", flush=True)
    net = network.CandidateNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=a.rate, weight_decay=1e-3)
    began, history, average = time.monotonic(), [], None
    for step in range(a.steps):
        passed = (time.monotonic() - began) / (60 * a.minutes) if a.minutes else step / a.steps
        if passed >= 1:
            break
        # The rate does not fall: beside other work nobody knows how many steps there will be. The running mean of the weights
        # does in its place what a falling rate would do.
        for group in optimiser.param_groups:
            group["lr"] = a.rate * min(1, (step + 1) / 30)
        chosen = [ill[random.integers(len(ill))] if i % 2 else views[random.integers(len(views))] for i in range(a.batch)]
        pairs = [crop(v, random) for v in chosen]
        given, wanted = (torch.from_numpy(np.stack(part)) for part in zip(*pairs))
        value = loss(net(given), wanted)
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        history.append(float(value.detach()))
        keep = min(MEAN, step / (step + 9))
        now = {k: v.detach().clone() for k, v in net.state_dict().items()}
        average = now if average is None else {k: v + keep * (average[k] - v) if v.is_floating_point() else v for k, v in now.items()}
        if step % 50 == 0:
            print(f"step {step}: loss {np.mean(history[-50:]):.3f}, {passed:.0%}", flush=True)
            torch.save(average, a.out)
    torch.save(average, a.out)
    part = max(1, len(history) // 5)
    first, last = np.mean(history[:part]), np.mean(history[-part:])
    print(f"{len(history)} steps, loss {first:.3f} -> {last:.3f}")
    if a.must_fall:
        assert last < first, "the loss did not fall"


def load(path):
    net = network.CandidateNet()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()


if __name__ == "__main__":
    main()
