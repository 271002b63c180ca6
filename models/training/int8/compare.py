"""Compares the precisions of a package on held-out phantoms, and writes the table into its card.

    python compare.py --package ../../packages/us-breast --phantoms FOLDER [--dry-run]

FOLDER holds phantoms of the evaluation seeds. Every network answers the same inputs on a CPU, in the arithmetic that stands in its file; patches
and components are made here, without the daemon's knowledge of anatomy and tracks, so false findings are those of the network alone.
Compare the columns with each other, not with the other tables of the card. A lesion is a connected part of the planted mask of a channel of at
least `min_size`; it is found when a component that reaches the package's thresholds shares a voxel with it. A component that shares none
with the planted mask of its channel is false.
"""

import argparse
import pathlib
import sys

import numpy as np
from scipy import ndimage

import given
import phantoms
import quantise

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ultrasound"))
import card  # noqa: E402

PRECISIONS = (("any", "fp32"), ("tensorrt", "fp16"), ("tensorrt", "int8"))
# Channels whose `min_size` is a diameter, mm; of the others it is a volume (ml) or an area (mm2).
DIAMETERS = {"nodule", "rib_fracture", "lymph_node"}


def starts(extent, patch, overlap):
    """First voxels of the patches along one axis, as in detect.py."""
    if extent <= patch:
        return [0]
    count = -(-(extent - patch) // (patch - overlap)) + 1
    return [i * (extent - patch) // (count - 1) for i in range(count)]


def answer(session, facts, image):
    """[outputs, ...] on the grid of the answer; a volume patch by patch, blended by weights that rise towards the middle."""
    name = session.get_inputs()[0].name
    if given.is_picture(facts):
        return session.run(None, {name: image})[0][0]
    patch, overlap = facts["input"]["patch"][0], facts["input"]["overlap"]
    shape = image.shape[2:]
    padded = np.pad(image, [(0, 0), (0, 0), *((0, max(patch - s, 0)) for s in shape)])
    taper = np.minimum(np.arange(patch), np.arange(patch)[::-1]) + 1.0
    weight = (taper[:, None, None] * taper[:, None] * taper).astype(np.float32) / (patch / 2) ** 3
    total = np.zeros(padded.shape[2:], np.float32)
    out = np.zeros((len(facts["outputs"]["channels"]), *padded.shape[2:]), np.float32)
    for z in starts(padded.shape[2], patch, overlap):
        for y in starts(padded.shape[3], patch, overlap):
            for x in starts(padded.shape[4], patch, overlap):
                box = (slice(z, z + patch), slice(y, y + patch), slice(x, x + patch))
                # As the daemon: air has no lesion, and takes the most time.
                if padded[(0, 0, *box)].max() > 0:
                    out[(slice(None), *box)] += session.run(None, {name: padded[(slice(None), slice(None), *box)]})[0][0] * weight
                total[box] += weight
    return (out / total)[(slice(None), *(slice(0, s) for s in shape))]


def least(name, threshold, unit):
    """Voxels or pixels of the least lesion."""
    size = threshold.get("min_size", 0)
    if name in DIAMETERS:
        size = np.pi / 6 * size**3 / 1000
    return max(1, size / unit)


def parts(mask, voxels):
    marks, count = ndimage.label(mask)
    sizes = np.bincount(marks.ravel(), minlength=count + 1)
    return marks, [number for number in range(1, count + 1) if sizes[number] >= voxels]


class Tally:
    """Of one network and one channel."""

    def __init__(self):
        self.lesions = self.found = self.false = self.both = self.either = 0
        self.right = self.judged = 0

    def add(self, probability, truth, threshold, voxels):
        marks, candidates = parts(probability >= threshold["mask"], voxels)
        peaks = ndimage.maximum(probability, marks, candidates) if candidates else []
        counted = np.isin(marks, [c for c, peak in zip(candidates, np.atleast_1d(peaks)) if peak >= threshold["confidence"]])
        planted, lesions = parts(truth, voxels)
        self.lesions += len(lesions)
        self.found += sum(bool(counted[planted == lesion].any()) for lesion in lesions)
        kept, number = ndimage.label(counted)
        self.false += sum(not truth[kept == one].any() for one in range(1, number + 1))
        self.both += int((counted & truth).sum())
        self.either += int(counted.sum() + truth.sum())
        return counted

    def scores(self, counted, malignant, truth, threshold):
        """Where something malignant was found: whether the mean score over all that was found is on the side of most of it."""
        if counted.any() and truth[counted].any():
            self.judged += 1
            self.right += bool(malignant[counted].mean() >= threshold["confidence"]) == bool(truth[counted].mean() > 0.5)

    @property
    def dice(self):
        return 2 * self.both / self.either if self.either else float("nan")


def measured(facts, files, cases):
    """By file: channel -> Tally; number of cases."""
    sessions = {file: quantise.session(path) for file, path in files.items()}
    channels = facts["outputs"]["channels"]
    outlined = [(i, name) for i, name in enumerate(channels) if "mask" in facts["thresholds"].get(name, {})]
    tallies = {file: {name: Tally() for _, name in outlined} for file in files}
    seeds = []
    for case in cases:
        for file, session in sessions.items():
            found = answer(session, facts, case.image)
            for channel, name in outlined:
                threshold = facts["thresholds"][name]
                tally = tallies[file][name]
                counted = tally.add(found[channel], case.truth[channel], threshold, least(name, threshold, case.unit))
                if name == "lesion":
                    tally.scores(counted, found[1], case.truth[1], facts["thresholds"]["malignant"])
        seeds.append(case.seed)
        print(f"{case.seed}", end=" ", flush=True)
    print()
    return tallies, seeds


def table(facts, files, tallies, seeds):
    hashes = ", ".join(f"{name} {facts['files'][path.name][:12]}..." for name, path in files.items())
    what = "pictures of" if given.is_picture(facts) else "volumes of"
    lines = [
        f"{len(seeds)} {what} {len(set(seeds))} phantoms (seeds {min(seeds)} to {max(seeds)}), {facts['id']} {facts['version']}, on a CPU ({hashes}).",
        "",
        "| " + " | ".join(["channel", "planted", *(f"found, {n}" for n in files), *(f"false, {n}" for n in files), *(f"Dice, {n}" for n in files)]) + " |",
        "|" + "---|" * (2 + 3 * len(files)),
    ]
    first = next(iter(files))
    for name in tallies[first]:
        of = [tallies[file][name] for file in files]
        cells = [name.replace("_", " "), str(of[0].lesions), *(str(t.found) for t in of), *(str(t.false) for t in of), *(f"{t.dice:.3f}" for t in of)]
        lines.append("| " + " | ".join(cells) + " |")
        if of[0].judged:
            said = "; ".join(f"{file} {t.right} of {t.judged}" for file, t in zip(files, of))
            lines += ["", f"Pictures in which something malignant was found, and whose mean score is on that side of {facts['thresholds']['malignant']['confidence']} on which most of what was outlined is: {said}."]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--phantoms", required=True, help="phantoms of the evaluation seeds")
    arguments.add_argument("--int8", type=pathlib.Path, help="a network that is not in the package")
    arguments.add_argument("--dry-run", action="store_true", help="only print")
    a = arguments.parse_args()
    facts = given.manifest(a.package)
    files = {precision: given.network(facts, accelerator, precision) for accelerator, precision in PRECISIONS}
    files = {precision: a.package / name for precision, name in files.items() if name}
    if a.int8:
        files["int8"] = a.int8
        facts["files"][a.int8.name] = "not shipped "
    tallies, seeds = measured(facts, files, given.cases(facts, a.phantoms, phantoms.EVALUATION_SEEDS))
    text = table(facts, files, tallies, seeds)
    print(text)
    if not a.dry_run:
        card.write(a.package, "compare.py", text)


if __name__ == "__main__":
    main()
