"""Bounds of the numbers in every model's Config: invalid ones are refused before anything is built or trained."""

from typing import Annotated

from pydantic import ConfigDict, Field, Strict

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Size = Annotated[int, Field(ge=1, le=2**16)]  # otherwise a saved predictor could request any amount of memory
Count = Annotated[int, Field(ge=1, le=64)]  # of layers
Counts = Annotated[tuple[Count, ...], Strict(False), Field(min_length=1, max_length=16)]  # TOML and JSON give lists
Rate = Annotated[float, Field(ge=0, le=0.99)]  # of dropout, which rounds to 1/256: 0.999 would drop everything
