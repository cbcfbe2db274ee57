"""The root of the command tree: names and one-line descriptions; a module is loaded when used.

`tokentide --help` and shell completion of command names must answer at once, so they read the
table below instead of importing the commands and, with them, ClickHouse, Kafka and polars.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Final

import click
from click.shell_completion import CompletionItem

__all__ = ["COMMANDS", "LazyCommand", "LazyGroup", "cli"]


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives and what its one line in the overview says."""

    target: str
    """`module:attribute` of the click command, below `tokentide_jobs.cli`."""
    summary: str


COMMANDS: Final[dict[str, LazyCommand]] = {
    "demo": LazyCommand("demo:demo", "Run everything on recorded workloads and prove the result."),
    "up": LazyCommand("stack:up", "Run Kafka, ClickHouse and the ingest workers until Ctrl-C."),
    "down": LazyCommand("stack:down", "Stop the stack that runs in a data directory."),
    "worker": LazyCommand("worker:worker", "Run one worker of the pipeline."),
    "replay": LazyCommand("replay:replay", "Send a recorded workload through the SDK."),
    "top": LazyCommand("top:top", "Watch spend, latency and errors in the terminal."),
    "runs": LazyCommand("runs:runs", "List runs of agents, and name those that run away."),
    "alerts": LazyCommand("alerts:alerts", "See open alerts, acknowledge and silence them."),
    "viewer": LazyCommand("viewer:viewer", "Show the boards in a browser, without Grafana."),
    "status": LazyCommand("status:status", "Say whether everything works, and what does not."),
    "doctor": LazyCommand("doctor:doctor", "Check a running Grafana against boards and rules."),
    "grafana": LazyCommand("grafana:grafana", "Bring the boards into a running Grafana."),
    "sql": LazyCommand("sql:sql", "Ask ClickHouse a question."),
    "verify": LazyCommand("verify:verify", "Prove that nothing was lost, doubled or mispriced."),
    "explain": LazyCommand("explain:explain", "Show how the cost of one event came about."),
    "prices": LazyCommand("prices:prices", "Look at the prices in force."),
    "reprice": LazyCommand("reprice:reprice", "Price stored requests again."),
    "repair": LazyCommand("repair:repair", "Correct windows and rollups from the raw rows."),
    "void": LazyCommand("void:void", "Take wrong events out, for good."),
    "budgets": LazyCommand("budgets:budgets", "See what was spent of every budget."),
    "slos": LazyCommand("slos:slos", "See what is left of every error budget."),
    "dlq": LazyCommand("dlq:dlq", "List, show and replay dead letters."),
    "check-producer": LazyCommand(
        "producer:check_producer", "Send one test event with the SDK and say what happened."
    ),
    "migrate": LazyCommand("migrate:migrate", "Create or update the ClickHouse schema."),
    "topics": LazyCommand("topic_creation:topics", "Create the Kafka topics that are missing."),
    "simulate": LazyCommand("simulate:simulate", "Run made-up faults through the detectors."),
    "config": LazyCommand("config:config", "Show the settings in force and where they come from."),
    "completion": LazyCommand("completion:completion", "Print the completion script of a shell."),
}
"""Every command of the program, in the order of the overview."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is no such name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _colon, attribute = entry.target.partition(":")
        loaded = getattr(importlib.import_module(f"tokentide_jobs.cli.{module}"), attribute)
        assert isinstance(loaded, click.Command)
        return loaded

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, without importing any command."""
        names = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 a check failed, 2 usage or configuration, "
    "3 a service is unreachable or cannot now, 4 internal error, 5 nothing to check, "
    "6 a soft budget is over.",
)
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
@click.version_option(package_name="tokentide", message="tokentide %(version)s")
def cli(debug: bool) -> None:
    """Streaming telemetry for LLM applications: cost, latency and quality, provably exact.

    A first look: `tokentide demo`. To keep it running: `tokentide up`, then send events with the
    SDK or `tokentide replay`, and look with `tokentide top` and `tokentide sql`.
    """
