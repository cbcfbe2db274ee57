"""What a worker takes of the memory while something is sent to it, and whether that grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

import psutil

from tests.chaos.live import LiveWorker

__all__ = ["assert_stays_flat", "watched_memory"]


@contextmanager
def watched_memory(worker: LiveWorker) -> Iterator[list[int]]:
    """Yield the resident bytes of a worker, looked at ten times a second."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        process = psutil.Process(worker.pid)
        while not ended.wait(0.1):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def assert_stays_flat(seen: Sequence[int], *, is_long: bool) -> None:
    """See that memory does not grow; a run long enough for medians is held to them."""
    quarter = len(seen) // 4
    early, late, times, more = seen[quarter], seen[-1], 1.5, 100_000_000
    if is_long:
        early, late = int(median(seen[quarter : 2 * quarter])), int(median(seen[-quarter:]))
        times, more = 1.15, 30_000_000
    printed = f"from {early / 1e6:.0f} to {late / 1e6:.0f} MB"
    print(printed)
    assert late < times * early + more, printed
