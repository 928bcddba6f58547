"""Translates PyTorch operations (ATen, as in the output of ``torch.export``) to the op table: layers and products.

Operands are in the slots of the ONNX operation, weights included.
"""

from dataclasses import replace
from typing import Any

from narformer.formats.builder import Constant, Shape, same_padding
from narformer.formats.torch_call import Call, Translation, both, known, scalar, wide
from narformer.formats.torch_elementwise_ops import ELEMENTWISE
from narformer.formats.torch_index_ops import INDEXED
from narformer.formats.torch_layout_ops import LAYOUTS
from narformer.formats.torch_recurrent_ops import RECURRENT
from narformer.formats.torch_reduction_ops import REDUCTIONS

__all__ = ["ATEN"]


def _conv(call: Call) -> Any:
    weights, shape = call.shape("weight"), call.shape("input")
    axes = len(weights) - 2
    transposed = "transpose" in call.name or bool(call["transposed"])
    strides, dilations = wide(call["stride"], axes), wide(call["dilation"], axes)
    alone = len(shape) == axes + 1  # one image without a batch
    pads: tuple[int, ...]
    if call["padding"] == "same":
        pads = same_padding(shape[-axes:], weights[2:], strides, dilations, upper=True)
    else:
        pads = both(wide(0 if call["padding"] == "valid" else call["padding"], axes))
    extra = wide(call["output_padding"] or 0, axes) if transposed else (0,)
    image, out = call["input"], known(call.out)
    if alone:
        image, out = call.add("Unsqueeze", [image], (1, *shape), axes=(0,)), (1, *out)
    found = call.add(
        "ConvTranspose" if transposed else "Conv",
        [image, call["weight"], call["bias"]],
        out,
        kernel_shape=tuple(weights[2:]),
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=int(call["groups"] or 1),
        bias=int(call["bias"] is not None),
        output_padding=extra if any(extra) else None,
    )
    return call.add("Squeeze", [found], axes=(0,)) if alone else found


def _linear(call: Call) -> Any:
    weight = _turned(call["weight"])
    if not isinstance(call["input"], int) or not isinstance(weight, Constant):
        if weight is call["weight"]:
            weight = call.add("Transpose", [weight], call.shape("weight")[::-1], perm=(1, 0))
        product = call.add("MatMul", [call["input"], weight])
        return product if call["bias"] is None else call.add("Add", [product, call["bias"]])
    return call.add("Gemm", [call["input"], weight, call["bias"]], bias=int(call["bias"] is not None))


def _turned(weight: Any) -> Any:
    """A constant weight (out, in) as the (in, out) of a product."""
    return replace(weight, shape=weight.shape[::-1]) if isinstance(weight, Constant) and weight.shape else weight


def _product(call: Call) -> Any:
    left, right = next((names for names in _FACTORS if names[1] in call.shapes), ("self", "other"))
    if isinstance(call[right], Constant) and isinstance(call[left], int) and len(call.shape(right)) == 2:
        return call.add("Gemm", [call[left], call[right]], bias=0)
    return call.add("MatMul", [call[left], call[right]])


_FACTORS = (("self", "other"), ("self", "mat2"), ("self", "vec"), ("self", "tensor"))


def _added_product(call: Call) -> Any:
    """beta · self + alpha · product; torch does not read ``self`` if beta is 0."""
    left, right = next(names for names in _ADDED if names[1] in call.shapes)
    beta, alpha = (1 if call[name] is None else call[name] for name in ("beta", "alpha"))
    constants = isinstance(call[right], Constant) and isinstance(call["self"], Constant)
    if constants and isinstance(call[left], int) and left == "mat1" and beta == alpha == 1:
        return call.add("Gemm", [call[left], call[right], call["self"]], bias=1)
    product = call.add("MatMul", [call[left], call[right]])
    if alpha != 1:
        product = call.add("Mul", [product, scalar(alpha)])
    if beta == 0:
        return product
    offset = call["self"] if beta == 1 else call.add("Mul", [call["self"], scalar(beta)], call.shape())
    return call.add("Add", [product, offset])


_ADDED = (("mat1", "mat2"), ("batch1", "batch2"), ("mat", "vec"), ("vec1", "vec2"))


def _outer(call: Call) -> Any:
    rows, columns = (call.shape(name)[0] for name in ("self", _second(call)))
    column = call.add("Reshape", [call["self"]], (rows, 1))
    row = call.add("Reshape", [call[_second(call)]], (1, columns))
    return call.add("Mul", [column, row])


def _second(call: Call) -> str:
    """The name of the second vector."""
    return "vec2" if "vec2" in call.shapes else "other" if "other" in call.shapes else "tensor"


