"""Numbers that candidates.py gives for four made-up views, for a test of the engine: `fixture.py > ../../src/task/mg_breast/candidates.json`.

The views are computed from whole numbers, in the same way here and in models/src/task/mg_breast/marks_tests.rs.
"""

import json
import types

import numpy as np

import candidates
import cases

ROWS, COLUMNS = 96, 64


def picture(view):
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = (x * x) * 44 * 44 + ((y - 48) * (y - 48)) * 48 * 48 < 44 * 44 * 48 * 48
    grey = np.where(inside, 60 + (x * 7 + y * 13 + view * 29) % 120, 0)
    detail = np.where(inside, (x * 11 + y * 5 + view * 17) % 97, 0)
    return np.stack([grey, detail]).astype(np.uint8)


def probabilities(view):
    k, r, c = np.mgrid[:4, : ROWS // 4, : COLUMNS // 4]
    return (((r * 31 + c * 17 + k * 53 + view * 71 + r * c) % 101 + 0.5 + (r * 16 + c) / 1000) / 103).astype(np.float32)


def main():
    views, nets = [], []
    for number, (side, projection) in enumerate(cases.VIEWS):
        views.append(types.SimpleNamespace(picture=picture(number), side=side, projection=projection, lesions=[]))
        nets.append(probabilities(number))
    maps = iter(nets)

    def net(given):
        p = next(maps).astype(np.float64)
        return np.log(p / (1 - p)).astype(np.float32)[None]

    features, places = candidates.rows_of(types.SimpleNamespace(views=views), None, net)
    number = len(candidates.OWN + candidates.TWO_VIEWS + candidates.TWO_BREASTS)
    rows = [{"view": p[0], "row": p[1], "column": p[2], "features": [round(float(v), 5) for v in f[:number]]} for f, p in zip(features, places)]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    print(f'{{"names": {json.dumps(candidates.FEATURES[:number])},\n "rows": [\n  {lines}\n]}}')


if __name__ == "__main__":
    main()
