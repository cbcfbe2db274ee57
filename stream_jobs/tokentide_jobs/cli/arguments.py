"""What people type, as the pipeline uses it: times, offsets, names, and the option `--json`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.yaml_entries import Named

__all__ = ["json_option", "only_named", "parse_offsets", "utc_us"]

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_US = int(datetime(2106, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""A window begins at a number of seconds that ClickHouse keeps in 32 bits; beyond, it wraps."""
_OFFSETS = re.compile(r"(?:(\d+):)?(\d+)-(\d+)")


def utc_us(text: str, option: str) -> int:
    """Return a time as epoch microseconds.

    Args:
        text: `2026-11-22`, `2026-11-22T10:00`, with an offset or `Z` if need be (else UTC), or a
            duration before now: `90s`, `15m`, `24h`, `7d`.
        option: Named in the error.

    Raises:
        ConfigError: It is none of these.
    """
    if ago := _AGO.fullmatch(text.strip()):
        at_us = int((time.time() - float(ago[1]) * _SECONDS[ago[2]]) * 1e6)
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ConfigError(
                f"{option} is {text!r}: expected a UTC time such as 2026-11-22T10:00, "
                "or a time ago such as 15m, 24h, 7d"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at_us = int((moment - _EPOCH) // timedelta(microseconds=1))
    if not 0 <= at_us < _END_US:
        raise ConfigError(
            f"{option} is {text!r}, which lies outside of 1970 to 2105: events have no such time"
        )
    return at_us


def parse_offsets(texts: Sequence[str]) -> dict[int | None, tuple[int, int]]:
    """Return ranges of offsets by partition; None stands for every partition.

    Raises:
        ConfigError: A text is not `[P:]START-END`, a range is empty, or a partition comes twice.
    """
    ranges: dict[int | None, tuple[int, int]] = {}
    for text in texts:
        match = _OFFSETS.fullmatch(text.strip())
        if match is None or int(match[2]) >= int(match[3]):
            raise ConfigError(
                f"--offsets is {text!r}: expected START-END or PARTITION:START-END, "
                "with START below END"
            )
        partition = int(match[1]) if match[1] else None
        if partition in ranges:
            raise ConfigError(f"--offsets {text}: this partition has a range already")
        ranges[partition] = (int(match[2]), int(match[3]))
    return ranges


_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """Give a command the option `--json`, as its argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


_Entry = TypeVar("_Entry", bound=Named)


def only_named(
    entries: tuple[_Entry, ...], name: str | None, noun: str, file: Path | None
) -> tuple[_Entry, ...]:
    """Return the entry of that name; all of them where none is given.

    Args:
        entries: Of a file.
        name: Typed by a person.
        noun: What an entry is called.
        file: Named in the error.

    Raises:
        ConfigError: There is none of that name.
    """
    if name is None:
        return entries
    found = tuple(one for one in entries if one.name == name)
    if not found:
        known = ", ".join(one.name for one in entries) or "none"
        raise ConfigError(f"there is no {noun} {name!r} in {file}: {known}")
    return found
