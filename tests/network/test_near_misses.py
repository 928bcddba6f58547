"""What looks like a form that the canonical rules know, but computes something else, stays as it is.

In each pair only the first network is the known operation.
"""

from dataclasses import replace
from math import prod

import pytest
from chains import BIASED, CONV, IMAGE, Chain, kinds, unary

from narformer.network import canonical, cost, fingerprint
from narformer.network.tensors import ConstantOperand, Tensor


class Listed(Chain):
    """A network whose operations list their constants: ``stored`` by slot, the shape of a trained tensor."""

    def __call__(self, kind, shape, *operands, stored=None, trained=True, **attributes):
        tensors = stored or {}
        if tensors:
            attributes["constant"] = sum(map(prod, tensors.values()))
        v = super().__call__(kind, shape, *operands, **attributes)
        listed = [ConstantOperand(k, s, (Tensor(prod(s), trained=trained),)) for k, s in tensors.items()]
        self.ops[v] = replace(self.ops[v], constants=tuple(listed))
        return v


def listed(*steps, shape=IMAGE):
    c = Listed(shape)
    x = c.inputs[0]
    for kind, out, attributes in steps:
        x = c(kind, out, x, **attributes)
    return c.done()


def gelu(cube):
    c = Chain()
    x = c.inputs[0]
    total = c("Add", IMAGE, x, cube(c, x))
    curve = c("Tanh", IMAGE, c("Mul", IMAGE, total, constant=1, value=0.7978845608))
    half = c("Mul", IMAGE, x, constant=1, value=0.5)
    c("Mul", IMAGE, half, c("Add", IMAGE, curve, constant=1, value=1.0))
    return kinds(c.done())


def times(c, x, factor=0.044715):
    return c("Mul", IMAGE, x, constant=1, value=factor)


def square(c, x):
    return c("Pow", IMAGE, x, constant=1, value=2.0)


CUBES = {
    "power": lambda c, x: times(c, c("Pow", IMAGE, x, constant=1, value=3.0)),
    "products": lambda c, x: c("Mul", IMAGE, c("Mul", IMAGE, x, x), times(c, x)),
    "products of all": lambda c, x: times(c, c("Mul", IMAGE, x, c("Mul", IMAGE, x, x))),
    "a square": lambda c, x: times(c, c("Mul", IMAGE, square(c, x), x)),
}
NO_CUBES = {
    "another factor": lambda c, x: times(c, c("Pow", IMAGE, x, constant=1, value=3.0), 0.05),
    "another exponent": lambda c, x: times(c, c("Pow", IMAGE, x, constant=1, value=4.0)),
    "another branch": lambda c, x: c("Conv", IMAGE, x, kernel_shape=(1, 1)),
    "a square only": lambda c, x: times(c, square(c, x)),
    "a fourth power": lambda c, x: times(c, c("Mul", IMAGE, square(c, x), square(c, x))),
    "of another value": lambda c, x: times(c, c("Pow", IMAGE, c("Sin", IMAGE, x), constant=1, value=3.0)),
}


@pytest.mark.parametrize("name", CUBES)
def test_gelu_has_a_cube(name):
    assert gelu(CUBES[name]) == ["Input", "Gelu"]


@pytest.mark.parametrize("name", NO_CUBES)
def test_without_the_cube_it_is_no_gelu(name):
    assert "Tanh" in gelu(NO_CUBES[name])


ROOM = (1, 8, 8, 8)
KERNEL = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "bias": 0}


@pytest.mark.parametrize("kind", ["Add", "Mul"])
@pytest.mark.parametrize(
    ("layer", "shape", "sizes", "folded"),
    [
        ("Conv", ROOM, (8, 1, 1), True),
        ("Conv", ROOM, (1, 8, 1, 1), True),
        ("Conv", ROOM, (8,), False),
        ("Conv", ROOM, (8, 1), False),
        ("BatchNormalization", ROOM, (8, 1, 1), True),
        ("BatchNormalization", ROOM, (8,), False),
        ("Gemm", (8, 8), (8,), True),
        ("Gemm", (8, 8), (8, 1), False),
    ],
)
def test_only_constants_along_the_channels_are_folded(kind, layer, shape, sizes, folded):
    attributes = {"Conv": KERNEL, "Gemm": {"bias": 0}}.get(layer, {})
    network = listed((layer, shape, attributes), (kind, shape, {"stored": {1: sizes}}), shape=shape)
    assert kinds(network) == ["Input", layer, *([] if folded else [kind])]


