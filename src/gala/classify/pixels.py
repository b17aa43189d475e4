"""Boundary maps from raw images: a classifier of voxels, learned from painted ones or from a truth.

Features are filters at several scales; any block of an image, with its halo, gets the values that the whole would get.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

from gala._files import FileName, read_archive, write_archive
from gala._types import Array, Classifier, Floats, Ints, Labels
from gala.classify.estimators import get_classifier
from gala.classify.files import classifier_as_bytes, classifier_from_bytes, memory_of_loading
from gala.classify.pixels_features import Filters
from gala.classify.pixels_inputs import as_lists, block_features, check_same, described, rows_at
from gala.classify.tiles import Target, Tile, as_source, check_tile_shape, is_wanted, run_over_tiles, tiles
from gala.errors import ClassifierError, FileError, LabelError, SettingError, ShapeError
from gala.graph.volume import check_spacing

_FORMAT = 1
_BLOCK = {"volume": (96, 96, 96), "planes": (4, 512, 512)}  # 0.9 to 1.0 million voxels
_ROWS = 2**16  # of features that a classifier sees at once
_kept = ("scales", "reach", "spacing", "boundary", "n_samples", "random_state")


class PixelClassifier(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predict from an image in what class each voxel is, boundary above all.

    Parameters
    ----------
    classifier : {"extra trees", "gradient boosting", ...} or scikit-learn estimator
        A name that `get_classifier` knows, or an estimator with `predict_proba`; it is cloned.
    scales : sequence of float
        Standard deviations of the Gaussians, in voxels of the finest axis.
    reach : {"volume", "planes"}
        Whether filters reach along all axes, or along the last two only: for stacks of planes that are thick or
        badly aligned. Images with two axes are one plane.
    spacing : sequence of float, optional
        The size of a voxel along each axis; filters are as wide in the same unit. By default 1.
    boundary : int
        The label of boundaries in what is painted.
    n_samples : int
        At most so many voxels of each class are learned from, drawn at random. Classes then weigh as they are drawn,
        not as frequent as they are in the image.
    random_state : int
        Seed of the draw, and of the classifier.

    Attributes
    ----------
    classes_ : array of int, shape (K,)
        The labels that were learned.
    classifier_ : scikit-learn estimator
        The classifier, fitted.
    image_ : dict
        ``ndim``, without channels; ``n_channels``, None if images have no axis for them; ``dtype``.

    Notes
    -----
    Values are the same bytes for any shape of block and any number of threads. With the default scales and blocks, each
    thread takes about 0.6 GB; an image that is read from a file is never whole in memory, nor is `out`.

    The features follow those common in interactive segmentation [1]_; trees need none of them scaled.

    References
    ----------
    .. [1] Berg, S. et al. (2019). ilastik: interactive machine learning for (bio)image analysis. *Nature Methods* 16,
           1226-1232. doi:10.1038/s41592-019-0582-9

    Examples
    --------
    Two grey plates with a bright boundary between, of which a few voxels are painted: 1 inside, 2 boundary.

    >>> image = np.full((12, 12), 0.4)
    >>> image[:, 6] = 0.9
    >>> painted = np.zeros((12, 12), int)
    >>> painted[2, [2, 6, 9]] = painted[9, [3, 6, 10]] = 1, 2, 1
    >>> pixels = PixelClassifier("random forest", scales=(1,)).fit(image, painted)
    >>> (pixels.predict(image)[5] > 0.5).astype(int)
    array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    """

    classes_: Ints
    classifier_: Classifier
    image_: dict[str, Any]

    def __init__(
        self,
        classifier: str | Classifier = "extra trees",
        *,
        scales: Sequence[float] = (0.7, 1.0, 1.6, 3.5, 5.0),
        reach: Literal["volume", "planes"] = "volume",
        spacing: Sequence[float] | None = None,
        boundary: int = 2,
        n_samples: int = 50_000,
        random_state: int = 0,
    ) -> None:
        self.classifier = classifier
        self.scales = scales
        self.reach = reach
        self.spacing = spacing
        self.boundary = boundary
        self.n_samples = n_samples
        self.random_state = random_state

    def fit(self, images: Any, labels: Any, *, n_threads: int | None = None) -> PixelClassifier:
        """Learn from labelled voxels of one image, or of a list of images.

        Parameters
        ----------
        images : array of float, shape (M, ..., P) or (M, ..., P, C), or list of them
            Two or three axes, then channels, if any. Anything with `shape`, `dtype` and slices is read block by block.
        labels : array of int, shape (M, ..., P), or list of them
            0 is not labelled, others are classes: a few painted voxels, or all, as from `gala.morpho.boundary_labels`.
        n_threads : int, optional
            By default the environment variable GALA_NUM_THREADS, or all cores.

        Returns
        -------
        self : PixelClassifier
            Fitted.

        Raises
        ------
        ShapeError, ImageError, LabelError, SettingError
            If images and labels do not fit each other, values are not finite, fewer than two classes are labelled or
            none is `boundary`, or a parameter has a value that it cannot have.
        """
        sources, painted = as_lists(images, labels)
        image = described(sources[0], painted[0].ndim)
        filters = self._filters(image["ndim"])
        for source, paint in zip(sources, painted, strict=True):
            if tuple(source.shape[: paint.ndim]) != paint.shape:
                raise ShapeError(
                    f"images must start with the shape of their labels, {paint.shape}; got {tuple(source.shape)}. "
                    "Channels, if any, go on the last axis."
                )
            check_same(described(source, paint.ndim), image)
        drawn, classes = self._draw(painted)
        X = np.concatenate(
            [rows_at(filters, source, image, where, n_threads) for source, where in zip(sources, drawn, strict=True)]
        )
        y = np.concatenate([paint.ravel()[where] for paint, where in zip(painted, drawn, strict=True)])
        classifier = get_classifier(self.classifier, random_state=self.random_state)
        with _one_thread():  # sums over threads would depend on their number
            classifier.fit(X, y.astype(np.int64))
        if getattr(classifier, "n_jobs", None) is not None:  # its threads would add up in any order
            classifier.set_params(n_jobs=1)  # type: ignore[attr-defined]  # as scikit-learn's have
        self.classes_, self.classifier_, self.image_ = classes, classifier, image
        return self

    def predict(
        self,
        image: Any,
        *,
        block_shape: int | Sequence[int] | None = None,
        n_threads: int | None = None,
        out: Target | None = None,
        progress: Literal["bar"] | None = None,
    ) -> Any:
        """Return the boundary map of an image: how likely each voxel is boundary.

        Parameters
        ----------
        image : array, shape (M, ..., P) or (M, ..., P, C)
            With the axes, the channels and the type of the images that were learned from.
        block_shape : int or sequence of int, optional
            How many voxels to predict at once; the values do not depend on it.
        n_threads : int, optional
            By default the environment variable GALA_NUM_THREADS, or all cores.
        out : array or dataset, shape (M, ..., P), optional
            Where to write, block by block. By default a new array.
        progress : "bar", optional
            Shows how many tiles are done.

        Returns
        -------
        boundary : array of float32, shape (M, ..., P)
            From 0 to 1; `out` if it is given.

        Raises
        ------
        ClassifierError
            If it is not fitted.
        ImageError, ShapeError
            If the image is not like those that were learned from, or not finite.
        SettingError
            If `block_shape` is no shape.
        """
        self._check_fitted()
        column = int(np.searchsorted(self.classes_, self.boundary))
        return self._predict(image, block_shape, n_threads, out, progress, lambda found: found[..., column])

    def predict_proba(
        self,
        image: Any,
        *,
        block_shape: int | Sequence[int] | None = None,
        n_threads: int | None = None,
        out: Target | None = None,
        progress: Literal["bar"] | None = None,
    ) -> Any:
        """Return the maps of all classes, in the order of ``classes_``.

        Parameters
        ----------
        image, block_shape, n_threads
            As for `predict`.
        out : array or dataset, shape (M, ..., P, K), optional
            Where to write, block by block. By default a new array.
        progress : "bar", optional
            As for `predict`.

        Returns
        -------
        maps : array of float32, shape (M, ..., P, K)
            How likely each class is; `out` if it is given.

        Raises
        ------
        ClassifierError, ImageError, ShapeError, SettingError
            As from `predict`.
        """
        self._check_fitted()
        return self._predict(image, block_shape, n_threads, out, progress, lambda found: found, (len(self.classes_),))

    def tile_sides(self, ndim: int) -> tuple[int, ...]:
        """Return how many voxels `predict` takes at once along each of `ndim` axes, unless told otherwise."""
        return _BLOCK[self.reach] if ndim == 3 else (1024, 1024)

    def tile_memory(self) -> int:
        """Return how many bytes a process needs at most to load this, and to predict so many voxels."""
        self._check_fitted()
        ndim = self.image_["ndim"]
        filters = self._filters(ndim).memory(self.tile_sides(ndim), self.image_["n_channels"] or 1)
        return memory_of_loading(self.classifier_) + filters

    def save(self, fn: FileName) -> None:
        """Write what was learned to a file that `load` reads without pickle.

        Parameters
        ----------
        fn : str or path
            The file, replaced only when the new one is complete.

        Raises
        ------
        FileError, ClassifierError
            If it cannot be written, is not fitted, or skops cannot store the classifier.
        """
        self._check_fitted()
        description = {
            "parameters": {name: _plain(getattr(self, name)) for name in _kept},
            "name": self.classifier if isinstance(self.classifier, str) else None,
            "classes": self.classes_.tolist(),
            "image": self.image_,
        }
        stored = np.frombuffer(classifier_as_bytes(self.classifier_), np.uint8)
        write_archive(fn, _FORMAT, {"pixel_classifier": json.dumps(description), "classifier": stored})

    @classmethod
    def load(cls, fn: FileName, *, trusted: Sequence[str] = ()) -> PixelClassifier:
        """Return what `save` wrote to a file; nothing in the file is run.

        Parameters
        ----------
        fn : str or path
            The file.
        trusted : sequence of str, optional
            Further types to make, as for `load_classifier`.

        Returns
        -------
        pixels : PixelClassifier
            Fitted, with the same predictions.

        Raises
        ------
        FileError
            If the file is missing, damaged, of another kind or a newer version, or holds types that are not trusted.
        """
        what = "a pixel classifier"
        text, stored = read_archive(
            fn, what, _FORMAT, lambda found: (str(found["pixel_classifier"]), found["classifier"].tobytes())
        )
        classifier = classifier_from_bytes(stored, fn, (*_losses, *trusted))
        try:
            description = json.loads(text)
            pixels = cls(description["name"] or classifier, **description["parameters"])
            pixels.classes_ = np.asarray(description["classes"], np.int64)
            pixels.image_ = {name: description["image"][name] for name in ("ndim", "n_channels", "dtype")}
            pixels.classifier_ = classifier
            n_expected = pixels._filters(pixels.image_["ndim"]).n_features * (pixels.image_["n_channels"] or 1)
            fits = classifier.n_features_in_ == n_expected  # type: ignore[attr-defined]  # as scikit-learn's have
            if not fits or classifier.classes_.tolist() != description["classes"]:
                raise ValueError("its classifier does not fit its description")  # noqa: TRY301  # told as all the others
        except Exception as error:  # the file decides what is read
            raise FileError(f"{fn} does not hold {what} that can be read: {error}.") from error
        return pixels

    def _filters(self, ndim: int) -> Filters:
        if self.reach not in _BLOCK:
            raise SettingError(f'reach must be "volume" or "planes"; got {self.reach!r}.')
        scales = tuple(float(scale) for scale in np.ravel(self.scales))
        if not scales or not all(0 < scale < math.inf for scale in scales):
            raise SettingError(f"scales must be one or more finite numbers above 0; got {self.scales!r}.")
        filtered = check_spacing(self.spacing, ndim)[-2 if self.reach == "planes" else -ndim :]
        return Filters(scales, ndim, tuple(side / min(filtered) for side in filtered))

    def _draw(self, painted: list[Labels]) -> tuple[list[Ints], Ints]:
        """Return the positions, increasing, of the voxels to learn from in each image; and the classes."""
        if not isinstance(self.n_samples, int | np.integer) or self.n_samples < 1:
            raise SettingError(f"n_samples must be a whole number, 1 or more; got {self.n_samples!r}.")
        classes = np.unique(np.concatenate([np.unique(paint) for paint in painted]))
        classes = classes[classes != 0].astype(np.int64)
        if len(classes) < 2 or self.boundary not in classes:
            raise LabelError(
                f"labels must hold two classes or more, one of them boundary, {self.boundary}; got "
                f"{classes.tolist() or 'none'}. 0 is not labelled; of a truth, take morpho.boundary_labels(truth)."
            )
        rng = np.random.default_rng(self.random_state)
        ends = np.cumsum([0, *(paint.size for paint in painted)])
        chosen = []
        for label in classes:
            parts = [np.flatnonzero(paint.ravel() == label) + end for paint, end in zip(painted, ends, strict=False)]
            found = np.concatenate(parts)
            chosen.append(rng.choice(found, min(int(self.n_samples), len(found)), replace=False))
        places = np.sort(np.concatenate(chosen))
        return [
            places[np.searchsorted(places, low) : np.searchsorted(places, high)] - low for low, high in pairwise(ends)
        ], classes

    def _check_fitted(self) -> None:
        if not hasattr(self, "classifier_"):
            raise ClassifierError("PixelClassifier must be fitted before it can predict or be saved; call fit first.")

    def _predict(
        self,
        image: Any,
        block_shape: int | Sequence[int] | None,
        n_threads: int | None,
        out: Target | None,
        progress: str | None,
        choose: Callable[[Floats], Array],
        classes: tuple[int, ...] = (),
    ) -> Any:
        source = as_source(image)
        check_same(described(source, self.image_["ndim"]), self.image_)
        shape = tuple(source.shape[: self.image_["ndim"]])
        filters = self._filters(len(shape))
        asked = self.tile_sides(len(shape)) if block_shape is None else block_shape
        sides = check_tile_shape(asked, len(shape), "block_shape")
        pieces = [tile for tile in tiles(shape, sides, filters.halo) if is_wanted(tile.core, out)]
        target: Any = np.empty(shape + classes, np.float32) if out is None else out
        if tuple(target.shape) != shape + classes:
            raise ShapeError(f"out must have shape {shape + classes}; got {tuple(target.shape)}.")

        def compute(tile: Tile) -> Array:
            X = block_features(filters, source, self.image_, tile)
            with _one_thread():
                parts = [choose(self.classifier_.predict_proba(X[i : i + _ROWS])) for i in range(0, len(X), _ROWS)]
            values = np.concatenate(parts).astype(np.float32)
            return values.reshape(*(side.stop - side.start for side in tile.core), *classes)

        def write(tile: Tile, values: Array) -> None:
            target[tile.core] = values

        run_over_tiles(compute, pieces, write, n_threads=n_threads, progress=progress)
        return target


# What boosted trees of three classes or more are made of; Python objects that hold numbers.
_losses = ("sklearn._loss.loss.HalfMultinomialLoss", "sklearn._loss.link.MultinomialLogit")


def _one_thread() -> Any:
    """Keep scikit-learn's loops on this thread: ours are over blocks."""
    return _thread_pools().limit(limits=1, user_api="openmp")


@cache  # to find the pools takes longer than to predict a small block
def _thread_pools() -> Any:
    return ThreadpoolController()


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if value is not None else None
