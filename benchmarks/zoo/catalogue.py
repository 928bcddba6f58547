"""All networks of the zoo. Importing this needs the zoo's environment."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers and timm: nothing is fetched

from zoo.torchvision_operators import declare

declare()

from zoo import other_networks, text_networks, vision_networks  # noqa: E402
from zoo.network import Network  # noqa: E402


def catalogue() -> dict[str, Network]:
    """The networks by name, in the order of the page."""
    found = [*vision_networks.networks(), *text_networks.networks(), *other_networks.networks()]
    assert len({network.name for network in found}) == len(found), "names are unique"
    return {network.name: network for network in found}
