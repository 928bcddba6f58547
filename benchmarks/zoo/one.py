"""One network through all its roads, in a process of its own."""

import json
import os
import resource
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from narformer.errors import BadArchitecture, BadFile
from narformer.network.canonical import canonical, fingerprint_of
from narformer.network.cost import cost, stored_tensors
from narformer.network.graph import Architecture, Op
from narformer.network.source_network import SourceNetwork
from narformer.network.weights import WEIGHTS
from zoo import roads
from zoo.catalogue import catalogue
from zoo.file_facts import file_facts
from zoo.names import ROADS
from zoo.network import Network, shaken
from zoo.padding import padding
from zoo.truth import truth, unused_parameters

MEMORY = 6 << 30  # bytes of values that a process may hold
SHOWN = 12
SENTENCE = 300  # characters of an operation


def run(name: str, out: Path) -> None:
    """Write the facts of a network to ``out`` after each road; what is printed goes to a file beside it."""
    with out.with_suffix(".log").open("wb") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        os.chdir(folder)  # the quantiser leaves files where it runs
        for road, found in _facts(catalogue()[name], Path(folder)):
            facts[road] = found
            out.write_text(json.dumps(facts))


def _facts(network: Network, folder: Path) -> Any:
    started = time.perf_counter()
    module, inputs = network.make()
    shaken(module.eval())
    unused = unused_parameters(module, inputs)
    yield ("truth", {**truth(module, inputs, unused), "seconds": round(time.perf_counter() - started, 2)})
    reference: Architecture | None = None
    plain: SourceNetwork | None = None
    for road in ROADS:
        if road == "int8-static" and network.quantise != "static":
            continue
        yield road, {"stopped": True}  # what stays if the process ends here
        started = time.perf_counter()
        try:
            path = None if road == "module" else roads.write(road, module, inputs, folder)
        except (roads.ExporterFailed, MemoryError) as error:
            yield road, {"exporter": str(error) or "MemoryError"}
            continue
        written = time.perf_counter() - started
        try:
            source = roads.read(road, module, inputs, path)
            read = time.perf_counter() - started - written
            form = canonical(source.architecture)
            found = _counts(source, form, module)
            if road == "module":
                reference = form
            elif road in ("dynamo", "torchscript") and reference is not None:
                found |= _difference(reference, form)
            if path is not None:
                found["file"] = file_facts(path, module, unused)
            if road == "ort-extended":
                plain = source
            if road == "ort-all" and plain is not None:
                extended = path.parents[1] / "ort-extended" / path.name
                found["padding"] = padding(plain, source, extended, path)
        except (BadArchitecture, BadFile) as error:
            found = {"refused": str(error)[:SENTENCE], "runtime": roads.refused_by_runtime(path)}
        except Exception as error:  # a fault of the house is a finding, not the end
            found = {
                "fault": f"{type(error).__name__}: {error}"[:300],
                "where": traceback.format_exc().splitlines()[-4:-1],
            }
        else:
            found["read_s"] = round(read, 3)
        yield road, {**found, "written_s": round(written, 2)}


def _counts(source: SourceNetwork, form: Architecture, module: torch.nn.Module) -> dict[str, Any]:
    """surplus, deficit: sizes of trained tensors that only the network, or only the module has, and their numbers"""
    counted = cost(source.architecture)
    trained = Counter(tensor.count for tensor in stored_tensors(source.architecture) if tensor.trained)
    expected = Counter(tensor.numel() for tensor in set(module.parameters()))
    reasons = Counter(counted.unknown.values())
    return {
        "operations": len(source.architecture),
        "fingerprint": fingerprint_of(form),
        "macs": counted.macs,
        "params": counted.params,
        "constants": counted.constants,
        "surplus": dict(trained - expected),
        "deficit": dict(expected - trained),
        "unknown": dict(source.coverage.unknown),
        "uncounted": dict(reasons.most_common(SHOWN)),
        "shapeless": len(source.coverage.shapeless),
        "dropped": dict(source.coverage.dropped),
    }


def _difference(one: Architecture, other: Architecture) -> dict[str, Any]:
    """By kind how many more operations the other network has, and the operations that only one of them has.

    once: by kind, how many more there are if each network computed equal values once
    """
    if fingerprint_of(one) == fingerprint_of(other):
        return {}
    here, there = (Counter(_told(op) for op in form.ops) for form in (one, other))
    return {
        "differs": {
            "kinds": _more(*(Counter(op.kind for op in form.ops) for form in (one, other))),
            "once": _more(_distinct(one), _distinct(other)),
            "module_only": dict(here - there),
            "file_only": dict(there - here),
            "outputs": [_outputs(one), _outputs(other)],
        }
    }


def _more(one: Counter[str], other: Counter[str]) -> dict[str, int]:
    return {kind: other[kind] - one[kind] for kind in sorted({*one, *other}) if other[kind] != one[kind]}


def _distinct(form: Architecture) -> Counter[str]:
    """The number of operations of each kind that compute distinct values. Operations with weights are distinct.

    The form does not hold the values of constants, so operations that differ in them alone count as equal.
    """
    first: dict[Any, int] = {}
    same: list[int] = []
    for vertex, (op, operands) in enumerate(zip(form.ops, form.operands(), strict=True)):
        key: Any = (op, tuple(sorted((slot, same[source]) for slot, source in operands)))
        weights = [t for constant in op.constants for t in constant.tensors if t.trained and not t.identity]
        if op.kind in WEIGHTS or weights or not operands:
            key = vertex
        same.append(first.setdefault(key, vertex))
    return Counter(form.ops[vertex].kind for vertex in first.values())


def _outputs(form: Architecture) -> list[str]:
    """The shapes of the values that no operation reads."""
    read = {source for source, _ in form.edges}
    return sorted(str(list(op.shape or ())) for vertex, op in enumerate(form.ops) if vertex not in read)


def _told(op: Op) -> str:
    """What the fingerprint sees of an operation."""
    attributes = "".join(f" {name}={value}" for name, value in op.attributes)
    return f"{op.kind} {list(op.shape or ())}{attributes}"[:SENTENCE]
