"""Chooses the thresholds on validation clips: the mask by Dice, then confidence and least area for most lesions found within
FALSE_PER_SECOND. Clips must hold evenly spaced frames of whole videos (`phantom ultrasound frames --every 3`).

    python choose.py --weights network.pt --clips FOLDER --out thresholds.json
"""

import argparse
import json
import time

import numpy as np
import torch

import clips
import detect
import train
from channels import CHANNELS, LESION, MALIGNANT

FALSE_PER_SECOND = 0.1
MASKS = (0.3, 0.4, 0.5, 0.6, 0.7)
# Uniform steps of the logit, because most confidences are close to 1.
CONFIDENCES = np.round(1 / (1 + np.exp(-np.arange(0.0, 6.6, 0.5))), 3)
AREAS_MM2 = (2.0, 4.0, 6.0, 9.0, 12.0)
# A lesion must be found when at least this area of it is visible for at least this time.
SEEN_S, SEEN_MM2 = 0.5, 10.0


def frame_dice(probabilities, found, mask):
    """Dice of each frame that shows a lesion."""
    scores = []
    for probability, clip in zip(probabilities, found):
        wanted = clip.labels[:, 1::2, 1::2] & 1
        seen = probability[:, LESION] >= mask
        both = (seen & (wanted == 1)).sum((1, 2))
        either = seen.sum((1, 2)) + wanted.sum((1, 2))
        scores.append((2 * both / np.maximum(either, 1))[wanted.any((1, 2))])
    return np.concatenate(scores)


def best_mask(probabilities, found):
    """The threshold with the greatest mean Dice over all frames that show a lesion, and that Dice."""
    return max((float(frame_dice(probabilities, found, mask).mean()), mask) for mask in MASKS)


def seconds_per_frame(clip):
    frames = clip.truth["frames"]
    return (frames[1]["frame"] - frames[0]["frame"]) / clip.truth["fps"]


def wanted(clip):
    """IDs of the lesions that must be found."""
    shown = [l["id"] for f in clip.truth["frames"] for l in f["lesions"] if l["area_mm2"] >= SEEN_MM2]
    return {i for i in set(shown) if shown.count(i) * seconds_per_frame(clip) >= SEEN_S}


def run(found, candidates, confidence, least):
    """Lesions found, lesions that must be found, false alarms, seconds; and the tracks of the true alarms with their clip."""
    hit = total = false = 0
    seconds, true = 0.0, []
    for clip, frames in zip(found, candidates):
        kept = [[c for c in f if c.peak >= confidence and c.area_mm2 >= least] for f in frames]
        alarms = [t for t in detect.tracks(kept) if t.alarm]
        want = wanted(clip)
        hit += len(want & set().union(*(t.lesions for t in alarms)))
        total += len(want)
        false += sum(not t.lesions for t in alarms)
        seconds += len(frames) * seconds_per_frame(clip)
        true += [(clip, t) for t in alarms if t.lesions]
    return hit, total, false, seconds, true


def described(true):
    """For each channel but the first: the lesions' mean values and what they should be."""
    rows = []
    for clip, track in true:
        lesion = next(iter(track.lesions))
        hits = [h for h in track.hits if h.lesion == lesion]
        weights = np.array([h.area_mm2 for h in hits])
        value = (np.stack([h.means for h in hits]) * weights[:, None]).sum(0) / weights.sum()
        rows.append((value, truth_bits(clip, lesion)))
    values, truth = (np.array([r[i] for r in rows], float).reshape(-1, len(CHANNELS)) for i in (0, 1))
    return values, truth


def truth_bits(clip, lesion):
    l = next(l for l in clip.truth["lesions"] if l["id"] == lesion)
    return [
        1, l["malignant"], l["shape"] == "irregular", l["orientation"] == "not_parallel", l["margin"] != "circumscribed",
        l["echo_pattern"] == "anechoic", l["echo_pattern"] == "heterogeneous",
        l["posterior_features"] == "enhancement", l["posterior_features"] == "shadowing",
    ]


def area_under_curve(values, truth):
    """Area under the ROC curve: fraction of pairs in the right order; None without both kinds."""
    yes, no = values[truth == 1], values[truth == 0]
    if not len(yes) or not len(no):
        return None
    above = (yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean()
    return float(above)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--clips", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--threads", type=int, default=1)
    a = arguments.parse_args()

    torch.set_num_threads(a.threads)
    net, _ = train.load(a.weights)
    net = net.to(a.device)
    found = clips.load(a.clips, clips.VALIDATION_SEEDS)
    began = time.time()
    probabilities = [detect.maps(net, c, a.device) for c in found]
    print(f"{len(found)} clips, {sum(len(p) for p in probabilities)} frames in {time.time() - began:.0f} s", flush=True)
    dice, mask = best_mask(probabilities, found)
    candidates = [[detect.candidates(c, i, p, mask) for i, p in enumerate(ps)] for c, ps in zip(found, probabilities)]
    rows = []
    for confidence in CONFIDENCES:
        for least in AREAS_MM2:
            hit, _, false, seconds, _ = run(found, candidates, confidence, least)
            within = false / seconds <= FALSE_PER_SECOND
            rows.append(((within, hit if within else -false, -false), float(confidence), least))
    best = max(row[0] for row in rows)
    # The middle one of those that are equally good.
    equal = [row for row in rows if row[0] == best]
    _, confidence, least = equal[len(equal) // 2]
    hit, total, false, seconds, true = run(found, candidates, confidence, least)
    print(f"Dice {dice:.3f} at mask {mask}; confidence {confidence}, area {least} mm2")
    print(f"lesions found {hit} of {total}; {false} false alarms in {seconds:.0f} s ({false / seconds:.3f} per second)")
    values, truth = described(true)
    chosen = {"confidence": confidence, "mask": mask, "min_size": least, "malignant": 0.5}
    report = {"dice": dice, "hit": hit, "planted": total, "false_per_second": false / seconds}
    for index, channel in enumerate(CHANNELS[MALIGNANT:], MALIGNANT):
        auc = area_under_curve(values[:, index], truth[:, index])
        right = float(((values[:, index] >= 0.5) == truth[:, index]).mean()) if len(truth) else 0.0
        report[channel] = {"auc": auc, "right": right, "of": len(truth)}
        print(f"{channel}: right {right:.3f}, AUC {'-' if auc is None else f'{auc:.3f}'}, {int(truth[:, index].sum())} of {len(truth)} have it")
    with open(a.out, "w") as file:
        json.dump({"thresholds": chosen, "validation": report}, file, indent=1)


if __name__ == "__main__":
    main()
