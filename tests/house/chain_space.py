"""A new space: chains of two to six operations, written as letters, such as ``>abba<``."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from narformer.cells import Cells
from narformer.cells.graph_keys import graph_keys
from narformer.errors import BadArchitecture
from narformer.network import Architecture, Op

LONGEST = 6


@dataclass(frozen=True)
class Chains:
    """The chains of a and b; see Space."""

    name: str = "chains"
    vocabulary: tuple[str, ...] = ("in", "a", "b", "out")
    absent: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def sample(self, rng):
        return self.parse(">" + "".join(rng.choice(["a", "b"], rng.integers(2, LONGEST + 1))) + "<")

    def neighbours(self, architecture):
        letters = self.format(architecture)[1:-1]
        swap = {"a": "b", "b": "a"}
        return [self.parse(f">{letters[:i]}{swap[x]}{letters[i + 1 :]}<") for i, x in enumerate(letters)]

    def recognises(self, text):
        return text.strip().startswith(">")

    def parse(self, text):
        letters = text.strip()
        inner = letters[1:-1]
        if not (letters[:1] + letters[-1:] == "><" and 2 <= len(inner) <= LONGEST and set(inner) <= {"a", "b"}):
            raise BadArchitecture(f"found {text[:40]!r}; expected a chain such as '>abba<'")
        ops = ("in", *inner, "out")
        return Architecture(tuple(map(Op, ops)), tuple((i, i + 1) for i in range(len(ops) - 1)))

    def format(self, architecture):
        return f">{''.join(op.kind for op in architecture.ops[1:-1])}<"

    def unroll(self, architecture):
        raise BadArchitecture("chains stand for no network")

    def enumerate(self):
        texts = (f">{''.join(x)}<" for n in range(2, LONGEST + 1) for x in product("ab", repeat=n))
        return Cells.of([self.parse(text) for text in texts], self.vocabulary)

    def same(self, cells):
        return graph_keys(cells)


def worth(text, rng=None):
    """Of a chain: its length, and twice for every a."""
    noise = 0.0 if rng is None else rng.normal(0, 0.05)
    return len(text) + 2 * text.count("a") + noise


def table(path, seed=0):
    """A table of all chains with their worth and an error in percent."""
    space, rng = Chains(), np.random.default_rng(seed)
    texts = [space.format(cell) for cell in space.enumerate()]
    lines = [f"{text},{worth(text, rng):.3f},{10 - worth(text) / 2 + rng.normal(0, 0.02):.3f}" for text in texts]
    path.write_text("architecture,worth,error\n" + "\n".join(lines) + "\n")
    return texts
