"""The scorer: logistic regression on the features of a candidate, one for each stage of the ablation; the class of density.

    python scorer.py --cases FOLDER --weights candidates.pt --out scorer.json      on validation cases, which the network did not learn from
"""

import argparse
import json
import pathlib

import numpy as np
import torch

import candidates
import cases
import train

# Of the mean square of the weights; chosen on validation cases by leaving fifths of them out.
SHRINK = 0.3
# False marks a picture at which the thresholds of the package are set, and into how many parts the cases are left out for it.
FALSE_PER_VIEW, PARTS = 0.25, 5


def pairs(names):
    """Products that a sum cannot give: a candidate counts when it AND its partner are lesion-like."""
    mixed = [("peak", "pair_best"), ("peak", "pair_own"), ("contrast", "pair_contrast"), ("peak", "other_contrast"), ("peak", "other_own"), ("peak", "prior_own"), ("peak", "prior_contrast")]
    return [m for m in mixed if m[0] in names and m[1] in names]


def columns(features, stage):
    names = candidates.STAGES[stage]
    index = {n: i for i, n in enumerate(candidates.FEATURES)}
    plain = features[:, [index[n] for n in names]]
    products = [features[:, index[a]] * features[:, index[b]] for a, b in pairs(names)]
    return np.column_stack([plain, *products]) if products else plain


def fit(x, y):
    """Weights and bias on standardised columns, folded back to the columns themselves."""
    mean, spread = x.mean(0), x.std(0) + 1e-4
    given = torch.tensor((x - mean) / spread, dtype=torch.float64)
    wanted = torch.tensor(y, dtype=torch.float64)
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300)

    def closure():
        optimiser.zero_grad()
        logits = given @ weights[:-1] + weights[-1]
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted) + SHRINK * (weights[:-1] ** 2).mean()
        value.backward()
        return value

    optimiser.step(closure)
    folded = weights.detach().numpy()
    return (folded[:-1] / spread).tolist(), float(folded[-1] - (folded[:-1] * mean / spread).sum())


def score(features, stage, scorer):
    weights, bias = scorer[stage]
    return 1 / (1 + np.exp(-(columns(features, stage) @ np.array(weights) + bias)))


def thresholds(found):
    """Score of each stage above which there are FALSE_PER_VIEW false marks a picture; every case is scored by a scorer that did not see it."""
    chosen = {}
    for stage in candidates.STAGES:
        false = []
        for part in range(PARTS):
            learnt = [f for i, f in enumerate(found) if i % PARTS != part]
            x = columns(np.concatenate([f for _, f, _ in learnt]), stage)
            y = np.array([p[3] is not None for _, _, places in learnt for p in places], np.float64)
            one = {stage: fit(x, y)}
            for _, features, places in (f for i, f in enumerate(found) if i % PARTS == part):
                false += [s for s, p in zip(score(features, stage, one), places) if p[3] is None]
        chosen[stage] = round(float(np.sort(false)[::-1][int(FALSE_PER_VIEW * 4 * len(found))]), 3)
    return chosen


def fit_density(x, classes):
    """Ridge regression of the class as a number, 0 to 3."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    w = np.linalg.solve(z.T @ z + 0.3 * np.eye(z.shape[1]), z.T @ classes)
    return (w[:-1] / spread).tolist(), float(w[-1] - (w[:-1] * mean / spread).sum())


def told_density(x, scorer):
    weights, bias = scorer["density"]
    return np.clip(np.round(x @ np.array(weights) + bias), 0, 3).astype(int)


def gathered(folder, seeds, run):
    """(case, features, places) of every case of a folder that has a prior."""
    current = cases.load(folder, seeds)
    priors = {c.seed: c for c in cases.load(folder, seeds, prior=True)}
    return [(c, *candidates.rows_of(c, priors[c.seed], run)) for c in current if c.seed in priors]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", required=True)
    arguments.add_argument("--weights", required=True)
    arguments.add_argument("--out", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    torch.set_num_threads(1)
    found = gathered(a.cases, cases.VALIDATION_SEEDS, candidates.runner(train.load(a.weights)))
    features = np.concatenate([f for _, f, _ in found])
    hits = np.array([p[3] is not None for _, _, places in found for p in places], np.float64)
    print(f"{len(found)} cases, {len(hits)} candidates, {int(hits.sum())} on a lesion")
    scorer = {stage: fit(columns(features, stage), hits) for stage in candidates.STAGES}
    scorer["thresholds"] = thresholds(found)
    print("thresholds", scorer["thresholds"])
    x = np.array([candidates.density(c) for c, _, _ in found])
    scorer["density"] = fit_density(x, np.array([c.density for c, _, _ in found], float))
    a.out.write_text(json.dumps(scorer, indent=1))


if __name__ == "__main__":
    main()
