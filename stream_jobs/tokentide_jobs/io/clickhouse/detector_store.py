"""Snapshots of the detect job in ClickHouse: packed, in pieces, three of them in turn.

A snapshot counts once all its pieces are there, so one that was cut short is as if it had never
been begun, and the one before it is read.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.tables import DETECTOR_STATE
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.settings.origins import origin_of

__all__ = ["LONGEST_PAUSE_US", "DetectorStore", "SnapshotHead", "packed_state", "unpacked_state"]

_SLOTS: Final = 3
_CHUNK_BYTES: Final = 8 * 1024 * 1024
_PART_BYTES: Final = 64 * 1024 * 1024
"""Packed by itself: so much more than the state is needed to pack it."""
_LENGTH: Final = 8
_CHECKED: Final = b"checked1"
"""Begins a packed state with a digest; one without is older and begins with a length, and as a
length this is so long that no damage to it makes it one."""
_DIGEST: Final = 16
LONGEST_PAUSE_US: Final = 600_000_000
"""Between two snapshots: the most of TOKENTIDE_SNAPSHOT_S, and however long one takes."""
_GONE_US: Final = 900_000_000
"""Who has taken no snapshot for so long is gone: the longest pause, and time to take one."""


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """What is known of a stored snapshot without reading it.

    Attributes:
        slot: Where it lies.
        snapshot_id: Its name.
        topic_id: Incarnation of the topic of deltas.
        offsets: Where reading goes on, by partition of that topic.
        taken_at_us: When it was taken.
    """

    slot: int
    snapshot_id: str
    topic_id: str
    offsets: Mapping[int, int]
    taken_at_us: int


class DetectorStore:
    """Writes and reads snapshots. Nothing here retries.

    Args:
        store: Where they are.
        version: Of the layout of a state: snapshots of others are not seen.
        worker: `host:pid`.
        group: Consumer group of the worker.
    """

    def __init__(self, store: ClickHouse, version: int, worker: str, group: str) -> None:
        self._store = store
        self._version = version
        self._worker = worker
        self._group = group
        self._next_slot = 0

    def other_group(self, now_us: int) -> str:
        """Return what is wrong when another group decides on this database; empty: none does.

        Args:
            now_us: Wall clock; who has taken no snapshot for a quarter of an hour is gone.
        """
        values = {"group": self._group, "since_us": now_us - _GONE_US}
        rows = self._store.select("detect/other_groups", values)
        if not rows:
            return ""
        gone_at = datetime.fromtimestamp((rows[0]["last_us"] + _GONE_US) / 1e6, UTC)
        return (
            f"{origin_of('detect_group')} is {self._group!r}, and the group "
            f"{rows[0]['detect_group']!r} decides on database {self._store.database}: both would "
            "notify of everything. Use the same group, or another database; if the other one was "
            f"stopped for good, it counts as gone from {gone_at:%H:%M:%S} UTC on"
        )

    def newest(self) -> SnapshotHead | None:
        """Return the newest snapshot that is whole; None: there is none of this version."""
        rows = self._store.select("detect/newest_state", {"version": self._version})
        if not rows:
            return None
        row = rows[0]
        self._next_slot = (row["slot"] + 1) % _SLOTS
        return SnapshotHead(
            row["slot"],
            row["snapshot_id"],
            row["topic_id"],
            dict(zip(row["partitions"], row["offsets"], strict=True)),
            row["taken_at_us"],
        )

    def read(self, head: SnapshotHead) -> bytes:
        """Return the state of a snapshot.

        Raises:
            ValueError: It is not whole any more, or its bytes are no packed state.
        """
        table = self._store.select_arrow(
            "detect/state", {"slot": head.slot, "snapshot_id": head.snapshot_id}
        )
        packed = b"".join(
            bytes(memoryview(one.as_buffer())) for one in table["data"].cast(pa.binary())
        )
        return unpacked_state(packed)

    def write(
        self,
        state: bytes,
        topic_id: str,
        offsets: Mapping[int, int],
        taken_at_us: int,
        consumed: Consumed | None = None,
    ) -> int:
        """Store a snapshot and return its packed size; raises as `ClickHouse.insert` does.

        Args:
            state: The whole state.
            topic_id: Incarnation of the topic of deltas.
            offsets: Where reading goes on after it, by partition.
            taken_at_us: Wall clock.
            consumed: What was merged of which batches, for `tokentide verify`.
        """
        packed, snapshot_id = packed_state(state), uuid.uuid4().hex
        begins = range(0, max(1, len(packed)), _CHUNK_BYTES)
        for chunk, begin in enumerate(begins):
            row = {
                "slot": pa.array([self._next_slot], pa.uint8()),
                "chunk": pa.array([chunk], pa.uint32()),
                "chunks": pa.array([len(begins)], pa.uint32()),
                "snapshot_id": [snapshot_id],
                "taken_at_us": [taken_at_us],
                "version": pa.array([self._version], pa.uint32()),
                "topic_id": [topic_id],
                "partitions": pa.array([list(offsets)], pa.list_(pa.int32())),
                "offsets": pa.array([list(offsets.values())], pa.list_(pa.int64())),
                "worker": [self._worker],
                "detect_group": [self._group],
                "consumed": [consumed.to_json() if consumed else ""],
                "bytes": pa.array([len(state)], pa.uint64()),
                "data": pa.array([packed[begin : begin + _CHUNK_BYTES]], pa.binary()),
            }
            token = f"{DETECTOR_STATE}/{snapshot_id}/{chunk}"
            self._store.insert(DETECTOR_STATE, pa.table(row), token)
        self._next_slot = (self._next_slot + 1) % _SLOTS
        return len(packed)


def packed_state(state: bytes) -> bytes:
    """Return a digest, then the state in packed parts.

    Each part comes after its own length and the length of its content.
    """
    view, parts = memoryview(state), []
    for begin in range(0, max(1, len(state)), _PART_BYTES):
        part = view[begin : begin + _PART_BYTES]
        packed = pa.compress(part, codec="zstd", asbytes=True)
        parts += [len(packed).to_bytes(_LENGTH, "little"), len(part).to_bytes(_LENGTH, "little")]
        parts.append(packed)
    return b"".join((_CHECKED, _digest_of(parts), *parts))


def unpacked_state(packed: bytes) -> bytes:
    """Return the state that was packed, also by a version that added no digest.

    Raises:
        ValueError: The bytes are not whole, or not those that were packed.
    """
    view, parts, at = memoryview(packed), [], 0
    if packed.startswith(_CHECKED):
        at = len(_CHECKED) + _DIGEST
        if packed[len(_CHECKED) : at] != _digest_of([view[at:]]):
            raise ValueError("a packed state is not what was stored: its digest is another")
    while at < len(view):
        begin = at + 2 * _LENGTH
        length = int.from_bytes(view[at : at + _LENGTH], "little")
        size = int.from_bytes(view[at + _LENGTH : begin], "little")
        if begin + length > len(view):
            raise ValueError(f"a packed state ends at {len(view)} of {begin + length} bytes")
        if size > _PART_BYTES:  # memory for it would be asked for first
            raise ValueError(f"a part of a packed state has {size} bytes, at most {_PART_BYTES}")
        part = view[begin : begin + length]
        try:
            parts.append(pa.decompress(part, decompressed_size=size, codec="zstd", asbytes=True))
        except OSError as exc:
            raise ValueError(f"a part of a packed state is damaged: {exc}") from exc
        at = begin + length
    return b"".join(parts)


def _digest_of(parts: Iterable[bytes | memoryview]) -> bytes:
    whole = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        whole.update(part)
    return whole.digest()
