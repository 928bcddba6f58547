"""Manifests of format 1, for neural predictors of one attribute only, converted to format 2."""

import re
from typing import Any

from narformer.attributes import Attribute, Condition

__all__ = ["renamed", "upgraded"]

# Format 1 kept the condition as a sentence: "ONNX Runtime, a CPU, 2 cores, float32, 1 thread, batch 1".
_CONDITION = re.compile(
    r"(?P<runtime>[^,]+), (?P<device>.+), (?P<precision>[a-z]+[0-9]+), "
    r"(?P<threads>[0-9]+) threads?, batch (?P<batch>[0-9]+)"
)


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a manifest of format 2 for one of format 1; unknown keys stay, to be refused there."""
    content = dict(content)
    attribute, calibration = content.pop("attribute", None), content.pop("calibration", None)
    process, facts = content.pop("expert", None), dict(content.pop("facts", None) or {})
    neural = {
        "name": "neural",
        "tokenizer": content.pop("tokenizer", None),
        "model": content.pop("model", None),
        "precision": content.pop("precision", None),
        "gaussian_processes": [process] if process else [],
    }
    largest = facts.pop("largest", None)
    if isinstance(facts.get("scores"), dict) and isinstance(attribute, dict):
        facts["scores"] = {str(attribute.get("name")): facts["scores"]}
    return content | {
        "format": 2,
        "predictor": neural,
        "attributes": [_attribute(attribute)],
        "targets": [content.pop("target", None)],
        "calibrations": [calibration],
        "domain": content.pop("domain", None) or largest,
        "facts": facts,
    }


def renamed(name: str) -> str:
    """The name in format 2 of a tensor of format 1."""
    return f"gaussian_process.0.{name.removeprefix('expert.')}" if name.startswith("expert.") else name


def _attribute(found: Any) -> Any:
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("name", "unit")):
        return found  # refused where the manifest is checked
    note = found.get("note", "")
    match = _CONDITION.fullmatch(note) if isinstance(note, str) else None
    condition = Condition()
    if match is not None:
        condition = Condition(
            runtime=match["runtime"],
            device=match["device"],
            threads=int(match["threads"]),
            batch=int(match["batch"]),
            precision=match["precision"],
        )
    attribute = Attribute.of(found["name"], found["unit"], condition=condition)
    fields = vars(attribute) | {"condition": vars(condition), "note": "" if match else note}
    return fields | {key: value for key, value in found.items() if key not in ("name", "unit", "note")}
