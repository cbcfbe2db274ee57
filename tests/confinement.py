"""Hold the line between unit and integration tests.

A unit test computes in its own process: it starts no other (ClickHouse, a broker, a second Python),
reaches no address but this machine's own, and finds nothing in the user's cache, which is empty on
a new machine. A test that has to is marked `integration`, and `make unit` leaves it out. The
interpreter's audit events show every way of starting a process, whichever library takes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

_STARTS_A_PROCESS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
)
_DESCRIBES_THE_MACHINE = frozenset({"file", "uname"})
"""What the standard library's `platform` runs, which clients ask for the headers they send."""
_CACHE_HOME = "XDG_CACHE_HOME"
"""Where it is a device, no file can be below it, and none be made there."""
_OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class Confinement:
    """What the running unit test tried beyond its own process."""

    def __init__(self) -> None:
        self._is_on = False
        self._cache_home: str | None = None
        self._escapes: list[str] = []

    def begin(self, item: pytest.Item) -> None:
        """Confine what runs from now on, unless it is an integration test."""
        self._escapes.clear()
        self._is_on = item.get_closest_marker("integration") is None
        if self._is_on:
            self._cache_home = os.environ.get(_CACHE_HOME)
            os.environ[_CACHE_HOME] = os.devnull

    def end(self) -> None:
        """Confine nothing any more."""
        if self._is_on:
            os.environ.pop(_CACHE_HOME)
            if self._cache_home is not None:
                os.environ[_CACHE_HOME] = self._cache_home
        self._is_on = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse what leaves the process; called by the interpreter at every audit event."""
        if not self._is_on:
            return
        if event in _STARTS_A_PROCESS:
            if arguments and arguments[0] in _DESCRIBES_THE_MACHINE:
                return
            self._refuse(f"{event}{arguments[:2]} starts a process")
        elif event == "socket.connect" and not _is_own(arguments[1]):
            self._refuse(f"a connection to {arguments[1]} leaves this machine")

    def check(self) -> None:
        """Fail the test if it tried to get out, even if it swallowed the error."""
        if self._escapes:
            pytest.fail("; ".join(self._escapes), pytrace=False)

    def _refuse(self, what: str) -> None:
        message = f"{what}: mark the test `integration`, or let it compute in its own process"
        self._escapes.append(message)
        raise RuntimeError(message)


def _is_own(address: Any) -> bool:
    return not isinstance(address, tuple) or address[0] in _OWN_HOSTS


_confinement = Confinement()
sys.addaudithook(_confinement.audit)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Confine a unit test from the setup of its fixtures to their end."""
    _confinement.begin(item)
    try:
        return (yield)
    finally:
        _confinement.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Report what a unit test tried without being failed for it."""
    result = yield
    _confinement.check()
    return result
