"""What the events in a record are, for every topic that ingest reads: the one place that knows.

Ingest, verify and the dead-letter tools all ask here, by the topic's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokentide_jobs.core.record.dead_letter import DeadLetter
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import split_record
from tokentide_jobs.core.record.topics import is_otlp

__all__ = ["Readable", "events_in", "readable"]


@dataclass(frozen=True, slots=True)
class Readable:
    """Records of a batch in the form that is decoded.

    Attributes:
        records: As they came, or rewritten as lines of events; records without events are left out.
        dead_letters: Records that hold no events because they are broken.
        ignored: What was left out, by kind.
    """

    records: Sequence[Record]
    dead_letters: list[DeadLetter] = field(default_factory=list)
    ignored: Mapping[str, int] = field(default_factory=dict)


def events_in(topic: str, value: bytes) -> list[bytes]:
    """Return the events of one record value, in order, as the bytes to be judged.

    A broken record is one bad event. Only a record of OTLP may hold none.
    """
    if not is_otlp(topic):
        return split_record(value)
    read = read_otlp(value)
    return [value] if read.fault is not None else read.lines


def readable(topic: str, records: Sequence[Record]) -> Readable:
    """Return the records of a batch as `decode` takes them; plain events are not touched."""
    if not is_otlp(topic):
        return Readable(records)
    rewritten: list[Record] = []
    dead_letters: list[DeadLetter] = []
    ignored: Counter[str] = Counter()
    for record in records:
        read = read_otlp(record.value)
        ignored.update(read.ignored)
        if read.fault is not None:
            place = (record.partition, record.offset, 0)
            dead_letters.append(DeadLetter(*place, *read.fault, record.value))
        elif read.lines:
            rewritten.append(record._replace(value=b"\n".join(read.lines)))
    return Readable(rewritten, dead_letters, ignored)
