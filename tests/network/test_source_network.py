"""A network of this package as a source is what reading its written file gives."""

import dataclasses
from pathlib import Path

import pytest

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_writer import to_onnx
from narformer.network import fingerprint
from narformer.network.source_network import SourceNetwork
from narformer.spaces.families import TEN

WRITTEN_AS = {"Zero": "Mul"}  # ONNX has no Zero: a product with a constant


@pytest.mark.parametrize("family", TEN)
@pytest.mark.parametrize("number", [1, 5])
def test_a_network_of_a_family_is_what_its_file_gives(family: str, number: int, tmp_path: Path) -> None:
    network = TEN[family].variant(number)
    ours = SourceNetwork.of(network)
    (tmp_path / "net.onnx").write_bytes(to_onnx(network, "none"))
    read = read_onnx(tmp_path / "net.onnx")
    for name in ("names", "modules", "precision", "external"):
        assert getattr(ours, name) == getattr(read, name), name
    known = {WRITTEN_AS.get(kind, kind): count for kind, count in ours.coverage.known.items()}
    assert dataclasses.replace(ours.coverage, known=known) == read.coverage
    assert ours.architecture.edges == read.architecture.edges
    for op, other in zip(ours.architecture.ops, read.architecture.ops, strict=True):
        assert op == other or WRITTEN_AS.get(op.kind) == other.kind
    assert fingerprint(ours.architecture) == fingerprint(read.architecture) == fingerprint(network)
    assert ours.title == network.name
