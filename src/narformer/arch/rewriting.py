"""Ways of writing the same network, unified. A rule looks at one vertex, the last of what it replaces.

* Identity, Dropout and whatever moves nothing are dropped; Flatten, Squeeze, Unsqueeze and transpositions that only
  move axes of size 1 are Reshape; neighbouring Reshape or Transpose become one;
* BatchNormalization after Conv, ConvTranspose or Gemm is folded into it, as exporters do; elsewhere it stays;
* one constant per channel, added to or multiplied with the output of these or of BatchNormalization, is taken in;
* zero padding before Conv is its padding;
* Sub and Div with a constant as second operand are Add and Mul;
* a pool or mean over all of the image is a global pool; reductions keep their axes, a Reshape then drops them;
  those that take every value by itself are dropped;
* Clip from 0 is Relu; x sigmoid(x) is Swish; the written-out forms in ``patterns`` are recognised.

Last, the values of scalar constants go (they are weights), but for the exponent of Pow, and slots that say nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from math import prod

from narformer.arch import patterns
from narformer.arch.graph import Architecture, Op
from narformer.arch.ops import OPS
from narformer.arch.sketch import Sketch

__all__ = ["rewritten"]

LAYERS = ("Conv", "ConvTranspose", "Gemm")
PLAIN_SUMS = ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")  # of one value: that value

Rule = Callable[[Sketch, int, Op], bool]


def rewritten(architecture: Architecture) -> tuple[Architecture, list[int]]:
    """The architecture with all rules applied until none applies, values of constants dropped.

    And of each of its vertices the one of ``architecture`` whose value it has, a number beyond those for a new one.
    """
    sketch = Sketch.of(architecture)
    changed = True
    while changed:
        changed = False
        for vertex in list(sketch.ops):
            while vertex in sketch.ops:
                op = sketch.ops[vertex]
                if not any(rule(sketch, vertex, op) for rule in RULES.get(op.kind, ())):
                    break
                changed = True
    for vertex, op in sketch.ops.items():
        if op.kind != "Pow" and op.get("value") is not None:
            sketch.ops[vertex] = replace(op, attributes=tuple(a for a in op.attributes if a[0] != "value"))
        if op.kind in OPS and OPS[op.kind].commutative:
            sketch.operands[vertex] = [(0, source) for _, source in sketch.operands[vertex]]
    return sketch.drawn(architecture.name)


def only(sketch: Sketch, vertex: int) -> tuple[int, Op] | None:
    """The one operand of a vertex and its operation; None where there are more or none."""
    operands = sketch.operands[vertex]
    return (operands[0][1], sketch.ops[operands[0][1]]) if len(operands) == 1 else None


def pass_on(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Identity and Dropout."""
    return len(sketch.operands[vertex]) == 1 and sketch.bypass(vertex)


def pass_on_if_same(sketch: Sketch, vertex: int, op: Op) -> bool:
    """What leaves its only operand as it is: Expand, Slice, Pad, Tile, Concat, Resize, pools and sums of one value."""
    below = only(sketch, vertex)
    if not below or op.shape is None or below[1].shape != op.shape or op.get("constant"):
        return False
    steps = op.get("steps")
    if isinstance(steps, tuple) and any(step < 0 for step in steps):
        return False
    sketch.ops[vertex] = Op("Identity", (), op.shape)
    return True