def _einsum(call: Call) -> Any:
    return call.add("Einsum", call["tensors"], equation=str(call["equation"]).replace(" ", ""))


def _bilinear(call: Call) -> Any:
    """One value per output from all pairs of values of two inputs."""
    operands = [call["input1"], call["weight"], call["input2"]]
    found = call.add("Einsum", operands, equation="...i,kij,...j->...k")
    return found if call["bias"] is None else call.add("Add", [found, call["bias"]])


def _distances(call: Call) -> Any:
    """cdist: the norm of the difference of each pair of rows."""
    one, other = call.shape("x1"), call.shape("x2")
    out = known(call.out)
    left = call.add("Reshape", [call["x1"]], (*one[:-1], 1, one[-1]))
    right = call.add("Reshape", [call["x2"]], (*other[:-2], 1, *other[-2:]))
    apart = call.add("Sub", [left, right], (*out, one[-1]))
    if call["p"] not in (1, 2):
        apart = call.add("Pow", [call.add("Abs", [apart], (*out, one[-1])), scalar(call["p"])], (*out, one[-1]))
    kind = {1: "ReduceL1", 2: "ReduceL2"}.get(call["p"], "ReduceSum")
    return call.add(kind, [apart], axes=(len(out),), keepdims=0)


def _first(call: Call, vertex: int) -> Any:
    """The vertex, as the only one of several results that is known."""
    return [vertex] if isinstance(call.out, list) else vertex


def _out(call: Call) -> Shape:
    return known(call.out[0] if isinstance(call.out, list) else call.out)


def _batch_norm(call: Call) -> Any:
    """Normalisation with stored moments, or with those of the batch."""
    out = _out(call)
    if call["running_mean"] is not None:
        operands = [call["input"], call["weight"], call["bias"], call["running_mean"], call["running_var"]]
        return _first(call, call.add("BatchNormalization", operands, out, epsilon=float(call["eps"])))
    axes = (0, *range(2, len(out)))
    found = call.add("MeanVarianceNormalization", [call["input"]], out, axes=axes)
    for kind, name in (("Mul", "weight"), ("Add", "bias")):
        if call[name] is not None:
            found = call.add(kind, [found, call[name]], out)
    return _first(call, found)


def _norm(kind: str) -> Translation:
    def norm(call: Call) -> Any:
        axis = -len(call["normalized_shape"]) if call["normalized_shape"] else None
        groups = call["num_groups"] if call["num_groups"] is not None else call["group"]
        operands = [call["input"], call["weight"], call["bias"]]
        return _first(call, call.add(kind, operands, _out(call), axis=axis, num_groups=groups))

    return norm


def _instance_norm(call: Call) -> Any:
    stored = call["use_input_stats"] is False
    return _batch_norm(call) if stored else _norm("InstanceNormalization")(call)


def _attention(call: Call) -> Any:
    operands = [call["query"], call["key"], call["value"], call["attn_mask"]]
    return _first(call, call.add("Attention", operands, _out(call), is_causal=int(bool(call["is_causal"]))))


def _flexible_attention(call: Call) -> Any:
    """Attention whose mask and scores are functions; all pairs are counted."""
    return _first(call, call.add("Attention", [call["0"], call["1"], call["2"]], _out(call), is_causal=0))


def _grouped_product(call: Call) -> Any:
    """Rows, each multiplied with the matrix of its group: experts."""
    left, right = ("self", "mat2") if "self" in call.shapes else ("input", "weight")
    return call.add("GroupedMatMul", [call[left], call[right], call["offs"]])


ATEN: dict[str, Translation] = {
    **ELEMENTWISE,
    **REDUCTIONS,
    **LAYOUTS,
    **INDEXED,
    **RECURRENT,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "_convolution"), _conv),
    **{f"conv_transpose{n}d": _conv for n in (1, 2, 3)},
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "linalg_matmul"), _product),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _added_product),
    **dict.fromkeys(("outer", "ger"), _outer),
    "einsum": _einsum,
    "bilinear": _bilinear,
    **dict.fromkeys(("cdist", "_cdist_forward"), _distances),
    **dict.fromkeys(
        (
            *("batch_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
            *("_batch_norm_no_update", "cudnn_batch_norm"),
        ),
        _batch_norm,
    ),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _norm("LayerNormalization")),
    **dict.fromkeys(("group_norm", "native_group_norm"), _norm("GroupNormalization")),
    **dict.fromkeys(("rms_norm", "_fused_rms_norm"), _norm("RMSNormalization")),
    "instance_norm": _instance_norm,
    "torch::flex_attention": _flexible_attention,
    **dict.fromkeys(("_grouped_mm", "transformers::grouped_mm_fallback"), _grouped_product),
    **dict.fromkeys(("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"), _attention),
}
