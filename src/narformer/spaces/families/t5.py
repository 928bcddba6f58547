"""T5 (Raffel et al. 2020), as transformers builds it: the encoder reads a text, the decoder another one and the first.

Variants have other depths, heads, hidden widths and lengths of both texts.
"""

from narformer.network.tensors import Tensor
from narformer.spaces.families.family import VariedFamily
from narformer.spaces.families.variation import VariedDrawing

ROWS, BUCKETS, TABLE = 32128, 32, 1
LENGTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256)


def draw(net: VariedDrawing, version: str) -> None:
    """Small has 60,506,624 parameters; both embeddings and the last layer are one table."""
    depth, heads, size = net.choose(6, range(1, 9)), net.choose(8, range(2, 13)), net.choose(64, (32, 64))
    width = heads * size
    hidden = width * net.choose(4, (2, 3, 4))
    read, written = net.choose(64, LENGTHS), net.choose(32, LENGTHS)
    texts = net.input(1, read), net.input(1, written)
    x, y = (net.embedding(text, ROWS, width, TABLE) for text in texts)
    for _ in range(depth):
        x = _attended(net, x, net.rms_norm(x), heads, 2)
        x = _hidden(net, x, hidden)
    x = net.rms_norm(x)
    for _ in range(depth):
        y = _attended(net, y, net.rms_norm(y), heads, 3)
        y = _attended(net, y, x, heads, 0)
        y = _hidden(net, y, hidden)
    net.tied(net.scalar("Mul", net.rms_norm(y), width**-0.5), ROWS, TABLE)


def _attended(net: VariedDrawing, x: int, read: int, heads: int, table: int) -> int:
    """x and what it attends to; offsets between positions have a table of this identity, 0 for none."""
    query = net.rms_norm(x) if table == 0 else read
    width = net.shape(x)[-1]
    query, key, value = (net.heads(net.linear(y, width, bias=False), heads) for y in (query, read, read))
    mask = (1, heads, net.shape(x)[1], net.shape(read)[1])
    tensors = (Tensor(BUCKETS * heads, identity=table),) if table else ()
    return net.add(x, net.linear(net.merged(net.attention(query, key, value, mask, *tensors)), width, bias=False))


def _hidden(net: VariedDrawing, x: int, hidden: int) -> int:
    y = net.relu(net.linear(net.rms_norm(x), hidden, bias=False))
    return net.add(x, net.linear(y, net.shape(x)[-1], bias=False))


FAMILY = VariedFamily("t5", draw)
