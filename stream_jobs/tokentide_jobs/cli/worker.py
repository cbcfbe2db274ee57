"""`tokentide worker`: run one worker process in the foreground, as a supervisor would."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tokentide_jobs.jobs.ingest.worker import run_ingest
from tokentide_jobs.jobs.runtime.log import setup_logging
from tokentide_jobs.settings import Settings

__all__ = ["worker"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS: tuple[tuple[str, type, str], ...] = (
    ("kafka-bootstrap", str, "Kafka brokers, host:port separated by commas."),
    ("clickhouse-url", str, "ClickHouse over HTTP: http://user:password@host:port."),
    ("database", str, "ClickHouse database."),
    ("events-topic", str, "Topic to read."),
    ("group", str, "Consumer group."),
    ("prices-file", Path, "YAML file of price overrides."),
    ("batch-rows", int, "Seal a batch at about this many events."),
    ("batch-bytes", int, "Seal a batch at this many bytes."),
    ("batch-age-ms", int, "Seal a batch this long after its first record."),
    ("http-port", int, "Port of /healthz, /readyz and /metrics; 0: any free one."),
)


def _setting_options(command: _Command) -> _Command:
    for name, kind, text in reversed(_OPTIONS):
        variable = "TOKENTIDE_" + name.replace("-", "_").upper()
        command = click.option(f"--{name}", type=kind, help=f"{text}  [env: {variable}]")(command)
    return command


@click.group()
def worker() -> None:
    """Run one worker of the pipeline."""


@worker.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the embedded stack.  [default: $TOKENTIDE_DATA_DIR or .tokentide]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What to log to standard error, as JSON lines.",
)
@_setting_options
def ingest(data_dir: Path | None, log_level: str, **overrides: Any) -> None:
    """Read events from Kafka, price and fold them, and store them exactly once.

    Runs until SIGTERM or Ctrl-C, then finishes the batches in hand. Start as many as there are
    partitions; kill them as you like. Settings without an option: `tokentide config`.
    """
    settings = Settings.from_env(os.environ, data_dir, **overrides)
    setup_logging(log_level)
    code = run_ingest(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    # A writer may hang in a reply that never comes; what it writes is harmless, waiting is not.
    os._exit(code)
