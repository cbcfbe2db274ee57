"""How commands draw: one console, and the few forms in which numbers are shown to people.

Widths adapt to the terminal; output that goes to a file or a pipe is plain text of 100 columns.
"""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["console", "count", "dollars", "duration_ms", "seconds", "share"]

_PICO_PER_DOLLAR = 1_000_000_000_000
_PIPE_WIDTH = 100


def console(*, to_stderr: bool = False) -> Console:
    """Return a console on stdout, or on stderr for progress beside machine-readable output."""
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def count(number: int) -> str:
    """Return a count with thousands separated: `12,345`."""
    return f"{number:,}"


def dollars(pico_usd: int | None) -> str:
    """Return an amount of pico-USD as dollars: cents where there are any, else what it takes."""
    if pico_usd is None:
        return "-"
    sign, size = ("-" if pico_usd < 0 else ""), abs(pico_usd)
    if size == 0:
        return "$0"
    if size >= _PICO_PER_DOLLAR // 100:
        cents = (size + 5_000_000_000) // 10_000_000_000
        return f"{sign}${cents // 100:,}.{cents % 100:02d}"
    digits = f"{size / _PICO_PER_DOLLAR:.6f}".rstrip("0")
    return f"{sign}${digits}" if digits not in ("0.", "0") else f"{sign}<$0.000001"


def duration_ms(value: float | None) -> str:
    """Return a duration given in milliseconds: `340 ms`, `2.4 s`, `3.1 min`."""
    if value is None or value != value:
        return "-"
    if value < 1_000:
        return f"{value:.0f} ms"
    return seconds(value / 1_000)


def seconds(value: float) -> str:
    """Return a duration given in seconds: `2.4 s`, `58 min`, `5.0 h`."""
    if value < 100:
        return f"{value:.1f} s"
    if value < 5_400:
        return f"{value / 60:.1f} min" if value < 600 else f"{value / 60:.0f} min"
    return f"{value / 3_600:.1f} h"


def share(part: float, whole: float) -> str:
    """Return a share in percent, `-` of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else "-"
