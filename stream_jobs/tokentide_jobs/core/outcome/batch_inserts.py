"""What a batch inserts: an ordered list of tables, rows and tokens, ready to be carried out.

The order is part of the protocol: dead letters, raw rows, window deltas, subject deltas. Rows and
tokens follow from the outcome alone, so a retry of the batch makes the same list. Each insert is
computed when it is asked for: one lives at a time. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, RefusedRow
from tokentide_jobs.core.tables import DEAD_LETTERS, DELTA_TABLES, SUBJECTS, WINDOWS

__all__ = ["Insert", "dead_letters_for", "inserts_after", "inserts_of"]

_CHUNK_ROWS: Final = 10_000
_CHUNK_BYTES: Final = 8 * 1024 * 1024
"""Dead letters that are stored and published together."""


class Insert(NamedTuple):
    """Rows of one table that are stored together, and the token that makes a repetition known."""

    table: str
    rows: pa.Table
    token: str
    is_part: bool = False
    """It is a part of an insert that was too large as a whole."""

    def halves(self) -> Iterator[Insert]:
        """Yield the insert in two parts, each under a token of its own."""
        middle = self.rows.num_rows // 2
        for start, end in ((0, middle), (middle, self.rows.num_rows)):
            token = f"{self.token}/{start}-{end}"
            yield Insert(self.table, self.rows.slice(start, end - start), token, is_part=True)


def inserts_of(outcome: Outcome) -> Iterator[Insert]:
    """Yield everything that a batch inserts, in order; tables without rows are absent."""
    rows = to_arrow(DEAD_LETTERS, outcome.dead_letters)
    yield from _in_chunks(Insert(DEAD_LETTERS, rows, outcome.intent.write_token(DEAD_LETTERS)))
    del rows
    yield from _inserts_of_events(outcome, [*outcome.raw, *DELTA_TABLES])


def inserts_after(outcome: Outcome, table: str) -> Iterator[Insert]:
    """Yield the inserts from the raw table `table` on, once rows of it have been refused."""
    order = [*outcome.raw, *DELTA_TABLES]
    return _inserts_of_events(outcome, order[order.index(table) :])


def dead_letters_for(outcome: Outcome, refused: Sequence[RefusedRow]) -> list[Insert]:
    """Return the dead letters of rows that a table refused; they are stored before the others."""
    rows = to_arrow(DEAD_LETTERS, outcome.dead_letters_of(refused))
    return list(_in_chunks(Insert(DEAD_LETTERS, rows, _token(outcome, DEAD_LETTERS, refused))))


def _in_chunks(dead_letters: Insert) -> Iterator[Insert]:
    """Cut dead letters, which may be many and long, into inserts that any store has room for.

    The first one keeps the token, the others are numbered.
    """
    sizes = pc.binary_length(dead_letters.rows.column("value")).to_pylist()
    start = bytes_ = number = 0
    for end, size in enumerate(sizes):
        if end > start and (end - start == _CHUNK_ROWS or bytes_ + size > _CHUNK_BYTES):
            yield _chunk(dead_letters, number, start, end)
            start, bytes_, number = end, 0, number + 1
        bytes_ += size
    if start < len(sizes):
        yield _chunk(dead_letters, number, start, len(sizes))


def _chunk(dead_letters: Insert, number: int, start: int, end: int) -> Insert:
    token = f"{dead_letters.token}/{number}" if number else dead_letters.token
    return dead_letters._replace(rows=dead_letters.rows.slice(start, end - start), token=token)


def _inserts_of_events(outcome: Outcome, tables: Sequence[str]) -> Iterator[Insert]:
    for table in tables:
        yield from _insert_of(outcome, table)


def _insert_of(outcome: Outcome, table: str) -> list[Insert]:
    """Compute the insert of a raw table or a table of deltas; none without rows."""
    if table == WINDOWS:
        frame = outcome.fold()
    elif table == SUBJECTS:
        frame = outcome.fold_subjects()
    else:
        frame = outcome.raw[table]
    if not frame.height:
        return []
    token = _token(outcome, table, outcome.refused_of(table))
    return [Insert(table, to_arrow(table, frame), token)]


def _token(outcome: Outcome, table: str, refused: Sequence[RefusedRow]) -> str:
    """Name an insert; one that leaves rows out also by which ones: the same give the same token."""
    token = outcome.intent.write_token(table)
    if not refused:
        return token
    places = ",".join(sorted(f"{row.offset}:{row.idx}" for row in refused))
    return f"{token}/minus-{hashlib.sha256(places.encode()).hexdigest()[:16]}"
