"""The parts of docs/ that the program knows best: help of commands, settings, metrics.

`python -m tokentide_jobs.cli.reference` writes each between its markers; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tokentide.semconv.names import (
    AGENT_HOSTS,
    CALL,
    CODING_AGENTS,
    FINISH_REASONS,
    NO_CALLS,
    OPENINFERENCE_OPERATIONS,
    OPENINFERENCE_PARENTS,
    OPERATIONS,
    PARENT_KINDS,
    PROVIDER,
    USAGE,
    FieldNames,
)
from tokentide_jobs.cli.exit_codes import EXIT_CODES
from tokentide_jobs.cli.root import cli
from tokentide_jobs.core.detect.parameters import Parameters
from tokentide_jobs.core.detect_metrics import DETECT_METRICS
from tokentide_jobs.core.metrics import METRICS
from tokentide_jobs.settings import Settings

__all__ = ["SECTIONS", "Section"]

_END = "<!-- end -->"
_WIDTH = 96
_UNITS = {
    "milliseconds": " (ms)",
    "seconds": " (s)",
    "usd": " (USD)",
    "usd_by_part": " (JSON, USD)",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One generated part of a page: everything between its two markers."""

    page: str
    """Path below the root of the project."""
    title: str
    render: Callable[[], str]

    @property
    def begin(self) -> str:
        """The line before it."""
        return f"<!-- begin: {self.title}, written by `python -m tokentide_jobs.cli.reference` -->"

    def written(self, text: str) -> str:
        """Return what stands between the markers in the text of the page."""
        return text.partition(self.begin)[2].partition(_END)[0].strip()

    def replaced(self, text: str) -> str:
        """Return the text of the page with this part written again."""
        before, found, rest = text.partition(self.begin)
        if not found:
            raise ValueError(f"{self.page} lacks the line {self.begin}")
        after = rest.partition(_END)[2]
        return f"{before}{self.begin}\n\n{self.render().strip()}\n\n{_END}{after}"


def commands() -> str:
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


def settings() -> str:
    """Return every setting of the pipeline as a Markdown table."""
    rows = ["| variable | default | unit | range | meaning |", "|---|---|---|---|---|"]
    for item in Settings().items():
        default = f"`{item.value}`" if item.value else ""
        rows.append(
            f"| `{item.variable}` | {default} | {item.unit} | {item.allowed} | {item.doc} |"
        )
    return "\n".join(rows)


def metrics() -> str:
    """Return every metric of a worker as a Markdown table."""
    rows = [
        "| metric | kind | labels | meaning | when it moves, look at |",
        "|---|---|---|---|---|",
    ]
    for spec in (*METRICS, *DETECT_METRICS):
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        rows.append(f"| `{spec.name}` | {spec.kind} | {labels} | {spec.doc} | {spec.look_at} |")
    return "\n".join(rows)


def span_attributes() -> str:
    """Return which span attributes fill which fields of an event, as a Markdown table."""
    names = (
        FieldNames("provider", "text", PROVIDER),
        FieldNames("finish_reasons", "text", FINISH_REASONS),
    )
    rows = ["| field | attributes, the first that is there counts |", "|---|---|"]
    merged: dict[str, list[str]] = {}
    for entry in (*USAGE, *names, *CALL):
        unit = _UNITS.get(entry.kind, "")
        merged.setdefault(entry.field, []).extend(
            f"`{source.attribute}`{unit} {source.generation}" for source in entry.sources
        )
    rows += [f"| `{field}` | {', '.join(sources)} |" for field, sources in merged.items()]
    return "\n".join(rows)


def span_operations() -> str:
    """Return which spans are calls of a model, as Markdown."""

    def listed(names: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in names)

    return (
        f"- a call, with or without tokens: `gen_ai.operation.name` (or OpenLLMetry's "
        f"`llm.request.type`) is one of {listed(OPERATIONS)}; or `openinference.span.kind` is one "
        f"of {listed(OPENINFERENCE_OPERATIONS)};\n"
        f"- no call, whatever it carries: the operation is one of {listed(sorted(NO_CALLS))}; or "
        f"`openinference.span.kind` is one of {listed(sorted(OPENINFERENCE_PARENTS))}; or "
        f"`traceloop.span.kind` is one of {listed(sorted(PARENT_KINDS))}; or the span is a "
        "server's, a producer's or a consumer's; or the instrumentation is a coding agent's "
        f"({listed(f'{name}…' for name in CODING_AGENTS)}), whose log records report each call;\n"
        "- every other span, under whatever name, is a call when it carries tokens and a provider "
        "or a model, and no call inside it is in the same record;\n"
        "- so is `invoke_agent` of kind `CLIENT`, an agent that runs somewhere else. Where "
        f"`server.address` is a provider's ({listed(AGENT_HOSTS)}, or Bedrock's) the calls inside "
        "it are not traced; elsewhere they may be, so its `usage_source` is `missing` and its cost "
        "`partial`."
    )


def detection_levels() -> str:
    """Return the parameters of the tests of levels as a Markdown table."""
    rows = [
        "| metric | dead zone | least effect | alarm | put together until n is | gate |",
        "|---|---|---|---|---|---|",
    ]
    for name, level in Parameters().levels.items():
        pool = f"{level.pool_n:g}" if level.pool_n else "-"
        gate = f"{level.gate_effect:g}" if level.gate_effect else "-"
        rows.append(
            f"| `{name}` | {level.dead_zone:g} | {level.least_effect:g} | {level.direction} "
            f"| {pool} | {gate} |"
        )
    return "\n".join(rows)


def exit_codes() -> str:
    """Return every exit code as a Markdown table."""
    rows = ["| code | meaning | examples |", "|---|---|---|"]
    rows += [f"| {code} | {meaning} | {examples} |" for code, meaning, examples in EXIT_CODES]
    return "\n".join(rows)


SECTIONS = (
    Section("docs/cli.md", "exit codes", exit_codes),
    Section("docs/cli.md", "help of every command", commands),
    Section("docs/operations.md", "settings", settings),
    Section("docs/operations.md", "metrics", metrics),
    Section("docs/detection.md", "parameters of levels", detection_levels),
    Section("docs/opentelemetry.md", "which spans are calls", span_operations),
    Section("docs/opentelemetry.md", "span attributes", span_attributes),
)


if __name__ == "__main__":
    for section in SECTIONS:
        path = Path(section.page)
        path.write_text(section.replaced(path.read_text(encoding="utf-8")), encoding="utf-8")
