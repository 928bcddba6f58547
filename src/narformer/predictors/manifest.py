"""manifest.json of a saved predictor: everything but its weights, validated on writing and on reading."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator, with_config
from typing_extensions import TypedDict  # typing's own is refused by pydantic before Python 3.12

from narformer.attributes import Attribute, Better, Condition
from narformer.errors import BadPredictor
from narformer.predictors.format_1 import upgraded
from narformer.predictors.target import Transform

FORMAT = 2
LARGEST_MANIFEST = 2**22  # bytes; the history of 6,000 epochs takes half a million


class TargetFacts(BaseModel):
    """The fields of a Target."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    transform: Transform
    scale: float = Field(gt=0)
    mean: float
    sd: float = Field(gt=0)
    knots: tuple[tuple[float, float], ...] = Field(max_length=100_000)

    @model_validator(mode="after")
    def _knots_increase(self) -> "TargetFacts":
        if self.transform == "normal-scores" and not self.knots:
            raise ValueError("knots: found an empty list; normal-scores have at least one")
        for (label, score), (next_label, next_score) in pairwise(self.knots):
            if not (label < next_label and score < next_score):
                raise ValueError(f"knots: found {(next_label, next_score)} after {(label, score)}; both must increase")
        return self


class CalibrationFacts(BaseModel):
    """The fields of a Calibration."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    level: float = Field(gt=0, lt=1)
    floor: float = Field(gt=0)
    factor: float = Field(ge=0)
    sharpness: float = Field(default=1.0, gt=0)


class NetworkDomainFacts(BaseModel):
    """The fields of a NetworkDomain's Config."""

    model_config = ConfigDict(extra="forbid")
    names: tuple[str, ...] = Field(min_length=1, max_length=5000)  # the maximum of a NetworkDomain
    features: int = Field(gt=0, le=2**10)


class CellDomainFacts(BaseModel):
    """The fields of a CellDomain."""

    model_config = ConfigDict(extra="forbid")
    vertices: int = Field(gt=0)
    edges: int = Field(ge=0)


class ConditionFacts(BaseModel):
    """The fields of a Condition."""

    model_config = ConfigDict(extra="forbid")
    runtime: str = ""
    runtime_version: str = ""
    device: str = ""
    accelerator: str = ""
    threads: int = Field(default=0, ge=0)
    batch: int = Field(default=0, ge=0)
    precision: str = ""


class AttributeFacts(BaseModel):
    """The fields of an Attribute."""

    model_config = ConfigDict(extra="forbid")
    name: str
    unit: str
    better: Better
    relative: bool
    additive: bool
    condition: ConditionFacts
    note: str = ""

    def attribute(self) -> Attribute:
        """The Attribute with these fields."""
        return Attribute(**self.model_dump(exclude={"condition"}), condition=Condition(**self.condition.model_dump()))


class PredictorFacts(BaseModel):
    """The name of a predictor in PREDICTORS; the rest is for its Config."""

    model_config = ConfigDict(extra="allow")
    name: str


@with_config(ConfigDict(extra="allow"))
class DataFacts(TypedDict, total=False):
    """The part of a recipe about the training data, as far as it is read again."""

    name: str
    file: str | None
    sha256: str | None
    label: str | list[str] | None
    split: str
    train: int
    split_seed: int | None


@with_config(ConfigDict(extra="allow"))
class RecipeFacts(TypedDict, total=False):
    """The recipe, as far as it is read again."""

    data: DataFacts


@with_config(ConfigDict(extra="allow"))
class TrainedOn(TypedDict, total=False):
    """Which networks trained and validated, and how many."""

    data: str
    label: str | list[str]
    split: str
    train: int
    validation: int


@with_config(ConfigDict(extra="allow"))
class Facts(TypedDict, total=False):
    """Facts of the training; each may be absent, and further ones are allowed."""

    system: str
    seed: int
    epochs: int
    seconds: float
    best_validation_tau: float | None
    recipe: RecipeFacts
    recipe_hash: str
    trained_on: TrainedOn
    history: list[dict[str, Any]]
    measured_error: dict[str, float | None]
    scores: dict[str, dict[str, float | None]]


class Manifest(BaseModel):
    """Everything about a saved predictor but its numbers. Attributes, targets and calibrations correspond."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[2]
    predictor: PredictorFacts
    space: str
    attributes: tuple[AttributeFacts, ...] = Field(min_length=1, max_length=1000)
    targets: tuple[TargetFacts, ...]
    calibrations: tuple[CalibrationFacts | None, ...]
    domain: NetworkDomainFacts | CellDomainFacts | None = None
    facts: Facts = {}

    @model_validator(mode="after")
    def _go_together(self) -> "Manifest":
        count = len(self.attributes)
        if {count} != {len(self.targets), len(self.calibrations)}:
            raise ValueError(
                f"found {len(self.targets)} targets and {len(self.calibrations)} calibrations for {count} attributes"
            )
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) < count:
            raise ValueError(f"found the attributes {', '.join(names)[:200]}; expected names of their own")
        label = self.facts.get("trained_on", {}).get("label", names)
        if len([label] if isinstance(label, str) else label) != count:
            raise ValueError(f"found the labels {str(label)[:200]} for {count} attributes")
        return self


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a saved predictor. Raises BadPredictor where it is missing or does not validate."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BadPredictor(f"{folder}: found no manifest.json; expected a folder that `narformer train` wrote")
    with path.open("rb") as file:
        return validated(file.read(LARGEST_MANIFEST + 1), path)


def validated(text: bytes, path: Path) -> Manifest:
    """The manifest with this text, of this format or an older one; ``path`` is named where it does not validate.

    Raises BadPredictor.
    """
    if len(text) > LARGEST_MANIFEST:
        raise BadPredictor(f"{path}: found more than {LARGEST_MANIFEST} bytes; no manifest is that large")
    try:
        content = json.loads(text)
        if isinstance(content, dict) and content.get("format") == 1:
            content = upgraded(content)
        return Manifest.model_validate_json(json.dumps(content))
    except (ValueError, RecursionError) as error:
        where, message = wrong(error)
        raise BadPredictor(f"{path}: {where!r}: {message}; it is damaged or of another version") from None


def wrong(error: Exception) -> tuple[str, str]:
    """The place and the text of the first error in a manifest."""
    if not isinstance(error, ValidationError):
        return "the file", " ".join(str(error).split())[:200]
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))[:80] or "the file"
    return where, " ".join(first["msg"].removeprefix("Value error, ").split())


def printed(value: Any, margin: str = "\n") -> str:
    """Readable JSON: one key per line, a list on one line, but each object of a list on a line of its own."""
    inner = f"{margin} "
    if isinstance(value, dict) and value:
        rows = [f"{json.dumps(key)}: {printed(part, inner)}" for key, part in value.items()]
        return "{" + inner + f",{inner}".join(rows) + margin + "}"
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "[" + inner + f",{inner}".join(map(json.dumps, value)) + margin + "]"
    return json.dumps(value)
