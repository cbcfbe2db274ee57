"""Events that people took out by their ids: where a batch has one again, it is a dead letter.

Which ids are out is part of what an intent decides, so every writer of the batch leaves out the
same events, and each still ends in exactly one place. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import polars as pl

from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.core.record.dead_letter import VOIDED, DeadLetter
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import EVENT_VOIDS

__all__ = ["without_voided"]

_DETAIL: Final = f"taken out with `tokentide void`: the table {EVENT_VOIDS} says by whom, and why"


def without_voided(
    frames: Mapping[str, pl.DataFrame],
    voided: Collection[str],
    topic: str,
    records: Sequence[Record],
) -> tuple[Mapping[str, pl.DataFrame], list[DeadLetter]]:
    """Part accepted events from those that are out.

    Args:
        frames: Accepted events by type.
        voided: Ids of events that are out, in small letters.
        topic: Where the records are from.
        records: Hold the bytes of the events.
    """
    if not voided:
        return frames, []
    values = {record.offset: record.value for record in records}
    ids = pl.Series(sorted(voided), dtype=pl.String)
    kept: dict[str, pl.DataFrame] = {}
    taken_out: list[DeadLetter] = []
    for event_type, rows in frames.items():
        is_out = rows["event_id"].str.to_lowercase().is_in(ids.implode())
        kept[event_type] = rows.filter(~is_out)
        places = rows.filter(is_out).select("_partition", "_offset", "_idx")
        for partition, offset, idx in places.iter_rows():
            value = events_in(topic, values[offset])[idx]
            taken_out.append(DeadLetter(partition, offset, idx, VOIDED, "event_id", _DETAIL, value))
    return kept, taken_out
