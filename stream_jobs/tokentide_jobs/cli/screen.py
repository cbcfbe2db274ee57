"""How commands draw: one console, one way to show data, and the forms of numbers for people.

Widths adapt to the terminal; output that goes to a file or a pipe is plain text of 100 columns.
Data is shown by `shown` (and plain lines are written by `say`): it is neither markup nor control.
"""

from __future__ import annotations

import sys

import click
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    RenderHook,
    RenderResult,
)
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

from tokentide_jobs.cli.printable import printable

__all__ = [
    "RECORD_HOLDS",
    "console",
    "count",
    "dollars",
    "duration_ms",
    "say",
    "scaled",
    "seconds",
    "share",
    "shown",
    "write_bytes",
]

RECORD_HOLDS = "a record holds one event or many"
"""Said beside a count of Kafka records and beside one of events, which differ for that reason."""
_PICO_PER_DOLLAR = 1_000_000_000_000
_PIPE_WIDTH = 100


class _Screen(Console):
    """A console that leaves the end of its reader to the program, as every other output does."""

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught; by itself it would leave with exit code 1."""
        raise BrokenPipeError


class _Escaping(RenderHook):
    """Lets no character through that a terminal would obey, also where a caller did not escape."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap what is printed."""
        return [_Escaped(renderable) for renderable in renderables]


class _Escaped:
    """A renderable whose texts are printable; its styles, and what rich itself asks for, stay."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, screen: Console, options: ConsoleOptions) -> RenderResult:
        for segment in screen.render(self._inner, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)

    def __rich_measure__(self, screen: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(screen, options, self._inner)


def console(*, to_stderr: bool = False, width: int | None = None) -> Console:
    """Return a console on stdout, or on stderr for progress beside machine-readable output.

    Args:
        to_stderr: Write to standard error.
        width: Columns; None: those of the terminal, or 100 where there is none.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    width = width or (None if stream.isatty() else _PIPE_WIDTH)
    screen = _Screen(file=stream, width=width, highlight=False, soft_wrap=False)
    screen.push_render_hook(_Escaping())
    return screen


def shown(data: object, style: str = "") -> Text:
    """Return data as a cell or a line: its text, which no terminal or markup obeys."""
    return Text(printable(str(data)), style)


def say(line: str, *, to_stderr: bool = False) -> None:
    """Write a plain line, or several; data in it is shown, not obeyed."""
    click.echo(printable(line, keep="\n"), err=to_stderr)


def write_bytes(data: bytes) -> None:
    """Write data byte for byte; to a terminal, as text in which nothing is left to obey."""
    if sys.stdout.isatty():
        text = data.decode("utf-8", "backslashreplace")
        sys.stdout.write(printable(text, keep="\n\t"))
    else:
        sys.stdout.buffer.write(data)


def count(number: int) -> str:
    """Return a count with thousands separated: `12,345`."""
    return f"{number:,}"


def scaled(number: float) -> str:
    """Return a number of three digits and its prefix: `1.23 M`."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.0f}"


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
