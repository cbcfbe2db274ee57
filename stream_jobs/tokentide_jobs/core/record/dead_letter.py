"""Dead letters: refused events with their place, their bytes, and why.

Every event that is not stored as a row ends as one, so that nothing is lost without a trace.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DeadLetter", "Refusal"]


class Refusal(NamedTuple):
    """Why an event is refused: a stable word, the field at fault or "", a sentence."""

    reason: str
    field: str
    detail: str


class DeadLetter(NamedTuple):
    """A refused event with its place in the log and its bytes."""

    partition: int
    offset: int
    idx: int
    reason: str
    field: str
    detail: str
    value: bytes
