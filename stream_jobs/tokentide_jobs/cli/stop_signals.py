"""The signals that ask a command to stop, as one exception that nothing on the way swallows.

A signal may come while the main thread runs an event loop, in a client or in a library. asyncio
keeps every exception of a callback to itself but KeyboardInterrupt and SystemExit; so what a signal
raises is a KeyboardInterrupt, or the request to stop would be lost there.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequested", "signals_raise"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(KeyboardInterrupt):
    """A signal asked the command to stop."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and a closed terminal into one exception, whatever is going on."""
    stop_asked = False

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stop_asked
        # A second Ctrl-C must not interrupt the orderly stop, which has its own deadline.
        if not stop_asked:
            stop_asked = True
            raise StopRequested

    # `nohup tokentide up` means it: a hang-up that is ignored stays ignored.
    is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    wanted = [which for which in _STOP_SIGNALS if not (is_nohup and which is signal.SIGHUP)]
    former = {which: signal.signal(which, request_stop) for which in wanted}
    try:
        yield
    finally:
        for which, handler in former.items():
            signal.signal(which, handler)
