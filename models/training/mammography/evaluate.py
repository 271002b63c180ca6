"""The ablation on held-out cases: one view, two views, two breasts, with prior; the same network in each.

    python evaluate.py --cases FOLDER --weights candidates.pt --scorer scorer.json --out figures.json

A lesion is hit when a candidate on it in any view is above the threshold. Intervals: 95 %, bootstrap over cases; differences are paired.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
from scipy import stats

import candidates
import cases
import scorer as scoring
import train

# False candidates for each picture at which hits are compared.
FALSE_PER_VIEW = (0.1, 0.25, 0.5)
REPEATS = 1000


def area(values, truth):
    """Area under the ROC curve."""
    ranks = stats.rankdata(values)
    positive = truth.sum()
    negative = len(truth) - positive
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / max(1, positive * negative))


def judged(found, scorer, stage):
    """Of each case: scores of false candidates, best score of each lesion, best score of each breast and whether it has a lesion."""
    out = []
    for case, features, places in found:
        scores = scoring.score(features, stage, scorer)
        false = [s for s, p in zip(scores, places) if p[3] is None]
        lesions = []
        for side, ident in case.lesions:
            on = [s for s, p in zip(scores, places) if p[3] == ident and case.views[p[0]].side == side]
            lesions.append(max(on, default=0.0))
        breasts = []
        for side in ("right", "left"):
            here = [s for s, p in zip(scores, places) if case.views[p[0]].side == side]
            breasts.append((max(here, default=0.0), any(s == side for s, _ in case.lesions)))
        out.append((false, lesions, breasts))
    return out


def figures(rows):
    false = np.sort(np.concatenate([np.array(r[0]) for r in rows]))[::-1]
    lesions = np.array([s for r in rows for s in r[1]])
    views = 4 * len(rows)
    table = {}
    for rate in FALSE_PER_VIEW:
        threshold = false[min(len(false) - 1, int(rate * views))]
        table[f"hit at {rate} false a picture"] = float((lesions > threshold).mean()) if len(lesions) else 0.0
    breasts = [b for r in rows for b in r[2]]
    table["area, breast"] = area(np.array([s for s, _ in breasts]), np.array([t for _, t in breasts]))
    best = [(max(s for s, _ in r[2]), any(t for _, t in r[2])) for r in rows]
    table["area, case"] = area(np.array([s for s, _ in best]), np.array([t for _, t in best]))
    return table


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", required=True)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--scorer", required=True, type=pathlib.Path)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    torch.set_num_threads(1)
    scorer = json.loads(a.scorer.read_text())
    found = scoring.gathered(a.cases, cases.EVALUATION_SEEDS, candidates.runner(train.load(a.weights)))
    stages = list(candidates.STAGES)
    rows = {s: judged(found, scorer, s) for s in stages}
    lesions = sum(len(c.lesions) for c, _, _ in found)
    reached = sum(len({(c.views[p[0]].side, p[3]) for p in places if p[3] is not None}) for c, _, places in found)
    report = {"cases": len(found), "lesions": lesions, "lesions with any candidate": reached, "stages": {}}
    random = np.random.default_rng(1)
    draws = [random.integers(0, len(found), len(found)) for _ in range(REPEATS)]
    repeated = {s: [figures([rows[s][i] for i in d]) for d in draws] for s in stages}
    for number, stage in enumerate(stages):
        report["stages"][stage] = {}
        for name, value in figures(rows[stage]).items():
            mine = np.array([t[name] for t in repeated[stage]])
            entry = {"value": round(value, 3), "interval": np.quantile(mine, [0.025, 0.975]).round(3).tolist()}
            if number:
                for other in (stages[0], stages[number - 1]):
                    gain = mine - np.array([t[name] for t in repeated[other]])
                    entry[f"gain over {other}"] = [round(value - figures(rows[other])[name], 3), *np.quantile(gain, [0.025, 0.975]).round(3).tolist()]
            report["stages"][stage][name] = entry
    kinds = {}
    for case, _, places in found:
        on = {(case.views[p[0]].side, p[3]) for p in places if p[3] is not None}
        kind = {l["id"]: l["kind"] for l in case.truth["lesions"]}
        for lesion in case.lesions:
            hit, of = kinds.get(kind[lesion[1]], (0, 0))
            kinds[kind[lesion[1]]] = (hit + (lesion in on), of + 1)
    report["any candidate, by kind"] = {k: f"{h} of {n}" for k, (h, n) in sorted(kinds.items())}
    told = scoring.told_density(np.array([candidates.density(c) for c, _, _ in found]), scorer)
    true = np.array([c.density for c, _, _ in found])
    report["density"] = {"same class": float((told == true).mean()), "within one class": float((abs(told - true) <= 1).mean())}
    a.out.write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
