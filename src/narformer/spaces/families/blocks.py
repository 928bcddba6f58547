"""Blocks of transformers that several families share (Vaswani et al. 2017)."""

from narformer.spaces.families.variation import VariedDrawing


def queries_keys_values(net: VariedDrawing, x: int, heads: int) -> tuple[int, int, int]:
    """Queries, keys and values (N, heads, length, D) of (N, length, width), from one dense layer."""
    n, length, width = net.shape(x)
    whole = net.reshape(net.linear(x, 3 * width), n, length, 3, heads, width // heads)
    turned = net.transpose(whole, 2, 0, 3, 1, 4)
    query, key, value = (net.reshape(part, *net.shape(part)[1:]) for part in net.parts(turned, 0, 3))
    return query, key, value


def self_attention(net: VariedDrawing, x: int, heads: int) -> int:
    """Attention among the vectors of (N, length, width), and a dense layer."""
    query, key, value = queries_keys_values(net, x, heads)
    return net.linear(net.merged(net.attention(query, key, value)), net.shape(x)[-1])


def feed_forward(net: VariedDrawing, x: int, hidden: int, activation: str = "Gelu") -> int:
    """Dense, activation, dense."""
    return net.linear(net.activation(activation, net.linear(x, hidden)), net.shape(x)[-1])
