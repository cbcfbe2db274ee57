"""Decode a batch of records: columns first, the model as judge.

All lines are parsed together by one column parser and checked by vectorised predicates. This fast
path may only accept; every line it is not certain about is decided by the pydantic model. So
`decode(records)` always equals judging every event one by one, only faster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from tokentide_jobs.core.decode.columns import COLUMNS, PLACE_TYPES, storage_schema
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.decode.lines import EventLines, Indices, event_lines
from tokentide_jobs.core.decode.parse import parse
from tokentide_jobs.core.decode.predicates import suspicious_rows
from tokentide_jobs.core.record.dead_letter import DeadLetter, Refusal
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import split_line
from tokentide_jobs.core.record.stand_in import bytes_behind

Frames = dict[str, list[pl.DataFrame]]

_EMPTY: Final[Mapping[tuple[str, str], pl.Expr]] = {
    (event_type, column.name): pl.lit(column.stands_for_absent, dtype=column.dtype).alias(
        column.name
    )
    for event_type, columns in COLUMNS.items()
    for column in columns
}
"""What stands for an absent field, by event type and name; most events lack most of them."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of records holds."""

    frames: dict[str, pl.DataFrame]
    """Accepted events per type, in `columns.storage_schema`, sorted by partition, offset, idx."""
    dead_letters: list[DeadLetter]
    """Refused events in the same order."""
    replaced_texts: int = 0
    """Texts of which a character could not be encoded and was replaced."""


def decode(records: Sequence[Record], window: AcceptedWindow) -> Decoded:
    """Decode the records of a batch; never raises, whatever a producer sent.

    Args:
        records: In any order; events keep the place of their record.
        window: Event times that are accepted.

    Returns:
        Accepted events as frames, and the refused ones with the reason.
    """
    events = event_lines(records)
    frames, to_judge = _accept_fast(events, window)
    if events.is_plain and any(len(split_line(line)) > 1 for line in events.lines(to_judge)):
        # The parser refuses a line of several objects; only then is it looked for.
        events = event_lines(records, splits_objects=True)
        frames, to_judge = _accept_fast(events, window)
    dead_letters, replaced_texts = _judge(events, to_judge, window, frames)
    sorted_frames = {}
    for event_type in COLUMNS:
        if parts := frames.get(event_type):
            is_sorted = len(parts) == 1 and events.is_ordered
            frame = parts[0] if is_sorted else pl.concat(parts).sort(list(PLACE_TYPES))
            sorted_frames[event_type] = frame
    return Decoded(sorted_frames, sorted(dead_letters, key=lambda one: one[:3]), replaced_texts)


def _accept_fast(events: EventLines, window: AcceptedWindow) -> tuple[Frames, Indices]:
    """Return frames of what is certainly valid, and the numbers of all other events."""
    frames: Frames = defaultdict(list)
    to_judge = np.ones(len(events), bool)
    parsed = parse(events)
    if parsed is None:
        return frames, np.flatnonzero(to_judge)
    unseen = parsed.frame.height
    for event_type in COLUMNS:
        if not unseen:
            break
        is_type = (parsed.frame["type"] == event_type).fill_null(False)
        of_type, rows = parsed.frame, np.arange(parsed.frame.height)
        if not is_type.all():
            of_type, rows = of_type.filter(is_type), np.flatnonzero(is_type.to_numpy())
        if not of_type.height:
            continue
        unseen -= of_type.height
        is_uncertain = parsed.suspicious[rows]
        is_uncertain |= suspicious_rows(of_type, event_type, window).to_numpy()
        if is_uncertain.any():
            of_type, rows = of_type.filter(pl.Series(~is_uncertain)), rows[~is_uncertain]
        accepted = parsed.indices[rows]
        places = events.places if len(rows) == len(events) else events.places[accepted]
        if of_type.height:
            frames[event_type].append(_to_storage(of_type, event_type, places))
        to_judge[accepted] = False
    return frames, np.flatnonzero(to_judge)


def _to_storage(parsed: pl.DataFrame, event_type: str, places: pl.DataFrame) -> pl.DataFrame:
    """Bring checked rows into storage form: every field of the model, in its order."""
    stored = []
    present = set(parsed.columns)
    for column in COLUMNS[event_type]:
        empty = _EMPTY[event_type, column.name]
        if column.name not in present:
            stored.append(empty)
        elif column.stands_for_absent is not None and parsed[column.name].null_count():
            stored.append(pl.col(column.name).fill_null(empty))
        else:
            stored.append(pl.col(column.name))
    return parsed.select(*stored, *places.get_columns())


def _judge(
    events: EventLines, to_judge: Indices, window: AcceptedWindow, frames: Frames
) -> tuple[list[DeadLetter], int]:
    """Judge events one by one; accepted ones are added to `frames`.

    Returns:
        The refused ones, and in how many texts a character was replaced.
    """
    dead_letters: list[DeadLetter] = []
    replaced: list[int] = []
    if not len(to_judge):
        return dead_letters, 0
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    places = events.places[to_judge].iter_rows()
    lines = events.lines(to_judge)
    for (partition, offset, idx), line in zip(places, lines, strict=True):
        verdict = judge_line(line, window, replaced.append)
        if isinstance(verdict, Refusal):
            dead_letters.append(DeadLetter(partition, offset, idx, *verdict, bytes_behind(line)))
        else:
            verdict |= {"_partition": partition, "_offset": offset, "_idx": idx}
            rows[verdict["type"]].append(verdict)
    for event_type, accepted in rows.items():
        schema = storage_schema(event_type)
        columns = {name: [row[name] for row in accepted] for name in schema}
        frames[event_type].append(pl.DataFrame(columns, schema=schema))
    return dead_letters, sum(replaced)
