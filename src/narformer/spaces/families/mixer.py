"""MLP-Mixer (Tolstikhin et al. 2021), as timm builds it: dense layers across the patches, then across the channels."""

from narformer.spaces.families.blocks import feed_forward
from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing


def draw(net: VariedDrawing, version: str) -> None:
    """B/16 has 59,880,472 parameters. Variants have other depths, widths, patches and images."""
    width = net.choose(768, range(192, 800, 32))
    patch, across = net.choose(16, (14, 16, 32)), net.choose(14, range(7, 17))
    across_hidden, hidden = width // 2, width * net.choose(4, (2, 3, 4))
    x = net.conv(net.input(1, 3, patch * across, patch * across), width, patch, patch, pad=0, bias=True)
    x = net.transpose(net.reshape(x, 1, width, across**2), 0, 2, 1)
    for _ in range(net.choose(12, range(2, 13))):
        turned = net.transpose(net.layer_norm(x), 0, 2, 1)
        x = net.add(x, net.transpose(feed_forward(net, turned, across_hidden), 0, 2, 1))
        x = net.add(x, feed_forward(net, net.layer_norm(x), hidden))
    net.dense(net.reshape(net.mean(net.layer_norm(x), 1), 1, width), CLASSES)


FAMILY = VariedFamily("mixer", draw)
