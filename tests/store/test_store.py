"""What goes in comes out, on every database; nothing is changed, mixed, taken twice or half."""

import json
import re
import sqlite3
import sys
from dataclasses import replace

import pytest

from narformer.errors import BadFile, MissingExtra, MixedMachines
from narformer.measure import Environment, Machine, Measurement
from narformer.network import Architecture, Op, canonical, fingerprint
from narformer.network.tensors import ConstantOperand, Tensor
from narformer.store import ImportSummary, Store
from narformer.store.records import architecture_of, architecture_text, measurement_of, measurement_record

MACHINE = Machine("6502", "6/2", "mos", 1, ("adc", "sbc"))
HERE = Environment(MACHINE, "Apple II", "3.11", "", (("numpy", "2"), ("onnxruntime", "1")))


def net(width=4):
    ops = (
        Op.of("Input", (1, 3, 8, 8)),
        Op.of("Conv", (1, width, 8, 8), kernel_shape=(3, 3), pads=(1, 1, 1, 1)),
        Op.of("Clip", (1, width, 8, 8), min=0.0, max=6.0),
        Op.of("Sub", (1, width, 8, 8)),
    )
    return Architecture(ops, ((0, 1), (1, 2), (1, 3), (2, 3)), "net", (0, 0, 1, 0))


def taken(width=4, n=0, **changes):
    m = Measurement(
        fingerprint=fingerprint(net(width)),
        name="net",
        device="bench, float32",
        runtime="ort",
        threads=1,
        batch=1,
        dtype="float32",
        times_ns=(1000 + n, 1002, 2**52),
        warmup_ns=(5000,),
        rounds=(1, 2),
        others=0.25,
        date=f"2026-01-01T00:00:{n:02}+00:00",
        environment=HERE,
    )
    return replace(m, **changes)


@pytest.fixture
def store(url):
    with Store(url) as store:
        yield store


def test_what_goes_in_comes_out(store, url):
    first, second = taken(n=1), taken(n=2, others=None, warmup_ns=())
    assert store.add(second, net())
    assert store.add(first, net())
    assert store.find() == [first, second]
    assert store.architecture(first.fingerprint) == canonical(net())
    assert store.architecture("0" * 64) is None
    with Store(url) as again:
        assert again.find() == [first, second]
        assert len(again) == 2


def test_it_is_found_by_network_device_and_runtime(store):
    other = taken(8, device="phone, bfloat16", runtime="openvino")
    store.add(taken(), net())
    store.add(other, net(8))
    assert store.find(other.fingerprint) == store.find(device="phone, bfloat16") == store.find(runtime="openvino")
    assert store.find(other.fingerprint, "phone, bfloat16", "openvino") == [other]
    assert store.find(other.fingerprint, "bench, float32") == []
    assert store.devices() == ("bench, float32", "phone, bfloat16")


def test_the_newest_come_first_and_all_are_counted(store):
    for n, width in enumerate((4, 8, 4, 4)):
        device = "phone, float32" if n == 3 else "bench, float32"
        store.add(taken(width, n, device=device), net(width))
    print_ = fingerprint(net(4))
    found, count = store.newest(2)
    assert ([m.date[17:19] for m in found], count) == (["03", "02"], 4)
    found, count = store.newest(1, print_, ["bench, float32"], "ort")
    assert ([m.date[17:19] for m in found], count) == (["02"], 2)
    for devices, runtime in (([], None), (["none"], None), (None, "none")):
        assert store.newest(9, None, devices, runtime) == ([], 0)


def test_fingerprints_and_machines_are_looked_up(store):
    for width in (4, 8):
        store.add(taken(width), net(width))
    prints = tuple(sorted(fingerprint(net(width)) for width in (4, 8)))
    assert store.fingerprints("", 9) == prints
    assert store.fingerprints("", 1) == prints[:1]
    assert store.fingerprints(prints[1][:20], 9) == prints[1:]
    assert store.fingerprints("%", 9) == store.fingerprints("_", 9) == ()
    assert store.machine("bench, float32") == MACHINE
    assert store.machine("bench") is None


def test_the_same_measurement_is_kept_once(store):
    assert store.add(taken(), net())
    assert not store.add(taken(), net())
    assert len(store) == 1


