"""How well a network does with thicker slices: validation phantoms as they were scanned, and as slices of other thickness show them.

    python by_slices.py --weights network.pt --phantoms FOLDER --thresholds model.toml [--slices 0 5 8]

Writes for each channel and thickness: what was hit of what was planted, what was false per scan. With `--out` all rows as JSON.
"""

import argparse
import json
import tomllib

import numpy as np
import torch

import choose
import detect
import phantoms
import restore
import thickness
from findings import CHANNELS, least_size


def seen(hu, mm):
    """A volume int16 [D, H, W] as contiguous slices of so many mm show it; 0: as it is."""
    if not mm:
        return hu
    through = thickness.matrix(hu.shape[0], mm, mm, 0.5).numpy()
    flat = through @ hu.reshape(hu.shape[0], -1).astype(np.float32)
    return np.round(flat).astype(np.int16).reshape(hu.shape)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weights", required=True, help="weights, or the ONNX file of a package")
    arguments.add_argument("--phantoms", required=True)
    arguments.add_argument("--thresholds", required=True, help="model.toml")
    arguments.add_argument("--slices", type=float, nargs="+", default=[0, 3, 5, 8])
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--half", action="store_true")
    arguments.add_argument("--out")
    a = arguments.parse_args()

    torch.set_num_threads(a.threads)
    net = restore.load(a.weights).eval().to(memory_format=torch.channels_last_3d)
    with open(a.thresholds, "rb") as file:
        thresholds = tomllib.load(file)["thresholds"]
    found = phantoms.load(a.phantoms, phantoms.VALIDATION_SEEDS)
    rows = {}
    for mm in a.slices:
        scans = {c.name: [] for c in CHANNELS}
        for phantom in found:
            with torch.autocast("cpu", torch.bfloat16, enabled=a.half):
                hu = seen(phantom.hu, mm)
                probability = detect.probability(net, hu)
            for index, channel in enumerate(CHANNELS):
                candidates = choose.candidates(channel, index, probability, phantom, hu, thresholds[channel.name]["mask"])
                scans[channel.name].append((candidates, *choose.planted(channel, index, phantom, least_size(channel.name, mm))))
        for channel in CHANNELS:
            some, threshold = scans[channel.name], thresholds[channel.name]
            hit, false = choose.counted(channel, some, threshold["confidence"], threshold["min_size"])
            planted = sum(len(wanted) for _, wanted, _ in some)
            rows[f"{channel.name} {mm:g}"] = {"hit": hit, "planted": planted, "false_per_scan": false / len(some)}
            print(f"{mm:4g} mm  {channel.name:24} hit {hit:3} of {planted:3}  false {false / len(some):.2f}", flush=True)
    if a.out:
        with open(a.out, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
