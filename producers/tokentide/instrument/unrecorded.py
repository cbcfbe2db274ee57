"""What costs money and is not recorded: said once in the log, where a client comes past it.

The list for readers is in docs/producer.md. Without it a service would take silence for zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokentide.log import logger

_logged: set[str] = set()
_MAX_LOGGED = 256


def note_unrecorded(what: str, client: str) -> None:
    """Log once in this process that calls of a kind are not recorded.

    Args:
        what: The calls, in the plural.
        client: The client or service they belong to.
    """
    text = f"{what} of {client}"
    if text in _logged or len(_logged) >= _MAX_LOGGED:
        return
    _logged.add(text)
    logger.warning("%s: their cost is not recorded; see docs/producer.md", text)


def noting(what: str, client: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what wraps a function whose calls are not recorded; it does the same, and says so."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            note_unrecorded(what, client)
            return original(*args, **kwargs)

        return call

    return make
