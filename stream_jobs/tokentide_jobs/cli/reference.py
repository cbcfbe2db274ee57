"""The reference part of docs/cli.md: the help of every command, as the program prints it.

`python -m tokentide_jobs.cli.reference` writes it between its markers; a test holds the two equal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tokentide_jobs.cli.root import cli

__all__ = ["BEGIN", "END", "reference"]

BEGIN = "<!-- begin: help of every command, written by `python -m tokentide_jobs.cli.reference` -->"
END = "<!-- end -->"
_WIDTH = 96


def reference() -> str:
    """Return the help of every command and subcommand as Markdown."""
    root = _context(cli, "tokentide", None)
    parts: list[str] = []
    for command, context in _commands(cli, root):
        parts.append(f"### `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _commands(
    group: click.Group, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = _context(command, name, context)
        yield command, own
        if isinstance(command, click.Group):
            yield from _commands(command, own)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=cli.context_settings["help_option_names"],
    )


def _write(path: Path) -> None:
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{reference()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    _write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cli.md"))
