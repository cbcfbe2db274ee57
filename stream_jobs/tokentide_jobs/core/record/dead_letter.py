"""Dead letters: refused events with their place, their bytes, and why.

Every event that is not stored as a row ends as one, so that nothing is lost without a trace.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "DETAIL_CHARACTERS",
    "REASONS",
    "REFUSED_BY_STORE",
    "UNREADABLE",
    "VOIDED",
    "DeadLetter",
    "Refusal",
]

REFUSED_BY_STORE: Final = "refused_by_store"
"""The event was accepted and the table could not hold its row."""
UNREADABLE: Final = "unreadable"
"""The program itself failed on the record."""
VOIDED: Final = "voided"
"""The event was taken out by its id before this record of it was read."""
REASONS: Final = (
    "empty",
    "not_utf8",
    "malformed_json",
    "not_an_object",
    "not_otlp",
    "too_large",
    "too_many_events",
    "unknown_type",
    "missing_field",
    "wrong_type",
    "out_of_range",
    "too_long",
    "bad_value",
    "inconsistent",
    "too_old",
    "too_far_ahead",
    REFUSED_BY_STORE,
    UNREADABLE,
    VOIDED,
)
"""Every reason there is: stable words for counters, dead letters and alerts."""

DETAIL_CHARACTERS: Final = 300
"""So much is kept of an error's own words."""


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
