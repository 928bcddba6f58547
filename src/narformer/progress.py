"""How long work reports how far it is: one kind of callback for training, measuring, reading and scoring."""

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int, float | None], None]
"""Called with (phase, done, total, validation score or None) as work goes on."""


def silent(phase: str, done: int, total: int, score: float | None) -> None:
    """Progress that nobody watches."""
