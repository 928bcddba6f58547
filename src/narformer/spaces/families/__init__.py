"""Families of whole networks: each network is identified by family and number.

``TEN`` are the families of NNLQP (Liu et al. 2022) and of the measured set ``ten-families``; ``FAMILIES`` are all.
"""

import re

from narformer.network.canonical import fingerprint
from narformer.network.graph import Architecture
from narformer.spaces.families import (
    alexnet,
    bert,
    convnext,
    densenet,
    dlrm,
    efficientnet,
    ghostnet,
    googlenet,
    gpt,
    gru,
    llama,
    lstm,
    mixer,
    mnasnet,
    mobilenetv2,
    mobilenetv3,
    mobilevit,
    nasbench201,
    regnet,
    repvgg,
    resnet,
    resnext,
    shufflenetv2,
    squeezenet,
    ssdlite,
    swin,
    t5,
    unet,
    vgg,
    vit,
    whisper,
)
from narformer.spaces.families.family import Family

__all__ = ["FAMILIES", "TEN", "Family", "numbered", "variants"]

TEN: dict[str, Family] = {
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

FAMILIES: dict[str, Family] = {
    **TEN,
    "vit": vit.FAMILY,
    "bert": bert.FAMILY,
    "gpt": gpt.FAMILY,
    "llama": llama.FAMILY,
    "convnext": convnext.FAMILY,
    "resnext": resnext.FAMILY,
    "regnet": regnet.FAMILY,
    "densenet": densenet.FAMILY,
    "mixer": mixer.FAMILY,
    "shufflenetv2": shufflenetv2.FAMILY,
    "swin": swin.FAMILY,
    "ghostnet": ghostnet.FAMILY,
    "repvgg": repvgg.FAMILY,
    "unet": unet.FAMILY,
    "ssdlite": ssdlite.FAMILY,
    "t5": t5.FAMILY,
    "whisper": whisper.FAMILY,
    "lstm": lstm.FAMILY,
    "gru": gru.FAMILY,
    "dlrm": dlrm.FAMILY,
    "mobilevit": mobilevit.FAMILY,
}


_NUMBERED = re.compile(r"([\w.-]+)/(-?[0-9]{1,18})")


def numbered(text: str) -> tuple[str, int] | None:
    """Name and number of a text such as ``resnet/0``; the family of this name, or its network, may not exist."""
    found = _NUMBERED.fullmatch(text)
    return None if found is None else (found[1], int(found[2]))


def variants(family: Family, count: int) -> dict[int, Architecture]:
    """The first ``count`` different networks of a family by number, in its order.

    Numbers whose network has the fingerprint of an earlier one are skipped. A family may have fewer in total.
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
