"""The events of a batch as lines in one buffer, with their places in the log.

Almost every record is a plain frame: lines that begin with `{` and end with `}`. Those are found in
one look at the joined bytes, with the same result as `split_record`, which splits all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import le
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokentide_jobs.core.decode.columns import PLACE_TYPES
from tokentide_jobs.core.decode.scan import PADDING
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import (
    BRACE_CLOSE,
    BRACE_OPEN,
    MAX_RECORD_BYTES,
    MAX_RECORD_EVENTS,
    split_record,
)

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

_NEWLINE: Final = ord("\n")
_PIECE_BYTES: Final = 256 * 1024
# A newline of its own comes before the first line and after the last.
_EDGE: Final = PADDING[1:]


@dataclass(frozen=True, slots=True)
class EventLines:
    """Events as `buffer[starts[i]:ends[i]]`, between two PADDINGs, a newline after each."""

    buffer: bytes
    starts: Indices
    ends: Indices
    places: pl.DataFrame
    """Partition, offset and index of every event."""
    is_ordered: bool
    """Places ascend."""
    is_plain: bool
    """Every event is one line; otherwise an event may hold newlines of its own."""

    def __len__(self) -> int:
        return len(self.starts)

    def lines(self, indices: Indices) -> list[bytes]:
        """Return some events as they came."""
        bounds = zip(self.starts[indices].tolist(), self.ends[indices].tolist(), strict=True)
        return [self.buffer[start:end] for start, end in bounds]

    def holding(self, positions: Indices) -> Indices:
        """Return the number of the event that holds each position of the buffer."""
        found: Indices = np.searchsorted(self.starts, positions, side="right") - 1
        return found


def event_lines(records: Sequence[Record], *, splits_objects: bool = False) -> EventLines:
    """Split records into events.

    Args:
        records: In any order.
        splits_objects: Look for lines that hold several objects too. Without, such a line is one
            event, which no parser takes.
    """
    values = [record.value for record in records]
    plain = None if splits_objects or not values else _plain(values)
    buffer, starts, ends, counts = _split(values) if plain is None else plain
    coordinates = [record[:2] for record in records]
    return EventLines(
        buffer=buffer,
        starts=starts,
        ends=ends,
        places=_places(records, counts),
        is_ordered=all(map(le, coordinates, coordinates[1:])),
        is_plain=plain is not None,
    )


_Found = tuple[bytes, Indices, Indices, Indices]
"""Buffer, starts and ends of the events, and how many each record holds."""


def _split(values: Sequence[bytes]) -> _Found:
    """Find the events of records of any kind."""
    split = [split_record(value) for value in values]
    lines = [line for part in split for line in part]
    counts = np.fromiter(map(len, split), np.int64, len(split))
    lengths = np.fromiter(map(len, lines), np.int64, len(lines))
    ends = np.cumsum(lengths + 1) + len(PADDING) - 1
    return b"\n".join((_EDGE, *lines, _EDGE)), ends - lengths, ends, counts


def _plain(values: Sequence[bytes]) -> _Found | None:
    """Find the events if all are `{…}` on a line; None when a record needs a closer look.

    A frame of such lines cannot be one object on several lines, since no JSON text has `}`
    directly before `{`; nor does it hold blank lines or arrays.
    """
    buffer = b"\n".join((_EDGE, *values, _EDGE))
    content = np.frombuffer(buffer, np.uint8)
    first, end = len(PADDING), len(buffer) - len(PADDING)
    if end <= first or content[first] != BRACE_OPEN or content[end - 1] != BRACE_CLOSE:
        return None
    newlines = _places_of(content, _NEWLINE, first, end)
    is_plain = (content[newlines - 1] == BRACE_CLOSE) & (content[newlines + 1] == BRACE_OPEN)
    if not is_plain.all():
        return None
    ends = np.append(newlines, end)
    starts = np.concatenate(([first], newlines + 1))
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    lasts = np.searchsorted(ends, np.cumsum(lengths + 1) + first - 1)
    counts = np.diff(lasts, prepend=-1)
    if counts.max() > MAX_RECORD_EVENTS or lengths.max() > MAX_RECORD_BYTES:
        return None
    return buffer, starts, ends, counts


def _places_of(content: NDArray[np.uint8], byte: int, start: int, end: int) -> Indices:
    """Find a byte, in pieces: their flags stay in the processor's cache."""
    found = [
        np.flatnonzero(content[at : min(at + _PIECE_BYTES, end)] == byte) + at
        for at in range(start, end, _PIECE_BYTES)
    ]
    return np.concatenate(found)


def _places(records: Sequence[Record], counts: Indices) -> pl.DataFrame:
    firsts = np.repeat(np.cumsum(counts) - counts, counts)
    columns = {
        "_partition": np.repeat(np.array([one.partition for one in records], int), counts),
        "_offset": np.repeat(np.array([one.offset for one in records], int), counts),
        "_idx": np.arange(len(firsts)) - firsts,
    }
    return pl.DataFrame(columns).select(pl.col(n).cast(t) for n, t in PLACE_TYPES.items())
