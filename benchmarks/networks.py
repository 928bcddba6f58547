"""Import of whole networks: time and memory from an ONNX file to the canonical graph. Run it alone: `make bench`.

The numbers of models that are imported and refused, and the cost of hostile files, are those that the tests print.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from narformer.formats.onnx_reader import read_onnx
from narformer.formats.onnx_writer import to_onnx
from narformer.measure import environment
from narformer.network import fingerprint
from narformer.spaces.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def chain(count: int) -> bytes:
    """A residual network with this number of operations, with names as in exporters and without weights."""
    nodes, weights, last = [], [], "x"
    for k in range(count):
        kind, inputs = ("Conv", [last, f"w{k}"]) if k % 4 == 0 else ("Add", [last, f"v{k - 3}"])
        kind, inputs = (kind, inputs) if k % 4 in (0, 3) else ("Relu", [last])
        if kind == "Conv":
            weights.append(TensorProto(name=f"w{k}", data_type=TensorProto.FLOAT, dims=[16, 16, 3, 3]))
        options = {"kernel_shape": [3, 3], "pads": [1] * 4} if kind == "Conv" else {}
        nodes.append(helper.make_node(kind, inputs, [f"v{k}"], name=f"/layer{k}/{kind}", **options))
        last = f"v{k}"
    ends = [helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", [1, 16, 8, 8]), (last, None))]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()
    return content


def canonical_ms(source: Path | bytes, repeats: int) -> float:
    """Median milliseconds from a file, or its bytes, to the fingerprint of its canonical graph."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        fingerprint(read_onnx(source).architecture)
        times.append(time.perf_counter() - started)
    return 1e3 * median(times[1:])


def fresh(count: int) -> tuple[float, float]:
    """Seconds and additional peak memory (MB) of one import of a chain in a separate process."""
    command = [sys.executable, __file__, "--import-chain", str(count)]
    seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(megabytes)


def printed_by_tests() -> list[str]:
    """Numbers of models of the onnx package that are imported and refused, and the cost of each refused attack."""
    tests = [str(ROOT / "tests" / "formats" / name) for name in ("test_onnx_reader.py", "test_onnx_attacks.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-n", "0", "-k", "onnx_wheel or in_a_second", *tests]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    told = re.compile(r"\d+ models: | refused \d+: |: \d+\.\d+ s, \d+ MB: ")
    return [
        re.sub(r"/\S*/", "", line.strip(" .")) for line in lines if told.search(line)
    ]  # without this machine's paths


def import_chain(count: int) -> None:
    content = chain(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fingerprint(read_onnx(content).architecture)
    spent = time.perf_counter() - started
    print(spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "results" / "benchmark_networks.json")
    arguments.add_argument("--import-chain", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.import_chain:
        import_chain(given.import_chain)
        return
    measured = {
        f"{path.stem.removeprefix('light_')}: file to canonical graph (ms)": canonical_ms(path, 9)
        for path in sorted(LIGHT.glob("*.onnx"))
    }
    for count in (1_000, 10_000):
        seconds, megabytes = zip(*(fresh(count) for _ in range(3)), strict=True)
        measured[f"{count:,} operations: bytes to canonical graph (s)"] = median(seconds)
        measured[f"{count:,} operations: memory beside the file (MB)"] = max(megabytes)
    started = time.perf_counter()
    for number in range(1, 21):
        to_onnx(FAMILIES["mobilenetv2"].variant(number), "random", np.random.default_rng(number))
    measured["a MobileNetV2 variant drawn and written with weights (ms)"] = 50 * (time.perf_counter() - started)
    table = Table("what", "measured")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    Console().print(table)
    record = {"date": datetime.now(UTC).date().isoformat(), "machine": environment().device}
    record |= {"tests": printed_by_tests()}
    print(*record["tests"], sep="\n")
    rounded = {name: round(value, 4) for name, value in measured.items()}
    given.out.write_text(json.dumps(record | {"measured": rounded}, indent=1) + "\n")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
