"""Rules that rewrite equivalent forms of a network to a single form. A rule starts at the last vertex it replaces.

* Identity, Dropout and all operations that return their input are dropped; Flatten, Squeeze, Unsqueeze and
  transpositions that only move axes of size 1 become Reshape; two successive Reshape or Transpose become one, and so
  do two Slice along different axes, and a Concat inside a Concat;
* BatchNormalization after Conv, ConvTranspose or Gemm is folded into it, as exporters do; elsewhere it stays;
* one constant per channel, added to or multiplied with the output of these or of BatchNormalization, is folded, too;
* zero padding before Conv becomes the padding of Conv;
* Sub and Div with a constant as second operand become Add and Mul;
* a pool or mean over the whole image becomes a global pool; reductions keep their axes, and a Reshape then drops them;
  reductions of single values are dropped;
* the equation of Einsum names its axes in alphabetical order; squares become products;
* Clip from 0, and the larger of a value and 0, become Relu; x sigmoid(x) becomes Swish; the expanded forms in
  ``composite_operations`` are recognised.

At the end the values of scalar constants are removed (they are weights), except for the exponent of Pow, and so are the
slots of commutative operations.
"""

from dataclasses import replace
from math import isinf, prod

from narformer.network import composite_operations as composites
from narformer.network.graph import Architecture, Op
from narformer.network.moving_rules import Rule, joined, only, pass_on, pass_on_if_same, sliced, transpose, view
from narformer.network.mutable_graph import MutableGraph
from narformer.network.ops import OPS
from narformer.network.tensors import Tensor
from narformer.network.weights import implied

__all__ = ["unified"]

LAYERS = ("Conv", "ConvTranspose", "Gemm")
VALUES = ("value", "otherwise")
PLAIN_SUMS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")  # of one value they return that value


def unified(architecture: Architecture) -> tuple[Architecture, list[int]]:
    """The architecture with all rules applied until no rule applies, and the values of constants removed.

    Also, for each vertex, the vertex of ``architecture`` with the same value; len(architecture) or more for a new one.
    """
    graph = MutableGraph.of(architecture)
    changed = True
    while changed:
        changed = False
        for vertex in list(graph.ops):
            while vertex in graph.ops:
                op = graph.ops[vertex]
                if not any(rule(graph, vertex, op) for rule in RULES.get(op.kind, ())):
                    break
                changed = True
    for vertex, op in graph.ops.items():
        if op.kind != "Pow" and (op.get("value") is not None or op.get("otherwise") is not None):
            graph.ops[vertex] = replace(op, attributes=tuple([a for a in op.attributes if a[0] not in VALUES]))
        if op.kind in OPS and OPS[op.kind].commutative:
            graph.operands[vertex] = [(0, source) for _, source in graph.operands[vertex]]
            if op.constants:
                constants = tuple(replace(constant, slot=0) for constant in op.constants)
                graph.ops[vertex] = replace(graph.ops[vertex], constants=constants)
    return graph.drawn(architecture.name)


