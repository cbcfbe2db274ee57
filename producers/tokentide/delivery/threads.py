"""Threads of the operating system, also in a host where gevent has replaced Python's.

A greenlet would share its thread with the host: an event loop that runs in it makes the host's own
`asyncio.run` fail, and a host that is busy would keep it from sending. So what gevent took away is
asked back from it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

_SELECTORS = ("EpollSelector", "KqueueSelector", "PollSelector", "SelectSelector")
"""Of Linux, of macOS, and of everybody else; the best first."""


def start_thread(work: Callable[[], None], name: str = "tokentide") -> Callable[[], bool]:
    """Run `work` in a daemon thread.

    Returns:
        Whether the thread is there, as far as the system tells: a thread that was started may end
        before it runs, as when a debugger or coverage cannot install its trace function in it.

    Raises:
        RuntimeError: The system, or an interpreter that is ending, gives no thread.
    """
    if _is_patched("threading"):
        find_original("_thread", "start_new_thread")(work, ())
        return lambda: True
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread.is_alive


def must_wait_for_fork() -> bool:
    """Return whether this is uwsgi before it forks its workers, where no thread may be running.

    uwsgi forks without the interpreter lock: if a thread holds the lock at that moment, the worker
    waits for it for ever.
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is None:
        return False
    try:
        # Spoolers and mules have no worker id either, but their master is another process.
        return uwsgi.worker_id() == 0 and uwsgi.masterpid() in (0, os.getpid())
    except AttributeError:  # another module of that name
        return False


def make_selector() -> Any:
    """Return the selector for the background event loop; None for the default one."""
    if not _is_patched("selectors"):
        return None
    # gevent's would run a hub in the background thread.
    for name in _SELECTORS:
        with contextlib.suppress(AttributeError):  # each system has some of them
            return find_original("selectors", name)()
    return None


def find_original(module: str, name: str) -> Any:
    """Return an attribute of a module as it was before gevent replaced it, if it did."""
    if _is_patched(module):
        return sys.modules["gevent.monkey"].get_original(module, name)
    return getattr(import_module(module), name)


def _is_patched(module: str) -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched(module))
