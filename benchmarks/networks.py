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


def decoder(layers: int = 32, width: int = 4096, inner: int = 11_008, heads: int = 32, past: int = 1023) -> bytes:
    """One step of a decoder of 6.7 billion parameters (Llama 7B) with a cache, its weights in another file."""
    nodes, weights, inputs, outputs = [], [], [], []
    size = width // heads

    def stored(name: str, *dims: int) -> str:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=dims, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="decoder.onnx.data")
        weights.append(tensor)
        return name

    def node(kind: str, *operands: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, operands, [f"{kind}_{len(nodes)}"], name=f"n{len(nodes)}", **attributes))
        return str(nodes[-1].output[0])

    def constant(*values: int) -> str:
        return node("Constant", value=helper.make_tensor("c", TensorProto.INT64, [len(values)], values))

    def norm(value: str, name: str) -> str:
        square = node("ReduceMean", node("Mul", value, value), constant(-1))
        return node("Mul", node("Mul", value, node("Reciprocal", node("Sqrt", square))), stored(name, width))

    def turned(value: str) -> str:
        half, end = constant(size // 2), constant(size)
        first = node("Slice", value, constant(0), half, constant(-1))
        second = node("Neg", node("Slice", value, half, end, constant(-1)))
        return node("Add", node("Mul", value, "cos"), node("Mul", node("Concat", second, first, axis=-1), "sin"))

    state = node("Gather", stored("table", 32_000, width), "tokens")
    for layer in range(layers):
        x = norm(state, f"{layer}.norm")
        q, k, v = (
            node("Transpose", node("Reshape", node("MatMul", x, stored(f"{layer}.{name}", width, width)),
                                   constant(1, -1, heads, size)), perm=[0, 2, 1, 3])
            for name in "qkv"
        )  # fmt: skip
        cached = [1, heads, past, size]
        inputs += [helper.make_tensor_value_info(f"{layer}.{name}", 10, cached) for name in ("keys", "values")]
        keys = node("Concat", f"{layer}.keys", turned(k), axis=2)
        values = node("Concat", f"{layer}.values", v, axis=2)
        outputs += [keys, values]
        scores = node("Softmax", node("MatMul", turned(q), node("Transpose", keys, perm=[0, 1, 3, 2])), axis=-1)
        mixed = node("Transpose", node("MatMul", scores, values), perm=[0, 2, 1, 3])
        flat = node("Reshape", mixed, constant(1, -1, width))
        state = node("Add", state, node("MatMul", flat, stored(f"{layer}.o", width, width)))
        x = norm(state, f"{layer}.second_norm")
        gate, up = (node("MatMul", x, stored(f"{layer}.{name}", width, inner)) for name in ("gate", "up"))
        product = node("Mul", node("Mul", gate, node("Sigmoid", gate)), up)
        state = node("Add", state, node("MatMul", product, stored(f"{layer}.down", inner, width)))
    outputs.append(node("MatMul", norm(state, "norm"), stored("head", width, 32_000)))
    inputs += [helper.make_tensor_value_info("tokens", 7, [1, 1])]
    inputs += [helper.make_tensor_value_info(name, 10, [1, 1, 1, size]) for name in ("cos", "sin")]
    ends = [helper.make_tensor_value_info(name, 10, None) for name in outputs]
    graph = helper.make_graph(nodes, "decoder", inputs, ends, weights)
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


def fresh(name: str) -> tuple[float, float]:
    """Seconds and additional peak memory (MB) of one import of a network of MADE in a separate process."""
    command = [sys.executable, __file__, "--import-made", name]
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


MADE = {
    "1,000 operations": lambda: chain(1_000),
    "10,000 operations": lambda: chain(10_000),
    "a decoder of 7 billion parameters": decoder,
}


def import_made(name: str) -> None:
    content = MADE[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    fingerprint(read_onnx(content).architecture)
    spent = time.perf_counter() - started
    print(spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path, default=ROOT / "results" / "benchmark_networks.json")
    arguments.add_argument("--import-made", choices=MADE, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.import_made:
        import_made(given.import_made)
        return
    measured = {
        f"{path.stem.removeprefix('light_')}: file to canonical graph (ms)": canonical_ms(path, 9)
        for path in sorted(LIGHT.glob("*.onnx"))
    }
    for name in MADE:
        seconds, megabytes = zip(*(fresh(name) for _ in range(3)), strict=True)
        measured[f"{name}: bytes to canonical graph (s)"] = median(seconds)
        measured[f"{name}: memory beside the file (MB)"] = max(megabytes)
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
