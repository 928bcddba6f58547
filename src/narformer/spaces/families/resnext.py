"""ResNeXt (Xie et al. 2017) and wide ResNet (Zagoruyko & Komodakis 2016) of bottlenecks, as torchvision builds them.

Variants have other depths, widths, numbers of groups and images; the kernel of every grouped convolution varies.
"""

from narformer.spaces.families.family import CLASSES, VariedFamily
from narformer.spaces.families.variation import VariedDrawing

WIDTHS, DEPTHS, EXPANSION = (64, 128, 256, 512), (3, 4, 6, 3), 4
# Groups, and channels of a group in the first stage
VERSIONS = {"resnext50_32x4d": (32, 4), "wide_resnet50_2": (1, 128), "resnet50": (1, 64)}


def draw(net: VariedDrawing, version: str) -> None:
    """ResNeXt-50 32x4d has 25,028,904 parameters, wide ResNet-50-2 68,883,240, ResNet-50 25,557,032."""
    groups, base = VERSIONS[version]
    groups, base = (net.choose(groups, (4, 8, 16, 32)), net.choose(base, (2, 4, 8))) if groups > 1 else (groups, base)
    size = net.choose(224, range(128, 289, 32))
    x = net.relu(net.batch_norm(net.conv(net.input(1, 3, size, size), 64, 7, 2)))
    x = net.pool("MaxPool", x, 3, 2)
    tenths = net.choose(10, range(4, 13, 2))
    for stage, (channels, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        width, inner = channels * EXPANSION * tenths // 10, groups * max(1, channels * base * tenths // 640)
        for block in range(net.choose(depth, range(1, depth + 2))):
            stride = 2 if stage and not block else 1
            shortcut = x if block else net.batch_norm(net.conv(x, width, 1, stride))
            y = net.relu(net.batch_norm(net.conv(x, inner, 1)))
            kernel = net.choose(3, (3, 3, 5, 7))
            y = net.relu(net.batch_norm(net.conv(y, inner, kernel, stride, group=groups)))
            x = net.relu(net.add(net.batch_norm(net.conv(y, width, 1)), shortcut))
    net.classifier(x, CLASSES)


FAMILY = VariedFamily("resnext", draw, tuple(VERSIONS))
