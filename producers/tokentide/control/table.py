"""The newest state of every key, in bounded memory.

The background thread writes, any thread reads; both are single operations on a dict, so no thread
waits for a lock. Records are kept as they came and parsed when a caller asks for a state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from tokentide.control.states import BudgetState, RunState, budget_state, run_state

State = TypeVar("State")

_OVERHEAD_BYTES = 300
"""Of a key and its value as Python objects, beside their bytes."""
_LONGEST_BYTES = 65_536
"""Longer records are no states."""


class StateTable:
    """States by key; the ones that changed longest ago make room.

    Args:
        max_bytes: Bound of keys and values, with what Python needs for them.
        clock_us: Epoch microseconds.
        monotonic_s: Seconds that never go back.

    Attributes:
        is_read: Whether the topic was read to its end once.
        evicted: States that made room.
        unreadable: Records that were no states.
        overtaken: Records that a worker wrote after another one had taken over.
        failures: Attempts to read that did not succeed.
        last_error: The latest of them in words.
    """

    def __init__(
        self,
        max_bytes: int,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_read = False
        self.evicted = 0
        self.unreadable = 0
        self.overtaken = 0
        self.failures = 0
        self.last_error = ""
        self._values: dict[str, bytes] = {}
        self._bytes = 0
        self._unconfirmed: set[str] = set()
        self._max_bytes = max_bytes
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._answered_at_s: float | None = None

    # -- background thread ------------------------------------------------------------------

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record of the topic, in order."""
        try:
            name = (key or b"").decode()
        except UnicodeDecodeError:
            name = ""
        if not name or len(name) + len(value or b"") > _LONGEST_BYTES:
            self.unreadable += 1
            return
        self._unconfirmed.discard(name)
        self._forget(name)
        if value:
            self._values[name] = value
            self._bytes += _size(name, value)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._values)))
            self.evicted += 1

    def note_answer(self) -> None:
        """Note that the broker has answered just now."""
        self._answered_at_s = self._monotonic_s()

    def begin(self) -> None:
        """Note that the topic is read from its beginning; what is known stays until its end."""
        self._unconfirmed = set(self._values)

    def reach_end(self) -> None:
        """Note that the topic was read to its end; what is not in it has ended meanwhile."""
        for name in self._unconfirmed:
            self._forget(name)
        self._unconfirmed = set()
        self.is_read = True

    def _forget(self, name: str) -> None:
        value = self._values.pop(name, None)
        if value is not None:
            self._bytes -= _size(name, value)

    # -- any thread -------------------------------------------------------------------------

    def run_state(self, tenant: str, run: str) -> RunState:
        """Return what is known of a run; never raises."""
        key = f"run/{quote(tenant, safe='')}/{quote(run, safe='')}"
        return self._answer(
            key, lambda *known: run_state(run, *known), lambda **why: RunState(run=run, **why)
        )

    def budget_state(self, budget: str) -> BudgetState:
        """Return what is known of a budget; never raises."""
        return self._answer(
            f"budget/{quote(budget, safe='')}",
            lambda *known: budget_state(budget, *known),
            lambda **why: BudgetState(budget=budget, **why),
        )

    def stats(self) -> dict[str, int]:
        """Return counters."""
        return {
            "states": len(self._values),
            "evicted": self.evicted,
            "unreadable": self.unreadable,
            "overtaken": self.overtaken,
            "failures": self.failures,
        }

    def _answer(
        self,
        key: str,
        known: Callable[[dict[str, Any], int, float | None], State],
        unknown: Callable[..., State],
    ) -> State:
        answered_at_s = self._answered_at_s
        heard_s = None if answered_at_s is None else max(0.0, self._monotonic_s() - answered_at_s)
        value = self._values.get(key)
        if value is None:
            return unknown(reason=self._why_unknown(), heard_s=heard_s)
        try:
            # Of the standard library: money may exceed 64 bits, which orjson cannot read.
            return known(json.loads(value), self._clock_us(), heard_s)
        except Exception as exc:
            reason = f"its state cannot be read ({type(exc).__name__}): is this package older?"
            return unknown(reason=reason, heard_s=heard_s)

    def _why_unknown(self) -> str:
        if self.is_read:
            return "no state of it was published"
        return f"no state was read yet: {self.last_error or 'reading has just begun'}"


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD_BYTES
