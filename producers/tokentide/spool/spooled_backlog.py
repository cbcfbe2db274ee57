"""The backlog with a disk behind it: what cannot be sent for now leaves memory.

Invariant: frames of this producer keep their order. Those on the disk are older than those that
wait in memory, so they are sent first, and memory is emptied to the disk from its oldest frame on.
"""

from __future__ import annotations

from pathlib import Path

from tokentide.delivery.backlog import Backlog
from tokentide.delivery.counters import Counters
from tokentide.delivery.framing import Frame
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings
from tokentide.spool.directory import Slot, Spool


def make_backlog(
    settings: Settings, producer_id: str, counters: Counters, log: RateLimitedLog
) -> SpooledBacklog:
    """Return a backlog with its disk, as the settings say."""
    spool = Spool(
        Path(settings.spool_dir),
        settings.spool_max_bytes,
        producer_id,
        drops_oldest=settings.drop_policy == "oldest",
        counters=counters,
        log=log,
    )
    return SpooledBacklog(settings.backlog_bytes, spool, counters)


class SpooledBacklog(Backlog):
    """Frames in memory, and on the disk while the broker is away or memory is at its bound.

    Args:
        max_bytes: Memory that frames may take, those in flight from the disk aside.
        spool: The disk.
        counters: Where the events that have left the disk are counted.
    """

    __slots__ = ("_counters", "_slots", "_spool")

    is_durable = True

    def __init__(self, max_bytes: int, spool: Spool, counters: Counters) -> None:
        super().__init__(max_bytes)
        self._spool = spool
        self._counters = counters
        self._slots: dict[tuple[str, int], Slot] = {}
        """Where those frames in flight lie that are on the disk."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send, from memory or from the disk."""
        spool = self._spool
        return super().is_empty and spool.first_number is None and not spool.has_orphaned

    @property
    def events(self) -> int:
        """Events that wait or are in flight in memory only; from any thread."""
        slots = self._slots
        waiting = sum(frame.events for frame, _ in self._waiting.copy())
        in_flight = sum(frame.events for frame in self.in_flight.copy() if _key(frame) not in slots)
        return waiting + in_flight

    @property
    def spooled_events(self) -> int:
        """Events that are safe on the disk and wait for the broker; from any thread."""
        return self._spool.events

    @property
    def spool_bytes(self) -> int:
        """Bytes of the files they are in; from any thread."""
        return self._spool.size_bytes

    @property
    def first_number(self) -> int | None:
        """Number, or less, of this producer's oldest frame that is not settled."""
        for frame in self.in_flight:
            if not frame.producer_id:
                return frame.number
        first = self._spool.first_number
        if first is not None:
            return first
        return self._waiting[0][0].number if self._waiting else None

    def add(self, frame: Frame) -> None:
        """Queue one frame behind all others."""
        super().add(frame)
        if self.is_full or self._counters.is_failing:
            self._spill()

    def maintain(self) -> None:
        """Empty memory to the disk while the broker is away, and do what the disk needs."""
        if self._counters.is_failing:
            self._spill()
        self._spool.maintain()

    def start_batch(self, max_bytes: int) -> list[Frame]:
        """Move the oldest frames in flight; what dead processes left goes when all else is gone.

        Returns:
            The frames; none when those on the disk turned out to be damaged.
        """
        if self._spool.first_number is None and self._waiting:
            return super().start_batch(max_bytes)
        for frame, slot in self._spool.start_batch(max_bytes):
            self._slots[_key(frame)] = slot
            self.in_flight.append(frame)
        return list(self.in_flight)

    def settle(self, frame: Frame) -> None:
        """Forget one frame in flight: it was delivered, or refused for good."""
        slot = self._slots.pop(_key(frame), None)
        if slot is None:
            super().settle(frame)
            return
        self.in_flight.remove(frame)
        self._spool.settle(slot, frame)
        self._counters.replayed += frame.events

    def _spill(self) -> None:
        """Move what memory holds to the disk, oldest first, as far as there is room."""
        try:
            self._move_to_disk()
        except Exception as exc:
            # Not a refusal of the disk, which `append` survives. Whatever it is: a frame that is
            # not on the disk is still in memory, and the frames behind it must come in too.
            self._spool.refused(exc)

    def _move_to_disk(self) -> None:
        for frame in self.in_flight:
            # A copy: it is being sent from memory, and safe meanwhile should this process die.
            if _key(frame) not in self._slots:
                slot = self._spool.append(frame, is_in_flight=True)
                if slot is None:
                    return
                self._slots[_key(frame)] = slot
                self.size_bytes -= len(frame.payload)
        while self._waiting:
            frame = self._unpack_first()
            if self._spool.append(frame) is None:
                return
            self._waiting.popleft()
            self.size_bytes -= len(frame.payload)

    def save(self) -> None:
        """Put everything on the disk."""
        self._spill()

    def close(self) -> None:
        """Let go of the disk, where the next process finds what is left."""
        self._spool.close()


def _key(frame: Frame) -> tuple[str, int]:
    return frame.producer_id, frame.number
