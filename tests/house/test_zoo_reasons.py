"""The zoo explains a difference only if the numbers of its reasons add up to it."""

import pytest
from zoo.reasons import differences, explained
from zoo.rewrites import REWRITES, rewritten


def test_facts_add_up_or_explain_nothing():
    facts = [(3, "three"), (5, "five"), (-1, "one less"), (0, "nothing")]
    assert explained(3, facts) == "three"
    assert explained(7, facts) == "three; five; one less"
    assert explained(9, facts) == ""


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: f"{rewrite.lead} {len(rewrite.more)}")
def test_a_rewrite_explains_its_multiples_and_no_more(rewrite):
    three = {kind: 3 * more for kind, more in rewrite.more.items()}
    assert rewrite.text in rewritten(three, three, {}, {})
    more = three | {"Conv": 1}
    assert rewritten(more, more, {}, {}) == ""


def test_moves_and_masks_may_differ_and_layers_may_not():
    assert rewritten({"Reshape": -2, "Gather": 1}, {}, {}, {}) == (
        "values are moved in another way: Reshape -2, Gather +1"
    )
    assert rewritten({"Where": 1}, {}, {}, {}) == "a mask is made in another way: Where +1"
    for kind in ("Conv", "Gemm", "MatMul", "Add", "LSTM"):
        assert rewritten({kind: 1}, {kind: 1}, {}, {}) == ""


def test_values_that_the_module_computes_twice():
    assert "computes twice" in rewritten({"MaxPool": -2}, {}, {}, {})


def test_a_fixed_mask_of_attention():
    module, file = {"Attention [1, 2, 4, 8] constant=16 is_causal=0": 2}, {"Attention [1, 2, 4, 8] is_causal=0": 2}
    assert rewritten({}, {}, module, file) == "a fixed mask that hides nothing is left out"


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("Conv [1, 8, 6, 6] group=1 kernel_shape=(3, 3)", "Conv [1, 8, 6, 6] group=8 kernel_shape=(5, 5)"),
        ("Gemm [1, 4] bias=1", "Gemm [1, 4] bias=0"),
        ("Softmax [4, 4] axis=1", "Softmax [4, 4] axis=0"),
    ],
)
def test_other_attributes_have_no_reason(module, file):
    assert rewritten({}, {}, {module: 1}, {file: 1}) == ""
    assert rewritten({"Reshape": 1}, {"Reshape": 1}, {module: 1}, {file: 1}) == ""


def test_other_views_outputs_and_wiring():
    module, file = {"Add [4, 4] constant=4": 1}, {"Add [1, 4, 4] constant=16": 1}
    assert "other views: Add" in rewritten({}, {}, module, file)
    assert rewritten({}, {}, module, file, [["[4, 4]"], ["[4, 4]", "[1]"]]) == ""
    assert rewritten({}, {}, {}, {}) == ""


def test_counts_that_nothing_explains_have_no_reason():
    counts = {"macs": 100, "params": 10, "unknown": {}, "uncounted": {}, "shapeless": 0, "fingerprint": "a"}
    truth = {"macs": 100, "params": 10, "fixed": 7, "dead": 0, "unused": 0, "unused_names": []}
    facts = {"truth": truth, "module": counts}
    assert list(differences(facts)) == []
    (fixed,) = differences(facts | {"module": counts | {"macs": 93}})
    assert fixed.reason.startswith("7 multiply-adds")
    (unknown,) = differences(facts | {"module": counts | {"macs": 94}})
    assert not unknown.reason
