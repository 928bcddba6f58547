"""Scores of a predictor on a split: Kendall's τ against the labels the protocol names."""

import numpy as np

from narformer.data.dataset import Dataset, Split
from narformer.metrics import accuracy_within, kendall_tau, mape, precision_at
from narformer.predictors.neural import NeuralPredictor
from narformer.predictors.predictor import Predictor
from narformer.training.loop import Progress, silent

DRAWS = 50
TIMES = frozenset({"ns", "us", "µs", "ms", "s"})  # units in which an error is told in percent


def evaluate(
    predictor: Predictor,
    dataset: Dataset,
    split: Split,
    progress: Progress = silent,
) -> dict[str, float]:
    """Scores on the split's test rows.

    tau:        against the test label, every test row (the papers' number)
    tau_unseen: the same without rows trained on or selected with
    tau_valid:  against the train label, where that is another one and every test row has it (the ceiling differs: see
                docs/protocols.md)
    tau_<part>: against the test label on a further named part of the split ("100")
    tau_<part>_drawn: the same on average over DRAWS draws of as many unseen rows: a hundred cells are few to tell by
    mape, acc_10, acc_5: of unseen rows, where the label has a unit of time: mean absolute percentage error, and the
                percentage of rows that are off by at most 10 and 5 %; mape_<part> and so on of a named part
    precision_1: share of the predicted best 1 % that is among the true best 1 %
    coverage:   share of unseen rows with a train label, the one that is predicted, whose interval holds it; for
                calibrated predictors. It holds the test label, another number, less often (``coverage_test``).
    """
    test, valid = dataset.labels[dataset.test_label], dataset.labels[dataset.train_label]
    same = dataset.train_label == dataset.test_label
    wanted = np.unique(np.concatenate([split.test, *split.parts.values()]))
    value = np.full(len(dataset), np.nan)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("score", done, len(wanted), None)

    unseen = split.unseen()
    covered = {}
    if isinstance(predictor, NeuralPredictor):
        opinion = np.full((len(dataset), predictor.members), np.nan)
        opinion[wanted] = predictor.opinions(dataset.rows(wanted), advance=advance)
        value[wanted] = predictor.target.inverse(opinion[wanted].mean(axis=1))
        for name, label in ({"coverage": valid} | ({} if same else {"coverage_test": test})).items():
            rows = unseen[np.isfinite(label[unseen])]
            bounds = predictor.interval(opinion[rows])
            if bounds is not None and len(rows):
                covered[name] = float(((bounds[0] <= label[rows]) & (label[rows] <= bounds[1])).mean())
    else:
        value[wanted] = predictor.predict(dataset.rows(wanted), advance=advance)[:, 0]
    scores = {
        "tau": kendall_tau(value[split.test], test[split.test]),
        "tau_unseen": kendall_tau(value[unseen], test[unseen]),
        "precision_1": precision_at(value[split.test], test[split.test], 0.01),
    } | covered
    if not same and np.isfinite(valid[split.test]).all():
        scores["tau_valid"] = kendall_tau(value[split.test], valid[split.test])
    if dataset.attributes[dataset.test_label].unit in TIMES:
        for suffix, rows in {"": unseen, **{f"_{part}": rows for part, rows in split.parts.items()}}.items():
            if len(rows):
                scores[f"mape{suffix}"] = 100 * mape(value[rows], test[rows])
                for percent in (10, 5):
                    scores[f"acc_{percent}{suffix}"] = 100 * accuracy_within(value[rows], test[rows], percent / 100)
        return scores
    rng = np.random.default_rng(0)
    for part, rows in split.parts.items():
        scores[f"tau_{part}"] = kendall_tau(value[rows], test[rows])
        drawn = [rng.choice(unseen, len(rows), replace=False) for _ in range(DRAWS)]
        scores[f"tau_{part}_drawn"] = float(np.mean([kendall_tau(value[some], test[some]) for some in drawn]))
    return scores
