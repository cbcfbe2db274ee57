"""What stands for bytes that are too many to be carried on: why, and the beginning of them.

A stand-in takes the place of one event, so that places and counts stay what they are; it ends as
its dead letter. It begins with a mark that no producer knows, so no record can be taken for one:
each process draws its own, which never leaves it. Pure but for that.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import orjson

from tokentide_jobs.core.record.dead_letter import Refusal

__all__ = [
    "BEGINNING_KEPT",
    "KEPT_BYTES",
    "NOTHING_KEPT",
    "TEXTS_MASKED",
    "bytes_behind",
    "is_stand_in",
    "read_stand_in",
    "size_and_digest",
    "stand_in",
    "too_large",
    "without_contents",
]

KEPT_BYTES: Final = 65_536
"""Of what is too large, so much is kept: as much as the longest event that is accepted."""

BEGINNING_KEPT: Final = "of which the beginning is kept"
"""Ends the detail of every dead letter whose bytes are cut: it cannot be sent again."""

NOTHING_KEPT: Final = "of which nothing is kept"
"""Ends the detail of a dead letter without its bytes, which may hold what a client wrote."""

TEXTS_MASKED: Final = "of which texts are masked"
"""Ends the detail of a dead letter that would be read otherwise than its event."""

_MARK: Final = b"\x00tokentide:" + secrets.token_hex(16).encode() + b":"
"""No JSON begins with its first byte. Always of one length: sizes are those of other processes."""


def stand_in(reason: str, detail: str, beginning: bytes) -> bytes:
    """Return a stand-in for one event.

    What it keeps may hold another one, whose mark must not be stored: it differs between processes.
    """
    header = orjson.dumps([reason, detail])
    return b"".join((_MARK, header, b"\n", beginning.replace(_MARK, b"")[:KEPT_BYTES]))


def too_large(value: bytes) -> bytes:
    """Return the stand-in for a record that is too long; its digest tells it from others."""
    digest = hashlib.sha256(value).hexdigest()
    return stand_in("too_large", size_and_digest("the record", len(value), digest), value)


def size_and_digest(what: str, size: int, sha256: str, kept: str = BEGINNING_KEPT) -> str:
    """Say how long something is that is not kept as it came: by default only its beginning is."""
    return f"{what} is {size} bytes long (sha256 {sha256}), {kept}"


def without_contents(detail: str, value: bytes) -> str:
    """Say what is to be known of a record whose bytes are not kept."""
    digest = hashlib.sha256(value).hexdigest()
    return f"{detail}; the record is {len(value)} bytes long (sha256 {digest}), {NOTHING_KEPT}"


def is_stand_in(value: bytes) -> bool:
    """Tell whether a value is a stand-in."""
    return value.startswith(_MARK)


def read_stand_in(value: bytes) -> tuple[Refusal, bytes] | None:
    """Return why something was left out and the beginning of it; None for all other bytes."""
    if not is_stand_in(value):
        return None
    header, _newline, beginning = value[len(_MARK) :].partition(b"\n")
    reason, detail = orjson.loads(header)
    return Refusal(reason, "", detail), beginning


def bytes_behind(value: bytes) -> bytes:
    """Return what is known of an event's own bytes: all of them, or what its stand-in keeps."""
    found = read_stand_in(value)
    return value if found is None else found[1]
