"""Named splits: rows for training, selection and test. Protocols of the papers and ours."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.data.dataset import Dataset, PaperRows, Split
from narformer.data.facts import require_file
from narformer.errors import BadFile, BadRecipe, lookup
from narformer.network.canonical import fingerprint
from narformer.spaces import space_called

__all__ = ["SPLITS", "VALIDATION", "load_split", "network_numbers", "portions", "save_split", "split"]

VALIDATION = 200
"""Number of cells on which every paper selects."""

FEWEST_NETWORKS = 10  # of the user's own table: two to validate, two to test

FORMAT = 1

Rows = NDArray[np.int64]


def split(
    dataset: Dataset,
    name: str,
    train: int,
    seed: int | None = None,
    validation: int = VALIDATION,
    unseen: str | None = None,
) -> Split:
    """The split called ``name`` (a key of SPLITS) with ``train`` training rows.

    Train and validation rows are disjoint and have the train label; test rows have the test label. All rows of a
    family that is left ``unseen`` test, and the other families train and validate; then ``name`` is "paper".
    Raises UnknownName, or BadRecipe where the data set has too few labelled rows or no such family, or a random split
    has no seed.
    """
    rule = lookup(SPLITS, name, "split")
    if unseen is None:
        return rule(dataset, train, validation, seed)
    if rule is not paper:
        raise BadRecipe(f"the split '{name}' draws from all families: leave one unseen with the split 'paper'")
    return _of_authors(dataset, _without(dataset, unseen), train, validation)


def paper(dataset: Dataset, train: int, validation: int, seed: int | None) -> Split:
    """The papers' rows: the first ``train`` labelled ones, then the validation rows; the test part is all rows.

    Further test parts of the papers are the labelled rows after validation. Where the authors of the data give a split
    of their own, its test part is theirs, and train and validation are spread evenly over their training rows, so that
    every family has its share. The seed has no effect.
    """
    if dataset.official is not None:
        return _of_authors(dataset, dataset.official, train, validation)
    if dataset.paper is None:
        raise BadRecipe(
            f"the data set '{dataset.name}' has no split of a paper: its source names no rows of a paper; "
            "use 'random' or 'holdout' with a seed"
        )
    return _consecutive(dataset, "paper", _labelled(dataset), train, validation, None)


def random(dataset: Dataset, train: int, validation: int, seed: int | None) -> Split:
    """As the papers split, but with the labelled rows in random order by the seed; the test part is all rows."""
    rows = _generator(seed, "random").permutation(_labelled(dataset))
    return _consecutive(dataset, "random", rows, train, validation, seed)


def holdout(dataset: Dataset, train: int, validation: int, seed: int | None) -> Split:
    """Three disjoint parts drawn by the seed; rows that hold the same network (``network_numbers``) go to one part.

    The parts come as close to the requested numbers of rows as whole networks allow; the test part is every row of the
    networks that neither train nor validate. Without repeated networks the drawn rows are those of ``random``.
    """
    generator = _generator(seed, "holdout")
    labelled = _labelled(dataset)
    _agree_on_sizes(dataset, train, validation, len(labelled))
    network_M = network_numbers(dataset)
    network_L = network_M[labelled]
    drawn_G = generator.permutation(np.unique(network_L))
    asked = train, validation, len(labelled) - train - validation
    part_N = np.full(network_M.max() + 1, 2)  # a network without a train label can only test
    part_N[drawn_G] = _dealt(np.bincount(network_L)[drawn_G], asked)
    turn_N = np.zeros(len(part_N), dtype=np.int64)
    turn_N[drawn_G] = np.arange(len(drawn_G))
    rows = labelled[np.argsort(turn_N[network_L], kind="stable")]
    tested_M = (part_N[network_M] == 2) & np.isfinite(dataset.columns(dataset.test_labels)).any(axis=1)
    parts = {
        "training": rows[part_N[network_M[rows]] == 0],
        "validation": rows[part_N[network_M[rows]] == 1],
        "test": np.flatnonzero(tested_M).astype(np.int64),
    }
    for name, drawn in parts.items():
        if not len(drawn) and (name, validation) != ("validation", 0):
            raise BadRecipe(
                f"{train:,} training and {validation:,} validation rows leave no {name} row of the {len(dataset):,} of "
                f"'{dataset.name}' (different networks: {len(part_N):,}); take fewer"
            )
    return Split("holdout", parts["training"], parts["validation"], parts["test"], seed)


def portions(dataset: Dataset) -> tuple[int, int]:
    """Numbers of training and validation rows of the user's own table, for ``holdout``: a fifth of all is left for
    test.

    200 rows validate, or a fifth if there are fewer than 1,000. Raises BadRecipe for fewer than ten networks.
    """
    rows = len(dataset.having(dataset.train_labels))
    networks = int(network_numbers(dataset).max(initial=-1)) + 1
    if networks < FEWEST_NETWORKS:
        raise BadRecipe(
            f"{networks} different networks in {rows:,} rows cannot be split into training, validation and test; "
            f"expected {FEWEST_NETWORKS} at least"
        )
    fifth = rows // 5
    validation = min(VALIDATION, fifth)
    return rows - validation - fifth, validation


def network_numbers(dataset: Dataset, rows: Rows | None = None) -> NDArray[np.int64]:
    """(M,) numbers from 0 on, equal for rows that hold the same network, counted by first appearance.

    For all rows, or for these. Cells are the same if their keys in the space are equal; networks if they have the same
    fingerprint. Raises UnknownName where the data set holds cells of an unknown space.
    """
    cells = dataset.architectures if rows is None else dataset.rows(rows)
    if not isinstance(cells, Cells):
        keys_M: NDArray[Any] = np.array([fingerprint(architecture) for architecture in cells])
    else:
        keys_M = space_called(dataset.space, cells.vocabulary).same(cells)
    _, first, number = np.unique(keys_M, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[number], dtype=np.int64)


SPLITS: dict[str, Callable[[Dataset, int, int, int | None], Split]] = {
    "paper": paper,
    "random": random,
    "holdout": holdout,
}


def _labelled(dataset: Dataset) -> Rows:
    return dataset.having(dataset.train_labels)


def _generator(seed: int | None, name: str) -> np.random.Generator:
    if seed is None:
        raise BadRecipe(f"the split '{name}' is random: give it a seed, so that it can be repeated")
    return np.random.default_rng(seed)


def _agree_on_sizes(dataset: Dataset, train: int, validation: int, labelled: int, kind: str | None = None) -> None:
    if train < 1 or validation < 0:
        raise BadRecipe(f"{train} training and {validation} validation rows requested; expected at least 1 and 0")
    if train + validation > labelled:
        kind = kind or f"rows with the label {' or '.join(dataset.train_labels)}"
        raise BadRecipe(
            f"{train:,} training and {validation:,} validation rows requested; '{dataset.name}' has {labelled:,} {kind}"
        )


def _dealt(size_G: NDArray[np.int64], asked: tuple[int, int, int]) -> NDArray[np.int64]:
    """(G,) the part, 0 to 2, of each network in the order drawn, where network g fills ``size_G[g]`` rows."""
    part_G = np.full(len(size_G), -1)
    room = np.array(asked)
    # A network that fits one part at most would starve the others if it came last: it goes first, where there is most
    # room.
    large = np.flatnonzero(size_G > np.sort(room)[-2])
    for network in large[np.argsort(-size_G[large], kind="stable")]:
        part_G[network] = room.argmax()
        room[part_G[network]] -= size_G[network]
    room = room.clip(0)
    room = room * size_G[part_G < 0].sum() // max(room.sum(), 1)  # less for each if one part is overfull
    for part in (0, 1):
        fits = np.flatnonzero((part_G < 0) & (size_G <= room[part]))
        while len(fits):
            taken = fits[np.cumsum(size_G[fits]) <= room[part]]
            part_G[taken] = part
            room[part] -= size_G[taken].sum()
            fits = fits[len(taken) :]
            fits = fits[size_G[fits] <= room[part]]
        free = np.flatnonzero(part_G < 0)
        if len(free):
            smallest = free[size_G[free].argmin()]
            empty = asked[part] > 0 and not (part_G == part).any()
            if empty or size_G[smallest] < 2 * room[part]:  # closer to the requested rows with it than without
                part_G[smallest] = part
    return np.where(part_G < 0, 2, part_G)


def _without(dataset: Dataset, family: str) -> Split:
    """The rows by role if one family is for the test."""
    if dataset.family_M is None:
        raise BadRecipe(f"the data set '{dataset.name}' has no families that could be left unseen")
    lookup(dict.fromkeys(dataset.family_M.tolist()), family, "family")
    own_M = dataset.family_M == family
    train, test = (np.flatnonzero(which).astype(np.int64) for which in (~own_M, own_M))
    return Split("official", train, np.empty(0, np.int64), test)


def _of_authors(dataset: Dataset, official: Split, train: int, validation: int) -> Split:
    def having(rows: Rows, labels: tuple[str, ...]) -> Rows:
        return rows[np.isfinite(dataset.columns(labels)[rows]).any(axis=1)]

    among = having(official.train, dataset.train_labels)
    _agree_on_sizes(dataset, train, validation, len(among), "training rows")
    chosen = among[np.arange(train + validation) * len(among) // (train + validation)]
    validating = (2 * np.arange(validation) + 1) * len(chosen) // (2 * max(validation, 1))
    test, *parts = (having(rows, dataset.test_labels) for rows in (official.test, *official.parts.values()))
    named = dict(zip(official.parts, parts, strict=True))
    return Split("paper", np.delete(chosen, validating), chosen[validating], test, None, named)


def _consecutive(dataset: Dataset, name: str, rows: Rows, train: int, validation: int, seed: int | None) -> Split:
    _agree_on_sizes(dataset, train, validation, len(rows))
    end = train + validation
    test = dataset.having(dataset.test_labels)
    parts: dict[str, Rows] = {}
    start = end
    for part, count in (dataset.paper or PaperRows()).parts.items():
        parts[part] = rows[start : start + count]
        start += count
    return Split(name, rows[:train], rows[train:end], test, seed, parts)


def save_split(split: Split, dataset: Dataset, path: str | Path) -> None:
    """Write the rows of a split of ``dataset`` as JSON; consecutive rows as the first and the one after the last."""
    content = {
        "format": FORMAT,
        "dataset": dataset.name,
        "rows": len(dataset),
        "name": split.name,
        "seed": split.seed,
        "train": _brief(split.train),
        "validation": _brief(split.validation),
        "test": _brief(split.test),
        "parts": {name: _brief(rows) for name, rows in split.parts.items()},
    }
    Path(path).write_text(json.dumps(content) + "\n", encoding="utf-8")


def load_split(path: str | Path, dataset: Dataset) -> Split:
    """The split that was saved, for the same data set.

    Raises BadFile where the file is not a saved split, is of another data set, has rows outside it, or its train and
    validation rows overlap.
    """
    path = require_file(path, "a split as JSON")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadFile(path, f"text that is not JSON ({str(error)[:80]})", "a split as JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = f"format {content.get('format')!r:.40}" if isinstance(content, dict) else "JSON without a format number"
        raise BadFile(path, found, f"a split of format {FORMAT}")
    if (content.get("dataset"), content.get("rows")) != (dataset.name, len(dataset)):
        raise BadFile(
            path,
            f"a split of '{content.get('dataset')}' with {content.get('rows')} rows",
            f"one of '{dataset.name}' with {len(dataset)}",
        )
    name, seed, parts = content.get("name"), content.get("seed"), content.get("parts")
    if not isinstance(name, str) or not (seed is None or isinstance(seed, int)) or not isinstance(parts, dict):
        raise BadFile(path, "no name, seed or parts", "a split with all of them")
    train, validation, test = (
        _rows(content.get(part), len(dataset), path, part) for part in ("train", "validation", "test")
    )
    if np.intersect1d(train, validation).size:
        raise BadFile(path, "rows that are both train and validation", "disjoint parts")
    more = {part: _rows(rows, len(dataset), path, part) for part, rows in parts.items()}
    return Split(name, train, validation, test, seed, more)


def _brief(rows: Rows) -> dict[str, int] | list[int]:
    if len(rows) > 1 and (np.diff(rows) == 1).all():
        return {"from": int(rows[0]), "to": int(rows[-1]) + 1}
    return [int(row) for row in rows]


def _rows(brief: object, count: int, path: Path, part: str) -> Rows:
    if isinstance(brief, dict) and set(brief) == {"from", "to"}:
        ends = [brief["from"], brief["to"]]
        listed = ends if all(type(end) is int and 0 <= end <= count for end in ends) else [-1]
        rows = np.arange(*listed, dtype=np.int64) if len(listed) == 2 else np.array([-1])
    elif isinstance(brief, list) and all(type(row) is int for row in brief):
        rows = np.array([row if 0 <= row < count else -1 for row in brief], dtype=np.int64)
    else:
        raise BadFile(path, f"a part '{part}' that is not a list of rows", "row numbers, or their 'from' and 'to'")
    if (rows < 0).any():
        raise BadFile(path, f"rows in '{part}' that the data set does not have", f"rows 0 to {count - 1}")
    if len(np.unique(rows)) < len(rows):
        raise BadFile(path, f"a row that occurs twice in '{part}'", "each row once")
    return rows
