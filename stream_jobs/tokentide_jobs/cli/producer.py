"""`tokentide check-producer`: the SDK's own check, for those who have the whole program."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tokentide.check import check
from tokentide_jobs.cli.target import data_dir_option
from tokentide_jobs.settings import Settings

__all__ = ["check_producer"]


@click.command(
    name="check-producer", short_help="Send one test event with the SDK and say what happened."
)
@data_dir_option
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka brokers to start from.")
@click.option("--topic", metavar="NAME", help="Topic to send to.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=15.0, show_default=True, metavar="S",
    help="Longest wait for each step.",
)  # fmt: skip
def check_producer(
    data_dir: Path | None, bootstrap: str | None, topic: str | None, timeout: float
) -> int:
    """Send one test event with the SDK and say what happened at every step.

    Settings are those of a service that embeds the SDK: TOKENTIDE_KAFKA_BOOTSTRAP and the others.
    Where no brokers are named, the embedded stack that runs here is meant. Without this program
    the same is `python -m tokentide check`. Exits with 1 when Kafka refuses the event, 2 when a
    setting is wrong, 3 when there is no connection.
    """
    given: dict[str, object] = {"bootstrap": bootstrap, "topic": topic}
    if bootstrap is None and not os.environ.get("TOKENTIDE_KAFKA_BOOTSTRAP"):
        running = Settings.from_env({}, data_dir)
        if running.sources.get("kafka_bootstrap"):
            given["bootstrap"] = running.kafka_bootstrap
    return check(given, timeout_s=timeout, write=lambda text: click.echo(text, nl=False))
