"""The signals that ask a command to stop, as one exception, and as a fact that outlives it.

A signal may come while the main thread runs an event loop, in a client or in a library. asyncio
keeps every exception of a callback to itself but KeyboardInterrupt and SystemExit; so what a signal
raises is a KeyboardInterrupt. Python itself drops every exception of a finalizer and of a callback
of a weak reference, of which asyncio has many: what runs on for long checks `StopSignal`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequested", "StopSignal", "signals_raise"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(KeyboardInterrupt):
    """A signal asked the command to stop."""


class StopSignal:
    """Whether a signal asked the command to stop."""

    def __init__(self) -> None:
        self._is_asked = False

    def ask(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle the signal: raise, the first time.

        Raises:
            StopRequested: A second Ctrl-C must not interrupt the orderly stop, which has its own
                deadline.
        """
        if not self._is_asked:
            self._is_asked = True
            raise StopRequested

    def check(self) -> None:
        """Raise again what was lost where the signal came.

        Raises:
            StopRequested: The command was asked to stop.
        """
        if self._is_asked:
            raise StopRequested


@contextmanager
def signals_raise() -> Iterator[StopSignal]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into one exception, whatever is going on."""
    stop = StopSignal()

    # `nohup tokentide up` means it: a hang-up that is ignored stays ignored.
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    wanted = [which for which in _STOP_SIGNALS if not (is_nohup and which is signal.SIGHUP)]
    former = {which: signal.signal(which, stop.ask) for which in wanted}
    try:
        yield stop
    finally:
        for which, handler in former.items():
            signal.signal(which, handler)
