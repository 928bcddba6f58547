"""NAR-Former's tokenizer, Eq. 1 to 9, with the frequencies as exact fractions."""

import math
from fractions import Fraction

END = 100_000


def nerf(p: int, length: int) -> list[float]:
    """Eq. 3 to 5: [sin(b_1 p π), cos(b_1 p π), …], b_l = 1 + (l - 1) s, s = (2^(L-1) - 1) / (L - 1)."""
    step = Fraction(2 ** (length - 1) - 1, length - 1)
    code = []
    for place in range(length):
        half_turns = float(p * (1 + place * step) % 2)
        code += [math.sin(math.pi * half_turns), math.cos(math.pi * half_turns)]
    return code


def trans(p: float, length: int) -> list[float]:
    """[sin(p b_0), cos(p b_0), …], b_l = 10000^(-l/L)."""
    code = []
    for place in range(length):
        frequency = 10000 ** (-place / length)
        code += [math.sin(p * frequency), math.cos(p * frequency)]
    return code


def narformer_tokens(
    ops: list[int], edges: list[tuple[int, int]], length: int
) -> tuple[list[list[float]], list[float]]:
    """The rows t_1 … t_N, t_End, and the depth code f_Dep(N) before its layer (Eq. 9)."""
    rows = []
    for vertex, op in enumerate(ops):
        parents = [source for source, target in edges if target == vertex] or [0]
        if vertex == 0:
            parents = [-1]
        codes = [nerf(parent, length) for parent in parents]
        rows.append(nerf(op, length) + nerf(vertex, length) + [sum(column) for column in zip(*codes, strict=True)])
    rows.append(nerf(END, length) * 3)
    return rows, nerf(len(ops), 3 * length)


def narformer_v2_tokens(ops: list[int], length: int, one_hot: bool) -> list[list[float]]:
    """Operation, own position."""
    rows = []
    for vertex, op in enumerate(ops):
        first = [float(kind == op) for kind in range(2 * length)] if one_hot else nerf(op, length)
        rows.append(first + nerf(vertex, length))
    return rows


def laplacian_rows(
    ops: list[int], edges: list[tuple[int, int]], size: int, severed: tuple[int, ...] = ()
) -> list[list[float]]:
    """Row i of L = D - A, A directed, D the out-degrees; edges at a severed operation do not count."""
    rows = [[0.0] * size for _ in ops]
    for source, target in edges:
        if ops[source] not in severed and ops[target] not in severed:
            rows[source][source] += 1
            rows[source][target] -= 1
    return rows
