"""What the events in a record are, for every topic that ingest reads: the one place that knows.

Ingest, verify and the dead-letter tools all ask here, by the topic's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokentide_jobs.core.record.agent_logs import HashUser, no_user_hash
from tokentide_jobs.core.record.dead_letter import DeadLetter, Refusal
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import MAX_RECORD_BYTES, split_record
from tokentide_jobs.core.record.stand_in import (
    BEGINNING_KEPT,
    NOTHING_KEPT,
    is_stand_in,
    read_stand_in,
    too_large,
    without_contents,
)
from tokentide_jobs.core.record.topics import is_otlp

__all__ = ["Contents", "Readable", "contents_of", "events_in", "readable"]


class Contents(NamedTuple):
    """What one record value holds: its events, in order, and what was left out, by kind."""

    events: list[bytes]
    ignored: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Readable:
    """Records of a batch in the form that is decoded.

    Attributes:
        records: As they came, or rewritten as lines of events; records without events are left out.
        dead_letters: Records that hold no events because they are broken.
        ignored: What was left out, by kind.
        replaced_texts: Texts of which a character could not be encoded and was replaced.
    """

    records: Sequence[Record]
    dead_letters: list[DeadLetter] = field(default_factory=list)
    ignored: Mapping[str, int] = field(default_factory=dict)
    replaced_texts: int = 0


def events_in(topic: str, value: bytes) -> list[bytes]:
    """Return the events of one record value, in order, as the bytes to be judged.

    A broken record is one refused event. Only a record of OTLP may hold none.
    """
    return contents_of(topic, value).events


def contents_of(topic: str, value: bytes) -> Contents:
    """Return the events of one record value, as `events_in` does, and what was left out."""
    if not is_otlp(topic) or _is_left_out(value):
        return Contents(split_record(value), {})
    read = read_otlp(value)
    if read.fault is not None:
        return Contents([value], {})
    events = split_record(b"\n".join(read.lines)) if read.lines else []
    return Contents(events, read.ignored)


def readable(topic: str, records: Sequence[Record], hash_user: HashUser = no_user_hash) -> Readable:
    """Return the records of a batch as `decode` takes them; plain events are not touched.

    Args:
        topic: Where they are from.
        records: The records.
        hash_user: What stands for a user that a log record of OTLP names.
    """
    if not is_otlp(topic):
        return Readable(records)
    rewritten: list[Record] = []
    dead_letters: list[DeadLetter] = []
    ignored: Counter[str] = Counter()
    replaced_texts = 0
    for record in records:
        place = (record.partition, record.offset, 0)
        if _is_left_out(record.value):
            dead_letters.append(DeadLetter(*place, *_left_out(record.value), b""))
            continue
        read = read_otlp(record.value, hash_user)
        ignored.update(read.ignored)
        replaced_texts += read.replaced_texts
        if read.fault is not None:
            # An export request that cannot be read may hold prompts: its bytes stay in Kafka alone.
            reason, field_at_fault, detail = read.fault
            reported = without_contents(detail, record.value)
            dead_letters.append(DeadLetter(*place, reason, field_at_fault, reported, b""))
        elif read.lines:
            rewritten.append(record._replace(value=b"\n".join(read.lines)))
    return Readable(rewritten, dead_letters, ignored, replaced_texts)


def _left_out(value: bytes) -> Refusal:
    """Say why an export request was not read; none of it is kept."""
    found = read_stand_in(value) or read_stand_in(too_large(value))
    assert found is not None
    refusal, _beginning = found
    return refusal._replace(detail=refusal.detail.replace(BEGINNING_KEPT, NOTHING_KEPT))


def _is_left_out(value: bytes) -> bool:
    """Tell whether a record is too large to be read, or stands for one that was."""
    return len(value) > MAX_RECORD_BYTES or is_stand_in(value)
