"""UUIDv7 event ids: unique across processes, ascending within one.

Layout (RFC 9562, method 1): 48 bits of Unix milliseconds, a 32-bit counter that starts at a random
place below 2^24, 42 random bits. Threads share one generator without a lock: the counter is a
single C call, so two ids of one process can never be equal.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import count

_VERSION = 0x7 << 12
_VARIANT = 0b10 << 62


class EventIds:
    """Makes event ids; one instance belongs to one process.

    Args:
        random_bits: `random_bits(n)` gives an integer of n random bits; a generator seeded by the
            operating system when absent. A forked child makes a new instance, else parent and
            child would draw the same bits.
    """

    __slots__ = ("_front", "_next", "_random_bits")

    def __init__(self, random_bits: Callable[[int], int] | None = None) -> None:
        if random_bits is None:
            # Not for secrets: ids only have to be unique, and this is ten times cheaper.
            random_bits = random.Random(os.urandom(16)).getrandbits  # noqa: S311
        self._random_bits = random_bits
        self._next = count(random_bits(24)).__next__
        self._front: tuple[int, int, str] = (0, -1, "")
        """Milliseconds and upper counter bits of the latest id, and their text: ids of the same
        millisecond share it. One object, so that threads never see parts of two."""

    def new(self, epoch_ns: int) -> str:
        """Return the canonical text of a new UUIDv7 for an event at `epoch_ns`.

        Ids ascend even when the clock steps back: the time part never decreases.
        """
        epoch_ms = epoch_ns // 1_000_000
        counter = self._next() & 0xFFFF_FFFF
        last_ms, upper, front = self._front
        if epoch_ms > last_ms or counter >> 20 != upper:
            epoch_ms, upper = max(epoch_ms, last_ms), counter >> 20
            number = (epoch_ms & 0xFFFF_FFFF_FFFF) << 16 | _VERSION | upper
            text = number.to_bytes(8, "big").hex()
            front = f"{text[:8]}-{text[8:12]}-{text[12:]}-"
            self._front = (epoch_ms, upper, front)
        number = _VARIANT | (counter & 0xFFFFF) << 42 | self._random_bits(42)
        text = number.to_bytes(8, "big").hex()
        return f"{front}{text[:4]}-{text[4:]}"
