"""Measures the package through the engine on phantoms that it did not learn from, beside the figures of Python on the same cases.

    judge.py --program scansidectl --studies FOLDER --cases FOLDER --package FOLDER --weights candidates.pt --scorer scorer.json

FOLDER of studies has a DICOM study of each seed (`phantom mammography study --pixel 0.2`), that of cases the same women as training
pictures (`phantom mammography cases`). Writes the table into CARD.md of the package. Definitions are those of evaluate.py.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import torch

import candidates
import card
import cases
import evaluate
import scorer as scoring
import train

STAGE = "two breasts"
# Of the intervals.
REPEATS = 1000
SETTINGS = '[analyze]\nmg_marks = "phantoms"\n'


class Mammography:
    """What the engine said of one study, and the truth: as cases.Case, with places in pixels of the study."""

    def __init__(self, folder, report):
        self.truth = json.loads((folder / "truth.json").read_text())
        self.marks = next(s["mammography"]["marks"] for s in report["series"] if s.get("mammography"))
        self.milliseconds = dict(next(s["timings_ms"] for s in report["series"] if s.get("mammography")))
        self.shown = {(v["side"], v["projection"]): v for v in self.truth["views"]}
        self.lesions = sorted({(v["side"], l["id"]) for v in self.truth["views"] for l in v["lesions"]})

    def hit(self, view, at):
        """Id of the lesion that a place belongs to, as candidates.Seen.hit has it; None for none."""
        side, projection = view.split("_")
        truth = self.shown[side, projection]
        near = candidates.NEAR_MM / truth["pixel_mm"]
        for lesion in truth["lesions"]:
            left, top, right, bottom = lesion["box"]
            x, y = lesion["centre"]
            if abs(at[0] - 0.5 - x) <= max((right - left) / 2, near) and abs(at[1] - 0.5 - y) <= max((bottom - top) / 2, near):
                return side, lesion["id"]
        return None

    def judged(self):
        """Scores of false candidates, best score of each lesion, best score and truth of each breast; and false and hit marks."""
        false, best = [], dict.fromkeys(self.lesions, 0.0)
        for view in self.marks["views"]:
            for one in view["candidates"]:
                hit = self.hit(view["view"], one["at"])
                if hit is None:
                    false.append(one["score"])
                else:
                    best[hit] = max(best.get(hit, 0.0), one["score"])
        breasts = [(self.marks[side] or 0.0, any(s == side for s, _ in self.lesions)) for side in ("right", "left")]
        return false, [best[l] for l in self.lesions], breasts

    def counted(self):
        """Of the marks themselves: how many are false, and which lesions they hit."""
        hits = [self.hit(v["view"], m["at"]) for v in self.marks["views"] for m in v["marks"]]
        return sum(h is None for h in hits), {h for h in hits if h is not None}


def run(program, folder, package, settings):
    given = [program, "--json", "analyze", str(folder), "--packages", str(package.parent), "--config", str(settings)]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", required=True)
    arguments.add_argument("--studies", required=True, type=pathlib.Path)
    arguments.add_argument("--cases", required=True)
    arguments.add_argument("--package", required=True, type=pathlib.Path)
    arguments.add_argument("--part", default="engine", help="of the card")
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--scorer", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    torch.set_num_threads(1)
    folders = sorted(f for f in a.studies.iterdir() if (f / "truth.json").exists())
    with tempfile.TemporaryDirectory() as temporary:
        settings = pathlib.Path(temporary) / "settings.toml"
        settings.write_text(SETTINGS)
        studies = [Mammography(f, run(a.program, f, a.package, settings)) for f in folders]
    seeds = [s.truth["woman"]["seed"] for s in studies]
    assert all(seed in cases.EVALUATION_SEEDS for seed in seeds), "seeds that training may have seen"
    found = [c for c in cases.load(a.cases, cases.EVALUATION_SEEDS) if c.seed in seeds]
    assert [c.seed for c in found] == seeds, "studies and cases differ"
    net = candidates.runner(train.load(a.weights))
    rows = {
        "engine": [s.judged() for s in studies],
        "Python": evaluate.judged([(c, *candidates.rows_of(c, None, net)) for c in found], json.loads(a.scorer.read_text()), STAGE),
    }
    text = table(rows, studies)
    print(text)
    card.put(a.package, a.part, text)
    card.seal(a.package)


def table(rows, studies):
    random = np.random.default_rng(1)
    draws = [random.integers(0, len(studies), len(studies)) for _ in range(REPEATS)]
    lesions = sum(len(s.lesions) for s in studies)
    ill = sum(bool(s.lesions) for s in studies)
    seeds = [s.truth["woman"]["seed"] for s in studies]
    lines = [f"{len(studies)} four-view cases, seeds {min(seeds)} to {max(seeds)}, {ill} with {lesions} lesions; scores of two views and both breasts; in brackets 95 %, bootstrap over cases.", ""]
    names = list(evaluate.figures(rows["engine"]))
    lines += ["| | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for name in names:
        cells = []
        for own in rows.values():
            repeated = [evaluate.figures([own[i] for i in draw])[name] for draw in draws]
            low, high = np.nanquantile(repeated, [0.025, 0.975])
            cells.append(f"{evaluate.figures(own)[name]:.3f} ({low:.3f} to {high:.3f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    apart = [abs(x - y) for a, b in zip(rows["engine"], rows["Python"]) for (x, _), (y, _) in zip(a[2], b[2])]
    counted = [s.counted() for s in studies]
    false, hit = sum(c[0] for c in counted), sum(len(c[1]) for c in counted)
    views = sum(len(s.marks["views"]) for s in studies)
    lines += ["", f"Scores of breasts, engine from Python: median {np.median(apart):.4f}, most {np.max(apart):.3f}. Marks at the package's thresholds: {hit} of {lesions} lesions hit, {false / views:.2f} false marks a picture."]
    times = [s.milliseconds["views"] / 1000 for s in studies]
    lines.append(f"Reading, network and scores of the four views take {np.median(times):.2f} s (median; most {np.max(times):.2f} s).")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
