"""A family of whole networks: its canonical network is number 0, every other number is a variant of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from narformer.errors import BadArchitecture
from narformer.network.cost import cost
from narformer.network.graph import Architecture
from narformer.spaces.families.variation import Chance, VariedDrawing

# One core runs these operations in about a second, and a file of 1 GB holds these parameters; one VGG in six and one
# ResNet-50 in four is larger.
MOST_FLOPS = 150_000_000_000
MOST_PARAMS = 250_000_000

IMAGE = (1, 3, 224, 224)
CLASSES = 1000


class Family(Protocol):
    """Networks of one kind, each identified by a number."""

    @property
    def name(self) -> str:
        """The name under which FAMILIES holds the family."""

    def variant(self, number: int) -> Architecture:
        """The network of this number, the same on every machine. Raises BadArchitecture where it does not exist."""

    def numbers(self) -> Iterator[int]:
        """Numbers, in the order of a set of the family."""


@dataclass(frozen=True)
class VariedFamily:
    """A family whose variants are drawn at random: number 0 is canonical, the others are unbounded.

    ``draw`` adds a network, from input to classifier, to a drawing; of ``versions``, the first is canonical.
    """

    name: str
    draw: Callable[[VariedDrawing, str], None]
    versions: tuple[str, ...] = ("",)

    def variant(self, number: int) -> Architecture:
        """The network of this number: the first that is drawn within MOST_FLOPS and MOST_PARAMS."""
        return self.drawn(number)[0]

    def numbers(self) -> Iterator[int]:
        """0, 1, 2, ..."""
        return count()

    def drawn(self, number: int) -> tuple[Architecture, int]:
        """The network of this number, and the number of larger ones that were drawn and refused before it.

        The version is drawn once, so that the bounds do not change its probabilities.
        """
        if number < 0:
            raise BadArchitecture(f"found {number} as number of a {self.name}; expected 0 or more")
        chance = Chance(self.name, number) if number else None
        version = chance.pick(self.versions) if chance else self.versions[0]
        refused = 0
        while not _within_bounds(architecture := self._draw(chance, version, number)):
            refused += 1
        return architecture, refused

    def _draw(self, chance: Chance | None, version: str, number: int) -> Architecture:
        net = VariedDrawing(chance)
        self.draw(net, version)
        return net.finished(f"{self.name}/{number}")


def _within_bounds(architecture: Architecture) -> bool:
    counted = cost(architecture)
    return counted.flops <= MOST_FLOPS and counted.params <= MOST_PARAMS
