"""NAS-Bench-201: strings, columns, functions and whole networks agree with the published benchmark."""

import time

import numpy as np
import pytest

from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op, cost
from narformer.spaces.nasbench201 import (
    OPERATIONS,
    NasBench201,
    edge_ops,
    from_arch_strings,
    function_classes,
    simplified,
)

SPACE = NasBench201()
TEXT = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet16": 120}


def cell(*operations):
    """The cell with these operations, by their first letters: n(one), s(kip), 1, 3, p(ool)."""
    letters = dict(zip("13psn", OPERATIONS, strict=True))
    a, b, c, d, e, f = (letters[letter] for letter in operations)
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


@pytest.fixture(scope="session")
def table(data_folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    names = ["arch", *(f"params_m_{name}" for name in CLASSES)]
    columns = parquet.read_table(data_folder / "nasbench201.parquet", columns=names)
    return {name: columns[name].to_pylist() for name in names}


def test_a_cell_has_its_six_edges_as_vertices_in_string_order():
    cell_ = SPACE.parse(TEXT)
    names = "nor_conv_3x3 nor_conv_3x3 avg_pool_3x3 skip_connect nor_conv_3x3 skip_connect"
    assert [op.kind for op in cell_.ops] == ["input", *names.split(), "output"]
    assert cell_.edges == ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7))
    assert SPACE.format(cell_) == TEXT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("avg_pool", "average_pool"), "Did you mean 'avg_pool_3x3'"),
        (TEXT[:-1], "expected the form"),
        (TEXT.replace("~2", "~1"), "expected the form"),
        ("", "expected the form"),
    ],
)
def test_a_bad_string_is_one_helpful_line(text, words):
    with pytest.raises(BadArchitecture, match=words):
        SPACE.parse(text)
    with pytest.raises(BadArchitecture, match="row 1: "):
        from_arch_strings([TEXT, text])


@pytest.mark.parametrize("text", ["a" * 20_000, "|a~0" * 5_000, "~" * 1_001, f"|{'b' * 990}~0|"])
def test_a_long_text_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(BadArchitecture) as caught:
        SPACE.parse(text)
    assert time.perf_counter() - start < 0.1
    assert len(str(caught.value)) < 350


def test_another_wiring_is_no_cell():
    with pytest.raises(BadArchitecture, match="not a NAS-Bench-201 cell"):
        SPACE.format(Architecture((Op("input"), Op("output")), ((0, 1),)))
    with pytest.raises(BadArchitecture, match="no operation is called 'Relu'"):
        SPACE.format(Architecture((Op("input"), Op("Relu"), Op("output")), ((0, 1), (1, 2))))


def test_every_cell_has_24_neighbours_one_operation_away():
    here = SPACE.parse(TEXT)
    neighbours = SPACE.neighbours(here)
    assert len(set(neighbours)) == 24
    assert all(sum(a != b for a, b in zip(here.ops, n.ops, strict=True)) == 1 for n in neighbours)


def test_columns_are_the_parsed_cells():
    strings = [TEXT, f"{TEXT} ", cell(*"nspn13")]
    assert list(from_arch_strings(strings)) == [SPACE.parse(s) for s in strings]
    assert edge_ops(from_arch_strings([cell(*"13psn1")])).tolist() == [[0, 1, 2, 3, 4, 0]]


def test_enumeration_holds_every_cell_once():
    assert len({SPACE.format(c) for c in SPACE.enumerate()}) == 15_625


def test_contraction_counts_how_often_a_value_is_added():
    small = simplified(from_arch_strings([cell(*"ssssss"), cell(*"nnnnnn"), cell(*"3sns1n")]))
    assert small[0] == Architecture((Op("input"), Op("output")), ((0, 1),) * 4)
    assert small[1] == Architecture((Op("input"), Op("output")), ())
    assert small[2] == Architecture(
        tuple(map(Op, ("input", "nor_conv_3x3", "nor_conv_1x1", "output"))), ((0, 1), (0, 3), (1, 2), (2, 3))
    )


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("3nnnsn", "nnn3nn", True),  # a skip on either side
        ("n3nnns", "nnn3nn", True),
        ("3nnnnn", "nnnnnn", True),  # a dead branch
        ("13nnss", "31nnss", True),  # the order of a sum
        ("snnsnn", "nnnsnn", True),
        ("snnssn", "nnnsnn", False),  # twice the input
        ("3nnnsn", "1nnnsn", False),
    ],
)
def test_cells_of_one_function_share_a_class(one, two, same):
    first, second = function_classes(from_arch_strings([cell(*one), cell(*two)]))
    assert (first == second) == same


def test_there_are_4930_functions():
    classes = function_classes(SPACE.enumerate())
    assert classes.shape == (15_625,)
    assert len(np.unique(classes)) == 4_930 == classes.max() + 1
    assert classes[0] == 0


def test_the_network_of_other_sizes():
    net = SPACE.unroll(SPACE.parse(TEXT), classes=7, channels=4, blocks=1, resolution=16)
    assert net.ops[0].shape == (1, 3, 16, 16)
    assert net.ops[-1].shape == (1, 7)
    assert net.ops[-3].shape == (1, 16, 1, 1)


@pytest.mark.data
def test_strings_of_the_benchmark_go_both_ways(table):
    cells = from_arch_strings(table["arch"])
    assert [SPACE.format(c) for c in cells] == table["arch"]


@pytest.mark.data
def test_the_whole_network_has_the_published_number_of_parameters(table):
    for row in np.random.default_rng(0).integers(0, 15_625, 200).tolist():
        check_parameters(table, row, "cifar10")
        if row % 8 == 0:
            check_parameters(table, row, "cifar100")
            check_parameters(table, row, "imagenet16")


@pytest.mark.data
@pytest.mark.slow
def test_parameters_of_every_network_on_one_data_set_or_another(table):
    for row in range(15_625):
        check_parameters(table, row, list(CLASSES)[row % 3])


def check_parameters(table, row, name):
    network = SPACE.unroll(SPACE.parse(table["arch"][row]), classes=CLASSES[name])
    assert cost(network).params == round(table[f"params_m_{name}"][row] * 1e6)  # given in millions, six decimals


@pytest.mark.data
def test_multiply_adds_are_those_of_the_benchmark(data_folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(data_folder / "nnlqp_nasbench201_decoded.parquet", columns=["arch_str", "mflops"])
    for row in rows.slice(0, 100).to_pylist():
        macs = cost(SPACE.unroll(SPACE.parse(row["arch_str"]))).macs
        assert macs == pytest.approx(row["mflops"] * 1e6, abs=1)
