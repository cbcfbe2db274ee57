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
from tokentide_jobs.core.record.split import MAX_RECORD_BYTES, split_record
from tokentide_jobs.core.record.stand_in import is_stand_in
from tokentide_jobs.core.record.topics import is_otlp

__all__ = ["Readable", "events_in", "readable"]


@dataclass(frozen=True, slots=True)
class Readable:
    """Records of a batch in the form that is decoded.

    Attributes:
        records: As they came, or rewritten as lines of events; records without events are left out.
        dead_letters: Records that hold no events because they are broken.
        ignored: What was left out, by kind.
        mended_texts: Texts of which a character could not be encoded and was replaced.
    """

    records: Sequence[Record]
    dead_letters: list[DeadLetter] = field(default_factory=list)
    ignored: Mapping[str, int] = field(default_factory=dict)
    mended_texts: int = 0


def events_in(topic: str, value: bytes) -> list[bytes]:
    """Return the events of one record value, in order, as the bytes to be judged.

    A broken record is one bad event. Only a record of OTLP may hold none.
    """
    if not is_otlp(topic):
        return split_record(value)
    if _is_left_out(value):
        return split_record(value)
    read = read_otlp(value)
    if read.fault is not None:
        return [value]
    return split_record(b"\n".join(read.lines)) if read.lines else []


def readable(topic: str, records: Sequence[Record]) -> Readable:
    """Return the records of a batch as `decode` takes them; plain events are not touched."""
    if not is_otlp(topic):
        return Readable(records)
    rewritten: list[Record] = []
    dead_letters: list[DeadLetter] = []
    ignored: Counter[str] = Counter()
    mended_texts = 0
    for record in records:
        if _is_left_out(record.value):
            rewritten.append(record)
            continue
        read = read_otlp(record.value)
        ignored.update(read.ignored)
        mended_texts += read.mended_texts
        if read.fault is not None:
            place = (record.partition, record.offset, 0)
            dead_letters.append(DeadLetter(*place, *read.fault, record.value))
        elif read.lines:
            rewritten.append(record._replace(value=b"\n".join(read.lines)))
    return Readable(rewritten, dead_letters, ignored, mended_texts)


def _is_left_out(value: bytes) -> bool:
    """Tell whether a record is too large to be read, or stands for one that was."""
    return len(value) > MAX_RECORD_BYTES or is_stand_in(value)
