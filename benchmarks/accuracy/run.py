"""Compare recipes on pairs of volumes, one to learn from and one to judge by, with several seeds.

    python benchmarks/accuracy/run.py FOLDER --recipes default historic mean --volumes halves good noisy gaps thin

FOLDER holds the example data (`gala example-data`); recipes and volumes are listed in recipes.py and volumes.py. Runs
are kept in the folder given by --cache, under recipe, volumes, seed and the code of gala. VI is in bits, false merges
and false splits together; less is better.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from recipes import RECIPES, Rule
from scipy import stats
from volumes import GROUPS, KINDS, pairs_of, read_pair

import gala
from gala._files import replacing
from gala.evaluate import blame, breakdown, curve
from gala.graph.overlaps import count_overlaps


def code_version():
    """Return a hash of all code that a result depends on."""
    here = Path(__file__).parent
    files = sorted([*Path(gala.__file__).parent.rglob("*.py"), here / "recipes.py", here / "volumes.py"])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def judge(recipe, pair, maps, seed, folder, times):
    """Return what a recipe makes of a pair, the map of the second multiplied."""
    (train, test), spacing = read_pair(pair, folder)
    test = replace(test, **{maps: times * getattr(test, maps)})
    start = time.perf_counter()
    tree, threshold = RECIPES[recipe](train, test, maps, spacing, seed)
    seconds = time.perf_counter() - start
    overlaps = count_overlaps(test.superpixels, test.truth.astype(test.superpixels.dtype))
    cuts = curve(tree, overlaps, ignore_seg=(0,), ignore_truth=(0,))
    best, found = cuts.best(), cuts.at(threshold)
    made = blame(tree, overlaps, threshold=threshold)
    return {
        "vi": found["vi"],
        "vi_merges": found["vi_merges"],
        "vi_splits": found["vi_splits"],
        "threshold": threshold,
        "best": best.value,
        "best_threshold": best.threshold,
        "oracle": breakdown(tree, overlaps, threshold=threshold).superpixels,
        "worst_merges": made["vi"][:3].tolist(),
        "seconds": seconds,
    }


def remembered(file, make):
    """Return what is in a JSON file; first made and written if it is not there, by any process."""
    if not file.exists():
        found = json.dumps(make())
        with replacing(file) as new:  # other processes see all of it or nothing
            new.write_text(found)
    return json.loads(file.read_text())


def kept(recipe, pair, maps, seed, folder, times, cache, version):
    """Return what `judge` returns, from the cache if it is there."""
    draws = 0 if isinstance(RECIPES[recipe], Rule) else seed
    key = json.dumps([recipe, repr(RECIPES[recipe]), pair, maps, draws, times, version])
    file = Path(cache, f"{hashlib.sha256(key.encode()).hexdigest()}.json")
    found = remembered(file, lambda: judge(recipe, pair, maps, seed, folder, times))
    return {"recipe": recipe, "group": pair.group, "pair": pair.number, "maps": maps, "seed": seed} | found


def column(runs, recipe, cell, what="vi"):
    """Return a number of each run of a recipe in a cell of the table, in the order of pairs and seeds."""
    return np.array([r[what] for r in runs if r["recipe"] == recipe and (r["group"], r["maps"]) == cell])


def difference(found, reference):
    """Return the mean of paired differences and the half width of its 95 % confidence interval, by Student's t."""
    d = found - reference
    spread = d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.nan
    return d.mean(), stats.t.ppf(0.975, max(len(d) - 1, 1)) * spread


def markdown(runs, recipes, cells, against):
    """Return four tables: VI, differences, VI at the best threshold, and the merges that cost most."""
    heads = [f"{group}, {maps}" for group, maps in cells]
    lines = []

    def table(title, rows):
        lines.extend([f"\n**{title}**\n", "| | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)])
        lines.extend(f"| {name} | " + " | ".join(row) + " |" for name, row in rows)

    def each(format_cell):
        return [(name, [format_cell(name, cell) for cell in cells]) for name in recipes]

    def mean_and_spread(name, cell):
        vi = column(runs, name, cell).reshape(len({r["pair"] for r in runs if r["group"] == cell[0]}), -1)
        spread = vi.std(axis=1, ddof=1).mean() if vi.shape[1] > 1 else 0.0
        return f"{vi.mean():.3f} ± {spread:.3f}"

    def change(name, cell):
        return "{:+.3f} ± {:.3f}".format(*difference(column(runs, name, cell), column(runs, against, cell, "best")))

    oracle = [f"{column(runs, recipes[0], cell, 'oracle').mean():.3f}" for cell in cells]
    table("VI at the learned threshold, mean and deviation over seeds", [*each(mean_and_spread), ("oracle", oracle)])
    table(f"difference from {against} at its best threshold, paired, and its 95 % confidence interval", each(change))
    table("VI at the best threshold of each run", each(lambda *at: f"{column(runs, *at, 'best').mean():.3f}"))
    worst = each(
        lambda *at: f"{np.mean([row[0] if row else 0 for row in column(runs, *at, 'worst_merges').tolist()]):.3f}"
    )
    table("bits that the worst merge made adds", worst)
    return "\n".join(lines)


def main():
    """Print and write the tables, and all runs as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--recipes", nargs="+", default=["default", "historic", "mean", "median"], choices=RECIPES)
    parser.add_argument("--volumes", nargs="+", default=["halves", *KINDS], choices=GROUPS)
    parser.add_argument("--maps", nargs="+", default=["p1"], choices=["p1", "p4"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--times", type=float, default=1.0, help="what maps are multiplied by, where they are judged")
    parser.add_argument("--against", default="mean")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", default=".accuracy-cache")
    parser.add_argument("--out", default="accuracy")
    asked = parser.parse_args()
    Path(asked.cache).mkdir(exist_ok=True)
    recipes = list(dict.fromkeys([*asked.recipes, asked.against]))
    cells = list(product(asked.volumes, asked.maps))
    version = code_version()
    jobs = [
        (recipe, pair, maps, seed, asked.folder, asked.times, asked.cache, version)
        for (group, maps), recipe in product(cells, recipes)
        for pair, seed in product(pairs_of(group, asked.pairs), range(asked.seeds))
    ]
    runs = Parallel(n_jobs=asked.jobs, batch_size=1)(delayed(kept)(*job) for job in jobs)
    text = markdown(runs, recipes, cells, asked.against)
    print(text)
    Path(f"{asked.out}.md").write_text(text + "\n")
    Path(f"{asked.out}.json").write_text(json.dumps(runs, indent=1))


if __name__ == "__main__":
    main()
