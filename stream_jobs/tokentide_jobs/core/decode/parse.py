"""Parse lines by column, and prove that the parser overlooked no error.

One call parses all lines that can be parsed together; the byte scan says what each line holds, so
that a duplicate key, a number in a text or a name at the wrong depth cannot hide. Rows of which
this is not certain are marked suspicious.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from tokentide_jobs.core.decode.columns import COLUMNS, parse_schema
from tokentide_jobs.core.decode.lines import EventLines, Flags, Indices
from tokentide_jobs.core.decode.nested import NESTED_COLUMNS, occurs_in, store
from tokentide_jobs.core.decode.scan import GROUPS, PADDING, Scan, key_ending_at, scan
from tokentide_jobs.core.decode.wellformed import certainly_parsed
from tokentide_jobs.core.record.split import BRACE_OPEN
from tokentide_schemas.fields import MAX_EVENT_BYTES

_ALWAYS_PARSED: Final = ("type", "event_id", "started_at_us", "service", "schema_version")

_NEVER_NULL: Final = frozenset(
    column.name
    for columns in COLUMNS.values()
    for column in columns
    if not column.is_nullable and not column.is_required
)
"""Fields with a default: they may be absent, an explicit null is an error."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the column parser made of the lines it was given."""

    frame: pl.DataFrame
    """Fields that occur, maps and lists in storage form, null where absent."""
    indices: Indices
    """The event of every row."""
    suspicious: Flags
    """Rows that only the judge may decide about."""


def parse(events: EventLines) -> Parsed | None:
    """Parse what can be parsed together; None when that is nothing.

    A line that makes the parser refuse the whole buffer is taken out first where the byte scan can
    tell, and else found by one regular expression over all lines.
    """
    if not len(events):
        return None
    seen = scan(events.buffer)
    kept = _fit_to_parse(events)
    kept[events.holding(seen.suspects)] = False
    reading = _ParsedLines.of(events, kept, seen)
    if reading.frame is None and kept.any():
        indices = np.flatnonzero(kept)
        kept[indices] = certainly_parsed(events.lines(indices)).to_numpy()
        reading = _ParsedLines.of(events, kept, seen)
    return reading.proven() if reading.frame is not None else None


def _fit_to_parse(events: EventLines) -> Flags:
    """Tell which lines may be objects on one line, of a length that is accepted."""
    content = np.frombuffer(events.buffer, np.uint8)
    is_fit: Flags = (content[events.starts] == BRACE_OPEN) & (
        events.ends - events.starts <= MAX_EVENT_BYTES
    )
    if not events.is_plain:
        newlines = np.flatnonzero(content == ord("\n"))
        lines = events.holding(newlines)
        is_inside = (lines >= 0) & (newlines < events.ends[lines])
        is_fit[lines[is_inside]] = False
    return is_fit


