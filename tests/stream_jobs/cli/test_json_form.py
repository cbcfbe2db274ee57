"""Every command that prints results has a form for scripts."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tokentide_jobs.cli.root import cli

WITHOUT = {
    "worker ingest": "runs until it is stopped; its log is JSON lines",
    "worker detect": "the same",
    "viewer": "runs until it is stopped",
    "grafana write": "writes files, and prints their directory",
    "completion": "prints a script",
    "sql": "has --format, with JSON among its forms",
    "prices show": "the price tables of ClickHouse have the same, for `tokentide sql`",
    "prices explain": "the same; a stored call: `tokentide explain --json`",
    "prices diff": "the same",
}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Yield every command that is no group, with its options."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, (*path, name))
    else:
        yield " ".join(path), {option for param in command.params for option in param.opts}


def test_every_command_that_prints_results_has_json() -> None:
    lacking = {name for name, options in leaves(cli) if "--json" not in options}
    assert lacking == set(WITHOUT)
