"""The ten families of NNLQP (Liu et al. 2022) as whole networks, each known by family and number."""

from narformer.network.canonical import fingerprint
from narformer.network.graph import Architecture
from narformer.spaces.families import (
    alexnet,
    efficientnet,
    googlenet,
    mnasnet,
    mobilenetv2,
    mobilenetv3,
    nasbench201,
    resnet,
    squeezenet,
    vgg,
)
from narformer.spaces.families.family import Family

__all__ = ["FAMILIES", "Family", "variants"]

FAMILIES: dict[str, Family] = {
    "alexnet": alexnet.FAMILY,
    "vgg": vgg.FAMILY,
    "resnet": resnet.FAMILY,
    "googlenet": googlenet.FAMILY,
    "squeezenet": squeezenet.FAMILY,
    "mobilenetv2": mobilenetv2.FAMILY,
    "mobilenetv3": mobilenetv3.FAMILY,
    "mnasnet": mnasnet.FAMILY,
    "efficientnet": efficientnet.FAMILY,
    "nasbench201": nasbench201.FAMILY,
}


def variants(family: Family, count: int) -> dict[int, Architecture]:
    """The first so many different networks of a family by number, in its order.

    A number whose network has the fingerprint of an earlier one is passed over. There may be fewer in all.
    """
    found: dict[str, int] = {}
    networks: dict[int, Architecture] = {}
    for number in family.numbers():
        if len(networks) == count:
            break
        network = family.variant(number)
        if found.setdefault(fingerprint(network), number) == number:
            networks[number] = network
    return networks
