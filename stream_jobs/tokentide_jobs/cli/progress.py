"""Progress that people see: a bar of things counted, and the steps by which the stack starts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tokentide_jobs.cli.screen import say as write_line

__all__ = ["Steps", "counting_progress", "progress_lines"]

_FIRST_LINE_S: Final = 2.0
_NEXT_LINE_S: Final = 10.0
"""A log, unlike a terminal, keeps every line: it gets one only of work that takes long."""


@contextmanager
def counting_progress(
    screen: Console, label: str, total: int, what: str
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the body runs; the function it gives sets the count of `what` so far.

    On a file or a pipe nothing is drawn: a bar there is only noise.
    """
    if not screen.is_terminal:
        yield lambda _count: None
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=40),
        TextColumn(f"{{task.completed:>9,}} of {total:,} {what}"),
        TextColumn("{task.fields[rate]:>7,}/s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(label, total=total, rate=0)

        def update(done: int) -> None:
            elapsed = progress.tasks[task].elapsed or 0.0
            rate = round(done / elapsed) if elapsed else 0
            progress.update(task, completed=min(done, total), rate=rate)

        yield update


@contextmanager
def progress_lines(screen: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show which step a work is at while the body runs; the function it gives sets the step.

    A terminal shows it at once, in one line that is gone in the end. Elsewhere it is a line on
    standard error now and then, so that long work does not look like a hang.

    Args:
        screen: Where the result is going to be.
        what: The work, in a word.
    """
    if screen.is_terminal:
        with screen.status(f"[dim]{what} …[/]") as status:
            yield lambda step: status.update(f"[dim]{what}: {escape(step)} …[/]")
        return
    step_now, is_over = "", threading.Event()

    def say(step: str) -> None:
        nonlocal step_now
        step_now = step

    def tell() -> None:
        pause_s = _FIRST_LINE_S
        while not is_over.wait(pause_s):
            write_line(f"tokentide: {what}: {step_now} …", to_stderr=True)
            pause_s = _NEXT_LINE_S

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    thread.start()
    try:
        yield say
    finally:
        is_over.set()
        thread.join()


class Steps:
    """One line per thing started, with how long it took."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    def step(self, what: str) -> None:
        """Say it on a terminal only: a log needs the outcome, not the wait."""
        if self._screen.is_terminal:
            self._screen.print(f"  [dim]… {what}[/dim]", end="\r")

    def done(self, what: str, took_s: float) -> None:
        """Print one line that stays."""
        self._screen.print(f"  [green]✓[/green] {what} [dim]{took_s:.1f} s[/dim]   ")

    def note(self, text: str) -> None:
        """Print one line that stays and is noticed."""
        self._screen.print(f"  [yellow]![/yellow] {escape(text)}", soft_wrap=True)