def fold_norm(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Fold BatchNormalization into the convolution or dense layer before it."""
    below = only(graph, vertex)
    if not below or below[1].kind not in LAYERS or len(graph.readers[below[0]]) > 1:
        return False
    if below[1].kind == "Gemm" and len(op.shape or ()) != 2:
        return False
    return _take_bias(graph, vertex, op, *below)


def take_constant(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Fold one constant per channel, added to or multiplied with the output of a layer or a BatchNormalization."""
    below = only(graph, vertex)
    if not below or len(graph.readers[below[0]]) > 1 or not op.shape or below[1].shape != op.shape:
        return False
    source, layer = below
    axis = len(op.shape) - 1 if layer.kind == "Gemm" else 1
    channels = op.shape[axis] if axis < len(op.shape) else 0
    if layer.kind not in (*LAYERS, "BatchNormalization") or not channels or op.get("constant") != channels:
        return False
    if composites.along(op, range(axis, axis + 1)) is False or (channels == 1 and not composites.learned(op)):
        return False  # other axes, or a scalar
    if op.kind == "Add" and layer.kind != "BatchNormalization":
        return _take_bias(graph, vertex, op, source, layer)
    graph.become(vertex, layer, graph.operands[source])
    return True


def _take_bias(graph: MutableGraph, vertex: int, op: Op, source: int, layer: Op) -> bool:
    attributes = {**dict(layer.attributes), "bias": 1}
    whole = Op.of(layer.kind, op.shape, **attributes)
    added = [replace(c, slot=2) for c in op.constants] if op.kind == "Add" else []
    if layer.constants or any(tensor != Tensor(tensor.count) for c in added for tensor in c.tensors):
        shapes = {slot: shape for slot, v in graph.operands[source] if (shape := graph.ops[v].shape) is not None}
        own = implied(whole, shapes) if 0 in shapes else ()
        known = {c.slot: c for c in (*own, *added, *layer.constants)}
        whole = replace(whole, constants=tuple(known[slot] for slot in sorted(known)))
    graph.become(vertex, whole, graph.operands[source])
    return True


def take_padding(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Fold zero padding of the image into the convolution after it."""
    pads = op.get("pads")
    if not graph.operands[vertex] or not isinstance(pads, tuple):
        return False
    (slot, source), *weights = graph.operands[vertex]
    pad = graph.ops[source]
    extra, axes = pad.get("pads"), len(pads) // 2
    if pad.kind != "Pad" or pad.get("mode") != "constant" or pad.get("value") not in (None, 0) or slot:
        return False
    if not isinstance(extra, tuple) or len(extra) != 2 * (axes + 2) or min(extra) < 0:
        return False
    begin, end = extra[: axes + 2], extra[axes + 2 :]
    if any((*begin[:2], *end[:2])) or len(graph.operands[source]) != 1:
        return False
    total = tuple(a + b for a, b in zip(pads, (*begin[2:], *end[2:]), strict=True))
    attributes = {**dict(op.attributes), "pads": total}
    whole = replace(Op.of(op.kind, op.shape, **attributes), constants=op.constants)
    graph.become(vertex, whole, [(0, graph.operands[source][0][1]), *weights])
    return True


def undo(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Sub and Div of a constant become Add and Mul."""
    below, value = only(graph, vertex), op.get("value")
    if not below or not op.get("constant") or graph.operands[vertex][0][0] != 0:
        return False
    attributes = dict(op.attributes)
    if isinstance(value, int | float):
        attributes["value"] = -value if op.kind == "Sub" else 1 / value if value else float("inf")
    undone = Op.of("Add" if op.kind == "Sub" else "Mul", op.shape, **attributes)
    graph.ops[vertex] = replace(undone, constants=op.constants)
    return True


def inverse(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """One divided by a value becomes Reciprocal."""
    if not only(graph, vertex) or graph.operands[vertex][0][0] != 1 or composites.number(op) != 1:
        return False
    graph.become(vertex, Op("Reciprocal", (), op.shape), [(0, graph.operands[vertex][0][1])])
    return True


def power(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Pow with exponent 1, 1/2, -1 or 2 becomes Identity, Sqrt, Reciprocal or a product."""
    names = {1: "Identity", 0.5: "Sqrt", -1: "Reciprocal", 2: "Mul"}
    value, below = composites.number(op), only(graph, vertex)
    if value is None or value not in names or not below or graph.operands[vertex][0][0]:
        return False
    graph.become(vertex, Op(names[value], (), op.shape), [(slot, below[0]) for slot in range(1 + (value == 2))])
    return True


def neutral(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Drop + 0 and x 1 with a scalar that is not trained; x 0 becomes Zero, the operation "none" of cell spaces."""
    value = composites.number(op)
    if not only(graph, vertex) or value not in (0, 1):
        return False
    kind = "Zero" if op.kind == "Mul" and value == 0 else "Identity"
    if kind == "Identity" and value == (op.kind == "Add"):
        return False
    graph.ops[vertex] = Op(kind, (), op.shape)
    return True


def clip(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Clip with lower bound 0 only becomes Relu; Clip without bounds becomes Identity."""
    least, most = (None if isinstance(x, float) and isinf(x) else x for x in (op.get("min"), op.get("max")))
    if len(graph.operands[vertex]) == 1 and most is None and least in (0, None):
        graph.ops[vertex] = Op("Identity" if least is None else "Relu", (), op.shape)
        return True
    return False


def rectifier(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """The larger of a value and zero is Relu."""
    if not only(graph, vertex) or composites.number(op) != 0:
        return False
    graph.ops[vertex] = Op("Relu", (), op.shape)
    return True


def plain_pool(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Reset count_include_pad if there is no padding, and ceil_mode if it does not change the output shape.

    A pool with windows of one value is dropped; the adaptive pools of PyTorch have such windows.
    """
    below, attributes = only(graph, vertex), dict(op.attributes)
    pads, kernel, strides = op.get("pads"), op.get("kernel_shape"), op.get("strides")
    if not isinstance(pads, tuple) or not isinstance(kernel, tuple) or not isinstance(strides, tuple):
        return False
    one = set(kernel) == {1} and not any(pads) and "Take" not in _kinds(graph, vertex)
    if one and pass_on_if_same(graph, vertex, op):
        return True
    if not any(pads) and op.get("count_include_pad"):
        attributes["count_include_pad"] = 0
    if op.get("ceil_mode") and below and below[1].shape and op.shape and op.get("dilations", (1,) * len(kernel)):
        rates = op.get("dilations", (1,) * len(kernel))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, rates if isinstance(rates, tuple) else (), strict=False)]
        room = [n + a + b for n, a, b in zip(below[1].shape[2:], pads, pads[len(kernel) :], strict=False)]
        if tuple((n - r) // s + 1 for n, r, s in zip(room, reach, strides, strict=False)) == op.shape[2:]:
            attributes["ceil_mode"] = 0
    if attributes == dict(op.attributes):
        return False
    graph.retag(vertex, op.kind, **attributes)
    return True


GLOBAL = {"AveragePool": "GlobalAveragePool", "MaxPool": "GlobalMaxPool",
          "ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}  # fmt: skip


def global_pool(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """A pool whose window is the whole image becomes a global pool."""
    below, kernel = only(graph, vertex), op.get("kernel_shape")
    if not below or op.shape is None or not isinstance(kernel, tuple) or graph.operands[vertex][0][0]:
        return False
    pads = op.get("pads")
    if below[1].shape is None or below[1].shape[2:] != kernel or not isinstance(pads, tuple) or any(pads):
        return False
    if "Take" in _kinds(graph, vertex):
        return False
    graph.ops[vertex] = Op(GLOBAL[op.kind], (), op.shape)
    return True


def reduction(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Keep the reduced axes, then drop them by Reshape; a reduction over the whole image becomes a global pool."""
    below, axes = only(graph, vertex), op.get("axes")
    if not below or below[1].shape is None or op.shape is None or not isinstance(axes, tuple):
        return False
    rank = len(below[1].shape)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(below[1].shape))
    if op.get("keepdims") == 0:
        if prod(kept) != prod(op.shape):
            return False
        inner = graph.add(Op.of(op.kind, kept, axes=axes, keepdims=1), graph.operands[vertex])
        graph.become(vertex, Op("Reshape", (), op.shape), [(0, inner)])
        return True
    if op.kind in GLOBAL and rank > 3 and axes == tuple(range(2, rank)):  # rank 3 may be text, not an image
        graph.ops[vertex] = Op(GLOBAL[op.kind], (), op.shape)
        return True
    return False


def equation(graph: MutableGraph, vertex: int, op: Op) -> bool:
    """Write the output of an Einsum, and call its axes a, b, c, ... in the order in which they occur."""
    written = op.get("equation")
    if not isinstance(written, str) or (plain := composites.plain_equation(written)) == written:
        return False
    graph.ops[vertex] = replace(op, attributes=tuple((k, plain if k == "equation" else v) for k, v in op.attributes))
    return True


def _kinds(graph: MutableGraph, vertex: int) -> list[str]:
    return [graph.ops[reader].kind for reader in graph.readers[vertex]]


RULES: dict[str, tuple[Rule, ...]] = {
    "Identity": (pass_on,),
    "Dropout": (pass_on,),
    **dict.fromkeys(("Expand", "Pad", "Tile", "Resize"), (pass_on_if_same,)),
    "Slice": (pass_on_if_same, sliced),
    "Concat": (pass_on_if_same, joined),
    **dict.fromkeys(("Flatten", "Squeeze", "Unsqueeze"), (view,)),
    "Reshape": (view, composites.dense_by_rows),
    "Transpose": (transpose,),
    "BatchNormalization": (fold_norm,),
    "Conv": (take_padding,),
    "Add": (neutral, take_constant, composites.layer_norm, composites.group_norm),
    "Sub": (undo,),
    "Div": (undo, inverse),
    "Pow": (power,),
    "Clip": (clip,),
    "Max": (rectifier,),
    "Mul": (
        neutral,
        take_constant,
        composites.hard_sigmoid,
        composites.gated,
        composites.gelu,
    ),
    "MatMul": (composites.attention,),
    "Attention": (composites.causal,),
    "Where": (composites.guarded, composites.softplus),
    "Einsum": (equation,),
    "AveragePool": (plain_pool, global_pool),
    "MaxPool": (plain_pool, global_pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), (pass_on_if_same,)),
    **{kind: (reduction,) for kind in OPS if kind.startswith("Reduce")},
    **dict.fromkeys(PLAIN_SUMS, (reduction, pass_on_if_same)),
}
