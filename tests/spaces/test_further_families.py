"""The families beyond the ten: published sizes of their canonical networks, and laws that their variants obey."""

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.network import canonical, cost, fingerprint
from narformer.spaces.families import (
    FAMILIES,
    TEN,
    bert,
    densenet,
    family,
    gpt,
    gru,
    llama,
    lstm,
    regnet,
    repvgg,
    resnext,
    unet,
    vit,
)
from narformer.spaces.families.variation import Chance, VariedDrawing

FURTHER = [name for name in FAMILIES if name not in TEN]

# Parameters as torchvision, timm and transformers state them, and multiply-adds. Those of the recurrent networks, U-Net
# and DLRM are those of PyTorch modules of the published sizes.
PUBLISHED = {
    "vit": (86_567_656, 17_563_828_224),
    "bert": (109_482_240, 11_174_215_680),
    "gpt": (124_439_808, 16_114_089_984),
    "llama": (134_515_008, 17_779_654_656),
    "convnext": (28_589_128, 4_455_531_264),
    "resnext": (25_028_904, 4_230_479_872),
    "regnet": (4_344_144, 401_842_848),
    "densenet": (7_978_856, 2_834_161_664),
    "mixer": (59_880_472, 12_601_767_936),
    "shufflenetv2": (2_278_604, 144_907_992),
    "swin": (28_288_354, 4_490_566_656),
    "ghostnet": (5_182_508, 141_150_512),
    "repvgg": (9_108_968, 1_512_581_120),
    "unet": (31_037_698, 48_171_581_440),
    "ssdlite": (3_440_060, 583_171_904),
    "t5": (60_506_624, 2_684_354_560),
    "whisper": (8_208_384, 18_468_864_000),
    "lstm": (19_780_400, 464_100_000),
    "gru": (18_087_800, 404_950_000),
    "dlrm": (8_829_265, 507_648),
    "mobilevit": (5_578_632, 2_000_831_488),
}
VERSIONS = [
    (vit, "small", 22_050_664),
    (vit, "tiny", 5_717_416),
    (bert, "small", 28_763_648),
    (bert, "tiny", 4_385_920),
    (gpt, "step", 124_439_808),
    (llama, "step", 134_515_008),
    (resnext, "wide_resnet50_2", 68_883_240),
    (resnext, "resnet50", 25_557_032),
    (regnet, "x_400mf", 5_495_976),
    (densenet, "169", 14_149_480),
    (repvgg, "merged", 8_309_384),
    (unet, "linear", 17_263_042),
    (lstm, "tags", 23_442_917),
    (gru, "tags", 19_212_717),
]


def test_every_further_family_has_a_published_network():
    assert list(PUBLISHED) == FURTHER


@pytest.mark.parametrize("name", FURTHER)
def test_number_0_is_the_published_network(name):
    counted = cost(FAMILIES[name].variant(0))
    assert (counted.params, counted.macs) == PUBLISHED[name]


@pytest.mark.parametrize(("module", "version", "params"), VERSIONS)
def test_other_versions_are_the_published_networks(module, version, params):
    net = VariedDrawing()
    module.draw(net, version)
    assert cost(net.finished(version)).params == params


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(FURTHER), st.integers(0, 2**40))
def test_a_variant_is_a_sound_network(name, number):
    network = FAMILIES[name].variant(number)
    counted = cost(network)
    assert counted.unknown == {}
    assert 0 < counted.flops <= family.MOST_FLOPS
    assert 0 < counted.params <= family.MOST_PARAMS
    assert min(size for op in network.ops for size in op.shape) >= 1
    for op, operands in zip(network.ops, network.operands(), strict=True):
        shapes = [network.ops[vertex].shape for _, vertex in operands]
        assert (op.kind == "Input") == (not shapes)
        if op.kind in ("Add", "Mul") and len(shapes) == 2:
            assert op.shape in shapes
            assert all(size in (1, own) for shape in shapes for size, own in zip(shape, op.shape, strict=True))
        if op.kind == "Concat" and len(shapes) > 1:
            axis = op.get("axis")
            assert op.shape[axis] == sum(shape[axis] for shape in shapes)
        if op.kind in ("Reshape", "Transpose"):
            assert [prod(shape) for shape in shapes] == [prod(op.shape)]


@pytest.mark.parametrize("name", FURTHER)
def test_networks_differ(name):
    networks = [FAMILIES[name].variant(number) for number in range(24)]
    assert len({fingerprint(network) for network in networks}) >= 20
    flops = sorted(cost(network).flops for network in networks)
    assert flops[20] > 3 * flops[3]


@pytest.mark.slow
@pytest.mark.parametrize("name", FURTHER)
def test_eighty_numbers_have_sixty_different_networks(name):
    assert len({fingerprint(FAMILIES[name].variant(number)) for number in range(80)}) >= 60


@pytest.mark.parametrize("name", [name for name in FURTHER if len(FAMILIES[name].versions) > 1])
def test_every_version_occurs(name):
    chosen = {Chance(name, number).pick(FAMILIES[name].versions) for number in range(1, 30)}
    assert chosen == set(FAMILIES[name].versions)


def test_one_token_reads_what_was_kept():
    """A step has the keys and values of every layer as inputs, and gives them back with one more."""
    net = VariedDrawing()
    gpt.draw(net, "step")
    network = net.finished("step")
    inputs = sorted(op.shape for op in network.ops if op.kind == "Input")
    ends = sorted(op.shape for op, below in zip(network.ops, network.children(), strict=True) if not below)
    assert inputs == [(1, 1), *[(1, 12, 127, 64)] * 24]
    assert ends == [(1, 1, 50257), *[(1, 12, 128, 64)] * 24]


def test_a_table_that_is_read_twice_counts_once():
    whole, table = cost(FAMILIES["gpt"].variant(0)), 50257 * 768
    assert whole.weights_N.sum() == whole.params + table


def test_the_canonical_form_of_a_masked_attention_keeps_the_mask():
    masked = [op for op in canonical(FAMILIES["gpt"].variant(0)).ops if op.kind == "Attention"]
    assert {op.get("constant") for op in masked} == {128 * 128}
