"""Draw docs/pictures/enclosed.png: what the default recipe makes of a mitochondrion, and would without enclosure."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from drawing import around, example, save
from matplotlib.figure import Figure

from gala import Segmenter
from gala.evaluate import vi
from gala.pipeline import Recipe
from gala.viz import LabelColours
from gala.viz.overlays import painted

side = 80  # voxels across a panel
crop, _ = example()
first, second = (
    replace(crop, **{field.name: getattr(crop, field.name)[half] for field in fields(crop)})
    for half in (np.s_[:25], np.s_[25:])
)


def segmented(recipe):
    """Return the second half by what was learned from the first, and print its VI."""
    segmenter = Segmenter(recipe, random_state=0).fit(first.p1, first.truth, first.superpixels)
    found = segmenter.predict(second.p1, second.superpixels)
    print(f"enclosed={segmenter.learned_.enclosed:.3g}: VI {vi(found, second.truth):.3f}")  # noqa: T201  # for the page
    return found


without, with_it = segmented(Recipe(enclosed=1.0)), segmented(Recipe())
joined = {label: without[with_it == label] for label in np.unique(with_it)}
parts = [np.unique(part, return_counts=True) for part in joined.values()]
inner = max((n, label) for labels, counts in parts for n, label in sorted(zip(counts, labels, strict=True))[:-1])[1]
inside = without == inner
outer = (with_it == with_it[inside][0]) & ~inside
plane = int(inside.sum(axis=(1, 2)).argmax())
box = plane, *around([along.mean() for along in np.nonzero(inside[plane])], inside.shape[1:], side)
object_of = np.bincount(second.truth[inside]).argmax()
shown = {
    "grey values": np.zeros_like(without),
    "scores alone: two segments": inside + 2 * outer,
    "default: one": 2 * (inside | outer),
    "truth": 2 * (second.truth == object_of),
}
figure = Figure((11, 3.1), layout="constrained")
colours = LabelColours(np.array([1, 2]), np.array([0, 1]))
for panel, (title, numbers) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
    picture = painted(second.image[box], numbers[box], colours, opacity=0.4, background=0)
    panel.imshow(picture, interpolation="nearest")
    panel.set_title(title, fontsize=10)
    panel.set(xticks=[], yticks=[])
save(figure, Path(__file__).with_suffix(".png"))
