"""A Recipe: everything that decides a training run except its seed, read from TOML; an unknown key stops it."""

import copy
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from narformer.data.splits import VALIDATION
from narformer.data.table_file import digest
from narformer.errors import BadRecipe, NarformerError, lookup
from narformer.models import MODELS
from narformer.predictors.build import check_options
from narformer.predictors.fitted import FITTED
from narformer.predictors.target import Transform
from narformer.tokens import TOKENIZERS


class Section(BaseModel):
    """A part of a recipe; unknown keys are refused, and numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Choice(BaseModel):
    """A name from a table and the options of the entry that differ from its defaults."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name; lists become tuples."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in (self.model_extra or {}).items()}


class Data(Section):
    """Which networks and labels: a source of the data folder or a table, a split of it, and how many train.

    file:   a table of one's own in place of a source (data/table_file.py), from the current folder; it is the name, too
    unseen: a family that only tests, all of it
    sha256: of the file's content, which stands for the file in the recipe's hash; filled in where it is not stated
    """

    name: str
    file: str | None = None
    sha256: str | None = None
    split: str = "paper"
    train: int = Field(gt=0)
    validation: int = Field(default=VALIDATION, ge=2)
    split_seed: int | None = None
    unseen: str | None = None
    label: str | None = None
    test_label: str | None = None


class TargetSection(Section):
    """How labels become what the model predicts: label x scale, then the transform fitted on training labels."""

    transform: Transform = "none"
    scale: float = 1.0


class Loss(Section):
    """regression + ranking λ1 · SR + consistency λ2 · AC + pairwise · logistic ranking loss.

    Consistency is between the twins of an augmentation; without one, between two dropouts (R-Drop, Liang et al. 2021).
    pairs: ``equal`` counts all pairs alike, ``gap`` by how far their targets are apart
    """

    regression: Literal["mse", "absolute", "relative", "none"] = "mse"
    ranking: float = 0.0
    consistency: float = 0.0
    pairwise: float = 0.0
    pairs: Literal["equal", "gap"] = "equal"


class Augmentation(Section):
    """Which reorderings of a cell's vertices twin it in training (training/augmentation.py)."""

    orderings: Literal["none", "swap", "first", "all", "unrestricted"] = "none"


class Optimiser(Section):
    """Adam with a warm-up and a schedule over all steps.

    decay: ``decoupled`` is AdamW, biases spared; ``coupled`` adds the decay to the gradient of every parameter
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = 0.01
    decay: Literal["decoupled", "coupled"] = "decoupled"
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip: float | None = None
    ema: float | None = None


class Training(Section):
    """Length of the run and which weights it keeps.

    selection: ``best`` keeps the weights with the best score on the validation networks, ``last`` the final ones;
               with an EMA both mean the averaged weights
    score:     Kendall's τ, or for what has a unit the mean absolute percentage error
    """

    epochs: int = Field(gt=0)
    batch: int = Field(gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    selection: Literal["best", "last"] = "last"
    score: Literal["tau", "mape"] = "tau"
    validate_every: int = Field(default=1, gt=0)


class SelfEvolution(Section):
    """Rounds of TNASP's self-evolution after the normal training (training/self_evolution.py)."""

    rounds: int = Field(default=5, gt=0)
    epochs: int = Field(default=20, gt=0)
    alpha: float = 0.5
    learning_rate: float = Field(default=1e-4, gt=0)
    label_rate: float = 1e-2
    multiplier_rate: float = 1e-2


class Pretraining(Section):
    """Steps on the structure of unlabelled cells before the normal training (training/pretraining.py)."""

    steps: int = Field(default=1500, gt=0)
    batch: int = Field(default=128, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)


class ExpertSection(Section):
    """A Gaussian process on the structure of the same cells, blended with the model."""

    steps: int = Field(default=150, gt=0)
    networks: int = Field(default=32, gt=0, le=1024)


class AnyRecipe(Section):
    """What every recipe has: the name of the system, and data."""

    system: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    data: Data

    def hash(self) -> str:
        """Twelve hex digits that change with anything that changes the run; a new key at its default does not.

        A table of one's own counts by its content, wherever it lies.
        """
        excluded: dict[str, Any] = {"system": True}
        if self.data.file is not None:
            excluded["data"] = {"name", "file"}
        content = json.dumps(self.model_dump(mode="json", exclude=excluded, exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


class Fitting(AnyRecipe):
    """A run without steps but for its seed: a predictor of FITTED, fitted to the training networks at once."""

    predictor: Choice

    @classmethod
    def of(cls, content: dict[str, Any], origin: str, changes: Mapping[str, Any] | None = None) -> "Fitting":
        """The recipe with this content, as Recipe.of."""
        try:
            fitting = cls.model_validate(_changed(content, origin, changes))
            lookup(FITTED, fitting.predictor.name, "predictor")
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRecipe(f"{origin}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return fitting


class Recipe(AnyRecipe):
    """One training run but for its seed."""

    tokenizer: Choice
    model: Choice
    target: TargetSection = TargetSection()
    loss: Loss = Loss()
    augmentation: Augmentation = Augmentation()
    optimiser: Optimiser = Optimiser()
    training: Training
    pretraining: Pretraining | None = None
    expert: ExpertSection | None = None
    self_evolution: SelfEvolution | None = None

    @classmethod
    def read(cls, path: Path, changes: Mapping[str, Any] | None = None) -> "Recipe":
        """The recipe in a TOML file, with ``changes`` given as dotted keys ({"data.train": 781}).

        Raises BadRecipe naming the file and the key.
        """
        return cls.of(read_content(path), str(path), changes)

    @classmethod
    def of(cls, content: dict[str, Any], origin: str, changes: Mapping[str, Any] | None = None) -> "Recipe":
        """The recipe with this content; ``origin`` is named where it does not validate."""
        content = _changed(content, origin, changes)
        data = content.get("data")
        if isinstance(data, dict) and isinstance(data.get("file"), str):
            data["name"] = Path(data["file"]).name
            data["sha256"] = data.get("sha256") or digest(data["file"])
        try:
            recipe = cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRecipe(f"{origin}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        recipe._check_options(origin)
        return recipe

    def _check_options(self, origin: str) -> None:
        try:
            check_options("model", lookup(MODELS, self.model.name, "model").Config, self.model.options)
            check_options("tokenizer", lookup(TOKENIZERS, self.tokenizer.name, "tokenizer"), self.tokenizer.options)
        except NarformerError as error:
            raise BadRecipe(f"{origin}: {error}") from None
        if self.loss.regression == "none" and not self.loss.pairwise:
            raise BadRecipe(f"{origin}: [loss] nothing to minimise: give a regression loss or a pairwise weight")


def read_content(path: Path) -> dict[str, Any]:
    """What stands in a TOML file, not validated. Raises BadRecipe."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRecipe(f"{path}: not a readable TOML recipe ({error})") from None


def _changed(content: dict[str, Any], origin: str, changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy of the content with changes to dotted keys. Raises BadRecipe where a value stands for a section."""
    content = copy.deepcopy(content)
    for key, value in (changes or {}).items():
        part = content
        *sections, last = key.split(".")
        for section in sections:
            part = part.setdefault(section, {})
            if not isinstance(part, dict):
                raise BadRecipe(f"{origin}: '{key}' cannot be set: '{section}' is a value, not a section")
        part[last] = value
    return content
