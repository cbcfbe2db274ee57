"""A spool directory with a clock of its own, the frames that go into it, and how they are taken."""

from __future__ import annotations

import os
from pathlib import Path

from tokentide.delivery.counters import Counters
from tokentide.delivery.framing import Frame
from tokentide.log import RateLimitedLog
from tokentide.spool.directory import Spool

MIB = 1024 * 1024
ME = "00000000-0000-7000-8000-00000000000a"


class Disk:
    """A spool directory, the spools opened on it, and a clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 0.0
        self.counters = Counters()
        self.spools: list[Spool] = []

    def open(self, name: str = ME, max_bytes: int = 64 * MIB, drops_oldest: bool = False) -> Spool:
        spool = Spool(
            self.root,
            max_bytes,
            name,
            drops_oldest=drops_oldest,
            counters=self.counters,
            log=RateLimitedLog(),
            clock=lambda: self.now_s,
        )
        self.spools.append(spool)
        return spool

    @property
    def files(self) -> list[Path]:
        return sorted(self.root.rglob("*.seg"))

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)


def frame(number: int, events: int = 2, size_bytes: int = 50, topic: str = "") -> Frame:
    # Random bytes, because only they keep their size when they are compressed.
    return Frame(number, b"%d:" % number + os.urandom(size_bytes), events, topic=topic)


def take(spool: Spool, batch_bytes: int = MIB) -> list[Frame]:
    """Read and settle everything."""
    taken = []
    while spool.first_number is not None or spool.has_orphaned:
        for found, slot in spool.start_batch(batch_bytes):
            spool.settle(slot, found)
            taken.append(found)
    return taken
