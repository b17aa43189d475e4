"""Print the tables of docs/crossover.md, and draw its picture, from the runs that crossover.py wrote.

python benchmarks/accuracy/crossover_report.py crossover.json docs/pictures/crossover.png
"""

import json
import sys
from pathlib import Path

import numpy as np
from crossover import EXAMPLE, HAND_MADE, LEARNED, METRICS, SIGNED, SWEEPS
from matplotlib.figure import Figure
from run import difference

PEERS = ("mean", "quantile", *SIGNED)
COMPARISONS = {  # what is compared: settings of the learned policies, and of the hand-made ones
    ("learned", "learned"): "both at settings learned",
    ("learned", "best"): "learned, minus hand-made at its best",
    ("best", "best"): "both at their best",
}


class Runs:
    """All runs, by case, method and metric."""

    def __init__(self, rows):
        self.rows = {}
        for row in sorted(rows, key=lambda row: row["seed"]):
            key = row["volumes"], row["how"], row["method"], row["metric"]
            self.rows.setdefault(key, []).append(row)
        found = dict.fromkeys(key[:2] for key in self.rows)
        levels = {errors: sorted(case for case in found if case[0] == errors) for errors in SWEEPS}
        levels["unstructured"] = [("structured", 0.0), *levels["unstructured"]]
        self.groups = {"example": list(EXAMPLE), **levels}

    def column(self, case, method, what, metric="vi"):
        """Return a number of each seed; what does not depend on the seed is repeated."""
        found = np.array([row[what] for row in self.rows[(*case, method, metric)]])
        n_seeds = len(self.rows[(*case, LEARNED[0], metric)])
        return np.repeat(found, n_seeds) if len(found) == 1 else found

    def best_peer(self, case, what, metric="vi"):
        """Return the hand-made method of the least mean."""
        return min(PEERS, key=lambda peer: self.column(case, peer, what, metric).mean())

    def change(self, case, learned, compared, metric="vi"):
        """Return learned minus the best hand-made method: mean, and half width of the confidence interval."""
        ours, theirs = compared
        peer = self.best_peer(case, theirs, metric)
        return difference(self.column(case, learned, ours, metric), self.column(case, peer, theirs, metric))


def table(title, heads, rows):
    """Print a table in Markdown."""
    print(f"\n**{title}**\n\n| | {' | '.join(heads)} |\n| --- |{' --- |' * len(heads)}")
    for name, row in rows:
        print(f"| {name} | {' | '.join(row)} |")


def spread(values):
    """Return mean and deviation in words; the mean alone if all are the same."""
    deviation = values.std(ddof=1)
    return f"{values.mean():.3f}" + (f" ± {deviation:.3f}" if deviation > 1e-9 else "")


def print_values(runs, cases, heads, metric):
    """Print a table of all methods, at the setting learned and, in brackets, at the best one."""

    more = () if isinstance(cases[-1][1], float) else HAND_MADE

    def cell(case, method):
        values = [runs.column(case, method, what, metric) for what in ("learned", "best")]
        return f"{spread(values[0])} ({values[1].mean():.3f})"

    rows = [(method, [cell(case, method) for case in cases]) for method in dict.fromkeys((*LEARNED, *PEERS, *more))]
    if metric == "vi":
        rows.append(("best that superpixels allow", [spread(runs.column(case, "mean", "oracle")) for case in cases]))
    table(f"{METRICS[metric]} at the setting learned (at the best one)", heads, rows)


def print_changes(runs, cases, heads, metric):
    """Print a table of learned minus the best hand-made method; bold if 0 is not within the confidence interval."""

    def cell(case, learned, compared):
        mean, half = runs.change(case, learned, compared, metric)
        text = f"{mean:+.3f} ± {half:.3f}"
        return f"{f'**{text}**' if abs(mean) > half else text} {runs.best_peer(case, compared[1], metric)}"

    rows = [
        (f"{learned}, {name}", [cell(case, learned, compared) for case in cases])
        for learned in LEARNED
        for compared, name in COMPARISONS.items()
    ]
    table(f"{METRICS[metric]}: difference from the best hand-made method, and which that is", heads, rows)


