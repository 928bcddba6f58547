"""Scores of a predictor on a split: Kendall's τ against the labels the protocol names."""

import numpy as np

from narformer.data.dataset import Dataset, Split
from narformer.metrics import kendall_tau, precision_at
from narformer.predictors.predictor import Predictor
from narformer.training.loop import Progress, silent


def evaluate(
    predictor: Predictor,
    dataset: Dataset,
    split: Split,
    test_label: str | None = None,
    train_label: str | None = None,
    progress: Progress = silent,
) -> dict[str, float]:
    """Scores on the split's test rows.

    tau:        against the test label, every test row (the papers' number)
    tau_unseen: the same without rows trained on or selected with
    tau_valid:  against the train label, where every test row has one (the ceiling differs: see docs/protocols.md)
    tau_<part>: against the test label on a further named part of the split ("100")
    precision_1: share of the predicted best 1 % that is among the true best 1 %
    """
    test = dataset.labels[test_label or dataset.test_label]
    valid = dataset.labels[train_label or dataset.train_label]
    wanted = np.unique(np.concatenate([split.test, *split.parts.values()]))
    value = np.full(len(dataset), np.nan)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("score", done, len(wanted), None)

    value[wanted] = predictor.predict(dataset.rows(wanted), advance=advance)[:, 0]

    unseen = split.unseen()
    scores = {
        "tau": kendall_tau(value[split.test], test[split.test]),
        "tau_unseen": kendall_tau(value[unseen], test[unseen]),
        "precision_1": precision_at(value[split.test], test[split.test], 0.01),
    }
    if np.isfinite(valid[split.test]).all():
        scores["tau_valid"] = kendall_tau(value[split.test], valid[split.test])
    for part, rows in split.parts.items():
        scores[f"tau_{part}"] = kendall_tau(value[rows], test[rows])
    return scores
