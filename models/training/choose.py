"""Chooses the thresholds on validation phantoms: most nodules within FALSE_PER_SCAN, those >= 6 mm before the others.

    python choose.py --weights network.pt --phantoms FOLDER --out thresholds.json
"""

import argparse
import json
import time

import numpy as np
import torch

import detect
import network
import phantoms

FALSE_PER_SCAN = 0.2
MASKS = (0.3, 0.4, 0.5)
# Even steps of the logit: confidences crowd near 1.
CONFIDENCES = np.round(1 / (1 + np.exp(-np.arange(0.0, 6.6, 0.25))), 3)
MIN_DIAMETER_MM = 3.0


def rates(candidates, found, confidence):
    """Sensitivity (>= 6 mm, smaller), false candidates per scan."""
    hit, planted, false = [0, 0], [0, 0], 0
    for phantom, all_of_it in zip(found, candidates):
        kept = [c for c in all_of_it if c[2] >= confidence and c[1] >= MIN_DIAMETER_MM]
        hits, wrong = detect.match(kept, phantom)
        false += wrong
        for i, nodule in enumerate(phantom.nodules):
            small = int(nodule["diameter_mm"] < 6.0)
            planted[small] += 1
            hit[small] += i in hits
    return hit[0] / max(planted[0], 1), hit[1] / max(planted[1], 1), false / len(found), planted


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--phantoms", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--threads", type=int, default=2)
    a = arguments.parse_args()

    torch.set_num_threads(a.threads)
    net = network.NoduleNet()
    net.load_state_dict(torch.load(a.weights, weights_only=True))
    net.eval()
    found = phantoms.load(a.phantoms, phantoms.VALIDATION_SEEDS)
    candidates = {mask: [] for mask in MASKS}
    began = time.time()
    for phantom in found:
        prob, lung = detect.in_lungs(net, phantom)
        for mask in MASKS:
            candidates[mask].append(detect.components(prob, lung, mask))
    print(f"{len(found)} phantoms in {time.time() - began:.0f} s")

    best = None
    for mask in MASKS:
        for confidence in CONFIDENCES:
            large, small, false, planted = rates(candidates[mask], found, confidence)
            # Large nodules first, then small ones, then false findings.
            key = (false <= FALSE_PER_SCAN, round(large, 4), round(small, 4), -round(false, 4))
            print(f"mask {mask} confidence {confidence:.3f}: >=6 mm {large:.3f} <6 mm {small:.3f} of {planted}, {false:.2f} FP/scan")
            if best is None or key > best[0]:
                best = (key, {"confidence": float(confidence), "mask": mask, "min_diameter_mm": MIN_DIAMETER_MM})
    with open(a.out, "w") as file:
        json.dump(best[1], file)
    print(best)


if __name__ == "__main__":
    main()
