"""Decode a batch of records: columns first, the model as judge.

All lines are parsed together by one column parser and checked by vectorised predicates. This fast
path may only accept; every line it is not certain about is decided by the pydantic model. So
`decode(records)` always equals judging every event one by one, only faster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import le
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.columns import COLUMNS, COORDINATES, parse_schema, storage_schema
from tokentide_jobs.core.judge import Refusal, Rejection, judge_line
from tokentide_jobs.core.maps import MAP_COLUMNS, is_plain, store_maps
from tokentide_jobs.core.predicates import suspicious_rows
from tokentide_jobs.core.records import BRACE_OPEN, AcceptedWindow, Record, split_record
from tokentide_jobs.core.scan import GROUPS, PADDING, Positions, Scan, key_ending_at, scan
from tokentide_jobs.core.wellformed import certainly_parsed
from tokentide_schemas.fields import MAX_EVENT_BYTES

_ALWAYS_PARSED: Final = ("type", "event_id", "started_at_us", "service", "schema_version")
_NEVER_NULL: Final = frozenset(
    column.name
    for columns in COLUMNS.values()
    for column in columns
    if not column.is_nullable and not column.is_required
)
"""Fields with a default: they may be absent, an explicit null is an error."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of records holds."""

    frames: dict[str, pl.DataFrame]
    """Accepted events per type, in `columns.storage_schema`, sorted by partition, offset, idx."""
    rejections: list[Rejection]
    """Refused events in the same order."""

    @property
    def accepted(self) -> int:
        """Return the number of accepted events."""
        return sum(frame.height for frame in self.frames.values())


@dataclass(frozen=True, slots=True)
class _Events:
    """The events of a batch with their places in the log."""

    lines: list[bytes]
    places: pl.DataFrame
    is_ordered: bool

    @classmethod
    def of(cls, records: Sequence[Record]) -> _Events:
        split = [split_record(record.value) for record in records]
        counts = np.fromiter(map(len, split), np.int64, len(split))
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        places = {
            "_partition": np.repeat(np.array([one.partition for one in records], int), counts),
            "_offset": np.repeat(np.array([one.offset for one in records], int), counts),
            "_idx": np.arange(len(firsts)) - firsts,
        }
        coordinates = [record[:2] for record in records]
        return cls(
            lines=[line for part in split for line in part],
            places=pl.DataFrame(places).select(pl.col(n).cast(t) for n, t in COORDINATES.items()),
            is_ordered=all(map(le, coordinates, coordinates[1:])),
        )


def decode(records: Sequence[Record], window: AcceptedWindow) -> Decoded:
    """Decode the records of a batch; never raises, whatever a producer sent.

    Args:
        records: In any order; events keep the place of their record.
        window: Event times that are accepted.

    Returns:
        Accepted events as frames, and the refused ones with the reason.
    """
    events = _Events.of(records)
    frames, undecided = _accept_fast(events, window)
    rejections = _judge(events, undecided, window, frames)
    order = list(COORDINATES)
    sorted_frames = {}
    for event_type in COLUMNS:
        if parts := frames.get(event_type):
            is_sorted = len(parts) == 1 and events.is_ordered
            sorted_frames[event_type] = parts[0] if is_sorted else pl.concat(parts).sort(order)
    return Decoded(sorted_frames, sorted(rejections, key=lambda one: one[:3]))


def _judge(
    events: _Events,
    undecided: Indices,
    window: AcceptedWindow,
    frames: dict[str, list[pl.DataFrame]],
) -> list[Rejection]:
    """Judge events one by one; accepted ones are added to `frames`."""
    rejections: list[Rejection] = []
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if not len(undecided):
        return rejections
    places = events.places[undecided].iter_rows()
    for index, (partition, offset, idx) in zip(undecided.tolist(), places, strict=True):
        line = events.lines[index]
        verdict = judge_line(line, window)
        if isinstance(verdict, Refusal):
            rejections.append(Rejection(partition, offset, idx, *verdict, line))
        else:
            verdict |= {"_partition": partition, "_offset": offset, "_idx": idx}
            rows[verdict["type"]].append(verdict)
    for event_type, accepted in rows.items():
        frames[event_type].append(pl.DataFrame(accepted, schema=storage_schema(event_type)))
    return rejections


def _accept_fast(
    events: _Events, window: AcceptedWindow
) -> tuple[dict[str, list[pl.DataFrame]], Indices]:
    """Return frames of what is certainly valid, and the indices of all other lines."""
    frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
    undecided = np.ones(len(events.lines), bool)
    parsed = _parse(events.lines)
    if parsed is None:
        return frames, np.flatnonzero(undecided)
    frame, indices, suspicious = parsed
    for event_type in COLUMNS:
        is_type = frame["type"] == event_type
        of_type, rows = frame, np.arange(frame.height)
        if not is_type.all():
            of_type = frame.filter(is_type)
            rows = np.flatnonzero(is_type.fill_null(False).to_numpy())
        if not of_type.height:
            continue
        certain = ~suspicious[rows] & ~suspicious_rows(of_type, event_type, window).to_numpy()
        if not certain.all():
            of_type, rows = of_type.filter(pl.Series(certain)), rows[certain]
        places = events.places
        if len(rows) != len(events.lines):
            places = places[indices[rows]]
        if of_type.height:
            frames[event_type].append(_to_storage(of_type, event_type, places))
        undecided[indices[rows]] = False
    return frames, np.flatnonzero(undecided)


