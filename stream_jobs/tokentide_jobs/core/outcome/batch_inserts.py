"""What a batch inserts: an ordered list of tables, rows and tokens, ready to be carried out.

The order is part of the protocol: dead letters, raw rows, window deltas. Rows and tokens follow
from the outcome alone, so whoever writes the batch again makes the same list. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, RefusedRow
from tokentide_jobs.core.tables import DEAD_LETTERS, WINDOWS

__all__ = ["Insert", "dead_letters_for", "inserts_after", "inserts_of"]


class Insert(NamedTuple):
    """Rows of one table that are stored together, and the token that makes a repetition known."""

    table: str
    rows: pa.Table
    token: str


def inserts_of(outcome: Outcome) -> list[Insert]:
    """Return everything that a batch inserts, in order; tables without rows are absent."""
    found = []
    if outcome.dead_letters.height:
        rows = to_arrow(DEAD_LETTERS, outcome.dead_letters)
        found.append(Insert(DEAD_LETTERS, rows, outcome.intent.write_token(DEAD_LETTERS)))
    return found + _inserts_of_events(outcome)


def inserts_after(outcome: Outcome, table: str) -> list[Insert]:
    """Return the inserts from the raw table `table` on, once rows of it have been refused."""
    inserts = _inserts_of_events(outcome)
    order = [*outcome.raw, WINDOWS]
    return [one for one in inserts if order.index(one.table) >= order.index(table)]


def dead_letters_for(outcome: Outcome, refused: Sequence[RefusedRow]) -> Insert:
    """Return the dead letters of rows that a table refused; they are stored before the others."""
    rows = to_arrow(DEAD_LETTERS, outcome.dead_letters_of(refused))
    return Insert(DEAD_LETTERS, rows, _token(outcome, DEAD_LETTERS, refused))


def _inserts_of_events(outcome: Outcome) -> list[Insert]:
    found = [
        Insert(table, to_arrow(table, rows), _token(outcome, table, outcome.refused_of(table)))
        for table, rows in outcome.raw.items()
        if rows.height
    ]
    deltas = outcome.fold()
    if deltas.height:
        found.append(Insert(WINDOWS, to_arrow(WINDOWS, deltas), _token(outcome, WINDOWS, ())))
    return found


def _token(outcome: Outcome, table: str, refused: Sequence[RefusedRow]) -> str:
    """Name an insert; one that leaves rows out also by which ones: the same give the same token."""
    token = outcome.intent.write_token(table)
    if not refused:
        return token
    places = ",".join(sorted(f"{row.offset}:{row.idx}" for row in refused))
    return f"{token}/minus-{hashlib.sha256(places.encode()).hexdigest()[:16]}"
