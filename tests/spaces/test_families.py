"""Laws that the families of whole networks obey, and the published sizes of their canonical networks."""

import hashlib
import inspect
import subprocess
import sys
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op, cost, fingerprint
from narformer.spaces import SPACES
from narformer.spaces.families import FAMILIES, TEN, family, mobilenetv3, numbered, resnet, variants, vgg
from narformer.spaces.families.nasbench201 import CELLS, cell_of, number_of
from narformer.spaces.families.variation import KERNELS, TENTHS, Chance, VariedDrawing

DRAWN = [name for name in TEN if name != "nasbench201"]

# Parameters, and multiply-adds in 1e9 (rounded to two digits), as torchvision states them for its networks.
PUBLISHED = {
    "alexnet": (61_100_840, 0.71),
    "vgg": (138_357_544, 15.47),
    "resnet": (11_689_512, 1.81),
    "googlenet": (6_624_904, 1.50),
    "squeezenet": (1_248_424, 0.82),
    "mobilenetv2": (3_504_872, 0.30),
    "mobilenetv3": (2_542_856, 0.06),
    "mnasnet": (4_383_312, 0.31),
    "efficientnet": (5_288_548, 0.39),
}
VERSIONS = [
    (vgg, "11", 132_863_336),
    (vgg, "13", 133_047_848),
    (vgg, "19", 143_667_240),
    (resnet, "34", 21_797_672),
    (resnet, "50", 25_557_032),
    (mobilenetv3, "large", 5_483_032),
]
# Digests of operations and edges of number 1: on another machine, or in another year, it must be the same network.
NUMBER_1 = {
    "alexnet": "eac33426c369b681",
    "vgg": "5c2b241eb4c70115",
    "resnet": "182a8fc4e8555fd6",
    "googlenet": "3f5c9dea96e77ee5",
    "squeezenet": "5719a9568bd61c09",
    "mobilenetv2": "ca789686dbe4c2ec",
    "mobilenetv3": "4131f95169c35d4f",
    "mnasnet": "f3328d734bb9bbd9",
    "efficientnet": "dea3fd4fe856e0bc",
    "nasbench201": "f3e4a1d62e5f278d",
    "vit": "80d5ef69c3d9ff98",
    "bert": "4f04a329c4f04938",
    "gpt": "8169d64a5d9c434d",
    "llama": "58aabc92c88240f4",
    "convnext": "01a04b020c398e5d",
    "resnext": "c4a45aa9e256333e",
    "regnet": "05ee8fd526775f5e",
    "densenet": "a7cb243982288067",
    "mixer": "56cf9873212b1bf5",
    "shufflenetv2": "59f1637dcff93aa8",
    "swin": "c2a70325061994f0",
    "ghostnet": "866b095562a93e57",
    "repvgg": "34751c8c2b60ed23",
    "unet": "4b82369bc3f0d256",
    "ssdlite": "5c5459a28420f861",
    "t5": "610420a8b390a102",
    "whisper": "756645cdd1cc3269",
    "lstm": "d1a29cec3283b2d5",
    "gru": "98e0490518ecb517",
    "dlrm": "1027f9f8d889f0cd",
    "mobilevit": "83bc0f4b34fbabea",
}


def digest(network: Architecture) -> str:
    ops = [f"Op(kind={op.kind!r}, attributes={op.attributes!r}, shape={op.shape!r})" for op in network.ops]
    return hashlib.sha256(f"(({', '.join(ops)}), {network.edges!r})".encode()).hexdigest()[:16]


def convolutions(network: Architecture):
    parents = network.parents()
    for vertex, op in enumerate(network.ops):
        if op.kind == "Conv":
            yield network.ops[parents[vertex][0]].shape, op


