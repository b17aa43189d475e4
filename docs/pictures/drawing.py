"""What scripts here share: the example data, where to look, and small files."""

import os
import sys
from pathlib import Path

from PIL import Image

from gala.datasets import read_example


def example():
    """Return the training crop and the test crop, or end the script if they are not there."""
    near = Path(__file__).parents[3] / "shared" / "data" / "gala-example"
    folder = Path(os.environ.get("GALA_EXAMPLE_DATA", near))
    if not folder.is_dir():
        sys.exit(
            f"there is no {folder}, so that nothing is drawn; set GALA_EXAMPLE_DATA to what `gala example-data` made."
        )
    return read_example(folder).values()


def around(place, shape, side):
    """Return the box of this side around a place that is inside of an image of this shape, as near as can be."""
    lowest = (min(max(int(x) - side // 2, 0), n - side) for x, n in zip(place, shape, strict=True))
    return tuple(slice(low, low + side) for low in lowest)


def save(figure, file, n_colours=128):
    """Write a figure, in few colours, which makes it small."""
    figure.savefig(file, dpi=80)
    shrink(file, n_colours)


def shrink(file, n_colours):
    """Make a picture small."""
    Image.open(file).convert("RGB").quantize(n_colours, dither=Image.Dither.NONE).save(file, optimize=True)
