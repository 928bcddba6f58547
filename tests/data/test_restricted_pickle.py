import collections
import io
import os
import pickle
import shutil

import numpy as np
import pytest

from narformer.data.restricted_pickle import NUMPY, PLAIN, Record, Sealed, unpickle
from narformer.errors import BadFile


def read(content, table=PLAIN):
    return unpickle(io.BytesIO(content), "some.pkl", table)


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call", [(os.mkdir,), (os.system, "mkdir"), (eval, "open"), (shutil.copytree, "/"), (getattr, "")]
)
def test_nothing_is_called(call, protocol, tmp_path):
    function, *arguments = call
    trace = tmp_path / "trace"
    text = f"{arguments[0]} {trace}" if arguments else str(trace)
    with pytest.raises(BadFile, match=r"some\.pkl: found a pickle that requests .*Nothing"):
        read(pickle.dumps(Calls(function, text), protocol))
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'exit 1'\ntR.",
        b"(ios\nsystem\n.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n.",
        b"ctyping\nos.system\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"cnarformer.errors\nneeds\n.",
    ],
)
def test_names_outside_the_table_are_refused(content):
    with pytest.raises(BadFile, match="requests"):
        read(content, {**PLAIN, **NUMPY})


def test_a_stand_in_cannot_be_changed():
    before = dict(PLAIN.items())
    # BUILD on the stand-in itself, with a state that would replace what it calls
    change = b"ccollections\nOrderedDict\n(dS'_call'\nI1\nsb."
    with pytest.raises(BadFile):
        read(change)
    slots = b"ccollections\nOrderedDict\n(N(dS'_call'\nI1\nstb."
    with pytest.raises(BadFile):
        read(slots)
    assert before == PLAIN
    assert read(b"ccollections\nOrderedDict\n(tR.") == {}


def test_plain_data_comes_back(tmp_path):
    data = {
        "list": [1, 2.5, None, True, "é"],
        ("a", 1): collections.OrderedDict(x=1),
        "set": {1, 2},
        "bytes": b"\0\xff",
    }
    for protocol in (2, 4, 5):
        assert read(pickle.dumps(data, protocol), {**PLAIN, **NUMPY}) == data


@pytest.mark.parametrize("number", [np.float64(0.1), np.float32(0.5), np.int64(-3), np.bool_(True), np.uint8(9)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_become_plain_ones(number, protocol):
    back = read(pickle.dumps(number, protocol), {**PLAIN, **NUMPY})
    assert back == number
    assert type(back) in (float, int, bool)


def test_arrays_of_objects_are_refused():
    with pytest.raises(BadFile):
        read(pickle.dumps(np.array([{}], dtype=object)), {**PLAIN, **NUMPY})


def test_records_hold_fields_only():
    table = {"builtins.complex": type("Stand", (Record,), {"__slots__": ()}), **PLAIN}
    instance = read(b"\x80\x04\x8c\x08builtins\x8c\x07complex\x93)\x81}\x8c\x01x\x88sb.", table)
    assert instance.fields == {"x": True}
    with pytest.raises(BadFile):
        read(b"\x80\x04\x8c\x08builtins\x8c\x07complex\x93)\x81]b.", table)


def test_every_cut_is_found():
    whole = pickle.dumps({"a": [1, 2, 3], "b": "text"})
    for cut in range(len(whole)):
        with pytest.raises(BadFile, match=r"some\.pkl"):
            read(whole[:cut])


def test_references_need_someone_to_answer_them():
    with pytest.raises(BadFile, match="outside the pickle"):
        read(b"Psomewhere\n.")


def test_sealed_calls():
    assert Sealed(sum)([1, 2]) == 3
