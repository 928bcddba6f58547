"""OFA-MobileNetV3: five stages of two to four inverted residual blocks, each block with its own kernel and expansion.

Cai et al. 2020, "Once-for-All: Train One Network and Specialize it for Efficient Deployment". A subnet is held as a
chain: input, the blocks that it has, output; an operation states stage, kernel and expansion. The authors' settings
list four blocks for every stage and how many of them are used; the others are left out here, so that equal networks are
equal graphs. Text is the blocks of each stage, stages separated by bars.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narformer.cells.columns import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture
from narformer.network.graph import Architecture, Op
from narformer.spaces.ofa_mobilenetv3_network import network

__all__ = ["DEPTHS", "EXPANSIONS", "KERNELS", "STAGES", "VOCABULARY", "OfaMobileNetV3", "from_settings"]

STAGES = 5
DEPTHS = (2, 3, 4)
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
BLOCKS = tuple((kernel, expansion) for kernel in KERNELS for expansion in EXPANSIONS)
VOCABULARY = (
    "input",
    *(f"stage{s} k{kernel} e{expansion}" for s in range(1, STAGES + 1) for kernel, expansion in BLOCKS),
    "output",
)

LONGEST_TEXT = 1000  # characters that are read; a subnet has at most 111
LONGEST_ECHO = 80  # characters that an error repeats

_EXAMPLE = "k5e4 k7e3 | k3e4 k3e6 k3e3 | k5e4 k5e3 | k7e3 k3e6 | k5e4 k5e3 k5e4"

# Kernel and expansion of the blocks of each stage.
Stages = Sequence[Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class OfaMobileNetV3:
    """The space of once-for-all subnets of MobileNetV3; see Space."""

    name: str = "ofa-mobilenetv3"
    vocabulary: tuple[str, ...] = VOCABULARY
    absent: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A subnet whose depths, kernels and expansions are drawn uniformly."""
        depths = [DEPTHS[choice] for choice in rng.integers(len(DEPTHS), size=STAGES)]
        return _chain([[BLOCKS[choice] for choice in rng.integers(len(BLOCKS), size=depth)] for depth in depths])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """By stage: another kernel or another expansion in one block, without its last block, with one more."""
        stages = _stages(architecture)
        return [
            _chain([*stages[:s], other, *stages[s + 1 :]])
            for s, blocks in enumerate(stages)
            for other in _edits(blocks)
        ]

    def recognises(self, text: str) -> bool:
        """Whether the text has several bars and no ``~``."""
        return text.count("|") > 1 and "~" not in text

    def parse(self, text: str) -> Architecture:
        """The subnet of a text such as ``k5e4 k7e3 | k3e4 k3e6 k3e3 | ...``. Raises BadArchitecture."""
        if len(text) > LONGEST_TEXT:
            raise BadArchitecture(f"found a text of {len(text):,} characters; expected the form '{_EXAMPLE}'")
        stages = [part.split() for part in text.split("|")]
        for word in (word for words in stages for word in words):
            if not re.fullmatch("k[357]e[346]", word):
                raise BadArchitecture(
                    f"found the block {word[:LONGEST_ECHO]!r}; expected kernel 3, 5 or 7 and expansion 3, 4 or 6, "
                    f"as in '{_EXAMPLE}'"
                )
        return _chain([[(int(word[1]), int(word[3])) for word in words] for words in stages])

    def format(self, architecture: Architecture) -> str:
        """The text of a subnet. Raises BadArchitecture where it is not in this space."""
        return " | ".join(" ".join(f"k{k}e{e}" for k, e in blocks) for blocks in _stages(architecture))

    def unroll(self, architecture: Architecture, *, classes: int = 1000, resolution: int = 224) -> Architecture:
        """The whole network for one image, of width 1.0 as trained on ImageNet."""
        return network(_stages(architecture), classes=classes, resolution=resolution)

    def enumerate(self) -> Cells:
        """Raises BadArchitecture: the space is too large."""
        raise BadArchitecture("OFA-MobileNetV3 has some 10^19 subnets; they cannot be listed, draw some with sample")

    def same(self, cells: Cells) -> NDArray[np.uint64]:
        """(M,) keys, equal for isomorphic graphs."""
        return graph_keys(cells)


def from_settings(kernels: Sequence[int], expansions: Sequence[int], depths: Sequence[int]) -> Architecture:
    """The subnet of the authors' settings: ``ks`` and ``e`` of four blocks for each stage, ``d``, the number that it
    uses.

    Raises BadArchitecture.
    """
    most = max(DEPTHS)
    lengths = len(kernels), len(expansions), len(depths)
    if lengths != (STAGES * most, STAGES * most, STAGES):
        raise BadArchitecture(
            f"found {lengths[0]} kernels, {lengths[1]} expansions and {lengths[2]} depths; "
            f"expected {STAGES * most}, {STAGES * most} and {STAGES}"
        )
    blocks = list(zip(kernels, expansions, strict=True))
    if any(depth not in DEPTHS for depth in depths):
        raise BadArchitecture(f"found the depths {list(depths)}; expected {STAGES} of {', '.join(map(str, DEPTHS))}")
    return _chain([blocks[most * s : most * s + depth] for s, depth in enumerate(depths)])


def _chain(stages: Stages) -> Architecture:
    depths = [len(blocks) for blocks in stages]
    if len(stages) != STAGES or any(depth not in DEPTHS for depth in depths):
        raise BadArchitecture(
            f"found stages of {', '.join(map(str, depths))} blocks; expected {STAGES} stages of 2, 3 or 4, "
            f"as in '{_EXAMPLE}'"
        )
    kinds = [f"stage{s} k{k} e{e}" for s, blocks in enumerate(stages, start=1) for k, e in blocks]
    for kind in kinds:
        if kind not in VOCABULARY:
            raise BadArchitecture(f"found the block '{kind}'; expected kernel 3, 5 or 7 and expansion 3, 4 or 6")
    ops = tuple(Op(kind) for kind in ("input", *kinds, "output"))
    return Architecture(ops, tuple((v, v + 1) for v in range(len(ops) - 1)))


def _stages(architecture: Architecture) -> list[list[tuple[int, int]]]:
    stages: list[list[tuple[int, int]]] = [[] for _ in range(STAGES)]
    for op in architecture.ops:
        if found := re.fullmatch("stage([1-5]) k([357]) e([346])", op.kind):
            stages[int(found[1]) - 1].append((int(found[2]), int(found[3])))
    if any(len(blocks) not in DEPTHS for blocks in stages) or _chain(stages) != architecture:
        raise BadArchitecture(
            f"this is not a subnet of OFA-MobileNetV3: expected a chain of {STAGES} stages of 2, 3 or 4 blocks"
        )
    return stages


def _edits(blocks: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    edits = []
    for position, (kernel, expansion) in enumerate(blocks):
        others = [(other, expansion) for other in KERNELS if other != kernel]
        others += [(kernel, other) for other in EXPANSIONS if other != expansion]
        edits += [[*blocks[:position], other, *blocks[position + 1 :]] for other in others]
    if len(blocks) > min(DEPTHS):
        edits.append([*blocks[:-1]])
    if len(blocks) < max(DEPTHS):
        edits += [[*blocks, block] for block in BLOCKS]
    return edits
