"""Which nodes of a network each node of a runtime's own graph does the work of.

A runtime fuses, reorders and renames nodes, but it keeps the names of most values. A node that writes a value of the
network covers all nodes between the values that the runtime still has and that value. Some values are written in
another layout and under another name: they are found through the node that turns them back, or by the name of the
node, which ONNX Runtime derives from that of the node (or of the value) it replaces.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from narformer.formats.onnx_nodes import OnnxNode

__all__ = ["covered"]

# Kinds that only move values.
MOVES = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Identity", "Cast"}
MOVES |= {"MemcpyToHost", "MemcpyFromHost", "com.microsoft.nchwc.ReorderInput", "com.microsoft.nchwc.ReorderOutput"}
ENDINGS = re.compile(r"(_nchwc|_nhwc|_new_reshape)?(_token_\d+)?$")
BEGINNING = "fused "


def covered(network: Sequence[OnnxNode], executed: Sequence[OnnxNode]) -> tuple[tuple[int, ...], ...]:
    """For each executed node the numbers of the nodes of ``network`` that it covers, ascending.

    Both are in topological order. Several executed nodes cover the same nodes where one of them computes a part that
    only the other reads. A node that only moves values of the runtime itself covers nothing. Nodes of the network that
    no executed node covers were computed before the run, or are not needed.
    """
    source, after = _Values(network), _Values(executed)
    written = [_written(node, source, after) for node in executed]
    kept = {value for values in written for value in values}
    claimed: set[int] = set()
    found: list[tuple[int, ...]] = []
    for values in written:
        own: set[int] = set()
        waiting = [source.writer[value] for value in values]
        while waiting:
            number = waiting.pop()
            if number in claimed:
                continue
            claimed.add(number)
            own.add(number)
            waiting += [source.writer[v] for v in network[number].inputs if v in source.writer and v not in kept]
        found.append(tuple(sorted(own)))
    for number in reversed(range(len(executed))):  # a reader is found before those that it reads
        if not written[number] and executed[number].kind not in MOVES:
            readers = {reader for value in executed[number].outputs for reader in after.readers.get(value, ())}
            if len(readers) == 1 and executed[reader := readers.pop()].kind not in MOVES:
                found[number] = found[reader]
    return tuple(found)


class _Values:
    """The values of a graph: the number of the node that writes each, and of those that read it."""

    def __init__(self, nodes: Sequence[OnnxNode]) -> None:
        self.nodes = nodes
        self.named = {node.name: number for number, node in enumerate(nodes) if node.name}
        self.writer = {value: number for number, node in enumerate(nodes) for value in node.outputs}
        self.readers: dict[str, list[int]] = {}
        for number, node in enumerate(nodes):
            for value in node.inputs:
                self.readers.setdefault(value, []).append(number)

    def reader(self, value: str) -> OnnxNode | None:
        """The only node that reads a value; None where several do."""
        readers = self.readers.get(value, ())
        return self.nodes[readers[0]] if len(readers) == 1 else None


def _written(node: OnnxNode, source: _Values, after: _Values) -> tuple[str, ...]:
    """The values of the network that an executed node writes, in this or another layout."""
    values = tuple(value for value in node.outputs if value in source.writer)
    if values:
        return values
    if node.kind not in MOVES:
        turned: OnnxNode | None = node
        while turned is not None and len(turned.outputs) == 1:
            turned = after.reader(turned.outputs[0])
            if turned is None or turned.kind not in MOVES:
                break
            if turned.outputs[0] in source.writer:
                return turned.outputs[:1]
    for name in _origins(node.name):
        values = source.nodes[source.named[name]].outputs if name in source.named else (name,)
        if values[:1] and values[0] in source.writer:
            return (_after(values[0], node.then, source), *values[1:])
    return ()


def _after(value: str, kinds: Iterable[str], source: _Values) -> str:
    """The value of the network after operations of these kinds, where nothing else reads the values before them."""
    for kind in kinds:
        reader = source.reader(value)
        if reader is None or reader.kind not in (kind, {"Add": "Sum"}.get(kind)):
            break
        value = reader.outputs[0]
    return value


def _origins(name: str) -> Iterator[str]:
    """The names from which ONNX Runtime may have derived this one, the longest first."""
    while name:
        yield name
        plain = ENDINGS.sub("", name.removeprefix(BEGINNING))
        if plain == name:
            plain = name.rpartition("/")[0]
        name = plain