def _to_storage(parsed: pl.DataFrame, event_type: str, places: pl.DataFrame) -> pl.DataFrame:
    """Bring checked rows (maps done) into storage form: every field of the model, in its order."""
    stored = []
    for column in COLUMNS[event_type]:
        empty = column.default if column.default is not None else column.empty
        if column.name not in parsed.columns:
            stored.append(pl.lit(empty, dtype=column.dtype).alias(column.name))
        elif empty is not None and parsed[column.name].null_count():
            stored.append(pl.col(column.name).fill_null(pl.lit(empty, dtype=column.dtype)))
        else:
            stored.append(pl.col(column.name))
    return parsed.select(stored).with_columns(places.get_columns())


def _parse(lines: list[bytes]) -> tuple[pl.DataFrame, Indices, NDArray[np.bool_]] | None:
    """Parse the lines that can be parsed together.

    Returns:
        The parsed rows, the index of the line of each row, and which rows are suspicious; None
        when nothing could be parsed.
    """
    indices = np.arange(len(lines))
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    is_sorted_out = lengths > MAX_EVENT_BYTES
    was_refused = False
    while True:
        if is_sorted_out.any():
            indices = indices[~is_sorted_out]
        if not len(indices):
            return None
        kept = lines if len(indices) == len(lines) else [lines[i] for i in indices.tolist()]
        buffer = b"\n".join((PADDING, *kept, PADDING))
        starts = np.cumsum(lengths[indices] + 1) - lengths[indices] + len(PADDING)
        seen = scan(buffer)
        is_sorted_out = np.frombuffer(buffer, np.uint8)[starts] != BRACE_OPEN
        is_sorted_out[_lines_at(seen.suspects, starts)] = True
        if is_sorted_out.any():
            continue
        frame = _read(buffer, seen, len(indices))
        if frame is not None:
            checked, suspicious = _prove(frame, buffer, seen, starts)
            return checked, indices, suspicious
        if was_refused:
            return None
        was_refused = True
        is_sorted_out = ~certainly_parsed(kept).to_numpy()


def _lines_at(positions: Positions, starts: Indices) -> Indices:
    """Return the number of the line that holds each position."""
    found: Indices = np.searchsorted(starts, positions, side="right") - 1
    return found


def _read(buffer: bytes, seen: Scan, height: int) -> pl.DataFrame | None:
    """Parse a buffer under the schema of the fields that occur; None when the parser refuses."""
    schema = {
        name: dtype
        for name, dtype in parse_schema().items()
        if name in seen.present or name in _ALWAYS_PARSED
    }
    try:
        frame = pl.read_ndjson(buffer, schema=schema)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame if frame.height == height else None


def _prove(
    frame: pl.DataFrame, buffer: bytes, seen: Scan, starts: Indices
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Check that each parsed value came from one key, and store the maps.

    Every value in a column has at least one key that the scan counted, and nulls count on neither
    side. So when the totals agree there is neither a duplicate nor a known name at another depth
    in any line; when they do not, the lines are counted one by one.
    """
    suspicious = np.zeros(frame.height, bool)
    known_keys = np.zeros(frame.height, np.int64)
    stored = []
    for name, column in MAP_COLUMNS.items():
        if name in frame.columns:
            maps = store_maps(column, frame[name])
            known_keys += maps.known_keys
            suspicious |= maps.refused
            suspicious[_escaped_maps(frame[name], buffer, starts)] = True
            stored.append(maps.texts.alias(name))
    values = frame.height * frame.width - sum(frame.null_count().row(0))
    if values + int(known_keys.sum()) != seen.value_count:
        lines = _lines_at(scan(buffer, with_positions=True).value_quotes, starts)
        keys = np.bincount(lines, minlength=frame.height)
        per_row = frame.select(pl.sum_horizontal(pl.all().is_not_null())).to_series().to_numpy()
        suspicious |= keys != per_row + known_keys
    suspicious[_hidden_nulls(frame, buffer, seen, starts)] = True
    return frame.with_columns(stored), suspicious


def _escaped_maps(parsed: pl.Series, buffer: bytes, starts: Indices) -> Indices:
    """Return rows whose line has a backslash that may stand in a key of a map."""
    if b"\\" not in buffer:
        return np.empty(0, np.int64)
    escapes = np.flatnonzero(np.frombuffer(buffer, np.uint8) == ord("\\"))
    rows = np.unique(_lines_at(escapes, starts))
    rows = rows[parsed.is_not_null().to_numpy()[rows]]
    ends = np.append(starts[1:], len(buffer))[rows].tolist()
    found = [
        row
        for row, start, end, text in zip(
            rows.tolist(), starts[rows].tolist(), ends, parsed[rows].to_list(), strict=True
        )
        if not is_plain(parsed.name, text, buffer[start:end])
    ]
    return np.array(found, np.int64)


def _hidden_nulls(frame: pl.DataFrame, buffer: bytes, seen: Scan, starts: Indices) -> Indices:
    """Return rows with an explicit null that the parsed value does not show.

    That is a duplicate key (of `"a": 1, "a": null` the parser takes the 1, JSON readers the null),
    or a null in a field that may be absent but not null.
    """
    found: list[Indices] = [np.empty(0, np.int64)]
    for group in np.unique(seen.null_groups).tolist():
        quotes = seen.null_quotes[seen.null_groups == group]
        for name in GROUPS[group]:
            column = frame[name]
            if column.null_count() == frame.height and name not in _NEVER_NULL:
                continue
            rows = _lines_at(quotes[key_ending_at(buffer, quotes, name)], starts)
            if name not in _NEVER_NULL:
                rows = rows[column.is_not_null().to_numpy()[rows]]
            found.append(rows)
    return np.concatenate(found)
