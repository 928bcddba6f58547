"""Operands that attention cannot have, of ONNX and of ONNX Runtime.

Letters in shapes: B batch, H heads, S queries, T keys, D values of a head.
"""

from math import prod

from narformer.formats.builder import Shape
from narformer.formats.onnx_misfits import Attributes, Check, Shapes, first, integer, unlike, unlike_shapes

__all__ = ["ATTENTION_CHECKS"]


def _attention(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    query, keys, values = shapes[:3]
    if query is None or keys is None or values is None:
        return ""
    if not len(query) == len(keys) == len(values):
        return f"queries, keys and values have {len(query)}, {len(keys)} and {len(values)} axes"
    heads, groups = integer(attributes, "q_num_heads", 0), integer(attributes, "kv_num_heads", 0)
    if len(query) == 3:
        reason = first(_in_heads(query, heads), _in_heads(keys, groups), _in_heads(values, groups))
        if reason or not heads or not groups:
            return reason
        query, keys, values = _apart(query, heads), _apart(keys, groups), _apart(values, groups)
    if len(query) != 4:
        return ""
    batch, groups, length, size = keys[0], groups or keys[1], keys[-2], keys[-1]
    past_keys, past_values = shapes[4:6]
    length += _length(past_keys) or 0
    return first(
        unlike_shapes("queries", query, (batch, heads or query[1], None, size)),
        unlike_shapes("keys", keys, (batch, groups, None, size)),
        unlike_shapes("values", values, (batch, groups, keys[-2], None)),
        f"{query[1]:,} heads do not fall into groups for {groups:,}" if groups and query[1] % groups else "",
        unlike_shapes("past keys", past_keys, (batch, groups, None, size)),
        unlike_shapes("past values", past_values, (batch, groups, _length(past_keys), values[-1])),
        _mask(shapes[3], (*query[:3], length)),
    )


def _mask(mask: Shape | None, weights: Shape) -> str:
    """A reason if a mask cannot be broadcast to the weights (B, H, S, T); its last axis may be shorter."""
    if mask is None or not mask:
        return ""
    pairs = zip(mask[-2::-1], weights[-2::-1], strict=False)
    fits = len(mask) <= len(weights) and mask[-1] <= weights[-1] and all(found in (1, size) for found, size in pairs)
    return "" if fits else f"a mask of shape {list(mask)} cannot be broadcast to {list(weights)}"


def _in_heads(shape: Shape, heads: int) -> str:
    return f"{shape[-1]:,} values do not fall into {heads:,} heads" if heads and shape[-1] % heads else ""


def _length(past: Shape | None) -> int | None:
    """The number of keys in a past (B, H, T, D)."""
    return past[2] if past is not None and len(past) == 4 else None


def _apart(shape: Shape, heads: int) -> Shape:
    """(B, S, H D) as (B, H, S, D)."""
    return (shape[0], heads, shape[1], shape[2] // heads)


def _grouped(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    """GroupQueryAttention, whose queries may hold keys and values, too; the past may be quantised and packed."""
    query, keys, values, past_keys, past_values, lengths = shapes[:6]
    heads, groups = integer(attributes, "num_heads", 1), integer(attributes, "kv_num_heads", 1)
    if query is None or len(query) != 3 or heads < 1 or groups < 1:
        return ""
    both = keys is not None or values is not None
    wide = heads if both else heads + 2 * groups
    size = query[-1] // wide
    any_length = past_keys is not None
    return first(
        _in_heads(query, wide),
        f"{heads:,} heads do not fall into groups for {groups:,}" if heads % groups else "",
        unlike_shapes("keys", keys, (query[0], None if any_length else query[1], groups * size)),
        unlike_shapes("values", values, keys if keys is not None else (query[0], None, groups * size)),
        unlike_shapes("past keys", past_keys, (query[0], groups, None, None)),
        unlike_shapes("past values", past_values, past_keys or (query[0], groups, None, None)),
        "" if lengths is None else unlike(prod(lengths), query[0], "lengths"),
        unlike_shapes("past keys", past_keys, (None, None, None, size)) if not _packed(attributes) else "",
    )


def _packed(attributes: Attributes) -> bool:
    return any(attributes.get(name) not in (None, "NONE", 0) for name in ("k_quant_type", "kv_cache_bit_width"))


def _heads(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    """MultiHeadAttention, whose keys and values may be (B, T, H D) or (B, H, T, D)."""
    query, keys, values, offset, _, bias, past_keys, past_values = shapes[:8]
    heads = integer(attributes, "num_heads", 1)
    if query is None or keys is None or values is None or len(query) != 3 or heads < 1:
        return ""
    if len(keys) == len(values) == 4:
        apart = (query[0], heads, None, query[-1] // heads)
        return first(unlike_shapes("keys", keys, apart), unlike_shapes("values", values, (*keys[:3], None)))
    if not len(keys) == len(values) == 3:
        return ""
    size, length = query[-1] // heads, keys[1]
    return first(
        _in_heads(query, heads),
        unlike_shapes("keys", keys, (query[0], None, query[-1])),
        unlike_shapes("values", values, (*keys[:2], None)),
        _in_heads(values, heads),
        unlike_shapes("offsets", offset, (query[-1] + keys[-1] + values[-1],)),
        unlike_shapes("past keys", past_keys, (query[0], heads, None, size)),
        unlike_shapes(
            "past values", past_values, (query[0], heads, past_keys[2] if past_keys else None, values[-1] // heads)
        ),
        "" if past_keys else _mask(bias, (query[0], heads, query[1], length)),
    )


def _from_rows(attributes: Attributes, shapes: Shapes, out: Shape | None) -> str:
    """Attention, which computes queries, keys and values by one matrix."""
    rows, matrix, offset, _, past = shapes[:5]
    heads, sizes = integer(attributes, "num_heads", 1), attributes.get("qkv_hidden_sizes")
    if rows is None or matrix is None or len(rows) != 3 or len(matrix) != 2 or heads < 1:
        return ""
    third = matrix[1] // 3
    wide = sizes if isinstance(sizes, tuple) and len(sizes) == 3 else (third, third, third)
    whole = [int(size) for size in wide if isinstance(size, int)]
    return first(
        unlike(rows[-1], matrix[0], "columns"),
        unlike(matrix[1], sum(whole), "columns of the matrix"),
        unlike(whole[0], whole[1], "values of a query"),
        _in_heads((whole[0],), heads),
        _in_heads((whole[2],), heads),
        unlike_shapes("offsets", offset, (matrix[1],)),
        unlike_shapes("past keys and values", past, (2, rows[0], heads, None, whole[0] // heads)),
    )


MICROSOFT = "com.microsoft."
ATTENTION_CHECKS: dict[str, Check] = {
    "Attention": _attention,
    f"{MICROSOFT}Attention": _from_rows,
    f"{MICROSOFT}MultiHeadAttention": _heads,
    f"{MICROSOFT}GroupQueryAttention": _grouped,
}
