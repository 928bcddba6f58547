"""OFA-MobileNetV3: settings and texts are read, equal networks are one, whole networks have the published size."""

import numpy as np
import pytest

from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op, cost
from narformer.spaces.ofa_mobilenetv3 import VOCABULARY, OfaMobileNetV3, from_settings

SPACE = OfaMobileNetV3()
# The first subnet that DyNAS-T measured.
KERNELS = [5, 7, 5, 5, 3, 3, 3, 7, 5, 5, 3, 7, 7, 3, 3, 3, 5, 5, 5, 5]
EXPANSIONS = [4, 3, 4, 4, 4, 6, 3, 4, 4, 3, 4, 3, 3, 6, 6, 6, 4, 3, 4, 4]
DEPTHS = [2, 3, 2, 4, 3]
TEXT = "k5e4 k7e3 | k3e4 k3e6 k3e3 | k5e4 k5e3 | k7e3 k3e6 k3e6 k3e6 | k5e4 k5e3 k5e4"


def test_settings_and_text_are_the_same_chain():
    subnet = from_settings(KERNELS, EXPANSIONS, DEPTHS)
    assert subnet == SPACE.parse(TEXT)
    assert SPACE.format(subnet) == TEXT
    assert [op.kind for op in subnet.ops[:4]] == ["input", "stage1 k5 e4", "stage1 k7 e3", "stage2 k3 e4"]
    assert subnet.edges == tuple((v, v + 1) for v in range(15))


def test_the_vocabulary_tells_stage_kernel_and_expansion_apart():
    assert len(set(VOCABULARY)) == 5 * 3 * 3 + 2


def test_blocks_beyond_the_depth_are_of_no_effect():
    kernels, expansions = list(KERNELS), list(EXPANSIONS)
    kernels[2], expansions[3] = 7, 6  # the first stage uses two blocks of four
    assert from_settings(kernels, expansions, DEPTHS) == from_settings(KERNELS, EXPANSIONS, DEPTHS)
    kernels[1] = 3
    assert from_settings(kernels, expansions, DEPTHS) != from_settings(KERNELS, EXPANSIONS, DEPTHS)


def test_the_whole_network_has_its_published_size():
    counted = cost(SPACE.unroll(SPACE.parse(TEXT)))
    assert (counted.params, counted.macs) == (5_029_656, 255_502_624)


def test_neighbours_change_a_block_or_the_depth():
    # 14 blocks with 2 other kernels and 2 other expansions each; three stages can lose a block, four can gain one of 9.
    assert len(SPACE.neighbours(SPACE.parse(TEXT))) == 14 * 4 + 3 + 4 * 9


def test_samples_have_every_depth():
    rng = np.random.default_rng(0)
    sizes = {len(SPACE.sample(rng)) for _ in range(300)}
    assert min(sizes) >= 12
    assert max(sizes) <= 22
    assert len(sizes) >= 9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("k7e3 |", "k9e3 |"), "found the block 'k9e3'; expected kernel 3, 5 or 7"),
        (TEXT.replace("k7e3 |", "|"), "stages of 1, 3, 2, 4, 3 blocks; expected 5 stages of 2, 3 or 4"),
        (TEXT.replace(" | k5e4 k5e3 k5e4", ""), "stages of 2, 3, 2, 4 blocks"),
        (TEXT + " k3e3 k3e3", "stages of 2, 3, 2, 4, 5 blocks"),
        ("k3e3 " * 1000, "a text of 5,000 characters"),
        ("", "expected 5 stages"),
    ],
)
def test_a_bad_text_is_one_helpful_line(text, words):
    with pytest.raises(BadArchitecture) as caught:
        SPACE.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kernels", "expansions", "depths"),
    [
        (KERNELS[1:], EXPANSIONS, DEPTHS),
        (KERNELS, EXPANSIONS, [2, 3, 2, 4, 5]),
        (KERNELS, EXPANSIONS, [1, 3, 2, 4, 3]),
        ([1, *KERNELS[1:]], EXPANSIONS, DEPTHS),
        (KERNELS, [5, *EXPANSIONS[1:]], DEPTHS),
    ],
)
def test_settings_outside_the_space_are_refused(kernels, expansions, depths):
    with pytest.raises(BadArchitecture, match="expected"):
        from_settings(kernels, expansions, depths)


def test_another_graph_is_no_subnet():
    subnet = SPACE.parse(TEXT)
    turned = Architecture((subnet.ops[0], subnet.ops[3], *subnet.ops[1:3], *subnet.ops[4:]), subnet.edges)
    skipped = Architecture(subnet.ops, (*subnet.edges, (0, 2)))
    for other in (turned, skipped, Architecture((Op("input"), Op("output")), ((0, 1),))):
        with pytest.raises(BadArchitecture, match="not a subnet"):
            SPACE.format(other)


def test_the_space_cannot_be_listed():
    with pytest.raises(BadArchitecture, match="cannot be listed"):
        SPACE.enumerate()
