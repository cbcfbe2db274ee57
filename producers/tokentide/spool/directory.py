"""Frames on disk while the broker is away: bounded, in order, and safe from the death of a process.

Each producer writes segments into a directory of its own below TOKENTIDE_SPOOL_DIR and owns it by a
lock; directories without an owner are taken over and sent as well. Invariants: a frame is removed
only after it was settled, dropped and counted, or found damaged and counted; nothing raises.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tokentide.delivery.counters import Counters, describe
from tokentide.delivery.framing import Frame
from tokentide.log import RateLimitedLog
from tokentide.spool.claims import Claim
from tokentide.spool.segment import Segment, pack

SEGMENT_BYTES = 4 * 1024 * 1024
"""A new file is begun beyond so much; smaller where the whole spool is small."""
SYNC_S = 1.0
"""What a power cut may cost; what the death of a process may cost is nothing."""
LOOK_S = 60.0
"""Time between two searches for directories of dead processes."""
RETRY_S = 5.0
"""Pause after the disk refused something."""
SUFFIX = ".seg"


class Slot(NamedTuple):
    """Where a frame lies: its segment and the offset behind it."""

    segment: Segment
    end: int


class Spool:
    """The frames of one producer, and those of dead ones, on disk.

    Used by the background thread only, except `events` and `size_bytes`.

    Args:
        root: Directory that all processes of a host may share.
        max_bytes: Bound of everything below `root`, of all processes together. Each of them
            measures what the others hold when it begins a segment.
        producer_id: Names the directory of this producer.
        drops_oldest: When full, True drops the oldest segment, False admits nothing new.
        counters: Where drops, damage and refusals of the disk are counted.
        log: Where they are reported.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        producer_id: str,
        *,
        drops_oldest: bool,
        counters: Counters,
        log: RateLimitedLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max_bytes // 8)
        self._producer_id = producer_id
        self._drops_oldest = drops_oldest
        self._counters = counters
        self._log = log
        self._clock = clock
        self._claim: Claim | None = None
        self._orphaned_claims: list[Claim] = []
        self._own: deque[Segment] = deque()
        self._orphaned: deque[Segment] = deque()
        self._made = 0
        self._others_bytes = 0
        self._full_at_bytes: int | None = None
        self._is_unsynced = False
        self._sync_due_s = self._look_due_s = self._retry_at_s = self._loss_due_s = 0.0
        self._lost: set[Segment] = set()
        self.events = 0
        """Events on disk that are not settled, of this producer and of dead ones."""
        self.size_bytes = 0
        """Bytes of the files they are in."""

    # -- writing ----------------------------------------------------------------------------

    def append(self, frame: Frame, *, is_in_flight: bool = False) -> Slot | None:
        """Write one frame behind all others of this producer.

        Returns:
            Where it lies, or None when it does not fit or the disk refuses.
        """
        if self._clock() < self._retry_at_s:
            return None
        if self._full_at_bytes is not None and self._used_bytes >= self._full_at_bytes:
            return None  # known without packing the frame once more
        record = pack(frame, self._producer_id)
        try:
            segment = self._writable()
            if not self._make_room(len(record)):
                self._full_at_bytes = self._used_bytes
                return None
            end = segment.append(record, frame, is_in_flight=is_in_flight)
        except OSError as exc:
            self.refused(exc)
            return None
        self._full_at_bytes = None
        self._is_unsynced = True
        self.size_bytes += len(record)
        self.events += frame.events
        return Slot(segment, end)

    @property
    def _used_bytes(self) -> int:
        return self.size_bytes + self._others_bytes

    def _writable(self) -> Segment:
        last = self._own[-1] if self._own else None
        if last is not None and self._look_for_loss(last):
            last = None
        if last is not None and last.size_bytes < self._segment_bytes:
            return last
        if self._claim is None or not self._claim.path.is_dir():
            if self._claim is not None:  # removed by another process
                self._claim.release()
            self._claim = Claim.make(self._root / self._producer_id)
        if last is not None:
            last.sync()
            last.rest()
        self._others_bytes = self._measure_others()
        segment = Segment.create(self._claim.path / f"{self._made:08d}{SUFFIX}")
        self._made += 1
        self._own.append(segment)
        self.size_bytes += segment.size_bytes
        return segment

    def _measure_others(self) -> int:
        mine = {claim.path for claim in (self._claim, *self._orphaned_claims) if claim is not None}
        return sum(
            _size_of(file)
            for directory in _directories(self._root)
            if directory not in mine
            for file in _segments(directory)
        )

    def _make_room(self, needed_bytes: int) -> bool:
        while self._used_bytes + needed_bytes > self._max_bytes:
            oldest = self._oldest_at_rest() if self._drops_oldest else None
            if oldest is None:
                return False
            self._counters.drop("spool_full", oldest.events)
            self._remove(oldest)
        return True

    def _oldest_at_rest(self) -> Segment | None:
        for segment in (*self._orphaned, *list(self._own)[:-1]):
            if not segment.is_in_flight:
                return segment
        return None

    # -- reading ----------------------------------------------------------------------------

    @property
    def first_number(self) -> int | None:
        """At most the number of this producer's oldest frame to be read; None when none is."""
        return next((s.next_number for s in self._own if s.has_unread), None)

    @property
    def has_orphaned(self) -> bool:
        """Whether frames of dead processes are to be read."""
        return any(segment.has_unread for segment in self._orphaned)

    def start_batch(self, max_bytes: int) -> list[tuple[Frame, Slot]]:
        """Read the oldest frames, of one topic and at most `max_bytes`; this producer's first.

        An empty list says that what was there is damaged; it was dropped and counted.
        """
        segment = next(s for s in (*self._own, *self._orphaned) if s.has_unread)
        batch: list[tuple[Frame, Slot]] = []
        batch_bytes = 0
        try:
            while segment.has_unread:
                position = segment.position
                frame, end = segment.read()
                batch_bytes += len(frame.payload)
                if batch and (batch_bytes > max_bytes or frame.topic != batch[0][0].topic):
                    segment.unread(position, frame.number)
                    break
                if frame.producer_id == self._producer_id:
                    frame = Frame(frame.number, frame.payload, frame.events, topic=frame.topic)
                batch.append((frame, Slot(segment, end)))
        except (OSError, ValueError, zlib.error) as exc:
            if not batch:  # else what precedes the damage is sent first
                self._log.report("spool", "%d spooled events are lost: %s", segment.events, exc)
                self._counters.spool_errors += 1
                self._counters.drop("spool_damaged", segment.events)
                self._remove(segment)
        return batch

    def settle(self, slot: Slot, frame: Frame) -> None:
        """Forget the oldest frame that was read: it was delivered, or refused for good."""
        segment = slot.segment
        self.events -= frame.events
        try:
            segment.settle(slot.end, frame.events)
        except OSError as exc:
            self.refused(exc)
        if not segment.has_unread and not segment.is_in_flight:
            self._remove(segment)

    def _remove(self, segment: Segment) -> None:
        is_lost = segment in self._lost
        self._lost.discard(segment)
        queue = self._own if segment in self._own else self._orphaned
        queue.remove(segment)
        self.size_bytes -= segment.size_bytes
        self.events -= segment.events
        self._full_at_bytes = None
        try:
            if is_lost:
                segment.rest()  # the file under its name now is not ours
            else:
                segment.delete()
        except OSError as exc:
            self.refused(exc)
        for claim in self._orphaned_claims.copy():
            if claim.path == segment.path.parent and all(
                other.path.parent != claim.path for other in self._orphaned
            ):
                self._orphaned_claims.remove(claim)
                claim.release()

    # -- life -------------------------------------------------------------------------------

    def maintain(self) -> None:
        """Do what is due: flushes to the disk, looks for what dead processes left."""
        now_s = self._clock()
        if now_s >= self._look_due_s:
            self._look_due_s = now_s + LOOK_S
            self._adopt()
        if now_s >= self._loss_due_s:
            self._loss_due_s = now_s + SYNC_S
            for segment in (*self._own, *self._orphaned):
                self._look_for_loss(segment)
        if self._is_unsynced and now_s >= self._sync_due_s:
            self._sync_due_s = now_s + SYNC_S
            self._sync()

    def _look_for_loss(self, segment: Segment) -> bool:
        """Return whether a file is not where it was written; the first time, report and count it.

        It is read on as long as it is open. What is in it when this process ends is dropped.
        """
        if segment in self._lost:
            return True
        if not segment.is_lost:
            return False
        self._lost.add(segment)
        self._counters.spool_errors += 1
        self._log.report(
            "spool",
            "%s was removed or moved from outside: its %d events are %s",
            segment.path,
            segment.events,
            "sent while this process lives, and lost with it" if segment.is_open else "lost",
        )
        if not segment.is_open:
            self._drop_lost(segment)
        return True

    def _drop_lost(self, segment: Segment) -> None:
        self._counters.drop("spool_lost", segment.events)
        self._remove(segment)

    def _sync(self) -> None:
        self._is_unsynced = False
        try:
            if self._own:
                self._own[-1].sync()
        except OSError as exc:
            self.refused(exc)

    def _adopt(self) -> None:
        for directory in _directories(self._root):
            claim = Claim.take(directory)
            if claim is None:
                continue
            is_own = directory.name == self._producer_id  # of an earlier thread of this producer
            for path in _segments(directory):
                segment = self._load(path)
                if segment is None:
                    continue
                (self._own if is_own else self._orphaned).append(segment)
                if not is_own:
                    # Before `events`, so that the counters add up at any moment.
                    self._counters.adopted += segment.events
                self.size_bytes += segment.size_bytes
                self.events += segment.events
                if not segment.has_unread:
                    self._remove(segment)
            if is_own:
                self._claim = claim
                self._made = 1 + max((int(s.path.stem) for s in self._own), default=-1)
            elif any(segment.path.parent == directory for segment in self._orphaned):
                self._orphaned_claims.append(claim)
            else:
                claim.release()

    def _load(self, path: Path) -> Segment | None:
        try:
            return Segment.load(path)
        except OSError as exc:
            self._counters.spool_errors += 1
            self._log.report("spool", "a file of the spool is set aside: %s", exc)
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".damaged"))  # or it would be found again every minute
        return None

    def close(self) -> None:
        """Leave what is not settled to the next process, on the disk."""
        self._sync()
        for segment in (*self._own, *self._orphaned):
            if self._look_for_loss(segment):
                if segment in self._lost:  # else it is dropped already
                    self._drop_lost(segment)
            elif segment.has_unread or segment.is_in_flight:
                segment.rest()
            else:
                self._remove(segment)
        for claim in (self._claim, *self._orphaned_claims):
            if claim is not None:
                claim.release()
        self._claim = None
        self._orphaned_claims.clear()

    def refused(self, error: Exception) -> None:
        """Count what the disk refused; the producer goes on without it for a while."""
        self._counters.spool_errors += 1
        self._retry_at_s = self._clock() + RETRY_S
        self._log.report(
            "spool",
            "the spool in %s cannot be used, going on without: %s",
            self._root,
            describe(error),
        )


def _directories(root: Path) -> list[Path]:
    """Directories of producers, oldest first; those being made are hidden."""
    try:
        with os.scandir(root) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError:
        return []  # absent or unreadable: writing reports it
    return [root / name for name in sorted(names)]


def _segments(directory: Path) -> Iterator[Path]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))  # noqa: PTH208
    except OSError:
        return  # removed meanwhile
    yield from (directory / name for name in names if name.removesuffix(SUFFIX).isdecimal())


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