@pytest.mark.parametrize("shifted", [False, True])
def test_a_pad_that_shifts_the_image_stays(shifted):
    pads = (0, 0, 0, shifted, 0, 0, 0, -shifted)
    network = unary(("Pad", IMAGE, {"pads": pads}), ("Relu", IMAGE, {}))
    assert kinds(network) == ["Input", *["Pad"] * shifted, "Relu"]


def test_a_resize_that_cuts_the_image_stays():
    same, cut = (
        unary(("Resize", IMAGE, attributes), ("Relu", IMAGE, {}))
        for attributes in ({"mode": "linear"}, {"coordinate_transformation_mode": "tf_crop_and_resize"})
    )
    assert kinds(same) == ["Input", "Relu"]
    assert kinds(cut) == ["Input", "Resize", "Relu"]


def layer_norm(axes=(3,), others=None, exponent=2.0, sizes=(6,)):
    c = Listed()
    x, others = c.inputs[0], others or axes
    row, column = (tuple(1 if k in a else n for k, n in enumerate(IMAGE)) for a in (axes, others))
    d = c("Sub", IMAGE, x, c("ReduceMean", row, x, axes=axes, keepdims=1))
    power = c("Pow", IMAGE, d, constant=1, value=exponent)
    v = c("ReduceMean", column, power, axes=others, keepdims=1)
    s = c("Sqrt", column, c("Add", column, v, constant=1, value=1e-5))
    scaled = c("Mul", IMAGE, c("Div", IMAGE, d, s), stored={1: sizes})
    c("Add", IMAGE, scaled, stored={1: sizes})
    return c.done()


def test_layer_normalisation_over_the_last_axes():
    for axes, sizes in (((3,), (6,)), ((3,), (1, 1, 1, 6)), ((1, 2, 3), (8, 6, 6))):
        network = layer_norm(axes, sizes=sizes)
        assert kinds(network) == ["Input", "LayerNormalization"]
        assert canonical(network).ops[1].get("axis") == -len(axes)
        assert cost(canonical(network)).params == cost(network).params == 2 * prod(sizes)


@pytest.mark.parametrize(
    "given",
    [
        {"axes": (1,), "sizes": (8, 1, 1)},
        {"axes": (1, 2, 3), "sizes": (8, 1, 1)},
        {"axes": (2,), "sizes": (6,)},
        {"axes": (2,), "sizes": (6, 1)},
        {"others": (2, 3)},
        {"exponent": 4.0},
        {"sizes": (6, 1)},
        {"sizes": (6, 6)},
    ],
)
def test_other_normalisations_stay(given):
    assert "LayerNormalization" not in kinds(layer_norm(**given))


@pytest.mark.parametrize("weights", ["none", "not trained", "listed", "implied"])
def test_instance_normalisation_with_weights_of_its_own_is_no_group_normalisation(weights):
    c = Listed()
    stored = {1: (8,), 2: (8,)} if weights in ("not trained", "listed") else None
    own = {"constant": 16} if weights == "implied" else {}
    x = c("InstanceNormalization", IMAGE, c.inputs[0], stored=stored, trained=weights == "listed", **own)
    c("Add", IMAGE, c("Mul", IMAGE, x, stored={1: (8, 1, 1)}), stored={1: (8, 1, 1)})
    network = c.done()
    assert ("GroupNormalization" in kinds(network)) == (weights in ("none", "not trained"))
    assert cost(canonical(network)).params == cost(network).params


HEADS = (1, 2, 7, 8)


@pytest.mark.parametrize("more", ["", "a constant mask", "a mask", "a past"])
def test_a_causal_mask_beside_another_stays(more):
    past = [HEADS, HEADS] if more == "a past" else [(1, 2, 7, 7)] if more == "a mask" else []
    c = Listed(*[HEADS] * 3, *past)
    v = c("Attention", HEADS, *c.inputs, is_causal=1, stored={3: (1, 2, 7, 7)} if more == "a constant mask" else None)
    if more == "a past":
        c.slots[-2:] = [4, 5]
    network = c.done()
    form = canonical(network)
    assert v == len(network) - 1
    assert [op.get("is_causal") for op in form.ops if op.kind == "Attention"] == [int(bool(more))]
    assert cost(form).params == cost(network).params


