"""DARTS: genotypes are read and written, and whole networks have the published size."""

import pytest

from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op, cost
from narformer.spaces.darts import Darts

SPACE = Darts()
NORMAL = (
    "('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)"
)
REDUCE = (
    "('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)"
)
# The cells found by second-order DARTS on CIFAR-10.
DARTS_V2 = f"Genotype(normal=[{NORMAL}], normal_concat=range(2, 6), reduce=[{REDUCE}], reduce_concat=range(2, 6))"


def test_the_graph_of_a_genotype():
    graph = SPACE.parse(DARTS_V2)
    assert len(graph) == 30
    assert [op.kind for op in graph.ops[:5]] == ["input", "input", "sep_conv_3x3", "sep_conv_3x3", "concat"]
    assert {(0, 2), (1, 3), (2, 4), (3, 4), (4, 12), (13, 14), (14, 15), (14, 16)} <= set(graph.edges)
    assert [i for i, j in graph.edges if j == 14] == [7, 10, 13]  # node 0 is read by node 3


def test_the_second_order_network_has_its_published_parameters():
    assert cost(SPACE.unroll(SPACE.parse(DARTS_V2))).params == 3_349_342


def test_an_imagenet_sized_input_halves_as_it_should():
    net = SPACE.unroll(SPACE.parse(DARTS_V2), layers=3, channels=8)
    assert [op.shape for op in net.ops if op.kind == "GlobalAveragePool"] == [(1, 4 * 32, 1, 1)]


def test_neighbours_change_one_operation_or_one_input():
    # 16 operations with 7 others each; inputs: nodes 1, 2, 3 have 1, 2, 3 free values for either side.
    assert len(SPACE.neighbours(SPACE.parse(DARTS_V2))) == 16 * 7 + 2 * 2 * (1 + 2 + 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DARTS_V2.replace("dil_conv_3x3", "dil_conv3x3"), "Did you mean 'dil_conv_3x3'"),
        (DARTS_V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "reads value 5; node 3 can read 0 to 4"),
        (DARTS_V2.replace(", ('dil_conv_3x3', 2)", ""), "has 7 operations; expected 8"),
        (DARTS_V2.replace("range(2, 6)", "[4, 5]"), "concatenates"),
        (DARTS_V2.replace("reduce=", "reduced="), "no list of pairs called 'reduce'"),
        ("normal=[__import__('os')], reduce=[]", "no list of pairs called 'normal'"),
    ],
)
def test_a_bad_genotype_is_one_helpful_line(text, words):
    with pytest.raises(BadArchitecture) as caught:
        SPACE.parse(text)
    assert words in str(caught.value)


def test_another_graph_is_no_genotype():
    graph = SPACE.parse(DARTS_V2)
    for other in (Architecture(graph.ops, graph.edges[1:]), Architecture((Op("input"), Op("output")), ((0, 1),))):
        with pytest.raises(BadArchitecture, match="not a DARTS architecture"):
            SPACE.format(other)


def test_the_space_cannot_be_listed():
    with pytest.raises(BadArchitecture, match="cannot be listed"):
        SPACE.enumerate()


@pytest.mark.data
def test_measured_genotypes_go_both_ways(data_folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = parquet.read_table(data_folder / "darts_swap1000_cifar10.parquet")["genotype"].to_pylist()
    assert [SPACE.format(SPACE.parse(text)) for text in texts[:300]] == texts[:300]
