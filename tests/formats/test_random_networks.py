"""Random networks that ONNX Runtime runs: shapes, parameters, constants, bytes and multiply-adds, counted by hand.

Nothing here calls the counting of the package: products are counted one by one from the arrays that ONNX Runtime
returns (``brute_force``), tensors by walking the file from its outputs.
"""

from collections import defaultdict
from math import prod

import pytest
from brute_force import products, shapes_of
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from random_layouts import LAYOUTS
from random_networks import NEWEST, Network, session
from random_operations import OPERATIONS

from narformer.formats.onnx_reader import read_onnx
from narformer.network import canonical, cost

REAL = (TensorProto.FLOAT, TensorProto.FLOAT16)
BYTES = {
    TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT8: 1, TensorProto.UINT8: 1, TensorProto.BOOL: 1,
    TensorProto.INT32: 4, TensorProto.INT64: 8,
}  # fmt: skip

# Slots of weights, which training changes in whatever type they are stored
TRAINED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "BatchNormalization"), (1, 2)),
    **dict.fromkeys(("Gemm", "Einsum"), (0, 1, 2)),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), (1, 2)),
    **dict.fromkeys(("RMSNormalization", "PRelu", "ConvInteger"), (1,)),
    **dict.fromkeys(("MatMul", "MatMulInteger"), (0, 1)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (1, 2, 3, 7)),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "DequantizeLinear": (0,),
}
# Slots of real numbers that training does not change
FROZEN = {
    "BatchNormalization": (3, 4),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (2, 3)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (4, 5, 6)),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (0, 1)),
    "Attention": (4, 5),
    "GridSample": (1,),
}
# Slots that say what an operation does: sizes, axes, bounds
DESCRIBING = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "TopK", "Trilu", "CumSum", "Split"), (1,)),
    **dict.fromkeys(("Slice", "Pad", "Resize", "Clip", "OneHot", "Dropout"), (1, 2, 3, 4)),
}
BY_SLOT = ("Einsum", "MatMul", "Gemm", "Attention")  # scalars count, too


def describes(node, slot):
    return slot in DESCRIBING.get(node.op_type, ()) or (node.op_type.startswith("Reduce") and slot == 1)


class ByHand:
    """What a file holds and does, from its outputs back to its tensors.

    live:    nodes that an output depends on, through values and not only through their shapes, in the file's order
    trained: name of a tensor -> whether training changes it; a scalar that is the only constant of its reader, and is
             not trained, is left out
    """

    def __init__(self, model, arrays):
        graph = model.graph
        self.arrays = arrays
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.writer = {name: node for node in graph.node for name in node.output if name}
        self.fixed = set(self.stored) | {""}
        for node in graph.node:
            if node.op_type == "Shape" or self.fixed.issuperset(node.input):
                self.fixed.update(node.output)
            if node.op_type == "Constant":
                self.stored[node.output[0]] = node.attribute[0].t
        reached, waiting = set(), [value.name for value in graph.output]
        while waiting:
            name = waiting.pop()
            if name not in reached | self.fixed:
                reached.add(name)
                waiting += self.writer[name].input if name in self.writer else ()
        self.reached = reached
        self.live = [node for node in graph.node if not reached.isdisjoint(node.output)]
        marks = defaultdict(list)
        for node in self.live:
            constants = [(slot, name) for slot, name in enumerate(node.input) if name and name in self.fixed]
            constants = [(slot, name) for slot, name in constants if not describes(node, slot)]
            for slot, name in constants:
                found = list(self.tensors(name, marked(node, slot)))
                whole = len(constants) > 1 or arrays[name].size > 1 or node.op_type in BY_SLOT
                for tensor, mark in found if whole or any(mark for _, mark in found) else ():
                    marks[tensor].append(mark)
        self.trained = {name: any(found) for name, found in marks.items()}

    def tensors(self, name, mark):
        """The stored tensors that a fixed value is computed from, each with whether it is trained."""
        if name in self.stored:
            tensor = self.stored[name]
            real = tensor.data_type in REAL and prod(tensor.dims) > 1 and name not in self.writer
            yield name, real if mark is None else mark and tensor.data_type not in (TensorProto.BOOL, TensorProto.INT64)
            return
        node = self.writer[name]
        for slot, operand in enumerate(node.input if node.op_type != "Shape" else ()):
            if operand and not describes(node, slot):
                own = marked(node, slot)
                single = node.op_type == "DequantizeLinear" and self.arrays[operand].size == 1
                if single or self.arrays[operand].size == 1 < self.arrays[name].size:
                    own = False  # a number beside a weight, or a quantised number
                elif mark is not None and node.op_type != "DequantizeLinear":
                    own = mark
                yield from self.tensors(operand, own)

    def total(self, trained):
        return sum(prod(self.stored[name].dims) for name, mark in self.trained.items() if mark is trained)

    def bytes(self):
        return sum(prod(self.stored[n].dims) * BYTES[self.stored[n].data_type] for n in self.trained)

    def macs(self):
        return {node.name: self.products(node) for node in self.live if self.products(node)}

    def products(self, node):
        operands = [self.arrays[name] if name else None for name in node.input]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        attributes |= {name: value.decode() for name, value in attributes.items() if isinstance(value, bytes)}
        return products(node.op_type, attributes, operands, self.arrays[node.output[0]])


