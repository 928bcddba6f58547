"""Blocks of transformers that several families share (Vaswani et al. 2017)."""

from narformer.spaces.families.variation import VariedDrawing


def self_attention(net: VariedDrawing, x: int, heads: int) -> int:
    """Attention among the vectors of (N, length, width); queries, keys and values from one dense layer."""
    n, length, width = net.shape(x)
    whole = net.reshape(net.linear(x, 3 * width), n, length, 3, heads, width // heads)
    turned = net.transpose(whole, 2, 0, 3, 1, 4)
    query, key, value = (net.reshape(part, *net.shape(part)[1:]) for part in net.parts(turned, 0, 3))
    return net.linear(net.merged(net.attention(query, key, value)), width)


def feed_forward(net: VariedDrawing, x: int, hidden: int, approximate: str = "none") -> int:
    """Dense, Gelu, dense."""
    return net.linear(net.gelu(net.linear(x, hidden), approximate), net.shape(x)[-1])