def test_a_measurement_of_another_network_is_refused(store):
    with pytest.raises(ValueError, match="not the network"):
        store.add(taken(4), net(8))
    assert len(store) == 0


def test_machines_never_mix_under_one_name(store):
    store.add(taken(), net())
    elsewhere = replace(HERE, machine=replace(MACHINE, cores=2))
    with pytest.raises(MixedMachines, match="cores 2, not 1"):
        store.add(taken(8, n=1, environment=elsewhere), net(8))
    assert store.architecture(fingerprint(net(8))) is None  # nothing of it is left
    assert store.add(taken(n=1, environment=replace(HERE, governor="powersave")), net())


@pytest.mark.parametrize(
    "change", [{"device": "a\nb"}, {"name": "\x00"}, {"threads": 0}, {"times_ns": (-1, 2, 3)}, {"others": float("nan")}]
)
def test_what_cannot_be_kept_is_refused(store, change):
    with pytest.raises(ValueError, match=r"found|threads|time|others|device|name"):
        store.add(taken(**change), net())
    assert len(store) == 0


@pytest.mark.parametrize("table", ["measurements", "networks", "devices", "environments"])
@pytest.mark.parametrize("words", ["DELETE FROM {}", "UPDATE {} SET {}"])
def test_rows_are_never_changed(store, table, words):
    column = {"measurements": "name", "networks": "form", "devices": "machine", "environments": "record"}[table]
    store.add(taken(), net())
    with pytest.raises(Exception, match="added, never changed"), store._writing.begin() as connection:
        connection.exec_driver_sql(words.format(table, f"{column} = {column}"))
    assert store.find() == [taken()]


