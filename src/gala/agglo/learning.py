"""What a graph of a volume does with truth: compare itself with it, and learn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gala._types import ArrayLike, Floats, Labels
from gala.agglo.inputs import fitting
from gala.classify import get_classifier
from gala.engine.learn import Schedule, TrainingSet, check_truths, learn_agglomerate, learn_flat, truths_of
from gala.engine.policy import Policy, boundary_mean, classifier_probability
from gala.engine.running import RunningGraph
from gala.engine.volumes import paint
from gala.errors import SettingError
from gala.evaluate import split_vi
from gala.features.base import Null


class Learning(RunningGraph):
    """A running graph of a volume that can be painted, compared with truth, and learned from."""

    gt: Labels | None = None
    show_progress: bool = False

    @property
    def watershed(self) -> Labels:
        """The regions that the graph was made from, shape (M, ..., P)."""
        return self._need_volume().labels

    def paint(self, names: Labels, threshold: float) -> Labels:
        """Return the segments of a cut as an image, each by the name, shape (N,), of its lowest region."""
        return paint(self, names[self.tree.cut(threshold)])

    def set_ground_truth(self, gt: ArrayLike | None = None) -> None:
        """Keep `gt`, shape (M, ..., P), as the truth; None forgets it."""
        self.gt = None if gt is None else fitting(gt, self.watershed, "truth")

    def split_vi(self, gt: ArrayLike | None = None) -> Floats:
        """Return false merges and false splits, in bits, against `gt` or the truth set before; 0 is ignored."""
        truth = self.gt if gt is None else fitting(gt, self.watershed, "truth")
        if truth is None:
            raise SettingError("there is no truth to compare with; pass it, or call set_ground_truth first.")
        # Numbered from 1, since 0 is ignored, and may be the label of a region.
        return split_vi(self.paint(np.arange(self.graph.n_regions) + 1, np.inf), truth)

    def learn_flat(self, gts: ArrayLike | Sequence[ArrayLike], feature_map: Null) -> TrainingSet:
        """Return one example for each edge: features, labels, weights and pairs; see `learn_agglomerate`."""
        truths = truths_of(self, check_truths(gts, self._need_volume()))
        return learn_flat(self, truths, feature_map)

    def learn_agglomerate(
        self,
        gts: ArrayLike | Sequence[ArrayLike],
        feature_map: Null,
        min_num_samples: int = 1,
        learn_flat: bool = True,  # historic
        learning_mode: str = "strict",
        labeling_mode: str = "assignment",
        priority_mode: str = "active",
        memory: bool = True,
        unique: bool = True,
        random_state: int | np.random.Generator | None = None,
        max_num_epochs: int = 10,
        min_num_epochs: int = 2,
        max_num_samples: float = np.inf,
        classifier: str | Any = "random forest",
        active_function: Callable[[Null, Any], Any] = classifier_probability,
        mpf: Policy | Callable[..., Any] = boundary_mean,
    ) -> tuple[TrainingSet, list[TrainingSet]]:
        """Learn to agglomerate: collect examples of right and wrong merges over several epochs.

        Parameters
        ----------
        gts : array of int, shape (M, ..., P), or list of such
            The truth, or several; 0 is unknown.
        feature_map : feature manager
            What is computed about each pair. The graph must keep its caches.
        min_num_samples : int, optional
            Go on, after `min_num_epochs`, until there are more examples than this.
        learn_flat : bool, optional
            Begin with one example for each edge of the graph, without merging.
        learning_mode : {"strict", "loose", "permissive"}, optional
            Strict records merges that truth forbids, and does not make them; loose makes every merge; permissive
            makes those that truth allows or to which the policy gives less than 0.5.
        labeling_mode : {"assignment", "vi-sign", "rand-sign"}, optional
            The label to train on, and to obey: do both regions overlap most with one true object (ties to the lower
            label), does the merge lower the variation of information, does it raise the Rand index.
        priority_mode : {"active", "random", "mixed", "mean", "custom"}, optional
            The order of merges: by a classifier trained on the examples so far, random, these two in turn, by the
            boundary mean, or by `mpf`.
        memory : bool, optional
            Train on the examples of all epochs, not of the last one only.
        unique : bool, optional
            Drop examples with the features of an earlier one.
        random_state : int or numpy.random.Generator, optional
            The same number gives the same examples, byte for byte.
        max_num_epochs, min_num_epochs : int, optional
            How many epochs, the flat one included.
        max_num_samples : int, optional
            Train on a random choice of so many examples.
        classifier : str or estimator, optional
            A name for `gala.classify.get_classifier`, or an estimator of scikit-learn, which is cloned.
        active_function : function, optional
            Makes a policy of a feature map and a classifier.
        mpf : policy, optional
            For ``priority_mode="custom"``.

        Returns
        -------
        data, per_epoch : TrainingSet, list of TrainingSet
            Each unpacks as features, shape (S, F); labels, shape (S, 3), -1 merge and 1 don't, by the three labeling
            modes; changes of VI and Rand index, shape (S, 2); pairs of regions, shape (S, 2).

        Raises
        ------
        ShapeError, LabelError
            If a truth does not fit, or gives only one kind of example.
        SettingError
            If an option is out of range.

        Notes
        -----
        ``learning_mode="loose", labeling_mode="rand-sign", memory=False`` is LASH (Jain et al. 2011, Learning to
        agglomerate superpixel hierarchies, NIPS 24).

        References
        ----------
        Nunez-Iglesias et al. 2013, doi:10.1371/journal.pone.0071715.
        """
        schedule = Schedule(
            learn_flat=learn_flat,
            learning_mode=learning_mode,
            labeling_mode=labeling_mode,
            priority_mode=priority_mode,
            memory=memory,
            unique=unique,
            min_num_samples=min_num_samples,
            max_num_samples=max_num_samples,
            min_num_epochs=min_num_epochs,
            max_num_epochs=max_num_epochs,
        )
        random = np.random.default_rng(random_state)
        truths = truths_of(self, check_truths(gts, self._need_volume()))
        with tqdm(total=max_num_epochs, desc="learning", unit="epoch", disable=not self.show_progress) as bar:
            return learn_agglomerate(
                self,
                truths,
                feature_map,
                schedule=schedule,
                classifier=lambda: get_classifier(classifier, random_state=int(random.integers(2**31))),
                active_function=active_function,
                mpf=mpf,
                random=random,
                on_epoch=lambda *_: _advance(bar),
            )


def _advance(bar: Any) -> None:
    bar.update()