def marked(node, slot):
    """Whether the slot of a node states that its operand is trained; None if it states nothing."""
    if slot in TRAINED.get(node.op_type, ()):
        return True
    return False if slot in FROZEN.get(node.op_type, ()) else None


@st.composite
def networks(draw):
    random = draw(st.randoms(use_true_random=False))
    network = Network(random, random.randint(18, NEWEST))
    for _ in range(random.randint(3, 12)):
        random.choice(OPERATIONS + LAYOUTS)(network)
    return network


def check(network):
    """Compare what is read from a network with what it does on ONNX Runtime; returns the latter."""
    model, whole = network.finished()
    names = [value.name for value in whole.graph.output]
    arrays = network.arrays | dict(zip(names, session(whole).run(None, network.feeds()), strict=True))
    imported = read_onnx(model.SerializeToString(), network.named)
    counted, by_hand = cost(imported.architecture), ByHand(model, arrays)
    assert not counted.unknown
    shapes = shapes_of(imported)
    for node in by_hand.live:
        for index, name in enumerate(node.output):
            if name in by_hand.reached and node.op_type != "Split":
                assert shapes[node.name].get(index) == arrays[name].shape, (node.name, node.op_type, index)
    macs = defaultdict(int)
    for name, value in zip(imported.names, counted.macs_N, strict=True):
        macs[name] += int(value)
    assert {name: count for name, count in macs.items() if count} == by_hand.macs()
    assert counted.params == by_hand.total(True)
    assert counted.constants == by_hand.total(False)
    assert counted.stored_bytes == by_hand.bytes()
    return by_hand


def kinds_checked(**examples):
    """Check as many networks; the kinds of operations that their outputs depended on."""
    kinds = set()

    @settings(deadline=None, database=None, **examples)
    @given(networks())
    def run(network):
        kinds.update(node.op_type for node in check(network).live)

    run()
    return kinds


def test_random_networks():
    assert len(kinds_checked(max_examples=40, derandomize=True)) >= 30


@pytest.mark.slow
def test_many_random_networks():
    assert len(kinds_checked(max_examples=1000)) >= 90


FOLDED = ("Conv", "ConvTranspose", "Gemm", "BatchNormalization")  # scales and offsets behind them become part of them


def check_form(network):
    """The canonical form does the same work, with the same parameters where nothing is folded."""
    given = read_onnx(network.finished()[0].SerializeToString(), network.named).architecture
    form = canonical(given)
    counted, of_form = cost(given), cost(form)
    assert of_form.macs == counted.macs
    behind = {j for i, j in given.edges if given.ops[i].kind in FOLDED}
    folds = any(given.ops[v].kind in ("Add", "Sub", "Mul", "Div", "BatchNormalization") for v in behind)
    assert of_form.params <= counted.params + sum(max(op.shape) for op in given.ops if folds and op.kind in FOLDED)
    assert folds or of_form.params == counted.params


@settings(deadline=None, database=None, max_examples=60, derandomize=True)
@given(networks())
def test_the_canonical_form_of_random_networks(network):
    check_form(network)


@pytest.mark.slow
@settings(deadline=None, database=None, max_examples=1000)
@given(networks())
def test_the_canonical_form_of_many_random_networks(network):
    check_form(network)
