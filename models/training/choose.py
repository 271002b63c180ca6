"""Chooses the thresholds on validation phantoms, channel by channel: the mask by Dice, then confidence and least size for
most hits within FALSE_PER_SCAN.

    python choose.py --weights network.pt --phantoms FOLDER --out thresholds.json
"""

import argparse
import json
import time

import numpy as np
import torch

import calcium
import detect
import network
import phantoms
from findings import CHANNELS, LESION, LUNG, SCAN, SIDE, SPACING_MM

FALSE_PER_SCAN = 0.5
MASKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
# Uniform steps of the logit, because most confidences are close to 1.
CONFIDENCES = np.round(1 / (1 + np.exp(-np.arange(-1.0, 6.6, 0.25))), 3)
# Which planted things count: nodules and nodes as in hil-tests/src/evaluation/cases.rs; on a side, smaller volumes than this do not count.
NODULE_MM, NODE_MM, LEAST_ML = 6.0, 10.0, 0.05
# Both are pneumonia, so taking one for the other is not a false finding.
PNEUMONIA = ("ground_glass", "consolidation")


def best_mask(probabilities, found, index):
    """The threshold with the greatest Dice over all phantoms that have the finding; also its Dice, and its volume divided by the planted one."""
    rows = []
    for mask in MASKS:
        both = either = planted = 0
        for probability, phantom in zip(probabilities, found):
            lesion = (phantom.labels >> index & 1).astype(bool)
            if not lesion.any():
                continue
            seen = probability[index] >= mask
            both += np.count_nonzero(seen & lesion)
            either += np.count_nonzero(seen) + np.count_nonzero(lesion)
            planted += np.count_nonzero(lesion)
        rows.append((2 * both / max(either, 1), mask, (either - planted) / max(planted, 1)))
    return max(rows)


def size(channel, candidate):
    return {
        "nodule": candidate.diameter_mm,
        "rib_fracture": candidate.long_mm,
        "lymph_node": candidate.short_mm,
    }.get(channel.name, candidate.volume_ml)


def planted(channel, index, phantom, least=0.0):
    """What must be found (keys; from `least` on, mm or ml), and a function from a candidate to the keys that it hits; None when the candidate is false."""
    if channel.counts == LESION:
        lesions = phantom.truth[channel.listed]
        centres = [phantom.to_voxel(l["centre_mm"]) for l in lesions]
        extents = [l.get("long_axis_mm", l.get("diameter_mm", 0.0)) for l in lesions]
        large = {"nodule": ("diameter_mm", NODULE_MM), "lymph_node": ("short_axis_mm", NODE_MM)}.get(channel.name)
        wanted = {i for i, l in enumerate(lesions) if not large or l[large[0]] >= max(large[1], least)}
        # A small nodule need not be found; a normal node must not.
        nodes = {i for i, l in enumerate(lesions) if not large or l[large[0]] >= large[1]}
        forgiven = nodes if channel.name == "lymph_node" else set(range(len(lesions)))

        def hits(candidate):
            away = [np.linalg.norm(candidate.centre - c) * SPACING_MM for c in centres]
            near = {i for i, (d, e) in enumerate(zip(away, extents)) if d <= max(e / 2, channel.reach_mm)}
            return near & wanted if near & forgiven else None

        return wanted, hits
    middle = midline(phantom) if channel.counts == SIDE else 0
    side = lambda x: int(x >= middle)
    volumes = {k: side_ml(phantom, index, middle, k) for k in ((0, 1) if channel.counts == SIDE else (1,))}
    wanted = {k for k, ml in volumes.items() if ml >= max(LEAST_ML if channel.counts == SIDE else 1e-9, least)}
    forgiven = {k for k, ml in volumes.items() if ml > 0}
    if channel.name in PNEUMONIA:
        other = next(i for i, c in enumerate(CHANNELS) if c.name in PNEUMONIA and i != index)
        forgiven |= {k for k in volumes if side_ml(phantom, other, middle, k) > 0}
    return wanted, lambda c: ({side(c.centre[2])} & wanted) if side(c.centre[2]) in forgiven else None


