"""NAR-Former's multi-stage fusion transformer (Sec. 3.3), one network and one token at a time, without dropout."""

from layers_loop import Vector, Weights, attend, layer_norm, linear, relu, sigmoid

from narformer.models import NarFormer


def narformer(weights: Weights, config: NarFormer.Config, tokens: list[Vector], depth_code: Vector) -> Vector:
    """Rows of tokens (nodes, end) and the depth code of one network to T numbers."""
    h = [*tokens, relu(linear(weights, "depth_token", depth_code))]
    for number in range(config.depths[0]):
        h = standard_block(weights, f"blocks.{number}", h, config.heads)
    e = h
    for stage in range(len(config.queries)):
        if stage > 0:
            e = fusion_block(weights, f"fusions.{stage - 1}", e, h, config.heads)
        e = aggregation_block(weights, f"aggregations.{stage}", e, config.heads)
        for number in range(config.depths[stage + 1] - 1):
            e = standard_block(weights, f"stages.{stage}.blocks.{number}", e, config.heads)
    assert len(e) == 1
    return head(weights, config, layer_norm(weights, "norm", e[0]))


def standard_block(weights: Weights, name: str, x: list[Vector], heads: int) -> list[Vector]:
    """x + MHA(LN x), then x + FFN(LN x)."""
    width = len(x[0])
    q, k, v = slice(0, width), slice(width, 2 * width), slice(2 * width, 3 * width)
    normed = [layer_norm(weights, f"{name}.norm", token) for token in x]
    three = [[linear(weights, f"{name}.query_key_value", token, part) for token in normed] for part in (q, k, v)]
    z = [linear(weights, f"{name}.out", token) for token in attend(*three, heads)]
    return feed_forward(weights, name, [token + more for token, more in zip(x, z, strict=True)])


def aggregation_block(weights: Weights, name: str, x: list[Vector], heads: int) -> list[Vector]:
    """MHA(Q raw, LN x, LN x) without a query projection and without residual, then x + FFN(LN x)."""
    width = len(x[0])
    normed = [layer_norm(weights, f"{name}.norm", token) for token in x]
    keys = [linear(weights, f"{name}.key_value", token, slice(0, width)) for token in normed]
    values = [linear(weights, f"{name}.key_value", token, slice(width, 2 * width)) for token in normed]
    z = attend(list(weights[f"{name}.query_1QD"][0]), keys, values, heads)
    return feed_forward(weights, name, [linear(weights, f"{name}.out", token) for token in z])


def fusion_block(weights: Weights, name: str, e: list[Vector], h: list[Vector], heads: int) -> list[Vector]:
    """MHA(LN e, LN h, LN h) without residual, then x + FFN(LN x)."""
    width = len(h[0])
    queries = [linear(weights, f"{name}.query", layer_norm(weights, f"{name}.query_norm", token)) for token in e]
    normed = [layer_norm(weights, f"{name}.key_value_norm", token) for token in h]
    keys = [linear(weights, f"{name}.key_value", token, slice(0, width)) for token in normed]
    values = [linear(weights, f"{name}.key_value", token, slice(width, 2 * width)) for token in normed]
    z = attend(queries, keys, values, heads)
    return feed_forward(weights, name, [linear(weights, f"{name}.out", token) for token in z])


def feed_forward(weights: Weights, name: str, x: list[Vector]) -> list[Vector]:
    """x + W_2 relu(W_1 LN x)."""
    name = f"{name}.feed_forward"
    inner = [relu(linear(weights, f"{name}.inner", layer_norm(weights, f"{name}.norm", token))) for token in x]
    return [token + linear(weights, f"{name}.outer", hidden) for token, hidden in zip(x, inner, strict=True)]


def head(weights: Weights, config: NarFormer.Config, e: Vector) -> Vector:
    if config.head == "mlp":
        for layer in (0, 3, 6, 9):
            e = relu(linear(weights, f"head.{layer}", e))
        return linear(weights, "head.12", e)
    y = linear(weights, "head", e)
    return sigmoid(y) if config.head == "sigmoid" else y
