"""What several tests of architectures ask of a small cell, the slow and plain way."""

import pytest


def every_path(cell, vertex=0):
    """Every path from a vertex to the last one, as lists of vertices."""
    if vertex == len(cell.ops) - 1:
        return [[vertex]]
    after = [target for source, target in cell.edges if source == vertex]
    return [[vertex, *path] for target in after for path in every_path(cell, target)]


@pytest.fixture
def paths():
    """A function from a cell to every path from its first vertex to its last."""
    return every_path
