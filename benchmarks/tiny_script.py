"""Everything from a volume to a score, so small that only imports and compilation take time."""

from __future__ import annotations


def main():
    from gala import agglo, classify, datasets, evaluate, features

    train, test = (datasets.synthetic((8, 24, 24), seed=seed) for seed in (1, 2))
    manager = features.base.Composite([features.moments.Manager(), features.histogram.Manager()])
    g = agglo.Rag(train.superpixels, train.p1, feature_manager=manager)
    X, y, _, _ = g.learn_agglomerate(train.truth, manager, random_state=0)[0]
    forest = classify.DefaultRandomForest(random_state=0).fit(X, y[:, 0])
    for policy in (agglo.classifier_probability(manager, forest), agglo.boundary_mean):
        g = agglo.Rag(test.superpixels, test.p1, policy, feature_manager=manager)
        g.agglomerate(0.5)
        print(evaluate.split_vi(g.get_segmentation(), test.truth))


if __name__ == "__main__":
    main()
