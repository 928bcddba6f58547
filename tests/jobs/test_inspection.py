"""`narformer inspect`: what it counts, what it shows, and what a hostile file cannot do to it."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from narformer.cli import app, main
from narformer.errors import BadArchitecture
from narformer.jobs.inspection import LEVELS, Inspection, inspect
from narformer.network import cost, fingerprint
from narformer.spaces.families import FAMILIES

RESNET50 = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_resnet50.onnx"
HOSTILE = "[bold red]x[/] \x1b[2J :bug: [/nope]"


def tiny(folder: Path, *nodes: onnx.NodeProto, shape: tuple[int | str, ...] = (1, 3, 8, 8)) -> Path:
    """A file of these nodes from "x" to "y"; "w" holds the weights of a 3x3 convolution of 3 channels to 4."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 3, 3), [0.0] * 108)
    ends = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(list(nodes), "tiny", *ends, [weight])
    path = folder / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


def conv(name: str, output: str = "y") -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], [output], name, pads=[1, 1, 1, 1])


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that `narformer inspect` leaves when it refuses its words."""

    def start(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["narformer", "inspect", *words])
        with pytest.raises(SystemExit) as exit_:
            main()
        stdout, stderr = capsys.readouterr()
        assert (exit_.value.code, stdout, len(stderr.splitlines())) == (2, "", 1), stderr
        return stderr

    return start


def shown(*words: str, width: int = 100) -> str:
    result = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["inspect", *words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def resnet50() -> Inspection:
    return inspect(RESNET50)


def test_resnet50_as_json() -> None:
    found = json.loads(shown(str(RESNET50), "--json"))
    assert (found["params"], found["macs"]) == (25_557_032, 4_089_184_256)
    assert found["coverage"]["known"]["Conv"] == 53
    assert found["coverage"]["unknown"] == {}
    assert found["inputs"] == [["gpu_0/data_0", [1, 3, 224, 224]]]
    assert [shape for _, shape in found["outputs"]] == [[1, 1000]]
    assert len(found["fingerprint"]) == 64
    assert set(found["conventions"]) == {"macs", "flops", "params", "constants", "stored_bytes", "activation_bytes"}
    assert (found["constants"], found["stored_bytes"]) == (53_120, 4 * (25_557_032 + 53_120))
    stem = found["layers"][1]
    assert (stem["kind"], stem["shape"], stem["macs"]) == ("Conv", [1, 64, 112, 112], 118_013_952)


def test_the_parts_sum_to_the_whole(resnet50: Inspection) -> None:
    for parts in (resnet50.layers, resnet50.kinds):
        assert sum(part.macs or 0 for part in parts) == resnet50.macs
        assert sum(part.flops or 0 for part in parts) == resnet50.flops
        assert sum(part.params or 0 for part in parts) == resnet50.params
        assert sum((p.read_bytes or 0) + (p.written_bytes or 0) for p in parts) == resnet50.activation_bytes
        assert sum(part.share for part in parts) == pytest.approx(1)
    assert sum(part.layers for part in resnet50.kinds) == resnet50.operations


def test_the_text_holds_coverage_conventions_and_ten_layers() -> None:
    text = shown(str(RESNET50))
    for words in ("177 of 177 operations known", "239 dropped (constant)", "4,089,184,256: multiply-adds", "as NNLQP"):
        assert words in text
    assert "10 of 177 layers, most MACs first" in text
    assert re.search(r"n0 +Conv +1x64x112x112 +118 M +9\.41 k +2\.9 +2\.9 +█", text)
    assert "177 of 177 layers" in shown(str(RESNET50), "--all")
    assert "by module" not in text  # this file names none


def test_modules_nest(tmp_path: Path) -> None:
    names = ["/stem/conv/Conv", "/stem/act/Relu", "/head/Relu"]
    nodes = [conv(names[0], "a"), helper.make_node("Relu", ["a"], ["b"], names[1])]
    path = tiny(tmp_path, *nodes, helper.make_node("Sigmoid", ["b"], ["y"], names[2]))
    found = inspect(path)
    assert [(part.name, part.layers, part.macs) for part in found.modules] == [
        ("stem", 2, 64 * 108),
        ("stem.conv", 1, 64 * 108),
        ("stem.act", 1, 0),
        ("head", 1, 0),
    ]
    assert re.search(r"stem\.conv +1 +6\.91 k", shown(str(path)))


def test_a_deep_module_path_is_cut(tmp_path: Path) -> None:
    found = inspect(tiny(tmp_path, conv("/" + "a/" * 90 + "Conv")))
    assert len(found.modules) == LEVELS


def test_an_operation_without_a_rule_is_named(tmp_path: Path) -> None:
    path = tiny(tmp_path, conv("c", "a"), helper.make_node("Strange", ["a"], ["y"], "s", domain="my"))
    found = json.loads(shown(str(path), "--json"))
    assert found["coverage"]["unknown"] == {"my.Strange": 1}
    assert found["layers"][-1]["macs"] is None
    assert found["kinds"][-1]["uncounted"] == 1
    text = shown(str(path))
    assert "UNKNOWN: my.Strange x 1" in text
    assert "not counted" in text


def test_a_network_without_products_is_ranked_by_flops(tmp_path: Path) -> None:
    path = tiny(tmp_path, helper.make_node("Sigmoid", ["x"], ["y"], "s"))
    assert [layer.share for layer in inspect(path).layers] == [0, 1]
    assert "most FLOPs first" in shown(str(path))


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    path = tiny(tmp_path, conv(HOSTILE)).rename(tmp_path / "[red]t\x1b[2J.onnx")
    text = shown(str(path), "--all", width=200)
    assert "\x1b" not in text
    assert "[bold red]x[/] ?[2J :bug: [/nope]" in text
    assert "[red]t?[2J" in text
    assert json.loads(shown(str(path), "--json"))["layers"][1]["name"] == "[bold red]x[/] ?[2J :bug: [/nope]"


def test_open_dimensions_are_bound(tmp_path: Path, wrong: Callable[..., str]) -> None:
    path = str(tiny(tmp_path, conv("c"), shape=("batch", 3, 8, 8)))
    assert "--dim batch=1" in wrong(path)
    assert "batch" in wrong(path, "--dim", "btach=1")
    for words, macs in ((["--dim", "batch=2"], 2 * 64 * 108), (["--input", "x:1x3x4x4"], 16 * 108)):
        assert json.loads(shown(path, *words, "--json"))["macs"] == macs
    for option, text in (("--dim", "batch"), ("--dim", "batch=-1"), ("--dim", "batch=1x2"), ("--input", "x:1xax4x4")):
        assert text in wrong(path, option, text)
    with pytest.raises(BadArchitecture, match="batch"):
        inspect(path)


def test_what_is_no_model_is_one_line(tmp_path: Path, wrong: Callable[..., str]) -> None:
    (tmp_path / "notes.onnx").write_text("this is no model\n" * 20)
    (tmp_path / "empty.onnx").touch()
    for name in ("notes.onnx", "empty.onnx", "missing.onnx", "."):
        assert name in wrong(str(tmp_path / name))


def test_help_has_an_example_and_json() -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(app, ["inspect", "--help"]).output)
    assert "Example: narformer inspect model.onnx" in " ".join(text.split())
    for option in ("--json", "--all", "--dim", "--input"):
        assert option in text


def test_a_network_of_a_family_is_inspected_by_its_name():
    found = inspect("squeezenet/0")
    counted = cost(FAMILIES["squeezenet"].variant(0))
    assert (found.params, found.flops) == (counted.params, counted.flops)
    assert found.fingerprint == fingerprint(FAMILIES["squeezenet"].variant(0))
