"""Progress that people see: a bar of events, and the steps by which the stack starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Steps", "events_progress"]


@contextmanager
def events_progress(screen: Console, label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while the body runs; the function it gives sets the count so far.

    On a file or a pipe nothing is drawn: a bar there is only noise.
    """
    if not screen.is_terminal:
        yield lambda _count: None
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=40),
        TextColumn("{task.completed:>9,} events"),
        TextColumn("{task.fields[rate]:>7,}/s"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(label, total=total, rate=0)

        def update(events: int) -> None:
            elapsed = progress.tasks[task].elapsed or 0.0
            rate = round(events / elapsed) if elapsed else 0
            progress.update(task, completed=min(events, total), rate=rate)

        yield update


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