def test_export_and_import_lose_nothing_and_take_nothing_twice(store, tmp_path):
    for n, width in enumerate((4, 8, 4)):
        store.add(taken(width, n), net(width))
    assert store.export(tmp_path / "a.jsonl") == 3
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        other.add(taken(4, 2), net(4))
        assert other.import_(tmp_path / "a.jsonl") == ImportSummary(added=2, duplicates=1, networks=1)
        assert other.import_(tmp_path / "a.jsonl") == ImportSummary(added=0, duplicates=3, networks=0)
        assert other.find() == store.find()
        other.export(tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*.jsonl*")) == ["a.jsonl", "b.jsonl"]


@pytest.fixture
def lines(store, tmp_path):
    for n in (0, 1):
        store.add(taken(4 + n, n), net(4 + n))
    store.export(tmp_path / "good.jsonl")
    return [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]


def spoil(lines, row, path, value):
    place = lines[row]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value


@pytest.mark.parametrize(
    ("row", "path", "value"),
    [
        (0, ("format",), 99),
        (0, ("networks",), 3),
        (0, ("measurements",), 1),
        (1, ("fingerprint",), "0" * 64),
        (1, ("architecture", "ops", 0, 0), 7),
        (1, ("architecture", "edges"), [[3, 0]]),
        (1, ("architecture", "edges"), [[0, 10**30]]),
        (2, ("architecture", "ops", 1, 2), [1, 2, 3, 4]),
        (4, ("times_ns",), []),
        (4, ("times_ns",), ["now", 1, 2]),
        (4, ("times_ns",), [True, 1, 2]),
        (4, ("threads",), 2**70),
        (4, ("fingerprint",), "0" * 64),
        (4, ("environment", "machine", "cpu"), None),
        (4, ("environment", "versions"), [["a"]]),
        (4, ("device",), "\ud800"),
        (4, ("more",), 1),
    ],
)
def test_an_import_is_whole_or_nothing(lines, tmp_path, row, path, value):
    spoil(lines, row, path, value)
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        with pytest.raises(BadFile, match=r"bad\.jsonl: found in line"):
            other.import_(tmp_path / "bad.jsonl")
        assert len(other) == 0
        assert other.devices() == ()


NO_EXPORTS = {  # bytes in place of a line, by its number, and what is said of them
    "no JSON": (1, b"hello", "text that is not JSON"),
    "a picture": (1, b"\x89PNG\r\n\x1a", "bytes that are not text"),
    "a list": (1, b"[]", r"\[\] where the head of an exported store belongs"),
    "another version": (1, b'{"format":99}', "a format other than 1 and 2, which"),
    "no counts": (1, b'{"format":1,"form":3}', 'without the field "networks"'),
    "a count of another type": (1, b'{"format":1,"form":3,"networks":"2","measurements":2}', '"2" as networks'),
    "a negative count": (1, b'{"format":1,"form":3,"networks":-1,"measurements":2}', "a negative count"),
    "null": (2, b"null", "null where the line of a network belongs"),
    "no architecture": (2, b'{"fingerprint":""}', 'without the field "architecture"'),
    "a fingerprint of another type": (2, b'{"fingerprint":[],"architecture":{}}', r"\[\] as fingerprint"),
    "a number of 5000 digits": (2, b"9" * 5000, "JSON beyond the limits"),
    "lists in lists": (2, b"[" * 100_000, "JSON beyond the limits"),
    "half a line": (4, b'{"batch":1,"dat', "text that is not JSON"),
}
NO_ROWS = {  # a line's number, a place in it, what stands there, and what is said of it
    "half an operation": (2, ("architecture", "ops", 0), ["Relu"], r"\[\"Relu\"\] where an operation belongs"),
    "no operation": (2, ("architecture", "ops", 0), None, "null where an operation belongs"),
    "three ends": (2, ("architecture", "edges", 0), [0, 1, 2], "a list of 2 whole numbers"),
    "no ends": (2, ("architecture", "edges", 0), None, "a list of 2 whole numbers"),
    "no slots": (2, ("architecture", "slots"), [0] * 9, "9 slots"),
    "too large": (2, ("architecture", "ops", 1), ["LeakyRelu", {"alpha": 10**400}, [1]], "cannot have"),
    "no axes": (2, ("architecture", "ops", 1), ["Transpose", {"perm": [7, 9, 8, 5]}, [1]], "network"),
    "unknown field": (4, ("x\n",), 1, r'the unknown field "x\\n"'),
    "text for a number": (4, ("threads",), "1", '"1" as threads of a measurement, where a whole number belongs'),
    "no times": (4, ("times_ns",), [], r"of 0 times"),
    "null times": (4, ("times_ns",), None, "null as times_ns"),
    "a text as time": (4, ("times_ns",), ["a"], "a list of whole numbers"),
    "negative time": (4, ("times_ns",), [-1, 1, 1], "a time that is not within"),
    "huge time": (4, ("times_ns",), [10**30, 1, 1], "a time that is not within"),
    "other cores": (4, ("others",), 10**400, "as others of a measurement"),
    "no number of cores": (4, ("others",), float("nan"), "NaN as others"),
    "huge cores": (4, ("environment", "machine", "cores"), 10**30, "cores of a machine"),
    "no environment": (4, ("environment",), None, "null as environment"),
    "half a version": (4, ("environment", "versions"), [["a"]], "a list of 2 printable texts"),
    "no such network": (4, ("fingerprint",), "0" * 64, "a network that the file does not hold"),
}


def refused(path, number, says):
    with Store(f"sqlite:///{path.parent}/other.sqlite") as other:
        with pytest.raises(BadFile, match=says) as error:
            other.import_(path)
        assert (len(other), other.devices()) == (0, ())
    text = str(error.value)
    assert f"found in line {number} " in text
    assert "expected a store exported by narformer. Export it again." in text
    assert text.isprintable()  # one line
    assert not re.search(r"NoneType|object|<class|unpack|codec|char \d|subscript|indices|None", text)


@pytest.mark.parametrize("name", NO_EXPORTS)
def test_a_line_that_is_none_is_told_in_plain_words(lines, tmp_path, name):
    number, text, says = NO_EXPORTS[name]
    whole = (tmp_path / "good.jsonl").read_bytes().splitlines()
    (tmp_path / "bad.jsonl").write_bytes(
        b"".join(line + b"\n" for line in (*whole[: number - 1], text, *whole[number:]))
    )
    refused(tmp_path / "bad.jsonl", number, says)


@pytest.mark.parametrize("name", NO_ROWS)
def test_a_value_that_does_not_belong_is_told_in_plain_words(lines, tmp_path, name):
    number, path, value, says = NO_ROWS[name]
    spoil(lines, number - 1, path, value)
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused(tmp_path / "bad.jsonl", number, says)


@pytest.mark.parametrize("field", ["date", "times_ns", "environment", "fingerprint"])
def test_a_field_that_is_missing_is_named(lines, tmp_path, field):
    del lines[3][field]
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    refused(tmp_path / "bad.jsonl", 4, f'a measurement without the field "{field}"')


def test_a_cut_file_is_refused(lines, tmp_path):
    good = (tmp_path / "good.jsonl").read_bytes()
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        for cut in (0, 1, len(good) // 2, len(good) - 1):
            (tmp_path / "cut.jsonl").write_bytes(good[:cut])
            with pytest.raises(BadFile):
                other.import_(tmp_path / "cut.jsonl")
        (tmp_path / "deep.jsonl").write_bytes(b"[" * 100_000 + b"\n")
        with pytest.raises(BadFile):
            other.import_(tmp_path / "deep.jsonl")
        with pytest.raises(BadFile, match="No such file"):
            other.import_(tmp_path / "none.jsonl")
        assert len(other) == 0


def test_fingerprints_of_another_canonical_form_are_taken_anew(lines, tmp_path):
    old = {line["fingerprint"]: f"{n:064}" for n, line in enumerate(lines[1:3])}
    lines[0]["form"] -= 1
    for line in lines[1:]:
        line["fingerprint"] = old[line["fingerprint"]]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Store(f"sqlite:///{tmp_path}/other.sqlite") as other:
        other.import_(tmp_path / "old.jsonl")
        assert other.find(fingerprint(net(4))) == [taken(4, 0)]


def test_a_network_of_an_older_form_is_exported_in_todays(tmp_path, monkeypatch):
    ops = (Op.of("Input", (1, 2, 4, 8)), Op.of("Attention", (1, 2, 4, 8), is_causal=1))
    network = Architecture(ops, ((0, 1),) * 3, "net", (0, 1, 2))  # an older form kept a causal mask as an attribute
    with Store(f"sqlite:///{tmp_path}/old.sqlite") as old:
        with monkeypatch.context() as then:
            then.setattr("narformer.network.canonical_rules.RULES", {})
            then.setattr("narformer.store.store.FORM", 3)
            form = canonical(network)
            old.add(replace(taken(4, 0), fingerprint=fingerprint(form)), form)
        old.export(tmp_path / "file.jsonl")
    with Store(f"sqlite:///{tmp_path}/new.sqlite") as new:
        assert new.import_(tmp_path / "file.jsonl") == ImportSummary(1, 0, 1)
        assert [found.fingerprint for found in new.find()] == [fingerprint(network)]
        assert fingerprint(network) != fingerprint(form)


def test_records_are_read_back():
    assert measurement_of(measurement_record(taken())) == taken()
    assert architecture_of(architecture_text(net())) == canonical(net())


def test_constants_of_a_network_are_read_back():
    table = ConstantOperand(1, (16, 4), (Tensor(64, "float16", False, 3), Tensor(4, "int4")))
    ops = (Op.of("Input", (1, 16, 4)), replace(Op.of("Add", (1, 16, 4), constant=64), constants=(table,)))
    network = canonical(Architecture(ops, ((0, 1),)))
    assert [tensor.dtype for tensor in network.ops[1].constants[0].tensors] == ["float16", "int4"]
    assert architecture_of(architecture_text(network)) == network


@pytest.mark.parametrize(
    "constants", [[[1, [4], [[4, "float32", 1]]]], [["1", [4], []]], [[1, "4", []]], [4], [[1, [4], [[-4, "", 1, 0]]]]]
)
def test_constants_that_are_none_are_refused(constants):
    text = json.dumps({"ops": [["Input", {}, [4]], ["Add", {}, [4], constants]], "edges": [[0, 1]], "slots": []})
    with pytest.raises(ValueError, match="belongs"):
        architecture_of(text)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "text").write_text("not a database, certainly not one at all" * 100)
    with pytest.raises(BadFile, match="file is not a database"):
        Store(f"sqlite:///{tmp_path}/text")
    with pytest.raises(BadFile, match="unable to open"):
        Store(f"sqlite:///{tmp_path}/none/such")


def test_a_newer_store_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    Store(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_versions VALUES (99)")
    with pytest.raises(BadFile, match="version 99"):
        Store(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["", "store.sqlite", "sqlite://", "mysql://a@b/c"])
def test_addresses_that_are_none_are_refused(url):
    with pytest.raises(BadFile, match="sqlite:///path"):
        Store(url)


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"narformer\[postgres\]"):
        Store("postgresql://someone:secret@nowhere/none")
