"""Attributes know from their unit which direction is better and how errors count."""

import pytest

from narformer.attributes import Attribute, Condition


@pytest.mark.parametrize(
    ("column", "unit", "better", "relative", "additive"),
    [
        ("latency_ms", "ms", "lower", True, True),
        ("time (us)", "us", "lower", True, True),
        ("latency", "", "lower", True, True),
        ("peak memory (MB)", "MB", "lower", True, False),
        ("energy_mJ", "mJ", "lower", True, True),
        ("accuracy", "", "higher", False, False),
        ("top1_%", "%", "higher", False, False),
        ("validation error", "", "lower", False, False),
        ("s", "", "higher", False, False),
        ("error (%)", "%", "lower", False, False),
        ("top1_error_%", "%", "lower", False, False),
        ("val_loss_%", "%", "lower", False, False),
        ("speed (images/s)", "", "higher", False, False),
        ("model_m", "", "higher", False, False),
        ("resolution_b", "", "higher", False, False),
        ("energy_MJ", "", "lower", True, True),
        ("memory_mb", "MB", "lower", True, False),
        ("time_s", "s", "lower", True, True),
        ("reward_x", "", "higher", False, False),
    ],
)
def test_a_columns_name_says_which_direction_is_better(column, unit, better, relative, additive):
    found = Attribute.of_column(column)
    assert (found.name, found.unit, found.better, found.relative, found.additive) == (
        column,
        unit,
        better,
        relative,
        additive,
    )


def test_a_condition_is_written_for_people_and_leaves_out_what_is_not_known():
    assert str(Condition()) == ""
    full = Condition("ONNX Runtime", "1.31", "a Xeon, 2 cores", "", 1, 1, "float32")
    assert str(full) == "ONNX Runtime, a Xeon, 2 cores, float32, 1 thread, batch 1"
    assert str(Attribute("x", note="by hand")) == "by hand"
    assert str(Attribute("x", condition=full, note="by hand")) == str(full)


def test_only_what_is_known_on_both_sides_differs():
    condition = Condition(batch=1, precision="float32")
    assert condition.unlike(1, "float32") == ()
    assert condition.unlike(None, "") == ()
    assert condition.unlike(8, "int8") == ("batch 8, measured with batch 1", "int8, measured with float32")
    assert Condition().unlike(8, "int8") == ()