def draw(runs, file):
    """Draw VI, and the difference from the best hand-made method, along both sweeps."""
    figure = Figure(figsize=(8.8, 6.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    for errors, upper, lower in zip(SWEEPS, *panels, strict=True):
        cases = runs.groups[errors]
        draw_values(runs, cases, upper)
        upper.set_title(f"{errors} errors")
        upper.set_yscale("log")
        upper.set_yticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
        upper.minorticks_off()
        draw_changes(runs, cases, lower)
    panels[0, 0].set_ylabel("VI in bits")
    panels[1, 0].set_ylabel("VI: default minus best hand-made")
    panels[0, 0].legend(fontsize=8, frameon=False, loc="upper left")
    panels[1, 0].legend(fontsize=8, frameon=False, title="hand-made, at", title_fontsize=8)
    for panel in panels.flat:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=80)


def draw_values(runs, cases, panel):
    """Draw VI with its deviation: of learned policies at 0.5, of the others at their best setting."""
    x = [level for _, level in cases]
    lines = {"default": "C3", "historic": "C1", "mean": "C0", "quantile": "C2", "multicut": "C4"}
    for method, colour in lines.items():
        what = "learned" if method in LEARNED else "best"
        vi = np.array([runs.column(case, method, what) for case in cases])
        mean, deviation = vi.mean(axis=1), vi.std(axis=1, ddof=1)
        label = f"{method}, at 0.5" if method in LEARNED else f"{method}, at its best"
        panel.plot(x, mean, color=colour, label=label, marker="o", markersize=3)
        panel.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.08, lw=0)
    oracle = [runs.column(case, "mean", "oracle").mean() for case in cases]
    panel.plot(x, oracle, color="0.5", ls=":", label="best that superpixels allow")


def draw_changes(runs, cases, panel):
    """Draw the difference with its confidence interval, by level and by how well the mean tells contacts apart."""
    x = np.array([level for _, level in cases])
    labels = {("learned", "best"): "its best setting", ("learned", "learned"): "a setting learned"}
    for shift, colour, (compared, label) in zip((-0.01, 0.01), ("0.1", "0.6"), labels.items(), strict=True):
        mean, half = np.transpose([runs.change(case, "default", compared) for case in cases])
        panel.errorbar(x + shift, mean, half, color=colour, marker="o", markersize=3, capsize=2, label=label)
    panel.set_yscale("symlog", linthresh=0.1, linscale=0.6)
    panel.set_yticks([-2, -1, -0.5, -0.1, 0, 0.1, 0.5, 1], ["−2", "−1", "−0.5", "−0.1", "0", "0.1", "0.5", "1"])
    panel.minorticks_off()
    panel.axhline(0, color="0.5", lw=0.8)
    auc = [runs.column(case, "mean", "auc").mean() for case in cases]
    panel.set_xticks(x, [f"{level:g}\n{told:.3f}" for level, told in zip(x, auc, strict=True)], fontsize=8)
    panel.set_xlabel("amount of errors; below it the AUC of the mean boundary", fontsize=9)


def main():
    """Print all tables and draw the picture."""
    runs = Runs(json.loads(Path(sys.argv[1]).read_text()))
    for name, cases in runs.groups.items():
        heads = [f"{volumes}, {how} superpixels" if name == "example" else f"{how:g}" for volumes, how in cases]
        print(f"\n## {name}")
        means = [[runs.column(case, "mean", of).mean() for case in cases] for of in ("auc", "n_superpixels")]
        rows = [
            ("AUC of the mean", [f"{auc:.3f}" for auc in means[0]]),
            ("superpixels", [f"{n:.0f}" for n in means[1]]),
        ]
        table("maps and superpixels", heads, rows)
        for metric in METRICS:
            print_values(runs, cases, heads, metric)
            print_changes(runs, cases, heads, metric)
    draw(runs, sys.argv[2])


if __name__ == "__main__":
    main()
