"""Threads that start side by side, also where coverage is measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

__all__ = ["without_coverage_in_new_threads"]


@contextmanager
def without_coverage_in_new_threads() -> Iterator[None]:
    """Have threads that start here install no trace function.

    Python 3.11 refuses two that are installed at a time, and ends a thread before it runs: a wait
    for that one never ends.
    """
    hook = threading.gettrace()
    threading.settrace(cast("Any", None))
    try:
        yield
    finally:
        threading.settrace(cast("Any", hook))