@dataclass(frozen=True, slots=True)
class _ParsedLines:
    """One parse of the kept lines of a batch."""

    events: EventLines
    kept: Flags
    buffer: bytes
    """The kept lines at their positions; all other lines are blank."""
    value_count: int
    seen: Scan
    frame: pl.DataFrame | None

    @classmethod
    def of(cls, events: EventLines, kept: Flags, seen: Scan) -> _ParsedLines:
        buffer, value_count = events.buffer, seen.value_count
        left_out = np.flatnonzero(~kept)
        if len(left_out):
            buffer = _blanked(events, left_out)
            lines = events.lines(left_out)
            value_count -= scan(b"\n".join((PADDING, *lines, PADDING))).value_count
        frame = _read(buffer, seen) if len(left_out) < len(kept) else None
        if frame is not None and frame.height != len(kept) - len(left_out):
            frame = None
        return cls(events, kept, buffer, value_count, seen, frame)

    def proven(self) -> Parsed:
        """Check that each parsed value came from one key, and store maps and lists.

        Every value in a column has at least one key that the scan counted, and nulls count on
        neither side. So when the totals agree there is neither a duplicate nor a known name at
        another depth in any line; when they do not, the lines are counted one by one.
        """
        frame = self.frame
        assert frame is not None
        suspicious = np.zeros(frame.height, bool)
        known_keys = np.zeros(frame.height, np.int64)
        stored = []
        for name, column in NESTED_COLUMNS.items():
            if name in frame.columns:
                nested = store(column, frame[name])
                known_keys += nested.known_keys
                suspicious |= nested.refused
                if column.key is not None:
                    suspicious[self._escaped(frame[name])] = True
                stored.append(nested.values)
        values = frame.height * frame.width - sum(frame.null_count().row(0))
        if values + int(known_keys.sum()) != self.value_count:
            quotes = scan(self.buffer, with_positions=True).value_quotes
            keys = np.bincount(self._rows(quotes), minlength=frame.height)
            per_row = frame.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
            suspicious |= keys != per_row.to_numpy() + known_keys
        suspicious[self._hidden_nulls(frame)] = True
        return Parsed(frame.with_columns(stored), np.flatnonzero(self.kept), suspicious)

    def _rows(self, positions: Indices) -> Indices:
        """Return the row that each position belongs to; positions in blank lines are left out."""
        lines = self.events.holding(positions)
        if self.kept.all():
            return lines
        rows: Indices = (np.cumsum(self.kept) - 1)[lines[self.kept[lines]]]
        return rows

    def _escaped(self, parsed: pl.Series) -> Indices:
        """Return rows whose line has a backslash that may stand in a key of a map."""
        if b"\\" not in self.buffer:
            return np.empty(0, np.int64)
        escapes = np.flatnonzero(np.frombuffer(self.buffer, np.uint8) == ord("\\"))
        rows = np.unique(self._rows(escapes))
        rows = rows[parsed.is_not_null().to_numpy()[rows]]
        lines = self.events.lines(np.flatnonzero(self.kept)[rows])
        texts = zip(rows.tolist(), parsed[rows].to_list(), lines, strict=True)
        found = [row for row, text, line in texts if not occurs_in(parsed.name, text, line)]
        return np.array(found, np.int64)

    def _hidden_nulls(self, frame: pl.DataFrame) -> Indices:
        """Return rows with an explicit null that the parsed value does not show.

        That is a duplicate key (of `"a": 1, "a": null` the parser takes the 1, JSON readers the
        null), or a null in a field that may be absent but not null.
        """
        found: list[Indices] = [np.empty(0, np.int64)]
        for group in np.unique(self.seen.null_groups).tolist():
            quotes = self.seen.null_quotes[self.seen.null_groups == group]
            for name in GROUPS[group]:
                column = frame[name]
                if column.null_count() == frame.height and name not in _NEVER_NULL:
                    continue
                rows = self._rows(quotes[key_ending_at(self.buffer, quotes, name)])
                if name not in _NEVER_NULL:
                    rows = rows[column.is_not_null().to_numpy()[rows]]
                found.append(rows)
        return np.concatenate(found)


def _blanked(events: EventLines, left_out: Indices) -> bytes:
    """Return the buffer with some lines blank; the others keep their positions."""
    buffer = bytearray(events.buffer)
    starts, ends = events.starts[left_out].tolist(), events.ends[left_out].tolist()
    for start, end in zip(starts, ends, strict=True):
        buffer[start:end] = b"\n" * (end - start)
    return bytes(buffer)


def _read(buffer: bytes, seen: Scan) -> pl.DataFrame | None:
    """Parse a buffer under the schema of the fields that occur; None when the parser refuses."""
    schema = {
        name: pl.String() if name in NESTED_COLUMNS else dtype
        for name, dtype in parse_schema().items()
        if name in seen.present or name in _ALWAYS_PARSED
    }
    try:
        # The parser gives dozens of chunks, beside columns of one; every later step would join them
        # again, which cost more than its own work.
        return pl.read_ndjson(buffer, schema=schema).rechunk()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
