"""The form every recorded workload takes: calls in order of time, and where each part came from.

A `RecordedCall` holds what was recorded and nothing else: what a file does not say stays None and
is joined later, where it is declared. A `Trace` can be read many times and gives the same calls.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from tokentide_jobs.errors import ConfigError

__all__ = ["RecordedCall", "Source", "Trace", "bad_line", "number_of", "open_text"]

Kind = Literal["chat", "agent", "reasoning"]


@dataclass(slots=True)
class RecordedCall:
    """One recorded call; times count from the first call of the trace."""

    at_s: float
    kind: Kind
    input_tokens: int
    output_tokens: int
    lane: str = ""
    """What groups calls in the file: a session, a client; empty where there is no group."""
    model: str = ""
    agent: str = ""
    run: str = ""
    """One execution of an agent; a sub-agent's is `<session>/<agent>`."""
    parent_run: str = ""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_s: float | None = None
    ttft_s: float | None = None
    is_stream: bool | None = None
    stop: str = ""
    tool_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where recorded data comes from, as its licence wants it said."""

    title: str
    licence: str
    url: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A workload that can be replayed.

    Attributes:
        name: As the user names it: `mixed`, or the path of a file.
        sources: The data sets it was read from.
        recorded: What is real, one phrase each.
        joined: What the reader itself had to add, one phrase each.
        calls: Gives a fresh iterator of the same calls each time, in order of time.
    """

    name: str
    sources: tuple[Source, ...]
    recorded: tuple[str, ...]
    joined: tuple[str, ...]
    calls: Callable[[], Iterator[RecordedCall]]


def open_text(path: Path) -> IO[str]:
    """Open a text file, unpacking gzip by its first two bytes rather than by its name."""
    with path.open("rb") as probe:
        is_gzip = probe.read(2) == b"\x1f\x8b"
    if is_gzip:
        return cast("IO[str]", gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


def bad_line(name: str, line: int, problem: str) -> ConfigError:
    """Return the error for one unreadable line of a trace."""
    return ConfigError(f"{name}, line {line}: {problem}")


def number_of(
    text: str, column: str, name: str, line: int, *, low: float = 0, high: float = 1e12
) -> float:
    """Return a cell as a number in the closed range [low, high].

    Raises:
        ConfigError: It is none; the message names file, line, column and value.
    """
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise bad_line(name, line, f"{column} is {text!r}: expected a number") from None
    if not low <= value <= high:
        raise bad_line(name, line, f"{column} is {text!r}: expected {low:g} to {high:g}")
    return value