@pytest.mark.parametrize(
    ("where", "otherwise"), [(0.0, -1e9), (0.0, float("-inf")), (-1e9, 0.0), (0.5, 0.7), (0.0, -1)]
)
def test_which_added_masks_are_truth_values(where, otherwise):
    square = (1, 2, 7, 7)
    c = Chain(HEADS, HEADS, HEADS, square)
    q, k, v, condition = c.inputs
    t = c("Transpose", (1, 2, 8, 7), k, perm=(0, 1, 3, 2))
    mask = c("Where", square, condition, constant=2, value=where, otherwise=otherwise)
    scores = c("Add", square, c("MatMul", square, q, t), mask)
    c("MatMul", HEADS, c("Softmax", square, scores, axis=-1), v)
    found = kinds(c.done())
    assert "Attention" in found
    assert ("Where" in found) == (where != 0 or otherwise > -1e4)


@pytest.mark.parametrize(
    ("kind", "value"), [("Add", 0.0), ("Mul", 1.0), ("Mul", 0.0), ("Max", 0.0), ("Pow", 1.0), ("Pow", 2.0)]
)
def test_a_trained_scalar_is_not_dropped(kind, value):
    def network(trained):
        return listed((kind, IMAGE, {"stored": {1: (1,)}, "trained": trained, "value": value}), ("Relu", IMAGE, {}))

    assert kind in kinds(network(True))
    assert cost(canonical(network(True))).params == 1
    assert [op.get("constant") for op in canonical(network(False)).ops] == [None] * len(kinds(network(False)))


def test_a_trained_temperature_is_not_part_of_attention():
    square = (1, 2, 7, 7)
    c = Listed(HEADS, HEADS, HEADS)
    q, k, v = c.inputs
    scores = c("MatMul", square, q, c("Transpose", (1, 2, 8, 7), k, perm=(0, 1, 3, 2)))
    scores = c("Mul", square, scores, stored={1: (1,)}, value=0.35)
    c("MatMul", HEADS, c("Softmax", square, scores, axis=-1), v)
    assert "Attention" not in kinds(c.done())


@pytest.mark.parametrize(("size", "value", "guards"), [((1,), 0.0, True), ((1,), 1.0, False), ((8,), None, False)])
def test_only_zeros_guard_against_values_that_are_no_numbers(size, value, guards):
    c = Chain((1, 8))
    x = c("Exp", (1, 8), c.inputs[0])
    known = {} if value is None else {"value": value}
    c("Where", (1, 8), c("IsNaN", (1, 8), x), x, constant=prod(size), **known)
    c.slots[-1] = 2
    assert ("Where" in kinds(c.done())) != guards


@pytest.mark.parametrize(("middle", "kind"), [(0.5, "HardSwish"), (0.1, "Mul")])
def test_hard_swish_has_its_middle_at_one_half(middle, kind):
    c = Chain()
    c("Mul", IMAGE, c.inputs[0], c("HardSigmoid", IMAGE, c.inputs[0], alpha=1 / 6, beta=middle))
    assert kinds(c.done())[-1] == kind


@pytest.mark.parametrize(("least", "kind"), [(20.0, "Softplus"), (-5.0, "Where"), (None, "Where")])
def test_softplus_is_straight_for_large_values_only(least, kind):
    c = Chain()
    x = c.inputs[0]
    large = c("Greater", IMAGE, x, constant=1, **({} if least is None else {"value": least}))
    c("Where", IMAGE, large, x, c("Softplus", IMAGE, x))
    assert kinds(c.done())[-1] == kind


def test_clip_with_a_bound_that_is_not_known_stays():
    for bounds in ({"max": "unknown"}, {"min": "unknown"}, {"min": 0.0, "max": "unknown"}):
        network = unary(("Clip", IMAGE, bounds))
        assert kinds(network) == ["Input", "Clip"]
        assert fingerprint(network) != fingerprint(unary(("Relu", IMAGE, {})))


def test_padding_with_a_value_that_is_not_known_is_no_padding_of_zeros():
    pad = {"mode": "constant", "pads": (0, 0, 1, 1, 0, 0, 1, 1), "value": "unknown"}
    network = unary(("Pad", (1, 8, 8, 8), pad), ("Conv", IMAGE, {"kernel_shape": (3, 3)}))
    assert kinds(network) == ["Input", "Pad", "Conv"]
    assert fingerprint(network) != fingerprint(unary(CONV))
    assert fingerprint(network) != fingerprint(unary(BIASED))
