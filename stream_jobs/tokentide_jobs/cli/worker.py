"""`tokentide worker`: run one worker process in the foreground, as a supervisor would."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from tokentide_jobs.jobs.runtime.log import setup_logging
from tokentide_jobs.jobs.runtime.polars_heap import give_back_soon
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.origins import note_origins

__all__ = ["worker"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Option = tuple[str, type, str]

_SERVICES: tuple[_Option, ...] = (
    ("kafka-bootstrap", str, "Kafka brokers, host:port separated by commas."),
    ("clickhouse-url", str, "ClickHouse over HTTP: http://user:password@host:port."),
    ("database", str, "ClickHouse database."),
)
_PORT: _Option = ("http-port", int, "Port of /healthz, /readyz and /metrics; 0: any free one.")
_INGEST: tuple[_Option, ...] = (
    *_SERVICES,
    ("events-topic", str, "Topic to read."),
    ("group", str, "Consumer group."),
    ("prices-file", Path, "YAML file of price overrides."),
    ("batch-rows", int, "Seal a batch at about this many events."),
    ("batch-bytes", int, "Seal a batch at this many bytes."),
    ("batch-age-ms", int, "Seal a batch this long after its first record."),
    _PORT,
)
_DETECT: tuple[_Option, ...] = (
    *_SERVICES,
    ("detect-group", str, "Consumer group."),
    ("detect-file", Path, "YAML file of the rules of detection."),
    ("budgets-file", Path, "YAML file of budgets."),
    ("snapshot-s", int, "Save the state this often, in seconds."),
    _PORT,
)


def _setting_options(options: tuple[_Option, ...]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for name, kind, text in reversed(options):
            variable = "TOKENTIDE_" + name.replace("-", "_").upper()
            command = click.option(f"--{name}", type=kind, help=f"{text}  [env: {variable}]")(
                command
            )
        command = click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            default="info",
            show_default=True,
            help="What to log to standard error, as JSON lines.",
        )(command)
        return click.option(
            "--data-dir",
            type=click.Path(file_okay=False, path_type=Path),
            help="Directory of the embedded stack.  [default: $TOKENTIDE_DATA_DIR or .tokentide]",
        )(command)

    return add


@click.group()
def worker() -> None:
    """Run one worker of the pipeline."""


@worker.command()
@_setting_options(_INGEST)
def ingest(data_dir: Path | None, log_level: str, **overrides: Any) -> None:
    """Read events from Kafka, price and fold them, and store them exactly once.

    Runs until SIGTERM or Ctrl-C, then finishes the batches in hand. Start as many as there are
    partitions; kill them as you like. Settings without an option: `tokentide config`.
    """
    give_back_soon(os.environ)  # the job imports polars
    from tokentide_jobs.jobs.ingest.worker import run_ingest

    _run(run_ingest, data_dir, log_level, overrides)


@worker.command()
@_setting_options(_DETECT)
def detect(data_dir: Path | None, log_level: str, **overrides: Any) -> None:
    """Find anomalies, runaway runs and budgets that are used up, seconds after it happens.

    Runs until SIGTERM or Ctrl-C, then saves its state. One worker decides; start a second one as
    a standby, and kill them as you like. Settings without an option: `tokentide config`.
    """
    from tokentide_jobs.jobs.detect.worker import run_detect

    _run(run_detect, data_dir, log_level, overrides)


def _run(
    job: Callable[[Settings], int],
    data_dir: Path | None,
    log_level: str,
    overrides: dict[str, Any],
) -> NoReturn:
    settings = Settings.from_env(os.environ, data_dir, **overrides)
    note_origins(settings)
    setup_logging(log_level)
    code = job(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    # A writer may hang in a reply that never comes; what it writes is harmless, waiting is not.
    os._exit(code)
