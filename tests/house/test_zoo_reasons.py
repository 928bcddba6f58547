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


def test_counts_that_nothing_explains_have_no_reason():
    counts = {"macs": 100, "params": 10, "unknown": {}, "uncounted": {}, "shapeless": 0, "fingerprint": "a"}
    truth = {"macs": 100, "params": 10, "fixed": 7, "dead": 0, "unused": 0, "unused_names": []}
    facts = {"truth": truth, "module": counts}
    assert list(differences(facts)) == []
    (fixed,) = differences(facts | {"module": counts | {"macs": 93}})
    assert fixed.reason.startswith("7 multiply-adds")
    (unknown,) = differences(facts | {"module": counts | {"macs": 94}})
    assert not unknown.reason
