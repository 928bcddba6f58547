"""From names and options to a tokenizer and a model whose widths agree."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import torch
from pydantic import ValidationError

from narformer.errors import BadRecipe, lookup
from narformer.models import MODELS, Model
from narformer.tokens import TOKENIZERS, Batch, CellTokenizer, Packed, Tokenizer

DERIVED = frozenset({"vocabulary", "features", "whole", "kinds", "targets"})  # decided by the data and the tokenizer
NAMING = ("severed", "absent", "identities")  # options of tokenizers that name operations
LONGEST_ECHO = 80  # characters of a wrong value that an error repeats


def make_tokenizer(name: str, options: Mapping[str, Any], vocabulary: tuple[str, ...]) -> Tokenizer:
    """The tokenizer called ``name`` over a space's operations. Raises UnknownName or BadRecipe."""
    tokenizer: Tokenizer = _build(
        "tokenizer", lookup(TOKENIZERS, name, "tokenizer"), options, {"vocabulary": vocabulary}
    )
    return tokenizer


def make_model(
    name: str, options: Mapping[str, Any], tokenizer: Tokenizer, seed: int = 0, attributes: int = 1
) -> Model:
    """The model called ``name``, as wide as the tokenizer's tokens, for T attributes, with the seed's initial weights.

    Raises UnknownName, or BadRecipe also where the model does not read the tokenizer's output.
    """
    model = lookup(MODELS, name, "model")
    cells = isinstance(tokenizer, CellTokenizer)
    if (Batch if cells else Packed) not in model.reads:
        made, read = ("cells", "whole networks") if cells else ("whole networks", "cells")
        raise BadRecipe(f"[model] '{name}' reads {read}; the tokenizer '{_name(tokenizer)}' is of {made}")
    config = _build("model", model.Config, options, _widths(tokenizer, attributes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(config)


def check_options(kind: str, accepts: Any, options: Mapping[str, Any]) -> None:
    """Raise BadRecipe for an unknown option of the tokenizer or model, or an invalid value.

    Values that depend on the data or on the other section are checked by make_tokenizer and make_model, not here.
    """
    heads = options.get("heads")
    named = [name for option in NAMING if _names(options.get(option)) for name in options[option]]
    stand_ins = {
        # a width that every number of heads divides; and a vocabulary that contains the named operations
        "features": 8 * heads if isinstance(heads, int) and 0 < heads < 2**13 else 480,
        "vocabulary": tuple(dict.fromkeys(named)),
        "whole": 1,
        "kinds": 1,
        "targets": 1,
    }
    _build(kind, accepts, options, stand_ins)


def model_options(model: Model) -> dict[str, Any]:
    """Every field of the model's Config, for the manifest."""
    return asdict(model.config)


def _name(tokenizer: Tokenizer) -> str:
    return next(name for name, kind in TOKENIZERS.items() if kind is type(tokenizer))


def _widths(tokenizer: Tokenizer, attributes: int) -> dict[str, int]:
    return {
        "features": tokenizer.features,
        "whole": tokenizer.whole,
        "kinds": tokenizer.kinds,
        "targets": attributes,
    }


def _build(kind: str, accepts: Any, options: Mapping[str, Any], derived: Mapping[str, Any]) -> Any:
    """``accepts`` with these options, or BadRecipe naming the first option that is wrong."""
    known = {field.name for field in fields(accepts)}
    for option in options:
        if option not in known:
            raise BadRecipe(f"[{kind}] has no option {option!r}; it has {', '.join(sorted(known - DERIVED))}")
        if option in DERIVED:
            raise BadRecipe(f"[{kind}] {option}: found {_cut(options[option])}; expected no value: the data decide it")
    try:
        return accepts(**{k: v for k, v in derived.items() if k in known}, **options)
    except ValidationError as error:
        raise BadRecipe(f"[{kind}] {_said(error)}") from None


def _said(error: ValidationError) -> str:
    """The first error, in one line."""
    first = error.errors()[0]
    if not first["loc"]:  # from __post_init__, which names the key itself
        return first["msg"].removeprefix("Value error, ")
    key, message = ".".join(map(str, first["loc"])), first["msg"]
    if first["type"] == "missing":
        return f"{key}: found nothing; it has no default"
    because = " (which the tokenizer decides)" if key in DERIVED else ""
    expected = message.replace("Input should be", "expected", 1)
    return f"{key}: found {_cut(first['input'])}{because}; {expected}"


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_ECHO else f"{text[:LONGEST_ECHO]}…"


def _names(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)