def midline(phantom):
    """Column in the middle of the lungs' box; x runs to the left."""
    columns = np.flatnonzero((phantom.labels & LUNG).any((0, 1)))
    return (columns[0] + columns[-1]) / 2


def side_ml(phantom, index, middle, side):
    middle = round(middle)
    half = phantom.labels[..., middle:] if side else phantom.labels[..., :middle]
    return np.count_nonzero(half >> index & 1) * detect.VOXEL_ML


def candidates(channel, index, probability, phantom, hu, mask):
    """What one channel of a volume's probabilities shows; `hu` is what the network was given."""
    probability = probability[index].astype(np.float32)
    if channel.name == "nodule":
        probability = probability * detect.lung_rim(phantom.labels)
    if channel.name != "coronary_calcification":
        return detect.components(probability, mask)
    least = calcium.least_hu(phantom)
    return [c for c in detect.components(probability, mask, calcium.brightest(hu)) if c.brightest >= least]


def counted(channel, scans, confidence, least):
    """How many of what is wanted in all scans is hit, and how many candidates are false. A scan: candidates, and what `planted` gives."""
    hit = false = 0
    for seen, _, hits in scans:
        kept = [hits(c) for c in seen if c.peak >= confidence and size(channel, c) >= least]
        hit += len(set().union(*(k for k in kept if k is not None)))
        wrong = sum(k is None for k in kept)
        # A side or a scan counts as wrong once, however many parts it has.
        false += wrong if channel.counts == LESION else min(wrong, 2 if channel.counts == SIDE else 1)
    return hit, false


def choose(channel, index, probabilities, found):
    dice, mask, ratio = best_mask(probabilities, found, index)
    scans = []
    for probability, phantom in zip(probabilities, found):
        seen = candidates(channel, index, probability, phantom, phantom.hu, mask)
        scans.append((seen, *planted(channel, index, phantom)))
    total = sum(len(wanted) for _, wanted, _ in scans)
    rows = []
    for confidence in CONFIDENCES:
        for least in channel.sizes:
            hit, false = counted(channel, scans, confidence, least)
            rate = false / len(scans)
            rows.append(((rate <= FALSE_PER_SCAN, hit if rate <= FALSE_PER_SCAN else -rate, -rate), float(confidence), least))
    best = max(row[0] for row in rows)
    # The middle one of those that are equally good.
    equal = [row for row in rows if row[0] == best]
    _, confidence, least = equal[len(equal) // 2]
    hit = next(r for r in rows if r[0] == best)[0][1]
    return {
        "confidence": confidence, "mask": mask, "min_size": least,
        "planted": total, "hit": max(hit, 0), "false_per_scan": -best[2], "dice": dice, "volume_ratio": ratio,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--phantoms", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--threads", type=int, default=2)
    a = arguments.parse_args()

    torch.set_num_threads(a.threads)
    net = network.load(a.weights)
    net = net.eval().to(memory_format=torch.channels_last_3d)
    found = phantoms.load(a.phantoms, phantoms.VALIDATION_SEEDS)
    began = time.time()
    probabilities = [detect.probability(net, p.hu) for p in found]
    print(f"{len(found)} phantoms in {time.time() - began:.0f} s", flush=True)
    chosen = {}
    for index, channel in enumerate(CHANNELS):
        row = choose(channel, index, probabilities, found)
        chosen[channel.name] = row
        print(
            f"{channel.name}: hit {row['hit']} of {row['planted']}, {row['false_per_scan']:.2f} FP/scan, Dice {row['dice']:.3f}, "
            f"volume x{row['volume_ratio']:.2f}; confidence {row['confidence']} mask {row['mask']} size {row['min_size']}",
            flush=True,
        )
    with open(a.out, "w") as file:
        json.dump(chosen, file, indent=1)


if __name__ == "__main__":
    main()
