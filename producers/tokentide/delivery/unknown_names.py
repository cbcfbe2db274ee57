"""Reports once that events have a field, or a type, which the contract does not know.

`tenat=` is no error for Python and no field for the pipeline: the value would be dropped silently.
Checked on the background thread, where events are encoded. Invariant: each name is reported once
for each type of event, the number of names is bounded, and nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from tokentide._contract import FIELDS
from tokentide.log import RateLimitedLog

KNOWN: dict[str, frozenset[str]] = {name: frozenset(fields) for name, fields in FIELDS.items()}
"""Fields by type of event."""

MOST_REPORTED = 32
"""Names that are reported: a service that makes names of data must not fill its log."""
_SHOWN = 64
"""Characters of a name that are shown."""
_CONTENT = "content"
"""Type of the records of the content topic, which no model describes."""


class UnknownNames:
    """What one producer has reported.

    Args:
        log: Where the warnings go.
    """

    def __init__(self, log: RateLimitedLog) -> None:
        self._reported: set[tuple[str, str]] = set()
        self._log = log

    def look_at(self, event: Mapping[str, object]) -> None:
        """Report the names in an event that are not known and were not reported before."""
        try:
            kind = event.get("type")
            known = KNOWN.get(kind) if type(kind) is str else None
            if known is not None:
                for name in event:
                    if name not in known:
                        self._report(str(kind), name)
            elif kind != _CONTENT:
                self._report_type(kind)
        except Exception:  # keys of the host's own classes do as they please
            return

    def _report(self, kind: str, name: object) -> None:
        shown = name[:_SHOWN] if type(name) is str else f"<{type(name).__name__}>"
        if self._is_new(kind, shown):
            self._log.report(
                f"unknown {kind} {shown}",
                "an event of type %s has the field %r, which the pipeline does not know and does "
                "not keep%s; the fields are in docs/events.md; said once",
                kind,
                shown,
                meant(shown, KNOWN[kind]),
            )

    def _report_type(self, kind: object) -> None:
        shown = kind[:_SHOWN] if type(kind) is str else f"<{type(kind).__name__}>"
        if self._is_new("", shown):
            self._log.report(
                f"unknown type {shown}",
                "an event has the type %r, and the pipeline refuses it: give one of %s; said once",
                shown,
                ", ".join(KNOWN),
            )

    def _is_new(self, kind: str, name: str) -> bool:
        if len(self._reported) >= MOST_REPORTED or (kind, name) in self._reported:
            return False
        self._reported.add((kind, name))
        return True


def meant(name: str, known: Iterable[str]) -> str:
    """Return a question about the known name that comes closest, empty where none does."""
    found = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f" ({found[0]} was meant?)" if found else ""
