"""Grafana until a time is over: then no further request is begun.

The time is looked at before each request, so that an answer to the last one is never thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokentide_jobs.io.grafana.api import Grafana

__all__ = ["InTime", "TimeIsOver"]


class TimeIsOver(Exception):
    """A request was not begun."""


class InTime:
    """A Grafana that is asked nothing once the time is over.

    Args:
        grafana: Whom to ask.
        is_late: Says that no further request may be begun.
    """

    def __init__(self, grafana: Grafana, is_late: Callable[[], bool]) -> None:
        self._grafana = grafana
        self._is_late = is_late

    @property
    def address(self) -> str:
        """Where it is, without an account."""
        return self._grafana.address

    def get(self, path: str) -> Any:
        """Return the JSON of a path; raises TimeIsOver, else as `Grafana` does."""
        self._begin()
        return self._grafana.get(path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON to a path; raises TimeIsOver, else as `Grafana` does."""
        self._begin()
        return self._grafana.post(path, body)

    def _begin(self) -> None:
        if self._is_late():
            raise TimeIsOver
