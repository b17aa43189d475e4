"""From images to a segmentation in one object: a scikit-learn estimator that holds every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from gala import __version__
from gala._files import FileName
from gala._types import ArrayLike, Labels
from gala.engine.agglomerate import agglomerate
from gala.errors import SettingError, ShapeError
from gala.evaluate import vi
from gala.features.base import Null
from gala.graph.blockwise import is_dask
from gala.graph.segments import cut_labels
from gala.graph.tree import MergeTree, check_threshold
from gala.pipeline.files import Stored, json_of, read_segmenter, write_segmenter
from gala.pipeline.graphs import check_boundary, graph_of, with_superpixels
from gala.pipeline.inputs import (
    Given,
    Kind,
    by_name,
    check_kind,
    given_volume,
    given_volumes,
    in_order,
    is_many,
    maps_of,
)
from gala.pipeline.recipe import Recipe
from gala.pipeline.strength import raised, strength, warn_of_gain
from gala.pipeline.training import Progress, Training, steps


class Segmenter(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Learn to segment images like those that have been segmented by hand.

    An image is a map of boundaries, such as the output of a network: values from 0 to 1, high on boundaries; integers
    of 8 or 16 bits are divided by the largest one of their type. Channels, the boundary map first, go on the last axis.

    Parameters
    ----------
    recipe : Recipe, optional
        How to learn; by default ``Recipe()``. The next three, if given, replace what it says.
    features : str, feature manager or dict, optional
        What is known of a pair of regions, by name, as declared managers, or described by `write_fm`.
    classifier : str or scikit-learn estimator, optional
        Learns which merges are wrong.
    sample_weight : {"none", "vi"}, optional
        Whether examples weigh as much as each other, or what a mistake would cost in VI.
    threshold : "auto", "held-out" or float, optional
        Where `predict` stops to merge: where the recipe says; where VI is least on volumes that were held out, each of
        two halves in turn, which takes three times as long; or there.
    spacing : sequence of float, optional
        Size of a voxel along each axis, in physical units, in all images. By default 1.
    superpixel_options : dict, optional
        Keyword arguments for `gala.morpho.superpixels`, where no superpixels are given.
    pixels : object with ``predict(image)``, optional
        Makes the boundary map of an image, as a fitted `gala.classify.PixelClassifier` does; images are raw then.
    progress : "bar" or function, optional
        Shows a bar, or is called with the number of steps of learning that are done, and of all.
    random_state : int, optional
        The same number gives the same result, 0 by default; None draws another one each time.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores. Never changes the result.

    Attributes
    ----------
    threshold_ : float
        Where `predict` stops to merge.
    held_out_vi_ : float or None
        The VI at that threshold on volumes that were not learned from, mean, if it was chosen so.
    learned_ : Learned
        The policy, and what it is made of.
    provenance_ : dict
        The version, parameters, and SHA-256 of the arrays that this was learned from; in files, too.

    Notes
    -----
    Nothing depends on the order of volumes, or on the number of threads.

    References
    ----------
    Nunez-Iglesias et al. 2013, Machine learning of hierarchical clustering to segment 2D and 3D images,
    doi:10.1371/journal.pone.0071715.

    Examples
    --------
    >>> from gala import datasets
    >>> train, test = datasets.synthetic_pair((8, 32, 32)).values()
    >>> segmenter = Segmenter(classifier="naive bayes").fit(train.p1, train.truth, train.superpixels)
    >>> segmenter.predict(test.p1, test.superpixels).shape
    (8, 32, 32)
    """

    def __init__(
        self,
        recipe: Recipe | None = None,
        *,
        features: str | Null | Mapping[str, Any] | None = None,
        classifier: Any = None,
        sample_weight: str | None = None,
        threshold: str | float = "auto",
        spacing: Sequence[float] | None = None,
        superpixel_options: Mapping[str, Any] | None = None,
        pixels: Any = None,
        progress: str | Progress | None = None,
        random_state: int | None = 0,
        n_threads: int | None = None,
    ) -> None:
        self.recipe = recipe
        self.features = features
        self.classifier = classifier
        self.sample_weight = sample_weight
        self.threshold = threshold
        self.spacing = spacing
        self.superpixel_options = superpixel_options
        self.pixels = pixels
        self.progress = progress
        self.random_state = random_state
        self.n_threads = n_threads

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(
        self,
        images: ArrayLike | Sequence[ArrayLike],
        truths: Any,
        superpixels: ArrayLike | Sequence[ArrayLike] | None = None,
        *,
        extra: Any = None,
        mask: Any = None,
    ) -> Self:
        """Learn from one volume, or from a list of them.

        Parameters
        ----------
        images : array, shape (M, ..., P) or (M, ..., P, C), or list of such
            The boundary map first, channels last.
        truths : array of int, shape (M, ..., P), or list of such
            What is right; 0 is unknown, and superpixels of which nothing is known take no part. For each volume one,
            or a list of several.
        superpixels : array of int, shape (M, ..., P), or list of such, optional
            The regions to merge; made by `make_superpixels` if not given.
        extra : dict of arrays by name, or list of such, optional
            Other images, such as ``{"raw": raw}``.
        mask : array of bool, shape (M, ..., P), or list of such, optional
            Voxels that are False belong to no region.

        Returns
        -------
        self : Segmenter

        Raises
        ------
        ShapeError, ImageError, LabelError
            If volumes do not fit each other, or truth gives nothing to learn.
        SettingError, FeatureError, ClassifierError
            If a parameter has a value that it cannot have.

        Warns
        -----
        PolarityWarning
            If the boundary map is low on boundaries of truth.
        """
        recipe = self._recipe()
        if self.threshold not in ("auto", "held-out"):
            check_threshold(self.threshold)  # type: ignore[arg-type]  # raises for other words
        volumes, hashes = in_order(
            given_volumes(maps_of(self.pixels, images), truths, superpixels, extra=extra, mask=mask)
        )
        first = volumes[0]
        for volume in volumes:
            check_kind(volume.kind, first.kind, "all volumes must be alike:")
            check_boundary(volume, volume.truths[0])
        volumes = [self._with_superpixels(volume) for volume in volumes]
        held_out = self.threshold == "held-out"
        with steps(self.progress, recipe.n_epochs * (3 if held_out else 1)) as step:
            training = Training(recipe, self.spacing, self.random_state, self.n_threads, step)
            chosen = training.hold_out(volumes) if held_out else (self.threshold, None)
            learned = training.learn([training.lesson(volume) for volume in volumes])
        threshold, held_out_vi = chosen
        self.learned_, self.held_out_vi_ = learned, held_out_vi
        self.threshold_ = learned.threshold if threshold == "auto" else float(threshold)
        self.kind_ = first.kind
        parameters = {name: repr(value) for name, value in self._lasting_params().items()}
        self.provenance_ = {
            "gala": __version__,
            "scikit-learn": sklearn.__version__,
            "parameters": parameters | {"recipe": repr(recipe)},
            "volumes": hashes,
            "held_out_vi": held_out_vi,
            **learned.provenance,
        }
        return self

    def _recipe(self) -> Recipe:
        recipe = Recipe() if self.recipe is None else self.recipe
        if not isinstance(recipe, Recipe):
            raise SettingError(f"recipe must be a gala.pipeline.Recipe; got {recipe!r}.")
        chosen = {name: getattr(self, name) for name in ("features", "classifier", "sample_weight")}
        return replace(recipe, **{name: value for name, value in chosen.items() if value is not None})

    # -- segmenting ------------------------------------------------------------------------------------------------

    def make_superpixels(self, image: ArrayLike, *, mask: ArrayLike | None = None) -> Labels:
        """Return the superpixels of an image, those that are used where none are given.

        Parameters
        ----------
        image, mask
            As for `predict`; nothing needs to be learned before.

        Returns
        -------
        superpixels : array of int32, shape (M, ..., P)
            0 where masked.
        """
        ndim = self.kind_.ndim if hasattr(self, "kind_") else None
        volume = given_volume(maps_of(self.pixels, image), mask=mask, ndim=ndim)
        volume = self._with_superpixels(volume)
        return volume.superpixels  # type: ignore[return-value]  # they were just made

    def merge_tree(
        self,
        image: ArrayLike,
        superpixels: ArrayLike | None = None,
        *,
        extra: Mapping[str, ArrayLike] | None = None,
        mask: ArrayLike | None = None,
    ) -> MergeTree:
        """Return every segmentation of an image: `cut_labels` cuts it at any threshold.

        Parameters, and errors, are those of `predict`.

        Returns
        -------
        tree : MergeTree
            Its leaves are the superpixels, in the order of their labels.
        """
        return self._tree(self._one(image, superpixels=superpixels, extra=extra, mask=mask))[0]

    def predict(
        self,
        image: ArrayLike,
        superpixels: ArrayLike | None = None,
        threshold: float | None = None,
        *,
        extra: Mapping[str, ArrayLike] | None = None,
        mask: ArrayLike | None = None,
    ) -> Labels:
        """Segment an image.

        Parameters
        ----------
        image : array, shape (M, ..., P) or (M, ..., P, C)
            With the channels of the images that were learned from. Of a dask array, in any chunks, only blocks and
            the graph are in memory, once the result is computed; superpixels are then those of
            `gala.morpho.blocks`, which do not depend on chunks.
        superpixels : array of int, shape (M, ..., P), optional
            The regions to merge; made by `make_superpixels` if not given.
        threshold : float, optional
            Where to stop merging; by default `threshold_`.
        extra : dict of arrays by name, optional
            The extra images that were learned from; dask arrays, too.
        mask : array of bool, shape (M, ..., P), optional
            Voxels that are False are 0 in the result.

        Returns
        -------
        segmentation : array of int, shape (M, ..., P)
            A segment is named by its lowest superpixel. A dask array if one was given.

        Raises
        ------
        ShapeError
            If the image has other channels than those that were learned from.
        sklearn.exceptions.NotFittedError
            If nothing was learned yet.

        Warns
        -----
        PolarityWarning
            If the boundary map is low on boundaries of superpixels.
        GalaWarning
            If it is clearly weaker there than all that were learned from, times 0.6 for instance. It is raised to their
            level then. A dask array warns when it is computed.
        """
        if is_dask(image, superpixels, mask, *by_name(extra).values()):
            check_is_fitted(self, msg=_NOT_FITTED)
            from gala.pipeline.blockwise.lazily import predict_lazily

            until = check_threshold(self.threshold_ if threshold is None else threshold)
            lazy: Labels = predict_lazily(self, image, superpixels, until, extra=extra, mask=mask)
            return lazy
        tree, volume = self._tree(self._one(image, superpixels=superpixels, extra=extra, mask=mask))
        return self._segment(tree, volume, self.threshold_ if threshold is None else threshold)

    def score(
        self,
        images: ArrayLike | Sequence[ArrayLike],
        truths: Any,
        superpixels: ArrayLike | Sequence[ArrayLike] | None = None,
        *,
        extra: Any = None,
        mask: Any = None,
    ) -> float:
        """Return the variation of information of `predict` and truth, times -1, so that more is better.

        Parameters
        ----------
        images, truths, superpixels, extra, mask
            As for `fit`. Voxels that are 0 in truth, or masked, do not count.

        Returns
        -------
        score : float
            In bits, false merges and false splits together; the mean over volumes, and over the truths of each.
        """
        check_is_fitted(self, msg=_NOT_FITTED)
        scores = []
        for volume in given_volumes(maps_of(self.pixels, images), truths, superpixels, extra=extra, mask=mask):
            seg = self._segment(*self._tree(volume), self.threshold_)
            scores.append(np.mean([vi(seg, truth) for truth in volume.truths]))
        return -float(np.mean(scores))

    def _one(self, image: ArrayLike, **rest: Any) -> Given:
        check_is_fitted(self, msg=_NOT_FITTED)
        if is_many(image):
            raise ShapeError("predict takes one image at a time, as an array; call it for each of a list.")
        return given_volume(maps_of(self.pixels, image), ndim=self.kind_.ndim, **rest)

    def _with_superpixels(self, volume: Given) -> Given:
        return with_superpixels(volume, spacing=self.spacing, options=self.superpixel_options)

    def _tree(self, volume: Given) -> tuple[MergeTree, Given]:
        """Return the merge tree of a volume, and the volume with the superpixels that are its leaves."""
        check_kind(volume.kind, self.kind_)
        if volume.superpixels is not None:
            check_boundary(volume, volume.superpixels)
        volume = self._with_superpixels(volume)
        policy = self.learned_.policy
        options: Any = {"spacing": self.spacing, "n_threads": self.n_threads}
        graph = graph_of(volume, policy.needs, **options).graph
        gain = self.learned_.gain(strength(graph))
        if gain > 1:
            warn_of_gain(gain)
            brighter = volume._replace(image=raised(volume.image, gain))
            graph = graph_of(brighter, policy.needs, **options).graph
        return agglomerate(graph, policy, rescore=self.learned_.rescore, n_threads=self.n_threads), volume

    def _segment(self, tree: MergeTree, volume: Given, threshold: float) -> Labels:
        superpixels: Any = volume.superpixels  # the leaves of the tree
        return cut_labels(superpixels, tree, threshold, mask=volume.mask, n_threads=self.n_threads)

    # -- being an estimator ----------------------------------------------------------------------------------------

    def save(self, fn: FileName) -> None:
        """Write what was learned to one file, without pickle; an older file is only replaced by a complete one.

        Parameters
        ----------
        fn : str or path
            A NumPy archive; its usual extension is .npz.

        Raises
        ------
        FileError, ClassifierError
            If the file cannot be written, or the classifier cannot be laid flat.

        Notes
        -----
        The file holds the feature managers, the classifier as arrays, thresholds, `provenance_`, and those parameters
        that can be written as JSON; and `pixels`, if it is a `PixelClassifier`. What is loaded segments as this does;
        to learn once more by it, first set a classifier that was not given by name.
        """
        check_is_fitted(self, msg=_NOT_FITTED)
        stored = Stored(
            self.learned_,
            self.threshold_,
            *self.kind_,
            self.pixels,
            json_of(self._lasting_params()),
            self.provenance_,
        )
        write_segmenter(fn, stored)

    @classmethod
    def load(cls, fn: FileName, *, pixels: Any = None) -> Self:
        """Read a segmenter that `save` wrote. Nothing in the file is ever executed.

        Parameters
        ----------
        fn : str or path
        pixels : object with ``predict(image)``, optional
            What made boundary maps when the segmenter learned, unless it is a `PixelClassifier`: that is in the file.

        Returns
        -------
        segmenter : Segmenter
            It segments as the one that was saved, byte for byte.

        Raises
        ------
        FileError, SettingError
            If the file is missing, damaged, no segmenter, or from a newer version; if it needs `pixels`.
        """
        stored = read_segmenter(fn, pixels)
        segmenter = cls(**stored.parameters, pixels=stored.pixels)
        segmenter.learned_, segmenter.threshold_ = stored.learned, stored.threshold
        segmenter.kind_ = Kind(stored.ndim, stored.n_channels_of)
        segmenter.provenance_, segmenter.held_out_vi_ = stored.provenance, stored.provenance["held_out_vi"]
        return segmenter

    def _lasting_params(self) -> dict[str, Any]:
        """Return the parameters that say what is learned, and not how to go about it."""
        passing = ("pixels", "progress", "n_threads")
        return {name: value for name, value in self.get_params(deep=False).items() if name not in passing}

    def __sklearn_clone__(self) -> Self:
        # What makes boundary maps has learned before, and stays as it is.
        kept = {name: getattr(self, name) for name in ("pixels", "progress")}
        others = {name: value for name, value in self.get_params(deep=False).items() if name not in kept}
        return type(self)(**kept, **{name: clone(value, safe=False) for name, value in others.items()})


_NOT_FITTED = "this %(name)s has learned nothing yet; call its fit(images, truths), or Segmenter.load(file)."
