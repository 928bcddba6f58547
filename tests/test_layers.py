"""The plan of the house: what each part may import, and which files own a heavy dependency."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "narformer"

# A part may import itself and the parts in its row: absolute, downward, no cycle.
# Wider than the first plan: training reorders columns of cells (arch) and validates a recipe's names against the tables
# of models and tokens; the command line calls what lists data and tables where it stands, without waking torch.
MAY_IMPORT = {
    # layer 0: know nothing of the rest
    "errors": set(),
    "metrics": set(),
    "garbage_collection": set(),
    "attributes": set(),
    "progress": set(),
    # networks, and columns of small ones
    "network": {"errors", "garbage_collection"},
    "formats": {"errors", "garbage_collection", "network"},
    "cells": {"errors", "network"},
    "spaces": {"errors", "network", "cells"},
    "tokens": {"errors", "network", "cells"},
    # labelled networks
    "measure": {"attributes", "errors", "garbage_collection", "network", "formats"},
    "data": {"attributes", "errors", "progress", "network", "formats", "cells", "spaces", "measure"},
    "store": {"attributes", "errors", "network", "data", "measure"},
    # what learns from them
    "models": {"errors", "tokens"},
    "predictors": {"attributes", "errors", "progress", "network", "cells", "data", "spaces", "tokens", "models"},
    "training": {
        *{"attributes", "errors", "metrics", "progress", "network", "cells", "spaces", "data", "measure", "store"},
        *{"tokens", "models", "predictors"},
    },
    "papers": {"errors", "progress", "data", "predictors", "training"},
    # what a person can ask for
    "jobs": {
        *{"attributes", "errors", "metrics", "progress", "network", "formats", "cells", "spaces", "tokens"},
        *{"measure", "data", "store", "models", "predictors", "training", "papers"},
    },
    "cli": {"", "errors", "jobs", "data", "papers"},
    "__main__": {"cli"},
}

OWNERS = {
    "torch": {
        "formats/torch_module.py",
        "formats/torch_inputs.py",
        "formats/torch_graph.py",
        "formats/torch_functional.py",
        "formats/torch_advice.py",
        "formats/torch_layout_ops.py",
        "tokens",
        "models",
        "predictors",
        "training",
        "papers/cost.py",
        "jobs/predicting.py",
        "cli/terminal.py",
    },
    "safetensors": {"predictors/saved.py", "training/checkpoint.py"},
    "scipy": {
        "metrics.py",
        "predictors/calibration.py",
        "predictors/gaussian_process.py",
        "predictors/kernel_forest.py",
        "predictors/target.py",
    },
    "sklearn": {"predictors/kernel_forest.py"},
    "pyarrow": {"data/parquet.py"},
    "pooch": {"data/folder.py"},
    "pickle": {"data/restricted_pickle.py"},
    "matplotlib": set(),
    "onnx": {
        "formats/onnx_reader.py",
        "formats/onnx_external.py",
        "formats/onnx_guard.py",
        "formats/onnx_nodes.py",
        "formats/onnx_ops.py",
        "formats/onnx_values.py",
        "formats/onnx_initializers.py",
        "formats/onnx_pass.py",
        "formats/onnx_checks.py",
        "formats/onnx_evaluation.py",
        "formats/onnx_shapes.py",
        "formats/onnx_control_flow.py",
        "formats/onnx_sequences.py",
        "formats/onnx_runtime_ops.py",
        "formats/onnx_node.py",
        "formats/onnx_writer.py",
    },
    "onnxruntime": {"measure/onnx_runtime.py"},
    "openvino": {"measure/openvino_runtime.py"},
    "psutil": set(),  # /proc and os tell enough
    "sqlalchemy": {"store"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def imports(path: Path) -> Iterator[str]:
    """Dotted names of the modules a file imports, those inside functions and ``needs(...)`` calls included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needs":
            yield ast.literal_eval(node.args[0])


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "narformer":
            assert rest.partition(".")[0] in MAY_IMPORT[part] | {part}, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_dependencies_have_owners(path: Path) -> None:
    inside = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        top = name.partition(".")[0]
        if top in OWNERS:
            assert {inside, part_of(path)} & OWNERS[top], f"{inside} imports {top}"


def test_every_part_is_in_the_plan() -> None:
    assert {part_of(path) for path in FILES} == set(MAY_IMPORT)


def test_no_file_is_a_drawer() -> None:
    drawers = {"util", "utils", "helper", "helpers", "common", "misc", "manager"}
    assert not [path for path in FILES if path.stem in drawers or part_of(path) in drawers]


def test_the_package_and_its_help_do_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, narformer, narformer.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LONGEST_FUNCTION, LONGEST_FILE, MOST_PARAMETERS = 60, 400, 8  # a command has a parameter for each option


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_fit_in_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno < LONGEST_FUNCTION, function.name
        arguments = function.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        own = [name for name in names if name not in ("self", "cls")]
        assert len(own) <= MOST_PARAMETERS or part_of(path) == "cli", function.name