def view(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Flatten, Squeeze, Unsqueeze of known shape are Reshape; one Reshape after another is one."""
    below = only(sketch, vertex)
    if not below or op.shape is None:
        return False
    if below[1].shape == op.shape:
        sketch.ops[vertex] = Op("Identity", (), op.shape)
    elif below[1].kind in ("Reshape", "Flatten", "Squeeze", "Unsqueeze") and len(sketch.operands[below[0]]) == 1:
        sketch.become(vertex, Op("Reshape", (), op.shape), [(0, sketch.operands[below[0]][0][1])])
    elif op.kind != "Reshape":
        sketch.ops[vertex] = Op("Reshape", (), op.shape)
    else:
        return False
    return True


def transpose(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Compose neighbouring Transpose; what only moves axes of size 1 is Reshape."""
    below, perm = only(sketch, vertex), op.get("perm")
    if not below or not isinstance(perm, tuple) or op.shape is None:
        return False
    source, under = below
    inner = under.get("perm")
    if under.kind == "Transpose" and isinstance(inner, tuple) and len(inner) == len(perm):
        whole = Op.of("Transpose", op.shape, perm=tuple(inner[axis] for axis in perm))
        sketch.become(vertex, whole, sketch.operands[source])
        return True
    if under.shape is None or len(under.shape) != len(perm):
        return False
    moved = [axis for axis in perm if under.shape[axis] != 1]
    if moved == sorted(moved):
        sketch.ops[vertex] = Op("Reshape", (), op.shape)
        return True
    return False


def fold_norm(sketch: Sketch, vertex: int, op: Op) -> bool:
    """BatchNormalization into the convolution or dense layer before it."""
    below = only(sketch, vertex)
    if not below or below[1].kind not in LAYERS or len(sketch.readers[below[0]]) > 1:
        return False
    if below[1].kind == "Gemm" and len(op.shape or ()) != 2:
        return False
    return _take_bias(sketch, vertex, op, *below)


def take_constant(sketch: Sketch, vertex: int, op: Op) -> bool:
    """One constant for each channel, added to or multiplied with the output of a layer or a BatchNormalization."""
    below = only(sketch, vertex)
    if not below or len(sketch.readers[below[0]]) > 1 or not op.shape or below[1].shape != op.shape:
        return False
    source, layer = below
    channels = op.shape[-1] if layer.kind == "Gemm" else op.shape[1] if len(op.shape) > 1 else 0
    if layer.kind not in (*LAYERS, "BatchNormalization") or channels < 2 or op.get("constant") != channels:
        return False
    if op.kind == "Add" and layer.kind != "BatchNormalization":
        return _take_bias(sketch, vertex, op, source, layer)
    sketch.become(vertex, layer, sketch.operands[source])
    return True


def _take_bias(sketch: Sketch, vertex: int, op: Op, source: int, layer: Op) -> bool:
    attributes = {**dict(layer.attributes), "bias": 1}
    sketch.become(vertex, Op.of(layer.kind, op.shape, **attributes), sketch.operands[source])
    return True


def take_padding(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Zero padding of the image before a convolution."""
    pads = op.get("pads")
    if not sketch.operands[vertex] or not isinstance(pads, tuple):
        return False
    (slot, source), *weights = sketch.operands[vertex]
    pad = sketch.ops[source]
    extra, axes = pad.get("pads"), len(pads) // 2
    if pad.kind != "Pad" or pad.get("mode") != "constant" or pad.get("value") not in (None, 0) or slot:
        return False
    if not isinstance(extra, tuple) or len(extra) != 2 * (axes + 2) or min(extra) < 0:
        return False
    begin, end = extra[: axes + 2], extra[axes + 2 :]
    if any((*begin[:2], *end[:2])) or len(sketch.operands[source]) != 1:
        return False
    total = tuple(a + b for a, b in zip(pads, (*begin[2:], *end[2:]), strict=True))
    attributes = {**dict(op.attributes), "pads": total}
    sketch.become(vertex, Op.of(op.kind, op.shape, **attributes), [(0, sketch.operands[source][0][1]), *weights])
    return True


def undo(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Sub and Div by a constant."""
    below, value = only(sketch, vertex), op.get("value")
    if not below or not op.get("constant") or sketch.operands[vertex][0][0] != 0:
        return False
    attributes = dict(op.attributes)
    if isinstance(value, int | float):
        attributes["value"] = -value if op.kind == "Sub" else 1 / value if value else float("inf")
    sketch.ops[vertex] = Op.of("Add" if op.kind == "Sub" else "Mul", op.shape, **attributes)
    return True


def power(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Exponents 1, 1/2 and -1 have names of their own."""
    names = {1: "Identity", 0.5: "Sqrt", -1: "Reciprocal"}
    value = op.get("value")
    if not isinstance(value, int | float) or value not in names or not only(sketch, vertex):
        return False
    if sketch.operands[vertex][0][0] == 0:
        sketch.ops[vertex] = Op(names[value], (), op.shape)
        return True
    return False


def neutral(sketch: Sketch, vertex: int, op: Op) -> bool:
    """+ 0 and x 1 by a scalar; x 0 is Zero, the operation "none" of cell spaces."""
    if op.kind == "Mul" and only(sketch, vertex) and op.get("constant") == 1 and op.get("value") == 0:
        sketch.ops[vertex] = Op("Zero", (), op.shape)
        return True
    if only(sketch, vertex) and op.get("constant") == 1 and op.get("value") == {"Add": 0, "Mul": 1}[op.kind]:
        sketch.ops[vertex] = Op("Identity", (), op.shape)
        return True
    return False


def clip(sketch: Sketch, vertex: int, op: Op) -> bool:
    """From 0 upwards it is Relu; without bounds it is nothing."""
    least, most = op.get("min"), op.get("max")
    if len(sketch.operands[vertex]) == 1 and most is None and least in (0, None):
        sketch.ops[vertex] = Op("Identity" if least is None else "Relu", (), op.shape)
        return True
    return False


def plain_pool(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Padding that is not there cannot be counted; rounding up that changes nothing is rounding down.

    A window of one value is nothing; the adaptive pools of PyTorch have such windows.
    """
    below, attributes = only(sketch, vertex), dict(op.attributes)
    pads, kernel, strides = op.get("pads"), op.get("kernel_shape"), op.get("strides")
    if not isinstance(pads, tuple) or not isinstance(kernel, tuple) or not isinstance(strides, tuple):
        return False
    one = set(kernel) == {1} and not any(pads) and "Take" not in _kinds(sketch, vertex)
    if one and pass_on_if_same(sketch, vertex, op):
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
    sketch.retag(vertex, op.kind, **attributes)
    return True


GLOBAL = {"AveragePool": "GlobalAveragePool", "MaxPool": "GlobalMaxPool",
          "ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}  # fmt: skip


def global_pool(sketch: Sketch, vertex: int, op: Op) -> bool:
    """A window that is the whole image."""
    below, kernel = only(sketch, vertex), op.get("kernel_shape")
    if not below or op.shape is None or not isinstance(kernel, tuple) or sketch.operands[vertex][0][0]:
        return False
    pads = op.get("pads")
    if below[1].shape is None or below[1].shape[2:] != kernel or not isinstance(pads, tuple) or any(pads):
        return False
    if "Take" in _kinds(sketch, vertex):
        return False
    sketch.ops[vertex] = Op(GLOBAL[op.kind], (), op.shape)
    return True


def reduction(sketch: Sketch, vertex: int, op: Op) -> bool:
    """Keep the reduced axes and drop them by Reshape; over all of the image it is a global pool."""
    below, axes = only(sketch, vertex), op.get("axes")
    if not below or below[1].shape is None or op.shape is None or not isinstance(axes, tuple):
        return False
    rank = len(below[1].shape)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(below[1].shape))
    if op.get("keepdims") == 0:
        if prod(kept) != prod(op.shape):
            return False
        inner = sketch.add(Op.of(op.kind, kept, axes=axes, keepdims=1), sketch.operands[vertex])
        sketch.become(vertex, Op("Reshape", (), op.shape), [(0, inner)])
        return True
    if op.kind in GLOBAL and rank > 3 and axes == tuple(range(2, rank)):  # of rank 3 it may be a text, not an image
        sketch.ops[vertex] = Op(GLOBAL[op.kind], (), op.shape)
        return True
    return False


def _kinds(sketch: Sketch, vertex: int) -> list[str]:
    return [sketch.ops[reader].kind for reader in sketch.readers[vertex]]


RULES: dict[str, tuple[Rule, ...]] = {
    "Identity": (pass_on,),
    "Dropout": (pass_on,),
    **dict.fromkeys(("Expand", "Slice", "Pad", "Tile", "Concat", "Resize"), (pass_on_if_same,)),
    **dict.fromkeys(("Flatten", "Squeeze", "Unsqueeze"), (view,)),
    "Reshape": (view, patterns.dense_by_rows),
    "Transpose": (transpose,),
    "BatchNormalization": (fold_norm,),
    "Conv": (take_padding,),
    "Add": (neutral, take_constant, patterns.layer_norm),
    "Sub": (undo,),
    "Div": (undo,),
    "Pow": (power,),
    "Clip": (clip,),
    "Mul": (neutral, take_constant, patterns.hard_sigmoid, patterns.gated, patterns.gelu),
    "MatMul": (patterns.attention,),
    "AveragePool": (plain_pool, global_pool),
    "MaxPool": (plain_pool, global_pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), (pass_on_if_same,)),
    **{kind: (reduction,) for kind in OPS if kind.startswith("Reduce")},
    **dict.fromkeys(PLAIN_SUMS, (reduction, pass_on_if_same)),
}
