"""What one check of `tokentide doctor` came to: one line, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokentide_jobs.io.grafana.api import GrafanaRefused, GrafanaUnreachable

__all__ = ["Finding", "State", "is_away", "not_known", "some"]

State = Literal["ok", "problem", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        state: `ok` where it was seen to be so, `problem` where it was seen not to be, `unknown`
            where it could not be looked at.
        words: What was seen, in one line.
        remedy: What to do; "" where there is nothing to do.
        details: Everything that `words` shortens.
        is_unreachable: A server did not answer.
    """

    check: str
    state: State
    words: str
    remedy: str = ""
    details: tuple[str, ...] = ()
    is_unreachable: bool = False


def not_known(check: str, exc: GrafanaRefused | GrafanaUnreachable) -> Finding:
    """Return that a check could not be made, since Grafana did not answer what it needs."""
    return Finding(check, "unknown", str(exc), is_unreachable=is_away(exc))


def is_away(exc: GrafanaRefused | GrafanaUnreachable) -> bool:
    """Return whether an error ends everything, and not only the request that it answers."""
    return isinstance(exc, GrafanaUnreachable) and exc.is_away


def some(words: tuple[str, ...] | list[str], most: int = 3) -> str:
    """Return the first of many, and how many more there are."""
    rest = len(words) - most
    return "; ".join(words[:most]) + (f"; and {rest} more" if rest > 0 else "")
