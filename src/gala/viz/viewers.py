"""One way to look at a volume: napari, a local neuroglancer link, or a page that a browser opens."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal

import numpy as np

from gala._files import FileName
from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.segments import cut_labels
from gala.graph.tree import MergeTree, check_threshold
from gala.graph.volume import check_spacing
from gala.viz.colours import LabelColours
from gala.viz.shown import as_picture, background_of, shown_labels
from gala.viz.slices import write_slices_page

_page = "slices.html"
_axes = ("z", "y", "x")
_units = {"nanometer": "nm", "micrometer": "um", "µm": "um", "micron": "um", "millimeter": "mm", "meter": "m"}
_units |= {symbol: symbol for symbol in (*_units.values(), "pm")}  # what neuroglancer reads
_most_colours = 20_000  # in the state of neuroglancer, which travels as text; beyond, its own


@dataclass(frozen=True, slots=True)
class View:
    """What `view` opened.

    Attributes
    ----------
    viewer : {"napari", "neuroglancer", "page"}
        Where.
    place : str
        The link, or the name of the file; "a window" for napari.
    opened : object
        The viewer of napari or neuroglancer, to do more with.
    """

    viewer: str
    place: str
    opened: Any = field(default=None, repr=False)

    def wait(self) -> None:
        """Return when the window is closed; with a link, only when interrupted; with a page, at once."""
        if self.viewer == "napari":
            import_module("napari").run()
        while self.viewer == "neuroglancer":
            time.sleep(1)


def view(
    image: ArrayLike,
    superpixels: ArrayLike,
    tree: MergeTree | None = None,
    thresholds: Sequence[float] = (),
    *,
    viewer: Literal["auto", "napari", "neuroglancer", "page"] = "auto",
    out: FileName | None = None,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    **options: Any,
) -> View:
    """Show an image, superpixels and segmentations at several thresholds.

    Nothing is sent anywhere: a link works on this computer only, while the program runs.

    Parameters
    ----------
    image : array, shape (M, N, ..., P) or (M, N, ..., P, C)
        Grey; three channels are red, green and blue, and of any other number the first is shown.
    superpixels : array of int, shape (M, N, ..., P)
        The leaves of the tree, in 2 or 3 dimensions; 0 is background if there is one label more than leaves.
    tree : MergeTree, optional
        By default the labels are shown as they are.
    thresholds : sequence of float, optional
        A segmentation each; on a page, any other threshold can be chosen too.
    viewer : {"auto", "napari", "neuroglancer", "page"}, optional
        By default a page if `out` is given, else the first of these that is installed and can be shown.
    out : str or path, optional
        The file of the page, "slices.html" by default.
    spacing : sequence of float, optional
        The size of a voxel along each axis.
    unit : str, optional
        Of `spacing`, such as "nm". One that is not of length is left out in neuroglancer, and on a page all are.
    **options
        Of `write_slices_page`, for a page.

    Returns
    -------
    view : View
        What was opened, and where.

    Raises
    ------
    SettingError
        If the viewer is not installed, or an option does not fit.
    ShapeError, LabelError, FileError
        As `write_slices_page`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     shown = view([[0.0, 0.5, 1.0]], [[1, 1, 2]], out=f"{folder}/page.html")
    >>> shown.viewer, Path(shown.place).name
    ('page', 'page.html')
    """
    chosen = _chosen(viewer, out)
    if chosen == "page":
        file = _page if out is None else out
        path = write_slices_page(file, image, superpixels, tree, thresholds=thresholds, spacing=spacing, **options)
        return View("page", str(path))
    if out is not None or options:
        raise SettingError(f"{', '.join([*(['out'] if out is not None else []), *options])} is for viewer='page'.")
    layers = _layers(image, superpixels, tree, thresholds)
    sides = check_spacing(spacing, layers.superpixels.ndim)
    if chosen == "napari":
        return _in_napari(layers, sides, unit)
    return _in_neuroglancer(layers, sides, unit)


@dataclass(frozen=True, slots=True)
class _Layers:
    image: Array  # uint8
    labels: dict[str, Labels]  # by title, the superpixels first
    colours: dict[int, Array]  # of each label, uint8, shape (3,)

    @property
    def superpixels(self) -> Labels:
        return self.labels["superpixels"]


def _layers(image: ArrayLike, superpixels: ArrayLike, tree: MergeTree | None, thresholds: Sequence[float]) -> _Layers:
    labels = as_labels(superpixels, "superpixels")
    if labels.ndim not in (2, 3):
        raise ShapeError(f"superpixels must have 2 or 3 dimensions to be shown; got shape {labels.shape}.")
    if tree is None and len(thresholds):
        raise SettingError("thresholds are where to cut a tree; give the tree too.")
    known = shown_labels(labels, tree)
    shown = {"superpixels": labels}
    if tree is not None:
        cuts = map(check_threshold, thresholds)
        shown |= {f"segmentation at {cut:.6g}": cut_labels(labels, tree, cut) for cut in cuts}
    colours = LabelColours.from_tree(labels, tree)(known)
    return _Layers(as_picture(image, labels.shape), shown, dict(zip(known.tolist(), colours, strict=True)))


def _chosen(viewer: str, out: FileName | None) -> str:
    """Return which viewer to open."""
    if viewer not in ("auto", "napari", "neuroglancer", "page"):
        raise SettingError(f"viewer must be 'auto', 'napari', 'neuroglancer' or 'page'; got {viewer!r}.")
    if viewer != "auto":
        return viewer
    if out is not None:
        return "page"
    if _has_screen() and _is_installed("napari"):
        return "napari"
    return "neuroglancer" if _is_installed("neuroglancer") else "page"


def _has_screen() -> bool:
    return sys.platform in ("win32", "darwin") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def _is_installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingError(
            f"viewer={name!r} needs the package {name}: pip install 'gala-segmentation[{name}]', or use viewer='page'."
        ) from error


def _in_napari(layers: _Layers, spacing: tuple[float, ...], unit: str | None) -> View:
    napari = _imported("napari")
    window = napari.Viewer(title="gala")
    is_rgb = layers.image.ndim > layers.superpixels.ndim
    window.add_image(layers.image, name="image", scale=spacing, rgb=is_rgb)
    rgba = {label: np.append(colour / 255, 1.0) for label, colour in layers.colours.items()}
    clear = np.zeros(4)
    table = {None: clear} | ({} if 0 in rgba else {0: clear}) | rgba
    for k, (title, labels) in enumerate(layers.labels.items()):
        colormap = import_module("napari.utils").DirectLabelColormap(color_dict=table)
        last = k == len(layers.labels) - 1
        window.add_labels(labels, name=title, scale=spacing, colormap=colormap, opacity=0.4, visible=last)
    if unit is not None:
        window.scale_bar.unit = unit
        window.scale_bar.visible = True
    return View("napari", "a window", window)


def _in_neuroglancer(layers: _Layers, spacing: tuple[float, ...], unit: str | None) -> View:
    neuroglancer = _imported("neuroglancer")
    names = _axes[-len(spacing) :]
    symbol = _units.get(unit or "", "")
    space = neuroglancer.CoordinateSpace(names=names, units=[symbol] * len(names), scales=spacing)
    is_rgb = layers.image.ndim > layers.superpixels.ndim
    grey = layers.image.mean(axis=-1).astype(np.uint8) if is_rgb else layers.image
    hexes = {label: "#{:02x}{:02x}{:02x}".format(*colour) for label, colour in layers.colours.items()}
    has_background = background_of(np.array(list(layers.colours), dtype=np.uint64)) == 0
    window = neuroglancer.Viewer()
    with window.txn() as state:
        state.dimensions = space
        state.layers["image"] = neuroglancer.ImageLayer(source=neuroglancer.LocalVolume(grey, dimensions=space))
        for k, (title, labels) in enumerate(layers.labels.items()):
            wide = labels.astype(np.uint64, copy=False)
            source = neuroglancer.LocalVolume(wide, dimensions=space, volume_type="segmentation")
            layer = neuroglancer.SegmentationLayer(source=source, hide_segment_zero=has_background)
            if len(hexes) <= _most_colours:
                layer.segment_colors = hexes
            last = k == len(layers.labels) - 1
            state.layers.append(name=title, layer=layer, visible=last)
        state.display_dimensions = names[::-1]
        state.layout = "4panel" if len(names) == 3 else "xy"
    return View("neuroglancer", str(window), window)
