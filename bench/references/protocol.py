"""How a reference reports: events handled and CPU seconds of its process, after a warm-up.

CPU time begins after the first tenth, so that imports, the group join and the first fetch are not
counted.
"""

from __future__ import annotations

import json
import os
import resource
import time


class Meter:
    """Counts events and prints one JSON line when `total` is reached."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.seen = 0
        self._warm_at = total // 10
        self._cpu_s = 0.0
        self._wall_s = 0.0
        self._base = 0

    def add(self, events: int) -> bool:
        """Count `events`; returns True once everything was seen, having printed the figures."""
        self.seen += events
        if not self._base and self.seen >= self._warm_at:
            self._base, self._cpu_s, self._wall_s = self.seen, cpu_s(), time.perf_counter()
        if self.seen < self.total:
            return False
        figures = {
            "events": self.seen - self._base,
            "cpu_s": cpu_s() - self._cpu_s,
            "wall_s": time.perf_counter() - self._wall_s,
        }
        os.write(1, json.dumps(figures).encode() + b"\n")
        return True


def cpu_s() -> float:
    """Return the user and system CPU seconds of this process, every thread included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
