"""Which size of its inputs is the batch of a network."""

import numpy as np
import pytest

from narformer.measure.network import batch_size, network
from narformer.network import Architecture, Op


def scored(inputs: list[tuple[int, ...]], output: tuple[int, ...]) -> Architecture:
    """A network that makes one output of all its inputs."""
    ops = [*(Op.of("Input", shape) for shape in inputs), Op.of("Strange", output)]
    return Architecture(tuple(ops), tuple((vertex, len(inputs)) for vertex in range(len(inputs))))


@pytest.mark.parametrize(
    ("inputs", "output", "batch"),
    [
        ([(4, 3, 8, 8)], (4, 10), 4),
        ([(16, 16), (4, 16, 8)], (4, 16, 8), 4),  # a mask comes first
        ([(), (4, 3, 8, 8)], (4, 10), 4),  # a scale
        ([(7,), (4, 3, 8, 8)], (4, 3, 8, 8), 4),  # a step for each
        ([(4, 16), (4, 1, 16, 16)], (4, 16, 100), 4),
        ([(4, 3, 8, 8)], (400, 6), 4),  # boxes of all images together
        ([(35, 4, 20)], (35, 4, 60), 35),  # time first: no shape tells it
        ([(9,)], (3,), None),
    ],
)
def test_the_batch_is_what_an_input_shares_with_an_output(
    inputs: list[tuple[int, ...]], output: tuple[int, ...], batch: int | None
) -> None:
    scores = scored(inputs, output)
    assert batch_size(scores, inputs) == batch
    assert batch_size(scores, [None, *inputs]) == batch  # an input of unknown shape


@pytest.mark.parametrize(("inputs", "batch"), [([(16, 16), (4, 16, 16)], 4), ([(9,)], 1)])
def test_a_network_that_is_measured_has_a_batch(inputs: list[tuple[int, ...]], batch: int) -> None:
    ops = (*(Op.of("Input", shape) for shape in inputs), Op.of("Sum", inputs[-1]))
    added = Architecture(ops, tuple((vertex, len(inputs)) for vertex in range(len(inputs))), "added")
    assert network(added, np.random.default_rng(0)).batch == batch
