"""What docs/our_predictor.md says of our predictor is what the stored runs say."""

import re
import statistics
from pathlib import Path

import pytest
from narformer.papers.runs import stored

from narformer.papers import read_recipe

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"0\.\d{4}")


def rows() -> list[tuple[str, int, str, int]]:
    """(space, training cells, cell of our numbers, seeds) of each line of the table; others are of no size."""
    found, space = [], ""
    for line in (ROOT / "docs" / "our_predictor.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        named = re.fullmatch(r"(?:(NAS-Bench-\d01), )?(\d+)(?: cells)?", cells[0])
        if named and len(cells) == 7:
            space = (named[1] or space).replace("-", "").lower()
            found.append((space, int(named[2]), cells[1], int(cells[2])))
    return found


def test_the_table_is_found():
    assert len(rows()) >= 10


@pytest.mark.parametrize(("space", "size", "ours", "seeds"), rows())
def test_numbers_are_means_of_stored_runs(space, size, ours, seeds):
    runs = stored(ROOT / "results", read_recipe(f"relational/{space}", "quick", size))
    assert len(runs) == seeds
    for text, score in zip(ours.split(";"), ("tau", "tau_valid"), strict=False):
        values = [run.scores[score] for run in runs]
        told = [float(number) for number in NUMBER.findall(text)]
        assert told[0] == pytest.approx(statistics.fmean(values), abs=1.01e-4)
        if seeds > 1:
            assert told[1] == pytest.approx(statistics.stdev(values), abs=1.01e-4)