def test_the_table_knows_each_family_by_its_name():
    assert len(TEN) == 10
    assert list(FAMILIES)[:10] == list(TEN)
    assert all(each.name == name for name, each in FAMILIES.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_number_0_is_the_published_network(name):
    params, macs = PUBLISHED[name]
    counted = cost(FAMILIES[name].variant(0))
    assert counted.params == params
    assert round(counted.macs / 1e9, 2) == macs


@pytest.mark.parametrize(("module", "version", "params"), VERSIONS)
def test_other_versions_are_the_published_networks(module, version, params):
    net = VariedDrawing()
    module.draw(net, version)
    assert cost(net.finished(version)).params == params


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(DRAWN), st.integers(0, 2**40))
def test_a_variant_is_a_sound_network(name, number):
    network = FAMILIES[name].variant(number)
    parents, children = network.parents(), network.children()
    counted = cost(network)
    assert counted.unknown == {}
    assert counted.flops <= family.MOST_FLOPS
    assert counted.params <= family.MOST_PARAMS
    assert network.ops[0] == Op.of("Input", (1, 3, 224, 224))
    assert [v for v, below in enumerate(children) if not below] == [len(network) - 1]
    assert network.ops[-1].shape == (1, 1000)
    assert min(size for op in network.ops for size in op.shape) >= 1
    for vertex, op in enumerate(network.ops):
        shapes = [network.ops[p].shape for p in parents[vertex]]
        if op.kind == "Add":
            assert shapes == [op.shape] * 2
        if op.kind == "Concat":
            assert op.shape[1] == sum(shape[1] for shape in shapes)
            assert {shape[2:] for shape in shapes} == {op.shape[2:]}
        if op.kind == "Mul":
            assert shapes[0] == op.shape
            assert shapes[1] in (op.shape, (*op.shape[:2], 1, 1))
    for shape, op in convolutions(network):
        (kernel, _), (stride, _), group = op.get("kernel_shape"), op.get("strides"), op.get("group")
        assert group in (1, shape[1])
        assert group == 1 or op.shape[1] == shape[1]
        if number:
            assert kernel in KERNELS
            assert op.get("pads") == ((kernel - 1) // 2,) * 4
            assert op.shape[2:] == tuple(-(-size // stride) for size in shape[2:])


def test_a_number_means_the_same_network_in_another_process_and_order():
    asked = [(name, number) for name in FAMILIES for number in islice(FAMILIES[name].numbers(), 3)]
    code = (
        "import hashlib\n"
        "from narformer.network import Architecture\n"
        "from narformer.spaces.families import FAMILIES\n"
        f"{inspect.getsource(digest)}"
        f"for name, number in {asked[::-1]!r}:\n"
        "    network = FAMILIES[name].variant(number)\n"
        "    print(network.name, digest(network))"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[::-1] == [f"{name}/{number} {digest(FAMILIES[name].variant(number))}" for name, number in asked]


@pytest.mark.parametrize("name", FAMILIES)
def test_number_1_is_the_network_of_yesterday(name):
    assert digest(FAMILIES[name].variant(1)) == NUMBER_1[name]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_set_holds_different_networks_always_the_same(name):
    networks = variants(FAMILIES[name], 12)
    assert len(networks) == len({fingerprint(network) for network in networks.values()}) == 12
    assert list(variants(FAMILIES[name], 5)) == list(networks)[:5]
    assert all(FAMILIES[name].variant(number) == network for number, network in networks.items())


def test_a_number_whose_network_was_there_before_is_passed_over():
    class Few:
        name = "few"

        def numbers(self):
            return iter(range(10))

        def variant(self, number):
            return Architecture((Op.of("Input", (1, 1 + number // 3)),), (), f"few/{number}")

    assert list(variants(Few(), 3)) == [0, 3, 6]
    assert list(variants(Few(), 100)) == [0, 3, 6, 9]


@pytest.mark.parametrize("name", DRAWN)
def test_cost_varies_widely(name):
    flops = sorted(cost(FAMILIES[name].variant(number)).flops for number in range(1, 41))
    assert flops[36] > 1.5 * flops[4]
    assert len(set(flops)) == 40


def test_every_width_and_kernel_occurs_and_no_other():
    """In GoogLeNet, whose canonical network tells the base of every width."""
    bases = [op.shape[1] for _, op in convolutions(FAMILIES["googlenet"].variant(0))]
    seen = set()
    for number in range(1, 31):
        for base, (_, op) in zip(bases, convolutions(FAMILIES["googlenet"].variant(number)), strict=True):
            fitting = {tenths for tenths in TENTHS if op.shape[1] == (base * tenths + 5) // 10}
            assert fitting
            seen |= {(tenths, op.get("kernel_shape")[0]) for tenths in fitting}
    assert seen == {(tenths, kernel) for tenths in TENTHS for kernel in KERNELS}


@pytest.mark.parametrize("name", [n for n in DRAWN if len(FAMILIES[n].versions) > 1])
def test_every_version_occurs(name):
    canonical = {}
    for version in FAMILIES[name].versions:
        net = VariedDrawing()
        FAMILIES[name].draw(net, version)
        canonical[version] = sum(op.kind in ("Conv", "Gemm") for op in net.ops)
    counts = {sum(op.kind in ("Conv", "Gemm") for op in FAMILIES[name].variant(n).ops) for n in range(1, 30)}
    assert counts == set(canonical.values())


def test_what_is_too_large_is_drawn_again_in_the_same_version(monkeypatch):
    number = next(n for n in range(1, 100) if Chance("resnet", n).pick(resnet.FAMILY.versions) == "50")
    monkeypatch.setattr(family, "MOST_FLOPS", 30_000_000_000)
    network, refused = resnet.FAMILY.drawn(number)
    assert refused > 0
    assert (network, refused) == resnet.FAMILY.drawn(number)
    assert cost(network).flops <= 30_000_000_000
    assert len(network) == 176


@pytest.mark.parametrize(("name", "number"), [("vgg", -1), ("nasbench201", -1), ("nasbench201", CELLS)])
def test_a_number_that_no_network_has(name, number):
    with pytest.raises(BadArchitecture, match=str(number)):
        FAMILIES[name].variant(number)


@given(st.integers(0, CELLS - 1))
def test_cells_and_their_numbers(number):
    assert number_of(cell_of(number)) == number


def test_digits_of_a_cell_the_first_edge_leads():
    text = SPACES["nasbench201"].format(cell_of(1 * 5**5 + 2 * 5**4 + 3 * 5**3 + 4 * 5**2 + 0 * 5 + 1))
    assert text == "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
    assert {op.kind for op in cell_of(CELLS - 1).ops[1:-1]} == {"skip_connect"}


def test_cells_that_ignore_the_input_are_numbered_but_not_drawn():
    numbers = list(FAMILIES["nasbench201"].numbers())
    assert len(numbers) == len(set(numbers))
    assert 0 not in numbers
    # Through the last three edges one of three nodes must be reached: counted by hand from the wiring.
    assert len(numbers) == CELLS - sum(_dead(n) for n in range(CELLS))


def _dead(number):
    a, b, c, d, e, f = (op.kind != "none" for op in cell_of(number).ops[1:-1])
    return not (d or (a and e) or (b and f) or (a and c and f))


@pytest.mark.parametrize("name", [*FAMILIES, "no-family", "v2.1_x"])
@pytest.mark.parametrize("number", [0, 7, -3, 10**18 - 1])
def test_a_name_and_a_number_are_read_whether_or_not_there_is_such_a_network(name, number):
    assert numbered(f"{name}/{number}") == (name, number)


@pytest.mark.parametrize(
    "text", ["", "resnet", "resnet/", "/0", "resnet/0/1", "resnet/x", "resnet/0 ", "resnet/1.5", f"resnet/{10**18}"]
)
def test_other_texts_name_no_network(text):
    assert numbered(text) is None
