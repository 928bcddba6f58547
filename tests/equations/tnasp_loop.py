"""TNASP's encoder and regressor (Sec. 3.1), one network and one node at a time, without dropout."""

from layers_loop import Vector, Weights, attend, layer_norm, linear, relu

from narformer.models import Tnasp


def tnasp(weights: Weights, config: Tnasp.Config, kinds: list[int], laplacian: list[Vector]) -> Vector:
    """Operations and Laplacian rows of one cell to T numbers."""
    x = []
    for kind, row in zip(kinds, laplacian, strict=True):
        token = weights["embed.weight"][kind]
        if config.positions:
            token = token + linear(weights, "position", row)
        x.append(layer_norm(weights, "norm", token, eps=1e-6))
    size = config.heads * config.key
    for number in range(config.layers):
        name = f"layers.{number}"
        three = [
            [linear(weights, f"{name}.query_key_value", token, slice(part * size, (part + 1) * size)) for token in x]
            for part in range(3)
        ]
        z = [linear(weights, f"{name}.out", token) for token in attend(*three, config.heads)]
        x = [layer_norm(weights, f"{name}.attention_norm", a + b, eps=1e-6) for a, b in zip(x, z, strict=True)]
        hidden = [relu(linear(weights, f"{name}.inner", token)) for token in x]
        more = [linear(weights, f"{name}.outer", token) for token in hidden]
        x = [layer_norm(weights, f"{name}.feed_forward_norm", a + b, eps=1e-6) for a, b in zip(x, more, strict=True)]
    mean = sum(x) / (config.divisor or len(x))
    return linear(weights, "regressor.2", linear(weights, "regressor.0", mean))
