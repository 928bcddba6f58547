"""Scores of a predictor on a split: Kendall's τ against the protocol's labels, errors, coverage of intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from narformer.data.dataset import Dataset, Split
from narformer.metrics import accuracy_within, kendall_tau, mape, precision_at
from narformer.predictors import Answer, Predictor
from narformer.progress import Progress, silent

__all__ = ["Scores", "evaluate"]

DRAWS = 50
Scores = dict[str, float]
Rows = NDArray[np.int64]


def evaluate(predictor: Predictor, dataset: Dataset, split: Split, progress: Progress = silent) -> dict[str, Scores]:
    """Scores on the split's test rows, by the name of each attribute; those with fewer than two rows are left out.

    tau:        against the test label, every test row that has it (the papers' number)
    tau_unseen: the same without rows trained on or selected with
    tau_valid:  against the train label, where it differs and every test row has it (the ceiling differs, too: see
                docs/protocols.md)
    tau_<part>: against the test label on a further named part of the split ("100")
    tau_<part>_drawn: the mean over DRAWS draws of as many unseen rows, since a hundred cells are a small sample
    mape, acc_10, acc_5: of unseen rows, for attributes whose errors are relative: mean absolute percentage error, and
                the percentage of rows that are off by at most 10 and 5 %; mape_<part> and so on of a named part
    precision_1: share of the predicted best 1 % that is among the true best 1 %
    coverage:   share of unseen rows with a train label, the predicted one, whose interval contains it; for
                calibrated attributes. The test label is contained less often (``coverage_test``).
    """
    wanted = np.unique(np.concatenate([split.test, *split.parts.values()]))
    answer = predictor.ask(dataset.rows(wanted), advance=_advance(len(wanted), progress))
    named = zip(predictor.attributes, dataset.train_labels, dataset.test_labels, strict=True)
    return {
        attribute.name: _Scored(answer, t, wanted, dataset, train, test).scores(split)
        for t, (attribute, train, test) in enumerate(named)
    }


def _advance(total: int, progress: Progress) -> Callable[[int], None]:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("score", done, total, None)

    return advance


class _Scored:
    """Predictions of one attribute beside its labels, all (M,) over the rows of the data set; NaN where not asked."""

    def __init__(self, answer: Answer, t: int, wanted: Rows, dataset: Dataset, train: str, test: str) -> None:
        self.value_M, self.low_M, self.high_M = (np.full(len(dataset), np.nan) for _ in range(3))
        columns = answer.value_NT[:, t], answer.low_NT[:, t], answer.high_NT[:, t]
        for column_M, column_N in zip((self.value_M, self.low_M, self.high_M), columns, strict=True):
            column_M[wanted] = column_N
        self.valid_M, self.test_M = dataset.labels[train], dataset.labels[test]
        self.same = train == test
        self.calibrated = answer.calibrations[t] is not None
        self.relative = dataset.attributes[test].relative
        self.higher_is_better = dataset.attributes[test].better == "higher"

    def scores(self, split: Split) -> Scores:
        """All scores on a split, as ``evaluate`` lists them."""
        test, unseen = self._having(self.test_M, split.test), self._having(self.test_M, split.unseen())
        scores = self._tau("tau", test) | self._tau("tau_unseen", unseen) | self._precision(test)
        scores |= self._coverage(split.unseen())
        if not self.same and len(split.test) > 1 and np.isfinite(self.valid_M[split.test]).all():
            scores["tau_valid"] = kendall_tau(self.value_M[split.test], self.valid_M[split.test])
        parts = {part: self._having(self.test_M, rows) for part, rows in split.parts.items()}
        if self.relative:
            for suffix, rows in {"": unseen, **{f"_{part}": rows for part, rows in parts.items()}}.items():
                scores |= self._errors(suffix, rows)
            return scores
        rng = np.random.default_rng(0)
        for part, rows in parts.items():
            scores |= self._tau(f"tau_{part}", rows)
            if 1 < len(rows) <= len(unseen):
                drawn = [self._tau("drawn", rng.choice(unseen, len(rows), replace=False)) for _ in range(DRAWS)]
                scores[f"tau_{part}_drawn"] = float(np.mean([one["drawn"] for one in drawn]))
        return scores

    @staticmethod
    def _having(label_M: NDArray[np.float64], rows: Rows) -> Rows:
        """The rows that are labelled."""
        return rows[np.isfinite(label_M[rows])]

    def _tau(self, name: str, rows: Rows) -> Scores:
        return {name: kendall_tau(self.value_M[rows], self.test_M[rows])} if len(rows) > 1 else {}

    def _precision(self, rows: Rows) -> Scores:
        if len(rows) < 2:
            return {}
        sign = 1 if self.higher_is_better else -1
        return {"precision_1": precision_at(sign * self.value_M[rows], sign * self.test_M[rows], 0.01)}

    def _coverage(self, unseen: Rows) -> Scores:
        if not self.calibrated:
            return {}
        held = {}
        for name, label_M in {
            "coverage": self.valid_M,
            **({} if self.same else {"coverage_test": self.test_M}),
        }.items():
            rows = self._having(label_M, unseen)
            if len(rows):
                inside = (self.low_M[rows] <= label_M[rows]) & (label_M[rows] <= self.high_M[rows])
                held[name] = float(inside.mean())
        return held

    def _errors(self, suffix: str, rows: Rows) -> Scores:
        if len(rows) < 2:
            return {}
        value, true = self.value_M[rows], self.test_M[rows]
        within = {f"acc_{p}{suffix}": 100 * accuracy_within(value, true, p / 100) for p in (10, 5)}
        return {f"mape{suffix}": 100 * mape(value, true), **within}
