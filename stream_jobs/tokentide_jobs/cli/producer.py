"""`tokentide check-producer`: the SDK's own check, for those who have the whole program."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tokentide.check import check
from tokentide.settings import Settings as ProducerSettings
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_producer(
    data_dir: Path | None, bootstrap: str | None, topic: str | None, timeout: float, as_json: bool
) -> int:
    """Send one test event with the SDK and say what happened at every step.

    Settings are those of a service that embeds the SDK: TOKENTIDE_KAFKA_BOOTSTRAP and the others.
    Where no brokers are named, the embedded stack that runs here is meant; where a service would
    use other brokers, that is reported. Without this program the same is `python -m tokentide
    check`.
    Exits with 1 when Kafka refuses the event, 2 when a setting is wrong, 3 when there is no
    connection.
    """
    given: dict[str, object] = {"bootstrap": bootstrap, "topic": topic}
    needs: list[str] = []
    if bootstrap is None and not os.environ.get("TOKENTIDE_KAFKA_BOOTSTRAP"):
        # Of the environment only this: the settings of producers are for the SDK to read.
        running = Settings.from_env({}, data_dir or os.environ.get("TOKENTIDE_DATA_DIR") or None)
        if running.sources.get("kafka_bootstrap"):
            given["bootstrap"] = running.kafka_bootstrap
            needs = _elsewhere(running.kafka_bootstrap)
    return check(
        given, timeout_s=timeout, as_json=as_json, needs=needs,
        write=lambda text: click.echo(text, nl=False),
    )  # fmt: skip


def _elsewhere(checked: str) -> list[str]:
    """Say what a service needs whose own default leads to other brokers than those checked."""
    default = ProducerSettings.load({}, {}).bootstrap
    if default == checked:
        return []
    return [
        f"these brokers are those of the stack that runs here; a service uses {default} unless "
        f"it is set: export TOKENTIDE_KAFKA_BOOTSTRAP={checked}"
    ]
