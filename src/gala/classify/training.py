"""What a classifier learns from: lists of arrays ``[X, y, w, merges]`` with one row for each example.

Features `X`, shape (S, F); labels `y`, shape (S, 3), -1 merge and +1 not, by three rules; changes `w` of
VI and Rand index, shape (S, 2); pairs of nodes `merges`, shape (S, 2). Nothing here needs scikit-learn.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from gala._files import FileName
from gala._types import Array, ArrayLike
from gala.errors import FileError, SettingError, ShapeError
from gala.imio.hdf5 import read_h5_attributes, read_h5_stack, write_h5_datasets

_names = ("features", "labels", "weights", "history")


def concatenate_data_elements(elements: Sequence[Sequence[ArrayLike]]) -> list[Array]:
    """Return the examples of several elements as one element.

    Parameters
    ----------
    elements : sequence of lists of arrays
        Elements ``[X, y, w, merges]``, with any number of examples each.

    Returns
    -------
    element : list of array
        ``[X, y, w, merges]`` with the examples of all, in order.

    Raises
    ------
    ShapeError
        If there are no elements, or they do not fit together.

    Examples
    --------
    >>> concatenate_data_elements([[[[0.5]], [[-1]]], [[[0.7], [0.8]], [[1], [1]]]])
    [array([[0.5], [0.7], [0.8]]), array([[-1], [ 1], [ 1]])]
    """
    if not elements:
        raise ShapeError("there must be at least one element to concatenate; got none.")
    arrays = [_checked(element) for element in elements]
    shapes = [[array.shape[1:] for array in element] for element in arrays]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ShapeError(
                f"all elements must have examples of the same shapes; element 0 has {shapes[0]}, "
                f"element {number} has {shape}."
            )
    return [np.concatenate(parts) for parts in zip(*arrays, strict=True)]


def unique_learning_data_elements(elements: Sequence[Sequence[ArrayLike]]) -> list[Array]:
    """Return the examples of several elements as one, without those whose features came before.

    Parameters
    ----------
    elements : sequence of lists of arrays
        Elements ``[X, y, w, merges]``, with any number of examples each; or one of them, of arrays.

    Returns
    -------
    element : list of array
        ``[X, y, w, merges]``, no two rows of `X` being equal, in the order in which they first came.

    Raises
    ------
    ShapeError
        If there are no elements, or they do not fit together.

    Notes
    -----
    Sorts the examples: S log S comparisons.

    Examples
    --------
    >>> unique_learning_data_elements([[[[0.5], [0.7]], [[1], [2]]], [[[0.5], [0.8]], [[3], [4]]]])
    [array([[0.5], [0.7], [0.8]]), array([[1], [2], [4]])]
    """
    is_one = len(elements) > 0 and isinstance(elements[0], np.ndarray)
    arrays = concatenate_data_elements([elements] if is_one else elements)  # type: ignore[list-item]  # as told here
    if arrays[0].ndim != 2:
        raise ShapeError(f"features must have shape (examples, features); got {arrays[0].shape}.")
    # A column more, so that no row is empty; and 0.0 for -0.0, so that equal rows are the same bytes.
    rows = np.pad(arrays[0], ((0, 0), (1, 0))) + 0.0
    _, first = np.unique(rows.view(np.dtype((np.void, rows.strides[0]))), return_index=True)
    kept = np.sort(first)
    return [array[kept] for array in arrays]


def sample_training_data(
    features: ArrayLike,
    labels: ArrayLike,
    num_samples: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> tuple[Array, Array]:
    """Return some of the examples, drawn without replacement, in their order.

    Parameters
    ----------
    features : array, shape (S, F)
        Features of each example.
    labels : array, shape (S,) or (S, L)
        Labels of each example.
    num_samples : int, optional
        How many to draw; all of them if None or more than there are.
    random_state : int or numpy.random.Generator, optional
        Seed: the same seed draws the same examples.

    Returns
    -------
    features : array, shape (min(num_samples, S), F)
        Features of the examples drawn.
    labels : array, shape (min(num_samples, S),) or (min(num_samples, S), L)
        Their labels.

    Raises
    ------
    ShapeError
        If there are not as many labels as features.
    SettingError
        If `num_samples` is not a whole number, 0 or more.

    Examples
    --------
    >>> sample_training_data([[0.1], [0.2], [0.3]], [1, 2, 3], num_samples=2, random_state=0)
    (array([[0.2], [0.3]]), array([2, 3]))
    """
    X, y = _checked([features, labels])
    if num_samples is None:
        return X, y
    try:
        n_samples = operator.index(num_samples)
    except TypeError:
        n_samples = -1
    if n_samples < 0:
        raise SettingError(f"num_samples must be a whole number, 0 or more, or None; got {num_samples!r}.")
    rng = np.random.default_rng(random_state)
    drawn = np.sort(rng.choice(len(X), size=min(n_samples, len(X)), replace=False))
    return X[drawn], y[drawn]


def save_training_data_to_disk(
    data: Sequence[ArrayLike], fn: FileName, names: Sequence[str] | None = None, info: str = ""
) -> None:
    """Write an element ``[X, y, w, merges]`` to an HDF5 file, keeping other datasets.

    Parameters
    ----------
    data : list of array, each of S rows
        The element.
    fn : str or path
        The file, replaced only when the new one is complete.
    names : sequence of str, optional
        Names of the datasets; features, labels, weights and history by default.
    info : str
        What the examples are, kept with each dataset as its attribute ``info``.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and is not HDF5.
    SettingError, ShapeError
        If there are not as many names as arrays, or the arrays differ in their number of rows.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_training_data_to_disk([[[0.5]], [[-1]]], f"{folder}/a.h5", names=["X", "y"], info="moments")
    ...     load_training_data_from_disk(f"{folder}/a.h5", names=["X", "y"], info="moments")
    [array([[0.5]]), array([[-1]])]
    """
    arrays = _checked(data)
    chosen = _names if names is None else tuple(names)
    if len(set(chosen)) != len(arrays):
        raise SettingError(f"names must be {len(arrays)} different ones, one for each array; got {', '.join(chosen)}.")
    attributes = {name: {"info": info} for name in chosen}
    write_h5_datasets(dict(zip(chosen, arrays, strict=True)), fn, attributes=attributes)


def load_training_data_from_disk(fn: FileName, names: Sequence[str] | None = None, info: str = "") -> list[Array]:
    """Read an element ``[X, y, w, merges]`` written by `save_training_data_to_disk`.

    Parameters
    ----------
    fn : str or path
        The file.
    names : sequence of str, optional
        Names of the datasets; features, labels, weights and history by default.
    info : str
        If not empty, what the examples must be: the `info` they were saved with.

    Returns
    -------
    element : list of array
        The arrays, in the order of `names`.

    Raises
    ------
    FileError
        If the file or a dataset is missing or damaged, or the examples were saved with another `info`.

    Examples
    --------
    See `save_training_data_to_disk`.
    """
    chosen = _names if names is None else tuple(names)
    arrays = [read_h5_stack(fn, name) for name in chosen]
    if len({array.shape[:1] for array in arrays}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(chosen, arrays, strict=True))
        raise FileError(f"the datasets of {fn} must have as many rows as each other; got {shapes}.")
    for name in chosen if info else ():
        found = str(read_h5_attributes(fn, name).get("info", ""))
        if found != info:
            raise FileError(f"dataset {name!r} of {fn} was saved with info {found!r}, not {info!r}.")
    return arrays


def _checked(element: Sequence[ArrayLike]) -> list[Array]:
    """Return the arrays of an element after checking that all have the same number of rows."""
    arrays = [np.asarray(array) for array in element]
    n_rows = {array.shape[:1] for array in arrays}
    if len(n_rows) != 1 or n_rows == {()}:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ShapeError(f"the arrays of an element must all have one row for each example; got shapes {shapes}.")
    return arrays
