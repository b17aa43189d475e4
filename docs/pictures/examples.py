"""Draw docs/pictures/example-*.png: run each story of examples, and keep its main picture, small."""

import os
import runpy
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

here = Path(__file__).parent.resolve()
for story in sorted((here.parents[1] / "examples").glob("plot_*.py")):
    name = story.stem.split("_", 2)[2]
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        runpy.run_path(str(story), run_name="__main__")  # whose kernels Numba can load again
        picture = Image.open(f"{name}.png").convert("RGB")
        os.chdir(here)
    picture.thumbnail((450, 450))
    picture = picture.point(lambda value: value & 0xFC | value >> 6)  # 6 bits a channel, which no eye can tell from 8
    picture.save(f"example-{name}.png", optimize=True)
