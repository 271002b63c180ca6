"""How well networks do on real pictures: each picture is shown to a network that did not learn from its fold.

    python judge.py --pictures FOLDER --fold 0 --weights fold0.pt --out maps0.npz      the maps of one fold; with --choose FILE its
                                                                                       mask and confidence are chosen, and written there
    python judge.py --pictures FOLDER --maps maps*.npz [--thresholds thresholds.json]  the table; without thresholds they are chosen
    python judge.py --pictures FOLDER --fold 0 --package ../../packages/us-breast      the table of the card: a package that did not learn
                                                                                       from this fold, with its own thresholds

The whole picture is the sector. Candidates are formed as in the engine: connected pixels from `mask` on, which count when their highest
probability reaches `confidence`; pictures have no scale, so no least area is asked for. A lesion is hit when a candidate
that counts overlaps it with a Dice of OVERLAP or more. Dice compares all that counts with all that is outlined, a miss being 0. Malignancy
is the mean over all that counts, or around the surest pixel when nothing does. Pictures with contradicting labels are left out.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

import card
import choose
import detect
import evaluate
import network
import pictures
import train
from channels import LESION, MALIGNANT

OVERLAP = 0.1
CONFIDENCES = np.round(1 / (1 + np.exp(-np.arange(0.0, 6.6, 0.25))), 3)
# False lesions in normal pictures are wanted in at most this share, lesions hit in at least that.
FALSE, HIT = 0.10, 0.95


def given(picture, edge=network.SIZE):
    """The network's input, float32 [edge, edge], and the outline on the network's map, bool [edge / 2, edge / 2]."""
    rows, columns = picture.grey.shape
    scale = edge / max(rows, columns)
    size = [max(1, round(n * scale)) for n in (columns, rows)]
    image = np.zeros((edge, edge), np.float32)
    image[: size[1], : size[0]] = np.asarray(Image.fromarray(picture.grey).resize(size, Image.Resampling.BOX)) / 255
    mask = np.zeros_like(image)
    mask[: size[1], : size[0]] = np.asarray(Image.fromarray(picture.mask).resize(size, Image.Resampling.NEAREST))
    half = mask.reshape(edge // 2, 2, edge // 2, 2).mean((1, 3))
    return image, half > 0.5


@torch.no_grad()
def maps(run, found, edge=network.SIZE):
    """Lesion and malignant probability of each picture, uint8 [number, 2, edge / 2, edge / 2]. `run` takes and gives numpy arrays."""
    answers = []
    for p in found:
        answer = run(given(p, edge)[0][None, None])[0]
        answers.append(np.round(answer[[LESION, MALIGNANT]] * 255).astype(np.uint8))
    return np.stack(answers)


def counted(probability, mask, confidence):
    marks, _ = ndimage.label(probability >= mask)
    kept = np.zeros(probability.shape, bool)
    parts = []
    for number, box in enumerate(ndimage.find_objects(marks), 1):
        inside = marks[box] == number
        if inside.sum() >= detect.LEAST_PIXELS and probability[box][inside].max() >= confidence:
            part = np.zeros_like(kept)
            part[box] = inside
            parts.append(part)
            kept |= part
    return kept, parts


def dice(a, b):
    return 2 * (a & b).sum() / max(1, a.sum() + b.sum())


def cases(found, answers, edge=network.SIZE):
    """Each picture whose label is sure, its outline on the map, its answer."""
    return [(p, given(p, edge)[1], answer) for p, answer in zip(found, answers) if not p.conflict]


def table(cases, mask, confidence):
    hits, scores, false, values, truth = [], [], [], [], []
    for p, outline, answer in cases:
        lesion, malignant = answer.astype(np.float32) / 255
        kept, parts = counted(lesion, mask, confidence)
        if p.label == "normal":
            false.append(bool(parts))
            continue
        hits.append(any(dice(part, outline) >= OVERLAP for part in parts))
        scores.append(dice(kept, outline))
        if not parts:
            kept = lesion >= 0.8 * lesion.max()
        values.append(malignant[kept].mean())
        truth.append(p.label == "malignant")
    return {
        "pictures with a lesion": len(hits), "normal": len(false),
        "hit": float(np.mean(hits)), "dice": float(np.mean(scores)), "dice_median": float(np.median(scores)),
        "false_on_normal": float(np.mean(false)) if false else None,
        "malignant_auc": choose.area_under_curve(np.array(values), np.array(truth, float)),
        "malignant_right": float(np.mean((np.array(values) >= 0.5) == np.array(truth))),
    }


def tables(cases):
    """(table, mask, confidence) of all thresholds."""
    return [(table(cases, m, c), m, float(c)) for m in choose.MASKS for c in CONFIDENCES if c >= m]


def best(cases):
    """The thresholds that miss the two aims least; among equals the one of the best Dice."""
    def missed(row):
        return round(max(0.0, row["false_on_normal"] - FALSE) + max(0.0, HIT - row["hit"]), 3)

    row, mask, confidence = min(tables(cases), key=lambda r: (missed(r[0]), -r[0]["dice"]))
    return row, mask, confidence


def written(row, fold, model):
    """The table of the card."""
    lesions, normal, area = row["pictures with a lesion"], row["normal"], row["malignant_auc"]

    def share(part, of):
        low, high = evaluate.wilson(round(part * of), of)
        return f"{part:.3f} ({low:.3f} to {high:.3f}), {round(part * of)} of {of}"

    lines = [
        f"{lesions + normal} real pictures of {'all folds' if fold is None else f'fold {fold}'}, {model}, whole picture as sector. In brackets: 95 % confidence "
        "interval (Wilson).",
        "",
        "| on real pictures | |",
        "|---|---|",
        f"| lesions hit | {share(row['hit'], lesions)} |",
        f"| Dice of pictures with a lesion, a miss being 0 | mean {row['dice']:.3f}, median {row['dice_median']:.3f} |",
        f"| normal pictures with a false lesion | {share(row['false_on_normal'], normal)} |",
        f"| malignant or benign, area under the curve | {area:.3f} |",
        f"| on the right side of 0.5 | {share(row['malignant_right'], lesions)} |",
    ]
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pictures", required=True)
    arguments.add_argument("--fold", type=int, help="only the pictures of this fold")
    arguments.add_argument("--weights")
    arguments.add_argument("--package", type=pathlib.Path)
    arguments.add_argument("--out")
    arguments.add_argument("--maps", nargs="*")
    arguments.add_argument("--thresholds")
    arguments.add_argument("--choose", help="file of choose.py whose mask and confidence are replaced")
    arguments.add_argument("--device", default="cpu")
    a = arguments.parse_args()
    found = [p for p in pictures.load(a.pictures) if a.fold is None or p.fold == a.fold]
    if a.maps:
        store = {}
        for path in a.maps:
            with np.load(path) as file:
                store.update(zip(file["names"].tolist(), file["maps"]))
        found = [p for p in found if p.name in store]
        judged = cases(found, [store[p.name] for p in found])
        if a.thresholds:
            with open(a.thresholds) as file:
                t = json.load(file)["thresholds"]
            print(said(table(judged, t["mask"], t["confidence"]), t["mask"], t["confidence"]))
        else:
            print(said(*best(judged)))
    elif a.package:
        session, thresholds, model = evaluate.opened(a.package)
        answers = maps(lambda image: session.run(None, {"image": image})[0], found)
        t = thresholds["lesion"]
        text = written(table(cases(found, answers), t["mask"], t["confidence"]), a.fold, model)
        print(text)
        card.write(a.package, "judge.py", text)
    else:
        net = train.load(a.weights)[0].to(a.device)
        answers = maps(lambda image: torch.sigmoid(net(torch.from_numpy(image).to(a.device))).cpu().numpy(), found)
        np.savez_compressed(a.out, names=np.array([p.name for p in found]), maps=answers)
        if a.choose:
            row, mask, confidence = best(cases(found, answers))
            with open(a.choose) as file:
                report = json.load(file)
            report["thresholds"].update(mask=mask, confidence=confidence)
            report["pictures"] = row
            with open(a.choose, "w") as file:
                json.dump(report, file, indent=1)
            print(said(row, mask, confidence))


def said(row, mask, confidence):
    return json.dumps({"mask": mask, "confidence": confidence, **row}, indent=1)


if __name__ == "__main__":
    main()
