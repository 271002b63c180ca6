"""Measures the fast network of a package on held-out videos and writes the table of its card, and the card's hash in model.toml.

    phantom ultrasound frames --seed N --every 3 --out FOLDER    for each N from 2000000 on
    python evaluate.py --clips FOLDER --package ../../packages/us-breast

Candidates and tracks are computed by detect.py, not by the daemon.
"""

import argparse
import math
import pathlib
import tomllib

import numpy as np

import card
import choose
import clips
import detect
import export
from channels import CHANNELS, MALIGNANT

BATCH = 16


def wilson(hit, of):
    """95 % confidence interval of a share (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    z, p = 1.96, hit / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return tuple((middle + s * half) / (1 + z * z / of) for s in (-1, 1))


def opened(package):
    """The network of a package for any processor, its thresholds, and how the card names it."""
    manifest = tomllib.loads((package / "model.toml").read_text())
    network = next(v["network"] for v in manifest["variants"] if v["accelerator"] == "any")
    model = f"{manifest['id']} {manifest['version']} (network sha256 {manifest['files'][network][:12]}...)"
    return export.session(package / network), manifest["thresholds"], model


def maps(session, clip):
    images = clip.images[:, None].astype(np.float32) / 255
    parts = [session.run(None, {"image": images[i : i + BATCH]})[0] for i in range(0, len(images), BATCH)]
    return np.concatenate(parts).astype(np.float16)


def switches(true):
    """How often a lesion got another track while it stayed in view, how often when it came back, and how many lesions had a track."""
    by_lesion = {}
    for clip, track in true:
        for lesion in track.lesions:
            by_lesion.setdefault((clip.seed, lesion), (clip, []))[1].append(track)
    changed = back = 0
    for (_, lesion), (clip, tracks) in by_lesion.items():
        shown = [any(l["id"] == lesion for l in f["lesions"]) for f in clip.truth["frames"]]
        tracks.sort(key=lambda t: t.hits[0].frame)
        for one, other in zip(tracks, tracks[1:]):
            stayed = all(shown[one.hits[-1].frame + 1 : other.hits[0].frame])
            changed, back = changed + stayed, back + (not stayed)
    return changed, back, len(by_lesion)


def table(found, probabilities, thresholds, model):
    lesion = thresholds["lesion"]
    candidates = [
        [detect.candidates(c, i, p, lesion["mask"]) for i, p in enumerate(ps)] for c, ps in zip(found, probabilities)
    ]
    hit, total, false, seconds, true = choose.run(found, candidates, lesion["confidence"], lesion["min_size"])
    low, high = wilson(hit, total)
    dice = choose.frame_dice(probabilities, found, lesion["mask"])
    changed, back, tracked = switches(true)
    lines = [
        f"{len(found)} videos of {seconds / len(found):.0f} s (seeds {found[0].seed} to {found[-1].seed}), {model}, fast network. In "
        "brackets: 95 % confidence interval (Wilson).", "",
        "| on held-out phantoms | |", "|---|---|",
        f"| lesions found | {hit} of {total}: {hit / total:.3f} ({low:.3f} to {high:.3f}) |",
        f"| false alarms | {false} in {seconds:.0f} s: {false / seconds:.3f} per second |",
        f"| Dice of frames that show a lesion | mean {dice.mean():.3f}, median {np.median(dice):.3f}, {len(dice)} frames |",
        f"| another track for a lesion that stayed in view | {changed} over {tracked} lesions: {changed / max(tracked, 1):.3f} per lesion |",
        f"| another track for one that came back | {back} |", "",
        "| of the lesions found | AUC | right at 0.5 | have it |", "|---|---|---|---|",
    ]
    values, truth = choose.described(true)
    for index, channel in enumerate(CHANNELS[MALIGNANT:], MALIGNANT):
        auc = choose.area_under_curve(values[:, index], truth[:, index])
        right = ((values[:, index] >= 0.5) == truth[:, index]).mean()
        area = "-" if auc is None else f"{auc:.3f}"
        lines.append(f"| {channel.replace('_', ' ')} | {area} | {right:.3f} | {int(truth[:, index].sum())} of {len(truth)} |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", required=True)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    a = arguments.parse_args()

    session, thresholds, model = opened(a.package)
    found = clips.load(a.clips, clips.EVALUATION_SEEDS)
    probabilities = [maps(session, clip) for clip in found]
    text = table(found, probabilities, thresholds, model)
    print(text)
    card.write(a.package, "evaluate.py", text)


if __name__ == "__main__":
    main()
